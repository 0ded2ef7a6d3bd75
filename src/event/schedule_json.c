/* SPDX-License-Identifier: ISC */
#include "event/schedule_json.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "event/recur_read.h"

#define SCHEDULE "/schedule"

/* The pointers of an event become those of the member that it is. */
static void
prefix_errors(struct field_errors *errors)
{
	static const char prefix[] = "/event";
	const size_t len = sizeof(prefix) - 1;

	for (size_t i = 0; i < errors->len; i++) {
		char *pointer = errors->list[i].pointer;

		memmove(pointer + len, pointer,
		    sizeof(errors->list[i].pointer) - len);
		memcpy(pointer, prefix, len);
		pointer[sizeof(errors->list[i].pointer) - 1] = '\0';
	}
}

static void
read_schedule_event(const struct json_value *value,
    const struct schedule_context *context, struct buf *scratch,
    struct event *ev, struct field_errors *errors, char *body)
{
	struct event_context of_schedule = *context->event;
	struct err err;

	of_schedule.of_schedule = true;
	/* It was read already, as a part of the whole. */
	(void)event_from_json(body + (value->raw.p - body), value->raw.len,
	    &of_schedule, scratch, ev, &err, errors);
	prefix_errors(errors);
}

static void
refuse_spec(struct field_errors *errors, const struct recur_error *error)
{
	char pointer[sizeof(SCHEDULE) + sizeof(error->where)];

	(void)snprintf(
	    pointer, sizeof(pointer), "%s%s", SCHEDULE, error->where);
	field_errors_add(errors, pointer, "%s", error->reason);
}

static void
check_spec(const struct json_value *value,
    const struct schedule_context *context, struct field_errors *errors)
{
	struct recur recur;
	struct recurring at = {.recur = &recur, .since_s = context->now_s};
	struct recur_error error;
	struct err err;

	if (recur_read(value, &recur, &error) == -1) {
		refuse_spec(errors, &error);
		return;
	}
	if (recur.every_s == 0) {
		at.tz = zones_find(context->event->zones,
		    slice_from_string(recur.zone), clock_mono_ms(), &err);
		if (at.tz == NULL) {
			field_errors_add(
			    errors, SCHEDULE "/time-zone", "%s", err.text);
			return;
		}
	}
	if (recur_check(&at, context->now_s, context->min_period_ms, &error) ==
	    -1)
		refuse_spec(errors, &error);
}

/* Of the object, which has no other ones; type is JSON_NULL for none. */
static void
find_members(const struct json_value *object, struct json_value *spec,
    struct json_value *event, struct field_errors *errors)
{
	struct json_value value;
	struct slice key;
	const char *at = NULL;
	char pointer[sizeof(errors->list[0].pointer)];

	while (json_next_member(object, &at, &key, &value)) {
		struct slice name = json_unescape(key);
		bool is_spec = slice_eq(name, SLICE_LITERAL("schedule"));
		struct json_value *member = is_spec ? spec : event;

		field_pointer(name, pointer, sizeof(pointer));
		if (!is_spec && !slice_eq(name, SLICE_LITERAL("event")))
			field_errors_add(errors, pointer,
			    "unknown member; schedule and event are known");
		else if (member->type != JSON_NULL)
			field_errors_add(
			    errors, pointer, "member appears more than once");
		else
			*member = value;
	}
}

enum event_json_result
schedule_from_json(char *body, size_t len,
    const struct schedule_context *context, struct buf *scratch,
    struct schedule_text *schedule, struct err *err,
    struct field_errors *errors)
{
	struct json_value value, spec = {.type = JSON_NULL}, event = spec;

	errors->len = errors->total = 0;
	if (json_scan(slice_of(body, len), &value, err) == -1)
		return EVENT_JSON_MALFORMED;
	if (value.type != JSON_OBJECT) {
		field_errors_add(errors, "", "must be an object");
		return EVENT_JSON_INVALID;
	}
	find_members(&value, &spec, &event, errors);
	if (errors->total > 0)
		return EVENT_JSON_INVALID;
	if (event.type != JSON_NULL)
		read_schedule_event(
		    &event, context, scratch, &schedule->event, errors, body);
	else
		field_errors_add(
		    errors, "/event", "required member is missing");
	if (spec.type != JSON_NULL)
		check_spec(&spec, context, errors);
	else
		field_errors_add(
		    errors, SCHEDULE, "required member is missing");
	schedule->spec = spec.raw;
	return errors->total == 0 ? EVENT_JSON_OK : EVENT_JSON_INVALID;
}
