/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_ACK_H
#define CASSATA_SERVICE_API_ACK_H

#include "service/call.h"

/* A receiver ends an attempt that it has answered with 202. */
enum verdict api_ack(struct call *call);
enum verdict api_nack(struct call *call);

#endif
