-- One row per job: many events of an application changed, a few in each step.
-- spec is what it is to do, as JSON; state: 0 counting, 1 running, 2 done,
-- 3 cancelled, 4 failed. It goes on behind the event (due_ms, row_id), leaves
-- events with an id above before_id alone, and steps, which rises with each
-- step, keeps two workers from taking one twice.
CREATE TABLE job (
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL,
	app BLOB NOT NULL,
	spec BLOB NOT NULL,
	state INTEGER NOT NULL,
	paused INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	since_ms INTEGER NOT NULL,
	counted_ms INTEGER NOT NULL,
	ended_ms INTEGER NOT NULL,
	before_id INTEGER NOT NULL,
	due_ms INTEGER NOT NULL,
	row_id INTEGER NOT NULL,
	steps INTEGER NOT NULL,
	matched INTEGER NOT NULL,
	done INTEGER NOT NULL,
	skipped INTEGER NOT NULL,
	error BLOB NOT NULL,
	CONSTRAINT job_types CHECK (
		uuid >= x'' AND app >= x'' AND spec >= x'' AND error >= x''
		AND state = CAST(state AS INTEGER) AND state BETWEEN 0 AND 4
		AND paused = CAST(paused AS INTEGER)
		AND created_ms = CAST(created_ms AS INTEGER)
		AND since_ms = CAST(since_ms AS INTEGER)
		AND counted_ms = CAST(counted_ms AS INTEGER)
		AND ended_ms = CAST(ended_ms AS INTEGER)
		AND before_id = CAST(before_id AS INTEGER)
		AND due_ms = CAST(due_ms AS INTEGER)
		AND row_id = CAST(row_id AS INTEGER)
		AND steps = CAST(steps AS INTEGER)
		AND matched = CAST(matched AS INTEGER)
		AND done = CAST(done AS INTEGER)
		AND skipped = CAST(skipped AS INTEGER))
);
CREATE UNIQUE INDEX job_uuid ON job (uuid);
CREATE INDEX job_app ON job (app, id);
CREATE INDEX job_state ON job (state, ended_ms);
