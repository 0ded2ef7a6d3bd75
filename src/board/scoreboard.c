/* SPDX-License-Identifier: ISC */
#include "board/scoreboard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"

enum {
	PART = SCOREBOARD_PART_BYTES,
};

/* The year 10000: sums stay far from the end of the type. */
#define OFFSET_MAX_MS INT64_C(253402300800000)

static_assert(sizeof(struct scoreboard_shared) ==
		  SCOREBOARD_MASTER_BYTES + (size_t)SCOREBOARD_SLOTS * PART,
    "each part has its pages");

/* ---- memory ---- */

/* A memory file that nobody can map for writing after the one mapping at
 * writable; the other is at readable, both in the room of the reserved. */
static int
map_part(char *writable, char *readable, size_t bytes)
{
	const int seals =
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	int fd =
	    memfd_create("cassata-scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int status = -1;

	if (fd == -1)
		return -1;
	if (ftruncate(fd, (off_t)bytes) == 0 &&
	    mmap(writable, bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
	    fcntl(fd, F_ADD_SEALS, seals) == 0 &&
	    mmap(readable, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) !=
		MAP_FAILED)
		status = 0;
	fd_close(&fd);
	return status;
}

static size_t
slot_offset(int slot)
{
	return SCOREBOARD_MASTER_BYTES + (size_t)slot * PART;
}

static int
map_all(struct scoreboard *sb)
{
	/* Room for both mappings. */
	char *writable = mmap(NULL, 2 * sizeof(*sb->writable), PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *readable = writable + sizeof(*sb->writable);

	if (writable == MAP_FAILED)
		return -1;
	sb->memory = writable;
	sb->writable = (void *)writable;
	sb->shared = (void *)readable;
	if (map_part(writable, readable, SCOREBOARD_MASTER_BYTES) == -1)
		return -1;
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (map_part(writable + slot_offset(i),
			readable + slot_offset(i), PART) == -1)
			return -1;
	}
	return 0;
}

static void
unmap_all(struct scoreboard *sb)
{
	if (sb->memory != NULL)
		(void)munmap(sb->memory, 2 * sizeof(*sb->writable));
	sb->memory = NULL;
	sb->writable = NULL;
	sb->shared = NULL;
}

int
scoreboard_create(struct scoreboard *sb, struct err *err)
{
	*sb = (struct scoreboard){.self = -1, .write_lock.fd = -1};
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++)
		sb->wake_fds[i][0] = sb->wake_fds[i][1] = -1;
	if (PART % sysconf(_SC_PAGESIZE) != 0)
		return err_set(err, "pages of this size are not supported");
	if (map_all(sb) == -1) {
		(void)err_errno(err, "cannot map the scoreboard");
		goto fail;
	}
	if (write_lock_open(&sb->write_lock, -1) == -1) {
		(void)err_errno(err, "cannot make the write lock");
		goto fail;
	}
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++) {
		if (fd_pipe(sb->wake_fds[i]) == -1) {
			(void)err_errno(err, "cannot open a pipe");
			goto fail;
		}
	}
	return 0;
fail:
	scoreboard_free(sb);
	return -1;
}

void
scoreboard_free(struct scoreboard *sb)
{
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++) {
		fd_close(&sb->wake_fds[i][0]);
		fd_close(&sb->wake_fds[i][1]);
	}
	write_lock_close(&sb->write_lock);
	unmap_all(sb);
}

struct scoreboard_slot *
scoreboard_enter(struct scoreboard *sb, int slot)
{
	char *all = (char *)sb->writable;
	char *own = all + slot_offset(slot);

	/* Whole mappings: this cannot fail. */
	(void)munmap(all, (size_t)(own - all));
	(void)munmap(own + PART, (size_t)(SCOREBOARD_SLOTS - 1 - slot) * PART);
	sb->self = slot;
	return &sb->writable->children[slot].slot;
}

void
scoreboard_share_write_lock(struct scoreboard *sb, int fd)
{
	struct write_lock lock;

	if (write_lock_open(&lock, fd) == -1)
		return;
	write_lock_close(&sb->write_lock);
	sb->write_lock = lock;
}

/* ---- slots ---- */

int
scoreboard_next_used(const struct scoreboard *sb, int slot)
{
	const struct scoreboard_master *master = &sb->shared->master;

	if (slot < atomic_load(&master->n_worker_slots))
		return slot;
	if (slot < SCOREBOARD_WORKER_SLOTS)
		slot = SCOREBOARD_WORKER_SLOTS;
	return slot - SCOREBOARD_WORKER_SLOTS <
		       atomic_load(&master->n_service_slots)
		   ? slot
		   : SCOREBOARD_SLOTS;
}

static int
free_slot(const struct scoreboard *sb, enum role role)
{
	int first = role == ROLE_WORKER ? 0 : SCOREBOARD_WORKER_SLOTS;
	int end =
	    role == ROLE_WORKER ? SCOREBOARD_WORKER_SLOTS : SCOREBOARD_SLOTS;

	for (int i = first; i < end; i++) {
		if (atomic_load(&scoreboard_place(sb, i)->pid) == 0)
			return i;
	}
	return -1;
}

static void
count_used(struct scoreboard_master *master, int slot)
{
	_Atomic int *n = &master->n_worker_slots;

	if (slot >= SCOREBOARD_WORKER_SLOTS) {
		n = &master->n_service_slots;
		slot -= SCOREBOARD_WORKER_SLOTS;
	}
	if (slot >= atomic_load(n))
		atomic_store(n, slot + 1);
}

int
scoreboard_slot_claim(struct scoreboard *sb, enum role role, struct err *err)
{
	struct scoreboard_master *master = &sb->writable->master;
	int slot = free_slot(sb, role);
	struct scoreboard_slot *child;
	struct scoreboard_place *place;
	uint64_t owner = 0;

	if (slot == -1)
		return err_set(err, "too many old children still drain");
	while (role == ROLE_WORKER && owner == 0) {
		if (getrandom(&owner, sizeof(owner), 0) == -1)
			return err_errno(err, "getrandom");
	}
	place = &master->places[slot];
	child = &sb->writable->children[slot].slot;
	atomic_store(&place->owner, owner);
	atomic_store(&place->started_ms, clock_wall_ms());
	atomic_store(&place->pid, getpid());
	/* What was told to the one before is no news. */
	(void)atomic_fetch_add(&child->look, 1);
	atomic_store(&child->wake_at_ms, INT64_MAX);
	count_used(master, slot);
	if (role == ROLE_SERVICE)
		atomic_store(&master->has_services, true);
	if (role == ROLE_WORKER)
		atomic_store(&master->has_workers, true);
	return slot;
}

void
scoreboard_slot_fill(struct scoreboard *sb, int slot, pid_t pid)
{
	atomic_store(&sb->writable->master.places[slot].pid, pid);
}

/* For the workers that stay: whose leases are free now. */
static void
announce_dead(struct scoreboard *sb, const struct scoreboard_slot *slot,
    uint64_t owner, enum scoreboard_end end)
{
	struct scoreboard_master *master = &sb->writable->master;
	uint64_t n_dead = atomic_load(&master->n_dead);
	struct scoreboard_death *death =
	    &master->dead[n_dead % SCOREBOARD_DEAD];
	int n = 0;

	/* Who reads the entry meanwhile sees that it is another one's. */
	atomic_store(&death->owner, 0);
	atomic_store(&death->culprit,
	    slot == NULL || end == END_KILLED ? 0 : atomic_load(&slot->note));
	for (int i = 0; slot != NULL && end != END_EXIT && i < SCOREBOARD_WIRE;
	     i++) {
		int64_t row_id = atomic_load(&slot->wire[i]);

		if (row_id != 0)
			atomic_store(&death->wire[n++], row_id);
	}
	if (slot == NULL ||
	    (end != END_EXIT && atomic_load(&slot->n_unlisted) != 0))
		n = -1;
	atomic_store(&death->n_wire, n);
	atomic_store(&death->owner, owner);
	/* Last: who sees the number sees the entry. */
	atomic_store_explicit(
	    &master->n_dead, n_dead + 1, memory_order_release);
	scoreboard_membership_changed(sb);
}

void
scoreboard_slot_release(
    struct scoreboard *sb, int slot, enum scoreboard_end end)
{
	struct scoreboard_place *place = &sb->writable->master.places[slot];
	struct scoreboard_slot *s = &sb->writable->children[slot].slot;
	uint64_t owner = atomic_exchange(&place->owner, 0);

	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		if (metric_is_gauge((enum metric)i))
			metric_set(s, (enum metric)i, 0);
	}
	scoreboard_tell_trouble(s, "");
	atomic_store(&s->asking_ms, 0);
	atomic_store(&s->shards, 0);
	atomic_store(&place->pid, 0);
	if (owner != 0)
		announce_dead(sb, s, owner, end);
	atomic_store(&s->sees_quarantine, false);
	atomic_store(&s->note, 0);
	atomic_store(&s->n_unlisted, 0);
	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		atomic_store(&s->wire[i], 0);
}

void
scoreboard_owner_gone(struct scoreboard *sb, uint64_t owner)
{
	announce_dead(sb, NULL, owner, END_KILLED);
}

/* ---- trouble ---- */

void
scoreboard_tell_trouble(struct scoreboard_slot *slot, const char *text)
{
	size_t len = strnlen(text, SCOREBOARD_TROUBLE_BYTES - 1);

	for (size_t i = 0; i < len; i++)
		atomic_store_explicit(
		    &slot->trouble[i], text[i], memory_order_relaxed);
	atomic_store_explicit(&slot->trouble[len], 0, memory_order_relaxed);
}

void
scoreboard_trouble(
    const struct scoreboard *sb, int slot, char text[SCOREBOARD_TROUBLE_BYTES])
{
	const struct scoreboard_slot *s = scoreboard_slot(sb, slot);
	size_t i;

	for (i = 0; i < SCOREBOARD_TROUBLE_BYTES - 1; i++) {
		char c =
		    atomic_load_explicit(&s->trouble[i], memory_order_relaxed);

		if (c == '\0')
			break;
		text[i] = (char)(c >= ' ' && c <= '~' ? c : '?');
	}
	text[i] = '\0';
}

/* ---- news ---- */

/* Makes a worker look at its leases and its wake time. */
static void
wake(const struct scoreboard *sb, int worker_slot)
{
	/* Fails only when the pipe is full: then it is readable anyway. */
	(void)!write(sb->wake_fds[worker_slot][1], "", 1);
}

static struct scoreboard_news *
own_news(const struct scoreboard *sb)
{
	return sb->self == -1 ? &sb->writable->master.news
			      : &sb->writable->children[sb->self].slot.news;
}

/* Single writer: no read-modify-write is needed. */
static void
count(_Atomic uint64_t *n)
{
	atomic_store(n, atomic_load(n) + 1);
}

static bool
is_taken(const struct scoreboard *sb, int slot)
{
	return atomic_load(&scoreboard_place(sb, slot)->pid) != 0;
}

static int
n_workers(const struct scoreboard *sb)
{
	return atomic_load(&sb->shared->master.n_worker_slots);
}

bool
scoreboard_sees_quarantine(const struct scoreboard *sb)
{
	for (int i = 0; i < n_workers(sb); i++) {
		if (atomic_load(&scoreboard_slot(sb, i)->sees_quarantine))
			return true;
	}
	return false;
}

void
scoreboard_membership_changed(const struct scoreboard *sb)
{
	count(&own_news(sb)->changes);
	for (int i = 0; i < n_workers(sb); i++) {
		if (i != sb->self && is_taken(sb, i))
			wake(sb, i);
	}
}

uint64_t
scoreboard_membership(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	if (sb->self != -1)
		sum = atomic_load(&sb->shared->master.news.changes);
	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++) {
		if (i != sb->self)
			sum +=
			    atomic_load(&scoreboard_slot(sb, i)->news.changes);
	}
	return sum;
}

uint64_t
scoreboard_n_unheld(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++)
		sum += atomic_load(&scoreboard_slot(sb, i)->news.n_unheld);
	return sum;
}

/*
 * Tells a worker of an event, by what only we write: its number of a look
 * first, then what was told to that look. The worker stores how long it sleeps
 * before it reads this, and we read that after: one of us sees the other.
 */
static void
tell(const struct scoreboard *sb, int worker_slot, int64_t due_ms)
{
	const struct scoreboard_slot *worker = scoreboard_slot(sb, worker_slot);
	struct scoreboard_news *news = own_news(sb);
	uint64_t look = atomic_load(&worker->look);

	/* Only who tells an earlier one wakes: a burst costs one wake-up. */
	if (atomic_load(&news->added[worker_slot].look) == look &&
	    atomic_load(&news->added[worker_slot].due_ms) <= due_ms)
		return;
	atomic_store(&news->added[worker_slot].due_ms, due_ms);
	/* Last: who sees the look sees its event. */
	atomic_store(&news->added[worker_slot].look, look);
	if (due_ms < atomic_load(&worker->wake_at_ms))
		wake(sb, worker_slot);
}

void
scoreboard_look_again(const struct scoreboard *sb)
{
	for (int i = 0; i < n_workers(sb); i++) {
		if (is_taken(sb, i))
			tell(sb, i, 0);
	}
	scoreboard_membership_changed(sb);
}

void
scoreboard_event_added(
    const struct scoreboard *sb, unsigned shard, int64_t due_ms)
{
	bool is_held = false;

	check(shard < EVENT_SHARDS);
	/* All who say so: one that lies takes no event from another. */
	for (int i = 0; i < n_workers(sb); i++) {
		if (is_taken(sb, i) &&
		    (atomic_load(&scoreboard_slot(sb, i)->shards) >> shard &
			1) != 0) {
			tell(sb, i, due_ms);
			is_held = true;
		}
	}
	if (!is_held)
		count(&own_news(sb)->n_unheld);
}

static int64_t
min_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What was told to that look, or INT64_MAX. */
static int64_t
told_ms(const struct scoreboard_news *news, int worker_slot, uint64_t look)
{
	return atomic_load(&news->added[worker_slot].look) == look
		   ? atomic_load(&news->added[worker_slot].due_ms)
		   : INT64_MAX;
}

int64_t
scoreboard_wake_at_ms(const struct scoreboard *sb, int worker_slot)
{
	const struct scoreboard_slot *worker = scoreboard_slot(sb, worker_slot);
	uint64_t look = atomic_load(&worker->look);
	int64_t at_ms = min_ms(atomic_load(&worker->wake_at_ms),
	    told_ms(&sb->shared->master.news, worker_slot, look));

	/* The dead ones' too: what they told holds. */
	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++)
		at_ms = min_ms(at_ms,
		    told_ms(&scoreboard_slot(sb, i)->news, worker_slot, look));
	return at_ms < 0 ? 0 : at_ms;
}

void
scoreboard_last_turn(
    const struct scoreboard *sb, int64_t *mono_ms, int64_t *offset_ms)
{
	const struct scoreboard_master *master = &sb->shared->master;
	int64_t now_ms = clock_mono_ms();

	*mono_ms = atomic_load(&master->turn_mono_ms);
	*offset_ms = atomic_load(&master->turn_offset_ms);
	for (int i = 0; i < n_workers(sb); i++) {
		const struct scoreboard_slot *slot = scoreboard_slot(sb, i);
		int64_t at_ms = atomic_load(&slot->turn_mono_ms);
		int64_t ms = atomic_load(&slot->turn_offset_ms);

		if (at_ms > *mono_ms && at_ms <= now_ms && ms >= 0 &&
		    ms <= OFFSET_MAX_MS) {
			*mono_ms = at_ms;
			*offset_ms = ms;
		}
	}
}
