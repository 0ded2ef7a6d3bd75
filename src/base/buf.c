/* SPDX-License-Identifier: ISC */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { BUF_MIN = 256 };

void
buf_init(struct buf *buf, size_t max)
{
	buf_init_within(buf, max, NULL);
}

void
buf_init_within(struct buf *buf, size_t max, struct buf_budget *budget)
{
	*buf = (struct buf){.max = max, .budget = budget};
}

static void
charge(struct buf_budget *budget, size_t more, size_t less)
{
	for (; budget != NULL; budget = budget->whole) {
		check(budget->used >= less || budget->used + more >= less);
		budget->used += more - less;
	}
}

void
buf_move(struct buf *buf, struct buf_budget *budget)
{
	charge(buf->budget, 0, buf->cap);
	charge(budget, buf->cap, 0);
	buf->budget = budget;
}

void
buf_free(struct buf *buf)
{
	free(buf->p);
	charge(buf->budget, 0, buf->cap);
	buf_init_within(buf, buf->max, buf->budget);
}

void
buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

bool
buf_budget_is_ample(const struct buf_budget *budget)
{
	const struct buf_budget *whole =
	    budget->whole == NULL ? budget : budget->whole;

	return whole->used <= whole->max / 4;
}

static bool
has_room(const struct buf_budget *budget, size_t more)
{
	const struct buf_budget *whole = budget->whole;

	if (whole == NULL)
		return budget->used <= budget->max &&
		       more <= budget->max - budget->used;
	return has_room(whole, more) &&
	       (budget->used + more <= budget->max ||
		   budget->used + more <= whole->max - whole->used - more);
}

static bool
affordable(const struct buf *buf, size_t cap)
{
	return buf->budget == NULL || cap <= BUF_SMALL_BYTES ||
	       has_room(buf->budget, cap - buf->cap);
}

int
buf_reserve(struct buf *buf, size_t more)
{
	size_t cap;
	char *p;

	if (buf->cap - buf->len >= more)
		return 0;
	if (more > buf->max - buf->len)
		return -1;
	cap = buf->cap > buf->max / 2 ? buf->max : buf->cap * 2;
	if (cap < buf->len + more)
		cap = buf->len + more;
	if (cap < BUF_MIN && BUF_MIN <= buf->max)
		cap = BUF_MIN;
	if (!affordable(buf, cap))
		cap = buf->len + more;
	if (cap == SIZE_MAX || !affordable(buf, cap))
		return -1;
	/* One byte beyond cap takes the NUL that vsnprintf insists on. */
	p = realloc(buf->p, cap + 1);
	if (p == NULL)
		return -1;
	charge(buf->budget, cap, buf->cap);
	buf->p = p;
	buf->cap = cap;
	return 0;
}

int
buf_append(struct buf *buf, const void *bytes, size_t len)
{
	if (buf->failed || buf_reserve(buf, len) == -1) {
		buf->failed = true;
		return -1;
	}
	if (len > 0) {
		memcpy(buf->p + buf->len, bytes, len);
		buf->len += len;
	}
	return 0;
}

int
buf_append_slice(struct buf *buf, struct slice s)
{
	return buf_append(buf, s.p, s.len);
}

int
buf_append_string(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

int
buf_append_char(struct buf *buf, char c)
{
	return buf_append(buf, &c, 1);
}

/* Prints behind the content, as far as there is room; returns the whole size.
 */
__attribute__((format(printf, 2, 0))) static int
print(struct buf *buf, const char *fmt, va_list ap)
{
	if (buf->p == NULL)
		return vsnprintf(NULL, 0, fmt, ap);
	return vsnprintf(buf->p + buf->len, buf->cap - buf->len + 1, fmt, ap);
}

int
buf_printf(struct buf *buf, const char *fmt, ...)
{
	size_t room = buf->cap - buf->len;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = print(buf, fmt, ap);
	va_end(ap);
	if (buf->failed || len < 0 || buf_reserve(buf, (size_t)len) == -1) {
		buf->failed = true;
		return -1;
	}
	if ((size_t)len > room) {
		va_start(ap, fmt);
		len = print(buf, fmt, ap);
		va_end(ap);
	}
	buf->len += (size_t)len;
	return 0;
}

void
buf_consume(struct buf *buf, size_t n)
{
	check(n <= buf->len);
	if (n == 0)
		return;
	buf->len -= n;
	memmove(buf->p, buf->p + n, buf->len);
}

struct slice
buf_slice(const struct buf *buf)
{
	return slice_of(buf->p, buf->len);
}
