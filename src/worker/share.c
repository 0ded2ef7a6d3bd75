/* SPDX-License-Identifier: ISC */
#include "worker/share.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { MEAN_OF = 8 };

static const double defer_min_ms = 1000, defer_max_ms = 60000;
static const double wait_max_ms = 1000; /* in a queue, by what is known */

TAILQ_HEAD(share_queue, share_entry);

struct share {
	struct shares *set;
	unsigned cap;
	unsigned refs, active, queued;
	double mean_ms;   /* of a delivery, lately */
	double served_ms; /* those sent away before are done by then */
	/* Since when nothing has ended although something is active. */
	int64_t quiet_ms;
	struct share_queue waiting;
	LIST_ENTRY(share) entry;
	size_t len;
	char name[];
};

void
shares_init(struct shares *set, unsigned cap, unsigned queue_max, bool fold)
{
	set->cap = cap;
	set->cap_of = NULL;
	set->arg = NULL;
	set->fold = fold;
	set->queue_max = queue_max;
	for (size_t i = 0; i < SHARE_BUCKETS; i++)
		LIST_INIT(&set->buckets[i]);
}

/* FNV-1a, folded to lower case. */
static size_t
bucket_of(struct slice name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned)tolower((unsigned char)name.p[i])) *
		       16777619u;
	return hash % SHARE_BUCKETS;
}

static bool
has_name(const struct share *s, struct slice name)
{
	struct slice own = slice_of(s->name, s->len);

	return s->set->fold ? slice_ieq(own, name) : slice_eq(own, name);
}

static struct share *
create(struct shares *set, struct slice name, unsigned cap)
{
	struct share *s = calloc(1, sizeof(*s) + name.len);

	if (s == NULL)
		return NULL;
	s->set = set;
	s->cap = cap;
	s->len = name.len;
	if (name.len > 0)
		memcpy(s->name, name.p, name.len);
	TAILQ_INIT(&s->waiting);
	LIST_INSERT_HEAD(&set->buckets[bucket_of(name)], s, entry);
	return s;
}

struct share *
share_get(struct shares *set, struct slice name)
{
	unsigned cap = set->cap_of == NULL ? 0 : set->cap_of(set->arg, name);
	struct share *s;

	if (cap == 0)
		cap = set->cap;
	if (cap == 0)
		return NULL;
	LIST_FOREACH(s, &set->buckets[bucket_of(name)], entry)
		if (has_name(s, name))
			break;
	if (s == NULL)
		s = create(set, name, cap);
	if (s != NULL)
		s->refs++;
	return s;
}

void
share_put(struct share **share)
{
	struct share *s = *share;

	*share = NULL;
	if (s == NULL || --s->refs > 0)
		return;
	LIST_REMOVE(s, entry);
	free(s);
}

bool
share_has_room(const struct share *s)
{
	return s == NULL || s->active < s->cap;
}

void
share_take(struct share *s, int64_t now_ms)
{
	if (s != NULL && s->active++ == 0)
		s->quiet_ms = now_ms;
}

void
share_give(struct share *s, int64_t elapsed_ms, int64_t now_ms)
{
	if (s == NULL)
		return;
	check(s->active > 0);
	s->active--;
	s->quiet_ms = now_ms;
	s->mean_ms +=
	    ((double)elapsed_ms - s->mean_ms) / (s->mean_ms > 0 ? MEAN_OF : 1);
}

/* What each delivery in the queue adds to the wait of the next. Of those that
 * do not end only the time tells. */
static double
each_ms(const struct share *s, int64_t now_ms)
{
	double quiet_ms = s->active == 0 ? 0 : (double)(now_ms - s->quiet_ms);

	return (quiet_ms > s->mean_ms ? quiet_ms : s->mean_ms) / s->cap;
}

static bool
waits_too_long(const struct share *s, unsigned place, int64_t now_ms)
{
	return place * each_ms(s, now_ms) > wait_max_ms;
}

bool
share_wait(struct share *s, struct share_entry *e, int64_t now_ms)
{
	if (s->queued == s->set->queue_max ||
	    waits_too_long(s, s->queued, now_ms))
		return false;
	TAILQ_INSERT_TAIL(&s->waiting, e, link);
	s->queued++;
	return true;
}

static void
leave_queue(struct share *s, struct share_entry *e)
{
	TAILQ_REMOVE(&s->waiting, e, link);
	check(s->queued > 0);
	s->queued--;
}

struct share_entry *
share_next(struct share *s)
{
	struct share_entry *e;

	if (s == NULL || s->queued == 0 || !share_has_room(s))
		return NULL;
	e = TAILQ_FIRST(&s->waiting);
	leave_queue(s, e);
	return e;
}

int64_t
share_defer_ms(struct share *s, int64_t now_ms)
{
	double now = (double)now_ms, each = each_ms(s, now_ms);
	double queued_ms = now + each * s->queued;
	double latest_ms = now + defer_max_ms;

	if (s->served_ms < queued_ms)
		s->served_ms = queued_ms;
	s->served_ms += each;
	if (s->served_ms > latest_ms)
		s->served_ms = latest_ms;
	return (int64_t)(s->served_ms < now + defer_min_ms
			     ? defer_min_ms
			     : s->served_ms - now);
}

struct share_entry *
share_shed(struct share *s, int64_t now_ms)
{
	struct share_entry *e = TAILQ_LAST(&s->waiting, share_queue);

	if (e == NULL || !waits_too_long(s, s->queued - 1, now_ms))
		return NULL;
	leave_queue(s, e);
	return e;
}

void
share_unqueue(struct share *s,
    bool (*stays)(void *arg, struct share_entry *entry), void *arg)
{
	for (unsigned n = s->queued; n > 0; n--) {
		struct share_entry *e = TAILQ_FIRST(&s->waiting);

		leave_queue(s, e);
		if (!stays(arg, e))
			continue;
		TAILQ_INSERT_TAIL(&s->waiting, e, link);
		s->queued++;
	}
}

void
shares_visit(
    struct shares *set, void (*fn)(void *arg, struct share *share), void *arg)
{
	struct share *s, *next;

	for (size_t i = 0; i < SHARE_BUCKETS; i++)
		for (s = LIST_FIRST(&set->buckets[i]); s != NULL; s = next) {
			/* Who leaves the queue may be the last to refer to
			 * it, and refers to no other of this set. */
			next = LIST_NEXT(s, entry);
			if (s->queued == 0)
				continue;
			s->refs++;
			fn(arg, s);
			share_put(&s);
		}
}

void
shares_full(const struct shares *set,
    void (*fn)(void *arg, struct slice name, unsigned cap, unsigned n),
    void *arg)
{
	const struct share *s;

	for (size_t i = 0; i < SHARE_BUCKETS; i++)
		LIST_FOREACH(s, &set->buckets[i], entry)
			if (!share_has_room(s))
				fn(arg, slice_of(s->name, s->len), s->cap,
				    s->queued);
}
