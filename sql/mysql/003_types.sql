-- Columns have types here: nothing is to be done. The number is that of SQLite's
-- migration.
DO 0;
