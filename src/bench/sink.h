/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_SINK_H
#define CASSATA_BENCH_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "bench/poller.h"

/*
 * A destination that answers every request with one status after a fixed time.
 */
struct sink_config {
	unsigned port; /* on 127.0.0.1; 0: the kernel's choice */
	unsigned status;
	int64_t delay_ms;
	/* For each request when it has arrived whole: its Cassata-Event-Id,
	 * empty without one. */
	void (*arrived)(void *arg, struct slice event_id, int64_t wall_us);
	void *arg;
};

struct sink;

/* NULL with err. The poller is borrowed and calls the sink. */
struct sink *sink_create(const struct poller *poller,
    const struct sink_config *config, struct err *err);
void sink_free(struct sink **sink);

/* Of 127.0.0.1, where it listens. */
unsigned sink_port(const struct sink *sink);

/* Sends the answers whose time has come; milliseconds until the next, or -1. */
int sink_tick(struct sink *sink);

/* Requests arrived; and the most that were unanswered at one time. */
uint64_t sink_requests(const struct sink *sink);
size_t sink_in_flight_max(const struct sink *sink);

#endif
