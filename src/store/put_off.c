/* SPDX-License-Identifier: ISC */
#include "store/put_off.h"

#include "store/columns.h"
#include "store/label.h"
#include "store/shard_text.h"

enum {
	PUT_OFF_MS = 60000, /* and by lot up to twice that */
	LATE_MAX_MS = 3600000,
};

static void
put_off_args(struct sql *sql, const struct claim_request *request)
{
	int64_t now_ms = request->now_ms;

	sql_i64(sql,
	    now_ms + PUT_OFF_MS + (request->alone ? STORE_QUARANTINE_MS : 0));
	sql_i64(sql, PUT_OFF_MS);
	sql_i64(sql, now_ms);
	sql_i64(sql, STORE_TIME_MAX_MS);
	sql_i64(sql, now_ms);
	sql_i64(sql, now_ms);
	sql_i64(sql, now_ms);
	sql_i64(sql, now_ms - LATE_MAX_MS);
	sql_i64(sql, now_ms);
	sql_i64(sql, LATE_MAX_MS);
}

enum store_status
put_off_damaged(struct sql *sql, const struct claim_request *request,
    const int64_t *ids, size_t n, struct claim_reply *reply, struct err *err)
{
	/* expiry_ms may be the damage: it is reckoned with in its range only.
	 */
	static const struct sql_text text = {
	    .head = "UPDATE event SET due_ms = ? + id % ? + CASE"
		    " WHEN expiry_ms > ? AND expiry_ms <= ? THEN expiry_ms - ?"
		    " WHEN expiry_ms > ? THEN 0"
		    " WHEN expiry_ms <= ? AND expiry_ms > ? THEN ? - expiry_ms"
		    " ELSE ? END WHERE status = 0 AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	enum store_status status;

	if (n == 0)
		return STORE_OK;
	put_off_args(sql, request);
	status = sql_exec(sql, &text, id_args(sql, ids, n), NULL, err);
	if (request->now_ms + PUT_OFF_MS < reply->next_due_ms)
		reply->next_due_ms = request->now_ms + PUT_OFF_MS;
	return status == STORE_OK ? label_follow(sql, ids, n, err) : status;
}
