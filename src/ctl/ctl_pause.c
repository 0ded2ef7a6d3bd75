/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_pause.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_each.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_watch.h"

static const char usage[] =
    "usage: cassatactl pause [-S url] [-n note] [-u until] [--json]\n"
    "                        app | host name ...\n"
    "       cassatactl resume [-S url] [--json] app | host name ...\n"
    "       cassatactl pauses [-S url] [--watch] [--json]\n";

struct pause_flags {
	const char *note, *until;
};

static int
take_pause_option(void *arg, int c, const char *name)
{
	struct pause_flags *flags = arg;

	(void)name;
	*(c == 'n' ? &flags->note : &flags->until) = optarg;
	return 0;
}

static int
read_pause_options(
    struct ctl *ctl, const char *letters, struct pause_flags *flags)
{
	static const struct option rows[] = {
	    CTL_OPTION_JSON, CTL_OPTION_WATCH, {0}};

	return ctl_options(ctl, letters, rows, take_pause_option, flags);
}

/* A number is seconds; all else the server reads. */
static void
add_until(struct json_object *body, const char *until)
{
	char *end;
	double seconds = strtod(until, &end);

	json_object_object_add(body, "until",
	    *end == '\0' && end != until
		? json_object_new_double_s(seconds, until)
		: json_object_new_string(until));
}

/* "app" or "host", and names. */
static int
change_pauses(const struct ctl *ctl, const char *verb, struct json_object *body)
{
	char path[64];
	const struct ctl_each each = {
	    .method = "POST",
	    .path = path,
	    .tail = "",
	    .body = body == NULL ? NULL
				 : json_object_to_json_string_ext(
				       body, JSON_C_TO_STRING_PLAIN),
	};

	if (ctl->watch || ctl->argc < 2 ||
	    (strcmp(ctl->argv[0], "app") != 0 &&
		strcmp(ctl->argv[0], "host") != 0))
		return ctl_refuse_usage(usage);
	(void)snprintf(
	    path, sizeof(path), "/cassata/%s/%s", verb, ctl->argv[0]);
	return ctl_each(ctl, &each, ctl->argv + 1, ctl->argc - 1);
}

int
ctl_pause(struct ctl *ctl)
{
	struct pause_flags flags = {0};
	struct json_object *body;
	int status;

	if (ctl_wants_help(ctl))
		return ctl_show_usage(usage);
	if (read_pause_options(ctl, "S:n:u:", &flags) == -1)
		return ctl_refuse_usage(usage);
	body = json_object_new_object();
	if (flags.note != NULL)
		json_object_object_add(
		    body, "note", json_object_new_string(flags.note));
	if (flags.until != NULL)
		add_until(body, flags.until);
	status = change_pauses(ctl, "pause", body);
	json_object_put(body);
	return status;
}

int
ctl_resume(struct ctl *ctl)
{
	struct pause_flags flags = {0};

	if (ctl_wants_help(ctl))
		return ctl_show_usage(usage);
	if (read_pause_options(ctl, "S:", &flags) == -1)
		return ctl_refuse_usage(usage);
	return change_pauses(ctl, "resume", NULL);
}

/* ---- a table ---- */

static const struct json_value *
member_or_null(
    const struct json_value *pause, const char *name, struct json_value *value)
{
	return ctl_member(pause, name, value) ? value : NULL;
}

static void
print_pause(const struct json_value *pause)
{
	struct json_value value;
	bool is_app = ctl_member(pause, "application-id", &value);

	ctl_table_time(member_or_null(pause, "since", &value));
	ctl_table_time(member_or_null(pause, "until", &value));
	ctl_table_word(is_app ? "app" : "host", 4);
	ctl_table_cell(member_or_null(pause,
			   is_app ? "application-id" : "destination", &value),
	    0);
	if (ctl_member(pause, "note", &value))
		(void)ctl_answer_print(stdout, &value);
	(void)putchar('\n');
}

static int
print_pause_table(const struct ctl *ctl, struct buf *answer)
{
	struct json_value all, list, pause;
	const char *at = NULL;

	if (ctl_answer_read(ctl, "list of pauses", answer, &all) != CTL_OK)
		return CTL_FAILED;
	if (!ctl_member(&all, "pauses", &list) || list.type != JSON_ARRAY)
		return ctl_fail(ctl, "the answer is no list of pauses");
	if (ctl->json) {
		ctl_answer_print_json(&all);
		return CTL_OK;
	}
	ctl_table_word("since", 24);
	ctl_table_word("until", 24);
	ctl_table_word("what", 4);
	puts("name");
	while (json_next_element(&list, &at, &pause))
		print_pause(&pause);
	return CTL_OK;
}

static int
show_pauses(void *arg)
{
	const struct ctl *ctl = arg;
	struct buf url, answer;
	int status = ctl_http_url(ctl, &url, "/cassata/pauses", NULL, NULL, "");

	if (status == CTL_OK) {
		status = ctl_http_ask(ctl, "GET", url.p, NULL, &answer);
		if (status == CTL_OK)
			status = print_pause_table(ctl, &answer);
		buf_free(&answer);
	}
	buf_free(&url);
	return status;
}

int
ctl_pauses(struct ctl *ctl)
{
	struct pause_flags flags = {0};

	if (ctl_wants_help(ctl))
		return ctl_show_usage(usage);
	if (read_pause_options(ctl, "S:", &flags) == -1 || ctl->argc != 0)
		return ctl_refuse_usage(usage);
	return ctl_watch_each_second(ctl, show_pauses, ctl);
}
