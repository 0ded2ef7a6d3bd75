/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_POLLER_H
#define CASSATA_BENCH_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>

#include "base/buf.h"

/*
 * The bare epoll loop of load generator and sink: a descriptor's owner embeds a
 * watch and is called when it is ready. What measures must cost less than what
 * is measured.
 */
struct watch {
	void (*ready)(struct watch *watch, uint32_t events);
};

struct poller {
	int fd;
};

/* Each 0, or -1 with errno. Interest ends when the descriptor is closed. */
int poller_init(struct poller *poller);
int poller_add(
    const struct poller *poller, int fd, uint32_t events, struct watch *watch);
int poller_change(
    const struct poller *poller, int fd, uint32_t events, struct watch *watch);
void poller_fini(struct poller *poller);

/*
 * Waits at most timeout_ms (-1: for ever) and calls the owners of what is
 * ready. An owner frees its watch only in its own call. 0, or -1 with errno.
 */
int poller_run(const struct poller *poller, int timeout_ms);

/*
 * Appends what a socket has to in. 1; 0 when that is nothing now; -1 when the
 * peer closed, in is full, or an error with errno.
 */
int poller_receive(int fd, struct buf *in);

/* Microseconds: monotonic, and since 1970. */
int64_t mono_us(void);
int64_t wall_us(void);

#endif
