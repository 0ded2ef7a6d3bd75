/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_H
#define CASSATA_CTL_CTL_H

#include <stdbool.h>

#include "config/config_load.h"

/*
 * cassatactl: the operator's end of a daemon. One program, several files:
 * cassatactl.c reads the command line, ctl_find.c finds the daemon and asks it,
 * ctl_daemon.c starts and stops it, ctl_freeze.c freezes it, ctl_status.c
 * prints what it says of itself, ctl_cluster.c what the datastore says of all
 * hosts. Clients of the HTTP API, by ctl_http.c, are ctl_event.c, of many
 * events ctl_list.c, ctl_job.c and ctl_batch.c, ctl_schedule.c, ctl_pause.c and
 * ctl_clock.c; their options they read by ctl_options.c, several ids they ask
 * about by ctl_each.c, and what they get they read by ctl_answer.c and print by
 * ctl_print.c.
 */

/* Exit codes: those of LSB init scripts. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NOT_RUNNING = 7,
	/* of status */
	CTL_STATUS_DEAD = 1, /* with a pid file left behind */
	CTL_STATUS_STOPPED = 3,
	CTL_STATUS_UNKNOWN = 4,
	CTL_STATUS_FAILING = 150, /* it runs, but its datastore does not */
	CTL_STATUS_FROZEN = 151,  /* it runs, and refuses all changes */
};

struct ctl {
	const char *program;     /* "cassatactl" or "cassata" */
	const char *config_file; /* -c, or NULL */
	const char *state_dir;   /* -d, or NULL */
	const char *server;      /* -S, http://host:port, or NULL */
	bool json;               /* --json */
	bool version;            /* --version */
	const char *command;     /* its word */
	int64_t began_ms;        /* monotonic */
	bool all;                /* --all */
	bool watch;              /* --watch */
	int64_t timeout_ms;      /* --timeout, or 0 */
	const char *test_clock;  /* --test-clock: where it begins, "0s"; NULL */
	enum config_roles roles;
	struct config cfg;
	bool is_lost; /* cfg has no paths of a daemon */
	int argc;     /* words behind the command */
	char **argv;
};

/* "cassatactl: text" on standard error, with --json {"error":"text"}. Returns
 * CTL_FAILED. */
int ctl_fail(const struct ctl *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The lines of a text, of what a daemon said: as they are, with --json an
 * object each, with that name. */
void ctl_pass_on(const struct ctl *ctl, const char *name, struct slice text);

/* The row of a table with that word, the first member of each of n structs of
 * so many bytes; NULL for none. */
const void *ctl_find_word(
    const char *word, const void *table, size_t n, size_t size);

/* "unknown command: WORD (did you mean …?)" */
void ctl_unknown_word(const struct ctl *ctl, const char *word,
    const void *table, size_t n, size_t size);

/* The row of the next word, which is taken; NULL for none, or one that is
 * unknown, which was said. */
const void *ctl_take_verb(
    struct ctl *ctl, const void *table, size_t n, size_t size);

/* Whether the first words, a verb aside, ask how it is used. */
bool ctl_wants_help(const struct ctl *ctl);

/* Print it: CTL_OK of what was asked for, CTL_USAGE on standard error. */
int ctl_show_usage(const char *usage);
int ctl_refuse_usage(const char *usage);

#endif
