/* SPDX-License-Identifier: ISC */
#include "bench/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_CAP = 65536 };

int
ledger_init(struct ledger *ledger)
{
	uint64_t bits = 0;

	*ledger = (struct ledger){0};
	(void)!getrandom(&bits, sizeof(bits), 0);
	(void)snprintf(ledger->tag, sizeof(ledger->tag), "%016llx-",
	    (unsigned long long)bits);
	return histogram_init(&ledger->lateness);
}

void
ledger_fini(struct ledger *ledger)
{
	free(ledger->entries);
	ledger->entries = NULL;
	histogram_fini(&ledger->lateness);
}

int
ledger_sent(struct ledger *ledger, int64_t due_ms, bool slow)
{
	if (ledger->n == ledger->cap) {
		size_t cap = ledger->cap == 0 ? FIRST_CAP : 2 * ledger->cap;
		struct ledger_entry *entries = reallocarray(
		    ledger->entries, cap, sizeof(*ledger->entries));

		if (entries == NULL)
			return -1;
		ledger->entries = entries;
		ledger->cap = cap;
	}
	ledger->entries[ledger->n++] =
	    (struct ledger_entry){.due_ms = due_ms, .slow = slow};
	return 0;
}

void
ledger_acknowledged(struct ledger *ledger, uint64_t number)
{
	struct ledger_entry *entry = &ledger->entries[number];

	entry->acknowledged = true;
	ledger->n_acknowledged++;
	/* A delivery may overtake the answer. */
	if (entry->arrivals == 0)
		ledger->n_missing++;
}

/* NULL when the id is not of this run. */
static struct ledger_entry *
find(const struct ledger *ledger, struct slice id)
{
	size_t len = strlen(ledger->tag);
	uint64_t number;

	if (id.len != len + LEDGER_DIGITS ||
	    memcmp(id.p, ledger->tag, len) != 0 ||
	    slice_to_u64(slice_of(id.p + len, LEDGER_DIGITS), UINT64_MAX,
		&number) == -1 ||
	    number >= ledger->n)
		return NULL;
	return &ledger->entries[number];
}

static void
count_first(
    struct ledger *ledger, const struct ledger_entry *entry, int64_t at_us)
{
	ledger->n_arrived++;
	if (entry->acknowledged)
		ledger->n_missing--;
	if (ledger->n_arrived == 1)
		ledger->first_us = at_us;
	ledger->last_us = at_us;
	if (!entry->slow)
		histogram_add(&ledger->lateness, at_us - entry->due_ms * 1000);
}

void
ledger_arrived(struct ledger *ledger, struct slice id, int64_t at_us)
{
	struct ledger_entry *entry = find(ledger, id);

	if (entry == NULL) {
		ledger->n_unknown++;
		return;
	}
	if (at_us < entry->due_ms * 1000)
		ledger->n_early++;
	if (entry->arrivals == 0)
		count_first(ledger, entry, at_us);
	else
		ledger->n_duplicates++;
	if (entry->arrivals < UINT8_MAX)
		entry->arrivals++;
}
