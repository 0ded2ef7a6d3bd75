/* SPDX-License-Identifier: ISC */
#include "worker/damaged.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/percent.h"

enum { SECOND_MS = 1000, LINE_MAX_BYTES = 4096 };

/* The ids are written as in the paths of the API. */
static void
tell_one(const struct store_damaged *event)
{
	struct buf line;

	buf_init(&line, LINE_MAX_BYTES);
	(void)buf_append_string(&line, "/cassata/event/");
	(void)percent_encode(&line, slice_of(event->app, event->app_len));
	(void)buf_append_char(&line, '/');
	(void)percent_encode(&line, slice_of(event->id, event->id_len));
	if (!line.failed)
		log_warnx("%s: %.*s waits", event->reason.text, (int)line.len,
		    line.p);
	buf_free(&line);
}

static void
begin_damaged_second(struct damaged *damaged, int64_t mono_ms)
{
	if (damaged->n_unsaid > 0)
		log_warnx(
		    "%zu more events are damaged, and wait", damaged->n_unsaid);
	*damaged = (struct damaged){.since_ms = mono_ms};
}

void
damaged_tell(
    struct damaged *damaged, const struct claim_reply *reply, int64_t mono_ms)
{
	size_t n = 0;

	if (mono_ms - damaged->since_ms >= SECOND_MS)
		begin_damaged_second(damaged, mono_ms);
	for (; n < reply->n_damaged && n < STORE_DAMAGED_MAX &&
	       damaged->n_lines < STORE_DAMAGED_MAX;
	     n++, damaged->n_lines++)
		tell_one(&reply->damaged[n]);
	damaged->n_unsaid += reply->n_damaged - n;
}
