/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_OPTIONS_H
#define CASSATA_CTL_CTL_OPTIONS_H

#include <getopt.h>
#include <stdint.h>

#include "ctl/ctl.h"

/* The options of commands, those behind their words. */

/* Rows that are alike wherever they are. */
#define CTL_OPTION_JSON                                                        \
	{                                                                      \
		"json", no_argument, NULL, 'j'                                 \
	}
#define CTL_OPTION_WATCH                                                       \
	{                                                                      \
		"watch", no_argument, NULL, 'w'                                \
	}
#define CTL_OPTION_LIMIT                                                       \
	{                                                                      \
		"limit", required_argument, NULL, 'l'                          \
	}
#define CTL_OPTION_ALL                                                         \
	{                                                                      \
		"all", no_argument, NULL, 'A'                                  \
	}

/* One that is alike wherever it is: 'S', 'j' or 'w', its value in optarg, goes to
 * ctl. 0, or -1 for any other. */
int ctl_options_common(struct ctl *ctl, int c);

/*
 * Reads them, and leaves the words in ctl. letters and rows are as for
 * getopt_long(3); what is not common goes to take, which finds its value in
 * optarg: name is that of a row, NULL of a letter. take is NULL where there is
 * no other. 0, or -1 when one makes no sense.
 */
int ctl_options(struct ctl *ctl, const char *letters, const struct option *rows,
    int (*take)(void *arg, int c, const char *name), void *arg);

/* Of --limit (c is 'l') or --all ('A'): how many, UINT64_MAX for all. 0, or -1
 * after it said why. */
int ctl_options_limit(const struct ctl *ctl, int c, uint64_t *limit);

#endif
