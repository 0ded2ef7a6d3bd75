-- What events are found by that have labels (in their options): a row each. k is
-- the hash of application, name and value, due_ms that of the event.
CREATE TABLE label (
	event INTEGER NOT NULL CHECK (event = CAST(event AS INTEGER)),
	number INTEGER NOT NULL CHECK (number BETWEEN 0 AND 7),
	k BLOB NOT NULL CHECK (k >= x'' AND length(k) = 16),
	due_ms INTEGER NOT NULL
		CHECK (due_ms = CAST(due_ms AS INTEGER) AND due_ms >= 0),
	PRIMARY KEY (event, number)
) WITHOUT ROWID;
CREATE INDEX label_due ON label (k, due_ms, event);
