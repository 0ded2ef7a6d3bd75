-- An instance lives as long as it renews: until_ms is another number after each
-- renewal, and whoever has seen it stand still for lease_ms by a clock of its
-- own takes over; until then leases last, so that their until_ms says nothing.
-- To an older version, which compares both with a clock, they are far off.
-- wall_ms, seen_ms: the last renewal, by the host's clock and the database's;
-- node: the database server that it went to. The default of lease_ms is that of
-- instances of older versions.
SET @cassata = IF((SELECT COUNT(*) FROM information_schema.columns
	WHERE table_schema = DATABASE() AND table_name = 'instance'
	AND column_name = 'lease_ms') = 0,
	'ALTER TABLE instance
		ADD COLUMN lease_ms BIGINT NOT NULL DEFAULT 60000,
		ADD COLUMN wall_ms BIGINT NOT NULL DEFAULT 0,
		ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT 0,
		ADD COLUMN node VARBINARY(255) NOT NULL DEFAULT ''''',
	'DO 0');
PREPARE cassata FROM @cassata;
EXECUTE cassata;
DEALLOCATE PREPARE cassata;
