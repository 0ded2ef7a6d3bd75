/* SPDX-License-Identifier: ISC */
#include "worker/given_up.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/percent.h"

enum { SECOND_MS = 1000, LINE_MAX_BYTES = 4096 };

static void
tell_given_up_rest(struct given_up *g)
{
	if (g->n_rest > 0)
		log_warnx("given up: %" PRIu64 " more events within a second",
		    g->n_rest);
	g->n_rest = 0;
	g->n_lines = 0;
}

static void
on_given_up_second(void *arg)
{
	tell_given_up_rest(arg);
}

int
given_up_init(struct given_up *g, struct loop *loop, int max_lines)
{
	*g = (struct given_up){.max_lines = max_lines};
	g->timer = loop_timer_create(loop, on_given_up_second, g);
	return g->timer == NULL ? -1 : 0;
}

void
given_up_fini(struct given_up *g)
{
	if (g->timer == NULL)
		return;
	tell_given_up_rest(g);
	loop_timer_free(&g->timer);
}

static void
tell_given_up(struct slice app, struct slice id, unsigned attempts, int status,
    struct slice error)
{
	struct buf line;

	buf_init(&line, LINE_MAX_BYTES);
	buf_append_string(&line, "given up: /cassata/event/");
	percent_encode(&line, app);
	buf_append_char(&line, '/');
	percent_encode(&line, id);
	(void)buf_printf(
	    &line, " after %u attempt%s:", attempts, attempts == 1 ? "" : "s");
	if (status != 0)
		(void)buf_printf(&line, " status %d", status);
	if (status != 0 && error.len > 0)
		buf_append_char(&line, ',');
	if (error.len > 0) {
		buf_append_char(&line, ' ');
		buf_append_slice(&line, error);
	}
	if (!line.failed)
		log_warnx("%.*s", (int)line.len, line.p);
	buf_free(&line);
}

/* The second begins with its first line. */
static void
begin_second(struct given_up *g)
{
	if (g->n_lines == 0 && g->n_rest == 0)
		loop_timer_set(g->timer, SECOND_MS);
}

void
given_up_tell(struct given_up *g, struct slice app, struct slice id,
    unsigned attempts, int status, struct slice error)
{
	begin_second(g);
	if (g->n_lines < g->max_lines) {
		g->n_lines++;
		tell_given_up(app, id, attempts, status, error);
	} else {
		g->n_rest++;
	}
}

void
given_up_count(struct given_up *g, size_t n)
{
	if (n == 0)
		return;
	begin_second(g);
	g->n_rest += n;
}
