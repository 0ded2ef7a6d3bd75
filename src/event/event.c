/* SPDX-License-Identifier: ISC */
#include "event/event.h"

#include <stdatomic.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/check.h"

const char *
event_state_name(enum event_state state)
{
	switch (state) {
	case EVENT_PENDING:
		return "PENDING";
	case EVENT_PROCESSING:
		return "PROCESSING";
	case EVENT_COMPLETED:
		return "COMPLETED";
	case EVENT_FAILED:
		return "FAILED";
	case EVENT_SERVICE_UNAVAILABLE:
		return "SERVICE_UNAVAILABLE";
	case EVENT_AWAITING:
		return "AWAITING";
	case EVENT_DELETED:
		return "DELETED";
	}
	check_never("a state");
}

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#define sha256 EVP_sha256
#else
/* Looked up once: libcrypto would do it for each digest, which takes longer
 * than that. NULL when memory is short. */
static const EVP_MD *
sha256(void)
{
	static EVP_MD *_Atomic found;
	EVP_MD *md = atomic_load(&found), *other = NULL;

	if (md != NULL)
		return md;
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (md == NULL || atomic_compare_exchange_strong(&found, &other, md))
		return md;
	EVP_MD_free(md); /* another thread was faster */
	return other;
}
#endif

/* The first bytes of SHA-256 over the parts, one after the other. */
static int
digest(const struct slice *parts, size_t n, uint8_t out[EVENT_KEY_BYTES])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = sha256();
	int ok =
	    ctx != NULL && md != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].p, parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, sum, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -1;
	memcpy(out, sum, EVENT_KEY_BYTES);
	return 0;
}

int
event_key_make(struct slice app, struct slice id, struct event_key *key)
{
	struct slice parts[] = {app, SLICE_LITERAL("\0"), id};

	return digest(parts, sizeof(parts) / sizeof(parts[0]), key->bytes);
}

static char *
put_le64(char *p, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		*p++ = (char)(value >> (8 * i) & 0xff);
	return p;
}

bool
event_is_same(const struct event *a, const struct event *b)
{
	return slice_eq(a->method, b->method) && slice_eq(a->url, b->url) &&
	       slice_eq(a->headers, b->headers) && slice_eq(a->body, b->body) &&
	       slice_eq(a->options, b->options) &&
	       a->body_is_text == b->body_is_text &&
	       a->expiry_ms == b->expiry_ms;
}

int64_t
event_due_ms(const struct event *ev)
{
	return ev->time == EVENT_AT_LOCAL || ev->time == EVENT_OF_SCHEDULE
		   ? ev->look_ms
		   : ev->expiry_ms;
}

bool
event_replaces(const struct event *ev)
{
	return ev->on_conflict == ON_CONFLICT_REPLACE ||
	       ev->on_conflict == ON_CONFLICT_DEBOUNCE;
}

void
event_resolve(struct event *ev, int64_t now_ms)
{
	if (ev->time == EVENT_IN)
		ev->expiry_ms = now_ms + ev->in_ms;
}

int
event_fingerprint(const struct event *ev, uint8_t out[EVENT_KEY_BYTES])
{
	char numbers[7 * 8], *p = numbers;
	int64_t time = ev->time == EVENT_AT   ? ev->expiry_ms
		       : ev->time == EVENT_IN ? ev->in_ms
					      : 0;
	struct slice parts[] = {{numbers, 0}, ev->method, ev->url, ev->headers,
	    ev->body, ev->options};
	size_t n = sizeof(parts) / sizeof(parts[0]);

	if (ev->options.len == 0)
		n--;

	p = put_le64(p, (uint64_t)time);
	p = put_le64(p, (uint64_t)ev->body_is_text | (uint64_t)ev->time << 1);
	for (size_t i = 1; i < n; i++)
		p = put_le64(p, parts[i].len);
	parts[0].len = (size_t)(p - numbers);
	return digest(parts, n, out);
}
