/* SPDX-License-Identifier: ISC */
#include "store/pause.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "store/columns.h"
#include "store/pauses.h"
#include "store/record.h"

enum { ROUNDS_MAX = 10 };

#define PAUSES(NOTE) "SELECT number, kind, since_ms, until_ms, name, " NOTE
#define BY_NUMBER    " FROM pause ORDER BY number"

static enum store_status
check_pause(int64_t number, int64_t kind, const struct store_pause *pause,
    struct err *err)
{
	const struct {
		const char *what;
		int64_t value, max;
	} all[] = {
	    {"the number of a pause", number, STORE_PAUSE_NUMBER_MAX},
	    {"the kind of a pause", kind, PAUSE_HOST},
	    {"since_ms", pause->since_ms, STORE_TIME_MAX_MS},
	    {"until_ms", pause->until_ms, STORE_TIME_MAX_MS},
	    {"bytes of a name", (int64_t)pause->name.len, STORE_PAUSE_NAME_MAX},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (store_check_number(
			all[i].what, all[i].value, all[i].max, err) != STORE_OK)
			return STORE_BROKEN;
	/* To no name leads every URL. */
	if (number > 0 && pause->name.len > 0)
		return STORE_OK;
	(void)err_set(err, "it has no number or no name");
	return STORE_BROKEN;
}

/* Nothing would be delivered as long as it is there, were it an error. */
static void
skip_pause(atomic_bool *told, int64_t number, const char *reason)
{
	if (!atomic_exchange(told, true))
		log_warnx("pause %" PRId64 " is left out: %s", number, reason);
}

/* Who does not ask for it obeys the pause as well, whatever it is. */
static struct slice
note_of_row(struct sql *sql)
{
	struct slice note = sql_read_bytes(sql);

	return sql_row_check(sql, NULL) == STORE_OK &&
		       note.len <= STORE_PAUSE_NOTE_MAX
		   ? note
		   : SLICE_LITERAL("");
}

/* The present row. Of one that is left out the log tells once. */
static enum store_status
take_pause(struct sql *sql, struct store_pauses *pauses, struct err *err)
{
	static atomic_bool told[STORE_PAUSE_NUMBER_MAX + 1], told_of_more;
	int64_t number = sql_read_i64(sql), kind = sql_read_i64(sql);
	bool has_number = number > 0 && number <= STORE_PAUSE_NUMBER_MAX;
	struct store_pause pause = {.number = (unsigned)number,
	    .kind = kind == PAUSE_APP ? PAUSE_APP : PAUSE_HOST};
	enum store_status status;
	struct err reason;

	pause.since_ms = sql_read_i64(sql);
	pause.until_ms = sql_read_i64(sql);
	pause.name = sql_read_bytes(sql);
	status = sql_row_check(sql, &reason);
	if (status == STORE_UNAVAILABLE)
		return sql_no_memory(err);
	pause.note = note_of_row(sql);
	if (status == STORE_OK)
		status = check_pause(number, kind, &pause, &reason);
	if (status != STORE_OK)
		skip_pause(&told[has_number ? number : 0], number, reason.text);
	else if (pauses->n == STORE_PAUSES_MAX)
		skip_pause(
		    &told_of_more, number, "it is one more than there may be");
	else if (pauses_add(pauses, &pause) == -1)
		return sql_no_memory(err);
	return STORE_OK;
}

static enum store_status
take_pauses(struct sql *sql, const struct sql_text *text,
    struct store_pauses *pauses, struct err *err)
{
	enum store_status status;

	pauses_clear(pauses);
	status = sql_select(sql, text, 0, err);
	while (sql_next(sql, &status, err))
		status = take_pause(sql, pauses, err);
	status = sql_done(sql, status, err);
	pauses_settle(pauses);
	return status;
}

static bool
lasts(const struct store_pause *pause, int64_t now_ms)
{
	return pause->until_ms == 0 || pause->until_ms > now_ms;
}

enum store_status
pause_read(struct sql *sql, int64_t now_ms, bool notes,
    struct store_pauses *pauses, bool *over, struct err *err)
{
	static const struct sql_text texts[] = {
	    {.head = PAUSES("''") BY_NUMBER, .columns = "iiiibb"},
	    {.head = PAUSES("note") BY_NUMBER, .columns = "iiiibb"},
	};
	enum store_status status = take_pauses(sql, &texts[notes], pauses, err);
	size_t n = 0;

	for (size_t i = 0; i < pauses->n; i++)
		if (lasts(&pauses->list[i], now_ms))
			pauses->list[n++] = pauses->list[i];
	*over = n < pauses->n;
	pauses->n = n;
	return status;
}

enum store_status
pause_delete_over(struct sql *sql, int64_t now_ms, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM pause WHERE until_ms > 0 AND until_ms <= ?"};

	sql_i64(sql, now_ms);
	return sql_exec(sql, &text, 0, NULL, err);
}

/* ---- changes ---- */

/* Of many, so that what was in doubt of one before it is not in doubt now. */
static unsigned
draw_number(const struct store_pauses *pauses)
{
	uint16_t lot = 0;
	unsigned number;
	size_t i;

	(void)!getentropy(&lot, sizeof(lot));
	number = lot % STORE_PAUSE_NUMBER_MAX;
	do {
		number = number % STORE_PAUSE_NUMBER_MAX + 1;
		i = 0;
		while (i < pauses->n && pauses->list[i].number != number)
			i++;
	} while (i < pauses->n);
	return number;
}

static enum store_status
insert_pause(struct sql *sql, struct store_pause_change *change, bool *done,
    struct err *err)
{
#define INSERT                                                                 \
	"INSERT INTO pause (number, kind, since_ms, until_ms, name, note)"     \
	" VALUES (?, ?, ?, ?, ?, ?)"
	/* Somebody may just have added one with its number or its name. */
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = INSERT
			   " ON DUPLICATE KEY UPDATE number = number"},
	    [SQL_SQLITE] = {.head = INSERT " ON CONFLICT DO NOTHING"},
	};
#undef INSERT
	struct store_pause *pause = &change->pause;
	uint64_t affected = 0;
	enum store_status status;

	pause->number = draw_number(change->found);
	sql_i64(sql, pause->number);
	sql_i64(sql, pause->kind);
	sql_i64(sql, pause->since_ms);
	sql_i64(sql, pause->until_ms);
	sql_bytes(sql, pause->name);
	sql_bytes(sql, pause->note);
	status = sql_exec(sql, sql_pick(sql, text), 0, &affected, err);
	*done = affected == 1;
	return status;
}

static enum store_status
write_again(struct sql *sql, const struct store_pause *pause, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE pause SET since_ms = ?, until_ms = ?, note = ?"
		    " WHERE number = ?"};

	sql_i64(sql, pause->since_ms);
	sql_i64(sql, pause->until_ms);
	sql_bytes(sql, pause->note);
	sql_i64(sql, pause->number);
	return sql_exec(sql, &text, 0, NULL, err);
}

static enum store_status
delete_pause(struct sql *sql, unsigned number, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM pause WHERE number = ?"};

	sql_i64(sql, number);
	return sql_exec(sql, &text, 0, NULL, err);
}

/* One that is damaged, and so not found; its kind may be the damage, and is the
 * other one alone of one that is not meant. */
static enum store_status
delete_named(struct sql *sql, const struct store_pause *pause, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM pause"
		    " WHERE COALESCE(kind <> ?, 1) AND name = ?"};

	sql_i64(sql, pause->kind == PAUSE_APP ? PAUSE_HOST : PAUSE_APP);
	sql_bytes(sql, pause->name);
	return sql_exec(sql, &text, 0, NULL, err);
}

struct changing_pause {
	struct store_pause_change *change;
	int64_t now_ms;
	bool done;
	bool again; /* something was in its way */
};

static enum store_status
end_pause(struct sql *sql, struct store_pause_change *change,
    const struct store_pause *found, struct err *err)
{
	if (found == NULL) {
		enum store_status status =
		    delete_named(sql, &change->pause, err);

		change->outcome = PAUSE_NONE;
		return status == STORE_OK ? sql_be_current(sql, err) : status;
	}
	change->outcome = PAUSE_ENDED;
	change->ended = found;
	return delete_pause(sql, found->number, err);
}

static enum store_status
begin_pause(struct sql *sql, struct changing_pause *c,
    const struct store_pause *found, struct err *err)
{
	struct store_pause_change *change = c->change;
	enum store_status status = STORE_OK;

	change->pause.since_ms = c->now_ms;
	change->outcome = PAUSE_BEGUN;
	if (found == NULL && change->found->n >= change->max) {
		change->outcome = PAUSE_TOO_MANY;
		return sql_be_current(sql, err);
	}
	if (found == NULL && c->again)
		status = delete_named(sql, &change->pause, err);
	if (found == NULL)
		return status == STORE_OK
			   ? insert_pause(sql, change, &c->done, err)
			   : status;
	change->pause.number = found->number;
	if (lasts(found, c->now_ms)) {
		change->outcome = PAUSE_KEPT;
		change->pause.since_ms = found->since_ms;
	}
	return write_again(sql, &change->pause, err);
}

static enum store_status
change_pause_body(struct sql *sql, void *arg, struct err *err)
{
	static const struct sql_text lock[] = {
	    [SQL_MYSQL] = {.head = PAUSES("note") BY_NUMBER " FOR UPDATE",
		.columns = "iiiibb"},
	    [SQL_SQLITE] = {.head = PAUSES("note") BY_NUMBER,
		.columns = "iiiibb"},
	};
	struct changing_pause *c = arg;
	struct store_pause_change *change = c->change;
	const struct store_pause *found;
	enum store_status status =
	    take_pauses(sql, sql_pick(sql, lock), change->found, err);

	if (status != STORE_OK)
		return status;
	c->done = true;
	found =
	    pauses_find(change->found, change->pause.kind, change->pause.name);
	return change->resume ? end_pause(sql, change, found, err)
			      : begin_pause(sql, c, found, err);
}

enum store_status
pause_change(
    struct sql *sql, struct store_pause_change *change, struct err *err)
{
	struct changing_pause c = {
	    .change = change, .now_ms = change->pause.since_ms};
	enum store_status status;
	int round = 0;

	check(change->pause.name.len > 0 &&
	      change->pause.name.len <= STORE_PAUSE_NAME_MAX &&
	      change->pause.note.len <= STORE_PAUSE_NOTE_MAX);
	do {
		c.again = round > 0;
		status = sql_transact(sql, change_pause_body, &c, err);
	} while (status == STORE_OK && !c.done && ++round < ROUNDS_MAX);
	if (status == STORE_OK && !c.done) {
		(void)err_set(err, "%s: takes no pause", sql->target);
		return STORE_BROKEN;
	}
	return status;
}
