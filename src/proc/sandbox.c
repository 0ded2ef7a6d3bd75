/* SPDX-License-Identifier: ISC */
#include "proc/sandbox.h"

#include "proc/landlock.h"
#include "proc/seccomp.h"

bool
sandbox_lacks_of(long abi, enum seccomp_support seccomp, struct err *text)
{
	static const char *const without[] = {
	    [SECCOMP_THERE] = "",
	    [SECCOMP_NOT_IN_KERNEL] =
		"this kernel has no seccomp: children can make every system "
		"call",
	    [SECCOMP_NOT_IN_BUILD] =
		"this build has no list of system calls for this machine: "
		"children can make every one",
	};
	const char *landlock = "";

	if (abi < LANDLOCK_ABI_FILES)
		landlock = "this kernel has no landlock: children can open "
			   "every file, and connect to every port, that their "
			   "user can";
	else if (abi < LANDLOCK_ABI_PORTS)
		landlock = "this kernel has a landlock before version 4: "
			   "children can connect to every port, and to "
			   "abstract sockets";
	else if (abi < LANDLOCK_ABI_SCOPES)
		landlock = "this kernel has a landlock before version 6: "
			   "children can connect to abstract sockets";
	(void)err_set(text, "%s%s%s", landlock,
	    *landlock == '\0' || *without[seccomp] == '\0' ? "" : "; and ",
	    without[seccomp]);
	return text->text[0] != '\0';
}

bool
sandbox_lacks(struct err *text)
{
	return sandbox_lacks_of(landlock_abi(), seccomp_support(), text);
}

int
sandbox_enter(const struct sandbox *sandbox, struct err *err)
{
	return landlock_enter(sandbox, landlock_abi(), err) == -1
		   ? -1
		   : seccomp_enter(sandbox->needs, sandbox->kills, err);
}
