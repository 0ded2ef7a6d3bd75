/* SPDX-License-Identifier: ISC */
#include "sql/rotation.h"

#include "base/check.h"

enum { SKIP_TIMES = 3 }; /* as long as the last try of it took */

static bool
was_tried(unsigned tried, unsigned host)
{
	return (tried >> host & 1) != 0;
}

int
rotation_next(const struct rotation *r, unsigned tried, int64_t now_ms)
{
	int bad = -1, soonest = 0;

	check(r->n > 0 && r->n <= SQL_HOSTS_MAX);
	for (unsigned i = 0; i < r->n; i++) {
		if (r->hosts[i].skip_until_ms < r->hosts[soonest].skip_until_ms)
			soonest = (int)i;
		if (was_tried(tried, i))
			continue;
		if (now_ms >= r->hosts[i].bad_until_ms)
			return (int)i;
		if (bad == -1 && now_ms >= r->hosts[i].skip_until_ms)
			bad = (int)i;
	}
	return bad == -1 && tried == 0 ? soonest : bad;
}

void
rotation_failed(
    struct rotation *r, unsigned host, int64_t took_ms, int64_t now_ms)
{
	/* Where each takes long, all others still have their turn first. */
	int64_t round_ms = 2 * (int64_t)r->n * took_ms;

	check(host < r->n);
	r->hosts[host].bad_until_ms =
	    now_ms + (round_ms > ROTATION_BAD_MS ? round_ms : ROTATION_BAD_MS);
	r->hosts[host].skip_until_ms = now_ms + SKIP_TIMES * took_ms;
}

void
rotation_worked(struct rotation *r, unsigned host)
{
	check(host < r->n);
	r->hosts[host].bad_until_ms = r->hosts[host].skip_until_ms = 0;
}

bool
rotation_has_good(const struct rotation *r, int64_t now_ms)
{
	for (unsigned i = 0; i < r->n; i++)
		if (now_ms >= r->hosts[i].bad_until_ms)
			return true;
	return false;
}

int
rotation_better(
    const struct rotation *r, unsigned host, unsigned tried, int64_t now_ms)
{
	for (unsigned i = 0; i < host; i++)
		if (!was_tried(tried, i) && now_ms >= r->hosts[i].skip_until_ms)
			return (int)i;
	return -1;
}
