/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_http.h"

#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <json-c/json.h>

#include "ctl/ctl_find.h"
#include "proc/control_proto.h"

enum {
	ANSWER_MAX_BYTES = 64 * 1024 * 1024,
	ASK_TIMEOUT_MS = 5000,
	HTTP_TIMEOUT_S = 60,
};

/* The first address that the daemon of this configuration listens on. */
static int
ask_server(const struct ctl *ctl, struct buf *url)
{
	struct json_object *status = NULL, *list;
	struct buf answer;
	struct err err;
	bool absent;
	int result = -1;

	buf_init(&answer, ANSWER_MAX_BYTES);
	if (ctl_ask(ctl, CONTROL_STATUS, ASK_TIMEOUT_MS, &answer, &absent,
		&err) == 0 &&
	    buf_append_char(&answer, '\0') == 0)
		status = json_tokener_parse(answer.p);
	if (json_object_object_get_ex(status, "listening", &list) &&
	    json_object_array_length(list) > 0)
		result = buf_printf(url, "http://%s",
		    json_object_get_string(json_object_array_get_idx(list, 0)));
	json_object_put(status);
	buf_free(&answer);
	return result;
}

void
ctl_http_begin_url(const struct ctl *ctl, const char *server, struct buf *url)
{
	const struct config_service *cfg = &ctl->cfg.service;
	size_t len;

	if (server != NULL) {
		len = strlen(server);
		while (len > 0 && server[len - 1] == '/')
			len--;
		buf_append(url, server, len);
	} else if (ask_server(ctl, url) == -1) {
		buf_printf(url,
		    strchr(cfg->listen, ':') != NULL ? "http://[%s]:%d"
						     : "http://%s:%d",
		    cfg->listen, cfg->port);
	}
}

static size_t
take_answer(char *bytes, size_t size, size_t n, void *arg)
{
	return buf_append(arg, bytes, size * n) == 0 ? size * n : 0;
}

/* Of a character below U+10000. */
static unsigned
code_of(const char *p, size_t len)
{
	unsigned code = (unsigned char)p[0] & (len == 1      ? 0x7fu
						  : len == 2 ? 0x1fu
							     : 0x0fu);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | ((unsigned char)p[i] & 0x3fu);
	return code;
}

size_t
ctl_http_print(FILE *out, struct slice text, bool lines)
{
	size_t n = 0;

	for (; text.len > 0; n++) {
		unsigned char c = (unsigned char)text.p[0];
		size_t len = slice_utf8_len(text);

		if (len > 0 && (slice_plain_len(text) > 0 ||
				   (lines && (c == '\n' || c == '\t'))))
			fwrite(text.p, 1, len, out);
		else
			n += (size_t)fprintf(out, "\\u%04x",
				 len == 0 ? 0xfffd : code_of(text.p, len)) -
			     1;
		len = len == 0 ? 1 : len;
		text = slice_of(text.p + len, text.len - len);
	}
	return n;
}

/*
 * That server and no other: no proxy of the environment, where sudo may have
 * left the caller's, no password of a file, no redirection, no other protocol.
 */
static void
set_server(CURL *easy, const char *url)
{
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500 /* 7.85 */
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(
	    easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

int
ctl_http_ask(const struct ctl *ctl, const char *method, const char *url,
    const char *body, struct buf *answer)
{
	struct curl_slist *headers =
	    curl_slist_append(NULL, "Content-Type: application/json");
	CURL *easy = curl_easy_init();
	long status = 0;
	CURLcode code;

	buf_init(answer, ANSWER_MAX_BYTES);
	if (easy == NULL || headers == NULL) {
		curl_slist_free_all(headers);
		curl_easy_cleanup(easy);
		return ctl_fail(ctl, "out of memory");
	}
	set_server(easy, url);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	if (body != NULL) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	}
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)HTTP_TIMEOUT_S);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
	code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return ctl_fail(ctl, "%s: %s", url, curl_easy_strerror(code));
	if (status / 100 == 2)
		return CTL_OK;
	ctl_http_print(stderr, buf_slice(answer), true);
	return CTL_FAILED;
}

int
ctl_http_perform(const struct ctl *ctl, const char *method, const char *url,
    const char *body)
{
	struct buf answer;
	int status = ctl_http_ask(ctl, method, url, body, &answer);

	if (status == CTL_OK)
		ctl_http_print(stdout, buf_slice(&answer), true);
	buf_free(&answer);
	return status;
}
