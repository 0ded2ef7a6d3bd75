/* SPDX-License-Identifier: ISC */
#include "proc/scoreboard.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/buf.h"

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

static struct scoreboard_slot *
slot_at(int slot)
{
	return &sb.shared->slots[slot];
}

/* Wake-ups of a worker slot since the last look. */
static unsigned
wakes(int slot)
{
	eventfd_t n;

	return eventfd_read(sb.wake_fd[slot], &n) == -1 ? 0 : (unsigned)n;
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

	for (int i = 0; i < ranges[_i].n; i++)
		ck_assert_int_eq(
		    scoreboard_slot_claim(&sb, role, 7), first + i);
	ck_assert_int_eq(scoreboard_slot_claim(&sb, role, 7), -1);
	ck_assert_int_eq(slot_at(first)->role, (int)role);
	ck_assert_int_eq(slot_at(first)->state, (int)CHILD_STARTING);
	ck_assert_uint_eq(slot_at(first)->generation, 7);
	ck_assert_int_gt(slot_at(first)->started_ms, 0);
	scoreboard_slot_release(&sb, first + 5);
	ck_assert_int_eq(slot_at(first + 5)->pid, 0);
	ck_assert_int_eq(scoreboard_slot_claim(&sb, role, 8), first + 5);
	ck_assert_uint_eq(slot_at(first + 5)->generation, 8);
}
END_TEST

START_TEST(test_release_keeps_counters)
{
	int slot = scoreboard_slot_claim(&sb, ROLE_SERVICE, 1);

	metric_add(slot_at(slot), METRIC_EVENTS_ADDED, 40);
	metric_add(slot_at(slot), METRIC_EVENTS_ADDED, 2);
	metric_set(slot_at(slot), METRIC_CONNECTIONS_OPEN, 3);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_CONNECTIONS_OPEN), 3);
	scoreboard_slot_release(&sb, slot);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_EVENTS_ADDED), 42);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_CONNECTIONS_OPEN), 0);
	ck_assert_uint_eq(sb.shared->n_dead, 0);
}
END_TEST

START_TEST(test_release_of_a_worker)
{
	int dead = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);
	int alive = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);

	slot_at(dead)->owner = 1234;
	slot_at(dead)->wake_at_ms = 99;
	sb.shared->shard_slot[0] = dead;
	sb.shared->shard_slot[1] = alive;
	sb.shared->shard_slot[EVENT_SHARDS - 1] = dead;
	scoreboard_slot_release(&sb, dead);

	ck_assert_uint_eq(slot_at(dead)->owner, 0);
	ck_assert_int_eq(slot_at(dead)->wake_at_ms, INT64_MAX);
	ck_assert_int_eq(sb.shared->shard_slot[0], -1);
	ck_assert_int_eq(sb.shared->shard_slot[1], alive);
	ck_assert_int_eq(sb.shared->shard_slot[EVENT_SHARDS - 1], -1);
	ck_assert_uint_eq(sb.shared->n_dead, 1);
	ck_assert_uint_eq(sb.shared->dead[0], 1234);
	ck_assert_uint_eq(wakes(alive), 1);
	ck_assert_uint_eq(wakes(dead), 0);
}
END_TEST

START_TEST(test_release_after_an_orderly_end)
{
	int left = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);
	int alive = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);

	/* It gave up its leases and its token itself. */
	scoreboard_slot_release(&sb, left);
	ck_assert_uint_eq(sb.shared->n_dead, 0);
	ck_assert_uint_eq(wakes(alive), 0);
}
END_TEST

START_TEST(test_ring_of_the_dead)
{
	for (uint64_t i = 1; i <= SCOREBOARD_DEAD + 2; i++) {
		int slot = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);

		slot_at(slot)->owner = i;
		scoreboard_slot_release(&sb, slot);
	}
	ck_assert_uint_eq(sb.shared->n_dead, SCOREBOARD_DEAD + 2);
	ck_assert_uint_eq(sb.shared->dead[0], SCOREBOARD_DEAD + 1);
	ck_assert_uint_eq(sb.shared->dead[1], SCOREBOARD_DEAD + 2);
	ck_assert_uint_eq(sb.shared->dead[2], 3);
}
END_TEST

START_TEST(test_wake_workers)
{
	int slots[3];

	for (int i = 0; i < 3; i++)
		slots[i] = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);
	scoreboard_wake_workers(&sb, slots[1]);
	scoreboard_wake_workers(&sb, -1);
	ck_assert_uint_eq(wakes(slots[0]), 2);
	ck_assert_uint_eq(wakes(slots[1]), 1);
	ck_assert_uint_eq(wakes(slots[2]), 2);
	ck_assert_uint_eq(wakes(3), 0);
}
END_TEST

START_TEST(test_membership_changed)
{
	int self = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);
	int other = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);
	uint64_t seen = sb.shared->membership, old = seen;

	/* Our own change is no news to us, unless another came before it. */
	scoreboard_membership_changed(&sb, self, &seen);
	ck_assert_uint_eq(sb.shared->membership, old + 1);
	ck_assert_uint_eq(seen, old + 1);
	ck_assert_uint_eq(wakes(self), 0);
	ck_assert_uint_eq(wakes(other), 1);
	scoreboard_membership_changed(&sb, other, NULL);
	scoreboard_membership_changed(&sb, self, &seen);
	ck_assert_uint_eq(seen, old + 1);
	ck_assert_uint_eq(sb.shared->membership, old + 3);
	ck_assert_uint_eq(wakes(self), 1);
}
END_TEST

/* An event of shard 5, whose worker sleeps until 1000. */
static const struct {
	int64_t due_ms, wake_at_ms;
	unsigned wakes;
} events[] = {
    {1001, 1000, 0},
    {1000, 1000, 0},
    {999, 999, 1},
    {0, 0, 1},
};

START_TEST(test_event_added)
{
	int slot = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);

	sb.shared->shard_slot[5] = slot;
	slot_at(slot)->wake_at_ms = 1000;
	scoreboard_event_added(&sb, 5, events[_i].due_ms);
	ck_assert_int_eq(slot_at(slot)->wake_at_ms, events[_i].wake_at_ms);
	/* The next one of the same time finds it lowered. */
	scoreboard_event_added(&sb, 5, events[_i].due_ms);
	ck_assert_uint_eq(wakes(slot), events[_i].wakes);
	/* A shard of nobody here: noted for a successor. */
	ck_assert_uint_eq(sb.shared->n_unheld, 0);
	scoreboard_event_added(&sb, 6, 0);
	ck_assert_uint_eq(wakes(slot), 0);
	ck_assert_uint_eq(sb.shared->n_unheld, 1);
}
END_TEST

START_TEST(test_shared_with_children)
{
	int worker = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);
	int service = scoreboard_slot_claim(&sb, ROLE_SERVICE, 1);
	int status;
	pid_t pid;

	sb.shared->shard_slot[9] = worker;
	slot_at(worker)->wake_at_ms = INT64_MAX;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		metric_add(slot_at(service), METRIC_EVENTS_ADDED, 1);
		scoreboard_event_added(&sb, 9, 77);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(metrics_sum(&sb, METRIC_EVENTS_ADDED), 1);
	ck_assert_int_eq(slot_at(worker)->wake_at_ms, 77);
	ck_assert_uint_eq(wakes(worker), 1);
}
END_TEST

/* What another master tells. */
START_TEST(test_news)
{
	int slot = scoreboard_slot_claim(&sb, ROLE_WORKER, 1);
	uint64_t old = sb.shared->membership;

	slot_at(slot)->wake_at_ms = INT64_MAX;
	scoreboard_look_again(&sb);
	ck_assert_int_eq(slot_at(slot)->wake_at_ms, 0);
	ck_assert_uint_eq(sb.shared->membership, old + 1);
	ck_assert_uint_eq(wakes(slot), 1);
	scoreboard_owner_gone(&sb, 99);
	ck_assert_uint_eq(sb.shared->dead[0], 99);
	ck_assert_uint_eq(sb.shared->n_dead, 1);
	ck_assert_uint_eq(sb.shared->membership, old + 2);
	ck_assert_uint_eq(wakes(slot), 1);
}
END_TEST

START_TEST(test_write_lock)
{
	ck_assert_int_eq(write_lock_acquire(sb.write_lock, 0), 0);
	write_lock_release(sb.write_lock);
}
END_TEST

/* The lock of another scoreboard takes its place, what is none does not. */
START_TEST(test_write_lock_is_shared)
{
	struct scoreboard other;
	struct write_lock *own;
	struct err err;

	ck_assert_int_eq(scoreboard_create(&other, &err), 0);
	scoreboard_share_write_lock(&other, dup(sb.write_lock_fd));
	ck_assert_int_eq(write_lock_acquire(sb.write_lock, 0), 0);
	ck_assert_int_eq(pthread_mutex_trylock(&other.write_lock->turn), EBUSY);
	write_lock_release(sb.write_lock);
	own = other.write_lock;
	scoreboard_share_write_lock(&other, eventfd(0, EFD_CLOEXEC));
	ck_assert_ptr_eq(other.write_lock, own);
	scoreboard_free(&other);
}
END_TEST

static const char *const role_names[] = {
    [ROLE_MASTER] = "master",
    [ROLE_PREFLIGHT] = "preflight",
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
	};
	struct buf out;

	metric_set(slot_at(0), METRIC_CONNECTIONS_OPEN, 2);
	metric_set(slot_at(SCOREBOARD_SLOTS - 1), METRIC_CONNECTIONS_OPEN, 3);
	metric_set(slot_at(1), METRIC_REQUESTS_2XX, INT64_MAX);
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

/* Each metric once: HELP, TYPE, then all its samples. */
START_TEST(test_render_groups)
{
	static char names[METRIC_COUNT][64];
	struct buf out;
	size_t n = 0, samples = 0;
	char word[64];

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
	ck_assert_uint_eq(samples, METRIC_COUNT);
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

int
main(void)
{
	Suite *suite = suite_create("scoreboard");
	TCase *tc = tcase_create("scoreboard");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
	    tc, test_claim, 0, (int)(sizeof(ranges) / sizeof(ranges[0])));
	tcase_add_test(tc, test_release_keeps_counters);
	tcase_add_test(tc, test_release_of_a_worker);
	tcase_add_test(tc, test_release_after_an_orderly_end);
	tcase_add_test(tc, test_ring_of_the_dead);
	tcase_add_test(tc, test_wake_workers);
	tcase_add_test(tc, test_membership_changed);
	tcase_add_loop_test(
	    tc, test_event_added, 0, (int)(sizeof(events) / sizeof(events[0])));
	tcase_add_test(tc, test_shared_with_children);
	tcase_add_test(tc, test_news);
	tcase_add_test(tc, test_write_lock);
	tcase_add_test(tc, test_write_lock_is_shared);
	tcase_add_loop_test(tc, test_role_names, 0, ROLE_WORKER + 1);
	tcase_add_test(tc, test_render);
	tcase_add_test(tc, test_render_groups);
	tcase_add_test(tc, test_render_without_room);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
