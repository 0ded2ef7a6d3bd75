/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_CHILD_H
#define CASSATA_PROC_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "board/role.h"
#include "board/scoreboard.h"
#include "config/config.h"
#include "store/store.h"

/*
 * What every child does after fork, and how it learns that it should leave: by
 * SIGTERM from its master, or by the end of the life pipe when the master died.
 */
enum { CHILD_LISTENERS_MAX = 16 };

struct child {
	/* Given by the master before fork. */
	enum role role;
	int slot;		     /* in the scoreboard */
	unsigned number;	     /* 1, 2, … within the role, for people */
	bool alone;		     /* a worker for what is in quarantine */
	bool shares_port;	     /* metrics: another of ours may listen */
	const struct config *cfg;
	struct scoreboard *sb;
	int status_fd;		     /* its end of the status sockets */
	int life_fd;		     /* read end of the life pipe */
	int owner_fd;		     /* worker: it lives while that is open; -1 */
	const int *listen_fds;	     /* service: shared, listening, non-blocking */
	size_t n_listen;
	/* Worker: where services of this master listen. */
	struct sockaddr_storage own_listeners[CHILD_LISTENERS_MAX];
	size_t n_own_listeners;

	/* Made by child_init. */
	struct loop *loop;
	struct scoreboard_slot *score;
	bool draining;

	/* Private. */
	void (*drain)(void *arg);
	void *drain_arg;
	int signal_fd;
	struct loop_io *signal_io, *life_io, *log_io;
	struct loop_timer *title_timer;
	char name[32];
	bool title_is_fresh; /* it is not changed again before the timer */
	char title[80];
};

/* The entry of a role: returns the exit code of the process. */
typedef int (*child_main)(struct child *child);

/*
 * After fork, for a child without a loop: foreign descriptors closed, a session
 * of its own without a terminal, log name, score, then the rights of root and
 * all that the role does not need are gone. All signals stay blocked. 0 or -1.
 */
int child_isolate(struct child *child, struct err *err);

/*
 * child_isolate, then signals and loop. drain(arg) is called once, on the loop,
 * when the child should finish its work and stop the loop; after it the
 * listening sockets are closed. 0 or -1.
 */
int child_init(struct child *child, void (*drain)(void *arg), void *arg,
    struct err *err);

/* What a worker for the quarantine is called. */
#define CHILD_ALONE "quarantine"

/* Leaves as if the master had asked for it. */
void child_leave(struct child *child);

/* Tells the master that this child works. */
void child_ready(struct child *child);

/* The same of a preflight, as the last that it does; weakness: of the datastore,
 * empty for none. */
void child_passed(struct child *child, const char *weakness);

/* Tells the master why this child ends before it was ready; logs nothing. */
void child_failed(struct child *child, const char *reason);

/* Before each sleep: what ps shows behind the name of this child, changed once a
 * second at most. */
void child_show(struct child *child, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Frees what child_init made. */
void child_fini(struct child *child);

/*
 * The parameters of the datastore from the configuration, and the write lock
 * for a SQLite file; the strings are the configuration's.
 */
void child_store_params(const struct child *child, struct store_params *params);

#endif
