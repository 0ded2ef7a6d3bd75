/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_LOAD_H
#define CASSATA_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "bench/histogram.h"
#include "bench/poller.h"

struct load_config {
	const char *host, *port; /* of the server */
	unsigned connections;
	unsigned pipeline; /* requests unanswered on a connection */
	/* Requests per second; 0: each answer is followed by a request. With a
	 * rate, latency counts from the time when a request should have been
	 * sent, so that a server which stalls cannot hide it. */
	double rate;
	uint64_t count;      /* requests at most, 0: no limit */
	int64_t duration_ms; /* of sending */
	/* Appends the next request. 0, or -1 to end the run. */
	int (*build)(void *arg, struct buf *out);
	/* The answer to the request built as number (from 0 on). */
	void (*answered)(
	    void *arg, uint64_t number, int status, struct slice body);
	void *arg;
};

/*
 * HTTP/1.1 requests over keep-alive connections, as fast as they are answered
 * or at a rate. A connection that breaks is made again; what was under way on
 * it counts as failed.
 */
struct load {
	const struct poller *poller;
	struct load_config config;
	struct load_conn *conns;
	unsigned n_idle, next; /* connections with room; where to look */
	uint64_t n_sent, n_answered, n_failed;
	uint64_t n_under_way;
	int64_t start_us, end_us; /* monotonic; the end of sending */
	int64_t last_us;          /* the last answer */
	bool ended;               /* nothing more is sent */
	struct histogram latency;
	struct err
	    err; /* text when a server cannot be reached, or build ended */
};

/* Connects all connections, then starts the clock. 0 or -1. */
int load_start(struct load *load, const struct poller *poller,
    const struct load_config *config, struct err *err);
void load_fini(struct load *load);

/* Sends what is due; milliseconds until the next, or -1: only an answer helps.
 */
int load_tick(struct load *load);

/* All is sent and answered, or failed. */
bool load_done(const struct load *load);

#endif
