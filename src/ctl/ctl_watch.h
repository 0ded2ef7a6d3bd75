/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_WATCH_H
#define CASSATA_CTL_CTL_WATCH_H

#include <stdbool.h>

#include "ctl/ctl.h"

/* --watch: the same again and again, on standard output. */

/* On a terminal: nothing else is on the screen. */
void ctl_watch_begin(void);

/* Waits a second; false when what was printed did not get out, or nobody reads
 * it any more. */
bool ctl_watch_again(void);

/* Shows it once, and when it is to be watched again each second, until that
 * fails. The exit code of the last show. */
int ctl_watch_each_second(
    const struct ctl *ctl, int (*show)(void *arg), void *arg);

#endif
