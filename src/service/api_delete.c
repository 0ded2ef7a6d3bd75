/* SPDX-License-Identifier: ISC */
#include "service/api_delete.h"

#include <string.h>

#include "base/check.h"
#include "base/rfc3339.h"
#include "event/event_options.h"
#include "http/http_conn.h"
#include "service/browser.h"
#include "service/event_answer.h"
#include "service/if_match.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

/* Whether the event is a run of the schedule, and no client's of that id. */
static bool
is_run_of(struct call *call, struct store *store, int64_t schedule)
{
	struct event_options options;
	struct store_record *record;
	bool is_run;

	if (store_find_event(store, &call->key, FIND_WHOLE, &record,
		&call->err) != STORE_OK ||
	    record == NULL)
		return false;
	is_run = event_options_parse(
		     record->event.options, &options, NULL) == 0 &&
		 options.schedule == schedule;
	store_record_free(record);
	return is_run;
}

/*
 * The run of a schedule that comes next: nothing else would make another one.
 * Only ids that end like those of runs are looked up. What is claimed meanwhile
 * is refused as under way.
 */
static bool
is_next_run(struct call *call, struct store *store)
{
	const char *mark = memrchr(call->id.p, '@', call->id.len);
	struct slice name = call->id, time;
	struct store_schedule *schedule;
	int64_t ms;
	bool is_next;

	if (mark == NULL)
		return false;
	name.len = (size_t)(mark - call->id.p);
	time = slice_of(mark + 1, call->id.len - name.len - 1);
	if (rfc3339_parse(time, &ms) == -1 ||
	    store_find_schedule(
		store, call->app, name, &schedule, &call->err) != STORE_OK ||
	    schedule == NULL)
		return false;
	is_next = schedule->next_s * 1000 == ms &&
		  is_run_of(call, store, schedule->id);
	store_schedule_free(schedule);
	return is_next;
}

/* What has one of the tags of If-Match, and nothing else. */
static void
cancel_tagged(struct call *call, struct store *store)
{
	struct store_change change = {
	    .key = call->key,
	    .verb = CHANGE_DELETE,
	    .if_match = call->u.cancel.if_match,
	};

	call->status = store_change_event(store, &change, &call->err);
	call->u.cancel.state = change.state;
	call->u.cancel.other = change.outcome == CHANGE_OTHER;
	if (change.outcome == CHANGE_UNKNOWN)
		call->u.cancel.outcome = CANCEL_UNKNOWN;
	if (change.outcome == CHANGE_MADE)
		call->u.cancel.outcome = CANCEL_DELETED;
}

static void
run_cancel(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->status = STORE_OK;
	call->u.cancel.outcome = CANCEL_REFUSED;
	call->u.cancel.state = EVENT_PENDING;
	if (is_next_run(call, store))
		return;
	if (call->u.cancel.if_match.p != NULL)
		cancel_tagged(call, store);
	else
		call->status = store_cancel_event(store, &call->key,
		    &call->u.cancel.outcome, &call->u.cancel.state, &call->err);
}

static enum verdict
answer_cancelled(struct call *call)
{
	struct json_writer w;

	if (!call_store_ok(call))
		return ANSWERED;
	if (call->u.cancel.other)
		return problem(call->x, 412,
		    "the event is another one than If-Match says");
	switch (call->u.cancel.outcome) {
	case CANCEL_UNKNOWN:
		return event_answer_unknown(call);
	case CANCEL_REFUSED:
		return event_answer_conflict(call, PROBLEM_WRONG_STATE,
		    call->u.cancel.state,
		    call->u.cancel.state == EVENT_PENDING
			? "the next run of a schedule cannot be deleted: "
			  "pause or delete that"
			: "an event that is under way cannot be deleted");
	case CANCEL_DELETED:
		break;
	default:
		check(false);
	}
	metric_add(call->service->child->score, METRIC_EVENTS_DELETED, 1);
	w = event_answer_begin(call, 200, EVENT_DELETED);
	json_string(&w, "event-status", event_state_name(call->u.cancel.state));
	event_answer_end(call, &w);
	return ANSWERED;
}

static bool
is_get(const struct call *call)
{
	return slice_eq(call->x->req.method, SLICE_LITERAL("GET"));
}

/* Against the meaning of GET (RFC 9110, 9.2.1): whoever uses it is told so, as of
 * 2026-11-29 (RFC 9745). */
static void
deprecate(struct http_exchange *x)
{
	http_exchange_field(x, "Deprecation", SLICE_LITERAL("@1795910400"));
	http_exchange_field(x, "Link",
	    SLICE_LITERAL("</cassata/openapi.json>; rel=\"deprecation\"; "
			  "type=\"application/json\""));
}

static void
cancelled(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	buf_free(&call->u.cancel.lines);
	(void)answer_cancelled(call);
	if (is_get(call))
		deprecate(call->x);
	http_conn_answered(call->x);
}

/* Why it may not be a GET, or NULL; a link or an image of any page is one. */
static const char *
refuse_get(const struct call *call, int *status)
{
	*status = 405;
	if (!call->service->cfg->service.get_delete)
		return "service.getDelete is off: use DELETE";
	*status = 403;
	return browser_asks(&call->x->req) ? "a browser must use DELETE" : NULL;
}

enum verdict
api_delete(struct call *call)
{
	const char *reason = NULL;
	int status = 0;

	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	if (is_get(call))
		reason = refuse_get(call, &status);
	if (reason != NULL) {
		(void)problem(call->x, status, reason);
		if (status == 405)
			http_exchange_field(call->x, "Allow",
			    SLICE_LITERAL("DELETE, OPTIONS"));
		return ANSWERED;
	}
	call->u.cancel.other = false;
	if (if_match_take(call->x, &call->u.cancel.lines,
		&call->u.cancel.if_match) == -1) {
		buf_free(&call->u.cancel.lines);
		return problem_no_memory(call->x);
	}
	if (!writes_begin(call)) {
		buf_free(&call->u.cancel.lines);
		return ANSWERED;
	}
	return call_submit(call, run_cancel, cancelled);
}
