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
	KIND_DURATIONS, /* a list, into a retry_policy */
	KIND_HOSTS,     /* a list, into config_strings */
	KIND_BOOL,
	KIND_LEVEL,
	KIND_TLS,
	KIND_STRING,
	KIND_URL,
	KIND_ENDPOINT,    /* a numeric address and a port */
	KIND_PATH,        /* relative to the state directory */
	KIND_DESTINATION, /* stderr, syslog, or such a path */
};

enum { CONFIG_KEYS_MAX = 64 };

struct config_key {
	const char *section, *name;
	enum config_kind kind;
	size_t offset;         /* of the target in struct config */
	const char *min, *max; /* of numbers; of each one in a list */
	const char *value;     /* default; NULL: none, may be left empty */
};

/* The keys of a section stand together. */
extern const struct config_key config_keys[];
extern const size_t config_n_keys;

/* The first key of a section; NULL for an unknown one. */
const struct config_key *config_section_find(const char *section);

/* In any section when section is NULL. NULL for an unknown one. */
const struct config_key *config_key_find(const char *section, const char *name);

/* The key of the section, or without one the section, that may be meant; or
 * NULL. */
const char *config_key_nearest(const char *section, const char *name);

/* What a value of the key "must be". */
const char *config_key_form(const struct config_key *key);

/* Whether it takes a list, and what one looks like; or NULL. */
const char *config_key_list_form(const struct config_key *key);

/* Whether its target is a string, owned by the config. */
bool config_key_is_string(const struct config_key *key);

/* Where the value goes: of the type that the kind says. */
void *config_key_target(const struct config_key *key, struct config *cfg);

/*
 * Adds to a list, sets anything else. 0, or -1 with what is wrong in err, to be
 * put behind the key's name.
 */
int config_key_set(const struct config_key *key, struct config *cfg,
    const char *text, struct err *err);

/* The same with the default. */
int config_key_set_default(
    const struct config_key *key, struct config *cfg, struct err *err);

#endif
