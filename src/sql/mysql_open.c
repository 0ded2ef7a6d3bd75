/* SPDX-License-Identifier: ISC */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sql/mysql_open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <mysqld_error.h>

#include "base/clock.h"
#include "sql/mysql_cluster.h"

enum {
	IDLE_MIN_S = 60,
	/* Of a packet, either way: a row with the largest body. */
	PACKET_MAX_BYTES = SQL_BYTES_MAX + 1024 * 1024,
};

static void
set_client_options(struct mysql_conn *c)
{
	/* Longer than the server waits for a lock, to hear its answer. */
	unsigned io_timeout_s = c->timeout_s + 1;
	unsigned no_local_files = 0;
	unsigned long max_bytes = PACKET_MAX_BYTES;
	unsigned protocol =
	    c->place.n_hosts == 0 ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
	const struct {
		enum mysql_option option;
		const void *value;
	} options[] = {
	    {MYSQL_OPT_CONNECT_TIMEOUT, &c->connect_timeout_s},
	    {MYSQL_OPT_READ_TIMEOUT, &io_timeout_s},
	    {MYSQL_OPT_WRITE_TIMEOUT, &io_timeout_s},
	    {MYSQL_OPT_LOCAL_INFILE, &no_local_files},
	    {MYSQL_OPT_MAX_ALLOWED_PACKET, &max_bytes},
	    /* The name "localhost" would silently mean a Unix socket. */
	    {MYSQL_OPT_PROTOCOL, &protocol},
	    {MYSQL_SET_CHARSET_NAME, "utf8mb4"},
	};

	/* It fails for an option it does not know; these are as old as 5.7. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)mysql_options(
		    c->mysql, options[i].option, options[i].value);
}

/* Only there with sanitizers. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
extern void __lsan_ignore_object(const void *object) __attribute__((weak));

/*
 * Of a server whose first packet reports progress, MariaDB's library asks
 * whether it is a MariaDB, by a version that it has not told yet: a NULL. The
 * library frees what we lend unless the server tells one; then these few bytes
 * are lost, once per connection, for nothing tells which of both it was.
 */
static void
lend_version(MYSQL *mysql)
{
#ifdef LIBMARIADB
	mysql->server_version = strdup("");
	if (__lsan_ignore_object != NULL && mysql->server_version != NULL)
		__lsan_ignore_object(mysql->server_version);
#else
	(void)mysql;
#endif
}

/* A handle that failed to connect forgets its options: each try has its own. */
static enum store_status
try_connect(struct mysql_conn *c, const struct sql_host *host,
    const char *database, struct err *err)
{
	const char *password =
	    c->password == NULL ? c->place.password : c->password;
	struct err reason;
	unsigned code;

	mysql_conn_close(c);
	c->mysql = mysql_init(NULL);
	if (c->mysql == NULL)
		return sql_no_memory(err);
	set_client_options(c);
	lend_version(c->mysql);
	if (mysql_trust_ask(&c->trust, host, c->mysql, err) == -1)
		return STORE_BROKEN;
	if (mysql_real_connect(c->mysql, host == NULL ? NULL : host->name,
		c->place.user, password, database,
		host == NULL ? 0 : host->port, c->place.socket, 0) != NULL)
		return mysql_trust_check(&c->trust, host, c->mysql, err) == 0
			   ? STORE_OK
			   : STORE_UNAVAILABLE;
	code = mysql_errno(c->mysql);
	c->sql.no_database = code == ER_BAD_DB_ERROR;
	mysql_trust_explain(
	    &c->trust, host, code, mysql_error(c->mysql), &reason);
	return mysql_conn_fail(c, code, reason.text, err);
}

static enum store_status
set_up_session(struct mysql_conn *c, struct err *err)
{
	static const struct sql_text max_packet = {
	    .head = "SELECT @@max_allowed_packet", .columns = "i"};
	char text[512];
	int64_t bytes = 0;
	enum store_status status;

	/*
	 * Who is stopped amid a transaction keeps its locks until the server
	 * ends it. MySQL can end idle connections only: not so soon that one
	 * with little to do would be made anew for each request.
	 */
	(void)snprintf(text, sizeof(text),
	    "SET SESSION autocommit = 1, time_zone = '+00:00', "
	    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
	    "innodb_lock_wait_timeout = %u, lock_wait_timeout = %u"
	    " /*M!100300 , idle_transaction_timeout = %u */"
	    " /*!50700 , wait_timeout = %u */", /* unseen by MariaDB */
	    c->timeout_s, c->timeout_s, c->timeout_s,
	    c->timeout_s < IDLE_MIN_S ? IDLE_MIN_S : c->timeout_s);
	status = mysql_conn_query(c, text, err);
	if (status == STORE_OK)
		status = mysql_conn_query(c,
		    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		    err);
	if (status == STORE_OK)
		status = sql_value(&c->sql, &max_packet, &bytes, err);
	if (status != STORE_OK)
		return status;
	if (bytes < 0)
		return sql_nonsense(&c->sql, "max_allowed_packet", err);
	c->sql.statement_max =
	    bytes < PACKET_MAX_BYTES ? (size_t)bytes : PACKET_MAX_BYTES;
	return mysql_cluster_ask(&c->sql, err);
}

/*
 * A node that is cut off from its cluster, or joins it, lets everybody in and
 * answers what needs no table. Which of them is not there yet?
 */
static enum store_status
read_a_table(struct mysql_conn *c, struct err *err)
{
	if (mysql_query(c->mysql, "DO (SELECT COUNT(*) FROM meta)") == 0)
		return STORE_OK;
	switch (mysql_errno(c->mysql)) {
	case ER_NO_SUCH_TABLE:
	case ER_NO_DB_ERROR:
		return STORE_OK;
	default:
		return mysql_conn_failed(c, err);
	}
}

/*
 * Of several servers. A replica is read_only so that nobody writes to it, and
 * our user may have the right to do so nevertheless.
 */
static enum store_status
refuse_read_only(struct mysql_conn *c, struct err *err)
{
	static const struct sql_text read_only = {
	    .head = "SELECT (@@read_only NOT IN ('0', 'OFF')) +"
		    " (@@innodb_read_only NOT IN ('0', 'OFF'))",
	    .columns = "i"};
	int64_t n = 0;
	enum store_status status = sql_value(&c->sql, &read_only, &n, err);

	if (status != STORE_OK || n == 0)
		return status;
	(void)err_set(err, "the server is read_only");
	return STORE_UNAVAILABLE;
}

/* A machine that is gone says nothing: its kernel does not acknowledge, while
 * one that takes its time does. */
static void
watch_peer(const struct mysql_conn *c)
{
	int fd = mysql_conn_socket(c), on = 1, s = 1;
	int ms = (int)c->connect_timeout_s * 1000;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &s, sizeof(s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &s, sizeof(s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static enum store_status
open_host(struct mysql_conn *c, const struct sql_host *host, struct err *err)
{
	enum store_status status;

	c->sql.no_database = false;
	status = try_connect(c, host, c->place.name, err);
	if (c->sql.no_database) /* connect without, so that it can be created */
		status = try_connect(c, host, NULL, err);
	if (status == STORE_OK)
		status = set_up_session(c, err);
	if (status == STORE_OK)
		status = read_a_table(c, err);
	if (status == STORE_OK && c->place.n_hosts > 1)
		status = refuse_read_only(c, err);
	if (status == STORE_OK && c->place.n_hosts > 1)
		watch_peer(c);
	if (status == STORE_OK)
		c->sql.connected = true;
	else
		mysql_conn_close(c);
	return status;
}

enum store_status
mysql_open_one(struct mysql_conn *c, unsigned i, struct err *err)
{
	int64_t begin_ms = clock_mono_ms(), now_ms;
	enum store_status status = open_host(c, mysql_conn_server(c, i), err);

	now_ms = clock_mono_ms();
	if (status == STORE_OK) {
		rotation_worked(&c->rotation, i);
		c->host = i;
		c->sql.elsewhere = false;
		mysql_conn_show(c, mysql_conn_server(c, i));
	} else
		rotation_failed(&c->rotation, i, now_ms - begin_ms, now_ms);
	return status;
}
