/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_options.h"

int
ctl_options_common(struct ctl *ctl, int c)
{
	switch (c) {
	case 'S':
		ctl->server = optarg;
		return 0;
	case 'j':
		ctl->json = true;
		return 0;
	case 'w':
		ctl->watch = true;
		return 0;
	default:
		return -1;
	}
}

int
ctl_options(struct ctl *ctl, const char *letters, const struct option *rows,
    int (*take)(void *arg, int c, const char *name), void *arg)
{
	/* Behind the word before them, which getopt passes over. */
	int argc = ctl->argc + 1, c, i = -1;
	char **argv = ctl->argv - 1;

	optind = 0; /* a new list of words */
	while ((c = getopt_long(argc, argv, letters, rows, &i)) != -1) {
		if (c == '?' ||
		    (ctl_options_common(ctl, c) == -1 &&
			(take == NULL ||
			    take(arg, c, i == -1 ? NULL : rows[i].name) == -1)))
			return -1;
		i = -1;
	}
	ctl->argc = argc - optind;
	ctl->argv = argv + optind;
	return 0;
}

int
ctl_options_limit(const struct ctl *ctl, int c, uint64_t *limit)
{
	*limit = 0;
	if (c == 'l' &&
	    slice_to_u64(slice_from_string(optarg), UINT32_MAX, limit) == -1) {
		(void)ctl_fail(
		    ctl, "--limit: not a number, or 0 for all: %s", optarg);
		return -1;
	}
	if (*limit == 0)
		*limit = UINT64_MAX;
	return 0;
}
