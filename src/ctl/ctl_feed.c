/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_feed.h"

static bool
is_between_words(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
note_word(struct ctl_feed *feed)
{
	feed->n += !feed->filled;
	feed->filled = true;
}

static void
feed_start(struct ctl_feed *feed, char *c)
{
	if (is_between_words(*c))
		return;
	feed->state = *c == '[' ? FEED_ARRAY : FEED_LINES;
	if (*c == '[')
		*c = ' ';
	else
		note_word(feed);
}

static void
feed_line(struct ctl_feed *feed, char c)
{
	if (c == '\n')
		feed->filled = false;
	else if (!is_between_words(c))
		note_word(feed);
}

/* A control character in a string is none of JSON's, and an LF would end the
 * line. */
static void
feed_string(struct ctl_feed *feed, char c)
{
	if ((unsigned char)c < ' ')
		feed->error = "a string in the array has no end";
	else if (feed->escaped)
		feed->escaped = false;
	else if (c == '\\')
		feed->escaped = true;
	else if (c == '"')
		feed->in_string = false;
}

/* Behind an element: a comma, or the end of the array. */
static void
feed_element_end(struct ctl_feed *feed, char *c)
{
	bool is_empty = *c == ']' && feed->n == 0;

	if (!feed->filled && !is_empty)
		feed->error = "an element of the array is missing";
	if (*c == ']')
		feed->state = FEED_END;
	feed->filled = false;
	*c = '\n';
}

static void
feed_array(struct ctl_feed *feed, char *c)
{
	if (feed->in_string)
		feed_string(feed, *c);
	else if (is_between_words(*c))
		*c = ' ';
	else if (feed->depth == 0 && (*c == ',' || *c == ']'))
		feed_element_end(feed, c);
	else {
		note_word(feed);
		if (*c == '"')
			feed->in_string = true;
		else if (*c == '{' || *c == '[')
			feed->depth++;
		else if ((*c == '}' || *c == ']') && feed->depth > 0)
			feed->depth--;
	}
}

size_t
ctl_feed_turn(struct ctl_feed *feed, char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len && feed->error == NULL; i++) {
		if (feed->state == FEED_START)
			feed_start(feed, &bytes[i]);
		else if (feed->state == FEED_LINES)
			feed_line(feed, bytes[i]);
		else if (feed->state == FEED_ARRAY)
			feed_array(feed, &bytes[i]);
		else if (!is_between_words(bytes[i]))
			feed->error = "there is something behind the array";
	}
	return feed->error == NULL ? len : i - 1;
}

void
ctl_feed_end(struct ctl_feed *feed)
{
	if (feed->state == FEED_ARRAY && feed->error == NULL)
		feed->error = "the array has no end";
}
