/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_HEAP_H
#define CASSATA_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Binary min-heap of borrowed items, ordered by a key that is stored beside the
 * item (so that sifting touches no item).
 */
struct heap_entry {
	int64_t key;
	void *item;
};

struct heap {
	struct heap_entry *entries;
	size_t len;
	size_t cap;
};

/* Empty; heap_fini frees what it comes to own. */
void heap_init(struct heap *heap);
void heap_fini(struct heap *heap); /* frees the array, not the items */

/* 0, or -1 when memory is short. */
int heap_insert(struct heap *heap, int64_t key, void *item);

/* The entry with the smallest key, or NULL; valid until the next change. */
const struct heap_entry *heap_min(const struct heap *heap);

/* Takes the item with the smallest key out, or NULL when empty. */
void *heap_pop(struct heap *heap);

#endif
