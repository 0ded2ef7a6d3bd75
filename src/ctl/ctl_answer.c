/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_answer.h"

#include "base/percent.h"
#include "ctl/ctl_print.h"

bool
ctl_member(
    const struct json_value *object, const char *name, struct json_value *value)
{
	struct slice key, wanted = slice_from_string(name);
	const char *at = NULL;

	while (object->type == JSON_OBJECT &&
	       json_next_member(object, &at, &key, value))
		if (slice_eq(slice_of(key.p + 1, key.len - 2), wanted))
			return true;
	return false;
}

bool
ctl_member_is(
    const struct json_value *object, const char *name, const char *text)
{
	struct json_value value;

	return ctl_member(object, name, &value) && value.type == JSON_STRING &&
	       slice_eq(slice_of(value.raw.p + 1, value.raw.len - 2),
		   slice_from_string(text));
}

int64_t
ctl_member_count(const struct json_value *object, const char *name)
{
	struct json_value value;
	uint64_t n;

	return ctl_member(object, name, &value) && value.type == JSON_NUMBER &&
		       slice_to_u64(value.raw, INT64_MAX, &n) == 0
		   ? (int64_t)n
		   : 0;
}

/* In a copy, since it is done in place. */
static struct slice
unescaped(const struct json_value *value, struct buf *copy)
{
	buf_init(copy, value->raw.len);
	return value->type == JSON_STRING &&
		       buf_append_slice(copy, value->raw) == 0
		   ? json_unescape(buf_slice(copy))
		   : value->raw;
}

size_t
ctl_answer_print(FILE *out, const struct json_value *value)
{
	struct buf copy;
	size_t n = ctl_print(out, unescaped(value, &copy), false);

	buf_free(&copy);
	return n;
}

int
ctl_answer_encode(struct buf *url, const struct json_value *value)
{
	struct buf copy;
	int status = percent_encode(url, unescaped(value, &copy));

	buf_free(&copy);
	return status;
}

int
ctl_answer_read(const struct ctl *ctl, const char *what, struct buf *answer,
    struct json_value *object)
{
	struct err err;

	for (size_t i = 0; i < answer->len; i++)
		if (answer->p[i] == '\n' || answer->p[i] == '\r' ||
		    answer->p[i] == '\t')
			answer->p[i] = ' ';
	return json_scan(buf_slice(answer), object, &err) == 0 &&
		       object->type == JSON_OBJECT
		   ? CTL_OK
		   : ctl_fail(ctl, "the answer is no %s", what);
}

void
ctl_answer_print_json(const struct json_value *value)
{
	(void)ctl_print(stdout, value->raw, false);
	(void)putchar('\n');
}

/* ---- problems ---- */

static void
tell_member(const struct json_value *object, const char *name)
{
	struct json_value value;

	if (ctl_member(object, name, &value))
		(void)ctl_answer_print(stderr, &value);
}

static void
tell_errors(const struct json_value *problem)
{
	struct json_value errors, one;
	const char *at = NULL, *before = " (";

	if (!ctl_member(problem, "errors", &errors) ||
	    errors.type != JSON_ARRAY)
		return;
	for (; json_next_element(&errors, &at, &one); before = "; ") {
		(void)fputs(before, stderr);
		tell_member(&one, "pointer");
		(void)fputs(": ", stderr);
		tell_member(&one, "detail");
	}
	if (before[0] == ';')
		(void)fputc(')', stderr);
}

void
ctl_answer_tell_problem(
    const struct ctl *ctl, const char *what, const struct json_value *problem)
{
	struct json_value detail, state;

	(void)fprintf(stderr, "%s: ", ctl->program);
	if (what != NULL) {
		(void)ctl_print(stderr, slice_from_string(what), false);
		(void)fputs(": ", stderr);
	}
	tell_member(problem, "title");
	if (ctl_member(problem, "detail", &detail)) {
		(void)fputs(": ", stderr);
		(void)ctl_answer_print(stderr, &detail);
	}
	if (ctl_member(problem, "event-status", &state)) {
		(void)fputs(": it is ", stderr);
		(void)ctl_answer_print(stderr, &state);
	}
	tell_errors(problem);
	(void)fputc('\n', stderr);
}

int
ctl_answer_refused(const struct ctl *ctl, const char *what, long status,
    const struct buf *answer)
{
	struct json_value problem, title;
	struct err err;

	if (json_scan(buf_slice(answer), &problem, &err) == -1 ||
	    !ctl_member(&problem, "title", &title))
		return ctl_fail(ctl, "%s%sthe answer has status %ld",
		    what == NULL ? "" : what, what == NULL ? "" : ": ", status);
	if (ctl->json) {
		(void)ctl_print(stderr, problem.raw, true);
		(void)fputc('\n', stderr);
	} else
		ctl_answer_tell_problem(ctl, what, &problem);
	return CTL_FAILED;
}
