/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/rfc3339.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_options.h"
#include "ctl/progress.h"

#define NO_CLOCK    "the answer is no clock"
#define SPAN_MAX_MS (INT64_MAX / 2) /* the server's bound is far below */

enum {
	WITHIN_MS = 1000, /* after each of which there is something to show */
	/* What is due at one time may take long. */
	ADVANCE_TIMEOUT_MS = 86400000,
};

static const char clock_usage[] =
    "usage: cassatactl clock [-S url] [--json] [advance span]\n";

struct clock_asked {
	struct ctl *ctl;
	struct buf url, answer;
	int64_t whole_ms, left_ms; /* of an advance */
	struct progress progress;
};

/* Of a time in seconds; -1 of what is none up to the year 9999. */
static int64_t
ms_of(const struct json_value *clock, const char *name)
{
	struct json_value value;
	double seconds = -1;
	char text[64];

	if (ctl_member(clock, name, &value) && value.type == JSON_NUMBER &&
	    value.raw.len < sizeof(text)) {
		(void)snprintf(text, sizeof(text), "%.*s", (int)value.raw.len,
		    value.raw.p);
		seconds = strtod(text, NULL);
	}
	return seconds >= 0 && seconds < 253402300799.0
		   ? (int64_t)(seconds * 1000 + 0.5)
		   : -1;
}

static int
print_clock(const struct ctl *ctl, const struct json_value *clock)
{
	int64_t now_ms = ms_of(clock, "now"), ahead_ms = ms_of(clock, "ahead");
	char now[RFC3339_TEXT], ahead[DURATION_TEXT];

	if (now_ms == -1 || ahead_ms == -1)
		return ctl_fail(ctl, NO_CLOCK);
	if (ctl->json) {
		ctl_answer_print_json(clock);
		return CTL_OK;
	}
	rfc3339_write(now_ms, 0, now);
	duration_write(ahead_ms, ahead);
	printf("%s, %s ahead\n", now, ahead);
	return CTL_OK;
}

/* span: NULL only asks. */
static int
ask_clock(struct clock_asked *a, const char *span, struct json_value *clock)
{
	struct ctl *ctl = a->ctl;
	char body[128];
	struct err err;
	long status;

	if (span != NULL)
		(void)snprintf(body, sizeof(body),
		    "{\"advance\":\"%s\",\"within\":\"%dms\"}", span,
		    WITHIN_MS);
	buf_free(&a->answer);
	status = ctl_http_send(ctl, span == NULL ? "GET" : "POST", a->url.p,
	    span == NULL ? NULL : body, &a->answer, &err);
	progress_clear(&a->progress);
	if (status == -1)
		return ctl_fail(ctl, "%s: %s", a->url.p, err.text);
	if (status == 404)
		return ctl_fail(ctl,
		    "the daemon has no clock for tests: it is to be started "
		    "with cassatad --test-clock, or cassatactl start "
		    "--test-clock");
	if (status / 100 != 2)
		return ctl_answer_refused(ctl, NULL, status, &a->answer);
	return ctl_answer_read(ctl, "clock", &a->answer, clock);
}

/* What is left to ask for: it becomes less each time, or the answer is none. */
static int
read_left(struct clock_asked *a, const struct json_value *clock)
{
	struct json_value left;
	int64_t ms;

	if (!ctl_member(clock, "left", &left))
		ms = 0;
	else if (left.type != JSON_STRING ||
		 duration_parse(slice_of(left.raw.p + 1, left.raw.len - 2),
		     a->left_ms - 1, &ms) == -1 ||
		 ms == 0)
		return ctl_fail(a->ctl, NO_CLOCK);
	a->left_ms = ms;
	return CTL_OK;
}

static void
show_advance(struct clock_asked *a, const struct json_value *clock)
{
	char bar[PROGRESS_BAR], now[RFC3339_TEXT];

	if (!progress_is_due(&a->progress))
		return;
	progress_bar(a->whole_ms - a->left_ms, a->whole_ms, bar);
	rfc3339_write(ms_of(clock, "now"), 0, now);
	progress_show(&a->progress, "%s %s", bar, now);
}

/* A piece after the other, until nothing is left of it. */
static int
advance_clock(struct clock_asked *a, struct json_value *clock)
{
	char span[DURATION_TEXT];
	int status;

	do {
		duration_write(a->left_ms, span);
		status = ask_clock(a, span, clock);
		if (status == CTL_OK)
			status = read_left(a, clock);
		if (status == CTL_OK && a->left_ms > 0)
			show_advance(a, clock);
	} while (status == CTL_OK && a->left_ms > 0);
	progress_clear(&a->progress);
	return status;
}

/* ms: 0 only asks. */
static int
ask_or_advance(struct ctl *ctl, int64_t ms)
{
	struct clock_asked a = {.ctl = ctl, .whole_ms = ms, .left_ms = ms};
	struct json_value clock;
	int status =
	    ctl_http_url(ctl, &a.url, "/cassata/admin/clock", NULL, NULL, "");

	progress_init(&a.progress);
	if (status == CTL_OK)
		status = ms == 0 ? ask_clock(&a, NULL, &clock)
				 : advance_clock(&a, &clock);
	if (status == CTL_OK)
		status = print_clock(ctl, &clock);
	buf_free(&a.url);
	buf_free(&a.answer);
	return status;
}

int
ctl_clock(struct ctl *ctl)
{
	static const struct option rows[] = {CTL_OPTION_JSON, {0}};
	int64_t ms;

	if (ctl_wants_help(ctl))
		return ctl_show_usage(clock_usage);
	if (ctl_options(ctl, "S:", rows, NULL, NULL) == -1)
		return ctl_refuse_usage(clock_usage);
	if (ctl->argc == 0)
		return ask_or_advance(ctl, 0);
	if (ctl->argc != 2 || strcmp(ctl->argv[0], "advance") != 0)
		return ctl_refuse_usage(clock_usage);
	if (duration_parse(slice_from_string(ctl->argv[1]), SPAN_MAX_MS, &ms) ==
		-1 ||
	    ms == 0)
		return ctl_fail(
		    ctl, "not a span, as 30d or 36h: %s", ctl->argv[1]);
	if (ctl->timeout_ms == 0)
		ctl->timeout_ms = ADVANCE_TIMEOUT_MS;
	return ask_or_advance(ctl, ms);
}
