/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_PRINT_H
#define CASSATA_CTL_CTL_PRINT_H

#include <stdio.h>

#include "base/slice.h"

/*
 * Prints what clients, destinations and servers wrote. What a terminal would
 * take for a command (C0, DEL, C1), what turns the direction of a line, and
 * what is no UTF-8 is printed as JSON's escape; an LF and a tab, too, unless
 * there may be lines. Returns how many characters that are.
 */
size_t ctl_print(FILE *out, struct slice text, bool lines);

#endif
