/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_RUN_H
#define CASSATA_BENCH_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/add_request.h"
#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/sink.h"
#include "bench/target.h"

/*
 * cassata-bench: load on a running cassata, and a sink for its deliveries, in
 * one process. Files: bench.c has the command line, run.c the course of a run,
 * report.c what it prints; load.c, sink.c, target.c are the client, the
 * destination and the server; ledger.c knows every event.
 */
struct bench_options {
	const char *mode;
	int64_t connections, pipeline;
	int64_t batch; /* events of a request; 0: one, by itself */
	double rate;   /* per second, 0: as fast as they are answered */
	int64_t payload_bytes;
	int64_t duration_ms; /* of adding */
	int64_t count;       /* events at most, 0: no limit */
	int64_t due_in_ms;   /* from the request; of a drain from the start */
	int64_t sink_port, sink_status;
	int64_t sink_delay_ms;
	double slow_share;     /* of the events, 0 to 1, for a second host */
	int64_t slow_delay_ms; /* of that */
	int64_t patience_ms;   /* without an arrival: the rest is lost */
	bool delivers;         /* the sink waits for the events */
	bool at_once;          /* all events are due at one time */
	bool json;
};

struct bench {
	struct bench_options options;
	struct target target;
	struct poller poller;
	struct ledger ledger;
	struct load load;
	struct sink *sink, *slow_sink;
	struct add_request request, slow_request;
	int64_t drain_at_ms; /* since 1970: when at_once */
	double slow_debt;    /* of events, as the share adds up */
	uint64_t n_refused;  /* adds answered with neither 200 nor 201 */
	int refusal;         /* status of the last one */
	/* At the start, when all is added, when the drain begins, at the end.
	 */
	struct target_sample start, added, due, end;
};

extern volatile sig_atomic_t run_stopped; /* by a signal */

/* The modes. 0, or -1 with err when there is nothing to report. */
int run_load(struct bench *bench, struct err *err);
int run_sink(struct bench *bench, struct err *err);
int run_idle(struct bench *bench, struct err *err);

/* Frees all, after any of them. */
void run_fini(struct bench *bench);

#endif
