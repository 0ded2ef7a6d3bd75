/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_CLOCK_H
#define CASSATA_SERVICE_API_CLOCK_H

#include "service/call.h"

/* GET and POST /cassata/admin/clock, of a daemon with a test clock. */
enum verdict api_clock(struct call *call);
enum verdict api_clock_advance(struct call *call);

#endif
