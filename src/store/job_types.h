/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_JOB_TYPES_H
#define CASSATA_STORE_JOB_TYPES_H

#include "base/uuid.h"
#include "event/job_spec.h"
#include "store/store_types.h"

/* Jobs: many events changed, a few at a time. See doc/design.md. */

enum {
	JOB_STEP_MAX = 50,  /* events that a step changes */
	JOBS_DUE_MAX = 64,  /* jobs that are worked on at a time */
	JOB_KEPT_MAX = 100, /* ended ones of an application */
};

enum job_state {
	JOB_COUNTING, /* how many events it is for; nothing is changed yet */
	JOB_RUNNING,
	JOB_DONE,
	JOB_CANCELLED,
	JOB_FAILED,
	JOB_STATES,
};

struct job_id {
	char text[UUID_TEXT_BYTES];
};

/* A job as it was read; bytes are borrowed until the next one is. */
struct job_record {
	struct job_id id;
	int64_t number; /* a higher one than that of all before it */
	struct slice app;
	struct job_spec spec;
	enum job_state state;
	bool paused;
	/* When it was made; its first step, by the database's clock, or 0; the
	 * end of its count, or 0; its end, or 0. */
	int64_t created_ms, since_ms, counted_ms, ended_ms;
	int64_t steps;
	int64_t matched, done, skipped; /* events */
	struct slice error;             /* of JOB_FAILED */
	bool is_damaged;                /* there is no spec */
};

/* Takes a job that was read; false: no more of them. */
typedef bool (*job_taker)(void *arg, const struct job_record *record);

/* Which jobs of an application. */
struct jobs_query {
	struct slice app;
	const struct job_id *id; /* that one; NULL: all, the latest first */
	int64_t before;          /* of all: with a lower number */
	size_t max;              /* of all */
	job_taker take;
	void *arg;
};

struct job_new {
	struct job_id id;
	struct slice app;
	const struct job_spec *spec;
	int64_t now_ms;
	unsigned max_active; /* of the application */
};

enum job_order {
	JOB_PAUSE,
	JOB_RESUME,
	JOB_CANCEL,
	JOB_REMOVE, /* cancels it; one that has ended goes */
};

enum job_outcome {
	JOB_MADE,
	JOB_UNKNOWN,
	JOB_TOO_MANY, /* max_active of the application have not ended */
	JOB_OVER,     /* it has ended */
};

/* An event that a job made wait until then. */
struct job_news {
	unsigned shard;
	int64_t due_ms;
};

/* What a count has come to since the job's row was written. */
struct job_tally {
	bool held;
	int64_t steps; /* of the row that it goes on from */
	int64_t matched;
	struct list_place place;
};

struct job_step {
	struct job_id id;
	int64_t now_ms; /* the datastore's clock */
	size_t max;     /* events to change, 1 to JOB_STEP_MAX */
	size_t n_look; /* rows to look at for them, about; of a count its own */
	unsigned rests, count_rests; /* of its look, or a count's: see pace.h */
	int64_t look_ms; /* after so long a count begins no other look */
	bool writes;     /* a count writes the row, and not at its end alone */
	struct job_tally tally; /* of the step before; then of this one */

	/* Written by store_job_step. */
	bool idle;             /* there is nothing more to do for now */
	bool ended;            /* this was its last step */
	bool counted;          /* and changed nothing */
	size_t n_looked;       /* rows */
	int64_t look_took_ms;  /* with its rests */
	size_t n_listed;       /* of them, events that it is for */
	size_t n_done;         /* of these, changed */
	struct job_record job; /* without bytes; what it is now */
	size_t n_news;
	struct job_news news[JOB_STEP_MAX];
};

#endif
