/* SPDX-License-Identifier: ISC */
#include "worker/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/percent.h"
#include "base/url.h"
#include "event/ack_token.h"
#include "event/outcome.h"
#include "http/http_response.h"

/* The longest header line of an event, the encoded ids, a URL. */
enum {
	LINE_MAX_BYTES = 64 * 1024,
	OUR_FAULT_WAIT_MS = 1000,
	NO_URL_WAIT_MS = 10000,
	ACCEPTED = 202,
	/* What a chunk of a response costs at least: work, too, has an end. */
	PIECE_MIN_BYTES = 32,
};

static bool
is_callback_sound(struct slice json, struct err *err)
{
	struct event_callback_error error;

	if (json.len == 0 || event_callback_check(json, &error) == 0)
		return true;
	(void)err_set(err, "a callback%s %s", error.where, error.reason);
	return false;
}

/* They may come from a datastore that says anything. */
static void
read_options(struct delivery *d)
{
	struct event_options *options = &d->options;
	struct err err;

	if (event_options_parse(d->claim->event.options, options, &err) == 0 &&
	    is_callback_sound(options->on_complete, &err) &&
	    is_callback_sound(options->on_failure, &err)) {
		d->result.labelled = options->labels.len > 0;
		if (options->forgiven >= d->claim->attempt)
			(void)err_set(
			    &err, "forgive more attempts than there were");
		else if (options->complete_by_ms > 0 &&
			 options->ack_key.len == 0)
			(void)err_set(&err, "have no key for acks");
		else
			return;
	}
	*options = (struct event_options){0};
	d->refused = true;
	(void)snprintf(d->error, sizeof(d->error),
	    "the options of the event are damaged: %.200s", err.text);
}

struct delivery *
delivery_create(struct store_claim *claim, const struct delivery_policy *policy)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->claim = claim;
	d->policy = policy;
	d->result.row_id = claim->row_id;
	d->result.attempt = claim->attempt;
	d->result.shard = claim->shard;
	buf_init(&d->response, policy->response_bytes_kept);
	read_options(d);
	if (d->options.on_complete.len + d->options.on_failure.len == 0)
		return d;
	d->callback = callback_create(policy->callback_bytes);
	if (d->callback != NULL)
		return d;
	free(d);
	return NULL;
}

struct delivery *
delivery_create_stray(int64_t row_id)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->state = DELIVERY_FINISHED;
	d->result.row_id = row_id;
	d->result.kind = RESULT_RELEASED;
	buf_init(&d->response, 0);
	return d;
}

void
delivery_free(struct delivery *d)
{
	if (d == NULL)
		return;
	store_claim_free(d->claim);
	curl_slist_free_all(d->headers);
	buf_free(&d->response);
	callback_free(d->callback);
	free(d);
}

/* Appends a line to the list; -1 when memory is short. */
static int
add_line(struct delivery *d, const char *line)
{
	struct curl_slist *list = curl_slist_append(d->headers, line);

	if (list == NULL)
		return -1;
	d->headers = list;
	return 0;
}

static int
add_buf(struct delivery *d, struct buf *line)
{
	buf_append_char(line, '\0');
	return line->failed ? -1 : add_line(d, line->p);
}

static bool
is_header(struct slice line, const char *name)
{
	size_t len = strlen(name);

	return line.len > len && line.p[len] == ':' &&
	       slice_ieq(slice_of(line.p, len), slice_of(name, len));
}

struct seen {
	bool accept, content_type, user_agent, connection_auth;
};

/* Schemes that authenticate the connection, not the request (RFC 4559 6). */
static bool
is_connection_auth(struct slice line)
{
	static const char name[] = "Authorization";
	static const char *const schemes[] = {"Negotiate", "NTLM"};
	struct slice value;

	if (!is_header(line, name))
		return false;
	value = slice_trim(
	    slice_of(line.p + sizeof(name), line.len - sizeof(name)));
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i]);

		if (value.len >= len && slice_ieq(slice_of(value.p, len),
					    slice_of(schemes[i], len)))
			return true;
	}
	return false;
}

/* The event's own lines, as the client wrote them. */
static int
add_event_headers(struct delivery *d, struct buf *line, struct seen *seen)
{
	struct slice rest = d->claim->event.headers;

	while (rest.len > 0) {
		const char *lf = memchr(rest.p, '\n', rest.len);
		size_t len = lf == NULL ? rest.len : (size_t)(lf - rest.p);
		struct slice text = slice_trim(slice_of(rest.p, len));

		seen->accept |= is_header(text, "Accept");
		seen->content_type |= is_header(text, "Content-Type");
		seen->user_agent |= is_header(text, "User-Agent");
		seen->connection_auth |= is_connection_auth(text);
		buf_reset(line);
		/* libcurl sends a header without a value only with ';'. */
		if (text.len > 0 && text.p[text.len - 1] == ':' &&
		    memchr(text.p, ':', text.len) == text.p + text.len - 1) {
			text.len--;
			buf_append_slice(line, text);
			buf_append_char(line, ';');
		} else {
			buf_append_slice(line, text);
		}
		if (add_buf(d, line) == -1)
			return -1;
		len += lf == NULL ? 0 : 1;
		rest = slice_of(rest.p + len, rest.len - len);
	}
	return 0;
}

static int
add_id(struct delivery *d, struct buf *line, const char *name, struct slice id)
{
	buf_reset(line);
	buf_printf(line, "%s: ", name);
	percent_encode(line, id);
	return add_buf(d, line);
}

/* Of this attempt, and of the one before. */
static int
add_attempt(struct delivery *d, struct buf *line)
{
	const struct store_claim *claim = d->claim;

	buf_reset(line);
	buf_printf(line, "Cassata-Attempt: %u", claim->attempt);
	if (add_buf(d, line) == -1)
		return -1;
	buf_reset(line);
	buf_append_string(line, "Cassata-Due: ");
	json_write_seconds(line, claim->event.expiry_ms);
	if (add_buf(d, line) == -1)
		return -1;
	if (claim->attempt == 1)
		return 0;
	buf_reset(line);
	buf_printf(line, "Cassata-Previous-Status: %d", claim->last_code);
	return add_buf(d, line);
}

static int
add_ack_url(struct delivery *d, struct buf *line, const char *name,
    const char *verb, const char *token)
{
	buf_reset(line);
	buf_printf(line, "%s: %s/cassata/%s/%s", name, d->policy->public_url,
	    verb, token);
	return add_buf(d, line);
}

/* By which its receiver ends this attempt, after a 202. */
static int
add_ack_urls(struct delivery *d, struct buf *line)
{
	char token[ACK_TOKEN_LEN + 1];

	if (d->options.complete_by_ms == 0)
		return 0;
	return ack_token_make(d->options.ack_key, d->claim->row_id,
		       d->claim->attempt, token) == -1 ||
			       add_ack_url(d, line, "Cassata-Ack-Url", "ack",
				   token) == -1 ||
			       add_ack_url(d, line, "Cassata-Nack-Url", "nack",
				   token) == -1
		   ? -1
		   : 0;
}

static int
add_headers(struct delivery *d, struct buf *line)
{
	const struct event *ev = &d->claim->event;
	struct seen seen = {0};

	if (add_event_headers(d, line, &seen) == -1 ||
	    add_id(d, line, "Cassata-Application-Id", ev->app) == -1 ||
	    add_id(d, line, "Cassata-Event-Id", ev->id) == -1 ||
	    add_attempt(d, line) == -1 || add_ack_urls(d, line) == -1)
		return -1;
	d->own_connection = seen.connection_auth;
	if (!seen.user_agent &&
	    add_line(d, "User-Agent: cassata/" CASSATA_VERSION) == -1)
		return -1;
	/* No value: libcurl adds none of its own. */
	if (!seen.accept && add_line(d, "Accept:") == -1)
		return -1;
	if (!seen.content_type && add_line(d, "Content-Type:") == -1)
		return -1;
	return add_line(d, "Expect:");
}

static uint32_t
random_bits(void)
{
	uint32_t bits = 0;

	/* Up to 256 bytes never fail nor fall short once the pool is up; if
	 * they do the retries are only less spread. */
	(void)!getrandom(&bits, sizeof(bits), GRND_NONBLOCK);
	return bits;
}

static void
set_error(struct delivery *d, const char *text)
{
	(void)snprintf(d->error, sizeof(d->error), "%s", text);
}

static int64_t
now_ms(const struct delivery *d)
{
	return dbclock_now_ms(d->policy->clock, clock_event_ms());
}

static bool
is_beyond(const struct delivery *d, int64_t ms)
{
	return d->options.not_after_ms > 0 && ms > d->options.not_after_ms;
}

static bool
is_too_late(const struct delivery *d)
{
	return is_beyond(d, now_ms(d));
}

/* Before the next attempt, or -1 when there is none. */
static int64_t
wait_of(struct delivery *d, int64_t retry_after_ms)
{
	struct retry_policy policy;
	size_t len = strlen(d->error);
	int64_t wait_ms;

	event_retry_policy(&d->options.retry, d->policy->retry, &policy);
	wait_ms = retry_wait_ms(&policy,
	    d->claim->attempt - d->options.forgiven, retry_after_ms,
	    random_bits());
	if (wait_ms < 0 || !is_beyond(d, d->result.at_ms + wait_ms))
		return wait_ms;
	(void)snprintf(d->error + len, sizeof(d->error) - len,
	    "%sthe next attempt would be after not-after",
	    len > 0 ? "; " : "");
	return -1;
}

int
delivery_tell(struct delivery *d)
{
	struct store_result *result = &d->result;
	struct slice json = result->kind == RESULT_COMPLETED
				? d->options.on_complete
				: d->options.on_failure;
	struct event_end end = {
	    .state = result->kind == RESULT_COMPLETED ? EVENT_COMPLETED
						      : EVENT_FAILED,
	    .attempts = result->attempt - (result->kind == RESULT_LAPSED),
	    .at_ms = result->at_ms,
	    .code = result->code,
	    .error = result->error,
	};

	if (result->kind == RESULT_RETRY || result->kind == RESULT_RELEASED ||
	    json.len == 0 || result->callback != NULL)
		return 0;
	end.app = d->claim->event.app;
	end.id = d->claim->event.id;
	end.expiry_ms = d->claim->event.expiry_ms;
	/* What one statement writes to many rows tells of none alone. */
	result->logged |= result->kind == RESULT_COMPLETED;
	return callback_event(d->callback, json, &end, &result->callback);
}

/* Its receiver has taken it, and says later what came of it. */
static bool
is_awaited(const struct delivery *d, enum outcome outcome)
{
	return outcome == OUTCOME_DELIVERED && d->result.code == ACCEPTED &&
	       d->options.complete_by_ms > 0;
}

/* The wait for the receiver's word is over, and no attempt is left. */
static bool
has_lapsed(const struct delivery *d)
{
	struct retry_policy policy;

	if (d->options.complete_by_ms == 0 ||
	    d->claim->last_code != ACCEPTED || d->claim->has_error)
		return false;
	event_retry_policy(&d->options.retry, d->policy->retry, &policy);
	return d->claim->attempt - d->options.forgiven > policy.max_retries + 1;
}

static void
finish(struct delivery *d, enum outcome outcome, int64_t retry_after_ms)
{
	struct store_result *result = &d->result;
	bool lapsed = has_lapsed(d);
	int64_t wait_ms = -1;

	result->at_ms = now_ms(d);
	if (is_awaited(d, outcome)) {
		outcome = OUTCOME_RETRY;
		wait_ms = d->options.complete_by_ms;
	} else if (outcome == OUTCOME_RETRY) {
		wait_ms = wait_of(d, retry_after_ms);
	}
	result->logged = outcome == OUTCOME_DELIVERED && d->policy->log_success;
	if (outcome == OUTCOME_DELIVERED)
		result->kind = RESULT_COMPLETED;
	else if (wait_ms >= 0)
		result->kind = RESULT_RETRY;
	else
		result->kind = lapsed ? RESULT_LAPSED : RESULT_FAILED;
	/* at_ms was rounded down: a wait is never shorter than asked for. */
	result->due_ms = result->at_ms + (wait_ms > 0 ? wait_ms + 1 : 0);
	result->error = slice_from_string(d->error);
	result->response = buf_slice(&d->response);
	d->state = DELIVERY_FINISHED;
	curl_slist_free_all(d->headers);
	d->headers = NULL;
}

static void
on_header(void *arg, struct slice line)
{
	struct delivery *d = arg;

	callback_take_header(d->callback, line);
}

static bool
on_response_body(void *arg, int status, struct slice bytes)
{
	struct delivery *d = arg;
	size_t room = d->response.max - d->response.len;

	if (d->callback != NULL)
		callback_take_body(d->callback, bytes);
	/* Only a refusal is kept; what follows is read to keep the
	 * connection, up to the cap. */
	if (status < 200 || status > 299)
		buf_append_slice(&d->response,
		    slice_of(bytes.p, bytes.len < room ? bytes.len : room));
	d->n_read += bytes.len > PIECE_MIN_BYTES ? bytes.len : PIECE_MIN_BYTES;
	return d->n_read <= d->policy->max_response_bytes;
}

/* Something is short here: not an attempt, and not at once again. */
static void
release_for_want(struct delivery *d, int64_t wait_ms)
{
	delivery_release(d, now_ms(d) + wait_ms);
	d->wants = true;
}

/* A response that is no HTTP is CURLE_UNSUPPORTED_PROTOCOL: that may pass, and
 * no event has another scheme. */
static enum outcome_failure
failure_of(const struct transport_end *end)
{
	if (end->code == CURLE_OK)
		return FAILURE_NONE;
	if (end->code == CURLE_URL_MALFORMAT)
		return FAILURE_FOR_GOOD;
	if (!end->sent)
		return FAILURE_CONNECT;
	return end->code == CURLE_OPERATION_TIMEDOUT ? FAILURE_TIMEOUT
						     : FAILURE_ANSWER;
}

static enum outcome
outcome_of(struct delivery *d, const struct transport_end *end)
{
	const struct outcome_rules *own = &d->options.retry.on;
	enum outcome outcome =
	    outcome_classify(own->given ? own : &d->policy->retry->on,
		failure_of(end), end->status);

	if (outcome != OUTCOME_RETRY || !end->refuses_retry)
		return outcome;
	set_error(d, "its receiver wants no other attempt (Cassata-Retry)");
	return OUTCOME_REJECTED;
}

static void
on_end(void *arg, const struct transport_end *end)
{
	struct delivery *d = arg;

	d->transfer = NULL;
	if (end->code != CURLE_OK)
		set_error(d, end->error);
	switch (end->fault) {
	case FAULT_UNSENT:
	case FAULT_BUSY:
		delivery_release(d, 0);
		break;
	case FAULT_OURS:
		release_for_want(d, end->wait_ms);
		break;
	case FAULT_ADDRESS:
		finish(d, OUTCOME_REJECTED, 0);
		break;
	case FAULT_NONE:
		d->result.code = end->status;
		finish(d, outcome_of(d, end), end->retry_after_ms);
	}
	d->policy->ended(d->policy->arg, d);
}

static bool
may_send(void *arg)
{
	const struct delivery *d = arg;

	/* Released then; found to be too late when it is begun again. */
	return d->policy->may_send(d->policy->arg, d) && !is_too_late(d);
}

static bool
policy_lets_connect(void *arg, const char *ip)
{
	struct delivery *d = arg;

	return d->policy->may_connect(d->policy->arg, d, slice_from_string(ip));
}

/* A copy with a NUL, in memory of the line: the method comes first. */
static struct transfer *
start_transfer(struct delivery *d, struct buf *line)
{
	const struct event *ev = &d->claim->event;
	struct transport_request request = {
	    .headers = d->headers,
	    .body = ev->body,
	    .row_id = d->claim->row_id,
	    .app = ev->app,
	    .host = url_host_name(ev->url),
	    .own_connection = d->own_connection,
	    .may_send = may_send,
	    .may_connect = policy_lets_connect,
	    .on_header = d->callback != NULL ? on_header : NULL,
	    .on_body = on_response_body,
	    .on_end = on_end,
	    .arg = d,
	};

	buf_reset(line);
	buf_append_slice(line, ev->method);
	buf_append_char(line, '\0');
	buf_append_slice(line, ev->url);
	buf_append_char(line, '\0');
	if (line->failed)
		return NULL;
	request.method = line->p;
	request.url = line->p + ev->method.len + 1;
	return transport_start(d->policy->transport, &request);
}

/* Whether it ends without being sent. */
static bool
ends_unsent(struct delivery *d)
{
	if (d->refused) {
		finish(d, OUTCOME_REJECTED, 0);
	} else if (has_lapsed(d)) {
		set_error(d, "not acknowledged in time");
		d->result.code = ACCEPTED;
		finish(d, OUTCOME_REJECTED, 0);
	} else if (is_too_late(d)) {
		set_error(d, "not sent: not-after has passed");
		finish(d, OUTCOME_REJECTED, 0);
	} else if (d->options.complete_by_ms > 0 &&
		   d->policy->public_url == NULL) {
		set_error(d, "service.publicUrl is not configured");
		release_for_want(d, NO_URL_WAIT_MS);
	} else {
		return false;
	}
	return true;
}

void
delivery_start(struct delivery *d)
{
	struct buf line;

	d->state = DELIVERY_ON_WIRE;
	d->started_ms = clock_mono_ms();
	if (ends_unsent(d)) {
		d->policy->ended(d->policy->arg, d);
		return;
	}
	buf_init(&line, LINE_MAX_BYTES);
	if (add_headers(d, &line) == 0)
		d->transfer = start_transfer(d, &line);
	buf_free(&line);
	if (d->transfer == NULL) {
		set_error(d, "out of memory");
		release_for_want(d, OUR_FAULT_WAIT_MS);
		d->policy->ended(d->policy->arg, d);
	}
}

void
delivery_interrupt(struct delivery *d)
{
	transport_cancel(d->transfer);
	d->transfer = NULL;
	set_error(d, "interrupted: the worker had to stop");
	finish(d, OUTCOME_RETRY, 0);
	/* Also of the last attempt: the destination has not refused it. */
	d->result.kind = RESULT_RETRY;
	d->result.callback = NULL;
	d->result.due_ms = d->result.at_ms;
	d->policy->ended(d->policy->arg, d);
}

void
delivery_release(struct delivery *d, int64_t due_ms)
{
	d->state = DELIVERY_FINISHED;
	d->result.due_ms = due_ms;
	d->result.kind = RESULT_RELEASED;
}
