/* SPDX-License-Identifier: ISC */
#include "service/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/check.h"
#include "base/container_of.h"
#include "http/http_conn.h"
#include "service/batch_group.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

enum {
	/* The more are with the datastore, the nearer are the keys that a commit
	 * has of them (sweep.h). */
	GROUPS = 17,
	FEW_GROUPS = 4, /* where memory is not ample: then one more is filled */
	/* Of an answer that is made before more is read. */
	PIECE_BYTES = 64 * 1024,
};

#define NO_MEMORY "too much memory is held by unanswered requests"

struct batch {
	struct call *call;
	struct intake_turn turn;
	struct group groups[GROUPS]; /* a ring */
	unsigned first, n_busy;      /* that are with the datastore */
	struct buf scratch;
	/* Of lines: the last one, which is not whole. */
	struct buf partial;
	size_t line_max;
	size_t skipped; /* bytes of it, as it is too long and was refused */
	/* Of an array. */
	struct json_value array; /* raw.p is NULL for lines */
	const char *at;
	bool over;   /* nothing more is taken in */
	bool gone;   /* nobody reads the answer */
	int stopped; /* by that status or kind, and why; or 0 */
	const char *reason;
	bool started;       /* the answer */
	int64_t n_answered; /* events */
};

/* The group that takes events in, or NULL: all are with the datastore. */
static struct group *
filling(struct batch *b)
{
	return b->n_busy == GROUPS
		   ? NULL
		   : &b->groups[(b->first + b->n_busy) % GROUPS];
}

/* Whether that one may be filled. */
static bool
may_fill(const struct batch *b)
{
	return b->n_busy <= FEW_GROUPS ||
	       (b->n_busy < GROUPS && buf_budget_is_ample(b->scratch.budget));
}

static bool
is_array(const struct batch *b)
{
	return b->array.raw.p != NULL;
}

static struct http_exchange *
exchange_of(const struct batch *b)
{
	return b->call->x;
}

/* ---- answers ---- */

static void
start_answer(struct batch *b)
{
	if (b->started)
		return;
	b->started = true;
	http_exchange_answer(exchange_of(b), 200,
	    is_array(b) ? "application/json" : "application/x-ndjson");
	if (is_array(b))
		buf_append_char(&exchange_of(b)->body, '[');
}

static void
answer_group(struct batch *b, const struct group *group)
{
	struct buf *out = &exchange_of(b)->body;

	start_answer(b);
	if (group->refusals.failed)
		out->failed = true;
	for (size_t i = 0; i < group->n; i++) {
		struct json_writer w = {.out = out};

		if (is_array(b) && b->n_answered > 0)
			buf_append(out, ",\n", 2);
		group_write_answer(group, group_entry(group, i), &w);
		if (!is_array(b))
			buf_append_char(out, '\n');
		b->n_answered++;
	}
}

/* The last line of a stream, or element of an array, that was ended says so,
 * and how far it came. */
static void
answer_stopped(struct batch *b)
{
	struct http_exchange *x = exchange_of(b);
	struct json_writer w = {.out = &x->body};

	if (!b->started && problem_status(b->stopped) == 503) {
		(void)problem_for_now(
		    x, b->stopped, b->reason, PROBLEM_RETRY_S);
	} else if (!b->started) {
		(void)problem(x, b->stopped, b->reason);
	} else {
		if (is_array(b) && b->n_answered > 0)
			buf_append(&x->body, ",\n", 2);
		json_object(&w, NULL);
		json_number(&w, "response-code", problem_status(b->stopped));
		problem_write(&w, b->stopped, b->reason);
		json_number(&w, "events", b->n_answered);
		json_end_object(&w);
		buf_append_string(&x->body, is_array(b) ? "]\n" : "\n");
	}
}

static void
finish_batch(struct batch *b)
{
	struct http_exchange *x = exchange_of(b);

	x->sink.done = true;
	if (b->gone)
		return;
	if (b->stopped != 0) {
		answer_stopped(b);
		return;
	}
	start_answer(b);
	if (is_array(b))
		buf_append(&x->body, "]\n", 2);
}

/* ---- to the datastore and back ---- */

static void advance_batch(struct batch *b);

static void
entry_done(
    struct intake_item *item, enum store_status status, const struct err *err)
{
	struct group_entry *entry =
	    container_of(item, struct group_entry, incoming.item);
	struct group *group = entry->group;
	struct call *call = item->call;

	if (status == STORE_OK) {
		call_note_room(call, item->add.outcome);
	} else {
		entry->failed = true;
		if (status > group->worst)
			group->worst = status;
		call->err = *err;
	}
	if (--group->n_left > 0)
		return;
	writes_end(call);
	call->status = group->worst;
	if (!call_note_store(call))
		metric_add(
		    call->service->child->score, METRIC_STORE_FAILURES, 1);
	advance_batch(call->x->sink.arg);
	http_conn_pushed(call->x);
}

/* The group that was filled goes to the intake; the next one is filled. */
static void
submit(struct batch *b)
{
	struct group *group = filling(b);

	group_read(group, is_array(b) ? exchange_of(b)->in.p : NULL,
	    &b->scratch, &b->call->service->context);
	b->n_busy++;
	if (!writes_may_begin(b->call)) {
		group_refuse(group, PROBLEM_FROZEN, WRITES_FROZEN);
		return;
	}
	for (size_t i = 0; i < group->n; i++) {
		struct group_entry *entry = group_entry(group, i);

		if (entry->status != 0)
			continue;
		entry->incoming.item.call = b->call;
		entry->incoming.item.done = entry_done;
		entry->incoming.item.turn = &b->turn;
		group->n_left++;
		intake_add(&b->call->service->intake, &entry->incoming.item);
	}
	if (group->n_left == 0)
		writes_end(b->call);
}

/* In their order, those that the datastore is done with. */
static void
answer_groups(struct batch *b)
{
	while (b->n_busy > 0 && b->groups[b->first].n_left == 0) {
		struct group *group = &b->groups[b->first];

		if (!b->gone)
			answer_group(b, group);
		group_reset(group);
		b->first = (b->first + 1) % GROUPS;
		b->n_busy--;
	}
}

/* ---- lines ---- */

static bool
is_blank_line(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_blank(text.p[i]) && text.p[i] != '\r')
			return false;
	return true;
}

static void
end_line(struct batch *b)
{
	if (b->partial.cap > PIECE_BYTES)
		buf_free(&b->partial);
	buf_reset(&b->partial);
	b->skipped = 0;
	exchange_of(b)->sink.n_whole++;
}

static int
refuse_long(struct group *group)
{
	return group_add_refused(group, 413, "the event is too large");
}

/* The rest of a line, which is there; or -1: no memory, nothing is done. */
static int
take_rest(struct batch *b, struct group *group, struct slice rest)
{
	struct slice first = buf_slice(&b->partial);
	int rc = 0;

	if (b->skipped > 0)
		rc = 0;
	else if (first.len + rest.len > b->line_max)
		rc = refuse_long(group);
	else if (!is_blank_line(first) || !is_blank_line(rest))
		rc = group_add_line(group, first, rest);
	if (rc == 0)
		end_line(b);
	return rc;
}

/* Bytes whose line goes on behind them. 0, or -1: nothing is done. */
static int
take_part(struct batch *b, struct group *group, struct slice part)
{
	if (b->skipped > 0) {
		b->skipped += part.len;
		return 0;
	}
	if (b->partial.len + part.len > b->line_max) {
		if (refuse_long(group) == -1)
			return -1;
		b->skipped = b->partial.len + part.len;
		buf_free(&b->partial);
		return 0;
	}
	if (buf_reserve(&b->partial, part.len) == -1)
		return -1;
	return buf_append_slice(&b->partial, part);
}

/* One line, or what is there of it. Bytes, 0 when memory is short. */
static size_t
take_line(struct batch *b, struct group *group, struct slice bytes)
{
	const char *lf = memchr(bytes.p, '\n', bytes.len);
	size_t len = lf == NULL ? bytes.len : (size_t)(lf - bytes.p);

	if (lf == NULL)
		return take_part(b, group, bytes) == -1 ? 0 : len;
	return take_rest(b, group, slice_of(bytes.p, len)) == -1 ? 0 : len + 1;
}

/* Memory is short, and nothing under way will give some back: others do, or
 * this ends. */
static void
lack_memory(struct batch *b)
{
	if (http_conns_free_memory(exchange_of(b)->conn->conns))
		return;
	b->over = true;
	b->stopped = PROBLEM_BUSY;
	b->reason = NO_MEMORY;
}

static size_t
take_lines(void *arg, struct slice bytes, bool last)
{
	struct batch *b = arg;
	size_t taken = 0;

	while (taken < bytes.len && !b->over && may_fill(b) &&
	       exchange_of(b)->body.len < PIECE_BYTES) {
		struct group *group = filling(b);
		size_t n = take_line(
		    b, group, slice_of(bytes.p + taken, bytes.len - taken));

		taken += n;
		if (group_is_full(group) || (n == 0 && group->n > 0))
			submit(b);
		else if (n == 0 && b->n_busy == 0)
			lack_memory(b);
		else if (n == 0)
			break;
		answer_groups(b);
	}
	if (last && taken == bytes.len)
		b->over = true;
	advance_batch(b);
	return taken;
}

/* ---- the whole ---- */

/* Takes elements in; over: they were the last. 0, or -1: no memory for more. */
static int
fill_from_array(struct batch *b, struct group *group)
{
	const char *base = exchange_of(b)->in.p, *at = b->at;
	struct json_value value;

	while (!group_is_full(group) && !b->over) {
		if (json_next_element(&b->array, &at, &value) == 0)
			b->over = true;
		else if (group_add_part(group, (size_t)(value.raw.p - base),
			     value.raw.len) == -1)
			return -1;
		b->at = at;
	}
	return 0;
}

/* The last line, which has no end. */
static int
fill_from_partial(struct batch *b, struct group *group)
{
	return b->partial.len > 0 || b->skipped > 0
		   ? take_rest(b, group, slice_of(NULL, 0))
		   : 0;
}

/* What there is to come in but by take_lines. */
static void
fill_group(struct batch *b, struct group *group)
{
	int rc = 0;

	do {
		if (b->stopped != 0 || b->gone) { /* they were not begun */
			group_reset(group);
			buf_reset(&b->partial);
			b->skipped = 0;
			return;
		}
		if (is_array(b))
			rc = fill_from_array(b, group);
		else if (b->over)
			rc = fill_from_partial(b, group);
		if (rc == 0 || group->n > 0 || b->n_busy > 0)
			return;
		lack_memory(b);
	} while (true);
}

/*
 * Answers what is done, and has the datastore do what came meanwhile: with
 * nothing under way be it little, else when it is a whole group.
 */
static void
advance_batch(struct batch *b)
{
	struct http_exchange *x = exchange_of(b);
	struct group *group;

	answer_groups(b);
	while (x->body.len < PIECE_BYTES && may_fill(b)) {
		group = filling(b);
		fill_group(b, group);
		if (group->n == 0 ||
		    (b->n_busy > 0 && !group_is_full(group) && !b->over))
			break;
		submit(b);
		answer_groups(b);
	}
	x->sink.busy = b->n_busy > 0;
	x->sink.pending = b->partial.len + b->skipped;
	if (b->over && b->n_busy == 0 && filling(b)->n == 0 &&
	    x->body.len < PIECE_BYTES)
		finish_batch(b);
}

static void
advance_more(void *arg)
{
	advance_batch(arg);
}

static void
stop_batch(void *arg, int status, const char *reason)
{
	struct batch *b = arg;

	b->over = true;
	if (status == 0)
		b->gone = true;
	else if (b->stopped == 0) {
		b->stopped = status;
		b->reason = reason;
	}
	advance_batch(b);
}

static void
batch_free(void *arg)
{
	struct batch *b = arg;

	for (unsigned i = 0; i < GROUPS; i++)
		group_fini(&b->groups[i]);
	buf_free(&b->scratch);
	buf_free(&b->partial);
	free(b);
}

/* NULL when memory is short. */
static struct batch *
batch_create(struct call *call)
{
	struct buf_budget *budget = call->x->in.budget;
	struct batch *b = calloc(1, sizeof(*b));
	size_t line_max = (size_t)call->service->cfg->service.max_body_bytes;

	if (b == NULL)
		return NULL;
	b->call = call;
	b->line_max = line_max;
	for (unsigned i = 0; i < GROUPS; i++)
		group_init(&b->groups[i], budget, line_max, GROUP_EVENTS);
	buf_init_within(&b->partial, line_max, budget);
	buf_init_within(&b->scratch, 2 * (size_t)EVENT_SCRATCH_MAX, budget);
	/* Now: later a lack of it would look like a fault of an event. */
	if (buf_reserve(&b->scratch, EVENT_SCRATCH_MAX) == -1) {
		batch_free(b);
		return NULL;
	}
	return b;
}

bool
batch_open_lines(struct call *call)
{
	struct batch *b = batch_create(call);

	if (b == NULL)
		return false;
	call->x->sink = (struct http_sink){.take = take_lines,
	    .more = advance_more,
	    .stop = stop_batch,
	    .end = batch_free,
	    .arg = b};
	return true;
}

enum verdict
batch_run_array(struct call *call, const struct json_value *array)
{
	struct batch *b = batch_create(call);

	if (b == NULL)
		return problem_no_memory(call->x);
	b->array = *array;
	call->x->sink = (struct http_sink){.more = advance_more,
	    .stop = stop_batch,
	    .end = batch_free,
	    .arg = b};
	return BY_PIECE;
}
