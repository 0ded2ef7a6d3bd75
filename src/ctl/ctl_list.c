/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_list.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/percent.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_watch.h"

enum {
	LIST_URL_MAX_BYTES = 64 * 1024,
	LIMIT = 100,
	EMPTY_PAGES_MAX = 100000, /* each is of service.maxListScan rows */
};

struct list {
	const struct ctl *ctl;
	const char *fields; /* names with commas in between, or NULL */
	uint64_t limit;     /* UINT64_MAX: all */
	uint64_t left;      /* events to be told */
	struct buf query;   /* "&name=value" of each filter */
	struct buf url;     /* up to the query */
	struct buf after;   /* the next page; empty for the first */
	unsigned n_empty;   /* pages without an event, one after the other */
	bool damaged;       /* some were left out */
};

/* What is there of "due": the time that the list is in the order of. */
static const char usual_columns[] =
    "status,due,attempts,last-response-code,event-id,url";
static const char usual_fields[] =
    "status,next-attempt,finished,attempts,last-response-code,event-id,url";

/* ---- pages ---- */

static const char *
columns_of(const struct list *list)
{
	return list->fields == NULL ? usual_columns : list->fields;
}

static void
print_event(const struct list *list, const struct json_value *event)
{
	if (list->ctl->json)
		ctl_answer_print_json(event);
	else
		ctl_table_row(event, columns_of(list));
}

/* Where the list goes on, if it does: not where it was, nor for ever. */
static int
note_next(struct list *list, const struct json_value *page)
{
	struct json_value next, n;
	struct buf before = list->after;
	bool repeated;

	if (ctl_member(page, "damaged", &n)) {
		list->damaged = true;
		(void)ctl_fail(list->ctl,
		    "events that cannot be read, and are left out: %.*s",
		    (int)(n.raw.len < 20 ? n.raw.len : 20), n.raw.p);
	}
	buf_init(&list->after, LIST_URL_MAX_BYTES);
	if (ctl_member(page, "next", &next) && next.type == JSON_STRING)
		(void)ctl_answer_encode(&list->after, &next);
	repeated = list->after.len > 0 &&
		   slice_eq(buf_slice(&before), buf_slice(&list->after));
	buf_free(&before);
	return repeated || list->after.failed || list->n_empty > EMPTY_PAGES_MAX
		   ? ctl_fail(list->ctl, "the answer is no list")
		   : CTL_OK;
}

static int
print_page(struct list *list, struct buf *answer)
{
	struct json_value page, events, event;
	const char *at = NULL;

	if (ctl_answer_read(list->ctl, "list", answer, &page) != CTL_OK)
		return CTL_FAILED;
	if (!ctl_member(&page, "events", &events) || events.type != JSON_ARRAY)
		return ctl_fail(list->ctl, "the answer is no list");
	list->n_empty++;
	while (list->left > 0 && json_next_element(&events, &at, &event)) {
		list->n_empty = 0;
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
print_list(void *arg)
{
	struct list *list = arg;
	bool begun = false;
	int status;

	list->left = list->limit;
	buf_reset(&list->after);
	do {
		struct buf answer = {0};

		status = ask_page(list, &answer);
		if (status == CTL_OK && !begun && !list->ctl->json)
			ctl_table_titles(columns_of(list));
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
    "                             [--fields names] [--limit n | --all]\n"
    "                             [--watch] [--json] application\n";

/* Those whose name and value go to the server as they are have no letter. */
static const struct option options[] = {
    {"status", required_argument, NULL, 0},
    {"from", required_argument, NULL, 0},
    {"to", required_argument, NULL, 0},
    {"destination", required_argument, NULL, 0},
    {"label", required_argument, NULL, 0},
    {"order", required_argument, NULL, 0},
    {"fields", required_argument, NULL, 'f'},
    CTL_OPTION_LIMIT,
    CTL_OPTION_ALL,
    CTL_OPTION_WATCH,
    CTL_OPTION_JSON,
    {0},
};

static void
add_filter(struct list *list, const char *name, const char *value)
{
	buf_printf(&list->query, "&%s=", name);
	(void)percent_encode(&list->query, slice_from_string(value));
}

static int
take_list_option(void *arg, int c, const char *name)
{
	struct list *list = arg;

	switch (c) {
	case 0:
		add_filter(list, name, optarg);
		return 0;
	case 'f':
		list->fields = optarg;
		return 0;
	case 'A':
	case 'l':
		return ctl_options_limit(list->ctl, c, &list->limit);
	default:
		return -1;
	}
}

static int
begin_list(struct list *list, const struct ctl *ctl)
{
	int status;

	if (list->fields != NULL || !ctl->json)
		add_filter(list, "fields",
		    list->fields == NULL ? usual_fields : list->fields);
	status = ctl_http_url(
	    ctl, &list->url, "/cassata/events", ctl->argv[0], NULL, "");
	if (status != CTL_OK)
		return status;
	list->url.len--; /* the NUL: a query follows */
	return ctl_watch_each_second(ctl, print_list, list);
}

int
ctl_list(struct ctl *ctl)
{
	struct list list = {.ctl = ctl, .limit = LIMIT};
	int status;

	buf_init(&list.query, LIST_URL_MAX_BYTES);
	buf_init(&list.after, LIST_URL_MAX_BYTES);
	if (ctl_wants_help(ctl))
		status = ctl_show_usage(usage);
	else if (ctl_options(ctl, "S:", options, take_list_option, &list) ==
		     -1 ||
		 ctl->argc != 1)
		status = ctl_refuse_usage(usage);
	else
		status = begin_list(&list, ctl);
	buf_free(&list.query);
	buf_free(&list.url);
	buf_free(&list.after);
	return status;
}
