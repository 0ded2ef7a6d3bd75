/* SPDX-License-Identifier: ISC */
#include <unistd.h>

#include "base/log.h"
#include "board/shardboard.h"
#include "worker/leases.h"

#include "suite.h"
#include "worker_parts.h"

#define ALL UINT64_MAX

static struct leases leases;
static struct dbclock db;

static void
begin(void)
{
	parts_begin();
	ck_assert_int_eq(
	    leases_init(&leases, &parts_child, &db, parts_done), 0);
}

static void
end(void)
{
	leases_fini(&leases);
	ck_assert_uint_eq(parts_child.score->shards, 0);
	parts_end();
}

/* Without the margin: so long things are begun. */
enum { OPEN = PARTS_LEASE - PARTS_LEASE / 16 };

/* The answer, with the datastore's clock in step with ours. */
static struct lease_change
answer(struct lease_reply reply)
{
	reply.now_ms = parts_wall();
	reply.renewed = !leases.request.look;
	if (reply.n_living == 0)
		reply.n_living = 1;
	leases.reply = reply;
	leases.status = STORE_OK;
	return leases_done(&leases);
}

static void
ask(void)
{
	ck_assert_ptr_eq(leases_submit(&leases, NULL, 0), &leases.job);
}

static struct lease_change
lease(uint64_t shards)
{
	ask();
	return answer((struct lease_reply){.shards = shards});
}

static void
pass(int64_t ms)
{
	parts_now_ms += ms;
}

static int64_t
wait_ms(void)
{
	return leases_wait_ms(&leases, parts_now_ms);
}

START_TEST(test_first)
{
	struct lease_change change;

	ck_assert_int_eq(wait_ms(), 0);
	ck_assert(!leases_are_open(&leases));
	ask();
	ck_assert_uint_eq(leases.request.owner, leases.owner);
	ck_assert_uint_ne(leases.owner, 0);
	ck_assert_int_eq(leases.request.lease_ms, PARTS_LEASE);
	ck_assert_uint_eq(leases.request.max_attempts, 4);
	change = answer((struct lease_reply){.shards = 6});
	ck_assert_uint_eq(change.gained, 6);
	ck_assert_uint_eq(change.lost, 0);
	ck_assert(!change.left);
	ck_assert(leases_are_open(&leases));
	ck_assert(leases_hold(&leases, 1) && leases_hold(&leases, 2));
	ck_assert(!leases_hold(&leases, 0) && !leases_hold(&leases, 63));
	ck_assert_uint_eq(parts_child.score->shards, 6);
	ck_assert_int_eq(parts_child.score->held_until_ms, PARTS_MONO + OPEN);
	/* Services wake us for any event of these. */
	ck_assert_int_eq(parts_child.score->wake_at_ms, 0);
}
END_TEST

START_TEST(test_lost)
{
	struct lease_change change;

	(void)lease(7);
	pass(10000);
	change = lease(12);
	ck_assert_uint_eq(change.gained, 8);
	ck_assert_uint_eq(change.lost, 3);
	ck_assert(!change.lapsed);
	ck_assert(!leases_hold(&leases, 0));
}
END_TEST

struct renew_row {
	uint64_t shards;
	unsigned n_living;
	bool alone;
	int64_t wait;
};

static const struct renew_row renew_rows[] = {
    {ALL, 1, false, PARTS_LEASE / 5},
    {UINT32_MAX, 2, false, PARTS_LEASE / 5},
    /* less than the share: others may set some free */
    {UINT32_MAX, 1, false, 1000},
    {1, 2, false, 1000},
    {0, 1, true, PARTS_LEASE / 5},
};

START_TEST(test_renew)
{
	const struct renew_row *row = &renew_rows[_i];

	parts_child.alone = row->alone;
	ask();
	pass(500);
	(void)answer((struct lease_reply){
	    .shards = row->shards, .n_living = row->n_living});
	/* From when it was asked. */
	ck_assert_int_eq(wait_ms(), row->wait - 500);
	pass(row->wait);
	ck_assert_int_eq(wait_ms(), 0);
}
END_TEST

/* A change is looked at soon, but not sooner than after a pause. */
START_TEST(test_membership)
{
	(void)lease(ALL);
	ck_assert_int_eq(wait_ms(), PARTS_LEASE / 5);
	/* As the master. */
	shardboard_membership_changed(&parts_sb);
	parts_sb.self = 0;
	ck_assert_int_le(wait_ms(), 50);
	pass(51);
	ck_assert_int_eq(wait_ms(), 0);
}
END_TEST

/* Beyond its end nothing starts, and what was claimed before it is lost. */
START_TEST(test_lapse)
{
	uint64_t epoch;
	struct lease_change change;

	change = lease(ALL);
	epoch = leases.epoch;
	ck_assert(leases_let_send(&leases, epoch));
	pass(OPEN - 1);
	ck_assert(leases_are_open(&leases));
	pass(1);
	ck_assert(!leases_are_open(&leases));
	ck_assert(!leases_let_send(&leases, epoch));
	change = lease(ALL);
	ck_assert(change.lapsed);
	ck_assert_uint_eq(change.gained | change.lost, 0);
	ck_assert(leases_are_open(&leases));
	ck_assert(!leases_let_send(&leases, epoch));
	ck_assert(leases_let_send(&leases, leases.epoch));
	/* Asked in time: no lapse, however long the answer takes. */
	pass(OPEN - 1);
	ask();
	pass(5);
	change = answer((struct lease_reply){.shards = ALL});
	ck_assert(!change.lapsed);
}
END_TEST

/* The datastore knows of it, also when the call failed afterwards. */
START_TEST(test_lapse_seen_by_the_datastore)
{
	struct lease_change change = lease(ALL);
	uint64_t epoch = leases.epoch;

	pass(1000);
	ask();
	leases.reply.lapsed = true;
	leases.status = STORE_UNAVAILABLE;
	leases_failed(&leases, true);
	ck_assert(!leases_are_open(&leases));
	change = lease(ALL);
	ck_assert(change.lapsed);
	ck_assert_uint_eq(leases.epoch, epoch + 1);
	/* Once. */
	leases_failed(&leases, true);
	ck_assert(leases_are_open(&leases));
	change = lease(ALL);
	ck_assert(!change.lapsed);
}
END_TEST

/* A commit whose answer was lost may have claimed events. */
START_TEST(test_doubt)
{
	struct lease_change change;

	(void)lease(ALL);
	ask(); /* the first sweep is over */
	(void)answer((struct lease_reply){.shards = ALL});
	ask();
	ck_assert(!leases.request.in_doubt);
	(void)answer((struct lease_reply){.shards = ALL});
	leases_failed(&leases, true);
	ck_assert_int_eq(wait_ms(), 0);
	ask();
	ck_assert(leases.request.in_doubt);
	change = answer((struct lease_reply){
	    .shards = ALL, .n_strays = 2, .strays = {8, 9}});
	ck_assert_uint_eq(change.n_strays, 2);
	ck_assert_int_eq(change.strays[1], 9);
	ck_assert(!leases.in_doubt);
	/* As many as there is room for: there may be more. */
	leases_doubt(&leases);
	ask();
	change = answer(
	    (struct lease_reply){.shards = ALL, .n_strays = STORE_STRAYS_MAX});
	ck_assert(leases.in_doubt);
	ck_assert_int_eq(wait_ms(), 0);
}
END_TEST

START_TEST(test_sweep)
{
	int n = 0;

	for (int i = 0; i < 13; i++) {
		ask();
		n += leases.request.in_doubt;
		(void)answer((struct lease_reply){.shards = ALL});
		pass(10000);
	}
	ck_assert_int_eq(n, 3); /* of two minutes */
}
END_TEST

struct leave_row {
	bool draining, in_doubt;
	size_t n_known;
	bool left;
};

static const struct leave_row leave_rows[] = {
    {false, false, 0, false},
    {true, false, 0, true},
    {true, false, 1, false},
    {true, true, 0, false},
};

START_TEST(test_leave)
{
	static const int64_t known[] = {1};
	const struct leave_row *row = &leave_rows[_i];
	struct lease_change change;

	(void)lease(ALL);
	parts_child.draining = row->draining;
	if (row->in_doubt)
		leases_doubt(&leases);
	(void)leases_submit(&leases, known, row->n_known);
	ck_assert(leases.request.leaving == row->draining);
	change = answer((struct lease_reply){0});
	ck_assert(change.left == row->left);
	ck_assert_uint_eq(change.lost, ALL);
}
END_TEST

/* What the death of another one has left is put back by whoever is there. */
START_TEST(test_leave_when_all_is_put_back)
{
	(void)lease(ALL);
	parts_child.draining = true;
	(void)leases_submit(&leases, NULL, 0);
	ck_assert(!answer((struct lease_reply){.rest = true}).left);
	(void)leases_submit(&leases, NULL, 0);
	ck_assert(answer((struct lease_reply){0}).left);
}
END_TEST

/* The others' shares are larger then, also where nothing was set free. */
START_TEST(test_tells_that_it_leaves)
{
	uint64_t told;

	(void)lease(0);
	told = parts_sb.shared->master.news.changes;
	(void)lease(0);
	ck_assert_uint_eq(parts_sb.shared->master.news.changes, told);
	parts_child.draining = true;
	ck_assert(lease(0).left);
	ck_assert_uint_gt(parts_sb.shared->master.news.changes, told);
}
END_TEST

/* Nor does who has ended the registration of a host that is lost set anything
 * free itself: the others would look for their part at their next renewal. */
START_TEST(test_tells_that_others_are_gone)
{
	uint64_t told;

	(void)lease(7);
	told = parts_sb.shared->master.news.changes;
	ask();
	(void)answer((struct lease_reply){.shards = 31, .ended = true});
	ck_assert_uint_gt(parts_sb.shared->master.news.changes, told);
}
END_TEST

/* What comes up while a call is under way, which says nothing of it: the next
 * one is made at once. */
START_TEST(test_hurry_during_a_call)
{
	(void)lease(ALL);
	pass(10000);
	ask();
	ck_assert(!leases.request.leaving);
	pass(5);
	parts_child.draining = true;
	leases_hurry(&leases);
	pass(5);
	(void)answer((struct lease_reply){.shards = ALL});
	ck_assert_int_eq(wait_ms(), 0);
	ask();
	ck_assert(leases.request.leaving);
	(void)answer((struct lease_reply){0});
	ck_assert_int_gt(wait_ms(), 0);
}
END_TEST

/* A step forward may be a pause of the machine: nothing is sent until the
 * datastore has told. */
START_TEST(test_leap)
{
	struct clock_reading later = {parts_now_ms, parts_wall() + 7200000};

	(void)lease(ALL);
	ck_assert(leases_let_send(&leases, leases.epoch));
	ck_assert_int_eq(dbclock_check_step(&db, &later), 7200000);
	ck_assert(!leases_are_open(&leases));
	(void)lease(ALL);
	ck_assert(leases_are_open(&leases));
}
END_TEST

/* A call that fails may have renewed before; not if it came too late. */
START_TEST(test_renewed_and_failed)
{
	uint64_t epoch;

	(void)lease(ALL);
	epoch = leases.epoch;
	for (int i = 0; i < 3; i++) {
		pass(OPEN - 1);
		ask();
		leases.reply = (struct lease_reply){.renewed = true};
		leases.status = STORE_UNAVAILABLE;
		pass(OPEN - 2);
		leases_failed(&leases, true);
		ck_assert(leases_let_send(&leases, epoch));
		/* Another part's failure says nothing of that. */
		leases_failed(&leases, false);
		pass(-(OPEN - 2));
	}
	pass(OPEN);
	ask();
	leases.reply = (struct lease_reply){.renewed = true};
	leases_failed(&leases, true);
	ck_assert(!leases_are_open(&leases));
	ck_assert(lease(ALL).lapsed);
	ck_assert_uint_eq(leases.epoch, epoch + 1);
}
END_TEST

/* Another that is registered, and shows that sign. */
static void
see(uint64_t owner, int64_t sign)
{
	ask();
	leases.request.instances[0] = (struct store_instance){
	    .sign = {owner, sign}, .lease_ms = PARTS_LEASE, .active = true};
	(void)answer((struct lease_reply){.shards = ALL, .n_instances = 1});
}

/* It is named once it stood still for its lease, and at once. */
START_TEST(test_names_who_is_lost)
{
	int64_t begun_ms = parts_now_ms;

	see(3, 7);
	while (parts_now_ms < begun_ms + PARTS_LEASE) {
		pass(wait_ms());
		see(3, 7);
		ck_assert_uint_eq(leases.request.n_lost, 0);
	}
	ck_assert_int_eq(parts_now_ms, begun_ms + PARTS_LEASE);
	ck_assert_int_le(wait_ms(), 50);
	ask();
	ck_assert_uint_eq(leases.request.n_lost, 1);
	ck_assert_uint_eq(leases.request.lost[0].owner, 3);
	ck_assert_int_eq(leases.request.lost[0].sign, 7);
}
END_TEST

/* A call that fails in between, and the next one does not, keeps nobody
 * registered for longer. */
START_TEST(test_names_who_is_lost_after_a_failure)
{
	int64_t begun_ms = parts_now_ms;

	see(3, 7);
	while (parts_now_ms < begun_ms + PARTS_LEASE) {
		pass(wait_ms());
		ask();
		leases.reply = (struct lease_reply){.renewed = true};
		leases.status = STORE_UNAVAILABLE;
		leases_failed(&leases, true);
		ck_assert_uint_eq(leases.request.n_lost, 0);
		see(3, 7);
	}
	ck_assert_int_eq(parts_now_ms, begun_ms + PARTS_LEASE);
	ask();
	ck_assert_uint_eq(leases.request.n_lost, 1);
	/* That one failed, too. */
	leases.reply = (struct lease_reply){.renewed = true};
	leases_failed(&leases, true);
	ask();
	ck_assert_uint_eq(leases.request.n_lost, 1);
}
END_TEST

static void
see_clock(const char *host, int64_t ahead_ms)
{
	struct store_instance *ours = &leases.others->instances[1];
	struct store_instance *other = &leases.others->instances[0];

	ask();
	*ours = (struct store_instance){.sign = {leases.owner, 1},
	    .lease_ms = PARTS_LEASE,
	    .wall_ms = parts_wall(),
	    .host = "here"};
	*other = (struct store_instance){.sign = {3, 7},
	    .lease_ms = PARTS_LEASE,
	    .wall_ms = parts_wall() + ahead_ms};
	(void)snprintf(other->host, sizeof(other->host), "%s", host);
	(void)answer((struct lease_reply){.shards = ALL, .n_instances = 2});
}

static char log_path[] = "/tmp/cassata-leases-XXXXXX";

static void
catch_log(void)
{
	struct err err;
	int fd = mkstemp(log_path);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(log_open(log_path, LOG_LEVEL_INFO, 2048, &err), 0);
}

/* How often it has the text. */
static int
count_log(const char *text)
{
	FILE *f = fopen(log_path, "r");
	char line[2048];
	int n = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, text) != NULL;
	ck_assert_int_eq(fclose(f), 0);
	return n;
}

/* Of hosts whose clocks differ the one that is ahead is named, by the other:
 * once per change, and once a minute. */
START_TEST(test_names_who_is_ahead)
{
	struct err err;

	catch_log();
	see_clock("db1", 5000); /* others of us may be here in a moment */
	see_clock("db1", 1000);
	see_clock("db1", -5000);
	see_clock("db1", INT64_MIN / 2);
	/* Its worker has not renewed since our clock was set back. */
	see_clock("here", 5000);
	ck_assert_int_eq(count_log("the clock of host"), 0);
	for (int i = 0; i < 100; i++) {
		see_clock("db1", 1001);
		pass(1000);
	}
	ck_assert_int_eq(
	    count_log("the clock of host db1 is 1001 ms ahead of ours"), 1);
	/* Another one, and then none, and again. */
	see_clock("db2", 5000);
	see_clock("db1", 5000);
	pass(59999);
	see_clock("db1", 5000);
	ck_assert_int_eq(count_log("the clock of host"), 2);
	pass(1);
	see_clock("db2", 0);
	see_clock("db2", 7000);
	ck_assert_int_eq(count_log("host db2 is 7000 ms"), 1);
	ck_assert_int_eq(count_log("the clock of host"), 3);
	ck_assert_int_eq(log_open("stderr", LOG_LEVEL_INFO, 2048, &err), 0);
	ck_assert_int_eq(unlink(log_path), 0);
}
END_TEST

/* The first worker of the host that holds shards. */
START_TEST(test_names_once_per_host)
{
	struct err err;
	int slot = scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	struct scoreboard_slot *other = &parts_sb.writable->children[slot].slot;
	int ours = parts_child.slot;

	catch_log();
	atomic_store(&other->shards, 8);
	atomic_store(&other->held_until_ms, INT64_MAX);
	ck_assert_int_eq(ours, 0);
	parts_child.slot = slot; /* as if we came behind it */
	for (int i = 0; i < 3; i++)
		see_clock("db1", 5000);
	ck_assert_int_eq(count_log("the clock of host"), 0);
	parts_child.slot = ours;
	for (int i = 0; i < 3; i++)
		see_clock("db1", 5000);
	ck_assert_int_eq(count_log("the clock of host"), 1);
	ck_assert_int_eq(log_open("stderr", LOG_LEVEL_INFO, 2048, &err), 0);
	ck_assert_int_eq(unlink(log_path), 0);
}
END_TEST

/* Among strangers on a server every other call is a look alone, which prolongs
 * nothing; they are closer to each other than renewals on a file are. */
START_TEST(test_looks_between_renewals)
{
	int64_t begun_ms = parts_now_ms;

	parts_cfg.datastore.place.kind = SQL_MYSQL;
	see(3, 7);
	ck_assert(!leases.request.look);
	ck_assert_int_eq(wait_ms(), PARTS_LEASE / 6);
	for (int i = 1; i < 6; i++) {
		pass(wait_ms());
		see(3, 7);
		ck_assert(leases.request.look == (i % 2 == 1));
		if (leases.request.look)
			ck_assert_int_eq(leases.until_ms,
			    parts_now_ms - PARTS_LEASE / 6 + OPEN);
		else
			ck_assert_int_eq(leases.until_ms, parts_now_ms + OPEN);
	}
	ck_assert_int_eq(parts_now_ms, begun_ms + PARTS_LEASE / 6 * 5);
	/* What fails may have renewed, or not. */
	see(3, 7);
	ask();
	ck_assert(leases.request.look);
	leases.reply = (struct lease_reply){.renewed = false};
	leases.status = STORE_UNAVAILABLE;
	leases_failed(&leases, true);
	ask();
	ck_assert(!leases.request.look);
	(void)answer((struct lease_reply){.shards = ALL, .n_instances = 1});
	/* One found something to do, and renewed. */
	ask();
	ck_assert(leases.request.look);
	leases.request.look = false;
	pass(5);
	(void)answer((struct lease_reply){.shards = 1});
	ck_assert_int_eq(leases.until_ms, parts_now_ms - 5 + OPEN);
	parts_child.draining = true;
	ask();
	ck_assert(!leases.request.look);
}
END_TEST

/* Nor among ourselves, whose death is known otherwise. */
START_TEST(test_no_looks_without_strangers)
{
	parts_cfg.datastore.place.kind = SQL_MYSQL;
	for (int i = 0; i < 3; i++) {
		see(leases.owner, i);
		ck_assert(!leases.request.look);
	}
	ck_assert_int_eq(wait_ms(), PARTS_LEASE / 5);
}
END_TEST

/* As long as it is not configured: long among ourselves, short with others. */
START_TEST(test_lease_among_strangers)
{
	struct err err;
	int slot;

	parts_cfg.datastore.place.kind = SQL_SQLITE;
	parts_cfg.worker.lease_ms = 0;
	/* Not yet known. */
	see(leases.owner, 1);
	ck_assert_int_eq(leases.request.lease_ms, CONFIG_LEASE_MS);
	see(leases.owner, 2);
	ck_assert_int_eq(leases.request.lease_ms, CONFIG_LEASE_ALONE_MS);
	ck_assert_int_eq(wait_ms(), CONFIG_LEASE_ALONE_MS / 5);
	/* Another of our master. */
	parts_sb.self = -1;
	slot = scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	see(scoreboard_place(&parts_sb, slot)->owner, 1);
	ck_assert_int_eq(wait_ms(), PARTS_LEASE / 5);
	/* A stranger: what may be known of the short one ends the long one. */
	see(3, 7);
	ck_assert_int_eq(wait_ms(), 0);
	ask();
	ck_assert_int_eq(leases.request.lease_ms, CONFIG_LEASE_MS);
	leases.reply = (struct lease_reply){.renewed = false};
	leases.status = STORE_UNAVAILABLE;
	leases_failed(&leases, true);
	pass(CONFIG_LEASE_MS - CONFIG_LEASE_MS / 16 - 1);
	ck_assert(leases_are_open(&leases));
	pass(1);
	ck_assert(!leases_are_open(&leases));
	/* It has left. */
	see(leases.owner, 3);
	ask();
	ck_assert_int_eq(leases.request.lease_ms, CONFIG_LEASE_ALONE_MS);
}
END_TEST

/* A host that was there may come back, and would see a long lease end. */
START_TEST(test_lease_after_strangers)
{
	parts_cfg.worker.lease_ms = 0;
	parts_cfg.datastore.place.kind = SQL_MYSQL;
	see(3, 7);
	see(leases.owner, 1);
	pass(600000 - 1);
	see(leases.owner, 2);
	ask();
	ck_assert_int_eq(leases.request.lease_ms, CONFIG_LEASE_MS);
	pass(1);
	see(leases.owner, 3);
	ask();
	ck_assert_int_eq(leases.request.lease_ms, CONFIG_LEASE_ALONE_MS);
}
END_TEST

/* After an outage nobody is lost by the time that passed in it. */
START_TEST(test_nobody_is_lost_in_an_outage)
{
	see(3, 7);
	pass(PARTS_LEASE / 5);
	ask();
	leases.reply = (struct lease_reply){.renewed = false};
	leases.status = STORE_UNAVAILABLE;
	pass(3600000);
	leases_failed(&leases, true);
	see(3, 7);
	ck_assert_uint_eq(leases.request.n_lost, 0);
	pass(1000);
	ask();
	ck_assert_uint_eq(leases.request.n_lost, 0);
}
END_TEST

/* ---- others of this host ---- */

struct away_row {
	int64_t asking, tried; /* so long ago; -1: never; -2: in the future */
	bool quiet, away;
};

enum { STOP = 20000 };

static const struct away_row away_rows[] = {
    {-1, -1, true, false},
    {1000, 0, true, true},
    /* it renews, though a call of its takes long */
    {1000, 0, false, false},
    {PARTS_LEASE, PARTS_CALL + 1999, true, true},
    /* it is stopped, and tries no more */
    {PARTS_LEASE, PARTS_CALL + 2000, true, false},
    /* it tries in vain for too long */
    {PARTS_LEASE + STOP - 1, 0, true, true},
    {PARTS_LEASE + STOP, 0, true, false},
    /* who was taken over may tell anything */
    {-2, 0, true, false},
    {PARTS_LEASE, -2, true, false},
};

static int64_t
ago(int64_t ms)
{
	if (ms == -1)
		return 0;
	return ms == -2 ? parts_now_ms + 1 : parts_now_ms - ms;
}

START_TEST(test_away)
{
	const struct away_row *row = &away_rows[_i];
	struct scoreboard_slot *other;
	struct err err;
	int slot = scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	uint64_t owner = scoreboard_place(&parts_sb, slot)->owner;
	int64_t sign = 7;

	for (int i = 0; i < 4; i++) {
		see(owner, sign);
		if (!row->quiet)
			sign++;
		pass(PARTS_LEASE / 5);
	}
	other = &parts_sb.writable->children[slot].slot;
	parts_cfg.master.shutdown_timeout_ms = STOP;
	other->asking_ms = ago(row->asking);
	other->tried_ms = ago(row->tried);
	ask();
	ck_assert_uint_eq(leases.request.n_away, row->away ? 1 : 0);
	if (row->away) {
		ck_assert_uint_eq(leases.request.away[0].owner, owner);
		ck_assert_int_eq(leases.request.away[0].sign, 7);
	}
}
END_TEST

START_TEST(test_dead)
{
	struct scoreboard_slot *other;
	struct err err;
	int slot = scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	uint64_t owner = scoreboard_place(&parts_sb, slot)->owner;

	other = &parts_sb.writable->children[slot].slot;
	other->note = 5;
	other->wire[3] = 5;
	other->wire[7] = 6;
	shardboard_bury(&parts_sb, slot, END_CRASH);
	shardboard_owner_gone(&parts_sb, 99);
	/* Whatever another master says. */
	shardboard_owner_gone(&parts_sb, leases.owner);
	ask();
	ck_assert_uint_eq(leases.request.n_dead, 2);
	ck_assert_uint_eq(leases.request.dead[0].owner, owner);
	ck_assert_int_eq(leases.request.dead[0].culprit, 5);
	ck_assert(leases.request.dead[0].wire_known);
	ck_assert_uint_eq(leases.request.dead[0].n_wire, 2);
	ck_assert_int_eq(leases.request.dead[0].wire[1], 6);
	ck_assert_uint_eq(leases.request.dead[1].owner, 99);
	ck_assert(!leases.request.dead[1].wire_known);
}
END_TEST

/* Rows were put back, some of them in shards of others: they look. */
START_TEST(test_interrupted)
{
	struct err err;
	uint64_t changes;

	(void)scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	(void)lease(ALL);
	parts_child.score->wake_at_ms = INT64_MAX;
	changes = parts_sb.shared->master.news.changes;
	ask();
	(void)answer((struct lease_reply){.shards = ALL,
	    .n_interrupted = 3,
	    .buried = true,
	    .quarantined = true});
	ck_assert_int_eq(parts_child.score->wake_at_ms, 0);
	ck_assert_int_eq(
	    parts_child.score->metric[METRIC_EVENTS_INTERRUPTED], 3);
	ck_assert_uint_gt(parts_sb.shared->master.news.changes, changes);
	ck_assert(parts_child.score->sees_quarantine);
	ask();
	(void)answer((struct lease_reply){
	    .shards = ALL, .n_interrupted = 512, .rest = true});
	ck_assert_int_eq(wait_ms(), 0);
}
END_TEST

/*
 * A shard moves to us, and somebody commits an event in it and tells of it
 * before one of these steps, or behind them: we look at it afterwards, or know
 * when to.
 */
enum { LEAVES_THE_OTHER, COMES_TO_US, WE_LOOK, MOVES };

static void
step(int which, struct scoreboard_slot *other)
{
	switch (which) {
	case LEAVES_THE_OTHER:
		atomic_store(&other->shards, 0);
		shardboard_membership_changed(&parts_sb);
		break;
	case COMES_TO_US:
		(void)lease(8);
		break;
	case WE_LOOK: /* as claims.c does */
		ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, 0), 0);
		atomic_store(
		    &parts_child.score->look, parts_child.score->look + 1);
		atomic_store(&parts_child.score->wake_at_ms, INT64_MAX);
		break;
	default:
		break;
	}
}

START_TEST(test_shard_moves)
{
	struct err err;
	int slot = scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	struct scoreboard_slot *other = &parts_sb.writable->children[slot].slot;

	atomic_store(&other->shards, 8);
	atomic_store(&other->held_until_ms, INT64_MAX);
	for (int i = 0; i <= MOVES; i++) {
		if (i == _i)
			shardboard_event_added(&parts_sb, 3, 77);
		step(i, other);
	}
	/* The look has found what was committed before it. */
	ck_assert_int_eq(
	    shardboard_wake_at_ms(&parts_sb, 0), _i > WE_LOOK ? 77 : INT64_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("leases");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, test_first);
	tcase_add_test(tc, test_lost);
	tcase_add_loop_test(tc, test_renew, 0, COUNT(renew_rows));
	tcase_add_test(tc, test_membership);
	tcase_add_test(tc, test_lapse);
	tcase_add_test(tc, test_lapse_seen_by_the_datastore);
	tcase_add_test(tc, test_doubt);
	tcase_add_test(tc, test_sweep);
	tcase_add_loop_test(tc, test_leave, 0, COUNT(leave_rows));
	tcase_add_test(tc, test_leave_when_all_is_put_back);
	tcase_add_test(tc, test_tells_that_it_leaves);
	tcase_add_test(tc, test_tells_that_others_are_gone);
	tcase_add_test(tc, test_hurry_during_a_call);
	tcase_add_test(tc, test_leap);
	tcase_add_test(tc, test_renewed_and_failed);
	tcase_add_test(tc, test_names_who_is_lost);
	tcase_add_test(tc, test_names_who_is_lost_after_a_failure);
	tcase_add_test(tc, test_names_who_is_ahead);
	tcase_add_test(tc, test_names_once_per_host);
	tcase_add_test(tc, test_looks_between_renewals);
	tcase_add_test(tc, test_no_looks_without_strangers);
	tcase_add_test(tc, test_lease_among_strangers);
	tcase_add_test(tc, test_lease_after_strangers);
	tcase_add_test(tc, test_nobody_is_lost_in_an_outage);
	tcase_add_loop_test(tc, test_away, 0, COUNT(away_rows));
	tcase_add_test(tc, test_dead);
	tcase_add_test(tc, test_interrupted);
	tcase_add_loop_test(tc, test_shard_moves, 0, MOVES + 1);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
