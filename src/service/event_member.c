/* SPDX-License-Identifier: ISC */
#include "service/event_member.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/civil.h"
#include "base/duration.h"
#include "base/json_scan.h"
#include "event/event_local.h"
#include "event/event_options.h"

static void
write_header_lines(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_lines(w, name, record->event.headers);
}

static void
write_app(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_text(w, name, record->event.app);
}

static void
write_id(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_text(w, name, record->event.id);
}

static void
write_status(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_string(w, name, event_state_name(record->state));
}

static void
write_expiry(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_seconds(w, name, record->event.expiry_ms);
}

static void
write_created(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_seconds(w, name, record->created_ms);
}

static void
write_attempt_count(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_number(w, name, record->attempts);
}

static void
write_first_attempt(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	if (record->first_attempt_ms != 0)
		json_seconds(w, name, record->first_attempt_ms);
}

static void
write_next_attempt(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	int64_t next_ms = record->due_ms;

	if (record->attempts == 0)
		next_ms = event_local_attempt_ms(
		    next_ms, record->event.expiry_ms);
	if (record->state == EVENT_PENDING ||
	    record->state == EVENT_SERVICE_UNAVAILABLE ||
	    record->state == EVENT_AWAITING)
		json_seconds(w, name, next_ms);
}

static void
write_finished(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	if (record->state == EVENT_COMPLETED || record->state == EVENT_FAILED)
		json_seconds(w, name, record->due_ms);
}

static void
write_last_code(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	if (record->last_code != 0)
		json_number(w, name, record->last_code);
}

static void
write_last_error(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	if (record->last_error.len > 0)
		json_text(w, name, record->last_error);
}

static void
write_url(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_text(w, name, record->event.url);
}

static void
write_method(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	json_text(w, name, record->event.method);
}

/* What is damaged is not shown; the worker says it. */
static bool
options_of_record(
    const struct store_record *record, struct event_options *options)
{
	struct err ignored;

	return event_options_parse(record->event.options, options, &ignored) ==
	       0;
}

static void
write_not_after_member(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;

	if (options_of_record(record, &options) && options.not_after_ms != 0)
		json_seconds(w, name, options.not_after_ms);
}

static void
write_at_local(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;
	struct civil c;
	char text[64];

	if (!options_of_record(record, &options) || options.zone.len == 0)
		return;
	c = civil_of_seconds(options.local_s);
	(void)snprintf(text, sizeof(text),
	    "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d", c.year, c.month, c.day,
	    c.hour, c.minute, c.second);
	json_string(w, name, text);
}

static void
write_time_zone(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;

	if (options_of_record(record, &options) && options.zone.len > 0)
		json_text(w, name, options.zone);
}

static void
write_retry_member(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;

	if (options_of_record(record, &options))
		event_retry_write(w, name, &options.retry);
}

static void
write_on_complete_member(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;

	if (options_of_record(record, &options) && options.on_complete.len > 0)
		json_raw(w, name, options.on_complete);
}

static void
write_on_failure_member(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;

	if (options_of_record(record, &options) && options.on_failure.len > 0)
		json_raw(w, name, options.on_failure);
}

static void
write_complete_by(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;
	char text[DURATION_TEXT];

	if (!options_of_record(record, &options) || options.complete_by_ms == 0)
		return;
	duration_write(options.complete_by_ms, text);
	json_string(w, name, text);
}

static void
write_labels(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct event_options options;

	if (options_of_record(record, &options) && options.labels.len > 0)
		json_raw(w, name, options.labels);
}

/* What is damaged is shown as a text: nothing around it is in a bad document. */
static void
write_event(
    struct json_writer *w, const char *name, const struct store_record *record)
{
	struct json_value value;

	if (record->event.body_is_text ||
	    json_scan(record->event.body, &value, NULL) == -1)
		json_text(w, name, record->event.body);
	else
		json_raw(w, name, record->event.body);
}

static const struct {
	struct slice name;
	void (*write)(struct json_writer *w, const char *name,
	    const struct store_record *record);
} members[EVENT_MEMBERS] = {
    [MEMBER_APP] = {SLICE_INIT("application-id"), write_app},
    [MEMBER_ID] = {SLICE_INIT("event-id"), write_id},
    [MEMBER_STATUS] = {SLICE_INIT("status"), write_status},
    [MEMBER_EXPIRY] = {SLICE_INIT("expiry"), write_expiry},
    [MEMBER_CREATED] = {SLICE_INIT("created"), write_created},
    [MEMBER_ATTEMPTS] = {SLICE_INIT("attempts"), write_attempt_count},
    [MEMBER_FIRST_ATTEMPT] = {SLICE_INIT("first-attempt"), write_first_attempt},
    [MEMBER_NEXT_ATTEMPT] = {SLICE_INIT("next-attempt"), write_next_attempt},
    [MEMBER_FINISHED] = {SLICE_INIT("finished"), write_finished},
    [MEMBER_LAST_CODE] = {SLICE_INIT("last-response-code"), write_last_code},
    [MEMBER_LAST_ERROR] = {SLICE_INIT("last-error"), write_last_error},
    [MEMBER_URL] = {SLICE_INIT("url"), write_url},
    [MEMBER_METHOD] = {SLICE_INIT("method"), write_method},
    [MEMBER_HEADERS] = {SLICE_INIT("request-headers"), write_header_lines},
    [MEMBER_AT_LOCAL] = {SLICE_INIT("at-local"), write_at_local},
    [MEMBER_TIME_ZONE] = {SLICE_INIT("time-zone"), write_time_zone},
    [MEMBER_NOT_AFTER] = {SLICE_INIT("not-after"), write_not_after_member},
    [MEMBER_RETRY] = {SLICE_INIT("retry"), write_retry_member},
    [MEMBER_ON_COMPLETE] = {SLICE_INIT("on-complete"),
	write_on_complete_member},
    [MEMBER_ON_FAILURE] = {SLICE_INIT("on-failure"), write_on_failure_member},
    [MEMBER_COMPLETE_BY] = {SLICE_INIT("complete-by"), write_complete_by},
    [MEMBER_LABELS] = {SLICE_INIT("labels"), write_labels},
    [MEMBER_EVENT] = {SLICE_INIT("event"), write_event},
};

enum event_member
event_member_find(struct slice name)
{
	unsigned i = 0;

	while (i < EVENT_MEMBERS && !slice_eq(name, members[i].name))
		i++;
	return (enum event_member)i;
}

void
event_member_write(struct json_writer *w, enum event_member member,
    const struct store_record *record)
{
	members[member].write(w, members[member].name.p, record);
}
