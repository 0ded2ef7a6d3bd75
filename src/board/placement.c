/* SPDX-License-Identifier: ISC */
#include "board/placement.h"

#include "base/check.h"
#include "base/clock.h"
#include "board/shardboard.h"

/* Clocks of hosts may differ by so much before that is logged. */
enum { SLACK_MS = 1000 };

/* No event's time is later than this clock says. */
int64_t
placement_soon_ms(int64_t now_ms, int64_t look_ms)
{
	return now_ms + look_ms + SLACK_MS;
}

void
placement_read(
    struct placement *p, const struct scoreboard *sb, int64_t look_ms)
{
	p->n_workers = shardboard_held(sb, p->shards);
	p->soon_ms = placement_soon_ms(clock_event_ms(), look_ms);
}

/* The number of the bit that has so many set ones below it. */
static unsigned
nth_bit(uint64_t bits, unsigned n)
{
	while (n-- > 0)
		bits &= bits - 1;
	check(bits != 0);
	return (unsigned)__builtin_ctzll(bits);
}

unsigned
placement_shard(const struct placement *p, int64_t due_ms, uint32_t lot)
{
	uint64_t shards;

	if (p->n_workers == 0 || due_ms >= p->soon_ms)
		return lot % EVENT_SHARDS;
	shards = p->shards[(lot >> 16) % p->n_workers];
	return nth_bit(
	    shards, (lot & 0xffff) % (unsigned)__builtin_popcountll(shards));
}
