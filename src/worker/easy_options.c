/* SPDX-License-Identifier: ISC */
#include "worker/easy_options.h"

#include <string.h>

#define LIBCURL_7_85 0x075500
#define LIBCURL_7_87 0x075700
#define LIBCURL_8_21 0x081500

enum {
	AUTHORITIES_KEPT_S = 60,
	/* libcurl reads up to a hundred times that much for each transfer
	 * before it looks at the next: bounds how long its calls take. */
	READ_BYTES = 2048,
};

/* Only options that take a copy or a number can fail, for want of memory. */
static CURLcode
set_method(CURL *easy, const struct easy_options *o)
{
	CURLcode code;

	if (strcmp(o->method, "GET") == 0)
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	if (strcmp(o->method, "HEAD") == 0)
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(
	    easy, CURLOPT_POSTFIELDS, o->body.len == 0 ? "" : o->body.p);
	code = curl_easy_setopt(
	    easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.len);
	if (code == CURLE_OK && strcmp(o->method, "POST") != 0)
		code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method);
	return code;
}

/*
 * A directory of authorities would count beside the file. With none, too, the
 * file is read once a minute, not for each connection, which takes the loop
 * 30 ms for those of a system.
 */
static CURLcode
set_authorities(CURL *easy, const char *ca_file)
{
	/* Asked once: it is not cheap. */
	static const curl_version_info_data *built;
	CURLcode code = CURLE_OK;
	bool strange_null;

	if (built == NULL)
		built = curl_version_info(CURLVERSION_NOW);
#if LIBCURL_VERSION_NUM >= LIBCURL_7_87
	curl_easy_setopt(
	    easy, CURLOPT_CA_CACHE_TIMEOUT, (long)AUTHORITIES_KEPT_S);
#endif
	if (ca_file != NULL)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	if (code != CURLE_OK || built->capath == NULL ||
	    (ca_file == NULL && built->cainfo == NULL))
		return code;
	/* To this one NULL is the directory that it was built with. */
	strange_null = built->version_num >= LIBCURL_8_21;
	return curl_easy_setopt(easy, CURLOPT_CAPATH,
	    strange_null && ca_file != NULL ? "/dev/null" : NULL);
}

static CURLcode
set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= LIBCURL_7_85
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	return curl_easy_setopt(
	    easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

CURLcode
easy_options_set(CURL *easy, const struct easy_options *o)
{
	CURLcode code;

	if (o->own_connection) {
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, o->headers);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= LIBCURL_7_87
	/* The end of a transfer does not wait for its look-up of a name, which
	 * may take longer than all time-outs. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	/* The path is the client's, dots and all. */
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)READ_BYTES);
	curl_easy_setopt(
	    easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(
	    easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
	code = set_method(easy, o);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_URL, o->url);
	if (code == CURLE_OK)
		code = set_protocols(easy);
	/* The environment names no proxy for us. */
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (code == CURLE_OK)
		code = set_authorities(easy, o->ca_file);
	return code;
}
