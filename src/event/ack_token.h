/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_ACK_TOKEN_H
#define CASSATA_EVENT_ACK_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * What a receiver is given to end an attempt with that it has taken, and nobody
 * else can make: the row, the attempt, and their HMAC-SHA256 under a key of the
 * event's own, cut to 128 bits. Pure.
 */
enum {
	ACK_MAC_BYTES = 16,
	ACK_TOKEN_LEN = 2 * (8 + 4 + ACK_MAC_BYTES), /* hexadecimal digits */
};

struct ack_token {
	int64_t row_id;
	unsigned attempt;
	uint8_t mac[ACK_MAC_BYTES]; /* as it came: see ack_token_is */
};

/* With its NUL. 0, or -1 when memory is short. */
int ack_token_make(struct slice key, int64_t row_id, unsigned attempt,
    char text[ACK_TOKEN_LEN + 1]);

/* Whether it may be one at all. */
bool ack_token_read(struct slice text, struct ack_token *token);

/* Whether it was made with that key; takes as long for every wrong one. */
bool ack_token_is(const struct ack_token *token, struct slice key);

#endif
