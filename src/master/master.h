/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_MASTER_H
#define CASSATA_MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/slice.h"
#include "board/scoreboard.h"
#include "config/config.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/pidfile.h"

struct control;
struct handover;
struct upgrade;

struct master_options {
	const char *program;         /* the path of its file */
	struct config_source source; /* paths absolute: it is read again */
	bool foreground;
	int ready_fd;   /* of daemonize, or -1 */
	bool activated; /* the sockets are a service manager's */
	size_t n_inherited;
	int inherited[LISTENER_MAX];
	const struct handover *handover; /* of the master to follow, or NULL */
};

/*
 * The process that supervises the others. There is one change of generations at
 * a time: the start leads from none to the first one, a reload from the current
 * to the next.
 */
struct master {
	struct master_options options;
	int64_t started_ms; /* wall clock */
	struct pidfile pidfile;
	int life_fds[2]; /* children read its end when we are gone */
	struct scoreboard sb;
	struct loop *loop;
	struct loop_io *signal_io;
	struct loop_timer *timer;
	struct control *control;
	struct generations generations; /* the draining ones too */
	struct generation *current;     /* NULL until the first one is ready */
	struct generation *next;        /* being started, or NULL */
	struct upgrade *upgrade;        /* a successor, or NULL */
	struct loop_io *old_io; /* to the master that this one follows */
	uint32_t n_generations; /* ever */
	bool stopping;
	bool replaced;      /* stopping, since a successor has taken over */
	struct err failure; /* why the start failed, or empty */
};

/*
 * Runs the daemon with a configuration and tells whoever started it how that
 * went. Takes the content of cfg over once it has come far enough; cfg stays
 * fit for config_free. Returns the exit code of the process.
 */
int master_run(const struct master_options *options, struct config *cfg);

/*
 * Reads the configuration again and starts a generation with it. -1 with
 * refused when that is not possible now; else control_change_ended tells the
 * outcome, perhaps before this returns.
 */
int master_reload(struct master *m, struct err *refused);

/* Starts a successor; as master_reload. */
int master_upgrade(struct master *m, struct err *refused);

#define MASTER_REPLACED "another process has taken over: ask again"

/* The successor has taken over: this master leaves when its children have. */
void master_replaced(struct master *m, pid_t successor);

/* There will be no successor; reasons, one a line, are logged and answered. */
void master_upgrade_failed(struct master *m, struct slice reasons);

/* In a successor: holds pid file and control socket from now on. */
void master_take_over(struct master *m);

/* After the log was renamed: here, in all children and in a successor. */
void master_reopen_logs(struct master *m);

/* Asks all children to leave, and ends when they have. */
void master_stop(struct master *m);

/* The same, without a word to anybody. */
void master_leave(struct master *m);

#endif
