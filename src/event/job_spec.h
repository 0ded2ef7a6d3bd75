/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_JOB_SPEC_H
#define CASSATA_EVENT_JOB_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "event/event_labels.h"

enum job_verb {
	JOB_RETRY,
	JOB_RUN,
	JOB_DELETE,
	JOB_RESCHEDULE,
	JOB_VERBS,
};

/* What a job is to do, and with which events: doc/api.md, "Changing many". */
struct job_spec {
	enum job_verb verb;
	unsigned states; /* a bit per enum event_state, one at least */
	/* Their times, from there to before that; 0 and INT64_MAX: any. */
	int64_t from_ms, before_ms;
	struct slice destination; /* borrowed; empty: any */
	/* That they have all; the first one is what they are found by. */
	struct event_labels labels;
	struct event_label first;
	unsigned rate; /* events per second */
	bool dry_run;  /* count them only */
	/* JOB_RESCHEDULE: by so much, or where that is 0 to that time. */
	int64_t by_ms, to_ms;
};

#endif
