/* SPDX-License-Identifier: ISC */
#include "store/schedule_mend.h"

#include <inttypes.h>

#include "base/log.h"
#include "store/columns.h"
#include "store/schedule_run.h"

enum {
	OVERDUE_S = 60, /* a run that is on its way was claimed by then */
	MENDED_MAX = 32,
};

struct mending {
	const struct schedule_mend *mend;
	int64_t id;
	struct store_schedule *schedule;
	bool room; /* for the run */
};

struct broken {
	int64_t next_s, id;
};

#define RUN_IS_GONE                                                            \
	" NOT EXISTS (SELECT 1 FROM event WHERE event.id = schedule.next_row"  \
	" AND event.status < 2)"

static int64_t
overdue_s(const struct schedule_mend *mend)
{
	return mend->now_ms / 1000 - OVERDUE_S;
}

/* Behind those of the call before: what cannot be mended keeps none out. */
static enum store_status
find_broken(struct sql *sql, const struct schedule_mend *mend,
    struct broken list[MENDED_MAX], size_t *n, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT next_s, id FROM schedule WHERE next_s > 0"
		    " AND next_s >= ? AND next_s < ?"
		    " AND (next_s > ? OR id > ?)"
		    " AND" RUN_IS_GONE " ORDER BY next_s, id LIMIT ?",
	    .columns = "ii"};
	enum store_status status;

	*n = 0;
	sql_i64(sql, mend->after_s);
	sql_i64(sql, overdue_s(mend));
	sql_i64(sql, mend->after_s);
	sql_i64(sql, mend->after_id);
	sql_i64(sql, MENDED_MAX);
	status = sql_select(sql, &text, 0, err);
	while (*n < MENDED_MAX && sql_next(sql, &status, err)) {
		list[*n].next_s = sql_read_i64(sql);
		list[*n].id = sql_read_i64(sql);
		*n += sql_row_check(sql, NULL) == STORE_OK;
	}
	return sql_done(sql, status, err);
}

/* Again, locked: it may have gone on. */
static enum store_status
is_broken(
    struct sql *sql, const struct mending *m, bool *broken, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT COUNT(*) FROM schedule WHERE id = ?"
		    " AND" RUN_IS_GONE,
	    .columns = "i"};
	enum store_status status;
	int64_t n = 0;

	*broken = false;
	if (m->schedule == NULL || m->schedule->next_s == 0 ||
	    m->schedule->next_s >= overdue_s(m->mend))
		return STORE_OK;
	sql_i64(sql, m->id);
	status = sql_value(sql, &text, &n, err);
	*broken = n > 0;
	return status;
}

static enum store_status
mend_body(struct sql *sql, void *arg, struct err *err)
{
	struct mending *m = arg;
	struct schedule_times times;
	int64_t wanted_s, due_ms;
	enum store_status status;
	struct err reason;
	bool broken = false;

	m->room = true;
	store_schedule_free(m->schedule); /* of a try that failed */
	status = schedule_lock(sql, m->id, &m->schedule, err);
	if (status == STORE_OK)
		status = is_broken(sql, m, &broken, err);
	if (status == STORE_OK && broken)
		status = schedule_run_has_room(sql, m->schedule, &m->room, err);
	if (status != STORE_OK || !broken || !m->room)
		return status;
	if (schedule_open(m->schedule, m->mend->zones, &times, &reason) == -1) {
		log_warnx("schedule %" PRId64 " has no run that waits: %s",
		    m->id, reason.text);
		return STORE_OK;
	}
	if (recur_wanted(&times.at, m->schedule->next_s, m->mend->now_ms / 1000,
		&wanted_s))
		status = schedule_run_add(sql, m->schedule, &times,
		    m->mend->shard, wanted_s, &due_ms, err);
	else
		m->schedule->next_s = m->schedule->next_row = 0;
	return status == STORE_OK ? schedule_update(sql, m->schedule, err)
				  : status;
}

/* What cannot be mended, alone, keeps nobody from the others. */
static enum store_status
mend_one(struct sql *sql, struct mending *m, struct err *err)
{
	enum store_status status = sql_transact(sql, mend_body, m, err);

	store_schedule_free(m->schedule);
	if (status == STORE_DAMAGED ||
	    (status == STORE_BROKEN && sql->connected)) {
		log_warnx("a schedule is passed over: %s", err->text);
		return STORE_OK;
	}
	if (status == STORE_UNAVAILABLE && sql->full && sql->connected) {
		m->room = false;
		return STORE_OK;
	}
	return status;
}

enum store_status
mend_schedules(struct sql *sql, struct schedule_mend *mend, struct err *err)
{
	struct broken list[MENDED_MAX];
	size_t n;
	enum store_status status = find_broken(sql, mend, list, &n, err);

	mend->rest = status == STORE_OK && n == MENDED_MAX;
	for (size_t i = 0; status == STORE_OK && i < n; i++) {
		struct mending m = {.mend = mend, .id = list[i].id};

		status = mend_one(sql, &m, err);
		if (status != STORE_OK || !m.room)
			mend->rest = false;
		if (!m.room)
			break;
	}
	mend->after_s = mend->rest ? list[n - 1].next_s : 0;
	mend->after_id = mend->rest ? list[n - 1].id : 0;
	return status;
}
