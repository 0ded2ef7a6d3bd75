/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_SCOREBOARD_H
#define CASSATA_BOARD_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/check.h"
#include "base/err.h"
#include "board/bell.h"
#include "board/metric.h"
#include "board/role.h"
#include "event/event.h"
#include "sql/write_lock.h"

/*
 * Shared memory of a master and its children, in parts with a single writer
 * each: the master's, and a slot per child. Each part is a memory file of its
 * own, mapped twice before any fork: for writing, which a child loses for all
 * but its own slot (scoreboard_enter), and for reading; its seals let nobody
 * write to it in another way, and no descriptor of it is left.
 *
 * A child may have been taken over, so what stands in a slot is a hint: it is
 * never an index or a pointer, and whoever reads a time or a number checks its
 * range. What must be right stands in the master's part.
 */
enum {
	/* Two generations of the most that the configuration allows, so that
	 * a reload finds free slots while the old children drain; each has a
	 * worker more for the quarantine. */
	SCOREBOARD_WORKERS_MAX = 64,
	SCOREBOARD_SERVICES_MAX = 32,
	SCOREBOARD_WORKER_SLOTS = 2 * (SCOREBOARD_WORKERS_MAX + 1),
	/* And one for metrics. */
	SCOREBOARD_SERVICE_SLOTS = 2 * (SCOREBOARD_SERVICES_MAX + 1),
	SCOREBOARD_SLOTS = SCOREBOARD_WORKER_SLOTS + SCOREBOARD_SERVICE_SLOTS,
	SCOREBOARD_DEAD = 64,
	SCOREBOARD_TROUBLE_BYTES = 256,
	/* Pages of any size that is in use; memory that nobody touched costs
	 * nothing. */
	SCOREBOARD_PART_BYTES = 64 * 1024,
	SCOREBOARD_MASTER_BYTES = 5 * SCOREBOARD_PART_BYTES,
	/* Rows on the wire that a worker lists; for more it says so. */
	SCOREBOARD_WIRE = 512,
	SCOREBOARD_FULL = 16,
};

/* See board/full.h. */
struct scoreboard_full {
	_Atomic uint64_t name; /* a hash; 0: none */
	_Atomic unsigned slots, waiting;
};

/* An owner whose process is known to be gone, and what its slot told: hints. */
struct scoreboard_death {
	_Atomic uint64_t owner;
	_Atomic int64_t culprit; /* the row that it died of, or 0 */
	_Atomic int n_wire;      /* rows that were on the wire; -1: not known */
	_Atomic int64_t wire[SCOREBOARD_WIRE];
};

/* What one process tells the workers. */
struct scoreboard_news {
	/* Changes when a worker came, went, or set shards free: then all look
	 * at their leases. */
	_Atomic uint64_t changes;
	/* Events added to shards that no worker here holds. */
	_Atomic uint64_t n_unheld;
	/* Changes when a pause came or went. */
	_Atomic uint64_t pauses;
	/* To each worker slot: the earliest event that was added since the
	 * worker's look of that number. */
	struct {
		_Atomic uint64_t look;
		_Atomic int64_t due_ms;
	} added[SCOREBOARD_WORKER_SLOTS];
};

/* What the master knows of a slot. */
struct scoreboard_place {
	_Atomic pid_t pid;          /* 0: free; before the fork the master's */
	_Atomic int64_t started_ms; /* wall clock */
	_Atomic uint64_t owner;     /* worker: its lease token, or 0 */
};

struct scoreboard_master {
	struct scoreboard_place places[SCOREBOARD_SLOTS];
	/* Slots that ever had a child: the first ones of each kind. */
	_Atomic int n_worker_slots, n_service_slots;
	/* Such a child was begun here, ever; others have slots of services. */
	_Atomic bool has_services, has_workers;
	struct scoreboard_death dead[SCOREBOARD_DEAD]; /* a ring */
	_Atomic uint64_t n_dead;                       /* ever */
	/* The daemon ends: not set while one generation follows another. */
	_Atomic bool stopping;
	/* No child may begin to change the datastore; see n_writing. */
	_Atomic bool frozen;
	struct scoreboard_news news;
};

/* What a child tells; survives it until the next one has the slot. */
struct scoreboard_slot {
	struct scoreboard_news news;
	/* Sums over the slots never go back: counters go on with the next
	 * child of the slot. */
	_Atomic int64_t metric[METRIC_COUNT];
	/* Why the datastore cannot be reached; empty when it can.
	 * NUL-terminated; whoever reads it meanwhile may see some of both. */
	_Atomic char trouble[SCOREBOARD_TROUBLE_BYTES];
	_Atomic int64_t trouble_since_ms; /* wall clock; 0: none */
	/* The last one that is over; 0: none. */
	_Atomic int64_t trouble_from_ms, trouble_until_ms;
	/* Of several servers of the datastore's URL, from 1, the one that it is
	 * connected to; else 0. Any number, for whoever reads it. */
	_Atomic unsigned server;

	/* Of a service: calls under way that change the datastore. It counts
	 * one here before it looks whether the daemon is frozen. */
	_Atomic int n_writing;
	/* Of a service: since when (wall clock, as in row ids) it adds events of
	 * which it is still to tell; or 0. */
	_Atomic int64_t adding_ms;

	/* The rest is a worker's. The shards that it holds, a bit each, and
	 * until when (monotonic) others can have none of them: one that was
	 * stopped says so for longer than it does. */
	_Atomic uint64_t shards;
	_Atomic int64_t held_until_ms;
	/* It sleeps until then (database's clock), or until an earlier event
	 * that somebody's news tell. Before it looks at the datastore it takes
	 * the next number and stores INT64_MAX: so an event committed from
	 * then on is told to this look, and no event committed in between is
	 * slept over. */
	_Atomic uint64_t look;
	_Atomic int64_t wake_at_ms;
	/* Monotonic: since when it waits for the datastore, failures included,
	 * or 0; and when it last did something about that. */
	_Atomic int64_t asking_ms, tried_ms;
	/* Of the deaths that the master's part tells, the first ones: the
	 * datastore knows them. */
	_Atomic uint64_t n_dead_told;
	/* The row whose answer is being parsed, or 0; and those on the wire, in
	 * any order, 0 for none, and how many more. */
	_Atomic int64_t note;
	_Atomic int64_t wire[SCOREBOARD_WIRE];
	_Atomic int n_unlisted;
	/* Its last lease transaction saw events that are to be delivered alone.
	 */
	_Atomic bool sees_quarantine;
	/* Pauses that it knows of; and when it last read them, how often
	 * services of this daemon had changed one. */
	_Atomic int n_pauses;
	_Atomic uint64_t pauses_read;
	/* Who has no more slots. */
	struct scoreboard_full full[SCOREBOARD_FULL];
};

struct scoreboard_shared {
	union {
		struct scoreboard_master master;
		char master_part[SCOREBOARD_MASTER_BYTES];
	};
	/* The workers' come first. */
	union {
		struct scoreboard_slot slot;
		char part[SCOREBOARD_PART_BYTES];
	} children[SCOREBOARD_SLOTS];
};

struct scoreboard {
	void *memory; /* of both mappings */
	/* Everything, for reading. */
	const struct scoreboard_shared *shared;
	/* What this process may write to; the rest of it is not mapped. */
	struct scoreboard_shared *writable;
	int self; /* our slot, -1: the master's part */
	/* Of a SQLite file; apart, since a successor maps it, too. */
	struct write_lock write_lock;
	/* A pipe per worker slot: its worker has the reading end, all others
	 * the writing one. */
	int wake_fds[SCOREBOARD_WORKER_SLOTS][2];
	/* For the workers of other masters; the master itself only listens. */
	struct bell bell;
};

/* Maps the memory and opens the pipes, before any fork. 0 or -1. */
int scoreboard_create(struct scoreboard *sb, struct err *err);
void scoreboard_free(struct scoreboard *sb);

/*
 * In a child: of all that it has inherited it can write to its slot alone, for
 * good. Returns the slot.
 */
struct scoreboard_slot *scoreboard_enter(struct scoreboard *sb, int slot);

static inline const struct scoreboard_slot *
scoreboard_slot(const struct scoreboard *sb, int slot)
{
	check(slot >= 0 && slot < SCOREBOARD_SLOTS);
	return &sb->shared->children[slot].slot;
}

static inline const struct scoreboard_place *
scoreboard_place(const struct scoreboard *sb, int slot)
{
	check(slot >= 0 && slot < SCOREBOARD_SLOTS);
	return &sb->shared->master.places[slot];
}

/* The first slot from slot on that ever had a child, or SCOREBOARD_SLOTS. */
int scoreboard_next_used(const struct scoreboard *sb, int slot);

/*
 * Takes fd over: the write lock in its memory takes the place of the own one,
 * unless it is of another version.
 */
void scoreboard_share_write_lock(struct scoreboard *sb, int fd);

/* ---- the master ---- */

/*
 * A free slot for the role, claimed for a child to be, a worker with an owner
 * token; or -1.
 */
int scoreboard_slot_claim(
    struct scoreboard *sb, enum role role, struct err *err);

/* The child is there. */
void scoreboard_slot_fill(struct scoreboard *sb, int slot, pid_t pid);

/*
 * The slot is free: it holds no shards, its gauges are zero. What its child had
 * on the wire is shardboard_bury's.
 */
void scoreboard_slot_release(struct scoreboard *sb, int slot);

/* ---- everybody ---- */

/* Tells why the datastore cannot be reached; "" when it can. */
void scoreboard_tell_trouble(struct scoreboard_slot *slot, const char *text);

/*
 * What the child of a slot told: printable ASCII, whatever the child wrote;
 * other characters are a '?'. Since when, wall clock, not in the future.
 */
int64_t scoreboard_trouble(
    const struct scoreboard *sb, int slot, char text[SCOREBOARD_TROUBLE_BYTES]);

/*
 * The last trouble of the child of a slot that is over, wall clock; false: there
 * was none.
 */
bool scoreboard_past_trouble(
    const struct scoreboard *sb, int slot, int64_t *from_ms, int64_t *until_ms);

static inline void
metric_add(struct scoreboard_slot *slot, enum metric metric, int64_t n)
{
	/* Single writer: no read-modify-write is needed. It may have been one
	 * before us who left any number there. */
	int64_t value =
	    atomic_load_explicit(&slot->metric[metric], memory_order_relaxed);

	atomic_store_explicit(&slot->metric[metric],
	    (int64_t)((uint64_t)value + (uint64_t)n), memory_order_relaxed);
}

static inline void
metric_set(struct scoreboard_slot *slot, enum metric metric, int64_t value)
{
	atomic_store_explicit(
	    &slot->metric[metric], value, memory_order_relaxed);
}

#endif
