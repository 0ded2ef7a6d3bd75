/* SPDX-License-Identifier: ISC */
#include "store/mysql_url.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/percent.h"
#include "base/slice.h"

enum { DEFAULT_PORT = 3306, NAME_MAX_BYTES = 64 };

/* In place. 0, or -1 for a malformed escape or a NUL byte. */
static int
decode(char *text)
{
	size_t len;

	if (percent_decode(slice_from_string(text), text, &len) == -1 ||
	    memchr(text, '\0', len) != NULL)
		return -1;
	text[len] = '\0';
	return 0;
}

/* Ends the text at the separator; what follows, or NULL without one. */
static char *
cut(char *text, char *separator)
{
	if (text == NULL || separator == NULL)
		return NULL;
	*separator = '\0';
	return separator + 1;
}

static int
parse_port(const char *text, struct mysql_url *url, struct err *err)
{
	uint64_t port;

	if (slice_to_u64(slice_from_string(text), 65535, &port) == -1 ||
	    port == 0)
		return err_set(err, "the port in the URL is not 1 to 65535");
	url->port = (unsigned)port;
	return 0;
}

/* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. */
static int
parse_host(char *text, struct mysql_url *url, struct err *err)
{
	char *port, *end;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return err_set(err, "bad address in [] in the URL");
		port = end[1] == ':' ? end + 2 : NULL;
		*end = '\0';
	} else
		port = cut(text, strchr(text, ':'));
	if (decode(text) == -1)
		return err_set(err, "bad %% escape in the host of the URL");
	url->host = *text == '\0' ? NULL : text;
	return port == NULL ? 0 : parse_port(port, url, err);
}

static int
parse_user(char *text, struct mysql_url *url, struct err *err)
{
	char *password = cut(text, strchr(text, ':'));

	if (decode(text) == -1 ||
	    (password != NULL && decode(password) == -1))
		return err_set(
		    err, "bad %% escape in the user or password of the URL");
	url->user = *text == '\0' ? NULL : text;
	url->password = password;
	return 0;
}

static int
parse_query(char *text, struct mysql_url *url, struct err *err)
{
	static const char key[] = "socket=";

	if (strncmp(text, key, strlen(key)) != 0 || strchr(text, '&') != NULL ||
	    decode(text) == -1 || text[strlen(key)] != '/')
		return err_set(err,
		    "only ?socket=/PATH may follow the database in the URL");
	url->socket = text + strlen(key);
	url->host = NULL;
	return 0;
}

static int
parse_parts(char *text, struct mysql_url *url, struct err *err)
{
	char *query = cut(text, strchr(text, '?'));
	char *name = cut(text, strchr(text, '/'));
	char *host = cut(text, strrchr(text, '@'));

	if (name == NULL || *name == '\0' || strchr(name, '/') != NULL ||
	    decode(name) == -1 || strlen(name) > NAME_MAX_BYTES)
		return err_set(err, "the URL needs a database name: "
				    "mysql://user:password@host:port/name");
	url->name = name;
	if (host != NULL && parse_user(text, url, err) == -1)
		return -1;
	if (parse_host(host == NULL ? text : host, url, err) == -1)
		return -1;
	return query == NULL ? 0 : parse_query(query, url, err);
}

int
mysql_url_parse(const char *url, struct mysql_url *parsed, struct err *err)
{
	static const char scheme[] = "mysql://";

	*parsed = (struct mysql_url){.port = DEFAULT_PORT};
	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return err_set(err, "the URL does not start with %s", scheme);
	parsed->text = strdup(url + strlen(scheme));
	if (parsed->text == NULL)
		return err_errno(err, "datastore URL");
	parsed->size = strlen(parsed->text);
	if (parse_parts(parsed->text, parsed, err) == -1) {
		mysql_url_free(parsed);
		return -1;
	}
	return 0;
}

bool
mysql_url_is_local(const struct mysql_url *url)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (url->host == NULL || strcasecmp(url->host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, url->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, url->host, &v6) == 1 &&
	       (IN6_IS_ADDR_LOOPBACK(&v6) ||
		   (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

void
mysql_url_free(struct mysql_url *url)
{
	if (url->text != NULL)
		explicit_bzero(url->text, url->size);
	free(url->text);
	*url = (struct mysql_url){0};
}
