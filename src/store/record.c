/* SPDX-License-Identifier: ISC */
#include "store/record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct slice
store_key_slice(const uint8_t bytes[EVENT_KEY_BYTES])
{
	return slice_of((const char *)bytes, EVENT_KEY_BYTES);
}

enum event_state
store_row_state(enum row_status status, int64_t last_code, bool has_error)
{
	/* A success that is followed by another attempt is none yet. */
	bool awaited = last_code >= 200 && last_code <= 299 && !has_error;

	switch (status) {
	case ROW_WAITING:
		if (awaited)
			return EVENT_AWAITING;
		return last_code != 0 || has_error ? EVENT_SERVICE_UNAVAILABLE
						   : EVENT_PENDING;
	case ROW_PROCESSING:
		return EVENT_PROCESSING;
	case ROW_COMPLETED:
		return EVENT_COMPLETED;
	case ROW_FAILED:
		break;
	}
	return EVENT_FAILED;
}

enum store_status
store_check_number(
    const char *what, int64_t value, int64_t max, struct err *err)
{
	if (value >= 0 && value <= max)
		return STORE_OK;
	(void)err_set(err, "the datastore says %s %" PRId64, what, value);
	return STORE_BROKEN;
}

int64_t
store_plain_due_ms(int64_t due_ms)
{
	return due_ms % STORE_QUARANTINE_MS;
}

bool
store_is_quarantined(int64_t due_ms)
{
	return due_ms / STORE_QUARANTINE_MS % 2 != 0;
}

#define READ_i(sql)                      sql_read_i64(sql)
#define READ_f(sql)                      (sql_read_i64(sql) != 0)
#define READ_b(sql)                      sql_read_bytes(sql)
#define READ(name, letter, member, most) row->member = READ_##letter(sql);

void
store_row_read(struct sql *sql, bool whole, struct store_row *row)
{
	*row = (struct store_row){.id = sql_read_i64(sql)};
	EVENT_STATE(READ)
	if (whole) {
		EVENT_REQUEST(READ)
	}
}

void
store_row_read_delivery(struct sql *sql, struct store_row *row)
{
	*row = (struct store_row){.id = sql_read_i64(sql)};
	EVENT_DELIVERY(READ)
	row->has_error = sql_read_i64(sql) != 0;
}

enum store_status
store_row_check(struct sql *sql, int64_t row_id, struct err *err)
{
	struct err reason;
	enum store_status status = sql_row_check(sql, &reason);

	if (status != STORE_OK)
		(void)err_set(err, "event %" PRId64 " is damaged: %s", row_id,
		    reason.text);
	return status;
}

enum store_status
store_damage(enum store_status status)
{
	return status == STORE_BROKEN ? STORE_DAMAGED : status;
}

void
store_row_bind(struct sql *sql, const struct store_row *row)
{
#define BIND_i(sql, value)               sql_i64(sql, value)
#define BIND_f(sql, value)               sql_i64(sql, value)
#define BIND_b(sql, value)               sql_bytes(sql, value)
#define BIND(name, letter, member, most) BIND_##letter(sql, row->member);
	sql_i64(sql, row->id);
	EVENT_WHOLE(BIND)
#undef BIND
}

static enum store_status
check_row(const struct store_row *row, struct err *err)
{
#define NUMBER_i(value) (value)
#define NUMBER_f(value) (value)
#define NUMBER_b(value) ((int64_t)(value).len)
#define WHAT_i          ""
#define WHAT_f          ""
#define WHAT_b          "bytes of "
#define LIMIT(name, letter, member, most)                                      \
	{WHAT_##letter #name, NUMBER_##letter(row->member), most},
	const struct {
		const char *name;
		int64_t value, max;
	} all[] = {
	    {"id", row->id, INT64_MAX},
	    EVENT_WHOLE(LIMIT){"count of attempts", row->n_log, STORE_LOG_MAX},
	    {"at_ms of the first attempt", row->first_ms, STORE_TIME_MAX_MS},
	    {"bytes of attempts", row->log_bytes,
		(int64_t)STORE_LOG_MAX *
		    (STORE_ERROR_MAX + STORE_RESPONSE_MAX)},
	};
#undef LIMIT
	struct err reason;

	static_assert(
	    (int)EVENT_BODY_MAX <= (int)SQL_BYTES_MAX, "a driver takes it");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (store_check_number(all[i].name, all[i].value, all[i].max,
			&reason) != STORE_OK) {
			(void)err_set(err, "event %" PRId64 " is damaged: %s",
			    row->id, reason.text);
			return STORE_BROKEN;
		}
	return STORE_OK;
}

int
store_record_tag(const struct store_record *record, char tag[STORE_TAG_BYTES])
{
	uint8_t print[EVENT_KEY_BYTES];
	struct event ev = record->event;
	struct buf state;
	int result;

	/* All that an event may change in, beside what it was added with. */
	buf_init(&state, 2 * EVENT_OPTIONS_MAX + STORE_ERROR_MAX);
	buf_printf(&state, "%d %u %" PRId64 " %" PRId64 " %d ",
	    (int)record->state, record->attempts, record->due_ms,
	    record->created_ms, record->last_code);
	buf_append_slice(&state, record->last_error);
	buf_append_char(&state, '\0');
	buf_append_slice(&state, ev.options);
	ev.options = buf_slice(&state);
	ev.time = EVENT_AT;
	result = state.failed ? -1 : event_fingerprint(&ev, print);
	buf_free(&state);
	tag[0] = tag[STORE_TAG_BYTES - 2] = '"';
	tag[STORE_TAG_BYTES - 1] = '\0';
	for (size_t i = 0; result == 0 && i < sizeof(print); i++)
		for (size_t j = 0; j < 2; j++)
			tag[1 + 2 * i + j] = "0123456789abcdef"[print[i] >>
				    (j == 0 ? 4 : 0) & 15];
	return result;
}

static struct slice
move_in(char **at, struct slice s)
{
	struct slice copy = {*at, s.len};

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

size_t
store_event_bytes(const struct event *ev)
{
	return ev->app.len + ev->id.len + ev->method.len + ev->url.len +
	       ev->headers.len + ev->body.len + ev->options.len;
}

static struct event
move_event_in(char **at, const struct event *ev)
{
	return (struct event){
	    .app = move_in(at, ev->app),
	    .id = move_in(at, ev->id),
	    .method = move_in(at, ev->method),
	    .url = move_in(at, ev->url),
	    .headers = move_in(at, ev->headers),
	    .body = move_in(at, ev->body),
	    .options = move_in(at, ev->options),
	    .body_is_text = ev->body_is_text,
	    .expiry_ms = ev->expiry_ms,
	};
}

enum store_status
store_claim_create(
    const struct store_row *row, struct store_claim **claim, struct err *err)
{
	size_t bytes =
	    sizeof(struct store_claim) + store_event_bytes(&row->event);
	enum store_status status = check_row(row, err);
	char *at;

	*claim = NULL;
	if (status != STORE_OK)
		return status;
	*claim = malloc(bytes);
	if (*claim == NULL)
		return sql_no_memory(err);
	at = (char *)(*claim + 1);
	**claim = (struct store_claim){
	    .row_id = row->id,
	    .shard = (unsigned)row->shard,
	    .attempt = (unsigned)row->attempts + 1,
	    .due_ms = store_plain_due_ms(row->due_ms),
	    .last_code = (int)row->last_code,
	    .has_error = row->has_error,
	    .bytes = bytes,
	    .event = move_event_in(&at, &row->event),
	};
	return STORE_OK;
}

/* A delivery at once is in no log, unless it was asked for. */
static int64_t
first_attempt_ms(const struct store_row *row)
{
	if (row->first_ms == 0 && row->status == ROW_COMPLETED &&
	    row->attempts == 1)
		return store_plain_due_ms(row->due_ms);
	return row->first_ms;
}

enum store_status
store_record_create(
    const struct store_row *row, struct store_record **record, struct err *err)
{
	enum store_status status = check_row(row, err);
	struct store_record *r;
	size_t bytes;

	*record = NULL;
	if (status != STORE_OK)
		return status;
	bytes = sizeof(*r) + (size_t)row->n_log * sizeof(*r->log) +
		store_event_bytes(&row->event) + row->last_error.len +
		(size_t)row->log_bytes;
	r = malloc(bytes);
	if (r == NULL)
		return sql_no_memory(err);
	*r = (struct store_record){
	    .state = store_row_state((enum row_status)row->status,
		row->last_code, row->last_error.len > 0),
	    .attempts = (unsigned)row->attempts,
	    .due_ms = store_plain_due_ms(row->due_ms),
	    .created_ms = row->created_ms,
	    .first_attempt_ms = first_attempt_ms(row),
	    .last_code = (int)row->last_code,
	    .log = (struct store_attempt *)(r + 1),
	    .max_log = (size_t)row->n_log,
	    .end = (char *)r + bytes,
	};
	r->at = (char *)(r->log + r->max_log);
	r->event = move_event_in(&r->at, &row->event);
	r->last_error = move_in(&r->at, row->last_error);
	*record = r;
	return STORE_OK;
}

enum store_status
store_record_log(struct store_record *record, const struct store_log_row *row,
    struct err *err)
{
	size_t room = (size_t)(record->end - record->at);
	enum store_status status;

	status = store_check_number(
	    "the number of an attempt", row->number, STORE_ATTEMPTS_MAX, err);
	if (status == STORE_OK)
		status = store_check_number("the time of an attempt",
		    row->at_ms, STORE_TIME_MAX_MS, err);
	if (status == STORE_OK)
		status = store_check_number(
		    "the code of an attempt", row->code, INT_MAX, err);
	if (status != STORE_OK)
		return status;
	if (record->n_log == record->max_log || row->error.len > room ||
	    row->response.len > room - row->error.len) {
		(void)err_set(err, "the datastore says more attempts, or bytes "
				   "in them, than it counted");
		return STORE_BROKEN;
	}
	record->log[record->n_log++] = (struct store_attempt){
	    .number = (unsigned)row->number,
	    .at_ms = row->at_ms,
	    .code = (int)row->code,
	    .error = move_in(&record->at, row->error),
	    .response = move_in(&record->at, row->response),
	};
	return STORE_OK;
}

void
store_claim_free(struct store_claim *claim)
{
	free(claim);
}

void
store_record_free(struct store_record *record)
{
	free(record);
}
