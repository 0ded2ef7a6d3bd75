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
	WITHIN_MS = 60000,
	WITHIN_MAX_MS = 3600000,
};

/*
 * The clock goes on in steps, each to when something is due next, and only when
 * all that was due is done: so a retry comes before what is due after it, and
 * each run of a schedule at its own time. What repeats each second for years
 * would take hours: a call has an end, between two steps, and tells what is
 * left.
 */
struct clock_call {
	int64_t from_ms, target_ms; /* ahead, at the beginning and the end */
	int64_t end_ms;             /* monotonic: no step begins later */
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

/* left_ms: of what was asked for; then it is not all done. */
static enum verdict
answer_clock(struct call *call, int64_t ahead_ms, int64_t left_ms)
{
	struct json_writer w = {.out = &call->x->body};
	char left[DURATION_TEXT];

	http_exchange_answer(
	    call->x, left_ms > 0 ? 202 : 200, "application/json");
	json_object(&w, NULL);
	json_seconds(&w, "now", clock_wall_ms() + ahead_ms);
	json_seconds(&w, "ahead", ahead_ms);
	if (left_ms > 0) {
		duration_write(left_ms, left);
		json_string(&w, "left", left);
	}
	json_end_object(&w);
	(void)buf_append_char(&call->x->body, '\n');
	return ANSWERED;
}

enum verdict
api_clock(struct call *call)
{
	return answer_clock(call, clock_ahead_ms(), 0);
}

/* ---- the request ---- */

struct advance {
	int64_t ms;
	int64_t within_ms; /* no step begins later */
};

/* 0 of what is no span, of more than nothing and at most that. */
static int64_t
read_span(const struct json_value *value, int64_t most_ms)
{
	int64_t ms;

	return value->type == JSON_STRING && value->raw.len > 2 &&
		       duration_parse(
			   slice_of(value->raw.p + 1, value->raw.len - 2),
			   most_ms, &ms) == 0
		   ? ms
		   : 0;
}

static void
read_advance(const struct json_value *object, struct advance *advance,
    struct field_errors *errors)
{
	const int64_t most_ms = CLOCK_AHEAD_MAX_MS - clock_ahead_ms();
	struct json_value value;
	const char *at = NULL;
	struct slice key;

	*advance = (struct advance){.within_ms = WITHIN_MS};
	while (object->type == JSON_OBJECT &&
	       json_next_member(object, &at, &key, &value)) {
		key = json_unescape(key);
		if (slice_eq(key, SLICE_LITERAL("advance")))
			advance->ms = read_span(&value, most_ms);
		else if (slice_eq(key, SLICE_LITERAL("within")))
			advance->within_ms = read_span(&value, WITHIN_MAX_MS);
		else
			field_errors_add(errors, "",
			    "has advance, and may have within, but nothing "
			    "else");
	}
	if (advance->ms == 0)
		field_errors_add(errors, "/advance",
		    "must be a span, \"30d\", of more than nothing; in all "
		    "the clock is advanced by 3650 days at most");
	if (advance->within_ms == 0)
		field_errors_add(errors, "/within",
		    "must be a span of more than nothing, at most \"1h\"");
}

/* -1 when the answer is made. */
static int
take_advance(struct call *call, struct advance *advance)
{
	const struct http_request *req = &call->x->req;
	struct field_errors errors = {.len = 0};
	struct json_value value;
	struct json_writer w;
	struct err err;

	if (body_is_refused(call->x,
		body_has_type(req, SLICE_LITERAL("application/json")),
		"the span must be sent as Content-Type: application/json"))
		return -1;
	if (json_scan(req->body, &value, &err) == -1) {
		(void)problem(call->x, 400, err.text);
		return -1;
	}
	read_advance(&value, advance, &errors);
	if (errors.len == 0)
		return 0;
	w = problem_begin(call->x, 422, "the request has bad fields");
	incoming_write_errors(&w, &errors);
	(void)problem_end(call->x, &w);
	return -1;
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

/* At its end; or as far as it goes for this call, one step at least, or for a
 * client that has gone. */
static bool
is_clock_there(const struct call *call)
{
	const struct clock_call *c = call->u.clock;

	return c->ahead_ms >= c->target_ms ||
	       (c->ahead_ms > c->from_ms && clock_mono_ms() >= c->end_ms) ||
	       http_conn_has_ended(call->x);
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
	} else if (c->upcoming.at_ms > c->upcoming.now_ms &&
		   shardboard_pauses_read(call->service->child->sb)) {
		if (is_clock_there(call)) {
			(void)answer_clock(
			    call, c->ahead_ms, c->target_ms - c->ahead_ms);
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
	struct advance advance;
	struct clock_call *c;

	if (take_advance(call, &advance) == -1)
		return ANSWERED;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return problem_no_memory(call->x);
	call->u.clock = c;
	pauses_init(&c->pauses);
	c->from_ms = clock_ahead_ms();
	c->target_ms = c->from_ms + advance.ms;
	c->end_ms = clock_mono_ms() + advance.within_ms;
	c->upcoming.pauses = &c->pauses;
	c->timer =
	    loop_timer_create(call->service->child->loop, on_clock_timer, call);
	if (c->timer != NULL)
		return call_submit(call, run_clock_look, clock_looked);
	free_clock_call(call);
	return problem_no_memory(call->x);
}
