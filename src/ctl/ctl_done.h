/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_DONE_H
#define CASSATA_CTL_CTL_DONE_H

#include <json-c/json.h>
#include <sys/types.h>

#include "ctl/ctl.h"

/* What a command has done: a line of words, or with --json an object. */

/* The words, or {"command", "role" of a daemon that has one, "outcome", "pid"
 * unless that is 0, "seconds"}. Returns CTL_OK. */
int ctl_done(const struct ctl *ctl, const char *outcome, pid_t pid,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* That object, to which more may be added; to be printed. */
struct json_object *ctl_done_begin(
    const struct ctl *ctl, const char *outcome, pid_t pid);

/* On a line, and frees it. Returns CTL_OK. */
int ctl_done_print(const struct ctl *ctl, struct json_object *done);

#endif
