/* SPDX-License-Identifier: ISC */
#include "store/insert.h"

#include "store/record.h"

#define INSERT_HEAD                                                            \
	"INSERT INTO event (k, fingerprint, owner, " EVENT_NAMES ") VALUES "
#define INSERT_ITEM "(?, ?, 0, " EVENT_PLACES ")"

/* A row that is there stays, whichever of its keys it is. */
static const struct sql_text insert[] = {
    [SQL_MYSQL] = {.head = INSERT_HEAD,
	.item = INSERT_ITEM,
	.sep = ", ",
	.tail = " ON DUPLICATE KEY UPDATE id = id"},
    [SQL_SQLITE] = {.head = INSERT_HEAD,
	.item = INSERT_ITEM,
	.sep = ", ",
	.tail = " ON CONFLICT DO NOTHING"},
};

enum store_status
insert_events(struct sql *sql, struct store_add *const *adds, size_t n,
    uint64_t *affected, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct store_add *add = adds[i];
		const struct store_row row = {
		    .id = add->row_id,
		    .shard = add->shard,
		    .status = ROW_WAITING,
		    .due_ms = event_due_ms(add->event),
		    .created_ms = add->created_ms,
		    .event = *add->event,
		};

		sql_bytes(sql, store_key_slice(add->key.bytes));
		sql_bytes(sql, store_key_slice(add->fingerprint));
		store_row_bind(sql, &row);
	}
	return sql_exec(sql, sql_pick(sql, insert), (unsigned)n, affected, err);
}
