/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_ADD_REQUEST_H
#define CASSATA_BENCH_ADD_REQUEST_H

#include <stdint.h>

#include "base/buf.h"
#include "bench/ledger.h"

/*
 * The bytes of a POST to /cassata/add/, made once; the number of the event and
 * its time are written over them for each request.
 */
struct add_request {
	struct buf text;
	char host[300];
	size_t head_len;
	size_t number_at, expiry_at; /* of their digits */
};

/*
 * host is for the Host header, tag goes in front of ids, destination is the
 * event's URL, payload_bytes the length of its body. 0, or -1 when memory is
 * short.
 */
int add_request_init(struct add_request *request, const char *host,
    const char *tag, const char *destination, size_t payload_bytes);
void add_request_fini(struct add_request *request);

/* Appends the request for an event; due_ms since 1970. 0 or -1. */
int add_request_append(struct add_request *request, struct buf *out,
    uint64_t number, int64_t due_ms);

/* The same for a batch: the head of one of n, then its events. 0 or -1. */
int add_request_append_batch(
    const struct add_request *request, struct buf *out, size_t n);
int add_request_append_line(struct add_request *request, struct buf *out,
    uint64_t number, int64_t due_ms);

#endif
