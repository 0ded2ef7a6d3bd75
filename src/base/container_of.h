/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_CONTAINER_OF_H
#define CASSATA_BASE_CONTAINER_OF_H

#include <stddef.h>

/* The struct of that type whose member the pointer leads to. */
#define container_of(pointer, type, member)                                    \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
