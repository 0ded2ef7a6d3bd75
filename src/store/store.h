/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_H
#define CASSATA_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "event/event.h"
#include "sql/sql_tls.h"

/*
 * The datastore: everything that survives a process. Calls are synchronous and
 * bounded by the time-outs of the parameters; one thread of a process uses a
 * store, through store_thread. The tables and the reasons for them are in
 * sql/ and doc/design.md.
 *
 * Workers own shards through leases, mark a batch of due rows PROCESSING under
 * their owner token, and write results only where the row still carries that
 * token. Lease times are the database's clock.
 */
struct store;

enum store_status {
	STORE_OK,
	STORE_UNAVAILABLE, /* try again later: nothing is known to have happened */
	STORE_BROKEN,	   /* will fail again: schema, rights, corrupt data */
};

/* A write lock that all processes of one SQLite file share; see write_lock.h. */
struct write_lock;

struct store_params {
	const char *url;	/* sqlite:PATH or mysql://user:password@host:port/name */
	const char *state_dir;	/* a relative SQLite path starts here */
	const char *password;	/* replaces the one in url, or NULL */
	enum sql_tls tls;	/* MySQL, as the paths of PEM files, or NULL: */
	const char *tls_ca_file;     /* the system's */
	const char *tls_certificate; /* none; goes with tls_key */
	const char *tls_key;
	int64_t connect_timeout_ms;
	int64_t timeout_ms;	/* of one read or write, and of waiting for locks */
	size_t max_event_bytes; /* that an add may bring; 0: not checked */
	int64_t min_free_bytes; /* SQLite: that adds leave for all else; 0: none */
	struct write_lock *write_lock; /* SQLite, or NULL: busy time-out only */
};

/*
 * Checks the parameters (which are copied) and allocates; the connection is
 * made by the first call that needs it, and again after it was lost, with a
 * growing pause during which calls fail at once with STORE_UNAVAILABLE.
 * 0, or -1 when url names no datastore.
 */
int store_open(
    const struct store_params *params, struct store **store, struct err *err);
void store_close(struct store **store); /* sets *store to NULL */

/* "sqlite" or "mysql"; the target without any secret, for messages. */
const char *store_kind(const struct store *store);
const char *store_target(const struct store *store);

/*
 * Connects and compares the schema version. With create, runs the migrations
 * that are missing, in order (a MySQL database that does not exist is created
 * too). Without it, a missing or other version is STORE_BROKEN with the command
 * that mends it in err. SQLite always creates and migrates. A server that takes
 * no statement of max_event_bytes is STORE_BROKEN, too.
 */
enum store_status store_check(struct store *store, bool create, struct err *err);

/* One round trip; on SQLite, a turn to write without anything to write. */
enum store_status store_ping(struct store *store, struct err *err);

/* ---- service ---- */

enum add_outcome {
	ADD_CREATED,
	ADD_SAME,     /* there already, same fingerprint */
	ADD_CONFLICT, /* there already, other content */
	ADD_NO_ROOM,  /* not there, and no room for it; later perhaps */
};

struct store_add {
	const struct event *event;
	struct event_key key;
	uint8_t fingerprint[EVENT_KEY_BYTES];
	/* Written by store_add_events; the shard is one of a new event, drawn
	 * by lot: so nobody chooses whose work an event becomes. */
	int64_t row_id;
	unsigned shard;
	enum add_outcome outcome;
	enum event_state state;	 /* present state, for ADD_SAME and ADD_CONFLICT */
};

/*
 * Adds all of them in one transaction and tells the outcome of each; two with
 * one key in a batch are created and same (or conflict). The order of adds[] is
 * changed. On failure nothing is known: the caller may repeat the whole, also
 * after a commit whose answer was lost.
 */
enum store_status store_add_events(
    struct store *store, struct store_add **adds, size_t n, struct err *err);

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

/* *record is NULL when there is no such event. */
enum store_status store_find_event(struct store *store,
    const struct event_key *key, enum store_find what,
    struct store_record **record, struct err *err);
void store_record_free(struct store_record *record);

enum cancel_outcome { CANCEL_DELETED, CANCEL_UNKNOWN, CANCEL_REFUSED };

/* Deletes an event that waits, and its attempt log. *state when refused. */
enum store_status store_cancel_event(struct store *store,
    const struct event_key *key, enum cancel_outcome *outcome,
    enum event_state *state, struct err *err);

/* ---- worker ---- */

enum { STORE_STRAYS_MAX = 64 };

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
	const struct store_death *dead; /* their leases are free */
	size_t n_dead;
	/* Owners known to live, but out of reach of the datastore: their leases
	 * end, what they have under way stays theirs. */
	const uint64_t *away;
	size_t n_away;
	unsigned max_attempts;	 /* a culprit at this count, but not at 1, is
				    FAILED */
	/* What the database's clock should show at least, or 0 for unknown: if
	 * it shows more it was stepped, or was out of reach for everybody, and
	 * nobody's lease ends by that. */
	int64_t expected_now_ms;
	const int64_t *known;	 /* row ids that we have under way, sorted */
	size_t n_known;
};

struct lease_reply {
	int64_t now_ms;		 /* the database's clock */
	uint64_t shards;	 /* owned now */
	uint64_t dropped;	 /* given up */
	/* Also of a call that failed: we were not registered as living when it
	 * came, so others may have had what was claimed before it. */
	bool lapsed;
	unsigned n_living;	 /* workers that take a share */
	int64_t clock_offset_ms; /* database's clock minus ours */
	size_t n_interrupted;	 /* rows put back whose worker was lost */
	bool buried;		 /* some of them in shards of others */
	bool quarantined;	 /* rows of our shards, or of those, are to be
				    delivered alone */
	size_t n_strays;	 /* PROCESSING rows under our own token, of */
	int64_t strays[STORE_STRAYS_MAX]; /* which we may know nothing: the
					     caller releases those */
};

/*
 * One transaction: register this worker as living, renew the leases it holds,
 * give up those above its share (shards ÷ living workers), take free, expired
 * and dead owners' ones up to its share, and put PROCESSING rows of its shards,
 * and all of those that it is the first to know dead, back to waiting when their
 * owner does not live: due as before, the attempt not counted. But that of the
 * culprit is counted and logged as interrupted, and it is FAILED at
 * max_attempts. Where there is no culprit, the rows that were on the wire (all,
 * where that is not known) are suspects; a row that is one for the second time
 * is quarantined, until a result is written or it is deleted. When the owner of
 * one in quarantine is gone, that is its culprit, unless it is known not to have
 * been begun.
 *
 * Rows outlive the lease of their shard: who gives a shard up still writes the
 * results of what it has under way there. So who leaves counts as living until
 * known[] is empty, but without a share.
 *
 * strays: with in_doubt, up to STORE_STRAYS_MAX ids of any shard that are not in
 * known[].
 */
enum store_status store_lease(struct store *store,
    const struct lease_request *request, struct lease_reply *reply,
    struct err *err);

enum result_kind {
	RESULT_COMPLETED,
	RESULT_FAILED,	 /* final; logged as an attempt */
	RESULT_RETRY,	 /* waits for due_ms; logged as an attempt */
	RESULT_RELEASED, /* never started: the attempt is not counted */
};

struct store_result {
	int64_t row_id;
	enum result_kind kind;
	unsigned attempt;	/* number of the attempt, from the claim */
	int64_t at_ms;		/* when the attempt ended */
	int64_t due_ms;		/* RETRY, RELEASED: the next one; 0: as before */
	int code;		/* HTTP status, 0 for none */
	struct slice error;
	struct slice response;
};

/* A claimed event; one allocation, freed by store_claim_free. */
struct store_claim {
	int64_t row_id;
	unsigned shard;
	unsigned attempt; /* 1 for the first */
	int64_t due_ms;
	size_t bytes; /* of the allocation */
	struct event event;
};

void store_claim_free(struct store_claim *claim);

struct claim_request {
	uint64_t owner;
	/* Claims what is in quarantine, of whatever shard, and nothing else: for
	 * an owner that has nothing else under way, so that its death tells. */
	bool alone;
	uint64_t shards;	/* bit per shard to claim from */
	const struct store_result *results;
	size_t n_results;
	size_t claim_max;	/* 0: write results only */
	size_t claim_bytes;	/* that are there claim no further; 0: any */
	int64_t horizon_ms;	/* claim rows due up to here, database's clock */
	struct store_claim **claims; /* room for claim_max */
};

struct claim_reply {
	size_t n_stale;		/* results whose row was no longer ours */
	uint64_t owned;		/* of shards, those still leased to owner */
	struct store_claim **claims; /* the request's; each is the caller's */
	size_t n_claims;
	size_t n_bytes;		/* of the claims */
	bool cut;		/* by claim_bytes; more is then true */
	bool more;		/* more rows may be due up to the horizon */
	int64_t next_due_ms;	/* earliest waiting row that was not claimed,
				   INT64_MAX for none; valid if claim_max > 0 */
};

/*
 * One transaction: write the results, then mark and read the next due rows of
 * the shards that are still ours, about in (due, id) order. On failure nothing
 * was claimed as far as the caller is concerned (a claim whose commit answer
 * was lost shows up as a stray), and the results are to be given again; giving
 * a result twice is harmless. A row that was put back and claimed again by the
 * same owner may come with the number of the attempt before: then the result of
 * either is the result of both.
 */
enum store_status store_settle_and_claim(struct store *store,
    const struct claim_request *request, struct claim_reply *reply,
    struct err *err);

/*
 * Deletes up to limit events that ended before before_ms, with their attempt
 * logs, in the shards of the mask. *n is how many.
 */
enum store_status store_purge(struct store *store, uint64_t shards,
    int64_t before_ms, size_t limit, size_t *n, struct err *err);

#endif
