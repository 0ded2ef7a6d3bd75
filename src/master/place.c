/* SPDX-License-Identifier: ISC */
#include "master/place.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "proc/child.h"

const char *
place_name(const struct place *place)
{
	return place->alone ? CHILD_ALONE : role_name(place->role);
}

void
place_unwatch(struct place *place)
{
	loop_io_free(&place->status_io);
	fd_close(&place->status_fd);
}

static const char *
signal_name(int number, char *text, size_t size)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
	    {SIGABRT, "SIGABRT"},
	    {SIGALRM, "SIGALRM"},
	    {SIGBUS, "SIGBUS"},
	    {SIGFPE, "SIGFPE"},
	    {SIGILL, "SIGILL"},
	    {SIGKILL, "SIGKILL"},
	    {SIGQUIT, "SIGQUIT"},
	    {SIGSEGV, "SIGSEGV"},
	    {SIGSYS, "SIGSYS"},
	    {SIGTERM, "SIGTERM"},
	    {SIGTRAP, "SIGTRAP"},
	    {SIGXCPU, "SIGXCPU"},
	    {SIGXFSZ, "SIGXFSZ"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].number == number)
			return names[i].name;
	}
	(void)snprintf(text, size, "signal %d", number);
	return text;
}

void
place_describe_status(int wait_status, struct err *text)
{
	char number[32];

	if (WIFSIGNALED(wait_status))
		(void)err_set(text, "died from %s",
		    signal_name(WTERMSIG(wait_status), number, sizeof(number)));
	else
		(void)err_set(
		    text, "exited with code %d", WEXITSTATUS(wait_status));
}

void
place_describe_end(const struct place *place, int wait_status, struct err *text)
{
	struct err how;

	place_describe_status(wait_status, &how);
	(void)err_set(text, "%s %u (pid %ld) %s%s%s%s", place_name(place),
	    place->number, (long)place->pid, how.text,
	    place->was_ready ? "" : " before it was ready",
	    place->reason.text[0] == '\0' ? "" : ": ", place->reason.text);
}
