/* SPDX-License-Identifier: ISC */
#include "master/handover.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/slice.h"

void
handover_format(const struct handover *handover, char *text)
{
	size_t size = HANDOVER_TEXT_MAX;
	int n = snprintf(text, size,
	    "%d %d %d %d %d %d", HANDOVER_FORMAT, handover->fd,
	    handover->stderr_fd, handover->control_fd, handover->write_lock_fd,
	    handover->activated);

	/* Of at most 11 bytes and a blank: all have room. */
	for (size_t i = 0; i < handover->n_listen; i++)
		n += snprintf(
		    text + n, size - (size_t)n, " %d", handover->listen_fds[i]);
	check(n > 0 && (size_t)n < size);
}

/* The number up to the next blank or the end. */
static int
next_number(struct slice *rest, uint64_t max, uint64_t *number)
{
	size_t len = 0;

	while (len < rest->len && rest->p[len] != ' ')
		len++;
	if (slice_to_u64(slice_of(rest->p, len), max, number) == -1)
		return -1;
	if (len < rest->len)
		len++;
	*rest = slice_of(rest->p + len, rest->len - len);
	return 0;
}

static int
next_int(struct slice *rest, int *number)
{
	uint64_t value;

	if (next_number(rest, INT32_MAX, &value) == -1)
		return -1;
	*number = (int)value;
	return 0;
}

int
handover_parse(const char *text, struct handover *handover)
{
	struct slice rest = slice_from_string(text);
	int format, activated;

	*handover = (struct handover){.n_listen = 0};
	if (next_int(&rest, &format) == -1 || format != HANDOVER_FORMAT ||
	    next_int(&rest, &handover->fd) == -1 ||
	    next_int(&rest, &handover->stderr_fd) == -1 ||
	    next_int(&rest, &handover->control_fd) == -1 ||
	    next_int(&rest, &handover->write_lock_fd) == -1 ||
	    next_int(&rest, &activated) == -1)
		return -1;
	handover->activated = activated != 0;
	while (rest.len > 0) {
		if (handover->n_listen == LISTENER_MAX ||
		    next_int(&rest,
			&handover->listen_fds[handover->n_listen++]) == -1)
			return -1;
	}
	return 0;
}

int
handover_take(struct handover *handover, struct err *err)
{
	const char *text = getenv(HANDOVER_VARIABLE);

	if (text == NULL)
		return 0;
	if (handover_parse(text, handover) == -1)
		return err_set(err,
		    "this version cannot follow the one that runs: restart it");
	(void)unsetenv(HANDOVER_VARIABLE);
	if (fd_set_cloexec(handover->fd) == -1 ||
	    fd_set_cloexec(handover->stderr_fd) == -1 ||
	    fd_set_cloexec(handover->control_fd) == -1 ||
	    fd_set_cloexec(handover->write_lock_fd) == -1)
		return err_errno(err, "inherited descriptors");
	return 1;
}
