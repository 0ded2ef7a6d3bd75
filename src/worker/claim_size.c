/* SPDX-License-Identifier: ISC */
#include "worker/claim_size.h"

void
claim_size_init(struct claim_size *cs, size_t min, size_t max)
{
	*cs = (struct claim_size){.min = min, .max = max, .size = min};
}

size_t
claim_size_want(
    const struct claim_size *cs, size_t held, size_t capacity, size_t waiting)
{
	size_t full = cs->size < capacity ? cs->size : capacity;
	size_t room = held < capacity ? capacity - held : 0;

	if (cs->backlog && waiting > 0 && room < full / 2)
		return 0;
	return full < room ? full : room;
}

void
claim_size_claimed(struct claim_size *cs, size_t n, bool more)
{
	size_t half = cs->size / 2;

	cs->backlog = more;
	if (more)
		cs->size = cs->size <= cs->max / 2 ? cs->size * 2 : cs->max;
	else if (n < half)
		cs->size = half > cs->min ? half : cs->min;
}

void
claim_size_cut(struct claim_size *cs, size_t n)
{
	cs->backlog = true;
	cs->size = n > 1 ? n : 1;
}
