/* SPDX-License-Identifier: ISC */
#include "board/full.h"

#include <ctype.h>

/* FNV-1a; never 0, which is for none. */
static uint64_t
hash_of(enum full_kind kind, struct slice name)
{
	uint64_t hash = 14695981039346656037u + kind;

	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.p[i];

		hash ^= kind == FULL_HOST ? (uint64_t)tolower(c) : c;
		hash *= 1099511628211u;
	}
	return hash | 1;
}

void
full_tell(struct scoreboard_slot *slot, size_t n, enum full_kind kind,
    struct slice name, const struct full *full)
{
	struct scoreboard_full *to;

	if (n >= SCOREBOARD_FULL)
		return;
	to = &slot->full[n];
	atomic_store(&to->name, 0);
	atomic_store(&to->slots, full->slots);
	atomic_store(&to->waiting, full->waiting);
	atomic_store(&to->name, hash_of(kind, name));
}

void
full_tell_end(struct scoreboard_slot *slot, size_t n)
{
	for (size_t i = n; i < SCOREBOARD_FULL; i++)
		atomic_store(&slot->full[i].name, 0);
}

bool
full_find(const struct scoreboard_slot *slot, enum full_kind kind,
    struct slice name, struct full *full)
{
	uint64_t hash = hash_of(kind, name);

	for (size_t i = 0; i < SCOREBOARD_FULL; i++) {
		const struct scoreboard_full *from = &slot->full[i];

		if (atomic_load(&from->name) != hash)
			continue;
		full->slots = atomic_load(&from->slots);
		full->waiting = atomic_load(&from->waiting);
		return true;
	}
	return false;
}
