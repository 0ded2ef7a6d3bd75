/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_SERVICE_H
#define CASSATA_SERVICE_SERVICE_H

#include "proc/child.h"

/* A service child: takes the API's requests. Returns the exit code. */
int service_main(struct child *child);

#endif
