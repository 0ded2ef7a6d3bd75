/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_LIST_H
#define CASSATA_SERVICE_API_LIST_H

#include "service/call.h"

/*
 * The events of {app}, a page at a time. Lists have a store thread of their
 * own, made by the first of them, so that no add waits for one; a page looks at
 * a bounded number of rows, and rests as long as it works.
 */
enum verdict api_list(struct call *call);

/* Ends all lists; their calls are not answered. */
void api_list_fini(struct service *service);

#endif
