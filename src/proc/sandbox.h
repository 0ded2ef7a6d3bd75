/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_SANDBOX_H
#define CASSATA_PROC_SANDBOX_H

#include <stdbool.h>

#include "base/err.h"
#include "proc/sandbox_rules.h"
#include "proc/seccomp.h"

/*
 * For all threads to come; call it before there are any. What this kernel does
 * not have is left out. 0 or -1.
 */
int sandbox_enter(const struct sandbox *sandbox, struct err *err);

/*
 * What this kernel lacks, and what children can do for that, in one line. False
 * when it lacks nothing.
 */
bool sandbox_lacks(struct err *text);

/* The same of any kernel, by the ABI of its landlock. */
bool sandbox_lacks_of(
    long landlock_abi, enum seccomp_support seccomp, struct err *text);

#endif
