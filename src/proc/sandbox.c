/* SPDX-License-Identifier: ISC */
#include "proc/sandbox.h"

#include "proc/landlock.h"
#include "proc/seccomp.h"

bool
sandbox_lacks_of(long abi, bool seccomp, struct err *text)
{
	const char *landlock = "";

	if (abi < LANDLOCK_ABI_FILES)
		landlock = "no landlock: children can open every file, and "
			   "connect to every port, that their user can";
	else if (abi < LANDLOCK_ABI_PORTS)
		landlock = "a landlock before version 4: children can connect "
			   "to every port, and to abstract sockets";
	else if (abi < LANDLOCK_ABI_SCOPES)
		landlock = "a landlock before version 6: children can connect "
			   "to abstract sockets";
	(void)err_set(text, "%s%s%s%s",
	    *landlock == '\0' && seccomp ? "" : "this kernel has ", landlock,
	    *landlock == '\0' || seccomp ? "" : "; and ",
	    seccomp ? "" : "no seccomp: children can make every system call");
	return text->text[0] != '\0';
}

bool
sandbox_lacks(struct err *text)
{
	return sandbox_lacks_of(landlock_abi(), seccomp_is_there(), text);
}

int
sandbox_enter(const struct sandbox *sandbox, struct err *err)
{
	return landlock_enter(sandbox, landlock_abi(), err) == -1
		   ? -1
		   : seccomp_enter(sandbox->needs, sandbox->kills, err);
}
