/* SPDX-License-Identifier: ISC */
/*
 * What only the MySQL backend can meet: run by tests/mariadb, skipped without.
 * The operations are called directly, without the pauses of store.c.
 */
#include "sql/sql_mysql.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <check.h>
#include <mysql.h>

#include "base/clock.h"
#include "sql/sql_url.h"
#include "store/add.h"
#include "store/cancel.h"
#include "store/claim.h"
#include "store/durability.h"
#include "store/find.h"
#include "store/lease.h"
#include "store/list.h"
#include "store/list_look.h"
#include "store/newest.h"
#include "store/purge.h"
#include "store/columns.h"
#include "store/row_id.h"
#include "store/schedule_change.h"
#include "store/schema.h"
#include "suite.h"

#define OPS (&sql_mysql)

enum { BODY_BYTES = 300000, SKIPPED = 77, EVENTS_MAX = 3 };

static const int64_t now_ms = INT64_C(1900000000000);

static const char *test_url;
static int64_t return_after_ms; /* of connections to be */
static int64_t timeout_ms;      /* the same */
static struct sql_place parsed;
static MYSQL *admin; /* a connection of the test's own */
static struct sql *backend;
static struct err err;

static struct event events[EVENTS_MAX];
static struct store_add adds[EVENTS_MAX];
static struct store_add *add_list[EVENTS_MAX];

static int64_t
fixed_clock(void)
{
	return now_ms;
}

static void
run_sql(const char *text)
{
	ck_assert_msg(
	    mysql_query(admin, text) == 0, "%s: %s", text, mysql_error(admin));
}

/* The URL of the test with another database, or another port. */
static const char *
changed_url(unsigned port, const char *name)
{
	static char url[512];

	(void)snprintf(url, sizeof(url), "mysql://%s@%s:%u/%s", parsed.user,
	    parsed.hosts[0].name, port, name);
	return url;
}

static struct sql *
open_backend(const char *url, const char *password)
{
	const struct store_params params = {
	    .url = url,
	    .password = password,
	    .connect_timeout_ms = 2000,
	    .return_after_ms = return_after_ms,
	    .timeout_ms = timeout_ms,
	};
	struct sql *made;

	ck_assert_msg(OPS->create(&params, &made, &err) == 0, "%s", err.text);
	return made;
}

static void
setup(void)
{
	ck_assert_int_eq(sql_describe(test_url, NULL, &parsed, &err), 0);
	admin = mysql_init(NULL);
	ck_assert_ptr_nonnull(admin);
	ck_assert_ptr_nonnull(mysql_real_connect(admin, parsed.hosts[0].name,
	    parsed.user, parsed.password, NULL, parsed.hosts[0].port, NULL, 0));
	run_sql("DROP DATABASE IF EXISTS cassata");
	run_sql("CREATE DATABASE cassata");
	run_sql("USE cassata");
	clock_wall_replace(fixed_clock);
	timeout_ms = 20000;
	backend = open_backend(test_url, NULL);
	ck_assert_int_eq(OPS->open(backend, &err), STORE_OK);
	ck_assert_int_eq(schema_check(backend, true, 0, &err), STORE_OK);
}

/* What ends by time is to end soon. */
static void
setup_brief(void)
{
	setup();
	OPS->destroy(backend);
	timeout_ms = 1000;
	backend = open_backend(test_url, NULL);
	ck_assert_int_eq(OPS->open(backend, &err), STORE_OK);
}

static void
teardown(void)
{
	OPS->destroy(backend);
	run_sql("DROP DATABASE cassata");
	run_sql("CREATE DATABASE cassata");
	mysql_close(admin);
	sql_place_free(&parsed);
	clock_wall_replace(NULL);
}

static void
make_add(unsigned i, const char *id, struct slice body)
{
	events[i] = (struct event){
	    .app = SLICE_LITERAL("app"),
	    .id = slice_from_string(id),
	    .method = SLICE_LITERAL("POST"),
	    .url = SLICE_LITERAL("http://example.com/"),
	    .headers = SLICE_LITERAL(""),
	    .body = body,
	    .expiry_ms = now_ms,
	};
	adds[i] = (struct store_add){.event = &events[i]};
	ck_assert_int_eq(
	    event_key_make(events[i].app, events[i].id, &adds[i].key), 0);
	ck_assert_int_eq(event_fingerprint(&events[i], adds[i].fingerprint), 0);
	add_list[i] = &adds[i];
}

static enum store_status
add_one(const char *id)
{
	make_add(0, id, SLICE_LITERAL("{}"));
	return add_new_events(backend, add_list, 1, &err);
}

static void
assert_failed(
    enum store_status status, enum store_status expected, const char *reason)
{
	ck_assert_int_eq(status, expected);
	ck_assert_msg(strstr(err.text, reason) != NULL, "%s", err.text);
	ck_assert_ptr_null(strstr(err.text, parsed.password));
}

START_TEST(test_schema)
{
	ck_assert_int_eq(schema_check(backend, false, 0, &err), STORE_OK);
	ck_assert_int_eq(schema_check(backend, true, 0, &err), STORE_OK);
	run_sql("INSERT INTO meta (version) VALUES (1000)");
	assert_failed(
	    schema_check(backend, true, 0, &err), STORE_BROKEN, "version 1000");
	run_sql("DELETE FROM meta");
	assert_failed(schema_check(backend, false, 0, &err), STORE_BROKEN,
	    "run cassatactl init-db");
	/* As a migration leaves it that stopped half-way. */
	run_sql("DROP TABLE attempt");
	ck_assert_int_eq(schema_check(backend, true, 0, &err), STORE_OK);
	run_sql("DROP TABLE event, attempt, job, label, lease, instance, meta");
	assert_failed(schema_check(backend, false, 0, &err), STORE_BROKEN,
	    "run cassatactl init-db");
	assert_failed(add_one("a"), STORE_BROKEN, "run cassatactl init-db");
	ck_assert(backend->connected);
}
END_TEST

START_TEST(test_database_is_created)
{
	struct sql *b = open_backend(
	    changed_url(parsed.hosts[0].port, "odd`%20name"), parsed.password);

	run_sql("DROP DATABASE IF EXISTS `odd`` name`");
	ck_assert_int_eq(OPS->open(b, &err), STORE_OK);
	assert_failed(schema_check(b, false, 0, &err), STORE_BROKEN,
	    "run cassatactl init-db");
	make_add(0, "a", SLICE_LITERAL(""));
	assert_failed(add_new_events(b, add_list, 1, &err), STORE_BROKEN,
	    "run cassatactl init-db");
	/* Another process may make it meanwhile. */
	ck_assert(!b->connected);
	ck_assert_int_eq(OPS->open(b, &err), STORE_OK);
	ck_assert_int_eq(schema_check(b, true, 0, &err), STORE_OK);
	ck_assert_int_eq(schema_check(b, false, 0, &err), STORE_OK);
	ck_assert_int_eq(add_new_events(b, add_list, 1, &err), STORE_OK);
	OPS->destroy(b);
	run_sql("DROP DATABASE `odd`` name`");
}
END_TEST

START_TEST(test_refused)
{
	struct sql *b =
	    open_backend(changed_url(parsed.hosts[0].port, "cassata"), "wrong");

	assert_failed(OPS->open(b, &err), STORE_BROKEN, "Access denied");
	ck_assert_ptr_null(strstr(err.text, "wrong"));
	ck_assert(!b->connected);
	OPS->destroy(b);
}
END_TEST

START_TEST(test_unreachable)
{
	struct sql *b =
	    open_backend(changed_url(1, "cassata"), parsed.password);

	assert_failed(OPS->open(b, &err), STORE_UNAVAILABLE, "127.0.0.1");
	ck_assert_str_eq(b->target, "mysql://127.0.0.1:1/cassata");
	ck_assert_str_eq(sql_where(b), "127.0.0.1:1");
	OPS->destroy(b);
}
END_TEST

/* The server ends the one connection to the database that is not the test's. */
static void
end_connection(struct sql *sql)
{
	MYSQL_RES *result;
	MYSQL_ROW row;
	char kill[64];

	run_sql("SELECT id FROM information_schema.processlist"
		" WHERE db = 'cassata' AND id <> CONNECTION_ID()");
	result = mysql_store_result(admin);
	ck_assert_ptr_nonnull(result);
	row = mysql_fetch_row(result);
	ck_assert_ptr_nonnull(row);
	(void)snprintf(kill, sizeof(kill), "KILL %s", row[0]);
	mysql_free_result(result);
	run_sql(kill);
	while (OPS->alive(sql))
		(void)poll(NULL, 0, 1);
}

/* Statements are prepared anew on the new connection. */
START_TEST(test_lost_connection)
{
	ck_assert_int_eq(add_one("a"), STORE_OK);
	ck_assert(OPS->alive(backend));
	end_connection(backend);
	assert_failed(add_one("b"), STORE_UNAVAILABLE, "");
	ck_assert(!backend->connected);
	ck_assert_int_eq(OPS->open(backend, &err), STORE_OK);
	ck_assert_int_eq(add_one("b"), STORE_OK);
	ck_assert_int_eq(adds[0].outcome, ADD_CREATED);
	ck_assert_int_eq(OPS->ping(backend, &err), STORE_OK);
}
END_TEST

/* Two ways to the server of the test, behind other hosts. */
static void
open_list(const char *hosts)
{
	char url[512];

	OPS->destroy(backend);
	(void)snprintf(url, sizeof(url),
	    "mysql://%s@%s127.0.0.1:%u,localhost:%u/cassata", parsed.user,
	    hosts, parsed.hosts[0].port, parsed.hosts[0].port);
	backend = open_backend(url, parsed.password);
}

static void
assert_at(const char *host)
{
	char where[64];

	ck_assert_msg(OPS->open(backend, &err) == STORE_OK, "%s", err.text);
	(void)snprintf(
	    where, sizeof(where), "%s:%u", host, parsed.hosts[0].port);
	ck_assert_str_eq(sql_where(backend), where);
	ck_assert_ptr_nonnull(strstr(backend->target, where));
	ck_assert(!backend->elsewhere);
}

START_TEST(test_next_host)
{
	open_list("127.0.0.1:1,");
	ck_assert_ptr_nonnull(strstr(backend->target, "127.0.0.1:1,"));
	assert_at("127.0.0.1");
	ck_assert_int_eq(add_one("a"), STORE_OK);

	/* What was idle for too long is no reason to leave. */
	end_connection(backend);
	assert_at("127.0.0.1");

	/* A loss amid a call is: nobody waits, for there is another one. */
	end_connection(backend);
	assert_failed(add_one("b"), STORE_UNAVAILABLE, "");
	ck_assert(backend->elsewhere);
	assert_at("localhost");
	ck_assert_int_eq(add_one("b"), STORE_OK);

	/* That was the last one. */
	end_connection(backend);
	assert_failed(add_one("c"), STORE_UNAVAILABLE, "");
	ck_assert(!backend->elsewhere);
	assert_at("127.0.0.1");
}
END_TEST

/* What was lost comes back, beside the one in use and between two calls. */
START_TEST(test_return)
{
	return_after_ms = 1;
	open_list("127.0.0.1:1,");
	assert_at("127.0.0.1");
	ck_assert_int_eq(add_one("a"), STORE_OK);
	end_connection(backend);
	assert_failed(add_one("b"), STORE_UNAVAILABLE, "");
	assert_at("localhost");
	ck_assert_uint_eq(atomic_load(&backend->server), 3);

	while (atomic_load(&backend->server) != 2) {
		ck_assert(OPS->alive(backend));
		ck_assert_int_eq(add_one("a"), STORE_OK);
		ck_assert_int_eq(adds[0].outcome, ADD_SAME);
	}
	ck_assert_ptr_nonnull(strstr(sql_where(backend), "127.0.0.1"));
	/* On and on it tries the one before that. */
	for (int i = 0; i < 20; i++) {
		(void)poll(NULL, 0, 2);
		ck_assert(OPS->alive(backend));
		ck_assert_int_eq(add_one("a"), STORE_OK);
	}
	ck_assert_uint_eq(atomic_load(&backend->server), 2);
	OPS->close(backend);
	ck_assert_uint_eq(atomic_load(&backend->server), 0);
}
END_TEST

START_TEST(test_nonsense)
{
	open_list("");
	assert_at("127.0.0.1");
	assert_failed(sql_nonsense(backend, "so it seems", &err),
	    STORE_UNAVAILABLE, "nonsense");
	ck_assert(backend->elsewhere);
	assert_at("localhost");
}
END_TEST

START_TEST(test_no_host)
{
	struct sql *b =
	    open_backend("mysql://u:secret@127.0.0.1:1,127.0.0.1:2/n", NULL);

	assert_failed(OPS->open(b, &err), STORE_UNAVAILABLE, "127.0.0.1:1: ");
	ck_assert_ptr_nonnull(strstr(err.text, "; 127.0.0.1:2: "));
	ck_assert_ptr_null(strstr(err.text, "secret"));
	ck_assert(!b->elsewhere);
	OPS->destroy(b);
}
END_TEST

/* A port where connections are made and nobody ever says anything. */
static int
open_black_hole(unsigned *port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static unsigned
count_callers(int listener)
{
	unsigned n = 0;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		n++;
		(void)close(fd);
	}
	return n;
}

/* It costs time once, and not once a round. */
START_TEST(test_black_hole)
{
	char hosts[32];
	unsigned port;
	int hole = open_black_hole(&port);

	(void)snprintf(hosts, sizeof(hosts), "127.0.0.1:%u,", port);
	open_list(hosts);
	assert_at("127.0.0.1");
	ck_assert_uint_eq(count_callers(hole), 1);
	end_connection(backend);
	assert_failed(add_one("a"), STORE_UNAVAILABLE, "");
	assert_at("localhost");
	ck_assert_uint_eq(count_callers(hole), 0);
	(void)close(hole);
}
END_TEST

/* Though we have the right to write to it. */
START_TEST(test_read_only)
{
	open_list("");
	run_sql("SET GLOBAL read_only = 1");
	assert_failed(
	    OPS->open(backend, &err), STORE_UNAVAILABLE, "is read_only; ");
	ck_assert(!backend->connected);
	/* A single one is used as ever. */
	OPS->destroy(backend);
	backend = open_backend(test_url, NULL);
	ck_assert_int_eq(OPS->open(backend, &err), STORE_OK);
	run_sql("SET GLOBAL read_only = 0");
	open_list("");
	assert_at("127.0.0.1");
}
END_TEST

/* It is not read_only, and yet takes no write: that is told by the first. */
START_TEST(test_refuses_writes)
{
	open_list("");
	run_sql("SET GLOBAL TRANSACTION READ ONLY");
	assert_at("127.0.0.1");
	assert_failed(add_one("a"), STORE_UNAVAILABLE, "READ ONLY transaction");
	ck_assert(!backend->connected);
	ck_assert(backend->elsewhere);
	run_sql("SET GLOBAL TRANSACTION READ WRITE");
	assert_at("localhost");
	ck_assert_int_eq(add_one("a"), STORE_OK);
}
END_TEST

START_TEST(test_lock_wait_ends)
{
	enum cancel_outcome outcome;
	enum event_state state;

	ck_assert_int_eq(add_one("a"), STORE_OK);
	run_sql("START TRANSACTION");
	run_sql("SELECT * FROM event FOR UPDATE");
	mysql_free_result(mysql_store_result(admin));
	assert_failed(
	    cancel_event(backend, &adds[0].key, &outcome, &state, &err),
	    STORE_UNAVAILABLE, "Lock wait timeout");
	ck_assert(backend->connected);
	run_sql("ROLLBACK");
	ck_assert_int_eq(
	    cancel_event(backend, &adds[0].key, &outcome, &state, &err),
	    STORE_OK);
	ck_assert_int_eq(outcome, CANCEL_DELETED);
}
END_TEST

/* Begun again by somebody while the purge waits for its row. */
static void *
purge_it(void *arg)
{
	size_t *n = arg;
	struct err reason;

	ck_assert_int_eq(
	    purge_ended(backend, UINT64_MAX, INT64_MAX, 10, n, &reason),
	    STORE_OK);
	return NULL;
}

static bool
somebody_waits(void)
{
	MYSQL_RES *rows;
	bool waits;

	(void)poll(NULL, 0, 150);
	run_sql("SELECT 1 FROM information_schema.INNODB_TRX"
		" WHERE trx_state = 'LOCK WAIT'");
	rows = mysql_store_result(admin);
	ck_assert_ptr_nonnull(rows);
	waits = mysql_num_rows(rows) > 0;
	mysql_free_result(rows);
	return waits;
}

START_TEST(test_purge_of_what_begins_again)
{
	pthread_t thread;
	size_t n = 0;

	ck_assert_int_eq(add_one("a"), STORE_OK);
	run_sql("UPDATE event SET status = 3");
	run_sql("START TRANSACTION");
	run_sql("UPDATE event SET status = 0");
	ck_assert_int_eq(pthread_create(&thread, NULL, purge_it, &n), 0);
	while (!somebody_waits())
		;
	run_sql("COMMIT");
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(n, 0);
	run_sql("UPDATE event SET status = 3");
	ck_assert_uint_eq(mysql_affected_rows(admin), 1);
	(void)purge_it(&n);
	ck_assert_uint_eq(n, 1);
}
END_TEST

struct two_puts {
	struct schedule_put put;
	struct event event;
	struct sql *sql;
	enum store_status status;
	struct err err;
	pthread_t thread;
};

static void *
put_it(void *arg)
{
	struct two_puts *p = arg;

	p->status = put_schedule(p->sql, &p->put, &p->err);
	mysql_thread_end();
	return NULL;
}

static int64_t
n_inserting(void)
{
	MYSQL_RES *rows;
	int64_t n;

	run_sql("SELECT COUNT(*) FROM information_schema.processlist"
		" WHERE info LIKE 'INSERT INTO%'");
	rows = mysql_store_result(admin);
	ck_assert_ptr_nonnull(rows);
	n = strtoll(mysql_fetch_row(rows)[0], NULL, 10);
	mysql_free_result(rows);
	return n;
}

/* Two that come at once while there is room for one: both have got as far as
 * they get before either has ended. */
START_TEST(test_two_schedules_at_once)
{
	struct zones *zones = zones_create(zones_directory());
	struct two_puts two[2];

	run_sql("LOCK TABLES event WRITE"); /* of a schedule's first run */
	for (int i = 0; i < 2; i++) {
		struct two_puts *p = &two[i];

		make_add(0, "a", SLICE_LITERAL("{}"));
		*p = (struct two_puts){.event = events[0],
		    .sql = open_backend(test_url, NULL),
		    .put = {.app = SLICE_LITERAL("app"),
			.name = slice_from_string(i == 0 ? "a" : "b"),
			.spec = SLICE_LITERAL("{\"every\": \"10s\"}"),
			.max = 1,
			.zones = zones}};
		p->put.event = &p->event;
		p->event.options = SLICE_LITERAL("{\"later\":1}");
		ck_assert_int_eq(OPS->open(p->sql, &err), STORE_OK);
		ck_assert_int_eq(
		    pthread_create(&p->thread, NULL, put_it, p), 0);
	}
	while (n_inserting() < 2)
		(void)poll(NULL, 0, 10);
	run_sql("UNLOCK TABLES");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(two[i].thread, NULL), 0);
		ck_assert_msg(
		    two[i].status == STORE_OK, "%s", two[i].err.text);
		OPS->destroy(two[i].sql);
	}
	ck_assert_int_eq(two[0].put.outcome + two[1].put.outcome,
	    SCHEDULE_MADE + SCHEDULE_TOO_MANY);
	ck_assert_int_ne(two[0].put.outcome, two[1].put.outcome);
	run_sql("DELETE FROM schedule");
	ck_assert_uint_eq(mysql_affected_rows(admin), 1);
	zones_free(&zones);
}
END_TEST

/* Until the server has somebody wait for a lock. It looks again for who asks
 * when nobody has asked for 100 ms. */
static enum store_status
await_lock_wait(struct sql *c, struct err *e)
{
	static const struct sql_text count = {
	    .head = "SELECT COUNT(*) FROM information_schema.INNODB_TRX"
		    " WHERE trx_state = 'LOCK WAIT'",
	    .columns = "i"};
	enum store_status status;
	int64_t n;

	while ((status = sql_value(c, &count, &n, e)) == STORE_OK && n == 0)
		(void)poll(NULL, 0, 150);
	return status;
}

/*
 * Holds a lease and asks for another, which the test's own connection has while
 * it waits for the first: ours is the lighter one and loses, amid its rows.
 */
static enum store_status
meet(struct sql *c, void *arg, struct err *e)
{
	static const char wants[] =
	    "UPDATE lease SET until_ms = 2 WHERE shard = 1";
	static const struct sql_text lock_some = {
	    .head = "SELECT shard FROM lease FORCE INDEX (PRIMARY)"
		    " WHERE shard IN (1, ?) ORDER BY shard FOR UPDATE",
	    .columns = "i"};
	unsigned *n_tries = arg;
	enum store_status status = STORE_OK;

	if (++*n_tries == 2) {
		ck_assert_int_eq(mysql_read_query_result(admin), 0);
		run_sql("ROLLBACK");
	}
	for (int last = 1; last <= 2 && status == STORE_OK; last++) {
		sql_i64(c, last);
		status = sql_select(c, &lock_some, 0, e);
		while (sql_next(c, &status, e))
			;
		if (status != STORE_OK || *n_tries > 1 || last > 1)
			continue;
		ck_assert_int_eq(
		    mysql_send_query(admin, wants, strlen(wants)), 0);
		status = await_lock_wait(c, e);
	}
	return status;
}

START_TEST(test_deadlock_amid_rows)
{
	unsigned n_tries = 0;

	run_sql("START TRANSACTION");
	run_sql("UPDATE lease SET until_ms = 1 WHERE shard >= 2");
	ck_assert_msg(sql_transact(backend, meet, &n_tries, &err) == STORE_OK,
	    "%s", err.text);
	ck_assert_uint_eq(n_tries, 2);
}
END_TEST

static struct store_instance instances[STORE_INSTANCES_MAX];

static enum store_status
lease(struct sql *sql, uint64_t owner, struct lease_reply *reply)
{
	const struct lease_request request = {.owner = owner,
	    .lease_ms = 60000,
	    .max_attempts = 1,
	    .instances = instances};

	return lease_shards(sql, &request, reply, &err);
}

/* It says until when it lives, and renews three times in that. */
START_TEST(test_older_version)
{
	struct lease_reply reply;

	run_sql("INSERT INTO instance (owner, until_ms, host, pid, started_ms,"
		" active) VALUES (7, (UNIX_TIMESTAMP() + 3600) * 1000, '', 1,"
		" 1, 1)");
	ck_assert_int_eq(lease(backend, 8, &reply), STORE_OK);
	ck_assert_uint_eq(reply.n_instances, 2);
	ck_assert_uint_eq(instances[0].sign.owner, 7);
	ck_assert_int_ge(instances[0].lease_ms, 3600000);
	run_sql("UPDATE instance SET until_ms = until_ms - 7200000"
		" WHERE owner = 7");
	ck_assert_int_eq(lease(backend, 8, &reply), STORE_OK);
	ck_assert_int_eq(instances[0].lease_ms, 60000);
}
END_TEST

/* Whoever has locked leases: those of others, ours, or all. */
START_TEST(test_renewal_waits_for_nobody)
{
	struct sql *other = open_backend(test_url, NULL);
	struct lease_reply a, b;

	ck_assert_int_eq(OPS->open(other, &err), STORE_OK);
	ck_assert_int_eq(lease(backend, 1, &a), STORE_OK);
	ck_assert_int_eq(lease(other, 2, &b), STORE_OK);
	ck_assert_int_eq(lease(backend, 1, &a), STORE_OK);
	ck_assert_int_eq(lease(other, 2, &b), STORE_OK);
	ck_assert_uint_eq(a.shards, ~b.shards);

	run_sql("START TRANSACTION");
	run_sql("SELECT shard FROM lease FOR UPDATE");
	mysql_free_result(mysql_store_result(admin));
	ck_assert_msg(lease(backend, 1, &a) == STORE_OK, "%s", err.text);
	ck_assert_msg(lease(other, 2, &b) == STORE_OK, "%s", err.text);
	ck_assert_uint_eq(a.shards, ~b.shards);
	run_sql("ROLLBACK");
	OPS->destroy(other);
}
END_TEST

/* Leases that are in use stay whose they are, the others are taken. */
START_TEST(test_taking_waits_for_nobody)
{
	struct lease_reply reply;

	run_sql("START TRANSACTION");
	run_sql("SELECT shard FROM lease FORCE INDEX (PRIMARY)"
		" WHERE shard IN (0, 5) LOCK IN SHARE MODE");
	mysql_free_result(mysql_store_result(admin));
	ck_assert_msg(lease(backend, 1, &reply) == STORE_OK, "%s", err.text);
	ck_assert_uint_eq(reply.shards, ~UINT64_C(0x21));
	run_sql("ROLLBACK");
	ck_assert_int_eq(lease(backend, 1, &reply), STORE_OK);
	ck_assert_uint_eq(reply.shards, UINT64_MAX);
}
END_TEST

/* Our own claim of an earlier connection keeps the call waiting, until it
 * fails; but the renewal was made before that. */
START_TEST(test_renewal_before_all)
{
	const struct lease_request request = {.owner = 1,
	    .lease_ms = 60000,
	    .in_doubt = true,
	    .max_attempts = 1,
	    .instances = instances};
	struct sql *brief = open_backend(test_url, NULL);
	struct lease_reply reply;

	ck_assert_int_eq(OPS->open(brief, &err), STORE_OK);
	ck_assert_int_eq(
	    OPS->run(brief, "SET SESSION innodb_lock_wait_timeout = 1", &err),
	    STORE_OK);
	brief->timeout_ms = 0; /* once */
	ck_assert_int_eq(lease(brief, 1, &reply), STORE_OK);
	run_sql("START TRANSACTION");
	run_sql("SELECT shard FROM lease LOCK IN SHARE MODE");
	mysql_free_result(mysql_store_result(admin));
	ck_assert_int_eq(
	    lease_shards(brief, &request, &reply, &err), STORE_UNAVAILABLE);
	ck_assert(reply.renewed && !reply.lapsed);
	run_sql("ROLLBACK");
	ck_assert_int_eq(lease_shards(brief, &request, &reply, &err), STORE_OK);
	ck_assert(reply.renewed && !reply.lapsed);
	OPS->destroy(brief);
}
END_TEST

/* The reader of the rows of the dead has seen who is registered and waits for
 * the second row: one registers and claims what is behind that. */
static void *
claim_meanwhile(void *arg)
{
	struct sql *other = arg;
	struct store_claim *claims[1];
	struct lease_request leasing = {.owner = 2,
	    .alone = true,
	    .lease_ms = 60000,
	    .max_attempts = 1,
	    .instances = calloc(STORE_INSTANCES_MAX, sizeof(*instances))};
	const struct claim_request claiming = {.owner = 2,
	    .alone = true,
	    .claim_max = 1,
	    .horizon_ms = now_ms + 1000,
	    .claims = claims};
	struct claim_reply turn;
	struct lease_reply leased;
	struct err e;

	ck_assert_ptr_nonnull(leasing.instances);
	ck_assert_msg(await_lock_wait(other, &e) == STORE_OK, "%s", e.text);
	ck_assert_msg(lease_shards(other, &leasing, &leased, &e) == STORE_OK,
	    "%s", e.text);
	ck_assert_msg(settle_and_claim(other, &claiming, &turn, &e) == STORE_OK,
	    "%s", e.text);
	ck_assert_uint_eq(turn.n_claims, 1);
	store_claim_free(claims[0]);
	free(leasing.instances);
	run_sql("ROLLBACK");
	return NULL;
}

START_TEST(test_registered_meanwhile)
{
	struct sql *patient, *other;
	struct lease_reply reply;
	pthread_t thread;

	patient = open_backend(test_url, NULL);
	other = open_backend(test_url, NULL);
	ck_assert_int_eq(OPS->open(patient, &err), STORE_OK);
	ck_assert_int_eq(OPS->open(other, &err), STORE_OK);
	ck_assert_int_eq(lease(patient, 1, &reply), STORE_OK);
	make_add(0, "a", SLICE_LITERAL(""));
	make_add(1, "b", SLICE_LITERAL(""));
	make_add(2, "c", SLICE_LITERAL(""));
	ck_assert_int_eq(
	    add_new_events(backend, add_list, EVENTS_MAX, &err), STORE_OK);
	/* By their ids, and by the index: two of the dead, one in quarantine.
	 */
	run_sql("SET @id = (SELECT MAX(id) FROM event)");
	run_sql("UPDATE event SET suspect = 2, due_ms = due_ms + (1 << 48)"
		" WHERE id = @id");
	run_sql("UPDATE event SET status = 1, owner = 99,"
		" due_ms = due_ms - @id + id WHERE id < @id");
	run_sql("SET @id = (SELECT MAX(id) FROM event WHERE status = 1)");
	run_sql("START TRANSACTION");
	run_sql("SELECT id FROM event WHERE id = @id FOR UPDATE");
	mysql_free_result(mysql_store_result(admin));

	ck_assert_int_eq(
	    pthread_create(&thread, NULL, claim_meanwhile, other), 0);
	ck_assert_msg(lease(patient, 1, &reply) == STORE_OK, "%s", err.text);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(reply.n_interrupted, 2);
	run_sql("SELECT id FROM event WHERE status = 1 AND owner = 2");
	mysql_free_result(mysql_store_result(admin));
	ck_assert_uint_eq(mysql_affected_rows(admin), 1);
	OPS->destroy(patient);
	OPS->destroy(other);
}
END_TEST

/* What makes no sense is left out, the others are there. */
START_TEST(test_damaged_among_the_newest)
{
	struct store_news news[EVENTS_MAX];
	const struct newest_request request = {.from_ms = now_ms - 1000,
	    .to_ms = now_ms + 1000,
	    .max = EVENTS_MAX,
	    .marks = true};
	struct newest_reply reply;

	run_sql("INSERT INTO pause VALUES (1, 0, 'a', -1, ~0 >> 1, ''),"
		" (2, 1, 'b', ~0 >> 1, ~0 >> 1, '')");
	make_add(0, "a", SLICE_LITERAL(""));
	make_add(1, "b", SLICE_LITERAL(""));
	make_add(2, "c", SLICE_LITERAL(""));
	ck_assert_int_eq(
	    add_new_events(backend, add_list, EVENTS_MAX, &err), STORE_OK);
	run_sql("UPDATE event SET shard = 99 WHERE event_id = 'b'");
	/* A claim finds it, and puts it off. */
	run_sql("UPDATE event SET due_ms = -1 WHERE event_id = 'a'");
	ck_assert_msg(
	    find_newest(backend, &request, news, &reply, &err) == STORE_OK,
	    "%s", err.text);
	ck_assert_uint_eq(reply.n, 2);
	ck_assert_int_ne(news[0].due_ms == 0, news[1].due_ms == 0);
	ck_assert_int_eq(reply.damaged, adds[1].row_id);
}
END_TEST

START_TEST(test_durability)
{
	static const struct {
		const char *set, *says;
	} cases[] = {
	    {"SET GLOBAL innodb_flush_log_at_trx_commit = 2",
		"innodb_flush_log_at_trx_commit = 2"},
	    {"SET GLOBAL innodb_flush_log_at_trx_commit = 0",
		"innodb_flush_log_at_trx_commit = 0"},
	    {"SET GLOBAL innodb_flush_log_at_trx_commit = 1", ""},
	};
	char text[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_sql(cases[i].set);
		ck_assert_int_eq(
		    durability_read(backend, text, sizeof(text), &err),
		    STORE_OK);
		ck_assert_msg(strstr(text, cases[i].says) != NULL, "%s", text);
		ck_assert_int_eq(text[0] == '\0', cases[i].says[0] == '\0');
	}
}
END_TEST

/* As of a process that is stopped: its locks are not for ever. */
START_TEST(test_idle_transaction_ends)
{
	ck_assert_int_eq(add_one("a"), STORE_OK);
	ck_assert_int_eq(
	    OPS->run(backend, "START TRANSACTION", &err), STORE_OK);
	ck_assert_int_eq(
	    OPS->run(backend, "UPDATE event SET due_ms = 1", &err), STORE_OK);
	run_sql("SET SESSION innodb_lock_wait_timeout = 5");
	run_sql("UPDATE event SET due_ms = 2 WHERE due_ms <> 1");
	ck_assert_uint_eq(mysql_affected_rows(admin), 1);
	while (OPS->alive(backend))
		(void)poll(NULL, 0, 1);
	assert_failed(OPS->run(backend, "COMMIT", &err), STORE_UNAVAILABLE, "");
	ck_assert(!backend->connected);

	ck_assert_int_eq(OPS->open(backend, &err), STORE_OK);
	ck_assert_int_eq(add_one("a"), STORE_OK);
	ck_assert_int_eq(adds[0].outcome, ADD_SAME);
	/* Outside a transaction it may be idle. */
	(void)poll(NULL, 0, 1500);
	ck_assert(OPS->alive(backend));
}
END_TEST

/* With the clock standing still the next row ids are known: some are taken. */
START_TEST(test_taken_row_id)
{
	long long id = row_id_make(now_ms);
	char insert[512];

	for (int i = 1; i <= _i; i++) {
		(void)snprintf(insert, sizeof(insert),
		    "INSERT INTO event VALUES (%lld, 'x%d', 0, 0, 0, 0, 0, 0,"
		    " 0, '', '', '', '', '', '', '', 0, 0, '', 0, '')",
		    id + i, i);
		run_sql(insert);
	}
	make_add(0, "a", SLICE_LITERAL("1"));
	make_add(1, "b", SLICE_LITERAL("2"));
	make_add(2, "c", SLICE_LITERAL("3"));
	ck_assert_int_eq(
	    add_new_events(backend, add_list, EVENTS_MAX, &err), STORE_OK);
	for (unsigned i = 0; i < EVENTS_MAX; i++) {
		struct store_record *record;

		ck_assert_int_eq(adds[i].outcome, ADD_CREATED);
		ck_assert_int_eq(adds[i].state, EVENT_PENDING);
		ck_assert_int_gt(adds[i].row_id, id + _i);
		ck_assert_int_eq(find_event(backend, &adds[i].key, FIND_WHOLE,
				     &record, &err),
		    STORE_OK);
		ck_assert_ptr_nonnull(record);
		ck_assert(slice_eq(record->event.body, events[i].body));
		store_record_free(record);
	}
}
END_TEST

/* A start says what adds would otherwise find out one by one. */
START_TEST(test_small_packets)
{
	const size_t most = 1048576 - ADD_ROW_BYTES;

	run_sql("SET GLOBAL max_allowed_packet = 1048576");
	ck_assert_int_eq(OPS->open(backend, &err), STORE_OK);
	run_sql("SET GLOBAL max_allowed_packet = 16777216");
	ck_assert_int_eq(schema_check(backend, false, most, &err), STORE_OK);
	assert_failed(schema_check(backend, false, most + 1, &err),
	    STORE_BROKEN, "max_allowed_packet = 1048576");
}
END_TEST

START_TEST(test_too_large)
{
	static char body[2 * 1024 * 1024];

	run_sql("SET GLOBAL max_allowed_packet = 1048576");
	ck_assert_int_eq(OPS->open(backend, &err), STORE_OK);
	run_sql("SET GLOBAL max_allowed_packet = 16777216");

	make_add(0, "large", slice_of(body, sizeof(body)));
	make_add(1, "small", SLICE_LITERAL(""));
	ck_assert_int_eq(add_new_events(backend, add_list, 2, &err), STORE_OK);
	ck_assert_int_eq(adds[0].outcome, ADD_TOO_LARGE);
	ck_assert_int_eq(adds[1].outcome, ADD_CREATED);
	/* It may be there already, from before the setting. */
	ck_assert_int_eq(add_one("small"), STORE_OK);
	ck_assert_int_eq(adds[0].outcome, ADD_CONFLICT);
	make_add(0, "small", slice_of(body, sizeof(body)));
	ck_assert_int_eq(add_new_events(backend, add_list, 1, &err), STORE_OK);
	ck_assert_int_eq(adds[0].outcome, ADD_CONFLICT);

	/* Two statements, for they do not fit one. */
	make_add(0, "half", slice_of(body, 600000));
	make_add(1, "other half", slice_of(body, 600000));
	ck_assert_int_eq(add_new_events(backend, add_list, 2, &err), STORE_OK);
}
END_TEST

static int64_t
server_count(const char *name)
{
	char text[128];
	MYSQL_RES *result;
	int64_t count;

	(void)snprintf(
	    text, sizeof(text), "SHOW GLOBAL STATUS LIKE '%s'", name);
	run_sql(text);
	result = mysql_store_result(admin);
	ck_assert_ptr_nonnull(result);
	count = strtoll(mysql_fetch_row(result)[1], NULL, 10);
	mysql_free_result(result);
	return count;
}

static struct claim_reply
claim_with(uint64_t owner, bool backlog, const struct store_result *results,
    size_t n_results, struct store_claim *claims[EVENTS_MAX])
{
	const struct claim_request request = {
	    .owner = owner,
	    .backlog = backlog,
	    .shards = UINT64_MAX,
	    .claim_max = EVENTS_MAX,
	    .horizon_ms = now_ms,
	    .claims = claims,
	    .results = results,
	    .n_results = n_results,
	};
	struct claim_reply turn;

	ck_assert_msg(
	    settle_and_claim(backend, &request, &turn, &err) == STORE_OK, "%s",
	    err.text);
	return turn;
}

static struct claim_reply
claim_in(uint64_t owner, bool backlog, struct store_claim *claims[EVENTS_MAX])
{
	return claim_with(owner, backlog, NULL, 0, claims);
}

static struct claim_reply
claim(uint64_t owner, struct store_claim *claims[EVENTS_MAX])
{
	return claim_in(owner, false, claims);
}

/* 10,000 events, due at that time. */
static void
add_very_many(unsigned shard, int64_t first_id, int64_t due_ms)
{
	static const char digits[] =
	    "(SELECT 0 AS i UNION SELECT 1 UNION SELECT 2 UNION SELECT 3"
	    " UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7"
	    " UNION SELECT 8 UNION SELECT 9)";
	char insert[2048];

	(void)snprintf(insert, sizeof(insert),
	    "INSERT INTO event SELECT @id := @id + 1, CONCAT(@id), %u, 0, 0, 0,"
	    " %lld, 0, 0, '', 'a', CONCAT(@id), 'POST', 'http://a/', '', '', 0,"
	    " 0, '', 0, '' FROM %s a, %s b, %s c, %s d, (SELECT @id := %lld) e",
	    shard, (long long)due_ms, digits, digits, digits, digits,
	    (long long)first_id);
	run_sql(insert);
}

/* What is due among 20,000 events, and what it costs to claim it. */
static const struct {
	unsigned n_due;
	bool large;   /* 10,000 are, in one shard */
	bool backlog; /* and the worker knows it */
	size_t n_claims;
	int64_t n_statements, n_transactions;
} cost_cases[] = {
    {0, false, false, 0, 1, 0},
    {1, false, false, 1, 4, 1},
    {3, false, false, 3, 4, 1},
    {0, true, false, 3, 5, 1},
    {0, true, true, 3, 4, 1},
};

/* Whatever the server thinks of its tables, it reads ranges of an index, and
 * not to their ends. */
START_TEST(test_cost_of_a_claim)
{
	static const char *const ids[] = {"a", "b", "c"};
	struct store_claim *claims[EVENTS_MAX];
	struct lease_reply leased;
	struct claim_reply turn;
	int64_t n_statements, n_transactions, n_next, n_scanned;

	add_very_many(4, 100000, now_ms + 1000000);
	add_very_many(
	    5, 200000, cost_cases[_i].large ? now_ms : now_ms + 1000000);
	for (unsigned i = 0; i < cost_cases[_i].n_due; i++)
		make_add(i, ids[i], SLICE_LITERAL(""));
	if (cost_cases[_i].n_due > 0)
		ck_assert_int_eq(add_new_events(backend, add_list,
				     cost_cases[_i].n_due, &err),
		    STORE_OK);
	ck_assert_int_eq(lease(backend, 1, &leased), STORE_OK);
	n_statements = server_count("Com_stmt_execute");
	n_transactions = server_count("Com_begin");
	n_next = server_count("Handler_read_next");
	n_scanned = server_count("Handler_read_rnd_next");
	turn = claim_in(1, cost_cases[_i].backlog, claims);
	ck_assert_uint_eq(turn.n_claims, cost_cases[_i].n_claims);
	ck_assert_int_eq(server_count("Com_stmt_execute") - n_statements,
	    cost_cases[_i].n_statements);
	ck_assert_int_eq(server_count("Com_begin") - n_transactions,
	    cost_cases[_i].n_transactions);
	ck_assert_int_lt(server_count("Handler_read_next") - n_next, 1000);
	ck_assert_int_lt(
	    server_count("Handler_read_rnd_next") - n_scanned, 1000);
	for (size_t i = 0; i < turn.n_claims; i++)
		store_claim_free(claims[i]);
}
END_TEST

/* Where 10,000 events may lie; and how many rows of the index a page reads,
 * beside two for each event that it tells. */
static const struct {
	const char *layout;
	int64_t n_more;
} list_cases[] = {
    {"shard = id % 64, status = id DIV 64 % 4, due_ms = 1000 + id", 600},
    {"shard = id % 64, status = id DIV 64 % 4, due_ms = 1000", 600},
    {"shard = id % 64, status = 3, due_ms = 1000 + id DIV 100", 600},
    /* As no placement leaves them. */
    {"shard = 5, status = 0, due_ms = 1000 + id", 1600},
    {"shard = IF(id % 100 = 0, id DIV 100 % 64, 7 + id % 2),"
     " status = id % 3, due_ms = 1000 + id",
	4000},
    /* What one host of many takes. */
    {"shard = id % 8, status = 2, due_ms = 1000", 4000},
};

struct told {
	size_t n;
	struct list_place last;
	bool descending;
};

static bool
take_told(void *arg, struct store_record *record)
{
	struct told *told = arg;
	struct list_place place = {record->due_ms, 0};
	uint64_t row_id;

	/* Its id is its row's. */
	ck_assert_int_eq(slice_to_u64(record->event.id, INT64_MAX, &row_id), 0);
	place.row_id = (int64_t)row_id;
	if (told->n > 0)
		ck_assert_int_lt(
		    list_compare(&told->last, &place, told->descending), 0);
	told->last = place;
	told->n++;
	store_record_free(record);
	return true;
}

static int64_t
n_read_of_indices(void)
{
	return server_count("Handler_read_next") +
	       server_count("Handler_read_prev");
}

/* A page each, up to the end. */
static void
list_pages(size_t limit, bool descending, int64_t n_more)
{
	const struct list_query query = {.app = SLICE_LITERAL("a"),
	    .states = (1U << EVENT_DELETED) - 1,
	    .from_ms = 1000, /* of the first, or of all */
	    .before_ms = STORE_LIST_END_MS,
	    .descending = descending};
	struct told told = {.descending = descending};
	struct list_step step = {.query = &query,
	    .take = take_told,
	    .arg = &told,
	    .place = list_begin(&query)};
	int64_t n_sorted = server_count("Sort_rows"), n_read;
	size_t n_before;

	while (!step.end) {
		step.begun = false;
		step.n_wanted = step.n_look = limit;
		n_read = n_read_of_indices();
		n_before = told.n;
		ck_assert_msg(list_go_on(backend, &step, &err) == STORE_OK,
		    "%s", err.text);
		ck_assert_int_le(n_read_of_indices() - n_read,
		    2 * (int64_t)(told.n - n_before) + n_more);
		ck_assert_uint_eq(step.n_damaged, 0);
		ck_assert(step.end || told.n > n_before || step.n_looked == 0);
	}
	ck_assert_uint_eq(told.n, 10000);
	ck_assert_int_eq(server_count("Sort_rows"), n_sorted);
}

/* A page costs what it tells, wherever it is, and not the ranges it is from. */
START_TEST(test_cost_of_a_list)
{
	char text[256];

	add_very_many(0, 100000, now_ms);
	(void)snprintf(
	    text, sizeof(text), "UPDATE event SET %s", list_cases[_i].layout);
	run_sql(text);
	list_pages(100, false, list_cases[_i].n_more);
	list_pages(512, true, list_cases[_i].n_more);
}
END_TEST

/* Others wait for the commit: a few statements for all that it replaces. */
START_TEST(test_cost_of_replacing)
{
	enum { N = 200, CHUNKS = (N + SQL_ROWS_MAX - 1) / SQL_ROWS_MAX };
	static struct event many[N];
	static struct store_add made[N], *list[N];
	static char ids[N][16];
	int64_t n_statements;

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N; i++) {
			(void)snprintf(ids[i], sizeof(ids[i]), "e%u", i);
			make_add(0, ids[i],
			    round == 0 ? SLICE_LITERAL("1")
				       : SLICE_LITERAL("2"));
			many[i] = events[0];
			many[i].on_conflict = ON_CONFLICT_REPLACE;
			made[i] = adds[0];
			made[i].event = &many[i];
			list[i] = &made[i];
		}
		n_statements = server_count("Com_stmt_execute");
		ck_assert_int_eq(
		    add_new_events(backend, list, N, &err), STORE_OK);
		ck_assert_int_eq(
		    server_count("Com_stmt_execute") - n_statements,
		    round == 0 ? CHUNKS : 7 * CHUNKS);
		for (unsigned i = 0; i < N; i++)
			ck_assert_int_eq(made[i].outcome,
			    round == 0 ? ADD_CREATED : ADD_REPLACED);
	}
}
END_TEST

/* Somebody deletes it, or adds it again, and is stopped meanwhile. */
static const struct {
	const char *head, *tail;
	bool backlog;
} lock_cases[] = {
    {"SELECT * FROM event", " FOR UPDATE", false},
    {"SELECT * FROM event", " FOR UPDATE", true},
    {"DELETE FROM event", "", false},
    {"DELETE FROM event", "", true},
};

START_TEST(test_locked_row_delays_no_other)
{
	struct store_claim *claims[EVENTS_MAX];
	struct lease_reply leased;
	struct claim_reply turn;
	unsigned long version = mysql_get_server_version(admin);
	char text[64];

	if (version < 80001 || (version >= 100000 && version < 100600))
		return; /* it waits there */
	make_add(0, "a", SLICE_LITERAL(""));
	make_add(1, "b", SLICE_LITERAL(""));
	make_add(2, "c", SLICE_LITERAL(""));
	ck_assert_int_eq(
	    add_new_events(backend, add_list, EVENTS_MAX, &err), STORE_OK);
	ck_assert_int_eq(lease(backend, 1, &leased), STORE_OK);
	run_sql("START TRANSACTION");
	(void)snprintf(text, sizeof(text), "%s WHERE id = %lld%s",
	    lock_cases[_i].head, (long long)adds[1].row_id,
	    lock_cases[_i].tail);
	run_sql(text);
	mysql_free_result(mysql_store_result(admin));
	turn = claim_in(1, lock_cases[_i].backlog, claims);
	ck_assert_uint_eq(turn.n_claims, 2);
	/* It is looked for again before long. */
	ck_assert_int_le(turn.next_due_ms, now_ms + 100);
	for (size_t i = 0; i < turn.n_claims; i++) {
		ck_assert_int_ne(claims[i]->event.id.p[0], 'b');
		store_claim_free(claims[i]);
	}
	run_sql("ROLLBACK");
	turn = claim(1, claims);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_int_eq(claims[0]->event.id.p[0], 'b');
	store_claim_free(claims[0]);
}
END_TEST

/* ---- rows of others ---- */

/* So few rows that a scan of all looks cheaper than one look for each; somebody
 * has six others locked, of that status. */
static void
lock_other_rows(int row_status)
{
	char insert[512];

	run_sql("INSERT INTO instance (owner, until_ms, host, pid, started_ms,"
		" active) VALUES (2, 1 << 48, '', 1, 1, 0)");
	(void)snprintf(insert, sizeof(insert),
	    "INSERT INTO event SELECT n, CONCAT(n), 7, %d, 1, 2, 1 << 47, 0, 0,"
	    " '', 'a', CONCAT('x', n), 'POST', 'http://a/', '', '', 0, 0,"
	    " '', 0, '' FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3"
	    " UNION SELECT 4 UNION SELECT 5 UNION SELECT 6) numbers",
	    row_status);
	run_sql(insert);
	run_sql("ANALYZE TABLE event, attempt, label, lease, instance");
	mysql_free_result(mysql_store_result(admin));
	run_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
	run_sql("START TRANSACTION");
	run_sql("SELECT id FROM event FORCE INDEX (PRIMARY) WHERE id <= 6"
		" FOR UPDATE");
	mysql_free_result(mysql_store_result(admin));
}

static void
settle_all(const struct store_result *like, struct store_claim *const *claims)
{
	struct store_result results[EVENTS_MAX];
	struct store_claim *none[EVENTS_MAX];
	const struct claim_request request = {.owner = 1,
	    .claims = none,
	    .results = results,
	    .n_results = EVENTS_MAX};
	struct claim_reply turn;

	for (int i = 0; i < EVENTS_MAX; i++) {
		results[i] = *like;
		results[i].row_id = claims[i]->row_id;
		results[i].attempt = claims[i]->attempt;
		store_claim_free(claims[i]);
	}
	ck_assert_msg(
	    settle_and_claim(backend, &request, &turn, &err) == STORE_OK, "%s",
	    err.text);
	ck_assert_uint_eq(turn.n_stale, 0);
}

static const struct store_result ends_of_claims[] = {
    {.kind = RESULT_COMPLETED, .at_ms = 1, .code = 200},
    {.kind = RESULT_RETRY, .at_ms = 1, .code = 503, .due_ms = 1},
    {.kind = RESULT_FAILED, .at_ms = 1, .code = 503},
    {.kind = RESULT_RELEASED},
};

/* Nothing waits for a row that it does not name. */
START_TEST(test_rows_of_others)
{
	const struct store_result *end = &ends_of_claims[_i];
	struct store_claim *claims[EVENTS_MAX];
	struct lease_reply leased;
	size_t n;

	make_add(0, "a", SLICE_LITERAL(""));
	make_add(1, "b", SLICE_LITERAL(""));
	make_add(2, "c", SLICE_LITERAL(""));
	ck_assert_int_eq(
	    add_new_events(backend, add_list, EVENTS_MAX, &err), STORE_OK);
	ck_assert_int_eq(lease(backend, 1, &leased), STORE_OK);
	lock_other_rows(ROW_PROCESSING);
	ck_assert_uint_eq(claim(1, claims).n_claims, EVENTS_MAX);
	settle_all(end, claims);
	ck_assert_msg(purge_ended(backend, UINT64_MAX, 2, 9, &n, &err) ==
			  STORE_OK,
	    "%s", err.text);
	ck_assert_uint_eq(n, end->kind == RESULT_COMPLETED ||
				     end->kind == RESULT_FAILED
				 ? EVENTS_MAX
				 : 0);
	run_sql("ROLLBACK");
}
END_TEST

/* Those of one that has died are put back, whoever is at what waits. */
START_TEST(test_rows_of_the_dead_only)
{
	struct store_claim *claims[EVENTS_MAX];
	const struct store_death death = {.owner = 1, .wire_known = true};
	const struct lease_request request = {.owner = 3,
	    .lease_ms = 60000,
	    .max_attempts = 1,
	    .dead = &death,
	    .n_dead = _i == 0,
	    .instances = instances};
	struct lease_reply leased;

	make_add(0, "a", SLICE_LITERAL(""));
	make_add(1, "b", SLICE_LITERAL(""));
	make_add(2, "c", SLICE_LITERAL(""));
	ck_assert_int_eq(
	    add_new_events(backend, add_list, EVENTS_MAX, &err), STORE_OK);
	ck_assert_int_eq(lease(backend, 1, &leased), STORE_OK);
	ck_assert_uint_eq(claim(1, claims).n_claims, EVENTS_MAX);
	for (int i = 0; i < EVENTS_MAX; i++)
		store_claim_free(claims[i]);
	if (request.n_dead == 0)
		run_sql("DELETE FROM instance WHERE owner = 1");
	lock_other_rows(ROW_WAITING);
	ck_assert_msg(
	    lease_shards(backend, &request, &leased, &err) == STORE_OK, "%s",
	    err.text);
	ck_assert_uint_eq(leased.n_interrupted, EVENTS_MAX);
	run_sql("ROLLBACK");
}
END_TEST

/* Whoever adds very many keeps nobody from what is there already. */
START_TEST(test_rows_of_open_adds_hide_none)
{
	struct store_claim *claims[EVENTS_MAX];
	struct lease_reply leased;
	struct claim_reply turn;
	struct store_result result;

	add_very_many(4, 200000, now_ms);
	ck_assert_int_eq(lease(backend, 1, &leased), STORE_OK);
	turn = claim(1, claims);
	ck_assert_uint_eq(turn.n_claims, EVENTS_MAX);
	result = (struct store_result){.row_id = claims[0]->row_id,
	    .kind = RESULT_COMPLETED,
	    .attempt = 1,
	    .at_ms = now_ms,
	    .code = 200};
	for (size_t i = 0; i < turn.n_claims; i++)
		store_claim_free(claims[i]);

	run_sql("START TRANSACTION");
	add_very_many(4, 100000, now_ms - 1000);
	/* With a result to write, and without. */
	for (size_t n = 2; n-- > 0;) {
		turn = claim_with(1, true, &result, n, claims);
		ck_assert_uint_eq(turn.n_stale, 0);
		ck_assert_uint_eq(turn.n_claims, EVENTS_MAX);
		ck_assert(turn.more);
		for (size_t i = 0; i < turn.n_claims; i++) {
			ck_assert_int_gt(claims[i]->row_id, 200000);
			store_claim_free(claims[i]);
		}
	}
	run_sql("ROLLBACK");
}
END_TEST

/* Columns beyond the room of the first row, and rows after them. */
START_TEST(test_long_columns)
{
	static char body[BODY_BYTES];
	struct store_claim *claims[EVENTS_MAX];
	struct lease_reply leased;
	struct claim_reply turn;

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)i;
	make_add(0, "a", SLICE_LITERAL(""));
	make_add(1, "b", slice_of(body, sizeof(body)));
	make_add(2, "c", slice_of(body, 100));
	ck_assert_int_eq(
	    add_new_events(backend, add_list, EVENTS_MAX, &err), STORE_OK);
	ck_assert_int_eq(lease(backend, 1, &leased), STORE_OK);
	ck_assert_uint_eq(leased.shards, UINT64_MAX);
	turn = claim(1, claims);
	ck_assert_uint_eq(turn.n_claims, EVENTS_MAX);
	for (size_t i = 0; i < turn.n_claims; i++) {
		const struct event *ev = &claims[i]->event;

		ck_assert(slice_eq(ev->body, events[ev->id.p[0] - 'a'].body));
		store_claim_free(claims[i]);
	}
}
END_TEST

/* Of a result that was read in part the rest looks like a broken connection. */
START_TEST(test_find_keeps_connection)
{
	static char body[BODY_BYTES];
	struct store_record *record;

	make_add(0, "a", slice_of(body, sizeof(body)));
	ck_assert_int_eq(add_new_events(backend, add_list, 1, &err), STORE_OK);
	ck_assert_int_eq(
	    find_event(backend, &adds[0].key, FIND_WHOLE, &record, &err),
	    STORE_OK);
	ck_assert_ptr_nonnull(record);
	ck_assert(slice_eq(record->event.body, events[0].body));
	store_record_free(record);
	ck_assert(OPS->alive(backend));
}
END_TEST

/* SELECT 1 + 2 + … + arity */
static int64_t
sum(unsigned arity)
{
	static const struct sql_text sql = {
	    .head = "SELECT ", .item = "?", .sep = " + ", .columns = "i"};
	struct sql *c = backend;
	enum store_status status;
	int64_t value = 0;

	for (unsigned i = 1; i <= arity; i++)
		sql_i64(c, i);
	status = sql_select(c, &sql, arity, &err);
	while (sql_next(c, &status, &err))
		value = sql_read_i64(backend);
	ck_assert_msg(status == STORE_OK, "%s", err.text);
	return value;
}

/* The server's statements are for all connections of all processes. */
START_TEST(test_prepared_statements_are_few)
{
	int64_t n;

	for (unsigned arity = 1; arity <= 2 * MYSQL_PREPARED_MAX; arity++) {
		ck_assert_int_eq(sum(arity), arity * (arity + 1) / 2);
		ck_assert_int_eq(sum(1), 1);
	}
	ck_assert_int_eq(
	    server_count("Prepared_stmt_count"), MYSQL_PREPARED_MAX);
	/* What was used last is still there, what was not is not. */
	n = server_count("Com_stmt_prepare");
	ck_assert_int_eq(sum(1), 1);
	ck_assert_int_eq(sum(MYSQL_PREPARED_MAX + 2),
	    (MYSQL_PREPARED_MAX + 2) * (MYSQL_PREPARED_MAX + 3) / 2);
	ck_assert_int_eq(server_count("Com_stmt_prepare"), n);
	ck_assert_int_eq(sum(2), 3);
	ck_assert_int_eq(server_count("Com_stmt_prepare"), n + 1);
	ck_assert_int_eq(add_one("a"), STORE_OK);
	ck_assert_int_eq(
	    server_count("Prepared_stmt_count"), MYSQL_PREPARED_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store_mysql");
	TCase *tc = tcase_create("mysql");

	test_url = getenv("CASSATA_TEST_DATASTORE");
	if (test_url == NULL || strncmp(test_url, "mysql:", 6) != 0)
		return SKIPPED;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_schema);
	tcase_add_test(tc, test_database_is_created);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_unreachable);
	tcase_add_test(tc, test_lost_connection);
	tcase_add_test(tc, test_next_host);
	tcase_add_test(tc, test_return);
	tcase_add_test(tc, test_nonsense);
	tcase_add_test(tc, test_no_host);
	tcase_add_test(tc, test_black_hole);
	tcase_add_test(tc, test_read_only);
	tcase_add_test(tc, test_refuses_writes);
	tcase_add_test(tc, test_small_packets);
	tcase_add_test(tc, test_purge_of_what_begins_again);
	tcase_add_test(tc, test_deadlock_amid_rows);
	tcase_add_test(tc, test_two_schedules_at_once);
	tcase_add_test(tc, test_older_version);
	tcase_add_test(tc, test_renewal_waits_for_nobody);
	tcase_add_test(tc, test_taking_waits_for_nobody);
	tcase_add_test(tc, test_renewal_before_all);
	tcase_add_test(tc, test_registered_meanwhile);
	tcase_add_test(tc, test_damaged_among_the_newest);
	tcase_add_test(tc, test_durability);
	tcase_add_loop_test(tc, test_taken_row_id, 1, EVENTS_MAX + 1);
	tcase_add_test(tc, test_too_large);
	tcase_add_loop_test(tc, test_locked_row_delays_no_other, 0,
	    (int)(sizeof(lock_cases) / sizeof(lock_cases[0])));
	tcase_add_test(tc, test_rows_of_open_adds_hide_none);
	tcase_add_loop_test(tc, test_cost_of_a_list, 0,
	    (int)(sizeof(list_cases) / sizeof(list_cases[0])));
	tcase_add_test(tc, test_cost_of_replacing);
	tcase_add_loop_test(tc, test_cost_of_a_claim, 0,
	    (int)(sizeof(cost_cases) / sizeof(cost_cases[0])));
	tcase_add_test(tc, test_long_columns);
	tcase_add_test(tc, test_find_keeps_connection);
	tcase_add_test(tc, test_prepared_statements_are_few);
	suite_add_tcase(suite, tc);
	tc = tcase_create("brief");
	tcase_add_checked_fixture(tc, setup_brief, teardown);
	tcase_add_loop_test(tc, test_rows_of_others, 0,
	    sizeof(ends_of_claims) / sizeof(ends_of_claims[0]));
	tcase_add_loop_test(tc, test_rows_of_the_dead_only, 0, 2);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_lock_wait_ends);
	tcase_add_test(tc, test_idle_transaction_ends);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
