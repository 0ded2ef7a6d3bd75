/* SPDX-License-Identifier: ISC */
#include "service/api_clock.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/json_scan.h"
#include "board/metrics.h"
#include "board/shardboard.h"
#include "event/field_errors.h"
#include "http/http_conn.h"
#include "service/body.h"
#include "service/incoming.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"
#include "store/pauses.h"

enum {
	PAUSE_MS = 2, /* before another look, at first, */
	PAUSE_MAX_MS = 50,
	STANDS_MS = 5000, /* beyond the time-out of a delivery */
};

/*
 * The clock goes on in steps, each to when something is due next, and only when
 * all that was due is done: so a retry comes before what is due after it, and
 * each run of a schedule at its own time.
 */
struct clock_call {
	int64_t target_ms; /* ahead, at the end */
	struct store_upcoming upcoming;
	struct store_pauses pauses;
	int64_t ahead_ms; /* when that was clock_looked at */
	/* What the clock waits for, how many events workers have claimed, and
	 * since when (monotonic) both are so. */
	int64_t first_ms, n_claims, since_ms;
	int64_t pause_ms;
	struct loop_timer *timer;
};

/* ---- the answer ---- */

static enum verdict
answer_clock(struct call *call)
{
	struct json_writer w = {.out = &call->x->body};
	int64_t ahead_ms = clock_ahead_ms();

	http_exchange_answer(call->x, 200, "application/json");
	json_object(&w, NULL);
	json_seconds(&w, "now", clock_wall_ms() + ahead_ms);
	json_seconds(&w, "ahead", ahead_ms);
	json_end_object(&w);
	(void)buf_append_char(&call->x->body, '\n');
	return ANSWERED;
}

enum verdict
api_clock(struct call *call)
{
	return answer_clock(call);
}

/* ---- the request ---- */

/* So long, or -1 with an error. */
static int64_t
read_advance(const struct json_value *object, struct field_errors *errors)
{
	const int64_t most_ms = CLOCK_AHEAD_MAX_MS - clock_ahead_ms();
	struct json_value value, more;
	const char *at = NULL;
	struct slice key;
	int64_t ms;

	if (object->type != JSON_OBJECT ||
	    !json_next_member(object, &at, &key, &value) ||
	    !slice_eq(json_unescape(key), SLICE_LITERAL("advance")) ||
	    json_next_member(object, &at, &key, &more)) {
		field_errors_add(
		    errors, "", "must have advance, and nothing else");
		return -1;
	}
	if (value.type == JSON_STRING && value.raw.len > 2 &&
	    duration_parse(slice_of(value.raw.p + 1, value.raw.len - 2),
		most_ms, &ms) == 0 &&
	    ms > 0)
		return ms;
	field_errors_add(errors, "/advance",
	    "must be a span, \"30d\", of more than nothing; in all the clock "
	    "is advanced by 3650 days at most");
	return -1;
}

/* -1 when the answer is made. */
static int64_t
take_advance(struct call *call)
{
	const struct http_request *req = &call->x->req;
	struct field_errors errors = {.len = 0};
	struct json_value value;
	struct json_writer w;
	struct err err;
	int64_t ms;

	if (body_is_refused(call->x,
		body_has_type(req, SLICE_LITERAL("application/json")),
		"the span must be sent as Content-Type: application/json"))
		return -1;
	if (json_scan(req->body, &value, &err) == -1) {
		(void)problem(call->x, 400, err.text);
		return -1;
	}
	ms = read_advance(&value, &errors);
	if (ms == -1) {
		w = problem_begin(call->x, 422, "the request has bad fields");
		incoming_write_errors(&w, &errors);
		(void)problem_end(call->x, &w);
	}
	return ms;
}

/* ---- steps ---- */

static void
free_clock_call(struct call *call)
{
	loop_timer_free(&call->u.clock->timer);
	pauses_fini(&call->u.clock->pauses);
	free(call->u.clock);
	call->u.clock = NULL;
}

static void
end_advance(struct call *call)
{
	free_clock_call(call);
	http_conn_answered(call->x);
}

static void
run_clock_look(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct clock_call *c = call->u.clock;

	c->ahead_ms = clock_ahead_ms();
	c->upcoming.now_ms = clock_wall_ms() + c->ahead_ms;
	call->status = store_upcoming(store, &c->upcoming, &call->err);
}

/* Whether something that is due does not get done. */
static bool
clock_stands(const struct call *call)
{
	struct clock_call *c = call->u.clock;
	int64_t mono_ms = clock_mono_ms();
	int64_t n_claims =
	    metrics_sum(call->service->child->sb, METRIC_EVENTS_CLAIMED);

	if (c->upcoming.at_ms != c->first_ms || n_claims != c->n_claims) {
		c->first_ms = c->upcoming.at_ms;
		c->n_claims = n_claims;
		c->since_ms = mono_ms;
		c->pause_ms = PAUSE_MS;
	}
	return mono_ms - c->since_ms >
	       call->service->cfg->worker.delivery_timeout_ms + STANDS_MS;
}

/* False when the answer is made. */
static bool
may_clock_go_on(struct call *call)
{
	const struct child *child = call->service->child;

	if (!call_store_ok(call))
		return false;
	if (atomic_load(&child->sb->shared->master.frozen))
		(void)writes_refuse(call->x);
	else if (child->draining || clock_is_held())
		(void)problem(call->x, PROBLEM_DRAINING,
		    "the daemon stops, reloads or is upgraded: the clock "
		    "stands before its end");
	else
		return true;
	return false;
}

static void
step_clock(struct clock_call *c, const struct child *child)
{
	int64_t step_ms = c->upcoming.at_ms - c->upcoming.now_ms;
	int64_t left_ms = c->target_ms - c->ahead_ms;

	if (clock_advance(
		c->ahead_ms, c->ahead_ms + clock_sooner_ms(step_ms, left_ms)))
		shardboard_clock_moved(child->sb);
}

static void
clock_looked(struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct clock_call *c = call->u.clock;

	if (!may_clock_go_on(call)) {
		end_advance(call);
	} else if (c->upcoming.at_ms > c->upcoming.now_ms) {
		if (c->ahead_ms >= c->target_ms) {
			(void)answer_clock(call);
			end_advance(call);
			return;
		}
		step_clock(c, call->service->child);
		(void)call_submit(call, run_clock_look, clock_looked);
	} else if (clock_stands(call)) {
		(void)problem(call->x, PROBLEM_CLOCK_STANDS,
		    "the clock stands before its end: of what is due, the "
		    "first does not get done");
		end_advance(call);
	} else {
		loop_timer_set(c->timer, c->pause_ms);
		if (c->pause_ms < PAUSE_MAX_MS)
			c->pause_ms++;
	}
}

static void
on_clock_timer(void *arg)
{
	(void)call_submit(arg, run_clock_look, clock_looked);
}

enum verdict
api_clock_advance(struct call *call)
{
	int64_t ms = take_advance(call);
	struct clock_call *c;

	if (ms == -1)
		return ANSWERED;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return problem_no_memory(call->x);
	call->u.clock = c;
	pauses_init(&c->pauses);
	c->target_ms = clock_ahead_ms() + ms;
	c->upcoming.pauses = &c->pauses;
	c->timer =
	    loop_timer_create(call->service->child->loop, on_clock_timer, call);
	if (c->timer != NULL)
		return call_submit(call, run_clock_look, clock_looked);
	free_clock_call(call);
	return problem_no_memory(call->x);
}
