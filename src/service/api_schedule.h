/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_SCHEDULE_H
#define CASSATA_SERVICE_API_SCHEDULE_H

#include "service/call.h"

/* /cassata/schedules/ */
enum verdict api_schedule_put(struct call *call);
enum verdict api_schedule_get(struct call *call);
enum verdict api_schedule_delete(struct call *call);
enum verdict api_schedule_pause(struct call *call);
enum verdict api_schedule_resume(struct call *call);
enum verdict api_schedule_run(struct call *call);
enum verdict api_schedule_list(struct call *call);

#endif
