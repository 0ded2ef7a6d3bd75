/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_JOB_STEP_H
#define CASSATA_STORE_JOB_STEP_H

#include "sql/sql.h"
#include "store/job_types.h"

/* See store_job_step. */
enum store_status job_step(
    struct sql *sql, struct job_step *step, struct err *err);

#endif
