/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_BATCH_H
#define CASSATA_SERVICE_API_BATCH_H

#include "service/call.h"

/* POST /cassata/add-batch/: an array of events. */
enum verdict api_batch(struct call *call);

/* A stream of them, whose head has come: whether it is taken as it comes. If
 * not, api_batch says why when it is there. */
bool api_batch_stream(struct call *call);

#endif
