/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_done.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "ctl/ctl_print.h"

struct json_object *
ctl_done_begin(const struct ctl *ctl, const char *outcome, pid_t pid)
{
	struct json_object *done = json_object_new_object();

	json_object_object_add(
	    done, "command", json_object_new_string(ctl->command));
	if (ctl->roles != CONFIG_ALL)
		json_object_object_add(done, "role",
		    json_object_new_string(ctl->roles == CONFIG_SERVICE_ONLY
					       ? "service"
					       : "worker"));
	json_object_object_add(
	    done, "outcome", json_object_new_string(outcome));
	if (pid > 0)
		json_object_object_add(done, "pid", json_object_new_int64(pid));
	return done;
}

int
ctl_done_print(const struct ctl *ctl, struct json_object *done)
{
	double seconds = (double)(clock_mono_ms() - ctl->began_ms) / 1000;
	char text[32];

	(void)snprintf(text, sizeof(text), "%.3f", seconds);
	json_object_object_add(
	    done, "seconds", json_object_new_double_s(seconds, text));
	(void)ctl_print(stdout,
	    slice_from_string(json_object_to_json_string_ext(
		done, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)),
	    false);
	(void)putchar('\n');
	json_object_put(done);
	return CTL_OK;
}

int
ctl_done(
    const struct ctl *ctl, const char *outcome, pid_t pid, const char *fmt, ...)
{
	va_list ap;

	if (ctl->json)
		return ctl_done_print(ctl, ctl_done_begin(ctl, outcome, pid));
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
	return CTL_OK;
}
