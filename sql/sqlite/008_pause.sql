-- Of what no event is delivered for the time being: kind 0 an application, 1 a
-- destination, HOST or HOST:PORT in small letters. until_ms 0: without an end.
-- A waiting row that is due meanwhile has number times 2^49 ms added to due_ms,
-- so that it lies behind all others in the index, with those of its pause.
CREATE TABLE pause (
	number INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL,
	name BLOB NOT NULL,
	since_ms INTEGER NOT NULL,
	until_ms INTEGER NOT NULL,
	note BLOB NOT NULL,
	UNIQUE (kind, name)
);
