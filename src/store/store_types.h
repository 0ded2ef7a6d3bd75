/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_TYPES_H
#define CASSATA_STORE_STORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pace.h"
#include "base/zones.h"
#include "event/ack_token.h"
#include "event/event.h"
#include "event/event_labels.h"
#include "event/event_patch.h"
#include "event/retry.h"
#include "sql/datastore.h"

/* What goes into the operations of store.h, and what comes out. */

/* ---- service ---- */

enum add_outcome {
	ADD_CREATED,
	ADD_SAME,     /* there already, same fingerprint */
	ADD_CONFLICT, /* there already, other content */
	ADD_NO_ROOM,  /* not there, and no room for it; later perhaps */
	ADD_TOO_LARGE, /* not there, and more than the database server takes */
	ADD_UNDONE,    /* of store_add_all: because of another one */
	ADD_KEPT,      /* there already, other content, which is to stay */
	ADD_REPLACED,  /* there already, other content: now it is this one */
	ADD_BROKEN,    /* what is there cannot be read, or the server refused */
};

struct store_add {
	const struct event *event;
	struct event_key key;
	uint8_t fingerprint[EVENT_KEY_BYTES];
	unsigned shard; /* of a new event; one that is there stays in its own */
	/* Written by store_add_events. */
	int64_t row_id;
	enum add_outcome outcome;
	enum event_state state;	 /* of what was there already */
	int64_t expiry_ms;	 /* of what is there now */
	/* Private: its place among those of its call, and when it was made. */
	size_t place;
	int64_t created_ms;
};

struct store_attempt {
	unsigned number;
	int64_t at_ms;
	int code;		/* HTTP status, 0 for none */
	struct slice error;	/* empty for none */
	struct slice response;	/* first bytes of the response body */
};

/* A row as read; one allocation, freed by store_record_free. */
struct store_record {
	enum event_state state;
	unsigned attempts;
	int64_t due_ms; /* next attempt of one that waits; when one finished */
	int64_t created_ms;
	int64_t first_attempt_ms; /* when that ended; 0: not yet */
	int last_code;	       /* 0 for none */
	struct slice last_error;
	struct event event;    /* only ids, expiry_ms without FIND_WHOLE */
	size_t n_log;
	struct store_attempt *log; /* by number; only with FIND_WHOLE */

	/* Private: the room that is left for the log. */
	size_t max_log;
	char *at, *end;
};

enum store_find { FIND_STATUS, FIND_WHOLE };

/* With all that its slices borrow; NULL does nothing, as with those below. */
void store_record_free(struct store_record *record);

/* Where a list is: behind the event with that value of the column due_ms, and
 * that row id. */
struct list_place {
	int64_t due_ms, row_id;
};

/* No event is due at that time or later. */
#define STORE_LIST_END_MS ((INT64_C(1) << 48) - 1)

/* Which events, in the order of their due times, or in the opposite one. */
struct list_query {
	struct slice app;
	unsigned states; /* a bit per enum event_state, one at least */
	/* Their next attempt, or when they finished: from 0 or later to
	 * before STORE_LIST_END_MS or earlier. */
	int64_t from_ms, before_ms;
	struct slice destination; /* HOST[:PORT] of the URL; empty: any */
	struct event_labels labels; /* all of them; none: any event */
	struct event_label first; /* of those, whose index is read */
	bool descending;
	bool bodies; /* records come with them */
};

/* An event of a list, unread. */
struct list_match {
	struct list_place place; /* that it was found at */
	int64_t due_ms;          /* of the row */
	int64_t expiry_ms;
};

enum { LIST_LOOK_MAX = 512 }; /* rows of a step, about */

/* A part of a list, and what it told. */
struct list_step {
	const struct list_query *query;
	size_t n_wanted;	 /* events of it, at most; 1 or more */
	size_t n_look;		 /* rows to look at, about */
	struct list_place place; /* changed to how far it came */
	bool begun; /* its datastore has caught up; at first false */
	/* Takes a record, to be freed; false: no more of them. */
	bool (*take)(void *arg, struct store_record *record);
	/* Instead, for who only counts; then n_wanted is of no account. */
	void (*meet)(void *arg, const struct list_match *match);
	void *arg;
	struct pace pace;

	bool end;		 /* there is nothing behind place */
	size_t n_looked;	 /* rows that were looked at */
	size_t n_damaged;	 /* events that cannot be read: left out */
};

enum cancel_outcome { CANCEL_DELETED, CANCEL_UNKNOWN, CANCEL_REFUSED };

enum change_verb {
	CHANGE_RUN,   /* one that waits: due now */
	CHANGE_RETRY, /* one that ended: again, due now, with a fresh count */
	CHANGE_PATCH, /* one that waits: as the patch says */
	CHANGE_DELETE, /* one that is not under way; it can be read whole */
};

enum change_outcome {
	CHANGE_MADE,
	CHANGE_UNKNOWN,
	CHANGE_REFUSED,	 /* its state is none for that */
	CHANGE_WORN_OUT, /* it had CHANGE_ATTEMPTS_MAX attempts */
	CHANGE_OTHER,	 /* it is not the one that was asked for */
	CHANGE_TOO_LARGE,
	CHANGE_TOO_LATE, /* after its not-after */
	CHANGE_LABELS,	 /* it would have too many */
};

/* Of a whole record, the same as long as nothing of it changes: a string. */
enum { STORE_TAG_BYTES = 2 * EVENT_KEY_BYTES + 3 };

/* With its quotes, as of RFC 9110, 8.8.3. 0, or -1 when memory is short. */
int store_record_tag(
    const struct store_record *record, char tag[STORE_TAG_BYTES]);

/* Beyond that nothing is begun again: its log is to stay readable. */
enum { CHANGE_ATTEMPTS_MAX = 5000 };

struct store_change {
	struct event_key key;
	enum change_verb verb;
	unsigned shard; /* into which it goes: see board/placement.h */
	bool stays;	/* where it is: shard is written, too */
	int64_t now_ms;
	const struct event_patch *patch; /* CHANGE_PATCH */
	size_t body_max;		 /* of one that is merged */
	struct slice if_match;		 /* a list of tags, or p is NULL */
	/* Written by store_change_event. */
	enum change_outcome outcome;
	char tag[STORE_TAG_BYTES]; /* of one that was patched */
	enum event_state state;	   /* as it is now */
	int64_t due_ms, expiry_ms; /* the same, unless it is unknown */
};

enum ack_outcome {
	ACK_TAKEN,   /* the attempt ended by it */
	ACK_SAME,    /* it had ended so before */
	ACK_OVER,    /* it ended otherwise, or is not the last one */
	ACK_UNKNOWN, /* no attempt that waits for one has that token */
};

/* What a receiver says of an attempt that it had answered with 202. */
struct store_ack {
	struct ack_token token;
	bool nack;
	int64_t now_ms;
	const struct retry_policy *retry; /* as configured */
	uint32_t random;		  /* any bits, to spread a wait by */
	struct slice said;		  /* what came with it: so many bytes */
	size_t log_bytes, callback_bytes; /* of it are kept in each */
	/* Written by store_ack_event. */
	enum ack_outcome outcome;
	struct store_record *record; /* as it was, or NULL; the caller's */
	enum event_state state;	     /* as it is now */
	int64_t due_ms;
	unsigned shard;
	bool wakes; /* something of that shard is due at due_ms */
};

/* ---- schedules ---- */

/* The ids of its runs have their time behind it. */
enum { SCHEDULE_ID_MAX = EVENT_ID_MAX - 25 };

/* A row as read; one allocation, freed by store_schedule_free. */
struct store_schedule {
	int64_t id; /* another one as soon as it is replaced */
	int64_t created_ms;
	int64_t since_s; /* as of struct recurring */
	bool paused;
	int64_t next_s;	   /* the time of the run that waits; 0: none */
	int64_t next_row;  /* of the event that it is */
	int64_t last_s;	   /* the time of the last one that was begun; 0: none */
	int64_t runs, skipped;	/* begun; left out as the one before went on */
	uint8_t fingerprint[EVENT_KEY_BYTES];
	struct slice app, name;
	struct slice spec;  /* JSON of event/recur_read.h */
	struct event event; /* of each run, without id and time; of a list
			       method and url only */
};

void store_schedule_free(struct store_schedule *schedule);

enum schedule_outcome {
	SCHEDULE_MADE,
	SCHEDULE_REPLACED,
	SCHEDULE_SAME, /* it is so already */
	SCHEDULE_UNKNOWN,
	SCHEDULE_NO_ROOM,
	SCHEDULE_TOO_LARGE,
	SCHEDULE_TOO_MANY,
};

struct schedule_put {
	struct slice app, name;
	struct slice spec;	   /* it is one */
	const struct event *event; /* as of struct store_schedule */
	unsigned shard;		   /* of the first run */
	size_t max;		   /* of the application's */
	struct zones *zones;	   /* the call's */
	/* Written by store_put_schedule. */
	enum schedule_outcome outcome;
	int64_t due_ms; /* of the run that was added, or INT64_MAX */
};

enum schedule_verb {
	SCHEDULE_DELETE,
	SCHEDULE_PAUSE,
	SCHEDULE_RESUME, /* goes on with the next time from now on */
	SCHEDULE_RUN,	 /* beside its times */
};

struct schedule_change {
	struct slice app, name;
	enum schedule_verb verb;
	unsigned shard;	     /* of what is added */
	struct zones *zones; /* the call's */
	/* Written by store_change_schedule. */
	enum schedule_outcome outcome;
	int64_t due_ms;		   /* as above */
	char run_id[EVENT_ID_MAX + 1]; /* of SCHEDULE_RUN */
};

/* What is looked after now and then. */
struct schedule_mend {
	int64_t now_ms; /* the database's clock */
	unsigned shard; /* of what is added */
	struct zones *zones;
	/* Where it came to; zero at first, and where there is no rest. */
	int64_t after_s, after_id;
	bool rest; /* written: there may be more, to be called again */
};

struct schedule_list {
	struct slice app;
	struct slice after; /* an id, or empty: those behind it */
	size_t max;
	/* Takes one, to be freed; false: no more of them. */
	bool (*take)(void *arg, struct store_schedule *schedule);
	/* Is told the id of one that cannot be read. */
	void (*take_damaged)(void *arg, struct slice name);
	void *arg;
};

/* ---- why ---- */

enum {
	STORE_STRAYS_MAX = 64,
	STORE_INSTANCES_MAX = 1024, /* workers that are registered at a time */
	STORE_HOST_MAX = 64,	    /* bytes kept of a host's name, with NUL */
	STORE_NODE_MAX = 256,	    /* the same of a database server's */
};

/* Who has a part in an event; owner 0: nobody. */
struct store_why_worker {
	uint64_t owner;
	bool is_registered;	   /* else it is gone, and the rest not known */
	int64_t pid;
	int64_t seen_ms, lease_ms; /* its last renewal; the database's clock */
	char host[STORE_HOST_MAX]; /* printable ASCII */
};

/* What an event waits for, as the datastore has it. */
struct store_why {
	struct store_record *record; /* without a log; NULL: it is not there */
	int64_t row_id;
	unsigned parked_by;	     /* number of a pause, or 0 */
	bool is_quarantined;
	struct store_why_worker claimer; /* of one that is under way */
	struct store_why_worker holder;	 /* of its shard */
	int64_t now_ms;			 /* the database's clock */
	/* Of a run in the queue of its schedule: which one it waits for. */
	char run_before[EVENT_ID_MAX + 1];
};

/* What comes next of all events. */
struct store_upcoming {
	int64_t now_ms;		     /* the time of events */
	struct store_pauses *pauses; /* the caller's: that last */
	/* Written by store_upcoming. When: now_ms or earlier while something
	 * is due, under way, or about to be put back from a pause; INT64_MAX:
	 * nothing comes. */
	int64_t at_ms;
};

/* ---- pauses ---- */

enum pause_kind {
	PAUSE_APP,
	PAUSE_HOST, /* HOST or HOST:PORT of URLs, in small letters */
};

enum {
	STORE_PAUSES_MAX = 256, /* at a time */
	STORE_PAUSE_NAME_MAX = 512,
	STORE_PAUSE_NOTE_MAX = 1000,
};

/* Of what no event is delivered for the time being. */
struct store_pause {
	unsigned number; /* see store/parked.h; never 0 */
	enum pause_kind kind;
	struct slice name;
	int64_t since_ms;
	int64_t until_ms; /* 0: until it is taken back */
	struct slice note;
};

/* All of them, by number, and the bytes of their names and notes. */
struct store_pauses {
	size_t n;
	struct store_pause list[STORE_PAUSES_MAX];
	struct buf bytes;
};

enum pause_outcome {
	PAUSE_BEGUN,
	PAUSE_KEPT, /* it was there: has another note and end now */
	PAUSE_ENDED,
	PAUSE_NONE, /* resume: there is none */
	PAUSE_TOO_MANY,
};

struct store_pause_change {
	bool resume;
	struct store_pause pause; /* resume: kind and name */
	size_t max;		  /* of pauses */
	/* Written by store_change_pause. */
	enum pause_outcome outcome;
	const struct store_pause *ended; /* resume: of found */
	struct store_pauses *found; /* the caller's: what was there */
};

/* What a worker does about pauses. */
struct pauses_request {
	int64_t now_ms;	 /* the database's clock: what ends before it is over */
	/* Puts back what no pause holds any more, of these shards, and no more
	 * than about so many rows. */
	uint64_t shards;
	size_t max;
};

struct pauses_reply {
	struct store_pauses *pauses; /* the request's; those that last */
	size_t n_put_back;
	bool rest; /* there may be more */
};

/* ---- worker ---- */

/* A registration, as it was seen: it shows another sign after each renewal. */
struct store_sign {
	uint64_t owner;
	int64_t sign;
};

struct store_instance {
	struct store_sign sign;
	int64_t lease_ms;	 /* without a renewal it is lost after that */
	bool active;		 /* takes a share of the shards */
	int64_t wall_ms;	 /* its host's clock when it last renewed */
	char host[STORE_HOST_MAX]; /* any bytes up to the NUL */
};

/* An owner whose process is known to be gone, and what is known of its end. */
struct store_death {
	uint64_t owner;
	int64_t culprit;	 /* the row that it died of, or 0 */
	bool wire_known;	 /* wire has all rows that were on the wire */
	const int64_t *wire;
	size_t n_wire;
};

struct lease_request {
	uint64_t owner;		 /* token of this worker: random, never 0 */
	int64_t lease_ms;
	bool leaving;		 /* give all up; take nothing */
	bool alone;		 /* takes no share: see claim_request.alone */
	bool in_doubt;		 /* a claim may be committed unseen: find strays */
	bool look;		 /* a server: renew only if more is to do */
	const struct store_death *dead; /* their leases are free */
	size_t n_dead;
	/* Whose sign has not changed for the length of their lease: they live no
	 * more, unless it changes before the call. */
	const struct store_sign *lost;
	size_t n_lost;
	/* Those known to live, though their sign does not change: others may
	 * have their leases, what they have under way stays theirs. */
	const struct store_sign *away;
	size_t n_away;
	unsigned max_attempts;	 /* a culprit at this count, but not at 1, is
				    FAILED */
	const int64_t *known;	 /* row ids that we have under way, sorted */
	size_t n_known;
	struct store_instance *instances; /* room for STORE_INSTANCES_MAX */
};

/* An event whose last attempt the death of its worker was. */
struct store_given_up {
	unsigned attempts;
	size_t app_len, id_len;
	char app[EVENT_APP_MAX], id[EVENT_ID_MAX];
};

enum { STORE_GIVEN_UP_MAX = 16 };

struct lease_reply {
	int64_t now_ms;		 /* the database's clock */
	/* Also of a call that failed: our registration holds from its begin. */
	bool renewed;
	uint64_t shards;	 /* owned now */
	uint64_t dropped;	 /* given up */
	/* Also of a call that failed: we were not registered as living when it
	 * came, so others may have had what was claimed before it. */
	bool lapsed;
	bool ended;		 /* registrations of others, or their share */
	size_t n_instances;	 /* the request's: all of them, ourselves too */
	unsigned n_living;	 /* workers that take a share */
	int64_t clock_offset_ms; /* database's clock minus ours */
	size_t n_interrupted;	 /* rows put back whose worker was lost */
	bool rest;		 /* there may be more: to be called again */
	size_t n_given_up;	 /* of them; the first ones are told: */
	struct store_given_up given_up[STORE_GIVEN_UP_MAX];
	bool buried;		 /* some of them in shards of others */
	bool quarantined;	 /* rows of our shards, or of those, are to be
				    delivered alone */
	size_t n_strays;	 /* PROCESSING rows under our own token, of */
	int64_t strays[STORE_STRAYS_MAX]; /* which we may know nothing: the
					     caller releases those */
};

/* A registration, as an operator is shown it. */
struct store_registration {
	uint64_t owner;
	int64_t pid;
	int64_t started_ms, seen_ms; /* the database's clock; its last renewal */
	int64_t wall_ms;	     /* its host's clock at that */
	int64_t lease_ms;
	bool active;
	unsigned n_shards;
	/* Printable ASCII; of the database server, HOST:PORT or "". */
	char host[STORE_HOST_MAX], node[STORE_NODE_MAX];
};

enum result_kind {
	RESULT_COMPLETED,
	RESULT_FAILED,	 /* final; logged as an attempt */
	RESULT_RETRY,	 /* waits for due_ms; logged as an attempt */
	RESULT_RELEASED, /* never started: the attempt is not counted */
	RESULT_LAPSED,	 /* the same, and final: the one before was the last */
};

/* Of the texts that an attempt leaves, so many bytes are kept. */
enum { STORE_ERROR_MAX = 512, STORE_RESPONSE_MAX = 2000 };

struct store_result {
	int64_t row_id;
	enum result_kind kind;
	unsigned attempt;	/* number of the attempt, from the claim */
	int64_t at_ms;		/* when the attempt ended */
	int64_t due_ms;		/* RETRY, RELEASED: the next one; 0: as before */
	int code;		/* HTTP status, 0 for none */
	bool logged;		/* COMPLETED: as an attempt, too */
	bool labelled;		/* the event has labels */
	/* Kept up to STORE_ERROR_MAX and STORE_RESPONSE_MAX; of COMPLETED
	 * neither is, logged or not. */
	struct slice error;
	struct slice response;
	/* COMPLETED and logged, FAILED or LAPSED: an event to add with it, into
	 * that shard, or NULL. */
	const struct event *callback;
	unsigned shard;
};

/* A claimed event; one allocation, freed by store_claim_free. */
struct store_claim {
	int64_t row_id;
	unsigned shard;
	unsigned attempt; /* 1 for the first */
	int64_t due_ms;
	size_t bytes; /* of the allocation */
	int last_code; /* of the attempt before; 0: no answer */
	bool has_error; /* it failed, whatever its code */
	struct event event;
};

void store_claim_free(struct store_claim *claim);

/* An event that waits, as whoever is to look for it needs to know. */
struct store_news {
	unsigned shard;
	int64_t due_ms;
	int64_t made_ms; /* by the clock of its service */
};

/* From from_ms to before to_ms by the clocks of the services that added them;
 * none when both are the same. */
struct newest_request {
	int64_t from_ms, to_ms;
	size_t max;
	bool marks;
};

/* Another number when something has changed; jobs: of those that are neither
 * paused nor over, 0 when there are none. Files have none. */
struct store_marks {
	int64_t pauses, jobs;
};

struct newest_reply {
	size_t n;	 /* of the news */
	bool more;	 /* there may be older ones behind them */
	int64_t damaged; /* a row that was left out, as nonsense, or 0 */
	struct store_marks marks;
};

struct claim_request {
	uint64_t owner;
	/* Claims what is in quarantine, of whatever shard, and nothing else: for
	 * an owner that has nothing else under way, so that its death tells. */
	bool alone;
	uint64_t shards;	/* bit per shard to claim from */
	const struct store_result *results;
	size_t n_results;
	size_t claim_max;	/* 0: write results only */
	bool backlog;		/* much more is due, as the last reply told: only
				   another order of looking for it */
	size_t claim_bytes;	/* that are there claim no further; 0: any */
	int64_t now_ms;		/* the database's clock */
	int64_t horizon_ms;	/* claim rows due up to here, by the same */
	int64_t soon_ms;	/* runs of schedules due before stay in their shard,
				   others go anywhere */
	struct store_claim **claims; /* room for claim_max */
	struct zones *zones;	/* the call's; NULL: local times stay as they are */
	/* What they are of is parked, not claimed; NULL: there are none. */
	const struct store_pauses *pauses;
};

/* A row that is due and cannot be read: what of it can. */
struct store_damaged {
	size_t app_len, id_len;
	char app[EVENT_APP_MAX], id[EVENT_ID_MAX];
	struct err reason; /* names the row and the column */
};

enum { STORE_DAMAGED_MAX = 8 };

struct claim_reply {
	size_t n_stale;		/* results whose row was no longer ours */
	uint64_t owned;		/* of shards, those still leased to owner */
	struct store_claim **claims; /* the request's; each is the caller's */
	size_t n_claims;
	size_t n_bytes;		/* of the claims */
	size_t n_parked;	/* rows that are parked now */
	size_t n_damaged;	/* that are put off; the first ones are told: */
	struct store_damaged damaged[STORE_DAMAGED_MAX];
	size_t n_passed_bytes;	/* of both */
	bool cut;		/* by claim_bytes; more is then true */
	bool more;		/* more rows may be due up to the horizon */
	int64_t next_due_ms;	/* no waiting row that was not claimed is due
				   before that, INT64_MAX for none; valid if
				   claim_max > 0 */
};

#endif
