-- What comes again and again. id is another one after each change of what a
-- client says of it; next_s is the time of the run that waits, and next_row its row
-- of event, last_s the time of the last one that was begun; 0 for none. spec is a JSON object; the columns behind
-- it are those of an event.
CREATE TABLE IF NOT EXISTS schedule (
	id BIGINT NOT NULL,
	created_ms BIGINT NOT NULL,
	since_s BIGINT NOT NULL,
	paused BOOLEAN NOT NULL,
	next_s BIGINT NOT NULL,
	next_row BIGINT NOT NULL,
	last_s BIGINT NOT NULL,
	runs BIGINT NOT NULL,
	skipped BIGINT NOT NULL,
	app VARBINARY(100) NOT NULL,
	name VARBINARY(230) NOT NULL,
	fingerprint BINARY(16) NOT NULL,
	spec VARBINARY(4096) NOT NULL,
	method VARBINARY(16) NOT NULL,
	url VARBINARY(8192) NOT NULL,
	headers MEDIUMBLOB NOT NULL,
	body_is_text BOOLEAN NOT NULL,
	body LONGBLOB NOT NULL,
	options VARBINARY(32768) NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY app (app, name),
	KEY next (next_s)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
