/* SPDX-License-Identifier: ISC */
#include "event/job_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct job_rates rates = {100, 1000};

static enum event_json_result
read_text(const char *text, char *copy, size_t size, struct job_spec *spec,
    struct field_errors *errors)
{
	struct err err;

	ck_assert_uint_lt(strlen(text), size);
	(void)strcpy(copy, text);
	return job_json_read(copy, strlen(copy), &rates, spec, &err, errors);
}

/* What is written of what was read; which is read as the same. */
static const struct {
	const char *text, *again;
} texts[] = {
    {"{\"verb\":\"retry\",\"filter\":{}}",
	"{\"verb\":\"retry\",\"filter\":{\"status\":[\"FAILED\"]},"
	"\"rate\":100}"},
    {"{\"verb\":\"retry\",\"filter\":{\"status\":\"COMPLETED\"},"
     "\"rate\":1}",
	"{\"verb\":\"retry\",\"filter\":{\"status\":[\"COMPLETED\"]},"
	"\"rate\":1}"},
    {"{\"filter\":{\"status\":[\"SERVICE_UNAVAILABLE\",\"PENDING\"]},"
     "\"dry-run\":true,\"verb\":\"run\",\"rate\":1000}",
	"{\"verb\":\"run\",\"filter\":{\"status\":[\"PENDING\","
	"\"SERVICE_UNAVAILABLE\"]},\"rate\":1000,\"dry-run\":true}"},
    {"{\"verb\":\"run\",\"filter\":{},\"dry-run\":false}",
	"{\"verb\":\"run\",\"filter\":{\"status\":[\"PENDING\","
	"\"PROCESSING\",\"SERVICE_UNAVAILABLE\"]},\"rate\":100}"},
    {" {\"verb\" : \"d\\u0065lete\", \"filter\" : {\"from\" : 1.5, \"to\" : "
     "\"2027-03-28T09:00:00+02:00\", \"destination\" : \"h\\u002eX:80\"}} ",
	"{\"verb\":\"delete\",\"filter\":{\"status\":[\"PENDING\","
	"\"PROCESSING\",\"COMPLETED\",\"FAILED\",\"SERVICE_UNAVAILABLE\",\"AWAITING\"],"
	"\"from\":1.5,\"to\":1806217200,\"destination\":\"h.X:80\"},"
	"\"rate\":100}"},
    {"{\"verb\":\"delete\",\"filter\":{\"status\":\"FAILED\","
     "\"label\":\"a=b=\\u0063\"}}",
	"{\"verb\":\"delete\",\"filter\":{\"status\":[\"FAILED\"],"
	"\"label\":[\"a=b=c\"]},\"rate\":100}"},
    {"{\"verb\":\"delete\",\"filter\":{\"status\":\"FAILED\","
     "\"label\":[\"m=1\",\"z=\\\"\",\"a=\"]}}",
	"{\"verb\":\"delete\",\"filter\":{\"status\":[\"FAILED\"],"
	"\"label\":[\"m=1\",\"a=\",\"z=\\\"\"]},\"rate\":100}"},
    {"{\"verb\":\"reschedule\",\"filter\":{\"status\":\"PENDING\"},"
     "\"to\":0}",
	"{\"verb\":\"reschedule\",\"filter\":{\"status\":[\"PENDING\"]},"
	"\"to\":0,\"rate\":100}"},
    {"{\"verb\":\"reschedule\",\"filter\":{\"status\":\"PENDING\"},"
     "\"by\":\"90m\"}",
	"{\"verb\":\"reschedule\",\"filter\":{\"status\":[\"PENDING\"]},"
	"\"by\":\"90m\",\"rate\":100}"},
    {"{\"verb\":\"reschedule\",\"filter\":{\"status\":\"PENDING\"},"
     "\"by\":\"-24h\"}",
	"{\"verb\":\"reschedule\",\"filter\":{\"status\":[\"PENDING\"]},"
	"\"by\":\"-1d\",\"rate\":100}"},
};

static void
write_text(const struct job_spec *spec, struct buf *out)
{
	struct json_writer w = {.out = out};

	buf_init(out, JOB_JSON_MAX);
	json_object(&w, NULL);
	job_json_write(&w, spec);
	json_end_object(&w);
	(void)buf_append_char(out, '\0');
	ck_assert(!out->failed);
}

START_TEST(test_text)
{
	char copy[1024], second[1024];
	struct field_errors errors;
	struct job_spec spec, again;
	struct buf out, twice;

	ck_assert_int_eq(
	    read_text(texts[_i].text, copy, sizeof(copy), &spec, &errors),
	    EVENT_JSON_OK);
	write_text(&spec, &out);
	ck_assert_str_eq(out.p, texts[_i].again);
	ck_assert_int_eq(
	    read_text(out.p, second, sizeof(second), &again, &errors),
	    EVENT_JSON_OK);
	write_text(&again, &twice);
	ck_assert_str_eq(twice.p, out.p);
	buf_free(&out);
	buf_free(&twice);
}
END_TEST

/* The longest is kept whole. */
START_TEST(test_longest)
{
	char text[8192], copy[8192], value[64];
	struct field_errors errors;
	struct job_spec spec;
	struct buf out;
	size_t n;

	(void)strcpy(text, "{\"verb\":\"delete\",\"filter\":{\"from\":0.001,"
			   "\"to\":253402300799.999,\"destination\":\"");
	for (n = strlen(text); n < sizeof(text); n++)
		text[n] = 'h';
	(void)strcpy(
	    strstr(text, "hhh") + JOB_DESTINATION_MAX, "\",\"label\":[");
	for (int i = 0; i < EVENT_LABELS_MAX; i++) {
		(void)snprintf(
		    value, sizeof(value), "%s\"%032d=", i == 0 ? "" : ",", i);
		(void)strcat(text, value);
		for (int n_bytes = 0; n_bytes < EVENT_LABEL_VALUE_MAX;
		     n_bytes++)
			(void)strcat(text, "\\\"");
		(void)strcat(text, "\"");
	}
	(void)strcat(text, "]}}");
	ck_assert_int_eq(
	    read_text(text, copy, sizeof(copy), &spec, &errors), EVENT_JSON_OK);
	write_text(&spec, &out);
	buf_free(&out);
}
END_TEST

/* The first of the bad fields, and how many they are. */
static const struct {
	const char *text, *pointer;
	size_t n;
} bad[] = {
    {"[]", "", 1},
    {"{}", "/verb", 2},
    {"{\"verb\":\"retry\"}", "/filter", 1},
    {"{\"verb\":\"retry\",\"filter\":null}", "/filter", 1},
    {"{\"verb\":\"purge\",\"filter\":{}}", "/verb", 1},
    {"{\"verb\":7,\"filter\":{}}", "/verb", 1},
    {"{\"verb\":\"run\",\"verb\":\"run\",\"filter\":{}}", "/verb", 1},
    {"{\"verb\":\"run\",\"filter\":{\"state\":\"PENDING\"}}", "/filter/state",
	1},
    {"{\"verb\":\"run\",\"filters\":{}}", "/filters", 2},
    {"{\"verb\":\"run\",\"filter\":{\"status\":[]}}", "/filter/status", 1},
    {"{\"verb\":\"run\",\"filter\":{\"status\":[\"PENDING\",\"DELETED\"]}}",
	"/filter/status/1", 1},
    {"{\"verb\":\"run\",\"filter\":{\"status\":\"FAILED\"}}", "/filter/status",
	1},
    {"{\"verb\":\"retry\",\"filter\":{\"status\":[\"FAILED\",\"PENDING\"]}}",
	"/filter/status", 1},
    {"{\"verb\":\"run\",\"filter\":{\"from\":-1,\"to\":\"now\"}}",
	"/filter/from", 2},
    {"{\"verb\":\"run\",\"filter\":{\"destination\":\"\"}}",
	"/filter/destination", 1},
    {"{\"verb\":\"run\",\"filter\":{\"destination\":\"http://h/\"}}",
	"/filter/destination", 1},
    {"{\"verb\":\"run\",\"filter\":{\"destination\":[]}}",
	"/filter/destination", 1},
    {"{\"verb\":\"run\",\"filter\":{\"label\":\"a\"}}", "/filter/label", 1},
    {"{\"verb\":\"run\",\"filter\":{\"label\":[\"a=1\",\"a=2\",7]}}",
	"/filter/label/1", 2},
    {"{\"verb\":\"run\",\"filter\":{\"label\":[]}}", "/filter/label", 1},
    {"{\"verb\":\"run\",\"filter\":{},\"rate\":0}", "/rate", 1},
    {"{\"verb\":\"run\",\"filter\":{},\"rate\":1001}", "/rate", 1},
    {"{\"verb\":\"run\",\"filter\":{},\"rate\":1.5}", "/rate", 1},
    {"{\"verb\":\"run\",\"filter\":{},\"rate\":\"1\"}", "/rate", 1},
    {"{\"verb\":\"run\",\"filter\":{},\"dry-run\":1}", "/dry-run", 1},
    {"{\"verb\":\"run\",\"filter\":{},\"to\":5}", "/to", 1},
    {"{\"verb\":\"run\",\"filter\":{},\"by\":\"1h\"}", "/by", 1},
    {"{\"verb\":\"reschedule\",\"filter\":{}}", "/to", 1},
    {"{\"verb\":\"reschedule\",\"filter\":{},\"to\":5,\"by\":\"1h\"}", "/to",
	1},
    {"{\"verb\":\"reschedule\",\"filter\":{},\"to\":\"soon\"}", "/to", 1},
    {"{\"verb\":\"reschedule\",\"filter\":{},\"by\":\"0s\"}", "/by", 1},
    {"{\"verb\":\"reschedule\",\"filter\":{},\"by\":\"--1h\"}", "/by", 1},
    {"{\"verb\":\"reschedule\",\"filter\":{},\"by\":\"36501d\"}", "/by", 1},
    {"{\"verb\":\"reschedule\",\"filter\":{},\"by\":3600}", "/by", 1},
};

START_TEST(test_bad)
{
	struct field_errors errors;
	struct job_spec spec;
	char copy[1024];

	ck_assert_int_eq(
	    read_text(bad[_i].text, copy, sizeof(copy), &spec, &errors),
	    EVENT_JSON_INVALID);
	ck_assert_str_eq(errors.list[0].pointer, bad[_i].pointer);
	ck_assert_uint_eq(errors.total, bad[_i].n);
}
END_TEST

START_TEST(test_malformed)
{
	struct field_errors errors;
	struct job_spec spec;
	char copy[1024];

	ck_assert_int_eq(
	    read_text("{\"verb\":", copy, sizeof(copy), &spec, &errors),
	    EVENT_JSON_MALFORMED);
}
END_TEST

/* However many there are, no more are looked at. */
START_TEST(test_many_bad)
{
	struct field_errors errors;
	struct job_spec spec;
	char text[4096] = "{", copy[4096];

	for (int i = 0; i < 400; i++)
		(void)strcat(text, "\"abc\":1,");
	(void)strcat(text, "\"z\":1}");
	ck_assert_int_eq(read_text(text, copy, sizeof(copy), &spec, &errors),
	    EVENT_JSON_INVALID);
	ck_assert_uint_eq(errors.len, FIELD_ERRORS_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("job_json");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, test_text, 0, COUNT(texts));
	tcase_add_test(tc, test_longest);
	tcase_add_loop_test(tc, test_bad, 0, COUNT(bad));
	tcase_add_test(tc, test_malformed);
	tcase_add_test(tc, test_many_bad);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
