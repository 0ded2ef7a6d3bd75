/* SPDX-License-Identifier: ISC */
#include "worker/batch.h"

void
batch_init(struct batch *batch, size_t min, size_t max)
{
	*batch = (struct batch){.min = min, .max = max, .size = min};
}

size_t
batch_want(
    const struct batch *batch, size_t held, size_t capacity, size_t waiting)
{
	size_t full = batch->size < capacity ? batch->size : capacity;
	size_t room = held < capacity ? capacity - held : 0;

	if (batch->backlog && waiting > 0 && room < full / 2)
		return 0;
	return full < room ? full : room;
}

void
batch_claimed(struct batch *batch, size_t n, bool more)
{
	size_t half = batch->size / 2;

	batch->backlog = more;
	if (more)
		batch->size = batch->size <= batch->max / 2 ? batch->size * 2
							    : batch->max;
	else if (n < half)
		batch->size = half > batch->min ? half : batch->min;
}

void
batch_cut(struct batch *batch, size_t n)
{
	batch->backlog = true;
	batch->size = n > 1 ? n : 1;
}
