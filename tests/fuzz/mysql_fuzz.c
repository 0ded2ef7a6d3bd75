/* SPDX-License-Identifier: ISC */
/*
 * The database server lies: a thread speaks its protocol to the store and its
 * client library over a socket. The first bytes of the input choose operations
 * of the store, the others what the server answers: honest packets with values
 * of the input's choice, or such packets spoilt. At the end of the input it is
 * honest.
 */
#include "sql/sql_mysql.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <mysql.h>

#include "base/buf.h"
#include "store/add.h"
#include "store/cancel.h"
#include "store/claim.h"
#include "store/columns.h"
#include "store/find.h"
#include "store/lease.h"
#include "store/newest.h"
#include "store/purge.h"
#include "store/schema.h"
#include "target.h"

#define OPS (&sql_mysql)

enum {
	COLUMNS_MAX = 300,
	PACKETS_MAX = 1200,
	STATEMENTS_MAX = 64,
	ANSWER_MAX_BYTES = 4 * 1024 * 1024,
	/* A client that says nothing for so long waits for more. */
	PATIENCE_MS = 4,
	OPERATIONS_MAX = 3,
	CLAIMS_MAX = 8,
	NEWS_MAX = 8,
	INPUT_MAX_BYTES = 4096,
};

/*
 * The library makes room for as many columns as a result says it has: more than
 * there is memory must be an error, as it is without a sanitizer. A few bytes
 * of each connection are lost by design, which would be looked for after each
 * run; the unit tests look for leaks.
 */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=300:"
	       "detect_leaks=0";
}

/* ---- the input, used up by the server ---- */

/* Under the mutex: a session may be left that serves nobody any more. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint8_t input[INPUT_MAX_BYTES];
static size_t input_at, input_len;

static void
begin_input(const uint8_t *data, size_t size)
{
	CHECK(pthread_mutex_lock(&mutex) == 0);
	input_at = 0;
	input_len = size < sizeof(input) ? size : sizeof(input);
	memcpy(input, data, input_len);
	CHECK(pthread_mutex_unlock(&mutex) == 0);
}

static unsigned
take(void)
{
	unsigned byte;

	CHECK(pthread_mutex_lock(&mutex) == 0);
	byte = input_at < input_len ? input[input_at++] : 0;
	CHECK(pthread_mutex_unlock(&mutex) == 0);
	return byte;
}

static unsigned
take_16(void)
{
	unsigned high = take();

	return high << 8 | take();
}

static uint64_t
take_64(void)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | take();
	return value;
}

/* ---- packets ---- */

static struct buf answer; /* without their heads */
static size_t packet_end[PACKETS_MAX];
static size_t n_packets;

static void
end_packet(void)
{
	CHECK(!answer.failed && n_packets < PACKETS_MAX);
	packet_end[n_packets++] = answer.len;
}

static void
put(const void *bytes, size_t len)
{
	(void)buf_append(&answer, bytes, len);
}

static void
put_number(uint64_t value, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		(void)buf_append_char(&answer, (char)(value >> 8 * i));
}

static void
put_length(size_t len)
{
	if (len < 251) {
		put_number(len, 1);
	} else {
		put_number(253, 1);
		put_number(len, 3);
	}
}

static void
put_ok(void)
{
	put("\0\0\0\2\0\0\0", 7);
	end_packet();
}

static void
put_eof(void)
{
	put("\xfe\0\0\2\0", 5);
	end_packet();
}

static void
put_greeting(void)
{
	put("\x0a"
	    "5.5.5-10.11.0-MariaDB",
	    23);
	put("\1\0\0\0"
	    "01234567\0\xdf\xf7\x2d\2\0\x3f\0\x15\0\0\0\0\0\0\0\0\0\0"
	    "89abcdefghij\0mysql_native_password",
	    4 + 9 + 2 + 3 + 2 + 1 + 10 + 13 + 22);
	end_packet();
}

enum { IS_NUMBER = 8, IS_BYTES = 252 }; /* types of the protocol */

static void
put_column(int type)
{
	put("\3def\0\0\0\0\0\x0c\x3f\0", 12);
	put_number(type == IS_BYTES ? 1 << 28 : 20, 4);
	put_number((unsigned)type, 1);
	put_number(0, 5);
	end_packet();
}

/* Also what the store asks with: the ids, the key of zeros. */
static void
put_value(int type)
{
	static const int64_t numbers[] = {0, 1, 2, 3, 63, 64, 255,
	    1000000000000, -1, INT64_MIN, INT64_MAX, INT64_C(1) << 49,
	    INT64_C(1) << 32, INT32_MAX, 10000, 1000001};
	static const size_t sizes[] = {0, 1, 16, 17, 100, 101, 255, 256, 512,
	    513, 2000, 2001, 8193, 60000};
	static const char zeros[60000];
	unsigned choice = take();

	if (type == IS_NUMBER) {
		size_t n = sizeof(numbers) / sizeof(numbers[0]);

		put_number(
		    choice < n ? (uint64_t)numbers[choice] : take_64(), 8);
	} else {
		size_t n = sizeof(sizes) / sizeof(sizes[0]);
		size_t len = choice < n ? sizes[choice] : choice - n;

		put_length(len);
		put(zeros, len);
	}
}

static void
put_row(const int *types, size_t n)
{
	put_number(0, 1 + (n + 9) / 8);
	for (size_t i = 0; i < n; i++)
		put_value(types[i]);
	end_packet();
}

static void
put_rows(const int *types, size_t n)
{
	unsigned n_rows = take();

	put_length(n);
	end_packet();
	for (size_t i = 0; i < n; i++)
		put_column(types[i]);
	put_eof();
	/* Many of them are all alike. */
	if (n_rows >= 250)
		n_rows = 80 * (n_rows - 249);
	else
		n_rows %= 6;
	for (unsigned i = 0; i < n_rows && answer.len < ANSWER_MAX_BYTES / 4;
	     i++)
		put_row(types, n);
	put_eof();
}

static void
put_prepared(unsigned id, size_t n_params, const int *types, size_t n)
{
	put_number(0, 1);
	put_number(id, 4);
	put_number(n, 2);
	put_number(n_params, 2);
	put_number(0, 3);
	end_packet();
	for (size_t i = 0; i < n_params; i++)
		put_column(IS_NUMBER);
	if (n_params > 0)
		put_eof();
	for (size_t i = 0; i < n; i++)
		put_column(types[i]);
	if (n > 0)
		put_eof();
}

/* ---- statements ---- */

static bool
is_bytes(const char *name, size_t len)
{
	static const char *const names[] = {"k", "fingerprint", "last_error",
	    "app", "event_id", "method", "url", "headers", "body", "error",
	    "response"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	return false;
}

static bool
starts_with(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

/* The types of what a query selects; 0 for another statement. */
static size_t
read_columns(const char *text, int types[COLUMNS_MAX])
{
	size_t n = 0, depth = 0;
	const char *item;

	text += strspn(text, "(");
	if (!starts_with(text, "SELECT "))
		return 0;
	text += strlen("SELECT ");
	for (item = text;; text++) {
		bool last = *text == '\0' || starts_with(text, " FROM ");

		depth += *text == '(';
		if (depth == 0 && (last || *text == ',')) {
			CHECK(n < COLUMNS_MAX);
			types[n++] = is_bytes(item, (size_t)(text - item))
					 ? IS_BYTES
					 : IS_NUMBER;
			item = last ? text : text + 1 + strspn(text + 1, " ");
		}
		if (*text == '\0' || (depth == 0 && last))
			return n;
		depth -= *text == ')';
	}
}

static size_t
count_params(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '?';
	return n;
}

/* ---- lies ---- */

static void
cut_packets(size_t first, size_t n)
{
	memmove(packet_end + first, packet_end + first + n,
	    (n_packets - first - n) * sizeof(*packet_end));
	n_packets -= n;
}

static void
spoil_once(void)
{
	unsigned kind = take();
	size_t at = answer.len == 0 ? 0 : take_16() % answer.len;
	size_t which = at % n_packets;

	switch (kind % 6) {
	case 0:
		answer.p[at] = (char)take();
		break;
	case 1: /* a packet goes on behind the next head */
		cut_packets(which, n_packets > 1 ? 1 : 0);
		break;
	case 2: /* the last ones do not come */
		cut_packets(which + 1, n_packets - which - 1);
		break;
	case 3: /* four bytes, as of a length */
		for (size_t i = at; i < at + 4 && i < answer.len; i++)
			answer.p[i] = (char)take();
		break;
	case 4: /* one packet ends early, the next has its rest */
		if (which + 1 < n_packets) {
			size_t end = packet_end[which];
			size_t start = which == 0 ? 0 : packet_end[which - 1];

			packet_end[which] = start + take() % (end - start + 1);
		}
		break;
	default: /* a packet of the input's own at the end */
		for (size_t n = take() % 32; n > 0; n--)
			put_number(take(), 1);
		if (n_packets < PACKETS_MAX)
			end_packet();
		break;
	}
}

static bool
spoil(void)
{
	unsigned how = take();

	if (how < 128 || n_packets == 0)
		return false;
	for (unsigned i = how % 4 + 1; i > 0; i--)
		spoil_once();
	return true;
}

/* ---- the server ---- */

struct session {
	int fd;
	unsigned sequence;
	char *texts[STATEMENTS_MAX];
	unsigned n_texts;
};

static int
send_answer(struct session *s)
{
	size_t start = 0;

	for (size_t i = 0; i < n_packets; i++) {
		size_t len = packet_end[i] - start;
		const uint8_t head[] = {(uint8_t)len, (uint8_t)(len >> 8),
		    (uint8_t)(len >> 16), (uint8_t)s->sequence++};

		if (send(s->fd, head, 4, MSG_NOSIGNAL) != 4 ||
		    send(s->fd, answer.p + start, len, MSG_NOSIGNAL) !=
			(ssize_t)len)
			return -1;
		start = packet_end[i];
	}
	return 0;
}

static void
begin_answer(void)
{
	buf_reset(&answer);
	n_packets = 0;
}

static int
receive(struct session *s, void *bytes, size_t len)
{
	return recv(s->fd, bytes, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1;
}

/* To be freed; with a NUL behind it. */
static char *
receive_packet(struct session *s, size_t *len)
{
	uint8_t head[4];
	char *packet;

	if (receive(s, head, 4) == -1)
		return NULL;
	*len = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
	s->sequence = head[3] + 1U;
	packet = malloc(*len + 1);
	CHECK(packet != NULL);
	if (*len > 0 && receive(s, packet, *len) == -1) {
		free(packet);
		return NULL;
	}
	packet[*len] = '\0';
	return packet;
}

static void
answer_prepare(struct session *s, const char *text)
{
	int types[COLUMNS_MAX];
	size_t n = read_columns(text, types);

	if (s->n_texts == STATEMENTS_MAX)
		free(s->texts[--s->n_texts]);
	s->texts[s->n_texts] = strdup(text);
	CHECK(s->texts[s->n_texts] != NULL);
	put_prepared(++s->n_texts, count_params(text), types, n);
}

static void
answer_execute(const char *text)
{
	int types[COLUMNS_MAX];
	size_t n = read_columns(text, types);

	if (n > 0) {
		put_rows(types, n);
		return;
	}
	put_number(0, 1);
	put_length(take()); /* affected rows */
	put("\0\2\0\0\0", 5);
	end_packet();
}

/* What of the commands is answered; 0, or -1 at the end. */
static int
answer_command(struct session *s, const char *packet, size_t len)
{
	uint32_t id = 0;

	begin_answer();
	switch (len == 0 ? 1 : packet[0]) {
	case 1: /* quit */
		return -1;
	case 0x16: /* prepare */
		answer_prepare(s, packet + 1);
		break;
	case 0x17: /* execute */
		if (len >= 5)
			memcpy(&id, packet + 1, sizeof(id));
		answer_execute(
		    id > 0 && id <= s->n_texts ? s->texts[id - 1] : "");
		break;
	case 0x18: /* long data */
	case 0x19: /* close */
		return 0;
	default:
		put_ok();
		break;
	}
	return 0;
}

static void
serve(struct session *s)
{
	bool spoilt;

	begin_answer();
	put_greeting();
	spoilt = spoil();
	while (send_answer(s) == 0) {
		struct pollfd fd = {.fd = s->fd, .events = POLLIN};
		size_t len;
		char *packet;
		int rc;

		if (spoilt && poll(&fd, 1, PATIENCE_MS) == 0)
			return;
		packet = receive_packet(s, &len);
		if (packet == NULL)
			return;
		rc = answer_command(s, packet, len);
		free(packet);
		if (rc == -1)
			return;
		if (n_packets > 0)
			spoilt |= spoil();
	}
}

static char directory[] = "/tmp/mysql-fuzz-XXXXXX";
static char path[sizeof(directory) + 8];
static int listener;

static void *
run_server(void *arg)
{
	sigset_t all;

	(void)arg;
	/* The fuzzer's clock is for its own thread. */
	CHECK(sigfillset(&all) == 0);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	for (;;) {
		struct session s = {
		    .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};

		CHECK(s.fd != -1);
		serve(&s);
		(void)close(s.fd);
		while (s.n_texts > 0)
			free(s.texts[--s.n_texts]);
	}
	return NULL;
}

static void
clean_up(void)
{
	(void)unlink(path);
	(void)rmdir(directory);
}

/* ---- the store ---- */

static struct event event;
static struct store_add add, other_add;

static struct sql *
start(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	static char url[256];
	struct store_params params = {
	    .url = url,
	    .password = "secret",
	    .connect_timeout_ms = 1000,
	    .timeout_ms = 1000,
	};
	struct sql *backend;
	pthread_t thread;
	struct err err;

	(void)signal(SIGPIPE, SIG_IGN);
	buf_init(&answer, ANSWER_MAX_BYTES);
	CHECK(mkdtemp(directory) != NULL);
	(void)snprintf(path, sizeof(path), "%s/socket", directory);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	CHECK(atexit(clean_up) == 0);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(listener != -1);
	CHECK(
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(listener, 8) == 0);
	CHECK(pthread_create(&thread, NULL, run_server, NULL) == 0);
	(void)snprintf(
	    url, sizeof(url), "mysql://someone@/name?socket=%s", path);
	CHECK(OPS->create(&params, &backend, &err) == 0);

	event = (struct event){
	    .app = SLICE_LITERAL("app"),
	    .id = SLICE_LITERAL("id"),
	    .method = SLICE_LITERAL("POST"),
	    .url = SLICE_LITERAL("http://a/"),
	    .headers = SLICE_LITERAL(""),
	    .body = SLICE_LITERAL("{}"),
	};
	add = (struct store_add){.event = &event};
	other_add = add;
	other_add.key.bytes[0] = 1;
	return backend;
}

/* Each byte that was read has its place: a sanitizer looks at it. */
static void
look_at(struct slice s)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum ^= (uint8_t)s.p[i];
	*(volatile uint8_t *)&sum = sum;
}

static void
look_at_event(const struct event *ev)
{
	look_at(ev->app);
	look_at(ev->id);
	look_at(ev->method);
	look_at(ev->url);
	look_at(ev->headers);
	look_at(ev->body);
	CHECK(ev->expiry_ms >= 0);
}

static void
find(struct sql *backend, enum store_find what)
{
	struct store_record *record = NULL;
	struct err err;

	if (find_event(backend, &add.key, what, &record, &err) != STORE_OK)
		CHECK(record == NULL);
	if (record == NULL)
		return;
	look_at_event(&record->event);
	look_at(record->last_error);
	for (size_t i = 0; i < record->n_log; i++) {
		look_at(record->log[i].error);
		look_at(record->log[i].response);
	}
	store_record_free(record);
}

static void
lease(struct sql *backend, bool leaving, bool in_doubt)
{
	static const struct store_death dead[] = {{.owner = 2}};
	static const struct store_sign away[] = {{3, 5}}, lost[] = {{4, 5}};
	static struct store_instance instances[STORE_INSTANCES_MAX];
	static const int64_t known[] = {1, 3};
	const struct lease_request request = {
	    .owner = 1,
	    .lease_ms = 30000,
	    .leaving = leaving,
	    .in_doubt = in_doubt,
	    .dead = dead,
	    .n_dead = 1,
	    .away = away,
	    .n_away = in_doubt,
	    .lost = lost,
	    .n_lost = 1,
	    .instances = instances,
	    .max_attempts = 6,
	    .known = known,
	    .n_known = 2,
	};
	struct lease_reply reply;
	struct err err;

	if (lease_shards(backend, &request, &reply, &err) == STORE_OK) {
		CHECK(reply.n_strays <= STORE_STRAYS_MAX);
		CHECK(reply.n_instances <= STORE_INSTANCES_MAX);
	}
}

static void
turn(struct sql *backend, size_t n_results, size_t claim_max)
{
	const struct store_result results[] = {
	    {.row_id = 1, .kind = RESULT_COMPLETED, .attempt = 1, .code = 200},
	    {.row_id = 2, .kind = RESULT_RETRY, .attempt = 1},
	    {.row_id = 3, .kind = RESULT_RETRY, .attempt = 1},
	    {.row_id = 4, .kind = RESULT_FAILED, .attempt = 1},
	    {.row_id = 5, .kind = RESULT_RELEASED, .attempt = 1},
	};
	struct store_claim *claims[CLAIMS_MAX];
	const struct claim_request request = {
	    .owner = 1,
	    .shards = UINT64_MAX,
	    .results = results,
	    .n_results = n_results,
	    .claim_max = claim_max,
	    .claim_bytes = 100000,
	    .horizon_ms = INT64_C(2000000000000),
	    .claims = claims,
	};
	struct claim_reply t;
	struct err err;

	(void)settle_and_claim(backend, &request, &t, &err);
	CHECK(t.n_claims <= claim_max);
	CHECK(t.n_stale <= n_results);
	while (t.n_claims > 0) {
		struct store_claim *claim = claims[--t.n_claims];

		look_at_event(&claim->event);
		CHECK(claim->shard < EVENT_SHARDS && claim->attempt > 0);
		store_claim_free(claim);
	}
}

static void
operate(struct sql *backend, unsigned which)
{
	struct store_add *adds[] = {&add, &other_add};
	enum cancel_outcome outcome;
	enum event_state state;
	static const struct newest_request since = {
	    .to_ms = INT64_MAX, .max = NEWS_MAX, .marks = true};
	struct store_news news[NEWS_MAX];
	struct newest_reply newest;
	struct err err;
	size_t n = 0;

	switch (which % 11) {
	case 0:
		find(backend, FIND_WHOLE);
		break;
	case 1:
		find(backend, FIND_STATUS);
		break;
	case 2:
		(void)add_new_events(backend, adds, 2, &err);
		break;
	case 3:
		(void)cancel_event(backend, &add.key, &outcome, &state, &err);
		break;
	case 4:
		lease(backend, false, false);
		break;
	case 5:
		lease(backend, false, true);
		break;
	case 6:
		lease(backend, true, true);
		break;
	case 7:
		turn(backend, 0, CLAIMS_MAX);
		break;
	case 8:
		turn(backend, 5, CLAIMS_MAX);
		break;
	case 9:
		(void)purge_ended(backend, UINT64_MAX, 1000, 8, &n, &err);
		(void)find_newest(backend, &since, news, &newest, &err);
		CHECK(newest.n <= NEWS_MAX);
		for (size_t i = 0; i < newest.n; i++)
			CHECK(news[i].shard < EVENT_SHARDS);
		break;
	default:
		(void)schema_check(backend, which > 127, 0, &err);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sql *backend;
	struct err err;

	if (backend == NULL)
		backend = start();
	if (size < OPERATIONS_MAX)
		return 0;
	begin_input(data + OPERATIONS_MAX, size - OPERATIONS_MAX);
	for (size_t i = 0; i < OPERATIONS_MAX; i++)
		if (backend->connected || OPS->open(backend, &err) == STORE_OK)
			operate(backend, data[i]);
	/* The next input begins with a connection of its own. */
	OPS->close(backend);
	return 0;
}
