/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_LOOP_H
#define CASSATA_BASE_LOOP_H

#include <stdint.h>

/*
 * The reactor: our names over libevent's core, which keeps its struct event
 * away from ours, and a hook that runs before each sleep. One per process,
 * created after fork. What the kernel has no room to watch is told to its
 * callback; a process that cannot wait is of no use: what returns nothing ends
 * it then, see check().
 */
struct loop;
struct loop_io;
struct loop_timer;

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_FAILED = 4 };

typedef void (*loop_io_fn)(int fd, unsigned events, void *arg);
typedef void (*loop_fn)(void *arg);

/* NULL when memory or descriptors are short. */
struct loop *loop_create(void);

/* Frees the loop; its ios and timers must be gone. NULL is accepted. */
void loop_free(struct loop *loop);

/* Runs until loop_stop; 0, or -1 when the kernel interface failed. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/*
 * Calls fn(arg, ms) when a turn of the loop, from the wake-up to the next
 * sleep, took ms milliseconds, limit_ms or more: nothing else could happen
 * meanwhile. That the process or the machine was stopped looks the same.
 */
void loop_on_stall(struct loop *loop, int64_t limit_ms,
    void (*fn)(void *arg, int64_t ms), void *arg);

/* Called before each sleep, after the callbacks of a turn. */
void loop_before_sleep(struct loop *loop, loop_fn fn, void *arg);

/*
 * Watches fd, which stays the caller's, for the events of the mask (LOOP_READ |
 * LOOP_WRITE, 0 for none yet), level-triggered, until changed or freed.
 * NULL when memory is short, or the kernel has no room for one more. A change
 * for which there is no room is followed by one call with LOOP_FAILED, from the
 * loop, unless it is changed or freed before; nothing is watched then.
 */
struct loop_io *loop_io_create(
    struct loop *loop, int fd, unsigned events, loop_io_fn fn, void *arg);
void loop_io_want(struct loop_io *io, unsigned events);
void loop_io_free(struct loop_io **io); /* sets *io to NULL */

/* One shot; delay_ms below 0 counts as 0. Setting again replaces the time. */
struct loop_timer *loop_timer_create(struct loop *loop, loop_fn fn, void *arg);
void loop_timer_set(struct loop_timer *timer, int64_t delay_ms);
void loop_timer_clear(struct loop_timer *timer);
void loop_timer_free(struct loop_timer **timer);

#endif
