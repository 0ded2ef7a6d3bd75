/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_OPENAPI_H
#define CASSATA_SERVICE_OPENAPI_H

#include <stddef.h>

/* doc/openapi.yaml as JSON, and its entity tag: made by the build. */
extern const char openapi_json[];
extern const size_t openapi_json_len;
extern const char openapi_json_tag[];

#endif
