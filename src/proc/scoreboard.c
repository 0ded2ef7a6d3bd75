/* SPDX-License-Identifier: ISC */
#include "proc/scoreboard.h"

#include <assert.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

int
scoreboard_create(struct scoreboard *sb, struct err *err)
{
	struct scoreboard_shared *shared = mmap(NULL, sizeof(*shared),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return err_errno(err, "cannot map the scoreboard");
	sb->shared = shared;
	sb->write_lock_fd = -1;
	sb->write_lock = write_lock_map(&sb->write_lock_fd);
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++)
		sb->wake_fd[i] = -1;
	if (sb->write_lock == NULL) {
		(void)err_errno(err, "cannot make the write lock");
		goto fail;
	}
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++) {
		sb->wake_fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (sb->wake_fd[i] == -1) {
			(void)err_errno(err, "cannot open an eventfd");
			goto fail;
		}
	}
	for (int i = 0; i < EVENT_SHARDS; i++)
		atomic_store(&shared->shard_slot[i], -1);
	for (int i = 0; i < SCOREBOARD_SLOTS; i++)
		atomic_store(&shared->slots[i].wake_at_ms, INT64_MAX);
	return 0;
fail:
	scoreboard_free(sb);
	return -1;
}

void
scoreboard_free(struct scoreboard *sb)
{
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++)
		fd_close(&sb->wake_fd[i]);
	if (sb->write_lock != NULL)
		write_lock_unmap(sb->write_lock);
	sb->write_lock = NULL;
	fd_close(&sb->write_lock_fd);
	(void)munmap(sb->shared, sizeof(*sb->shared));
	sb->shared = NULL;
}

void
scoreboard_share_write_lock(struct scoreboard *sb, int fd)
{
	struct write_lock *lock = write_lock_map(&fd);

	if (lock == NULL) {
		fd_close(&fd);
		return;
	}
	write_lock_unmap(sb->write_lock);
	fd_close(&sb->write_lock_fd);
	sb->write_lock = lock;
	sb->write_lock_fd = fd;
}

int
scoreboard_slot_claim(
    struct scoreboard *sb, enum role role, uint32_t generation)
{
	int first = role == ROLE_WORKER ? 0 : SCOREBOARD_WORKER_SLOTS;
	int end =
	    role == ROLE_WORKER ? SCOREBOARD_WORKER_SLOTS : SCOREBOARD_SLOTS;

	for (int i = first; i < end; i++) {
		struct scoreboard_slot *slot = &sb->shared->slots[i];

		if (atomic_load(&slot->pid) != 0)
			continue;
		atomic_store(&slot->role, (int)role);
		atomic_store(&slot->state, (int)CHILD_STARTING);
		atomic_store(&slot->generation, generation);
		atomic_store(&slot->started_ms, clock_wall_ms());
		atomic_store(&slot->pid, getpid());
		return i;
	}
	return -1;
}

/* For the workers that stay: whose leases are free now. */
static void
announce_dead(struct scoreboard_shared *shared, uint64_t owner)
{
	uint64_t n = atomic_load(&shared->n_dead);

	atomic_store(&shared->dead[n % SCOREBOARD_DEAD], owner);
	/* Last: who sees the number sees the entry. */
	atomic_store_explicit(&shared->n_dead, n + 1, memory_order_release);
}

void
scoreboard_slot_release(struct scoreboard *sb, int slot)
{
	struct scoreboard_slot *s = &sb->shared->slots[slot];
	uint64_t owner = atomic_exchange(&s->owner, 0);

	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		if (metric_is_gauge((enum metric)i))
			metric_set(s, (enum metric)i, 0);
	}
	atomic_store(&s->wake_at_ms, INT64_MAX);
	atomic_store(&s->asking_ms, 0);
	for (int i = 0; i < EVENT_SHARDS; i++) {
		int holder = slot;

		/* Another worker may have taken the shard already. */
		(void)atomic_compare_exchange_strong(
		    &sb->shared->shard_slot[i], &holder, -1);
	}
	atomic_store(&s->pid, 0);
	if (owner != 0)
		scoreboard_owner_gone(sb, owner);
}

void
scoreboard_owner_gone(struct scoreboard *sb, uint64_t owner)
{
	announce_dead(sb->shared, owner);
	scoreboard_membership_changed(sb, -1, NULL);
}

void
scoreboard_wake(const struct scoreboard *sb, int worker_slot)
{
	assert(worker_slot >= 0 && worker_slot < SCOREBOARD_WORKER_SLOTS);
	/* Fails only when the counter is full: then it is readable anyway. */
	(void)eventfd_write(sb->wake_fd[worker_slot], 1);
}

void
scoreboard_wake_workers(const struct scoreboard *sb, int except_slot)
{
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++) {
		if (i != except_slot &&
		    atomic_load(&sb->shared->slots[i].pid) != 0)
			scoreboard_wake(sb, i);
	}
}

void
scoreboard_membership_changed(
    const struct scoreboard *sb, int except_slot, uint64_t *seen)
{
	uint64_t old = atomic_fetch_add(&sb->shared->membership, 1);

	if (seen != NULL && *seen == old)
		*seen = old + 1;
	scoreboard_wake_workers(sb, except_slot);
}

void
scoreboard_look_again(const struct scoreboard *sb)
{
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++)
		atomic_store(&sb->shared->slots[i].wake_at_ms, 0);
	scoreboard_membership_changed(sb, -1, NULL);
}

void
scoreboard_event_added(
    const struct scoreboard *sb, unsigned shard, int64_t due_ms)
{
	int slot;
	_Atomic int64_t *wake_at_ms;
	int64_t present_ms;

	assert(shard < EVENT_SHARDS);
	slot = atomic_load(&sb->shared->shard_slot[shard]);
	if (slot < 0) {
		(void)atomic_fetch_add(&sb->shared->n_unheld, 1);
		return;
	}
	wake_at_ms = &sb->shared->slots[slot].wake_at_ms;
	present_ms = atomic_load(wake_at_ms);
	/* Only who lowers it wakes: a burst of adds costs one wake-up. */
	while (due_ms < present_ms) {
		if (atomic_compare_exchange_weak_explicit(wake_at_ms,
			&present_ms, due_ms, memory_order_acq_rel,
			memory_order_acquire)) {
			scoreboard_wake(sb, slot);
			return;
		}
	}
}
