/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_YAML_H
#define CASSATA_CONFIG_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config_error.h"

/*
 * A YAML text as sections of settings; what they mean is the handler's.
 * Anchors, aliases, tags and several documents are refused.
 */
enum { CONFIG_VALUES_MAX = 32 };

struct config_text {
	const char *text; /* UTF-8 without control characters */
	bool null;        /* nothing, ~ or null, not in quotes */
	struct config_mark at;
};

/* Valid until the handler returns. */
struct config_setting {
	struct config_text name;
	struct config_mark at; /* the value */
	bool list;
	size_t n; /* values in the file; kept are at most CONFIG_VALUES_MAX */
	struct config_text values[CONFIG_VALUES_MAX];
};

struct config_handler {
	/* False for an unknown one (which it reports): it is passed over. */
	bool (*section)(void *arg, const struct config_text *name);
	void (*setting)(void *arg, const struct config_setting *setting);
	/* The value of the setting, at there, is a list of records; false (which
	 * it reports) to pass over it. */
	bool (*records)(void *arg, const struct config_text *name,
	    struct config_mark there);
	/* One of them: its settings follow, then its end. False as above. */
	bool (*record)(void *arg, struct config_mark there);
	void (*record_end)(void *arg);
	void *arg;
};

/* Reads on after an error as long as the YAML itself is right. */
void config_yaml_read(const char *file, const char *bytes, size_t len,
    const struct config_handler *handler, struct config_errors *errors);

#endif
