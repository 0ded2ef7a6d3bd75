/* SPDX-License-Identifier: ISC */
#include "service/pause_answer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/pauses.h"

void
pause_answer_members(struct json_writer *w, const struct store_pause *pause)
{
	json_text(w,
	    pause->kind == PAUSE_APP ? "application-id" : "destination",
	    pause->name);
	json_seconds(w, "since", pause->since_ms);
	if (pause->until_ms != 0)
		json_seconds(w, "until", pause->until_ms);
	if (pause->note.len > 0)
		json_text(w, "note", pause->note);
}

void
pause_answer_write(struct json_writer *w, const struct store_pause *pause)
{
	json_object(w, NULL);
	pause_answer_members(w, pause);
	json_end_object(w);
}

enum store_status
pause_answer_read(
    struct store *store, struct store_pauses **pauses, struct err *err)
{
	enum store_status status;

	*pauses = malloc(sizeof(**pauses));
	if (*pauses == NULL) {
		(void)err_set(err, "no memory for a list of pauses");
		return STORE_UNAVAILABLE;
	}
	pauses_init(*pauses);
	status = store_list_pauses(store, clock_event_ms(), *pauses, err);
	if (status != STORE_OK)
		pause_answer_free(pauses);
	return status;
}

void
pause_answer_free(struct store_pauses **pauses)
{
	if (*pauses == NULL)
		return;
	pauses_fini(*pauses);
	free(*pauses);
	*pauses = NULL;
}
