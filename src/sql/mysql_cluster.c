/* SPDX-License-Identifier: ISC */
#include "sql/mysql_cluster.h"

/* Each server reads its part. An unknown variable is an answer, too: MariaDB
 * can be built without Galera, and group replication is a plugin. */
static const struct sql_text ask = {
    .head = "SELECT /*M!100500 @@GLOBAL.wsrep_on AND"
	    " @@GLOBAL.wsrep_cluster_address <> '',"
	    " @@GLOBAL.wsrep_max_ws_size */"
	    " /*!50717 2 * (@@GLOBAL.group_replication_group_name <> ''),"
	    " @@GLOBAL.group_replication_transaction_size_limit */",
    .columns = "ii",
};

enum store_status
mysql_cluster_ask(struct sql *sql, struct err *err)
{
	int64_t kind = SQL_NO_CLUSTER, bytes = 0;
	enum store_status status = sql_select(sql, &ask, 0, err);

	sql->cluster = SQL_NO_CLUSTER;
	sql->transaction_max = SIZE_MAX;
	if (status == STORE_BROKEN)
		return STORE_OK;
	while (sql_next(sql, &status, err)) {
		kind = sql_read_i64(sql);
		bytes = sql_read_i64(sql);
	}
	if (status != STORE_OK)
		return status;
	if (kind < SQL_NO_CLUSTER || kind > SQL_GROUP_REPLICATION || bytes < 0)
		return sql_nonsense(sql, "of which cluster it is", err);
	sql->cluster = (enum sql_cluster)kind;
	/* Of a group 0 is no limit. */
	if (sql->cluster != SQL_NO_CLUSTER && bytes > 0)
		sql->transaction_max = (size_t)bytes;
	return STORE_OK;
}

static enum store_status
wait_in_galera(struct sql *sql, struct err *err)
{
	static const struct sql_text look = {
	    .head = "SET STATEMENT wsrep_sync_wait = 1 FOR SELECT 1",
	    .columns = "i"};
	int64_t one;

	return sql_value(sql, &look, &one, err);
}

/* No hint sets this variable for one statement. */
static enum store_status
wait_in_group(struct sql *sql, struct err *err)
{
	static const struct sql_text look = {
	    .head = "SELECT 1", .columns = "i"};
	int64_t one;
	enum store_status status = sql->driver->run(
	    sql, "SET SESSION group_replication_consistency = 'BEFORE'", err);

	if (status == STORE_OK)
		status = sql_value(sql, &look, &one, err);
	if (status != STORE_OK)
		return status;
	return sql->driver->run(
	    sql, "SET SESSION group_replication_consistency = DEFAULT", err);
}

enum store_status
mysql_cluster_catch_up(struct sql *sql, struct err *err)
{
	return sql->cluster == SQL_GALERA ? wait_in_galera(sql, err)
					  : wait_in_group(sql, err);
}
