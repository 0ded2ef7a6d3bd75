/* SPDX-License-Identifier: ISC */
#include "master/ear.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "board/shardboard.h"
#include "suite.h"

enum { HELD = 5, SLEEPS_UNTIL = 1000, RINGS = 5000 };

static char dir[32];
static char file[64], bell_file[80];
static struct config cfg;
static struct loop *loop;
static struct loop_timer *timer;
static int turns; /* until the loop stops */
static struct scoreboard sb;
static struct ear *ear;
static struct bell other = {-1, 0}; /* another master's child's */
static struct err err;

static struct scoreboard_slot *
worker(void)
{
	return &sb.writable->children[0].slot;
}

/* It has looked, and sleeps. */
static void
sleep_again(void)
{
	worker()->look++;
	worker()->wake_at_ms = SLEEPS_UNTIL;
}

static void
make_file(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT, mode);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(close(fd), 0);
}

static void
listen_again(void)
{
	ear_free(&ear);
	ear = ear_create(loop, &sb, &cfg, 0, &err);
}

static void
setup(void)
{
	(void)umask(0);
	(void)snprintf(dir, sizeof(dir), "/tmp/ear_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/db", dir);
	(void)snprintf(bell_file, sizeof(bell_file), "%s-bell", file);
	make_file(file, 0640);
	cfg.datastore.place.file = file;
	ck_assert_int_eq(scoreboard_create(&sb, &err), 0);
	ck_assert_int_eq(scoreboard_slot_claim(&sb, ROLE_WORKER, &err), 0);
	worker()->shards = UINT64_C(1) << HELD;
	worker()->held_until_ms = INT64_MAX;
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	ck_assert_int_eq(bell_open(&other, &cfg.datastore.place, &err), 0);
	other.ringer = sb.bell.ringer + 1;
	ear = ear_create(loop, &sb, &cfg, 0, &err);
	ck_assert_msg(ear != NULL, "%s", err.text);
	/* It may have missed some. */
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 0);
	sleep_again();
}

static void
teardown(void)
{
	ear_free(&ear);
	loop_timer_free(&timer);
	loop_free(loop);
	scoreboard_free(&sb);
	(void)unlink(bell_file);
	(void)close(other.fd);
	(void)unlink(file);
	(void)rmdir(dir);
}

static void
on_time(void *arg)
{
	if (turns-- > 0)
		loop_timer_set(timer, 0);
	else
		loop_stop(arg);
}

/* What was rung by now is heard: the notes of it are there already, and the
 * pause between two times is none, which may be over with this timer. */
static void
run_loop(void)
{
	loop_timer_free(&timer);
	timer = loop_timer_create(loop, on_time, loop);
	turns = 3;
	loop_timer_set(timer, 20);
	ck_assert_int_eq(loop_run(loop), 0);
}

static const struct {
	const char *what;
	bool ours; /* of this master's child */
	uint32_t ring;
	int64_t due_ms, wake_at_ms;
	int changes; /* workers are to look at their leases */
} rows[] = {
    {"an event", false, HELD, 7, 7, 0},
    {"one that is later", false, HELD, 2000, SLEEPS_UNTIL, 0},
    {"a lie", false, HELD, INT64_MIN, 0, 0},
    {"one that none of ours holds", false, HELD + 1, 7, SLEEPS_UNTIL, 0},
    {"our own", true, HELD, 7, SLEEPS_UNTIL, 0},
    {"leases", false, RING_LEASES, 0, SLEEPS_UNTIL, 1},
    {"our own leases", true, RING_LEASES, 0, SLEEPS_UNTIL, 0},
    {"all", false, RING_ALL, 0, 0, 1},
    {"the first that is no shard", false, 64, 7, 0, 1},
    {"nonsense", false, UINT32_MAX, INT64_MAX, 0, 1},
};

START_TEST(test_ring)
{
	uint64_t changes = sb.shared->master.news.changes;
	struct bell bell = {
	    other.fd, rows[_i].ours ? sb.bell.ringer : other.ringer};

	bell_ring(&bell, rows[_i].ring, rows[_i].due_ms);
	run_loop();
	ck_assert_msg(shardboard_wake_at_ms(&sb, 0) == rows[_i].wake_at_ms &&
			  sb.shared->master.news.changes ==
			      changes + (uint64_t)rows[_i].changes,
	    "%s: %lld", rows[_i].what,
	    (long long)shardboard_wake_at_ms(&sb, 0));
}
END_TEST

/* The earliest of many is heard, in whichever order they come. */
START_TEST(test_many)
{
	for (int64_t n = 0; n < 256; n++)
		bell_ring(&other, HELD, 400 + (n ^ 0x55));
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 400);
	sleep_again();
	bell_ring(&other, HELD, 9);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 9);
}
END_TEST

/* What cannot be followed is as good as everything; and then it goes on. */
START_TEST(test_too_many)
{
	for (int i = 0; i < RINGS; i++)
		bell_ring(&other, HELD, 2000);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 0);
	sleep_again();
	bell_ring(&other, HELD, 8);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 8);
}
END_TEST

/* Emptied by another master, which may have heard what we have not, and grown
 * again to where we are. */
START_TEST(test_emptied)
{
	bell_ring(&other, HELD, 2000);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), SLEEPS_UNTIL);
	ck_assert_int_eq(truncate(bell_file, 0), 0);
	bell_ring(&other, HELD, 3000);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 0);
	sleep_again();
	ck_assert_int_eq(truncate(bell_file, 0), 0);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 0);
	sleep_again();
	bell_ring(&other, HELD, 8);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 8);
}
END_TEST

/* Half of a ring, which a full disk leaves, does not garble what follows. */
START_TEST(test_half)
{
	struct stat st;

	bell_ring(&other, HELD, 2000);
	ck_assert_int_eq(write(other.fd, "garbage", 7), 7);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 0);
	ck_assert_int_eq(stat(bell_file, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	sleep_again();
	bell_ring(&other, HELD, 8);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 8);
}
END_TEST

/* It does not grow without end. */
START_TEST(test_emptied_by_us)
{
	struct stat st;
	char *rings = calloc(1, BELL_BYTES_MAX);

	ck_assert_int_eq(
	    write(other.fd, rings, BELL_BYTES_MAX), BELL_BYTES_MAX);
	free(rings);
	run_loop();
	ck_assert_int_eq(stat(bell_file, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	sleep_again();
	bell_ring(&other, HELD, 8);
	run_loop();
	ck_assert_int_le(shardboard_wake_at_ms(&sb, 0), 8);
}
END_TEST

/* Nor where no master listens, one that has no room to watch it say; and who
 * listens after all hears. */
START_TEST(test_nobody_listens)
{
	struct stat st;

	ear_free(&ear);
	for (int i = 0; i < 3 * BELL_BYTES_MAX / (int)sizeof(struct ring); i++)
		bell_ring(&other, HELD, 2000);
	ck_assert_int_eq(stat(bell_file, &st), 0);
	ck_assert_int_le(st.st_size, 2 * BELL_BYTES_MAX);
	listen_again();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 0);
	run_loop();
	sleep_again();
	bell_ring(&other, HELD, 8);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 8);
}
END_TEST

/* Somebody has removed ours: the one that is there now is another master's. */
START_TEST(test_replaced)
{
	struct bell new = {-1, 0};

	ck_assert_int_eq(unlink(bell_file), 0);
	ck_assert_int_eq(bell_open(&new, &cfg.datastore.place, &err), 0);
	ck_assert(!ear_is_of(ear, &cfg));
	ck_assert_int_eq(close(other.fd), 0);
	other.fd = -1;
	ear_free(&ear);
	ck_assert_int_eq(access(bell_file, F_OK), 0);
	ck_assert_int_eq(close(new.fd), 0);
}
END_TEST

/* Somebody removes it: it is made again, and both are heard; what our children
 * ring at the old one is passed on, once. */
START_TEST(test_removed)
{
	struct bell ours = {other.fd, sb.bell.ringer}, new = {-1, 0};
	struct stat st;

	ck_assert_int_eq(unlink(bell_file), 0);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 0);
	ck_assert_int_eq(stat(bell_file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	ck_assert(ear_is_of(ear, &cfg));
	ck_assert_int_eq(bell_open(&new, &cfg.datastore.place, &err), 0);
	new.ringer = other.ringer;

	sleep_again();
	bell_ring(&new, HELD, 8);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 8);
	sleep_again();
	bell_ring(&other, HELD, 9);
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), 9);

	sleep_again();
	bell_ring(&ours, HELD, 7);
	run_loop();
	run_loop();
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), SLEEPS_UNTIL);
	ck_assert_int_eq(stat(bell_file, &st), 0);
	ck_assert_int_eq(st.st_size, 2 * sizeof(struct ring));
	/* Not for ever. */
	for (int i = 0; i < 10; i++) {
		(void)unlink(bell_file);
		run_loop();
	}
	ck_assert_int_eq(access(bell_file, F_OK), -1);
	ck_assert_int_eq(close(new.fd), 0);
}
END_TEST

/* Rights of the file that it is beside; what is not a file of the children is
 * left alone. */
START_TEST(test_file)
{
	struct stat st;

	ck_assert_int_eq(stat(bell_file, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0640);
	ck_assert(ear_is_of(ear, &cfg));

	/* As long as somebody has it. */
	listen_again();
	ck_assert(ear_is_of(ear, &cfg));
	ck_assert_int_eq(close(other.fd), 0);
	listen_again();
	ck_assert_ptr_null(ear);
	ck_assert_int_eq(access(bell_file, F_OK), -1);
	ck_assert_int_eq(symlink(file, bell_file), 0);
	listen_again();
	ck_assert_ptr_null(ear);
	ck_assert_int_eq(bell_open(&other, &cfg.datastore.place, &err), -1);
	ck_assert_int_eq(unlink(bell_file), 0);
	ck_assert_int_eq(mkfifo(bell_file, 0600), 0);
	listen_again();
	ck_assert_ptr_null(ear);
	ck_assert_int_eq(bell_open(&other, &cfg.datastore.place, &err), -1);
	ck_assert_int_eq(unlink(bell_file), 0);
	if (geteuid() == 0) {
		make_file(bell_file, 0666);
		ck_assert_int_eq(chown(bell_file, 1, 1), 0);
		listen_again();
		ck_assert_ptr_null(ear);
	}
	/* Without one nothing is rung, and nothing fails. */
	bell_ring(&other, HELD, 8);
}
END_TEST

/* One of a server is by its URL, and by the user. */
START_TEST(test_path)
{
	char shown[] = "mysql://db/x", same[] = "mysql://db/x",
	     another[] = "mysql://db/y";
	struct sql_place a = {.shown = shown}, b = {.shown = same},
			 c = {.shown = another};
	char path[4][PATH_MAX];

	ck_assert_int_eq(bell_path(&a, 7, path[0]), 0);
	ck_assert_int_eq(bell_path(&b, 7, path[1]), 0);
	ck_assert_int_eq(bell_path(&c, 7, path[2]), 0);
	ck_assert_int_eq(bell_path(&a, 8, path[3]), 0);
	ck_assert_str_eq(path[0], path[1]);
	ck_assert_str_ne(path[0], path[2]);
	ck_assert_str_ne(path[0], path[3]);
	ck_assert_int_eq(strncmp(path[0], "/dev/shm/cassata-bell-7-", 24), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ear");
	TCase *tc = tcase_create("ear");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
	    tc, test_ring, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_too_many);
	tcase_add_test(tc, test_emptied);
	tcase_add_test(tc, test_half);
	tcase_add_test(tc, test_emptied_by_us);
	tcase_add_test(tc, test_nobody_listens);
	tcase_add_test(tc, test_replaced);
	tcase_add_test(tc, test_removed);
	tcase_add_test(tc, test_file);
	tcase_add_test(tc, test_path);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
