/* SPDX-License-Identifier: ISC */
#include "sql/write_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum {
	/* Another layout, or another way to lock, is another format. */
	LOCK_FORMAT = 2,
	/* The kernel wakes nobody when a holder has died. */
	LOOK_MS = 20,
	PATIENCE_MIN_MS = 10,
	/* More wake-ups of one wait come from somebody who only writes there.
	 */
	WAKES_MAX = 100,
};

struct write_lock_memory {
	_Atomic uint32_t format;
	/* Processes that wait; too many where one has died. */
	_Atomic uint32_t n_waiting;
	/* Change when a byte is released: who waits for that tries again. */
	_Atomic uint32_t releases[WRITE_LOCK_BYTES];
};

static int
check_file(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	if (st.st_size == (off_t)sizeof(struct write_lock_memory))
		return 0;
	errno = EINVAL;
	return -1;
}

/* One that nobody can make shorter: reading it would be a signal. */
static int
make_file(void)
{
	int fd =
	    memfd_create("cassata-write-lock", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd != -1 &&
	    (ftruncate(fd, (off_t)sizeof(struct write_lock_memory)) == -1 ||
		fcntl(fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1))
		fd_close(&fd);
	return fd;
}

int
write_lock_open(struct write_lock *lock, int fd)
{
	struct write_lock_memory *memory;
	bool is_new = fd == -1;

	*lock = (struct write_lock){.fd = -1,
	    .mutex = PTHREAD_MUTEX_INITIALIZER,
	    .patience_ms = INT64_MAX};
	if (is_new)
		fd = make_file();
	if (fd == -1 || check_file(fd) == -1) {
		fd_close(&fd);
		return -1;
	}
	memory = mmap(
	    NULL, sizeof(*memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		fd_close(&fd);
		return -1;
	}
	lock->fd = fd;
	lock->memory = memory;
	if (is_new)
		atomic_store(&memory->format, LOCK_FORMAT);
	if (atomic_load(&memory->format) != LOCK_FORMAT) {
		write_lock_close(lock);
		errno = EINVAL;
		return -1;
	}
	return 0;
}

void
write_lock_close(struct write_lock *lock)
{
	if (lock->memory != NULL)
		(void)munmap(lock->memory, sizeof(*lock->memory));
	lock->memory = NULL;
	fd_close(&lock->fd);
}

static int
set_lock(const struct write_lock *lock, int byte, short type)
{
	struct flock range = {
	    .l_type = type,
	    .l_whence = SEEK_SET,
	    .l_start = byte,
	    .l_len = 1,
	};

	return fcntl(lock->fd, F_SETLK, &range);
}

/* A moment at most, and not at all if there was a release since seen. */
static void
await_release(_Atomic uint32_t *releases, uint32_t seen, int64_t timeout_ms)
{
	struct timespec timeout = {0};

	timeout.tv_nsec =
	    (long)(timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS) * 1000000;
	/* Whatever ends it, the caller tries again. */
	(void)syscall(SYS_futex, releases, FUTEX_WAIT, seen, &timeout, NULL, 0);
}

static int
await(const struct write_lock *lock, int byte, int64_t deadline_ms)
{
	static const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	_Atomic uint32_t *releases = &lock->memory->releases[byte];
	int64_t left_ms;
	uint32_t seen;

	for (int n_wakes = 0;; n_wakes++) {
		seen = atomic_load(releases);
		if (set_lock(lock, byte, F_WRLCK) == 0)
			return 0;
		left_ms = deadline_ms - clock_mono_ms();
		if (left_ms <= 0)
			return -1;
		if (n_wakes < WAKES_MAX)
			await_release(releases, seen, left_ms);
		else
			(void)nanosleep(&pause, NULL);
	}
}

static int
take(const struct write_lock *lock, int byte, int64_t deadline_ms)
{
	_Atomic uint32_t *n_waiting = &lock->memory->n_waiting;
	int result;

	if (set_lock(lock, byte, F_WRLCK) == 0)
		return 0;
	/* Then try again: who releases it looks at this after that. */
	(void)atomic_fetch_add(n_waiting, 1);
	result = await(lock, byte, deadline_ms);
	(void)atomic_fetch_sub(n_waiting, 1);
	return result;
}

static void
give(const struct write_lock *lock, int byte)
{
	_Atomic uint32_t *releases = &lock->memory->releases[byte];

	/* It is ours: this cannot fail. */
	(void)set_lock(lock, byte, F_UNLCK);
	if (atomic_load(&lock->memory->n_waiting) == 0)
		return;
	(void)atomic_fetch_add(releases, 1);
	(void)syscall(SYS_futex, releases, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Behind who waits, if there is somebody. */
static int
take_turn(const struct write_lock *lock, int64_t timeout_ms)
{
	int64_t deadline_ms;
	int result = -1;

	if (atomic_load(&lock->memory->n_waiting) == 0 &&
	    set_lock(lock, WRITE_LOCK_TURN, F_WRLCK) == 0)
		return 0;
	deadline_ms = clock_mono_ms() + timeout_ms;
	if (take(lock, WRITE_LOCK_NEXT, deadline_ms) == 0) {
		result = take(lock, WRITE_LOCK_TURN, deadline_ms);
		give(lock, WRITE_LOCK_NEXT);
	}
	return result;
}

/* Whose commit the disk keeps has the mutex as long. *timeout_ms becomes what is
 * left. 0, or -1 when that is nothing. */
static int
await_thread(struct write_lock *lock, int64_t *timeout_ms)
{
	int64_t begin_ms;
	struct timespec end;

	if (pthread_mutex_trylock(&lock->mutex) == 0)
		return 0;
	begin_ms = clock_mono_ms();
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)(*timeout_ms % 1000) * 1000000;
	end.tv_sec += *timeout_ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	if (pthread_mutex_clocklock(&lock->mutex, CLOCK_MONOTONIC, &end) != 0)
		return -1;
	*timeout_ms -= clock_mono_ms() - begin_ms;
	if (*timeout_ms < 0)
		*timeout_ms = 0;
	return 0;
}

int
write_lock_acquire(struct write_lock *lock, int64_t timeout_ms)
{
	int64_t left_ms = timeout_ms;

	if (await_thread(lock, &left_ms) == -1)
		return -1;
	if (timeout_ms > lock->patience_ms)
		timeout_ms = lock->patience_ms;
	if (take_turn(lock, left_ms < timeout_ms ? left_ms : timeout_ms) == 0) {
		lock->patience_ms = INT64_MAX;
		return 0;
	}
	/* A wait that a thread has cut short says nothing of the turn. */
	if (left_ms >= timeout_ms)
		lock->patience_ms = timeout_ms / 4 < PATIENCE_MIN_MS
					? PATIENCE_MIN_MS
					: timeout_ms / 4;
	(void)pthread_mutex_unlock(&lock->mutex);
	return -1;
}

void
write_lock_release(struct write_lock *lock)
{
	give(lock, WRITE_LOCK_TURN);
	(void)pthread_mutex_unlock(&lock->mutex);
}
