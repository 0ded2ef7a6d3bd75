-- What an event has beside its request: a JSON object, '' for none. It comes
-- last, in a length that is no BLOB's, so that no row is written for it.
SET @cassata = IF((SELECT COUNT(*) FROM information_schema.columns
	WHERE table_schema = DATABASE() AND table_name = 'event'
	AND column_name = 'options') = 0,
	'ALTER TABLE event ADD COLUMN options VARBINARY(32768) NOT NULL
		DEFAULT ''''',
	'DO 0');
PREPARE cassata FROM @cassata;
EXECUTE cassata;
DEALLOCATE PREPARE cassata;
