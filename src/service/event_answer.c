/* SPDX-License-Identifier: ISC */
#include "service/event_answer.h"

#include "base/percent.h"
#include "service/problem.h"

struct json_writer
event_answer_begin(struct call *call, int status, enum event_state state)
{
	struct json_writer w = {.out = &call->x->body};

	http_exchange_answer(call->x, status, "application/json");
	json_object(&w, NULL);
	json_text(&w, "application-id", call->app);
	json_text(&w, "event-id", call->id);
	json_string(&w, "status", event_state_name(state));
	return w;
}

void
event_answer_end(struct call *call, struct json_writer *w)
{
	json_end_object(w);
	buf_append_char(&call->x->body, '\n');
}

void
event_answer_location(struct call *call, struct slice id, struct buf *path)
{
	(void)buf_append_string(path, "/cassata/status/");
	(void)percent_encode(path, call->app);
	(void)buf_append_char(path, '/');
	(void)percent_encode(path, id);
	if (!path->failed)
		http_exchange_field(call->x, "Location", buf_slice(path));
}

enum verdict
event_answer_conflict(
    struct call *call, int kind, enum event_state state, const char *detail)
{
	struct json_writer w = problem_begin(call->x, kind, detail);

	json_text(&w, "application-id", call->app);
	json_text(&w, "event-id", call->id);
	json_string(&w, "event-status", event_state_name(state));
	return problem_end(call->x, &w);
}

static bool
may_be_id(struct slice id, size_t max)
{
	if (id.len > max || !slice_is_utf8(id))
		return false;
	for (size_t i = 0; i < id.len; i++)
		if ((unsigned char)id.p[i] < 0x20 || id.p[i] == 0x7f)
			return false;
	return true;
}

bool
event_answer_may_be_app(struct slice app)
{
	return may_be_id(app, EVENT_APP_MAX);
}

bool
event_answer_take_ids(struct call *call)
{
	call->app = call->params[0];
	call->id = call->params[1];
	return event_answer_may_be_app(call->app) &&
	       may_be_id(call->id, EVENT_ID_MAX) &&
	       event_key_make(call->app, call->id, &call->key) == 0;
}

enum verdict
event_answer_unknown(struct call *call)
{
	return problem(
	    call->x, PROBLEM_UNKNOWN_EVENT, "no event with these ids");
}
