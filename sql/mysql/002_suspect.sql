-- Whether an event may be why its worker died: 0 no; 1 it was on the wire once
-- when one died of nothing known; 2 twice, and then it is delivered alone. Such
-- a row waits (status 0) with 2^48 ms added to due_ms, so that it lies behind
-- all others in the index: for a claim of an older version, too, it is not due.
SET @cassata = IF((SELECT COUNT(*) FROM information_schema.columns
	WHERE table_schema = DATABASE() AND table_name = 'event'
	AND column_name = 'suspect') = 0,
	'ALTER TABLE event ADD COLUMN suspect TINYINT UNSIGNED NOT NULL DEFAULT 0',
	'DO 0');
PREPARE cassata FROM @cassata;
EXECUTE cassata;
DEALLOCATE PREPARE cassata;
