/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_DURATION_H
#define CASSATA_BASE_DURATION_H

#include <stdint.h>

#include "base/slice.h"

/*
 * A whole number with its unit, "250ms", "10s", "30m", "2h" or "7d": *ms, at
 * most max_ms. 0, or -1 when text is none or says more.
 */
int duration_parse(struct slice text, int64_t max_ms, int64_t *ms);

enum { DURATION_TEXT = 24 };

/* The shortest text that duration_parse reads as ms, which is not negative. */
void duration_write(int64_t ms, char text[DURATION_TEXT]);

#endif
