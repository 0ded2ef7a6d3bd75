/* SPDX-License-Identifier: ISC */
#include "service/api.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/route.h"
#include "service/api_ack.h"
#include "service/api_add.h"
#include "service/api_batch.h"
#include "service/api_change.h"
#include "service/api_clock.h"
#include "service/api_delete.h"
#include "service/api_event.h"
#include "service/api_job.h"
#include "service/api_list.h"
#include "service/api_openapi.h"
#include "service/api_ops.h"
#include "service/api_pause.h"
#include "service/api_schedule.h"
#include "service/api_why.h"
#include "service/problem.h"
#include "service/state.h"

enum {
	HEALTH = ROUTE_OWN, /* answered even when all connections are served */
	STREAM = ROUTE_OWN << 1,     /* its body may be taken as it comes */
	TEST_CLOCK = ROUTE_OWN << 2, /* is there where a test clock is */
	GET_DELETE = ROUTE_OWN << 3, /* unless service.getDelete is off */
};

static const struct route routes[] = {
    {"POST", "/cassata/add", 0, api_add},
    {"POST", "/cassata/add/", 0, api_add},
    {"POST", "/cassata/add-batch", STREAM, api_batch},
    {"POST", "/cassata/add-batch/", STREAM, api_batch},
    {"GET", "/cassata/status/{app}/{id}", 0, api_status},
    {"GET", "/cassata/event/{app}/{id}", 0, api_event},
    {"PATCH", "/cassata/event/{app}/{id}", 0, api_patch},
    {"GET", "/cassata/events/{app}", 0, api_list},
    {"GET", "/cassata/jobs/{app}", 0, api_job_list},
    {"POST", "/cassata/jobs/{app}", 0, api_job_make},
    {"GET", "/cassata/jobs/{app}/{id}", 0, api_job_find},
    {"DELETE", "/cassata/jobs/{app}/{id}", 0, api_job_remove},
    {"POST", "/cassata/jobs/{app}/{id}/pause", 0, api_job_pause},
    {"POST", "/cassata/jobs/{app}/{id}/resume", 0, api_job_resume},
    {"POST", "/cassata/jobs/{app}/{id}/cancel", 0, api_job_cancel},
    {"GET", "/cassata/delete/{app}/{id}", ROUTE_NO_HEAD | GET_DELETE,
	api_delete},
    {"DELETE", "/cassata/delete/{app}/{id}", 0, api_delete},
    {"POST", "/cassata/run/{app}/{id}", 0, api_run},
    {"POST", "/cassata/retry/{app}/{id}", 0, api_retry},
    {"GET", "/cassata/schedules/{app}", 0, api_schedule_list},
    {"POST", "/cassata/schedules/{app}/{id}", 0, api_schedule_put},
    {"GET", "/cassata/schedules/{app}/{id}", 0, api_schedule_get},
    {"DELETE", "/cassata/schedules/{app}/{id}", 0, api_schedule_delete},
    {"POST", "/cassata/schedules/{app}/{id}/run", 0, api_schedule_run},
    {"POST", "/cassata/schedules/{app}/{id}/pause", 0, api_schedule_pause},
    {"POST", "/cassata/schedules/{app}/{id}/resume", 0, api_schedule_resume},
    {"GET", "/cassata/openapi.json", 0, api_openapi},
    {"POST", "/cassata/ack/{token}", 0, api_ack},
    {"POST", "/cassata/nack/{token}", 0, api_nack},
    {"GET", "/cassata/why/{app}/{id}", 0, api_why},
    {"GET", "/cassata/pauses", 0, api_pauses},
    {"POST", "/cassata/pause/app/{app}", 0, api_pause_app},
    {"DELETE", "/cassata/pause/app/{app}", 0, api_resume_app},
    {"POST", "/cassata/resume/app/{app}", 0, api_resume_app},
    {"POST", "/cassata/pause/host/{host}", 0, api_pause_host},
    {"DELETE", "/cassata/pause/host/{host}", 0, api_resume_host},
    {"POST", "/cassata/resume/host/{host}", 0, api_resume_host},
    {"GET", "/cassata/admin/clock", TEST_CLOCK, api_clock},
    {"POST", "/cassata/admin/clock", TEST_CLOCK, api_clock_advance},
    {"GET", "/livez", HEALTH, api_livez},
    {"GET", "/readyz", HEALTH, api_readyz},
    {"GET", "/healthz", HEALTH, api_readyz},
    {"GET", "/metrics", HEALTH, api_metrics},
};
const struct route_table api_routes = {
    routes, sizeof(routes) / sizeof(routes[0])};

/*
 * Why the request is a web page's, which must not use the network that its
 * reader is in; or 0. Only HTTP/1.0 may do without a Host: no browser speaks
 * it.
 */
static int
refuse_foreign(const struct hosts *hosts, const struct http_request *req,
    const char **reason)
{
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

static enum verdict
add_allow(const struct service *service, struct http_exchange *x)
{
	buf_reset(&x->arena);
	route_allow(&api_routes, x->req.path,
	    service->cfg->service.get_delete ? 0 : GET_DELETE, &x->arena);
	if (x->arena.failed)
		return problem_no_memory(x);
	http_exchange_field(x, "Allow", buf_slice(&x->arena));
	return ANSWERED;
}

static enum verdict
follow_route(struct service *service, struct http_exchange *x,
    enum route_result result, const struct route_match *match)
{
	struct call *call;

	switch (result) {
	case ROUTE_FOUND:
		check(match->route != NULL);
		call = call_begin(service, x);
		memcpy(call->params, match->params, sizeof(call->params));
		return match->route->handle(call);
	case ROUTE_OTHER_METHOD:
		(void)problem(x, 405, "this resource has no such method");
		return add_allow(service, x);
	case ROUTE_OPTIONS:
		http_exchange_answer(x, 204, NULL);
		return add_allow(service, x);
	case ROUTE_BAD_ESCAPE:
		return problem(x, 400, "the path has a bad percent-escape");
	case ROUTE_NO_MEMORY:
		return problem_no_memory(x);
	case ROUTE_UNKNOWN:
		break;
	}
	check(result == ROUTE_UNKNOWN);
	return problem(x, 404, "no such resource");
}

enum verdict
api_handle(struct service *service, struct http_exchange *x)
{
	const char *reason;
	int status = refuse_foreign(&service->hosts, &x->req, &reason);
	struct route_match match;
	enum route_result result;

	if (status != 0)
		return problem(x, status, reason);
	result = route_find(&api_routes, &x->req, &x->arena, &match);
	if (match.route != NULL && (match.route->policy & TEST_CLOCK) != 0 &&
	    !clock_is_test())
		result = ROUTE_UNKNOWN;
	if (x->reserve && result != ROUTE_UNKNOWN &&
	    (match.route == NULL || !(match.route->policy & HEALTH)))
		return problem_for_now(x, PROBLEM_BUSY,
		    "all connections are being served", PROBLEM_RETRY_S);
	return follow_route(service, x, result, &match);
}

bool
api_streams(struct service *service, struct http_exchange *x)
{
	struct route_match match;
	const char *reason;

	if (x->reserve ||
	    refuse_foreign(&service->hosts, &x->req, &reason) != 0)
		return false;
	return route_find(&api_routes, &x->req, &x->arena, &match) ==
		   ROUTE_FOUND &&
	       (match.route->policy & STREAM) != 0 &&
	       api_batch_stream(call_begin(service, x));
}
