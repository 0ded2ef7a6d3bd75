/* SPDX-License-Identifier: ISC */
#include "store/move_living.h"

#include <inttypes.h>
#include <poll.h>

#include "base/clock.h"

enum { LOOK_MS = 100 };

/* How many are registered, and a number that any sign of life changes. */
static enum store_status
read_signs(struct sql *sql, int64_t *n, uint64_t *signs, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT owner, until_ms FROM instance ORDER BY owner",
	    .columns = "ui"};
	enum { FACTOR = 1099511 };
	enum store_status status = sql_select(sql, &text, 0, err);

	*n = 0;
	*signs = 0;
	while (sql_next(sql, &status, err)) {
		uint64_t owner = sql_read_u64(sql);

		++*n;
		*signs = *signs * FACTOR + owner;
		*signs = *signs * FACTOR + (uint64_t)sql_read_i64(sql);
	}
	return sql_done(sql, status, err);
}

enum store_status
move_refuse_living(struct sql *sql, int64_t wait_ms, struct err *err)
{
	int64_t end_ms = clock_mono_ms() + wait_ms, n;
	uint64_t before, now;
	enum store_status status = read_signs(sql, &n, &before, err);

	now = before;
	while (status == STORE_OK && n > 0 && now == before &&
	       clock_mono_ms() < end_ms) {
		(void)poll(NULL, 0, LOOK_MS);
		status = read_signs(sql, &n, &now, err);
	}
	if (status != STORE_OK || n == 0 || now == before)
		return status;
	(void)err_set(err,
	    "%s: %" PRId64 " workers live there: run cassatactl freeze, or "
	    "stop, on each of its hosts",
	    sql->target, n);
	return STORE_BROKEN;
}
