/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MOVE_SUM_H
#define CASSATA_STORE_MOVE_SUM_H

#include <openssl/evp.h>

#include "store/move_rows.h"

/*
 * The SHA-256 of rows: of each column in its order a number as 8 bytes, bytes
 * with their length before them. It is the same for the same rows, whatever
 * keeps them.
 */
enum { MOVE_SUM_TEXT = 64 + 1 };

struct move_sum {
	EVP_MD_CTX *ctx;
	struct buf row;
	int64_t n_rows;
};

/* 0, or -1; then there is nothing to free. */
int move_sum_init(struct move_sum *sum);
void move_sum_fini(struct move_sum *sum);

/* 0 or -1. */
int move_sum_add(struct move_sum *sum, const struct move_chunk *chunk);

/* In hexadecimal; once. 0 or -1. */
int move_sum_end(struct move_sum *sum, char text[MOVE_SUM_TEXT]);

#endif
