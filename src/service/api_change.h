/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_CHANGE_H
#define CASSATA_SERVICE_API_CHANGE_H

#include "service/call.h"

/* Changes of one event: {app} and {id} are the parameters. */
enum verdict api_run(struct call *call);   /* one that waits is due now */
enum verdict api_retry(struct call *call); /* one that ended is, again */
enum verdict api_patch(struct call *call); /* one that waits, by its body */

#endif
