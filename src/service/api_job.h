/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_JOB_H
#define CASSATA_SERVICE_API_JOB_H

#include "service/call.h"

/* Jobs: many events changed. Their documents are small, and few. */
enum verdict api_job_make(struct call *call);
enum verdict api_job_list(struct call *call);
enum verdict api_job_find(struct call *call);
enum verdict api_job_pause(struct call *call);
enum verdict api_job_resume(struct call *call);
enum verdict api_job_cancel(struct call *call);
enum verdict api_job_remove(struct call *call);

#endif
