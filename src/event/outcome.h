/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_OUTCOME_H
#define CASSATA_EVENT_OUTCOME_H

#include <stdbool.h>

enum outcome {
	OUTCOME_DELIVERED, /* 2xx: done */
	OUTCOME_RETRY,     /* may succeed later */
	OUTCOME_REJECTED,  /* will not succeed: 3xx, other 4xx, bad URL */
};

/*
 * transport_ok: a whole response arrived. permanent: the request could never be
 * sent (malformed URL, unsupported protocol). code: HTTP status or 0. Pure.
 * 408, 425, 429 and 5xx are worth another try (RFC 9110 15.5.9, RFC 8470 5.2,
 * RFC 6585 4).
 */
enum outcome outcome_classify(bool transport_ok, bool permanent, int code);

#endif
