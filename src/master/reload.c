/* SPDX-License-Identifier: ISC */
#include "master/reload.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "proc/sandbox.h"
#include "proc/state_dir.h"

enum { LISTEN_RETRY_MS = 1000 };

/* ---- the log ---- */

static const char *
log_destination(const struct master *m, const struct config_log *cfg)
{
	if (m->options.foreground && strcmp(cfg->destination, "syslog") != 0)
		return "stderr";
	return cfg->destination;
}

static int
use_log(const struct master *m, const struct config_log *cfg, struct err *err)
{
	if (!m->options.foreground && strcmp(cfg->destination, "stderr") == 0)
		return err_set(
		    err, "log.destination: stderr needs --foreground");
	return log_open(log_destination(m, cfg), cfg->level,
	    (size_t)cfg->max_line_bytes, err);
}

static bool
is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The keys that this process was built on, and those that confine its children:
 * a reload gives nobody rights. */
static int
check_fixed_keys(const struct config_master *old,
    const struct config_master *new, struct err *err)
{
	const struct {
		const char *name;
		bool same;
	} keys[] = {
	    {"stateDirectory", is_same(old->state_dir, new->state_dir)},
	    {"pidFile", is_same(old->pid_file, new->pid_file)},
	    {"controlSocket",
		is_same(old->control_socket, new->control_socket)},
	    {"user", is_same(old->user, new->user) && old->uid == new->uid},
	    {"group", is_same(old->group, new->group) && old->gid == new->gid},
	    {"sandbox", old->sandbox == new->sandbox},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!keys[i].same)
			return err_set(err,
			    "master.%s: a change takes effect at a restart "
			    "only",
			    keys[i].name);
	}
	return 0;
}

static bool
keeps_listener(const struct master *m, const struct config_service *cfg)
{
	const struct config_service *old;

	if (m->current == NULL)
		return false;
	old = &m->current->cfg.service;
	return m->options.activated ||
	       (old->port == cfg->port &&
		   strcmp(old->listen, cfg->listen) == 0);
}

/* Of the first generation: new sockets, or those that were inherited. */
static struct listener *
first_listener(
    struct master *m, const struct config_service *cfg, struct err *err)
{
	struct listener *old, *new;

	old = listener_adopt(m->options.inherited, m->options.n_inherited, err);
	if (old == NULL || m->options.activated)
		return old;
	new = listener_open(cfg->listen, cfg->port, LISTEN_RETRY_MS, old, err);
	listener_free(&old);
	return new;
}

static int
choose_listener(struct master *m, struct generation *gen, struct err *err)
{
	const struct config_service *cfg = &gen->cfg.service;

	if (m->options.source.roles == CONFIG_WORKER_ONLY)
		return 0;
	if (keeps_listener(m, cfg))
		gen->listener = m->current->listener;
	else if (m->current == NULL)
		gen->listener = first_listener(m, cfg, err);
	else
		gen->listener =
		    listener_open(cfg->listen, cfg->port, 0, NULL, err);
	return gen->listener == NULL ? -1 : 0;
}

/* Whoever reaches it moves the time of all events. */
static int
check_test_clock(
    const struct master *m, const struct listener *listener, struct err *err)
{
	if (!m->options.test_clock)
		return 0;
	if (m->options.source.roles != CONFIG_ALL)
		return err_set(err,
		    "--test-clock: services and workers must be in one daemon");
	if (!listener_is_local(listener))
		return err_set(err,
		    "--test-clock: service.listen must be a loopback address, "
		    "as 127.0.0.1 is");
	return 0;
}

/* Takes back what the start of a generation changed in the master. */
static void
undo_begin(struct master *m, struct generation *gen)
{
	struct err err;

	if (m->current == NULL || m->current->listener != gen->listener)
		listener_free(&gen->listener);
	gen->listener = NULL;
	if (m->current != NULL && use_log(m, &m->current->cfg.log, &err) == -1)
		log_errorx("%s", err.text);
}

int
reload_begin(struct master *m, struct config *cfg, struct err *err)
{
	struct generation *gen =
	    generation_create(++m->n_generations, cfg, m->options.source.roles);

	if (gen == NULL)
		return err_set(err, "out of memory");
	if ((m->current != NULL &&
		(check_fixed_keys(
		     &m->current->cfg.master, &gen->cfg.master, err) == -1 ||
		    /* What its children may have written says nothing. */
		    state_dir_guard(&m->current->cfg, gen->cfg.file, err) ==
			-1)) ||
	    state_dir_prepare(&gen->cfg, err) == -1 ||
	    state_dir_guard(&gen->cfg, NULL, err) == -1 ||
	    use_log(m, &gen->cfg.log, err) == -1 ||
	    choose_listener(m, gen, err) == -1 ||
	    check_test_clock(m, gen->listener, err) == -1) {
		undo_begin(m, gen);
		generation_free(gen);
		return -1;
	}
	if (m->frozen)
		generation_freeze(gen);
	check(m->next == NULL);
	TAILQ_INSERT_TAIL(&m->generations, gen, entry);
	m->next = gen;
	gen->preflight.start_at_ms = 0;
	return 0;
}

/* The defaults in its place would be another daemon with other events. */
static bool
has_lost_file(const struct master *m, const struct config *cfg)
{
	return m->current->cfg.file != NULL && cfg->file == NULL;
}

void
reload_again(struct master *m, struct finding *finding)
{
	struct config cfg;
	struct config_errors errors = {0};
	struct err err;

	if (config_load(&m->options.source, &cfg, &errors) == -1) {
		for (size_t i = 0; i < errors.len; i++)
			finding_fail(
			    finding, CAUSE_FAILED, errors.list[i].text);
		finding->cause = CAUSE_FAILED;
		config_free(&cfg);
	} else if (has_lost_file(m, &cfg)) {
		config_free(&cfg);
		(void)err_set(
		    &err, "%s is no longer there", m->current->cfg.file);
		finding_fail(finding, CAUSE_FAILED, err.text);
	} else if (reload_begin(m, &cfg, &err) == -1) {
		finding_fail(finding, CAUSE_FAILED, err.text);
	}
	config_errors_free(&errors);
}

void
reload_abandon(struct master *m)
{
	struct generation *gen = m->next;

	if (gen == NULL)
		return;
	m->next = NULL;
	undo_begin(m, gen);
	generation_drain(gen);
}

static void
log_listening(const struct listener *listener)
{
	char name[256];

	for (size_t i = 0; listener != NULL && i < listener->n; i++) {
		if (listener_name(listener->fds[i], name, sizeof(name)) == 0)
			log_info("listening on %s", name);
	}
}

static void
warn_of_test_clock(const struct master *m)
{
	if (m->options.test_clock)
		log_warnx("a test clock runs: whoever reaches this daemon "
			  "moves the time of its events");
}

/* Once per start, not once per child. */
static void
warn_of_kernel(const struct config_master *cfg)
{
	struct err lacks;

	if (!cfg->sandbox)
		log_warnx("master.sandbox is false: children can do all that "
			  "their user can");
	else if (sandbox_lacks(&lacks))
		log_warnx("%s", lacks.text);
}

static void
warn_of_rights(const struct config_master *cfg)
{
	if (geteuid() == 0 && strcmp(cfg->user, "nobody") == 0)
		log_info("children run as nobody, which may be the user of "
			 "others, too: useradd --system cassata makes them one "
			 "of their own");
	if (cfg->user != NULL && geteuid() != 0 && geteuid() != cfg->uid)
		log_warnx("master.user: only root can become %s", cfg->user);
}

void
reload_commit(struct master *m)
{
	struct generation *old = m->current;

	check(m->next != NULL && !m->next->draining);
	m->current = m->next;
	m->next = NULL;
	if (old == NULL || old->listener != m->current->listener)
		log_listening(m->current->listener);
	if (old == NULL) {
		warn_of_rights(&m->current->cfg.master);
		warn_of_kernel(&m->current->cfg.master);
		warn_of_test_clock(m);
		return;
	}
	/* The old children close their own copies when they drain. */
	if (old->listener != m->current->listener)
		listener_free(&old->listener);
	old->listener = NULL;
	generation_drain(old);
}
