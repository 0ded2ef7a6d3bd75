/* SPDX-License-Identifier: ISC */
#include "board/scoreboard.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/buf.h"
#include "base/clock.h"
#include "board/metrics.h"
#include "board/shardboard.h"
#include "suite.h"

static struct scoreboard sb;

static void
setup(void)
{
	struct err err;

	ck_assert_int_eq(scoreboard_create(&sb, &err), 0);
}

static void
teardown(void)
{
	scoreboard_free(&sb);
}

/* As its child would write to it. */
static struct scoreboard_slot *
slot_at(int slot)
{
	return &sb.writable->children[slot].slot;
}

static void
hold(int slot, uint64_t shards)
{
	slot_at(slot)->held_until_ms = INT64_MAX;
	slot_at(slot)->shards = shards;
}

static int
claim(enum role role)
{
	struct err err;

	return scoreboard_slot_claim(&sb, role, &err);
}

/* Wake-ups of a worker slot since the last look. */
static int
wakes(int slot)
{
	char bytes[64];
	ssize_t n = read(sb.wake_fds[slot][0], bytes, sizeof(bytes));

	return n == -1 ? 0 : (int)n;
}

static void
assert_exits_well(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static const struct {
	enum role role;
	int first, n;
} ranges[] = {
    {ROLE_WORKER, 0, SCOREBOARD_WORKER_SLOTS},
    {ROLE_SERVICE, SCOREBOARD_WORKER_SLOTS, SCOREBOARD_SERVICE_SLOTS},
    {ROLE_PREFLIGHT, SCOREBOARD_WORKER_SLOTS, SCOREBOARD_SERVICE_SLOTS},
};

START_TEST(test_claim)
{
	enum role role = ranges[_i].role;
	int first = ranges[_i].first;
	const struct scoreboard_place *place = scoreboard_place(&sb, first + 5);

	for (int i = 0; i < ranges[_i].n; i++) {
		ck_assert_int_eq(
		    scoreboard_next_used(&sb, first + i), SCOREBOARD_SLOTS);
		ck_assert_int_eq(claim(role), first + i);
		ck_assert_int_eq(
		    scoreboard_next_used(&sb, first + i), first + i);
	}
	ck_assert_int_eq(scoreboard_next_used(&sb, 0), first);
	ck_assert_int_eq(claim(role), -1);
	ck_assert_int_eq(place->pid, getpid());
	ck_assert_int_gt(place->started_ms, 0);
	ck_assert_int_eq(place->owner != 0, role == ROLE_WORKER);
	scoreboard_slot_fill(&sb, first + 5, 99);
	ck_assert_int_eq(place->pid, 99);
	shardboard_bury(&sb, first + 5, END_KILLED);
	ck_assert_int_eq(place->pid, 0);
	ck_assert_int_eq(claim(role), first + 5);
}
END_TEST

START_TEST(test_release_keeps_counters)
{
	int slot = claim(ROLE_SERVICE);

	metric_add(slot_at(slot), METRIC_EVENTS_ADDED, 40);
	metric_add(slot_at(slot), METRIC_EVENTS_ADDED, 2);
	metric_set(slot_at(slot), METRIC_CONNECTIONS_OPEN, 3);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_CONNECTIONS_OPEN), 3);
	shardboard_bury(&sb, slot, END_KILLED);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_EVENTS_ADDED), 42);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_CONNECTIONS_OPEN), 0);
	ck_assert_uint_eq(sb.shared->master.n_dead, 0);
}
END_TEST

/* One that had been taken over may have left any number: the next one counts
 * on, and does not die of it. */
START_TEST(test_counts_on_from_any_number)
{
	int slot = claim(ROLE_SERVICE);

	slot_at(slot)->metric[METRIC_EVENTS_ADDED] = INT64_MAX;
	metric_add(slot_at(slot), METRIC_EVENTS_ADDED, 2);
	ck_assert_int_eq(
	    slot_at(slot)->metric[METRIC_EVENTS_ADDED], INT64_MIN + 1);
}
END_TEST

START_TEST(test_release_of_a_worker)
{
	int dead = claim(ROLE_WORKER), alive = claim(ROLE_WORKER);
	uint64_t owner = scoreboard_place(&sb, dead)->owner;

	slot_at(dead)->asking_ms = 99;
	hold(dead, 1);
	shardboard_bury(&sb, dead, END_KILLED);

	ck_assert_uint_eq(scoreboard_place(&sb, dead)->owner, 0);
	ck_assert_int_eq(slot_at(dead)->asking_ms, 0);
	ck_assert_uint_eq(slot_at(dead)->shards, 0);
	ck_assert_uint_eq(sb.shared->master.n_dead, 1);
	ck_assert_uint_eq(sb.shared->master.dead[0].owner, owner);
	ck_assert_int_eq(wakes(alive), 1);
	ck_assert_int_eq(wakes(dead), 0);
	ck_assert_int_eq(claim(ROLE_WORKER), dead);
	ck_assert_uint_ne(scoreboard_place(&sb, dead)->owner, owner);
}
END_TEST

START_TEST(test_ring_of_the_dead)
{
	for (uint64_t i = 1; i <= SCOREBOARD_DEAD + 2; i++)
		shardboard_owner_gone(&sb, i);
	ck_assert_uint_eq(sb.shared->master.n_dead, SCOREBOARD_DEAD + 2);
	ck_assert_uint_eq(sb.shared->master.dead[0].owner, SCOREBOARD_DEAD + 1);
	ck_assert_uint_eq(sb.shared->master.dead[1].owner, SCOREBOARD_DEAD + 2);
	ck_assert_uint_eq(sb.shared->master.dead[2].owner, 3);
}
END_TEST

static const struct {
	enum shardboard_end end;
	int64_t note;
	int n_wire, n_unlisted;
	int64_t culprit;
	int n_known; /* -1: not known */
} ends[] = {
    {END_KILLED, 0, 2, 0, 0, 2},
    {END_KILLED, 7, 2, 0, 0, 2},
    {END_KILLED, 0, SCOREBOARD_WIRE, 0, 0, SCOREBOARD_WIRE},
    {END_KILLED, 0, SCOREBOARD_WIRE, 1, 0, -1},
    {END_CRASH, 7, 2, 0, 7, 2},
    {END_CRASH, 0, 2, 0, 0, 2},
    {END_EXIT, 0, 2, 3, 0, 0},
    {END_EXIT, 7, 2, 0, 7, 0},
};

START_TEST(test_what_a_death_tells)
{
	int slot = claim(ROLE_WORKER);
	uint64_t owner = scoreboard_place(&sb, slot)->owner;
	const struct scoreboard_death *death = &sb.shared->master.dead[0];

	slot_at(slot)->note = ends[_i].note;
	for (int i = 0; i < ends[_i].n_wire; i++)
		slot_at(slot)->wire[SCOREBOARD_WIRE - 1 - i] = 100 + i;
	slot_at(slot)->n_unlisted = ends[_i].n_unlisted;
	shardboard_bury(&sb, slot, ends[_i].end);
	ck_assert_uint_eq(death->owner, owner);
	ck_assert_int_eq(death->culprit, ends[_i].culprit);
	ck_assert_int_eq(death->n_wire, ends[_i].n_known);
	for (int i = 0; i < ends[_i].n_known; i++)
		ck_assert_int_eq(
		    death->wire[i], 100 + ends[_i].n_known - 1 - i);
	/* Its successor begins with nothing. */
	ck_assert_int_eq(slot_at(slot)->note, 0);
	ck_assert_int_eq(slot_at(slot)->n_unlisted, 0);
	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		ck_assert_int_eq(slot_at(slot)->wire[i], 0);
	shardboard_owner_gone(&sb, 3);
	ck_assert_int_eq(death[1].culprit, 0);
	ck_assert_int_eq(death[1].n_wire, -1);
}
END_TEST

START_TEST(test_membership_changed)
{
	int self = claim(ROLE_WORKER), other = claim(ROLE_WORKER);
	uint64_t seen;

	sb.self = self;
	seen = shardboard_membership(&sb);
	/* Our own change is no news to us. */
	shardboard_membership_changed(&sb);
	ck_assert_uint_eq(shardboard_membership(&sb), seen);
	ck_assert_int_eq(wakes(self), 0);
	ck_assert_int_eq(wakes(other), 1);
	sb.self = other;
	seen = shardboard_membership(&sb);
	shardboard_membership_changed(&sb);
	sb.self = -1;
	shardboard_membership_changed(&sb);
	ck_assert_int_eq(wakes(self), 2);
	ck_assert_int_eq(wakes(other), 1);
	sb.self = other;
	ck_assert_uint_eq(shardboard_membership(&sb), seen + 1);
	sb.self = self;
	ck_assert_uint_eq(shardboard_membership(&sb), seen + 1);
	sb.self = -1;
}
END_TEST

/* An event of shard 5, whose worker sleeps until 1000. */
static const struct {
	int64_t due_ms, wake_at_ms;
	int wakes;
} events[] = {
    {1001, 1000, 0},
    {1000, 1000, 0},
    {999, 999, 1},
    {0, 0, 1},
    {INT64_MIN, 0, 1},
    {INT64_MAX, 1000, 0},
};

START_TEST(test_event_added)
{
	int slot = claim(ROLE_WORKER);

	sb.self = claim(ROLE_SERVICE);
	hold(slot, UINT64_C(1) << 5);
	slot_at(slot)->wake_at_ms = 1000;
	shardboard_event_added(&sb, 5, events[_i].due_ms);
	ck_assert_int_eq(
	    shardboard_wake_at_ms(&sb, slot), events[_i].wake_at_ms);
	/* The next one of the same time finds it told. */
	shardboard_event_added(&sb, 5, events[_i].due_ms);
	ck_assert_int_eq(wakes(slot), events[_i].wakes);
	/* What was told before a look is no news after it. */
	slot_at(slot)->look++;
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, slot), 1000);
	shardboard_event_added(&sb, 5, 7);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, slot), 7);
	ck_assert_int_eq(wakes(slot), 1);
	/* A shard of nobody here: noted for a successor. */
	ck_assert_uint_eq(shardboard_n_unheld(&sb), 0);
	shardboard_event_added(&sb, 6, 0);
	ck_assert_int_eq(wakes(slot), 0);
	ck_assert_uint_eq(shardboard_n_unheld(&sb), 1);
	sb.self = -1;
}
END_TEST

/* What a service told holds when it is gone. */
START_TEST(test_event_added_by_the_dead)
{
	int slot = claim(ROLE_WORKER), service = claim(ROLE_SERVICE);

	sb.self = service;
	hold(slot, 1);
	shardboard_event_added(&sb, 0, 77);
	sb.self = -1;
	shardboard_bury(&sb, service, END_KILLED);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, slot), 77);
	/* Another worker of that slot looks anyway. */
	shardboard_bury(&sb, slot, END_KILLED);
	ck_assert_int_eq(claim(ROLE_WORKER), slot);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, slot), INT64_MAX);
}
END_TEST

/* Who says that it holds all shards takes no wake-up from who does. */
START_TEST(test_event_added_with_a_liar)
{
	int liar = claim(ROLE_WORKER), holder = claim(ROLE_WORKER);

	hold(liar, UINT64_MAX);
	hold(holder, UINT64_C(1) << 63);
	sb.self = claim(ROLE_SERVICE);
	shardboard_event_added(&sb, 63, 5);
	sb.self = -1;
	ck_assert_int_eq(wakes(holder), 1);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, holder), 5);
}
END_TEST

/* One that was stopped, and says what it held before, is told, too: but others
 * of the host may hold it by now. */
START_TEST(test_event_added_with_a_stopped_holder)
{
	int stopped = claim(ROLE_WORKER), holder = claim(ROLE_WORKER);

	hold(stopped, 3);
	hold(holder, 4);
	slot_at(stopped)->held_until_ms = clock_mono_ms() - 1;
	ck_assert_int_eq(shardboard_first_holder(&sb), holder);
	ck_assert(!shardboard_sleeps_over(&sb, 0, 5));
	ck_assert(shardboard_sleeps_over(&sb, 2, 5));
	sb.self = claim(ROLE_SERVICE);
	shardboard_event_added(&sb, 0, 5);
	ck_assert_uint_eq(shardboard_n_unheld(&sb), 1);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, stopped), 5);
	sb.self = -1;
	slot_at(stopped)->held_until_ms = INT64_MAX;
	ck_assert_int_eq(shardboard_first_holder(&sb), stopped);
}
END_TEST

START_TEST(test_shared_with_children)
{
	int worker = claim(ROLE_WORKER), service = claim(ROLE_SERVICE);
	pid_t pid;

	hold(worker, UINT64_C(1) << 9);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		metric_add(
		    scoreboard_enter(&sb, service), METRIC_EVENTS_ADDED, 1);
		shardboard_event_added(&sb, 9, 77);
		_exit(0);
	}
	assert_exits_well(pid);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_EVENTS_ADDED), 1);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, worker), 77);
	ck_assert_int_eq(wakes(worker), 1);
}
END_TEST

/* Whether this process could write to the page of p if it wanted to. */
static bool
can_write(const void *p)
{
	void *page = (void *)((uintptr_t)p & ~(uintptr_t)4095);
	/* Reading into it is a way to write that fails without a signal. */
	int fd = open("/dev/zero", O_RDONLY);
	bool can;

	ck_assert_int_ge(fd, 0);
	(void)mprotect(page, 4096, PROT_READ | PROT_WRITE);
	can = read(fd, (void *)(uintptr_t)p, 1) == 1;
	close(fd);
	return can;
}

static const int entered[] = {
    0,
    1,
    SCOREBOARD_WORKER_SLOTS,
    SCOREBOARD_SLOTS - 1,
};

/* A child, taken over, writes to its own slot and to nothing else. */
START_TEST(test_enter)
{
	pid_t pid = fork();
	struct scoreboard_slot *own;
	char *longer;

	ck_assert_int_ge(pid, 0);
	if (pid > 0) {
		assert_exits_well(pid);
		return;
	}
	own = scoreboard_enter(&sb, entered[_i]);
	if (!can_write(own) || own != slot_at(entered[_i]) ||
	    can_write(&sb.shared->master) || can_write(&sb.writable->master))
		_exit(1);
	for (int i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (can_write(scoreboard_slot(&sb, i)) ||
		    (i != entered[_i] && can_write(slot_at(i))))
			_exit(2);
	}
	/* Nor does a longer mapping of it reach others. */
	longer = mremap(sb.writable->children[entered[_i]].part,
	    SCOREBOARD_PART_BYTES, 2 * SCOREBOARD_PART_BYTES, MREMAP_MAYMOVE);
	_exit(longer != MAP_FAILED && can_write(longer + SCOREBOARD_PART_BYTES)
		  ? 3
		  : 0);
}
END_TEST

/* What another master tells. */
START_TEST(test_news)
{
	int slot = claim(ROLE_WORKER);
	uint64_t old;

	sb.self = slot;
	old = shardboard_membership(&sb);
	sb.self = -1;
	shardboard_look_again(&sb);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, slot), 0);
	ck_assert_int_eq(wakes(slot), 2);
	shardboard_owner_gone(&sb, 99);
	ck_assert_uint_eq(sb.shared->master.dead[0].owner, 99);
	ck_assert_uint_eq(sb.shared->master.n_dead, 1);
	ck_assert_int_eq(wakes(slot), 1);
	sb.self = slot;
	ck_assert_uint_eq(shardboard_membership(&sb), old + 2);
	sb.self = -1;
}
END_TEST

static const struct {
	int64_t values[3], sum;
} sums[] = {
    {{1, 2, 3}, 6},
    {{INT64_MAX, 1, 0}, INT64_MAX},
    {{INT64_MIN, -1, 0}, INT64_MIN},
    {{INT64_MIN, INT64_MAX, 1}, 0},
};

START_TEST(test_sum)
{
	for (int i = 0; i < 3; i++)
		metric_set(slot_at(claim(ROLE_SERVICE)), METRIC_EVENTS_ADDED,
		    sums[_i].values[i]);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_EVENTS_ADDED), sums[_i].sum);
}
END_TEST

START_TEST(test_write_lock)
{
	ck_assert_int_eq(write_lock_acquire(&sb.write_lock, 0), 0);
	write_lock_release(&sb.write_lock);
}
END_TEST

/* In another process, with the lock that it is given. */
static void
assert_is_locked(int fd, bool is_locked)
{
	pid_t pid = fork();
	struct scoreboard other;
	struct err err;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (scoreboard_create(&other, &err) == -1)
			_exit(2);
		scoreboard_share_write_lock(&other, fd);
		_exit((write_lock_acquire(&other.write_lock, 0) == -1) !=
		      is_locked);
	}
	assert_exits_well(pid);
}

/* The lock of another scoreboard takes its place, what is none does not. */
START_TEST(test_write_lock_is_shared)
{
	ck_assert_int_eq(write_lock_acquire(&sb.write_lock, 0), 0);
	assert_is_locked(dup(sb.write_lock.fd), true);
	assert_is_locked(eventfd(0, EFD_CLOEXEC), false);
}
END_TEST

static const char *const role_names[] = {
    [ROLE_MASTER] = "master",
    [ROLE_PREFLIGHT] = "preflight",
    [ROLE_METRICS] = "metrics",
    [ROLE_SERVICE] = "service",
    [ROLE_WORKER] = "worker",
};

START_TEST(test_role_names)
{
	ck_assert_str_eq(role_name((enum role)_i), role_names[_i]);
}
END_TEST

START_TEST(test_render)
{
	static const char *const parts[] = {
	    "# HELP cassata_connections Open client connections.\n"
	    "# TYPE cassata_connections gauge\n"
	    "cassata_connections 5\n"
	    "# HELP cassata_connections_accepted_total ",
	    "# TYPE cassata_http_requests_total counter\n"
	    "cassata_http_requests_total{code=\"2xx\"} 9223372036854775807\n"
	    "cassata_http_requests_total{code=\"4xx\"} 0\n"
	    "cassata_http_requests_total{code=\"5xx\"} 0\n"
	    "# HELP ",
	    "\ncassata_shards_held 0\n",
	    "\ncassata_lateness_seconds_total 61.005\n",
	};
	struct buf out;

	metric_set(slot_at(claim(ROLE_WORKER)), METRIC_CONNECTIONS_OPEN, 2);
	metric_set(slot_at(claim(ROLE_SERVICE)), METRIC_CONNECTIONS_OPEN, 3);
	metric_set(slot_at(claim(ROLE_WORKER)), METRIC_REQUESTS_2XX, INT64_MAX);
	metric_set(slot_at(claim(ROLE_WORKER)), METRIC_LATENESS_MS, 61005);
	buf_init(&out, 65536);
	ck_assert_int_eq(metrics_render(&sb, &out), 0);
	ck_assert_int_eq(buf_append_char(&out, '\0'), 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		ck_assert_msg(strstr(out.p, parts[i]) != NULL, "no: %s\nin: %s",
		    parts[i], out.p);
	buf_free(&out);
}
END_TEST

/* Copies the word of the line that starts at p. */
static void
copy_word(char *word, size_t size, const char *p)
{
	size_t len = strcspn(p, " {\n");

	ck_assert_uint_lt(len, size);
	memcpy(word, p, len);
	word[len] = '\0';
}

static const struct {
	bool service, worker;
	size_t n;
} daemons[] = {
#define METRIC_ONE(id, type, metric, labels, help) +1
    {false, false, METRICS_OF_BOTH(METRIC_ONE)},
    {true, false, METRICS_OF_BOTH(METRIC_ONE) METRICS_OF_SERVICE(METRIC_ONE)},
    {false, true, METRICS_OF_BOTH(METRIC_ONE) METRICS_OF_WORKER(METRIC_ONE)},
    {true, true, METRIC_COUNT},
#undef METRIC_ONE
};

/* Each metric of the daemon once: HELP, TYPE, then all its samples. */
START_TEST(test_render_groups)
{
	static char names[METRIC_COUNT][64];
	struct buf out;
	size_t n = 0, samples = 0;
	char word[64];

	if (daemons[_i].service)
		(void)claim(ROLE_SERVICE);
	if (daemons[_i].worker)
		(void)claim(ROLE_WORKER);
	buf_init(&out, 65536);
	ck_assert_int_eq(metrics_render(&sb, &out), 0);
	ck_assert_int_eq(buf_append_char(&out, '\0'), 0);
	for (const char *p = out.p; *p != '\0'; p = strchr(p, '\n') + 1) {
		if (strncmp(p, "# HELP ", 7) == 0) {
			copy_word(word, sizeof(word), p + 7);
			for (size_t i = 0; i < n; i++)
				ck_assert_str_ne(word, names[i]);
			memcpy(names[n++], word, sizeof(word));
			p = strchr(p, '\n') + 1;
			ck_assert_int_eq(strncmp(p, "# TYPE ", 7), 0);
			p += 7;
		} else {
			samples++;
		}
		copy_word(word, sizeof(word), p);
		ck_assert_uint_gt(n, 0);
		ck_assert_str_eq(word, names[n - 1]);
	}
	ck_assert_uint_eq(samples, daemons[_i].n);
	buf_free(&out);
}
END_TEST

START_TEST(test_render_without_room)
{
	struct buf out;

	buf_init(&out, 100);
	ck_assert_int_eq(metrics_render(&sb, &out), -1);
	buf_free(&out);
}
END_TEST

START_TEST(test_trouble)
{
	char text[SCOREBOARD_TROUBLE_BYTES];
	int slot = claim(ROLE_SERVICE);
	int64_t from_ms, until_ms;

	scoreboard_tell_trouble(slot_at(slot), "");
	ck_assert(!scoreboard_past_trouble(&sb, slot, &from_ms, &until_ms));
	scoreboard_tell_trouble(slot_at(slot), "away\n\xc3\xa9\x1b");
	ck_assert(!scoreboard_past_trouble(&sb, slot, &from_ms, &until_ms));
	scoreboard_trouble(&sb, slot, text);
	ck_assert_str_eq(text, "away????");
	/* It need not be terminated: a child may write anything. */
	memset(slot_at(slot)->trouble, 'x', SCOREBOARD_TROUBLE_BYTES);
	scoreboard_trouble(&sb, slot, text);
	ck_assert_uint_eq(strlen(text), SCOREBOARD_TROUBLE_BYTES - 1);
	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	scoreboard_tell_trouble(slot_at(slot), text);
	scoreboard_trouble(&sb, slot, text);
	ck_assert_uint_eq(strlen(text), SCOREBOARD_TROUBLE_BYTES - 1);
	scoreboard_tell_trouble(slot_at(slot), "");
	ck_assert(scoreboard_past_trouble(&sb, slot, &from_ms, &until_ms));
	slot_at(slot)->trouble_until_ms = INT64_MAX;
	ck_assert(!scoreboard_past_trouble(&sb, slot, &from_ms, &until_ms));
	slot_at(slot)->trouble_until_ms = -1;
	ck_assert(!scoreboard_past_trouble(&sb, slot, &from_ms, &until_ms));
	scoreboard_tell_trouble(slot_at(slot), text);
	shardboard_bury(&sb, slot, END_KILLED);
	scoreboard_trouble(&sb, slot, text);
	ck_assert_str_eq(text, "");
	ck_assert(!scoreboard_past_trouble(&sb, slot, &from_ms, &until_ms));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("scoreboard");
	TCase *tc = tcase_create("scoreboard");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
	    tc, test_claim, 0, (int)(sizeof(ranges) / sizeof(ranges[0])));
	tcase_add_test(tc, test_release_keeps_counters);
	tcase_add_test(tc, test_counts_on_from_any_number);
	tcase_add_test(tc, test_release_of_a_worker);
	tcase_add_test(tc, test_ring_of_the_dead);
	tcase_add_loop_test(tc, test_what_a_death_tells, 0,
	    (int)(sizeof(ends) / sizeof(ends[0])));
	tcase_add_test(tc, test_membership_changed);
	tcase_add_loop_test(
	    tc, test_event_added, 0, (int)(sizeof(events) / sizeof(events[0])));
	tcase_add_test(tc, test_event_added_by_the_dead);
	tcase_add_test(tc, test_event_added_with_a_liar);
	tcase_add_test(tc, test_event_added_with_a_stopped_holder);
	tcase_add_test(tc, test_shared_with_children);
	tcase_add_loop_test(
	    tc, test_enter, 0, (int)(sizeof(entered) / sizeof(entered[0])));
	tcase_add_test(tc, test_news);
	tcase_add_loop_test(
	    tc, test_sum, 0, (int)(sizeof(sums) / sizeof(sums[0])));
	tcase_add_test(tc, test_write_lock);
	tcase_add_test(tc, test_write_lock_is_shared);
	tcase_add_loop_test(tc, test_role_names, 0, ROLE_WORKER + 1);
	tcase_add_test(tc, test_render);
	tcase_add_loop_test(tc, test_render_groups, 0, 4);
	tcase_add_test(tc, test_trouble);
	tcase_add_test(tc, test_render_without_room);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
