/* SPDX-License-Identifier: ISC */
#include "service/api_list.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/log.h"
#include "http/http_conn.h"
#include "service/event_member.h"
#include "service/list_query.h"
#include "service/problem.h"
#include "service/state.h"

/* A page that is being made. */
struct list {
	struct call *call;
	struct list_asked asked;
	struct buf text; /* of the query, decoded */
	struct store_job job;

	/* Of the thread, between submit and done. */
	struct buf page;
	struct json_writer writer;
	int n;            /* events in it */
	size_t n_damaged; /* that were left out */
	bool end;         /* there are no more */
	TAILQ_ENTRY(list) entry;
};

static void
free_list(struct list *list)
{
	buf_free(&list->text);
	buf_free(&list->page);
	free(list);
}

static void
end_list(struct list *list)
{
	struct service *service = list->call->service;

	TAILQ_REMOVE(&service->lists, list, entry);
	service->n_lists--;
	free_list(list);
}

/* ---- on the thread ---- */

static bool
take_record(void *arg, struct store_record *record)
{
	struct list *list = arg;
	const struct config_service *cfg = &list->call->service->cfg->service;

	json_object(&list->writer, NULL);
	for (unsigned m = 0; m < EVENT_MEMBERS; m++)
		if ((list->asked.fields >> m & 1) != 0)
			event_member_write(
			    &list->writer, (enum event_member)m, record);
	json_end_object(&list->writer);
	store_record_free(record);
	list->n++;
	return !list->page.failed &&
	       list->page.len < (size_t)cfg->max_list_bytes;
}

/* As many as have what is missing, if the next ones are of the list as often.
 */
static size_t
size_of_look(const struct list *list, size_t n_looked)
{
	size_t missing = (size_t)(list->asked.limit - list->n);

	return list->n == 0 ? LIST_LOOK_MAX
			    : missing * n_looked / (size_t)list->n + 1;
}

static void
read_page(struct list *list, struct store *store)
{
	const struct config_service *cfg = &list->call->service->cfg->service;
	struct call *call = list->call;
	struct list_step step = {.query = &list->asked.query,
	    .n_look = (size_t)list->asked.limit,
	    .take = take_record,
	    .arg = list,
	    /* So lists have half of a processor, or a database, at most. */
	    .pace = {.rests = 1},
	    .place = list->asked.place};
	size_t n_looked = 0;
	bool full = false;

	while (!full && !step.end && n_looked < (size_t)cfg->max_list_scan) {
		step.n_wanted = (size_t)(list->asked.limit - list->n);
		call->status = store_list(store, &step, &call->err);
		if (call->status != STORE_OK)
			return;
		n_looked += step.n_looked;
		step.n_look = size_of_look(list, n_looked);
		list->n_damaged += step.n_damaged;
		full = list->n == list->asked.limit || list->page.failed ||
		       list->page.len >= (size_t)cfg->max_list_bytes ||
		       atomic_load(&call->service->leaving);
	}
	list->end = step.end;
	list->asked.place = step.place;
}

static void
end_page(struct list *list)
{
	char cursor[LIST_CURSOR_MAX + 1];

	json_end_array(&list->writer);
	if (list->n_damaged > 0)
		json_number(&list->writer, "damaged", (int64_t)list->n_damaged);
	if (!list->end) {
		if (!list_cursor_make(
			&list->asked.query, &list->asked.place, cursor))
			list->page.failed = true;
		json_string(&list->writer, "next", cursor);
	}
	json_end_object(&list->writer);
	(void)buf_append_char(&list->page, '\n');
}

static void
run_list(struct store *store, struct store_job *job)
{
	struct list *list = container_of(job, struct list, job);

	list->writer = (struct json_writer){.out = &list->page};
	json_object(&list->writer, NULL);
	json_array(&list->writer, "events");
	read_page(list, store);
	if (list->call->status == STORE_OK)
		end_page(list);
}

/* ---- on the loop ---- */

static void
answer_list(struct call *call, const struct list *list)
{
	struct http_exchange *x = call->x;

	if (!call_store_ok(call))
		return;
	if (list->n_damaged > 0)
		log_warnx("a list left out %zu events that cannot be read",
		    list->n_damaged);
	http_exchange_answer(x, 200, "application/json");
	if (list->page.failed ||
	    buf_append_slice(&x->body, buf_slice(&list->page)) == -1)
		(void)problem_no_memory(x);
}

static void
list_done(struct store_job *job)
{
	struct list *list = container_of(job, struct list, job);
	struct call *call = list->call;

	answer_list(call, list);
	end_list(list);
	http_conn_answered(call->x);
}

static int
open_thread(struct service *service, struct err *err)
{
	struct store_params params;
	struct store *store;

	if (service->list_store != NULL)
		return 0;
	child_store_params(service->child, &params);
	if (store_open(&params, &store, err) == -1)
		return -1;
	service->list_store =
	    store_thread_create(store, service->child->loop, err);
	if (service->list_store != NULL)
		return 0;
	store_close(&store);
	return -1;
}

static struct list *
make_list(struct call *call)
{
	struct list *list = calloc(1, sizeof(*list));

	if (list == NULL)
		return NULL;
	list->call = call;
	buf_init(&list->text, call->x->req.query.len + 1);
	/* Now: later a lack of it would look like a fault of the request. */
	if (buf_reserve(&list->text, list->text.max) == -1) {
		free(list);
		return NULL;
	}
	buf_init(&list->page, SIZE_MAX / 2);
	TAILQ_INSERT_TAIL(&call->service->lists, list, entry);
	call->service->n_lists++;
	return list;
}

enum verdict
api_list(struct call *call)
{
	struct service *service = call->service;
	const struct config_service *cfg = &service->cfg->service;
	struct slice app = call->params[0];
	struct list *list;
	struct err err;

	if (app.len > EVENT_APP_MAX)
		return problem(call->x, 404, "no application has that name");
	if (service->n_lists >= cfg->max_lists)
		return problem_for_now(call->x, PROBLEM_BUSY,
		    "too many lists are under way", PROBLEM_RETRY_S);
	list = make_list(call);
	if (list == NULL)
		return problem_no_memory(call->x);
	if (list_query_read(app, call->x->req.query, cfg->max_list_page,
		&list->text, &list->asked, &err) == -1) {
		end_list(list);
		return problem(call->x, 400, err.text);
	}
	if (open_thread(service, &err) == -1) {
		log_warnx("cannot list events: %s", err.text);
		end_list(list);
		return problem_no_memory(call->x);
	}
	list->job.run = run_list;
	list->job.done = list_done;
	store_thread_submit(service->list_store, &list->job);
	return LATER;
}

void
api_list_fini(struct service *service)
{
	struct list *list, *next;

	store_thread_free(&service->list_store);
	for (list = TAILQ_FIRST(&service->lists); list != NULL; list = next) {
		next = TAILQ_NEXT(list, entry);
		free_list(list);
	}
	TAILQ_INIT(&service->lists);
	service->n_lists = 0;
}
