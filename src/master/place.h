/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_PLACE_H
#define CASSATA_MASTER_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"
#include "master/supervise.h"
#include "board/role.h"
#include "board/status.h"

/* A place for one child, and the process that fills it now. */
struct place {
	enum role role;
	bool alone; /* a worker for what is in quarantine: filled on demand */
	unsigned number; /* 1, 2, … within the role, for people */
	struct supervise history;
	/* Monotonic; when to fill it, INT64_MAX when that is not planned. */
	int64_t start_at_ms;

	pid_t pid;     /* 0: empty */
	int slot;      /* in the scoreboard */
	int status_fd; /* of its reports, or -1 */
	struct loop_io *status_io;
	uint32_t reported; /* the last state that it told */
	enum child_state state;
	bool was_ready;
	/* Monotonic; asked to leave by then, INT64_MAX: it was not asked. */
	int64_t leave_by_ms;
	bool killed;        /* by us; do it once */
	int64_t started_ms; /* monotonic */
	/* Why the child ends, if it or we said so; else empty. */
	struct err reason;
};

/* "service", "quarantine". Static text. */
const char *place_name(const struct place *place);

/* "died from SIGSEGV", or "exited with code 1". */
void place_describe_status(int wait_status, struct err *text);

/* "service 1 (pid 7) died from SIGSEGV: reason", after waitpid. */
void place_describe_end(
    const struct place *place, int wait_status, struct err *text);

/* No more reports of the child. */
void place_unwatch(struct place *place);

#endif
