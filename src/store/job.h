/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_JOB_H
#define CASSATA_STORE_JOB_H

#include "sql/sql.h"
#include "store/job_types.h"

/* See store_job_make, store_job_order and store_jobs. */
enum store_status job_make(struct sql *sql, const struct job_new *new,
    enum job_outcome *outcome, struct err *err);
enum store_status job_order(struct sql *sql, struct slice app,
    const struct job_id *id, enum job_order order, int64_t now_ms,
    job_taker take, void *arg, enum job_outcome *outcome, struct err *err);
enum store_status job_list(
    struct sql *sql, const struct jobs_query *query, struct err *err);

/* See store_jobs_due. */
enum store_status jobs_due(struct sql *sql, int64_t forget_ms,
    struct job_id *list, size_t *n, struct err *err);

#endif
