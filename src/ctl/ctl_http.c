/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_http.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/percent.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_find.h"
#include "ctl/ctl_table.h"
#include "proc/control_proto.h"

enum {
	ANSWER_MAX_BYTES = 64 * 1024 * 1024,
	ASK_TIMEOUT_MS = 5000,
	HTTP_TIMEOUT_MS = 60000,
	URL_MAX_BYTES = 64 * 1024,
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
	    json_object_is_type(list, json_type_array) &&
	    json_object_array_length(list) > 0)
		result = buf_printf(url, "http://%s",
		    json_object_get_string(json_object_array_get_idx(list, 0)));
	json_object_put(status);
	buf_free(&answer);
	return result;
}

static void
append_server(const struct ctl *ctl, struct buf *url)
{
	const struct config_service *cfg = &ctl->cfg.service;
	size_t len;

	if (ctl->server != NULL) {
		len = strlen(ctl->server);
		while (len > 0 && ctl->server[len - 1] == '/')
			len--;
		buf_append(url, ctl->server, len);
	} else if (ask_server(ctl, url) == -1) {
		buf_printf(url,
		    strchr(cfg->listen, ':') != NULL ? "http://[%s]:%d"
						     : "http://%s:%d",
		    cfg->listen, cfg->port);
	}
}

static void
append_id(struct buf *url, const char *id)
{
	if (id == NULL)
		return;
	(void)buf_append_char(url, '/');
	(void)percent_encode(url, slice_from_string(id));
}

int
ctl_http_url(const struct ctl *ctl, struct buf *url, const char *path,
    const char *app, const char *id, const char *tail)
{
	buf_init(url, URL_MAX_BYTES);
	append_server(ctl, url);
	(void)buf_append_string(url, path);
	append_id(url, app);
	append_id(url, id);
	(void)buf_append_string(url, tail);
	return buf_append_char(url, '\0') == 0
		   ? CTL_OK
		   : ctl_fail(ctl, "the URL is too long");
}

int64_t
ctl_http_timeout_ms(const struct ctl *ctl)
{
	return ctl->timeout_ms > 0 ? ctl->timeout_ms : HTTP_TIMEOUT_MS;
}

static size_t
take_answer(char *bytes, size_t size, size_t n, void *arg)
{
	return buf_append(arg, bytes, size * n) == 0 ? size * n : 0;
}

void
ctl_http_set_server(CURL *easy, const char *url)
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

static void
set_request(CURL *easy, const char *method, const char *body,
    struct curl_slist *headers)
{
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	if (body != NULL) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	}
}

long
ctl_http_send(const struct ctl *ctl, const char *method, const char *url,
    const char *body, struct buf *answer, struct err *err)
{
	struct curl_slist *headers =
	    curl_slist_append(NULL, "Content-Type: application/json");
	CURL *easy = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = -1;

	buf_init(answer, ANSWER_MAX_BYTES);
	if (easy != NULL && headers != NULL) {
		ctl_http_set_server(easy, url);
		set_request(easy, method, body, headers);
		curl_easy_setopt(
		    easy, CURLOPT_TIMEOUT_MS, (long)ctl_http_timeout_ms(ctl));
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
		code = curl_easy_perform(easy);
	}
	if (code == CURLE_OK)
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	else
		(void)err_set(err, "%s",
		    answer->failed ? "the answer is too long"
				   : curl_easy_strerror(code));
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	return status;
}

int
ctl_http_ask_about(const struct ctl *ctl, const char *what, const char *method,
    const char *url, const char *body, struct buf *answer)
{
	struct err err;
	long status = ctl_http_send(ctl, method, url, body, answer, &err);

	if (status / 100 == 2)
		return CTL_OK;
	if (status != -1)
		return ctl_answer_refused(ctl, what, status, answer);
	answer->failed = true;
	return ctl_fail(ctl, "%s: %s", url, err.text);
}

int
ctl_http_ask(const struct ctl *ctl, const char *method, const char *url,
    const char *body, struct buf *answer)
{
	return ctl_http_ask_about(ctl, NULL, method, url, body, answer);
}

bool
ctl_http_is_table(const struct ctl *ctl)
{
	return !ctl->json && isatty(STDOUT_FILENO) == 1;
}

int
ctl_http_show(const struct ctl *ctl, struct buf *answer)
{
	struct json_value object;

	if (ctl_answer_read(ctl, "object", answer, &object) != CTL_OK)
		return CTL_FAILED;
	if (ctl_http_is_table(ctl))
		ctl_table_document(&object);
	else
		ctl_answer_print_json(&object);
	return fflush(stdout) != 0 || ferror(stdout)
		   ? ctl_fail(ctl, "cannot write the answer")
		   : CTL_OK;
}

int
ctl_http_perform(const struct ctl *ctl, const char *method, const char *url,
    const char *body)
{
	struct buf answer;
	int status = ctl_http_ask(ctl, method, url, body, &answer);

	if (status == CTL_OK)
		status = ctl_http_show(ctl, &answer);
	buf_free(&answer);
	return status;
}
