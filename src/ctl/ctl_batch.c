/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_feed.h"
#include "ctl/ctl_http.h"
#include "ctl/progress.h"

enum {
	RESULT_MAX_BYTES = 256 * 1024, /* of an event; of a refusal of all */
	TURN_MS = 200,
};

struct add_file {
	const struct ctl *ctl;
	const char *name;
	CURL *easy;

	/* the file */
	int fd;
	bool may_wait; /* it is no regular file */
	int64_t size;  /* in bytes; 0: not known */
	int64_t n_read;
	bool waits; /* the transfer rests until there is something to read */
	bool ended;
	struct ctl_feed feed;
	struct err file_err;

	/* the answer */
	struct buf line; /* as much as has come of it; of a refusal, all */
	uint64_t n;      /* results */
	uint64_t n_added, n_there, n_replaced, n_refused;
	bool broken_off;
	struct err answer_err; /* why the transfer was ended */

	int64_t began_ms, moved_ms; /* monotonic */
	struct progress progress;
	int64_t shown_ms;
	uint64_t shown_n;
};

/* ---- the file ---- */

static bool
may_read(const struct add_file *f)
{
	struct pollfd p = {.fd = f->fd, .events = POLLIN};

	return !f->may_wait || poll(&p, 1, 0) != 0;
}

/* Results that are still to come. */
static uint64_t
n_open(const struct add_file *f)
{
	return f->feed.n - f->n;
}

/* All of the file was read, or as much as can be used of it. */
static void
end_file(struct add_file *f)
{
	f->ended = true;
	if (f->file_err.text[0] == '\0')
		ctl_feed_end(&f->feed);
	if (f->file_err.text[0] == '\0' && f->feed.error != NULL)
		(void)err_set(&f->file_err, "%s: %s, at event %" PRIu64,
		    f->name, f->feed.error, f->feed.n);
}

static size_t
give_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct add_file *f = arg;
	ssize_t len;

	if (f->ended)
		return 0;
	if (!may_read(f)) {
		f->waits = true;
		return CURL_READFUNC_PAUSE;
	}
	do
		len = read(f->fd, bytes, size * n);
	while (len == -1 && errno == EINTR);
	if (len == -1)
		(void)err_errno(&f->file_err, "%s", f->name);
	if (len <= 0) {
		end_file(f);
		return 0;
	}
	f->n_read += len;
	/* Of a long one that is on its way there is no result. */
	if (n_open(f) <= 1)
		f->moved_ms = clock_mono_ms();
	n = ctl_feed_turn(&f->feed, bytes, (size_t)len);
	if (f->feed.error != NULL)
		end_file(f);
	return n;
}

/* ---- the answer ---- */

static void
tell_refused(const struct add_file *f, const struct json_value *result)
{
	struct json_value id;
	char what[512];
	int n = snprintf(what, sizeof(what), "event %" PRIu64, f->n);

	if (ctl_member(result, "event-id", &id) && id.raw.len < 400)
		(void)snprintf(what + n, sizeof(what) - (size_t)n, ", %.*s",
		    (int)id.raw.len, id.raw.p);
	ctl_answer_tell_problem(f->ctl, what, result);
}

/* The last line, behind those of the events that were answered. */
static void
tell_broken_off(struct add_file *f, const struct json_value *result)
{
	char what[64];

	(void)snprintf(what, sizeof(what), "after %" PRIu64 " events", f->n);
	ctl_answer_tell_problem(f->ctl, what, result);
	f->broken_off = true;
}

static void
count_result(struct add_file *f, const struct json_value *result, int64_t code)
{
	struct json_value replaced;

	f->n++;
	f->moved_ms = clock_mono_ms();
	if (code == 201)
		f->n_added++;
	else if (code != 200)
		f->n_refused++;
	else if (ctl_member(result, "replaced", &replaced))
		f->n_replaced++;
	else
		f->n_there++;
	if (f->ctl->json)
		ctl_answer_print_json(result);
	else if (code != 201 && code != 200)
		tell_refused(f, result);
}

static int
take_result(struct add_file *f, struct slice line)
{
	struct json_value result, events;
	struct err err;
	int64_t code;

	if (json_scan(line, &result, &err) == -1)
		return err_set(&f->answer_err, "a result is no JSON");
	code = ctl_member_count(&result, "response-code");
	if (code < 100 || code > 599)
		return err_set(&f->answer_err, "a result has no status");
	if (f->broken_off)
		return err_set(&f->answer_err, "it goes on behind its end");
	progress_clear(&f->progress);
	if (ctl_member(&result, "events", &events))
		tell_broken_off(f, &result);
	else if (n_open(f) == 0)
		return err_set(
		    &f->answer_err, "it has more results than events");
	else
		count_result(f, &result, code);
	return 0;
}

/* The lines that are whole. */
static int
take_results(struct add_file *f, const char *bytes, size_t len)
{
	const char *end;

	while ((end = memchr(bytes, '\n', len)) != NULL) {
		size_t n = (size_t)(end - bytes);

		if (buf_append(&f->line, bytes, n) == -1)
			return err_set(&f->answer_err, "a result is too long");
		if (f->line.len > 0 &&
		    take_result(f, buf_slice(&f->line)) == -1)
			return -1;
		buf_reset(&f->line);
		bytes += n + 1;
		len -= n + 1;
	}
	return buf_append(&f->line, bytes, len) == 0
		   ? 0
		   : err_set(&f->answer_err, "a result is too long");
}

static long
http_status_of(const struct add_file *f)
{
	long status = 0;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
take_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct add_file *f = arg;
	size_t len = size * n;

	if (http_status_of(f) != 200) {
		if (buf_append(&f->line, bytes, len) == -1)
			return 0;
	} else if (take_results(f, bytes, len) == -1)
		return 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		(void)err_errno(&f->answer_err, "cannot write the results");
		return 0;
	}
	return len;
}

/* ---- the transfer ---- */

static void
show_bar_of_file(struct add_file *f)
{
	int64_t now_ms = clock_mono_ms(), ms = now_ms - f->shown_ms;
	int64_t took_ms = now_ms - f->began_ms;
	uint64_t rate = (f->n - f->shown_n) * 1000 / (uint64_t)(ms + (ms == 0));
	char bar[PROGRESS_BAR] = "", end[PROGRESS_END] = "";

	if (f->size > 0)
		progress_bar(f->n_read, f->size, bar);
	if (f->n_read > 0 && f->n_read < f->size)
		progress_end(
		    (clock_wall_ms() + (int64_t)((double)took_ms *
						 (double)(f->size - f->n_read) /
						 (double)f->n_read)) /
			1000,
		    end);
	progress_show(&f->progress, "%s%s%" PRIu64 " events, %" PRIu64 "/s%s",
	    bar, f->size > 0 ? " " : "", f->n, rate, end);
	f->shown_ms = now_ms;
	f->shown_n = f->n;
}

/* Whether the server has been silent for too long. One that waits for us may
 * wait, and ends it when it likes. */
static bool
is_stalled(struct add_file *f)
{
	if (f->waits && n_open(f) <= f->feed.filled)
		f->moved_ms = clock_mono_ms();
	return clock_mono_ms() - f->moved_ms > ctl_http_timeout_ms(f->ctl);
}

static void
wait_for_either(struct add_file *f, CURLM *multi)
{
	struct curl_waitfd input = {.fd = f->fd, .events = CURL_WAIT_POLLIN};

	(void)curl_multi_poll(multi, &input, f->waits, TURN_MS, NULL);
	if (f->waits && may_read(f)) {
		f->waits = false;
		(void)curl_easy_pause(f->easy, CURLPAUSE_CONT);
	}
}

/* Until it has ended. */
static CURLcode
drive(struct add_file *f, CURLM *multi)
{
	CURLcode code = CURLE_OK;
	const CURLMsg *msg;
	int running = 1, left;

	while (curl_multi_perform(multi, &running) == CURLM_OK && running > 0) {
		/* libcurl would go on for as long as there is more to send. */
		if (f->broken_off)
			return CURLE_OK;
		if (is_stalled(f))
			return CURLE_OPERATION_TIMEDOUT;
		if (progress_is_due(&f->progress))
			show_bar_of_file(f);
		wait_for_either(f, multi);
	}
	if (running > 0)
		code = CURLE_OUT_OF_MEMORY;
	while ((msg = curl_multi_info_read(multi, &left)) != NULL)
		if (msg->msg == CURLMSG_DONE)
			code = msg->data.result;
	return code;
}

static void
set_transfer(struct add_file *f, const char *url, struct curl_slist *headers)
{
	ctl_http_set_server(f->easy, url);
	curl_easy_setopt(f->easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)ctl_http_timeout_ms(f->ctl));
	/* Of HTTP/2 the server knows nothing. */
	curl_easy_setopt(
	    f->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(f->easy, CURLOPT_READFUNCTION, give_bytes);
	curl_easy_setopt(f->easy, CURLOPT_READDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
}

static CURLcode
transfer(struct add_file *f, const char *url)
{
	struct curl_slist *headers = curl_slist_append(
	    curl_slist_append(
		curl_slist_append(NULL, "Content-Type: application/x-ndjson"),
		"Transfer-Encoding: chunked"),
	    "Expect:");
	CURLM *multi = curl_multi_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (headers != NULL && multi != NULL && f->easy != NULL) {
		set_transfer(f, url, headers);
		if (curl_multi_add_handle(multi, f->easy) == CURLM_OK) {
			code = drive(f, multi);
			(void)curl_multi_remove_handle(multi, f->easy);
		}
	}
	curl_multi_cleanup(multi);
	curl_slist_free_all(headers);
	return code;
}

/* ---- what came of it ---- */

static int
tell_answer(struct add_file *f, const char *url, CURLcode code)
{
	long status = f->easy == NULL ? 0 : http_status_of(f);

	if (f->answer_err.text[0] != '\0')
		return ctl_fail(
		    f->ctl, "%s: the answer: %s", url, f->answer_err.text);
	if (status > 200)
		return ctl_answer_refused(f->ctl, NULL, status, &f->line);
	if (code != CURLE_OK)
		return ctl_fail(
		    f->ctl, "%s: %s", url, curl_easy_strerror(code));
	if (f->broken_off)
		return CTL_FAILED;
	if (n_open(f) > 0 || f->line.len > 0)
		return ctl_fail(f->ctl,
		    "%s: the answer ends after %" PRIu64 " of %" PRIu64
		    " events",
		    url, f->n, f->feed.n);
	return f->n_refused == 0 ? CTL_OK : CTL_FAILED;
}

static void
tell_sum(const struct add_file *f)
{
	printf("%" PRIu64 " added, %" PRIu64 " there already, ", f->n_added,
	    f->n_there);
	if (f->n_replaced > 0)
		printf("%" PRIu64 " replaced, ", f->n_replaced);
	printf("%" PRIu64 " refused\n", f->n_refused);
}

static int
add_events_of(struct add_file *f, const char *url)
{
	CURLcode code;
	int status;

	f->began_ms = f->moved_ms = f->shown_ms = clock_mono_ms();
	progress_init(&f->progress);
	code = transfer(f, url);
	progress_clear(&f->progress);
	if (!f->ctl->json && (f->n > 0 || code == CURLE_OK))
		tell_sum(f);
	status = tell_answer(f, url, code);
	return f->file_err.text[0] == '\0'
		   ? status
		   : ctl_fail(f->ctl, "%s", f->file_err.text);
}

static int
open_events(struct add_file *f)
{
	struct stat st;
	off_t at;

	if (strcmp(f->name, "-") == 0) {
		f->name = "standard input";
		f->fd = STDIN_FILENO;
	} else
		f->fd = open(f->name, O_RDONLY | O_CLOEXEC);
	if (f->fd == -1 || fstat(f->fd, &st) == -1)
		return ctl_fail(f->ctl, "%s: %s", f->name, strerror(errno));
	f->may_wait = !S_ISREG(st.st_mode);
	at = f->may_wait ? 0 : lseek(f->fd, 0, SEEK_CUR);
	f->size =
	    f->may_wait || at < 0 || at > st.st_size ? 0 : st.st_size - at;
	return CTL_OK;
}

int
ctl_batch_add(const struct ctl *ctl, const char *file)
{
	struct add_file f = {.ctl = ctl, .name = file, .fd = -1};
	struct buf url = {0};
	int status = open_events(&f);

	buf_init(&f.line, RESULT_MAX_BYTES);
	if (status == CTL_OK)
		status = ctl_http_url(
		    ctl, &url, "/cassata/add-batch/", NULL, NULL, "");
	if (status == CTL_OK) {
		f.easy = curl_easy_init();
		status = add_events_of(&f, url.p);
		curl_easy_cleanup(f.easy);
	}
	if (f.fd > STDIN_FILENO)
		close(f.fd);
	buf_free(&f.line);
	buf_free(&url);
	return status;
}
