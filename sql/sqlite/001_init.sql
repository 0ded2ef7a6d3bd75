-- Times are milliseconds since 1970-01-01 UTC. Owner tokens are the bits of a
-- 64-bit unsigned number.

CREATE TABLE meta (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

-- status: 0 waiting, 1 processing, 2 completed, 3 failed.
-- due_ms: next attempt of a waiting row, end of a finished one.
-- body comes last, so that the other columns are read without it.
CREATE TABLE event (
	id INTEGER PRIMARY KEY,
	k BLOB NOT NULL UNIQUE,
	shard INTEGER NOT NULL,
	status INTEGER NOT NULL DEFAULT 0,
	attempts INTEGER NOT NULL DEFAULT 0,
	owner INTEGER NOT NULL DEFAULT 0,
	due_ms INTEGER NOT NULL,
	expiry_ms INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	fingerprint BLOB NOT NULL,
	last_code INTEGER NOT NULL DEFAULT 0,
	last_error BLOB NOT NULL DEFAULT x'',
	app BLOB NOT NULL,
	event_id BLOB NOT NULL,
	method BLOB NOT NULL,
	url BLOB NOT NULL,
	headers BLOB NOT NULL,
	body_is_text INTEGER NOT NULL,
	body BLOB NOT NULL
);

-- A row is in the index of its state only: history does not slow the claims. The
-- row id ends every index of SQLite, so these are ordered by it too.
-- Waiting rows are not ordered by shard: events that come in by their time then
-- go to one page, not to one in each of 64 places. status is there because only
-- then SQLite answers from the index alone.
CREATE INDEX event_waiting ON event (due_ms, id, shard, status)
	WHERE status = 0;
CREATE INDEX event_processing ON event (shard) WHERE status = 1;
CREATE INDEX event_finished ON event (due_ms) WHERE status >= 2;

CREATE TABLE attempt (
	event INTEGER NOT NULL,
	number INTEGER NOT NULL,
	at_ms INTEGER NOT NULL,
	code INTEGER NOT NULL,
	error BLOB NOT NULL,
	response BLOB NOT NULL,
	PRIMARY KEY (event, number)
) WITHOUT ROWID;

-- owner 0: free.
CREATE TABLE lease (
	shard INTEGER PRIMARY KEY,
	owner INTEGER NOT NULL DEFAULT 0,
	until_ms INTEGER NOT NULL DEFAULT 0
);
INSERT INTO lease (shard)
	WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)
	SELECT i FROM n;

-- Workers; active is 0 for those that take no share of the shards: they leave, or
-- cannot be reached for the moment.
CREATE TABLE instance (
	owner INTEGER PRIMARY KEY,
	until_ms INTEGER NOT NULL,
	host TEXT NOT NULL,
	pid INTEGER NOT NULL,
	started_ms INTEGER NOT NULL,
	active INTEGER NOT NULL
);
