/* SPDX-License-Identifier: ISC */
#include "service/api.h"

#include <stdio.h>

#include "board/scoreboard.h"
#include "base/clock.h"
#include "board/shardboard.h"
#include "http_bed.h"
#include "service/api_list.h"
#include "service/call.h"
#include "service/problem.h"
#include "service/state.h"
#include "store/pauses.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define HOST "Host: localhost\r\n"
#define EVENT                                                                  \
	"{\"application-id\":\"a\",\"event-id\":\"e\",\"event\":1,"            \
	"\"expiry\":4102444800,\"url\":\"http://127.0.0.1:1/\"}"
#define ADD(length, more)                                                      \
	"POST /cassata/add/ HTTP/1.1\r\n" HOST                                 \
	"Content-Type: application/json\r\n" more "Content-Length: " length    \
	"\r\n\r\n"
#define GET(path)    "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define DELETE(path) "DELETE " path " HTTP/1.1\r\n" HOST "\r\n"
#define VERB(verb, more)                                                       \
	"POST /cassata/" verb "/a/e HTTP/1.1\r\n" HOST more "\r\n"
#define PATCH(length, body)                                                    \
	"PATCH /cassata/event/a/e HTTP/1.1\r\n" HOST                           \
	"Content-Type: application/merge-patch+json\r\n"                       \
	"Content-Length: " length "\r\n\r\n" body
#define ACK(verb, token)                                                       \
	"POST /cassata/" verb "/" token " HTTP/1.1\r\n" HOST                   \
	"Content-Length: 2\r\n\r\nok"
#define TOKEN                                                                  \
	"0123456789abcdef"                                                     \
	"01020304"                                                             \
	"00000000000000000000000000000000"
#define PAUSE(path, length, more)                                              \
	"POST /cassata/pause/" path " HTTP/1.1\r\n" HOST more                  \
	"Content-Length: " length "\r\n\r\n"
#define PROBLEM      "Content-Type: application/problem+json\r\n"
#define JOB_ID       "01890000-0000-7000-8000-000000000000"
#define JOBS(length, body)                                                     \
	"POST /cassata/jobs/a HTTP/1.1\r\n" HOST                               \
	"Content-Type: application/json\r\nContent-Length: " length            \
	"\r\n\r\n" body
#define ORDER(verb, more)                                                      \
	"POST /cassata/jobs/a/" JOB_ID "/" verb " HTTP/1.1\r\n" HOST more      \
	"\r\n"

#define SCHEDULE(length, body)                                                 \
	"POST /cassata/schedules/a/s HTTP/1.1\r\n" HOST                        \
	"Content-Type: application/json\r\nContent-Length: " length            \
	"\r\n\r\n" body
#define EVERY                                                                  \
	"{\"schedule\":{\"every\":\"1m\"},\"event\":{\"url\":\"http://b/\","        \
	"\"event\":2}}"
#define SHOWN                                                                  \
	"{\"application-id\":\"a\",\"schedule-id\":\"s\",\"status\":\"ACTIVE\","    \
	"\"next\":[\"1970-01-01T00:01:01Z\",\"1970-01-01T00:02:01Z\"],"          \
	"\"created\":1.5,\"runs\":4,\"skipped\":0,"                              \
	"\"last-run\":\"s@1970-01-01T00:00:01Z\","                             \
	"\"schedule\":{\"every\":\"60s\",\"count\":6},\"event\":"

#define CHANGE_SCHEDULE(verb, more)                                            \
	"POST /cassata/schedules/a/s/" verb " HTTP/1.1\r\n" HOST more "\r\n"

/* What the datastore does next, in the place of ours. */
struct store {
	enum store_status status;
	enum add_outcome outcome;
	enum cancel_outcome cancelled;
	enum change_outcome changed;
	enum job_outcome job;
	enum ack_outcome acked;
	enum schedule_outcome scheduled;
	enum event_state state;
	bool is_there, paused;
	bool hides; /* is away when a schedule is looked for */
	int n_calls, n_freed;
	unsigned server;
	int64_t begun_ms; /* of a clock that is advanced */
	int n_steps;
};

#define DAY_MS INT64_C(86400000)

static struct store store;
static struct store_record record;

static enum store_status
fake_call(struct err *err)
{
	store.n_calls++;
	if (store.status != STORE_OK)
		(void)err_set(err, "a reason for the log");
	return store.status;
}

bool
store_goes_on(const struct store *s)
{
	(void)s;
	return false;
}

unsigned
store_server(const struct store *s)
{
	return s->server;
}

enum store_status
store_ping(struct store *s, struct err *err)
{
	ck_assert_ptr_eq(s, &store);
	return fake_call(err);
}

enum store_status
store_add_events(
    struct store *s, struct store_add **adds, size_t n, struct err *err)
{
	ck_assert_ptr_eq(s, &store);
	for (size_t i = 0; i < n; i++) {
		adds[i]->outcome = s->outcome;
		adds[i]->expiry_ms = adds[i]->event->expiry_ms;
		adds[i]->state = s->state;
	}
	return fake_call(err);
}

enum store_status
store_add_all(struct store *s, struct store_add **adds, size_t n, bool *added,
    struct err *err)
{
	*added = s->outcome == ADD_CREATED || s->outcome == ADD_SAME;
	return store_add_events(s, adds, n, err);
}

enum store_status
store_find_event(struct store *s, const struct event_key *key,
    enum store_find what, struct store_record **found, struct err *err)
{
	static struct store_attempt attempts[] = {
	    {.number = 1,
		.at_ms = 1500,
		.code = 503,
		.response = SLICE_INIT("bu\"sy")},
	    {.number = 2, .at_ms = 2000, .error = SLICE_INIT("no answer")},
	};

	(void)key;
	record = (struct store_record){
	    .state = s->state,
	    .attempts = 2,
	    .due_ms = 3250,
	    .created_ms = 750,
	    .first_attempt_ms = 1500,
	    .last_code = 503,
	    .last_error = SLICE_INIT("no answer"),
	    .event = {.expiry_ms = 1250,
		.url = SLICE_INIT("http://h/"),
		.method = SLICE_INIT("PUT"),
		.headers = SLICE_INIT("X: y\nZ: \n"),
		.body = SLICE_INIT("[1, 2]")},
	    .n_log = what == FIND_WHOLE ? 2 : 0,
	    .log = attempts,
	};
	*found = s->is_there && s->status == STORE_OK ? &record : NULL;
	return fake_call(err);
}

void
store_record_free(struct store_record *freed)
{
	ck_assert(freed == NULL || freed == &record);
	store.n_freed += freed != NULL;
}

int
store_record_tag(
    const struct store_record *tagged, char tag[STORE_TAG_BYTES])
{
	(void)tagged;
	(void)snprintf(tag, STORE_TAG_BYTES, "\"a tag\"");
	return 0;
}

enum store_status
store_cancel_event(struct store *s, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	(void)key;
	*outcome = s->cancelled;
	*state = s->state;
	return fake_call(err);
}

struct list_place
store_list_begin(const struct list_query *query)
{
	return (struct list_place){query->from_ms, 0};
}

/* One event, or none, in two steps. */
enum store_status
store_list(struct store *s, struct list_step *step, struct err *err)
{
	record = (struct store_record){
	    .state = s->state, .event.url = SLICE_INIT("http://h/")};
	if (s->is_there && step->begun)
		(void)step->take(step->arg, &record);
	step->end = step->begun;
	step->begun = true;
	return fake_call(err);
}

int
store_open(
    const struct store_params *params, struct store **opened, struct err *err)
{
	(void)params;
	*opened = NULL;
	return err_set(err, "the test has opened it");
}

enum store_status
store_change_event(
    struct store *s, struct store_change *change, struct err *err)
{
	change->outcome = s->changed;
	change->state = s->state;
	change->due_ms = 3250;
	change->expiry_ms = 1250;
	(void)snprintf(change->tag, sizeof(change->tag), "\"new\"");
	return fake_call(err);
}

enum store_status
store_job_make(struct store *s, const struct job_new *new,
    enum job_outcome *outcome, struct err *err)
{
	ck_assert_uint_eq(new->max_active, 3);
	ck_assert_uint_eq(strlen(new->id.text), UUID_TEXT_BYTES - 1);
	*outcome = s->job;
	return fake_call(err);
}

/* One that is there runs, or is paused. */
static void
tell_job(bool paused, job_taker take, void *arg)
{
	const struct job_record running = {
	    .id = {JOB_ID},
	    .number = 41,
	    .app = SLICE_LITERAL("a"),
	    .spec = {.verb = JOB_RUN,
		.states = 1U << EVENT_PENDING,
		.before_ms = INT64_MAX,
		.rate = 5},
	    .state = JOB_RUNNING,
	    .paused = paused,
	    .created_ms = 1500,
	    .counted_ms = 2000,
	    .steps = 7,
	    .matched = 10,
	    .done = 8,
	    .skipped = 1,
	};

	(void)take(arg, &running);
}

enum store_status
store_jobs(struct store *s, const struct jobs_query *query, struct err *err)
{
	ck_assert(slice_eq(query->app, SLICE_LITERAL("a")));
	ck_assert(query->id == NULL || strcmp(query->id->text, JOB_ID) == 0);
	if (s->is_there && s->status == STORE_OK)
		tell_job(false, query->take, query->arg);
	return fake_call(err);
}

enum store_status
store_job_order(struct store *s, struct slice app, const struct job_id *id,
    enum job_order order, int64_t now_ms, job_taker take, void *arg,
    enum job_outcome *outcome, struct err *err)
{
	(void)app;
	(void)now_ms;
	ck_assert_str_eq(id->text, JOB_ID);
	*outcome = s->job;
	if (s->job != JOB_UNKNOWN)
		tell_job(order == JOB_PAUSE, take, arg);
	return fake_call(err);
}

void
store_schedule_free(struct store_schedule *s)
{
	free(s);
}

static struct store_schedule *
new_schedule(void)
{
	struct store_schedule *s = malloc(sizeof(*s));

	*s = (struct store_schedule){.app = SLICE_LITERAL("a"),
	    .name = SLICE_LITERAL("s"),
	    .created_ms = 1500,
	    .since_s = 1,
	    .next_s = 61,
	    .last_s = 1,
	    .runs = 4,
	    .spec = SLICE_LITERAL("{\"every\":\"60s\",\"count\":6}"),
	    .event = {.method = SLICE_LITERAL("PUT"),
		.url = SLICE_LITERAL("http://b/")}};
	return s;
}

enum store_status
store_put_schedule(struct store *s, struct schedule_put *new, struct err *err)
{
	ck_assert(slice_eq(new->app, SLICE_LITERAL("a")));
	ck_assert(slice_eq(new->name, SLICE_LITERAL("s")));
	ck_assert(slice_eq(new->spec, SLICE_LITERAL("{\"every\":\"1m\"}")));
	ck_assert(slice_eq(new->event->body, SLICE_LITERAL("2")));
	ck_assert_uint_eq(new->max, 7);
	new->outcome = s->scheduled;
	new->due_ms = 61000;
	return fake_call(err);
}

enum store_status
store_change_schedule(
    struct store *s, struct schedule_change *change, struct err *err)
{
	change->outcome = s->scheduled;
	change->due_ms = 1250;
	(void)snprintf(change->run_id, sizeof(change->run_id), "s@1");
	return fake_call(err);
}

enum store_status
store_find_schedule(struct store *s, struct slice app, struct slice name,
    struct store_schedule **schedule, struct err *err)
{
	ck_assert(slice_eq(app, SLICE_LITERAL("a")));
	ck_assert(slice_eq(name, SLICE_LITERAL("s")));
	*schedule = s->is_there ? new_schedule() : NULL;
	if (s->hides)
		s->status = STORE_UNAVAILABLE;
	return fake_call(err);
}

enum store_status
store_list_schedules(
    struct store *s, const struct schedule_list *list, struct err *err)
{
	ck_assert_uint_eq(list->max, 1);
	ck_assert(slice_eq(list->after, SLICE_LITERAL("a b")));
	if (s->is_there)
		(void)list->take(list->arg, new_schedule());
	return fake_call(err);
}

enum store_status
store_ack_event(struct store *s, struct store_ack *ack, struct err *err)
{
	record = (struct store_record){.event = {
	    .app = SLICE_INIT("a"), .id = SLICE_INIT("e")}};
	ck_assert_int_eq(ack->token.row_id, 0x0123456789abcdef);
	ck_assert_uint_eq(ack->token.attempt, 0x01020304);
	ck_assert(slice_eq(ack->said, SLICE_LITERAL("ok")));
	ck_assert_int_eq(ack->nack, s->state == EVENT_SERVICE_UNAVAILABLE);
	ack->outcome = s->acked;
	ack->state = s->state;
	ack->due_ms = 3250;
	ack->record = s->acked == ACK_UNKNOWN ? NULL : &record;
	return fake_call(err);
}

enum store_status
store_change_pause(
    struct store *s, struct store_pause_change *change, struct err *err)
{
	change->outcome = change->resume ? PAUSE_ENDED : PAUSE_BEGUN;
	change->ended = &change->pause;
	(void)s;
	return fake_call(err);
}

/* One that waits, in a shard of nobody's. */
enum store_status
store_why(struct store *s, const struct event_key *key, struct store_why *why,
    struct err *err)
{
	(void)key;
	record = (struct store_record){.state = s->state,
	    .due_ms = 7204000,
	    .event = {.expiry_ms = 7204000, .url = SLICE_INIT("http://h/")}};
	*why = (struct store_why){.now_ms = 4000};
	if (s->is_there && s->status == STORE_OK)
		why->record = &record;
	return fake_call(err);
}

/* Something is due in a day, and nothing behind that. */
enum store_status
store_upcoming(
    struct store *s, struct store_upcoming *upcoming, struct err *err)
{
	int64_t since_ms = upcoming->now_ms - s->begun_ms;

	upcoming->at_ms =
	    since_ms < DAY_MS ? s->begun_ms + DAY_MS : INT64_MAX;
	s->n_steps++;
	return fake_call(err);
}

/* One, of the application of the fake event. */
enum store_status
store_list_pauses(struct store *s, int64_t now_ms,
    struct store_pauses *pauses, struct err *err)
{
	static const struct store_pause pause = {.number = 7,
	    .kind = PAUSE_HOST,
	    .name = SLICE_INIT("h"),
	    .since_ms = 1500,
	    .note = SLICE_INIT("no\nbody")};

	ck_assert_int_gt(now_ms, 0);
	if (s->paused)
		ck_assert_int_eq(pauses_add(pauses, &pause), 0);
	pauses_settle(pauses);
	return fake_call(err);
}

void
store_close(struct store **closed)
{
	*closed = NULL;
}

static struct bed bed;
static struct http_conns conns;
static struct client client;
static struct service service;
static struct scoreboard sb;
static struct config cfg;
static struct child child;

static enum verdict
handle_call(void *arg, struct http_exchange *x)
{
	return api_handle(arg, x);
}

static void
refuse_call(void *arg, struct http_exchange *x, int status, const char *reason)
{
	(void)arg;
	(void)problem(x, status, reason);
}

static void
commit(void *arg)
{
	intake_commit(arg);
}

static void
ignore_change(void *arg)
{
	(void)arg;
}

static bool
free_none(void *arg)
{
	(void)arg;
	return false;
}

static void
connect_client(bool reserve)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	struct peer *peer = peers_join(&conns.peers, &address);
	int fds[2];

	ck_assert_ptr_nonnull(peer);
	peer->memory =
	    (struct buf_budget){.max = bed.settings.sizes.max_request_bytes,
		.whole = &conns.memory};
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	ck_assert_int_eq(http_conn_open(&conns, fds[0], peer, reserve), 0);
	client_init(&client, &bed, fds[1]);
}

static void
setup(void)
{
	static const struct http_conns_owner owner = {ignore_change, free_none};
	struct err err;

	store = (struct store){.status = STORE_OK};
	bed_init(&bed);
	bed.settings.sizes.call_bytes = sizeof(struct call);
	bed.handler = (struct http_handler){.handle = handle_call,
	    .refuse = refuse_call,
	    .drained = bed_drained,
	    .arg = &service};
	http_conns_init(
	    &conns, bed.loop, &bed.settings, &bed.handler, &owner, NULL);
	cfg.service.listen = (char[]){"127.0.0.1"};
	ck_assert_int_eq(scoreboard_create(&sb, &err), 0);
	cfg.service.get_delete = true;
	child = (struct child){.cfg = &cfg, .sb = &sb, .loop = bed.loop};
	child.slot = scoreboard_slot_claim(&sb, ROLE_SERVICE, &err);
	ck_assert_int_ge(child.slot, 0);
	child.score = &sb.writable->children[child.slot].slot;
	service = (struct service){.child = &child, .cfg = &cfg};
	STAILQ_INIT(&service.documents);
	TAILQ_INIT(&service.lists);
	cfg.service.max_jobs = 3;
	cfg.service.max_schedules = 7;
	cfg.service.job_rate = 10;
	cfg.service.max_job_rate = 20;
	cfg.service.max_lists = 1;
	cfg.service.max_pauses = 2;
	cfg.service.max_list_page = cfg.service.max_list_scan = 10;
	cfg.service.max_list_bytes = 1000;
	service.list_store = store_thread_create(&store, bed.loop, &err);
	ck_assert_ptr_nonnull(service.list_store);
	service.store = store_thread_create(&store, bed.loop, &err);
	ck_assert_ptr_nonnull(service.store);
	ck_assert_int_eq(
	    intake_init(&service.intake, &child, service.store, 8), 0);
	ck_assert_int_eq(hosts_init(&service.hosts, &cfg.service, NULL, 0), 0);
	loop_before_sleep(bed.loop, commit, &service.intake);
	connect_client(false);
}

static void
teardown(void)
{
	api_list_fini(&service);
	store_thread_free(&service.store);
	if (!LIST_EMPTY(&conns.all))
		http_conn_close(LIST_FIRST(&conns.all));
	http_conns_fini(&conns);
	client_fini(&client);
	intake_fini(&service.intake);
	hosts_free(&service.hosts);
	scoreboard_free(&sb);
	bed_fini(&bed);
}

/*
 * What the datastore does, what is asked, and the answer: its status line, a
 * header, and the body. n_calls: of the datastore.
 */
static const struct {
	struct store store;
	const char *request, *body; /* of the request */
	const char *line, *header, *answer;
} calls[] = {
    {{.outcome = ADD_CREATED, .n_calls = 1}, ADD("95", ""), EVENT,
	"201 Created", "Location: /cassata/status/a/e\r\n",
	"{\"application-id\":\"a\",\"event-id\":\"e\",\"status\":\"PENDING\","
	"\"expiry\":4102444800}\n"},
    {{.outcome = ADD_SAME, .state = EVENT_COMPLETED, .n_calls = 1},
	ADD("95", ""), EVENT, "200 OK", "Content-Type: application/json\r\n",
	"{\"application-id\":\"a\",\"event-id\":\"e\","
	"\"status\":\"COMPLETED\",\"expiry\":4102444800}\n"},
    {{.outcome = ADD_CONFLICT, .state = EVENT_FAILED, .n_calls = 1},
	ADD("95", ""), EVENT, "409 Conflict", PROBLEM,
	"\"application-id\":\"a\",\"event-id\":\"e\","
	"\"event-status\":\"FAILED\"}\n"},
    {{.outcome = ADD_NO_ROOM, .n_calls = 1}, ADD("95", ""), EVENT,
	"507 Insufficient Storage", "Retry-After: 30\r\n",
	"the datastore has no room for more events\"}\n"},
    {{.outcome = ADD_TOO_LARGE, .n_calls = 1}, ADD("95", ""), EVENT,
	"413 Content Too Large", PROBLEM,
	"the database server takes no event of this size\"}\n"},
    {{.status = STORE_UNAVAILABLE, .n_calls = 1}, ADD("95", ""), EVENT,
	"503 Service Unavailable", "Retry-After: 2\r\n",
	"the datastore is not available\"}\n"},
    {{.status = STORE_BROKEN, .n_calls = 1}, ADD("95", ""), EVENT,
	"500 Internal Server Error", PROBLEM,
	"the datastore refused; see the log\"}\n"},
    {{0}, ADD("0", ""), "", "400 Bad Request", PROBLEM,
	"the request has no body\"}\n"},
    {{0}, ADD("2", "Content-Encoding: gzip\r\n"), "{}",
	"415 Unsupported Media Type", "Accept-Encoding: identity\r\n",
	"the body must have no Content-Encoding\"}\n"},
    {{0}, ADD("8", ""), "{\"x\": 1}", "422 Unprocessable Content", PROBLEM,
	"\"errors\":[{\"pointer\":\"/x\",\"detail\":"},
    {{0}, ADD("1", ""), "{", "400 Bad Request", PROBLEM, "\"detail\":\"line 1"},

    {{.is_there = true, .state = EVENT_FAILED, .n_calls = 2, .n_freed = 1},
	GET("/cassata/events/a?fields=url,status"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"{\"events\":[{\"status\":\"FAILED\",\"url\":\"http://h/\"}]}\n"},
    {{.n_calls = 2}, GET("/cassata/events/a"), "", "200 OK",
	"Content-Type: application/json\r\n", "{\"events\":[]}\n"},
    {{.status = STORE_UNAVAILABLE, .n_calls = 1}, GET("/cassata/events/a"), "",
	"503 Service Unavailable", "Retry-After: 2\r\n",
	"the datastore is not available\"}\n"},
    {{0}, GET("/cassata/events/a?limit=11"), "", "400 Bad Request", PROBLEM,
	"\"detail\":\"limit must be 1 to 10\"}\n"},

    {{.is_there = true,
	 .state = EVENT_SERVICE_UNAVAILABLE,
	 .n_calls = 1,
	 .n_freed = 1},
	GET("/cassata/status/a/e%2F"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"{\"application-id\":\"a\",\"event-id\":\"e/\","
	"\"status\":\"SERVICE_UNAVAILABLE\",\"expiry\":1.25,\"created\":0.75,"
	"\"attempts\":2,\"first-attempt\":1.5,"
	"\"next-attempt\":3.25,\"last-response-code\":503,"
	"\"last-error\":\"no answer\"}\n"},
    {{.is_there = true, .state = EVENT_FAILED, .n_calls = 1, .n_freed = 1},
	GET("/cassata/event/a/e"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"\"finished\":3.25,\"last-response-code\":503,"
	"\"last-error\":\"no answer\",\"url\":\"http://h/\",\"method\":\"PUT\","
	"\"request-headers\":[\"X: y\",\"Z: \"],\"event\":[1, 2],"
	"\"attempt-log\":[{\"attempt\":1,\"time\":1.5,\"response-code\":503,"
	"\"response-body\":\"bu\\\"sy\"},{\"attempt\":2,\"time\":2,"
	"\"error\":\"no answer\"}]}\n"},
    {{.n_calls = 1}, GET("/cassata/status/a/none"), "", "404 Not Found",
	PROBLEM, "no event with these ids\"}\n"},
    {{0}, GET("/cassata/status/a/%FF"), "", "404 Not Found", PROBLEM,
	"no event with these ids\"}\n"},
    {{0}, GET("/cassata/status/a/%4"), "", "400 Bad Request", PROBLEM,
	"bad percent-escape\"}\n"},
    {{.status = STORE_UNAVAILABLE, .is_there = true, .n_calls = 1},
	GET("/cassata/event/a/e"), "", "503 Service Unavailable",
	"Retry-After: 2\r\n", "is not available\"}\n"},

    {{.acked = ACK_TAKEN,
	 .state = EVENT_COMPLETED,
	 .n_calls = 1,
	 .n_freed = 1},
	ACK("ack", TOKEN), "", "200 OK", "Content-Type: application/json\r\n",
	"{\"application-id\":\"a\",\"event-id\":\"e\","
	"\"status\":\"COMPLETED\"}\n"},
    {{.acked = ACK_SAME,
	 .state = EVENT_SERVICE_UNAVAILABLE,
	 .n_calls = 1,
	 .n_freed = 1},
	ACK("nack", TOKEN), "", "200 OK", "Content-Type: application/json\r\n",
	"\"status\":\"SERVICE_UNAVAILABLE\",\"next-attempt\":3.25}\n"},
    {{.acked = ACK_OVER,
	 .state = EVENT_AWAITING,
	 .n_calls = 1,
	 .n_freed = 1},
	ACK("ack", TOKEN), "", "410 Gone", PROBLEM,
	"\"event-status\":\"AWAITING\"}\n"},
    {{.acked = ACK_UNKNOWN, .n_calls = 1}, ACK("ack", TOKEN), "",
	"404 Not Found", PROBLEM, "or its event is gone\"}\n"},
    {{.n_calls = 0}, ACK("ack", "0" TOKEN), "", "404 Not Found", PROBLEM,
	"or its event is gone\"}\n"},
    {{.n_calls = 0}, ACK("nack", "x"), "", "404 Not Found", PROBLEM,
	"or its event is gone\"}\n"},
    {{.status = STORE_UNAVAILABLE, .acked = ACK_UNKNOWN, .n_calls = 1},
	ACK("ack", TOKEN), "", "503 Service Unavailable", PROBLEM,
	"is not available\"}\n"},
    {{.cancelled = CANCEL_DELETED, .n_calls = 1}, DELETE("/cassata/delete/a/e"),
	"", "200 OK", "Content-Type: application/json\r\n",
	"\"status\":\"DELETED\",\"event-status\":\"PENDING\"}\n"},
    {{.cancelled = CANCEL_UNKNOWN, .n_calls = 1}, DELETE("/cassata/delete/a/e"),
	"", "404 Not Found", PROBLEM, "no event with these ids\"}\n"},
    {{.cancelled = CANCEL_REFUSED, .state = EVENT_PROCESSING, .n_calls = 1},
	DELETE("/cassata/delete/a/e"), "", "409 Conflict", PROBLEM,
	"\"event-status\":\"PROCESSING\"}\n"},
    {{0},
	"GET /cassata/delete/a/e HTTP/1.1\r\n" HOST
	"User-Agent: Mozilla/5.0\r\n\r\n",
	"", "403 Forbidden", PROBLEM, "a browser must use DELETE\"}\n"},

    {{.changed = CHANGE_MADE, .n_calls = 1}, VERB("run", ""), "", "200 OK",
	"Content-Type: application/json\r\n",
	"\"status\":\"PENDING\",\"expiry\":1.25,\"next-attempt\":3.25}\n"},
    {{.changed = CHANGE_MADE, .n_calls = 1},
	VERB("retry", "Origin: http://localhost\r\n"
		      "Content-Type: application/json; a=b\r\n"),
	"", "200 OK", "Content-Type: application/json\r\n",
	"\"next-attempt\":3.25}\n"},
    {{.changed = CHANGE_UNKNOWN, .n_calls = 1}, VERB("retry", ""), "",
	"404 Not Found", PROBLEM, "no event with these ids\"}\n"},
    {{.changed = CHANGE_REFUSED, .state = EVENT_PENDING, .n_calls = 1},
	VERB("retry", ""), "", "409 Conflict", PROBLEM,
	"\"event-status\":\"PENDING\"}\n"},
    {{.changed = CHANGE_WORN_OUT, .state = EVENT_FAILED, .n_calls = 1},
	VERB("retry", ""), "", "409 Conflict", PROBLEM,
	"\"event-status\":\"FAILED\"}\n"},
    {{.status = STORE_BROKEN, .n_calls = 1}, VERB("run", ""), "",
	"500 Internal Server Error", PROBLEM, "see the log\"}\n"},
    {{.is_there = true, .n_calls = 2, .n_freed = 1},
	GET("/cassata/event/a/e"), "", "200 OK", "ETag: \"a tag\"\r\n", "]}\n"},
    {{.is_there = true, .paused = true, .n_calls = 2, .n_freed = 1},
	GET("/cassata/event/a/e"), "", "200 OK", "ETag: \"a tag\"\r\n",
	"\"paused\":[{\"destination\":\"h\",\"since\":1.5,"
	"\"note\":\"no\\nbody\"}],\"attempt-log\":["},
    {{.changed = CHANGE_MADE, .n_calls = 1}, PATCH("2", "{}"), "", "200 OK",
	"ETag: \"new\"\r\n", "\"next-attempt\":3.25}\n"},
    {{.changed = CHANGE_OTHER, .n_calls = 1}, PATCH("2", "{}"), "",
	"412 Precondition Failed", PROBLEM, "If-Match says\"}\n"},
    {{.changed = CHANGE_TOO_LARGE, .n_calls = 1}, PATCH("2", "{}"), "",
	"413 Content Too Large", PROBLEM, "too large\"}\n"},
    {{.changed = CHANGE_REFUSED, .state = EVENT_PROCESSING, .n_calls = 1},
	PATCH("2", "{}"), "", "409 Conflict", PROBLEM,
	"\"event-status\":\"PROCESSING\"}\n"},
    {{0}, PATCH("10", "{\"urls\":1}"), "", "422 Unprocessable Content",
	PROBLEM, "did you mean url?\"}]}\n"},
    /* A form of a page, by browsers of any age. */
    {{0}, VERB("run", "Origin: http://localhost\r\n"), "",
	"415 Unsupported Media Type", PROBLEM,
	"a browser must send Content-Type: application/json\"}\n"},
    {{0},
	VERB("retry", "User-Agent: Mozilla/5.0\r\n"
		      "Content-Type: text/plain\r\n"),
	"", "415 Unsupported Media Type", PROBLEM, "application/json\"}\n"},
    {{0},
	VERB("run", "Sec-Fetch-Site: cross-site\r\n"
		    "Content-Type: application/json\r\n"),
	"", "403 Forbidden", PROBLEM, "says Sec-Fetch-Site\"}\n"},
    {{0}, VERB("run", "Content-Length: 2\r\n") "{}", "", "400 Bad Request",
	PROBLEM, "takes no body\"}\n"},

    {{.n_calls = 1}, JOBS("26", "{\"verb\":\"run\",\"filter\":{}}"), "",
	"202 Accepted", "Location: /cassata/jobs/a/0",
	"\"matched\":0,\"done\":0,\"skipped\":0,\"steps\":0}\n"},
    {{.job = JOB_TOO_MANY, .n_calls = 1},
	JOBS("26", "{\"verb\":\"run\",\"filter\":{}}"), "", "409 Conflict",
	PROBLEM, "that have not ended\"}\n"},
    {{.status = STORE_UNAVAILABLE, .n_calls = 1},
	JOBS("26", "{\"verb\":\"run\",\"filter\":{}}"), "",
	"503 Service Unavailable", "Retry-After: 2\r\n", "available\"}\n"},
    {{0}, JOBS("36", "{\"verb\":\"run\",\"filter\":{},\"rate\":21}"), "",
	"422 Unprocessable Content", PROBLEM, "1 to 20\"}]}\n"},
    {{0}, JOBS("1", "{"), "", "400 Bad Request", PROBLEM, "\"detail\":\"line"},
    {{.n_calls = 1}, GET("/cassata/jobs/a"), "", "200 OK",
	"Content-Type: application/json\r\n", "{\"jobs\":[]}\n"},
    {{.is_there = true, .n_calls = 1}, GET("/cassata/jobs/a"), "", "200 OK",
	"{\"jobs\":[{\"job\":\"" JOB_ID "\",\"application-id\":\"a\","
	"\"state\":\"running\",\"verb\":\"run\",\"filter\":{\"status\":["
	"\"PENDING\"]},\"rate\":5,\"created\":1.5,\"counted\":2,"
	"\"matched\":10,\"done\":8,\"skipped\":1,\"steps\":7,\"eta\":",
	"}]}\n"},
    {{.is_there = true, .n_calls = 1}, GET("/cassata/jobs/a?limit=1"), "",
	"200 OK", "\"jobs\":[{\"job\"", "}],\"next\":\"41\"}\n"},
    {{.n_calls = 1}, GET("/cassata/jobs/a?after=41&limit=1"), "", "200 OK",
	"Content-Type: application/json\r\n", "{\"jobs\":[]}\n"},
    {{0}, GET("/cassata/jobs/a?after=x"), "", "400 Bad Request", PROBLEM,
	"after must be the next of a page\"}\n"},
    {{0}, GET("/cassata/jobs/a?limit=11"), "", "400 Bad Request", PROBLEM,
	"limit must be from 1 to 10\"}\n"},
    {{.is_there = true, .n_calls = 1}, GET("/cassata/jobs/a/" JOB_ID), "",
	"200 OK", "\"state\":\"running\"", "}\n"},
    {{.n_calls = 1}, GET("/cassata/jobs/a/" JOB_ID), "", "404 Not Found",
	PROBLEM, "no job with this id\"}\n"},
    {{0}, GET("/cassata/jobs/a/7"), "", "404 Not Found", PROBLEM,
	"no job with this id\"}\n"},
    {{.n_calls = 1}, ORDER("pause", ""), "", "200 OK",
	"\"state\":\"paused\"", "\"steps\":7}\n"},
    {{.n_calls = 1}, ORDER("resume", ""), "", "200 OK",
	"\"state\":\"running\"", "}\n"},
    {{.job = JOB_OVER, .n_calls = 1}, ORDER("cancel", ""), "",
	"409 Conflict", PROBLEM, "the job has ended\"}\n"},
    {{.job = JOB_UNKNOWN, .n_calls = 1}, ORDER("cancel", ""), "",
	"404 Not Found", PROBLEM, "no job with this id\"}\n"},
    {{.n_calls = 1}, DELETE("/cassata/jobs/a/" JOB_ID), "", "200 OK",
	"Content-Type: application/json\r\n", "}\n"},
    {{0}, ORDER("pause", "Origin: http://localhost\r\n"), "",
	"415 Unsupported Media Type", PROBLEM,
	"a browser must send Content-Type: application/json\"}\n"},
    {{0}, ORDER("pause", "Content-Length: 2\r\n") "{}", "", "400 Bad Request",
	PROBLEM, "takes no body\"}\n"},
    {{.n_calls = 1},
	PAUSE("app/shop%20x", "31", "Content-Type: application/json\r\n"), "{\"note\":\"n\",\"until\":4102444800}",
	"201 Created", "Content-Type: application/json\r\n",
	"{\"application-id\":\"shop x\",\"since\":"},
    {{.n_calls = 1},
	PAUSE("host/API.example:80", "0", ""), "",
	"201 Created", "Content-Type: application/json\r\n",
	"{\"destination\":\"api.example:80\",\"since\":"},
    {{.n_calls = 1},
	PAUSE("app/a", "15", "Content-Type: application/json\r\n"), "{\"until\":\"30m\"}",
	"201 Created", "Content-Type: application/json\r\n",
	",\"until\":"},
    {{0},
	PAUSE("app/a", "11", "Content-Type: application/json\r\n"), "{\"until\":1}",
	"422 Unprocessable Content", PROBLEM,
	"\"pointer\":\"/until\",\"detail\":\"has passed\""},
    {{0},
	PAUSE("app/a", "16", "Content-Type: application/json\r\n"), "{\"until\":\"30 m\"}",
	"422 Unprocessable Content", PROBLEM,
	"\"pointer\":\"/until\",\"detail\":\"is no date-time"},
    {{0},
	PAUSE("app/a", "10", "Content-Type: application/json\r\n"), "{\"note\":1}",
	"422 Unprocessable Content", PROBLEM,
	"\"pointer\":\"/note\",\"detail\":\"must be a string\""},
    {{0},
	PAUSE("app/a", "11", "Content-Type: application/json\r\n"), "{\"notes\":1}",
	"422 Unprocessable Content", PROBLEM,
	"may have a note and until, each once"},
    {{0},
	PAUSE("app/a", "2", "Content-Type: application/json\r\n"), "[]",
	"422 Unprocessable Content", PROBLEM,
	"must be an object"},
    {{0},
	PAUSE("app/a", "1", "Content-Type: application/json\r\n"), "{",
	"400 Bad Request", PROBLEM,
	"line 1"},
    {{0},
	PAUSE("app/a", "2", ""), "{}",
	"415 Unsupported Media Type", PROBLEM,
	"a pause must be sent as"},
    {{0},
	PAUSE("app/%FF", "0", ""), "",
	"404 Not Found", PROBLEM,
	"no application can have that name"},
    {{0},
	PAUSE("host/a%2Fb", "0", ""), "",
	"404 Not Found", PROBLEM,
	"no destination can be"},
    {{0},
	PAUSE("app/a", "0", "Origin: http://localhost\r\n"), "",
	"415 Unsupported Media Type", PROBLEM,
	"a browser must send"},
    {{.status = STORE_UNAVAILABLE, .n_calls = 1},
	PAUSE("app/a", "2", "Content-Type: application/json\r\n"), "{}",
	"503 Service Unavailable", "Retry-After: 2\r\n",
	"is not available"},
    {{.n_calls = 1}, DELETE("/cassata/pause/app/a"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"{\"application-id\":\"a\",\"since\":"},
    {{.n_calls = 1}, DELETE("/cassata/pause/host/h"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"{\"destination\":\"h\",\"since\":"},
    {{0},
	"POST /cassata/resume/app/a HTTP/1.1\r\n" HOST
	"Content-Length: 2\r\n\r\n{}",
	"", "400 Bad Request", PROBLEM, "takes no body\"}\n"},
    {{.is_there = true, .paused = true, .n_calls = 2, .n_freed = 1},
	GET("/cassata/why/a/e"), "", "200 OK",
	"\"status\":\"PENDING\",\"because\":[{\"reason\":\"not-due\","
	"\"due\":7204,\"text\":\"not due for 2 h, at 1970-01-01T02:00:04Z\"},"
	"{\"reason\":\"paused\",\"destination\":\"h\",\"since\":1.5,"
	"\"note\":\"no\\nbody\",\"text\":\"its destination is paused since "
	"1970-01-01T00:00:01.500Z: no\\nbody\"}",
	"{\"reason\":\"no-worker\","
	"\"text\":\"no worker holds its shard\"}]}\n"},
    {{.n_calls = 1}, GET("/cassata/why/a/none"), "", "404 Not Found", PROBLEM,
	"no event with these ids\"}\n"},
    {{.status = STORE_UNAVAILABLE, .n_calls = 1}, GET("/cassata/why/a/e"), "",
	"503 Service Unavailable", "Retry-After: 2\r\n", "is not available\"}\n"},
    {{0}, DELETE("/cassata/pause/app/"), "", "404 Not Found", PROBLEM, "}\n"},
    {{0}, DELETE("/cassata/pause/host/"), "", "404 Not Found", PROBLEM, "}\n"},
    {{.paused = true, .n_calls = 1}, GET("/cassata/pauses"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"{\"pauses\":[{\"destination\":\"h\",\"since\":1.5,"
	"\"note\":\"no\\nbody\"}]}\n"},
    {{.status = STORE_BROKEN, .n_calls = 1}, GET("/cassata/pauses"), "",
	"500 Internal Server Error", PROBLEM, "see the log\"}\n"},

    {{.is_there = true, .n_calls = 2}, SCHEDULE("65", EVERY), "",
	"201 Created", "Location: /cassata/schedules/a/s\r\n",
	SHOWN "{\"url\":\"http://b/\",\"method\":\"PUT\"}}\n"},
    {{.scheduled = SCHEDULE_REPLACED, .is_there = true, .n_calls = 2},
	SCHEDULE("65", EVERY), "", "200 OK",
	"Content-Type: application/json\r\n", "\"PUT\"}}\n"},
    {{.scheduled = SCHEDULE_NO_ROOM, .n_calls = 1}, SCHEDULE("65", EVERY), "",
	"507 Insufficient Storage", "Retry-After: 30\r\n", "events\"}\n"},
    {{.scheduled = SCHEDULE_TOO_MANY, .n_calls = 1}, SCHEDULE("65", EVERY), "",
	"409 Conflict", PROBLEM,
	"the application has service.maxSchedules schedules\"}\n"},
    {{.scheduled = SCHEDULE_TOO_LARGE, .n_calls = 1}, SCHEDULE("65", EVERY),
	"", "413 Content Too Large", PROBLEM, "of this size\"}\n"},
    {{.status = STORE_UNAVAILABLE, .n_calls = 1}, SCHEDULE("65", EVERY), "",
	"503 Service Unavailable", "Retry-After: 2\r\n", "available\"}\n"},
    {{.n_calls = 2}, SCHEDULE("65", EVERY), "", "404 Not Found", PROBLEM,
	"no schedule with these ids\"}\n"},
    {{0}, SCHEDULE("1", "{"), "", "400 Bad Request", PROBLEM,
	"\"detail\":\"line"},
    {{0}, SCHEDULE("2", "{}"), "", "422 Unprocessable Content", PROBLEM,
	"{\"pointer\":\"/schedule\","
	"\"detail\":\"required member is missing\"}]}\n"},
    {{.is_there = true, .n_calls = 1}, GET("/cassata/schedules/a/s"), "",
	"200 OK", "Content-Type: application/json\r\n", SHOWN},
    {{.n_calls = 1}, GET("/cassata/schedules/a/s"), "", "404 Not Found",
	PROBLEM, "no schedule with these ids\"}\n"},
    {{.is_there = true, .n_calls = 1},
	GET("/cassata/schedules/a?limit=1&after=a%20b"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"\"method\":\"PUT\"}}],\"next\":\"s\"}\n"},
    {{.n_calls = 1}, GET("/cassata/schedules/a?after=a%20b&limit=1"), "",
	"200 OK", "Content-Type: application/json\r\n",
	"{\"schedules\":[]}\n"},
    {{0}, GET("/cassata/schedules/a?limit=0"), "", "400 Bad Request", PROBLEM,
	"limit must be from 1 to"},
    {{.n_calls = 1}, DELETE("/cassata/schedules/a/s"), "", "200 OK",
	"Content-Type: application/json\r\n", "\"status\":\"DELETED\"}\n"},
    {{.scheduled = SCHEDULE_UNKNOWN, .n_calls = 1},
	DELETE("/cassata/schedules/a/s"), "", "404 Not Found", PROBLEM,
	"no schedule with these ids\"}\n"},
    {{.n_calls = 1}, CHANGE_SCHEDULE("run", ""), "", "201 Created",
	"Location: /cassata/status/a/s%401\r\n",
	"{\"application-id\":\"a\",\"event-id\":\"s@1\","
	"\"status\":\"PENDING\",\"expiry\":1.25}\n"},
    {{.scheduled = SCHEDULE_NO_ROOM, .n_calls = 1}, CHANGE_SCHEDULE("run", ""),
	"", "507 Insufficient Storage", PROBLEM, "events\"}\n"},
    {{.scheduled = SCHEDULE_SAME, .is_there = true, .n_calls = 2},
	CHANGE_SCHEDULE("pause", ""), "", "200 OK",
	"Content-Type: application/json\r\n", SHOWN},
    {{.n_calls = 2}, CHANGE_SCHEDULE("resume", ""), "", "404 Not Found",
	PROBLEM, "no schedule with these ids\"}\n"},
    {{0}, CHANGE_SCHEDULE("run", "Content-Length: 2\r\n") "{}", "",
	"400 Bad Request", PROBLEM, "takes no body\"}\n"},
    {{0}, CHANGE_SCHEDULE("run", "Origin: http://localhost\r\n"), "",
	"415 Unsupported Media Type", PROBLEM,
	"a browser must send Content-Type: application/json\"}\n"},

    {{0}, GET("/livez"), "", "200 OK", "Content-Type: application/json\r\n",
	"{\"status\":\"ok\"}\n"},
    {{.n_calls = 1}, GET("/readyz"), "", "200 OK",
	"Content-Type: application/json\r\n", "{\"status\":\"ok\"}\n"},
    {{.server = 3, .n_calls = 1}, GET("/readyz"), "", "200 OK",
	"Content-Type: application/json\r\n",
	"{\"status\":\"ok\",\"datastore-host\":3}\n"},
    {{.server = 3}, GET("/livez"), "", "200 OK",
	"Content-Type: application/json\r\n", "{\"status\":\"ok\"}\n"},
    {{.status = STORE_BROKEN, .n_calls = 1}, GET("/healthz"), "",
	"503 Service Unavailable", PROBLEM,
	"the datastore cannot be reached\"}\n"},

    {{0}, GET("/none"), "", "404 Not Found", PROBLEM, "no such resource\"}\n"},
    {{0}, DELETE("/livez"), "", "405 Method Not Allowed",
	"Allow: GET, HEAD, OPTIONS\r\n", "has no such method\"}\n"},
    {{0}, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "", "204 No Content",
	"Allow: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\n", "\r\n\r\n"},
    {{0}, "GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", "",
	"421 Misdirected Request", PROBLEM, "this server has another name"},
    {{0}, "GET /livez HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n\r\n",
	"", "403 Forbidden", PROBLEM, "says Sec-Fetch-Site\"}\n"},
    {{0}, "GET /livez HTTP/1.1\r\n" HOST "Origin: http://evil\r\n\r\n", "",
	"403 Forbidden", PROBLEM, "says Origin"},
};

START_TEST(test_call)
{
	char line[100];

	store = calls[_i].store;
	store.n_calls = store.n_freed = 0;
	(void)snprintf(line, sizeof(line), "HTTP/1.1 %s\r\n", calls[_i].line);
	client_send(&client, calls[_i].request);
	client_send(&client, calls[_i].body);
	client_expect(&client, calls[_i].answer);
	ck_assert_ptr_eq(strstr(client.got, line), client.got);
	ck_assert_msg(strstr(client.got, calls[_i].header) != NULL,
	    "no %s in %s", calls[_i].header, client.got);
	ck_assert_int_eq(store.n_calls, calls[_i].store.n_calls);
	ck_assert_int_eq(store.n_freed, calls[_i].store.n_freed);
	/* It goes on, and nothing else was sent. */
	client_send(&client, GET("/livez"));
	client_expect(&client, "ok\"}\n");
	ck_assert_ptr_eq(strstr(client.got, "HTTP/1.1 200 OK\r\n"), client.got);
}
END_TEST

/* By --wrap: what asks for that much memory gets none. */
static size_t refused_bytes;

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *
__wrap_realloc(void *p, size_t size)
{
	return size == refused_bytes ? NULL : __real_realloc(p, size);
}

/* Of a list: what is asked has one byte more, and each buf another one. */
START_TEST(test_short_memory)
{
	refused_bytes = sizeof("limit=10") - 1 + 2;
	client_send(&client, GET("/cassata/events/a?limit=10"));
	client_expect(&client, "}\n");
	ck_assert_ptr_nonnull(strstr(client.got, " 503 Service Unavailable"));
	refused_bytes = 0;
	client_send(&client, GET("/cassata/events/a?limit=10"));
	client_expect(&client, "}\n");
	ck_assert_ptr_nonnull(strstr(client.got, " 200 OK"));
}
END_TEST

/* A reason is told as long as it holds, and then that it does not. */
START_TEST(test_trouble)
{
	char text[SCOREBOARD_TROUBLE_BYTES];

	store.status = STORE_UNAVAILABLE;
	client_send(&client, GET("/readyz"));
	client_expect(&client, "HTTP/1.1 503 ");
	scoreboard_trouble(&sb, child.slot, text);
	ck_assert_str_eq(text, "a reason for the log");
	store.status = STORE_OK;
	client_send(&client, GET("/readyz"));
	client_expect(&client, "HTTP/1.1 200 ");
	scoreboard_trouble(&sb, child.slot, text);
	ck_assert_str_eq(text, "");
}
END_TEST

static const struct {
	const char *request, *line;
} reserves[] = {
    {GET("/livez"), "HTTP/1.1 200 OK\r\n"},
    {GET("/readyz"), "HTTP/1.1 200 OK\r\n"},
    {GET("/none"), "HTTP/1.1 404 Not Found\r\n"},
    {GET("/cassata/status/a/e"), "HTTP/1.1 503 Service Unavailable\r\n"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	"HTTP/1.1 503 Service Unavailable\r\n"},
    {"PUT /livez HTTP/1.1\r\n" HOST "\r\n",
	"HTTP/1.1 405 Method Not Allowed\r\n"},
};

/* Who is let in beyond the limit hears of our health, and no more. */
START_TEST(test_reserve)
{
	http_conn_close(LIST_FIRST(&conns.all));
	client_fini(&client);
	connect_client(true);
	client_send(&client, reserves[_i].request);
	client_expect(&client, reserves[_i].line);
	client_expect_end(&client);
}
END_TEST

static const struct {
	struct store store;
	const char *request;
	unsigned n_told;
} wakes[] = {
    {{.is_there = true}, SCHEDULE("65", EVERY), 1},
    {{.hides = true}, SCHEDULE("65", EVERY), 1},
    {{.status = STORE_UNAVAILABLE}, SCHEDULE("65", EVERY), 0},
    {{.is_there = true}, CHANGE_SCHEDULE("resume", ""), 1},
    {{.hides = true}, CHANGE_SCHEDULE("resume", ""), 1},
    {{.hides = true, .scheduled = SCHEDULE_SAME},
	CHANGE_SCHEDULE("resume", ""), 0},
    {{.status = STORE_UNAVAILABLE}, CHANGE_SCHEDULE("resume", ""), 0},
};

/* Workers hear of a run that is there, also when the client does not. */
START_TEST(test_wakes)
{
	bool found = wakes[_i].store.is_there;

	sb.self = child.slot;
	store = wakes[_i].store;
	client_send(&client, wakes[_i].request);
	client_expect(&client, found ? "\"PUT\"}}\n" : "available\"}\n");
	ck_assert_ptr_eq(
	    strstr(client.got, found ? "HTTP/1.1 20" : "HTTP/1.1 503 "),
	    client.got);
	/* There is no worker here. */
	ck_assert_uint_eq(shardboard_n_unheld(&sb), wakes[_i].n_told);
}
END_TEST

START_TEST(test_draining)
{
	atomic_store(&sb.writable->master.stopping, true);
	client_send(&client, GET("/readyz"));
	client_expect(&client, "draining\"}\n");
	ck_assert_ptr_eq(strstr(client.got, "HTTP/1.1 503 "), client.got);
	ck_assert_int_eq(store.n_calls, 0);
}
END_TEST

static int64_t fast_ms;

static int64_t
fast_clock(void)
{
	return fast_ms += 2;
}

/* A part of what is asked for, when the time for it is over. */
START_TEST(test_clock_within)
{
	const char *request = "POST /cassata/admin/clock HTTP/1.1\r\n" HOST
			      "Content-Type: application/json\r\n"
			      "Content-Length: 32\r\n\r\n"
			      "{\"advance\":\"30d\",\"within\":\"1ms\"}";

	ck_assert_int_eq(clock_test_begin(0), 0);
	store = (struct store){.begun_ms = clock_event_ms()};
	fast_ms = clock_mono_ms();
	clock_mono_replace(fast_clock);
	client_send(&client, request);
	client_expect(&client, "\"}\n");
	clock_mono_replace(NULL);
	ck_assert_ptr_eq(strstr(client.got, "HTTP/1.1 202 "), client.got);
	ck_assert_ptr_nonnull(strstr(client.got, ",\"left\":\""));
	/* To what is due, and whether something is due there. */
	ck_assert_int_eq(store.n_steps, 2);
	ck_assert_int_gt(clock_ahead_ms(), DAY_MS - 60000);
	ck_assert_int_le(clock_ahead_ms(), DAY_MS);
}
END_TEST

/* A path like others that are none, until there is one. */
START_TEST(test_clock)
{
	const char *request = "POST /cassata/admin/clock HTTP/1.1\r\n" HOST
			      "Content-Type: application/json\r\n"
			      "Content-Length: 17\r\n\r\n{\"advance\":\"30d\"}";

	client_send(&client, GET("/cassata/admin/clock"));
	client_expect(&client, "no such resource\"}\n");
	ck_assert_ptr_eq(strstr(client.got, "HTTP/1.1 404 "), client.got);
	ck_assert_int_eq(clock_test_begin(1500), 0);
	client_send(&client, GET("/cassata/admin/clock"));
	client_expect(&client, "\"ahead\":1.5}\n");
	store = (struct store){.begun_ms = clock_event_ms()};
	client_send(&client, request);
	client_expect(&client, "\"ahead\":2592001.5}\n");
	ck_assert_ptr_eq(strstr(client.got, "HTTP/1.1 200 "), client.got);
	/* To what is due, to the end, and whether something is due there. */
	ck_assert_int_eq(store.n_steps, 3);
	ck_assert_int_eq(clock_ahead_ms(), 1500 + 30 * DAY_MS);
	clock_hold(true);
	client_send(&client, request);
	client_expect(&client, "its end\"}\n");
	ck_assert_ptr_eq(strstr(client.got, "HTTP/1.1 503 "), client.got);
	ck_assert(!clock_advance(clock_ahead_ms(), clock_ahead_ms() + 1));
	clock_hold(false);
	ck_assert_int_eq(clock_ahead_ms(), 1500 + 30 * DAY_MS);
	store.status = STORE_UNAVAILABLE;
	client_send(&client, request);
	client_expect(&client, "available\"}\n");
	ck_assert_ptr_eq(strstr(client.got, "HTTP/1.1 503 "), client.got);
	ck_assert_int_eq(clock_ahead_ms(), 1500 + 30 * DAY_MS);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("api");
	TCase *tc = tcase_create("api");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_call, 0, COUNT(calls));
	tcase_add_test(tc, test_short_memory);
	tcase_add_test(tc, test_trouble);
	tcase_add_loop_test(tc, test_wakes, 0, COUNT(wakes));
	tcase_add_loop_test(tc, test_reserve, 0, COUNT(reserves));
	tcase_add_test(tc, test_draining);
	tcase_add_test(tc, test_clock);
	tcase_add_test(tc, test_clock_within);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
