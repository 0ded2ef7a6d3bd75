/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_FEED_H
#define CASSATA_CTL_CTL_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A file of events as a stream of lines: NDJSON as it is, or the elements of a
 * JSON array, a line each. In place, a piece at a time, and pure. It finds
 * where elements end and judges none: that is the server's. Begins zeroed.
 */
struct ctl_feed {
	enum { FEED_START, FEED_LINES, FEED_ARRAY, FEED_END } state;
	size_t depth; /* of arrays and objects within an element */
	bool in_string, escaped;
	bool filled;       /* the line or element is not blank */
	uint64_t n;        /* events: lines and elements that are not blank */
	const char *error; /* or NULL: what is wrong with the array */
};

/* Changes the bytes that follow those of before. Returns how many of them are
 * to be sent: all, or those before an error. */
size_t ctl_feed_turn(struct ctl_feed *feed, char *bytes, size_t len);

/* The file has ended: an error where an array has not. */
void ctl_feed_end(struct ctl_feed *feed);

#endif
