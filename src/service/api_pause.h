/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_PAUSE_H
#define CASSATA_SERVICE_API_PAUSE_H

#include "service/call.h"

/* POST /cassata/pause/app/{app}, DELETE of it, POST /cassata/resume/app/{app};
 * the same of a destination; GET /cassata/pauses. */
enum verdict api_pause_app(struct call *call);
enum verdict api_resume_app(struct call *call);
enum verdict api_pause_host(struct call *call);
enum verdict api_resume_host(struct call *call);
enum verdict api_pauses(struct call *call);

#endif
