/* SPDX-License-Identifier: ISC */
#include "store/write_lock.h"

#include <errno.h>
#include <time.h>

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
