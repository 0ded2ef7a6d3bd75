-- Of what no event is delivered for the time being: kind 0 an application, 1 a
-- destination, HOST or HOST:PORT in small letters. until_ms 0: without an end.
-- A waiting row that is due meanwhile has number times 2^49 ms added to due_ms,
-- so that it lies behind all others in the index, with those of its pause.
CREATE TABLE IF NOT EXISTS pause (
	number BIGINT NOT NULL,
	kind TINYINT UNSIGNED NOT NULL,
	name VARBINARY(512) NOT NULL,
	since_ms BIGINT NOT NULL,
	until_ms BIGINT NOT NULL,
	note VARBINARY(1000) NOT NULL,
	PRIMARY KEY (number),
	UNIQUE KEY name (kind, name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
