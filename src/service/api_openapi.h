/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_OPENAPI_H
#define CASSATA_SERVICE_API_OPENAPI_H

#include "service/call.h"

/* The description of the API itself; 304 for who has it already. */
enum verdict api_openapi(struct call *call);

#endif
