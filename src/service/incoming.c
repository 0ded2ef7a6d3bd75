/* SPDX-License-Identifier: ISC */
#include "service/incoming.h"

#include "base/check.h"
#include "base/clock.h"
#include "service/problem.h"

/* Not before there is a fingerprint: a moment that comes again is the same. */
static void
bound_debounce(struct event *ev, int64_t now_ms)
{
	if (ev->debounce_max_ms > 0 &&
	    ev->expiry_ms > now_ms + ev->debounce_max_ms)
		ev->expiry_ms = now_ms + ev->debounce_max_ms;
}

int
incoming_prepare(struct incoming *incoming, const char **reason)
{
	struct event *ev = &incoming->event;
	struct store_add *add = &incoming->item.add;
	int64_t now_ms = clock_event_ms();

	*reason = "no random bytes for an id";
	if (ev->id.p == NULL) {
		if (uuid_make_v7(now_ms, incoming->made_id) == -1)
			return -1;
		ev->id = slice_from_string(incoming->made_id);
	}
	event_resolve(ev, now_ms);
	*reason = "out of memory";
	add->event = ev;
	if (event_key_make(ev->app, ev->id, &add->key) == -1 ||
	    event_fingerprint(ev, add->fingerprint) == -1)
		return -1;
	bound_debounce(ev, now_ms);
	*reason = "no random bytes for a key";
	return event_options_draw_key(ev->options);
}

const char *
incoming_refusal(const struct store_add *add, int *status)
{
	switch (add->outcome) {
	case ADD_CREATED:
		*status = 201;
		return NULL;
	case ADD_SAME:
	case ADD_KEPT:
	case ADD_REPLACED:
		*status = 200;
		return NULL;
	case ADD_CONFLICT:
		if (event_replaces(add->event)) {
			*status = PROBLEM_WRONG_STATE;
			return add->state == EVENT_PROCESSING
				   ? "an event with these ids is under way"
				   : "the next run of a schedule cannot be "
				     "replaced: pause, delete or replace that";
		}
		*status = PROBLEM_CONFLICT;
		return "an event with these ids and other content exists";
	case ADD_NO_ROOM:
		*status = 507;
		return "the datastore has no room for more events";
	case ADD_TOO_LARGE:
		*status = 413;
		return "the database server takes no event of this size";
	case ADD_BROKEN:
		*status = 500;
		return "the datastore refused; see the log";
	case ADD_UNDONE:
		*status = INCOMING_UNDONE;
		return "another event of the request was refused";
	default:
		check(false);
	}
}

static void
write_ids(struct json_writer *w, const struct store_add *add)
{
	json_text(w, "application-id", add->event->app);
	json_text(w, "event-id", add->event->id);
}

void
incoming_write(struct json_writer *w, const struct store_add *add)
{
	bool replaced = add->outcome == ADD_REPLACED;
	enum event_state state = add->outcome == ADD_CREATED || replaced
				     ? EVENT_PENDING
				     : add->state;

	write_ids(w, add);
	json_string(w, "status", event_state_name(state));
	json_seconds(w, "expiry", add->expiry_ms);
	if (replaced)
		json_string(w, "replaced", event_state_name(add->state));
}

void
incoming_write_conflict(struct json_writer *w, const struct store_add *add)
{
	write_ids(w, add);
	json_string(w, "event-status", event_state_name(add->state));
}

void
incoming_write_errors(struct json_writer *w, const struct field_errors *errors)
{
	json_array(w, "errors");
	for (size_t i = 0; i < errors->len; i++) {
		json_object(w, NULL);
		json_string(w, "pointer", errors->list[i].pointer);
		json_string(w, "detail", errors->list[i].detail);
		json_end_object(w);
	}
	json_end_array(w);
}

enum verdict
incoming_answer_errors(struct http_exchange *x, const char *detail,
    const struct field_errors *errors)
{
	struct json_writer w = problem_begin(x, PROBLEM_INVALID_EVENT, detail);

	incoming_write_errors(&w, errors);
	return problem_end(x, &w);
}
