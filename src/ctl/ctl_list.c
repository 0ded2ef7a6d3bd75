/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_list.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_scan.h"
#include "base/percent.h"
#include "ctl/ctl_http.h"

enum { URL_MAX_BYTES = 64 * 1024, LIMIT = 100 };

struct list {
	const struct ctl *ctl;
	bool json;
	const char *server; /* or NULL */
	const char *fields; /* names with commas in between, or NULL */
	uint64_t left;      /* events to be told; UINT64_MAX: all */
	struct buf query;   /* "&name=value" of each filter */
	struct buf url;     /* up to the query */
	struct buf after;   /* the next page; empty for the first */
	bool damaged;       /* some were left out */
};

/* ---- a table ---- */

/* What is there of "due": the time that the list is in the order of. */
static const char usual_columns[] =
    "status,due,attempts,last-response-code,event-id,url";
static const char usual_fields[] =
    "status,next-attempt,finished,attempts,last-response-code,event-id,url";

static const struct column {
	struct slice name;
	size_t width; /* in characters */
	bool is_time;
} columns[] = {
    {SLICE_INIT("status"), 19, false},
    {SLICE_INIT("due"), 24, true},
    {SLICE_INIT("attempts"), 8, false},
    {SLICE_INIT("last-response-code"), 18, false},
    {SLICE_INIT("event-id"), 36, false},
    {SLICE_INIT("expiry"), 24, true},
    {SLICE_INIT("created"), 24, true},
    {SLICE_INIT("first-attempt"), 24, true},
    {SLICE_INIT("next-attempt"), 24, true},
    {SLICE_INIT("finished"), 24, true},
    {SLICE_INIT("not-after"), 24, true},
};

static struct column
column_of(struct slice name)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (slice_eq(name, columns[i].name))
			return columns[i];
	return (struct column){name, 20, false};
}

/* The next of the names that commas part; false at the end. */
static bool
next_column(const char **at, struct column *column)
{
	size_t len = strcspn(*at, ",");

	if (len == 0)
		return false;
	*column = column_of(slice_of(*at, len));
	*at += len + ((*at)[len] == ',');
	return true;
}

static void
print_cell(struct slice text, size_t width, bool last)
{
	size_t n = ctl_http_print(stdout, text, false);

	if (last)
		(void)putchar('\n');
	else
		printf("%*s", n < width ? (int)(width - n) + 2 : 2, "");
}

static void
print_titles(const char *names)
{
	struct column column;

	while (next_column(&names, &column))
		print_cell(column.name, column.width, *names == '\0');
}

/* False: it has no such member. A name of the API has no escapes. */
static bool
member_named(const struct json_value *object, struct slice name,
    struct json_value *value)
{
	struct slice key;
	const char *at = NULL;

	while (object->type == JSON_OBJECT &&
	       json_next_member(object, &at, &key, value))
		if (slice_eq(slice_of(key.p + 1, key.len - 2), name))
			return true;
	return false;
}

/* Seconds since 1970 as a date-time of UTC. */
static struct slice
time_text(struct slice number, char text[64])
{
	char digits[32];
	struct tm tm;
	double seconds;
	time_t whole;
	size_t len;

	if (number.len >= sizeof(digits))
		return number;
	memcpy(digits, number.p, number.len);
	digits[number.len] = '\0';
	seconds = strtod(digits, NULL);
	whole = (time_t)seconds;
	if (gmtime_r(&whole, &tm) == NULL)
		return number;
	len = strftime(text, 64, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, 64 - len, ".%03dZ",
	    (int)((seconds - (double)whole) * 1000 + 0.5));
	return slice_from_string(text);
}

static struct slice
cell_text(
    const struct json_value *event, const struct column *column, char text[64])
{
	struct json_value value;
	bool found = member_named(event, column->name, &value);

	if (!found && slice_eq(column->name, SLICE_LITERAL("due")))
		found = member_named(
			    event, SLICE_LITERAL("next-attempt"), &value) ||
			member_named(event, SLICE_LITERAL("finished"), &value);
	if (!found)
		return SLICE_LITERAL("-");
	if (value.type == JSON_STRING)
		return json_unescape(value.raw);
	return column->is_time && value.type == JSON_NUMBER
		   ? time_text(value.raw, text)
		   : value.raw;
}

static void
print_columns(const struct json_value *event, const char *names)
{
	struct column column;
	char text[64];

	while (next_column(&names, &column))
		print_cell(cell_text(event, &column, text), column.width,
		    *names == '\0');
}

/* ---- pages ---- */

/* Between the words of JSON, where they may stand, they end no line of ours. */
static void
make_one_line(struct buf *answer)
{
	for (size_t i = 0; i < answer->len; i++)
		if (answer->p[i] == '\n' || answer->p[i] == '\r' ||
		    answer->p[i] == '\t')
			answer->p[i] = ' ';
}

static void
print_event(const struct list *list, const struct json_value *event)
{
	if (!list->json) {
		print_columns(
		    event, list->fields == NULL ? usual_columns : list->fields);
		return;
	}
	ctl_http_print(stdout, event->raw, false);
	(void)putchar('\n');
}

/* Where the list goes on, if it does. */
static int
note_next(struct list *list, const struct json_value *page)
{
	struct json_value next, n;

	buf_reset(&list->after);
	if (member_named(page, SLICE_LITERAL("damaged"), &n)) {
		list->damaged = true;
		(void)ctl_fail(list->ctl,
		    "events that cannot be read, and are left out: %.*s",
		    (int)n.raw.len, n.raw.p);
	}
	if (!member_named(page, SLICE_LITERAL("next"), &next) ||
	    next.type != JSON_STRING)
		return CTL_OK;
	return percent_encode(&list->after, json_unescape(next.raw)) == 0
		   ? CTL_OK
		   : ctl_fail(list->ctl, "the answer is no list");
}

static int
print_page(struct list *list, struct buf *answer)
{
	struct json_value page, events, event;
	const char *at = NULL;
	struct err err;

	make_one_line(answer);
	if (json_scan(buf_slice(answer), &page, &err) == -1 ||
	    !member_named(&page, SLICE_LITERAL("events"), &events) ||
	    events.type != JSON_ARRAY)
		return ctl_fail(list->ctl, "the answer is no list");
	while (list->left > 0 && json_next_element(&events, &at, &event)) {
		print_event(list, &event);
		if (list->left != UINT64_MAX)
			list->left--;
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail(list->ctl, "cannot write the list");
	return note_next(list, &page);
}

static int
ask_page(struct list *list, struct buf *answer)
{
	uint64_t most = (uint64_t)list->ctl->cfg.service.max_list_page;
	size_t len = list->url.len;
	int status;

	buf_printf(&list->url, "?limit=%" PRIu64,
	    list->left < most ? list->left : most);
	buf_append_slice(&list->url, buf_slice(&list->query));
	if (list->after.len > 0) {
		buf_append_string(&list->url, "&after=");
		buf_append_slice(&list->url, buf_slice(&list->after));
	}
	if (buf_append_char(&list->url, '\0') == -1)
		return ctl_fail(list->ctl, "the list's URL is too long");
	status = ctl_http_ask(list->ctl, "GET", list->url.p, NULL, answer);
	list->url.len = len;
	return status;
}

static int
print_list(struct list *list)
{
	bool begun = false;
	int status;

	do {
		struct buf answer = {0};

		status = ask_page(list, &answer);
		if (status == CTL_OK && !begun && !list->json)
			print_titles(list->fields == NULL ? usual_columns
							  : list->fields);
		begun = true;
		if (status == CTL_OK)
			status = print_page(list, &answer);
		buf_free(&answer);
	} while (status == CTL_OK && list->left > 0 && list->after.len > 0);
	return status == CTL_OK && list->damaged ? CTL_FAILED : status;
}

/* ---- the command line ---- */

static const char usage[] =
    "usage: cassatactl event list [-S url] [--status states] [--from time]\n"
    "                             [--to time] [--destination host]\n"
    "                             [--label name=value] [--order due|-due]\n"
    "                             [--fields names] [--limit n] [--json]\n"
    "                             application\n";

/* Those whose name and value go to the server as they are have no letter. */
static const struct option options[] = {
    {"status", required_argument, NULL, 0},
    {"from", required_argument, NULL, 0},
    {"to", required_argument, NULL, 0},
    {"destination", required_argument, NULL, 0},
    {"label", required_argument, NULL, 0},
    {"order", required_argument, NULL, 0},
    {"fields", required_argument, NULL, 'f'},
    {"limit", required_argument, NULL, 'l'},
    {"json", no_argument, NULL, 'j'},
    {0},
};

static void
add_filter(struct list *list, const char *name, const char *value)
{
	buf_printf(&list->query, "&%s=", name);
	(void)percent_encode(&list->query, slice_from_string(value));
}

static int
take_limit(struct list *list, const char *text)
{
	if (slice_to_u64(slice_from_string(text), UINT32_MAX, &list->left) ==
	    -1) {
		(void)ctl_fail(list->ctl,
		    "--limit: not a number of events, or 0 for all: %s", text);
		return -1;
	}
	if (list->left == 0)
		list->left = UINT64_MAX;
	return 0;
}

static int
take_options(struct list *list, struct ctl *ctl)
{
	int c, i;

	optind = 0; /* a new list of words */
	while (
	    (c = getopt_long(ctl->argc, ctl->argv, "S:", options, &i)) != -1) {
		switch (c) {
		case 0:
			add_filter(list, options[i].name, optarg);
			break;
		case 'f':
			list->fields = optarg;
			break;
		case 'j':
			list->json = true;
			break;
		case 'l':
			if (take_limit(list, optarg) == -1)
				return -1;
			break;
		case 'S':
			list->server = optarg;
			break;
		default:
			return -1;
		}
	}
	ctl->argc -= optind;
	ctl->argv += optind;
	return ctl->argc == 1 ? 0 : -1;
}

static int
begin_list(struct list *list, const struct ctl *ctl)
{
	if (list->fields != NULL || !list->json)
		add_filter(list, "fields",
		    list->fields == NULL ? usual_fields : list->fields);
	ctl_http_begin_url(ctl, list->server, &list->url);
	buf_append_string(&list->url, "/cassata/events/");
	(void)percent_encode(&list->url, slice_from_string(ctl->argv[0]));
	return print_list(list);
}

int
ctl_list(struct ctl *ctl)
{
	struct list list = {.ctl = ctl, .json = ctl->json, .left = LIMIT};
	int status;

	buf_init(&list.query, URL_MAX_BYTES);
	buf_init(&list.url, URL_MAX_BYTES);
	buf_init(&list.after, URL_MAX_BYTES);
	if (take_options(&list, ctl) == -1) {
		fputs(usage, stderr);
		status = CTL_USAGE;
	} else
		status = begin_list(&list, ctl);
	buf_free(&list.query);
	buf_free(&list.url);
	buf_free(&list.after);
	return status;
}
