/* SPDX-License-Identifier: ISC */
/*
 * The file of a SQLite datastore lies. The first byte chooses how the small
 * valid file is spoilt: by statements that put values of any type into any
 * column, the input's or ready ones, or by changed bytes of the file itself.
 * Then the store works on it.
 */
#include "sql/sql_sqlite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "store/add.h"
#include "store/cancel.h"
#include "store/claim.h"
#include "store/columns.h"
#include "store/find.h"
#include "store/lease.h"
#include "store/purge.h"
#include "store/schema.h"
#include "target.h"

#define OPS (&sql_sqlite)

enum { CLAIMS_MAX = 8, FILE_MAX_BYTES = 1024 * 1024 };

/* In memory, where there is such a place: the store waits for its disk. */
static char directory[] = "/dev/shm/sqlite-fuzz-XXXXXX";
static char path[sizeof(directory) + 8];

static struct event event;
static struct store_add adds[3];

/* The file as the store makes it, with three events and their logs. */
static char *valid;
static size_t valid_len;

/* ---- the input ---- */

static const uint8_t *input;
static size_t input_len;

static unsigned
take(void)
{
	if (input_len == 0)
		return 0;
	input_len--;
	return *input++;
}

static uint64_t
take_64(void)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | take();
	return value;
}

/* ---- the file ---- */

static void
remove_files(void)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
	char name[sizeof(path) + 8];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static void
clean_up(void)
{
	remove_files();
	(void)rmdir(directory);
}

static void
run(sqlite3 *db, const char *sql)
{
	CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static void
read_valid(void)
{
	FILE *f = fopen(path, "r");

	CHECK(f != NULL);
	valid = malloc(FILE_MAX_BYTES);
	CHECK(valid != NULL);
	valid_len = fread(valid, 1, FILE_MAX_BYTES, f);
	CHECK(valid_len > 0 && valid_len < FILE_MAX_BYTES);
	(void)fclose(f);
}

static void
write_file(const char *bytes, size_t len)
{
	FILE *f;

	remove_files();
	f = fopen(path, "w");
	CHECK(f != NULL);
	CHECK(fwrite(bytes, 1, len, f) == len);
	CHECK(fclose(f) == 0);
}

static struct sql *
open_backend(void)
{
	char url[sizeof(path) + 8];
	struct store_params params = {.url = url, .timeout_ms = 100};
	struct sql *backend;
	struct err err;

	(void)snprintf(url, sizeof(url), "sqlite:%s", path);
	CHECK(OPS->create(&params, &backend, &err) == 0);
	return backend;
}

static void
make_valid(void)
{
	struct store_add *list[] = {&adds[0], &adds[1], &adds[2]};
	struct sql *backend;
	struct err err;
	sqlite3 *db;

	if (access("/dev/shm", W_OK) == -1)
		memcpy(directory, "/tmp////", strlen("/tmp////"));
	CHECK(mkdtemp(directory) != NULL);
	(void)snprintf(path, sizeof(path), "%s/db", directory);
	CHECK(atexit(clean_up) == 0);
	event = (struct event){
	    .app = SLICE_LITERAL("app"),
	    .id = SLICE_LITERAL("id"),
	    .method = SLICE_LITERAL("POST"),
	    .url = SLICE_LITERAL("http://a/"),
	    .headers = SLICE_LITERAL("A: b\n"),
	    .body = SLICE_LITERAL("{\"some\": \"body\"}"),
	};
	for (uint8_t i = 0; i < 3; i++) {
		adds[i] = (struct store_add){.event = &event};
		adds[i].key.bytes[0] = i;
		adds[i].key.bytes[EVENT_KEY_BYTES - 1] = i;
	}
	backend = open_backend();
	CHECK(OPS->open(backend, &err) == STORE_OK);
	CHECK(schema_check(backend, true, 0, &err) == STORE_OK);
	CHECK(add_new_events(backend, list, 3, &err) == STORE_OK);
	OPS->destroy(backend);
	/* The store sorts the keys, and gives ids by the time. */
	CHECK(sqlite3_open(path, &db) == SQLITE_OK);
	run(db, "UPDATE event SET id = rowid - (SELECT min(id) FROM event) + 1"
		" WHERE id > 3");
	run(db, "INSERT INTO attempt"
		" (event, number, at_ms, code, error, response) SELECT id, n, "
		"5, 500, x'6572726f72',"
		" x'726573706f6e7365' FROM event,"
		" (SELECT 1 AS n UNION SELECT 2)");
	run(db, "UPDATE lease SET owner = 1, until_ms = 5000000000000"
		" WHERE shard < 3");
	run(db, "INSERT INTO instance"
		" (owner, until_ms, host, pid, started_ms, active) VALUES (1, "
		"5000000000000, 'a', 1, 1, 1),"
		" (2, 1, 'a', 1, 1, 1)");
	run(db, "PRAGMA journal_mode = DELETE");
	(void)sqlite3_close(db);
	read_valid();
}

/* ---- lies ---- */

static const struct {
	const char *table, *column;
} columns[] = {
    {"event", "id"},
    {"event", "k"},
    {"event", "shard"},
    {"event", "status"},
    {"event", "attempts"},
    {"event", "owner"},
    {"event", "due_ms"},
    {"event", "expiry_ms"},
    {"event", "created_ms"},
    {"event", "fingerprint"},
    {"event", "last_code"},
    {"event", "last_error"},
    {"event", "app"},
    {"event", "event_id"},
    {"event", "method"},
    {"event", "url"},
    {"event", "headers"},
    {"event", "body_is_text"},
    {"event", "body"},
    {"event", "options"},
    {"attempt", "event"},
    {"attempt", "number"},
    {"attempt", "at_ms"},
    {"attempt", "code"},
    {"attempt", "error"},
    {"attempt", "response"},
    {"lease", "shard"},
    {"lease", "owner"},
    {"lease", "until_ms"},
    {"instance", "owner"},
    {"instance", "until_ms"},
    {"instance", "active"},
    {"instance", "host"},
    {"instance", "lease_ms"},
    {"instance", "wall_ms"},
    {"meta", "name"},
    {"meta", "value"},
};

/* A value that the input chooses, as SQL. */
static void
make_value(char *sql, size_t size)
{
	static const char *const ready[] = {"NULL", "0", "1", "2", "3", "-1",
	    "63", "64", "9223372036854775807", "-9223372036854775808", "1e300",
	    "0.5", "''", "x''", "'text'", "'a' || char(0) || hex(zeroblob(99))",
	    "char(0)", "char(233, 8364, 0, 97)", "zeroblob(600)",
	    "zeroblob(70000)", "562949953421313", "4294967296", "x'00'",
	    "CAST(x'ff00fe41' AS TEXT)", "hex(zeroblob(40000))", "1000001"};
	size_t n = sizeof(ready) / sizeof(ready[0]);
	unsigned choice = take();

	if (choice < n)
		(void)snprintf(sql, size, "%s", ready[choice]);
	else if (choice % 2 == 0)
		(void)snprintf(sql, size, "%lld", (long long)take_64());
	else
		(void)snprintf(sql, size, "CAST(x'%016llx' AS TEXT)",
		    (unsigned long long)take_64());
}

/* Constraints are not in the way of one who writes by himself. */
static void
spoil_values(void)
{
	char value[64], sql[256];
	sqlite3 *db;

	write_file(valid, valid_len);
	CHECK(sqlite3_open(path, &db) == SQLITE_OK);
	run(db, "PRAGMA ignore_check_constraints = ON");
	run(db, "PRAGMA synchronous = OFF");
	run(db, "PRAGMA journal_mode = MEMORY");
	run(db, "PRAGMA writable_schema = ON");
	run(db, "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')");
	(void)sqlite3_close(db);
	CHECK(sqlite3_open(path, &db) == SQLITE_OK);
	run(db, "PRAGMA ignore_check_constraints = ON");
	run(db, "PRAGMA synchronous = OFF");
	run(db, "PRAGMA journal_mode = MEMORY");
	for (unsigned n = take() % 8; n > 0; n--) {
		size_t which = take() % (sizeof(columns) / sizeof(columns[0]));

		make_value(value, sizeof(value));
		(void)snprintf(sql, sizeof(sql),
		    "UPDATE OR REPLACE %s SET %s = %s WHERE rowid %% 4 < %u",
		    columns[which].table, columns[which].column, value,
		    take() % 4 + 1);
		/* Tables without a rowid. */
		if (strcmp(columns[which].table, "attempt") == 0 ||
		    strcmp(columns[which].table, "meta") == 0)
			*strstr(sql, " WHERE") = '\0';
		(void)sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	(void)sqlite3_close(db);
}

static void
spoil_bytes(void)
{
	char *bytes = malloc(valid_len);
	size_t len = valid_len;

	CHECK(bytes != NULL);
	memcpy(bytes, valid, valid_len);
	while (input_len >= 4) {
		size_t page = take() % (valid_len / 4096 + 1);
		size_t at = page * 4096 + (take() << 8 | take()) % 4096;

		if (at < valid_len)
			bytes[at] = (char)take();
		else
			len = valid_len - take() * 16U;
	}
	write_file(bytes, len);
	free(bytes);
}

/* ---- the store ---- */

static void
look_at(struct slice s)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum ^= (uint8_t)s.p[i];
	*(volatile uint8_t *)&sum = sum;
}

static void
look_at_event(const struct event *ev)
{
	look_at(ev->app);
	look_at(ev->id);
	look_at(ev->method);
	look_at(ev->url);
	look_at(ev->headers);
	look_at(ev->body);
}

static void
find(struct sql *backend, enum store_find what, unsigned which)
{
	struct store_record *record = NULL;
	struct err err;

	(void)find_event(backend, &adds[which].key, what, &record, &err);
	if (record == NULL)
		return;
	look_at_event(&record->event);
	look_at(record->last_error);
	for (size_t i = 0; i < record->n_log; i++) {
		look_at(record->log[i].error);
		look_at(record->log[i].response);
	}
	store_record_free(record);
}

static void
turn(struct sql *backend)
{
	const struct store_result results[] = {
	    {.row_id = 1, .kind = RESULT_COMPLETED, .attempt = 1, .code = 200},
	    {.row_id = 2, .kind = RESULT_RETRY, .attempt = 1},
	    {.row_id = 3, .kind = RESULT_RELEASED, .attempt = 1},
	};
	struct store_claim *claims[CLAIMS_MAX];
	const struct claim_request request = {
	    .owner = 1,
	    .shards = UINT64_MAX,
	    .results = results,
	    .n_results = 3,
	    .claim_max = CLAIMS_MAX,
	    .horizon_ms = INT64_C(2000000000000),
	    .claims = claims,
	};
	struct claim_reply t;
	struct err err;

	(void)settle_and_claim(backend, &request, &t, &err);
	CHECK(t.n_claims <= CLAIMS_MAX);
	while (t.n_claims > 0) {
		struct store_claim *claim = claims[--t.n_claims];

		look_at_event(&claim->event);
		CHECK(claim->shard < EVENT_SHARDS && claim->attempt > 0);
		store_claim_free(claim);
	}
}

static void
lease(struct sql *backend, uint64_t owner)
{
	static struct store_instance instances[STORE_INSTANCES_MAX];
	const struct lease_request request = {
	    .owner = owner,
	    .instances = instances,
	    .lease_ms = 30000,
	    .in_doubt = true,
	    .max_attempts = 6,
	};
	struct lease_reply reply;
	struct err err;

	(void)lease_shards(backend, &request, &reply, &err);
	CHECK(reply.n_strays <= STORE_STRAYS_MAX);
	CHECK(reply.n_instances <= STORE_INSTANCES_MAX);
}

/* Reads the bytes of a changed file may lead anywhere, but to an end. */
static int
give_up(void *arg)
{
	unsigned *n = arg;

	return ++*n > 1000;
}

static void
operate(struct sql *backend)
{
	struct store_add add = adds[2], *list[] = {&add};
	enum cancel_outcome outcome;
	enum event_state state;
	struct err err;
	size_t n = 0;

	for (unsigned i = 0; i < 3; i++)
		find(backend, i == 0 ? FIND_STATUS : FIND_WHOLE, i);
	lease(backend, 1);
	turn(backend);
	lease(backend, 2);
	(void)add_new_events(backend, list, 1, &err);
	(void)cancel_event(backend, &adds[0].key, &outcome, &state, &err);
	(void)purge_ended(backend, UINT64_MAX, INT64_MAX, 8, &n, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sql *backend;
	unsigned n_steps = 0;
	struct err err;

	if (valid == NULL)
		make_valid();
	input = data;
	input_len = size;
	if (take() % 2 == 0)
		spoil_values();
	else
		spoil_bytes();
	backend = open_backend();
	if (OPS->open(backend, &err) == STORE_OK) {
		sqlite3_progress_handler(
		    sqlite_conn_of(backend)->db, 10000, give_up, &n_steps);
		(void)sqlite3_exec(sqlite_conn_of(backend)->db,
		    "PRAGMA synchronous = OFF", NULL, NULL, NULL);
		if (schema_check(backend, true, 0, &err) == STORE_OK)
			operate(backend);
	}
	OPS->destroy(backend);
	return 0;
}
