/* SPDX-License-Identifier: ISC */
#include "event/event_callback.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/json_scan.h"
#include "base/json_write.h"
#include "event/request_check.h"

static int
refuse_callback(
    struct event_callback_error *error, const char *where, const char *reason)
{
	(void)snprintf(error->where, sizeof(error->where), "%s", where);
	(void)snprintf(error->reason, sizeof(error->reason), "%s", reason);
	return -1;
}

static int
read_callback_url(const struct json_value *value, const char *where,
    struct event_callback *callback, struct event_callback_error *error)
{
	const char *reason = "must be a string";

	if (callback->url.p != NULL)
		return refuse_callback(error, where, "is there a second time");
	if (value->type == JSON_STRING) {
		callback->url = json_unescape(value->raw);
		reason = request_check_url(callback->url);
	}
	return reason == NULL ? 0 : refuse_callback(error, where, reason);
}

/* Never longer than they are as JSON. */
static int
read_callback_headers(const struct json_value *value, struct buf *room,
    struct event_callback_error *error)
{
	static const char where[] = "/headers";
	struct json_value text;
	struct slice key;
	const char *at = NULL;
	unsigned n = 0;

	if (value->type != JSON_OBJECT)
		return refuse_callback(
		    error, where, "must be an object of names with values");
	while (json_next_member(value, &at, &key, &text)) {
		struct slice name = json_unescape(key), line;
		const char *reason = "has a value that is no string";

		if (text.type == JSON_STRING) {
			line = slice_trim(json_unescape(text.raw));
			reason = request_check_header(name, line);
		}
		if (reason == NULL && ++n > EVENT_HEADERS_MAX)
			reason = "has too many headers";
		if (reason != NULL)
			return refuse_callback(error, where, reason);
		(void)buf_append_slice(room, name);
		(void)buf_append_string(room, ": ");
		(void)buf_append_slice(room, line);
		(void)buf_append_char(room, '\n');
	}
	return 0;
}

static int
read_callback_members(const struct json_value *object, struct buf *room,
    struct event_callback *callback, struct event_callback_error *error)
{
	struct json_value value;
	struct slice key;
	const char *at = NULL;
	size_t begin = room->len;

	while (json_next_member(object, &at, &key, &value)) {
		struct slice name = json_unescape(key);
		int result;

		if (slice_eq(name, SLICE_LITERAL("url")))
			result =
			    read_callback_url(&value, "/url", callback, error);
		else if (!slice_eq(name, SLICE_LITERAL("headers")))
			result = refuse_callback(error, "",
			    "has an unknown member; url and headers are known");
		else if (callback->headers.len > 0)
			result = refuse_callback(
			    error, "/headers", "is there a second time");
		else
			result = read_callback_headers(&value, room, error);
		if (result == -1)
			return -1;
		callback->headers =
		    slice_of(room->p + begin, room->len - begin);
	}
	return callback->url.p != NULL ? 0
				       : refuse_callback(error, "/url",
					     "required member is missing");
}

int
event_callback_read(struct slice json, struct buf *room,
    struct event_callback *callback, struct event_callback_error *error)
{
	size_t begin = room->len;
	struct json_value value;

	*callback = (struct event_callback){0};
	/* What is in it may not move while it is read. */
	if (json.len > EVENT_CALLBACK_MAX)
		return refuse_callback(error, "", "is too large");
	if (buf_reserve(room, 2 * json.len) == -1) {
		room->failed = true;
		return refuse_callback(error, "", "is too large for now");
	}
	(void)buf_append_slice(room, json);
	callback->headers = slice_of(room->p + room->len, 0);
	if (json_scan(slice_of(room->p + begin, json.len), &value, NULL) == -1)
		return refuse_callback(error, "", "is no JSON");
	if (value.type == JSON_STRING)
		return read_callback_url(&value, "", callback, error);
	if (value.type == JSON_OBJECT)
		return read_callback_members(&value, room, callback, error);
	return refuse_callback(
	    error, "", "must be a URL, or an object with url and headers");
}

int
event_callback_check(struct slice json, struct event_callback_error *error)
{
	char bytes[2 * EVENT_CALLBACK_MAX + 1];
	struct buf room = BUF_OF(bytes);
	struct event_callback ignored;

	return event_callback_read(json, &room, &ignored, error);
}

/* ---- the event ---- */

static bool
has_content_type(struct slice lines)
{
	static const struct slice name = SLICE_INIT("Content-Type:");

	while (lines.len > name.len) {
		const char *lf = memchr(lines.p, '\n', lines.len);
		size_t len =
		    lf == NULL ? lines.len : (size_t)(lf - lines.p) + 1;

		if (len > name.len &&
		    slice_ieq(slice_of(lines.p, name.len), name))
			return true;
		lines = slice_of(lines.p + len, lines.len - len);
	}
	return false;
}

/* Without the first bytes of a character whose others were cut off. */
static struct slice
whole_characters(struct slice text)
{
	for (size_t cut = 1; cut < 4 && cut <= text.len; cut++) {
		unsigned char c = (unsigned char)text.p[text.len - cut];
		size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

		if (c < 0x80)
			break;
		if (c >= 0xc0)
			return slice_of(
			    text.p, text.len - (cut < whole ? cut : 0));
	}
	return text;
}

/* The id of the event, or where that is too long its begin, and its key. */
static int
append_callback_id(const struct event_end *end, struct buf *text)
{
	char tail[32];
	int n = snprintf(tail, sizeof(tail), ".%s.%u",
	    end->state == EVENT_COMPLETED ? "on-complete" : "on-failure",
	    end->attempts);
	size_t room = EVENT_ID_MAX - (size_t)n;
	struct event_key key;

	if (end->id.len <= room) {
		(void)buf_append_slice(text, end->id);
	} else {
		if (event_key_make(end->app, end->id, &key) == -1)
			return -1;
		room -= 1 + 2 * sizeof(key.bytes);
		(void)buf_append_slice(
		    text, whole_characters(slice_of(end->id.p, room)));
		(void)buf_append_char(text, '~');
		for (size_t i = 0; i < sizeof(key.bytes); i++)
			(void)buf_printf(text, "%02x", key.bytes[i]);
	}
	return buf_append_string(text, tail);
}

void
event_callback_other_id(
    struct slice id, int64_t number, char other[EVENT_ID_MAX + 1])
{
	char tail[32];
	int n = snprintf(tail, sizeof(tail), ".%016" PRIx64, (uint64_t)number);
	size_t room = EVENT_ID_MAX - (size_t)n;

	if (id.len > room)
		id = whole_characters(slice_of(id.p, room));
	(void)snprintf(
	    other, EVENT_ID_MAX + 1, "%.*s%s", (int)id.len, id.p, tail);
}

static void
write_base64(struct json_writer *w, const char *name, struct slice bytes)
{
	unsigned char text[65];

	if (w->comma)
		(void)buf_append_char(w->out, ',');
	(void)buf_printf(w->out, "\"%s\":\"", name);
	while (bytes.len > 0) {
		size_t n = bytes.len < 48 ? bytes.len : 48;
		int len = EVP_EncodeBlock(
		    text, (const unsigned char *)bytes.p, (int)n);

		(void)buf_append(w->out, text, (size_t)len);
		bytes = slice_of(bytes.p + n, bytes.len - n);
	}
	(void)buf_append_char(w->out, '"');
	w->comma = true;
}

static void
write_answer_body(struct json_writer *w, const struct event_end *end)
{
	struct slice body = end->response;

	if (end->cut)
		body = whole_characters(body);
	if (slice_is_utf8(body))
		json_text(w, "response-body", body);
	else
		write_base64(w, "response-body-base64", end->response);
	if (end->cut)
		json_raw(w, "response-cut", SLICE_LITERAL("true"));
}

static void
write_end(struct buf *text, const struct event_end *end)
{
	struct json_writer w = {.out = text};

	json_object(&w, NULL);
	json_text(&w, "application-id", end->app);
	json_text(&w, "event-id", end->id);
	json_string(&w, "status", event_state_name(end->state));
	json_seconds(&w, "expiry", end->expiry_ms);
	json_seconds(&w, "finished", end->at_ms);
	json_number(&w, "attempts", end->attempts);
	if (end->code != 0)
		json_number(&w, "last-response-code", end->code);
	if (end->error.len > 0)
		json_text(&w, "last-error", end->error);
	if (end->headers.len > 0)
		json_lines(&w, "response-headers", end->headers);
	if (end->response.len > 0)
		write_answer_body(&w, end);
	json_end_object(&w);
}

int
event_callback_make(struct slice json, const struct event_end *end,
    struct buf *text, struct event *ev)
{
	struct event_callback callback;
	struct event_callback_error ignored;
	size_t url, headers, id, body;

	if (event_callback_read(json, text, &callback, &ignored) == -1)
		return -1;
	url = (size_t)(callback.url.p - text->p);
	headers = (size_t)(callback.headers.p - text->p);
	/* Behind the others. */
	if (!has_content_type(callback.headers))
		(void)buf_append_string(
		    text, "Content-Type: application/json\n");
	id = text->len;
	if (append_callback_id(end, text) == -1) {
		text->failed = true;
		return -1;
	}
	body = text->len;
	write_end(text, end);
	if (text->failed)
		return -1;
	*ev = (struct event){
	    .app = end->app,
	    .id = slice_of(text->p + id, body - id),
	    .method = SLICE_LITERAL("POST"),
	    .url = slice_of(text->p + url, callback.url.len),
	    .headers = slice_of(text->p + headers, id - headers),
	    .body = slice_of(text->p + body, text->len - body),
	    .options = SLICE_LITERAL(""),
	    .expiry_ms = end->at_ms,
	};
	return 0;
}
