/* SPDX-License-Identifier: ISC */
#include "event/recur_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/rfc3339.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { TEXT_MAX = 1024, CHECKED_TIMES = 64, COUNT_MAX = 1000000000 };
#define LONGEST_MS (INT64_C(36500) * 86400000)
#define DAY_MS     INT64_C(86400000)

struct reader {
	struct recur *recur;
	struct recur_error *error;
	unsigned seen; /* a bit per row of members */
};

static int refuse_time(struct recur_error *error, const char *where,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int
refuse_time(struct recur_error *error, const char *where, const char *fmt, ...)
{
	va_list ap;

	(void)snprintf(error->where, sizeof(error->where), "%s", where);
	va_start(ap, fmt);
	(void)vsnprintf(error->reason, sizeof(error->reason), fmt, ap);
	va_end(ap);
	return -1;
}

static int
read_duration(struct reader *r, const char *where, struct slice text,
    int64_t max_ms, int64_t *ms)
{
	if (duration_parse(text, max_ms, ms) == 0)
		return 0;
	return refuse_time(r->error, where,
	    "must be a duration such as 10s, 15m, 2h or 7d, at most "
	    "%lldd",
	    (long long)(max_ms / DAY_MS));
}

static int
read_cron(struct reader *r, const char *where, struct slice text)
{
	struct err err;

	return cron_parse(text, &r->recur->cron, &err) == 0
		   ? 0
		   : refuse_time(r->error, where, "%s", err.text);
}

static int
read_every(struct reader *r, const char *where, struct slice text)
{
	int64_t ms;

	if (read_duration(r, where, text, LONGEST_MS, &ms) == -1)
		return -1;
	if (ms == 0 || ms % 1000 != 0)
		return refuse_time(
		    r->error, where, "must be whole seconds, one at least");
	r->recur->every_s = ms / 1000;
	return 0;
}

static int
read_its_zone(struct reader *r, const char *where, struct slice text)
{
	if (!zones_is_name(text) || text.len >= sizeof(r->recur->zone))
		return refuse_time(r->error, where,
		    "must be the name of a time zone, such as Europe/Berlin");
	memcpy(r->recur->zone, text.p, text.len);
	r->recur->zone[text.len] = '\0';
	return 0;
}

/* What is within a second is of the one that begins then. */
static int
read_moment(struct reader *r, const char *where, struct slice text, int64_t *s)
{
	int64_t ms;

	if (rfc3339_parse(text, &ms) == -1 || ms < 1000)
		return refuse_time(r->error, where,
		    "must be a date-time of RFC 3339 after 1970, such as "
		    "2027-03-28T09:00:00+02:00");
	*s = (ms + 999) / 1000;
	return 0;
}

static int
read_start(struct reader *r, const char *where, struct slice text)
{
	return read_moment(r, where, text, &r->recur->start_s);
}

static int
read_end(struct reader *r, const char *where, struct slice text)
{
	return read_moment(r, where, text, &r->recur->end_s);
}

/* The place of the text among n words. */
static int
read_word(struct reader *r, const char *where, struct slice text,
    const struct slice *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(text, words[i]))
			return (int)i;
	return n == 2 ? refuse_time(r->error, where, "must be %s or %s",
			    words[0].p, words[1].p)
		      : refuse_time(r->error, where, "must be %s, %s or %s",
			    words[0].p, words[1].p, words[2].p);
}

static int
read_overlap(struct reader *r, const char *where, struct slice text)
{
	static const struct slice words[] = {[RECUR_SKIP] = SLICE_INIT("skip"),
	    [RECUR_QUEUE] = SLICE_INIT("queue"),
	    [RECUR_ALLOW] = SLICE_INIT("allow")};
	int i = read_word(r, where, text, words, COUNT(words));

	r->recur->overlap = (enum recur_overlap)i;
	return i == -1 ? -1 : 0;
}

static int
read_catch_up(struct reader *r, const char *where, struct slice text)
{
	static const struct slice words[] = {[RECUR_NONE] = SLICE_INIT("none"),
	    [RECUR_LAST] = SLICE_INIT("last"),
	    [RECUR_ALL] = SLICE_INIT("all")};
	int i = read_word(r, where, text, words, COUNT(words));

	r->recur->catch_up = (enum recur_catch_up)i;
	return i == -1 ? -1 : 0;
}

static int
read_window(struct reader *r, const char *where, struct slice text)
{
	int64_t ms;

	if (read_duration(r, where, text, LONGEST_MS, &ms) == -1)
		return -1;
	if (ms < 1000)
		return refuse_time(r->error, where, "must be 1s at least");
	r->recur->window_s = ms / 1000;
	return 0;
}

static int
read_spread(struct reader *r, const char *where, struct slice text)
{
	return read_duration(r, where, text, DAY_MS, &r->recur->jitter_ms);
}

static int
read_gap(struct reader *r, const char *where, struct slice text)
{
	static const struct slice words[] = {[CRON_SKIP] = SLICE_INIT("skip"),
	    [CRON_AFTER] = SLICE_INIT("after")};
	int i = read_word(r, where, text, words, COUNT(words));

	r->recur->gap = (enum cron_gap)i;
	return i == -1 ? -1 : 0;
}

enum {
	CRON,
	EVERY,
	ZONE,
	GAP,
	START,
	END,
	TIMES,
	OVERLAP,
	CATCH_UP,
	WINDOW,
	JITTER
};

static const struct {
	struct slice name;
	const char *where;
	int (*read)(struct reader *r, const char *where, struct slice text);
} members[] = {
    [CRON] = {SLICE_INIT("cron"), "/cron", read_cron},
    [EVERY] = {SLICE_INIT("every"), "/every", read_every},
    [ZONE] = {SLICE_INIT("time-zone"), "/time-zone", read_its_zone},
    [GAP] = {SLICE_INIT("gap"), "/gap", read_gap},
    [START] = {SLICE_INIT("start"), "/start", read_start},
    [END] = {SLICE_INIT("end"), "/end", read_end},
    [TIMES] = {SLICE_INIT("count"), "/count", NULL}, /* a number */
    [OVERLAP] = {SLICE_INIT("overlap"), "/overlap", read_overlap},
    [CATCH_UP] = {SLICE_INIT("catch-up"), "/catch-up", read_catch_up},
    [WINDOW] = {SLICE_INIT("window"), "/window", read_window},
    [JITTER] = {SLICE_INIT("jitter"), "/jitter", read_spread},
};

static int
read_how_often(
    struct reader *r, const char *where, const struct json_value *value)
{
	uint64_t n;

	if (value->type != JSON_NUMBER ||
	    slice_to_u64(value->raw, COUNT_MAX, &n) == -1 || n == 0)
		return refuse_time(r->error, where,
		    "must be a whole number from 1 to %d", COUNT_MAX);
	r->recur->count = (int64_t)n;
	return 0;
}

static int
read_value(struct reader *r, size_t i, const struct json_value *value)
{
	const char *where = members[i].where;
	char text[TEXT_MAX];

	if ((r->seen & 1u << i) != 0)
		return refuse_time(r->error, where, "appears more than once");
	r->seen |= 1u << i;
	if (members[i].read == NULL)
		return read_how_often(r, where, value);
	if (value->type != JSON_STRING)
		return refuse_time(r->error, where, "must be a string");
	if (value->raw.len > sizeof(text))
		return refuse_time(r->error, where, "is too long");
	memcpy(text, value->raw.p, value->raw.len);
	return members[i].read(
	    r, where, json_unescape(slice_of(text, value->raw.len)));
}

static bool
is_member(struct slice key, struct slice name)
{
	return slice_eq(slice_of(key.p + 1, key.len - 2), name);
}

static bool
says(const struct reader *r, unsigned i)
{
	return (r->seen & 1u << i) != 0;
}

static int
check_together(struct reader *r)
{
	const struct recur *recur = r->recur;

	if (says(r, CRON) == says(r, EVERY))
		return refuse_time(r->error, "", "must have cron or every%s",
		    says(r, CRON) ? ", not both" : "");
	for (unsigned i = ZONE; i <= GAP; i++)
		if (says(r, EVERY) && says(r, i))
			return refuse_time(
			    r->error, members[i].where, "goes with cron only");
	if (recur->catch_up == RECUR_NONE && says(r, WINDOW))
		return refuse_time(r->error, "/window",
		    "goes with catch-up last and all only");
	if (recur->end_s != 0 && recur->end_s < recur->start_s)
		return refuse_time(r->error, "/end", "is before start");
	return 0;
}

int
recur_read(const struct json_value *value, struct recur *recur,
    struct recur_error *error)
{
	struct reader r = {.recur = recur, .error = error};
	struct json_value member;
	struct slice key;
	const char *at = NULL;
	size_t i;

	*recur = (struct recur){.zone = "Etc/UTC", .catch_up = RECUR_LAST};
	if (value->type != JSON_OBJECT)
		return refuse_time(error, "", "must be an object");
	if (value->raw.len > RECUR_TEXT_MAX)
		return refuse_time(error, "", "is too long");
	while (json_next_member(value, &at, &key, &member)) {
		for (i = 0; i < COUNT(members); i++)
			if (is_member(key, members[i].name))
				break;
		if (i == COUNT(members))
			return refuse_time(error, "",
			    "has an unknown member; cron, every, time-zone, "
			    "gap, start, end, count, overlap, catch-up, "
			    "window and jitter are known");
		if (read_value(&r, i, &member) == -1)
			return -1;
	}
	if (recur->catch_up == RECUR_ALL && recur->window_s == 0)
		recur->window_s = DAY_MS / 1000;
	return check_together(&r);
}

int
recur_check(const struct recurring *at, int64_t after_s, int64_t min_period_ms,
    struct recur_error *error)
{
	int64_t times_s[CHECKED_TIMES];
	size_t n = recur_times(at, after_s, times_s, CHECKED_TIMES);

	if (at->recur->cron.oversteps)
		return refuse_time(error, "/cron",
		    "has a step of more than its field has values");
	if (n == 0)
		return refuse_time(error, "", "has no time to come");
	for (size_t i = 1; i < n; i++)
		if ((times_s[i] - times_s[i - 1]) * 1000 < min_period_ms)
			return refuse_time(error,
			    at->recur->every_s != 0 ? "/every" : "/cron",
			    "comes more often than each %lld ms, the least "
			    "that service.minSchedulePeriod allows",
			    (long long)min_period_ms);
	return 0;
}
