/* SPDX-License-Identifier: ISC */
#include "config/config_check.h"

#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/url.h"
#include "config/config_key.h"
#include "config/config_password.h"
#include "event/request_check.h"

#define AT(field) offsetof(struct config, field)

static const struct config_mark nowhere = {0, 0};

struct config_mark
config_mark_of(const struct config_check *c, size_t offset)
{
	for (size_t i = 0; i < config_n_keys; i++)
		if (config_keys[i].offset == offset)
			return c->key_at[i];
	return nowhere;
}

/* Children never run as root. */
static int
choose_user(const struct config_check *c)
{
	static const char *const accounts[] = {"cassata", "nobody"};
	char **user = &c->cfg->master.user;

	for (size_t i = 0; i < 2; i++) {
		if (getpwnam(accounts[i]) == NULL)
			continue;
		*user = strdup(accounts[i]);
		if (*user == NULL)
			config_error(
			    c->errors, c->file, nowhere, "out of memory");
		return *user == NULL ? -1 : 0;
	}
	config_error(c->errors, c->file, nowhere,
	    "master.user must be set: as root the daemon runs its children as "
	    "another user, and there is neither cassata nor nobody (useradd "
	    "--system cassata makes the first)");
	return -1;
}

static void
find_user(const struct config_check *c)
{
	struct config_master *master = &c->cfg->master;
	const struct passwd *user;
	const struct group *group;

	if (master->user == NULL && master->group == NULL && geteuid() == 0 &&
	    choose_user(c) == -1)
		return;
	if (master->user == NULL) {
		if (master->group != NULL)
			config_error(c->errors, c->file,
			    config_mark_of(c, AT(master.group)),
			    "group needs a user");
		return;
	}
	user = getpwnam(master->user);
	if (user == NULL) {
		config_error(c->errors, c->file,
		    config_mark_of(c, AT(master.user)), "no such user: %s",
		    master->user);
		return;
	}
	master->uid = user->pw_uid;
	master->gid = user->pw_gid;
	if (master->uid == 0)
		config_error(c->errors, c->file,
		    config_mark_of(c, AT(master.user)),
		    "user must not be one with the rights of root");
	if (master->group == NULL)
		return;
	group = getgrnam(master->group);
	if (group == NULL)
		config_error(c->errors, c->file,
		    config_mark_of(c, AT(master.group)), "no such group: %s",
		    master->group);
	else
		master->gid = group->gr_gid;
}

/* Half of it is for requests; buffers kept for later ones may have the rest. */
static void
check_request_memory(const struct config_check *c)
{
	const struct config_service *service = &c->cfg->service;
	int64_t least = 2 * config_request_bytes(service);
	struct config_mark at =
	    config_mark_of(c, AT(service.max_request_memory_bytes));

	if (at.line == 0)
		at = config_mark_of(c, AT(service.max_body_bytes));
	if (service->max_request_memory_bytes < least)
		config_error(c->errors, c->file, at,
		    "maxRequestMemory (%" PRId64 " bytes) must have room for "
		    "two of the largest requests (%" PRId64 " bytes)",
		    service->max_request_memory_bytes, least);
}

/* Which one of two would hold? */
static void
check_host_limits(const struct config_check *c)
{
	const struct config_worker *worker = &c->cfg->worker;

	for (size_t i = 0; i < worker->n_host_limits; i++)
		for (size_t j = 0; j < i; j++)
			if (strcasecmp(worker->host_limits[i].host,
				worker->host_limits[j].host) == 0)
				config_error(c->errors, c->file,
				    config_mark_of(c, AT(worker.host_limits)),
				    "hostLimits has %s twice",
				    worker->host_limits[i].host);
}

/* Receivers get it with a path behind it. */
static void
check_public_url(const struct config_check *c)
{
	char *text = c->cfg->service.public_url;
	const char *reason;
	struct url url;
	size_t len;

	if (text == NULL)
		return;
	reason = request_check_url(slice_from_string(text));
	if (reason == NULL &&
	    url_split(slice_from_string(text), URL_WITH_FRAGMENT, &url) == 0 &&
	    (url.query.p != NULL || url.fragment.p != NULL))
		reason = "must not have a query or a fragment";
	if (reason != NULL)
		config_error(c->errors, c->file,
		    config_mark_of(c, AT(service.public_url)), "publicUrl %s",
		    reason);
	for (len = strlen(text); len > 0 && text[len - 1] == '/'; len--)
		text[len - 1] = '\0';
}

static void
check_numbers(const struct config_check *c)
{
	const struct config_worker *worker = &c->cfg->worker;
	const char *path = c->cfg->master.control_socket;
	size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	struct config_mark at = config_mark_of(c, AT(worker.claim_max));

	if (at.line == 0)
		at = config_mark_of(c, AT(worker.claim_min));
	if (worker->claim_max < worker->claim_min)
		config_error(c->errors, c->file, at,
		    "maxEventsProcessedPerTransaction (%d) must not be below "
		    "numEventsProcessedPerTransaction (%d)",
		    worker->claim_max, worker->claim_min);
	if (worker->lease_ms != 0 && worker->lease_ms < CONFIG_LEASE_MIN_MS)
		config_error(c->errors, c->file,
		    config_mark_of(c, AT(worker.lease_ms)),
		    "lease (%" PRId64 " ms) must be 0 or 1s and more",
		    worker->lease_ms);
	if (strlen(path) > longest)
		config_error(c->errors, c->file,
		    config_mark_of(c, AT(master.control_socket)),
		    "controlSocket is longer than the %zu bytes of a socket's "
		    "path: %s",
		    longest, path);
}

/* The file's password wins over the environment's. */
static void
read_password(const struct config_check *c)
{
	struct config_datastore *ds = &c->cfg->datastore;
	const char *password = getenv(CONFIG_PASSWORD_VARIABLE);
	struct err reason;

	if (ds->password_file != NULL) {
		ds->password = config_password_read(ds->password_file, &reason);
		if (ds->password == NULL)
			config_error(c->errors, c->file,
			    config_mark_of(c, AT(datastore.password_file)),
			    "passwordFile %s cannot be read: %s",
			    ds->password_file, reason.text);
	} else if (password != NULL && *password != '\0') {
		ds->password = strdup(password);
		if (ds->password == NULL)
			config_error(
			    c->errors, c->file, nowhere, "out of memory");
	}
}

static void
find_datastore(const struct config_check *c)
{
	struct config_datastore *ds = &c->cfg->datastore;
	struct err err;

	if (sql_describe(ds->url, c->cfg->master.state_dir, &ds->place, &err) ==
	    -1)
		config_error(c->errors, c->file,
		    config_mark_of(c, AT(datastore.url)), "url: %s", err.text);
}

void
config_check(const struct config_check *c)
{
	check_public_url(c);
	check_numbers(c);
	check_request_memory(c);
	check_host_limits(c);
	find_datastore(c);
	find_user(c);
	read_password(c);
}
