/* SPDX-License-Identifier: ISC */
#include "store/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "event/event_options.h"
#include "store/list_look.h"
#include "store/record.h"
#include "store/shard_text.h"

/*
 * A step is three statements: the next rows, of any application, from the index
 * (list_look); which of them the list is of; those, whole. No transaction is
 * around them: a row that has changed in between is not where it was, and is
 * left out.
 */

enum {
	MATCH_MAX = 128, /* rows of a statement */
	READ_MAX = 64,
	READ_WITH_BODIES_MAX = 4, /* the database may sort them by file */
};

struct match {
	struct list_match met;
	int64_t status;
};

struct walk {
	struct list_step *step;
	struct list_look look;
	/* A part of it: so many rows from there on. */
	const struct list_place *rows;
	size_t n_rows;
	struct event_key label; /* the first of the query's, if any */
	size_t n;               /* of matches */
	struct match matches[LIST_ROWS_MAX];
	bool full; /* no more for now */
};

/* ---- the ends of a list ---- */

static unsigned
statuses_of(unsigned states)
{
	static const enum row_status all[] = {
	    [EVENT_PENDING] = ROW_WAITING,
	    [EVENT_PROCESSING] = ROW_PROCESSING,
	    [EVENT_COMPLETED] = ROW_COMPLETED,
	    [EVENT_FAILED] = ROW_FAILED,
	    [EVENT_SERVICE_UNAVAILABLE] = ROW_WAITING,
	    [EVENT_AWAITING] = ROW_WAITING,
	};
	unsigned statuses = 0;

	for (unsigned s = 0; s < sizeof(all) / sizeof(all[0]); s++)
		if ((states >> s & 1) != 0)
			statuses |= 1U << all[s];
	return statuses;
}

/*
 * Events in quarantine lie behind all others, and those that pauses have parked
 * behind these: floors of STORE_QUARANTINE_MS, each a span of its own. Which
 * there are is asked at the end of each.
 */
static int64_t
floor_of(int64_t due_ms)
{
	return due_ms - due_ms % STORE_QUARANTINE_MS;
}

/* Only what waits is above the ground. */
static bool
has_floors(const struct list_query *query)
{
	return (statuses_of(query->states) & 1U << ROW_WAITING) != 0;
}

/* Before all rows that are due then, and on the way down behind all. */
static struct list_place
place_at(int64_t due_ms)
{
	return (struct list_place){due_ms, INT64_MIN};
}

/* Above all floors. */
#define ROOF_MS (STORE_DUE_MAX_MS + 1)

struct list_place
list_begin(const struct list_query *query)
{
	if (!query->descending)
		return place_at(query->from_ms);
	return place_at(has_floors(query) ? ROOF_MS : query->before_ms);
}

static struct list_span
span_of(const struct walk *walk)
{
	const struct list_step *step = walk->step;
	const struct list_query *query = step->query;
	int64_t floor_ms = floor_of(step->place.due_ms);

	return (struct list_span){
	    .after = step->place,
	    .from_ms = floor_ms + query->from_ms,
	    .before_ms = floor_ms + query->before_ms,
	    .statuses =
		floor_ms == 0 ? statuses_of(query->states) : 1U << ROW_WAITING,
	    .label = query->labels.n > 0 ? &walk->label : NULL,
	    .descending = query->descending,
	};
}

/* Whether it has any rows from the place on; a cursor may say that this is
 * before it, or behind. */
static bool
enter_span(struct list_step *step, struct list_span *span)
{
	bool descending = span->descending;
	struct list_place
	    begin = place_at(descending ? span->before_ms : span->from_ms),
	    end = place_at(descending ? span->from_ms : span->before_ms);

	if (span->statuses == 0 || span->from_ms >= span->before_ms)
		return false;
	if (list_compare(&step->place, &begin, descending) < 0)
		step->place = span->after = begin;
	return list_compare(&step->place, &end, descending) < 0;
}

/* The span was read to its end: what comes next? */
static enum store_status
end_span(struct sql *sql, const struct walk *walk, struct err *err)
{
	struct list_step *step = walk->step;
	const struct list_query *query = step->query;
	int64_t floor_ms = floor_of(step->place.due_ms), from_ms, next_ms;
	enum store_status status;

	/* A cursor may say that it is above all of them. */
	step->end = !has_floors(query) ||
		    (query->descending ? floor_ms == 0
				       : floor_ms > STORE_DUE_MAX_MS -
						STORE_QUARANTINE_MS);
	if (step->end)
		return STORE_OK;
	from_ms = query->descending ? floor_ms : floor_ms + STORE_QUARANTINE_MS;
	status =
	    list_look_beyond(sql, query->labels.n > 0 ? &walk->label : NULL,
		from_ms, query->descending, &next_ms, err);
	if (status != STORE_OK)
		return status;
	/* Whatever somebody wrote there: it comes to an end. */
	if (next_ms < 0 || next_ms > STORE_DUE_MAX_MS ||
	    (next_ms < from_ms) != query->descending) {
		step->end = !query->descending;
		next_ms = 0;
	}
	if (!step->end)
		step->place = place_at(
		    floor_of(next_ms) +
		    (query->descending ? query->before_ms : query->from_ms));
	return STORE_OK;
}

/* ---- which of the rows ---- */

static bool
carries_labels(struct slice text, const struct event_labels *wanted)
{
	struct event_options options;
	struct event_labels labels;

	if (wanted->n == 0)
		return true;
	if (event_options_parse(text, &options, NULL) == -1)
		return false;
	event_labels_parse(options.labels, &labels);
	return event_labels_have(&labels, wanted);
}

/*
 * Of a label where its index has it, so that it is told once: a daemon of an
 * older version, which knows no labels, leaves them where they were.
 */
static struct list_place
place_of_match(const struct walk *walk, int64_t row_id, int64_t due_ms)
{
	struct list_place place = {due_ms, row_id};

	if (walk->step->query->labels.n > 0)
		for (size_t i = 0; i < walk->n_rows; i++)
			if (walk->rows[i].row_id == row_id)
				place.due_ms = walk->rows[i].due_ms;
	return place;
}

#define MATCHES(URL, OPTIONS)                                                  \
	{                                                                      \
		.head = "SELECT id, due_ms, expiry_ms, status, last_code,"     \
			" LENGTH(last_error), " URL ", " OPTIONS               \
			" FROM event WHERE app = ? AND id IN (",               \
		.item = "?", .sep = ", ", .tail = ")", .columns = "iiiiiibb"   \
	}

/* Whether it still is among the rows that were looked at. */
static bool
is_within(const struct walk *walk, const struct list_place *place)
{
	const struct list_step *step = walk->step;
	bool descending = step->query->descending;

	return list_compare(place, &step->place, descending) > 0 &&
	       list_compare(place, &walk->rows[walk->n_rows - 1], descending) <=
		   0;
}

static void
note_match(struct sql *sql, struct walk *walk)
{
	const struct list_query *query = walk->step->query;
	struct match match;
	int64_t last_code;
	bool has_error;
	enum event_state state;
	int64_t row_id = sql_read_i64(sql);
	bool leads_there;

	match.met.due_ms = sql_read_i64(sql);
	match.met.place = place_of_match(walk, row_id, match.met.due_ms);
	match.met.expiry_ms = sql_read_i64(sql);
	match.status = sql_read_i64(sql);
	last_code = sql_read_i64(sql);
	has_error = sql_read_i64(sql) != 0;
	state = store_row_state(
	    (enum row_status)match.status, last_code, has_error);
	leads_there = url_leads_to(sql_read_bytes(sql), query->destination);
	if ((query->states >> state & 1) != 0 && leads_there &&
	    carries_labels(sql_read_bytes(sql), &query->labels) &&
	    is_within(walk, &match.met.place) && walk->n < LIST_ROWS_MAX)
		walk->matches[walk->n++] = match;
}

static enum store_status
find_matches(struct sql *sql, struct walk *walk, const int64_t *ids, size_t n,
    struct err *err)
{
	static const struct sql_text texts[] = {MATCHES("''", "''"),
	    MATCHES("url", "''"), MATCHES("url", "options")};
	const struct list_query *query = walk->step->query;
	enum store_status status;
	unsigned arity;

	sql_bytes(sql, query->app);
	arity = id_args(sql, ids, n);
	status = sql_select(sql,
	    &texts[query->labels.n > 0           ? 2
		   : query->destination.len == 0 ? 0
						 : 1],
	    arity, err);
	while (sql_next(sql, &status, err))
		note_match(sql, walk);
	status = sql_done(sql, status, err);
	pace_rest(&walk->step->pace);
	return status;
}

/* One that cannot be read at all is no match. */
static enum store_status
find_matches_apart(struct sql *sql, struct walk *walk, const int64_t *ids,
    size_t n, struct err *err)
{
	size_t n_before = walk->n, half = n / 2;
	enum store_status status = find_matches(sql, walk, ids, n, err);

	if (status != STORE_BROKEN)
		return status;
	walk->n = n_before;
	if (n == 1)
		return STORE_OK;
	status = find_matches_apart(sql, walk, ids, half, err);
	if (status == STORE_OK)
		status =
		    find_matches_apart(sql, walk, ids + half, n - half, err);
	return status;
}

/* ---- the rows ---- */

#define RECORDS(MORE, LETTERS)                                                 \
	{                                                                      \
		.head = "SELECT " EVENT_STATE_NAMES FIRST_ATTEMPT              \
			", method, url, headers, options" MORE                 \
			FROM_EVENT_AND_FIRST " WHERE id IN (",                 \
		.item = "?", .sep = ", ", .tail = ")",                         \
		.columns = EVENT_STATE_LETTERS "ibbbb" LETTERS                 \
	}

static struct store_row
read_list_row(struct sql *sql, bool bodies)
{
	struct store_row row;

	store_row_read(sql, false, &row);
	row.first_ms = sql_read_i64(sql);
	row.event.method = sql_read_bytes(sql);
	row.event.url = sql_read_bytes(sql);
	row.event.headers = sql_read_bytes(sql);
	row.event.options = sql_read_bytes(sql);
	if (bodies) {
		row.event.body_is_text = sql_read_i64(sql) != 0;
		row.event.body = sql_read_bytes(sql);
	}
	return row;
}

/* Its place among those that are read, or n. */
static size_t
match_of_row(const struct match *matches, size_t n, const struct store_row *row)
{
	for (size_t i = 0; i < n; i++)
		if (matches[i].met.place.row_id == row->id)
			return matches[i].met.due_ms == row->due_ms &&
				       matches[i].status == row->status
				   ? i
				   : n;
	return n;
}

/* A damaged one is left out. */
static enum store_status
keep_row(struct walk *walk, const struct store_row *row,
    struct store_record **record, struct err *err)
{
	enum store_status status;

	store_record_free(*record);
	status = store_record_create(row, record, err);
	if (status != STORE_BROKEN)
		return status;
	walk->step->n_damaged++;
	return STORE_OK;
}

static enum store_status
read_matches(struct sql *sql, struct walk *walk, const struct match *matches,
    size_t n, struct store_record **records, struct err *err)
{
	static const struct sql_text texts[] = {
	    RECORDS("", ""), RECORDS(", body_is_text, body", "ib")};
	bool bodies = walk->step->query->bodies;
	enum store_status status;
	unsigned arity;

	for (size_t i = 0; i < n; i++)
		sql_i64(sql, matches[i].met.place.row_id);
	arity = sql_pad(sql, n);
	status = sql_select(sql, &texts[bodies], arity, err);
	while (sql_next(sql, &status, err)) {
		struct store_row row = read_list_row(sql, bodies);
		size_t at = match_of_row(matches, n, &row);

		if (at < n)
			status = keep_row(walk, &row, &records[at], err);
	}
	status = sql_done(sql, status, err);
	pace_rest(&walk->step->pace);
	return status;
}

static void
free_records(struct store_record **records, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		store_record_free(records[i]);
		records[i] = NULL;
	}
}

/* Where one cannot be read, the others are. */
static enum store_status
read_matches_apart(struct sql *sql, struct walk *walk,
    const struct match *matches, size_t n, struct store_record **records,
    struct err *err)
{
	size_t n_damaged = walk->step->n_damaged, half = n / 2;
	enum store_status status =
	    read_matches(sql, walk, matches, n, records, err);

	if (status != STORE_BROKEN)
		return status;
	free_records(records, n);
	walk->step->n_damaged = n_damaged + (n == 1);
	if (n == 1)
		return STORE_OK;
	status = read_matches_apart(sql, walk, matches, half, records, err);
	if (status == STORE_OK)
		status = read_matches_apart(
		    sql, walk, matches + half, n - half, records + half, err);
	return status;
}

static void
take_records(struct walk *walk, const struct match *matches, size_t n,
    struct store_record **records)
{
	struct list_step *step = walk->step;

	for (size_t i = 0; i < n && !walk->full; i++) {
		struct store_record *record = records[i];

		step->place = matches[i].met.place;
		records[i] = NULL;
		if (record == NULL)
			continue;
		walk->full =
		    !step->take(step->arg, record) || --step->n_wanted == 0;
	}
}

/* ---- a step ---- */

static int
compare_matches(const void *a, const void *b)
{
	const struct match *x = a, *y = b;

	return list_compare(&x->met.place, &y->met.place, false);
}

static int
compare_matches_down(const void *a, const void *b)
{
	return compare_matches(b, a);
}

static enum store_status
match_rows(struct sql *sql, struct walk *walk, struct err *err)
{
	size_t max = sql->driver->ids_max, len;
	enum store_status status = STORE_OK;
	int64_t ids[MATCH_MAX];

	if (max > MATCH_MAX)
		max = MATCH_MAX;
	walk->n = 0;
	for (size_t at = 0; at < walk->n_rows && status == STORE_OK;
	     at += len) {
		len = walk->n_rows - at < max ? walk->n_rows - at : max;
		for (size_t i = 0; i < len; i++)
			ids[i] = walk->rows[at + i].row_id;
		status = find_matches_apart(sql, walk, ids, len, err);
	}
	qsort(walk->matches, walk->n, sizeof(walk->matches[0]),
	    walk->step->query->descending ? compare_matches_down
					  : compare_matches);
	return status;
}

static enum store_status
tell_matches(struct sql *sql, struct walk *walk, struct err *err)
{
	struct store_record *records[READ_MAX] = {NULL};
	size_t max =
	    walk->step->query->bodies ? READ_WITH_BODIES_MAX : READ_MAX;
	enum store_status status = STORE_OK;
	size_t len;

	for (size_t at = 0; at < walk->n && !walk->full; at += len) {
		len = walk->n - at < max ? walk->n - at : max;
		if (len > walk->step->n_wanted)
			len = walk->step->n_wanted;
		status = read_matches_apart(
		    sql, walk, &walk->matches[at], len, records, err);
		if (status == STORE_OK)
			take_records(walk, &walk->matches[at], len, records);
		free_records(records, len);
		if (status != STORE_OK)
			break;
	}
	return status;
}

static void
meet_matches(struct walk *walk)
{
	struct list_step *step = walk->step;

	for (size_t i = 0; i < walk->n; i++)
		step->meet(step->arg, &walk->matches[i].met);
}

/* Of a part of the rows that were looked at. */
static enum store_status
tell_part(struct sql *sql, struct walk *walk, struct err *err)
{
	struct list_step *step = walk->step;
	enum store_status status = match_rows(sql, walk, err);

	if (status == STORE_OK && step->meet != NULL)
		meet_matches(walk);
	else if (status == STORE_OK)
		status = tell_matches(sql, walk, err);
	if (status == STORE_OK && !walk->full)
		step->place = walk->rows[walk->n_rows - 1];
	return status;
}

/* How many have what is wanted, if the next ones are of the list as often as
 * those of the part were. */
static size_t
size_of_part(const struct walk *walk)
{
	return walk->n == 0 ? 2 * walk->n_rows
			    : walk->step->n_wanted * walk->n_rows / walk->n + 1;
}

/* At first as many as are wanted. */
static enum store_status
tell_rows(struct sql *sql, struct walk *walk, struct err *err)
{
	struct list_step *step = walk->step;
	const struct list_look *look = &walk->look;
	size_t max = step->meet != NULL ? look->n : step->n_wanted;
	enum store_status status = STORE_OK;

	for (size_t at = 0; at < look->n && !walk->full && status == STORE_OK;
	     at += walk->n_rows) {
		walk->rows = &look->rows[at];
		walk->n_rows = look->n - at < max ? look->n - at : max;
		status = tell_part(sql, walk, err);
		if (step->meet == NULL)
			max = size_of_part(walk);
	}
	return status;
}

static enum store_status
look_and_go_on(struct sql *sql, struct walk *walk, struct err *err)
{
	struct list_step *step = walk->step;
	struct list_span span = span_of(walk);
	enum store_status status = STORE_OK;

	walk->look.end = true;
	if (step->place.due_ms < ROOF_MS && enter_span(step, &span))
		status =
		    list_look_at(sql, &span, step->n_look, &walk->look, err);
	if (status != STORE_OK)
		return status;
	step->n_looked = walk->look.n_read;
	status = tell_rows(sql, walk, err);
	if (status == STORE_OK && !walk->full && walk->look.end)
		status = end_span(sql, walk, err);
	return status;
}

enum store_status
list_go_on(struct sql *sql, struct list_step *step, struct err *err)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	enum store_status status = STORE_OK;

	if (walk == NULL)
		return sql_no_memory(err);
	walk->step = step;
	walk->look.pace = &step->pace;
	pace_begin(&step->pace);
	step->end = false;
	if (step->query->labels.n > 0 &&
	    event_label_key(
		step->query->app, &step->query->first, &walk->label) == -1)
		status = sql_no_memory(err);
	if (status == STORE_OK && !step->begun)
		status = sql_catch_up(sql, err);
	step->begun = status == STORE_OK;
	if (status == STORE_OK)
		status = look_and_go_on(sql, walk, err);
	free(walk);
	return status;
}
