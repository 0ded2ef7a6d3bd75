/* SPDX-License-Identifier: ISC */
#include "worker/callback.h"

#include <stdlib.h>

struct callback *
callback_create(size_t bytes_kept)
{
	struct callback *callback = calloc(1, sizeof(*callback));

	if (callback == NULL)
		return NULL;
	buf_init(&callback->headers, bytes_kept);
	buf_init(&callback->body, bytes_kept);
	buf_init(&callback->text, EVENT_CALLBACK_ROOM + 16 * bytes_kept);
	return callback;
}

void
callback_free(struct callback *callback)
{
	if (callback == NULL)
		return;
	buf_free(&callback->headers);
	buf_free(&callback->body);
	buf_free(&callback->text);
	free(callback);
}

void
callback_take_header(struct callback *callback, struct slice line)
{
	static const struct slice status = SLICE_INIT("HTTP/");
	struct buf *kept = &callback->headers;

	while (line.len > 0 &&
	       (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
		line.len--;
	if (line.len >= status.len &&
	    slice_ieq(slice_of(line.p, status.len), status))
		buf_reset(kept);
	else if (line.len > 0 && line.len < kept->max - kept->len) {
		(void)buf_append_slice(kept, line);
		(void)buf_append_char(kept, '\n');
	}
}

void
callback_take_body(struct callback *callback, struct slice bytes)
{
	struct buf *kept = &callback->body;
	size_t room = kept->max - kept->len;

	if (buf_append_slice(kept, slice_of(bytes.p,
				       bytes.len < room ? bytes.len : room)) ==
		-1 ||
	    bytes.len > room)
		callback->cut = true;
}

int
callback_event(struct callback *callback, struct slice json,
    struct event_end *end, const struct event **event)
{
	end->headers = buf_slice(&callback->headers);
	end->response = buf_slice(&callback->body);
	end->cut = callback->cut;
	buf_reset(&callback->text);
	*event = NULL;
	if (event_callback_make(
		json, end, &callback->text, &callback->event) == 0)
		*event = &callback->event;
	return callback->text.failed ? -1 : 0;
}
