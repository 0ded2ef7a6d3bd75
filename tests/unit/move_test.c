/* SPDX-License-Identifier: ISC */
#include "store/move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "store/schema.h"
#include "suite.h"

static char dir[64];
static struct err err;

/* ---- checksums ---- */

static const struct move_table numbers = {
    .name = "numbers", .n_keys = 1, .letters = "ibu"};

/* Rows of a number, bytes, a number without a sign. */
static void
sum_of(const char *const bytes[], size_t n, char text[MOVE_SUM_TEXT])
{
	struct move_chunk chunk;
	struct move_sum sum;

	ck_assert_int_eq(move_chunk_init(&chunk), 0);
	ck_assert_int_eq(move_sum_init(&sum), 0);
	chunk.table = &numbers;
	for (size_t i = 0; i < n; i++) {
		struct move_cell *cells = &chunk.cells[3 * i];

		cells[0].number = (int64_t)i + 1;
		cells[1].at = chunk.bytes.len;
		cells[1].len = strlen(bytes[i]);
		cells[2].number = (int64_t)i - 1;
		ck_assert_int_eq(buf_append_string(&chunk.bytes, bytes[i]), 0);
		chunk.n_rows++;
	}
	ck_assert_int_eq(move_sum_add(&sum, &chunk), 0);
	ck_assert_int_eq(sum.n_rows, (int64_t)n);
	ck_assert_int_eq(move_sum_end(&sum, text), 0);
	move_sum_fini(&sum);
	move_chunk_fini(&chunk);
}

/* Made by another program. */
static const struct {
	size_t n;
	const char *bytes[2];
	const char *sum;
} sums[] = {
    {0, {NULL},
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {1, {"ab"},
	"5e670223635c95a79d53f12420b6e01a809122c12b0d0f33df9ccc47ebe7223d"},
    {2, {"ab", ""},
	"9c1e968ef831b6e22c2663186edec73da2f07a377ce3e5499576219005f8df74"},
};

START_TEST(test_sum)
{
	char text[MOVE_SUM_TEXT];

	sum_of(sums[_i].bytes, sums[_i].n, text);
	ck_assert_str_eq(text, sums[_i].sum);
}
END_TEST

/* ---- how much at a time ---- */

enum { KIB = 1024, MIB = 1024 * KIB };

static const struct {
	const struct sql_driver *driver;
	size_t transaction_max, rows_max, bytes_max;
} targets[] = {
    {&sql_sqlite, SIZE_MAX, 8192, 8 * MIB},
    {&sql_mysql, SIZE_MAX, 1024, MIB},
    {&sql_mysql, MIB, 257, 256 * KIB},
    {&sql_mysql, 16 * KIB, 5, 4 * KIB},
};

START_TEST(test_suit)
{
	const struct sql sql = {.driver = targets[_i].driver,
	    .transaction_max = targets[_i].transaction_max};
	struct move_chunk chunk;

	ck_assert_int_eq(move_chunk_init(&chunk), 0);
	move_chunk_suit(&chunk, &sql);
	ck_assert_uint_eq(chunk.rows_max, targets[_i].rows_max);
	ck_assert_uint_eq(chunk.bytes_max, targets[_i].bytes_max);
	ck_assert_uint_le(chunk.limit, chunk.rows_max);
	move_chunk_fini(&chunk);
}
END_TEST

/* ---- from file to file ---- */

enum {
	SMALL = 10000,
	LARGE = 7,
	LARGE_BYTES = 2 * 1024 * 1024,
	TRIES = 10000,
	JOBS = 150,
	LABELS = 900,
	PAUSES = 2,
};

static char source_url[128], target_url[128];
static const struct store_params source = {
    .url = source_url, .timeout_ms = 5000};
static const struct store_params target = {
    .url = target_url, .timeout_ms = 5000};

static struct sql *
open_file(const struct store_params *params)
{
	struct sql *sql;

	ck_assert_int_eq(sql_sqlite.create(params, &sql, &err), 0);
	ck_assert_int_eq(sql_sqlite.open(sql, &err), STORE_OK);
	return sql;
}

static void
run(struct sql *sql, const char *text)
{
	ck_assert_msg(
	    sql_sqlite.run(sql, text, &err) == STORE_OK, "%s", err.text);
}

static void
add_events(struct sql *sql, int from, int n, const char *body)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    "WITH RECURSIVE n (i) AS (SELECT %d"
	    " UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
	    " INSERT INTO event (id, k, shard, due_ms, expiry_ms, created_ms,"
	    " fingerprint, app, event_id, method, url, headers, body_is_text,"
	    " options, body) SELECT i, randomblob(16), abs(i) %% 64, abs(i), "
	    "1, 2,"
	    " randomblob(16), x'61', CAST(i AS BLOB), x'50', x'75', x'', 1,"
	    " CAST(i AS BLOB), %s"
	    " FROM n",
	    from, from + n - 1, body);
	run(sql, text);
}

static void
fill_source(void)
{
	struct sql *sql = open_file(&source);

	ck_assert_int_eq(schema_check(sql, true, 0, &err), STORE_OK);
	add_events(sql, -5, SMALL, "x'7b7d'");
	add_events(sql, SMALL, LARGE, "zeroblob(2 * 1024 * 1024)");
	/* Of one event more than a chunk has rows, of another some. */
	run(sql,
	    "WITH RECURSIVE n (i) AS (SELECT 1"
	    " UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
	    " INSERT INTO attempt (event, number, at_ms, code, error, response)"
	    " SELECT i / 9000 * 7, i, i, 500, x'', CAST(i AS BLOB) FROM n");
	run(sql,
	    "WITH RECURSIVE n (i) AS (SELECT 1"
	    " UNION ALL SELECT i + 1 FROM n WHERE i < 150)"
	    " INSERT INTO job (id, uuid, app, spec, state, paused, created_ms,"
	    " since_ms, counted_ms, ended_ms, before_id, due_ms, row_id, steps,"
	    " matched, done, skipped, error) SELECT i, randomblob(36), x'61',"
	    " randomblob(i), 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, x''"
	    " FROM n");
	run(sql,
	    "INSERT INTO schedule VALUES (7, 1, 2, 0, 3, 4, 5, 6, 7, x'61',"
	    " x'62', zeroblob(16), x'7b7d', x'', x'', x'', 0, x'', x'')");
	run(sql,
	    "INSERT INTO pause (number, kind, name, since_ms, until_ms, note)"
	    " VALUES (7, 0, x'61', 1, 0, x''), (4095, 1, x'62', 2, 3, x'63')");
	run(sql,
	    "WITH RECURSIVE n (i) AS (SELECT 0"
	    " UNION ALL SELECT i + 1 FROM n WHERE i < 899)"
	    " INSERT INTO label (event, number, k, due_ms)"
	    " SELECT i / 8, i % 8, randomblob(16), i FROM n");
	sql_sqlite.destroy(sql);
}

static void
setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/cassata-move-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(source_url, sizeof(source_url), "sqlite:%s/s.db", dir);
	(void)snprintf(target_url, sizeof(target_url), "sqlite:%s/t.db", dir);
	fill_source();
}

static void
teardown(void)
{
	static const char *const names[] = {
	    "s.db", "s.db-wal", "s.db-shm", "t.db", "t.db-wal", "t.db-shm"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	ck_assert_int_eq(rmdir(dir), 0);
}

/* Each row once, in little memory. */
START_TEST(test_chunks)
{
	static const int64_t wanted[MOVE_TABLES] = {
	    SMALL + LARGE, TRIES, JOBS, 1, PAUSES, LABELS};
	struct sql *sql = open_file(&source);
	struct move_chunk chunk;

	ck_assert_int_eq(move_chunk_init(&chunk), 0);
	move_chunk_suit(&chunk, sql);
	for (size_t i = 0; i < MOVE_TABLES; i++) {
		struct move_key key = move_key_begin();
		int64_t n = 0, n_rows;

		do {
			ck_assert_int_eq(
			    move_read(sql, &move_tables[i], &key, &chunk, &err),
			    STORE_OK);
			ck_assert_uint_le(chunk.n_rows, chunk.rows_max);
			ck_assert_uint_lt(chunk.bytes.len,
			    chunk.bytes_max + LARGE_BYTES + 1024);
			n += (int64_t)chunk.n_rows;
		} while (chunk.n_rows > 0);
		ck_assert_int_eq(n, wanted[i]);
		ck_assert_int_eq(
		    move_count(sql, &move_tables[i], &n_rows, &err), STORE_OK);
		ck_assert_int_eq(n, n_rows);
	}
	move_chunk_fini(&chunk);
	sql_sqlite.destroy(sql);
}
END_TEST

static int64_t told_done;
static char told_what[64];

/* Never back, and not beyond the end. */
static void
on_progress(void *arg, const struct move_progress *progress)
{
	(void)arg;
	if (strcmp(told_what, progress->what) != 0)
		told_done = 0;
	(void)snprintf(told_what, sizeof(told_what), "%s", progress->what);
	ck_assert_int_ge(progress->done, told_done);
	ck_assert_int_le(progress->done, progress->all);
	told_done = progress->done;
}

static void
on_wait(void *arg, const char *where, int64_t n_workers, int64_t max_ms)
{
	(void)arg;
	(void)where;
	ck_assert_int_gt(n_workers, 0);
	ck_assert_int_ge(max_ms, 0);
}

static const struct move_params params = {
    .source = &source,
    .target = &target,
    .progress = on_progress,
    .on_wait = on_wait,
};

static struct move *
begin_move(bool wanted_resumed)
{
	struct move *move;
	bool resumed;

	ck_assert_int_eq(move_open(&params, &move, &err), 0);
	ck_assert_msg(move_begin(move, &resumed, &err) == 0, "%s", err.text);
	ck_assert(resumed == wanted_resumed);
	return move;
}

static void
end_move(struct move *move, bool wanted_same)
{
	struct move_result results[MOVE_TABLES];
	bool same;

	ck_assert_msg(move_copy(move, &err) == 0, "%s", err.text);
	ck_assert_int_eq(move_compare(move, results, &same, &err), 0);
	ck_assert(same == wanted_same);
	ck_assert_int_eq(results[0].n_source, SMALL + LARGE);
	ck_assert_int_eq(results[1].n_source, TRIES);
	ck_assert_int_eq(results[2].n_source, JOBS);
	ck_assert_int_eq(results[4].n_source, PAUSES);
	ck_assert_int_eq(results[5].n_source, LABELS);
	if (same)
		ck_assert_int_eq(move_end(move, &err), 0);
	move_close(&move);
}

START_TEST(test_whole)
{
	end_move(begin_move(false), true);
}
END_TEST

/* The first chunk of each table, as one left it that was killed. */
static void
copy_some(void)
{
	struct sql *from = open_file(&source), *to = open_file(&target);
	struct move_chunk chunk;

	ck_assert_int_eq(move_chunk_init(&chunk), 0);
	move_chunk_suit(&chunk, to);
	for (size_t i = 0; i < MOVE_TABLES; i++) {
		struct move_key key = move_key_begin();

		chunk.limit = 100;
		ck_assert_int_eq(
		    move_read(from, &move_tables[i], &key, &chunk, &err),
		    STORE_OK);
		ck_assert_int_eq(move_write(to, &chunk, &err), STORE_OK);
	}
	move_chunk_fini(&chunk);
	sql_sqlite.destroy(from);
	sql_sqlite.destroy(to);
}

START_TEST(test_resumed)
{
	struct move *move = begin_move(false);

	move_close(&move);
	copy_some();
	end_move(begin_move(true), true);
}
END_TEST

/* What is no more in the source, or is otherwise there, is found. */
START_TEST(test_differs)
{
	static const char *const changes[] = {"DELETE FROM event WHERE id = -5",
	    "UPDATE event SET suspect = 1 WHERE id = 2",
	    "UPDATE attempt SET response = x'00' WHERE number = 3",
	    "UPDATE job SET done = 11 WHERE id = 7",
	    "UPDATE label SET due_ms = 11 WHERE event = 7 AND number = 2"};
	struct move *move = begin_move(false);
	struct sql *sql;

	move_close(&move);
	copy_some();
	sql = open_file(&target);
	run(sql, changes[_i]);
	sql_sqlite.destroy(sql);
	end_move(begin_move(true), false);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("move");
	TCase *tc = tcase_create("move"), *files = tcase_create("files");

	tcase_add_loop_test(
	    tc, test_sum, 0, (int)(sizeof(sums) / sizeof(sums[0])));
	tcase_add_loop_test(
	    tc, test_suit, 0, (int)(sizeof(targets) / sizeof(targets[0])));
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_set_timeout(files, 60);
	tcase_add_test(files, test_chunks);
	tcase_add_test(files, test_whole);
	tcase_add_test(files, test_resumed);
	tcase_add_loop_test(files, test_differs, 0, 5);
	suite_add_tcase(suite, files);
	return suite_run(suite);
}
