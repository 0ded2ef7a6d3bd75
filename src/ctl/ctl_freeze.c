/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_freeze.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "ctl/ctl_daemon.h"
#include "ctl/ctl_done.h"
#include "ctl/ctl_find.h"
#include "ctl/progress.h"
#include "proc/control_proto.h"

enum {
	LOOK_MS = 50,
	GRACE_MS = 10000, /* beyond the daemon's own time-out for its workers */
};

struct rest {
	int64_t workers, writes;
};

static int64_t
number_of(struct json_object *status, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(status, name, &value)
		   ? json_object_get_int64(value)
		   : 0;
}

/* 1 when it is, 0 with what is left when not yet, or -1 with err. */
static int
ask_whether_quiet(const struct ctl *ctl, struct rest *rest, struct err *err)
{
	bool absent;
	struct json_object *status = ctl_ask_status(ctl, &absent, err);
	const char *state;
	int found = 0;

	if (status == NULL)
		return -1;
	state = ctl_text_of(status, "freeze-state");
	rest->workers = number_of(status, "freeze-workers");
	rest->writes = number_of(status, "freeze-writes");
	if (strcmp(state, "frozen") == 0)
		found = 1;
	else if (strcmp(state, "freezing") != 0)
		found = err_set(err, "somebody else has thawed it");
	json_object_put(status);
	return found;
}

static int
wait_until_quiet(const struct ctl *ctl, int64_t timeout_ms)
{
	int64_t end_ms = clock_mono_ms() + timeout_ms;
	struct progress progress;
	struct rest rest;
	struct err err;
	int found;

	progress_init(&progress);
	while ((found = ask_whether_quiet(ctl, &rest, &err)) == 0) {
		if (clock_mono_ms() >= end_ms)
			break;
		if (progress_is_due(&progress))
			progress_show(&progress,
			    "freezing; yet to end: workers %lld, writes %lld",
			    (long long)rest.workers, (long long)rest.writes);
		(void)poll(NULL, 0, LOOK_MS);
	}
	progress_clear(&progress);
	if (found == -1)
		return ctl_fail(ctl, "%s", err.text);
	if (found == 0)
		return ctl_fail(ctl,
		    "not quiet within %g s, yet to end: workers %lld, writes "
		    "%lld; it goes on freezing, %s thaw ends that",
		    (double)timeout_ms / 1000, (long long)rest.workers,
		    (long long)rest.writes, ctl->program);
	return CTL_OK;
}

int
ctl_freeze(struct ctl *ctl)
{
	int64_t timeout_ms = ctl->timeout_ms != 0
				 ? ctl->timeout_ms
				 : ctl->cfg.master.shutdown_timeout_ms +
				       ctl->cfg.datastore.timeout_ms + GRACE_MS;
	pid_t pid;
	int status = ctl_request_change(ctl, CONTROL_FREEZE, &pid);

	if (status == CTL_OK)
		status = wait_until_quiet(ctl, timeout_ms);
	return status == CTL_OK ? ctl_done(ctl, "frozen", pid, "frozen")
				: status;
}

int
ctl_thaw(struct ctl *ctl)
{
	pid_t pid;
	int status = ctl_request_change(ctl, CONTROL_THAW, &pid);

	return status == CTL_OK ? ctl_done(ctl, "thawed", pid, "thawed")
				: status;
}
