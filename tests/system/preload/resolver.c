/* SPDX-License-Identifier: ISC */
/*
 * A name server that never answers for names below silent.test or silent; for
 * those below second.test it says 127.0.0.2, for those below both.test 127.0.0.2
 * and then 127.0.0.1, for all others below test 127.0.0.1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

static int
is_below(const char *name, const char *domain)
{
	size_t len = strlen(name), n = strlen(domain);

	return len > n && strcmp(name + len - n, domain) == 0;
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **result)
{
	static int (*real)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **);
	int status;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (node != NULL && is_below(node, ".both.test")) {
		status = real("127.0.0.2", service, hints, result);
		return status != 0 ? status
				   : real("127.0.0.1", service, hints,
					 &(*result)->ai_next);
	}
	if (node != NULL && (is_below(node, ".silent.test") ||
				is_below(node, ".silent"))) {
		(void)sleep(60);
		return EAI_AGAIN;
	}
	if (node != NULL && is_below(node, ".second.test"))
		node = "127.0.0.2";
	else if (node != NULL && is_below(node, ".test"))
		node = "127.0.0.1";
	return real(node, service, hints, result);
}
