/* SPDX-License-Identifier: ISC */
#include "event/event.h"

#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static void
to_hex(const uint8_t bytes[EVENT_KEY_BYTES], char hex[2 * EVENT_KEY_BYTES + 1])
{
	for (size_t i = 0; i < EVENT_KEY_BYTES; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

START_TEST(test_state_name)
{
	static const char *const names[] = {
	    [EVENT_PENDING] = "PENDING",
	    [EVENT_PROCESSING] = "PROCESSING",
	    [EVENT_COMPLETED] = "COMPLETED",
	    [EVENT_FAILED] = "FAILED",
	    [EVENT_SERVICE_UNAVAILABLE] = "SERVICE_UNAVAILABLE",
	    [EVENT_AWAITING] = "AWAITING",
	    [EVENT_DELETED] = "DELETED",
	};

	for (int i = 0; i < COUNT(names); i++)
		ck_assert_str_eq(
		    event_state_name((enum event_state)i), names[i]);
}
END_TEST

/* printf 'APP\0ID' | sha256sum | cut -c 1-32 */
static const struct {
	struct slice app, id;
	const char *hex;
} keys[] = {
    {SLICE_INIT("orders"), SLICE_INIT("order-1"),
	"3e5374437f6e619f357f9fc805b87228"},
    {SLICE_INIT("orders"), SLICE_INIT("order-1 "),
	"e773036159d239ff36e1ffff4b03323f"},
    {SLICE_INIT("Orders"), SLICE_INIT("order-1"),
	"38e502172f2c3271e08aad5529afe3d5"},
    /* The NUL keeps ids apart that join to the same text. */
    {SLICE_INIT("ab"), SLICE_INIT("c"), "6c032e631d39a14d85aff7e319546af7"},
    {SLICE_INIT("a"), SLICE_INIT("bc"), "40bb547d936bbd31318ee37ac8799e7e"},
};

START_TEST(test_key)
{
	char hex[2 * EVENT_KEY_BYTES + 1];
	struct event_key key;

	ck_assert_int_eq(event_key_make(keys[_i].app, keys[_i].id, &key), 0);
	to_hex(key.bytes, hex);
	ck_assert_str_eq(hex, keys[_i].hex);
}
END_TEST

static const struct event sample = {
    .app = SLICE_INIT("a"),
    .id = SLICE_INIT("1"),
    .method = SLICE_INIT("POST"),
    .url = SLICE_INIT("http://a/"),
    .headers = SLICE_INIT("A: b\n"),
    .body = SLICE_INIT("{}"),
    .expiry_ms = INT64_C(1524141245250),
};

START_TEST(test_fingerprint)
{
	char hex[2 * EVENT_KEY_BYTES + 1];
	uint8_t print[EVENT_KEY_BYTES];

	ck_assert_int_eq(event_fingerprint(&sample, print), 0);
	to_hex(print, hex);
	ck_assert_str_eq(hex, "d078cc8be719aa7d8bec44a2fa731552");
}
END_TEST

/* Each differs from the sample in content. */
START_TEST(test_fingerprints_differ)
{
	struct event others[] = {
	    sample, sample, sample, sample, sample, sample, sample, sample,
	    sample};
	uint8_t print[COUNT(others)][EVENT_KEY_BYTES];

	others[1].expiry_ms++;
	others[2].body_is_text = true;
	others[3].method = SLICE_LITERAL("PUT");
	others[4].url = SLICE_LITERAL("http://a/b");
	others[5].headers = SLICE_LITERAL("");
	/* The same bytes, parted elsewhere. */
	others[6].headers = SLICE_LITERAL("A: b\n{");
	others[6].body = SLICE_LITERAL("}");
	others[7].time = EVENT_IN;
	others[7].in_ms = sample.expiry_ms;
	others[8].options = SLICE_LITERAL("{}");
	for (int i = 0; i < COUNT(others); i++) {
		ck_assert_int_eq(event_fingerprint(&others[i], print[i]), 0);
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(print[i], print[j], EVENT_KEY_BYTES);
	}
}
END_TEST

/* A repeat comes later, and means the same. */
START_TEST(test_fingerprint_of_a_delay)
{
	uint8_t print[3][EVENT_KEY_BYTES];
	struct event ev = sample;

	ev.time = EVENT_IN;
	for (int i = 0; i < 3; i++) {
		ev.in_ms = i < 2 ? 60000 : 60001;
		event_resolve(&ev, 1000 * i);
		ck_assert_int_eq(ev.expiry_ms, 1000 * i + ev.in_ms);
		ck_assert_int_eq(event_fingerprint(&ev, print[i]), 0);
	}
	ck_assert_mem_eq(print[0], print[1], EVENT_KEY_BYTES);
	ck_assert_mem_ne(print[0], print[2], EVENT_KEY_BYTES);
}
END_TEST

START_TEST(test_fingerprint_is_without_ids)
{
	struct event other = sample;
	uint8_t a[EVENT_KEY_BYTES], b[EVENT_KEY_BYTES];

	other.app = SLICE_LITERAL("b");
	other.id = SLICE_LITERAL("2");
	ck_assert_int_eq(event_fingerprint(&sample, a), 0);
	ck_assert_int_eq(event_fingerprint(&other, b), 0);
	ck_assert_mem_eq(a, b, EVENT_KEY_BYTES);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event");
	TCase *tc = tcase_create("event");

	tcase_add_test(tc, test_state_name);
	tcase_add_loop_test(tc, test_key, 0, COUNT(keys));
	tcase_add_test(tc, test_fingerprint);
	tcase_add_test(tc, test_fingerprints_differ);
	tcase_add_test(tc, test_fingerprint_of_a_delay);
	tcase_add_test(tc, test_fingerprint_is_without_ids);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
