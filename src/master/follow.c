/* SPDX-License-Identifier: ISC */
#include "master/follow.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "master/handover.h"
#include "master/master.h"

/* Not yet; who has been replaced since has nothing to take over any more. */
static bool
is_to_take_over(const struct master *m)
{
	return !m->pidfile.ours && !m->replaced;
}

static void
on_record(struct master *m, uint64_t record)
{
	if (is_to_take_over(m))
		master_take_over(m);
	else if (record == 0)
		scoreboard_look_again(&m->sb);
	else
		scoreboard_owner_gone(&m->sb, record);
}

/*
 * The old master is gone. If it was killed before we were ready, there is no
 * other one left, and we take over when we are.
 */
static void
on_end(struct master *m)
{
	loop_io_free(&m->old_io);
	if (is_to_take_over(m) && m->current != NULL)
		master_take_over(m);
}

static void
on_old_master(int fd, unsigned events, void *arg)
{
	struct master *m = arg;
	uint64_t record;
	ssize_t n;

	(void)events;
	while ((n = recv(fd, &record, sizeof(record), MSG_DONTWAIT)) ==
	       (ssize_t)sizeof(record))
		on_record(m, record);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	on_end(m);
}

int
follow_open(struct master *m, struct err *err)
{
	if (m->options.handover == NULL)
		return 0;
	scoreboard_share_write_lock(&m->sb, m->options.handover->write_lock_fd);
	atomic_store(&m->sb.writable->master.turn_offset_ms,
	    m->options.handover->turn_offset_ms);
	atomic_store(&m->sb.writable->master.turn_mono_ms,
	    m->options.handover->turn_mono_ms);
	m->old_io = loop_io_create(
	    m->loop, m->options.handover->fd, LOOP_READ, on_old_master, m);
	return m->old_io == NULL ? err_set(err, "out of memory") : 0;
}

void
follow_ready(struct master *m)
{
	if (m->options.handover == NULL)
		return;
	if (m->old_io == NULL)
		master_take_over(m);
	else
		/* If it cannot hear that it is gone, and its end tells. */
		(void)fd_write_all(m->options.handover->fd, HANDOVER_READY,
		    strlen(HANDOVER_READY));
}

void
follow_failed(const struct master *m, const char *reason)
{
	if (m->options.handover != NULL)
		(void)fd_write_all(
		    m->options.handover->fd, reason, strlen(reason));
}

void
follow_close(struct master *m)
{
	loop_io_free(&m->old_io);
}
