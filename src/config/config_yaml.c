/* SPDX-License-Identifier: ISC */
#include "config/config_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/check.h"

enum { DEPTH_MAX = 16 };

struct reader {
	const char *file;
	const char *bytes;
	const struct config_handler *handler;
	struct config_errors *errors;
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	unsigned depth;     /* mappings and sequences that are open */
	bool stopped;
};

static struct config_mark
mark_of(const yaml_mark_t *mark)
{
	return (struct config_mark){mark->line + 1, mark->column + 1};
}

/* libyaml gives an offset instead of a mark where the text is no text. */
static struct config_mark
mark_of_offset(const struct reader *r, size_t offset)
{
	struct config_mark mark = {1, 1};

	for (size_t i = 0; i < offset; i++) {
		mark.column++;
		if (r->bytes[i] == '\n')
			mark = (struct config_mark){mark.line + 1, 1};
	}
	return mark;
}

static void
syntax_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	struct config_mark at = mark_of(&p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR) {
		config_error(r->errors, r->file, at, "out of memory");
		return;
	}
	if (p->error == YAML_READER_ERROR)
		at = mark_of_offset(r, p->problem_offset);
	if (p->context == NULL)
		config_error(
		    r->errors, r->file, at, "not valid YAML: %s", p->problem);
	else
		config_error(r->errors, r->file, at,
		    "not valid YAML: %s %s that starts in line %zu", p->problem,
		    p->context, p->context_mark.line + 1);
}

static void
stop(struct reader *r, const char *reason)
{
	config_error(
	    r->errors, r->file, mark_of(&r->event.start_mark), "%s", reason);
	r->stopped = true;
}

/* An anchor and a tag belong to the node they stand before. */
static void
check_properties(struct reader *r)
{
	const yaml_event_t *e = &r->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (anchor != NULL)
		config_error(r->errors, r->file, mark_of(&e->start_mark),
		    "anchors are not supported");
	if (tag != NULL)
		config_error(r->errors, r->file, mark_of(&e->start_mark),
		    "tags are not supported");
}

/* The type of the event that is now the current one; YAML_NO_EVENT: stop. */
static yaml_event_type_t
next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (r->stopped || r->errors->len > CONFIG_ERRORS_MAX)
		return YAML_NO_EVENT;
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		syntax_error(r);
		r->stopped = true;
		return YAML_NO_EVENT;
	}
	check_properties(r);
	if (r->event.type == YAML_SEQUENCE_START_EVENT ||
	    r->event.type == YAML_MAPPING_START_EVENT) {
		if (++r->depth > DEPTH_MAX)
			stop(r, "nested too deeply");
	} else if (r->event.type == YAML_SEQUENCE_END_EVENT ||
		   r->event.type == YAML_MAPPING_END_EVENT) {
		check(r->depth > 0);
		r->depth--;
	}
	return r->stopped ? YAML_NO_EVENT : r->event.type;
}

/* False at the end of a mapping or sequence, or when reading stopped. */
static bool
next_node(struct reader *r)
{
	yaml_event_type_t type = next(r);

	return type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ||
	       type == YAML_SEQUENCE_START_EVENT ||
	       type == YAML_MAPPING_START_EVENT;
}

/* Passes over what belongs to the current node. */
static void
skip_node(struct reader *r)
{
	unsigned inside = r->depth;

	if (r->event.type != YAML_SEQUENCE_START_EVENT &&
	    r->event.type != YAML_MAPPING_START_EVENT)
		return;
	while (r->depth >= inside && next(r) != YAML_NO_EVENT)
		;
}

/* The current node is not what it should be. */
static void
refuse_node(struct reader *r, const char *what, const char *wanted)
{
	struct config_mark at = mark_of(&r->event.start_mark);

	if (r->event.type == YAML_ALIAS_EVENT)
		config_error(
		    r->errors, r->file, at, "aliases are not supported");
	else
		config_error(
		    r->errors, r->file, at, "%.40s must be %s", what, wanted);
	skip_node(r);
}

static bool
is_null(const yaml_event_t *e)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

	if (e->type != YAML_SCALAR_EVENT ||
	    e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		if (strcmp((const char *)e->data.scalar.value, nulls[i]) == 0)
			return true;
	return false;
}

/*
 * Takes the current node, which must be a scalar, as text that lives as long
 * as *held; false, with *held empty and the node passed over, when it is not.
 */
static bool
take_text(struct reader *r, const char *what, yaml_event_t *held,
    struct config_text *text)
{
	const yaml_event_t *e = &r->event;

	memset(held, 0, sizeof(*held));
	if (e->type != YAML_SCALAR_EVENT) {
		refuse_node(r, what, "plain text or a number");
		return false;
	}
	for (size_t i = 0; i < e->data.scalar.length; i++)
		if (e->data.scalar.value[i] < ' ' ||
		    e->data.scalar.value[i] == 0x7f) {
			refuse_node(r, what, "without control characters");
			return false;
		}
	*held = *e;
	memset(&r->event, 0, sizeof(r->event));
	text->text = (const char *)held->data.scalar.value;
	text->null = is_null(held);
	text->at = mark_of(&held->start_mark);
	return true;
}

static void read_settings(struct reader *r);

/* The current node is the first of a list, and a mapping. */
static void
read_records(struct reader *r, const struct config_setting *s)
{
	const struct config_handler *handler = r->handler;
	bool wanted = handler->records(handler->arg, &s->name, s->at);

	do {
		struct config_mark there = mark_of(&r->event.start_mark);

		if (r->event.type != YAML_MAPPING_START_EVENT) {
			refuse_node(r, s->name.text, "a list of records alone");
		} else if (!wanted || !handler->record(handler->arg, there)) {
			skip_node(r);
		} else {
			read_settings(r);
			handler->record_end(handler->arg);
		}
	} while (next_node(r));
}

/* The current node is the first of a list that is none of records, or its end.
 * False when the setting cannot be told. */
static bool
read_list(struct reader *r, struct config_setting *s, yaml_event_t *held,
    bool has_more)
{
	bool good = true;

	for (; has_more; has_more = next_node(r), s->n++) {
		if (s->n >= CONFIG_VALUES_MAX)
			skip_node(r);
		else if (!take_text(
			     r, s->name.text, &held[s->n], &s->values[s->n]))
			good = false;
	}
	return good;
}

/* The current node is the value of s->name. */
static void
read_setting(struct reader *r, struct config_setting *s)
{
	yaml_event_t held[CONFIG_VALUES_MAX];
	bool good;

	s->at = mark_of(&r->event.start_mark);
	s->list = r->event.type == YAML_SEQUENCE_START_EVENT;
	s->n = s->list ? 0 : 1;
	if (!s->list) {
		good = take_text(r, s->name.text, &held[0], &s->values[0]);
	} else {
		bool has_more = next_node(r);

		if (has_more && r->event.type == YAML_MAPPING_START_EVENT) {
			read_records(r, s);
			return;
		}
		good = read_list(r, s, held, has_more);
	}
	if (good && !r->stopped)
		r->handler->setting(r->handler->arg, s);
	for (size_t i = 0; i < s->n && i < CONFIG_VALUES_MAX; i++)
		yaml_event_delete(&held[i]);
}

/* The current node is the mapping of a section, or of a record. */
static void
read_settings(struct reader *r)
{
	struct config_setting setting;
	yaml_event_t name;

	while (next_node(r)) {
		if (take_text(r, "a key", &name, &setting.name)) {
			if (next_node(r))
				read_setting(r, &setting);
		} else if (next_node(r)) {
			skip_node(r);
		}
		yaml_event_delete(&name);
	}
}

/* The current node is the mapping of the whole document. */
static void
read_sections(struct reader *r)
{
	const struct config_handler *handler = r->handler;
	struct config_text name;
	yaml_event_t held;

	while (next_node(r)) {
		bool known = take_text(r, "a section", &held, &name) &&
			     handler->section(handler->arg, &name);

		if (!next_node(r) || !known)
			skip_node(r);
		else if (r->event.type == YAML_MAPPING_START_EVENT)
			read_settings(r);
		else if (!is_null(&r->event))
			refuse_node(r, name.text, "a section: keys with values");
		yaml_event_delete(&held);
	}
}

static void
read_stream(struct reader *r)
{
	next(r); /* start of the stream */
	if (next(r) != YAML_DOCUMENT_START_EVENT)
		return;
	if (next(r) == YAML_MAPPING_START_EVENT)
		read_sections(r);
	else if (r->event.type != YAML_NO_EVENT && !is_null(&r->event))
		refuse_node(r, "the file", "sections with keys");
	next(r); /* end of the document */
	if (next(r) == YAML_DOCUMENT_START_EVENT)
		stop(r, "only one document is allowed");
}

void
config_yaml_read(const char *file, const char *bytes, size_t len,
    const struct config_handler *handler, struct config_errors *errors)
{
	struct reader r = {
	    .file = file, .bytes = bytes, .handler = handler, .errors = errors};

	if (!yaml_parser_initialize(&r.parser)) {
		config_error(
		    errors, file, (struct config_mark){0}, "out of memory");
		return;
	}
	yaml_parser_set_input_string(
	    &r.parser, (const unsigned char *)bytes, len);
	read_stream(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
}
