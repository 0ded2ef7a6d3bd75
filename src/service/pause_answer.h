/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_PAUSE_ANSWER_H
#define CASSATA_SERVICE_PAUSE_ANSWER_H

#include "base/json_write.h"
#include "store/store.h"

/* What is told of pauses. */

/* {"application-id":…,"since":…}: one of them, in an array or by itself. */
void pause_answer_write(struct json_writer *w, const struct store_pause *pause);

/* Its members, within an object. */
void pause_answer_members(
    struct json_writer *w, const struct store_pause *pause);

/* Those that last, in *pauses, which is the caller's to free; on the
 * datastore's thread. After a failure it is NULL. */
enum store_status pause_answer_read(
    struct store *store, struct store_pauses **pauses, struct err *err);

/* NULL for none; sets it to NULL. */
void pause_answer_free(struct store_pauses **pauses);

#endif
