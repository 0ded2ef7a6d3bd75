/* SPDX-License-Identifier: ISC */
#include "board/role.h"

#include "base/check.h"

const char *
role_name(enum role role)
{
	static const char *const names[] = {
	    [ROLE_MASTER] = "master",
	    [ROLE_PREFLIGHT] = "preflight",
	    [ROLE_METRICS] = "metrics",
	    [ROLE_SERVICE] = "service",
	    [ROLE_WORKER] = "worker",
	};

	check(role < sizeof(names) / sizeof(names[0]));
	return names[role];
}
