/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_TITLE_H
#define CASSATA_BASE_TITLE_H

/*
 * What ps shows as the command line of a process. Linux has it where it put the
 * arguments and, behind them, the environment: so these move.
 */

/*
 * At the beginning of main. Returns the arguments in their new place, which
 * lasts; NULL when memory is short: then the title stays what it is.
 */
char **title_init(int argc, char **argv);

/* "cassatad: " and the text, cut to the room there is. */
void title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What top shows of this thread: 15 bytes at most. */
void title_set_thread(const char *name);

#endif
