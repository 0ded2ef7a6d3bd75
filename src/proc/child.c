/* SPDX-License-Identifier: ISC */
#include "proc/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sigpipe.h"
#include "proc/privileges.h"
#include "proc/sandbox.h"
#include "store/mysql_url.h"

static bool
is_sqlite(const char *url)
{
	return strncmp(url, "sqlite:", strlen("sqlite:")) == 0;
}

static void
set_log_name(const struct child *child)
{
	char name[32];

	(void)snprintf(
	    name, sizeof(name), "%s %u", role_name(child->role), child->number);
	log_set_name(name);
}

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

/* What this role needs of the datastore and of the network, and no more. */
static int
confine(const struct child *child, struct err *err)
{
	const char *url = child->cfg->datastore.url;
	bool is_worker = child->role == ROLE_WORKER;
	struct sandbox sandbox = {
	    .resolves = is_worker, .connects = is_worker};
	struct mysql_url parsed;
	char *database = NULL;
	int status;

	if (is_worker)
		sandbox.readable = child->cfg->worker.ca_file;
	if (is_sqlite(url)) {
		database = store_file(child->cfg->master.state_dir, url);
		if (database == NULL)
			return err_set(err, "out of memory");
	} else {
		if (mysql_url_parse(url, &parsed, err) == -1)
			return -1;
		sandbox.resolves = true;
		sandbox.port = parsed.host == NULL ? 0 : parsed.port;
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

static int
give_rights_up(const struct child *child, struct err *err)
{
	const struct config_master *cfg = &child->cfg->master;

	if (privileges_want_descriptors(descriptors(child), err) == -1 ||
	    privileges_drop(cfg, err) == -1)
		return -1;
	return cfg->sandbox ? confine(child, err) : 0;
}

int
child_isolate(struct child *child, struct err *err)
{
	size_t n = 0;
	int *keep = calloc(
	    3 + SCOREBOARD_WORKER_SLOTS + child->n_listen, sizeof(*keep));

	if (keep == NULL)
		return err_set(err, "out of memory");
	keep[n++] = child->status_fd;
	keep[n++] = child->life_fd;
	keep[n++] = log_fd();
	for (size_t i = 0; i < SCOREBOARD_WORKER_SLOTS; i++)
		keep[n++] = child->sb->wake_fd[i];
	for (size_t i = 0; i < child->n_listen; i++)
		keep[n++] = child->listen_fds[i];
	fd_close_others(keep, n);
	free(keep);
	set_log_name(child);
	child->score = &child->sb->shared->slots[child->slot];
	atomic_store(&child->score->pid, getpid());
	return give_rights_up(child, err);
}

static void
report(struct child *child, enum child_state state, const char *reason)
{
	atomic_store(&child->score->state, (int)state);
	/* A master that is gone does not need to know. */
	(void)status_send(child->status_fd, state, reason);
}

static void
drain(struct child *child)
{
	size_t n_listen = child->n_listen;

	if (child->draining)
		return;
	child->draining = true;
	report(child, CHILD_DRAINING, NULL);
	child->drain(child->drain_arg);
	/* The port must not stay taken while the last requests end. */
	child->n_listen = 0;
	for (size_t i = 0; i < n_listen; i++)
		(void)close(child->listen_fds[i]);
}

static void
on_signal(int fd, unsigned events, void *arg)
{
	struct child *child = arg;
	int signal;

	(void)events;
	while ((signal = sigpipe_next(fd)) != 0) {
		if (signal == SIGUSR1)
			log_reopen();
		else
			drain(child);
	}
}

/* Nothing is ever written to the pipe: this is its end. */
static void
on_masters_death(int fd, unsigned events, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)events;
	loop_io_free(&child->life_io);
	log_warnx("the master is gone: draining");
	/* Nobody else is left to end a drain that takes too long. */
	(void)alarm(
	    (unsigned)(child->cfg->master.shutdown_timeout_ms / 1000 + 1));
	drain(child);
}

/* Signals to a whole group, of a terminal say, are the master's. */
static void
leave_signals_to_master(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction standard = {.sa_handler = SIG_DFL};

	/* None of them can fail: the numbers are valid. */
	(void)sigaction(SIGINT, &ignore, NULL);
	(void)sigaction(SIGHUP, &ignore, NULL);
	(void)sigaction(SIGUSR2, &ignore, NULL);
	(void)sigaction(SIGCHLD, &standard, NULL);
}

int
child_init(struct child *child, void (*drain_fn)(void *arg), void *arg,
    struct err *err)
{
	static const int signals[] = {SIGTERM, SIGUSR1, 0};

	child->drain = drain_fn;
	child->drain_arg = arg;
	if (child_isolate(child, err) == -1)
		return -1;
	leave_signals_to_master();
	child->signal_fd = sigpipe_open(signals, err);
	if (child->signal_fd == -1)
		return -1;
	child->loop = loop_create();
	if (child->loop == NULL)
		return err_set(err, "cannot make the event loop");
	child->signal_io = loop_io_create(
	    child->loop, child->signal_fd, LOOP_READ, on_signal, child);
	child->life_io = loop_io_create(
	    child->loop, child->life_fd, LOOP_READ, on_masters_death, child);
	if (child->signal_io == NULL || child->life_io == NULL)
		return err_set(err, "out of memory");
	return 0;
}

void
child_ready(struct child *child)
{
	report(child, CHILD_READY, NULL);
}

void
child_failed(struct child *child, const char *reason)
{
	/* Without child_isolate there is no slot to write to. */
	(void)status_send(child->status_fd, CHILD_FAILED, reason);
}

void
child_fini(struct child *child)
{
	loop_io_free(&child->signal_io);
	loop_io_free(&child->life_io);
	loop_free(child->loop);
	child->loop = NULL;
}

void
child_store_params(const struct child *child, struct store_params *params)
{
	const struct config_datastore *cfg = &child->cfg->datastore;

	*params = (struct store_params){
	    .url = cfg->url,
	    .state_dir = child->cfg->master.state_dir,
	    .password = cfg->password,
	    .connect_timeout_ms = cfg->connect_timeout_ms,
	    .timeout_ms = cfg->timeout_ms,
	    .write_lock = is_sqlite(cfg->url) ? child->sb->write_lock : NULL,
	};
}
