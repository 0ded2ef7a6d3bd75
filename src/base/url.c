/* SPDX-License-Identifier: ISC */
#include "base/url.h"

#include <arpa/inet.h>

#include "base/ascii.h"

/* Where one of the marks is in s, or its end. */
static const char *
find_mark(struct slice s, const char *marks)
{
	const char *p = s.p;

	while (p < s.p + s.len && (*p == '\0' || strchr(marks, *p) == NULL))
		p++;
	return p;
}

/* What is behind the mark at p in s, where the mark and that are taken off. */
static struct slice
cut_at(struct slice *s, const char *p)
{
	struct slice rest = slice_of(p + 1, (size_t)(s->p + s->len - p - 1));

	s->len = (size_t)(p - s->p);
	return rest;
}

/* The same of the first mark; nothing when there is none. */
static struct slice
cut_off(struct slice *s, const char *mark)
{
	const char *p = find_mark(*s, mark);

	return p == s->p + s->len ? slice_of(NULL, 0) : cut_at(s, p);
}

/* "[LITERAL]" or "[LITERAL]:PORT" */
static bool
split_literal(struct slice text, struct url *url)
{
	struct slice rest;

	if (text.len == 0 || text.p[0] != '[')
		return false;
	rest = cut_off(&text, "]");
	if (rest.p == NULL || (rest.len > 0 && rest.p[0] != ':'))
		return false;
	url->host = slice_of(text.p + 1, text.len - 1);
	if (rest.len > 0)
		url->port = slice_of(rest.p + 1, rest.len - 1);
	return true;
}

static void
split_authority(struct slice text, struct url *url)
{
	const char *mark = memrchr(text.p, '@', text.len);

	if (mark != NULL) {
		url->user = text;
		text = cut_at(&url->user, mark);
		url->password = cut_off(&url->user, ":");
	}
	url->server = text;
	url->host_is_literal = split_literal(text, url);
	if (url->host_is_literal)
		return;
	url->host = text;
	mark = memrchr(text.p, ':', text.len);
	if (mark != NULL)
		url->port = cut_at(&url->host, mark);
}

void
url_split_authority(struct slice text, struct url *url)
{
	*url = (struct url){0};
	split_authority(text, url);
}

static bool
is_scheme(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && strchr("+-.", s.p[i]) == NULL)
			return false;
	return s.len > 0;
}

int
url_split(struct slice text, enum url_form form, struct url *url)
{
	struct slice rest;
	size_t len;

	*url = (struct url){0};
	if (text.len == 0)
		return -1;
	rest = cut_off(&text, ":");
	if (!is_scheme(text) || rest.len < 2 || memcmp(rest.p, "//", 2) != 0)
		return -1;
	url->scheme = text;
	rest = slice_of(rest.p + 2, rest.len - 2);
	if (form == URL_WITH_FRAGMENT)
		url->fragment = cut_off(&rest, "#");
	url->query = cut_off(&rest, "?");
	len = (size_t)(find_mark(rest, "/") - rest.p);
	split_authority(slice_of(rest.p, len), url);
	if (len < rest.len)
		url->path = slice_of(rest.p + len, rest.len - len);
	return 0;
}

bool
url_has_host(const struct url *url)
{
	const struct slice host = url->host;

	return host.len > 0 && (url->host_is_literal ||
				   find_mark(host, "[]:") == host.p + host.len);
}

bool
url_is_ipv6(struct slice host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (host.len >= sizeof(text) || memchr(host.p, '\0', host.len) != NULL)
		return false;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

unsigned
url_port(struct slice port)
{
	uint64_t number;

	if (slice_to_u64(port, UINT16_MAX, &number) == -1)
		return 0;
	return (unsigned)number;
}

bool
url_leads_to(struct slice text, struct slice destination)
{
	struct url url;

	if (destination.len == 0)
		return true;
	return url_split(text, URL_WITH_FRAGMENT, &url) == 0 &&
	       (slice_ieq(url.host, destination) ||
		   slice_ieq(url.server, destination));
}

struct slice
url_host_name(struct slice text)
{
	struct url url;
	struct slice host;

	if (url_split(text, URL_WITH_FRAGMENT, &url) == -1)
		return slice_of(text.p, 0);
	host = url.host;
	if (url.host_is_literal)
		return slice_of(host.p - 1, host.len + 2);
	/* The root's dot is no other host. */
	if (host.len > 0 && host.p[host.len - 1] == '.')
		host.len--;
	return host;
}
