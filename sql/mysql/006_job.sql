-- One row per job: many events of an application changed, a few in each step.
-- spec is what it is to do, as JSON; state: 0 counting, 1 running, 2 done,
-- 3 cancelled, 4 failed. It goes on behind the event (due_ms, row_id), leaves
-- events with an id above before_id alone, and steps, which rises with each
-- step, keeps two workers from taking one twice.
CREATE TABLE IF NOT EXISTS job (
	id BIGINT NOT NULL,
	uuid VARBINARY(36) NOT NULL,
	app VARBINARY(100) NOT NULL,
	spec VARBINARY(4096) NOT NULL,
	state TINYINT UNSIGNED NOT NULL,
	paused BOOLEAN NOT NULL,
	created_ms BIGINT NOT NULL,
	since_ms BIGINT NOT NULL,
	counted_ms BIGINT NOT NULL,
	ended_ms BIGINT NOT NULL,
	before_id BIGINT NOT NULL,
	due_ms BIGINT NOT NULL,
	row_id BIGINT NOT NULL,
	steps BIGINT NOT NULL,
	matched BIGINT NOT NULL,
	done BIGINT NOT NULL,
	skipped BIGINT NOT NULL,
	error VARBINARY(512) NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY uuid (uuid),
	KEY app (app, id),
	KEY state (state, ended_ms)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
