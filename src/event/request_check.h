/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_REQUEST_CHECK_H
#define CASSATA_EVENT_REQUEST_CHECK_H

#include <stdbool.h>

#include "base/slice.h"

/* What a client may ask us to send. */

/* What is wrong with the URL of a request, or NULL; static text. */
const char *request_check_url(struct slice url);

/* The same of a header field, name and value apart and without blanks around
 * them. */
const char *request_check_header(struct slice name, struct slice value);

/* Whether such a URL can lead there: HOST or HOST:PORT, as of url_leads_to. */
bool request_check_destination(struct slice text);

#endif
