/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_WHY_H
#define CASSATA_SERVICE_API_WHY_H

#include "service/call.h"

/* GET /cassata/why/{app}/{id}: what an event waits for. */
enum verdict api_why(struct call *call);

#endif
