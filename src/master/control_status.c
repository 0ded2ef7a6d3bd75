/* SPDX-License-Identifier: ISC */
#include "master/control_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/check.h"
#include "base/clock.h"
#include "board/metrics.h"
#include "master/freeze.h"
#include "proc/sandbox.h"
#include "store/store_types.h"

/* Takes value over. False when memory is short; value may be NULL then. */
static bool
put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value == NULL)
		return false;
	if (json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* null unless known. */
static bool
put_number(
    struct json_object *object, const char *key, bool known, int64_t value)
{
	if (known)
		return put(object, key, json_object_new_int64(value));
	return json_object_object_add(object, key, NULL) == 0;
}

static bool
append(struct json_object *array, struct json_object *value)
{
	if (value == NULL)
		return false;
	if (json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static struct json_object *
listening_json(const struct listener *listener)
{
	struct json_object *array = json_object_new_array();
	bool ok = array != NULL;
	char name[256];

	for (size_t i = 0; ok && listener != NULL && i < listener->n; i++) {
		if (listener_name(listener->fds[i], name, sizeof(name)) == 0)
			ok = append(array, json_object_new_string(name));
	}
	if (!ok) {
		json_object_put(array);
		return NULL;
	}
	return array;
}

/* What a living child has longest. False for nothing. */
static bool
longest_trouble(const struct master *m, char reason[SCOREBOARD_TROUBLE_BYTES],
    int64_t *since_ms)
{
	char text[SCOREBOARD_TROUBLE_BYTES];

	*since_ms = INT64_MAX;
	for (int i = scoreboard_next_used(&m->sb, 0); i < SCOREBOARD_SLOTS;
	     i = scoreboard_next_used(&m->sb, i + 1)) {
		int64_t ms = scoreboard_trouble(&m->sb, i, text);

		if (text[0] == '\0' || ms >= *since_ms ||
		    atomic_load(&scoreboard_place(&m->sb, i)->pid) == 0)
			continue;
		*since_ms = ms;
		memcpy(reason, text, sizeof(text));
	}
	return *since_ms != INT64_MAX;
}

/* What the preflight of the generation found: some of it is another's words. */
static bool
put_weakness(struct json_object *o, const struct place *preflight)
{
	char text[sizeof(preflight->reason.text)];

	if (preflight->state != CHILD_READY ||
	    preflight->reason.text[0] == '\0')
		return true;
	memcpy(text, preflight->reason.text, sizeof(text));
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return put(o, "datastore-weakness", json_object_new_string(text));
}

/* As the children have last seen it. */
static bool
put_datastore(struct json_object *o, const struct master *m)
{
	char reason[SCOREBOARD_TROUBLE_BYTES];
	int64_t since_ms;

	if (!longest_trouble(m, reason, &since_ms))
		return put(
		    o, "datastore-state", json_object_new_string("ready"));
	return put(o, "datastore-state", json_object_new_string("failing")) &&
	       put(o, "datastore-since",
		   json_object_new_int64(since_ms / 1000)) &&
	       put(o, "datastore-reason", json_object_new_string(reason));
}

static bool
put_freeze(struct json_object *o, const struct master *m)
{
	struct freeze_rest rest = freeze_rest_of(m);
	const char *state = !m->frozen     ? "thawed"
			    : !m->is_quiet ? "freezing"
					   : "frozen";

	if (!put(o, "freeze-state", json_object_new_string(state)))
		return false;
	return !m->frozen || m->is_quiet ||
	       (put(o, "freeze-workers",
		    json_object_new_int64((int64_t)rest.n_workers)) &&
		   put(o, "freeze-writes",
		       json_object_new_int64((int64_t)rest.n_writes)));
}

/* That the child of the slot heeds, as it says. */
static int
pauses_of(const struct scoreboard *sb, int slot)
{
	int n = atomic_load(&scoreboard_slot(sb, slot)->n_pauses);

	return n < 0 || n > STORE_PAUSES_MAX ? 0 : n;
}

/* As the worker that knows of most says. */
static bool
put_pauses(struct json_object *o, const struct scoreboard *sb)
{
	int most = 0;

	for (int i = scoreboard_next_used(sb, 0); i < SCOREBOARD_WORKER_SLOTS;
	     i = scoreboard_next_used(sb, i + 1))
		if (atomic_load(&scoreboard_place(sb, i)->pid) != 0 &&
		    pauses_of(sb, i) > most)
			most = pauses_of(sb, i);
	return put(o, "pauses", json_object_new_int64(most));
}

static const char *
place_state(const struct place *place)
{
	static const char *const names[] = {
	    [CHILD_STARTING] = "starting",
	    [CHILD_READY] = "ready",
	    [CHILD_DRAINING] = "draining",
	    [CHILD_FAILED] = "failed",
	};

	check((size_t)place->state < sizeof(names) / sizeof(names[0]));
	/* Empty for now: it will start. */
	if (place->pid == 0 && place->state != CHILD_FAILED)
		return names[CHILD_STARTING];
	return names[place->state];
}

/* Which of several servers of the datastore a child is at, if it is. */
static bool
put_server(
    struct json_object *o, const struct sql_place *datastore, unsigned server)
{
	const struct sql_host *host = sql_place_host(datastore, server);
	char where[SQL_WHERE_BYTES];

	if (host == NULL)
		return true;
	sql_host_show(host, where);
	return put(o, "datastore-host", json_object_new_string(where));
}

static struct json_object *
child_json(const struct master *m, const struct generation *gen,
    const struct place *place)
{
	const struct scoreboard_place *slot =
	    scoreboard_place(&m->sb, place->pid == 0 ? 0 : place->slot);
	bool alive = place->pid != 0;
	struct json_object *o = json_object_new_object();
	char trouble[SCOREBOARD_TROUBLE_BYTES] = "";
	unsigned server = 0;

	if (o == NULL)
		return NULL;
	if (alive) {
		scoreboard_trouble(&m->sb, place->slot, trouble);
		server =
		    atomic_load(&scoreboard_slot(&m->sb, place->slot)->server);
	}
	if (!put(o, "role", json_object_new_string(place_name(place))) ||
	    !put(o, "number", json_object_new_int64(place->number)) ||
	    !put_number(o, "pid", alive, place->pid) ||
	    !put(o, "state", json_object_new_string(place_state(place))) ||
	    !put(o, "generation", json_object_new_int64(gen->number)) ||
	    !put_number(
		o, "started", alive, atomic_load(&slot->started_ms) / 1000) ||
	    !put_server(o, &gen->cfg.datastore.place, server) ||
	    (alive && place->slot < SCOREBOARD_WORKER_SLOTS &&
		!put(o, "pauses",
		    json_object_new_int64(pauses_of(&m->sb, place->slot)))) ||
	    (trouble[0] != '\0' &&
		!put(o, "trouble", json_object_new_string(trouble)))) {
		json_object_put(o);
		return NULL;
	}
	return o;
}

/* An empty place that nobody will fill is of no interest, unless it failed. */
static bool
is_shown(const struct place *place)
{
	return place->pid != 0 || place->start_at_ms != INT64_MAX ||
	       place->state == CHILD_FAILED;
}

static struct json_object *
children_json(const struct master *m)
{
	struct json_object *array = json_object_new_array();
	const struct generation *gen;
	bool ok = array != NULL;

	TAILQ_FOREACH(gen, &m->generations, entry) {
		for (size_t i = 0; ok && i < gen->n_places; i++) {
			if (is_shown(&gen->places[i]))
				ok = append(
				    array, child_json(m, gen, &gen->places[i]));
		}
	}
	if (!ok) {
		json_object_put(array);
		return NULL;
	}
	return array;
}

static struct json_object *
metric_json(const struct scoreboard *sb, enum metric metric)
{
	int64_t value = metrics_sum(sb, metric);

	return metric_is_seconds(metric)
		   ? json_object_new_double((double)value / 1000)
		   : json_object_new_int64(value);
}

static struct json_object *
metrics_json(const struct scoreboard *sb)
{
	static const char *const names[] = {
#define METRIC_NAME(id, type, metric, labels, help) metric labels,
	    METRICS(METRIC_NAME)
#undef METRIC_NAME
	};
	struct json_object *o = json_object_new_object();
	bool ok = o != NULL;

	for (unsigned i = 0; ok && i < METRIC_COUNT; i++)
		ok = !metrics_has(sb, (enum metric)i) ||
		     put(o, names[i], metric_json(sb, (enum metric)i));
	if (!ok) {
		json_object_put(o);
		return NULL;
	}
	return o;
}

/* "on", "off", or what this kernel lacks for it. */
static struct json_object *
sandbox_json(const struct config_master *cfg)
{
	struct err lacks;

	if (!cfg->sandbox)
		return json_object_new_string("off");
	return json_object_new_string(
	    sandbox_lacks(&lacks) ? lacks.text : "on");
}

static bool
fill_status(struct json_object *o, const struct master *m)
{
	/* There is one as long as the loop runs. */
	const struct generation *gen =
	    m->current != NULL ? m->current : TAILQ_FIRST(&m->generations);
	const char *file = gen->cfg.file;

	if (!put(o, "version", json_object_new_string(CASSATA_VERSION)) ||
	    !put(o, "pid", json_object_new_int64(getpid())) ||
	    !put(o, "state", json_object_new_string(phase_state(m->phase))) ||
	    !put(o, "started", json_object_new_int64(m->started_ms / 1000)))
		return false;
	if (file == NULL ? json_object_object_add(o, "config", NULL) == -1
			 : !put(o, "config", json_object_new_string(file)))
		return false;
	if (m->options.test_clock &&
	    !put(o, "test-clock-ahead",
		json_object_new_double((double)clock_ahead_ms() / 1000)))
		return false;
	return put(o, "listening", listening_json(gen->listener)) &&
	       put(o, "datastore",
		   json_object_new_string(gen->cfg.datastore.place.shown)) &&
	       put_datastore(o, m) && put_weakness(o, &gen->preflight) &&
	       put_freeze(o, m) && put_pauses(o, &m->sb) &&
	       put(o, "sandbox", sandbox_json(&gen->cfg.master)) &&
	       put(o, "children", children_json(m)) &&
	       put(o, "metrics", metrics_json(&m->sb));
}

void
control_status_write(const struct master *m, struct buf *answer)
{
	struct json_object *o = json_object_new_object();
	const char *text = NULL;

	if (o != NULL && fill_status(o, m))
		text = json_object_to_json_string_ext(
		    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text == NULL || buf_printf(answer, "%s\n", text) == -1) {
		buf_reset(answer);
		(void)buf_append_string(answer, "error: out of memory\n");
	}
	json_object_put(o);
}
