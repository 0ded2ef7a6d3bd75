/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_JOB_ROW_H
#define CASSATA_STORE_JOB_ROW_H

#include "event/job_json.h"
#include "sql/sql.h"
#include "store/job_types.h"

/* A row of the table job; its record borrows from it. */
struct job_row {
	struct job_record record;
	int64_t id;
	int64_t before_id;       /* events with a higher id came later */
	struct list_place place; /* behind the last event that was looked at */
	char app[EVENT_APP_MAX], spec[JOB_JSON_MAX], error[STORE_ERROR_MAX];
};

#define JOB_ROW_NAMES                                                          \
	"id, uuid, app, spec, state, paused, created_ms, since_ms,"            \
	" counted_ms, ended_ms, before_id, due_ms, row_id, steps, matched,"    \
	" done, skipped, error"
#define JOB_ROW_LETTERS "ibbbiiiiiiiiiiiiib"

/* Reads the present row. One that cannot be read is damaged: what of it is none
 * is 0 or empty. */
enum store_status job_row_read(
    struct sql *sql, struct job_row *row, struct err *err);

/* The job of that id, locked or not; *there: whether there is one. */
enum store_status job_row_find(struct sql *sql, const struct job_id *id,
    bool lock, struct job_row *row, bool *there, struct err *err);

/* Its text; borrowed from id. */
struct slice job_id_slice(const struct job_id *id);

#endif
