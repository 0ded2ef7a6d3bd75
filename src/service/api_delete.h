/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_DELETE_H
#define CASSATA_SERVICE_API_DELETE_H

#include "service/call.h"

/* GET or DELETE of an event that is not under way: {app} and {id} are the
 * parameters. */
enum verdict api_delete(struct call *call);

#endif
