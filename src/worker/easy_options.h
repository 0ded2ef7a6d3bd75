/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_EASY_OPTIONS_H
#define CASSATA_WORKER_EASY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/slice.h"

/* What libcurl is told of one request, and of how we want all of them. */
struct easy_options {
	const char *method, *url;   /* copied */
	struct curl_slist *headers; /* borrowed until the end */
	struct slice body;          /* borrowed; not sent with GET and HEAD */
	bool own_connection;        /* used by no request before or after it */
	int64_t connect_timeout_ms;
	int64_t timeout_ms;  /* of the whole transfer */
	const char *ca_file; /* in place of the system's authorities, or NULL */
};

/* CURLE_OK, or another code when memory is short. */
CURLcode easy_options_set(CURL *easy, const struct easy_options *options);

#endif
