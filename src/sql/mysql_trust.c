/* SPDX-License-Identifier: ISC */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sql/mysql_trust.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <errmsg.h>
#include <openssl/x509.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define TLS_VERSIONS "TLSv1.2,TLSv1.3"

/* By which the client library would be told otherwise. */
static const char *const variables[] = {
    "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN",
    "LIBMYSQL_PLUGINS",
    "LIBMYSQL_PLUGIN_DIR",
    "MARIADB_PLUGIN_DIR",
    "MARIADB_TLS_DISABLE_PEER_VERIFICATION",
};

static int
copy(char **to, const char *text, struct err *err)
{
	*to = text == NULL ? NULL : strdup(text);
	return text == NULL || *to != NULL
		   ? 0
		   : err_errno(err, "cannot make the store");
}

/* Whether one of the servers is to be spoken to like that. */
static bool
is_for(const struct mysql_trust *trust, const struct sql_place *place,
    enum sql_tls tls)
{
	for (unsigned i = 0; i < place->n_hosts; i++)
		if (sql_host_tls(&place->hosts[i], trust->asked) == tls)
			return true;
	return false;
}

static int
check(const struct mysql_trust *trust, const struct sql_place *place,
    struct err *err)
{
	bool verify = is_for(trust, place, SQL_TLS_VERIFY);

	if (place->n_hosts == 0 &&
	    sql_host_tls(NULL, trust->asked) != SQL_TLS_OFF)
		return err_set(err, "datastore.tls: a server without a host in "
				    "datastore.url is on a Unix socket, where "
				    "there is no TLS");
	if (trust->ca_file != NULL && !verify)
		return err_set(err, "datastore.tlsCaFile is for "
				    "datastore.tls: verify");
	if (trust->certificate != NULL && !verify &&
	    !is_for(trust, place, SQL_TLS_REQUIRE))
		return err_set(err, "datastore.tlsCertificate is for "
				    "datastore.tls: verify or require");
	if ((trust->certificate == NULL) != (trust->key == NULL))
		return err_set(err, "datastore.tlsCertificate and "
				    "datastore.tlsKey need each other");
	return 0;
}

/* The library says of most of what it cannot read that it is no certificate. */
static int
check_files(const struct mysql_trust *trust, struct err *err)
{
	const char *const files[] = {
	    trust->ca_file, trust->certificate, trust->key};

	for (size_t i = 0; i < COUNT(files); i++)
		if (files[i] != NULL && access(files[i], R_OK) == -1)
			return err_errno(err, "%s", files[i]);
	return 0;
}

int
mysql_trust_init(struct mysql_trust *trust, const struct store_params *params,
    const struct sql_place *place, struct err *err)
{
	for (size_t i = 0; i < COUNT(variables); i++)
		(void)unsetenv(variables[i]); /* cannot fail: it is a name */
	*trust = (struct mysql_trust){.asked = params->tls};
	if (copy(&trust->ca_file, params->tls_ca_file, err) == -1 ||
	    copy(&trust->certificate, params->tls_certificate, err) == -1 ||
	    copy(&trust->key, params->tls_key, err) == -1)
		return -1;
	return check(trust, place, err) == -1 ? -1 : check_files(trust, err);
}

void
mysql_trust_fini(struct mysql_trust *trust)
{
	free(trust->ca_file);
	free(trust->certificate);
	free(trust->key);
	*trust = (struct mysql_trust){0};
}

struct option {
	enum mysql_option name;
	const void *value;
};

/* Unlike others, these must be known to the library. */
static int
set(MYSQL *mysql, const struct option *options, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (options[i].value != NULL &&
		    mysql_options(mysql, options[i].name, options[i].value) !=
			0)
			return err_set(err,
			    "the client library cannot be kept from showing "
			    "the password (option %d)",
			    (int)options[i].name);
	return 0;
}

/* Without them some libraries check a certificate loosely, or not at all. */
static const char *
system_ca_file(void)
{
	const char *path = X509_get_default_cert_file();

	return access(path, R_OK) == 0 ? path : NULL;
}

#ifdef LIBMARIADB

/*
 * Plugins that prove that we know the password and do not show it, also to a
 * server that chooses what they work on. dialog, which would ask at the
 * terminal, and mysql_clear_password are in neither list.
 */
#define PROOFS "mysql_native_password,client_ed25519,parsec"
/* These show the password to a server that asks: inside TLS, or encrypted by
 * a key that it chooses. */
#define SHOWING PROOFS ",caching_sha2_password,sha256_password"

int
mysql_trust_ask(const struct mysql_trust *trust, const struct sql_host *host,
    MYSQL *mysql, struct err *err)
{
	const char *system_dir = X509_get_default_cert_dir();
	enum sql_tls tls = sql_host_tls(host, trust->asked);
	bool verify = tls == SQL_TLS_VERIFY;
	bool by_system = verify && trust->ca_file == NULL;
	/* A file alone makes some versions try TLS. */
	bool some = tls != SQL_TLS_OFF;
	char enforce = (char)some;
	char verify_server = (char)verify;
	const struct option options[] = {
	    {MARIADB_OPT_RESTRICTED_AUTH, verify ? SHOWING : PROOFS},
	    /* Not what a server begins with, but what the user has: the library
	     * would end at the first. */
	    {MYSQL_DEFAULT_AUTH, verify ? NULL : "mysql_native_password"},
	    {MYSQL_OPT_SSL_ENFORCE, &enforce},
	    {MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify_server},
	    {MYSQL_OPT_TLS_VERSION, TLS_VERSIONS},
	    {MYSQL_OPT_SSL_CA, by_system ? system_ca_file()
			       : verify  ? trust->ca_file
					 : NULL},
	    {MYSQL_OPT_SSL_CAPATH, by_system ? system_dir : NULL},
	    {MYSQL_OPT_SSL_CERT, some ? trust->certificate : NULL},
	    {MYSQL_OPT_SSL_KEY, some ? trust->key : NULL},
	};

	return set(mysql, options, COUNT(options), err);
}

#else

/* MySQL's own library takes any plugin that the server asks for. */
int
mysql_trust_ask(const struct mysql_trust *trust, const struct sql_host *host,
    MYSQL *mysql, struct err *err)
{
	const char *system_dir = X509_get_default_cert_dir();
	bool by_system = trust->ca_file == NULL;
	unsigned mode = SSL_MODE_VERIFY_IDENTITY;
	const struct option options[] = {
	    {MYSQL_OPT_SSL_MODE, &mode},
	    {MYSQL_OPT_TLS_VERSION, TLS_VERSIONS},
	    {MYSQL_OPT_SSL_CA, by_system ? system_ca_file() : trust->ca_file},
	    {MYSQL_OPT_SSL_CAPATH, by_system ? system_dir : NULL},
	    {MYSQL_OPT_SSL_CERT, trust->certificate},
	    {MYSQL_OPT_SSL_KEY, trust->key},
	};

	if (sql_host_tls(host, trust->asked) != SQL_TLS_VERIFY)
		return err_set(err, "MySQL's client library shows the password "
				    "to a server that asks: it needs "
				    "datastore.tls: verify, or build with "
				    "MariaDB's");
	return set(mysql, options, COUNT(options), err);
}

#endif

int
mysql_trust_check(const struct mysql_trust *trust, const struct sql_host *host,
    MYSQL *mysql, struct err *err)
{
	/* Some versions go on without when the server has no TLS. */
	if (sql_host_tls(host, trust->asked) == SQL_TLS_OFF ||
	    mysql_get_ssl_cipher(mysql) != NULL)
		return 0;
	return err_set(err, "the database server does not speak TLS, which "
			    "datastore.tls requires");
}

void
mysql_trust_explain(const struct mysql_trust *trust,
    const struct sql_host *host, unsigned code, const char *text,
    struct err *err)
{
	bool verify = sql_host_tls(host, trust->asked) == SQL_TLS_VERIFY;

	switch (code) {
#ifdef LIBMARIADB
	/* The library names another plugin than it refuses. */
	case CR_PLUGIN_NOT_ALLOWED:
		(void)err_set(err,
		    "the database server asks for an authentication that would "
		    "show it the password%s",
		    verify ? "" : ": refused unless datastore.tls is verify");
		break;
#endif
	case CR_SSL_CONNECTION_ERROR:
		(void)err_set(err, "%s; see datastore.tls%s", text,
		    verify ? ", which is verify unless set for a server on "
			     "another machine, and datastore.tlsCaFile"
			   : "");
		break;
	default:
		(void)err_set(err, "%s", text);
		break;
	}
}
