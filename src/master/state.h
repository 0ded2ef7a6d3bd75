/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_STATE_H
#define CASSATA_MASTER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "config/config_load.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/owners.h"
#include "master/phase.h"
#include "master/pidfile.h"
#include "board/scoreboard.h"

struct control;
struct ear;
struct handover;
struct predecessor;
struct successor;

struct master_options {
	const char *program;         /* the path of its file */
	struct config_source source; /* paths absolute: it is read again */
	bool foreground;
	bool test_clock;
	int64_t test_ahead_ms; /* where that begins */
	int ready_fd;   /* of daemonize, or -1 */
	bool activated; /* the sockets are a service manager's */
	size_t n_inherited;
	int inherited[LISTENER_MAX];
	const struct handover *handover; /* of the master to follow, or NULL */
};

/*
 * The memory of the process that supervises the others, which its parts share.
 * A start leads from no generation to the first one, a reload from the current
 * to the next.
 */
struct master {
	struct master_options options;
	int64_t started_ms; /* wall clock */
	enum phase phase;
	const char *shown_state; /* in the title; NULL: none yet */
	struct pidfile pidfile;
	int life_fds[2]; /* children read its end when we are gone */
	struct scoreboard sb;
	struct owners owners;
	uint64_t n_forgotten; /* deaths whose files are gone */
	struct loop_timer *owners_timer;
	int64_t owners_until_ms; /* monotonic: the last look at others */
	bool frozen;             /* see freeze.h */
	bool thawing;      /* once the reload that is under way has gone well */
	bool is_quiet;     /* so, and nothing is under way any more */
	int64_t frozen_ms; /* monotonic: since when it is frozen */
	/* Monotonic: until then a server may still commit what a child that has
	 * ended had sent to it, or the children of a master that was killed be
	 * at it. */
	int64_t may_commit_until_ms;
	char *frozen_file; /* its mark */
	struct loop *loop;
	struct loop_io *signal_io;
	struct loop_timer *timer;
	struct control *control;
	struct ear *ear;                 /* or NULL: it hears no other master */
	struct generations generations;  /* the draining ones too */
	struct generation *current;      /* NULL until the first one is ready */
	struct generation *next;         /* being started, or NULL */
	struct successor *successor;     /* or NULL */
	struct predecessor *predecessor; /* or NULL */
	uint32_t n_generations;          /* ever */
	struct err failure;              /* why the start failed, or empty */
};

#endif
