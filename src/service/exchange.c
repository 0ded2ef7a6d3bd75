/* SPDX-License-Identifier: ISC */
#include "service/exchange.h"

#include <stdlib.h>

#include "service/service.h"

/* Buffers up to this are kept for the next request. */
enum { KEEP_BYTES = 64 * 1024 };

struct exchange *
exchange_create(struct service *service)
{
	const struct config_service *cfg = &service->cfg->service;
	struct buf_budget *memory = &service->memory;
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->service = service;
	buf_init_within(&x->in, (size_t)config_request_bytes(cfg), memory);
	buf_init_within(&x->scratch, EXCHANGE_SCRATCH_BYTES, memory);
	/* An event may be older than the limits of today. */
	buf_init_within(&x->body, memory->max, memory);
	return x;
}

void
exchange_free(struct exchange *x)
{
	if (x == NULL)
		return;
	store_record_free(x->record);
	buf_free(&x->in);
	buf_free(&x->scratch);
	buf_free(&x->body);
	free(x);
}

static void
reset_buf(struct buf *buf)
{
	if (buf->cap > KEEP_BYTES)
		buf_free(buf);
	else
		buf_reset(buf);
}

void
exchange_move(struct exchange *x, struct buf_budget *memory)
{
	buf_move(&x->in, memory);
	buf_move(&x->body, memory);
}

void
exchange_reset(struct exchange *x)
{
	x->conn = NULL;
	x->in_at = 0;
	reset_buf(&x->in);
	reset_buf(&x->scratch);
	reset_buf(&x->body);
}
