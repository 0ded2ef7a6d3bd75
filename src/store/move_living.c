/* SPDX-License-Identifier: ISC */
#include "store/move_living.h"

#include <inttypes.h>
#include <poll.h>

#include "base/clock.h"

enum {
	LOOK_MS = 100,
	LEASE_MAX_MS = 3600000, /* of any configuration */
};

struct signs {
	int64_t n;          /* registered */
	uint64_t sum;       /* any sign of life changes it */
	int64_t longest_ms; /* lease: so long there may be none */
};

static enum store_status
read_signs(struct sql *sql, struct signs *signs, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT owner, until_ms, lease_ms FROM instance"
		    " ORDER BY owner",
	    .columns = "uii"};
	enum { FACTOR = 1099511 };
	enum store_status status = sql_select(sql, &text, 0, err);

	*signs = (struct signs){0};
	while (sql_next(sql, &status, err)) {
		uint64_t owner = sql_read_u64(sql);
		int64_t until_ms = sql_read_i64(sql);
		int64_t lease_ms = sql_read_i64(sql);

		signs->n++;
		signs->sum = signs->sum * FACTOR + owner;
		signs->sum = signs->sum * FACTOR + (uint64_t)until_ms;
		if (lease_ms > signs->longest_ms)
			signs->longest_ms = lease_ms;
	}
	if (signs->longest_ms > LEASE_MAX_MS)
		signs->longest_ms = LEASE_MAX_MS;
	return sql_done(sql, status, err);
}

enum store_status
move_refuse_living(
    struct sql *sql, move_wait_cb *on_wait, void *arg, struct err *err)
{
	struct signs before, now;
	enum store_status status = read_signs(sql, &before, err);
	int64_t end_ms = clock_mono_ms() + before.longest_ms;

	now = before;
	if (status == STORE_OK && now.n > 0)
		on_wait(arg, sql->target, now.n, now.longest_ms);
	while (status == STORE_OK && now.n > 0 && now.sum == before.sum &&
	       clock_mono_ms() < end_ms) {
		(void)poll(NULL, 0, LOOK_MS);
		status = read_signs(sql, &now, err);
	}
	if (status != STORE_OK || now.n == 0 || now.sum == before.sum)
		return status;
	(void)err_set(err,
	    "%s: workers that live there: %" PRId64 "; run cassatactl freeze, "
	    "or stop, on each of its hosts",
	    sql->target, now.n);
	return STORE_BROKEN;
}
