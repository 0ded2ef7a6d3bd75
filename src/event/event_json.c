/* SPDX-License-Identifier: ISC */
#include "event/event_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/json_scan.h"
#include "base/rfc3339.h"
#include "base/words.h"
#include "base/zones.h"
#include "event/event_callback.h"
#include "event/event_labels.h"
#include "event/event_local.h"
#include "event/event_options.h"
#include "event/event_time.h"
#include "event/request_check.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct reader {
	struct event *ev;
	struct buf *scratch;
	struct field_errors *errors;
	const struct event_context *context;
	struct event_options options;
	struct buf labels; /* their text, which needs no memory */
};

/* Notes what is wrong with a field; the reading goes on. */
static void bad(struct field_errors *errors, const char *pointer,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
bad(struct field_errors *errors, const char *pointer, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	field_errors_vadd(errors, pointer, fmt, ap);
	va_end(ap);
}

static bool
is_plain(struct slice s)
{
	size_t len;

	for (; s.len > 0; s = slice_of(s.p + len, s.len - len)) {
		len =
		    is_alnum(s.p[0]) || s.p[0] == '-' ? 1 : slice_plain_len(s);
		if (len == 0)
			return false;
	}
	return true;
}

static int
read_string(struct reader *r, const char *pointer,
    const struct json_value *value, struct slice *text)
{
	if (value->type != JSON_STRING) {
		bad(r->errors, pointer, "must be a string");
		return -1;
	}
	*text = json_unescape(value->raw);
	return 0;
}

const char *
event_id_refusal(struct slice id)
{
	if (!is_plain(id)) /* or it forges lines of a list */
		return "must not have control characters, line separators or "
		       "marks of direction";
	if (slice_eq(id, SLICE_LITERAL(".")) ||
	    slice_eq(id, SLICE_LITERAL("..")))
		return "must not be \".\" or \"..\": clients take these out of "
		       "the path of a URL";
	return NULL;
}

static void
read_identifier(struct reader *r, const char *pointer,
    const struct json_value *value, size_t max, struct slice *text)
{
	const char *reason;

	if (read_string(r, pointer, value, text) == -1)
		return;
	reason = event_id_refusal(*text);
	if (text->len < 1 || text->len > max)
		bad(r->errors, pointer, "must be 1 to %zu bytes long", max);
	else if (reason != NULL)
		bad(r->errors, pointer, "%s", reason);
}

static void
read_app(struct reader *r, const char *pointer, const struct json_value *value)
{
	read_identifier(r, pointer, value, EVENT_APP_MAX, &r->ev->app);
}

static void
read_id(struct reader *r, const char *pointer, const struct json_value *value)
{
	read_identifier(r, pointer, value, EVENT_ID_MAX, &r->ev->id);
}

static void
read_event_body(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	(void)pointer;
	r->ev->body_is_text = value->type == JSON_STRING;
	r->ev->body =
	    r->ev->body_is_text ? json_unescape(value->raw) : value->raw;
}

static int64_t
read_time(struct reader *r, const char *pointer, const struct json_value *value)
{
	const char *reason;
	int64_t ms = event_time_read(value, &reason);

	if (ms == -1)
		bad(r->errors, pointer, "%s", reason);
	return ms;
}

static void
read_expiry(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	r->ev->expiry_ms = read_time(r, pointer, value);
}

static void
read_too_late(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	r->options.not_after_ms = read_time(r, pointer, value);
	if (r->options.not_after_ms == 0)
		bad(r->errors, pointer, "has long passed");
}

/* Longer ones would end beyond what is kept as a time. */
static const int64_t in_max_ms = INT64_C(36500) * 86400000;

/* *ms is -1 where it is none. */
static void
read_how_long(struct reader *r, const char *pointer,
    const struct json_value *value, int64_t *ms)
{
	struct slice text;

	*ms = -1;
	if (read_string(r, pointer, value, &text) == 0 &&
	    duration_parse(text, in_max_ms, ms) == -1)
		bad(r->errors, pointer,
		    "must be a duration such as 250ms, 10s, 30m, 2h or 7d, at "
		    "most 36500d");
}

static void
read_in(struct reader *r, const char *pointer, const struct json_value *value)
{
	r->ev->time = EVENT_IN;
	read_how_long(r, pointer, value, &r->ev->in_ms);
}

static void
read_at_local(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	struct slice text;

	r->ev->time = EVENT_AT_LOCAL;
	if (read_string(r, pointer, value, &text) == -1)
		return;
	if (rfc3339_parse_local(text, &r->options.local_s) == -1)
		bad(r->errors, pointer,
		    "is no date and time without an offset, such as "
		    "2027-03-28T09:00:00");
	else if (r->options.local_s < 0)
		bad(r->errors, pointer, "must not be before 1970");
}

static void
read_time_zone(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	if (read_string(r, pointer, value, &r->options.zone) == 0 &&
	    !zones_is_name(r->options.zone))
		bad(r->errors, pointer,
		    "must be the name of a time zone, such as Europe/Berlin");
}

static void
read_on_conflict(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	static const struct slice words[] = {
	    [ON_CONFLICT_REJECT] = SLICE_INIT("reject"),
	    [ON_CONFLICT_IGNORE] = SLICE_INIT("ignore"),
	    [ON_CONFLICT_REPLACE] = SLICE_INIT("replace"),
	    [ON_CONFLICT_DEBOUNCE] = SLICE_INIT("debounce"),
	};
	struct slice word;

	if (read_string(r, pointer, value, &word) == -1)
		return;
	for (size_t i = 0; i < COUNT(words); i++) {
		if (slice_eq(word, words[i])) {
			r->ev->on_conflict = (enum event_on_conflict)i;
			return;
		}
	}
	bad(r->errors, pointer, "must be reject, ignore, replace or debounce");
}

static void
read_debounce_max(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	read_how_long(r, pointer, value, &r->ev->debounce_max_ms);
	if (r->ev->debounce_max_ms == 0)
		bad(r->errors, pointer, "must be longer than 0");
}

static void
read_url(struct reader *r, const char *pointer, const struct json_value *value)
{
	const char *reason;

	if (read_string(r, pointer, value, &r->ev->url) == -1)
		return;
	reason = request_check_url(r->ev->url);
	if (reason != NULL)
		bad(r->errors, pointer, "%s", reason);
}

static const struct slice methods[] = {SLICE_INIT("GET"), SLICE_INIT("HEAD"),
    SLICE_INIT("POST"), SLICE_INIT("PUT"), SLICE_INIT("PATCH"),
    SLICE_INIT("DELETE"), SLICE_INIT("OPTIONS")};

static void
read_method(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	struct slice *method = &r->ev->method;

	if (read_string(r, pointer, value, method) == -1)
		return;
	for (size_t i = 0; i < COUNT(methods); i++) {
		if (slice_eq(*method, methods[i]))
			return;
		if (slice_ieq(*method, methods[i])) {
			bad(r->errors, pointer,
			    "unknown method; did you mean %s?", methods[i].p);
			return;
		}
	}
	bad(r->errors, pointer,
	    "must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
}

static void
read_header(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	struct slice line, name, text;
	const char *colon, *reason;

	if (read_string(r, pointer, value, &line) == -1)
		return;
	colon = memchr(line.p, ':', line.len);
	if (colon == NULL) {
		bad(r->errors, pointer, "must look like \"Name: value\"");
		return;
	}
	name = slice_of(line.p, (size_t)(colon - line.p));
	text = slice_trim(slice_of(colon + 1, line.len - name.len - 1));
	reason = request_check_header(name, text);
	if (reason != NULL) {
		bad(r->errors, pointer, "%s", reason);
		return;
	}
	buf_append_slice(r->scratch, name);
	buf_append_string(r->scratch, ": ");
	buf_append_slice(r->scratch, text);
	buf_append_char(r->scratch, '\n');
}

static void
read_headers(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	struct json_value element;
	const char *at = NULL;
	char item[64];
	size_t n = 0;

	if (value->type != JSON_ARRAY) {
		bad(r->errors, pointer,
		    "must be an array of \"Name: value\" strings");
		return;
	}
	while (json_next_element(value, &at, &element)) {
		if (n == EVENT_HEADERS_MAX) {
			bad(r->errors, pointer, "has more than %d headers",
			    EVENT_HEADERS_MAX);
			break;
		}
		(void)snprintf(item, sizeof(item), "%s/%zu", pointer, n++);
		read_header(r, item, &element);
	}
	/* The scratch has a maximum of its own, and memory may be short. */
	if (r->scratch->failed || r->scratch->len > EVENT_HEADER_BYTES_MAX)
		bad(r->errors, pointer, "is too large: at most %d bytes",
		    EVENT_HEADER_BYTES_MAX);
	r->ev->headers = buf_slice(r->scratch);
}

static void
read_own_retry(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	struct event_retry_error error;
	char where[64];

	if (event_retry_read(value, r->context->retry_limits, &r->options.retry,
		&error) == 0)
		return;
	(void)snprintf(where, sizeof(where), "%s%s", pointer, error.where);
	bad(r->errors, where, "%s", error.reason);
}

/* Kept as it is written. */
static void
read_callback(struct reader *r, const char *pointer,
    const struct json_value *value, struct slice *json)
{
	struct event_callback_error error;
	char where[64];

	*json = value->raw;
	if (event_callback_check(value->raw, &error) == 0)
		return;
	(void)snprintf(where, sizeof(where), "%s%s", pointer, error.where);
	bad(r->errors, where, "%s", error.reason);
}

static void
read_on_complete_url(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	read_callback(r, pointer, value, &r->options.on_complete);
}

static void
read_on_failure_url(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	read_callback(r, pointer, value, &r->options.on_failure);
}

static void
read_complete_by_time(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	read_how_long(r, pointer, value, &r->options.complete_by_ms);
	if (!r->context->has_acks)
		bad(r->errors, pointer,
		    "is not taken here: it needs service.publicUrl in the "
		    "configuration");
	else if (r->options.complete_by_ms == 0)
		bad(r->errors, pointer, "must be longer than 0");
}

static void
bad_labels(struct reader *r, const char *pointer,
    const struct event_labels_error *error)
{
	char where[64];

	(void)snprintf(where, sizeof(where), "%s%s", pointer, error->where);
	bad(r->errors, where, "%s", error->reason);
}

static void
read_labels(
    struct reader *r, const char *pointer, const struct json_value *value)
{
	struct event_labels labels;
	struct event_labels_error error;

	if (event_labels_read(value, &labels, &error) == -1)
		bad_labels(r, pointer, &error);
	else {
		check(event_labels_write(&r->labels, &labels) == 0);
		r->ev->n_labels = labels.n;
		r->options.labels = buf_slice(&r->labels);
	}
}

static const struct member {
	struct slice name;
	const char *pointer;
	enum {
		OPTIONAL,
		REQUIRED,
		TIME, /* one of these */
	} need;
	void (*read)(struct reader *r, const char *pointer,
	    const struct json_value *value);
} members[] = {
    {SLICE_INIT("application-id"), "/application-id", REQUIRED, read_app},
    {SLICE_INIT("event-id"), "/event-id", OPTIONAL, read_id},
    {SLICE_INIT("event"), "/event", REQUIRED, read_event_body},
    {SLICE_INIT("expiry"), "/expiry", TIME, read_expiry},
    {SLICE_INIT("in"), "/in", TIME, read_in},
    {SLICE_INIT("at-local"), "/at-local", TIME, read_at_local},
    {SLICE_INIT("time-zone"), "/time-zone", OPTIONAL, read_time_zone},
    {SLICE_INIT("url"), "/url", REQUIRED, read_url},
    {SLICE_INIT("method"), "/method", OPTIONAL, read_method},
    {SLICE_INIT("request-headers"), "/request-headers", OPTIONAL, read_headers},
    {SLICE_INIT("not-after"), "/not-after", OPTIONAL, read_too_late},
    {SLICE_INIT("retry"), "/retry", OPTIONAL, read_own_retry},
    {SLICE_INIT("on-conflict"), "/on-conflict", OPTIONAL, read_on_conflict},
    {SLICE_INIT("debounce-max"), "/debounce-max", OPTIONAL, read_debounce_max},
    {SLICE_INIT("on-complete"), "/on-complete", OPTIONAL, read_on_complete_url},
    {SLICE_INIT("on-failure"), "/on-failure", OPTIONAL, read_on_failure_url},
    {SLICE_INIT("complete-by"), "/complete-by", OPTIONAL,
	read_complete_by_time},
    {SLICE_INIT("labels"), "/labels", OPTIONAL, read_labels},
};

/* What a run of a schedule has from that, and not from its event. */
static bool
is_of_schedule(const struct member *member)
{
	return member->need == TIME || member->read == read_app ||
	       member->read == read_id || member->read == read_time_zone ||
	       member->read == read_too_late ||
	       member->read == read_on_conflict ||
	       member->read == read_debounce_max;
}

static void
unknown_member(struct reader *r, struct slice name)
{
	struct words_guess guess;
	char pointer[sizeof(r->errors->list[0].pointer)];

	/* A body has room for many of them, and guessing takes its time. */
	if (r->errors->len == FIELD_ERRORS_MAX) {
		r->errors->total++;
		return;
	}
	words_guess_init(&guess, name);
	for (size_t i = 0; i < COUNT(members); i++)
		words_guess_offer(&guess, members[i].name.p);
	field_pointer(name, pointer, sizeof(pointer));
	if (guess.meant == NULL)
		bad(r->errors, pointer, "unknown member");
	else
		bad(r->errors, pointer, "unknown member; did you mean %s?",
		    guess.meant);
}

static void
check_on_conflict(struct reader *r)
{
	const struct event *ev = r->ev;
	bool debounces = ev->on_conflict == ON_CONFLICT_DEBOUNCE;

	if (ev->on_conflict != ON_CONFLICT_REJECT && ev->id.p == NULL)
		bad(r->errors, "/on-conflict",
		    "goes with an event-id only: one that is made is new");
	if (debounces && ev->time == EVENT_AT_LOCAL)
		bad(r->errors, "/on-conflict",
		    "debounce goes with in or expiry only");
	if (ev->debounce_max_ms != 0 && !debounces)
		bad(r->errors, "/debounce-max",
		    "goes with on-conflict debounce only");
}

/* Each of both needs the other one. */
static void
check_zone(struct reader *r, bool has_zone)
{
	bool is_local = r->ev->time == EVENT_AT_LOCAL;

	if (has_zone != is_local)
		bad(r->errors, "/time-zone",
		    is_local ? "required member is missing: at-local is the "
			       "time of a zone"
			     : "goes with at-local only");
}

static void
check_seen(struct reader *r, const bool seen[COUNT(members)])
{
	bool has_time = false;

	for (size_t i = 0; i < COUNT(members); i++) {
		if (members[i].read == read_time_zone)
			check_zone(r, seen[i]);
		if (members[i].need == REQUIRED && !seen[i])
			bad(r->errors, members[i].pointer,
			    "required member is missing");
		if (members[i].need == TIME && seen[i] && has_time)
			bad(r->errors, members[i].pointer,
			    "a second time: give one of expiry, in and "
			    "at-local");
		has_time |= members[i].need == TIME && seen[i];
	}
	if (!has_time)
		bad(r->errors, "/expiry",
		    "required member is missing: give expiry, in or at-local");
	check_on_conflict(r);
}

static void
check_seen_of_schedule(struct reader *r, const bool seen[COUNT(members)])
{
	for (size_t i = 0; i < COUNT(members); i++)
		if (seen[i] && is_of_schedule(&members[i]))
			bad(r->errors, members[i].pointer,
			    "each run has its own, from the schedule");
		else if (members[i].need == REQUIRED && !seen[i] &&
			 !is_of_schedule(&members[i]))
			bad(r->errors, members[i].pointer,
			    "required member is missing");
}

static void
read_members(struct reader *r, const struct json_value *object)
{
	bool seen[COUNT(members)] = {false};
	struct json_value value;
	struct slice key;
	const char *at = NULL;
	size_t i;

	while (json_next_member(object, &at, &key, &value)) {
		struct slice name = json_unescape(key);

		for (i = 0; i < COUNT(members); i++) {
			if (slice_eq(name, members[i].name))
				break;
		}
		if (i == COUNT(members))
			unknown_member(r, name);
		else if (seen[i])
			bad(r->errors, members[i].pointer,
			    "member appears more than once");
		else
			members[i].read(r, members[i].pointer, &value);
		if (i < COUNT(members))
			seen[i] = true;
	}
	if (r->context->of_schedule)
		check_seen_of_schedule(r, seen);
	else
		check_seen(r, seen);
}

static void
resolve_local(struct reader *r)
{
	struct err err;

	r->ev->zone = r->options.zone;
	r->ev->local_s = r->options.local_s;
	if (r->context->zones == NULL)
		bad(r->errors, "/at-local", "is not taken here");
	else if (event_local_resolve(r->ev, r->context->zones, clock_event_ms(),
		     clock_mono_ms(), &err) == -1)
		bad(r->errors, "/time-zone", "%s", err.text);
}

/* Behind the headers, which may move. */
static void
append_options(struct reader *r)
{
	struct event *ev = r->ev;
	bool in_scratch = r->scratch->len > 0;
	size_t begin = r->scratch->len;

	if (ev->time == EVENT_AT && r->options.not_after_ms > 0 &&
	    r->options.not_after_ms < ev->expiry_ms)
		bad(r->errors, "/not-after", "is before expiry");
	if (ev->time == EVENT_AT_LOCAL)
		resolve_local(r);
	if (event_options_write(r->scratch, &r->options, slice_of("", 0)) == -1)
		bad(r->errors, "", "is too large");
	if (in_scratch)
		ev->headers = slice_of(r->scratch->p, begin);
	ev->options = slice_of(r->scratch->p + begin, r->scratch->len - begin);
}

static const struct slice json_type =
			      SLICE_INIT("Content-Type: application/json\n"),
			  text_type = SLICE_INIT(
			      "Content-Type: text/plain; charset=utf-8\n");

enum event_json_result
event_from_json(char *body, size_t len, const struct event_context *context,
    struct buf *scratch, struct event *ev, struct err *err,
    struct field_errors *errors)
{
	/* cppcheck-suppress ctuuninitvar ; errors is ours to initialise */
	struct reader r = {
	    .ev = ev, .scratch = scratch, .errors = errors, .context = context};
	char labels[EVENT_LABELS_TEXT_MAX + 1];
	struct json_value value;

	errors->len = errors->total = 0;
	buf_reset(scratch);
	if (json_scan(slice_of(body, len), &value, err) == -1)
		return EVENT_JSON_MALFORMED;

	*ev = (struct event){
	    .method = SLICE_LITERAL("POST"),
	    .headers = json_type,
	};
	r.labels = BUF_OF(labels);
	if (value.type == JSON_OBJECT)
		read_members(&r, &value);
	else
		bad(errors, "", "must be an object");
	/* A string is delivered as its text, which is no JSON. */
	if (ev->headers.p == json_type.p && ev->body_is_text)
		ev->headers = text_type;
	if (errors->total == 0)
		append_options(&r);
	return errors->total == 0 ? EVENT_JSON_OK : EVENT_JSON_INVALID;
}

/* ---- changes ---- */

static void
remove_member(
    struct reader *r, const struct member *member, struct event_patch *patch)
{
	if (member->read == read_method) {
		patch->has_method = true;
		patch->values.method = SLICE_LITERAL("POST");
	} else if (member->read == read_headers) {
		patch->has_headers = true;
		patch->values.headers = json_type;
	} else if (member->read == read_own_retry) {
		patch->has_retry = true;
	} else if (member->read == read_too_late) {
		patch->has_not_after = true;
	} else if (member->read == read_on_complete_url) {
		patch->has_on_complete = true;
	} else if (member->read == read_on_failure_url) {
		patch->has_on_failure = true;
	} else if (member->read == read_labels) {
		patch->has_labels = true;
		patch->labels.type = JSON_NULL;
	} else
		bad(r->errors, member->pointer, "cannot be removed");
}

/* How many the event then has, only who has it can tell. */
static void
change_labels(struct reader *r, const char *pointer,
    const struct json_value *value, struct event_patch *patch)
{
	struct event_labels labels = {0};
	struct event_labels_error error;

	patch->labels = *value;
	if (event_labels_patch(value, &labels, &error) == -1)
		bad_labels(r, pointer, &error);
}

static void
change_member(struct reader *r, const struct member *member,
    const struct json_value *value, struct event_patch *patch)
{
	bool *has =
	    member->need == TIME                   ? &patch->has_time
	    : member->read == read_url             ? &patch->has_url
	    : member->read == read_method          ? &patch->has_method
	    : member->read == read_headers         ? &patch->has_headers
	    : member->read == read_event_body      ? &patch->has_body
	    : member->read == read_own_retry       ? &patch->has_retry
	    : member->read == read_too_late        ? &patch->has_not_after
	    : member->read == read_on_complete_url ? &patch->has_on_complete
	    : member->read == read_on_failure_url  ? &patch->has_on_failure
	    : member->read == read_labels          ? &patch->has_labels
	    : member->read == read_time_zone       ? &patch->has_zone
						   : NULL;

	if (has == NULL)
		bad(r->errors, member->pointer, "cannot be changed");
	else if (*has)
		bad(r->errors, member->pointer, "is there a second time");
	else if (value->type == JSON_NULL)
		remove_member(r, member, patch);
	else {
		*has = true;
		if (has == &patch->has_body)
			patch->body = *value;
		if (has == &patch->has_labels)
			change_labels(r, member->pointer, value, patch);
		else
			member->read(r, member->pointer, value);
	}
}

/* Once all members are there. */
static void
end_patch(struct reader *r, struct event_patch *patch)
{
	check_zone(r, patch->has_zone);
	if (r->errors->total == 0 && r->ev->time == EVENT_AT_LOCAL)
		resolve_local(r);
	patch->retry = r->options.retry;
	patch->not_after_ms = r->options.not_after_ms;
	patch->on_complete = r->options.on_complete;
	patch->on_failure = r->options.on_failure;
}

enum event_json_result
event_patch_from_json(char *body, size_t len,
    const struct event_context *context, struct buf *scratch,
    struct event_patch *patch, struct err *err, struct field_errors *errors)
{
	struct reader r = {.ev = &patch->values,
	    .scratch = scratch,
	    .errors = errors,
	    .context = context};
	struct json_value object, value;
	struct slice key;
	const char *at = NULL;

	errors->len = errors->total = 0;
	buf_reset(scratch);
	if (json_scan(slice_of(body, len), &object, err) == -1)
		return EVENT_JSON_MALFORMED;
	*patch = (struct event_patch){0};
	if (object.type != JSON_OBJECT)
		bad(errors, "", "must be an object");
	while (object.type == JSON_OBJECT &&
	       json_next_member(&object, &at, &key, &value)) {
		struct slice name = json_unescape(key);
		size_t i = 0;

		while (i < COUNT(members) && !slice_eq(name, members[i].name))
			i++;
		if (i == COUNT(members))
			unknown_member(&r, name);
		else
			change_member(&r, &members[i], &value, patch);
	}
	end_patch(&r, patch);
	return errors->total == 0 ? EVENT_JSON_OK : EVENT_JSON_INVALID;
}
