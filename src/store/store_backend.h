/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_BACKEND_H
#define CASSATA_STORE_STORE_BACKEND_H

#include "store/store.h"

struct store_backend;

/* What the backends have in hand: a request, and the reply to be. */
struct store_lease_turn {
	uint64_t owner; /* token of this worker: random, never 0 */
	int64_t lease_ms;
	bool leaving;  /* give all up; take nothing */
	bool alone;    /* takes no share: see claim_request.alone */
	bool in_doubt; /* a claim may be committed unseen: find strays */
	const struct store_death *dead; /* their leases are free */
	size_t n_dead;
	/* Owners known to live, but out of reach of the datastore: their leases
	 * end, what they have under way stays theirs. */
	const uint64_t *away;
	size_t n_away;
	unsigned max_attempts; /* a culprit at this count, but not at 1, is
				  FAILED */
	/* What the database's clock should show at least, or 0 for unknown: if
	 * it shows more it was stepped, or was out of reach for everybody, and
	 * nobody's lease ends by that. */
	int64_t expected_now_ms;

	int64_t now_ms;   /* out: the database's clock */
	uint64_t shards;  /* out: owned now */
	uint64_t dropped; /* out: given up */
	/* out, also of a turn that failed: we were not registered as living
	 * when it came, so others may have had what was claimed before it. */
	bool lapsed;
	unsigned n_living;       /* out: workers that take a share */
	int64_t clock_offset_ms; /* out: database's clock minus ours */
	size_t n_interrupted;    /* out: rows put back whose worker was lost */
	bool buried;             /* out: some of them in shards of others */
	bool quarantined; /* out: rows of our shards, or of those, are to be
			     delivered alone */
	size_t n_strays;  /* out: PROCESSING rows under our own token, */
	int64_t strays[STORE_STRAYS_MAX]; /* of which we may know nothing: the
					     caller releases those */
};

struct store_turn {
	uint64_t owner;
	/* Claims what is in quarantine, of whatever shard, and nothing else:
	 * for an owner that has nothing else under way, so that its death
	 * tells. */
	bool alone;
	uint64_t shards; /* bit per shard to claim from */
	const struct store_result *results;
	size_t n_results;
	size_t claim_max;   /* 0: write results only */
	size_t claim_bytes; /* that are there claim no further; 0: any */
	int64_t horizon_ms; /* claim rows due up to here, database's clock */

	size_t n_stale;  /* out: results whose row was no longer ours */
	uint64_t owned;  /* out: of shards, those still leased to owner */
	size_t n_claims; /* out */
	size_t n_bytes;  /* out: of the claims */
	bool cut;        /* out: by claim_bytes; more is then true */
	struct store_claim *
	    *claims;         /* array of at least claim_max, the caller's;
				each entry then owned by the caller */
	bool more;           /* out: more rows may be due up to the horizon */
	int64_t next_due_ms; /* out: earliest waiting row that was not claimed,
				INT64_MAX for none; valid if claim_max > 0 */
};

/*
 * What a backend provides; the functions of store.h check, count and dispatch
 * to it. An operation reports a lost connection, an exhausted lock wait or
 * anything else that may pass as STORE_UNAVAILABLE, and retries deadlocks
 * itself. Want of room is no failure of an add: what is not there already is
 * ADD_NO_ROOM, and err tells why. connect is called when the backend has no
 * connection; an operation that lost it says so by backend->connected = false.
 */
struct store_ops {
	const char *kind;
	/* Parses the URL; fills *backend. 0 or -1. */
	int (*create)(const struct store_params *params,
	    struct store_backend **backend, struct err *err);
	void (*destroy)(struct store_backend *backend);
	/* Connects; does not look at the schema. */
	enum store_status (*connect)(
	    struct store_backend *backend, struct err *err);
	/*
	 * Whether the connection still is one, as far as can be seen without a
	 * round trip: servers end those that were idle for long. NULL: always.
	 */
	bool (*alive)(const struct store_backend *backend);
	enum store_status (*check)(
	    struct store_backend *backend, bool create, struct err *err);
	enum store_status (*ping)(
	    struct store_backend *backend, struct err *err);
	enum store_status (*add)(struct store_backend *backend,
	    struct store_add **adds, size_t n, struct err *err);
	enum store_status (*find)(struct store_backend *backend,
	    const struct event_key *key, enum store_find what,
	    struct store_record **record, struct err *err);
	enum store_status (*cancel)(struct store_backend *backend,
	    const struct event_key *key, enum cancel_outcome *outcome,
	    enum event_state *state, struct err *err);
	enum store_status (*lease)(struct store_backend *backend,
	    struct store_lease_turn *turn, const int64_t *known, size_t n_known,
	    struct err *err);
	enum store_status (*turn)(struct store_backend *backend,
	    struct store_turn *turn, struct err *err);
	enum store_status (*purge)(struct store_backend *backend,
	    uint64_t shards, int64_t before_ms, size_t limit, size_t *n,
	    struct err *err);
};

/* First member of each backend's own struct. */
struct store_backend {
	bool connected;
	bool full;        /* the last failure of a write was want of room */
	char target[256]; /* where, without secrets */
};

extern const struct store_ops store_mysql_ops;
extern const struct store_ops store_sqlite_ops;

/* Values of event.status in the datastore. */
enum row_status {
	ROW_WAITING = 0,
	ROW_PROCESSING = 1,
	ROW_COMPLETED = 2,
	ROW_FAILED = 3,
};

/* Values of event.suspect; see sql/. */
enum { SUSPECT_NOT, SUSPECT_ONCE, SUSPECT_QUARANTINED };

/* Added to the due_ms of a waiting row in quarantine: beyond the year 9999. */
#define STORE_QUARANTINE_MS (INT64_C(1) << 48)

enum { STORE_SCHEMA_VERSION = 3 };

/* The files of sql/KIND in order, made by scripts/sql2c; ends with version 0.
 */
struct store_migration {
	int version;
	const char *text;
};

extern const struct store_migration mysql_migrations[];
extern const struct store_migration sqlite_migrations[];

/* Shared by the backends (store_common.c). */

/* The client's view of a row. */
enum event_state store_row_state(
    enum row_status status, bool has_code, bool has_error);

/* What a lease row says. */
struct lease_row {
	uint64_t owner; /* 0: free */
	int64_t until_ms;
};

/*
 * What a culprit waits: a second for each attempt, so that its neighbours of
 * the last time are through, and up to another one, so that several culprits
 * meet others each time.
 */
#define STORE_INTERRUPTED_WAIT_MS                                              \
	"attempts * 1000 + ((id % 61) * attempts % 61) * 16"

/* Whether this is the last turn of an owner that leaves. */
bool store_lease_ends(const struct store_lease_turn *turn, size_t n_known);

bool store_takes_share(const struct store_lease_turn *turn);

/* Until when the registration of one that is away holds: to be prolonged. */
int64_t store_away_until(const struct store_lease_turn *turn, int64_t now_ms);

/* The time by which leases of others end; now_ms is the database's clock. */
int64_t store_lease_now(const struct store_lease_turn *turn, int64_t now_ms);

/*
 * The database's clock minus ours, in milliseconds, when it showed now_ms
 * between two looks at ours: the least that these allow. A slow answer is no
 * offset, which would make events early.
 */
int64_t store_clock_offset(int64_t before_ms, int64_t now_ms, int64_t after_ms);

/* NULL when nothing is known of its end. */
const struct store_death *store_death_of(
    const struct store_lease_turn *turn, uint64_t owner);

/* A PROCESSING row whose owner does not live. */
struct lost_row {
	int64_t id;
	uint64_t owner;
	unsigned attempts;
	unsigned suspect;
};

/* What becomes of it. All but the last wait again; in quarantine, who was. */
enum verdict {
	VERDICT_INNOCENT,    /* the attempt does not count */
	VERDICT_SUSPECT,     /* the same, but it may be why the worker died */
	VERDICT_QUARANTINED, /* and not for the first time */
	VERDICT_COUNTED,     /* the attempt counts: its worker died of it */
	VERDICT_GIVEN_UP,    /* and it was the last one */
	VERDICTS,
};

/* Rows to judge at a time. */
enum { STORE_LOST_MAX = 512 };

/* Pure. */
enum verdict store_judge(
    const struct store_lease_turn *turn, const struct lost_row *row);

/* The ids of the rows with that verdict, and their number. */
size_t store_judged(const struct store_lease_turn *turn,
    const struct lost_row *rows, size_t n, enum verdict verdict, int64_t *ids);

struct lease_plan {
	uint64_t keep; /* bit per shard */
	uint64_t drop;
	uint64_t take;
};

/* STORE_BROKEN when one who takes a share is not among the living that the
 * datastore tells of. */
enum store_status store_check_rank(const struct store_lease_turn *turn,
    unsigned rank, unsigned n_living, struct err *err);

/*
 * Pure: which shards to keep, give up and take. rank is the place of this
 * worker among the n_living by owner token; its share is shards ÷ n_living,
 * one more for the first (shards mod n_living) ranks.
 */
struct lease_plan store_lease_plan(const struct lease_row rows[EVENT_SHARDS],
    const struct store_lease_turn *turn, unsigned rank, unsigned n_living,
    int64_t now_ms);

/* Bytes of the event's own. */
size_t store_event_bytes(const struct event *ev);

/* A due row as the index tells it. */
struct due_row {
	int64_t due_ms;
	int64_t row_id;
	unsigned shard;
};

/* Fills *row with what the datastore says; STORE_BROKEN for nonsense. */
enum store_status store_due_row(struct due_row *row, int64_t due_ms,
    int64_t row_id, int64_t shard, struct err *err);

/* Rows to look at in each of n_shards shards for a claim of claim_max. */
size_t store_pick_limit(size_t claim_max, unsigned n_shards);

/*
 * Pure: sorts rows (the first `limit` waiting rows of each shard, unordered
 * between shards) by (due, id) and returns how many to claim; sets turn->more
 * and turn->next_due_ms.
 */
size_t store_pick(
    struct due_row *rows, size_t n, size_t limit, struct store_turn *turn);

/*
 * What a datastore says of an event. None of it is believed: it may be damaged,
 * and there may be somebody else in the datastore's place. Members that were
 * not asked for are 0.
 */
struct store_row {
	int64_t id, shard, status, attempts, due_ms, created_ms, last_code;
	struct slice last_error;
	struct event event;
	int64_t n_log, log_bytes; /* attempts, and the bytes in them */
};

struct store_log_row {
	int64_t number, at_ms, code;
	struct slice error, response;
};

enum {
	STORE_ATTEMPTS_MAX = 1000000,
	STORE_LOG_MAX = 10000, /* attempts of an event */
	STORE_ERROR_MAX = 512, /* bytes; the widths of MySQL's columns */
	STORE_RESPONSE_MAX = 2000,
};

/* Beyond the year 9999, and far from an overflow. */
#define STORE_TIME_MAX_MS (INT64_C(1) << 49)

/* STORE_BROKEN with the reason unless value is 0 to max. */
enum store_status store_check_number(
    const char *what, int64_t value, int64_t max, struct err *err);

/*
 * One allocation for a claim or a record and its bytes, which are copied behind
 * the struct. STORE_BROKEN for what no event can be, or STORE_UNAVAILABLE when
 * memory is short; then there is none.
 */
enum store_status store_claim_create(
    const struct store_row *row, struct store_claim **claim, struct err *err);
enum store_status store_record_create(
    const struct store_row *row, struct store_record **record, struct err *err);

/* Copies the next attempt into the record, which has room for what it was
 * created with. */
enum store_status store_record_log(struct store_record *record,
    const struct store_log_row *row, struct err *err);

/* Puts a claim into those of the turn. */
void store_take(struct store_turn *turn, struct store_claim *claim);

/* Whether these have enough bytes; then the next row, due at due_ms, is left.
 */
bool store_leave(struct store_turn *turn, int64_t due_ms);

/* Frees the claims of the turn. */
void store_forget_claims(struct store_turn *turn);

#endif
