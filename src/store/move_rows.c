/* SPDX-License-Identifier: ISC */
#include "store/move_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "store/columns.h"
#include "store/job_row.h"
#include "store/schedule.h"

/* Those of columns.h, and those that are nobody else's to read. */
#define WHOLE_NAMES   EVENT_NAMES ", k, fingerprint, owner, suspect"
#define WHOLE_LETTERS EVENT_LETTERS "bbui"
#define WHOLE_PLACES  EVENT_PLACES ", ?, ?, ?, ?"

#define ATTEMPT_NAMES   "event, number, at_ms, code, error, response"
#define ATTEMPT_LETTERS "iiiibb"
#define ATTEMPT_PLACES  "?, ?, ?, ?, ?, ?"

#define JOB_PLACES    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
#define LABEL_NAMES   "event, number, due_ms, k"
#define LABEL_LETTERS "iiib"
#define LABEL_PLACES  "?, ?, ?, ?"

/* MySQL finds no range in a comparison of rows. */
#define OF_A_NUMBER(TABLE, KEY, NAMES, LETTERS, PLACES)                        \
	{                                                                      \
		.name = (TABLE), .n_keys = 1, .letters = (LETTERS),            \
		.count = {.head = "SELECT COUNT(*) FROM " TABLE,               \
		    .columns = "i"},                                           \
		.last = {.head = "SELECT " KEY " FROM " TABLE " ORDER BY " KEY \
				 " DESC LIMIT 1",                              \
		    .columns = "i"},                                           \
		.read = {.head = "SELECT " NAMES " FROM " TABLE " WHERE " KEY  \
				 " > ? ORDER BY " KEY " LIMIT ?",              \
		    .columns = (LETTERS)},                                     \
		.insert = {                                                    \
		    .head = "INSERT INTO " TABLE " (" NAMES ") VALUES ",       \
		    .item = "(" PLACES ")",                                    \
		    .sep = ", "},                                              \
	}

#define OF_AN_EVENT(NAME, NAMES, LETTERS, PLACES)                              \
	{                                                                      \
		.name = (NAME), .n_keys = 2, .letters = (LETTERS),             \
		.count = {.head = "SELECT COUNT(*) FROM " NAME,                \
		    .columns = "i"},                                           \
		.last = {.head = "SELECT event, number FROM " NAME             \
				 " ORDER BY event DESC, number DESC LIMIT 1",  \
		    .columns = "ii"},                                          \
		.read = {.head =                                               \
			     "SELECT " NAMES " FROM " NAME                     \
			     " WHERE event >= ? AND (event > ? OR"             \
			     " number > ?) ORDER BY event, number LIMIT ?",    \
		    .columns = (LETTERS)},                                     \
		.insert = {                                                    \
			.head = "INSERT INTO " NAME " (" NAMES ") VALUES ",    \
			.item = "(" PLACES ")",                                \
			.sep = ", "                                            \
		}                                                              \
	}

#define PAUSE_NAMES   "number, kind, since_ms, until_ms, name, note"
#define PAUSE_LETTERS "iiiibb"
#define PAUSE_PLACES  "?, ?, ?, ?, ?, ?"

const struct move_table move_tables[MOVE_TABLES] = {
    {
	.name = "event",
	.n_keys = 1,
	.letters = WHOLE_LETTERS,
	.count = {.head = "SELECT COUNT(*) FROM event", .columns = "i"},
	.last = {.head = "SELECT id FROM event ORDER BY id DESC LIMIT 1",
	    .columns = "i"},
	.read = {.head = "SELECT " WHOLE_NAMES " FROM event WHERE id > ?"
			 " ORDER BY id LIMIT ?",
	    .columns = WHOLE_LETTERS},
	.insert = {.head = "INSERT INTO event (" WHOLE_NAMES ") VALUES ",
	    .item = "(" WHOLE_PLACES ")",
	    .sep = ", "},
    },
    OF_AN_EVENT("attempt", ATTEMPT_NAMES, ATTEMPT_LETTERS, ATTEMPT_PLACES),
    OF_A_NUMBER("job", "id", JOB_ROW_NAMES, JOB_ROW_LETTERS, JOB_PLACES),
    OF_A_NUMBER(
	"schedule", "id", SCHEDULE_NAMES, SCHEDULE_LETTERS, SCHEDULE_PLACES),
    OF_A_NUMBER("pause", "number", PAUSE_NAMES, PAUSE_LETTERS, PAUSE_PLACES),
    OF_AN_EVENT("label", LABEL_NAMES, LABEL_LETTERS, LABEL_PLACES),
};

struct move_key
move_key_begin(void)
{
	return (struct move_key){{INT64_MIN, INT64_MIN}};
}

/* ---- a chunk ---- */

enum { LIMIT_FIRST = 16 };

int
move_chunk_init(struct move_chunk *chunk)
{
	*chunk = (struct move_chunk){
	    .rows_max = 1, .bytes_max = 1, .limit = LIMIT_FIRST};
	/* One row more than its fill, however large. */
	buf_init(&chunk->bytes, 2 * (size_t)SQL_BYTES_MAX);
	chunk->cells = calloc(
	    (size_t)MOVE_ROWS_MAX * MOVE_COLUMNS_MAX, sizeof(*chunk->cells));
	return chunk->cells == NULL ? -1 : 0;
}

/*
 * A transaction each. Between servers it travels whole; in a file it touches a
 * page for each row, at random, so that the more rows there are the more of
 * them share one. Of what a cluster takes bytes and the rest of the rows get a
 * part.
 */
void
move_chunk_suit(struct move_chunk *chunk, const struct sql *target)
{
	enum { PART = 4, ROW_BYTES = 1024 };
	size_t room = target->transaction_max / PART;
	bool remote = target->driver->remote;

	chunk->bytes_max = (remote ? 1 : 8) * (size_t)1024 * 1024;
	if (chunk->bytes_max > room)
		chunk->bytes_max = room;
	chunk->rows_max = remote ? MOVE_ROWS_MAX / 8 : MOVE_ROWS_MAX;
	if (chunk->rows_max > room / ROW_BYTES)
		chunk->rows_max = room / ROW_BYTES + 1;
	if (chunk->limit > chunk->rows_max)
		chunk->limit = chunk->rows_max;
}

void
move_chunk_fini(struct move_chunk *chunk)
{
	free(chunk->cells);
	chunk->cells = NULL;
	buf_free(&chunk->bytes);
}

static enum store_status
take_cells(struct sql *sql, struct move_chunk *chunk, struct err *err)
{
	const char *letters = chunk->table->letters;
	size_t n_columns = strlen(letters);
	struct move_cell *cells = &chunk->cells[chunk->n_rows * n_columns];

	for (size_t i = 0; i < n_columns; i++) {
		struct slice bytes;

		if (letters[i] != 'b') {
			cells[i].number = sql_read_i64(sql);
			continue;
		}
		bytes = sql_read_bytes(sql);
		cells[i].at = chunk->bytes.len;
		cells[i].len = bytes.len;
		if (buf_append_slice(&chunk->bytes, bytes) == -1)
			return sql_no_memory(err);
	}
	chunk->n_rows++;
	return STORE_OK;
}

/* What is asked for and not taken would be read twice. */
static void
choose_limit(struct move_chunk *chunk)
{
	size_t limit = 2 * chunk->n_rows;

	if (limit < LIMIT_FIRST)
		limit = LIMIT_FIRST;
	chunk->limit = limit < chunk->rows_max ? limit : chunk->rows_max;
}

static void
bind_key(
    struct sql *sql, const struct move_table *table, const struct move_key *key)
{
	sql_i64(sql, key->part[0]);
	if (table->n_keys == 1)
		return;
	sql_i64(sql, key->part[0]);
	sql_i64(sql, key->part[1]);
}

enum store_status
move_read(struct sql *sql, const struct move_table *table, struct move_key *key,
    struct move_chunk *chunk, struct err *err)
{
	size_t n_columns = strlen(table->letters);
	enum store_status status;

	check(n_columns <= MOVE_COLUMNS_MAX);
	chunk->table = table;
	chunk->n_rows = 0;
	buf_reset(&chunk->bytes);
	bind_key(sql, table, key);
	sql_i64(sql, (int64_t)chunk->limit);
	status = sql_select(sql, &table->read, 0, err);
	while (chunk->n_rows < chunk->limit &&
	       (chunk->n_rows == 0 || chunk->bytes.len < chunk->bytes_max) &&
	       sql_next(sql, &status, err))
		status = take_cells(sql, chunk, err);
	status = sql_done(sql, status, err);
	if (status != STORE_OK || chunk->n_rows == 0)
		return status;
	for (unsigned i = 0; i < table->n_keys; i++)
		key->part[i] =
		    chunk->cells[(chunk->n_rows - 1) * n_columns + i].number;
	choose_limit(chunk);
	return STORE_OK;
}

struct slice
move_bytes(const struct move_chunk *chunk, const struct move_cell *cell)
{
	return cell->len == 0 ? SLICE_LITERAL("")
			      : slice_of(chunk->bytes.p + cell->at, cell->len);
}

static void
bind_row(struct sql *sql, const struct move_chunk *chunk, size_t row)
{
	const char *letters = chunk->table->letters;
	size_t n_columns = strlen(letters);

	for (size_t i = 0; i < n_columns; i++) {
		const struct move_cell *cell =
		    &chunk->cells[row * n_columns + i];

		if (letters[i] == 'b')
			sql_bytes(sql, move_bytes(chunk, cell));
		else if (letters[i] == 'u')
			sql_u64(sql, (uint64_t)cell->number);
		else
			sql_i64(sql, cell->number);
	}
}

/* How many rows from there on go into one statement. */
static size_t
rows_of_statement(
    const struct sql *sql, const struct move_chunk *chunk, size_t row)
{
	size_t n_columns = strlen(chunk->table->letters);
	/* With the statement's own text and the numbers. */
	size_t room = sql->statement_max / 2, bytes = 0, n;

	for (n = 0; row + n < chunk->n_rows && n < sql->driver->rows_max; n++) {
		const struct move_cell *cells =
		    &chunk->cells[(row + n) * n_columns];

		for (size_t i = 0; i < n_columns; i++)
			bytes += cells[i].len + sizeof(cells[i].number);
		if (n > 0 && bytes > room)
			break;
	}
	return n;
}

static enum store_status
write_rows(struct sql *sql, void *arg, struct err *err)
{
	const struct move_chunk *chunk = arg;
	enum store_status status = STORE_OK;
	size_t row = 0;

	while (status == STORE_OK && row < chunk->n_rows) {
		size_t n = rows_of_statement(sql, chunk, row);

		for (size_t i = 0; i < n; i++)
			bind_row(sql, chunk, row + i);
		status = sql_exec(
		    sql, &chunk->table->insert, (unsigned)n, NULL, err);
		row += n;
	}
	return status;
}

enum store_status
move_write(struct sql *sql, const struct move_chunk *chunk, struct err *err)
{
	/* sql_transact does not write to it, its type only says so. */
	union {
		const struct move_chunk *in;
		void *out;
	} arg = {chunk};

	return sql_transact(sql, write_rows, arg.out, err);
}

/* ---- questions ---- */

enum store_status
move_count(struct sql *sql, const struct move_table *table, int64_t *n,
    struct err *err)
{
	*n = 0;
	return sql_value(sql, &table->count, n, err);
}

enum store_status
move_last(struct sql *sql, const struct move_table *table, struct move_key *key,
    struct err *err)
{
	enum store_status status = sql_select(sql, &table->last, 0, err);

	while (sql_next(sql, &status, err))
		for (unsigned i = 0; i < table->n_keys; i++)
			key->part[i] = sql_read_i64(sql);
	return sql_done(sql, status, err);
}
