/* SPDX-License-Identifier: ISC */
#include "http/http_conns.h"

#include "base/check.h"

enum { POOL_MAX = 64 };

void
http_conns_init(struct http_conns *conns, struct loop *loop,
    const struct http_settings *settings, const struct http_handler *handler,
    const struct http_conns_owner *owner, void *owner_arg)
{
	*conns = (struct http_conns){
	    .settings = settings,
	    .handler = handler,
	    .loop = loop,
	    .owner = owner,
	    .owner_arg = owner_arg,
	    .memory = {.max = settings->max_memory_bytes},
	    .idle_timeout_ms = settings->idle_timeout_ms,
	    .begun_ms = INT64_MAX,
	};
	LIST_INIT(&conns->all);
	TAILQ_INIT(&conns->idle);
	TAILQ_INIT(&conns->busy);
	STAILQ_INIT(&conns->pool);
}

void
http_conns_fini(struct http_conns *conns)
{
	struct http_exchange *x;

	check(conns->n == 0);
	while ((x = STAILQ_FIRST(&conns->pool)) != NULL) {
		STAILQ_REMOVE_HEAD(&conns->pool, entry);
		http_exchange_free(x);
	}
	check(conns->memory.used == 0);
}

void
http_conns_changed(struct http_conns *conns)
{
	conns->owner->changed(conns->owner_arg);
}

bool
http_conns_free_memory(struct http_conns *conns)
{
	return conns->owner->free_memory(conns->owner_arg);
}

struct http_exchange *
http_conns_take_exchange(struct http_conns *conns)
{
	struct http_exchange *x = STAILQ_FIRST(&conns->pool);

	if (x == NULL)
		return http_exchange_create(
		    &conns->settings->sizes, &conns->memory);
	STAILQ_REMOVE_HEAD(&conns->pool, entry);
	check(conns->n_pool-- > 0);
	return x;
}

void
http_conns_return_exchange(struct http_conns *conns, struct http_exchange *x)
{
	if (conns->n_pool == POOL_MAX ||
	    conns->memory.used > conns->memory.max / 2) {
		http_exchange_free(x);
		return;
	}
	http_exchange_reset(x);
	http_exchange_move(x, &conns->memory);
	STAILQ_INSERT_HEAD(&conns->pool, x, entry);
	conns->n_pool++;
}
