/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_PASSWORD_H
#define CASSATA_CONFIG_CONFIG_PASSWORD_H

#include "base/err.h"

/*
 * The first line of a file that others can neither read nor change, to be wiped
 * and freed; NULL with err, to be put behind the path.
 */
char *config_password_read(const char *path, struct err *err);

#endif
