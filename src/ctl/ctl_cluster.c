/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json_write.h"
#include "ctl/ctl_print.h"
#include "ctl/ctl_table.h"
#include "proc/privileges.h"
#include "store/store.h"

enum {
	CLOCK_SLACK_MS = 1000, /* more than that is named */
	JSON_MAX_BYTES = 4 * 1024 * 1024,
};

struct cluster {
	struct store_registration *list; /* owned; STORE_INSTANCES_MAX */
	size_t n;
	unsigned n_free;
	int64_t now_ms;
};

/* ---- the datastore ---- */

static int
read_store(struct store *store, struct cluster *c, struct err *err)
{
	return store_registrations(store, c->list, STORE_INSTANCES_MAX, &c->n,
		   &c->n_free, &c->now_ms, err) == STORE_OK
		   ? 0
		   : -1;
}

static int
open_and_read(const struct ctl *ctl, struct cluster *c, struct err *err)
{
	struct store_params params = config_store_params(&ctl->cfg);
	struct store *store;
	int result;

	params.max_event_bytes = 0; /* none is added */
	if (store_open(&params, &store, err) == -1)
		return -1;
	result = read_store(store, c, err);
	store_close(&store);
	return result;
}

/* What SQLite makes beside a file belongs to the user of the children; the file
 * itself would be made. */
static int
become_reader(const struct ctl *ctl, struct err *err)
{
	struct sql_place place;
	int result = 0;

	if (sql_describe(ctl->cfg.datastore.url, ctl->cfg.master.state_dir,
		&place, err) == -1)
		return -1;
	if (place.file != NULL && privileges_drop(&ctl->cfg.master, err) == -1)
		result = -1;
	else if (place.file != NULL && access(place.file, R_OK | W_OK) == -1)
		result = err_errno(err, "%s", place.file);
	sql_place_free(&place);
	return result;
}

/* ---- what is told of one ---- */

static int64_t
age_ms(const struct cluster *c, const struct store_registration *r)
{
	return c->now_ms > r->seen_ms ? c->now_ms - r->seen_ms : 0;
}

/* How far its host's clock is ahead of the database's. A file has that of the
 * host itself: then only what is yet to come tells. */
static int64_t
ahead_ms(const struct cluster *c, const struct store_registration *r)
{
	return r->wall_ms - (r->seen_ms < c->now_ms ? r->seen_ms : c->now_ms);
}

/* Of an older version nothing is known. */
static bool
tells_clock(const struct store_registration *r)
{
	return r->wall_ms != 0 && r->seen_ms != 0;
}

static bool
is_off(const struct cluster *c, const struct store_registration *r)
{
	return tells_clock(r) && llabs(ahead_ms(c, r)) > CLOCK_SLACK_MS;
}

/* Others look after one that is silent for its lease. */
static const char *
state_of(const struct cluster *c, const struct store_registration *r)
{
	if (r->seen_ms != 0 && age_ms(c, r) > r->lease_ms)
		return "silent";
	return r->active ? "active" : "passive";
}

/* Each host once, where it is off most. */
static bool
is_worst_of_host(const struct cluster *c, size_t at)
{
	const struct store_registration *r = &c->list[at];

	if (!is_off(c, r))
		return false;
	for (size_t i = 0; i < c->n; i++) {
		const struct store_registration *other = &c->list[i];
		int64_t more = is_off(c, other) ? llabs(ahead_ms(c, other)) -
						      llabs(ahead_ms(c, r))
						: -1;

		if (strcmp(other->host, r->host) == 0 &&
		    (more > 0 || (more == 0 && i < at)))
			return false;
	}
	return true;
}

static const char *
or_dash(const char *text)
{
	return *text == '\0' ? "-" : text;
}

static void
show_time(int64_t ms, char *text, size_t size)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(text, size, "-");
}

/* "3.2", or with a sign where one is asked for. */
static void
show_seconds(int64_t ms, bool sign, char *text, size_t size)
{
	(void)snprintf(
	    text, size, sign ? "%+.1fs" : "%.1fs", (double)ms / 1000);
}

/* ---- the table ---- */

static void
print_row(const struct cluster *c, const struct store_registration *r)
{
	char started[32], seen[32] = "-", lease[32], clock[32] = "-";

	show_time(r->started_ms, started, sizeof(started));
	show_seconds(r->lease_ms, false, lease, sizeof(lease));
	if (tells_clock(r)) {
		show_seconds(age_ms(c, r), false, seen, sizeof(seen));
		show_seconds(ahead_ms(c, r), true, clock, sizeof(clock));
	}
	ctl_table_word(or_dash(r->host), 19);
	printf("%-20s %8lld %-7s %6u %9s %8s %8s  ", started, (long long)r->pid,
	    state_of(c, r), r->n_shards, seen, lease, clock);
	(void)ctl_print(stdout, slice_from_string(or_dash(r->node)), false);
	(void)putchar('\n');
}

static void
print_table(const struct cluster *c)
{
	printf("%-20s %-20s %8s %-7s %6s %9s %8s %8s  %s\n", "HOST", "STARTED",
	    "PID", "STATE", "SHARDS", "SEEN", "LEASE", "CLOCK", "NODE");
	for (size_t i = 0; i < c->n; i++)
		print_row(c, &c->list[i]);
	if (c->n_free > 0)
		printf("%u shards are nobody's\n", c->n_free);
	if (c->n == STORE_INSTANCES_MAX)
		printf("those beyond %d are not shown\n", STORE_INSTANCES_MAX);
	for (size_t i = 0; i < c->n; i++) {
		int64_t ms = ahead_ms(c, &c->list[i]);

		if (!is_worst_of_host(c, i))
			continue;
		printf("the clock of ");
		(void)ctl_print(
		    stdout, slice_from_string(or_dash(c->list[i].host)), false);
		printf(" is %.1f s %s that of the datastore\n",
		    (double)llabs(ms) / 1000, ms > 0 ? "ahead of" : "behind");
	}
}

/* ---- the document ---- */

static void
write_row(struct json_writer *w, const struct cluster *c,
    const struct store_registration *r)
{
	char owner[17];

	(void)snprintf(owner, sizeof(owner), "%016" PRIx64, r->owner);
	json_object(w, NULL);
	json_string(w, "host", r->host);
	json_seconds(w, "started", r->started_ms);
	json_string(w, "owner", owner);
	json_number(w, "pid", r->pid);
	json_string(w, "state", state_of(c, r));
	json_number(w, "shards", r->n_shards);
	json_seconds(w, "lease", r->lease_ms);
	if (tells_clock(r)) {
		json_seconds(w, "age", age_ms(c, r));
		json_number(w, "clock-ahead-ms", ahead_ms(c, r));
	}
	json_string(w, "node", r->node);
	json_end_object(w);
}

static void
write_all(struct json_writer *w, const struct cluster *c)
{
	json_object(w, NULL);
	json_array(w, "instances");
	for (size_t i = 0; i < c->n; i++)
		write_row(w, c, &c->list[i]);
	json_end_array(w);
	json_number(w, "free-shards", c->n_free);
	json_array(w, "clocks-off");
	for (size_t i = 0; i < c->n; i++)
		if (is_worst_of_host(c, i))
			json_string(w, NULL, c->list[i].host);
	json_end_array(w);
	json_end_object(w);
}

static int
print_document(const struct cluster *c, struct err *err)
{
	struct buf out;
	struct json_writer w = {.out = &out};
	int result = 0;

	buf_init(&out, JSON_MAX_BYTES);
	write_all(&w, c);
	if (buf_append_char(&out, '\n') == -1)
		result = err_set(err, "no memory for the document");
	else
		(void)fwrite(out.p, 1, out.len, stdout);
	buf_free(&out);
	return result;
}

int
ctl_cluster(struct ctl *ctl)
{
	struct cluster c = {
	    .list = calloc(STORE_INSTANCES_MAX, sizeof(*c.list))};
	int status = CTL_OK;
	struct err err;

	if (c.list == NULL)
		return ctl_fail(ctl, "no memory");
	if (become_reader(ctl, &err) == -1 ||
	    open_and_read(ctl, &c, &err) == -1)
		status = ctl_fail(ctl, "%s", err.text);
	else if (!ctl->json)
		print_table(&c);
	else if (print_document(&c, &err) == -1)
		status = ctl_fail(ctl, "%s", err.text);
	free(c.list);
	return status;
}
