/* SPDX-License-Identifier: ISC */
#include "service/sweep.h"

#include <string.h>

#include "base/check.h"

static bool
goes_before(const struct sweep_node *a, const struct sweep_node *b)
{
	int order;

	if (a->round != b->round)
		return a->round < b->round;
	order = memcmp(a->key, b->key, EVENT_KEY_BYTES);
	return order != 0 ? order < 0 : a->number < b->number;
}

/* Two heaps, of which neither has a neighbour. */
static struct sweep_node *
meld(struct sweep_node *a, struct sweep_node *b)
{
	struct sweep_node *first = goes_before(a, b) ? a : b;
	struct sweep_node *other = first == a ? b : a;

	other->next = first->below;
	first->below = other;
	return first;
}

/* Neighbours two by two, and these from the last to the first. */
static struct sweep_node *
meld_all(struct sweep_node *a)
{
	struct sweep_node *pairs = NULL, *all, *b, *rest;

	for (; a != NULL; a = rest) {
		b = a->next;
		rest = b == NULL ? NULL : b->next;
		a->next = NULL;
		if (b != NULL) {
			b->next = NULL;
			a = meld(a, b);
		}
		a->next = pairs;
		pairs = a;
	}
	for (all = NULL; pairs != NULL; pairs = rest) {
		rest = pairs->next;
		pairs->next = NULL;
		all = all == NULL ? pairs : meld(all, pairs);
	}
	return all;
}

bool
sweep_is_empty(const struct sweep *sweep)
{
	return sweep->first == NULL;
}

void
sweep_add(struct sweep *sweep, struct sweep_node *node)
{
	bool passed = memcmp(node->key, sweep->at, EVENT_KEY_BYTES) < 0;

	node->round = sweep->round + (passed ? 1 : 0);
	node->number = sweep->n_added++;
	node->below = node->next = NULL;
	sweep->first = sweep->first == NULL ? node : meld(sweep->first, node);
}

struct sweep_node *
sweep_take(struct sweep *sweep)
{
	struct sweep_node *node = sweep->first;

	check(node != NULL);
	sweep->first = meld_all(node->below);
	sweep->round = node->round;
	memcpy(sweep->at, node->key, EVENT_KEY_BYTES);
	return node;
}
