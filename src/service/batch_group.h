/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_BATCH_GROUP_H
#define CASSATA_SERVICE_BATCH_GROUP_H

#include "service/incoming.h"

/* Events of a batch that are committed and answered together. */

enum {
	/* Full with either of them. One stream is to leave the intake and the
	 * loop to others every few milliseconds. */
	GROUP_EVENTS = 500,
	GROUP_BYTES = 256 * 1024,
};

struct group_entry {
	struct incoming incoming;
	struct group *group; /* that it is in */
	size_t at, len;      /* of its text */
	size_t kept_at;      /* of what is its in kept: headers, options */
	bool keeps_headers;  /* else they are static text */
	int status; /* of a refused one, or its kind; 0: the datastore is asked
		     */
	size_t refusal_at, refusal_len; /* its answer, in refusals */
	bool failed;                    /* the datastore did not do its part */
};

struct group {
	struct buf text;         /* of lines; of an array it is the request's */
	char *base;              /* what `at` counts from, once it is read */
	struct buf entries;      /* struct group_entry: stay from read on */
	struct buf kept;         /* of the events, what was in the scratch */
	struct buf refusals;     /* JSON objects */
	size_t n, max;           /* entries */
	size_t n_bytes;          /* of text */
	bool bounded;            /* by GROUP_BYTES, too */
	size_t n_left;           /* that the datastore has not answered */
	enum store_status worst; /* of those that it has */
};

/*
 * Their memory counts in the budget. line_max: of the text of a line; 0: an
 * array's, bounded by max alone.
 */
void group_init(struct group *group, struct buf_budget *budget, size_t line_max,
    size_t max);
void group_fini(struct group *group);

/* Forgets the events; large buffers are given back, or all where memory is not
 * ample. */
void group_reset(struct group *group);

/* Whether nothing may be added. */
bool group_is_full(const struct group *group);

/* It may move when another one is added. */
struct group_entry *group_entry(const struct group *group, size_t i);

/* A line, whose text is copied from two parts; or -1 when memory is short. */
int group_add_line(
    struct group *group, struct slice first, struct slice second);

/* One whose text is at an offset of what is given to group_read. */
int group_add_part(struct group *group, size_t at, size_t len);

/* One that is refused. */
int group_add_refused(struct group *group, int status, const char *detail);

/*
 * Reads the events: each is refused, or prepared for the datastore. scratch has
 * room for one. base: of parts; NULL for lines.
 */
void group_read(struct group *group, char *base, struct buf *scratch,
    const struct event_context *context);

/* Refuses those that were not. */
void group_refuse(struct group *group, int status, const char *detail);

/* The answer of an entry when the datastore has done its part. */
void group_write_answer(const struct group *group,
    const struct group_entry *entry, struct json_writer *w);

#endif
