# SPDX-License-Identifier: ISC
"""Rows that somebody, or a disk, has spoilt."""

import re
import time

import pytest

from cassata import wait_for
from client import path_of
from test_jobs import FAR, end, start, wait_job
from test_schedule import ask, made, path, put

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


# ---- what events are changed, repeated, held back and found by ----

@pytest.mark.parametrize("damage", [
    "runs = -1", "spec = X'7b'", "next_s = -5", "paused = 7, created_ms = -1"])
def test_schedule(launch, store, sink, damage):
    """It says so; the others are listed; it can be replaced, and deleted, and
    the run that waits goes with it."""
    c = launch(roles="service")
    run = "s@" + made(c, "s", sink.url("/s"), every="1d")["next"][0]
    made(c, "t", sink.url("/t"), every="1d")
    spoil_it = "UPDATE schedule SET %s WHERE name = X'%s'" % (
        damage, b"s".hex())
    spoil(store, spoil_it)
    for response in (c.get(path("s")), ask(c, "s", "run"), ask(c, "s", "pause"),
                     ask(c, "s", "resume")):
        assert response.status == 500, response
        assert response.json()["type"] == "urn:cassata:problem:damaged"
        assert "schedule app/s is damaged: " in response.json()["detail"]
    page = c.get("/cassata/schedules/app").json()
    assert [s["schedule-id"] for s in page["schedules"]] == ["t"]
    assert page["damaged-ids"] == ["s"]
    page = c.get("/cassata/schedules/app?limit=1").json()
    assert (page["schedules"], page["next"]) == ([], "s")
    done = c.ctl("schedule", "list", "-S", "http://127.0.0.1:%d" % c.port,
                 "app")
    assert done.returncode == 1, done
    assert " t " in done.stdout, done
    assert 'a schedule cannot be read: "s"' in done.stderr

    assert put(c, "s", sink.url("/s"), every="2d").status == 200
    answer = c.get(path("s")).json()
    assert answer["schedule"] == {"every": "2d"}
    assert answer["status"] == "ACTIVE"
    # What is not known of the run that waits is no reason to keep the rest.
    is_lost = damage.startswith("next_s")
    assert (c.state(run) is None) != is_lost
    run = "s@" + answer["next"][0]
    spoil(store, spoil_it)
    assert ask(c, "s", method="DELETE").status == 200
    assert c.get(path("s")).status == 404
    assert (c.state(run) is None) != is_lost


@pytest.mark.parametrize("damage", [
    "state = 9", "matched = -1", "done = -9223372036854775807",
    "created_ms = -1"])
def test_job(launch, store, damage):
    """It fails, or has; it can be asked for, and removed."""
    c = launch(roles="service")
    for i in range(3):
        c.schedule("e%d" % i, "http://127.0.0.1:9/", expiry=FAR)
    bad, good = (start(c, "app", "delete") for _ in range(2))
    spoil(store, "UPDATE job SET %s WHERE uuid = X'%s'" % (
        damage, bad.rpartition("/")[2].encode().hex()))
    for answer in (c.get(bad), c.get("/cassata/jobs/app")):
        assert answer.status == 200
        job, = [j for j in answer.json().get("jobs", [answer.json()])
                if bad.endswith(j["job"])]
        assert "cannot be read" in job["error"]
    worker = launch(store=store, roles="worker",
                    worker={"numWorkerThreads": 1})
    end(c, good)
    wait_job(c, bad, lambda job: job["state"] == "failed")
    worker.stop()
    assert c.request("DELETE", bad).status == 200
    assert c.get(bad).status == 404
    assert len(c.get("/cassata/jobs/app").json()["jobs"]) == 1


def test_pause(launch, store, sink):
    """It holds nothing back, and goes when it is resumed, or begun anew."""
    c = launch()
    insert = ("INSERT INTO pause (number, kind, since_ms, until_ms, name, note)"
              " VALUES (%d, %s, 1, %s, X'%s', X'')")
    kind = "'x'" if store.kind == "sqlite" else "7"
    rows = [(1, "0", "-1", b"app".hex()), (2, kind, "0", b"other".hex()),
            (3, "1", "-5", b"127.0.0.1".hex())]
    for row in rows:
        spoil(store, insert % row)
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert c.get("/cassata/pauses").json()["pauses"] == []
    for what, name in ("app", "app"), ("app", "other"), ("host", "127.0.0.1"):
        assert c.request("DELETE", "/cassata/pause/%s/%s" % (
            what, name)).status == 404
    assert store.sql("SELECT number FROM pause") == []


def test_label(launch, store):
    """Its event is found otherwise, and deleted with it."""
    c = launch(roles="service")
    for name in "a", "b":
        c.schedule(name, "http://127.0.0.1:9/", expiry=FAR,
                   labels={"k": "v"})
    value = "'x'" if store.kind == "sqlite" else "-1"
    spoil(store, "UPDATE label SET due_ms = %s WHERE event ="
                 " (SELECT MIN(id) FROM event)" % value)
    page = c.get("/cassata/events/app?label=k%3Dv")
    assert page.status == 200
    assert [e["event-id"] for e in page.json()["events"]] == ["b"]
    assert len(c.get("/cassata/events/app").json()["events"]) == 2
    assert c.delete("a").status == 200
    assert len(store.sql("SELECT event FROM label")) == 1
