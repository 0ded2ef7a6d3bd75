/* SPDX-License-Identifier: ISC */
#include "event/request_check.h"

#include <string.h>

#include "base/ascii.h"
#include "base/url.h"
#include "event/event.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Letters, digits and the given marks; never NUL, unlike strchr(3) alone. */
static bool
is_alnum_or(char c, const char *marks)
{
	return is_alnum(c) || (c != '\0' && strchr(marks, c) != NULL);
}

static bool
is_host_name(struct slice host)
{
	for (size_t i = 0; i < host.len; i++) {
		if (!is_alnum_or(host.p[i], "-._~"))
			return false;
	}
	return host.len > 0;
}

/* What is wrong with it, or NULL. */
static const char *
check_authority(const struct url *url)
{
	if (url->user.p != NULL)
		return "must not have user information; put credentials in a "
		       "header";
	if (url->port.p != NULL && url_port(url->port) == 0)
		return "must have a port from 1 to 65535";
	if (url->host.len == 0 && !url->host_is_literal)
		return "has no host";
	if (url->host_is_literal ? !url_is_ipv6(url->host)
				 : !is_host_name(url->host))
		return "has a host that is no host name, IPv4 address or IPv6 "
		       "address in brackets";
	return NULL;
}

const char *
request_check_url(struct slice text)
{
	struct url url;

	if (text.len > EVENT_URL_MAX)
		return "is too long";
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return "must not have spaces, control or non-ASCII "
			       "characters; percent-encode them";
	}
	if (url_split(text, URL_WITH_FRAGMENT, &url) == -1 ||
	    !(slice_ieq(url.scheme, SLICE_LITERAL("http")) ||
		slice_ieq(url.scheme, SLICE_LITERAL("https"))))
		return "must start with http:// or https://";
	return check_authority(&url);
}

bool
request_check_destination(struct slice text)
{
	struct url url;

	if (text.len == 0)
		return false;
	url_split_authority(text, &url);
	return url_is_ipv6(text) || check_authority(&url) == NULL;
}

/* Names, or what they start with when there is a hyphen at the end. */
static const struct slice refused_headers[] = {SLICE_INIT("Host"),
    SLICE_INIT("Content-Length"), SLICE_INIT("Transfer-Encoding"),
    SLICE_INIT("Connection"), SLICE_INIT("Keep-Alive"), SLICE_INIT("Proxy-"),
    SLICE_INIT("TE"), SLICE_INIT("Trailer"), SLICE_INIT("Upgrade"),
    SLICE_INIT("Expect"), SLICE_INIT("Cassata-")};

static bool
is_refused(struct slice name)
{
	for (size_t i = 0; i < COUNT(refused_headers); i++) {
		struct slice refused = refused_headers[i], start = name;

		if (refused.p[refused.len - 1] == '-' && name.len > refused.len)
			start.len = refused.len;
		if (slice_ieq(start, refused))
			return true;
	}
	return false;
}

const char *
request_check_header(struct slice name, struct slice value)
{
	if (name.len == 0)
		return "has no name";
	for (size_t i = 0; i < name.len; i++) {
		if (!is_alnum_or(name.p[i], "!#$%&'*+-.^_`|~"))
			return "has a character in its name that is not "
			       "allowed there";
	}
	for (size_t i = 0; i < value.len; i++) {
		if (is_control(value.p[i]) && value.p[i] != '\t')
			return "has a control character in its value";
	}
	if (is_refused(name))
		return "must not be set: it belongs to the connection or to "
		       "Cassata";
	return NULL;
}
