/* SPDX-License-Identifier: ISC */
#include "service/api_schedule.h"

#include "base/check.h"
#include "base/clock.h"
#include "board/shardboard.h"
#include "event/event_json.h"
#include "event/schedule_json.h"
#include "http/http_conn.h"
#include "service/body.h"
#include "service/browser.h"
#include "service/event_answer.h"
#include "service/incoming.h"
#include "service/problem.h"
#include "service/schedule_answer.h"
#include "service/state.h"
#include "service/writes.h"

enum { NO_ROOM_WAIT_S = 30 }; /* as of an add */

static enum verdict
answer_unknown(struct call *call)
{
	return problem(
	    call->x, PROBLEM_UNKNOWN_SCHEDULE, "no schedule with these ids");
}

static struct json_writer
begin_document(struct call *call)
{
	struct json_writer w = {.out = &call->u.schedule.page};

	buf_init(&call->u.schedule.page, SIZE_MAX / 2);
	json_object(&w, NULL);
	return w;
}

static void
end_page_of(struct call *call, struct json_writer *w)
{
	json_end_object(w);
	(void)buf_append_char(&call->u.schedule.page, '\n');
}

/* What was written on the thread. */
static void
answer_document(struct call *call, int status)
{
	struct buf *page = &call->u.schedule.page;
	struct http_exchange *x = call->x;

	http_exchange_answer(x, status, "application/json");
	if (page->failed || buf_append_slice(&x->body, buf_slice(page)) == -1)
		(void)problem_no_memory(x);
	buf_free(page);
}

/* False for what no schedule can have. */
static bool
take_names(struct call *call)
{
	return event_answer_take_ids(call) && call->id.len <= SCHEDULE_ID_MAX;
}

/* ---- on the thread ---- */

/* The schedule as it is now; no page where there is none. */
static void
write_page(struct call *call, struct store *store, bool whole)
{
	struct store_schedule *schedule;
	struct json_writer w;

	call->u.schedule.page = (struct buf){0};
	call->status = store_find_schedule(
	    store, call->app, call->id, &schedule, &call->err);
	call->u.schedule.found = schedule != NULL;
	if (schedule == NULL)
		return;
	w = begin_document(call);
	schedule_answer_write(&w, schedule, call->service->store_zones, whole);
	end_page_of(call, &w);
	store_schedule_free(schedule);
}

static void
run_get(struct store *store, struct store_job *job)
{
	write_page(call_of_job(job), store, true);
}

static void
run_put(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct schedule_put *put = &call->u.schedule.put;

	call->status = STORE_UNAVAILABLE;
	call->u.schedule.written = false;
	if (call_draw_shard(call, clock_event_ms(), &put->shard) == -1)
		return;
	call->status = store_put_schedule(store, put, &call->err);
	call->u.schedule.written = call->status == STORE_OK;
	if (call->status == STORE_OK && (put->outcome == SCHEDULE_MADE ||
					    put->outcome == SCHEDULE_REPLACED ||
					    put->outcome == SCHEDULE_SAME))
		write_page(call, store, false);
}

static void
run_verb(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct schedule_change *change = &call->u.schedule.change;

	call->status = STORE_UNAVAILABLE;
	call->u.schedule.written = false;
	if (call_draw_shard(call, clock_event_ms(), &change->shard) == -1)
		return;
	call->status = store_change_schedule(store, change, &call->err);
	call->u.schedule.written = call->status == STORE_OK;
	if (call->status == STORE_OK && change->verb != SCHEDULE_DELETE &&
	    change->verb != SCHEDULE_RUN)
		write_page(call, store, false);
}

struct listing {
	struct call *call;
	struct json_writer w;
	size_t n;
	char last[EVENT_ID_MAX];
	size_t last_len;
	struct buf damaged; /* JSON: ids */
	struct json_writer damaged_w;
};

static void
come_to(struct listing *l, struct slice name)
{
	l->n++;
	l->last_len = name.len < sizeof(l->last) ? name.len : sizeof(l->last);
	memcpy(l->last, name.p, l->last_len);
}

static void
list_damaged(void *arg, struct slice name)
{
	struct listing *l = arg;

	come_to(l, name);
	json_text(&l->damaged_w, NULL, name);
}

static bool
list_one(void *arg, struct store_schedule *schedule)
{
	struct listing *l = arg;
	const struct service *service = l->call->service;
	const struct buf *page = &l->call->u.schedule.page;

	json_object(&l->w, NULL);
	schedule_answer_write(&l->w, schedule, service->store_zones, false);
	json_end_object(&l->w);
	come_to(l, schedule->name);
	store_schedule_free(schedule);
	return !page->failed &&
	       page->len < (size_t)service->cfg->service.max_list_bytes;
}

static void
run_list_of(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	const struct page_query *query = &call->u.schedule.query;
	const struct buf *page = &call->u.schedule.page;
	struct listing l = {.call = call, .w = begin_document(call)};
	const struct schedule_list list = {.app = call->app,
	    .after = slice_of(query->after, query->after_len),
	    .max = query->limit,
	    .take = list_one,
	    .take_damaged = list_damaged,
	    .arg = &l};

	buf_init(&l.damaged, SIZE_MAX / 2);
	l.damaged_w = (struct json_writer){.out = &l.damaged};
	json_array(&l.damaged_w, NULL);
	json_array(&l.w, "schedules");
	call->status = store_list_schedules(store, &list, &call->err);
	json_end_array(&l.w);
	json_end_array(&l.damaged_w);
	if (l.damaged.len > 2)
		json_raw(&l.w, "damaged-ids", buf_slice(&l.damaged));
	call->u.schedule.page.failed |= l.damaged.failed;
	buf_free(&l.damaged);
	if (l.n == query->limit ||
	    page->len >= (size_t)call->service->cfg->service.max_list_bytes)
		json_text(&l.w, "next", slice_of(l.last, l.last_len));
	end_page_of(call, &l.w);
}

/* ---- answers ---- */

/* Workers first: answering takes longer than waking. */
static void
wake_for(struct call *call, unsigned shard, int64_t due_ms)
{
	if (due_ms != INT64_MAX)
		shardboard_event_added(call->service->child->sb, shard, due_ms);
}

static void
answer_got(struct call *call)
{
	if (call_store_ok(call)) {
		if (call->u.schedule.found)
			answer_document(call, 200);
		else
			(void)answer_unknown(call);
	}
	http_conn_answered(call->x);
}

static void
got(struct store_job *job)
{
	answer_got(call_of_job(job));
}

static enum verdict
answer_no_room(struct call *call)
{
	return problem_for_now(call->x, 507,
	    "the datastore has no room for more events", NO_ROOM_WAIT_S);
}

static void
answer_put(struct call *call)
{
	const struct schedule_put *put = &call->u.schedule.put;

	if (call->u.schedule.written)
		wake_for(call, put->shard, put->due_ms);
	if (!call_store_ok(call))
		return;
	if (put->outcome == SCHEDULE_NO_ROOM)
		(void)answer_no_room(call);
	else if (put->outcome == SCHEDULE_TOO_MANY)
		(void)problem(call->x, PROBLEM_TOO_MANY_SCHEDULES,
		    "the application has service.maxSchedules schedules");
	else if (put->outcome == SCHEDULE_TOO_LARGE)
		(void)problem(call->x, 413,
		    "the database server takes no schedule of this size");
	else if (!call->u.schedule.found) /* deleted meanwhile */
		(void)answer_unknown(call);
	else
		answer_document(
		    call, put->outcome == SCHEDULE_MADE ? 201 : 200);
	if (put->outcome == SCHEDULE_MADE)
		http_exchange_field(call->x, "Location", call->x->req.path);
}

static void
was_put(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	answer_put(call);
	http_conn_answered(call->x);
}

static void
answer_deleted(struct call *call)
{
	struct json_writer w = begin_document(call);

	json_text(&w, "application-id", call->app);
	json_text(&w, "schedule-id", call->id);
	json_string(&w, "status", "DELETED");
	end_page_of(call, &w);
	answer_document(call, 200);
}

/* As that of an add. */
static void
answer_run(struct call *call)
{
	const struct schedule_change *change = &call->u.schedule.change;
	struct slice run_id = slice_from_string(change->run_id);
	struct json_writer w = begin_document(call);
	struct buf path;

	json_text(&w, "application-id", call->app);
	json_text(&w, "event-id", run_id);
	json_string(&w, "status", event_state_name(EVENT_PENDING));
	json_seconds(&w, "expiry", change->due_ms);
	end_page_of(call, &w);
	answer_document(call, 201);
	buf_init(&path, EVENT_ANSWER_PATH_MAX);
	event_answer_location(call, run_id, &path);
	buf_free(&path);
}

static void
answer_verb(struct call *call)
{
	const struct schedule_change *change = &call->u.schedule.change;

	if (call->u.schedule.written && change->outcome == SCHEDULE_MADE)
		wake_for(call, change->shard, change->due_ms);
	if (!call_store_ok(call))
		return;
	if (change->outcome == SCHEDULE_UNKNOWN)
		(void)answer_unknown(call);
	else if (change->outcome == SCHEDULE_NO_ROOM)
		(void)answer_no_room(call);
	else if (change->verb == SCHEDULE_DELETE)
		answer_deleted(call);
	else if (change->verb == SCHEDULE_RUN)
		answer_run(call);
	else if (call->u.schedule.found)
		answer_document(call, 200);
	else /* deleted meanwhile */
		(void)answer_unknown(call);
}

static void
verb_done(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	answer_verb(call);
	http_conn_answered(call->x);
}

static void
listed(struct store_job *job)
{
	struct call *call = call_of_job(job);

	if (call_store_ok(call))
		answer_document(call, 200);
	else
		buf_free(&call->u.schedule.page);
	http_conn_answered(call->x);
}

/* ---- requests ---- */

enum verdict
api_schedule_get(struct call *call)
{
	return take_names(call) ? call_submit(call, run_get, got)
				: answer_unknown(call);
}

enum verdict
api_schedule_list(struct call *call)
{
	call->app = call->params[0];
	if (call->app.len > EVENT_APP_MAX)
		return problem(call->x, 404, "no application has that name");
	if (page_query_read(call->x->req.query,
		call->service->cfg->service.max_list_page,
		&call->u.schedule.query, &call->err) == -1)
		return problem(call->x, 400, call->err.text);
	return call_submit(call, run_list_of, listed);
}

static enum verdict
begin_verb(struct call *call, enum schedule_verb verb)
{
	const struct http_request *req = &call->x->req;

	if (!take_names(call))
		return answer_unknown(call);
	if (verb != SCHEDULE_DELETE && browser_is_refused(call->x))
		return ANSWERED;
	if (req->body.len > 0)
		return problem(call->x, 400, "this request takes no body");
	call->u.schedule.change = (struct schedule_change){.app = call->app,
	    .name = call->id,
	    .verb = verb,
	    .zones = call->service->store_zones};
	if (!writes_begin(call))
		return ANSWERED;
	return call_submit(call, run_verb, verb_done);
}

enum verdict
api_schedule_delete(struct call *call)
{
	return begin_verb(call, SCHEDULE_DELETE);
}

enum verdict
api_schedule_pause(struct call *call)
{
	return begin_verb(call, SCHEDULE_PAUSE);
}

enum verdict
api_schedule_resume(struct call *call)
{
	return begin_verb(call, SCHEDULE_RESUME);
}

enum verdict
api_schedule_run(struct call *call)
{
	return begin_verb(call, SCHEDULE_RUN);
}

/* The ids of the path are those that its runs have. */
static void
check_names(const struct call *call, struct field_errors *errors)
{
	const char *reason = event_id_refusal(call->app);

	if (reason == NULL && call->app.len > EVENT_APP_MAX)
		reason = "is too long";
	if (reason != NULL)
		field_errors_add(
		    errors, "", "the application id of the path %s", reason);
	reason = event_id_refusal(call->id);
	if (reason != NULL)
		field_errors_add(
		    errors, "", "the schedule id of the path %s", reason);
	else if (call->id.len > SCHEDULE_ID_MAX)
		field_errors_add(errors, "",
		    "the schedule id of the path is longer than %d bytes",
		    SCHEDULE_ID_MAX);
}

static enum verdict
submit_put(struct call *call, const struct schedule_text *text)
{
	call->u.schedule.event = text->event;
	call->u.schedule.put = (struct schedule_put){.app = call->app,
	    .name = call->id,
	    .spec = text->spec,
	    .event = &call->u.schedule.event,
	    .max = (size_t)call->service->cfg->service.max_schedules,
	    .zones = call->service->store_zones};
	if (!writes_begin(call))
		return ANSWERED;
	return call_submit(call, run_put, was_put);
}

static const char bad_fields[] = "the schedule has bad fields";

enum verdict
api_schedule_put(struct call *call)
{
	struct http_exchange *x = call->x;
	const struct schedule_context context = {
	    .event = &call->service->context,
	    .min_period_ms = call->service->cfg->service.min_schedule_period_ms,
	    .now_s = clock_event_ms() / 1000};
	struct schedule_text text;
	struct field_errors errors = {0};
	struct slice body = x->req.body;

	call->app = call->params[0];
	call->id = call->params[1];
	if (body_is_refused(x,
		body_has_type(&x->req, SLICE_LITERAL("application/json")),
		"Content-Type must be application/json"))
		return ANSWERED;
	check_names(call, &errors);
	if (errors.total > 0)
		return incoming_answer_errors(x, bad_fields, &errors);
	/* Now: later a lack of it would look like a fault of the request. */
	if (buf_reserve(&x->body,
		body.len < EVENT_SCRATCH_MAX ? body.len : EVENT_SCRATCH_MAX) ==
	    -1)
		return problem_no_memory(x);
	/* The answer comes after what is kept in its place; the ids are in the
	 * arena. */
	switch (schedule_from_json(x->in.p + (body.p - x->in.p), body.len,
	    &context, &x->body, &text, &call->err, &errors)) {
	case EVENT_JSON_MALFORMED:
		return problem(x, 400, call->err.text);
	case EVENT_JSON_INVALID:
		return incoming_answer_errors(x, bad_fields, &errors);
	case EVENT_JSON_OK:
		break;
	}
	return submit_put(call, &text);
}
