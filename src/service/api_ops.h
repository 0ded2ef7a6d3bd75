/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_OPS_H
#define CASSATA_SERVICE_API_OPS_H

#include "service/call.h"

/* What operators ask for. */
enum verdict api_livez(struct call *call);
enum verdict api_readyz(struct call *call);
enum verdict api_metrics(struct call *call);

#endif
