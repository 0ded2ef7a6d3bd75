/* SPDX-License-Identifier: ISC */
#include "worker/delivery.h"

#include "suite.h"
#include "worker_parts.h"

/* ---- in the place of libcurl and of memory ---- */

static struct transport_request sent;
static int n_sent;
static bool no_memory; /* for the event that tells of an end */
static bool damaged;   /* what is said of it */

struct transfer *
transport_start(
    struct transport *transport, const struct transport_request *request)
{
	static int transfer;

	(void)transport;
	sent = *request;
	n_sent++;
	return (struct transfer *)&transfer;
}

void
transport_cancel(struct transfer *transfer)
{
	(void)transfer;
}

struct callback *
callback_create(size_t bytes_kept)
{
	(void)bytes_kept;
	return calloc(1, sizeof(struct callback));
}

void
callback_free(struct callback *callback)
{
	free(callback);
}

void
callback_take_header(struct callback *callback, struct slice line)
{
	(void)callback;
	(void)line;
}

void
callback_take_body(struct callback *callback, struct slice bytes)
{
	(void)callback;
	(void)bytes;
}

int
callback_event(struct callback *callback, struct slice json,
    struct event_end *end, const struct event **event)
{
	(void)json;
	(void)end;
	*event = no_memory || damaged ? NULL : &callback->event;
	return no_memory ? -1 : 0;
}

/* ---- a delivery ---- */

static struct dbclock db;
static const struct retry_policy retry = {.n_delays = 1}; /* one attempt */

static void
ended(void *arg, struct delivery *d)
{
	(void)arg;
	ck_assert_int_eq(d->state, DELIVERY_FINISHED);
}

static const struct delivery_policy policy = {
    .retry = &retry, .public_url = "http://c/", .clock = &db, .ended = ended};

#define TELLS "\"on-complete\":\"http://y/\",\"on-failure\":\"http://n/\""
#define AWAITED                                                                \
	"{\"ack-key\":\"0123456789abcdef0123456789abcdef\","                   \
	"\"complete-by-ms\":1000"

static struct delivery *
begin(unsigned attempt, const char *options)
{
	struct store_claim *claim = parts_claim(1, attempt, 0);
	struct delivery *d;

	claim->event.options = slice_from_string(options);
	d = delivery_create(claim, &policy);
	ck_assert_ptr_nonnull(d);
	ck_assert_msg(!d->refused, "%s", d->error);
	return d;
}

static void
answer(int status)
{
	const struct transport_end end = {
	    .code = CURLE_OK, .status = status, .sent = true};

	ck_assert_int_eq(n_sent, 1);
	sent.on_end(sent.arg, &end);
}

/* Its last attempt had a 202, and no word followed; or that was refused by a
 * word, and it has fewer attempts since. */
START_TEST(test_no_word_in_time)
{
	struct delivery *d = begin(2, AWAITED "}");

	d->claim->last_code = 202;
	d->claim->has_error = _i == 1;
	delivery_start(d);
	ck_assert_int_eq(n_sent, _i);
	if (_i == 1)
		answer(503);
	ck_assert_int_eq(
	    d->result.kind, _i == 1 ? RESULT_FAILED : RESULT_LAPSED);
	ck_assert(slice_eq(d->result.error,
	    slice_from_string(_i == 1 ? "" : "not acknowledged in time")));
	delivery_free(d);
}
END_TEST

/* Its end is what it was: only who is told of it waits. */
START_TEST(test_no_memory_for_callback)
{
	static const struct {
		int status;
		enum result_kind kind;
	} ends[] = {{200, RESULT_COMPLETED}, {202, RESULT_COMPLETED},
	    {404, RESULT_FAILED}, {503, RESULT_FAILED}};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		for (int memory = 0; memory < 2; memory++) {
			struct delivery *d = begin(1, "{" TELLS "}");

			no_memory = memory == 0;
			n_sent = 0;
			delivery_start(d);
			answer(ends[i].status);
			ck_assert_int_eq(d->result.kind, ends[i].kind);
			ck_assert_uint_eq(d->result.error.len, 0);
			if (no_memory)
				ck_assert_int_eq(delivery_tell(d), -1);
			no_memory = false;
			ck_assert_int_eq(delivery_tell(d), 0);
			ck_assert_ptr_nonnull(d->result.callback);
			no_memory = true; /* it is there */
			ck_assert_int_eq(delivery_tell(d), 0);
			delivery_free(d);
		}
}
END_TEST

/* The attempt that was not acknowledged stays the last one. */
START_TEST(test_no_memory_after_no_word)
{
	struct delivery *d = begin(2, AWAITED "," TELLS "}");

	no_memory = true;
	d->claim->last_code = 202;
	delivery_start(d);
	ck_assert_int_eq(n_sent, 0);
	ck_assert_int_eq(d->result.kind, RESULT_LAPSED);
	ck_assert_int_eq(delivery_tell(d), -1);
	delivery_free(d);
}
END_TEST

/* Nobody is told: of an attempt that is not the last one, of what is given
 * back, or in damaged words. */
START_TEST(test_nobody_is_told)
{
	struct delivery *d = begin(1, "{" TELLS "}");

	no_memory = true;
	d->result.kind = RESULT_RETRY;
	ck_assert_int_eq(delivery_tell(d), 0);
	d->result.kind = RESULT_RELEASED;
	ck_assert_int_eq(delivery_tell(d), 0);
	no_memory = false;
	damaged = true;
	d->result.kind = RESULT_COMPLETED;
	ck_assert_int_eq(delivery_tell(d), 0);
	ck_assert_ptr_null(d->result.callback);
	delivery_free(d);
	d = delivery_create_stray(1);
	ck_assert_int_eq(delivery_tell(d), 0);
	delivery_free(d);
}
END_TEST

static void
set_up(void)
{
	parts_begin();
	n_sent = 0;
	no_memory = damaged = false;
}

int
main(void)
{
	Suite *suite = suite_create("delivery");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, set_up, parts_end);
	tcase_add_loop_test(tc, test_no_word_in_time, 0, 2);
	tcase_add_test(tc, test_no_memory_for_callback);
	tcase_add_test(tc, test_no_memory_after_no_word);
	tcase_add_test(tc, test_nobody_is_told);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
