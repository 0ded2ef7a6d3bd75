/* SPDX-License-Identifier: ISC */
#include "sql/sql_url.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/percent.h"
#include "base/url.h"

enum { DEFAULT_PORT = 3306, NAME_BYTES_MAX = 64 };

/* ---- SQLite ---- */

/* The rest of the path behind the directory's, or NULL. */
static const char *
behind(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	while (len > 0 && dir[len - 1] == '/')
		len--;
	if (strncmp(path, dir, len) != 0 || path[len] != '/')
		return NULL;
	return path + len + strspn(path + len, "/");
}

/* NULL when memory is short. */
static char *
complete_path(const char *name, const char *state_dir)
{
	const char *rest = name;
	char *path = NULL;

	if (state_dir == NULL)
		return strdup(name);
	if (name[0] == '/')
		rest = behind(name, state_dir);
	if (rest == NULL)
		return strdup(name);
	while (strncmp(rest, "./", 2) == 0)
		rest += 1 + strspn(rest + 1, "/");
	return asprintf(&path, "%s/%s%s", state_dir,
		   strchr(rest, '/') == NULL ? SQL_DATA_DIR "/" : "",
		   rest) == -1
		   ? NULL
		   : path;
}

static int
describe_file(const char *name, const char *state_dir, struct sql_place *place,
    struct err *err)
{
	if (name[0] == '\0')
		return err_set(err, "there is no path");
	place->kind = SQL_SQLITE;
	place->takes_write_lock = true;
	place->file = complete_path(name, state_dir);
	if (place->file == NULL ||
	    asprintf(&place->shown, "sqlite:%s", place->file) == -1) {
		place->shown = NULL;
		return err_set(err, "out of memory");
	}
	return 0;
}

/* ---- MySQL ---- */

/* Decoded and with a NUL behind it, at *to; 0, or -1 for a bad escape or a NUL
 * in it. */
static int
take_piece(struct slice piece, char **to, const char **text)
{
	size_t len;

	if (percent_decode(piece, *to, &len) == -1 ||
	    memchr(*to, '\0', len) != NULL)
		return -1;
	(*to)[len] = '\0';
	*text = *to;
	*to += len + 1;
	return 0;
}

static int
take_login(
    const struct url *url, char **to, struct sql_place *place, struct err *err)
{
	if ((url->user.len > 0 &&
		take_piece(url->user, to, &place->user) == -1) ||
	    (url->password.p != NULL &&
		take_piece(url->password, to, &place->password) == -1))
		return err_set(err, "bad %% escape in the user or password");
	return 0;
}

static bool
is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 ||
	       inet_pton(AF_INET6, host, &address) == 1;
}

/* As it is written, not by where it leads. */
static bool
is_loopback_host(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 &&
	       (IN6_IS_ADDR_LOOPBACK(&v6) ||
		   (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

/* An address may have several spellings. */
static bool
is_same_host(const struct sql_host *a, const struct sql_host *b)
{
	struct in6_addr at, bt;

	check(a->name != NULL && b->name != NULL);
	if (a->port != b->port)
		return false;
	return strcasecmp(a->name, b->name) == 0 ||
	       (inet_pton(AF_INET6, a->name, &at) == 1 &&
		   inet_pton(AF_INET6, b->name, &bt) == 1 &&
		   IN6_ARE_ADDR_EQUAL(&at, &bt));
}

/* One of the list; what is wrong with it is in err. */
static int
take_host(struct slice text, char **to, struct sql_host *host, struct err *err)
{
	struct url url;

	url_split_authority(text, &url);
	*host = (struct sql_host){.port = DEFAULT_PORT};
	if (url.port.p != NULL) {
		host->port = url_port(url.port);
		if (host->port == 0)
			return err_set(err, "the port is not 1 to 65535");
	}
	if (!url_has_host(&url))
		return err_set(err, "bad host, or bad address in []");
	if (take_piece(url.host, to, &host->name) == -1)
		return err_set(err, "bad %% escape in the host");
	if (strlen(host->name) > SQL_HOST_BYTES_MAX)
		return err_set(
		    err, "a host of more than %d bytes", SQL_HOST_BYTES_MAX);
	host->is_local = is_loopback_host(host->name);
	host->is_name = !is_address(host->name);
	return 0;
}

/* Behind those that are there. */
static int
add_host(struct slice text, char **to, struct sql_place *place, struct err *err)
{
	struct sql_host *host = &place->hosts[place->n_hosts];

	if (place->n_hosts == SQL_HOSTS_MAX)
		return err_set(err, "more than %d hosts", SQL_HOSTS_MAX);
	if (text.len == 0)
		return err_set(err, "there is none");
	if (take_host(text, to, host, err) == -1)
		return -1;
	for (unsigned i = 0; i < place->n_hosts; i++)
		if (is_same_host(host, &place->hosts[i]))
			return err_set(err, "it is host %u again", i + 1);
	place->n_hosts++;
	return 0;
}

static int
take_hosts(
    const struct url *url, char **to, struct sql_place *place, struct err *err)
{
	struct slice rest = url->server;
	bool is_list = memchr(rest.p, ',', rest.len) != NULL;
	struct err reason;

	/* Without a name a port alone means nothing, and never did. */
	if (!is_list && url->host.len == 0)
		return url->port.p == NULL || url_port(url->port) != 0
			   ? 0
			   : err_set(err, "the port is not 1 to 65535");
	for (;;) {
		const char *comma = memchr(rest.p, ',', rest.len);
		size_t len =
		    comma == NULL ? rest.len : (size_t)(comma - rest.p);

		if (add_host(slice_of(rest.p, len), to, place, &reason) == -1)
			return is_list ? err_set(err, "host %u: %s",
					     place->n_hosts + 1, reason.text)
				       : err_set(err, "%s", reason.text);
		if (comma == NULL)
			return 0;
		rest = slice_of(comma + 1, rest.len - len - 1);
	}
}

static int
take_name(
    const struct url *url, char **to, struct sql_place *place, struct err *err)
{
	struct slice name = url->path;

	if (name.len < 2 || memchr(name.p + 1, '/', name.len - 1) != NULL ||
	    take_piece(slice_of(name.p + 1, name.len - 1), to, &place->name) ==
		-1 ||
	    strlen(place->name) > NAME_BYTES_MAX)
		return err_set(err,
		    "there is no name of a database of at most "
		    "%d bytes",
		    NAME_BYTES_MAX);
	return 0;
}

static int
take_socket(
    const struct url *url, char **to, struct sql_place *place, struct err *err)
{
	static const char key[] = "socket=";

	if (url->query.p == NULL)
		return 0;
	if (memchr(url->query.p, '&', url->query.len) != NULL ||
	    take_piece(url->query, to, &place->socket) == -1 ||
	    strncmp(place->socket, key, strlen(key)) != 0 ||
	    place->socket[strlen(key)] != '/')
		return err_set(
		    err, "only ?socket=/PATH may follow the database");
	place->socket += strlen(key);
	if (place->n_hosts > 1)
		return err_set(err, "a socket has no list of hosts");
	place->n_hosts = 0;
	return 0;
}

static int
describe_server(const char *text, const struct url *url,
    struct sql_place *place, struct err *err)
{
	char *to;

	place->kind = SQL_MYSQL;
	/* Each piece is ended where a mark was; the scheme's bytes are more. */
	place->size = strlen(text);
	to = place->text = malloc(place->size);
	if (to == NULL ||
	    asprintf(&place->shown, "mysql://%s", url->server.p) == -1) {
		place->shown = NULL;
		return err_set(err, "out of memory");
	}
	if (take_login(url, &to, place, err) == -1 ||
	    take_hosts(url, &to, place, err) == -1 ||
	    take_name(url, &to, place, err) == -1 ||
	    take_socket(url, &to, place, err) == -1)
		return -1;
	return 0;
}

int
sql_describe(const char *url, const char *state_dir, struct sql_place *place,
    struct err *err)
{
	static const char file[] = "sqlite:";
	struct url parsed;
	int status;

	*place = (struct sql_place){0};
	if (strncmp(url, file, strlen(file)) == 0)
		status =
		    describe_file(url + strlen(file), state_dir, place, err);
	else if (url_split(slice_from_string(url), URL_WITHOUT_FRAGMENT,
		     &parsed) == 0 &&
		 slice_eq(parsed.scheme, SLICE_LITERAL("mysql")))
		status = describe_server(url, &parsed, place, err);
	else
		status =
		    err_set(err, "it begins with neither sqlite: nor mysql://");
	if (status == -1)
		sql_place_free(place);
	return status;
}

enum sql_tls
sql_host_tls(const struct sql_host *host, enum sql_tls asked)
{
	if (asked != SQL_TLS_BY_HOST)
		return asked;
	return host == NULL || host->is_local ? SQL_TLS_OFF : SQL_TLS_VERIFY;
}

const struct sql_host *
sql_place_host(const struct sql_place *place, unsigned number)
{
	return number == 0 || number > place->n_hosts
		   ? NULL
		   : &place->hosts[number - 1];
}

void
sql_host_show(const struct sql_host *host, char text[SQL_WHERE_BYTES])
{
	text[0] = '\0';
	if (host != NULL)
		(void)snprintf(text, SQL_WHERE_BYTES,
		    strchr(host->name, ':') == NULL ? "%s:%u" : "[%s]:%u",
		    host->name, host->port);
}

void
sql_place_free(struct sql_place *place)
{
	if (place->text != NULL)
		explicit_bzero(place->text, place->size);
	free(place->text);
	free(place->shown);
	free(place->file);
	*place = (struct sql_place){0};
}
