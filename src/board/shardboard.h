/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_SHARDBOARD_H
#define CASSATA_BOARD_SHARDBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board/scoreboard.h"

/*
 * What the processes of a host tell each other of shards, over the scoreboard:
 * who holds which, who sleeps how long, what was added, and who is dead.
 */

/* ---- the master ---- */

enum shardboard_end {
	END_EXIT,  /* it left by itself: what it had sent is no suspect */
	END_CRASH, /* of what it noted, if it did */
	END_KILLED /* from outside, or for want of memory: for nothing it noted
		    */
};

/*
 * The child of the slot is gone: the slot is free, its gauges are zero. A
 * worker's owner token goes into the dead ring, its shards lose their slot, and
 * the other workers are woken to take its leases over.
 */
void shardboard_bury(struct scoreboard *sb, int slot, enum shardboard_end end);

/* An owner of leases whose process is gone, and had no slot here: nothing more
 * is known. */
void shardboard_owner_gone(struct scoreboard *sb, uint64_t owner);

/* Whether any worker sees events that are to be delivered alone. */
bool shardboard_sees_quarantine(const struct scoreboard *sb);

/* What somebody rings whom this master's workers do not hear: they are told. */
void shardboard_hear(const struct scoreboard *sb, const struct ring *ring);

/* ---- everybody ---- */

/* Makes all workers but this process look at their leases. */
void shardboard_membership_changed(const struct scoreboard *sb);

/* Another number when others than this process have changed something. */
uint64_t shardboard_membership(const struct scoreboard *sb);

/* A pause came or went: makes all workers but this process look. */
void shardboard_pauses_changed(const struct scoreboard *sb);

/* The time of events was advanced: makes all workers but this process look. */
void shardboard_clock_moved(const struct scoreboard *sb);

/* Another number when others than this process have changed one. */
uint64_t shardboard_pauses_told(const struct scoreboard *sb);

/* The same of what services of this daemon have changed. */
uint64_t shardboard_pauses_made(const struct scoreboard *sb);

/* Whether all workers that hold shards know of these. */
bool shardboard_pauses_read(const struct scoreboard *sb);

/* Events added where no worker of this host was told, ever. */
uint64_t shardboard_n_unheld(const struct scoreboard *sb);

/* Leases were set free, or events added, where nobody was told. */
void shardboard_look_again(const struct scoreboard *sb);

/*
 * An event was committed: wakes whom of this host holds the shard if it would
 * sleep longer than that. Where it is nobody of this master, others may be.
 */
void shardboard_event_added(
    const struct scoreboard *sb, unsigned shard, int64_t due_ms);

/*
 * What each worker of this host says that it holds, without those that hold
 * nothing, or have not renewed in time. Returns how many these are.
 */
size_t shardboard_held(
    const struct scoreboard *sb, uint64_t shards[SCOREBOARD_WORKER_SLOTS]);

/* The first slot of a worker that holds shards, or -1. */
int shardboard_first_holder(const struct scoreboard *sb);

/* An event that a service of this host adds, and is still to tell of, was not
 * made before that (wall clock); INT64_MAX: there is none. */
int64_t shardboard_adding_since_ms(const struct scoreboard *sb);

/* Notes which looks the workers of this host are at; */
void shardboard_note_looks(
    const struct scoreboard *sb, uint64_t looks[SCOREBOARD_WORKER_SLOTS]);

/* whether one that holds the shard has looked since, or was just at it: what
 * somebody else has read of the shard meanwhile may be older. */
bool shardboard_looked_since(const struct scoreboard *sb, unsigned shard,
    const uint64_t looks[SCOREBOARD_WORKER_SLOTS]);

/* Until when the worker of the slot may sleep, or 0 or more, or INT64_MAX. */
int64_t shardboard_wake_at_ms(const struct scoreboard *sb, int worker_slot);

/* Whether a worker here that holds the shard sleeps longer than that. One that
 * waits for the datastore does not sleep: it looks there now, or soon. */
bool shardboard_sleeps_over(
    const struct scoreboard *sb, unsigned shard, int64_t due_ms);

#endif
