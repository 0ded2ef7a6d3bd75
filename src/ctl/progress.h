/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_PROGRESS_H
#define CASSATA_CTL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How far a long command is, on standard error: a line that changes on a
 * terminal, now and then a line of its own elsewhere.
 */
struct progress {
	bool is_terminal;
	int64_t due_ms; /* monotonic: the next line */
	bool shown;     /* a line is on the terminal */
};

void progress_init(struct progress *progress);

/* Whether it is time for a line. */
bool progress_is_due(const struct progress *progress);

/* Writes the line, in the place of the one before it, due or not. */
void progress_show(struct progress *progress, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "[#####...............]": so much of it is done. */
enum { PROGRESS_BAR = 24 };
void progress_bar(int64_t done, int64_t whole, char text[PROGRESS_BAR]);

/* ", ends at 17:05:09": of a moment in seconds since 1970; "" of none. */
enum { PROGRESS_END = 32 };
void progress_end(int64_t at_s, char text[PROGRESS_END]);

/* Before other output. */
void progress_clear(struct progress *progress);

#endif
