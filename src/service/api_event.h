/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_EVENT_H
#define CASSATA_SERVICE_API_EVENT_H

#include "service/call.h"

/* What is known of an event: {app} and {id} are the parameters. */
enum verdict api_status(struct call *call);
enum verdict api_event(struct call *call); /* all, with its attempts */

#endif
