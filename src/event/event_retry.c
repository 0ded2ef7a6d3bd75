/* SPDX-License-Identifier: ISC */
#include "event/event_retry.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/json_write.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { JITTER_MAX = 100, TEXT_MAX = 64 };

/* 30 days, as of retryDelays. */
static const int64_t delay_max_ms = INT64_C(30) * 86400000;

struct reader {
	const struct event_retry_limits *limits;
	struct event_retry *retry;
	struct event_retry_error *error;
};

static int refuse_value(struct reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
refuse_value(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->error->reason, sizeof(r->error->reason), fmt, ap);
	va_end(ap);
	return -1;
}

/* Of a string, without its escapes; longer ones are none of our words. */
static struct slice
text_of(struct slice raw, char text[TEXT_MAX])
{
	if (raw.len > TEXT_MAX)
		return slice_of("", 0);
	memcpy(text, raw.p, raw.len);
	return json_unescape(slice_of(text, raw.len));
}

static int
read_whole(struct reader *r, const struct json_value *value, unsigned min,
    unsigned max, unsigned *number)
{
	uint64_t n;

	if (value->type != JSON_NUMBER ||
	    slice_to_u64(value->raw, max, &n) == -1 || n < min)
		return refuse_value(
		    r, "must be a whole number from %u to %u", min, max);
	*number = (unsigned)n;
	return 0;
}

static int
read_attempts(struct reader *r, const struct json_value *value)
{
	return read_whole(
	    r, value, 1, r->limits->max_attempts, &r->retry->attempts);
}

static int
read_jitter(struct reader *r, const struct json_value *value)
{
	r->retry->has_jitter = true;
	return read_whole(r, value, 0, JITTER_MAX, &r->retry->jitter_percent);
}

static int
read_delay(struct reader *r, const struct json_value *value)
{
	char text[TEXT_MAX];
	int64_t ms;

	if (value->type != JSON_STRING ||
	    duration_parse(text_of(value->raw, text), delay_max_ms, &ms) == -1)
		return refuse_value(r,
		    "must be a duration such as 250ms, 10s, 5m or 1h, "
		    "at most 30d");
	if (ms < r->limits->min_delay_ms)
		return refuse_value(r, "must be at least %" PRId64 "ms here",
		    r->limits->min_delay_ms);
	if (r->retry->n_delays == RETRY_DELAYS_MAX)
		return refuse_value(
		    r, "is beyond the %d that there may be", RETRY_DELAYS_MAX);
	r->retry->delay_ms[r->retry->n_delays++] = (uint32_t)ms;
	return 0;
}

static int
read_on(struct reader *r, const struct json_value *value)
{
	char text[TEXT_MAX];

	if (value->type == JSON_STRING &&
	    outcome_rules_add(&r->retry->on, text_of(value->raw, text)))
		return 0;
	return refuse_value(r,
	    "must be a status from \"300\" to \"599\", at most %d of "
	    "them, \"3xx\", \"4xx\", \"5xx\", \"connect\", "
	    "\"timeout\" or \"answer\"",
	    OUTCOME_CODES_MAX);
}

static int
read_array(struct reader *r, const char *name, const struct json_value *list,
    int (*read)(struct reader *r, const struct json_value *value))
{
	struct json_value value;
	const char *at = NULL;
	unsigned n = 0;

	if (list->type != JSON_ARRAY)
		return refuse_value(r, "must be an array");
	while (json_next_element(list, &at, &value)) {
		(void)snprintf(r->error->where, sizeof(r->error->where),
		    "/%s/%u", name, n++);
		if (read(r, &value) == -1)
			return -1;
	}
	return n > 0 ? 0 : refuse_value(r, "must not be empty");
}

static int
read_delays(struct reader *r, const struct json_value *value)
{
	return read_array(r, "delays", value, read_delay);
}

static int
read_rules(struct reader *r, const struct json_value *value)
{
	return read_array(r, "on", value, read_on);
}

static const struct {
	struct slice name;
	int (*read)(struct reader *r, const struct json_value *value);
} members[] = {
    {SLICE_INIT("attempts"), read_attempts},
    {SLICE_INIT("delays"), read_delays},
    {SLICE_INIT("jitter"), read_jitter},
    {SLICE_INIT("on"), read_rules},
};

static int
read_member(struct reader *r, unsigned *seen, struct slice name,
    const struct json_value *value)
{
	for (size_t i = 0; i < COUNT(members); i++) {
		if (!slice_eq(name, members[i].name))
			continue;
		(void)snprintf(r->error->where, sizeof(r->error->where), "/%s",
		    members[i].name.p);
		if ((*seen & 1u << i) != 0)
			return refuse_value(r, "appears more than once");
		*seen |= 1u << i;
		return members[i].read(r, value);
	}
	r->error->where[0] = '\0';
	return refuse_value(r,
	    "has an unknown member; attempts, delays, jitter and on "
	    "are known");
}

int
event_retry_read(const struct json_value *value,
    const struct event_retry_limits *limits, struct event_retry *retry,
    struct event_retry_error *error)
{
	struct reader r = {limits, retry, error};
	struct json_value member;
	struct slice key;
	const char *at = NULL;
	unsigned seen = 0;
	char text[TEXT_MAX];

	*retry = (struct event_retry){0};
	error->where[0] = '\0';
	if (value->type != JSON_OBJECT)
		return refuse_value(&r, "must be an object");
	while (json_next_member(value, &at, &key, &member))
		if (read_member(&r, &seen, text_of(key, text), &member) == -1)
			return -1;
	return 0;
}

static bool
says_nothing(const struct event_retry *retry)
{
	return retry->attempts == 0 && retry->n_delays == 0 &&
	       !retry->has_jitter && !retry->on.given;
}

static void
write_delays(struct json_writer *w, const struct event_retry *retry)
{
	char text[DURATION_TEXT];

	if (retry->n_delays == 0)
		return;
	json_array(w, "delays");
	for (size_t i = 0; i < retry->n_delays; i++) {
		duration_write(retry->delay_ms[i], text);
		json_string(w, NULL, text);
	}
	json_end_array(w);
}

static void
write_rules(struct json_writer *w, const struct outcome_rules *rules)
{
	char text[OUTCOME_WORD_MAX];
	const char *word;

	if (!rules->given)
		return;
	json_array(w, "on");
	for (size_t i = 0; (word = outcome_rules_word(rules, i, text)) != NULL;
	     i++)
		json_string(w, NULL, word);
	json_end_array(w);
}

void
event_retry_write(
    struct json_writer *w, const char *name, const struct event_retry *retry)
{
	if (says_nothing(retry))
		return;
	json_object(w, name);
	if (retry->attempts != 0)
		json_number(w, "attempts", retry->attempts);
	write_delays(w, retry);
	if (retry->has_jitter)
		json_number(w, "jitter", retry->jitter_percent);
	write_rules(w, &retry->on);
	json_end_object(w);
}

void
event_retry_policy(const struct event_retry *retry,
    const struct retry_policy *configured, struct retry_policy *policy)
{
	*policy = *configured;
	if (retry->attempts != 0)
		policy->max_retries = retry->attempts - 1;
	if (retry->has_jitter)
		policy->jitter_percent = retry->jitter_percent;
	if (retry->on.given)
		policy->on = retry->on;
	if (retry->n_delays == 0)
		return;
	policy->n_delays = retry->n_delays;
	for (size_t i = 0; i < retry->n_delays; i++)
		policy->delay_ms[i] = retry->delay_ms[i];
}
