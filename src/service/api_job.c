/* SPDX-License-Identifier: ISC */
#include "service/api_job.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/percent.h"
#include "board/shardboard.h"
#include "event/job_json.h"
#include "http/http_conn.h"
#include "service/body.h"
#include "service/browser.h"
#include "service/incoming.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

/* ---- a document ---- */

static const char *
state_name(const struct job_record *job)
{
	static const char *const names[JOB_STATES] = {
	    [JOB_COUNTING] = "counting",
	    [JOB_RUNNING] = "running",
	    [JOB_DONE] = "done",
	    [JOB_CANCELLED] = "cancelled",
	    [JOB_FAILED] = "failed",
	};

	return job->paused && job->state < JOB_DONE ? "paused"
						    : names[job->state];
}

static void
write_moment(struct json_writer *w, const char *name, int64_t ms)
{
	if (ms > 0)
		json_seconds(w, name, ms);
}

/* At its rate. */
static void
write_eta(struct json_writer *w, const struct job_record *job)
{
	int64_t left = job->matched - job->done - job->skipped;

	if (job->state == JOB_RUNNING && !job->paused)
		json_seconds(w, "eta",
		    clock_event_ms() +
			(left > 0 ? left * 1000 / job->spec.rate : 0));
}

static void
write_document(struct json_writer *w, const struct job_record *job)
{
	json_object(w, NULL);
	json_string(w, "job", job->id.text);
	json_text(w, "application-id", job->app);
	json_string(w, "state", state_name(job));
	if (!job->is_damaged)
		job_json_write(w, &job->spec);
	json_seconds(w, "created", job->created_ms);
	write_moment(w, "counted", job->counted_ms);
	write_moment(w, "ended", job->ended_ms);
	json_number(w, "matched", job->matched);
	json_number(w, "done", job->done);
	json_number(w, "skipped", job->skipped);
	json_number(w, "steps", job->steps);
	if (!job->is_damaged)
		write_eta(w, job);
	if (job->error.len > 0)
		json_text(w, "error", job->error);
	json_end_object(w);
}

static bool
page_is_full(const struct call *call)
{
	return call->u.job.page.len >=
	       (size_t)call->service->cfg->service.max_list_bytes;
}

/* On the datastore's thread. */
static bool
add_document(void *arg, const struct job_record *job)
{
	struct call *call = arg;

	write_document(&call->u.job.writer, job);
	call->u.job.before = job->number;
	call->u.job.n++;
	return !call->u.job.page.failed && !page_is_full(call);
}

/* ---- answers ---- */

static void
begin_page(struct call *call)
{
	call->u.job.n = 0;
	call->u.job.outcome = JOB_MADE;
	buf_init(&call->u.job.page, SIZE_MAX / 2);
	call->u.job.writer = (struct json_writer){.out = &call->u.job.page};
}

static void
answer_page(struct call *call, int status)
{
	struct http_exchange *x = call->x;

	http_exchange_answer(x, status, "application/json");
	if (call->u.job.page.failed ||
	    buf_append_slice(&x->body, buf_slice(&call->u.job.page)) == -1 ||
	    buf_append_char(&x->body, '\n') == -1)
		(void)problem_no_memory(x);
}

static enum verdict
unknown_job(struct call *call)
{
	return problem(call->x, PROBLEM_UNKNOWN_JOB, "no job with this id");
}

static void
answer_outcome(struct call *call)
{
	if (!call_store_ok(call))
		return;
	switch (call->u.job.outcome) {
	case JOB_UNKNOWN:
		(void)unknown_job(call);
		return;
	case JOB_TOO_MANY:
		(void)problem(call->x, PROBLEM_TOO_MANY_JOBS,
		    "the application has service.maxJobs jobs that have not "
		    "ended");
		return;
	case JOB_OVER:
		(void)problem(call->x, PROBLEM_JOB_ENDED, "the job has ended");
		return;
	case JOB_MADE:
		break;
	default:
		check(false);
	}
	answer_page(call, 200);
}

static void
end_answer(struct call *call)
{
	buf_free(&call->u.job.page);
	http_conn_answered(call->x);
}

/* A claim of the first shard's holder is followed by a look for jobs. */
static void
wake_holder(const struct call *call)
{
	shardboard_event_added(call->service->child->sb, 0, clock_event_ms());
}

/* ---- a new one ---- */

static void
make_new_job(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->status = store_job_make(
	    store, &call->u.job.new, &call->u.job.outcome, &call->err);
}

/* The document is in the answer: its page is free. */
static void
add_location(struct call *call)
{
	struct buf *path = &call->u.job.page;

	buf_reset(path);
	buf_append_string(path, "/cassata/jobs/");
	percent_encode(path, call->app);
	buf_append_char(path, '/');
	buf_append_string(path, call->u.job.new.id.text);
	http_exchange_field(call->x, "Location", buf_slice(path));
}

static void
made(struct store_job *job)
{
	struct call *call = call_of_job(job);
	const struct job_new *new = &call->u.job.new;
	struct job_record record = {
	    .id = new->id,
	    .app = new->app,
	    .spec = *new->spec,
	    .created_ms = new->now_ms,
	};

	writes_end(call);
	if (call->status == STORE_OK && call->u.job.outcome == JOB_MADE) {
		(void)call_store_ok(call);
		wake_holder(call);
		(void)add_document(call, &record);
		answer_page(call, 202);
		add_location(call);
	} else {
		answer_outcome(call);
	}
	end_answer(call);
}

/* Where none of that name can be: 404. */
static bool
take_app(struct call *call)
{
	call->app = call->params[0];
	return call->app.len <= EVENT_APP_MAX && slice_is_utf8(call->app);
}

static enum verdict
submit_make(struct call *call)
{
	const struct config_service *cfg = &call->service->cfg->service;

	call->u.job.new = (struct job_new){
	    .app = call->app,
	    .spec = &call->u.job.spec,
	    .now_ms = clock_event_ms(),
	    .max_active = (unsigned)cfg->max_jobs,
	};
	if (uuid_make_v7(call->u.job.new.now_ms, call->u.job.new.id.text) == -1)
		return problem_no_memory(call->x);
	if (!writes_begin(call))
		return ANSWERED;
	begin_page(call);
	return call_submit(call, make_new_job, made);
}

enum verdict
api_job_make(struct call *call)
{
	struct http_exchange *x = call->x;
	const struct config_service *cfg = &call->service->cfg->service;
	unsigned most = (unsigned)cfg->max_job_rate,
		 usual = (unsigned)cfg->job_rate;
	const struct job_rates rates = {usual < most ? usual : most, most};
	struct field_errors errors;
	struct slice body = x->req.body;

	if (!take_app(call))
		return problem(x, 404, "no application has that name");
	if (body_is_refused(x,
		body_has_type(&x->req, SLICE_LITERAL("application/json")),
		"Content-Type must be application/json"))
		return ANSWERED;
	switch (job_json_read(x->in.p + (body.p - x->in.p), body.len, &rates,
	    &call->u.job.spec, &call->err, &errors)) {
	case EVENT_JSON_MALFORMED:
		return problem(x, 400, call->err.text);
	case EVENT_JSON_INVALID:
		return incoming_answer_errors(
		    x, "the job has bad fields", &errors);
	case EVENT_JSON_OK:
		break;
	}
	return submit_make(call);
}

/* ---- who asks ---- */

static void
list_jobs(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct json_writer *w = &call->u.job.writer;
	const struct jobs_query query = {.app = call->app,
	    .before = call->u.job.before,
	    .max = call->u.job.query.limit,
	    .take = add_document,
	    .arg = call};
	char next[24];

	json_object(w, NULL);
	json_array(w, "jobs");
	call->status = store_jobs(store, &query, &call->err);
	json_end_array(w);
	if (call->u.job.n == query.max || page_is_full(call)) {
		(void)snprintf(
		    next, sizeof(next), "%" PRId64, call->u.job.before);
		json_string(w, "next", next);
	}
	json_end_object(w);
}

static void
find_job(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	const struct jobs_query query = {.app = call->app,
	    .id = &call->u.job.new.id,
	    .take = add_document,
	    .arg = call};

	call->status = store_jobs(store, &query, &call->err);
	if (call->u.job.n == 0)
		call->u.job.outcome = JOB_UNKNOWN;
}

static void
jobs_read(struct store_job *job)
{
	struct call *call = call_of_job(job);

	answer_outcome(call);
	end_answer(call);
}

/* Behind the number that a page ended with. */
static int
read_jobs_query(struct call *call)
{
	struct page_query *query = &call->u.job.query;
	uint64_t before = INT64_MAX;

	if (page_query_read(call->x->req.query,
		call->service->cfg->service.max_list_page, query,
		&call->err) == -1)
		return -1;
	if (query->after_len > 0 &&
	    slice_to_u64(slice_of(query->after, query->after_len), INT64_MAX,
		&before) == -1)
		return err_set(&call->err, "after must be the next of a page");
	call->u.job.before = (int64_t)before;
	return 0;
}

enum verdict
api_job_list(struct call *call)
{
	if (!take_app(call))
		return problem(call->x, 404, "no application has that name");
	if (read_jobs_query(call) == -1)
		return problem(call->x, 400, call->err.text);
	begin_page(call);
	return call_submit(call, list_jobs, jobs_read);
}

/* Those of another length are nobody's. */
static bool
take_job_id(struct call *call)
{
	struct slice id = call->params[1];
	char *text = call->u.job.new.id.text;

	if (!take_app(call) || id.len != UUID_TEXT_BYTES - 1)
		return false;
	memcpy(text, id.p, id.len);
	text[id.len] = '\0';
	return strlen(text) == id.len;
}

enum verdict
api_job_find(struct call *call)
{
	if (!take_job_id(call))
		return unknown_job(call);
	begin_page(call);
	return call_submit(call, find_job, jobs_read);
}

/* ---- orders ---- */

static void
order_job(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->status = store_job_order(store, call->app, &call->u.job.new.id,
	    call->u.job.order, clock_event_ms(), add_document, call,
	    &call->u.job.outcome, &call->err);
}

static void
ordered(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	if (call->status == STORE_OK && call->u.job.order == JOB_RESUME)
		wake_holder(call);
	answer_outcome(call);
	end_answer(call);
}

static enum verdict
give_order(struct call *call, enum job_order order)
{
	const struct http_request *req = &call->x->req;

	if (!take_job_id(call))
		return unknown_job(call);
	if (order != JOB_REMOVE && browser_is_refused(call->x))
		return ANSWERED;
	if (req->body.len > 0)
		return problem(call->x, 400, "this request takes no body");
	if (!writes_begin(call))
		return ANSWERED;
	call->u.job.order = order;
	begin_page(call);
	return call_submit(call, order_job, ordered);
}

enum verdict
api_job_pause(struct call *call)
{
	return give_order(call, JOB_PAUSE);
}

enum verdict
api_job_resume(struct call *call)
{
	return give_order(call, JOB_RESUME);
}

enum verdict
api_job_cancel(struct call *call)
{
	return give_order(call, JOB_CANCEL);
}

enum verdict
api_job_remove(struct call *call)
{
	return give_order(call, JOB_REMOVE);
}
