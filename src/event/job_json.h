/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_JOB_JSON_H
#define CASSATA_EVENT_JOB_JSON_H

#include "base/json_write.h"
#include "event/event_json.h"
#include "event/job_spec.h"

/* The document of a job, as clients send it and as a datastore keeps it. */

enum {
	JOB_JSON_MAX = 4096,       /* bytes of what job_json_write writes */
	JOB_DESTINATION_MAX = 300, /* bytes */
	JOB_RATE_MAX = 100000,     /* events per second, of any configuration */
};

struct job_rates {
	unsigned usual, most;
};

/*
 * Reads it from text, which is overwritten where strings have escapes, and
 * borrowed from. errors has all bad fields.
 */
enum event_json_result job_json_read(char *text, size_t len,
    const struct job_rates *rates, struct job_spec *spec, struct err *err,
    struct field_errors *errors);

/* Its members, which job_json_read reads as the same again. */
void job_json_write(struct json_writer *w, const struct job_spec *spec);

#endif
