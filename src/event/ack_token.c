/* SPDX-License-Identifier: ISC */
#include "event/ack_token.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { PLAIN_BYTES = 8 + 4 };

static void
put_big_endian(uint8_t *to, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(value >> (8 * (n - 1 - i)) & 0xff);
}

static uint64_t
get_big_endian(const uint8_t *from, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | from[i];
	return value;
}

/* The row and the attempt, and what they make with the key. */
static int
make_bytes(struct slice key, int64_t row_id, unsigned attempt,
    uint8_t bytes[PLAIN_BYTES + ACK_MAC_BYTES])
{
	unsigned char mac[EVP_MAX_MD_SIZE];

	put_big_endian(bytes, 8, (uint64_t)row_id);
	put_big_endian(bytes + 8, 4, attempt);
	if (HMAC(EVP_sha256(), key.p, (int)key.len, bytes, PLAIN_BYTES, mac,
		NULL) == NULL)
		return -1;
	memcpy(bytes + PLAIN_BYTES, mac, ACK_MAC_BYTES);
	return 0;
}

int
ack_token_make(struct slice key, int64_t row_id, unsigned attempt,
    char text[ACK_TOKEN_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[PLAIN_BYTES + ACK_MAC_BYTES];

	if (make_bytes(key, row_id, attempt, bytes) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[ACK_TOKEN_LEN] = '\0';
	return 0;
}

static int
digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
ack_token_read(struct slice text, struct ack_token *token)
{
	uint8_t bytes[PLAIN_BYTES + ACK_MAC_BYTES];

	if (text.len != ACK_TOKEN_LEN)
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		int high = digit_of(text.p[2 * i]);
		int low = digit_of(text.p[2 * i + 1]);

		if (high == -1 || low == -1)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	token->row_id = (int64_t)get_big_endian(bytes, 8);
	token->attempt = (unsigned)get_big_endian(bytes + 8, 4);
	memcpy(token->mac, bytes + PLAIN_BYTES, ACK_MAC_BYTES);
	return true;
}

bool
ack_token_is(const struct ack_token *token, struct slice key)
{
	uint8_t bytes[PLAIN_BYTES + ACK_MAC_BYTES];

	return make_bytes(key, token->row_id, token->attempt, bytes) == 0 &&
	       CRYPTO_memcmp(token->mac, bytes + PLAIN_BYTES, ACK_MAC_BYTES) ==
		   0;
}
