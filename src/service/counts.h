/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_COUNTS_H
#define CASSATA_SERVICE_COUNTS_H

struct service;

/* What the HTTP server counts, into the scoreboard, where the metrics are. */
void counts_publish(struct service *service);

#endif
