/* SPDX-License-Identifier: ISC */
#include "store/store_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/fd.h"
#include "base/title.h"

STAILQ_HEAD(job_list, store_job);

struct store_thread {
	struct store *store;
	int done_fd; /* eventfd: there are finished jobs */
	struct loop_io *done_io;
	pthread_t thread;

	/* The rest under the mutex. */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* waiting or stopped */
	struct job_list waiting;
	struct job_list finished;
	bool stopped;
};

/* Blocks for the next job; NULL when the thread should end. */
static struct store_job *
next_job(struct store_thread *thread)
{
	struct store_job *job = NULL;

	(void)pthread_mutex_lock(&thread->mutex);
	while (!thread->stopped && STAILQ_EMPTY(&thread->waiting))
		(void)pthread_cond_wait(&thread->changed, &thread->mutex);
	if (!thread->stopped) {
		job = STAILQ_FIRST(&thread->waiting);
		STAILQ_REMOVE_HEAD(&thread->waiting, entry);
	}
	(void)pthread_mutex_unlock(&thread->mutex);
	return job;
}

static void *
thread_main(void *arg)
{
	struct store_thread *thread = arg;
	struct store_job *job;

	title_set_thread("store");
	while ((job = next_job(thread)) != NULL) {
		job->run(thread->store, job);
		(void)pthread_mutex_lock(&thread->mutex);
		STAILQ_INSERT_TAIL(&thread->finished, job, entry);
		(void)pthread_mutex_unlock(&thread->mutex);
		(void)eventfd_write(thread->done_fd, 1);
	}
	return NULL;
}

static void
on_finished(int fd, unsigned events, void *arg)
{
	struct store_thread *thread = arg;
	struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
	struct store_job *job;
	eventfd_t n;

	(void)events;
	/* First read, then take: a job that ends in between wakes us again. */
	(void)eventfd_read(fd, &n);
	(void)pthread_mutex_lock(&thread->mutex);
	STAILQ_CONCAT(&finished, &thread->finished);
	(void)pthread_mutex_unlock(&thread->mutex);
	while ((job = STAILQ_FIRST(&finished)) != NULL) {
		STAILQ_REMOVE_HEAD(&finished, entry);
		job->done(job);
	}
}

/* Signals are for the loop's thread. 0 or the error number. */
static int
start(struct store_thread *thread)
{
	sigset_t all, before;
	int error;

	(void)sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error != 0)
		return error;
	error = pthread_create(&thread->thread, NULL, thread_main, thread);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct store_thread *
store_thread_create(struct store *store, struct loop *loop, struct err *err)
{
	struct store_thread *thread = calloc(1, sizeof(*thread));
	int error;

	if (thread == NULL) {
		(void)err_errno(err, "cannot make the store thread");
		return NULL;
	}
	thread->store = store;
	STAILQ_INIT(&thread->waiting);
	STAILQ_INIT(&thread->finished);
	/* Neither fails with default attributes. */
	(void)pthread_mutex_init(&thread->mutex, NULL);
	(void)pthread_cond_init(&thread->changed, NULL);
	thread->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (thread->done_fd == -1) {
		(void)err_errno(err, "cannot open an eventfd");
		goto fail;
	}
	thread->done_io = loop_io_create(
	    loop, thread->done_fd, LOOP_READ, on_finished, thread);
	if (thread->done_io == NULL) {
		(void)err_set(err, "cannot watch the store thread");
		goto fail;
	}
	error = start(thread);
	if (error != 0) {
		(void)err_set(
		    err, "cannot start the store thread: %s", strerror(error));
		goto fail;
	}
	return thread;
fail:
	loop_io_free(&thread->done_io);
	fd_close(&thread->done_fd);
	free(thread);
	return NULL;
}

void
store_thread_submit(struct store_thread *thread, struct store_job *job)
{
	(void)pthread_mutex_lock(&thread->mutex);
	STAILQ_INSERT_TAIL(&thread->waiting, job, entry);
	(void)pthread_cond_signal(&thread->changed);
	(void)pthread_mutex_unlock(&thread->mutex);
}

unsigned
store_thread_server(const struct store_thread *thread)
{
	return store_server(thread->store);
}

bool
store_thread_goes_on(const struct store_thread *thread)
{
	return store_goes_on(thread->store);
}

void
store_thread_free(struct store_thread **thread)
{
	struct store_thread *t = *thread;

	if (t == NULL)
		return;
	(void)pthread_mutex_lock(&t->mutex);
	t->stopped = true;
	(void)pthread_cond_signal(&t->changed);
	(void)pthread_mutex_unlock(&t->mutex);
	(void)pthread_join(t->thread, NULL);

	loop_io_free(&t->done_io);
	fd_close(&t->done_fd);
	(void)pthread_cond_destroy(&t->changed);
	(void)pthread_mutex_destroy(&t->mutex);
	store_close(&t->store);
	free(t);
	*thread = NULL;
}
