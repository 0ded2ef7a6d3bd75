# SPDX-License-Identifier: ISC
"""A frozen daemon: it changes nothing in its datastore, until it is thawed."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import threading
import time

import pytest

from cassata import give, wait_for
from client import Connection, path_of
from sink import Reply

FROZEN = 151  # status: what the daemon is
NOT_RUNNING = 7
# One at least: a busy machine may keep others from leaving in that time.
NOT_QUIET = r"not quiet within 1 s, yet to end: workers [1-9]\d*, writes \d+"


def freeze(c, *options):
    done = c.ctl("freeze", *options)
    assert done.returncode == 0 and done.stdout == "frozen\n", done


def thaw(c):
    done = c.ctl("thaw")
    assert done.returncode == 0 and done.stdout == "thawed\n", done


def assert_refused(response):
    assert response.status == 503, response
    assert response.header("Content-Type") == "application/problem+json"
    assert int(response.header("Retry-After")) > 0
    assert "frozen" in response.json()["detail"]


def event(event_id, url, due=0.0):
    return {"application-id": "app", "event-id": event_id, "event": {},
            "expiry": time.time() + due, "url": url}


def assert_works(c, sink, event_id):
    c.schedule(event_id, sink.url("/" + event_id))
    c.wait_state(event_id, "COMPLETED")


def make_due(c, event_id):
    """Nobody is told."""
    c.store.sql("UPDATE event SET due_ms = 1 WHERE event_id = X'%s'" %
                event_id.encode().hex())


def tables(store):
    """All that a daemon may write to, in short."""
    names = ("event", "attempt", "lease", "instance", "job", "label", "pause",
             "meta")
    if store.kind == "mysql":
        return store.sql("CHECKSUM TABLE %s EXTENDED" % ", ".join(names))
    return [store.sql("SELECT * FROM %s" % name) for name in names]


def test_changes_are_refused(launch, store, sink):
    c = launch(worker={"lease": "1s"})
    c.schedule("due", sink.url("/due"), expiry=time.time() + 3600)
    c.schedule("late", sink.url("/late"), expiry=time.time() + 3600)
    c.schedule("done", sink.url("/done"))
    c.wait_state("done", "COMPLETED")
    freeze(c)

    assert_refused(c.post(event("new", sink.url("/new"))))
    assert_refused(c.post(event("late", sink.url("/late"))))
    assert_refused(c.delete("late"))
    assert_refused(c.delete("late", method="GET"))
    assert_refused(c.get("/readyz"))
    assert c.get("/livez").status == 200
    assert c.state("done") == "COMPLETED"
    assert c.event("late")["status"] == "PENDING"
    assert c.get(path_of("status", "app", "new")).status == 404
    # What cannot be an event never was one.
    assert c.post(b"{").status == 400

    status = c.ctl("status")
    assert status.returncode == FROZEN
    assert "freeze     frozen" in status.stdout
    assert not c.children("worker")
    assert c.ctl("freeze").returncode == 0

    # Not a row changes, for some leases: nobody is registered, or claims.
    make_due(c, "due")
    before = tables(store)
    assert store.sql("SELECT owner FROM instance") == []
    time.sleep(1.5)
    assert tables(store) == before
    assert not sink.arrivals("/due")

    thaw(c)
    assert len(sink.wait("/due")) == 1
    assert c.ctl("status").returncode == 0
    assert c.get("/readyz").status == 200
    assert_works(c, sink, "again")
    assert c.delete("late").status == 200
    assert c.ctl("thaw").returncode == 0


def test_thaw_looks_at_the_datastore(launch, store, sink):
    """It may have become the target of a migrate that is under way."""
    c = launch()
    freeze(c)
    store.sql("CREATE TABLE moving (id INTEGER PRIMARY KEY)")
    done = c.ctl("thaw")
    assert done.returncode == 1, done
    assert "migrate" in done.stderr
    assert c.status()["freeze-state"] == "frozen"
    assert_refused(c.post(event("new", sink.url("/new"))))
    store.sql("DROP TABLE moving")
    thaw(c)
    assert_works(c, sink, "after")


def test_what_is_on_the_wire_ends(launch, sink):
    c = launch()
    gate = sink.gate()
    sink.on("/slow", Reply(gate=gate))
    c.schedule("slow", sink.url("/slow"))
    sink.wait("/slow")

    done = c.ctl("freeze", "--timeout", "1")
    assert done.returncode == 1
    assert re.search(NOT_QUIET, done.stderr), done
    assert "cassatactl thaw" in done.stderr
    assert c.status()["freeze-state"] == "freezing"
    assert "freezing" in c.ctl("status").stdout
    assert_refused(c.post(event("new", sink.url("/new"))))

    gate.set()
    freeze(c)
    # Written before it was quiet.
    assert c.event("slow")["status"] == "COMPLETED"
    assert len(sink.arrivals("/slow")) == 1


def test_thawed_before_it_was_quiet(launch, sink):
    c = launch(worker={"numWorkerThreads": 1})
    gate = sink.gate()
    sink.on("/slow", Reply(gate=gate))
    c.schedule("slow", sink.url("/slow"))
    sink.wait("/slow")
    assert c.ctl("freeze", "--timeout", "1").returncode == 1
    old = c.children("worker", "draining")[0]["pid"]
    thaw(c)
    gate.set()
    wait_for(lambda: [w for w in c.children("worker") if w["pid"] != old])
    assert_works(c, sink, "after")
    c.wait_state("slow", "COMPLETED")
    assert len(sink.arrivals("/slow")) == 1


def test_worker_that_stands_still(launch, sink):
    """It is killed in the end; what it had is delivered again, later."""
    c = launch(worker={"numWorkerThreads": 1, "lease": "2s"},
               master={"shutdownTimeout": "1s"})
    gate = sink.gate()
    sink.on("/e", Reply(gate=gate))
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    os.kill(c.children("worker")[0]["pid"], signal.SIGSTOP)
    freeze(c)
    assert not c.children("worker")
    assert c.state("e") == "PROCESSING"
    gate.set()
    thaw(c)
    c.wait_state("e", "COMPLETED")
    assert len(sink.arrivals("/e")) == 2


WRITES = "SELECT COUNT(*) FROM information_schema.processlist WHERE " \
    "db = '%s' AND state LIKE 'Waiting for %%lock%%' AND " \
    "info LIKE '%%INTO event%%'"


@contextlib.contextmanager
def add_under_way(c, store, sink):
    """The server of the datastore, which is locked, has an add of it."""
    with Connection(c.port) as connection, store.locked():
        connection.send_request(
            "POST", "/cassata/add/",
            json.dumps(event("new", sink.url("/new"), 3600)).encode())
        query = WRITES % store.url.rpartition("/")[2]
        wait_for(lambda: store.sql(query) == [("1",)], 30, "an add")
        yield


def assert_freezing(c, n_writes):
    done = c.ctl("freeze", "--timeout", "1")
    assert done.returncode == 1, done
    status = c.status()
    assert status["freeze-state"] == "freezing"
    assert status["freeze-writes"] == n_writes


def test_service_killed_amid_a_commit(launch, store, sink):
    """A server may commit it yet: for as long as the service would have
    waited, it is not quiet."""
    if store.kind != "mysql":
        pytest.skip("what a killed process would write to a file is not there")
    c = launch(roles="service", datastore={"timeout": "60s"})
    with add_under_way(c, store, sink):
        service = c.children("service")[0]["pid"]
        os.kill(service, signal.SIGKILL)
        wait_for(lambda: [s for s in c.children("service")
                          if s["pid"] != service])
        assert_freezing(c, 1)
    thaw(c)


def test_service_that_stands_still(launch, store, sink):
    """Or says for ever that it writes."""
    if store.kind != "mysql":
        pytest.skip("nobody tells that it waits for a file")
    c = launch(roles="service", datastore={"timeout": "5s"},
               master={"shutdownTimeout": "3s"})
    with add_under_way(c, store, sink):
        service = c.children("service")[0]["pid"]
        os.kill(service, signal.SIGSTOP)
        assert_freezing(c, 1)
    freeze(c, "--timeout", "60")
    assert "killed: a freeze waited for it" in c.log_text()
    before = tables(store)
    thaw(c)
    freeze(c)
    assert tables(store) == before


def test_service_stopped_amid_a_commit(launch, store, sink):
    """Of a file: it keeps others from writing until it is killed, and nothing
    of that commit is there."""
    if store.kind != "sqlite":
        pytest.skip("a server does not wait for who has sent something")
    c = launch(service={"processes": 1}, datastore={"timeout": "5s"},
               master={"shutdownTimeout": "1s"})
    with adding(c, sink, may_break=True) as added:
        service = c.children("service")[0]["pid"]

        def stop():
            os.kill(service, signal.SIGSTOP)
            # Nor by a worker, which would not keep it for so long.
            if not any(store.is_free() for _ in range(10)):
                return True
            os.kill(service, signal.SIGCONT)
            return False
        wait_for(lambda: len(added) > 10)
        wait_for(stop, 30, "a moment amid a commit")
        freeze(c)
        assert "killed: a freeze waited for it" in c.log_text()
        assert store.is_free()
        before = tables(store)
        with Connection(c.port) as connection:
            connection.send_request(
                "POST", "/cassata/add/", json.dumps(
                    event("x", sink.url("/x"))).encode())
            assert_refused(connection.read_response())
        assert tables(store) == before
    thaw(c)
    for event_id in added:
        sink.wait("/" + event_id)


def test_amid_an_upgrade(launch, sink):
    """The daemon before it delivers to the end, and is waited for."""
    c = launch()
    gate = sink.gate()
    sink.on("/slow", Reply(gate=gate))
    c.schedule("slow", sink.url("/slow"))
    sink.wait("/slow")
    assert c.control("upgrade") == "ok\n"
    done = c.ctl("freeze", "--timeout", "1")
    assert done.returncode == 1
    assert re.search(NOT_QUIET, done.stderr), done
    gate.set()
    freeze(c)
    assert c.state("slow") == "COMPLETED"
    assert len(sink.arrivals("/slow")) == 1
    c.process.wait(30)
    c.process, c.pid = None, c.status()["pid"]
    thaw(c)
    assert_works(c, sink, "after")


def test_it_stays_frozen(launch, sink):
    c = launch()
    c.schedule("due", sink.url("/due"), expiry=time.time() + 3600)
    freeze(c)
    make_due(c, "due")

    def assert_frozen(what):
        wait_for(lambda: c.children("service"), what=what)
        assert_refused(c.post(event("new", sink.url("/new"))))
        assert c.status()["freeze-state"] == "frozen", what
        assert not sink.arrivals("/due"), what

    assert c.reload() == "ok\n"
    assert_frozen("after a reload")
    os.kill(c.children("service")[0]["pid"], signal.SIGKILL)
    assert_frozen("with another service")
    assert c.control("upgrade") == "ok\n"
    c.process.wait(30)
    c.process, c.pid = None, c.status()["pid"]
    assert_frozen("after an upgrade")
    c.abandon()
    c.start()
    assert_frozen("after all was killed")
    assert "frozen, as before" in c.log_text()
    c.stop()
    c.start()
    assert_frozen("after a restart")

    thaw(c)
    sink.wait("/due")
    assert_works(c, sink, "after")
    c.stop()
    c.start()
    assert c.status()["freeze-state"] == "thawed"
    assert_works(c, sink, "later")


def kill_master(c):
    """Its children go on to the end of what they have begun."""
    os.kill(c.pid, signal.SIGKILL)
    c.process.wait(10)
    c.process = c.pid = None


@pytest.mark.parametrize("kill", [kill_master, lambda c: c.abandon()],
                         ids=["master", "all"])
def test_killed_before_it_was_quiet(launch, store, sink, kill):
    """What is left of it may still write, and is waited for: also what a
    server was sent."""
    if kill != kill_master and store.kind != "mysql":
        pytest.skip("what a killed process would write to a file is not there")
    c = launch(worker={"numWorkerThreads": 1, "lease": "1s",
                       "retryDelays": ["1s"]},
               datastore={"timeout": "3s"}, master={"shutdownTimeout": "3s"})
    gate = sink.gate()
    sink.on("/slow", Reply(gate=gate))
    c.schedule("slow", sink.url("/slow"))
    sink.wait("/slow")
    assert c.control("freeze") == "ok\n"
    kill(c)
    started = time.monotonic()
    c.start()
    assert_refused(c.post(event("new", sink.url("/new"))))
    gate.set()
    freeze(c)
    assert time.monotonic() - started > 3.9  # a second more than a stop has
    before = tables(c.store)
    if kill == kill_master:
        # Delivered, or given back by who had to leave.
        assert c.state("slow") != "PROCESSING"
    # It was quiet then: the next start knows it.
    c.abandon()
    c.start()
    assert c.status()["freeze-state"] == "frozen"
    assert tables(c.store) == before
    thaw(c)
    c.wait_state("slow", "COMPLETED")


def test_frozen_after_a_kill(launch, sink):
    """Also those are waited for who never knew that they are frozen."""
    c = launch(worker={"numWorkerThreads": 1},
               datastore={"timeout": "3s"}, master={"shutdownTimeout": "2s"})
    gate = sink.gate()
    sink.on("/slow", Reply(gate=gate))
    c.schedule("slow", sink.url("/slow"))
    sink.wait("/slow")
    kill_master(c)
    started = time.monotonic()
    c.start()
    gate.set()
    freeze(c)
    assert time.monotonic() - started > 2.9
    assert c.state("slow") != "PROCESSING"


def test_the_mark_cannot_be_made(launch, sink):
    c = launch()
    mark = c.state_dir / "cassatad.frozen"
    mark.mkdir()
    done = c.ctl("freeze")
    assert done.returncode == 1
    assert str(mark) in done.stderr
    assert c.status()["freeze-state"] == "thawed"
    assert_works(c, sink, "e")
    mark.rmdir()


def test_nobody_is_there(prepare):
    c = prepare()
    assert c.ctl("freeze").returncode == NOT_RUNNING
    assert c.ctl("thaw").returncode == NOT_RUNNING


def test_roles_apart(prepare, store, sink):
    """Each of the daemons of the state directory is frozen, and thawed."""
    c = prepare()
    for role in "service", "worker":
        assert c.ctl("start", role).returncode == 0
    done = c.ctl("freeze")
    assert done.returncode == 0 and done.stdout == "frozen\nfrozen\n", done
    states = [json.loads(line) for line in
              c.ctl("status", "--json").stdout.splitlines()]
    assert [s["freeze-state"] for s in states] == ["frozen", "frozen"]
    assert {child["role"] for s in states for child in s["children"]} == {
        "service"}
    assert_refused(c.post(event("new", sink.url("/new"))))

    # A worker that has no worker processes still looks at its datastore.
    assert c.ctl("stop").returncode == 0
    c.configure(datastore={"url": store.bad_url})
    done = c.ctl("start", "worker")
    assert done.returncode == 1 and store.bad_place in done.stderr, done
    c.configure(datastore={"url": store.url})
    for role in "service", "worker":
        assert c.ctl("start", role).returncode == 0
    assert_refused(c.post(event("new", sink.url("/new"))))
    assert c.ctl("thaw").stdout == "thawed\nthawed\n"
    assert_works(c, sink, "after")
    assert c.ctl("stop").returncode == 0


@contextlib.contextmanager
def adding(c, sink, may_break=False):
    """Clients that add without a pause: the expiry of each event that was
    acknowledged, by id. A connection that may break is made anew."""
    port = c.port
    added, errors, stop = {}, [], threading.Event()
    numbers = itertools.count()

    def add_some(connection):
        while not stop.wait(0.005):
            event_id = str(next(numbers))
            e = event(event_id, sink.url("/" + event_id), 0.2)
            connection.send_request("POST", "/cassata/add/",
                                    json.dumps(e).encode())
            response = connection.read_response()
            if response.status == 201:
                added[event_id] = e["expiry"]
            else:
                assert_refused(response)
            if response.header("Connection") == "close":
                return

    def client():
        while not stop.is_set():
            try:
                with Connection(port) as connection:
                    add_some(connection)
            except Exception as e:  # the test's, not the thread's
                if not may_break or not isinstance(e, OSError):
                    errors.append(e)
                    return
                time.sleep(0.02)

    threads = [threading.Thread(target=client) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        yield added
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert errors == []


def test_under_load(launch, sink):
    """Adds meet all its moments: what was acknowledged arrives, once, on
    time; nothing changes while it is frozen."""
    c = launch()
    with adding(c, sink) as added:
        for _ in range(2):
            n = len(added)
            wait_for(lambda n=n: len(added) >= n + 30)
            freeze(c)
            before = tables(c.store)
            assert_refused(c.post(event("x", sink.url("/x"))))
            assert tables(c.store) == before
            thaw(c)
    for event_id, due in added.items():
        arrivals = sink.wait("/" + event_id)
        assert len(arrivals) == 1
        # The time in the document is in seconds, the promise in milliseconds.
        assert arrivals[0].wall >= due - 0.001


# ---- backups, of a SQLite file ----

def back_up_frozen(c, store, directory):
    """As cassatactl(8) says."""
    freeze(c)
    shutil.copytree(os.path.dirname(store.path), directory, dirs_exist_ok=True)
    thaw(c)


def back_up_at_work(_, store, directory):
    """What the sqlite3 program does for .backup."""
    with contextlib.closing(sqlite3.connect(store.path, 10)) as source, \
            contextlib.closing(sqlite3.connect(
                os.path.join(directory, os.path.basename(store.path)))) as db:
        source.backup(db)


@pytest.mark.parametrize("back_up", [back_up_frozen, back_up_at_work])
def test_backup(prepare, store, new_sqlite, sink, back_up):
    """What was acknowledged before it is delivered from it, once."""
    if store.kind == "mysql":
        pytest.skip("a file's")
    other = new_sqlite()
    c = prepare(worker={"lease": "5s"}).start()
    later = time.time() + 3600
    for i in range(50):
        c.schedule("e%d" % i, sink.url("/e%d" % i), expiry=later)
    c.schedule("done", sink.url("/done"))
    c.wait_state("done", "COMPLETED")
    directory = os.path.dirname(other.path)
    back_up(c, store, directory)
    c.schedule("after", sink.url("/after"), expiry=later)
    c.stop()

    other.sql("UPDATE event SET due_ms = 1 WHERE status = 0")
    give(*(os.path.join(directory, name) for name in os.listdir(directory)))
    # That of a daemon at work has its leases.
    again = prepare(store=other, worker={"lease": "5s"}).start()
    for i in range(50):
        again.wait_state("e%d" % i, "COMPLETED")
        assert len(sink.arrivals("/e%d" % i)) == 1
    assert again.state("done") == "COMPLETED"
    assert len(sink.arrivals("/done")) == 1
    assert again.state("after") is None
