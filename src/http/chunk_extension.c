/* SPDX-License-Identifier: ISC */
#include "http/chunk_extension.h"

#include "http/http_bytes.h"

enum {
	/* White space in front of a semicolon. */
	EXT_BEFORE = CHUNK_EXTENSION_BEGIN,
	EXT_NAME_START,
	EXT_NAME,
	EXT_NAME_BLANK,
	EXT_VALUE_START,
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_ESCAPED, /* behind a backslash */
	EXT_CLOSED,  /* behind the second quote */
};

enum extension_byte {
	OTHER,
	BLANK,
	IN_WORD,
	SEMICOLON,
	EQUALS,
	QUOTE,
	BACKSLASH
};

/* What the next byte makes of them; the end of the line is looked at apart. */
static const unsigned char extensions[][BACKSLASH + 1] = {
    [EXT_BEFORE] = {[BLANK] = EXT_BEFORE, [SEMICOLON] = EXT_NAME_START},
    [EXT_NAME_START] = {[BLANK] = EXT_NAME_START, [IN_WORD] = EXT_NAME},
    [EXT_NAME] = {[BLANK] = EXT_NAME_BLANK,
	[IN_WORD] = EXT_NAME,
	[SEMICOLON] = EXT_NAME_START,
	[EQUALS] = EXT_VALUE_START},
    [EXT_NAME_BLANK] = {[BLANK] = EXT_NAME_BLANK,
	[SEMICOLON] = EXT_NAME_START,
	[EQUALS] = EXT_VALUE_START},
    [EXT_VALUE_START] = {[BLANK] = EXT_VALUE_START,
	[IN_WORD] = EXT_TOKEN,
	[QUOTE] = EXT_QUOTED},
    [EXT_TOKEN] = {[BLANK] = EXT_BEFORE,
	[IN_WORD] = EXT_TOKEN,
	[SEMICOLON] = EXT_NAME_START},
    [EXT_QUOTED] = {EXT_QUOTED, EXT_QUOTED, EXT_QUOTED, EXT_QUOTED, EXT_QUOTED,
	EXT_CLOSED, EXT_ESCAPED},
    [EXT_ESCAPED] = {EXT_QUOTED, EXT_QUOTED, EXT_QUOTED, EXT_QUOTED, EXT_QUOTED,
	EXT_QUOTED, EXT_QUOTED},
    [EXT_CLOSED] = {[BLANK] = EXT_BEFORE, [SEMICOLON] = EXT_NAME_START},
};

static enum extension_byte
extension_byte(char c)
{
	switch (c) {
	case ' ':
	case '\t':
		return BLANK;
	case ';':
		return SEMICOLON;
	case '=':
		return EQUALS;
	case '"':
		return QUOTE;
	case '\\':
		return BACKSLASH;
	default:
		return http_byte_is(c, IN_TOKEN) ? IN_WORD : OTHER;
	}
}

unsigned
chunk_extension_next(unsigned extension, char c)
{
	return extensions[extension][extension_byte(c)];
}

bool
chunk_extension_may_end(unsigned extension)
{
	return extension == EXT_NAME || extension == EXT_TOKEN ||
	       extension == EXT_CLOSED;
}
