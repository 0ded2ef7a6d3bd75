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
	check(slot >= 0 && slot < SCOREBOARD_SLOTS);
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
	*sb =
	    (struct scoreboard){.self = -1, .write_lock.fd = -1, .bell.fd = -1};
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++)
		sb->wake_fds[i][0] = sb->wake_fds[i][1] = -1;
	if (getrandom(&sb->bell.ringer, sizeof(sb->bell.ringer), 0) == -1)
		return err_errno(err, "getrandom");
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
	fd_close(&sb->bell.fd);
	unmap_all(sb);
}

struct scoreboard_slot *
scoreboard_enter(struct scoreboard *sb, int slot)
{
	char *all = (char *)sb->writable;
	char *own = all + slot_offset(slot);

	check(sb->self == -1);
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
	check(sb->self == -1 && pid > 0);
	check(atomic_load(&scoreboard_place(sb, slot)->pid) != 0);
	atomic_store(&sb->writable->master.places[slot].pid, pid);
}

void
scoreboard_slot_release(struct scoreboard *sb, int slot)
{
	struct scoreboard_place *place = &sb->writable->master.places[slot];
	struct scoreboard_slot *s = &sb->writable->children[slot].slot;

	check(sb->self == -1 && atomic_load(&place->pid) != 0);
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		if (metric_is_gauge((enum metric)i))
			metric_set(s, (enum metric)i, 0);
	}
	scoreboard_tell_trouble(s, "");
	atomic_store(&s->trouble_until_ms, 0);
	atomic_store(&s->server, 0);
	atomic_store(&s->n_writing, 0);
	atomic_store(&s->adding_ms, 0);
	atomic_store(&s->asking_ms, 0);
	atomic_store(&s->shards, 0);
	atomic_store(&s->sees_quarantine, false);
	atomic_store(&s->n_pauses, 0);
	atomic_store(&s->pauses_read, 0);
	for (size_t i = 0; i < SCOREBOARD_FULL; i++)
		atomic_store(&s->full[i].name, 0);
	atomic_store(&place->owner, 0);
	atomic_store(&place->pid, 0);
}

/* ---- trouble ---- */

void
scoreboard_tell_trouble(struct scoreboard_slot *slot, const char *text)
{
	size_t len = strnlen(text, SCOREBOARD_TROUBLE_BYTES - 1);
	int64_t since_ms = atomic_load(&slot->trouble_since_ms);

	if (len == 0 && since_ms != 0) {
		atomic_store(&slot->trouble_from_ms, since_ms);
		atomic_store(&slot->trouble_until_ms, clock_wall_ms());
	}
	if (len == 0)
		atomic_store(&slot->trouble_since_ms, 0);
	else if (since_ms == 0)
		atomic_store(&slot->trouble_since_ms, clock_wall_ms());

	for (size_t i = 0; i < len; i++)
		atomic_store_explicit(
		    &slot->trouble[i], text[i], memory_order_relaxed);
	atomic_store_explicit(&slot->trouble[len], 0, memory_order_relaxed);
}

int64_t
scoreboard_trouble(
    const struct scoreboard *sb, int slot, char text[SCOREBOARD_TROUBLE_BYTES])
{
	const struct scoreboard_slot *s = scoreboard_slot(sb, slot);
	int64_t since_ms = atomic_load(&s->trouble_since_ms);
	int64_t now_ms = clock_wall_ms();
	size_t i;

	for (i = 0; i < SCOREBOARD_TROUBLE_BYTES - 1; i++) {
		char c =
		    atomic_load_explicit(&s->trouble[i], memory_order_relaxed);

		if (c == '\0')
			break;
		text[i] = (char)(c >= ' ' && c <= '~' ? c : '?');
	}
	text[i] = '\0';
	return since_ms > 0 && since_ms < now_ms ? since_ms : now_ms;
}

bool
scoreboard_past_trouble(
    const struct scoreboard *sb, int slot, int64_t *from_ms, int64_t *until_ms)
{
	const struct scoreboard_slot *s = scoreboard_slot(sb, slot);

	*from_ms = atomic_load(&s->trouble_from_ms);
	*until_ms = atomic_load(&s->trouble_until_ms);
	return *from_ms > 0 && *from_ms <= *until_ms &&
	       *until_ms <= clock_wall_ms();
}
