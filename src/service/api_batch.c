/* SPDX-License-Identifier: ISC */
#include "service/api_batch.h"

#include "base/json_scan.h"
#include "service/batch.h"
#include "service/batch_atomic.h"
#include "service/body.h"
#include "service/problem.h"

#define TYPES "Content-Type must be application/json or application/x-ndjson"

static bool
has_lines(const struct http_request *req)
{
	return body_has_type(req, SLICE_LITERAL("application/x-ndjson"));
}

static bool
read_query(struct slice query, bool *atomic)
{
	*atomic = slice_eq(query, SLICE_LITERAL("atomic=true"));
	return *atomic || query.len == 0 ||
	       slice_eq(query, SLICE_LITERAL("atomic=false"));
}

bool
api_batch_stream(struct call *call)
{
	const struct http_request *req = &call->x->req;
	bool atomic;

	return has_lines(req) && !req->encoded &&
	       read_query(req->query, &atomic) && !atomic &&
	       batch_open_lines(call);
}

enum verdict
api_batch(struct call *call)
{
	struct http_exchange *x = call->x;
	bool lines = has_lines(&x->req);
	struct json_value value;
	bool atomic;

	if (body_is_refused(x,
		lines ||
		    body_has_type(&x->req, SLICE_LITERAL("application/json")),
		TYPES))
		return ANSWERED;
	if (!read_query(x->req.query, &atomic))
		return problem(
		    x, 400, "the query may be atomic=true or atomic=false");
	if (lines && atomic)
		return problem(x, 400,
		    "a stream cannot be atomic: see "
		    "application/json");
	if (lines) /* there was not even enough to take the first of them */
		return problem_no_memory(x);
	if (json_scan(x->req.body, &value, &call->err) == -1)
		return problem(x, 400, call->err.text);
	if (value.type != JSON_ARRAY)
		return problem(x, 422, "the body must be an array of events");
	return atomic ? batch_atomic_run(call, &value)
		      : batch_run_array(call, &value);
}
