/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_FIND_H
#define CASSATA_CTL_CTL_FIND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/ctl.h"

/* The daemon of a configuration, if it runs, and how it is asked. */
enum {
	CTL_ANSWER_MAX_BYTES = 4 * 1024 * 1024,
	CTL_ASK_TIMEOUT_MS = 5000,
};

/*
 * Its process: 0 for none, -1 with err when that is unknown. *left_behind:
 * there is a pid file, but no daemon.
 */
pid_t ctl_find(const struct ctl *ctl, bool *left_behind, struct err *err);

/* control_ask, of the daemon of this configuration. */
int ctl_ask(const struct ctl *ctl, const char *word, int64_t timeout_ms,
    struct buf *answer, bool *absent, struct err *err);

/* Its status, to be put; NULL with err. */
struct json_object *ctl_ask_status(
    const struct ctl *ctl, bool *absent, struct err *err);

/* A member of a status as text; "-" when it is not there or null. */
const char *ctl_text_of(struct json_object *object, const char *name);

#endif
