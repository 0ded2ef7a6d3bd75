/* SPDX-License-Identifier: ISC */
#include "base/tzif.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEADER_BYTES = 44,
	TYPE_BYTES = 6,
};

struct tzif {
	struct tz_rule rule; /* for the time after the last change */
	bool has_rule;
	int32_t first_offset_s; /* before the first change */
	size_t n;
	struct tz_change {
		int64_t at_s;
		int32_t offset_s; /* from then on */
	} changes[];
};

/* The counts of a header, and where its data block begins. */
struct block {
	const unsigned char *data;
	size_t time_bytes; /* of a time in it */
	size_t isut, isstd, leap, time, type, chars;
};

static uint32_t
get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static int64_t
get_time(const unsigned char *p, size_t bytes)
{
	if (bytes == 4)
		return (int32_t)get_u32(p);
	return (int64_t)((uint64_t)get_u32(p) << 32 | get_u32(p + 4));
}

static size_t
block_bytes(const struct block *b)
{
	return b->time * (b->time_bytes + 1) + b->type * TYPE_BYTES + b->chars +
	       b->leap * (b->time_bytes + 4) + b->isstd + b->isut;
}

/* The block at the begin of file. 0 or -1. */
static int
read_counts(
    struct slice file, size_t time_bytes, struct block *b, struct err *err)
{
	const unsigned char *p = (const unsigned char *)file.p;

	if (file.len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
		return err_set(err, "no TZif file");
	*b = (struct block){
	    .data = p + HEADER_BYTES,
	    .time_bytes = time_bytes,
	    .isut = get_u32(p + 20),
	    .isstd = get_u32(p + 24),
	    .leap = get_u32(p + 28),
	    .time = get_u32(p + 32),
	    .type = get_u32(p + 36),
	    .chars = get_u32(p + 40),
	};
	/* Each count is less than the bytes: no sum of them overflows. */
	if (b->isut > file.len || b->isstd > file.len || b->leap > file.len ||
	    b->time > file.len || b->type > file.len || b->chars > file.len ||
	    block_bytes(b) > file.len - HEADER_BYTES)
		return err_set(err, "the file is cut off");
	return 0;
}

static int
read_type(const struct block *b, size_t i, int32_t *offset_s, struct err *err)
{
	const unsigned char *type =
	    b->data + b->time * (b->time_bytes + 1) + i * TYPE_BYTES;
	int64_t offset = 0;

	if (i < b->type) /* or it is not in the file */
		offset = get_time(type, 4);
	if (i >= b->type || type[4] > 1 || type[5] >= b->chars ||
	    offset > TZ_OFFSET_MAX_S || offset < -TZ_OFFSET_MAX_S)
		return err_set(err, "damaged: a local time type");
	*offset_s = (int32_t)offset;
	return 0;
}

static int
read_block(const struct block *b, struct tzif *tz, struct err *err)
{
	const unsigned char *indices = b->data + b->time * b->time_bytes;

	if (b->leap != 0)
		return err_set(err, "it counts leap seconds");
	if (b->type == 0 || b->chars == 0 ||
	    (b->isut != 0 && b->isut != b->type) ||
	    (b->isstd != 0 && b->isstd != b->type))
		return err_set(err, "damaged: its counts");
	if (read_type(b, 0, &tz->first_offset_s, err) == -1)
		return -1;
	for (; tz->n < b->time; tz->n++) {
		struct tz_change *change = &tz->changes[tz->n];
		int64_t at_s =
		    get_time(b->data + tz->n * b->time_bytes, b->time_bytes);

		/* "The big bang" of some files is one of them. */
		if (at_s > INT64_C(1) << 60 || at_s < -(INT64_C(1) << 60) ||
		    (tz->n > 0 && at_s <= change[-1].at_s))
			return err_set(err, "damaged: a time of change");
		change->at_s = at_s;
		if (read_type(b, indices[tz->n], &change->offset_s, err) == -1)
			return -1;
	}
	return 0;
}

/* Between two newlines; nothing says that there is no rule. */
static int
read_footer(struct slice rest, struct tzif *tz, struct err *err)
{
	const char *end;

	if (rest.len < 2 || rest.p[0] != '\n' ||
	    (end = memchr(rest.p + 1, '\n', rest.len - 1)) == NULL)
		return err_set(err, "the file is cut off");
	rest = slice_of(rest.p + 1, (size_t)(end - rest.p) - 1);
	tz->has_rule = rest.len > 0;
	if (tz->has_rule && tz_rule_parse(rest, &tz->rule) == -1)
		return err_set(err, "damaged: its rule \"%.*s\"",
		    rest.len < 100 ? (int)rest.len : 100, rest.p);
	return 0;
}

/* The block with the most in it, and what is behind that. 0 or -1. */
static int
find_block(
    struct slice file, struct block *b, struct slice *rest, struct err *err)
{
	size_t skipped;

	if (read_counts(file, 4, b, err) == -1)
		return -1;
	*rest = slice_of(NULL, 0);
	if (file.p[4] == '\0') /* version 1 */
		return 0;
	if (file.p[4] < '2')
		return err_set(err, "a version that is not known");
	skipped = HEADER_BYTES + block_bytes(b);
	file = slice_of(file.p + skipped, file.len - skipped);
	if (read_counts(file, 8, b, err) == -1)
		return -1;
	skipped = HEADER_BYTES + block_bytes(b);
	*rest = slice_of(file.p + skipped, file.len - skipped);
	return 0;
}

struct tzif *
tzif_parse(struct slice file, struct err *err)
{
	struct slice rest = {NULL, 0};
	struct block block = {0};
	struct tzif *tz;

	if (file.len > TZIF_BYTES_MAX) {
		(void)err_set(err, "more than %d bytes", TZIF_BYTES_MAX);
		return NULL;
	}
	if (find_block(file, &block, &rest, err) == -1)
		return NULL;
	tz = calloc(1, sizeof(*tz) + block.time * sizeof(tz->changes[0]));
	if (tz == NULL)
		(void)err_set(err, "out of memory");
	else if (read_block(&block, tz, err) == -1 ||
		 (block.time_bytes == 8 && read_footer(rest, tz, err) == -1))
		tzif_free(&tz);
	return tz;
}

void
tzif_free(struct tzif **tz)
{
	free(*tz);
	*tz = NULL;
}

/* How many changes have been at utc_s. */
static size_t
changes_until(const struct tzif *tz, int64_t utc_s)
{
	size_t low = 0, high = tz->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tz->changes[middle].at_s <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct tz_span
tzif_span(const struct tzif *tz, int64_t utc_s)
{
	size_t i = changes_until(tz, utc_s);
	struct tz_span span = {
	    .from_s = i == 0 ? INT64_MIN : tz->changes[i - 1].at_s,
	    .to_s = i == tz->n ? INT64_MAX : tz->changes[i].at_s,
	    .offset_s =
		i == 0 ? tz->first_offset_s : tz->changes[i - 1].offset_s,
	};
	int64_t from_s = span.from_s;

	if (i < tz->n || !tz->has_rule)
		return span;
	span = tz_rule_span(&tz->rule, utc_s);
	if (span.from_s < from_s)
		span.from_s = from_s;
	return span;
}

struct tz_local
tzif_local(const struct tzif *tz, int64_t local_s)
{
	struct tz_local found = {TZ_GAP, 0, 0};
	struct tz_span span = tzif_span(tz, local_s - TZ_OFFSET_MAX_S);
	bool passed = false; /* a span that ends before that time */

	for (;;) {
		int64_t utc_s = local_s - span.offset_s;

		if (utc_s < span.from_s && passed && found.fit == TZ_GAP)
			found.first_s = found.last_s = span.from_s;
		passed = utc_s >= span.to_s;
		if (!passed && utc_s >= span.from_s) {
			if (found.fit == TZ_GAP)
				found.first_s = utc_s;
			found.last_s = utc_s;
			found.fit = found.fit == TZ_GAP ? TZ_ONCE : TZ_TWICE;
		}
		if (span.to_s > local_s + TZ_OFFSET_MAX_S)
			return found;
		span = tzif_span(tz, span.to_s);
	}
}
