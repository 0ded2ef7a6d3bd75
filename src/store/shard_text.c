/* SPDX-License-Identifier: ISC */
#include "store/shard_text.h"

#include "base/check.h"
#include "base/clock.h"

unsigned
shard_args(struct sql *sql, uint64_t shards)
{
	size_t n = 0;

	check(shards != 0);
	if (sql->driver->kind == SQL_SQLITE) {
		sql_u64(sql, shards);
		return 1;
	}
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++)
		if ((shards >> shard & 1) != 0) {
			sql_i64(sql, shard);
			n++;
		}
	return sql_pad(sql, n);
}

void
now_arg(struct sql *sql)
{
	if (sql->driver->kind == SQL_SQLITE)
		sql_i64(sql, clock_wall_ms());
}

unsigned
id_args(struct sql *sql, const int64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sql_i64(sql, ids[i]);
	return sql_pad(sql, n);
}
