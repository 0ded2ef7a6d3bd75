/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_CHECK_H
#define CASSATA_CONFIG_CONFIG_CHECK_H

#include <stddef.h>

#include "config/config.h"
#include "config/config_error.h"

/* A configuration of which every value by itself is right. */
struct config_check {
	struct config *cfg;
	const char *file;                 /* NULL: none */
	const struct config_mark *key_at; /* of each of config_keys */
	struct config_errors *errors;
};

/*
 * What the values mean together; and what is looked up once: the datastore's
 * place, the user of the children, the password.
 */
void config_check(const struct config_check *check);

/* Where the file sets the target at that offset of struct config. */
struct config_mark config_mark_of(
    const struct config_check *check, size_t offset);

#endif
