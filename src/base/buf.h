/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_BUF_H
#define CASSATA_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/*
 * What several bufs may take together, in bytes. Up to BUF_SMALL_BYTES a buf
 * is counted but never refused: there is always room to say no. A part of
 * another budget may have max of it, and beyond that as much as it leaves to
 * others: one alone gets half of the whole, and two a third each.
 */
struct buf_budget {
	size_t used;
	size_t max;
	struct buf_budget *whole; /* NULL: it is no part */
};

enum { BUF_SMALL_BYTES = 8192 };

/* Whether three quarters of the whole are left. */
bool buf_budget_is_ample(const struct buf_budget *budget);

/*
 * Growable bytes with a maximum given at birth. A failed append (no memory, or
 * beyond the maximum or the budget) sets failed, appends nothing and makes every
 * later append fail too, so that a chain of appends needs one check at its end.
 */
struct buf {
	char *p;
	size_t len;
	size_t cap;
	size_t max;
	bool failed;
	struct buf_budget *budget; /* NULL: none */
};

/* Allocates nothing yet. max is the largest len ever allowed, in bytes. */
void buf_init(struct buf *buf, size_t max);

/* The same; its memory counts in the budget, which must outlive it. */
void buf_init_within(struct buf *buf, size_t max, struct buf_budget *budget);

/* From now on its memory counts there. */
void buf_move(struct buf *buf, struct buf_budget *budget);

/* One in an array of char, which gives it one less and never grows; it may not
 * be freed. */
#define BUF_OF(bytes)                                                          \
	(struct buf)                                                           \
	{                                                                      \
		.p = (bytes), .cap = sizeof(bytes) - 1,                        \
		.max = sizeof(bytes) - 1                                       \
	}

/* Frees the bytes; the buf is as after buf_init. */
void buf_free(struct buf *buf);

/* Forgets the bytes and the failure, keeps the memory. */
void buf_reset(struct buf *buf);

/* Makes room: cap - len >= more. 0, or -1, which leaves failed alone. */
int buf_reserve(struct buf *buf, size_t more);

/* Each returns 0, or -1 with failed set. */
int buf_append(struct buf *buf, const void *bytes, size_t len);
int buf_append_slice(struct buf *buf, struct slice s);
int buf_append_string(struct buf *buf, const char *text);
int buf_append_char(struct buf *buf, char c);
int buf_printf(struct buf *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops the first n bytes (n <= len) and moves the rest to the front. */
void buf_consume(struct buf *buf, size_t n);

/* The content, valid until the next change of the buf. */
struct slice buf_slice(const struct buf *buf);

#endif
