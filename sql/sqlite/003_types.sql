-- Rows as they can be. Columns of SQLite take any type; one who writes into the
-- file by hand is told at once, not when the row is read.

-- Bytes are BLOBs: a TEXT has as many characters as its encoding says.
UPDATE event SET
	k = CAST(k AS BLOB), fingerprint = CAST(fingerprint AS BLOB),
	last_error = CAST(last_error AS BLOB), app = CAST(app AS BLOB),
	event_id = CAST(event_id AS BLOB), method = CAST(method AS BLOB),
	url = CAST(url AS BLOB), headers = CAST(headers AS BLOB),
	body = CAST(body AS BLOB)
	WHERE 'text' IN (typeof(k), typeof(fingerprint), typeof(last_error),
		typeof(app), typeof(event_id), typeof(method), typeof(url),
		typeof(headers), typeof(body));
UPDATE attempt SET
	error = CAST(error AS BLOB), response = CAST(response AS BLOB)
	WHERE 'text' IN (typeof(error), typeof(response));

-- A column that takes no room carries the checks of the others: a value equals
-- its integer, a BLOB is not less than an empty one, and everything else is. What
-- never changes is not looked at when the rest does. All rows are held against
-- them: a damaged one stops the migration, and is to be mended or deleted; the
-- sqlite3 program finds it by "SELECT id FROM event WHERE NOT (...)".
ALTER TABLE event ADD COLUMN types INTEGER AS (1) VIRTUAL
	CONSTRAINT event_types CHECK (
		k >= x'' AND length(k) = 16
		AND shard = CAST(shard AS INTEGER) AND shard BETWEEN 0 AND 63
		AND expiry_ms = CAST(expiry_ms AS INTEGER) AND expiry_ms >= 0
		AND created_ms = CAST(created_ms AS INTEGER) AND created_ms >= 0
		AND fingerprint >= x'' AND length(fingerprint) = 16
		AND app >= x'' AND event_id >= x'' AND method >= x''
		AND url >= x'' AND headers >= x'' AND typeof(body) = 'blob'
		AND body_is_text = CAST(body_is_text AS INTEGER))
	CONSTRAINT event_state_types CHECK (
		status = CAST(status AS INTEGER) AND status BETWEEN 0 AND 3
		AND attempts = CAST(attempts AS INTEGER) AND attempts >= 0
		AND owner = CAST(owner AS INTEGER)
		AND due_ms = CAST(due_ms AS INTEGER) AND due_ms >= 0
		AND last_code = CAST(last_code AS INTEGER) AND last_code >= 0
		AND suspect = CAST(suspect AS INTEGER) AND suspect BETWEEN 0 AND 2
		AND last_error >= x'');

ALTER TABLE attempt ADD COLUMN types INTEGER AS (1) VIRTUAL
	CONSTRAINT attempt_types CHECK (
		event = CAST(event AS INTEGER)
		AND number = CAST(number AS INTEGER) AND number >= 0
		AND at_ms = CAST(at_ms AS INTEGER) AND at_ms >= 0
		AND code = CAST(code AS INTEGER) AND code >= 0
		AND error >= x'' AND response >= x'');

ALTER TABLE lease ADD COLUMN types INTEGER AS (1) VIRTUAL
	CONSTRAINT lease_types CHECK (
		shard BETWEEN 0 AND 63
		AND owner = CAST(owner AS INTEGER)
		AND until_ms = CAST(until_ms AS INTEGER));

ALTER TABLE instance ADD COLUMN types INTEGER AS (1) VIRTUAL
	CONSTRAINT instance_types CHECK (
		until_ms = CAST(until_ms AS INTEGER)
		AND active = CAST(active AS INTEGER));
