/* SPDX-License-Identifier: ISC */
#include "service/batch_group.h"

#include "base/check.h"
#include "service/problem.h"

#define NO_MEMORY "too much memory is held by unanswered requests"

enum { TEXT_MAX = 256 * 1024 * 1024 };

void
group_init(
    struct group *group, struct buf_budget *budget, size_t line_max, size_t max)
{
	*group = (struct group){.max = max, .bounded = line_max > 0};
	buf_init_within(&group->text, line_max + GROUP_BYTES, budget);
	buf_init_within(
	    &group->entries, max * sizeof(struct group_entry), budget);
	buf_init_within(&group->kept, max * (size_t)EVENT_SCRATCH_MAX, budget);
	buf_init_within(&group->refusals, TEXT_MAX, budget);
}

void
group_fini(struct group *group)
{
	buf_free(&group->text);
	buf_free(&group->entries);
	buf_free(&group->kept);
	buf_free(&group->refusals);
}

static void
empty_buf(struct buf *buf)
{
	if (buf->cap > 2 * (size_t)GROUP_BYTES ||
	    !buf_budget_is_ample(buf->budget))
		buf_free(buf);
	else
		buf_reset(buf);
}

void
group_reset(struct group *group)
{
	check(group->n_left == 0);
	empty_buf(&group->text);
	empty_buf(&group->entries);
	empty_buf(&group->kept);
	empty_buf(&group->refusals);
	group->n = group->n_bytes = 0;
	group->worst = STORE_OK;
}

bool
group_is_full(const struct group *group)
{
	return group->n == group->max ||
	       (group->bounded && group->n_bytes >= GROUP_BYTES);
}

struct group_entry *
group_entry(const struct group *group, size_t i)
{
	check(i < group->max);
	return (struct group_entry *)(void *)group->entries.p + i;
}

static struct group_entry *
new_entry(struct group *group)
{
	struct buf *entries = &group->entries;
	struct group_entry *entry;

	check(!group_is_full(group));
	if (buf_reserve(entries, sizeof(*entry)) == -1)
		return NULL;
	entries->len += sizeof(*entry);
	entry = group_entry(group, group->n++);
	entry->group = group;
	entry->status = 0;
	entry->failed = false;
	return entry;
}

int
group_add_part(struct group *group, size_t at, size_t len)
{
	struct group_entry *entry = new_entry(group);

	if (entry == NULL)
		return -1;
	entry->at = at;
	entry->len = len;
	group->n_bytes += len;
	return 0;
}

int
group_add_line(struct group *group, struct slice first, struct slice second)
{
	size_t at = group->text.len;

	if (buf_reserve(&group->text, first.len + second.len) == -1 ||
	    group_add_part(group, at, first.len + second.len) == -1)
		return -1;
	buf_append_slice(&group->text, first);
	buf_append_slice(&group->text, second);
	return 0;
}

/* Begins the answer of one that the datastore is not asked for. */
static struct json_writer
begin_refusal(struct group *group, struct group_entry *entry, int status,
    const char *detail)
{
	struct json_writer w = {.out = &group->refusals};

	entry->status = status;
	entry->refusal_at = group->refusals.len;
	json_object(&w, NULL);
	json_number(&w, "response-code", problem_status(status));
	problem_write(&w, status, detail);
	return w;
}

static void
end_refusal(
    struct group *group, struct group_entry *entry, struct json_writer *w)
{
	json_end_object(w);
	entry->refusal_len = group->refusals.len - entry->refusal_at;
}

static void
refuse_plainly(struct group *group, struct group_entry *entry, int status,
    const char *detail)
{
	struct json_writer w = begin_refusal(group, entry, status, detail);

	end_refusal(group, entry, &w);
}

int
group_add_refused(struct group *group, int status, const char *detail)
{
	struct group_entry *entry = new_entry(group);

	if (entry == NULL)
		return -1;
	refuse_plainly(group, entry, status, detail);
	return 0;
}

/* The scratch is for one event: what is its there moves to where it may stay.
 */
static int
keep_scratch(
    struct group *group, struct group_entry *entry, const struct buf *scratch)
{
	const struct slice headers = entry->incoming.event.headers;

	entry->kept_at = group->kept.len;
	entry->keeps_headers = headers.len > 0 && headers.p == scratch->p;
	return buf_append_slice(&group->kept, buf_slice(scratch));
}

/* All are kept: nothing moves any more. */
static void
find_kept(const struct group *group, struct group_entry *entry)
{
	struct event *ev = &entry->incoming.event;
	const char *at = group->kept.p + entry->kept_at;

	if (entry->keeps_headers) {
		ev->headers.p = at;
		at += ev->headers.len;
	}
	if (ev->options.len > 0)
		ev->options.p = at;
}

/* errors: large, so of the caller's, for one after the other. */
static void
read_entry(struct group *group, struct group_entry *entry, struct buf *scratch,
    const struct event_context *context, struct field_errors *errors)
{
	struct event *ev = &entry->incoming.event;
	struct json_writer w;
	const char *reason;
	struct err err;

	switch (event_from_json(group->base + entry->at, entry->len, context,
	    scratch, ev, &err, errors)) {
	case EVENT_JSON_MALFORMED:
		refuse_plainly(group, entry, 400, err.text);
		return;
	case EVENT_JSON_INVALID:
		w = begin_refusal(group, entry, PROBLEM_INVALID_EVENT,
		    "the event has bad fields");
		incoming_write_errors(&w, errors);
		end_refusal(group, entry, &w);
		return;
	case EVENT_JSON_OK:
		break;
	}
	/* A key is drawn into the scratch. */
	if (incoming_prepare(&entry->incoming, &reason) == -1)
		refuse_plainly(group, entry, PROBLEM_BUSY, reason);
	else if (keep_scratch(group, entry, scratch) == -1)
		refuse_plainly(group, entry, PROBLEM_BUSY, NO_MEMORY);
}

void
group_read(struct group *group, char *base, struct buf *scratch,
    const struct event_context *context)
{
	struct field_errors errors;

	group->base = base == NULL ? group->text.p : base;
	for (size_t i = 0; i < group->n; i++) {
		struct group_entry *entry = group_entry(group, i);

		if (entry->status == 0)
			read_entry(group, entry, scratch, context, &errors);
	}
	for (size_t i = 0; i < group->n; i++) {
		struct group_entry *entry = group_entry(group, i);

		if (entry->status == 0)
			find_kept(group, entry);
	}
}

void
group_refuse(struct group *group, int status, const char *detail)
{
	for (size_t i = 0; i < group->n; i++) {
		struct group_entry *entry = group_entry(group, i);

		if (entry->status == 0)
			refuse_plainly(group, entry, status, detail);
	}
}

static void
write_failure(enum store_status worst, struct json_writer *w)
{
	int status = worst == STORE_UNAVAILABLE ? PROBLEM_DATASTORE_AWAY : 500;

	json_number(w, "response-code", problem_status(status));
	problem_write(w, status,
	    worst == STORE_UNAVAILABLE ? "the datastore is not available"
				       : "the datastore refused; see the log");
}

void
group_write_answer(const struct group *group, const struct group_entry *entry,
    struct json_writer *w)
{
	const struct store_add *add = &entry->incoming.item.add;
	const char *refusal;
	int status;

	if (entry->status != 0) {
		json_raw(w, NULL,
		    slice_of(group->refusals.p + entry->refusal_at,
			entry->refusal_len));
		return;
	}
	json_object(w, NULL);
	if (entry->failed) {
		write_failure(group->worst, w);
	} else {
		refusal = incoming_refusal(add, &status);
		json_number(w, "response-code", problem_status(status));
		if (refusal == NULL)
			incoming_write(w, add);
		else
			problem_write(w, status, refusal);
		if (add->outcome == ADD_CONFLICT)
			incoming_write_conflict(w, add);
	}
	json_end_object(w);
}
