/* SPDX-License-Identifier: ISC */
#include "http/http_exchange.h"

#include <stdlib.h>

/* Buffers up to this are kept for the next request. */
enum { KEEP_BYTES = 64 * 1024, FIELDS_MAX = 64 * 1024 };

struct http_exchange *
http_exchange_create(
    const struct http_exchange_sizes *sizes, struct buf_budget *memory)
{
	struct http_exchange *x = calloc(1, sizeof(*x));
	struct call *call = calloc(1, sizes->call_bytes + 1);

	if (x == NULL || call == NULL) {
		free(x);
		free(call);
		return NULL;
	}
	x->call = call;
	buf_init_within(&x->in, sizes->max_request_bytes, memory);
	buf_init_within(&x->arena, sizes->max_arena_bytes, memory);
	buf_init_within(&x->fields, FIELDS_MAX, memory);
	/* What is stored may be larger than the limits of today. */
	buf_init_within(&x->body, memory->max, memory);
	return x;
}

static void
end_sink(struct http_exchange *x)
{
	if (x->sink.end != NULL)
		x->sink.end(x->sink.arg);
	x->sink = (struct http_sink){0};
}

void
http_exchange_free(struct http_exchange *x)
{
	if (x == NULL)
		return;
	end_sink(x);
	buf_free(&x->in);
	buf_free(&x->arena);
	buf_free(&x->fields);
	buf_free(&x->body);
	free(x->call);
	free(x);
}

void
http_exchange_move(struct http_exchange *x, struct buf_budget *memory)
{
	buf_move(&x->in, memory);
	buf_move(&x->body, memory);
}

void
http_exchange_begin(struct http_exchange *x, const struct http_limits *limits)
{
	end_sink(x);
	http_parser_init(&x->parser, limits);
	buf_reset(&x->fields);
	buf_reset(&x->body);
	buf_reset(&x->arena);
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
http_exchange_reset(struct http_exchange *x)
{
	end_sink(x);
	x->conn = NULL;
	x->in_at = 0;
	reset_buf(&x->in);
	reset_buf(&x->arena);
	reset_buf(&x->fields);
	reset_buf(&x->body);
}

void
http_exchange_answer(struct http_exchange *x, int status, const char *type)
{
	buf_reset(&x->fields);
	buf_reset(&x->body);
	x->res = (struct http_response){.status = status, .content_type = type};
}

void
http_exchange_field(
    struct http_exchange *x, const char *name, struct slice value)
{
	http_field_append(&x->fields, name, value);
}
