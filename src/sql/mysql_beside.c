/* SPDX-License-Identifier: ISC */
#include "sql/mysql_beside.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/title.h"
#include "sql/mysql_open.h"

struct mysql_beside {
	pthread_t thread;
	_Atomic bool stopped; /* by us: no further try */
	_Atomic bool ended;   /* by the thread: the rest is ours again */
	/* Borrows place, trust and password of the one in use. */
	struct mysql_conn conn;
	unsigned from; /* where that was */
	unsigned tried;
};

static void
try_servers(struct mysql_beside *b)
{
	struct mysql_conn *c = &b->conn;
	int64_t now_ms = clock_mono_ms();
	struct err err;
	int i;

	while (!c->sql.connected && !atomic_load(&b->stopped) &&
	       (i = rotation_better(&c->rotation, b->from, b->tried, now_ms)) !=
		   -1) {
		b->tried |= 1U << i;
		/* One that has just come back may have much to catch up. */
		if (mysql_open_one(c, (unsigned)i, &err) == STORE_OK &&
		    sql_catch_up(&c->sql, &err) == STORE_OK)
			return;
		mysql_conn_close(c);
		now_ms = clock_mono_ms();
	}
}

static void *
beside_main(void *arg)
{
	struct mysql_beside *b = arg;
	struct mysql_prepared *p;

	title_set_thread("beside");
	(void)mysql_thread_init();
	try_servers(b);
	/* They are bound to columns that go with b. */
	while ((p = TAILQ_FIRST(&b->conn.prepared)) != NULL)
		mysql_conn_forget(&b->conn, p);
	mysql_thread_end();
	atomic_store(&b->ended, true);
	return NULL;
}

struct mysql_beside *
mysql_beside_start(const struct mysql_conn *c)
{
	struct mysql_beside *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->from = c->host;
	b->conn.sql.driver = c->sql.driver;
	b->conn.place = c->place;
	b->conn.trust = c->trust;
	b->conn.password = c->password;
	b->conn.rotation = c->rotation;
	b->conn.connect_timeout_s = c->connect_timeout_s;
	b->conn.timeout_s = c->timeout_s;
	TAILQ_INIT(&b->conn.prepared);
	if (pthread_create(&b->thread, NULL, beside_main, b) != 0) {
		free(b);
		return NULL;
	}
	return b;
}

void
mysql_beside_free(struct mysql_beside **beside)
{
	struct mysql_beside *b = *beside;

	if (b == NULL)
		return;
	atomic_store(&b->stopped, true);
	(void)pthread_join(b->thread, NULL);
	mysql_conn_close(&b->conn);
	mysql_conn_free_columns(&b->conn);
	free(b);
	*beside = NULL;
}

bool
mysql_beside_end(struct mysql_beside **beside, struct mysql_conn *c)
{
	struct mysql_beside *b = *beside;

	if (!atomic_load(&b->ended))
		return false;
	for (unsigned i = 0; i < b->from; i++)
		if ((b->tried >> i & 1) != 0)
			c->rotation.hosts[i] = b->conn.rotation.hosts[i];
	if (b->conn.sql.connected && b->conn.host < c->host)
		mysql_conn_move(&b->conn, c);
	mysql_beside_free(beside);
	return true;
}
