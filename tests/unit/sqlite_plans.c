/* SPDX-License-Identifier: ISC */
#include "sqlite_plans.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <sqlite3.h>

enum { SEEN_MAX = 1024, TEXT_MAX = 64 * 1024 };

/* The others have few rows, or are read where nobody waits. */
static const char *const long_tables[] = {"event", "attempt", "label"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t seen[SEEN_MAX]; /* hashes of texts */
static size_t n_seen;

static bool
is_seen(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (const char *p = text; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
	for (size_t i = 0; i < n_seen; i++)
		if (seen[i] == hash)
			return true;
	ck_assert_uint_lt(n_seen, SEEN_MAX);
	seen[n_seen++] = hash;
	return false;
}

/* By an index as well: SEARCH is what has a beginning and an end in it. Of what
 * is being delivered there is no more than workers can hold. */
static bool
is_scan(const char *detail)
{
	static const char scan[] = "SCAN ";
	const char *table = detail + sizeof(scan) - 1;

	if (strstr(detail, "INDEX event_processing") != NULL)
		return false;
	if (strncmp(detail, scan, sizeof(scan) - 1) != 0)
		return false;
	for (size_t i = 0; i < sizeof(long_tables) / sizeof(long_tables[0]);
	     i++) {
		size_t len = strlen(long_tables[i]);

		if (strncmp(table, long_tables[i], len) == 0 &&
		    (table[len] == ' ' || table[len] == '\0'))
			return true;
	}
	return false;
}

/* One that is part of a change of the schema is not known beside it. */
static void
plan(sqlite3 *beside, const char *text)
{
	static char explain[TEXT_MAX];
	sqlite3_stmt *stmt = NULL;
	int n = snprintf(
	    explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", text);

	ck_assert(n > 0 && (size_t)n < sizeof(explain));
	if (sqlite3_prepare_v2(beside, explain, n, &stmt, NULL) != SQLITE_OK)
		return;
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *detail =
		    (const char *)sqlite3_column_text(stmt, 3);

		ck_assert_msg(!is_scan(detail), "%s: %s", detail, text);
	}
	(void)sqlite3_finalize(stmt);
}

/* What the tests themselves say, and migrations, has no arguments. */
static bool
is_planned(const char *text)
{
	static const char *const heads[] = {
	    "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE"};

	if (strchr(text, '?') == NULL)
		return false;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (strncmp(text, heads[i], strlen(heads[i])) == 0)
			return true;
	return false;
}

static int
on_statement(unsigned what, void *arg, void *stmt, void *unused)
{
	static _Thread_local bool within; /* the connection beside it, too */
	const char *text = sqlite3_sql(stmt), *path;
	sqlite3 *beside = NULL;

	(void)what;
	(void)arg;
	(void)unused;
	if (within || text == NULL || !is_planned(text))
		return 0;
	path = sqlite3_db_filename(sqlite3_db_handle(stmt), "main");
	within = true;
	(void)pthread_mutex_lock(&lock);
	if (path != NULL && path[0] != '\0' && !is_seen(text) &&
	    sqlite3_open_v2(path, &beside, SQLITE_OPEN_READONLY, NULL) ==
		SQLITE_OK)
		plan(beside, text);
	(void)sqlite3_close(beside);
	(void)pthread_mutex_unlock(&lock);
	within = false;
	return 0;
}

static int
on_open(sqlite3 *db, char **reason, const void *api)
{
	(void)reason;
	(void)api;
	return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, NULL);
}

void
sqlite_plans_watch(void)
{
	const union {
		int (*on_open)(sqlite3 *, char **, const void *);
		void (*any)(void);
	} entry = {.on_open = on_open};

	if (sqlite3_auto_extension(entry.any) != SQLITE_OK)
		abort();
}
