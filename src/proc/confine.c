/* SPDX-License-Identifier: ISC */
#include "proc/confine.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/data_dir.h"
#include "proc/privileges.h"
#include "proc/sandbox.h"
#include "store/mysql_url.h"

/* The directory of a file, or NULL with err; to be freed. */
static char *
directory_of(const char *path, struct err *err)
{
	/* A link leads to where the file is written. */
	char *real = realpath(path, NULL), *slash;

	if (real == NULL)
		real = strdup(path);
	if (real == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	slash = strrchr(real, '/');
	if (slash != NULL)
		slash[slash == real] = '\0';
	return real;
}

static int
enter_sandbox(const struct child *child, struct sandbox *sandbox,
    const char *database, struct err *err)
{
	const char *log = child->cfg->log.destination;
	char *database_dir = NULL, *log_dir = NULL;
	struct err missing;
	int status = -1;

	if ((database == NULL ||
		(database_dir = directory_of(database, err)) != NULL) &&
	    (*log != '/' || (log_dir = directory_of(log, err)) != NULL)) {
		sandbox->writable[0] = database_dir;
		/* In the foreground the path need not lead anywhere. */
		if (log_dir != NULL && access(log_dir, F_OK) == 0)
			sandbox->writable[1] = log_dir;
		status = sandbox_enter(sandbox, &missing, err);
	}
	/* Once per start, not once per child. */
	if (status == 0 && missing.text[0] != '\0' &&
	    child->role == ROLE_PREFLIGHT)
		log_info("this kernel has no %s: children can do more than "
			 "they need",
		    missing.text);
	free(database_dir);
	free(log_dir);
	return status;
}

/* Whom the MySQL library logs in as unless the URL names somebody: in the
 * sandbox it cannot look that up. */
static void
name_user(void)
{
	const struct passwd *user = getpwuid(geteuid());

	if (user != NULL)
		(void)setenv("USER", user->pw_name, 1);
}

static bool
is_name(const char *host)
{
	struct in6_addr address;

	return host != NULL && inet_pton(AF_INET, host, &address) != 1 &&
	       inet_pton(AF_INET6, host, &address) != 1;
}

/* What this role needs of the datastore and of the network, and no more. */
static int
restrict_to_role(const struct child *child, struct err *err)
{
	const char *url = child->cfg->datastore.url;
	bool is_worker = child->role == ROLE_WORKER;
	struct sandbox sandbox = {
	    .resolves = is_worker,
	    .names = is_worker,
	    .connects = is_worker,
	    .syslog = strcmp(child->cfg->log.destination, "syslog") == 0,
	};
	struct mysql_url parsed;
	char *database = NULL;
	int status;

	if (is_worker)
		sandbox.readable[0] = child->cfg->worker.ca_file;
	if (store_is_sqlite(url)) {
		database = store_file(child->cfg->master.state_dir, url);
		if (database == NULL)
			return err_set(err, "out of memory");
	} else {
		if (mysql_url_parse(url, &parsed, err) == -1)
			return -1;
		if (parsed.user == NULL)
			name_user();
		sandbox.resolves = true;
		sandbox.names = is_worker || is_name(parsed.host);
		sandbox.port = parsed.host == NULL ? 0 : parsed.port;
		sandbox.readable[1] = child->cfg->datastore.tls_ca_file;
		sandbox.readable[2] = child->cfg->datastore.tls_certificate;
		sandbox.readable[3] = child->cfg->datastore.tls_key;
		mysql_url_free(&parsed);
	}
	status = enter_sandbox(child, &sandbox, database, err);
	free(database);
	return status;
}

static size_t
descriptors(const struct child *child)
{
	enum { OTHERS = 256 };
	const struct config *cfg = child->cfg;

	switch (child->role) {
	case ROLE_SERVICE:
		return (size_t)cfg->service.max_connections + OTHERS;
	case ROLE_WORKER: /* as many again may be kept open */
		return 2 * (size_t)cfg->worker.max_deliveries + OTHERS;
	case ROLE_MASTER:
	case ROLE_PREFLIGHT:
		break;
	}
	return OTHERS;
}

int
confine(const struct child *child, struct err *err)
{
	const struct config_master *cfg = &child->cfg->master;

	if (privileges_want_descriptors(descriptors(child), err) == -1 ||
	    privileges_drop(cfg, err) == -1)
		return -1;
	/* Before the sandbox, which would fail with less of a reason. */
	if (child->role == ROLE_PREFLIGHT &&
	    data_dir_check(child->cfg, err) == -1)
		return -1;
	return cfg->sandbox ? restrict_to_role(child, err) : 0;
}
