/* SPDX-License-Identifier: ISC */
/*
 * Leases, claims and results, as src/worker and src/store have them: two workers
 * that take shares, one shard, one event, and, with ALONE, the worker of the
 * quarantine. README.md has the functions. A transaction is one step; that its
 * worker hears of it is another, so whatever can happen in between does. Time is
 * in what it does: a lease ends by its owner's clock (gate), and others have seen
 * its sign stand still for as long (lost).
 *
 * Safety is asserted where it could break. Progress, too: from each state that is
 * reached, once the faults have come to their end, ROUNDS rounds of all workers
 * deliver the event, in whichever order they go. Nobody looks for strays without
 * a reason, as the code does once a minute: that must not be needed.
 *
 * -DFAULTS=n: so many faults of any kind. -DBUG_…: one of the known ones.
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifdef ALONE
#define WORKERS 3
#define ROUNDS 5
#else
#define WORKERS 2
#define ROUNDS 3
#endif
#define LONER 2		/* the one that is alone */
#define TOKENS 8	/* from 1; one that nothing names any more is used anew */
#define RETRIES 1
#define HELD 2		/* deliveries of the event in one worker's memory */

/* The row. */
#define WAITING 0
#define PROCESSING 1
#define COMPLETED 2
#define FAILED 3
#define DELETED 4

/* A registration. */
#define NONE 0
#define LIVES 1

/* What the ring of the dead knows of a token. */
#define UNKNOWN 0
#define IDLE 1		/* it had nothing on the wire */
#define ON_WIRE 2	/* it had the event on the wire */
#define CULPRIT 3	/* it died of the event */

/* A delivery. */
#define FREE 0
#define READY 1
#define STARTED 2	/* a slot is taken, the name is being looked up */
#define WIRE 3
#define R_COMPLETED 4	/* results, from here on */
#define R_RETRY 5
#define R_FAILED 6
#define R_RELEASED 7
#define R_STRAY 8

/* A job of the datastore that is committed, and not yet heard of. */
#define LEASE 1
#define TURN 2
#define RENEWAL 3	/* the rest of the lease call failed */

typedef Delivery {
	byte state;
	byte attempt;
	bit older;	/* of an epoch that is over */
	/* What the code cannot know, for the properties: */
	bit current;	/* the row's claim is this one */
	bit open	/* sent, and nothing explains another sending */
};

typedef Worker {
	bit up, shard, gate, pending, in_doubt, must, draining, lapsed, leapt;
	byte token;
	Delivery d[HELD];
	/* The job: */
	byte job;
	bit j_shard, j_lapsed, j_late, j_leapt, j_stray, j_ends;
	bit j_stale, j_current, j_written[HELD];
	byte j_attempt
};

/* The datastore. */
byte row, row_owner, row_attempts, row_suspect;
bit row_quarantined;
byte lease_owner;
byte instance[TOKENS];
bit takes[TOKENS];
bit lost[TOKENS];	/* others have seen its sign stand still for a lease */
/* A commit whose worker has given up waiting: the claim of this token. */
byte late_commit;

Worker w[WORKERS];
byte dead[TOKENS];
byte faults = FAULTS;
bit cancelled;		/* the client has tried */

/* For the properties. */
byte counted;		/* attempts that were the event's own */
bit forgotten[TOKENS];	/* nobody can know that its worker is dead */
bit guilty;		/* the event ended the worker that had it */
bit delivered;		/* and nothing explains another sending */
/* Of one step. */
hidden byte t, k, n, best, at;
hidden byte known, ends, buried, share, keep, judged, gone, adopted;

#define OPEN(i) (w[i].gate && !w[i].lapsed && !w[i].leapt)
#define TAKES_SHARE(i) (!w[i].draining && (i) != LONER)
#define HOLDS(i) (w[i].shard || (i) == LONER)
#define LIVING(t) (instance[t] == LIVES)
#define IS_RESULT(s) ((s) >= R_COMPLETED)
#define HAS(i, s) (w[i].d[0].state == s || w[i].d[1].state == s)
#define HOLDS_ANY(i) (w[i].d[0].state != FREE || w[i].d[1].state != FREE)
#define HAS_RESULT(i) (IS_RESULT(w[i].d[0].state) || IS_RESULT(w[i].d[1].state))
#define FINAL (row == COMPLETED || row == FAILED || row == DELETED)

/* ---- the row ---- */

/* Whoever had claimed it has it no more. */
inline end_claim() {
	for (n : 0 .. WORKERS - 1) {
		w[n].d[0].current = 0;
		w[n].d[1].current = 0;
		w[n].j_current = 0
	};
	row_owner = 0
}

inline wait_again() {
	row = WAITING;
	end_claim();
	/* Attempts that were not the event's own. */
	assert(row_attempts == counted)
}

/* store_judge, and what is written by it: owner is not among the living. */
inline put_back(x) {
	if
#ifdef BUG_KILL_COUNTED
	:: dead[row_owner] >= ON_WIRE || (dead[row_owner] == UNKNOWN && row_suspect == 2) ->
#else
	:: dead[row_owner] == CULPRIT || (dead[row_owner] == UNKNOWN && row_suspect == 2) ->
#endif
		counted = row_attempts;
		/* An attempt that was none of the event's own. */
		assert(guilty || row_quarantined);
		if
		:: row_attempts > 1 && row_attempts > RETRIES -> row = FAILED; row_suspect = 0; end_claim()
		:: else -> wait_again()
		fi
	:: else ->
		if
		:: row_suspect == 2 || dead[row_owner] == IDLE -> skip
		:: else ->
			row_suspect++;
			if
			:: row_suspect == 2 -> row_quarantined = 1
			:: else
			fi
		fi;
#ifndef BUG_PUT_BACK_COUNTED
		row_attempts--;
#endif
		wait_again()
	fi
}

/* ---- a lease turn ---- */

/* What it had on the wire may come a second time. */
inline excuse(i) {
	w[i].d[0].open = 0;
	w[i].d[1].open = 0
}

/* end_instance: of one that is lost, which may live. */
inline end_lost(x) {
	instance[x] = NONE;
	for (k : 0 .. WORKERS - 1) {
		if
		:: w[k].up && w[k].token == x -> excuse(k)
		:: else
		fi
	}
}

/* renew_self: it shows another sign from now on. */
inline renew(i) {
	t = w[i].token;
	w[i].j_lapsed = (instance[t] == NONE);
#ifdef BUG_LAPSE_UNREAD
	w[i].j_lapsed = 0;
#endif
	w[i].j_late = !w[i].gate;
	w[i].j_leapt = w[i].leapt;
	w[i].pending = 1;
#ifndef BUG_LOST_IS_LOST
	lost[t] = 0
#endif
}

/* Whether nobody keeps the lease's row locked. */
#ifdef BUG_TAKES_WHAT_IS_IN_USE
#define UNUSED true
#else
#define UNUSED (late_commit == 0 || lease_owner != late_commit)
#endif

/* store_lease, in one transaction; with away, workers that do not renew, and
 * still try, are kept registered, without a share. */
inline lease(i, away) {
	renew(i);
	known = HOLDS_ANY(i);
	ends = w[i].draining && !w[i].in_doubt && !known;
#ifdef BUG_LEAVES_WITH_CLAIMS
	ends = w[i].draining && !w[i].in_doubt;
#endif
	instance[t] = (ends -> NONE : LIVES);
	takes[t] = !ends && TAKES_SHARE(i);
	if
	:: away ->
		for (n : 0 .. WORKERS - 1) {
			if
			:: n != i && w[n].up && instance[w[n].token] == LIVES ->
				lost[w[n].token] = 0;
				takes[w[n].token] = 0
			:: else
			fi
		}
	:: else
	fi;
	buried = 0;
	best = 0;
	for (at : 1 .. TOKENS - 1) {
#ifndef BUG_DEATHS_UNKNOWN
		if
		:: dead[at] != UNKNOWN && instance[at] != NONE && at != t ->
			instance[at] = NONE;
			buried = 1;
			if /* lost_put_back_of */
			:: row == PROCESSING && row_owner == at -> put_back(at)
			:: else
			fi
		:: else
		fi;
#endif
		if
		:: lost[at] && instance[at] == LIVES && at != t -> end_lost(at)
		:: else
		fi;
		lost[at] = lost[at] && instance[at] == LIVES;
		if
		:: instance[at] == NONE -> takes[at] = 0
		:: takes[at] -> best = at /* of one shard the one with rank 0 has it */
		:: else
		fi
	};
	/* store_lease_plan */
	share = TAKES_SHARE(i) && best == t;
	keep = lease_owner == t;
	if
	:: keep && !share -> lease_owner = 0; keep = 0
	:: !keep && share && UNUSED && (lease_owner == 0 || !takes[lease_owner] || dead[lease_owner] != UNKNOWN) -> keep = 1
	:: else
	fi;
	if
	:: keep -> lease_owner = t
	:: else
	fi;
	w[i].j_shard = keep;
	/* find_strays */
	w[i].j_stray = (w[i].in_doubt && row == PROCESSING && row_owner == t && !known);
#ifdef BUG_STRAYS_OF_KNOWN
	w[i].j_stray = (w[i].in_doubt && row == PROCESSING && row_owner == t);
#endif
	/* lost_find */
	if
	:: keep && row == PROCESSING && !LIVING(row_owner) -> put_back(row_owner)
#ifdef BUG_PUT_BACK_OF_THE_LIVING
	:: keep && row == PROCESSING && row_owner != t && LIVING(row_owner) -> put_back(row_owner)
#endif
	:: else
	fi;
	w[i].job = LEASE;
	w[i].j_ends = ends;
	for (n : 1 .. TOKENS - 1) { /* whom nothing names any more */
		if
		:: instance[n] == NONE && row_owner != n && lease_owner != n && late_commit != n ->
			dead[n] = UNKNOWN;
			forgotten[n] = 0
		:: else
		fi
	}
}

inline end_job(i) {
	w[i].job = NONE;
	w[i].j_shard = 0; w[i].j_lapsed = 0; w[i].j_late = 0; w[i].j_leapt = 0;
	w[i].j_stray = 0; w[i].j_ends = 0;
	w[i].j_stale = 0; w[i].j_current = 0; w[i].j_attempt = 0;
	w[i].j_written[0] = 0; w[i].j_written[1] = 0
}

inline release_unbegun(i) {
	for (k : 0 .. HELD - 1) {
		if
#ifdef BUG_DRAIN_KEEPS
		:: w[i].d[k].state == READY && !w[i].draining && (!HOLDS(i) || w[i].d[k].older) ->
#else
		:: w[i].d[k].state == READY && (w[i].draining || !HOLDS(i) || w[i].d[k].older) ->
#endif
			w[i].d[k].state = R_RELEASED
		:: else
		fi
	}
}

inline forget_all(i) {
	for (k : 0 .. HELD - 1) {
		w[i].d[k].state = FREE; w[i].d[k].attempt = 0;
		w[i].d[k].older = 0; w[i].d[k].current = 0; w[i].d[k].open = 0
	}
}

/* Its process is no more. */
inline leave(i) {
	forget_all(i);
	end_job(i);
	w[i].up = 0; w[i].shard = 0; w[i].gate = 0; w[i].pending = 0;
	w[i].in_doubt = 0; w[i].must = 0; w[i].draining = 0; w[i].lapsed = 0;
	w[i].leapt = 0; w[i].token = 0
}

/* note_renewal. */
inline note_renewal(i) {
	w[i].lapsed = w[i].lapsed || w[i].j_lapsed || w[i].j_late;
#ifdef BUG_LEASE_FROM_THE_ANSWER
	w[i].gate = 1;
#else
	w[i].gate = w[i].pending;
#endif
	w[i].pending = 0
}

/* leases_failed: the call has renewed, and done nothing else. */
inline hear_renewal(i) {
	note_renewal(i);
	end_job(i);
	w[i].must = 1;
	w[i].in_doubt = 1
}

inline hear_lease(i) {
	note_renewal(i);
	w[i].shard = w[i].j_shard;
	w[i].must = 0;
	if /* note_lapse */
	:: w[i].lapsed ->
		w[i].lapsed = 0;
#ifndef BUG_NO_EPOCH
		for (k : 0 .. HELD - 1) {
			w[i].d[k].older = (w[i].d[k].state != FREE && w[i].d[k].state != R_STRAY)
		}
#endif
	:: else
	fi;
	if
	:: w[i].j_leapt -> w[i].leapt = 0
	:: else
	fi;
	release_unbegun(i);
	w[i].in_doubt = 0;
	if /* take_strays */
	:: w[i].j_stray ->
#ifndef BUG_STRAYS_LEFT
		k = (w[i].d[0].state == FREE -> 0 : 1);
		if
		:: w[i].d[k].state == FREE -> w[i].d[k].state = R_STRAY
		:: else -> w[i].in_doubt = 1
		fi
#endif
	:: else
	fi;
	if
	:: w[i].j_ends -> leave(i)
	:: else -> end_job(i)
	fi
}

/* ---- a turn: results, then claims ---- */

#ifdef BUG_FENCE_WITHOUT_OWNER
#define FENCE(i, s) (row == PROCESSING && (s == R_STRAY || row_attempts == w[i].d[k].attempt))
#else
#ifdef BUG_FENCE_WITHOUT_ATTEMPT
#define FENCE(i, s) (row == PROCESSING && row_owner == w[i].token)
#else
#define FENCE(i, s) (row == PROCESSING && row_owner == w[i].token && \
	(s == R_STRAY || row_attempts == w[i].d[k].attempt))
#endif
#endif

/* Somebody is about to send, or has sent, under the row's claim. */
#define IN_USE(s) ((s) == READY || (s) == STARTED || (s) == WIRE)
#define CLAIM_IN_USE(i) \
	(w[i].j_current || (w[i].d[0].current && IN_USE(w[i].d[0].state)) || \
	(w[i].d[1].current && IN_USE(w[i].d[1].state)))

inline write_result(i) {
	/* One that got lost with the answer to its commit, as the same attempt
	 * of the same worker, may end so, too. */
	for (n : 0 .. WORKERS - 1) {
		/* A result is written to another claim. */
		assert(w[i].d[k].current || !CLAIM_IN_USE(n))
	};
	if
	:: w[i].d[k].state == R_RELEASED || w[i].d[k].state == R_STRAY ->
		row_attempts--;
		wait_again()
	:: else ->
		row_suspect = 0;
		if
		:: w[i].d[k].state == R_COMPLETED -> row = COMPLETED; end_claim()
		:: w[i].d[k].state == R_FAILED ->
			counted++;
			/* Given up before its last attempt. */
			assert(row_attempts == counted && counted > RETRIES);
			row = FAILED; end_claim()
		:: else ->
			row_quarantined = 0;
			counted++;
			wait_again()
		fi
	fi
}

#define MAY_CLAIM(i) (row == WAITING && \
	((i) == LONER -> row_quarantined : !row_quarantined && \
	lease_owner == w[i].token))

inline turn(i, claims) {
	for (k : 0 .. HELD - 1) {
		w[i].j_written[k] = IS_RESULT(w[i].d[k].state);
		if
		:: w[i].j_written[k] && FENCE(i, w[i].d[k].state) -> write_result(i)
		:: w[i].j_written[k] && !FENCE(i, w[i].d[k].state) -> w[i].j_stale = 1
		:: else
		fi
	};
	if
#ifdef BUG_CLAIM_WITHOUT_LEASE
	:: claims && row == WAITING && !row_quarantined ->
#else
	:: claims && MAY_CLAIM(i) ->
#endif
		/* Claimed by one who does not hold the shard. */
		assert((i) == LONER || lease_owner == w[i].token);
		row = PROCESSING;
		row_owner = w[i].token;
		row_attempts++;
		w[i].j_attempt = row_attempts;
		w[i].j_current = 1
	:: else
	fi;
	w[i].job = TURN
}

/* claim_want: whether there may be something to claim. */
#define WANTS(i) (!w[i].draining && HOLDS(i) && \
	((i) == LONER -> !HOLDS_ANY(i) && row == WAITING && row_quarantined : \
	row == WAITING || (row == PROCESSING && row_owner == w[i].token && HAS_RESULT(i))))

inline take_claim(i) {
	adopted = 0;
	for (k : 0 .. HELD - 1) {
		if
#ifndef BUG_NO_ADOPTION
		:: !adopted && w[i].d[k].older && w[i].d[k].attempt == w[i].j_attempt ->
			w[i].d[k].older = 0;
			w[i].d[k].current = w[i].j_current;
			adopted = 1
#endif
		:: else
		fi
	};
	k = (w[i].d[0].state == FREE -> 0 : 1);
	if
	:: adopted
	:: !adopted && w[i].d[k].state == FREE ->
		w[i].d[k].state = READY;
		w[i].d[k].attempt = w[i].j_attempt;
		w[i].d[k].current = w[i].j_current
	:: else -> w[i].in_doubt = 1 /* as without memory */
	fi
}

/* A result that was sent and is no more is the last that is known of it. */
inline forget(i, q) {
	delivered = delivered || w[i].d[q].open;
	w[i].d[q].state = FREE; w[i].d[q].attempt = 0;
	w[i].d[q].older = 0; w[i].d[q].current = 0; w[i].d[q].open = 0
}

inline forget_written(i) {
	for (k : 0 .. HELD - 1) {
		if
		:: w[i].j_written[k] -> forget(i, k)
		:: else
		fi
	}
}

inline hear_turn(i) {
	forget_written(i);
#ifndef BUG_STALE_NO_DOUBT
	if
	:: w[i].j_stale -> w[i].in_doubt = 1
	:: else
	fi;
#endif
	if
	:: w[i].j_attempt != 0 -> take_claim(i)
	:: else
	fi;
	end_job(i);
	if
	:: w[i].draining -> release_unbegun(i)
	:: else
	fi
}

/* A job failed, and may have been committed: results are kept. */
inline fail(i) {
	w[i].lapsed = w[i].lapsed || w[i].j_lapsed;
#ifdef BUG_RESULTS_FORGOTTEN
	for (k : 0 .. HELD - 1) {
		if
		:: IS_RESULT(w[i].d[k].state) -> forget(i, k)
		:: else
		fi
	};
#endif
	end_job(i);
	w[i].pending = 0;
	w[i].must = 1;
#ifndef BUG_FAILURE_NO_DOUBT
	w[i].in_doubt = 1
#endif
}

inline commit_late() {
	if
	:: row == WAITING -> /* the lease was its own when it locked it */
		row = PROCESSING;
		row_owner = late_commit;
		row_attempts++
	:: else
	fi;
	late_commit = 0
}

/* ---- deliveries ---- */

#ifdef BUG_LEAP_UNSEEN
#define MAY_SEND(i, d) (w[i].gate && !w[i].lapsed && !d.older)
#else
#define MAY_SEND(i, d) (OPEN(i) && !d.older)
#endif

inline send(i, q) {
	if
#ifdef BUG_SENT_UNASKED
	:: true ->
#else
	:: MAY_SEND(i, w[i].d[q]) ->
#endif
		/* Sent after 200 DELETED. */
		assert(row != DELETED);
		/* Delivered twice. */
		assert(!delivered);
		for (n : 0 .. WORKERS - 1) {
			/* Sent by two at a time. */
			assert(!w[n].d[0].open && !w[n].d[1].open)
		};
		w[i].d[q].open = 1;
		w[i].d[q].state = WIRE
	:: else -> w[i].d[q].state = R_RELEASED
	fi
}

inline refused(i, q) {
	w[i].d[q].open = 0;
	w[i].d[q].state = (w[i].d[q].attempt > RETRIES -> R_FAILED : R_RETRY)
}

/* on_drain_deadline: never the last attempt. */
inline interrupt(i) {
	for (k : 0 .. HELD - 1) {
		if
		:: w[i].d[k].state == STARTED || w[i].d[k].state == WIRE ->
			w[i].d[k].open = 0;
			w[i].d[k].state = R_RETRY
		:: else
		fi
	}
}

/* ---- life and time ---- */

/* With a token that nothing names. */
inline born(i) {
	t = 0;
	for (n : 1 .. TOKENS - 1) {
		if
		:: t == 0 && instance[n] == NONE && row_owner != n && lease_owner != n && late_commit != n ->
			t = n;
			for (k : 0 .. WORKERS - 1) {
				if
				:: w[k].token == n -> t = 0
				:: else
				fi
			}
		:: else
		fi
	};
	assert(t != 0);
	dead[t] = UNKNOWN;
	forgotten[t] = 0;
	w[i].token = t;
	w[i].must = 1;
	w[i].up = 1
}

/* What its master tells of it; of a worker that is alone it was the event. */
inline killed(i, culprit) {
	guilty = guilty || culprit || ((i) == LONER && (HAS(i, STARTED) || HAS(i, WIRE)));
	dead[w[i].token] =
		(HAS(i, STARTED) || HAS(i, WIRE) -> (culprit || (i) == LONER -> CULPRIT : ON_WIRE) : IDLE);
	leave(i)
}

/* The datastore is away at the end of a drain. */
inline give_up(i) {
	dead[w[i].token] = IDLE;
	leave(i)
}

/* The master, too: the next one finds whose files nobody has locked, but nothing
 * of those whose death the one before it knew. */
inline kill_all() {
	for (t : 1 .. TOKENS - 1) {
		forgotten[t] = forgotten[t] || dead[t] != UNKNOWN;
		dead[t] = UNKNOWN
	};
	for (t : 0 .. WORKERS - 1) {
#ifndef BUG_ALL_KILLED_UNKNOWN
		dead[w[t].token] = (w[t].up -> ON_WIRE : UNKNOWN);
#endif
		leave(t)
	};
	dead[0] = UNKNOWN
}

/* Whose worker knows, or is no more. */
inline may_end(x) {
	gone = LIVING(x);
#ifndef BUG_CLOCK_BELIEVED
	for (n : 0 .. WORKERS - 1) {
		if
		:: w[n].up && w[n].token == x && (w[n].gate || w[n].pending) -> gone = 0
		:: else
		fi
	}
#endif
}

/* A pause of its whole machine, of which its clock knows nothing. */
inline suspend(i) {
	lost[w[i].token] = 1;
	w[i].leapt = 1;
	w[i].j_leapt = 0
}

/* ---- progress ---- */

inline hear(i) {
	if
	:: w[i].job == LEASE -> hear_lease(i)
	:: w[i].job == TURN -> hear_turn(i)
	:: w[i].job == RENEWAL -> hear_renewal(i)
	:: else
	fi
}

inline deliver(i) {
	for (at : 0 .. HELD - 1) {
		if
		:: w[i].d[at].state == READY && OPEN(i) && !w[i].draining -> w[i].d[at].state = STARTED
		:: else
		fi;
		if
		:: w[i].d[at].state == STARTED -> send(i, at)
		:: else
		fi;
		if
		:: w[i].d[at].state == WIRE -> w[i].d[at].state = R_COMPLETED
		:: else
		fi
	}
}

inline go_round(i) {
	printf("round %d, worker %d: token %d shard %d open %d, deliveries %d %d; row %d of %d, suspect %d; lease of %d\n",
	    turns, i, w[i].token, w[i].shard, OPEN(i), w[i].d[0].state, w[i].d[1].state, row, row_owner, row_suspect, lease_owner);
	if
	:: !w[i].up && ((i) != LONER || row_quarantined) -> born(i)
	:: else
	fi;
	if
	:: w[i].up ->
		hear(i);
		if
		:: w[i].up -> lease(i, 0); hear_lease(i)
		:: else
		fi
	:: else
	fi;
	if
	:: w[i].up ->
		turn(i, WANTS(i));
		hear_turn(i);
		deliver(i);
		turn(i, 0);
		hear_turn(i)
	:: else
	fi
}

/* Leases of the dead that are known need not come to their end. */
inline bury_forgotten() {
	for (at : 1 .. TOKENS - 1) {
		may_end(at);
		if
		:: gone && forgotten[at] -> lost[at] = 1
		:: else
		fi
	}
}

hidden byte turns, who;

inline settle(first) {
	if
	:: late_commit != 0 -> commit_late()
	:: else
	fi;
	bury_forgotten();
	for (turns : 1 .. ROUNDS) {
		for (who : 0 .. WORKERS - 1) {
			go_round((who + first) % WORKERS)
		}
	};
#ifdef ALONE
	/* Not delivered, though there are no faults any more. */
	assert(FINAL);
#else
	/* Not delivered, though there are no faults any more. */
	assert(FINAL || row_quarantined);
#endif
	/* One state for all ends. */
	for (t : 0 .. WORKERS - 1) {
		leave(t)
	};
	for (t : 1 .. TOKENS - 1) {
		instance[t] = NONE; takes[t] = 0; lost[t] = 0; dead[t] = UNKNOWN; forgotten[t] = 0
	};
	row = WAITING; row_owner = 0; row_attempts = 0; row_suspect = 0; row_quarantined = 0;
	lease_owner = 0;
	faults = 0; cancelled = 0; counted = 0; guilty = 0; delivered = 0
}

/* ---- everything in any order ---- */

#define FAULT(x) faults > 0 && (x) -> faults--

#ifdef BUG_DOUBT_UNLOCKED
#define LOCK_FREE(i) true
#else
/* lock_leases: in its own shard that of an earlier connection is waited for. */
#define LOCK_FREE(i) (!w[i].in_doubt || late_commit == 0 || \
	late_commit != w[i].token || lease_owner != w[i].token)
#endif

#define WORKER(i) \
	:: d_step { w[i].up && w[i].job == NONE && LOCK_FREE(i) -> lease(i, 0); printf("worker %d: lease turn committed\n", i) } \
	:: d_step { w[i].up && w[i].job == LEASE -> hear_lease(i); printf("worker %d: hears of its lease turn\n", i) } \
	:: d_step { w[i].up && w[i].job == RENEWAL -> hear_renewal(i); printf("worker %d: hears that it has renewed, and no more\n", i) } \
	:: d_step { w[i].up && w[i].job == NONE && !w[i].must && HAS_RESULT(i) -> turn(i, 0); printf("worker %d: turn committed, results only\n", i) } \
	:: d_step { w[i].up && w[i].job == NONE && !w[i].must && WANTS(i) -> turn(i, 1); printf("worker %d: turn committed\n", i) } \
	:: d_step { w[i].up && w[i].job == TURN -> hear_turn(i); printf("worker %d: hears of its turn\n", i) } \
	:: d_step { w[i].up && w[i].draining && (HAS(i, STARTED) || HAS(i, WIRE)) -> interrupt(i); printf("worker %d: drain deadline\n", i) } \
	:: d_step { !w[i].up && ((i) != LONER || row_quarantined) -> born(i); printf("worker %d: starts\n", i) } \
	DELIVERY(i, 0) \
	DELIVERY(i, 1) \
	/* faults */ \
	:: d_step { FAULT(w[i].up) -> killed(i, 0); printf("worker %d: KILLED\n", i) } \
	:: d_step { FAULT(w[i].up && w[i].draining) -> give_up(i); printf("worker %d: LEAVES with results unwritten\n", i) } \
	:: d_step { FAULT(HAS(i, WIRE)) -> killed(i, 1); printf("worker %d: CRASHES on the event\n", i) } \
	:: d_step { FAULT(w[i].up && w[i].job == NONE && !w[i].must) -> fail(i); printf("worker %d: a turn FAILS\n", i) } \
	:: d_step { FAULT(w[i].up && w[i].job == NONE && instance[w[i].token] == LIVES) -> renew(i); w[i].job = RENEWAL; printf("worker %d: has renewed, the rest FAILS\n", i) } \
	:: d_step { FAULT(w[i].job != NONE) -> fail(i); printf("worker %d: the answer is LOST\n", i) } \
	:: d_step { FAULT(w[i].up && w[i].job == NONE && !w[i].must && !HAS_RESULT(i) && (i) != LONER && \
		WANTS(i) && MAY_CLAIM(i) && late_commit == 0) -> late_commit = w[i].token; fail(i); printf("worker %d: the answer is LOST, and the commit LATE\n", i) } \
	:: d_step { FAULT(w[i].up && !w[i].draining) -> w[i].draining = 1; release_unbegun(i); printf("worker %d: DRAINS\n", i) } \
	:: d_step { FAULT(w[i].gate) -> w[i].gate = 0; w[i].pending = 0; printf("worker %d: has NOT RENEWED in time, and has heard of nothing\n", i) } \
	:: d_step { FAULT(w[i].gate && w[i].pending) -> w[i].gate = 0; printf("worker %d: has NOT RENEWED in time\n", i) } \
	:: d_step { FAULT(w[i].up && LIVING(w[i].token)) -> suspend(i); printf("worker %d: its machine was SUSPENDED\n", i) }

#define DELIVERY(i, q) \
	:: d_step { w[i].d[q].state == READY && OPEN(i) && !w[i].draining -> w[i].d[q].state = STARTED; printf("worker %d: starts the delivery\n", i) } \
	:: d_step { w[i].d[q].state == STARTED -> printf("worker %d: sends\n", i); send(i, q); skip } \
	:: d_step { w[i].d[q].state == WIRE -> w[i].d[q].state = R_COMPLETED; printf("worker %d: 200\n", i) } \
	:: d_step { w[i].d[q].state == WIRE -> refused(i, q); printf("worker %d: 503\n", i) }

#define AWAY(i) \
	:: d_step { w[i].up && w[i].job == NONE && LOCK_FREE(i) && \
		(w[1 - i].up && LIVING(w[1 - i].token) && w[1 - i].must) -> lease(i, 1); printf("worker %d: lease turn committed, the other kept registered\n", i) }

#define TIME(x) \
	:: d_step { LIVING(x) && !lost[x] -> may_end(x); if :: gone -> lost[x] = 1 :: else fi; printf("token %d: its sign has stood still for a lease\n", x) }

active proctype everything() {
#ifdef ALONE
	if
	:: row_suspect = 1 /* one death more, and it is in quarantine */
	:: row_suspect = 2; row_quarantined = 1
	fi;
#endif
	d_step {
		for (who : 0 .. 1) {
			born(who)
		}
	};
end:	do
	WORKER(0)
	WORKER(1)
#ifdef ALONE
	WORKER(LONER)
#endif
	AWAY(0)
	AWAY(1)
	TIME(1) TIME(2) TIME(3) TIME(4) TIME(5) TIME(6) TIME(7)
	:: d_step { FAULT(true) -> kill_all(); printf("all are KILLED\n") }
	:: d_step { late_commit != 0 -> commit_late(); printf("the late commit comes\n") }
	:: d_step { late_commit != 0 -> late_commit = 0; printf("the late commit never comes\n") }
#ifdef BUG_DELETES_WHAT_IS_UNDER_WAY
	:: d_step { !cancelled && row != COMPLETED && row != FAILED -> cancelled = 1; row = DELETED; end_claim(); printf("the client deletes it\n") }
#else
	:: d_step { !cancelled && row == WAITING -> cancelled = 1; row = DELETED; printf("the client deletes it\n") }
#endif
	:: atomic { d_step { printf("no more faults: round by round\n"); settle(0); skip }; break }
	:: atomic { d_step { printf("no more faults: round by round, the other way about\n"); settle(1); skip }; break }
	od
}
