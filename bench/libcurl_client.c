/* SPDX-License-Identifier: ISC */
/*
 * The yardstick of deliveries: libcurl alone. Each of N handles sends the same
 * POST again as soon as it is answered, in one process, over plain epoll.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <curl/curl.h>

#include "yardstick.h"

enum { EVENTS_PER_TURN = 256, REQUEST_TIMEOUT_MS = 30000 };

struct sender {
	CURL *easy;
	struct curl_slist *headers;
};

struct client {
	CURLM *multi;
	struct sender *senders;
	int epoll_fd;
	double timer_s;    /* when libcurl wants a call, 0: never */
	uint64_t to_start; /* requests that are not begun */
	double end_s;      /* none is begun later, 0: no such time */
	unsigned n_running;
	uint64_t n_done, n_failed;
};

struct options {
	unsigned handles;
	size_t body_bytes;
	uint64_t count;
	unsigned seconds;
	const char *url;
};

/* libcurl: watch this socket for these events. */
static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct client *client = arg;
	struct epoll_event event = {.data.fd = fd};
	int op = known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	(void)easy;
	event.events = ((what & CURL_POLL_IN) != 0 ? (uint32_t)EPOLLIN : 0u) |
		       ((what & CURL_POLL_OUT) != 0 ? (uint32_t)EPOLLOUT : 0u);
	if (what == CURL_POLL_REMOVE)
		op = EPOLL_CTL_DEL;
	/* A socket that libcurl has closed is gone from the set already. */
	if (epoll_ctl(client->epoll_fd, op, fd, &event) == -1 &&
	    op != EPOLL_CTL_DEL)
		return -1;
	curl_multi_assign(
	    client->multi, fd, op == EPOLL_CTL_DEL ? NULL : client);
	return 0;
}

/* libcurl: call back in so many milliseconds, or never. */
static int
watch_time(CURLM *multi, long timeout_ms, void *arg)
{
	struct client *client = arg;

	(void)multi;
	client->timer_s =
	    timeout_ms < 0 ? 0 : yardstick_now_s() + (double)timeout_ms / 1e3;
	return 0;
}

static size_t
drop_body(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static void
start(struct client *client, CURL *easy)
{
	if (client->to_start == 0 ||
	    (client->end_s > 0 && yardstick_now_s() >= client->end_s))
		return;
	if (curl_multi_add_handle(client->multi, easy) != CURLM_OK)
		errx(1, "cannot start a request");
	client->to_start--;
	client->n_running++;
}

static void
reap(struct client *client)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(client->multi, &left)) != NULL) {
		CURL *easy = msg->easy_handle;
		CURLcode code = msg->data.result;
		long status = 0;

		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		if (code != CURLE_OK || status < 200 || status > 299)
			client->n_failed++;
		client->n_done++;
		client->n_running--;
		curl_multi_remove_handle(client->multi, easy);
		start(client, easy);
	}
}

static void
act(struct client *client, curl_socket_t fd, uint32_t events)
{
	int running;

	curl_multi_socket_action(client->multi, fd,
	    ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
		((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
		((events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0),
	    &running);
	reap(client);
}

static int
timeout_ms(const struct client *client)
{
	double left_s = client->timer_s - yardstick_now_s();

	if (client->timer_s == 0)
		return -1;
	return left_s <= 0 ? 0 : (int)(left_s * 1e3) + 1;
}

static void
run(struct client *client)
{
	struct epoll_event events[EVENTS_PER_TURN];

	while (client->n_running > 0) {
		int n = epoll_wait(client->epoll_fd, events, EVENTS_PER_TURN,
		    timeout_ms(client));

		if (n == -1 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++)
			act(client, events[i].data.fd, events[i].events);
		if (client->timer_s > 0 && timeout_ms(client) == 0) {
			client->timer_s = 0;
			act(client, CURL_SOCKET_TIMEOUT, 0);
		}
	}
}

/* The lines that a delivery carries. */
static struct curl_slist *
make_headers(unsigned number)
{
	char id[64];
	static const char user_agent[] = "User-Agent: cassata/" CASSATA_VERSION;
	const char *lines[] = {
	    "Content-Type: application/json",
	    "Cassata-Application-Id: libcurl",
	    id,
	    "Cassata-Attempt: 1",
	    user_agent,
	    "Expect:",
	};
	struct curl_slist *list = NULL;

	(void)snprintf(id, sizeof(id), "Cassata-Event-Id: libcurl-%u", number);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct curl_slist *longer = curl_slist_append(list, lines[i]);

		if (longer == NULL)
			errx(1, "out of memory");
		list = longer;
	}
	return list;
}

static struct sender
make_sender(const struct options *o, const char *body, unsigned number)
{
	CURL *easy = curl_easy_init();
	struct curl_slist *headers = make_headers(number);

	if (easy == NULL ||
	    curl_easy_setopt(easy, CURLOPT_URL, o->url) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK)
		errx(1, "cannot make a handle");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(
	    easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(
	    easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)REQUEST_TIMEOUT_MS);
	return (struct sender){easy, headers};
}

static void
open_client(struct client *client, const struct options *o)
{
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll_fd == -1)
		err(1, "epoll_create1");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (client->multi = curl_multi_init()) == NULL)
		errx(1, "cannot start libcurl");
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(
	    client->multi, CURLMOPT_MAXCONNECTS, (long)o->handles);
}

static void
close_client(struct client *client, unsigned handles)
{
	for (unsigned i = 0; i < handles; i++) {
		curl_easy_cleanup(client->senders[i].easy);
		curl_slist_free_all(client->senders[i].headers);
	}
	free(client->senders);
	curl_multi_cleanup(client->multi);
	curl_global_cleanup();
	(void)close(client->epoll_fd);
}

static void
print(const struct client *client, const struct options *o, double seconds)
{
	double done = (double)client->n_done;

	printf("{\"handles\":%u,\"payload_bytes\":%zu,\"requests\":%llu,"
	       "\"failed\":%llu,\"seconds\":%.3f,\"per_s\":%.0f,"
	       "\"cpu_us_per_request\":%.2f}\n",
	    o->handles, o->body_bytes, (unsigned long long)client->n_done,
	    (unsigned long long)client->n_failed, seconds, done / seconds,
	    done == 0 ? 0 : yardstick_cpu_us(RUSAGE_SELF) / done);
}

static void
usage(void)
{
	(void)fputs("usage: libcurl_client [--handles N] [--payload BYTES]\n"
		    "           [--count N] [--seconds S] URL\n",
	    stderr);
	exit(2);
}

static struct options
read_options(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"handles", required_argument, NULL, 'n'},
	    {"payload", required_argument, NULL, 'p'},
	    {"count", required_argument, NULL, 'c'},
	    {"seconds", required_argument, NULL, 's'},
	    {NULL, 0, NULL, 0},
	};
	struct options o = {.handles = 256, .body_bytes = 300};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (option) {
		case 'n':
			o.handles = (unsigned)yardstick_number(optarg, 10000);
			break;
		case 'p':
			o.body_bytes =
			    (size_t)yardstick_number(optarg, 1 << 24);
			break;
		case 'c':
			o.count = yardstick_number(optarg, UINT32_MAX);
			break;
		case 's':
			o.seconds = (unsigned)yardstick_number(optarg, 3600);
			break;
		default:
			usage();
		}
	if (optind != argc - 1 || (o.count == 0 && o.seconds == 0))
		usage();
	o.url = argv[optind];
	return o;
}

int
main(int argc, char **argv)
{
	struct options o = read_options(argc, argv);
	struct client client = {.to_start = UINT64_MAX};
	char *body = malloc(o.body_bytes);
	double start_s = yardstick_now_s();

	client.senders = calloc(o.handles, sizeof(*client.senders));
	if (body == NULL || client.senders == NULL)
		err(1, NULL);
	memset(body, 'x', o.body_bytes);
	open_client(&client, &o);
	if (o.count > 0)
		client.to_start = o.count;
	if (o.seconds > 0)
		client.end_s = start_s + o.seconds;
	for (unsigned i = 0; i < o.handles; i++) {
		client.senders[i] = make_sender(&o, body, i);
		start(&client, client.senders[i].easy);
	}
	run(&client);
	print(&client, &o, yardstick_now_s() - start_s);
	close_client(&client, o.handles);
	free(body);
	return client.n_failed > 0 ? 1 : 0;
}
