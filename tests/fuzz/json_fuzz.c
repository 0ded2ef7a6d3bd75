/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "event/event_json.h"
#include "event/event_options.h"
#include "event/job_json.h"
#include "target.h"

static void
assert_within(struct slice s, const char *p, size_t len)
{
	CHECK(s.len == 0 || (s.p >= p && s.p + s.len <= p + len));
}

static void
check_event(const struct event *ev, const char *body, size_t len,
    const struct buf *scratch)
{
	struct json_value value;

	CHECK(ev->app.len >= 1 && ev->app.len <= EVENT_APP_MAX);
	CHECK(ev->id.p == NULL ||
	      (ev->id.len >= 1 && ev->id.len <= EVENT_ID_MAX));
	CHECK(ev->url.len >= 1 && ev->url.len <= EVENT_URL_MAX);
	CHECK(ev->expiry_ms >= 0);
	assert_within(ev->app, body, len);
	assert_within(ev->id, body, len);
	assert_within(ev->url, body, len);
	assert_within(ev->body, body, len);
	if (!slice_eq(ev->method, SLICE_LITERAL("POST")))
		assert_within(ev->method, body, len);
	if (!slice_eq(
		ev->headers, SLICE_LITERAL("Content-Type: application/json\n")))
		assert_within(ev->headers, scratch->p, scratch->len);
	if (ev->body_is_text)
		CHECK(slice_is_utf8(ev->body));
	else
		CHECK(json_scan(ev->body, &value, NULL) == 0);
}

static void
check_errors(const struct field_errors *errors)
{
	CHECK(errors->total >= 1 && errors->len <= errors->total);
	CHECK(errors->len <= FIELD_ERRORS_MAX);
	for (size_t i = 0; i < errors->len; i++) {
		const struct field_error *error = &errors->list[i];

		CHECK(error->pointer[0] == '/' || error->pointer[0] == '\0');
		CHECK(slice_is_utf8(slice_from_string(error->pointer)));
		CHECK(error->detail[0] != '\0');
	}
}

/* Of a datastore that says anything: what was read can be written and read. */
static void
check_options(struct slice text)
{
	struct event_options options, again;
	struct err err = {""};
	struct buf out;

	if (event_options_parse(text, &options, &err) == -1) {
		CHECK(err.text[0] != '\0');
		return;
	}
	CHECK(options.forgiven <= EVENT_FORGIVEN_MAX);
	buf_init(&out, 2 * EVENT_OPTIONS_MAX);
	if (event_options_write(&out, &options, text) == 0) {
		CHECK(out.len <= EVENT_OPTIONS_MAX);
		CHECK(event_options_parse(buf_slice(&out), &again, NULL) == 0);
		CHECK(again.forgiven == options.forgiven);
	}
	buf_free(&out);
}

/* As a change: of an event that is there, whatever it is. */
static const struct event_retry_limits limits = {.max_attempts = 50};
static const struct event_context context = {.retry_limits = &limits};

static void
check_patch(char *text, size_t len)
{
	static const struct slice present = SLICE_INIT(
	    "{\"a\":1,\"b\":{\"a\":[2],\"c\":null},\"event\":\"x\"}");
	struct event ev = {.body = present};
	struct field_errors errors;
	struct event_patch patch;
	struct json_value value;
	struct err err = {""};
	struct buf scratch, body;

	buf_init(&scratch, EVENT_SCRATCH_MAX);
	buf_init(&body, EVENT_SCRATCH_MAX);
	if (event_patch_from_json(text, len, &context, &scratch, &patch, &err,
		&errors) == EVENT_JSON_OK &&
	    event_patch_apply(&patch, &ev, &body) == 0) {
		if (ev.body_is_text)
			CHECK(slice_is_utf8(ev.body));
		else
			CHECK(json_scan(ev.body, &value, NULL) == 0);
	}
	buf_free(&body);
	buf_free(&scratch);
}

/* As a job: what is kept of it is the same again. */
static void
check_job(char *text, size_t len)
{
	static const struct job_rates rates = {1, JOB_RATE_MAX};
	struct field_errors errors;
	struct job_spec spec, again;
	struct json_writer w;
	struct err err = {""};
	struct buf kept;

	if (job_json_read(text, len, &rates, &spec, &err, &errors) !=
	    EVENT_JSON_OK)
		return;
	CHECK(spec.verb < JOB_VERBS && spec.states != 0);
	CHECK(spec.rate > 0 && spec.rate <= JOB_RATE_MAX);
	buf_init(&kept, JOB_JSON_MAX);
	w = (struct json_writer){.out = &kept};
	json_object(&w, NULL);
	job_json_write(&w, &spec);
	json_end_object(&w);
	CHECK(!kept.failed);
	CHECK(job_json_read(kept.p, kept.len, &rates, &again, &err, &errors) ==
	      EVENT_JSON_OK);
	CHECK(again.verb == spec.verb && again.states == spec.states);
	CHECK(
	    again.from_ms == spec.from_ms && again.before_ms == spec.before_ms);
	CHECK(again.by_ms == spec.by_ms && again.to_ms == spec.to_ms);
	CHECK(slice_eq(again.destination, spec.destination));
	CHECK(event_labels_have(&again.labels, &spec.labels) &&
	      again.labels.n == spec.labels.n);
	buf_free(&kept);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* An allocation of the exact size, so that ASan sees its edges. */
	char *body = malloc(size == 0 ? 1 : size);
	struct field_errors errors = {0};
	struct buf scratch;
	struct event ev = {0};
	struct err err = {""};

	CHECK(body != NULL);
	if (size > 0)
		memcpy(body, data, size);
	check_options(slice_of(body, size));
	buf_init(&scratch, EVENT_SCRATCH_MAX);
	switch (event_from_json(
	    body, size, &context, &scratch, &ev, &err, &errors)) {
	case EVENT_JSON_OK:
		event_resolve(&ev, 1);
		CHECK(errors.total == 0);
		check_event(&ev, body, size, &scratch);
		break;
	case EVENT_JSON_MALFORMED:
		CHECK(strncmp(err.text, "line ", 5) == 0);
		break;
	case EVENT_JSON_INVALID:
		check_errors(&errors);
		break;
	}
	buf_free(&scratch);
	if (size > 0)
		memcpy(body, data, size);
	check_patch(body, size);
	if (size > 0)
		memcpy(body, data, size);
	check_job(body, size);
	free(body);
	return 0;
}
