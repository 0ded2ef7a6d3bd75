/* SPDX-License-Identifier: ISC */
#include "event/job_json.h"

#include <stdio.h>

#include "base/check.h"
#include "base/duration.h"
#include "base/words.h"
#include "event/event_time.h"
#include "event/request_check.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* What waits may be claimed before its turn comes: then it is passed over, and
 * counted. */
#define BIT(state) (1U << EVENT_##state)
#define WAITING    (BIT(PENDING) | BIT(SERVICE_UNAVAILABLE) | BIT(PROCESSING))
#define ENDED      (BIT(COMPLETED) | BIT(FAILED))

static const struct {
	struct slice name;
	unsigned states; /* that it may be asked for */
	unsigned usual;  /* of these, where none are given */
} verbs[JOB_VERBS] = {
    [JOB_RETRY] = {SLICE_INIT("retry"), ENDED, BIT(FAILED)},
    [JOB_RUN] = {SLICE_INIT("run"), WAITING | BIT(AWAITING), WAITING},
    [JOB_DELETE] = {SLICE_INIT("delete"), WAITING | ENDED | BIT(AWAITING),
	WAITING | ENDED | BIT(AWAITING)},
    [JOB_RESCHEDULE] = {SLICE_INIT("reschedule"), WAITING, WAITING},
};

struct spec_reader {
	struct job_spec *spec;
	const struct job_rates *rates;
	struct field_errors *errors;
	bool has_to, has_by;
};

struct spec_member {
	struct slice name;
	const char *pointer;
	bool required;
	void (*take)(struct spec_reader *r, const char *pointer,
	    const struct json_value *value);
};

/* ---- an object ---- */

static void
refuse_name(struct spec_reader *r, const char *parent, struct slice name,
    const struct spec_member *members, size_t n)
{
	char pointer[sizeof(r->errors->list[0].pointer)];
	size_t len = (size_t)snprintf(pointer, sizeof(pointer), "%s", parent);
	struct words_guess guess;

	words_guess_init(&guess, name);
	for (size_t i = 0; i < n; i++)
		words_guess_offer(&guess, members[i].name.p);
	field_pointer(name, pointer + len, sizeof(pointer) - len);
	if (guess.meant == NULL)
		field_errors_add(r->errors, pointer, "unknown member");
	else
		field_errors_add(r->errors, pointer,
		    "unknown member; did you mean %s?", guess.meant);
}

static void
take_members(struct spec_reader *r, const char *parent,
    const struct json_value *object, const struct spec_member *members,
    size_t n)
{
	struct json_value value;
	unsigned seen = 0;
	struct slice key;
	const char *at = NULL;
	size_t i;

	if (object->type != JSON_OBJECT) {
		field_errors_add(r->errors, parent, "must be an object");
		return;
	}
	while (r->errors->len < FIELD_ERRORS_MAX &&
	       json_next_member(object, &at, &key, &value)) {
		struct slice name = json_unescape(key);

		for (i = 0; i < n && !slice_eq(name, members[i].name); i++)
			;
		if (i == n)
			refuse_name(r, parent, name, members, n);
		else if ((seen >> i & 1) != 0)
			field_errors_add(r->errors, members[i].pointer,
			    "member appears more than once");
		else {
			seen |= 1U << i;
			members[i].take(r, members[i].pointer, &value);
		}
	}
	for (i = 0; i < n; i++)
		if (members[i].required && (seen >> i & 1) == 0)
			field_errors_add(r->errors, members[i].pointer,
			    "required member is missing");
}

/* ---- the filter ---- */

static void
take_state(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	unsigned state = EVENT_PENDING;
	struct slice word = SLICE_LITERAL("");

	if (value->type == JSON_STRING)
		word = json_unescape(value->raw);
	while (state < EVENT_DELETED &&
	       !slice_eq(word, slice_from_string(
				   event_state_name((enum event_state)state))))
		state++;
	if (state == EVENT_DELETED)
		field_errors_add(r->errors, pointer,
		    "must be PENDING, PROCESSING, COMPLETED, FAILED, "
		    "SERVICE_UNAVAILABLE or AWAITING");
	else
		r->spec->states |= 1U << state;
}

/* One, or an array of them. */
static void
take_each(struct spec_reader *r, const char *pointer,
    const struct json_value *value,
    void (*take)(struct spec_reader *r, const char *pointer,
	const struct json_value *value))
{
	struct json_value element;
	const char *at = NULL;
	char item[64];
	size_t n = 0;

	if (value->type != JSON_ARRAY) {
		take(r, pointer, value);
		return;
	}
	while (
	    n < FIELD_ERRORS_MAX && json_next_element(value, &at, &element)) {
		(void)snprintf(item, sizeof(item), "%s/%zu", pointer, n++);
		take(r, item, &element);
	}
	if (n == 0)
		field_errors_add(r->errors, pointer, "must not be empty");
	if (n == FIELD_ERRORS_MAX)
		field_errors_add(r->errors, pointer, "has too many elements");
}

static void
take_states(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	take_each(r, pointer, value, take_state);
}

static int64_t
take_moment(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	const char *reason;
	int64_t ms = event_time_read(value, &reason);

	if (ms == -1)
		field_errors_add(r->errors, pointer, "%s", reason);
	return ms;
}

static void
take_from(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	r->spec->from_ms = take_moment(r, pointer, value);
}

static void
take_before(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	r->spec->before_ms = take_moment(r, pointer, value);
}

static void
take_destination(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	if (value->type == JSON_STRING)
		r->spec->destination = json_unescape(value->raw);
	if (!request_check_destination(r->spec->destination) ||
	    r->spec->destination.len > JOB_DESTINATION_MAX)
		field_errors_add(r->errors, pointer,
		    "must be HOST or HOST:PORT, as in the URLs of the events");
}

static void
take_label(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	struct job_spec *spec = r->spec;
	const char *reason = "must be a string, NAME=VALUE";

	if (value->type == JSON_STRING)
		reason =
		    event_labels_add(&spec->labels, json_unescape(value->raw));
	if (reason != NULL)
		field_errors_add(r->errors, pointer, "%s", reason);
	else if (spec->labels.n == 1)
		spec->first = spec->labels.list[0];
}

static void
take_labels(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	take_each(r, pointer, value, take_label);
}

static const struct spec_member filter_members[] = {
    {SLICE_INIT("status"), "/filter/status", false, take_states},
    {SLICE_INIT("from"), "/filter/from", false, take_from},
    {SLICE_INIT("to"), "/filter/to", false, take_before},
    {SLICE_INIT("destination"), "/filter/destination", false, take_destination},
    {SLICE_INIT("label"), "/filter/label", false, take_labels},
};

/* ---- the job ---- */

static void
take_verb(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	unsigned verb = 0;
	struct slice name = SLICE_LITERAL("");

	if (value->type == JSON_STRING)
		name = json_unescape(value->raw);
	while (verb < JOB_VERBS && !slice_eq(name, verbs[verb].name))
		verb++;
	r->spec->verb = (enum job_verb)verb;
	if (verb == JOB_VERBS)
		field_errors_add(r->errors, pointer,
		    "must be retry, run, delete or reschedule");
}

static void
take_filter(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	take_members(r, pointer, value, filter_members, COUNT(filter_members));
}

static void
take_rate(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	uint64_t rate = 0;

	if (value->type == JSON_NUMBER)
		(void)slice_to_u64(value->raw, r->rates->most, &rate);
	if (rate == 0)
		field_errors_add(r->errors, pointer,
		    "must be a whole number of events per second, 1 to %u",
		    r->rates->most);
	r->spec->rate = (unsigned)rate;
}

static void
take_dry_run(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	r->spec->dry_run = value->type == JSON_TRUE;
	if (value->type != JSON_TRUE && value->type != JSON_FALSE)
		field_errors_add(r->errors, pointer, "must be true or false");
}

static void
take_new_time(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	r->has_to = true;
	r->spec->to_ms = take_moment(r, pointer, value);
}

static void
take_shift(
    struct spec_reader *r, const char *pointer, const struct json_value *value)
{
	static const int64_t most_ms = INT64_C(36500) * 86400000;
	struct slice text = SLICE_LITERAL("");
	int64_t ms = 0;
	bool back;

	r->has_by = true;
	if (value->type == JSON_STRING)
		text = json_unescape(value->raw);
	back = text.len > 0 && text.p[0] == '-';
	if (back)
		text = slice_of(text.p + 1, text.len - 1);
	if (duration_parse(text, most_ms, &ms) == -1 || ms == 0)
		field_errors_add(r->errors, pointer,
		    "must be a duration such as 30m, 2h or 7d, or with a "
		    "minus in front, at most 36500d");
	r->spec->by_ms = back ? -ms : ms;
}

static const struct spec_member job_members[] = {
    {SLICE_INIT("verb"), "/verb", true, take_verb},
    /* Also an empty one: nobody changes everything by leaving it out. */
    {SLICE_INIT("filter"), "/filter", true, take_filter},
    {SLICE_INIT("rate"), "/rate", false, take_rate},
    {SLICE_INIT("dry-run"), "/dry-run", false, take_dry_run},
    {SLICE_INIT("to"), "/to", false, take_new_time},
    {SLICE_INIT("by"), "/by", false, take_shift},
};

/* What members mean together, once each is right. */
static void
judge_spec(struct spec_reader *r)
{
	struct job_spec *spec = r->spec;
	bool moves = spec->verb == JOB_RESCHEDULE;

	if (!moves && (r->has_to || r->has_by))
		field_errors_add(r->errors, r->has_to ? "/to" : "/by",
		    "goes with reschedule only");
	if (moves && r->has_to == r->has_by)
		field_errors_add(r->errors, "/to",
		    r->has_to ? "a second time: give one of to and by"
			      : "reschedule needs to or by");
	if (spec->states == 0)
		spec->states = verbs[spec->verb].usual;
	if ((spec->states & ~verbs[spec->verb].states) != 0)
		field_errors_add(r->errors, "/filter/status",
		    spec->verb == JOB_RETRY
			? "only COMPLETED and FAILED events can be retried"
			: "only events that have not ended can be run or "
			  "rescheduled");
}

enum event_json_result
job_json_read(char *text, size_t len, const struct job_rates *rates,
    struct job_spec *spec, struct err *err, struct field_errors *errors)
{
	struct spec_reader r = {.spec = spec, .rates = rates, .errors = errors};
	struct json_value value;

	errors->len = errors->total = 0;
	*spec = (struct job_spec){
	    .before_ms = INT64_MAX,
	    .rate = rates->usual,
	};
	if (json_scan(slice_of(text, len), &value, err) == -1)
		return EVENT_JSON_MALFORMED;
	take_members(&r, "", &value, job_members, COUNT(job_members));
	if (errors->total == 0)
		judge_spec(&r);
	return errors->total == 0 ? EVENT_JSON_OK : EVENT_JSON_INVALID;
}

/* ---- its text ---- */

static void
write_label(struct json_writer *w, const struct event_label *label)
{
	char text[EVENT_LABEL_NAME_MAX + 1 + EVENT_LABEL_VALUE_MAX];
	size_t len = strlen(label->name);

	memcpy(text, label->name, len);
	text[len++] = '=';
	memcpy(text + len, label->value, label->value_len);
	json_text(w, NULL, slice_of(text, len + label->value_len));
}

static void
write_spec_labels(struct json_writer *w, const struct job_spec *spec)
{
	json_array(w, "label");
	write_label(w, &spec->first);
	for (unsigned i = 0; i < spec->labels.n; i++)
		if (strcmp(spec->labels.list[i].name, spec->first.name) != 0)
			write_label(w, &spec->labels.list[i]);
	json_end_array(w);
}

static void
write_filter(struct json_writer *w, const struct job_spec *spec)
{
	json_object(w, "filter");
	json_array(w, "status");
	for (unsigned s = EVENT_PENDING; s < EVENT_DELETED; s++)
		if ((spec->states >> s & 1) != 0)
			json_string(
			    w, NULL, event_state_name((enum event_state)s));
	json_end_array(w);
	if (spec->from_ms > 0)
		json_seconds(w, "from", spec->from_ms);
	if (spec->before_ms < INT64_MAX)
		json_seconds(w, "to", spec->before_ms);
	if (spec->destination.len > 0)
		json_text(w, "destination", spec->destination);
	if (spec->labels.n > 0)
		write_spec_labels(w, spec);
	json_end_object(w);
}

static void
write_shift(struct json_writer *w, int64_t by_ms)
{
	char text[1 + DURATION_TEXT] = "-";

	duration_write(by_ms < 0 ? -by_ms : by_ms, text + 1);
	json_string(w, "by", by_ms < 0 ? text : text + 1);
}

void
job_json_write(struct json_writer *w, const struct job_spec *spec)
{
	check(spec->verb < JOB_VERBS);
	json_text(w, "verb", verbs[spec->verb].name);
	write_filter(w, spec);
	if (spec->by_ms != 0)
		write_shift(w, spec->by_ms);
	else if (spec->verb == JOB_RESCHEDULE)
		json_seconds(w, "to", spec->to_ms);
	json_number(w, "rate", spec->rate);
	if (spec->dry_run)
		json_raw(w, "dry-run", SLICE_LITERAL("true"));
}
