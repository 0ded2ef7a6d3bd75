/* SPDX-License-Identifier: ISC */
#include "bench/run.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	TICK_MAX_MS = 100,
	PROGRESS_US = 1000000,
	SETTLE_MS = 300, /* for late duplicates, and for the last results */
	RESULTS_US = 5000000,
};

volatile sig_atomic_t run_stopped;

/* ---- what the load generator and the sink call ---- */

/* Each event of the slow share is spread evenly among the others. */
static bool
is_slow(struct bench *b)
{
	b->slow_debt += b->options.slow_share;
	if (b->slow_debt < 1)
		return false;
	b->slow_debt -= 1;
	return true;
}

static int
build_add(void *arg, struct buf *out)
{
	struct bench *b = arg;
	bool slow = is_slow(b);
	int64_t due_ms = b->options.at_once
			     ? b->drain_at_ms
			     : wall_us() / 1000 + b->options.due_in_ms;

	if (ledger_sent(&b->ledger, due_ms, slow) == -1)
		return err_set(&b->load.err, "out of memory");
	return add_request_append(slow ? &b->slow_request : &b->request, out,
	    b->ledger.n - 1, due_ms);
}

static size_t
batch_of(const struct bench *b)
{
	return b->options.batch == 0 ? 1 : (size_t)b->options.batch;
}

static int
build_batch(void *arg, struct buf *out)
{
	struct bench *b = arg;
	size_t n = batch_of(b), count = (size_t)b->options.count;

	if (count > 0 && count - b->ledger.n < n)
		n = count - b->ledger.n;
	add_request_append_batch(&b->request, out, n);
	for (size_t i = 0; i < n; i++) {
		int64_t due_ms = b->options.at_once
				     ? b->drain_at_ms
				     : wall_us() / 1000 + b->options.due_in_ms;

		if (ledger_sent(&b->ledger, due_ms, false) == -1 ||
		    add_request_append_line(
			&b->request, out, b->ledger.n - 1, due_ms) == -1)
			return err_set(&b->load.err, "out of memory");
	}
	return 0;
}

static void
count_event(struct bench *b, uint64_t number, int status)
{
	if (status == 200 || status == 201) {
		ledger_acknowledged(&b->ledger, number);
		return;
	}
	b->n_refused++;
	b->refusal = status;
}

static void
answered(void *arg, uint64_t number, int status, struct slice body)
{
	(void)body;
	count_event(arg, number, status);
}

/* Each line of the answer is that of an event, and begins with its status. */
static void
batch_answered(void *arg, uint64_t number, int status, struct slice body)
{
	static const char start[] = "{\"response-code\":";
	struct bench *b = arg;
	uint64_t event = number * batch_of(b);
	const char *at = body.p, *end = body.p + body.len, *lf;

	while (at < end && event < b->ledger.n &&
	       (lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		int code = status;

		if ((size_t)(lf - at) > sizeof(start) + 3 &&
		    memcmp(at, start, sizeof(start) - 1) == 0) {
			const char *digits = at + sizeof(start) - 1;

			code = (digits[0] - '0') * 100 +
			       (digits[1] - '0') * 10 + (digits[2] - '0');
		}
		count_event(b, event++, code);
		at = lf + 1;
	}
}

static void
arrived(void *arg, struct slice event_id, int64_t at_us)
{
	struct bench *b = arg;

	ledger_arrived(&b->ledger, event_id, at_us);
}

/* ---- the loop ---- */

static int
smaller_wait(int a, int b)
{
	if (a == -1 || (b != -1 && b < a))
		return b;
	return a;
}

static void
show_progress(const struct bench *b, int64_t *next_us)
{
	int64_t now_us = mono_us();

	if (now_us < *next_us || isatty(STDERR_FILENO) == 0)
		return;
	*next_us = now_us + PROGRESS_US;
	(void)fprintf(stderr, "\r%zu added, %zu delivered ",
	    b->ledger.n_acknowledged, b->ledger.n_arrived);
}

/* One turn. 0 or -1. */
static int
turn(struct bench *b, int wait_ms, struct err *err)
{
	if (b->sink != NULL)
		wait_ms = smaller_wait(wait_ms, sink_tick(b->sink));
	if (b->slow_sink != NULL)
		wait_ms = smaller_wait(wait_ms, sink_tick(b->slow_sink));
	if (run_stopped != 0)
		b->load.ended = true;
	else
		wait_ms = smaller_wait(wait_ms, load_tick(&b->load));
	if (poller_run(&b->poller, wait_ms) == -1)
		return err_errno(err, "epoll_wait");
	return 0;
}

/* Turns until done, or nothing has happened for the time of patience. */
static int
turn_until(struct bench *b, bool (*done)(const struct bench *), struct err *err)
{
	int64_t changed_us = mono_us(), progress_us = changed_us;
	uint64_t before = 0;

	while (!done(b)) {
		uint64_t now = b->load.n_answered + b->ledger.n_arrived;

		if (turn(b, TICK_MAX_MS, err) == -1)
			return -1;
		if (now != before)
			changed_us = mono_us();
		before = now;
		if (mono_us() - changed_us > b->options.patience_ms * 1000)
			break;
		show_progress(b, &progress_us);
	}
	return 0;
}

static bool
all_added(const struct bench *b)
{
	return load_done(&b->load);
}

static bool
all_arrived(const struct bench *b)
{
	return b->ledger.n_missing == 0 || run_stopped != 0;
}

static bool
is_due(const struct bench *b)
{
	return wall_us() / 1000 >= b->drain_at_ms || run_stopped != 0;
}

/* Waits for that time, answering deliveries. */
static int
settle(struct bench *b, int64_t ms, struct err *err)
{
	int64_t end_us = mono_us() + ms * 1000;

	while (mono_us() < end_us)
		if (turn(b, TICK_MAX_MS / 10, err) == -1)
			return -1;
	return 0;
}

/* The last results are written a moment after the last arrival. */
static int
sample_end(struct bench *b, struct err *err)
{
	int64_t end_us = mono_us() + RESULTS_US;
	int64_t wanted = b->start.attempts + (int64_t)b->ledger.n_arrived;

	do {
		if (settle(b, SETTLE_MS, err) == -1 ||
		    target_sample(&b->target, true, &b->end, err) == -1)
			return -1;
	} while (b->target.control_socket != NULL && b->end.attempts < wanted &&
		 mono_us() < end_us);
	return 0;
}

/* ---- the parts of a run ---- */

static struct sink *
make_sink(struct bench *b, int64_t port, int64_t delay_ms, struct err *err)
{
	struct sink_config config = {
	    .port = (unsigned)port,
	    .status = (unsigned)b->options.sink_status,
	    .delay_ms = delay_ms,
	    .arrived = arrived,
	    .arg = b,
	};

	return sink_create(&b->poller, &config, err);
}

static int
make_request(struct bench *b, struct add_request *request,
    const struct sink *sink, struct err *err)
{
	char host[300], destination[64];

	(void)snprintf(host, sizeof(host),
	    strchr(b->target.host, ':') == NULL ? "%s:%s" : "[%s]:%s",
	    b->target.host, b->target.port);
	(void)snprintf(destination, sizeof(destination), "http://127.0.0.1:%u/",
	    sink_port(sink));
	if (add_request_init(request, host, b->ledger.tag, destination,
		(size_t)b->options.payload_bytes) == -1)
		return err_set(err, "out of memory");
	return 0;
}

static int
prepare_run(struct bench *b, struct err *err)
{
	const struct bench_options *options = &b->options;

	if (options->batch > 0 && options->slow_share > 0)
		return err_set(err, "--batch and --slow-share do not go "
				    "together");
	if (poller_init(&b->poller) == -1)
		return err_errno(err, "epoll");
	if (ledger_init(&b->ledger) == -1)
		return err_set(err, "out of memory");
	b->sink = make_sink(b, options->sink_port, options->sink_delay_ms, err);
	if (b->sink == NULL || make_request(b, &b->request, b->sink, err) == -1)
		return -1;
	if (options->slow_share == 0)
		return 0;
	b->slow_sink = make_sink(b, 0, options->slow_delay_ms, err);
	if (b->slow_sink == NULL)
		return -1;
	return make_request(b, &b->slow_request, b->slow_sink, err);
}

static int
add_events(struct bench *b, struct err *err)
{
	const struct bench_options *options = &b->options;
	struct load_config config = {
	    .host = b->target.host,
	    .port = b->target.port,
	    .connections = (unsigned)options->connections,
	    .pipeline = (unsigned)options->pipeline,
	    .rate = options->rate,
	    .count = ((uint64_t)options->count + batch_of(b) - 1) / batch_of(b),
	    .duration_ms = options->duration_ms,
	    .build = options->batch > 0 ? build_batch : build_add,
	    .answered = options->batch > 0 ? batch_answered : answered,
	    .arg = b,
	};

	if (target_sample(&b->target, false, &b->start, err) == -1)
		return -1;
	b->drain_at_ms = wall_us() / 1000 + options->due_in_ms;
	if (load_start(&b->load, &b->poller, &config, err) == -1 ||
	    turn_until(b, all_added, err) == -1)
		return -1;
	b->load.n_failed += b->load.n_under_way;
	if (b->load.err.text[0] != '\0')
		return err_set(err, "%s", b->load.err.text);
	return target_sample(&b->target, !options->delivers, &b->added, err);
}

static int
await_deliveries(struct bench *b, struct err *err)
{
	if (b->options.at_once) {
		if (is_due(b) && run_stopped == 0)
			return err_set(err,
			    "adding took longer than the %lld ms until the "
			    "events were due: see --due-in",
			    (long long)b->options.due_in_ms);
		if (turn_until(b, is_due, err) == -1 ||
		    target_sample(&b->target, false, &b->due, err) == -1)
			return -1;
	}
	if (turn_until(b, all_arrived, err) == -1)
		return -1;
	return sample_end(b, err);
}

int
run_load(struct bench *b, struct err *err)
{
	int status = prepare_run(b, err);

	if (status == 0)
		status = add_events(b, err);
	if (status == 0 && b->options.delivers)
		status = await_deliveries(b, err);
	if (isatty(STDERR_FILENO) != 0)
		(void)fputs("\r\033[K", stderr); /* the progress */
	return status;
}

int
run_sink(struct bench *b, struct err *err)
{
	int64_t end_us = mono_us() + b->options.duration_ms * 1000;
	struct sink *sink;

	if (poller_init(&b->poller) == -1)
		return err_errno(err, "epoll");
	if (ledger_init(&b->ledger) == -1)
		return err_set(err, "out of memory");
	sink =
	    make_sink(b, b->options.sink_port, b->options.sink_delay_ms, err);
	if (sink == NULL)
		return -1;
	b->sink = sink;
	printf("http://127.0.0.1:%u/\n", sink_port(sink));
	(void)fflush(stdout);
	while (run_stopped == 0 &&
	       (b->options.duration_ms == 0 || mono_us() < end_us))
		if (poller_run(&b->poller,
			smaller_wait(TICK_MAX_MS, sink_tick(sink))) == -1)
			return err_errno(err, "epoll_wait");
	return 0;
}

int
run_idle(struct bench *b, struct err *err)
{
	int64_t left_ms = b->options.duration_ms;

	if (target_sample(&b->target, true, &b->start, err) == -1)
		return -1;
	while (left_ms > 0 && run_stopped == 0) {
		int step_ms = left_ms < 1000 ? (int)left_ms : 1000;

		(void)poll(NULL, 0, step_ms);
		left_ms -= step_ms;
	}
	return target_sample(&b->target, true, &b->end, err);
}

void
run_fini(struct bench *b)
{
	load_fini(&b->load);
	sink_free(&b->sink);
	sink_free(&b->slow_sink);
	add_request_fini(&b->request);
	add_request_fini(&b->slow_request);
	ledger_fini(&b->ledger);
	poller_fini(&b->poller);
}
