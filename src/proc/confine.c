/* SPDX-License-Identifier: ISC */
#include "proc/confine.h"

#include <assert.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/zones.h"
#include "proc/data_dir.h"
#include "proc/privileges.h"
#include "proc/sandbox.h"
#include "proc/sanitized.h"
#include "proc/seccomp.h"

/* The directory of a file, or NULL with err; to be freed. */
static char *
written_directory_of(const char *path, struct err *err)
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

/* Where the sanitizers write, or NULL; to be freed. 0 or -1. */
static int
find_report_dir(char **dir, struct err *err)
{
	static const char option[] = "log_path=";
	const char *options = getenv("ASAN_OPTIONS"), *at;
	char *path;

	at = options == NULL ? NULL : strstr(options, option);
	if (at == NULL)
		return 0;
	at += strlen(option);
	path = strndup(at, strcspn(at, ":"));
	if (path == NULL)
		return err_set(err, "out of memory");
	*dir = written_directory_of(path, err);
	free(path);
	return *dir == NULL ? -1 : 0;
}

static int
enter_sandbox(struct sandbox *sandbox, const char *database, struct err *err)
{
	char *data_dir = NULL, *report_dir = NULL;
	int status = -1;

	if ((database == NULL ||
		(data_dir = written_directory_of(database, err)) != NULL) &&
	    (!SANITIZED || find_report_dir(&report_dir, err) == 0)) {
		sandbox->data_dir = data_dir;
		sandbox->report_dir = report_dir;
		status = sandbox_enter(sandbox, err);
	}
	free(data_dir);
	free(report_dir);
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

static unsigned
needs_of_role(enum role role)
{
	switch (role) {
	case ROLE_METRICS:
	case ROLE_SERVICE:
		return NEED_LOOP | NEED_CLIENTS;
	case ROLE_WORKER:
		return NEED_LOOP | NEED_NET | NEED_NAMES;
	case ROLE_MASTER:
	case ROLE_PREFLIGHT:
		break;
	}
	return 0;
}

static_assert(
    (int)SANDBOX_PORTS >= (int)SQL_HOSTS_MAX, "each may have its own");

/* Its file, or the servers' ports; who has a name for one looks it up. */
static void
need_datastore(struct sandbox *sandbox, const struct config_datastore *cfg)
{
	const struct sql_place *place = &cfg->place;

	if (place->kind == SQL_SQLITE) {
		sandbox->needs |= NEED_FILES;
		return;
	}
	if (place->user == NULL)
		name_user();
	sandbox->needs |= NEED_NET;
	for (unsigned i = 0; i < place->n_hosts; i++) {
		const struct sql_host *host = &place->hosts[i];

		if (host->is_name)
			sandbox->needs |= NEED_NAMES;
		if (sql_host_tls(host, cfg->tls) != SQL_TLS_OFF)
			sandbox->needs |= NEED_WAITING;
		sandbox->ports[i] = host->port;
	}
	sandbox->readable[1] = cfg->tls_ca_file;
	sandbox->readable[2] = cfg->tls_certificate;
	sandbox->readable[3] = cfg->tls_key;
}

/* What this role needs of the datastore and of the network, and no more. */
static int
restrict_to_role(enum role role, const struct config *cfg, struct err *err)
{
	bool is_worker = role == ROLE_WORKER;
	struct sandbox sandbox = {
	    .needs = needs_of_role(role),
	    .readable = {is_worker ? cfg->worker.ca_file : NULL},
	    .connects = is_worker,
	    .kills = SANITIZED,
	};

	if (is_worker || role == ROLE_SERVICE)
		sandbox.zone_dir = zones_directory();
	if (strcmp(cfg->log.destination, "syslog") == 0)
		sandbox.needs |= NEED_SYSLOG;
	if (role == ROLE_METRICS)
		return enter_sandbox(&sandbox, NULL, err);
	need_datastore(&sandbox, &cfg->datastore);
	return enter_sandbox(&sandbox, cfg->datastore.place.file, err);
}

static size_t
descriptors(enum role role, const struct config *cfg)
{
	enum { OTHERS = 256, LOOKUP = 3 };

	switch (role) {
	case ROLE_SERVICE:
		return (size_t)cfg->service.max_connections + OTHERS;
	case ROLE_WORKER: /* as many again may be kept open */
		return 2 * (size_t)cfg->worker.max_deliveries +
		       LOOKUP * (size_t)cfg->worker.max_lookups + OTHERS;
	case ROLE_MASTER:
	case ROLE_PREFLIGHT:
	case ROLE_METRICS:
		break;
	}
	return OTHERS;
}

int
confine_user(enum role role, const struct config *cfg, struct err *err)
{
	return privileges_want_descriptors(descriptors(role, cfg), err) == -1
		   ? -1
		   : privileges_drop(&cfg->master, err);
}

int
confine_role(enum role role, const struct config *cfg, struct err *err)
{
	/* Before the sandbox, which would fail with less of a reason. */
	if (role == ROLE_PREFLIGHT && data_dir_check(cfg, err) == -1)
		return -1;
	return cfg->master.sandbox ? restrict_to_role(role, cfg, err) : 0;
}
