/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_INTAKE_H
#define CASSATA_SERVICE_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "proc/child.h"
#include "service/sweep.h"
#include "store/store.h"
#include "store/store_thread.h"

struct call;
struct intake_turn;

/* An event to add. One call may have many of them. */
struct intake_item {
	struct store_add add; /* the outcome, too, when status is STORE_OK */
	struct call *call;    /* whose it is */
	/* Of a call with many, which waits for none of them alone; or NULL. */
	struct intake_turn *turn;
	/* After its transaction; err tells why the status is not STORE_OK. */
	void (*done)(struct intake_item *item, enum store_status status,
	    const struct err *err);
	/* Private. */
	STAILQ_ENTRY(intake_item) entry;
	struct sweep_node node;
};

STAILQ_HEAD(intake_items, intake_item);

/* The events of a call that has many; zeroed at first. */
struct intake_turn {
	struct sweep sweep;
	STAILQ_ENTRY(intake_turn) entry; /* while it has some */
};

/* Adds per commit, beside single ones: these wait for each that is before. */
enum { INTAKE_BESIDE_MAX = 512 };

/*
 * Gathers the adds that arrive while a commit runs; they make the next commit.
 * Single ones have half of it, calls with many the other half, one event of
 * each after the other; or all, when nobody else waits.
 * No timer: when nothing runs, an add is committed before the loop sleeps.
 * Large commits write fewer pages of indices per event, and take longer.
 */
struct intake {
	struct child *child;        /* borrowed */
	struct store_thread *store; /* borrowed */
	struct store_job job;
	struct intake_items waiting; /* single ones */
	STAILQ_HEAD(, intake_turn) turns;
	struct intake_items running; /* of the transaction under way */
	size_t n_running;
	bool busy;
	size_t max;        /* adds per transaction */
	bool odd;          /* what two halves leave was a single one's last */
	int64_t single_ms; /* monotonic: the last commit with a single one */
	struct store_add **adds;
	int64_t soon_ms; /* whoever looks by itself looks before that */
	enum store_status status;
	struct err err;
};

/* 0, or -1 when memory is short. */
int intake_init(struct intake *intake, struct child *child,
    struct store_thread *store, size_t max);
void intake_fini(struct intake *intake);

/*
 * Takes an item whose add, call, turn and done are filled in; it must stay
 * until done was called.
 */
void intake_add(struct intake *intake, struct intake_item *item);

/* Before the loop sleeps: starts a transaction unless one is under way. What
 * waits when that ends is written while its answers are. */
void intake_commit(struct intake *intake);

/*
 * For who adds without it: chooses the shard of each. An event that is due from
 * soon_ms on needs no announcement. 0, or -1 when there are no lots.
 */
int intake_place(const struct child *child, struct store_add **adds, size_t n,
    int64_t *soon_ms, struct err *err);

/* Counts an add, and wakes its worker when that would wake later. */
void intake_announce(
    const struct child *child, const struct store_add *add, int64_t soon_ms);

#endif
