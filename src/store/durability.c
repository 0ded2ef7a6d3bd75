/* SPDX-License-Identifier: ISC */
#include "store/durability.h"

#include <inttypes.h>
#include <stdio.h>

static void
describe(struct sql *sql, char *text, size_t size)
{
	int64_t flush = sql_read_i64(sql), log_bin = sql_read_i64(sql);
	int64_t sync = sql_read_i64(sql);
	struct slice format = sql_read_bytes(sql);

	if (log_bin != 0 && slice_eq(format, SLICE_LITERAL("STATEMENT")))
		(void)snprintf(text, size,
		    "with binlog_format = STATEMENT the server refuses writes "
		    "of READ COMMITTED; it must be ROW or MIXED");
	else if (flush != 1)
		(void)snprintf(text, size,
		    "with innodb_flush_log_at_trx_commit = %" PRId64
		    " the server may lose acknowledged events when it or its "
		    "machine goes down; 1 keeps them",
		    flush);
	else if (log_bin != 0 && sync != 1)
		(void)snprintf(text, size,
		    "with sync_binlog = %" PRId64
		    " the server may lose acknowledged events when its machine "
		    "goes down; 1 keeps them",
		    sync);
}

enum store_status
durability_read(struct sql *sql, char *text, size_t size, struct err *err)
{
	static const struct sql_text settings = {
	    .head = "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit,"
		    " @@GLOBAL.log_bin, @@GLOBAL.sync_binlog,"
		    " @@SESSION.binlog_format",
	    .columns = "iiib"};
	enum store_status status;

	text[0] = '\0';
	if (sql->driver->kind == SQL_SQLITE)
		return STORE_OK;
	status = sql_select(sql, &settings, 0, err);
	while (sql_next(sql, &status, err))
		describe(sql, text, size);
	return status;
}
