/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_status.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "ctl/ctl_find.h"
#include "ctl/ctl_print.h"
#include "proc/control_proto.h"

/* "12s", "5m", "3h", "2d": since the time in seconds of that member. */
static void
print_age(struct json_object *object, const char *name)
{
	int64_t age;
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value) || value == NULL) {
		printf("-");
		return;
	}
	age = clock_wall_ms() / 1000 - json_object_get_int64(value);
	if (age < 0)
		age = 0;
	if (age < 120)
		printf("%llds", (long long)age);
	else if (age < 7200)
		printf("%lldm", (long long)(age / 60));
	else if (age < 172800)
		printf("%lldh", (long long)(age / 3600));
	else
		printf("%lldd", (long long)(age / 86400));
}

/* What a database server said may be in it. */
static void
print_member(struct json_object *object, const char *name)
{
	(void)ctl_print(
	    stdout, slice_from_string(ctl_text_of(object, name)), false);
}

static bool
is_failing(struct json_object *status)
{
	return strcmp(ctl_text_of(status, "datastore-state"), "failing") == 0;
}

static void
print_datastore(struct json_object *status)
{
	printf("\ndatastore  ");
	print_member(status, "datastore");
	if (!is_failing(status)) {
		printf(", %s", ctl_text_of(status, "datastore-state"));
		return;
	}
	printf(", failing for ");
	print_age(status, "datastore-since");
	printf(": ");
	print_member(status, "datastore-reason");
}

static void
print_weakness(struct json_object *status)
{
	if (!json_object_object_get_ex(status, "datastore-weakness", NULL))
		return;
	printf("\nwarning    ");
	print_member(status, "datastore-weakness");
}

static bool
is_thawed(struct json_object *status)
{
	const char *state = ctl_text_of(status, "freeze-state");

	/* Of an older daemon there is none. */
	return strcmp(state, "thawed") == 0 || strcmp(state, "-") == 0;
}

static void
print_freeze(struct json_object *status)
{
	if (!is_thawed(status))
		printf("\nfreeze     %s: adds and deletes are refused, nothing "
		       "is delivered",
		    ctl_text_of(status, "freeze-state"));
}

static void
print_pauses(struct json_object *status)
{
	struct json_object *n;

	/* Of an older daemon there is none. */
	if (json_object_object_get_ex(status, "pauses", &n) &&
	    json_object_get_int64(n) > 0)
		printf("\npauses     %s: see cassatactl pauses",
		    json_object_get_string(n));
}

static void
print_test_clock(struct json_object *status)
{
	if (json_object_object_get_ex(status, "test-clock-ahead", NULL))
		printf("\ntest clock %s s ahead",
		    ctl_text_of(status, "test-clock-ahead"));
}

static void
print_children(struct json_object *status)
{
	struct json_object *children;

	if (!json_object_object_get_ex(status, "children", &children))
		return;
	for (size_t i = 0; i < json_object_array_length(children); i++) {
		struct json_object *child =
		    json_object_array_get_idx(children, i);

		printf("  %-8s %-3s pid %-8s %-9s for ",
		    ctl_text_of(child, "role"), ctl_text_of(child, "number"),
		    ctl_text_of(child, "pid"), ctl_text_of(child, "state"));
		print_age(child, "started");
		if (json_object_object_get_ex(child, "datastore-host", NULL)) {
			printf(", at ");
			print_member(child, "datastore-host");
		}
		printf("\n");
		if (json_object_object_get_ex(child, "trouble", NULL)) {
			printf("    datastore: ");
			print_member(child, "trouble");
			printf("\n");
		}
	}
}

static void
print_listening(struct json_object *status)
{
	struct json_object *list;

	if (!json_object_object_get_ex(status, "listening", &list))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		printf("listening  %s\n",
		    json_object_get_string(json_object_array_get_idx(list, i)));
}

static const char *
roles_text(enum config_roles roles)
{
	switch (roles) {
	case CONFIG_SERVICE_ONLY:
		return " (service)";
	case CONFIG_WORKER_ONLY:
		return " (worker)";
	case CONFIG_ALL:
	default:
		return "";
	}
}

static void
print_all(const struct ctl *ctl, struct json_object *status)
{
	printf("cassatad %s%s, pid %s, %s for ", ctl_text_of(status, "version"),
	    roles_text(ctl->roles), ctl_text_of(status, "pid"),
	    ctl_text_of(status, "state"));
	print_age(status, "started");
	printf("\nconfig     %s", ctl_text_of(status, "config"));
	print_datastore(status);
	print_weakness(status);
	print_freeze(status);
	print_pauses(status);
	print_test_clock(status);
	printf("\nsandbox    %s\n", ctl_text_of(status, "sandbox"));
	print_listening(status);
	print_children(status);
}

static int
print_status(const struct ctl *ctl, const struct buf *answer)
{
	struct json_object *status = json_tokener_parse(answer->p);
	int code;

	if (status == NULL) {
		(void)ctl_fail(ctl, "the daemon's answer is no JSON");
		return CTL_STATUS_UNKNOWN;
	}
	if (ctl->json)
		(void)ctl_print(stdout, buf_slice(answer), true);
	else
		print_all(ctl, status);
	code = is_failing(status)   ? CTL_STATUS_FAILING
	       : !is_thawed(status) ? CTL_STATUS_FROZEN
				    : CTL_OK;
	json_object_put(status);
	return code;
}

int
ctl_status(struct ctl *ctl)
{
	struct buf answer;
	struct err err;
	bool absent, left_behind;
	int status;

	if (ctl_find(ctl, &left_behind, &err) == 0) {
		puts(!ctl->json    ? "not running"
		     : left_behind ? "{\"state\":\"dead\"}"
				   : "{\"state\":\"stopped\"}");
		return left_behind ? CTL_STATUS_DEAD : CTL_STATUS_STOPPED;
	}
	buf_init(&answer, CTL_ANSWER_MAX_BYTES);
	if (ctl_ask(ctl, CONTROL_STATUS, CTL_ASK_TIMEOUT_MS, &answer, &absent,
		&err) == -1 ||
	    buf_append_char(&answer, '\0') == -1) {
		ctl_fail(ctl, "%s", err.text);
		status = CTL_STATUS_UNKNOWN;
	} else {
		answer.len--;
		status = print_status(ctl, &answer);
	}
	buf_free(&answer);
	return status;
}
