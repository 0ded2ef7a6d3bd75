# SPDX-License-Identifier: ISC
"""Rows that somebody, or a disk, has spoilt."""

import re
import time

import pytest

from cassata import wait_for
from client import path_of

# More than a claim takes.
N = 40


def spoil(store, statement):
    """As one who writes into the table by hand can."""
    if store.kind == "sqlite":
        store.script("PRAGMA ignore_check_constraints = ON; " + statement)
    else:
        store.sql(statement)


def due_rows(store, n, url):
    """Events that are due, before all that is added from now on."""
    rows = ", ".join(
        "(%d, X'%032x', %d, 0, 0, 0, %d, %d, 1, X'%032x', X'%s', X'%s', X'%s',"
        " X'%s', X'', 0, X'', X'', 0, X'')" % (
            i, i, i % 64, 1000 + i, 1000 + i, i, b"spoilt".hex(),
            ("d%d" % i).encode().hex(), b"POST".hex(), url.encode().hex())
        for i in range(1, n + 1))
    store.sql("INSERT INTO event (id, k, shard, status, attempts, owner, due_ms,"
              " expiry_ms, created_ms, fingerprint, app, event_id, method, url,"
              " headers, body_is_text, body, options, last_code, last_error)"
              " VALUES " + rows)


def questions(c, name):
    return [c.get(path_of(what, "app", name))
            for what in ("event", "status", "why")]


def counter(c, name):
    line, = [line for line in c.get("/metrics").body.decode().splitlines()
             if line.startswith(name + " ")]
    return float(line.split()[1])


@pytest.mark.parametrize("damage, told, stays", [
    ("last_code = -5, due_ms = 500", "last_code -5", "last_code -5"),
    ("attempts = 2000000, due_ms = 500", "attempts 2000000", "attempts 2000000"),
    ("expiry_ms = -1, due_ms = -1", "due_ms -1", "expiry_ms -1")])
def test_keeps_no_other(launch, store, sink, damage, told, stays):
    """It waits, and is told of; the others of its shard arrive; it can be
    deleted."""
    c = launch(worker={"numWorkerThreads": 1,
                       "maxEventsProcessedPerTransaction": 10})
    c.schedule("bad", sink.url("/bad"), expiry=time.time() + 3600)
    spoil(store, "UPDATE event SET shard = 7, %s" % damage)
    due_rows(store, N, sink.url("/d"))
    spoil(store, "UPDATE event SET shard = 7, attempts = 3000000"
                 " WHERE app = X'%s'" % b"spoilt".hex())
    c.schedule("good", sink.url("/good"), expiry=time.time() + 1)
    spoil(store, "UPDATE event SET shard = 7 WHERE event_id = X'%s'"
                 " AND status = 0" % b"good".hex())
    c.wait_state("good", "COMPLETED")
    for line in (told + ": /cassata/event/app/bad waits",
                 "[0-9]+ more events are damaged, and wait"):
        wait_for(lambda: re.search(line, c.log_text()), what=line)
    for response in questions(c, "bad"):
        assert response.status == 500, response
        assert response.json()["type"] == "urn:cassata:problem:damaged"
        assert stays in response.json()["detail"]
    assert sink.arrivals("/bad") == []
    assert c.delete("bad").status == 200
    assert c.delete("bad").status == 404
    assert c.get(path_of("event", "app", "bad")).status == 404
    assert counter(c, "cassata_events_damaged_total") > N
