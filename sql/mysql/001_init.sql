-- Statements end with ";" at the end of a line. Each may be run again: MySQL
-- commits every one by itself, so a migration can stop half-way.

-- One row per event. id rises with time, so that rows are added at the end;
-- k is the key that clients' ids hash to, shard is one of 64, chosen when it is
-- added.
-- status: 0 waiting for due_ms, 1 processing under owner, 2 completed,
-- 3 failed; due_ms of a finished row is when it finished.
CREATE TABLE IF NOT EXISTS event (
	id BIGINT NOT NULL,
	k BINARY(16) NOT NULL,
	shard TINYINT UNSIGNED NOT NULL,
	status TINYINT UNSIGNED NOT NULL,
	attempts INT UNSIGNED NOT NULL,
	owner BIGINT UNSIGNED NOT NULL,
	due_ms BIGINT NOT NULL,
	expiry_ms BIGINT NOT NULL,
	created_ms BIGINT NOT NULL,
	fingerprint BINARY(16) NOT NULL,
	app VARBINARY(100) NOT NULL,
	event_id VARBINARY(255) NOT NULL,
	method VARBINARY(16) NOT NULL,
	url VARBINARY(8192) NOT NULL,
	headers MEDIUMBLOB NOT NULL,
	body LONGBLOB NOT NULL,
	body_is_text BOOLEAN NOT NULL,
	last_code INT NOT NULL,
	last_error VARBINARY(512) NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY k (k),
	KEY due (shard, status, due_ms)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- The attempts that failed.
CREATE TABLE IF NOT EXISTS attempt (
	event BIGINT NOT NULL,
	number INT UNSIGNED NOT NULL,
	at_ms BIGINT NOT NULL,
	code INT NOT NULL,
	error VARBINARY(512) NOT NULL,
	response VARBINARY(2000) NOT NULL,
	PRIMARY KEY (event, number)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- Which worker may claim from a shard, by the database's clock; owner 0: none.
CREATE TABLE IF NOT EXISTS lease (
	shard TINYINT UNSIGNED NOT NULL,
	owner BIGINT UNSIGNED NOT NULL,
	until_ms BIGINT NOT NULL,
	PRIMARY KEY (shard)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

INSERT IGNORE INTO lease (shard, owner, until_ms) VALUES
	(0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0),
	(4, 0, 0), (5, 0, 0), (6, 0, 0), (7, 0, 0),
	(8, 0, 0), (9, 0, 0), (10, 0, 0), (11, 0, 0),
	(12, 0, 0), (13, 0, 0), (14, 0, 0), (15, 0, 0),
	(16, 0, 0), (17, 0, 0), (18, 0, 0), (19, 0, 0),
	(20, 0, 0), (21, 0, 0), (22, 0, 0), (23, 0, 0),
	(24, 0, 0), (25, 0, 0), (26, 0, 0), (27, 0, 0),
	(28, 0, 0), (29, 0, 0), (30, 0, 0), (31, 0, 0),
	(32, 0, 0), (33, 0, 0), (34, 0, 0), (35, 0, 0),
	(36, 0, 0), (37, 0, 0), (38, 0, 0), (39, 0, 0),
	(40, 0, 0), (41, 0, 0), (42, 0, 0), (43, 0, 0),
	(44, 0, 0), (45, 0, 0), (46, 0, 0), (47, 0, 0),
	(48, 0, 0), (49, 0, 0), (50, 0, 0), (51, 0, 0),
	(52, 0, 0), (53, 0, 0), (54, 0, 0), (55, 0, 0),
	(56, 0, 0), (57, 0, 0), (58, 0, 0), (59, 0, 0),
	(60, 0, 0), (61, 0, 0), (62, 0, 0), (63, 0, 0);

-- One row per worker, living until until_ms; active is 0 for those that take no
-- share of the shards: they leave, or cannot be reached for the moment.
CREATE TABLE IF NOT EXISTS instance (
	owner BIGINT UNSIGNED NOT NULL,
	until_ms BIGINT NOT NULL,
	host VARBINARY(255) NOT NULL,
	pid INT NOT NULL,
	started_ms BIGINT NOT NULL,
	active BOOLEAN NOT NULL,
	PRIMARY KEY (owner)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- One row per migration that was run; the largest is the schema version.
CREATE TABLE IF NOT EXISTS meta (
	version INT NOT NULL,
	PRIMARY KEY (version)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
