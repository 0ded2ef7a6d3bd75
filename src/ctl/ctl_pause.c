/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_pause.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/percent.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_table.h"

enum { URL_MAX_BYTES = 64 * 1024 };

static const char usage[] =
    "usage: cassatactl pause [-S url] [-n note] [-u until] [--json]\n"
    "                        app | host name\n"
    "       cassatactl resume [-S url] [--json] app | host name\n"
    "       cassatactl pauses [-S url] [--json]\n";

struct pause_flags {
	const char *server; /* http://host:port, or NULL: from the daemon */
	const char *note, *until;
};

static int
refuse_usage(void)
{
	fputs(usage, stderr);
	return CTL_USAGE;
}

static int
show_usage(void)
{
	fputs(usage, stdout);
	return CTL_OK;
}

static int
parse_pause_options(
    struct ctl *ctl, const char *letters, struct pause_flags *flags)
{
	static const struct option names[] = {
	    {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int c;

	optind = 0; /* a new list, behind the word before it */
	while ((c = getopt_long(ctl->argc + 1, ctl->argv - 1, letters, names,
		    NULL)) != -1) {
		if (c == 'S')
			flags->server = optarg;
		else if (c == 'n')
			flags->note = optarg;
		else if (c == 'u')
			flags->until = optarg;
		else if (c == 'j')
			ctl->json = true;
		else
			return -1;
	}
	ctl->argc -= optind - 1;
	ctl->argv += optind - 1;
	return 0;
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

/* "app" or "host", and a name. */
static int
change_pause(struct ctl *ctl, const struct pause_flags *flags, const char *path,
    struct json_object *body)
{
	struct buf url;
	int status;

	if (ctl->argc != 2 || (strcmp(ctl->argv[0], "app") != 0 &&
				  strcmp(ctl->argv[0], "host") != 0))
		return refuse_usage();
	buf_init(&url, URL_MAX_BYTES);
	ctl_http_begin_url(ctl, flags->server, &url);
	buf_printf(&url, "/cassata/%s/%s/", path, ctl->argv[0]);
	percent_encode(&url, slice_from_string(ctl->argv[1]));
	if (buf_append_char(&url, '\0') == -1)
		status = ctl_fail(ctl, "the name is too long");
	else
		status = ctl_http_perform(ctl, "POST", url.p,
		    body == NULL ? NULL
				 : json_object_to_json_string_ext(
				       body, JSON_C_TO_STRING_PLAIN));
	buf_free(&url);
	return status;
}

int
ctl_pause(struct ctl *ctl)
{
	struct pause_flags flags = {0};
	struct json_object *body;
	int status;

	if (ctl_wants_help(ctl))
		return show_usage();
	if (parse_pause_options(ctl, "+S:n:u:", &flags) == -1)
		return refuse_usage();
	body = json_object_new_object();
	if (flags.note != NULL)
		json_object_object_add(
		    body, "note", json_object_new_string(flags.note));
	if (flags.until != NULL)
		add_until(body, flags.until);
	status = change_pause(ctl, &flags, "pause", body);
	json_object_put(body);
	return status;
}

int
ctl_resume(struct ctl *ctl)
{
	struct pause_flags flags = {0};

	if (ctl_wants_help(ctl))
		return show_usage();
	if (parse_pause_options(ctl, "+S:", &flags) == -1)
		return refuse_usage();
	return change_pause(ctl, &flags, "resume", NULL);
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

int
ctl_pauses(struct ctl *ctl)
{
	struct pause_flags flags = {0};
	struct buf url, answer;
	int status;

	if (ctl_wants_help(ctl))
		return show_usage();
	if (parse_pause_options(ctl, "+S:", &flags) == -1 || ctl->argc != 0)
		return refuse_usage();
	buf_init(&url, URL_MAX_BYTES);
	ctl_http_begin_url(ctl, flags.server, &url);
	buf_append_string(&url, "/cassata/pauses");
	if (buf_append_char(&url, '\0') == -1)
		status = ctl_fail(ctl, "out of memory");
	else
		status = ctl_http_ask(ctl, "GET", url.p, NULL, &answer);
	if (!url.failed) {
		if (status == CTL_OK)
			status = print_pause_table(ctl, &answer);
		buf_free(&answer);
	}
	buf_free(&url);
	return status;
}
