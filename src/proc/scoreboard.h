/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_SCOREBOARD_H
#define CASSATA_PROC_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "event/event.h"
#include "proc/metrics.h"
#include "proc/role.h"
#include "proc/status.h"
#include "store/write_lock.h"

/*
 * Shared memory of a master and its children: one slot per child, kept up to
 * date by that child alone (the master fills it before fork and marks its end),
 * and what services and workers of one host tell each other. Counters of a slot
 * survive its child, so sums over the slots never go back.
 */
enum {
	/* Two generations of the most that the configuration allows, so that
	 * a reload finds free slots while the old children drain. */
	SCOREBOARD_WORKERS_MAX = 64,
	SCOREBOARD_SERVICES_MAX = 32,
	SCOREBOARD_WORKER_SLOTS = 2 * SCOREBOARD_WORKERS_MAX,
	SCOREBOARD_SERVICE_SLOTS = 2 * SCOREBOARD_SERVICES_MAX,
	SCOREBOARD_SLOTS = SCOREBOARD_WORKER_SLOTS + SCOREBOARD_SERVICE_SLOTS,
	SCOREBOARD_DEAD = 64,
};

struct scoreboard_slot {
	_Atomic pid_t pid; /* 0: free; before the fork the master's */
	_Atomic int role;  /* enum role */
	_Atomic int state; /* enum child_state */
	_Atomic uint32_t generation;
	_Atomic int64_t started_ms; /* wall clock */
	_Atomic uint64_t owner;     /* worker: its lease token, or 0 */
	/* Worker: it sleeps until then (database's clock); a service that
	 * commits an earlier event lowers this and wakes it. The worker stores
	 * INT64_MAX before it looks at the datastore and only lowers it after
	 * that: so no event committed in between is slept over. */
	_Atomic int64_t wake_at_ms;
	/* Worker, monotonic: since when it waits for the datastore, failures
	 * included, or 0; and when it last did something about that. */
	_Atomic int64_t asking_ms, tried_ms;
	_Atomic int64_t metric[METRIC_COUNT];
};

struct scoreboard_shared {
	/* Which worker slot of this host holds a shard, or -1. */
	_Atomic int shard_slot[EVENT_SHARDS];
	/* Owners whose process is known to be gone: the master's ring. */
	_Atomic uint64_t dead[SCOREBOARD_DEAD];
	_Atomic uint64_t n_dead; /* ever */
	/* Changes when a worker came, went, or set shards free: then all look
	 * at their leases. */
	_Atomic uint64_t membership;
	/* Events added to shards that no worker here holds. */
	_Atomic uint64_t n_unheld;
	/* The daemon ends: not set while one generation follows another. */
	_Atomic bool stopping;
	_Atomic int64_t clock_offset_ms; /* database's clock minus ours */
	/* Of the last lease turn of any worker, 0 for none: the monotonic time,
	 * and the database's clock minus that. */
	_Atomic int64_t turn_mono_ms;
	_Atomic int64_t turn_offset_ms;
	/* The workers' come first. */
	struct scoreboard_slot slots[SCOREBOARD_SLOTS];
};

struct scoreboard {
	struct scoreboard_shared *shared;
	/* Of a SQLite file; apart, since a successor maps it, too. */
	struct write_lock *write_lock;
	int write_lock_fd;
	/* An eventfd per worker slot, inherited by all children. */
	int wake_fd[SCOREBOARD_WORKER_SLOTS];
};

/* Maps the memory and opens the eventfds, before any fork. 0 or -1. */
int scoreboard_create(struct scoreboard *sb, struct err *err);
void scoreboard_free(struct scoreboard *sb);

/*
 * Takes fd over: the write lock in its memory takes the place of the own one,
 * unless it is of another version.
 */
void scoreboard_share_write_lock(struct scoreboard *sb, int fd);

/* A free slot for the role, claimed by the master for a child to be, or -1. */
int scoreboard_slot_claim(
    struct scoreboard *sb, enum role role, uint32_t generation);

/*
 * The child of the slot is gone: the slot is free, its gauges are zero. A
 * worker's owner token goes into the dead ring, its shards lose their slot, and
 * the other workers are woken to take its leases over.
 */
void scoreboard_slot_release(struct scoreboard *sb, int slot);

/* Makes a worker look at its leases and its wake time. */
void scoreboard_wake(const struct scoreboard *sb, int worker_slot);

/* All workers but one; -1 for no exception. */
void scoreboard_wake_workers(const struct scoreboard *sb, int except_slot);

/*
 * Makes all workers but one look at their leases (-1: all). *seen, the caller's
 * last look at the membership, moves on if it was up to date; NULL for none.
 */
void scoreboard_membership_changed(
    const struct scoreboard *sb, int except_slot, uint64_t *seen);

/* Leases were set free, or events added, where nobody here was told. */
void scoreboard_look_again(const struct scoreboard *sb);

/* An owner of leases whose process is gone, and had no slot here. */
void scoreboard_owner_gone(struct scoreboard *sb, uint64_t owner);

/*
 * A service committed an event: wakes the worker of this host that holds the
 * shard if it would sleep longer than that.
 */
void scoreboard_event_added(
    const struct scoreboard *sb, unsigned shard, int64_t due_ms);

static inline void
metric_add(struct scoreboard_slot *slot, enum metric metric, int64_t n)
{
	/* Single writer: no read-modify-write is needed. */
	atomic_store_explicit(&slot->metric[metric],
	    atomic_load_explicit(&slot->metric[metric], memory_order_relaxed) +
		n,
	    memory_order_relaxed);
}

static inline void
metric_set(struct scoreboard_slot *slot, enum metric metric, int64_t value)
{
	atomic_store_explicit(
	    &slot->metric[metric], value, memory_order_relaxed);
}

#endif
