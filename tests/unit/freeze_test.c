/* SPDX-License-Identifier: ISC */
#include "master/freeze.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum { NOW = 1000000, STOP = 3000 };

static struct master master;
static struct generation *gen;
static struct place *service;

/* A frozen daemon with a service, which does nothing. */
static void
begin(void)
{
	struct err err;

	master = (struct master){.frozen = true, .frozen_ms = NOW};
	ck_assert_int_eq(scoreboard_create(&master.sb, &err), 0);
	TAILQ_INIT(&master.generations);
	gen = calloc(1, sizeof(*gen) + sizeof(gen->places[0]));
	ck_assert_ptr_nonnull(gen);
	gen->cfg.master.shutdown_timeout_ms = STOP;
	gen->n_places = 1;
	TAILQ_INSERT_TAIL(&master.generations, gen, entry);
	master.current = gen;
	service = &gen->places[0];
	service->role = ROLE_SERVICE;
	service->slot = scoreboard_slot_claim(&master.sb, ROLE_SERVICE, &err);
	service->pid = fork();
	ck_assert_int_ge(service->pid, 0);
	if (service->pid == 0)
		for (;;)
			(void)pause();
	scoreboard_slot_fill(&master.sb, service->slot, service->pid);
}

static void
end(void)
{
	if (service->pid != 0) {
		(void)kill(service->pid, SIGKILL);
		(void)waitpid(service->pid, NULL, 0);
	}
	scoreboard_free(&master.sb);
	free(gen);
}

/* What it says that it has under way, and what becomes of it. */
static const struct {
	int n_writing;
	int64_t since_ms;
	size_t n_writes;
	bool quiet, killed;
} rows[] = {
    {0, 0, 0, true, false},
    {2, 0, 2, false, false},
    {2, STOP - 1, 2, false, false},
    {2, STOP, 2, false, true},
    {INT_MAX, STOP, INT_MAX, false, true},
    /* It has been taken over: others may write. */
    {-1, 0, 1, false, true},
    {INT_MIN, 0, 1, false, true},
};

START_TEST(test_count)
{
	int64_t now_ms = NOW + rows[_i].since_ms;
	int64_t next_ms;
	pid_t ended;
	int status;

	atomic_store(
	    &master.sb.writable->children[service->slot].slot.n_writing,
	    rows[_i].n_writing);
	ck_assert_uint_eq(freeze_rest_of(&master).n_writes, rows[_i].n_writes);
	next_ms = freeze_look(&master, now_ms);
	ck_assert(master.is_quiet == rows[_i].quiet);
	if (rows[_i].quiet)
		ck_assert_int_eq(next_ms, INT64_MAX);
	else
		ck_assert_int_lt(next_ms, now_ms + 1000);
	ended = waitpid(service->pid, &status, rows[_i].killed ? 0 : WNOHANG);
	ck_assert_int_eq(ended, rows[_i].killed ? service->pid : 0);
	if (rows[_i].killed) {
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		ck_assert_str_ne(service->reason.text, "");
		service->pid = 0;
	}
}
END_TEST

/* What is left of a child that has ended: process 0 would be all of us. */
START_TEST(test_slot_of_nobody)
{
	struct err err;
	int slot = scoreboard_slot_claim(&master.sb, ROLE_SERVICE, &err);

	ck_assert_int_ne(slot, -1);
	scoreboard_slot_release(&master.sb, slot);
	atomic_store(&master.sb.writable->children[slot].slot.n_writing, -1);
	(void)freeze_look(&master, NOW);
	ck_assert(!master.is_quiet);
	ck_assert_int_eq(waitpid(service->pid, NULL, WNOHANG), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("freeze");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_loop_test(tc, test_count, 0, COUNT(rows));
	tcase_add_test(tc, test_slot_of_nobody);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
