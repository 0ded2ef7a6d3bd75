-- What comes again and again. id is another one after each change of what a
-- client says of it; next_s is the time of the run that waits, and next_row its row
-- of event, last_s the time of the last one that was begun; 0 for none. spec is a JSON object; the columns behind
-- it are those of an event.
CREATE TABLE schedule (
	id INTEGER PRIMARY KEY,
	created_ms INTEGER NOT NULL CHECK (typeof(created_ms) = 'integer'),
	since_s INTEGER NOT NULL CHECK (typeof(since_s) = 'integer'),
	paused INTEGER NOT NULL CHECK (typeof(paused) = 'integer'),
	next_s INTEGER NOT NULL CHECK (typeof(next_s) = 'integer'),
	next_row INTEGER NOT NULL CHECK (typeof(next_row) = 'integer'),
	last_s INTEGER NOT NULL CHECK (typeof(last_s) = 'integer'),
	runs INTEGER NOT NULL CHECK (typeof(runs) = 'integer'),
	skipped INTEGER NOT NULL CHECK (typeof(skipped) = 'integer'),
	app BLOB NOT NULL CHECK (typeof(app) = 'blob'),
	name BLOB NOT NULL CHECK (typeof(name) = 'blob'),
	fingerprint BLOB NOT NULL CHECK (typeof(fingerprint) = 'blob'),
	spec BLOB NOT NULL CHECK (typeof(spec) = 'blob'),
	method BLOB NOT NULL CHECK (typeof(method) = 'blob'),
	url BLOB NOT NULL CHECK (typeof(url) = 'blob'),
	headers BLOB NOT NULL CHECK (typeof(headers) = 'blob'),
	body_is_text INTEGER NOT NULL CHECK (typeof(body_is_text) = 'integer'),
	options BLOB NOT NULL CHECK (typeof(options) = 'blob'),
	body BLOB NOT NULL CHECK (typeof(body) = 'blob'),
	UNIQUE (app, name)
);
CREATE INDEX schedule_next ON schedule (next_s) WHERE next_s > 0;
