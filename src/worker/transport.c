/* SPDX-License-Identifier: ISC */
#include "worker/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/easy_options.h"
#include "worker/lookups.h"
#include "worker/response_line.h"

enum {
	OUR_FAULT_WAIT_MS = 1000,
	/* Of a header line beside its bytes, as RFC 9113 6.5.2 counts. */
	LINE_COST_BYTES = 32,
	STEPS_PER_LOOK = 8,
};

struct transfer {
	struct transport *transport;
	CURL *easy;
	struct transport_request req;
	bool cut;	/* on_body had enough */
	bool has_status;
	bool head_came; /* of the final response, to its empty line */
	enum transport_fault fault;
	const char *refusal; /* why we ended it, or NULL */
	int64_t wait_ms;     /* before it makes sense again, for FAULT_OURS */
	size_t n_header_bytes;
	unsigned n_sockets; /* opened for it */
	bool looks_up;      /* its name: it has a slot */
	bool unwatched;     /* for want of room, so that it times out */
	bool sent;
	bool refuses_retry;
	unsigned n_steps; /* of libcurl's, since then */
	int fd;		  /* its socket, or -1 */
	uint64_t received_before; /* by that, at the first look; 0: none */
	char error[CURL_ERROR_SIZE];
};

/* A socket of libcurl's, and the transfer that it serves now: NULL for one that
 * libcurl closes without our doing. */
struct line {
	struct transport *transport;
	struct loop_io *io;
	struct transfer *transfer;
};

struct transport {
	struct loop *loop;
	struct transport_config config;
	CURLM *multi;
	struct loop_timer *timer;
	struct lookups lookups;
};

/* Its thread has come to an end. */
static void
end_lookup(struct transfer *transfer)
{
	if (transfer->looks_up)
		lookups_end(&transfer->transport->lookups, transfer);
	transfer->looks_up = false;
}

/* False when there is no room for it. */
static bool
begin_lookup(struct transfer *transfer)
{
	const struct transport_request *req = &transfer->req;

	transfer->looks_up = lookups_begin(&transfer->transport->lookups,
	    transfer, req->app, req->host, &transfer->wait_ms);
	return transfer->looks_up;
}

/* Whether the URL has an address for its host, as libcurl reads it. */
static bool
has_literal_host(const struct transfer *transfer)
{
	CURLU *url = curl_url();
	unsigned char address[sizeof(struct in6_addr)];
	char *text = NULL, *host = NULL;
	bool literal = false;

	(void)curl_easy_getinfo(
	    transfer->easy, CURLINFO_EFFECTIVE_URL, &text);
	if (url != NULL && text != NULL &&
	    curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		literal =
		    host[0] == '[' || inet_pton(AF_INET, host, address) == 1;
	curl_free(host);
	curl_url_cleanup(url);
	return literal;
}

/* libcurl: the host is not in its cache. Also called for an address. */
static int
start_lookup(void *resolver, void *reserved, void *arg)
{
	struct transfer *transfer = arg;

	(void)resolver;
	(void)reserved;
	if (transfer->looks_up)
		return 0;
	if (begin_lookup(transfer) || has_literal_host(transfer))
		return 0;
	transfer->refusal = "too many names are being looked up";
	transfer->fault = FAULT_OURS;
	return 1;
}

static void
free_transfer(struct transfer *transfer)
{
	if (transfer->looks_up)
		lookups_abandon(&transfer->transport->lookups, transfer);
	curl_easy_cleanup(transfer->easy);
	free(transfer);
}

/*
 * What libcurl works on. A call for one socket also does what is due by time
 * for other requests, so that each callback notes its own; one about to be
 * sent may have its answer read in the same call.
 */
static void
note_parsed(const struct transport *t, int64_t row_id)
{
	if (t->config.parsed_row_id != NULL)
		atomic_store_explicit(t->config.parsed_row_id, row_id,
		    memory_order_relaxed);
}

static void
note_transfer(const struct transfer *transfer)
{
	note_parsed(transfer->transport, transfer->req.row_id);
}

static struct transfer *
transfer_of(CURL *easy)
{
	struct transfer *transfer = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
	return transfer;
}

/* Of the response, 0 for none. */
static int
status_of(const struct transfer *transfer)
{
	long status = 0;

	if (transfer->has_status)
		curl_easy_getinfo(
		    transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 100 && status <= 999 ? (int)status : 0;
}

static enum transport_fault
fault_of(const struct transfer *transfer, CURLcode code)
{
	long os_errno = 0;

	/* A header line without an end is CURLE_OUT_OF_MEMORY, too. */
	if ((code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT) &&
	    !transfer->sent)
		return FAULT_OURS;
	if (code != CURLE_OK && transfer->unwatched)
		return FAULT_OURS;
	if (code == CURLE_ABORTED_BY_CALLBACK ||
	    (code == CURLE_COULDNT_RESOLVE_HOST &&
		transfer->fault != FAULT_NONE) ||
	    (code == CURLE_COULDNT_CONNECT &&
		(transfer->n_sockets == 0 || transfer->fault == FAULT_BUSY)))
		return transfer->fault;
	/* Every port is in use. */
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno == EADDRNOTAVAIL)
		return FAULT_OURS;
	if (code == CURLE_COULDNT_RESOLVE_HOST &&
	    strstr(transfer->error, "thread failed to start") != NULL)
		return FAULT_OURS;
	return FAULT_NONE;
}

/* What libcurl and the callbacks tell of its end. error: of the transfer. */
static void
describe_end(
    struct transfer *transfer, CURLcode code, struct transport_end *end)
{
	CURL *easy = transfer->easy;
	curl_off_t retry_after_s = 0;

	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	if (transfer->cut && code == CURLE_WRITE_ERROR)
		code = CURLE_OK;
	if (code != CURLE_OK && transfer->refusal != NULL)
		(void)snprintf(transfer->error, sizeof(transfer->error), "%s",
		    transfer->refusal);
	/* To libcurl a connection that ends there is a response. */
	if (code == CURLE_OK && !transfer->head_came) {
		code = CURLE_PARTIAL_FILE;
		(void)snprintf(transfer->error, sizeof(transfer->error),
		    "the head of the response broke off");
	}
	if (code != CURLE_OK && transfer->error[0] == '\0')
		(void)snprintf(transfer->error, sizeof(transfer->error), "%s",
		    curl_easy_strerror(code));
	/* A date in the past is below 0. */
	if (retry_after_s < 0)
		retry_after_s = 0;
	if (retry_after_s > INT32_MAX)
		retry_after_s = INT32_MAX;
	*end = (struct transport_end){
	    .code = code,
	    .status = status_of(transfer),
	    .retry_after_ms = (int64_t)retry_after_s * 1000,
	    .sent = transfer->sent,
	    .refuses_retry = code == CURLE_OK && transfer->refuses_retry,
	    .error = transfer->error,
	    .fault = fault_of(transfer, code),
	    .wait_ms = transfer->wait_ms,
	};
}

/* Ends what libcurl says has ended. */
static void
reap(struct transport *t)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(t->multi, &left)) != NULL) {
		struct transfer *transfer = transfer_of(msg->easy_handle);
		struct transport_end end;

		if (msg->msg != CURLMSG_DONE)
			continue;
		describe_end(transfer, msg->data.result, &end);
		if (end.code == CURLE_COULDNT_RESOLVE_HOST)
			end_lookup(transfer);
		/* First its connection goes back: on_end starts the next. */
		curl_multi_remove_handle(t->multi, transfer->easy);
		transfer->req.on_end(transfer->req.arg, &end);
		free_transfer(transfer);
	}
}

static void
act(struct transport *t, curl_socket_t fd, int events, int64_t row_id)
{
	int running;

	note_parsed(t, row_id);
	curl_multi_socket_action(t->multi, fd, events, &running);
	note_parsed(t, 0);
	reap(t);
}

static void
on_curl_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0, 0);
}

static void
on_socket(int fd, unsigned events, void *arg)
{
	const struct line *line = arg;

	if ((events & LOOP_FAILED) != 0) {
		if (line->transfer != NULL)
			line->transfer->unwatched = true;
		return;
	}
	act(line->transport, fd,
	    ((events & LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
		((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0),
	    line->transfer == NULL ? 0 : line->transfer->req.row_id);
}

static struct line *
open_line(struct transport *t, curl_socket_t fd, unsigned events)
{
	struct line *line = calloc(1, sizeof(*line));

	if (line == NULL)
		return NULL;
	line->transport = t;
	line->io = loop_io_create(t->loop, fd, events, on_socket, line);
	if (line->io == NULL) {
		free(line);
		return NULL;
	}
	curl_multi_assign(t->multi, fd, line);
	return line;
}

/* By its socket, ever; 0 for unknown. */
static uint64_t
bytes_received(const struct transfer *transfer)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (transfer->fd == -1 || getsockopt(transfer->fd, IPPROTO_TCP,
				      TCP_INFO, &info, &len) == -1)
		return 0;
	return info.tcpi_bytes_received;
}

/* libcurl: watch this socket for these events. */
static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *watched)
{
	struct transport *t = arg;
	struct line *line = watched;
	struct transfer *transfer = transfer_of(easy);
	bool is_watched = true;
	unsigned events = ((what & CURL_POLL_IN) != 0 ? LOOP_READ : 0u) |
	    ((what & CURL_POLL_OUT) != 0 ? LOOP_WRITE : 0u);

	/* Called after the work on a request. */
	note_parsed(t, 0);
	if (what == CURL_POLL_REMOVE) {
		if (transfer != NULL && transfer->fd == fd)
			transfer->fd = -1;
		if (line != NULL)
			loop_io_free(&line->io);
		free(line);
		curl_multi_assign(t->multi, fd, NULL);
		return 0;
	}
	if (line == NULL) {
		line = open_line(t, fd, events);
		is_watched = line != NULL;
	} else {
		loop_io_want(line->io, events);
	}
	if (line != NULL)
		line->transfer = transfer;
	/* To tell libcurl would be the end of all transfers, and of those to
	 * come. It has handles of its own, too. */
	if (transfer == NULL)
		return 0;
	transfer->unwatched |= !is_watched;
	if (transfer->fd != fd) {
		transfer->fd = fd;
		transfer->received_before = 0;
	}
	return 0;
}

/* libcurl: call back in so many milliseconds, or never. */
static int
watch_time(CURLM *multi, long timeout_ms, void *arg)
{
	struct transport *t = arg;

	(void)multi;
	if (timeout_ms >= 0)
		loop_timer_set(t->timer, timeout_ms);
	else
		loop_timer_clear(t->timer);
	return 0; /* see watch_socket */
}

/*
 * libcurl: after each of its steps. What is neither header nor content, such
 * as the extension of a chunk, comes by no other callback, and libcurl reads
 * it for as long as it comes, without a look at its timers or a return.
 */
static int
watch_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
    curl_off_t up)
{
	struct transfer *transfer = arg;
	uint64_t received;

	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	if (!transfer->sent || ++transfer->n_steps % STEPS_PER_LOOK != 0)
		return 0;
	received = bytes_received(transfer);
	if (transfer->received_before == 0)
		transfer->received_before = received;
	if (received <= transfer->received_before +
			    transfer->transport->config.max_received_bytes)
		return 0;
	transfer->refusal = "the response has too much beside its content";
	return 1;
}

static bool
may_connect(const struct transfer *transfer, const char *ip)
{
	const struct transport_request *req = &transfer->req;

	return req->may_connect == NULL || req->may_connect(req->arg, ip);
}

static bool
may_connect_to(
    const struct transfer *transfer, const struct curl_sockaddr *address)
{
	char ip[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (address->family == AF_INET) {
		memcpy(&in, &address->addr, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, ip, sizeof(ip));
	} else if (address->family == AF_INET6) {
		memcpy(&in6, &address->addr, sizeof(in6));
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof(ip));
	}
	return may_connect(transfer, ip);
}

/*
 * The connection that it was sent over has ended, and it goes over another one:
 * libcurl fills its buffer once for a transfer, so that the error which counts
 * is told by its code alone.
 */
static void
forget_error(struct transfer *transfer)
{
	if (transfer->sent)
		transfer->error[0] = '\0';
}

/* libcurl: the connection stands, the request is about to be sent. */
static int
ask_before_request(void *arg, char *primary_ip, char *local_ip,
    int primary_port, int local_port)
{
	struct transfer *transfer = arg;

	(void)local_port;
	note_transfer(transfer);
	forget_error(transfer);
	transfer->fault = FAULT_NONE;
	transfer->refusal = connection_refusal(primary_ip, primary_port,
	    local_ip, &transfer->transport->config.own_listeners);
	if (transfer->refusal != NULL)
		transfer->fault = FAULT_ADDRESS;
	else if (!may_connect(transfer, primary_ip))
		transfer->fault = FAULT_BUSY;
	else if (transfer->req.may_send != NULL &&
		 !transfer->req.may_send(transfer->req.arg))
		transfer->fault = FAULT_UNSENT;
	else
		transfer->sent = true;
	return transfer->fault == FAULT_NONE ? CURL_PREREQFUNC_OK
					     : CURL_PREREQFUNC_ABORT;
}

/*
 * False when this machine has no address of its own for going there, which is
 * EADDRNOTAVAIL like the want of ports, but does not pass.
 */
static bool
has_source_address(const struct curl_sockaddr *address)
{
	int fd = socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd == -1 ||
		   connect(fd, &address->addr, address->addrlen) == 0 ||
		   errno != EADDRNOTAVAIL;

	if (fd != -1)
		(void)close(fd);
	return has;
}

/* libcurl: a socket for this address. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = arg;
	const char *refusal = address_refusal(
	    &address->addr, &transfer->transport->config.own_listeners);
	curl_socket_t fd;

	(void)purpose;
	end_lookup(transfer);
	forget_error(transfer);
	if (refusal != NULL) {
		transfer->refusal = refusal;
		transfer->fault = FAULT_ADDRESS;
		return CURL_SOCKET_BAD;
	}
	if (address->family == AF_INET6 && !has_source_address(address))
		return CURL_SOCKET_BAD;
	if (!may_connect_to(transfer, address)) {
		transfer->fault = FAULT_BUSY;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
	if (fd != -1)
		transfer->n_sockets++;
	else if (errno != EAFNOSUPPORT)
		transfer->fault = FAULT_OURS;
	return fd;
}

/* Ends the transfer from a callback for what is written. */
static size_t
refuse(struct transfer *transfer, const char *reason)
{
	transfer->refusal = reason;
	return 0;
}

static size_t
take_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *transfer = arg;
	struct slice line = slice_of(bytes, size * n);

	note_transfer(transfer);
	/* Unfolding takes libcurl longer with each line (RFC 9112 5.2 lets us
	 * refuse that). */
	if (bytes[0] == ' ' || bytes[0] == '\t')
		return refuse(transfer, "a header line of the response is folded");
	transfer->n_header_bytes += line.len + LINE_COST_BYTES;
	if (transfer->n_header_bytes >
	    transfer->transport->config.max_header_bytes)
		return refuse(transfer, "the header of the response is too large");
	if (response_begins(line))
		transfer->has_status = response_status_line(line);
	if (!transfer->has_status)
		return refuse(transfer, "the response has no status");
	if (response_strange_coding(line))
		return refuse(transfer,
		    "the response has a transfer coding that nobody asked for");
	/* Not its trailers. */
	if (transfer->req.on_header != NULL && !transfer->head_came)
		transfer->req.on_header(transfer->req.arg, line);
	if (bytes[0] == '\r' || bytes[0] == '\n')
		transfer->head_came = status_of(transfer) >= 200;
	transfer->refuses_retry |= response_refuses_retry(line);
	return line.len;
}

static size_t
take_response(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *transfer = arg;

	note_transfer(transfer);
	if (transfer->req.on_body(transfer->req.arg, status_of(transfer),
		slice_of(bytes, size * n)))
		return size * n;
	transfer->cut = true;
	return 0;
}

struct transport *
transport_create(
    struct loop *loop, const struct transport_config *config, struct err *err)
{
	struct transport *t;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, "libcurl cannot be initialised");
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		err_set(err, "out of memory");
		curl_global_cleanup();
		return NULL;
	}
	t->loop = loop;
	t->config = *config;
	t->multi = curl_multi_init();
	t->timer = loop_timer_create(loop, on_curl_timer, t);
	if (lookups_init(&t->lookups, config->max_lookups,
		config->lookup_share) == -1 ||
	    t->multi == NULL || t->timer == NULL) {
		err_set(err, "out of memory");
		transport_free(&t);
		return NULL;
	}
	curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
	curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
	curl_multi_setopt(
	    t->multi, CURLMOPT_MAXCONNECTS, (long)config->max_transfers);
	return t;
}

void
transport_free(struct transport **transport)
{
	struct transport *t = *transport;

	if (t == NULL)
		return;
	curl_multi_cleanup(t->multi);
	lookups_fini(&t->lookups);
	if (t->timer != NULL)
		loop_timer_free(&t->timer);
	curl_global_cleanup();
	free(t);
	*transport = NULL;
}

static struct transfer *
make_transfer(struct transport *t, const struct transport_request *request)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));

	if (transfer == NULL)
		return NULL;
	transfer->transport = t;
	transfer->fd = -1;
	transfer->wait_ms = OUR_FAULT_WAIT_MS;
	transfer->req = *request;
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL) {
		free(transfer);
		return NULL;
	}
	return transfer;
}

static void
set_callbacks(CURL *easy, struct transfer *transfer)
{
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_response);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, ask_before_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, start_lookup);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, transfer);
}

static CURLcode
set_options(struct transfer *transfer)
{
	const struct transport_config *config = &transfer->transport->config;
	const struct transport_request *req = &transfer->req;
	const struct easy_options options = {
	    .method = req->method,
	    .url = req->url,
	    .headers = req->headers,
	    .body = req->body,
	    .own_connection = req->own_connection,
	    .connect_timeout_ms = config->connect_timeout_ms,
	    .timeout_ms = config->timeout_ms,
	    .ca_file = config->ca_file,
	};

	set_callbacks(transfer->easy, transfer);
	return easy_options_set(transfer->easy, &options);
}

struct transfer *
transport_start(
    struct transport *t, const struct transport_request *request)
{
	struct transfer *transfer = make_transfer(t, request);
	bool started;

	if (transfer == NULL)
		return NULL;
	note_parsed(t, request->row_id);
	started = set_options(transfer) == CURLE_OK &&
		  curl_multi_add_handle(t->multi, transfer->easy) == CURLM_OK;
	note_parsed(t, 0);
	if (!started) {
		free_transfer(transfer);
		return NULL;
	}
	return transfer;
}

void
transport_cancel(struct transfer *transfer)
{
	curl_multi_remove_handle(transfer->transport->multi, transfer->easy);
	free_transfer(transfer);
}
