/* SPDX-License-Identifier: ISC */
#include "master/spawn.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sigpipe.h"
#include "board/shardboard.h"
#include "master/generation.h"
#include "master/state.h"
#include "proc/child.h"
#include "proc/preflight.h"
#include "service/scrape.h"
#include "service/service.h"
#include "worker/worker.h"

/* The children's entries; the master itself has none. */
static const child_main entries[] = {
    [ROLE_PREFLIGHT] = preflight_main,
    [ROLE_METRICS] = scrape_main,
    [ROLE_SERVICE] = service_main,
    [ROLE_WORKER] = worker_main,
};

/*
 * In the child. What it inherits of the master stays allocated: the frames of
 * the master are still on its stack, and libevent must not be asked to free a
 * loop whose epoll instance is the master's.
 */
__attribute__((noreturn)) static void
run_child(struct child *child)
{
	exit(entries[child->role](child));
}

/* Opens the status sockets of a child to be: its end is *fd. */
static int
watch(struct master *m, struct place *place, loop_io_fn on_report, int *fd,
    struct err *err)
{
	int fds[2];

	if (status_pair(fds) == -1)
		return err_errno(err, "cannot make a pair of sockets");
	*fd = fds[1];
	place->status_fd = fds[0];
	place->status_io =
	    loop_io_create(m->loop, fds[0], LOOP_READ, on_report, m);
	return place->status_io == NULL ? err_set(err, "out of memory") : 0;
}

/* Of the child to be in the slot, if it is to own leases. */
static int
hold_owner(const struct master *m, int slot)
{
	uint64_t owner = atomic_load(&scoreboard_place(&m->sb, slot)->owner);

	return owner == 0 ? -1 : owners_hold(&m->owners, owner);
}

/* Whether its leases are given back: its last call of the datastore went
 * well. */
static bool
leaves_nothing(const struct master *m, int slot, enum shardboard_end end)
{
	return end == END_EXIT &&
	       atomic_load(&scoreboard_slot(&m->sb, slot)->asking_ms) == 0;
}

static void
release_slot(struct master *m, int slot, enum shardboard_end end)
{
	uint64_t owner = atomic_load(&scoreboard_place(&m->sb, slot)->owner);
	bool forget = leaves_nothing(m, slot, end);

	shardboard_bury(&m->sb, slot, end);
	/* Else it is until the datastore knows of the death: if all of us are
	 * gone before that, the next start finds the file, and nobody has
	 * locked it. */
	if (owner != 0 && forget)
		owners_forget(&m->owners, owner);
}

/* In the master; pid is -1 when there is no child. */
static void
note_child(struct master *m, struct place *place, pid_t pid, int slot)
{
	if (pid == -1) {
		place_unwatch(place);
		release_slot(m, slot, END_EXIT);
		return;
	}
	scoreboard_slot_fill(&m->sb, slot, pid);
	place->pid = pid;
	place->slot = slot;
	place->state = CHILD_STARTING;
	place->reported = CHILD_STARTING;
	place->was_ready = false;
	place->killed = false;
	place->started_ms = clock_mono_ms();
	place->start_at_ms = place->leave_by_ms = INT64_MAX;
	place->reason.text[0] = '\0';
}

static_assert((int)CHILD_LISTENERS_MAX == (int)LISTENER_MAX, "room for all");

static void
tell_listeners(struct child *child, const struct listener *listener)
{
	for (size_t i = 0; i < listener->n; i++) {
		struct sockaddr_storage *address =
		    &child->own_listeners[child->n_own_listeners];
		socklen_t len = sizeof(*address);

		if (getsockname(listener->fds[i], (struct sockaddr *)address,
			&len) == 0)
			child->n_own_listeners++;
	}
}

/* Port 0 is any. */
static bool
may_be_at(const char *metrics, const char *address)
{
	const char *port = strrchr(metrics, ':');

	return strcmp(metrics, address) == 0 ||
	       (port != NULL && strcmp(port, ":0") == 0);
}

static bool
listens_at(const struct generation *gen, const char *address)
{
	for (size_t i = 0; i < gen->n_places; i++)
		if (gen->places[i].role == ROLE_METRICS &&
		    gen->places[i].pid != 0)
			return may_be_at(gen->cfg.master.metrics, address);
	return false;
}

/* A child of this master, or of the one before or after it, may listen. */
static bool
shares_metrics(const struct master *m, const char *address)
{
	const struct generation *gen;

	TAILQ_FOREACH(gen, &m->generations, entry)
		if (listens_at(gen, address))
			return true;
	return m->predecessor != NULL || m->successor != NULL;
}

int
spawn_child(struct master *m, const struct generation *gen, struct place *place,
    loop_io_fn on_report, struct err *err)
{
	struct err reason;
	struct child child = {
	    .role = place->role,
	    .slot = scoreboard_slot_claim(&m->sb, place->role, &reason),
	    .number = place->number,
	    .alone = place->alone,
	    .cfg = &gen->cfg,
	    .sb = &m->sb,
	    .status_fd = -1,
	    .life_fd = m->life_fds[0],
	    .owner_fd = -1,
	    .shares_port = place->role == ROLE_METRICS &&
			   shares_metrics(m, gen->cfg.master.metrics),
	};
	pid_t pid = -1;

	check(place->pid == 0 && place->status_fd == -1);
	if (child.slot == -1)
		return err_set(err, "no room for %s %u: %s", place_name(place),
		    place->number, reason.text);
	if (place->role == ROLE_SERVICE) {
		child.listen_fds = gen->listener->fds;
		child.n_listen = gen->listener->n;
	} else if (gen->listener != NULL)
		tell_listeners(&child, gen->listener);
	child.owner_fd = hold_owner(m, child.slot);
	sigpipe_block();
	if (watch(m, place, on_report, &child.status_fd, &reason) == -1) {
		(void)err_set(err, "%s %u: %s", place_name(place),
		    place->number, reason.text);
	} else {
		pid = fork();
		if (pid == 0)
			run_child(&child);
		if (pid == -1)
			(void)err_errno(err, "cannot fork %s %u",
			    place_name(place), place->number);
	}
	note_child(m, place, pid, child.slot);
	fd_close(&child.status_fd);
	fd_close(&child.owner_fd);
	sigpipe_unblock();
	return pid == -1 ? -1 : 0;
}

/* A sanitizer exits; nobody else does within the parser. */
static enum shardboard_end
end_of(const struct place *place, int wait_status)
{
	if (WIFEXITED(wait_status))
		return END_EXIT;
	if (place->alone) /* what else could it be? But for us. */
		return place->killed ? END_KILLED : END_CRASH;
	switch (WTERMSIG(wait_status)) {
	case SIGABRT:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGSEGV:
	case SIGSYS:
	case SIGTRAP:
		return END_CRASH;
	default:
		return END_KILLED;
	}
}

void
spawn_vacate(struct master *m, struct place *place, int wait_status)
{
	check(place->pid != 0);
	place_unwatch(place);
	release_slot(m, place->slot, end_of(place, wait_status));
	place->pid = 0;
}
