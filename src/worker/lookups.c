/* SPDX-License-Identifier: ISC */
#include "worker/lookups.h"

#include <stdlib.h>

#include "base/clock.h"

/* What one may take: three servers, each asked twice for 5 s (resolv.conf(5)).
 */
enum { LOOKUP_MS = 30000 };

struct lookup {
	const void *who;  /* NULL: nobody waits for it any more */
	int64_t until_ms; /* monotonic: then its thread may go on until here */
	struct share *app, *domain;
};

int
lookups_init(struct lookups *l, size_t max, unsigned share)
{
	l->list = calloc(max, sizeof(*l->list));
	l->n = 0;
	l->max = max;
	shares_init(&l->apps, share, 0, false);
	shares_init(&l->domains, share, 0, true);
	return l->list == NULL ? -1 : 0;
}

static void
remove_lookup(struct lookups *l, struct lookup *lookup)
{
	int64_t mono_ms = clock_mono_ms();

	share_give(lookup->app, 0, mono_ms);
	share_give(lookup->domain, 0, mono_ms);
	share_put(&lookup->app);
	share_put(&lookup->domain);
	*lookup = l->list[--l->n];
}

void
lookups_fini(struct lookups *l)
{
	while (l->n > 0)
		remove_lookup(l, &l->list[l->n - 1]);
	free(l->list);
	l->list = NULL;
}

static struct lookup *
lookup_of(const struct lookups *l, const void *who)
{
	struct lookup *lookup = l->list;

	while (lookup->who != who)
		lookup++;
	return lookup;
}

void
lookups_end(struct lookups *l, const void *who)
{
	remove_lookup(l, lookup_of(l, who));
}

void
lookups_abandon(struct lookups *l, const void *who)
{
	struct lookup *lookup = lookup_of(l, who);

	lookup->who = NULL;
	lookup->until_ms = clock_mono_ms() + LOOKUP_MS;
}

static void
forget_abandoned(struct lookups *l, int64_t mono_ms)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->list[i].who == NULL && l->list[i].until_ms <= mono_ms)
			remove_lookup(l, &l->list[i]);
}

/* "example.net" of "www.example.net": the names below it tend to have the same
 * name servers. */
static struct slice
domain_of(struct slice host)
{
	unsigned n_dots = 0;

	for (size_t i = host.len; i > 0; i--)
		if (host.p[i - 1] == '.' && ++n_dots == 2)
			return slice_of(host.p + i, host.len - i);
	return host;
}

bool
lookups_begin(struct lookups *l, const void *who, struct slice app,
    struct slice host, int64_t *wait_ms)
{
	int64_t mono_ms = clock_mono_ms();
	struct lookup lookup = {.who = who};
	struct share *full;

	forget_abandoned(l, mono_ms);
	lookup.app = share_get(&l->apps, app);
	lookup.domain = share_get(&l->domains, domain_of(host));
	full = share_has_room(lookup.app) ? lookup.domain : lookup.app;
	if (!share_has_room(full))
		*wait_ms = share_defer_ms(full, mono_ms);
	if (l->n == l->max || !share_has_room(full)) {
		share_put(&lookup.app);
		share_put(&lookup.domain);
		return false;
	}
	share_take(lookup.app, mono_ms);
	share_take(lookup.domain, mono_ms);
	l->list[l->n++] = lookup;
	return true;
}
