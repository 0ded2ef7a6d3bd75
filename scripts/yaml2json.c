/* SPDX-License-Identifier: ISC */
/*
 * yaml2json < FILE.yaml : the document as JSON, on standard output. Plain
 * scalars that are JSON are taken as such, all others are strings. Anchors,
 * aliases and tags, which JSON has not, are refused.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static yaml_parser_t parser;

static _Noreturn void
refuse(const char *reason, const yaml_mark_t *mark)
{
	(void)fprintf(stderr, "yaml2json: line %zu, column %zu: %s\n",
	    mark->line + 1, mark->column + 1, reason);
	exit(1);
}

static yaml_event_t
next_event(void)
{
	yaml_event_t event;

	if (yaml_parser_parse(&parser, &event) == 0)
		refuse(parser.problem, &parser.problem_mark);
	return event;
}

static void
put_string(const char *text, size_t len)
{
	(void)putchar('"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			(void)printf("\\%c", c);
		else if (c == '\n')
			(void)printf("\\n");
		else if (c < 0x20)
			(void)printf("\\u%04x", (unsigned)c);
		else
			(void)putchar(c);
	}
	(void)putchar('"');
}

/* A number as JSON has it, of those that a document needs: -1, 20, 0.5. */
static bool
is_number(const char *p)
{
	p += *p == '-';
	if (*p == '0' && isdigit((unsigned char)p[1]))
		return false;
	if (!isdigit((unsigned char)*p))
		return false;
	p += strspn(p, "0123456789");
	if (*p == '.' && isdigit((unsigned char)p[1]))
		p += 1 + strspn(p + 1, "0123456789");
	return *p == '\0';
}

static void
put_scalar(const yaml_event_t *event, bool is_key)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	bool plain =
	    event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_key;

	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
		refuse("an anchor or a tag", &event->start_mark);
	if (plain && len == 0)
		refuse("no value", &event->start_mark);
	if (plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ||
			 strcmp(text, "null") == 0 || is_number(text)))
		(void)printf("%s", text);
	else
		put_string(text, len);
}

/* Bounded by what libyaml takes in; the document is our own. */
static void
put_value(yaml_event_t *event, bool is_key)
{
	bool map = event->type == YAML_MAPPING_START_EVENT;
	yaml_event_type_t end =
	    map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	size_t n = 0;

	if (event->type == YAML_SCALAR_EVENT) {
		put_scalar(event, is_key);
		yaml_event_delete(event);
		return;
	}
	if (is_key || (!map && event->type != YAML_SEQUENCE_START_EVENT))
		refuse("what JSON has not", &event->start_mark);
	yaml_event_delete(event);
	(void)putchar(map ? '{' : '[');
	for (*event = next_event(); event->type != end; *event = next_event()) {
		if (n > 0)
			(void)putchar(map && n % 2 == 1 ? ':' : ',');
		put_value(event, map && n % 2 == 0);
		n++;
	}
	yaml_event_delete(event);
	(void)putchar(map ? '}' : ']');
}

int
main(void)
{
	yaml_event_t event;

	if (yaml_parser_initialize(&parser) == 0)
		return 1;
	yaml_parser_set_input_file(&parser, stdin);
	do {
		event = next_event();
		if (event.type == YAML_STREAM_END_EVENT)
			refuse("no document", &event.start_mark);
	} while (event.type == YAML_STREAM_START_EVENT ||
		 event.type == YAML_DOCUMENT_START_EVENT);
	put_value(&event, false);
	(void)putchar('\n');
	yaml_parser_delete(&parser);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
