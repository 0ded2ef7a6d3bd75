# SPDX-License-Identifier: ISC
"""Rows that somebody, or a disk, has spoilt."""

import re
import time
from urllib.parse import quote

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


def allow_null(store, table, column):
    """As where somebody has changed the table."""
    if store.kind == "sqlite":
        store.script(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql ="
            " replace(sql, '%s INTEGER NOT NULL', '%s INTEGER')"
            " WHERE type = 'table' AND name = '%s'" % (column, column, table))
    else:
        store.sql("ALTER TABLE %s MODIFY %s BIGINT" % (table, column))


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
    ("expiry_ms = -1, due_ms = -1", "due_ms -1", "expiry_ms -1"),
    ("last_code = NULL, due_ms = 500", "last_code is .*", "last_code is ")])
def test_keeps_no_other(launch, store, sink, damage, told, stays):
    """It waits, and is told of; the others of its shard arrive; it can be
    deleted."""
    c = launch(worker={"numWorkerThreads": 1,
                       "maxEventsProcessedPerTransaction": 10})
    allow_null(store, "event", "last_code")
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


def test_without_a_state(launch, store):
    """It is in no list, and can be deleted."""
    c = launch(roles="service")
    c.schedule("bad", "http://127.0.0.1:9/", expiry=FAR)
    allow_null(store, "event", "status")
    spoil(store, "UPDATE event SET status = NULL")
    assert c.get(path_of("event", "app", "bad")).status == 500
    assert c.delete("bad").status == 200
    assert c.delete("bad").status == 404


# ---- what events are changed, repeated, held back and found by ----

@pytest.mark.parametrize("damage", [
    "runs = -1", "spec = X'7b'", "spec = X'7b7d'", "next_s = -5", "paused = 7, created_ms = -1",
    "runs = NULL", "next_s = NULL"])
def test_schedule(launch, store, sink, damage):
    """It says so; the others are listed; it can be replaced, and deleted, and
    the run that waits goes with it."""
    c = launch(roles="service")
    allow_null(store, "schedule", "runs")
    allow_null(store, "schedule", "next_s")
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


def walk(c, path):
    """The ids of all pages of one."""
    ids, after = [], ""
    while after is not None:
        page = c.get("%s?limit=1%s" % (path, after)).json()
        ids += [s["schedule-id"] for s in page["schedules"]]
        after = "&after=" + quote(page["next"]) if "next" in page else None
        assert len(ids) < 9
    return ids


@pytest.mark.parametrize("name", [b"\x80", b"f\xff", b"\xff"])
def test_name_of_a_schedule(launch, store, name):
    """The others are listed, a page after the other."""
    c = launch(roles="service")
    for i in "a", "f", "g", "\u00e9":
        made(c, i, "http://127.0.0.1:9/", every="1d")
    spoil(store, "UPDATE schedule SET name = X'%s' WHERE name = X'66'" %
          name.hex())
    assert walk(c, "/cassata/schedules/app") == ["a", "g", "\u00e9"]


def test_last_run_of_a_schedule(launch, store, sink):
    """What is no state is not under way: the next run begins, and others."""
    c = launch(worker={"numWorkerThreads": 1})
    allow_null(store, "event", "status")
    run = "s@" + made(c, "s", sink.url("/s"), every="2s")["next"][0]
    c.wait_state(run, "COMPLETED")
    spoil(store, "UPDATE event SET status = NULL WHERE status = 2")
    n = len(sink.arrivals("/s"))
    c.schedule("good", sink.url("/good"))
    c.wait_state("good", "COMPLETED")
    wait_for(lambda: len(sink.arrivals("/s")) > n + 1)


def test_bodies(launch, store):
    """What is no JSON is a text, and spoils no document."""
    c = launch(roles="service")
    made(c, "s", "http://127.0.0.1:9/", every="1d")
    for i in "a", "b":
        c.schedule(i, "http://127.0.0.1:9/", app="list", expiry=FAR)
    spoil(store, "UPDATE schedule SET body = X'7b22'")
    spoil(store, "UPDATE event SET body = X'7b22' WHERE event_id = X'61'")
    assert c.get(path("s")).json()["event"]["event"] == '{"'
    assert c.event("a", app="list")["event"] == '{"'
    page = c.get("/cassata/events/list?fields=event").json()
    assert sorted(str(e["event"]) for e in page["events"]) == ['{"', "{}"]


@pytest.mark.parametrize("damage", [
    "state = 9", "matched = -1", "done = -9223372036854775807",
    "created_ms = -1", "matched = NULL"])
def test_job(launch, store, damage):
    """It fails, or has; it can be asked for, and removed."""
    c = launch(roles="service")
    allow_null(store, "job", "matched")
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


@pytest.mark.parametrize("damage", ["uuid = 5", "id = 9223372036854775807"])
def test_job_without_a_name(launch, store, damage):
    """Others are made, and done."""
    c = launch(roles="service")
    c.schedule("e", "http://127.0.0.1:9/", expiry=FAR)
    start(c, "app", "delete")
    spoil(store, "UPDATE job SET " + damage)
    good = start(c, "app", "delete")
    launch(store=store, roles="worker", worker={"numWorkerThreads": 1})
    end(c, good)


def test_pause(launch, store, sink):
    """It holds nothing back, and goes when it is resumed, or begun anew."""
    c = launch()
    allow_null(store, "pause", "kind")
    insert = ("INSERT INTO pause (number, kind, since_ms, until_ms, name, note)"
              " VALUES (%d, %s, 1, %s, X'%s', X'')")
    kind = "'x'" if store.kind == "sqlite" else "7"
    rows = [(1, "0", "-1", b"app".hex()), (2, kind, "0", b"other".hex()),
            (3, "1", "-5", b"127.0.0.1".hex()),
            (4, "NULL", "0", b"third".hex())]
    for row in rows:
        spoil(store, insert % row)
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert c.get("/cassata/pauses").json()["pauses"] == []
    for what, name in (("app", "app"), ("app", "other"), ("app", "third"),
                       ("host", "127.0.0.1")):
        assert c.request("DELETE", "/cassata/pause/%s/%s" % (
            what, name)).status == 404
    assert store.sql("SELECT number FROM pause") == []


def test_note_of_a_pause(launch, store):
    """It is no reason to deliver what is held back."""
    c = launch(roles="service")
    response = c.request("POST", "/cassata/pause/app/app", b'{"note": "why"}')
    assert response.status == 201, response
    spoil(store, "UPDATE pause SET note = %s" % (
        "5" if store.kind == "sqlite" else "REPEAT('x', 999)"))
    pause, = c.get("/cassata/pauses").json()["pauses"]
    assert pause["application-id"] == "app"
    assert c.request("DELETE", "/cassata/pause/app/app").status == 200


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
