/* SPDX-License-Identifier: ISC */
#include "service/api_pause.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/json_scan.h"
#include "board/shardboard.h"
#include "event/event_time.h"
#include "event/field_errors.h"
#include "event/request_check.h"
#include "http/http_conn.h"
#include "service/body.h"
#include "service/browser.h"
#include "service/event_answer.h"
#include "service/pause_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"
#include "store/pauses.h"

/* A change under way. */
struct pause_call {
	struct store_pause_change change;
	struct store_pauses found;
	char name[STORE_PAUSE_NAME_MAX]; /* of a host, in small letters */
};

static void
free_pause_call(struct call *call)
{
	pauses_fini(&call->u.pause->found);
	free(call->u.pause);
	call->u.pause = NULL;
}

/* ---- the answers ---- */

static void
answer_pause(struct call *call, int status, const struct store_pause *pause)
{
	struct json_writer w = {.out = &call->x->body};

	http_exchange_answer(call->x, status, "application/json");
	pause_answer_write(&w, pause);
	(void)buf_append_char(&call->x->body, '\n');
}

static void
answer_too_many(struct call *call)
{
	char detail[80];

	(void)snprintf(detail, sizeof(detail),
	    "there are %d pauses already, or more (service.maxPauses)",
	    call->service->cfg->service.max_pauses);
	(void)problem(call->x, 409, detail);
}

static void
answer_pause_change(struct call *call)
{
	const struct store_pause_change *change = &call->u.pause->change;

	if (!call_store_ok(call))
		return;
	/* Workers first. */
	if (change->outcome != PAUSE_NONE && change->outcome != PAUSE_TOO_MANY)
		shardboard_pauses_changed(call->service->child->sb);
	switch (change->outcome) {
	case PAUSE_BEGUN:
		answer_pause(call, 201, &change->pause);
		return;
	case PAUSE_KEPT:
		answer_pause(call, 200, &change->pause);
		return;
	case PAUSE_ENDED:
		answer_pause(call, 200, change->ended);
		return;
	case PAUSE_NONE:
		(void)problem(call->x, PROBLEM_NOT_PAUSED, "it is not paused");
		return;
	case PAUSE_TOO_MANY:
		answer_too_many(call);
		return;
	}
	check_never("an outcome");
}

/* ---- a change ---- */

static void
run_pause(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->u.pause->change.pause.since_ms = clock_event_ms();
	call->status =
	    store_change_pause(store, &call->u.pause->change, &call->err);
}

static void
pause_changed(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	answer_pause_change(call);
	free_pause_call(call);
	http_conn_answered(call->x);
}

static void
read_note(struct store_pause *pause, const struct json_value *value,
    struct field_errors *errors)
{
	if (value->type != JSON_STRING) {
		field_errors_add(errors, "/note", "must be a string");
		return;
	}
	pause->note = json_unescape(value->raw);
	if (pause->note.len > STORE_PAUSE_NOTE_MAX)
		field_errors_add(errors, "/note", "must have %d bytes at most",
		    STORE_PAUSE_NOTE_MAX);
}

/* A time, or so long from now. */
static void
read_until(struct store_pause *pause, const struct json_value *value,
    struct field_errors *errors)
{
	const int64_t max_ms = INT64_C(36500) * 86400000;
	int64_t now_ms = clock_event_ms(), ms;
	const char *reason = "";
	struct slice text = value->raw;

	if (value->type == JSON_STRING && text.len > 2)
		text = slice_of(text.p + 1, text.len - 2);
	if (value->type == JSON_STRING &&
	    duration_parse(text, max_ms, &ms) == 0)
		pause->until_ms = now_ms + ms;
	else
		pause->until_ms = event_time_read(value, &reason);
	if (pause->until_ms == -1)
		field_errors_add(errors, "/until", "%s", reason);
	else if (pause->until_ms <= now_ms)
		field_errors_add(errors, "/until", "has passed");
}

static void
read_pause(struct store_pause *pause, const struct json_value *object,
    struct field_errors *errors)
{
	bool has_note = false, has_until = false;
	struct json_value value;
	const char *at = NULL;
	struct slice key;

	errors->len = errors->total = 0;
	if (object->type != JSON_OBJECT)
		field_errors_add(errors, "", "must be an object");
	while (errors->total == 0 && object->type == JSON_OBJECT &&
	       json_next_member(object, &at, &key, &value)) {
		struct slice name = json_unescape(key);

		if (slice_eq(name, SLICE_LITERAL("note")) && !has_note) {
			has_note = true;
			read_note(pause, &value, errors);
		} else if (slice_eq(name, SLICE_LITERAL("until")) &&
			   !has_until) {
			has_until = true;
			read_until(pause, &value, errors);
		} else {
			field_errors_add(
			    errors, "", "may have a note and until, each once");
		}
	}
}

/* What the request has a body for. False when the answer is made. */
static bool
take_pause_body(struct call *call)
{
	const struct http_request *req = &call->x->req;
	struct slice body = req->body;
	struct field_errors errors;
	struct json_value value;
	struct err err;

	if (body.len == 0)
		return true;
	if (body_is_refused(call->x,
		body_has_type(req, SLICE_LITERAL("application/json")),
		"a pause must be sent as Content-Type: application/json"))
		return false;
	if (json_scan(body, &value, &err) == -1) {
		(void)problem(call->x, 400, err.text);
		return false;
	}
	read_pause(&call->u.pause->change.pause, &value, &errors);
	if (errors.total == 0)
		return true;
	(void)incoming_answer_errors(
	    call->x, "the pause has bad fields", &errors);
	return false;
}

static bool
may_be_host(struct slice name)
{
	return name.len <= STORE_PAUSE_NAME_MAX &&
	       request_check_destination(name);
}

static struct slice
in_small_letters(struct slice name, char out[STORE_PAUSE_NAME_MAX])
{
	for (size_t i = 0; i < name.len; i++)
		out[i] = to_lower(name.p[i]);
	return slice_of(out, name.len);
}

static bool
take_pause_name(struct call *call, enum pause_kind kind)
{
	struct pause_call *p = call->u.pause;
	struct store_pause *pause = &p->change.pause;

	pause->kind = kind;
	pause->name = call->params[0];
	if (kind == PAUSE_APP && !event_answer_may_be_app(pause->name)) {
		(void)problem(
		    call->x, 404, "no application can have that name");
		return false;
	}
	/* One may be there since before it was refused: it can be resumed. */
	if (kind == PAUSE_HOST &&
	    !(p->change.resume ? pause->name.len <= STORE_PAUSE_NAME_MAX
			       : may_be_host(pause->name))) {
		(void)problem(
		    call->x, 404, "no destination can be HOST or HOST:PORT so");
		return false;
	}
	if (kind == PAUSE_HOST)
		pause->name = in_small_letters(pause->name, p->name);
	return true;
}

/* Whether the request may have what it has. */
static bool
may_change_pause(struct call *call, bool resume)
{
	const struct http_request *req = &call->x->req;

	if (slice_eq(req->method, SLICE_LITERAL("POST")) &&
	    browser_is_refused(call->x))
		return false;
	if (resume && req->body.len > 0) {
		(void)problem(call->x, 400, "this request takes no body");
		return false;
	}
	return true;
}

static enum verdict
begin_change_of(struct call *call, enum pause_kind kind, bool resume)
{
	struct pause_call *p;

	if (!may_change_pause(call, resume))
		return ANSWERED;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return problem_no_memory(call->x);
	call->u.pause = p;
	pauses_init(&p->found);
	p->change.resume = resume;
	p->change.max = (size_t)call->service->cfg->service.max_pauses;
	p->change.found = &p->found;
	p->change.pause.note = SLICE_LITERAL("");
	if (take_pause_name(call, kind) && take_pause_body(call) &&
	    writes_begin(call))
		return call_submit(call, run_pause, pause_changed);
	free_pause_call(call);
	return ANSWERED;
}

enum verdict
api_pause_app(struct call *call)
{
	return begin_change_of(call, PAUSE_APP, false);
}

enum verdict
api_resume_app(struct call *call)
{
	return begin_change_of(call, PAUSE_APP, true);
}

enum verdict
api_pause_host(struct call *call)
{
	return begin_change_of(call, PAUSE_HOST, false);
}

enum verdict
api_resume_host(struct call *call)
{
	return begin_change_of(call, PAUSE_HOST, true);
}

/* ---- all of them ---- */

static int
compare_since(const void *a, const void *b)
{
	const struct store_pause *x = a, *y = b;

	if (x->since_ms != y->since_ms)
		return x->since_ms < y->since_ms ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static void
run_pauses(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->status = pause_answer_read(store, &call->u.pauses, &call->err);
}

static void
pauses_listed(struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct store_pauses *pauses = call->u.pauses;
	struct json_writer w = {.out = &call->x->body};

	if (call_store_ok(call)) {
		qsort(pauses->list, pauses->n, sizeof(pauses->list[0]),
		    compare_since);
		http_exchange_answer(call->x, 200, "application/json");
		json_object(&w, NULL);
		json_array(&w, "pauses");
		for (size_t i = 0; i < pauses->n; i++)
			pause_answer_write(&w, &pauses->list[i]);
		json_end_array(&w);
		json_end_object(&w);
		(void)buf_append_char(&call->x->body, '\n');
	}
	pause_answer_free(&call->u.pauses);
	http_conn_answered(call->x);
}

enum verdict
api_pauses(struct call *call)
{
	return call_submit(call, run_pauses, pauses_listed);
}
