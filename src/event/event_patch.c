/* SPDX-License-Identifier: ISC */
#include "event/event_patch.h"

/* The members of an object of a patch: few, since each of the event's is held
 * against them. */
struct changes {
	struct {
		struct slice key; /* as it is written */
		struct json_value value;
		bool done;
	} list[EVENT_PATCH_MEMBERS_MAX];
	size_t n;
};

/* The last one of a name counts. False: there are too many. */
static bool
list_changes(const struct json_value *patch, struct changes *changes)
{
	struct json_value value;
	struct slice key;
	const char *at = NULL;
	size_t i;

	changes->n = 0;
	while (json_next_member(patch, &at, &key, &value)) {
		for (i = 0; i < changes->n; i++)
			if (slice_eq(changes->list[i].key, key))
				break;
		if (i == EVENT_PATCH_MEMBERS_MAX)
			return false;
		if (i == changes->n)
			changes->n++;
		changes->list[i].key = key;
		changes->list[i].value = value;
		changes->list[i].done = false;
	}
	return true;
}

static void
put_member(struct buf *out, bool *comma, struct slice key)
{
	if (*comma)
		(void)buf_append_char(out, ',');
	*comma = true;
	(void)buf_append_slice(out, key);
	(void)buf_append_char(out, ':');
}

static int merge(struct buf *out, const struct json_value *target,
    const struct json_value *patch);

/* Those of the target that the patch does not remove. */
static int
merge_present(struct buf *out, bool *comma, const struct json_value *target,
    struct changes *changes)
{
	struct json_value value;
	struct slice key;
	const char *at = NULL;
	size_t i;

	while (json_next_member(target, &at, &key, &value)) {
		for (i = 0; i < changes->n; i++)
			if (slice_eq(changes->list[i].key, key))
				break;
		if (i == changes->n) {
			put_member(out, comma, key);
			(void)buf_append_slice(out, value.raw);
			continue;
		}
		changes->list[i].done = true;
		if (changes->list[i].value.type == JSON_NULL)
			continue;
		put_member(out, comma, key);
		if (merge(out, &value, &changes->list[i].value) == -1)
			return -1;
	}
	return 0;
}

/* As deep as what json_scan accepts. */
static int
merge(struct buf *out, const struct json_value *target,
    const struct json_value *patch)
{
	static const struct json_value nothing = {
	    JSON_OBJECT, SLICE_INIT("{}")};
	struct changes changes;
	bool comma = false;

	if (patch->type != JSON_OBJECT)
		return buf_append_slice(out, patch->raw);
	if (target->type != JSON_OBJECT)
		target = &nothing;
	if (!list_changes(patch, &changes))
		return -1;
	(void)buf_append_char(out, '{');
	if (merge_present(out, &comma, target, &changes) == -1)
		return -1;
	for (size_t i = 0; i < changes.n; i++) {
		if (changes.list[i].done ||
		    changes.list[i].value.type == JSON_NULL)
			continue;
		put_member(out, &comma, changes.list[i].key);
		if (merge(out, &nothing, &changes.list[i].value) == -1)
			return -1;
	}
	return buf_append_char(out, '}');
}

static int
merge_body(const struct event_patch *patch, struct event *ev, struct buf *body)
{
	struct json_value present;

	if (ev->body_is_text || json_scan(ev->body, &present, NULL) == -1)
		present.type = JSON_NULL;
	if (merge(body, &present, &patch->body) == -1)
		return -1;
	ev->body = buf_slice(body);
	ev->body_is_text = false;
	return 0;
}

int
event_patch_apply(
    const struct event_patch *patch, struct event *ev, struct buf *body)
{
	if (patch->has_time)
		ev->expiry_ms = patch->values.expiry_ms;
	if (patch->has_url)
		ev->url = patch->values.url;
	if (patch->has_method)
		ev->method = patch->values.method;
	if (patch->has_headers)
		ev->headers = patch->values.headers;
	if (!patch->has_body)
		return 0;
	if (patch->body.type == JSON_OBJECT)
		return merge_body(patch, ev, body);
	ev->body = patch->values.body;
	ev->body_is_text = patch->values.body_is_text;
	return 0;
}

bool
event_patch_has_options(const struct event_patch *patch)
{
	return patch->has_retry || patch->has_not_after ||
	       patch->has_on_complete || patch->has_on_failure ||
	       patch->has_labels || patch->has_zone;
}

int64_t
event_patch_due_ms(const struct event_patch *patch, bool has_look)
{
	return has_look ? event_due_ms(&patch->values)
			: patch->values.expiry_ms;
}

void
event_patch_options(const struct event_patch *patch, bool has_look,
    struct event_options *options)
{
	if (patch->has_time) {
		options->zone.len = 0;
		if (patch->values.time == EVENT_AT_LOCAL && has_look)
			options->zone = patch->values.zone;
		options->local_s = patch->values.local_s;
	}
	if (patch->has_retry)
		options->retry = patch->retry;
	if (patch->has_not_after)
		options->not_after_ms = patch->not_after_ms;
	if (patch->has_on_complete)
		options->on_complete = patch->on_complete;
	if (patch->has_on_failure)
		options->on_failure = patch->on_failure;
}
