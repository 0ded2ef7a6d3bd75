/* SPDX-License-Identifier: ISC */
#include "store/write_lock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

/* Another layout, or another way to lock, is another format. */
enum { LOCK_FORMAT = 1 };

struct lock_memory {
	uint32_t format;
	struct write_lock lock;
};

static int
mutex_init(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;
	int error;

	error = pthread_mutexattr_init(&attr);
	if (error != 0)
		goto out;
	error = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (error == 0)
		error =
		    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (error == 0)
		error = pthread_mutex_init(mutex, &attr);
	(void)pthread_mutexattr_destroy(&attr);
out:
	errno = error;
	return error == 0 ? 0 : -1;
}

int
write_lock_init(struct write_lock *lock)
{
	if (mutex_init(&lock->next) == -1)
		return -1;
	return mutex_init(&lock->turn);
}

/* The memory of fd, which has the size, or NULL with errno. */
static struct lock_memory *
map(int fd)
{
	struct lock_memory *memory = mmap(NULL, sizeof(*memory),
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static struct lock_memory *
map_new(int *fd)
{
	struct lock_memory *memory = NULL;

	*fd = memfd_create("cassata-write-lock", MFD_CLOEXEC);
	if (*fd == -1)
		return NULL;
	if (ftruncate(*fd, sizeof(*memory)) == 0)
		memory = map(*fd);
	if (memory == NULL) {
		fd_close(fd);
		return NULL;
	}
	if (write_lock_init(&memory->lock) == -1) {
		write_lock_unmap(&memory->lock);
		fd_close(fd);
		return NULL;
	}
	memory->format = LOCK_FORMAT;
	return memory;
}

static struct lock_memory *
map_old(int fd)
{
	struct lock_memory *memory;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return NULL;
	errno = EINVAL;
	if (st.st_size != (off_t)sizeof(*memory))
		return NULL;
	memory = map(fd);
	if (memory != NULL && memory->format != LOCK_FORMAT) {
		write_lock_unmap(&memory->lock);
		errno = EINVAL;
		return NULL;
	}
	return memory;
}

struct write_lock *
write_lock_map(int *fd)
{
	struct lock_memory *memory = *fd == -1 ? map_new(fd) : map_old(*fd);

	return memory == NULL ? NULL : &memory->lock;
}

void
write_lock_unmap(struct write_lock *lock)
{
	int saved_errno = errno;

	(void)munmap((char *)lock - offsetof(struct lock_memory, lock),
	    sizeof(struct lock_memory));
	errno = saved_errno;
}

static int
mutex_acquire(pthread_mutex_t *mutex, const struct timespec *deadline)
{
	int error = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, deadline);

	/* The mutex guards no memory: SQLite rolls back what the dead holder
	 * had begun. */
	if (error == EOWNERDEAD)
		error = pthread_mutex_consistent(mutex);
	return error == 0 ? 0 : -1;
}

int
write_lock_acquire(struct write_lock *lock, int64_t timeout_ms)
{
	struct timespec deadline;
	int result;

	(void)clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += (time_t)(timeout_ms / 1000);
	deadline.tv_nsec += (long)(timeout_ms % 1000 * 1000000);
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	if (mutex_acquire(&lock->next, &deadline) == -1)
		return -1;
	result = mutex_acquire(&lock->turn, &deadline);
	(void)pthread_mutex_unlock(&lock->next);
	return result;
}

void
write_lock_release(struct write_lock *lock)
{
	(void)pthread_mutex_unlock(&lock->turn);
}
