/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_print.h"

enum { USUAL_WIDTH = 20, TIME_WIDTH = 24 };

/* Members that are not of the usual width. */
static const struct column {
	struct slice name;
	size_t width;
} widths[] = {
    {SLICE_INIT("status"), 19},
    {SLICE_INIT("attempts"), 8},
    {SLICE_INIT("last-response-code"), 18},
    {SLICE_INIT("event-id"), 36},
    {SLICE_INIT("job"), 36},
    {SLICE_INIT("state"), 9},
    {SLICE_INIT("verb"), 10},
    {SLICE_INIT("matched"), 10},
    {SLICE_INIT("done"), 10},
    {SLICE_INIT("skipped"), 10},
};

/* Members that are seconds since 1970. */
static const struct slice times[] = {
    SLICE_INIT("due"),
    SLICE_INIT("expiry"),
    SLICE_INIT("created"),
    SLICE_INIT("first-attempt"),
    SLICE_INIT("next-attempt"),
    SLICE_INIT("finished"),
    SLICE_INIT("not-after"),
    SLICE_INIT("time"),
    SLICE_INIT("since"),
    SLICE_INIT("until"),
};

static bool
is_time(struct slice name)
{
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (slice_eq(name, times[i]))
			return true;
	return false;
}

static size_t
width_of(struct slice name)
{
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (slice_eq(name, widths[i].name))
			return widths[i].width;
	return is_time(name) ? TIME_WIDTH : USUAL_WIDTH;
}

/* Of a number of seconds up to the year 9999; returns 0 of all else. */
static size_t
write_utc(const struct json_value *value, char text[64])
{
	enum { MS = 1000 };
	char digits[32];
	struct tm tm;
	int64_t ms;
	time_t whole;
	double seconds;
	size_t len;

	if (value->type != JSON_NUMBER || value->raw.len >= sizeof(digits))
		return 0;
	memcpy(digits, value->raw.p, value->raw.len);
	digits[value->raw.len] = '\0';
	seconds = strtod(digits, NULL);
	if (!(seconds >= 0 && seconds < 253402300799.0))
		return 0;
	ms = (int64_t)(seconds * (double)MS + 0.5);
	whole = (time_t)(ms / MS);
	if (gmtime_r(&whole, &tm) == NULL)
		return 0;
	len = strftime(text, 64, "%Y-%m-%dT%H:%M:%S", &tm);
	return len +
	       (size_t)snprintf(text + len, 64 - len, ".%03dZ", (int)(ms % MS));
}

/* Returns its width. */
static size_t
show_value(const struct json_value *value, bool is_moment)
{
	char text[64];
	size_t n = is_moment ? write_utc(value, text) : 0;

	return n > 0 ? ctl_print(stdout, slice_of(text, n), false)
		     : ctl_answer_print(stdout, value);
}

static void
fill_cell(size_t n, size_t width)
{
	printf("%*s", n < width ? (int)(width - n) + 2 : 2, "");
}

void
ctl_table_cell(const struct json_value *value, size_t width)
{
	if (value == NULL)
		ctl_table_word("-", width);
	else
		fill_cell(ctl_answer_print(stdout, value), width);
}

void
ctl_table_time(const struct json_value *value)
{
	if (value == NULL)
		ctl_table_word("-", TIME_WIDTH);
	else
		fill_cell(show_value(value, true), TIME_WIDTH);
}

void
ctl_table_word(const char *text, size_t width)
{
	fill_cell(ctl_print(stdout, slice_from_string(text), false), width);
}

/* ---- rows ---- */

/* The next of the names that commas part; false at the end. */
static bool
next_name(const char **at, struct slice *name)
{
	*name = slice_of(*at, strcspn(*at, ","));
	*at += name->len + ((*at)[name->len] == ',');
	return name->len > 0;
}

static void
end_cell(size_t n, struct slice name, bool last)
{
	if (last)
		(void)putchar('\n');
	else
		fill_cell(n, width_of(name));
}

void
ctl_table_titles(const char *names)
{
	struct slice name;

	while (next_name(&names, &name))
		end_cell(ctl_print(stdout, name, false), name, *names == '\0');
}

static bool
member_for(const struct json_value *object, struct slice name,
    struct json_value *value)
{
	char text[64];

	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	return ctl_member(object, text, value) ||
	       (slice_eq(name, SLICE_LITERAL("due")) &&
		   (ctl_member(object, "next-attempt", value) ||
		       ctl_member(object, "finished", value)));
}

void
ctl_table_row(const struct json_value *object, const char *names)
{
	struct json_value value;
	struct slice name;

	while (next_name(&names, &name)) {
		size_t n = member_for(object, name, &value)
			       ? show_value(&value, is_time(name))
			       : ctl_print(stdout, SLICE_LITERAL("-"), false);

		end_cell(n, name, *names == '\0');
	}
}

/* ---- a document ---- */

static struct slice
name_in(struct slice key)
{
	return slice_of(key.p + 1, key.len - 2);
}

/* What it says in words, or "name value, name value". */
static void
show_element(const struct json_value *element)
{
	struct json_value value;
	struct slice key;
	const char *at = NULL, *before = "";

	if (element->type != JSON_OBJECT)
		(void)ctl_answer_print(stdout, element);
	else if (ctl_member(element, "text", &value))
		(void)ctl_answer_print(stdout, &value);
	else
		for (; json_next_member(element, &at, &key, &value);
		     before = ", ") {
			(void)fputs(before, stdout);
			(void)ctl_print(stdout, name_in(key), false);
			(void)putchar(' ');
			(void)show_value(&value, is_time(name_in(key)));
		}
	(void)putchar('\n');
}

static void
show_array(const struct json_value *array)
{
	struct json_value element;
	const char *at = NULL;
	bool first = true;

	for (; json_next_element(array, &at, &element); first = false) {
		if (!first)
			ctl_table_word("", USUAL_WIDTH);
		show_element(&element);
	}
	if (first)
		puts("-");
}

void
ctl_table_document(const struct json_value *object)
{
	struct json_value value;
	struct slice key;
	const char *at = NULL;

	while (json_next_member(object, &at, &key, &value)) {
		fill_cell(ctl_print(stdout, name_in(key), false), USUAL_WIDTH);
		if (value.type == JSON_ARRAY)
			show_array(&value);
		else {
			(void)show_value(&value, is_time(name_in(key)));
			(void)putchar('\n');
		}
	}
}
