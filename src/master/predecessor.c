/* SPDX-License-Identifier: ISC */
#include "master/predecessor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "board/shardboard.h"
#include "master/handover.h"

struct predecessor {
	struct scoreboard *sb;
	struct loop_io *io; /* NULL: it is gone */
	bool let_go, told;
};

static void
on_news(struct predecessor *p, uint64_t record)
{
	if (!p->let_go)
		p->let_go = true;
	else if (record == 0)
		shardboard_look_again(p->sb);
	else
		shardboard_owner_gone(p->sb, record);
}

static void
on_predecessor(int fd, unsigned events, void *arg)
{
	struct predecessor *p = arg;
	uint64_t record;
	ssize_t n;

	(void)events;
	while ((n = recv(fd, &record, sizeof(record), MSG_DONTWAIT)) ==
	       (ssize_t)sizeof(record))
		on_news(p, record);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	/* If it was killed before we were ready, there is no other master. */
	p->let_go = true;
	loop_io_free(&p->io);
}

int
predecessor_open(struct master *m, struct err *err)
{
	const struct handover *handover = m->options.handover;
	struct predecessor *p;

	if (handover == NULL)
		return 0;
	scoreboard_share_write_lock(&m->sb, handover->write_lock_fd);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, "out of memory");
	m->predecessor = p;
	p->sb = &m->sb;
	p->io =
	    loop_io_create(m->loop, handover->fd, LOOP_READ, on_predecessor, p);
	return p->io == NULL ? err_set(err, "out of memory") : 0;
}

void
predecessor_look(struct predecessor *p, struct finding *finding)
{
	if (p == NULL || !p->let_go || p->told)
		return;
	p->told = true;
	finding->cause = CAUSE_LET_GO;
}

bool
predecessor_lives(const struct predecessor *p)
{
	return p != NULL && p->io != NULL;
}

void
predecessor_tell(const struct master *m, const char *text)
{
	/* If it cannot hear that it is gone, and its end tells. */
	if (m->options.handover != NULL)
		(void)fd_write_all(m->options.handover->fd, text, strlen(text));
}

void
predecessor_close(struct predecessor **predecessor)
{
	if (*predecessor != NULL)
		loop_io_free(&(*predecessor)->io);
	free(*predecessor);
	*predecessor = NULL;
}
