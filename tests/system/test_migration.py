# SPDX-License-Identifier: ISC
"""A datastore of an older version: it is brought up to date, nothing in it is
lost, and what waits there is delivered."""

import hashlib
import re
import time

import pytest

from cassata import SOURCE, SqliteStore

OWNER = 77  # a worker that is gone
WAITING, PROCESSING, COMPLETED, FAILED = range(4)

# id, status, attempts, owner, last code, last error
ROWS = [
    ("waiting", WAITING, 0, 0, 0, ""),
    ("claimed", PROCESSING, 1, OWNER, 0, ""),
    ("claimed-again", PROCESSING, 2, OWNER, 503, ""),
    ("retried", WAITING, 1, 0, 0, "timed out"),
    ("delivered", COMPLETED, 1, 0, 204, ""),
    ("given-up", FAILED, 2, 0, 0, "no route"),
]
# event, number, code, error, response
ATTEMPTS = [
    ("claimed-again", 1, 503, "", "later"),
    ("retried", 1, 0, "timed out", ""),
    ("given-up", 1, 500, "", "no"),
    ("given-up", 2, 0, "no route", ""),
]


def text(value):
    return "X'%s'" % value.encode().hex()


def insert_row(number, row, url, now_ms):
    event_id, status, attempts, owner, code, error = row
    key = hashlib.sha256(b"app\0" + event_id.encode()).digest()[:16]
    return (
        "INSERT INTO event (id, k, shard, status, attempts, owner, due_ms,"
        " expiry_ms, created_ms, fingerprint, app, event_id, method, url,"
        " headers, body, body_is_text, last_code, last_error) VALUES"
        " (%d, X'%s', %d, %d, %d, %d, %d, %d, %d, X'%s', %s, %s, %s, %s, %s,"
        " %s, 0, %d, %s);" % (
            number, key.hex(), key[15] % 64, status, attempts, owner, now_ms,
            now_ms, now_ms, key.hex(), text("app"), text(event_id),
            text("POST"), text(url), text(""), text('{"n":1}'), code,
            text(error)))


def statements(url):
    now_ms = int(time.time() * 1000)
    numbers = {row[0]: n for n, row in enumerate(ROWS, 1)}
    for row in ROWS:
        yield insert_row(numbers[row[0]], row, url, now_ms)
    for event_id, number, code, error, response in ATTEMPTS:
        yield ("INSERT INTO attempt (event, number, at_ms, code, error,"
               " response) VALUES (%d, %d, %d, %d, %s, %s);" % (
                   numbers[event_id], number, now_ms, code, text(error),
                   text(response)))
    yield "UPDATE lease SET owner = %d, until_ms = %d;" % (OWNER, now_ms)


TABLES = ("event", "attempt", "lease", "instance", "job", "label", "meta",
          "schedule", "pause")


def migrations(store):
    """Of each version, in order."""
    files = sorted((SOURCE / "sql" / store.kind).glob("*.sql"))
    return [re.sub("(?m)^--.*$", "", f.read_text()) for f in files]


VERSIONS = len(list((SOURCE / "sql" / "sqlite").glob("*.sql")))


def make_schema(store, version, url):
    """As that version left it; the texts never change."""
    script = "".join("DROP TABLE %s;\n" % table for table in TABLES)
    script += "".join(migrations(store)[:version])
    script += "\n".join(statements(url))
    if isinstance(store, SqliteStore):
        store.script(script + "INSERT INTO meta VALUES"
                     " ('schema_version', %d);" % version)
    else:
        store.sql(script + "INSERT INTO meta VALUES (%d);" % version)


def test_options_are_added_at_once(prepare, store, sink):
    """However many events there are: no row is looked at."""
    c = prepare().start()
    c.stop()
    make_schema(store, 4, sink.url("/e"))
    if isinstance(store, SqliteStore):
        # A check would be held against this one.
        store.script("PRAGMA ignore_check_constraints = ON;"
                     "UPDATE event SET suspect = 9 WHERE id = 5;")
    else:
        # A server that would write them refuses.
        store.sql("SET SESSION alter_algorithm = 'INSTANT';" +
                  migrations(store)[4])
    c.start()
    c.wait_state("waiting", "COMPLETED")


@pytest.mark.parametrize("version, broken_off", [(1, True)] + [
    (version, False) for version in range(1, VERSIONS)])
def test_earlier_schema(prepare, store, sink, version, broken_off):
    if broken_off and isinstance(store, SqliteStore):
        pytest.skip("a migration is one transaction there")
    c = prepare().start()
    c.stop()
    make_schema(store, version, sink.url("/e"))
    if broken_off:
        # After its last statement, before it was recorded.
        c.start()
        c.stop()
        store.sql("DELETE FROM meta WHERE version > %d" % version)
    c.start()
    for event_id, status, attempts, _, code, error in ROWS:
        log = [a for a in ATTEMPTS if a[0] == event_id]
        event = c.wait_state(
            event_id, "FAILED" if status == FAILED else "COMPLETED")
        # The one that was lost with its worker is not counted.
        assert event["attempts"] == attempts + (status == WAITING)
        assert [(event_id, a["attempt"], a.get("response-code", 0),
                 a.get("error", ""), a.get("response-body", ""))
                for a in event["attempt-log"]] == log
        assert event["event"] == {"n": 1}
        if status >= COMPLETED:
            assert event.get("last-response-code", 0) == code
            assert event.get("last-error", "") == error
    assert len(sink.arrivals("/e")) == 4
    assert c.get("/readyz").status == 200
