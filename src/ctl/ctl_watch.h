/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_WATCH_H
#define CASSATA_CTL_CTL_WATCH_H

#include <stdbool.h>

/* --watch: the same again and again, on standard output. */

/* On a terminal: nothing else is on the screen. */
void ctl_watch_begin(void);

/* Waits a second; false when what was printed did not get out. */
bool ctl_watch_again(void);

#endif
