/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_ADD_H
#define CASSATA_SERVICE_API_ADD_H

#include "service/call.h"

/* POST /cassata/add/: an event, scheduled. */
enum verdict api_add(struct call *call);

#endif
