/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_BATCH_ATOMIC_H
#define CASSATA_SERVICE_BATCH_ATOMIC_H

#include "base/json_scan.h"
#include "service/call.h"

/*
 * Adds all events of the array, which json_scan accepted, in the body of the
 * call, or none: in a transaction of their own.
 */
enum verdict batch_atomic_run(
    struct call *call, const struct json_value *array);

#endif
