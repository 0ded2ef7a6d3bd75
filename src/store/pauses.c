/* SPDX-License-Identifier: ISC */
#include "store/pauses.h"

#include "base/check.h"
#include "base/url.h"

void
pauses_init(struct store_pauses *pauses)
{
	pauses->n = 0;
	buf_init(
	    &pauses->bytes, (size_t)STORE_PAUSES_MAX *
				(STORE_PAUSE_NAME_MAX + STORE_PAUSE_NOTE_MAX));
}

void
pauses_fini(struct store_pauses *pauses)
{
	pauses->n = 0;
	buf_free(&pauses->bytes);
}

void
pauses_clear(struct store_pauses *pauses)
{
	pauses->n = 0;
	buf_reset(&pauses->bytes);
}

int
pauses_add(struct store_pauses *pauses, const struct store_pause *pause)
{
	check(pauses->n < STORE_PAUSES_MAX);
	if (buf_append_slice(&pauses->bytes, pause->name) == -1 ||
	    buf_append_slice(&pauses->bytes, pause->note) == -1)
		return -1;
	pauses->list[pauses->n++] = *pause;
	return 0;
}

static struct slice
next_bytes(const char **at, size_t len)
{
	struct slice s = slice_of(*at, len);

	*at += len;
	return s;
}

void
pauses_settle(struct store_pauses *pauses)
{
	const char *at = pauses->bytes.p;

	for (size_t i = 0; i < pauses->n; i++) {
		struct store_pause *pause = &pauses->list[i];

		pause->name = next_bytes(&at, pause->name.len);
		pause->note = next_bytes(&at, pause->note.len);
	}
}

const struct store_pause *
pauses_find(
    const struct store_pauses *pauses, enum pause_kind kind, struct slice name)
{
	for (size_t i = 0; i < pauses->n; i++)
		if (pauses->list[i].kind == kind &&
		    slice_eq(pauses->list[i].name, name))
			return &pauses->list[i];
	return NULL;
}

const struct store_pause *
pauses_match(
    const struct store_pauses *pauses, size_t at, const struct event *ev)
{
	for (size_t i = at; i < pauses->n; i++) {
		const struct store_pause *pause = &pauses->list[i];

		if (pause->kind == PAUSE_APP
			? slice_eq(pause->name, ev->app)
			: url_leads_to(ev->url, pause->name))
			return pause;
	}
	return NULL;
}

bool
pauses_equal(const struct store_pauses *a, const struct store_pauses *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct store_pause *x = &a->list[i], *y = &b->list[i];

		if (x->number != y->number || x->kind != y->kind ||
		    x->until_ms != y->until_ms || !slice_eq(x->name, y->name))
			return false;
	}
	return true;
}
