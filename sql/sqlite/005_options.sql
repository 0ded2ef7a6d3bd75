-- What an event has beside its request: a JSON object, '' for none. Without a
-- check, which would be held against all rows; it is typed when it is read.
ALTER TABLE event ADD COLUMN options BLOB NOT NULL DEFAULT x'';
