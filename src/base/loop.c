/* SPDX-License-Identifier: ISC */
#include "base/loop.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>

#include <event2/event.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

enum { MESSAGE_PAUSE_MS = 1000 };

struct loop {
	struct event_base *base;
	bool stopped;
	loop_fn before_sleep;
	void *before_sleep_arg;
	int64_t turn_ms; /* monotonic: of its first callback; 0: none yet */
	int64_t stall_ms;
	void (*on_stall)(void *arg, int64_t ms);
	void *on_stall_arg;
};

struct loop_io {
	struct loop *loop;
	struct event *ev;
	int fd;
	unsigned events;
	loop_io_fn fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	struct event *ev;
	loop_fn fn;
	void *arg;
};

/* What goes wrong for each of many descriptors is said once a second. */
static void
on_libevent_message(int severity, const char *text)
{
	static int64_t quiet_until_ms;
	int64_t now_ms = clock_mono_ms();

	if (severity < EVENT_LOG_WARN || now_ms < quiet_until_ms)
		return;
	quiet_until_ms = now_ms + MESSAGE_PAUSE_MS;
	log_warnx("libevent: %s", text);
}

struct loop *
loop_create(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct event_config *config = event_config_new();
	const int flags = EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
			  EVENT_BASE_FLAG_NO_CACHE_TIME |
			  EVENT_BASE_FLAG_PRECISE_TIMER;

	event_set_log_callback(on_libevent_message);
	if (loop == NULL || config == NULL)
		goto fail;
	/* Timers count from now, not from the start of the turn, and do not
	 * fire early by the grain of a coarse clock. */
	if (event_config_set_flag(config, flags) == -1)
		goto fail;
	loop->base = event_base_new_with_config(config);
	if (loop->base == NULL)
		goto fail;
	event_config_free(config);
	return loop;
fail:
	if (config != NULL)
		event_config_free(config);
	free(loop);
	return NULL;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	event_base_free(loop->base);
	free(loop);
}

void
loop_on_stall(struct loop *loop, int64_t limit_ms,
    void (*fn)(void *arg, int64_t ms), void *arg)
{
	check(limit_ms > 0 && fn != NULL);
	loop->stall_ms = limit_ms;
	loop->on_stall = fn;
	loop->on_stall_arg = arg;
}

static void
begin_turn(struct loop *loop)
{
	if (loop->on_stall != NULL && loop->turn_ms == 0)
		loop->turn_ms = clock_mono_ms();
}

static void
end_turn(struct loop *loop)
{
	int64_t ms;

	if (loop->turn_ms == 0)
		return;
	ms = clock_mono_ms() - loop->turn_ms;
	loop->turn_ms = 0;
	if (ms >= loop->stall_ms)
		loop->on_stall(loop->on_stall_arg, ms);
}

int
loop_run(struct loop *loop)
{
	for (;;) {
		if (!loop->stopped && loop->before_sleep != NULL)
			loop->before_sleep(loop->before_sleep_arg);
		end_turn(loop);
		if (loop->stopped)
			break;
		if (event_base_loop(loop->base,
			EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) == -1)
			return -1;
	}
	loop->stopped = false;
	return 0;
}

void
loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

void
loop_before_sleep(struct loop *loop, loop_fn fn, void *arg)
{
	loop->before_sleep = fn;
	loop->before_sleep_arg = arg;
}

/*
 * The callbacks below touch nothing after the call: the callee may have freed
 * io or timer. libevent copies what it needs before it calls, and event_free
 * takes an event that waits for its turn out of the queue.
 */

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;
	unsigned events = 0;

	if (what & EV_READ)
		events |= LOOP_READ;
	if (what & EV_WRITE)
		events |= LOOP_WRITE;
	if (what & EV_TIMEOUT)
		events |= LOOP_FAILED;
	begin_turn(io->loop);
	io->fn(fd, events, io->arg);
}

static void
on_loop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)what;
	begin_turn(timer->loop);
	timer->fn(timer->arg);
}

static int
arm(struct loop_io *io, unsigned events)
{
	short what = EV_PERSIST;

	if (events & LOOP_READ)
		what |= EV_READ;
	if (events & LOOP_WRITE)
		what |= EV_WRITE;
	io->events = events;
	if (events == 0)
		return 0;
	if (event_assign(io->ev, io->loop->base, io->fd, what, on_io, io) == -1)
		return -1;
	return event_add(io->ev, NULL);
}

struct loop_io *
loop_io_create(
    struct loop *loop, int fd, unsigned events, loop_io_fn fn, void *arg)
{
	struct loop_io *io = calloc(1, sizeof(*io));

	if (io == NULL)
		return NULL;
	*io = (struct loop_io){.loop = loop, .fd = fd, .fn = fn, .arg = arg};
	io->ev = event_new(loop->base, fd, EV_PERSIST, on_io, io);
	if (io->ev == NULL || arm(io, events) == -1)
		loop_io_free(&io);
	return io;
}

void
loop_io_want(struct loop_io *io, unsigned events)
{
	if (events == io->events)
		return;
	check(event_del(io->ev) == 0);
	if (arm(io, events) == 0)
		return;
	/* Nothing of ours has a time-out of libevent's. */
	io->events = 0;
	event_active(io->ev, EV_TIMEOUT, 1);
}

void
loop_io_free(struct loop_io **io)
{
	if (*io == NULL)
		return;
	if ((*io)->ev != NULL)
		event_free((*io)->ev);
	free(*io);
	*io = NULL;
}

struct loop_timer *
loop_timer_create(struct loop *loop, loop_fn fn, void *arg)
{
	struct loop_timer *timer = calloc(1, sizeof(*timer));

	if (timer == NULL)
		return NULL;
	timer->loop = loop;
	timer->fn = fn;
	timer->arg = arg;
	timer->ev = evtimer_new(loop->base, on_loop_timer, timer);
	if (timer->ev == NULL) {
		free(timer);
		return NULL;
	}
	return timer;
}

void
loop_timer_set(struct loop_timer *timer, int64_t delay_ms)
{
	/* As many seconds as fit where time_t has 32 bits, half of them:
	 * libevent adds its clock. */
	static const int64_t max_ms = INT64_C(1000) * (INT32_MAX / 2);
	struct timeval delay = {0};

	if (delay_ms > max_ms)
		delay_ms = max_ms;
	if (delay_ms > 0) {
		delay.tv_sec = (time_t)(delay_ms / 1000);
		delay.tv_usec = (suseconds_t)(delay_ms % 1000 * 1000);
	}
	check(evtimer_add(timer->ev, &delay) == 0);
}

void
loop_timer_clear(struct loop_timer *timer)
{
	check(evtimer_del(timer->ev) == 0);
}

void
loop_timer_free(struct loop_timer **timer)
{
	if (*timer == NULL)
		return;
	event_free((*timer)->ev);
	free(*timer);
	*timer = NULL;
}
