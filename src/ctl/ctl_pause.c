/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_pause.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/percent.h"
#include "base/rfc3339.h"
#include "ctl/ctl_http.h"

enum { URL_MAX_BYTES = 64 * 1024 };

static const char usage[] =
    "usage: cassatactl pause [-S url] [-n note] [-u until] app | host name\n"
    "       cassatactl resume [-S url] app | host name\n"
    "       cassatactl pauses [-S url] [--json]\n";

struct pause_flags {
	const char *server; /* http://host:port, or NULL: from the daemon */
	const char *note, *until;
	bool json;
};

static int
refuse_usage(void)
{
	fputs(usage, stderr);
	return CTL_USAGE;
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
			flags->json = true;
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

	if (parse_pause_options(ctl, "+S:n:u:", &flags) == -1 || flags.json)
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

	if (parse_pause_options(ctl, "+S:", &flags) == -1 || flags.json)
		return refuse_usage();
	return change_pause(ctl, &flags, "resume", NULL);
}

/* ---- a table ---- */

static const char *
text_of_pause(struct json_object *pause, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(pause, name, &value)
		   ? json_object_get_string(value)
		   : NULL;
}

static void
print_moment(struct json_object *pause, const char *name)
{
	char text[RFC3339_TEXT] = "-";
	struct json_object *value;

	if (json_object_object_get_ex(pause, name, &value))
		rfc3339_write(
		    (int64_t)(json_object_get_double(value) * 1000 + 0.5), 0,
		    text);
	printf("%-24s  ", text);
}

static void
print_pause(struct json_object *pause)
{
	const char *app = text_of_pause(pause, "application-id");
	const char *host = text_of_pause(pause, "destination");
	const char *note = text_of_pause(pause, "note");
	const char *name = app != NULL ? app : host != NULL ? host : "-";

	print_moment(pause, "since");
	print_moment(pause, "until");
	printf("%-4s  ", app != NULL ? "app" : "host");
	ctl_http_print(stdout, slice_from_string(name), false);
	if (note != NULL) {
		printf("  ");
		ctl_http_print(stdout, slice_from_string(note), false);
	}
	(void)putchar('\n');
}

static int
print_pause_table(const struct ctl *ctl, const struct buf *answer)
{
	struct json_object *all = json_tokener_parse(answer->p), *list;

	if (!json_object_object_get_ex(all, "pauses", &list) ||
	    !json_object_is_type(list, json_type_array)) {
		json_object_put(all);
		return ctl_fail(ctl, "the answer is no list of pauses");
	}
	printf("%-24s  %-24s  %-4s  %s\n", "since", "until", "what", "name");
	for (size_t i = 0; i < json_object_array_length(list); i++)
		print_pause(json_object_array_get_idx(list, i));
	json_object_put(all);
	return CTL_OK;
}

int
ctl_pauses(struct ctl *ctl)
{
	struct pause_flags flags = {0};
	struct buf url, answer;
	int status;

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
		if (status == CTL_OK && flags.json)
			ctl_http_print(stdout, buf_slice(&answer), true);
		else if (status == CTL_OK &&
			 buf_append_char(&answer, '\0') == 0)
			status = print_pause_table(ctl, &answer);
		buf_free(&answer);
	}
	buf_free(&url);
	return status;
}
