/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_clock.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/duration.h"
#include "base/rfc3339.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_print.h"

enum {
	/* What is due in thirty days may take long. */
	ADVANCE_TIMEOUT_MS = 86400000,
};

static const char clock_usage[] =
    "usage: cassatactl clock [-S url] [--json] [advance span]\n";

/* -1 of what is no time up to the year 9999. */
static int64_t
ms_of(struct json_object *clock, const char *name)
{
	struct json_object *value;
	double seconds = -1;

	if (json_object_object_get_ex(clock, name, &value))
		seconds = json_object_get_double(value);
	return seconds >= 0 && seconds < 253402300799.0
		   ? (int64_t)(seconds * 1000 + 0.5)
		   : -1;
}

static int
print_clock(const struct ctl *ctl, const struct buf *answer)
{
	struct json_object *clock = json_tokener_parse(answer->p);
	int64_t now_ms = ms_of(clock, "now"), ahead_ms = ms_of(clock, "ahead");
	char now[RFC3339_TEXT], ahead[DURATION_TEXT];

	json_object_put(clock);
	if (now_ms == -1 || ahead_ms == -1)
		return ctl_fail(ctl, "the answer is no clock");
	rfc3339_write(now_ms, 0, now);
	duration_write(ahead_ms, ahead);
	printf("%s, %s ahead\n", now, ahead);
	return CTL_OK;
}

/* span: NULL only asks. */
static int
ask_clock(struct ctl *ctl, const char *span)
{
	struct json_object *body = json_object_new_object();
	struct buf url, answer;
	int status;

	if (span != NULL)
		json_object_object_add(
		    body, "advance", json_object_new_string(span));
	status =
	    ctl_http_url(ctl, &url, "/cassata/admin/clock", NULL, NULL, "");
	if (status == CTL_OK) {
		status = ctl_http_ask(ctl, span == NULL ? "GET" : "POST", url.p,
		    span == NULL ? NULL : json_object_to_json_string(body),
		    &answer);
		if (status == CTL_OK && ctl->json)
			ctl_print(stdout, buf_slice(&answer), true);
		else if (status == CTL_OK &&
			 buf_append_char(&answer, '\0') == 0)
			status = print_clock(ctl, &answer);
		buf_free(&answer);
	}
	buf_free(&url);
	json_object_put(body);
	return status;
}

int
ctl_clock(struct ctl *ctl)
{
	static const struct option rows[] = {CTL_OPTION_JSON, {0}};

	if (ctl_wants_help(ctl))
		return ctl_show_usage(clock_usage);
	if (ctl_options(ctl, "S:", rows, NULL, NULL) == -1)
		return ctl_refuse_usage(clock_usage);
	if (ctl->argc == 0)
		return ask_clock(ctl, NULL);
	if (ctl->argc != 2 || strcmp(ctl->argv[0], "advance") != 0)
		return ctl_refuse_usage(clock_usage);
	if (ctl->timeout_ms == 0)
		ctl->timeout_ms = ADVANCE_TIMEOUT_MS;
	return ask_clock(ctl, ctl->argv[1]);
}
