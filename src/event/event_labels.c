/* SPDX-License-Identifier: ISC */
#include "event/event_labels.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/json_write.h"

static struct slice
label_name(const struct event_label *label)
{
	return slice_from_string(label->name);
}

static struct slice
label_value(const struct event_label *label)
{
	return slice_of(label->value, label->value_len);
}

/* ---- a name and a value ---- */

static const char *
take_label_name(struct slice name, struct event_label *label)
{
	if (name.len < 1 || name.len > EVENT_LABEL_NAME_MAX)
		return "the name of a label must be 1 to 32 bytes long";
	for (size_t i = 0; i < name.len; i++)
		if (!is_alnum(name.p[i]) && name.p[i] != '.' &&
		    name.p[i] != '_' && name.p[i] != '-')
			return "the name of a label must be of letters, "
			       "digits, '.', '_' and '-'";
	memcpy(label->name, name.p, name.len);
	label->name[name.len] = '\0';
	return NULL;
}

static const char *
take_label_value(struct slice value, struct event_label *label)
{
	size_t len;

	if (value.len > EVENT_LABEL_VALUE_MAX)
		return "the value of a label must be at most 64 bytes long";
	for (struct slice s = value; s.len > 0;
	     s = slice_of(s.p + len, s.len - len)) {
		len = slice_plain_len(s);
		if (len == 0)
			return "the value of a label must not have control "
			       "characters, line separators or marks of "
			       "direction";
	}
	if (value.len > 0)
		memcpy(label->value, value.p, value.len);
	label->value_len = value.len;
	return NULL;
}

/* A copy is unescaped: the text may have to be read again. */
static const char *
take_json_value(const struct json_value *value, struct event_label *label)
{
	/* Of each byte "\u00xx", and the quotes. */
	char copy[6 * EVENT_LABEL_VALUE_MAX + 2];

	if (value->type != JSON_STRING)
		return "the value of a label must be a string";
	if (value->raw.len > sizeof(copy))
		return "the value of a label must be at most 64 bytes long";
	memcpy(copy, value->raw.p, value->raw.len);
	return take_label_value(
	    json_unescape(slice_of(copy, value->raw.len)), label);
}

static const char *
take_json_name(struct slice key, struct event_label *label)
{
	char copy[6 * EVENT_LABEL_NAME_MAX + 2];

	if (key.len > sizeof(copy))
		return "the name of a label must be 1 to 32 bytes long";
	memcpy(copy, key.p, key.len);
	return take_label_name(json_unescape(slice_of(copy, key.len)), label);
}

/* ---- a set ---- */

/* Where one of that name is, or would be. */
static unsigned
label_place(const struct event_labels *labels, const struct event_label *label,
    bool *there)
{
	unsigned i = 0;

	while (i < labels->n && strcmp(labels->list[i].name, label->name) < 0)
		i++;
	*there =
	    i < labels->n && strcmp(labels->list[i].name, label->name) == 0;
	return i;
}

static const char *
put_label(struct event_labels *labels, const struct event_label *label)
{
	bool there;
	unsigned i = label_place(labels, label, &there);

	if (!there) {
		if (labels->n == EVENT_LABELS_MAX)
			return "an event has at most 8 labels";
		memmove(&labels->list[i + 1], &labels->list[i],
		    (labels->n++ - i) * sizeof(labels->list[0]));
	}
	labels->list[i] = *label;
	return NULL;
}

static void
take_out(struct event_labels *labels, const struct event_label *label)
{
	bool there;
	unsigned i = label_place(labels, label, &there);

	if (there)
		memmove(&labels->list[i], &labels->list[i + 1],
		    (--labels->n - i) * sizeof(labels->list[0]));
}

/* ---- JSON ---- */

static int
bad_label(
    struct event_labels_error *error, const char *name, const char *reason)
{
	(void)snprintf(error->where, sizeof(error->where), "%s%s",
	    name[0] == '\0' ? "" : "/", name);
	error->reason = reason;
	return -1;
}

/* One member, unless it is of the other pass. */
static const char *
change_label(struct event_labels *labels, const struct json_value *value,
    struct event_label *label, bool removes)
{
	const char *reason;

	if ((value->type == JSON_NULL) != removes)
		return NULL;
	if (removes) {
		take_out(labels, label);
		return NULL;
	}
	reason = take_json_value(value, label);
	return reason == NULL ? put_label(labels, label) : reason;
}

static int
change_each_label(struct event_labels *labels, const struct json_value *patch,
    bool removes, struct event_labels_error *error)
{
	struct json_value value;
	const char *at = NULL, *reason;
	struct slice key;

	while (json_next_member(patch, &at, &key, &value)) {
		struct event_label label = {.name = ""};

		reason = take_json_name(key, &label);
		if (reason == NULL)
			reason = change_label(labels, &value, &label, removes);
		if (reason != NULL)
			return bad_label(error, label.name, reason);
	}
	return 0;
}

/* What goes makes room for what comes, in whatever order. */
int
event_labels_patch(const struct json_value *patch, struct event_labels *labels,
    struct event_labels_error *error)
{
	if (patch->type == JSON_NULL) {
		labels->n = 0;
		return 0;
	}
	if (patch->type != JSON_OBJECT)
		return bad_label(
		    error, "", "must be an object of names and strings");
	return change_each_label(labels, patch, true, error) == 0 &&
		       change_each_label(labels, patch, false, error) == 0
		   ? 0
		   : -1;
}

int
event_labels_read(const struct json_value *value, struct event_labels *labels,
    struct event_labels_error *error)
{
	struct json_value member;
	const char *at = NULL;
	struct slice key;
	unsigned n = 0;

	labels->n = 0;
	if (value->type == JSON_NULL)
		return bad_label(
		    error, "", "must be an object of names and strings");
	if (event_labels_patch(value, labels, error) == -1)
		return -1;
	/* A null, and a name that comes twice, leave fewer than there were. */
	while (json_next_member(value, &at, &key, &member))
		n++;
	return n == labels->n ? 0
			      : bad_label(error, "",
				    "must have strings, and each name once");
}

int
event_labels_write(struct buf *out, const struct event_labels *labels)
{
	struct json_writer w = {.out = out};

	if (labels->n == 0)
		return out->failed ? -1 : 0;
	json_object(&w, NULL);
	for (unsigned i = 0; i < labels->n; i++)
		json_text(
		    &w, labels->list[i].name, label_value(&labels->list[i]));
	json_end_object(&w);
	return out->failed ? -1 : 0;
}

void
event_labels_parse(struct slice text, struct event_labels *labels)
{
	struct event_labels_error ignored;
	struct json_value value;
	struct err err;

	labels->n = 0;
	if (text.len > 0 &&
	    (json_scan(text, &value, &err) == -1 ||
		event_labels_read(&value, labels, &ignored) == -1))
		labels->n = 0;
}

/* ---- to be found by ---- */

const char *
event_labels_add(struct event_labels *labels, struct slice text)
{
	const char *equals =
	    text.len == 0 ? NULL : memchr(text.p, '=', text.len);
	struct event_label label = {.name = ""};
	const char *reason;
	size_t len;
	bool there;

	if (equals == NULL)
		return "a label must be NAME=VALUE";
	len = (size_t)(equals - text.p);
	reason = take_label_name(slice_of(text.p, len), &label);
	if (reason == NULL)
		reason = take_label_value(
		    slice_of(equals + 1, text.len - len - 1), &label);
	if (reason != NULL)
		return reason;
	(void)label_place(labels, &label, &there);
	return there ? "no event has two labels of one name"
		     : put_label(labels, &label);
}

bool
event_labels_have(
    const struct event_labels *labels, const struct event_labels *some)
{
	for (unsigned i = 0; i < some->n; i++) {
		const struct event_label *label = &some->list[i];
		bool there;
		unsigned at = label_place(labels, label, &there);

		if (!there || !slice_eq(label_value(&labels->list[at]),
				  label_value(label)))
			return false;
	}
	return true;
}

/* No name has an equals sign. */
int
event_label_key(
    struct slice app, const struct event_label *label, struct event_key *key)
{
	char text[EVENT_LABEL_NAME_MAX + 1 + EVENT_LABEL_VALUE_MAX];
	struct slice name = label_name(label);

	memcpy(text, name.p, name.len);
	text[name.len] = '=';
	memcpy(text + name.len + 1, label->value, label->value_len);
	return event_key_make(
	    app, slice_of(text, name.len + 1 + label->value_len), key);
}
