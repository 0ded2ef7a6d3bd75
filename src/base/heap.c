/* SPDX-License-Identifier: ISC */
#include "base/heap.h"

#include <stdlib.h>

#include "base/check.h"

enum { HEAP_MIN = 64 };

void
heap_init(struct heap *heap)
{
	*heap = (struct heap){0};
}

void
heap_fini(struct heap *heap)
{
	free(heap->entries);
	heap_init(heap);
}

static int
grow(struct heap *heap)
{
	size_t cap = heap->cap == 0 ? HEAP_MIN : heap->cap * 2;
	struct heap_entry *entries =
	    reallocarray(heap->entries, cap, sizeof(*entries));

	if (entries == NULL)
		return -1;
	heap->entries = entries;
	heap->cap = cap;
	return 0;
}

int
heap_insert(struct heap *heap, int64_t key, void *item)
{
	size_t i, parent;

	check(heap->len <= heap->cap);
	if (heap->len == heap->cap && grow(heap) == -1)
		return -1;
	for (i = heap->len++; i > 0; i = parent) {
		parent = (i - 1) / 2;
		if (heap->entries[parent].key <= key)
			break;
		heap->entries[i] = heap->entries[parent];
	}
	heap->entries[i] = (struct heap_entry){key, item};
	return 0;
}

const struct heap_entry *
heap_min(const struct heap *heap)
{
	return heap->len == 0 ? NULL : &heap->entries[0];
}

void *
heap_pop(struct heap *heap)
{
	struct heap_entry last;
	void *item;
	size_t i, child;

	if (heap->len == 0)
		return NULL;
	item = heap->entries[0].item;
	last = heap->entries[--heap->len];
	for (i = 0; (child = 2 * i + 1) < heap->len; i = child) {
		if (child + 1 < heap->len &&
		    heap->entries[child + 1].key < heap->entries[child].key)
			child++;
		if (last.key <= heap->entries[child].key)
			break;
		heap->entries[i] = heap->entries[child];
	}
	heap->entries[i] = last;
	return item;
}
