/* SPDX-License-Identifier: ISC */
#include "store/local_time.h"

#include "base/clock.h"
#include "event/event_local.h"
#include "event/event_options.h"
#include "store/label.h"

bool
local_time_moved(const struct store_claim *claim,
    const struct claim_request *request, struct local_move *move)
{
	const struct event *ev = &claim->event;
	struct event_options options;
	struct err ignored;

	*move = (struct local_move){claim->row_id, 0, ev->expiry_ms, false};
	/* Not one that a client wants now, or that failed already. */
	if (ev->options.len == 0 || request->zones == NULL ||
	    claim->attempt > 1 ||
	    (claim->due_ms != ev->expiry_ms &&
		!event_local_is_look(claim->due_ms, ev->expiry_ms)) ||
	    event_options_parse(ev->options, &options, &ignored) == -1 ||
	    options.zone.len == 0)
		return false;
	(void)event_local_moment(request->zones, options.zone, options.local_s,
	    clock_mono_ms(), &move->expiry_ms, &ignored);
	move->labelled = options.labels.len > 0;
	move->due_ms =
	    event_local_look_ms(move->expiry_ms, request->horizon_ms);
	return move->due_ms > request->horizon_ms;
}

enum store_status
local_time_write(
    struct sql *sql, const struct local_move *moves, size_t n, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event SET due_ms = ?, expiry_ms = ?"
		    " WHERE id = ? AND status = 0"};
	enum store_status status = STORE_OK;

	for (size_t i = 0; status == STORE_OK && i < n; i++) {
		sql_i64(sql, moves[i].due_ms);
		sql_i64(sql, moves[i].expiry_ms);
		sql_i64(sql, moves[i].row_id);
		status = sql_exec(sql, &text, 0, NULL, err);
		if (status == STORE_OK && moves[i].labelled)
			status = label_follow(sql, &moves[i].row_id, 1, err);
	}
	return status;
}
