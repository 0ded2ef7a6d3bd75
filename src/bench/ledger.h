/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_LEDGER_H
#define CASSATA_BENCH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "bench/histogram.h"

/*
 * What became of the events of a run: sent, acknowledged, arrived. An event is
 * lost when it was acknowledged and did not arrive; one that was not
 * acknowledged may arrive or not.
 */
struct ledger_entry {
	int64_t due_ms;
	bool acknowledged;
	bool slow;        /* for the slow destination: not in the histogram */
	uint8_t arrivals; /* stops at 255 */
};

struct ledger {
	char tag[24]; /* in front of all ids of this run */
	struct ledger_entry *entries;
	size_t n, cap;
	size_t n_acknowledged;
	size_t n_missing;          /* acknowledged and not arrived */
	size_t n_arrived;          /* events, each once */
	size_t n_duplicates;       /* arrivals after the first */
	size_t n_early;            /* arrivals before their time */
	size_t n_unknown;          /* not of this run */
	int64_t first_us, last_us; /* of the arrivals, since 1970 */
	struct histogram lateness;
};

/* An id is the tag and the number of the event in so many digits. */
enum { LEDGER_DIGITS = 10 };

/* 0, or -1 when memory is short. */
int ledger_init(struct ledger *ledger);
void ledger_fini(struct ledger *ledger);

/* Enters the next event; its number is ledger->n - 1. 0, or -1. */
int ledger_sent(struct ledger *ledger, int64_t due_ms, bool slow);
void ledger_acknowledged(struct ledger *ledger, uint64_t number);
void ledger_arrived(struct ledger *ledger, struct slice id, int64_t at_us);

#endif
