/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_BATCH_H
#define CASSATA_SERVICE_BATCH_H

#include "base/json_scan.h"
#include "service/call.h"

/*
 * Many events of one call: a stream of lines, or the elements of an array. They
 * go to the intake in groups, and are answered group by group in their order:
 * what the addition of each alone would have answered, with its status as
 * response-code. A bounded number of groups is under way; the next ones are not
 * read meanwhile.
 */

/*
 * Of the body that follows: the sink of the call's exchange takes it. False
 * when memory is short.
 */
bool batch_open_lines(struct call *call);

/*
 * Of the array, which json_scan accepted, in the body of the call: ANSWERED or
 * LATER.
 */
enum verdict batch_run_array(struct call *call, const struct json_value *array);

#endif
