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
};

#define RUN_IS_GONE                                                            \
	" NOT EXISTS (SELECT 1 FROM event WHERE event.id = schedule.next_row"  \
	" AND event.status < 2)"

static int64_t
overdue_s(const struct schedule_mend *mend)
{
	return mend->now_ms / 1000 - OVERDUE_S;
}

static enum store_status
find_broken(struct sql *sql, const struct schedule_mend *mend,
    int64_t ids[MENDED_MAX], size_t *n, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT id FROM schedule WHERE next_s > 0 AND next_s < ?"
		    " AND" RUN_IS_GONE " LIMIT ?",
	    .columns = "i"};
	enum store_status status;

	*n = 0;
	sql_i64(sql, overdue_s(mend));
	sql_i64(sql, MENDED_MAX);
	status = sql_select(sql, &text, 0, err);
	while (*n < MENDED_MAX && sql_next(sql, &status, err))
		ids[(*n)++] = sql_read_i64(sql);
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
	bool broken;

	store_schedule_free(m->schedule); /* of a try that failed */
	status = schedule_lock(sql, m->id, &m->schedule, err);
	if (status == STORE_OK)
		status = is_broken(sql, m, &broken, err);
	if (status != STORE_OK || !broken)
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

enum store_status
mend_schedules(
    struct sql *sql, const struct schedule_mend *mend, struct err *err)
{
	int64_t ids[MENDED_MAX];
	size_t n;
	enum store_status status = find_broken(sql, mend, ids, &n, err);

	for (size_t i = 0; status == STORE_OK && i < n; i++) {
		struct mending m = {.mend = mend, .id = ids[i]};

		status = sql_transact(sql, mend_body, &m, err);
		store_schedule_free(m.schedule);
		if (status == STORE_BROKEN && sql->connected) {
			log_warnx("a schedule is passed over: %s", err->text);
			status = STORE_OK;
		}
	}
	return status;
}
