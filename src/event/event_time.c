/* SPDX-License-Identifier: ISC */
#include "event/event_time.h"

#include <stdbool.h>

#include "base/rfc3339.h"

/* A JSON number in pieces: digits with a point, times a power of ten. */
struct decimal {
	bool negative;
	bool zero;
	struct slice digits; /* may hold the point */
	int64_t point; /* digits in front of the point, exponent included */
};

/* Beyond the longest text, so that no digits can make up for it. */
static const int64_t exponent_max = INT64_C(1000000000000000);

static int64_t
read_exponent(const char *p, const char *end)
{
	bool negative = *p == '-';
	int64_t sum = 0;

	if (*p == '-' || *p == '+')
		p++;
	for (; p < end && sum < exponent_max; p++)
		sum = sum * 10 + (*p - '0');
	return negative ? -sum : sum;
}

static struct decimal
split_number(struct slice raw)
{
	struct decimal d = {.zero = true};
	const char *p = raw.p, *end = raw.p + raw.len;
	bool before_point = true;

	d.negative = *p == '-';
	p += d.negative;
	d.digits.p = p;
	for (; p < end && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.')
			before_point = false;
		else if (*p != '0')
			d.zero = false;
		d.point += before_point;
	}
	d.digits.len = (size_t)(p - d.digits.p);
	if (p < end)
		d.point += read_exponent(p + 1, end);
	return d;
}

/*
 * The number times 1000, truncated, exactly: no floating point. What is larger
 * than limit comes out as some value above limit.
 */
static int64_t
thousandfold(const struct decimal *d, int64_t limit)
{
	const char *p = d->digits.p, *end = p + d->digits.len;
	int64_t left = d->point + 3; /* digits to take */
	int64_t sum = 0;

	if (d->zero)
		return 0;
	for (; left > 0 && sum <= limit; left--) {
		if (p < end && *p == '.')
			p++;
		sum = sum * 10 + (p < end ? *p++ - '0' : 0);
	}
	return sum;
}

static const int64_t year_10000_ms = INT64_C(253402300800000);
static const int64_t year_2000_s = INT64_C(946684800);
static const int64_t year_2100_s = INT64_C(4102444800);

/* Milliseconds, or -1 with what is wrong. */
static int64_t
time_of_number(struct slice raw, const char **reason)
{
	int64_t limit = year_2100_s * 1000 * 1000;
	struct decimal d = split_number(raw);
	int64_t ms = thousandfold(&d, limit);

	if (d.negative && !d.zero)
		*reason = "must not be negative";
	else if (ms >= year_2000_s * 1000 * 1000 && ms < limit)
		*reason = "looks like milliseconds; seconds since 1970-01-01 "
			  "UTC are expected";
	else if (ms >= year_10000_ms)
		*reason = "beyond the year 9999; seconds since 1970-01-01 UTC "
			  "are expected";
	else
		return ms;
	return -1;
}

static int64_t
time_of_text(struct slice text, const char **reason)
{
	int64_t ms;

	if (rfc3339_parse(text, &ms) == -1)
		*reason = "is no date-time of RFC 3339, such as "
			  "2027-03-28T09:00:00+02:00";
	else if (ms < 0)
		*reason = "must not be before 1970-01-01 UTC";
	else if (ms >= year_10000_ms)
		*reason = "beyond the year 9999";
	else
		return ms;
	return -1;
}

int64_t
event_time_read(const struct json_value *value, const char **reason)
{
	*reason = "must be a number, seconds since 1970-01-01 UTC, or a "
		  "date-time of RFC 3339";
	if (value->type == JSON_NUMBER)
		return time_of_number(value->raw, reason);
	if (value->type == JSON_STRING)
		return time_of_text(json_unescape(value->raw), reason);
	return -1;
}
