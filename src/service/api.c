/* SPDX-License-Identifier: ISC */
#include "service/api.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/percent.h"
#include "board/metrics.h"
#include "event/event_json.h"
#include "service/service.h"

#define JSON_TYPE    "application/json"
#define PROBLEM_TYPE "application/problem+json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { NO_ROOM_RETRY_AFTER_S = 30 }; /* deletes and the purge make room */

static void
add_text(struct exchange *x, const char *text)
{
	buf_append_string(&x->body, text);
}

static void
add_member(struct exchange *x, const char *name, struct slice value)
{
	buf_printf(&x->body, "%s\"%s\":", x->body.len > 1 ? "," : "", name);
	json_write_string(&x->body, value);
}

static void
add_number(struct exchange *x, const char *name, long long value)
{
	buf_printf(&x->body, ",\"%s\":%lld", name, value);
}

static void
add_seconds(struct exchange *x, const char *name, int64_t ms)
{
	buf_printf(&x->body, ",\"%s\":", name);
	json_write_seconds(&x->body, ms);
}

static void
begin_answer(struct exchange *x, int status, const char *type)
{
	buf_reset(&x->body);
	x->res = (struct http_response){.status = status, .content_type = type};
}

static void
begin_problem(struct exchange *x, int status, const char *detail)
{
	begin_answer(x, status, PROBLEM_TYPE);
	add_text(x, "{\"type\":\"about:blank\"");
	add_member(x, "title", slice_from_string(http_reason(status)));
	add_number(x, "status", status);
	add_member(x, "detail", slice_from_string(detail));
}

void
api_problem(struct exchange *x, int status, const char *detail)
{
	begin_problem(x, status, detail);
	add_text(x, "}\n");
}

static void
answer_problem(struct exchange *x, int status, const char *detail)
{
	api_problem(x, status, detail);
	x->answered(x);
}

static void
answer_fields(struct exchange *x, const struct field_errors *errors)
{
	begin_problem(x, 422, "the event has bad fields");
	add_text(x, ",\"errors\":[");
	for (size_t i = 0; i < errors->len; i++) {
		const struct field_error *error = &errors->list[i];

		add_text(x, i == 0 ? "{\"pointer\":" : ",{\"pointer\":");
		json_write_string(&x->body, slice_from_string(error->pointer));
		add_text(x, ",\"detail\":");
		json_write_string(&x->body, slice_from_string(error->detail));
		add_text(x, "}");
	}
	add_text(x, "]}\n");
	x->answered(x);
}

/* {"application-id":…,"event-id":…,"status":…: what all answers begin with. */
static void
begin_event(struct exchange *x, int status, enum event_state state)
{
	begin_answer(x, status, JSON_TYPE);
	add_text(x, "{");
	add_member(x, "application-id", x->app);
	add_member(x, "event-id", x->id);
	add_member(x, "status", slice_from_string(event_state_name(state)));
}

/* ---- add ---- */

/* Without its parameters: JSON is UTF-8 whatever they say (RFC 8259, 8.1). */
static bool
is_json(struct slice type)
{
	const char *semicolon =
	    type.len == 0 ? NULL : memchr(type.p, ';', type.len);

	if (semicolon != NULL)
		type =
		    slice_trim(slice_of(type.p, (size_t)(semicolon - type.p)));
	return slice_ieq(type, SLICE_LITERAL(JSON_TYPE));
}

static void
handle_add(struct exchange *x)
{
	struct field_errors errors;
	struct slice body = x->req.body;

	if (body.len == 0) {
		answer_problem(x, 400, "the request has no body");
		return;
	}
	/* A web page may send other types to any server, unasked. */
	if (!is_json(x->req.content_type)) {
		answer_problem(x, 415, "Content-Type must be application/json");
		return;
	}
	if (x->req.encoded) { /* RFC 9110, 15.5.16 */
		api_problem(x, 415, "the body must have no Content-Encoding");
		x->res.accept_encoding = "identity";
		x->answered(x);
		return;
	}
	/* The body is in x->in, which is ours to write to. */
	switch (event_from_json(x->in.p + (body.p - x->in.p), body.len,
	    &x->scratch, &x->event, &x->err, &errors)) {
	case EVENT_JSON_MALFORMED:
		answer_problem(x, 400, x->err.text);
		return;
	case EVENT_JSON_INVALID:
		answer_fields(x, &errors);
		return;
	case EVENT_JSON_OK:
		break;
	}
	x->app = x->event.app;
	x->id = x->event.id;
	x->add.event = &x->event;
	if (event_key_make(x->app, x->id, &x->add.key) == -1 ||
	    event_fingerprint(&x->event, x->add.fingerprint) == -1) {
		answer_problem(x, 503, "out of memory");
		return;
	}
	intake_add(&x->service->intake, x);
}

static void
answer_conflict(struct exchange *x, enum event_state state, const char *detail)
{
	begin_problem(x, 409, detail);
	add_member(x, "application-id", x->app);
	add_member(x, "event-id", x->id);
	add_member(
	    x, "event-status", slice_from_string(event_state_name(state)));
	add_text(x, "}\n");
	x->answered(x);
}

/* Location goes behind the event's headers, which are no longer needed. */
static void
set_location(struct exchange *x)
{
	buf_reset(&x->scratch);
	buf_append_string(&x->scratch, "/cassata/status/");
	percent_encode(&x->scratch, x->app);
	buf_append_char(&x->scratch, '/');
	percent_encode(&x->scratch, x->id);
	if (!x->scratch.failed)
		x->res.location = buf_slice(&x->scratch);
}

void
api_added(struct exchange *x)
{
	bool created = x->add.outcome == ADD_CREATED;

	if (!service_store_answered(x->service, x)) {
		service_store_failed(x->service, x);
		return;
	}
	if (x->add.outcome == ADD_NO_ROOM) {
		api_problem(
		    x, 507, "the datastore has no room for more events");
		x->res.retry_after_s = NO_ROOM_RETRY_AFTER_S;
		x->answered(x);
		return;
	}
	if (x->add.outcome == ADD_CONFLICT) {
		answer_conflict(x, x->add.state,
		    "an event with these ids and other content exists");
		return;
	}
	begin_event(
	    x, created ? 201 : 200, created ? EVENT_PENDING : x->add.state);
	add_seconds(x, "expiry", x->event.expiry_ms);
	add_text(x, "}\n");
	if (created)
		set_location(x);
	x->answered(x);
}

/* ---- status, event, delete, readiness: one call of the datastore each ---- */

static struct exchange *
exchange_of(struct store_job *job)
{
	return (
	    struct exchange *)((char *)job - offsetof(struct exchange, job));
}

static void
submit(struct exchange *x, void (*run)(struct store *, struct store_job *),
    void (*done)(struct store_job *))
{
	x->job.run = run;
	x->job.done = done;
	store_thread_submit(x->service->store, &x->job);
}

static void
run_find(struct store *store, struct store_job *job)
{
	struct exchange *x = exchange_of(job);

	x->status =
	    store_find_event(store, &x->key, x->find, &x->record, &x->err);
}

/*
 * Whole events at a time: one is read while another one is answered. They are
 * in no budget, and large ones take long to be written.
 */
enum { DOCUMENTS_MAX = 2 };

static void found(struct store_job *job);

static void
read_documents(struct service *service)
{
	struct exchange *x;

	while (service->n_documents < DOCUMENTS_MAX &&
	       (x = STAILQ_FIRST(&service->documents)) != NULL) {
		STAILQ_REMOVE_HEAD(&service->documents, entry);
		service->n_documents++;
		submit(x, run_find, found);
	}
}

static void
add_progress(struct exchange *x, const struct store_record *record)
{
	add_seconds(x, "expiry", record->event.expiry_ms);
	add_number(x, "attempts", record->attempts);
	if (record->state == EVENT_PENDING ||
	    record->state == EVENT_SERVICE_UNAVAILABLE)
		add_seconds(x, "next-attempt", record->due_ms);
	if (record->last_code != 0)
		add_number(x, "last-response-code", record->last_code);
	if (record->last_error.len > 0)
		add_member(x, "last-error", record->last_error);
}

/* Each header line, with its LF, as an element. */
static void
add_headers(struct exchange *x, struct slice lines)
{
	const char *lf, *comma = "";

	add_text(x, ",\"request-headers\":[");
	while (
	    lines.len > 0 && (lf = memchr(lines.p, '\n', lines.len)) != NULL) {
		size_t len = (size_t)(lf - lines.p);

		add_text(x, comma);
		json_write_string(&x->body, slice_of(lines.p, len));
		comma = ",";
		lines = slice_of(lf + 1, lines.len - len - 1);
	}
	add_text(x, "]");
}

static void
add_request(struct exchange *x, const struct event *ev)
{
	add_member(x, "url", ev->url);
	add_member(x, "method", ev->method);
	add_headers(x, ev->headers);
	add_text(x, ",\"event\":");
	if (ev->body_is_text)
		json_write_string(&x->body, ev->body);
	else
		buf_append_slice(&x->body, ev->body);
}

static void
add_attempts(struct exchange *x, const struct store_record *record)
{
	add_text(x, ",\"attempt-log\":[");
	for (size_t i = 0; i < record->n_log; i++) {
		const struct store_attempt *attempt = &record->log[i];

		buf_printf(&x->body, "%s{\"attempt\":%u", i == 0 ? "" : ",",
		    attempt->number);
		add_seconds(x, "time", attempt->at_ms);
		if (attempt->code != 0)
			add_number(x, "response-code", attempt->code);
		if (attempt->error.len > 0)
			add_member(x, "error", attempt->error);
		if (attempt->response.len > 0)
			add_member(x, "response-body", attempt->response);
		add_text(x, "}");
	}
	add_text(x, "]");
}

static void
answer_found(struct exchange *x)
{
	struct store_record *record = x->record;

	if (!service_store_answered(x->service, x)) {
		service_store_failed(x->service, x);
		return;
	}
	if (record == NULL) {
		answer_problem(x, 404, "no event with these ids");
		return;
	}
	begin_event(x, 200, record->state);
	add_progress(x, record);
	if (x->find == FIND_WHOLE) {
		add_request(x, &record->event);
		add_attempts(x, record);
	}
	add_text(x, "}\n");
	store_record_free(record);
	x->record = NULL;
	x->answered(x);
}

static void
found(struct store_job *job)
{
	struct exchange *x = exchange_of(job);
	struct service *service = x->service;
	bool document = x->find == FIND_WHOLE;

	answer_found(x);
	if (document) {
		service->n_documents--;
		read_documents(service);
	}
}

static void
handle_status(struct exchange *x)
{
	x->find = FIND_STATUS;
	submit(x, run_find, found);
}

static void
handle_event(struct exchange *x)
{
	x->find = FIND_WHOLE;
	STAILQ_INSERT_TAIL(&x->service->documents, x, entry);
	read_documents(x->service);
}

static void
run_cancel(struct store *store, struct store_job *job)
{
	struct exchange *x = exchange_of(job);

	x->status = store_cancel_event(
	    store, &x->key, &x->cancelled, &x->state, &x->err);
}

static void
cancelled(struct store_job *job)
{
	struct exchange *x = exchange_of(job);

	if (!service_store_answered(x->service, x)) {
		service_store_failed(x->service, x);
		return;
	}
	switch (x->cancelled) {
	case CANCEL_UNKNOWN:
		answer_problem(x, 404, "no event with these ids");
		return;
	case CANCEL_REFUSED:
		answer_conflict(
		    x, x->state, "only an event that waits can be deleted");
		return;
	case CANCEL_DELETED:
		break;
	}
	metric_add(x->service->child->score, METRIC_EVENTS_DELETED, 1);
	begin_event(x, 200, EVENT_DELETED);
	add_text(x, "}\n");
	x->answered(x);
}

/* One that says so in any of the ways in which browsers do. */
static bool
is_browser(const struct http_request *req)
{
	const struct http_header *agent;

	if (req->fetch_site.p != NULL || req->origin.p != NULL ||
	    http_request_header(req, "Sec-Fetch-Mode") != NULL ||
	    http_request_header(req, "Referer") != NULL)
		return true;
	agent = http_request_header(req, "User-Agent");
	return agent != NULL && agent->value.len >= 8 &&
	       memcmp(agent->value.p, "Mozilla/", 8) == 0;
}

static void
handle_delete(struct exchange *x)
{
	/* A link or an image of any page is a GET. */
	if (slice_eq(x->req.method, SLICE_LITERAL("GET")) &&
	    is_browser(&x->req)) {
		answer_problem(x, 403, "a browser must use DELETE");
		return;
	}
	submit(x, run_cancel, cancelled);
}

static void
run_ping(struct store *store, struct store_job *job)
{
	struct exchange *x = exchange_of(job);

	x->status = store_ping(store, &x->err);
}

static void
answer_ok(struct exchange *x)
{
	begin_answer(x, 200, JSON_TYPE);
	add_text(x, "{\"status\":\"ok\"}\n");
	x->answered(x);
}

static void
pinged(struct store_job *job)
{
	struct exchange *x = exchange_of(job);

	x->service->n_pings--;
	/* Why not is not for everybody: it tells of users, hosts and paths. */
	if (service_store_answered(x->service, x))
		answer_ok(x);
	else
		answer_problem(x, 503, "the datastore cannot be reached");
}

static void
handle_readyz(struct exchange *x)
{
	/* A child that drains after a reload has successors which are ready. */
	if (atomic_load(&x->service->child->sb->shared->master.stopping)) {
		answer_problem(x, 503, "draining");
	} else if (x->reserve && x->service->n_pings > 0) {
		/* The reserve is not for waiting: one does. */
		answer_problem(x, 503, "the datastore has yet to answer");
	} else {
		x->service->n_pings++;
		submit(x, run_ping, pinged);
	}
}

static void
handle_livez(struct exchange *x)
{
	answer_ok(x);
}

/*
 * Making their text takes ten times as long as sending it: 50 times a second is
 * enough for all, but for a few at once.
 */
enum { METRICS_PAUSE_MS = 20, METRICS_AT_ONCE = 20 };

static void
make_metrics(struct service *service)
{
	int64_t now_ms = clock_mono_ms();
	int64_t ahead_ms = service->metrics_due_ms - now_ms;

	if (service->metrics.len > 0 &&
	    ahead_ms >= (int64_t)METRICS_PAUSE_MS * METRICS_AT_ONCE)
		return;
	service->metrics_due_ms =
	    now_ms + (ahead_ms > 0 ? ahead_ms : 0) + METRICS_PAUSE_MS;
	buf_reset(&service->metrics);
	(void)metrics_render(service->child->sb, &service->metrics);
}

static void
handle_metrics(struct exchange *x)
{
	struct service *service = x->service;

	make_metrics(service);
	begin_answer(x, 200, METRICS_TYPE);
	buf_append_slice(&x->body, buf_slice(&service->metrics));
	x->body.failed |= service->metrics.failed;
	x->answered(x);
}

/* ---- routes ---- */

struct route {
	const char
	    *path; /* with a last slash: application and event id follow */
	const char *methods; /* value of Allow */
	void (*handle)(struct exchange *x);
};

static const struct route routes[] = {
    {"/cassata/add", "POST, OPTIONS", handle_add},
    {"/cassata/add/", "POST, OPTIONS", handle_add},
    {"/cassata/status/", "GET, HEAD, OPTIONS", handle_status},
    {"/cassata/delete/", "GET, DELETE, OPTIONS", handle_delete},
    {"/cassata/event/", "GET, HEAD, OPTIONS", handle_event},
    {"/livez", "GET, HEAD, OPTIONS", handle_livez},
    {"/readyz", "GET, HEAD, OPTIONS", handle_readyz},
    {"/healthz", "GET, HEAD, OPTIONS", handle_readyz},
    {"/metrics", "GET, HEAD, OPTIONS", handle_metrics},
};

static bool
takes_ids(const struct route *route)
{
	return route->handle == handle_status ||
	       route->handle == handle_delete || route->handle == handle_event;
}

static bool
is_about_health(const struct route *route)
{
	return route->handle == handle_livez ||
	       route->handle == handle_readyz ||
	       route->handle == handle_metrics;
}

/* Of the server as a whole: OPTIONS *. */
static const struct route whole = {
    "*", "GET, HEAD, POST, DELETE, OPTIONS", NULL};

static const struct route *
find_route(struct slice path, struct slice *rest)
{
	if (slice_eq(path, SLICE_LITERAL("*")))
		return &whole;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];
		struct slice start = slice_from_string(route->path);

		if (takes_ids(route) ? path.len < start.len
				     : path.len != start.len)
			continue;
		if (memcmp(path.p, start.p, start.len) != 0)
			continue;
		*rest = slice_of(path.p + start.len, path.len - start.len);
		return route;
	}
	return NULL;
}

/* Is the method one of the comma-separated list? */
static bool
allows(const char *methods, struct slice method)
{
	struct slice rest = slice_from_string(methods);

	while (rest.len > 0) {
		const char *comma = memchr(rest.p, ',', rest.len);
		size_t len =
		    comma == NULL ? rest.len : (size_t)(comma - rest.p);

		if (slice_eq(slice_trim(slice_of(rest.p, len)), method))
			return true;
		if (comma == NULL)
			break;
		rest = slice_of(comma + 1, rest.len - len - 1);
	}
	return false;
}

static bool
valid_id(struct slice id, size_t max)
{
	if (id.len == 0 || id.len > max || !slice_is_utf8(id))
		return false;
	for (size_t i = 0; i < id.len; i++)
		if ((unsigned char)id.p[i] < 0x20 || id.p[i] == 0x7f)
			return false;
	return true;
}

enum ids_result { IDS_OK, IDS_UNKNOWN, IDS_BAD };

/*
 * "{app}/{id}", split and then decoded into scratch. Ids that no event can have
 * are unknown.
 */
static enum ids_result
read_ids(struct exchange *x, struct slice rest)
{
	const char *slash = memchr(rest.p, '/', rest.len);
	struct slice app, id;
	size_t app_len, id_len;

	if (slash == NULL)
		return IDS_UNKNOWN;
	app = slice_of(rest.p, (size_t)(slash - rest.p));
	id = slice_of(slash + 1, rest.len - app.len - 1);
	if (memchr(id.p, '/', id.len) != NULL || rest.len > x->scratch.cap)
		return IDS_UNKNOWN;
	if (percent_decode(app, x->scratch.p, &app_len) == -1 ||
	    percent_decode(id, x->scratch.p + app_len, &id_len) == -1)
		return IDS_BAD;
	x->scratch.len = app_len + id_len;
	x->app = slice_of(x->scratch.p, app_len);
	x->id = slice_of(x->scratch.p + app_len, id_len);
	if (!valid_id(x->app, EVENT_APP_MAX) || !valid_id(x->id, EVENT_ID_MAX))
		return IDS_UNKNOWN;
	return event_key_make(x->app, x->id, &x->key) == -1 ? IDS_BAD : IDS_OK;
}

/* Room for what is decoded, now: later a lack of it would look like a fault of
 * the request. */
static int
reserve_scratch(struct exchange *x)
{
	size_t len = x->req.body.len + x->req.path.len;

	return buf_reserve(&x->scratch,
	    len < EXCHANGE_SCRATCH_BYTES ? len : EXCHANGE_SCRATCH_BYTES);
}

/*
 * Why the request is a web page's, which must not use the network that its
 * reader is in; or 0. Only HTTP/1.0 may do without a Host: no browser speaks
 * it.
 */
static int
foreign(const struct exchange *x, const char **reason)
{
	const struct hosts *hosts = &x->service->hosts;
	const struct http_request *req = &x->req;

	*reason = "this server has another name; service.hosts may list more";
	if (req->host.p != NULL && !hosts_has(hosts, req->host))
		return 421;
	*reason = "a web page of another origin, says Sec-Fetch-Site";
	if (req->fetch_site.p != NULL &&
	    !slice_eq(req->fetch_site, SLICE_LITERAL("same-origin")) &&
	    !slice_eq(req->fetch_site, SLICE_LITERAL("none")))
		return 403;
	*reason = "a web page of another origin, says Origin; service.hosts "
		  "may list it";
	if (req->origin.p != NULL &&
	    !hosts_has_origin(hosts, req->origin, req->host))
		return 403;
	return 0;
}

void
api_dispatch(struct exchange *x)
{
	const char *reason;
	struct slice rest = {0};
	const struct route *route = find_route(x->req.path, &rest);
	enum ids_result ids = IDS_OK;
	int status = foreign(x, &reason);

	if (status != 0) {
		answer_problem(x, status, reason);
		return;
	}
	if (route == NULL) {
		answer_problem(x, 404, "no such resource");
		return;
	}
	if (x->reserve && !is_about_health(route)) {
		api_problem(x, 503, "all connections are being served");
		x->res.retry_after_s = 2;
		x->answered(x);
		return;
	}
	if (!allows(route->methods, x->req.method)) {
		api_problem(x, 405, "this resource has no such method");
		x->res.allow = route->methods;
		x->answered(x);
		return;
	}
	if (slice_eq(x->req.method, SLICE_LITERAL("OPTIONS"))) {
		begin_answer(x, 204, NULL);
		x->res.allow = route->methods;
		x->answered(x);
		return;
	}
	if (reserve_scratch(x) == -1) {
		service_out_of_memory(x);
		x->answered(x);
		return;
	}
	if (takes_ids(route))
		ids = read_ids(x, rest);
	switch (ids) {
	case IDS_OK:
		route->handle(x);
		break;
	case IDS_UNKNOWN:
		answer_problem(x, 404, "no event with these ids");
		break;
	case IDS_BAD:
		answer_problem(x, 400, "the path has a bad percent-escape");
		break;
	}
}
