/* SPDX-License-Identifier: ISC */
#include "store/sqlite_query.h"

#include <assert.h>
#include <string.h>

struct sqlite_query
sqlite_query_start(struct sqlite_conn *c, const char *text)
{
	struct sqlite_query q = {.conn = c, .rc = SQLITE_OK};

	for (size_t i = 0; i < c->n_prepared; i++)
		if (c->prepared[i].text == text) {
			q.stmt = c->prepared[i].stmt;
			return q;
		}
	assert(c->n_prepared < SQLITE_PREPARED_MAX);
	q.rc = sqlite3_prepare_v3(
	    c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &q.stmt, NULL);
	if (q.rc == SQLITE_OK) {
		c->prepared[c->n_prepared].text = text;
		c->prepared[c->n_prepared++].stmt = q.stmt;
	}
	return q;
}

void
sqlite_bind_int(struct sqlite_query *q, int64_t value)
{
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_bind_int64(q->stmt, ++q->place, value);
}

/* SQLite has no unsigned numbers. */
void
sqlite_bind_bits(struct sqlite_query *q, uint64_t bits)
{
	int64_t value;

	memcpy(&value, &bits, sizeof(value));
	sqlite_bind_int(q, value);
}

void
sqlite_bind_bytes(struct sqlite_query *q, struct slice s)
{
	/* A null pointer would be SQL's NULL. */
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_bind_blob64(q->stmt, ++q->place,
		    s.len == 0 ? "" : s.p, s.len, SQLITE_STATIC);
}

static enum store_status
fail(const struct sqlite_query *q, struct err *err)
{
	if (!q->mistyped)
		return sqlite_conn_fail(q->conn, err);
	(void)err_set(err,
	    "%s: damaged: a column %d that is not of its type: %s",
	    q->conn->path, q->place + 1, sqlite3_sql(q->stmt));
	return STORE_BROKEN;
}

enum store_status
sqlite_query_step(struct sqlite_query *q, bool *row, struct err *err)
{
	enum store_status status = STORE_OK;

	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_step(q->stmt);
	*row = q->rc == SQLITE_ROW;
	if (*row) {
		q->place = -1;
		q->rc = SQLITE_OK;
		return STORE_OK;
	}
	if (q->rc != SQLITE_DONE)
		status = fail(q, err);
	sqlite_query_end(q);
	return status;
}

static void
refuse(struct sqlite_query *q, int rc)
{
	if (q->rc == SQLITE_OK) {
		q->rc = rc;
		q->mistyped = rc == SQLITE_MISMATCH;
	}
}

int64_t
sqlite_read_int(struct sqlite_query *q)
{
	if (sqlite3_column_type(q->stmt, ++q->place) == SQLITE_INTEGER)
		return sqlite3_column_int64(q->stmt, q->place);
	refuse(q, SQLITE_MISMATCH);
	return 0;
}

uint64_t
sqlite_read_bits(struct sqlite_query *q)
{
	int64_t value = sqlite_read_int(q);
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

struct slice
sqlite_read_bytes(struct sqlite_query *q)
{
	int type = sqlite3_column_type(q->stmt, ++q->place), len;
	const char *p;

	if (type != SQLITE_BLOB && type != SQLITE_TEXT) {
		refuse(q, SQLITE_MISMATCH);
		return SLICE_LITERAL("");
	}
	/* In this order: the length is then that of what p points to. */
	p = sqlite3_column_blob(q->stmt, q->place);
	len = sqlite3_column_bytes(q->stmt, q->place);
	if (p == NULL && len > 0)
		refuse(q, SQLITE_NOMEM);
	return p == NULL ? SLICE_LITERAL("") : slice_of(p, (size_t)len);
}

void
sqlite_query_end(struct sqlite_query *q)
{
	/* Repeats the error of the last step. */
	(void)sqlite3_reset(q->stmt);
}

enum store_status
sqlite_query_done(struct sqlite_query *q, struct err *err)
{
	enum store_status status = q->rc == SQLITE_OK ? STORE_OK : fail(q, err);

	sqlite_query_end(q);
	return status;
}

enum store_status
sqlite_query_run(struct sqlite_query *q, size_t *changed, struct err *err)
{
	enum store_status status;
	bool row;

	status = sqlite_query_step(q, &row, err);
	*changed =
	    status == STORE_OK ? (size_t)sqlite3_changes(q->conn->db) : 0;
	return status;
}

enum store_status
sqlite_query_run_with(
    struct sqlite_conn *c, const char *text, int64_t value, struct err *err)
{
	struct sqlite_query q = sqlite_query_start(c, text);
	size_t changed;

	sqlite_bind_int(&q, value);
	return sqlite_query_run(&q, &changed, err);
}
