/* SPDX-License-Identifier: ISC */
#include "service/api_why.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rfc3339.h"
#include "base/url.h"
#include "board/full.h"
#include "event/event_local.h"
#include "event/event_options.h"
#include "http/http_conn.h"
#include "service/event_answer.h"
#include "service/pause_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "store/pauses.h"

/* A question: what the datastore says, and what is made of it. */
struct why_call {
	struct store_why why;
	struct store_pauses *pauses;
	struct event_options options;
	struct json_writer w;
};

enum {
	TEXT_MAX = 512,
	SOON_MS = 60000, /* what has no room comes again by then */
};

/* ---- words ---- */

/* "3 h": of two units the larger, rounded down. */
static void
span(int64_t ms, char text[32])
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {
	    {"days", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}};
	size_t i = 0;

	if (ms < 0)
		ms = 0;
	while (i < 3 && ms < 2 * units[i].ms)
		i++;
	(void)snprintf(
	    text, 32, "%" PRId64 " %s", ms / units[i].ms, units[i].unit);
}

static void
moment(int64_t ms, char text[RFC3339_TEXT])
{
	rfc3339_write(ms, 0, text);
}

static void
begin_reason(struct why_call *c, const char *name)
{
	json_object(&c->w, NULL);
	json_string(&c->w, "reason", name);
}

static void
end_reason(struct why_call *c, const char *text)
{
	json_string(&c->w, "text", text);
	json_end_object(&c->w);
}

/* ---- when ---- */

/* The rest goes by the datastore's clock as it is. */
static int64_t
event_time_of(const struct why_call *c)
{
	return c->why.now_ms + clock_ahead_ms();
}

/* Of its next attempt. */
static int64_t
attempt_ms(const struct why_call *c)
{
	const struct store_record *record = c->why.record;

	return record->attempts == 0
		   ? event_local_attempt_ms(
			 record->due_ms, record->event.expiry_ms)
		   : record->due_ms;
}

/* What of its attempts counts for its retries. */
static unsigned
counted_attempts(const struct why_call *c)
{
	unsigned attempts = c->why.record->attempts;

	return attempts > c->options.forgiven ? attempts - c->options.forgiven
					      : 0;
}

/* "status 503", what went wrong, or both. */
static void
last_end(const struct store_record *record, char text[TEXT_MAX])
{
	int len = 0;

	if (record->last_code != 0)
		len = snprintf(text, TEXT_MAX, "status %d%s", record->last_code,
		    record->last_error.len > 0 ? ": " : "");
	(void)snprintf(text + len, TEXT_MAX - (size_t)len, "%.*s",
	    (int)record->last_error.len, record->last_error.p);
}

static void
tell_retry(struct why_call *c, const struct retry_policy *configured)
{
	const struct store_record *record = c->why.record;
	struct retry_policy policy;
	char text[2 * TEXT_MAX], when[RFC3339_TEXT], end[TEXT_MAX];

	event_retry_policy(&c->options.retry, configured, &policy);
	last_end(record, end);
	moment(record->due_ms, when);
	begin_reason(c, "retry");
	json_number(&c->w, "retry", counted_attempts(c));
	json_number(&c->w, "retries", policy.max_retries);
	json_seconds(&c->w, "due", record->due_ms);
	if (record->last_code != 0)
		json_number(&c->w, "last-response-code", record->last_code);
	if (record->last_error.len > 0)
		json_text(&c->w, "last-error", record->last_error);
	(void)snprintf(text, sizeof(text),
	    "waits for retry %u of %u at %s, after %s", counted_attempts(c),
	    policy.max_retries, when, end);
	end_reason(c, text);
}

static void
tell_not_due(struct why_call *c)
{
	int64_t due_ms = attempt_ms(c);
	char text[128], how_long[32], when[RFC3339_TEXT];

	span(due_ms - event_time_of(c), how_long);
	moment(due_ms, when);
	begin_reason(c, "not-due");
	json_seconds(&c->w, "due", due_ms);
	(void)snprintf(
	    text, sizeof(text), "not due for %s, at %s", how_long, when);
	end_reason(c, text);
}

/* Nobody else moves the time of a first attempt behind the expiry; those of
 * schedules are spread. */
static void
tell_deferred(struct why_call *c)
{
	char when[RFC3339_TEXT], text[256];

	moment(c->why.record->due_ms, when);
	begin_reason(c, "deferred");
	json_seconds(&c->w, "due", c->why.record->due_ms);
	(void)snprintf(text, sizeof(text),
	    "put back by a worker until %s, as its application, host or "
	    "address has its share of the deliveries, or descriptors or memory "
	    "were short there",
	    when);
	end_reason(c, text);
}

static void
tell_queued(struct why_call *c)
{
	char when[RFC3339_TEXT], text[EVENT_ID_MAX + 128];

	moment(c->why.record->due_ms, when);
	begin_reason(c, "queued");
	json_string(&c->w, "run", c->why.run_before);
	json_seconds(&c->w, "due", c->why.record->due_ms);
	(void)snprintf(text, sizeof(text),
	    "waits for the run before it, %s, which has not ended; it is looked "
	    "at again at %s",
	    c->why.run_before, when);
	end_reason(c, text);
}

static void
tell_awaiting(struct why_call *c)
{
	char when[RFC3339_TEXT], text[256];

	moment(c->why.record->due_ms, when);
	begin_reason(c, "awaiting");
	json_seconds(&c->w, "due", c->why.record->due_ms);
	(void)snprintf(text, sizeof(text),
	    "its receiver answered %d, and has until %s to say that it is done",
	    c->why.record->last_code, when);
	end_reason(c, text);
}

static void
tell_due(struct why_call *c)
{
	char text[128], how_long[32];

	span(event_time_of(c) - c->why.record->due_ms, how_long);
	begin_reason(c, "due");
	json_seconds(&c->w, "due", c->why.record->due_ms);
	(void)snprintf(text, sizeof(text),
	    "due for %s: goes out in its turn, by due time", how_long);
	end_reason(c, text);
}

static void
tell_when(struct why_call *c, const struct retry_policy *configured)
{
	const struct store_record *record = c->why.record;

	if (record->state == EVENT_SERVICE_UNAVAILABLE)
		tell_retry(c, configured);
	else if (record->state == EVENT_AWAITING)
		tell_awaiting(c);
	else if (c->why.run_before[0] != '\0')
		tell_queued(c);
	else if (attempt_ms(c) <= event_time_of(c))
		tell_due(c);
	else if (record->attempts == 0 && c->options.zone.len == 0 &&
		 c->options.schedule == 0 &&
		 record->due_ms > record->event.expiry_ms)
		tell_deferred(c);
	else
		tell_not_due(c);
}

/* ---- what stands in the way ---- */

/* " until TIME", or nothing. */
static void
pause_end(const struct store_pause *pause, char text[RFC3339_TEXT + 8])
{
	char when[RFC3339_TEXT];

	text[0] = '\0';
	if (pause->until_ms == 0)
		return;
	moment(pause->until_ms, when);
	(void)snprintf(text, RFC3339_TEXT + 8, " until %s", when);
}

static void
tell_pauses(struct why_call *c)
{
	const struct event *ev = &c->why.record->event;
	const struct store_pause *pause = pauses_match(c->pauses, 0, ev);
	char text[STORE_PAUSE_NAME_MAX + STORE_PAUSE_NOTE_MAX + 128];
	char when[RFC3339_TEXT], until[RFC3339_TEXT + 8];

	while (pause != NULL) {
		moment(pause->since_ms, when);
		pause_end(pause, until);
		begin_reason(c, "paused");
		pause_answer_members(&c->w, pause);
		(void)snprintf(text, sizeof(text),
		    "%s is paused since %s%s%s%.*s",
		    pause->kind == PAUSE_APP ? "its application"
					     : "its destination",
		    when, until, pause->note.len > 0 ? ": " : "",
		    (int)pause->note.len, pause->note.p);
		end_reason(c, text);
		pause = pauses_match(
		    c->pauses, (size_t)(pause - c->pauses->list) + 1, ev);
	}
}

/* A pause that is over, or that workers have yet to put it back from. */
static void
tell_parked(struct why_call *c)
{
	if (c->why.parked_by == 0 ||
	    pauses_match(c->pauses, 0, &c->why.record->event) != NULL)
		return;
	begin_reason(c, "resuming");
	end_reason(c, "its pause is over: the worker that holds its shard is "
		      "about to put it back");
}

static void
tell_quarantine(struct why_call *c)
{
	if (!c->why.is_quarantined)
		return;
	begin_reason(c, "quarantined");
	end_reason(c, "it was on the wire twice when a worker died of nothing "
		      "known: it is delivered by a worker of its own, alone");
}

static void
write_worker(struct why_call *c, const struct store_why_worker *worker)
{
	if (!worker->is_registered)
		return;
	json_string(&c->w, "host", worker->host);
	json_number(&c->w, "pid", worker->pid);
	json_seconds(&c->w, "renewed", worker->seen_ms);
}

/* Whoever has not renewed for a lease is about to be taken for dead. */
static bool
is_silent(const struct why_call *c, const struct store_why_worker *worker)
{
	return worker->is_registered &&
	       c->why.now_ms - worker->seen_ms > worker->lease_ms;
}

static void
tell_holder(struct why_call *c)
{
	const struct store_why_worker *holder = &c->why.holder;
	char text[STORE_HOST_MAX + 128], how_long[32];

	if (holder->is_registered && !is_silent(c, holder))
		return;
	begin_reason(c, "no-worker");
	write_worker(c, holder);
	span(c->why.now_ms - holder->seen_ms, how_long);
	if (holder->owner == 0)
		(void)snprintf(text, sizeof(text), "no worker holds its shard");
	else if (!holder->is_registered)
		(void)snprintf(text, sizeof(text),
		    "the worker that held its shard is gone, and nobody has "
		    "taken it over");
	else
		(void)snprintf(text, sizeof(text),
		    "worker %" PRId64 " of host %s, which holds its shard, was "
		    "not heard of for %s",
		    holder->pid, holder->host, how_long);
	end_reason(c, text);
}

static int
slot_of_worker(const struct scoreboard *sb, const struct store_why_worker *w)
{
	int i = 0;

	while ((i = scoreboard_next_used(sb, i)) < SCOREBOARD_WORKER_SLOTS) {
		if (w->owner != 0 &&
		    atomic_load(&scoreboard_place(sb, i)->owner) == w->owner)
			return i;
		i++;
	}
	return -1;
}

/* One of this daemon says itself whether it reaches the datastore. */
static void
tell_trouble(struct why_call *c, const struct scoreboard *sb)
{
	char reason[SCOREBOARD_TROUBLE_BYTES], text[2 * TEXT_MAX];
	char when[RFC3339_TEXT];
	int slot = slot_of_worker(sb, &c->why.holder);
	int64_t since_ms;

	if (slot == -1)
		return;
	since_ms = scoreboard_trouble(sb, slot, reason);
	if (reason[0] == '\0')
		return;
	moment(since_ms, when);
	begin_reason(c, "datastore");
	json_seconds(&c->w, "since", since_ms);
	(void)snprintf(text, sizeof(text),
	    "the worker that holds its shard has no datastore since %s: %s",
	    when, reason);
	end_reason(c, text);
}

/* The last time that is over, when the event was there, and due, before its
 * end; one that was put back was so by its expiry. */
static void
tell_past_trouble(struct why_call *c, const struct scoreboard *sb)
{
	const struct store_record *record = c->why.record;
	char text[256], from[RFC3339_TEXT], until[RFC3339_TEXT];
	int slot = slot_of_worker(sb, &c->why.holder);
	int64_t from_ms, until_ms;
	int64_t due_ms =
	    record->attempts == 0 ? record->event.expiry_ms : record->due_ms;

	if (slot == -1 ||
	    !scoreboard_past_trouble(sb, slot, &from_ms, &until_ms) ||
	    due_ms > until_ms || record->created_ms >= until_ms)
		return;
	moment(from_ms, from);
	moment(until_ms, until);
	begin_reason(c, "datastore-was-away");
	json_seconds(&c->w, "since", from_ms);
	json_seconds(&c->w, "until", until_ms);
	(void)snprintf(text, sizeof(text),
	    "the worker that holds its shard had no datastore from %s until %s",
	    from, until);
	end_reason(c, text);
}

static void
tell_cap(struct why_call *c, const struct scoreboard_slot *slot,
    enum full_kind kind, struct slice name)
{
	char text[EVENT_APP_MAX + EVENT_URL_MAX + 192];
	struct full full;

	if (!full_find(slot, kind, name, &full))
		return;
	begin_reason(c, "at-cap");
	json_text(
	    &c->w, kind == FULL_APP ? "application-id" : "destination", name);
	json_number(&c->w, "slots", full.slots);
	json_number(&c->w, "waiting", full.waiting);
	(void)snprintf(text, sizeof(text),
	    "its %s %.*s has all %u deliveries under way that it may have of "
	    "its worker, where %u wait for one of them to end",
	    kind == FULL_APP ? "application" : "host", (int)name.len, name.p,
	    full.slots, full.waiting);
	end_reason(c, text);
}

/* Of a worker of this daemon; of what is due, or will be before it changes. */
static void
tell_caps(struct why_call *c, const struct scoreboard *sb,
    const struct store_why_worker *worker)
{
	const struct event *ev = &c->why.record->event;
	int slot = slot_of_worker(sb, worker);

	if (slot == -1 || c->why.record->due_ms > event_time_of(c) + SOON_MS)
		return;
	tell_cap(c, scoreboard_slot(sb, slot), FULL_APP, ev->app);
	tell_cap(
	    c, scoreboard_slot(sb, slot), FULL_HOST, url_host_name(ev->url));
}

static void
tell_frozen(struct why_call *c, const struct scoreboard *sb)
{
	if (!atomic_load(&sb->shared->master.frozen))
		return;
	begin_reason(c, "frozen");
	end_reason(
	    c, "the daemon that answers is frozen: its workers do nothing");
}

/* ---- under way, and ended ---- */

static bool
is_on_wire(const struct scoreboard_slot *slot, int64_t row_id)
{
	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		if (atomic_load(&slot->wire[i]) == row_id)
			return true;
	return false;
}

/* "on-wire" of a worker of this daemon, which lists what it has there. */
static void
tell_under_way(struct why_call *c, const struct scoreboard *sb)
{
	const struct store_why_worker *claimer = &c->why.claimer;
	char text[STORE_HOST_MAX + 192];
	int slot = slot_of_worker(sb, claimer);
	bool on_wire =
	    slot != -1 && is_on_wire(scoreboard_slot(sb, slot), c->why.row_id);

	begin_reason(c, on_wire ? "on-wire" : "claimed");
	json_number(&c->w, "attempt", c->why.record->attempts);
	json_seconds(&c->w, "due", c->why.record->due_ms);
	write_worker(c, claimer);
	if (!claimer->is_registered)
		(void)snprintf(text, sizeof(text),
		    "its worker is gone: whoever takes its shard over puts it "
		    "back");
	else
		(void)snprintf(text, sizeof(text),
		    "attempt %u is %s worker %" PRId64 " of host %s%s",
		    c->why.record->attempts,
		    on_wire ? "on the wire, of" : "in the hands of",
		    claimer->pid, claimer->host,
		    is_silent(c, claimer) ? ", which was not heard of lately"
					  : "");
	end_reason(c, text);
	if (!on_wire)
		tell_caps(c, sb, claimer);
}

static void
tell_ended(struct why_call *c)
{
	const struct store_record *record = c->why.record;
	char text[2 * TEXT_MAX], when[RFC3339_TEXT], end[TEXT_MAX];
	bool delivered = record->state == EVENT_COMPLETED;

	moment(record->due_ms, when);
	last_end(record, end);
	begin_reason(c, delivered ? "delivered" : "given-up");
	json_seconds(&c->w, "finished", record->due_ms);
	json_number(&c->w, "attempts", record->attempts);
	if (record->last_code != 0)
		json_number(&c->w, "last-response-code", record->last_code);
	if (record->last_error.len > 0)
		json_text(&c->w, "last-error", record->last_error);
	(void)snprintf(text, sizeof(text), "%s at %s after %u attempts: %s",
	    delivered ? "delivered" : "given up", when, record->attempts, end);
	end_reason(c, text);
}

/* ---- the call ---- */

static void
write_reasons(struct call *call, struct why_call *c)
{
	const struct scoreboard *sb = call->service->child->sb;
	struct err ignored;

	if (event_options_parse(
		c->why.record->event.options, &c->options, &ignored) == -1)
		c->options = (struct event_options){0};
	switch (c->why.record->state) {
	case EVENT_PROCESSING:
		tell_under_way(c, sb);
		break;
	case EVENT_COMPLETED:
	case EVENT_FAILED:
		tell_ended(c);
		break;
	case EVENT_PENDING:
	case EVENT_SERVICE_UNAVAILABLE:
	case EVENT_AWAITING:
	case EVENT_DELETED:
		tell_when(c, &call->service->cfg->worker.retry);
		tell_pauses(c);
		tell_parked(c);
		tell_quarantine(c);
		tell_frozen(c, sb);
		tell_holder(c);
		tell_trouble(c, sb);
		tell_past_trouble(c, sb);
		tell_caps(c, sb, &c->why.holder);
		break;
	}
}

static void
answer_why(struct call *call, struct why_call *c)
{
	if (!call_store_ok(call))
		return;
	if (c->why.record == NULL) {
		(void)event_answer_unknown(call);
		return;
	}
	c->w = event_answer_begin(call, 200, c->why.record->state);
	json_array(&c->w, "because");
	write_reasons(call, c);
	json_end_array(&c->w);
	event_answer_end(call, &c->w);
}

/* On the datastore's thread. */
static void
run_why(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct why_call *c = call->u.why;

	call->status = store_why(store, &call->key, &c->why, &call->err);
	if (call->status == STORE_OK && c->why.record != NULL)
		call->status = pause_answer_read(store, &c->pauses, &call->err);
}

static void
why_found(struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct why_call *c = call->u.why;

	answer_why(call, c);
	store_record_free(c->why.record);
	pause_answer_free(&c->pauses);
	free(c);
	http_conn_answered(call->x);
}

enum verdict
api_why(struct call *call)
{
	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	call->u.why = calloc(1, sizeof(*call->u.why));
	if (call->u.why == NULL)
		return problem_no_memory(call->x);
	return call_submit(call, run_why, why_found);
}
