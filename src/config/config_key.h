/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_KEY_H
#define CASSATA_CONFIG_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/*
 * The keys of the configuration: where each value goes, what it may be, and
 * what it is by default. A new key is a row of the table in config_key.c.
 */
enum config_kind {
	KIND_INT,
	KIND_UNSIGNED,
	KIND_PERCENT,
	KIND_SIZE,
	KIND_DURATION,
	KIND_HOST,      /* a name or an address, or "*" */
	KIND_HOST_NAME, /* a name or an address */
	KIND_RECORD,    /* fields, by their own table; in lists alone */
	KIND_BOOL,
	KIND_LEVEL,
	KIND_TLS,
	KIND_STRING,
	KIND_URL,
	KIND_ENDPOINT,    /* a numeric address and a port */
	KIND_PATH,        /* relative to the state directory */
	KIND_DESTINATION, /* stderr, syslog, or such a path */
	KIND_OUTCOME,     /* of an attempt; in lists alone, which are one set */
};

enum { CONFIG_KEYS_MAX = 96, CONFIG_FIELDS_MAX = 16 };

struct config_key {
	const char *section, *name;
	enum config_kind kind;
	size_t offset;         /* of the target in struct config, or in a record */
	const char *min, *max; /* of numbers; of each one in a list */
	const char *value;     /* default; NULL: none, may be left empty, or in a
				  record: must be there */
	const struct config_list *list; /* NULL: one value */
};

/* An array at the key's offset. */
struct config_list {
	size_t n_offset;     /* of the size_t that counts its items */
	size_t item_bytes;   /* 0: all go into one */
	size_t max;          /* items; 1 at least but for records */
	const char *example; /* what one looks like */
	/* Of records: the keys of a field each, with offsets in the item. */
	const struct config_key *fields;
	size_t n_fields;
};

/* The keys of a section stand together. */
extern const struct config_key config_keys[];
extern const size_t config_n_keys;

/* The first key of a section; NULL for an unknown one. */
const struct config_key *config_section_find(const char *section);

/* In any section when section is NULL. NULL for an unknown one. */
const struct config_key *config_key_find(const char *section, const char *name);

/* A field of a list of records; NULL for an unknown one. */
const struct config_key *config_field_find(
    const struct config_key *key, const char *name);
const char *config_field_nearest(
    const struct config_key *key, const char *name);

/* The key of the section, or without one the section, that may be meant; or
 * NULL. */
const char *config_key_nearest(const char *section, const char *name);

/* What a value of the key "must be". */
const char *config_key_form(const struct config_key *key);

/*
 * What follows is of a key in base: struct config, or a record of which the key
 * is a field.
 */

/* Where the value goes: of the type that the kind says. Of a list the place of
 * the next item, for which there must be room. */
void *config_key_target(const struct config_key *key, void *base);

/* Of a list: its items. */
size_t config_key_n_items(const struct config_key *key, const void *base);

/*
 * Adds to a list, sets anything else. 0, or -1 with what is wrong in err, to be
 * put behind the key's name.
 */
int config_key_set(const struct config_key *key, void *base, const char *text,
    struct err *err);

/* The same with the default. */
int config_key_set_default(
    const struct config_key *key, void *base, struct err *err);

/* Adds a record, zeroed, and returns it. */
void *config_key_add_record(const struct config_key *key, void *base);

/* Frees what the value owns; a list is empty then. */
void config_key_clear(const struct config_key *key, void *base);

#endif
