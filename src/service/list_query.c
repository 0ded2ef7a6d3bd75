/* SPDX-License-Identifier: ISC */
#include "service/list_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/percent.h"
#include "base/rfc3339.h"
#include "event/request_check.h"
#include "service/event_member.h"
#include "store/store.h"

/* What may be large is to be asked for. */
static const unsigned usual_fields =
    (1U << EVENT_MEMBERS) - 1 - (1U << MEMBER_HEADERS) - (1U << MEMBER_EVENT);

/* ---- values ---- */

struct reading {
	struct list_asked *asked;
	struct slice after;
	int max_limit;
	struct err *err;
};

/* The next of the words that commas part; false at the end. */
static bool
next_word(struct slice *rest, struct slice *word)
{
	const char *comma;

	if (rest->p == NULL)
		return false;
	comma = memchr(rest->p, ',', rest->len);
	*word = *rest;
	if (comma == NULL) {
		*rest = slice_of(NULL, 0);
		return true;
	}
	word->len = (size_t)(comma - rest->p);
	*rest = slice_of(comma + 1, rest->len - word->len - 1);
	return true;
}

static int
read_status(struct reading *r, struct slice value)
{
	struct slice word;
	unsigned states = 0;

	while (next_word(&value, &word)) {
		unsigned state = EVENT_PENDING;

		while (state < EVENT_DELETED &&
		       !slice_eq(word, slice_from_string(event_state_name(
					   (enum event_state)state))))
			state++;
		if (state == EVENT_DELETED)
			return err_set(r->err,
			    "status must be of PENDING, PROCESSING, COMPLETED, "
			    "FAILED, SERVICE_UNAVAILABLE and AWAITING, parted "
			    "by commas");
		states |= 1U << state;
	}
	r->asked->query.states = states;
	return 0;
}

static int
read_fields(struct reading *r, struct slice value)
{
	struct slice word;

	r->asked->fields = 0;
	while (next_word(&value, &word)) {
		enum event_member member = event_member_find(word);

		if (member == EVENT_MEMBERS)
			return err_set(r->err,
			    "fields must be names of an event's members, "
			    "parted by commas");
		r->asked->fields |= 1U << member;
	}
	return 0;
}

/* Seconds, of which three digits behind the point count; -1 for anything else.
 */
static int64_t
read_seconds(struct slice text)
{
	const char *point =
	    text.len == 0 ? NULL : memchr(text.p, '.', text.len);
	struct slice whole = text, part = SLICE_LITERAL("0");
	uint64_t seconds, fraction;

	if (point != NULL) {
		whole.len = (size_t)(point - text.p);
		part = slice_of(point + 1, text.len - whole.len - 1);
	}
	if (part.len > 3)
		part.len = 3;
	if (slice_to_u64(whole, STORE_LIST_END_MS / 1000 - 1, &seconds) == -1 ||
	    slice_to_u64(part, 999, &fraction) == -1)
		return -1;
	for (size_t i = part.len; i < 3; i++)
		fraction *= 10;
	return (int64_t)(seconds * 1000 + fraction);
}

static int
read_bound(struct reading *r, struct slice value, const char *name, int64_t *ms)
{
	*ms = read_seconds(value);
	if (*ms != -1)
		return 0;
	if (rfc3339_parse(value, ms) == 0 && *ms >= 0 &&
	    *ms <= STORE_LIST_END_MS)
		return 0;
	return err_set(r->err,
	    "%s must be seconds since 1970-01-01 UTC, or a date-time of "
	    "RFC 3339 (with %%2B for its +)",
	    name);
}

static int
read_from(struct reading *r, struct slice value)
{
	return read_bound(r, value, "from", &r->asked->query.from_ms);
}

static int
read_to(struct reading *r, struct slice value)
{
	return read_bound(r, value, "to", &r->asked->query.before_ms);
}

static int
read_destination(struct reading *r, struct slice value)
{
	if (!request_check_destination(value))
		return err_set(r->err, "destination must be HOST or HOST:PORT");
	r->asked->query.destination = value;
	return 0;
}

static int
read_label(struct reading *r, struct slice value)
{
	struct list_query *query = &r->asked->query;
	const char *reason = event_labels_add(&query->labels, value);

	if (reason != NULL)
		return err_set(r->err, "%s", reason);
	if (query->labels.n == 1)
		query->first = query->labels.list[0];
	return 0;
}

static int
read_order(struct reading *r, struct slice value)
{
	r->asked->query.descending = slice_eq(value, SLICE_LITERAL("-due"));
	if (r->asked->query.descending || slice_eq(value, SLICE_LITERAL("due")))
		return 0;
	return err_set(r->err, "order must be due or -due");
}

static int
read_limit(struct reading *r, struct slice value)
{
	uint64_t limit;

	if (slice_to_u64(value, (uint64_t)r->max_limit, &limit) == -1 ||
	    limit == 0)
		return err_set(r->err, "limit must be 1 to %d", r->max_limit);
	r->asked->limit = (int)limit;
	return 0;
}

/* It says where the list is when all else is known. */
static int
read_after(struct reading *r, struct slice value)
{
	r->after = value;
	return 0;
}

/* ---- the cursor ---- */

/* 16 hexadecimal digits each: due time, row id, sum. */
#define CURSOR_FORMAT "%016" PRIx64 "%016" PRIx64 "%016" PRIx64

static int
cursor_sum(const struct list_query *query, const struct list_place *place,
    uint64_t *sum)
{
	char text[128 + EVENT_APP_MAX + EVENT_LABELS_TEXT_MAX];
	struct event_key key;
	int len;

	len = snprintf(text, sizeof(text),
	    "list %u %" PRId64 " %" PRId64 " %d %" PRId64 " %" PRId64 " %.*s",
	    query->states, query->from_ms, query->before_ms, query->descending,
	    place->due_ms, place->row_id, (int)query->app.len, query->app.p);
	if (len < 0 || (size_t)len >= 128 + EVENT_APP_MAX)
		return -1;
	for (unsigned i = 0; i < query->labels.n; i++) {
		const struct event_label *label = &query->labels.list[i];

		len += snprintf(text + len, sizeof(text) - (size_t)len,
		    "\n%s=%.*s", label->name, (int)label->value_len,
		    label->value);
	}
	if (event_key_make(
		slice_of(text, (size_t)len), query->destination, &key) == -1)
		return -1;
	memcpy(sum, key.bytes, sizeof(*sum));
	return 0;
}

bool
list_cursor_make(const struct list_query *query, const struct list_place *place,
    char out[LIST_CURSOR_MAX + 1])
{
	uint64_t sum;

	if (cursor_sum(query, place, &sum) == -1)
		return false;
	(void)snprintf(out, LIST_CURSOR_MAX + 1, CURSOR_FORMAT,
	    (uint64_t)place->due_ms, (uint64_t)place->row_id, sum);
	return true;
}

static int
read_hex(const char *p, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < 16; i++) {
		if (p[i] >= '0' && p[i] <= '9')
			*value = *value << 4 | (uint64_t)(p[i] - '0');
		else if (p[i] >= 'a' && p[i] <= 'f')
			*value = *value << 4 | (uint64_t)(p[i] - 'a' + 10);
		else
			return -1;
	}
	return 0;
}

static int
read_cursor(struct reading *r)
{
	struct list_asked *asked = r->asked;
	uint64_t due_ms, row_id, told, sum;

	if (r->after.len == 48 && read_hex(r->after.p, &due_ms) == 0 &&
	    read_hex(r->after.p + 16, &row_id) == 0 &&
	    read_hex(r->after.p + 32, &told) == 0) {
		asked->place.due_ms = (int64_t)due_ms;
		asked->place.row_id = (int64_t)row_id;
		if (cursor_sum(&asked->query, &asked->place, &sum) == 0 &&
		    sum == told && asked->place.due_ms >= 0)
			return 0;
	}
	return err_set(r->err,
	    "after must be the next of a page of the same list: with the same "
	    "status, from, to, destination, label and order");
}

/* ---- the query ---- */

static const struct {
	struct slice name;
	int (*read)(struct reading *r, struct slice value);
} parameters[] = {
    {SLICE_INIT("status"), read_status},
    {SLICE_INIT("from"), read_from},
    {SLICE_INIT("to"), read_to},
    {SLICE_INIT("destination"), read_destination},
    {SLICE_INIT("label"), read_label},
    {SLICE_INIT("order"), read_order},
    {SLICE_INIT("fields"), read_fields},
    {SLICE_INIT("limit"), read_limit},
    {SLICE_INIT("after"), read_after},
};

enum { PARAMETERS = sizeof(parameters) / sizeof(parameters[0]) };

/* A name of ours needs no escapes. Of what is unknown nothing is repeated. */
static int
read_parameter(
    struct reading *r, struct slice text, struct buf *scratch, unsigned *seen)
{
	const char *equals =
	    text.len == 0 ? NULL : memchr(text.p, '=', text.len);
	struct slice name = text, value = SLICE_LITERAL("");
	char *out = scratch->p + scratch->len;
	unsigned i = 0;
	size_t len;

	if (equals != NULL) {
		name.len = (size_t)(equals - text.p);
		value = slice_of(equals + 1, text.len - name.len - 1);
	}
	while (i < PARAMETERS && !slice_eq(name, parameters[i].name))
		i++;
	if (i == PARAMETERS)
		return err_set(r->err,
		    "the query may have status, from, to, destination, label, "
		    "order, fields, limit and after");
	if ((*seen >> i & 1) != 0 && parameters[i].read != read_label)
		return err_set(r->err, "%s comes twice", parameters[i].name.p);
	*seen |= 1U << i;
	if (percent_decode(value, out, &len) == -1)
		return err_set(r->err, "%s has a bad percent-escape",
		    parameters[i].name.p);
	scratch->len += len;
	return parameters[i].read(r, slice_of(out, len));
}

static int
read_parameters(struct reading *r, struct slice text, struct buf *scratch)
{
	unsigned seen = 0;
	struct slice word;
	const char *and;

	/* All at once: what is in it must not move. */
	if (buf_reserve(scratch, text.len + 1) == -1)
		return err_set(r->err, "there is no memory for it");
	while (text.len > 0) {
		and = memchr(text.p, '&', text.len);
		word = text;
		if (and != NULL)
			word.len = (size_t)(and-text.p);
		if (word.len > 0 &&
		    read_parameter(r, word, scratch, &seen) == -1)
			return -1;
		text.p += word.len;
		text.len -= word.len;
		if (text.len > 0) {
			text.p++;
			text.len--;
		}
	}
	return 0;
}

int
list_query_read(struct slice app, struct slice text, int max_limit,
    struct buf *scratch, struct list_asked *asked, struct err *err)
{
	struct reading r = {.asked = asked, .max_limit = max_limit, .err = err};

	*asked = (struct list_asked){
	    .query = {.app = app,
		.states = (1U << EVENT_DELETED) - 1,
		.before_ms = STORE_LIST_END_MS},
	    .fields = usual_fields,
	    .limit = max_limit < LIST_LIMIT ? max_limit : LIST_LIMIT,
	};
	if (read_parameters(&r, text, scratch) == -1)
		return -1;
	asked->query.bodies = (asked->fields >> MEMBER_EVENT & 1) != 0;
	if (r.after.p != NULL)
		return read_cursor(&r);
	asked->place = store_list_begin(&asked->query);
	return 0;
}
