/* SPDX-License-Identifier: ISC */
#include "store/registrations.h"

#include <limits.h>

#include "store/record.h"
#include "store/shard_text.h"

enum { REST };

/* clang-format off */
/* In one look: the time, and the shards that none of them holds, first. */
#define REGISTRATIONS(NOW)                                                     \
	{                                                                      \
		.head =                                                        \
		"SELECT 1, owner, CAST(pid AS SIGNED), started_ms, seen_ms,"   \
		" wall_ms, lease_ms, CAST(active AS SIGNED), host, node,"      \
		" (SELECT COUNT(*) FROM lease"                                 \
		" WHERE lease.owner = instance.owner) FROM instance"           \
		" UNION ALL SELECT 0, 0, 0, 0, " NOW ", 0, 0, 0, x'', x'',"    \
		" (SELECT COUNT(*) FROM lease"                                 \
		" WHERE owner NOT IN (SELECT owner FROM instance))"            \
		" ORDER BY 1, 9, 4, 2 LIMIT ?",                                \
		.columns = "iuiiiiiibbi"                                        \
	}
static const struct sql_text text[] = {
    [SQL_MYSQL] = REGISTRATIONS(NOW_MYSQL),
    [SQL_SQLITE] = REGISTRATIONS(NOW_SQLITE),
};
/* clang-format on */

/* Whatever a terminal would obey, others may have written it. */
static void
copy_printable(char *to, size_t size, struct slice from)
{
	size_t i;

	for (i = 0; i < from.len && i < size - 1; i++) {
		to[i] = from.p[i];
		if (to[i] < ' ' || to[i] > '~')
			to[i] = '?';
	}
	to[i] = '\0';
}

static enum store_status
check_ranges(
    const struct store_registration *row, int64_t n_shards, struct err *err)
{
	const struct {
		const char *what;
		int64_t value, max;
	} checks[] = {
	    {"pid", row->pid, INT_MAX},
	    {"started_ms", row->started_ms, STORE_TIME_MAX_MS},
	    {"seen_ms", row->seen_ms, STORE_TIME_MAX_MS},
	    {"wall_ms", row->wall_ms, STORE_TIME_MAX_MS},
	    {"lease_ms", row->lease_ms, STORE_TIME_MAX_MS},
	    {"number of shards", n_shards, EVENT_SHARDS},
	};
	enum store_status status = STORE_OK;

	for (size_t i = 0;
	     status == STORE_OK && i < sizeof(checks) / sizeof(checks[0]); i++)
		status = store_check_number(
		    checks[i].what, checks[i].value, checks[i].max, err);
	return status;
}

/* A row of the look, what it is of. */
static enum store_status
read_row(struct sql *sql, struct store_registration *row, int64_t *what,
    struct err *err)
{
	int64_t n_shards;
	enum store_status status;

	*row = (struct store_registration){0};
	*what = sql_read_i64(sql);
	row->owner = sql_read_u64(sql);
	row->pid = sql_read_i64(sql);
	row->started_ms = sql_read_i64(sql);
	row->seen_ms = sql_read_i64(sql);
	row->wall_ms = sql_read_i64(sql);
	row->lease_ms = sql_read_i64(sql);
	row->active = sql_read_i64(sql) != 0;
	copy_printable(row->host, sizeof(row->host), sql_read_bytes(sql));
	copy_printable(row->node, sizeof(row->node), sql_read_bytes(sql));
	n_shards = sql_read_i64(sql);
	status = check_ranges(row, n_shards, err);
	if (status == STORE_OK)
		row->n_shards = (unsigned)n_shards;
	return status;
}

enum store_status
read_registrations(struct sql *sql, struct store_registration *list, size_t max,
    size_t *n, unsigned *n_free, int64_t *now_ms, struct err *err)
{
	struct store_registration row;
	enum store_status status;
	int64_t what;

	*n = 0;
	*n_free = 0;
	*now_ms = 0;
	now_arg(sql);
	sql_i64(sql, (int64_t)max + 1);
	status = sql_select(sql, sql_pick(sql, text), 0, err);
	while (sql_next(sql, &status, err)) {
		status = read_row(sql, &row, &what, err);
		if (what == REST) {
			*n_free = row.n_shards;
			*now_ms = row.seen_ms;
		} else if (*n < max) {
			list[(*n)++] = row;
		}
	}
	return sql_done(sql, status, err);
}
