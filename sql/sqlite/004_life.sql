-- An instance lives as long as it renews: until_ms is another number after each
-- renewal, and whoever has seen it stand still for lease_ms by a clock of its
-- own takes over; until then leases last, so that their until_ms says nothing.
-- To an older version, which compares both with a clock, they are far off.
-- wall_ms, seen_ms: the last renewal, by the host's clock and the database's;
-- node: the database server that it went to. The default of lease_ms is that of
-- instances of older versions.
ALTER TABLE instance ADD COLUMN lease_ms INTEGER NOT NULL DEFAULT 60000
	CHECK (lease_ms = CAST(lease_ms AS INTEGER));
ALTER TABLE instance ADD COLUMN wall_ms INTEGER NOT NULL DEFAULT 0
	CHECK (wall_ms = CAST(wall_ms AS INTEGER));
ALTER TABLE instance ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0
	CHECK (seen_ms = CAST(seen_ms AS INTEGER));
ALTER TABLE instance ADD COLUMN node BLOB NOT NULL DEFAULT x'';
