/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_request.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"

/* That member of the event, which is made if it is not there. */
static struct json_object *
member_of(struct json_object *event, const char *name,
    struct json_object *(*make)(void))
{
	struct json_object *member;

	if (!json_object_object_get_ex(event, name, &member)) {
		member = make();
		json_object_object_add(event, name, member);
	}
	return member;
}

static int
add_label_of(struct json_object *event, const char *text)
{
	const char *equals = strchr(text, '=');
	char name[256];

	if (equals == NULL || (size_t)(equals - text) >= sizeof(name))
		return -1;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	json_object_object_add(
	    member_of(event, "labels", json_object_new_object), name,
	    json_object_new_string(equals + 1));
	return 0;
}

void
ctl_request_number(
    struct json_object *object, const char *name, const char *text)
{
	uint64_t n;

	/* What is no number is for the server to refuse. */
	json_object_object_add(object, name,
	    slice_to_u64(slice_from_string(text), INT64_MAX, &n) == -1
		? json_object_new_string(text)
		: json_object_new_int64((int64_t)n));
}

/* Words, parted by commas. */
static struct json_object *
list_of(const char *text)
{
	struct json_object *list = json_object_new_array();

	for (;;) {
		size_t len = strcspn(text, ",");

		json_object_array_add(
		    list, json_object_new_string_len(text, (int)len));
		if (text[len] == '\0')
			return list;
		text += len + 1;
	}
}

static void
take_retry(struct json_object *event, const char *name)
{
	struct json_object *retry =
	    member_of(event, "retry", json_object_new_object);

	if (strcmp(name, "delays") == 0)
		json_object_object_add(retry, name, list_of(optarg));
	else if (strcmp(name, "retry-on") == 0)
		json_object_object_add(retry, "on", list_of(optarg));
	else
		ctl_request_number(retry,
		    strcmp(name, "attempts") == 0 ? name : "jitter", optarg);
}

int
ctl_request_take(struct json_object *event, int c, const char *name)
{
	switch (c) {
	case 'm':
	case 'M':
		json_object_object_add(event, c == 'm' ? "method" : name,
		    json_object_new_string(optarg));
		return 0;
	case 'H':
		json_object_array_add(
		    member_of(event, "request-headers", json_object_new_array),
		    json_object_new_string(optarg));
		return 0;
	case 'L':
		return add_label_of(event, optarg);
	case 'R':
		take_retry(event, name);
		return 0;
	default:
		return -1;
	}
}
