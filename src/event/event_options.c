/* SPDX-License-Identifier: ISC */
#include "event/event_options.h"

#include <sys/random.h>

#include "base/ascii.h"
#include "base/json_scan.h"
#include "base/json_write.h"
#include "base/zones.h"

/* The year 9999 has less. */
#define EVENT_TIME_MAX_MS (INT64_C(1) << 48)
#define EVENT_TIME_MAX_S  (INT64_C(1) << 38)

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* In the place of a key that is not drawn; no key is that. */
#define NO_KEY "00000000000000000000000000000000"

static bool
is_key(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (!is_digit(key.p[i]) && (key.p[i] < 'a' || key.p[i] > 'f'))
			return false;
	return key.len == EVENT_ACK_KEY_LEN;
}

static bool
read_ack_key(struct event_options *options, const struct json_value *value)
{
	if (value->type != JSON_STRING)
		return false;
	options->ack_key = slice_of(value->raw.p + 1, value->raw.len - 2);
	if (!is_key(options->ack_key))
		return false;
	if (slice_eq(options->ack_key, SLICE_LITERAL(NO_KEY)))
		options->ack_key = SLICE_LITERAL("");
	return true;
}

static void
write_ack_key(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->complete_by_ms > 0)
		json_text(w, name,
		    options->ack_key.len > 0 ? options->ack_key
					     : SLICE_LITERAL(NO_KEY));
}

int
event_options_draw_key(struct slice text)
{
	static const struct slice begin = SLICE_INIT("{\"ack-key\":\"" NO_KEY);
	static const char digits[] = "0123456789abcdef";
	unsigned char random[EVENT_ACK_KEY_LEN / 2];
	char *key;

	if (text.len < begin.len ||
	    !slice_eq(slice_of(text.p, begin.len), begin))
		return 0;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -1;
	/* It was made by us, into memory of the caller's: its first digit. */
	key = memchr(text.p, '0', begin.len);
	for (size_t i = 0; i < sizeof(random); i++) {
		*key++ = digits[random[i] >> 4];
		*key++ = digits[random[i] & 15];
	}
	return 0;
}

static bool
read_complete_by(struct event_options *options, const struct json_value *value)
{
	uint64_t ms;

	if (value->type != JSON_NUMBER ||
	    slice_to_u64(value->raw, EVENT_TIME_MAX_MS, &ms) == -1)
		return false;
	options->complete_by_ms = (int64_t)ms;
	return true;
}

static void
write_complete_by_ms(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->complete_by_ms > 0)
		json_number(w, name, options->complete_by_ms);
}

/* A whole number from 1 to max, or 0: it is none. */
static unsigned
whole_number(const struct json_value *value, unsigned max)
{
	uint64_t n;

	if (value->type != JSON_NUMBER ||
	    slice_to_u64(value->raw, max, &n) == -1)
		return 0;
	return (unsigned)n;
}

static bool
read_forgiven(struct event_options *options, const struct json_value *value)
{
	options->forgiven = whole_number(value, EVENT_FORGIVEN_MAX);
	return options->forgiven > 0;
}

static void
write_forgiven(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->forgiven > 0)
		json_number(w, name, options->forgiven);
}

static bool
read_not_after(struct event_options *options, const struct json_value *value)
{
	uint64_t ms;

	if (value->type != JSON_NUMBER ||
	    slice_to_u64(value->raw, EVENT_TIME_MAX_MS, &ms) == -1)
		return false;
	options->not_after_ms = (int64_t)ms;
	return true;
}

static void
write_not_after(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->not_after_ms > 0)
		json_number(w, name, options->not_after_ms);
}

static bool
read_local(struct event_options *options, const struct json_value *value)
{
	uint64_t s;

	if (value->type != JSON_NUMBER ||
	    slice_to_u64(value->raw, EVENT_TIME_MAX_S, &s) == -1)
		return false;
	options->local_s = (int64_t)s;
	return true;
}

static void
write_local(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->zone.len > 0)
		json_number(w, name, options->local_s);
}

static bool
read_zone_name(struct event_options *options, const struct json_value *value)
{
	if (value->type != JSON_STRING)
		return false;
	/* A name has nothing that is escaped. */
	options->zone = slice_of(value->raw.p + 1, value->raw.len - 2);
	return zones_is_name(options->zone);
}

static void
write_zone_name(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->zone.len > 0)
		json_text(w, name, options->zone);
}

/* What is in it is looked at by who wants it. */
static bool
read_labels_text(struct event_options *options, const struct json_value *value)
{
	options->labels = value->raw;
	return value->type == JSON_OBJECT;
}

static void
write_labels_text(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->labels.len > 0)
		json_raw(w, name, options->labels);
}

static bool
read_retry(struct event_options *options, const struct json_value *value)
{
	static const struct event_retry_limits limits = {
	    .max_attempts = EVENT_ATTEMPTS_MAX};
	struct event_retry_error ignored;

	return event_retry_read(value, &limits, &options->retry, &ignored) == 0;
}

static void
write_retry(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	event_retry_write(w, name, &options->retry);
}

static bool
read_run(struct event_options *options, const struct json_value *value)
{
	static const uint64_t most[] = {INT64_MAX, EVENT_TIME_MAX_S, 1};
	uint64_t numbers[COUNT(most)];
	struct json_value number;
	const char *at = NULL;
	size_t n = 0;

	if (value->type != JSON_ARRAY)
		return false;
	while (json_next_element(value, &at, &number))
		if (n == COUNT(most) || number.type != JSON_NUMBER ||
		    slice_to_u64(number.raw, most[n], &numbers[n]) == -1)
			return false;
		else
			n++;
	if (n < COUNT(most) || numbers[0] == 0)
		return false;
	options->schedule = (int64_t)numbers[0];
	options->run_s = (int64_t)numbers[1];
	options->exact = numbers[2] != 0;
	return true;
}

static void
write_schedule(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->schedule == 0)
		return;
	json_array(w, name);
	json_number(w, NULL, options->schedule);
	json_number(w, NULL, options->run_s);
	json_number(w, NULL, options->exact);
	json_end_array(w);
}

static bool
is_callback(const struct json_value *value)
{
	return value->type == JSON_STRING || value->type == JSON_OBJECT;
}

static bool
read_on_complete(struct event_options *options, const struct json_value *value)
{
	options->on_complete = value->raw;
	return is_callback(value);
}

static void
write_on_complete(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->on_complete.len > 0)
		json_raw(w, name, options->on_complete);
}

static bool
read_on_failure(struct event_options *options, const struct json_value *value)
{
	options->on_failure = value->raw;
	return is_callback(value);
}

static void
write_on_failure(struct json_writer *w, const char *name,
    const struct event_options *options)
{
	if (options->on_failure.len > 0)
		json_raw(w, name, options->on_failure);
}

/* In the order in which they are written: a key stands in front of all that
 * clients may choose. */
static const struct member {
	struct slice name;
	bool (*read)(
	    struct event_options *options, const struct json_value *value);
	void (*write)(struct json_writer *w, const char *name,
	    const struct event_options *options);
} members[] = {
    {SLICE_INIT("ack-key"), read_ack_key, write_ack_key},
    {SLICE_INIT("at-local-s"), read_local, write_local},
    {SLICE_INIT("complete-by-ms"), read_complete_by, write_complete_by_ms},
    {SLICE_INIT("forgiven"), read_forgiven, write_forgiven},
    {SLICE_INIT("labels"), read_labels_text, write_labels_text},
    {SLICE_INIT("not-after-ms"), read_not_after, write_not_after},
    {SLICE_INIT("on-complete"), read_on_complete, write_on_complete},
    {SLICE_INIT("on-failure"), read_on_failure, write_on_failure},
    {SLICE_INIT("retry"), read_retry, write_retry},
    {SLICE_INIT("schedule"), read_run, write_schedule},
    {SLICE_INIT("time-zone"), read_zone_name, write_zone_name},
};

static const struct member *
find_member(struct slice name)
{
	for (size_t i = 0; i < COUNT(members); i++)
		if (slice_eq(name, members[i].name))
			return &members[i];
	return NULL;
}

/* The object, or one without members for no text. */
static int
scan(struct slice text, struct json_value *object, struct err *err)
{
	if (text.len == 0)
		text = SLICE_LITERAL("{}");
	if (text.len > EVENT_OPTIONS_MAX)
		return err_set(err, "is too long");
	if (json_scan(text, object, err) == -1)
		return -1;
	return object->type == JSON_OBJECT ? 0 : err_set(err, "is no object");
}

/* A name that we know has no escapes as we write it. */
static struct slice
plain_name(struct slice key)
{
	return slice_of(key.p + 1, key.len - 2);
}

int
event_options_parse(
    struct slice text, struct event_options *options, struct err *err)
{
	struct json_value object, value;
	struct slice key;
	const char *at = NULL;

	*options = (struct event_options){0};
	if (scan(text, &object, err) == -1)
		return -1;
	while (json_next_member(&object, &at, &key, &value)) {
		const struct member *member = find_member(plain_name(key));

		if (member != NULL && !member->read(options, &value))
			return err_set(
			    err, "has a bad value of %s", member->name.p);
	}
	return 0;
}

int
event_options_write(
    struct buf *out, const struct event_options *options, struct slice before)
{
	struct json_writer w = {.out = out};
	struct json_value object, value;
	size_t begin = out->len;
	struct slice key;
	const char *at = NULL;

	if (scan(before, &object, NULL) == -1)
		return -1;
	json_object(&w, NULL);
	for (size_t i = 0; i < COUNT(members); i++)
		members[i].write(&w, members[i].name.p, options);
	while (json_next_member(&object, &at, &key, &value)) {
		if (find_member(plain_name(key)) != NULL)
			continue;
		if (w.comma)
			(void)buf_append_char(out, ',');
		(void)buf_append_slice(out, key);
		(void)buf_append_char(out, ':');
		(void)buf_append_slice(out, value.raw);
		w.comma = true;
	}
	json_end_object(&w);
	if (out->failed || out->len - begin > EVENT_OPTIONS_MAX)
		return -1;
	if (slice_eq(slice_of(out->p + begin, out->len - begin),
		SLICE_LITERAL("{}")))
		out->len = begin;
	return 0;
}
