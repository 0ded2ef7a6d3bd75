/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_TARGET_H
#define CASSATA_BENCH_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The server under test, seen from its host: its address, processes and
 * counters as its master tells them on the control socket, and what the kernel
 * says of these processes. A server that is only known by its URL has none of
 * that but the address.
 */
enum { TARGET_GROUPS_MAX = 16, TARGET_PIDS_MAX = 16 };

struct target {
	const char *control_socket; /* NULL: only the URL is known */
	char host[256], port[12];
	pid_t pids[TARGET_PIDS_MAX]; /* further processes to watch */
	unsigned n_pids;
};

/* Processes of one name, added up. */
struct target_group {
	char name[32]; /* cassatad-worker, mariadbd, ... */
	bool ours;     /* cassata-bench: not part of the totals */
	int64_t cpu_us, pss_kib;
};

struct target_sample {
	int64_t mono_us;
	struct target_group groups[TARGET_GROUPS_MAX];
	unsigned n_groups;
	int64_t service_commits, worker_commits, attempts;
};

/*
 * url is "http://host[:port]", or NULL for the address that the daemon behind
 * control_socket tells. A daemon that is not there is an error only without a
 * URL. The string is borrowed. 0 or -1.
 */
int target_init(struct target *target, const char *url,
    const char *control_socket, struct err *err);

/* PSS only where asked: the kernel walks all pages for it. 0 or -1. */
int target_sample(const struct target *target, bool with_pss,
    struct target_sample *sample, struct err *err);

/* The group's sum of that name at that time, or NULL. */
const struct target_group *target_group_find(
    const struct target_sample *sample, const char *name);

#endif
