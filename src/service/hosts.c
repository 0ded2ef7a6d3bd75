/* SPDX-License-Identifier: ISC */
#include "service/hosts.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fixed names, and the name and address of each listener. */
enum { OWN_NAMES_MAX = 5 };

static int
add_name(struct hosts *hosts, const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return -1;
	hosts->names[hosts->n_names++] = copy;
	return 0;
}

static struct in6_addr
mapped(const struct in_addr *v4)
{
	struct in6_addr address = {{{0}}};

	address.s6_addr[10] = address.s6_addr[11] = 0xff;
	memcpy(&address.s6_addr[12], v4, sizeof(*v4));
	return address;
}

static bool
is_loopback_address(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) ||
	       (IN6_IS_ADDR_V4MAPPED(address) &&
		   address->s6_addr[12] == IN_LOOPBACKNET);
}

static bool
is_wildcard(const struct in6_addr *address)
{
	static const struct in_addr any = {INADDR_ANY};
	struct in6_addr any_mapped = mapped(&any);

	return IN6_IS_ADDR_UNSPECIFIED(address) ||
	       IN6_ARE_ADDR_EQUAL(address, &any_mapped);
}

/* The form that clients write, for the quick look; and what it means. */
static int
add_address(struct hosts *hosts, const struct in6_addr *address)
{
	char text[INET6_ADDRSTRLEN + 2] = "[";

	hosts->addresses[hosts->n_addresses++] = *address;
	if (is_wildcard(address))
		hosts->any_address = true;
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		(void)inet_ntop(
		    AF_INET, &address->s6_addr[12], text, sizeof(text));
	} else {
		(void)inet_ntop(AF_INET6, address, text + 1, INET6_ADDRSTRLEN);
		text[strlen(text) + 1] = '\0';
		text[strlen(text)] = ']';
	}
	return add_name(hosts, text);
}

static int
add_listener(struct hosts *hosts, int fd)
{
	struct sockaddr_storage storage = {0};
	socklen_t len = sizeof(storage);
	struct in6_addr address;

	/* One of another kind has no address. */
	if (getsockname(fd, (struct sockaddr *)&storage, &len) == -1)
		return 0;
	if (storage.ss_family == AF_INET)
		address =
		    mapped(&((const struct sockaddr_in *)(const void *)&storage)
				->sin_addr);
	else if (storage.ss_family == AF_INET6)
		address = ((const struct sockaddr_in6 *)(const void *)&storage)
			      ->sin6_addr;
	else
		return 0;
	return add_address(hosts, &address);
}

/* host[:port] without the port, and without the dot of the DNS's root. */
static struct slice
name_of(struct slice host)
{
	const char *end =
	    memchr(host.p, host.p[0] == '[' ? ']' : ':', host.len);

	if (end != NULL)
		host.len = (size_t)(end - host.p) + (*end == ']');
	if (host.len > 0 && host.p[host.len - 1] == '.')
		host.len--;
	return host;
}

/* What receivers call it when they end an attempt. */
static int
add_public_name(struct hosts *hosts, const char *text)
{
	const char *begin = strstr(text, "://") + 3; /* config_check looked */
	struct slice name = name_of(slice_of(begin, strcspn(begin, "/")));
	char *copy = strndup(name.p, name.len);

	if (copy == NULL)
		return -1;
	hosts->names[hosts->n_names++] = copy;
	return 0;
}

int
hosts_init(struct hosts *hosts, const struct config_service *cfg,
    const int *listen_fds, size_t n_listen)
{
	const struct config_strings *configured = &cfg->hosts;
	char name[HOST_NAME_MAX + 1] = "";

	*hosts = (struct hosts){.configured = configured};
	hosts->names = calloc(
	    OWN_NAMES_MAX + n_listen + configured->n, sizeof(*hosts->names));
	hosts->addresses = calloc(n_listen + 1, sizeof(*hosts->addresses));
	if (hosts->names == NULL || hosts->addresses == NULL)
		return -1;
	for (size_t i = 0; i < n_listen; i++)
		if (add_listener(hosts, listen_fds[i]) == -1)
			return -1;
	for (size_t i = 0; i < configured->n; i++) {
		if (strcmp(configured->list[i], "*") == 0)
			hosts->any = true;
		if (add_name(hosts, configured->list[i]) == -1)
			return -1;
	}
	if (add_name(hosts, "localhost") == -1 ||
	    add_name(hosts, cfg->listen) == -1)
		return -1;
	if (cfg->public_url != NULL &&
	    add_public_name(hosts, cfg->public_url) == -1)
		return -1;
	/* A longer one than the system allows would be a short read. */
	if (gethostname(name, sizeof(name) - 1) == -1 || name[0] == '\0')
		return 0;
	return add_name(hosts, name);
}

void
hosts_free(struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->n_names; i++)
		free(hosts->names[i]);
	free(hosts->names);
	free(hosts->addresses);
	*hosts = (struct hosts){0};
}

static bool
read_address(struct slice name, struct in6_addr *address)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;
	bool v6 = name.len > 1 && name.p[0] == '[';

	if (v6)
		name = slice_of(name.p + 1, name.len - 2);
	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	if (v6)
		return inet_pton(AF_INET6, text, address) == 1;
	if (inet_pton(AF_INET, text, &v4) != 1)
		return false;
	*address = mapped(&v4);
	return true;
}

static bool
has_address(const struct hosts *hosts, struct slice name)
{
	struct in6_addr address;

	if (!read_address(name, &address))
		return false;
	if (hosts->any_address)
		return true;
	for (size_t i = 0; i < hosts->n_addresses; i++) {
		const struct in6_addr *own = &hosts->addresses[i];

		if (IN6_ARE_ADDR_EQUAL(&address, own) ||
		    (is_loopback_address(&address) && is_loopback_address(own)))
			return true;
	}
	return false;
}

bool
hosts_has(const struct hosts *hosts, struct slice host)
{
	struct slice name;

	if (hosts->any)
		return true;
	if (host.len == 0)
		return false;
	name = name_of(host);
	for (size_t i = 0; i < hosts->n_names; i++)
		if (slice_ieq(name, slice_from_string(hosts->names[i])))
			return true;
	return has_address(hosts, name);
}

/*
 * The scheme does not count: a proxy in front may speak TLS. Where it changes
 * Host, too, the origin's name is one of service.hosts.
 */
bool
hosts_has_origin(
    const struct hosts *hosts, struct slice origin, struct slice host)
{
	const char *slash = memrchr(origin.p, '/', origin.len);
	struct slice authority;

	if (slash == NULL) /* "null", say */
		return false;
	authority =
	    slice_of(slash + 1, origin.len - (size_t)(slash + 1 - origin.p));
	if (authority.len == 0)
		return false;
	if (slice_ieq(authority, host))
		return true;
	for (size_t i = 0; i < hosts->configured->n; i++)
		if (slice_ieq(authority,
			slice_from_string(hosts->configured->list[i])))
			return true;
	return false;
}
