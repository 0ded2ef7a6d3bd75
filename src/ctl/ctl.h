/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_H
#define CASSATA_CTL_CTL_H

#include "base/buf.h"
#include "config/config.h"

/*
 * cassatactl: the operator's end of a daemon. One program, several files:
 * cassatactl.c reads the command line, ctl_daemon.c starts, stops and asks the
 * daemon, ctl_event.c is a client of the HTTP API.
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
};

struct ctl {
	const char *program;	/* "cassatactl" or "cassata" */
	const char *config_file; /* -c, or NULL */
	const char *state_dir;	/* -d, or NULL */
	bool json;		/* --json */
	enum config_roles roles;
	struct config cfg;
	int argc;		/* words behind the command */
	char **argv;
};

/* "cassatactl: text" on standard error. Returns CTL_FAILED. */
int ctl_fail(const struct ctl *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* control_ask, of the daemon of this configuration. */
int ctl_ask(const struct ctl *ctl, const char *word, int64_t timeout_ms,
    struct buf *answer, bool *absent, struct err *err);

int ctl_start(struct ctl *ctl);
int ctl_stop(struct ctl *ctl);
int ctl_restart(struct ctl *ctl);
int ctl_reload(struct ctl *ctl);
int ctl_upgrade(struct ctl *ctl);
int ctl_reopen(struct ctl *ctl);
int ctl_status(struct ctl *ctl);
int ctl_check_config(struct ctl *ctl);
int ctl_init_db(struct ctl *ctl);
int ctl_event(struct ctl *ctl);

#endif
