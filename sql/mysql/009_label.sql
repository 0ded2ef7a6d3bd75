-- What events are found by that have labels (in their options): a row each. k is
-- the hash of application, name and value, due_ms that of the event.
CREATE TABLE IF NOT EXISTS label (
	event BIGINT NOT NULL,
	number TINYINT UNSIGNED NOT NULL,
	k BINARY(16) NOT NULL,
	due_ms BIGINT NOT NULL,
	PRIMARY KEY (event, number),
	KEY due (k, due_ms, event)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
