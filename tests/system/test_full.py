# SPDX-License-Identifier: ISC
"""A datastore that is full: what goes on, and the way out of it."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
import uuid

import pytest

from cassata import MysqlServer, SqliteStore, wait_for
from client import path_of
from sink import Reply

LATER = time.time() + 86400
BODY = "x" * 100000
ADDS_MAX = 3000
FAILING = 150  # status: what the datastore is


class Disk:
    """A small file system."""

    def __init__(self, path):
        self.path = path
        self._filler = os.path.join(path, "filler")

    def fill(self):
        """As another program would: to the last byte."""
        with open(self._filler, "wb") as filler:
            for step in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(filler.fileno(), filler.tell(), step)
                        filler.seek(0, os.SEEK_END)

    def free(self):
        os.unlink(self._filler)


@pytest.fixture
def disk(store):
    if store.kind != "sqlite":
        pytest.skip("the disk of a server is not seen")
    path = tempfile.mkdtemp(prefix="cassata-disk-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "cassata",
                       path], stderr=subprocess.DEVNULL).returncode:
        os.rmdir(path)
        pytest.skip("nothing may be mounted")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
        os.rmdir(path)


def add(c, event_id, **members):
    return c.post({"event-id": event_id, "application-id": "app",
                   "event": BODY, "expiry": LATER, "url": "http://127.0.0.1:9/",
                   **members})


def fill(c, name="fill"):
    """Adds until one is refused; that answer, and the ids of the others."""
    ids = []
    while len(ids) < ADDS_MAX:
        event_id = "%s-%d" % (name, len(ids))
        response = add(c, event_id)
        if response.status != 201:
            return response, ids
        ids.append(event_id)
    raise AssertionError("%d adds do not fill it" % ADDS_MAX)


def assert_no_room(response):
    assert response.status == 507, response
    assert response.header("Content-Type") == "application/problem+json"
    assert response.json()["title"] == "Insufficient Storage"
    assert int(response.header("Retry-After")) > 0


def assert_repeats_are_known(c, event_id):
    assert add(c, event_id).status == 200
    assert add(c, event_id, url="http://127.0.0.1:9/other").status == 409


def assert_no_trouble(c):
    """As soon as each service process has made an add."""
    wait_for(lambda: add(c, str(uuid.uuid4())).status == 201 and
             c.ctl("status").returncode == 0, 30, "the end of the trouble")


def pids(c):
    return sorted(child["pid"] for child in c.status()["children"])


def metric(c, name):
    for line in c.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    raise AssertionError("no metric " + name)


def test_reserve(prepare, disk, sink):
    """Below it adds get 507, and all else goes on: results, a
    start, deletes, which make room for adds again."""
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate))
    sink.on("/fails", Reply(503, b"busy" * 500, gate=gate))
    c = prepare(store=SqliteStore(disk.path), datastore={"minFree": "64MiB"},
                worker={"deliveryTimeout": "1h", "numWorkerThreads": 1,
                        "retryDelays": ["1h"]}).start()
    held = ["held-%d" % n for n in range(40)]
    for event_id in held:
        c.schedule(event_id, sink.url("/held"))
    c.schedule("fails", sink.url("/fails"))
    sink.wait("/held", len(held))
    sink.wait("/fails")
    refused, ids = fill(c)
    assert_no_room(refused)
    assert_repeats_are_known(c, ids[0])
    wait_for(lambda: metric(c, "cassata_events_refused_total") > 0)
    assert "no room for adds" in c.log_text()
    assert c.get("/readyz").status == 200
    # Results, of which one is logged.
    gate.set()
    assert len(c.wait_state("fails", "SERVICE_UNAVAILABLE")["attempt-log"]) == 1
    for event_id in held:
        c.wait_state(event_id, "COMPLETED")
    assert len(sink.arrivals("/held")) == len(held)
    # The log ends with a stop, which leaves room for a few more.
    c.stop()
    c.start()
    refused, more = fill(c, "started")
    assert_no_room(refused)
    ids += more
    # Nothing that was acknowledged is lost, and deletes make room.
    half = len(ids) // 2
    for event_id in ids[:half]:
        assert c.delete(event_id).status == 200
    # A log that has grown is cut by the write after its copy.
    wait_for(lambda: add(c, "again").status == 201)
    assert "room for adds again" in c.log_text()
    for event_id in ids[:half]:
        assert c.state(event_id) is None
    for event_id in ids[half:] + ["again"]:
        assert c.state(event_id) == "PENDING"
    # The pages that became free are used, the reserve stays.
    refused, more = fill(c, "freed")
    assert_no_room(refused)
    assert 0.8 * half < len(more) < half + 40
    for event_id in more:
        assert c.delete(event_id).status == 200


def test_reserve_of_schedules(prepare, disk, sink):
    """Each run leaves an event: without room for that it waits."""
    c = prepare(store=SqliteStore(disk.path),
                datastore={"minFree": "100MiB"}).start()
    made = c.request("POST", "/cassata/schedules/app/s", json.dumps({
        "schedule": {"every": "1d"},
        "event": {"url": sink.url("/s"), "event": BODY}}).encode())
    assert made.status == 201, made
    run = "s@" + made.json()["next"][0]
    refused, ids = fill(c)
    assert_no_room(refused)
    assert c.request("POST", path_of("run", "app", run)).status == 200
    wait_for(lambda: c.event(run)["next-attempt"] > time.time() + 30)
    assert c.event(run)["status"] == "PENDING" and not sink.arrivals("/s")
    for event_id in ids[:20]:
        assert c.delete(event_id).status == 200
    assert c.request("POST", path_of("run", "app", run)).status == 200
    c.wait_state(run, "COMPLETED")


@pytest.mark.parametrize("min_free", ["32MiB", 0])
def test_nothing_left(prepare, disk, sink, min_free):
    """Somebody else took the reserve, too: all works once there is room, of
    the same processes."""
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate))
    c = prepare(store=SqliteStore(disk.path), datastore={"minFree": min_free},
                worker={"deliveryTimeout": "1h"}).start()
    before = pids(c)
    c.schedule("held", sink.url("/held"))
    ids = ["e%d" % n for n in range(20)]
    for event_id in ids:
        assert add(c, event_id).status == 201
    sink.wait("/held")
    disk.fill()
    # Without a reserve the log has the room for a few more.
    refused, more = fill(c)
    assert_no_room(refused)
    wait_for(lambda: c.ctl("status").returncode == FAILING)
    assert c.status()["state"] == "ready"
    wait_for(lambda: add(c, ids[0]).status == 200)
    gate.set()
    for event_id in ids[:10]:
        response = c.delete(event_id)
        assert response.status in (200, 503), response
        assert response.status == 200 or response.header("Retry-After")
    disk.free()
    for event_id in ids[:10]:
        wait_for(lambda: c.delete(event_id).status in (200, 404))
    wait_for(lambda: add(c, "again").status == 201)
    assert_no_trouble(c)
    c.wait_state("held", "COMPLETED")
    assert len(sink.arrivals("/held")) == 1
    for event_id in ids[10:] + more:
        assert c.state(event_id) == "PENDING"
    assert pids(c) == before


TABLES = "--innodb-file-per-table=0 --innodb-undo-tablespaces=2 " \
    "--innodb-data-file-path=ibdata1:12M:autoextend:max:%dM"


def test_full_tables(prepare, store, monkeypatch):
    """A MySQL server says so when an add finds no room, and all goes on once it
    is given some: until then it may refuse a delete, too, as it likes. At some
    sizes it aborts instead: when it is the page of an index for which there is
    none."""
    if store.kind != "mysql":
        pytest.skip("of MySQL")
    monkeypatch.setenv("CASSATA_MARIADB_OPTIONS", TABLES % 30)
    server = MysqlServer()
    try:
        c = prepare(store=server.new()).start()
        refused, ids = fill(c)
        assert_no_room(refused)
        assert_repeats_are_known(c, ids[0])
        assert c.get("/readyz").status == 200
        shown = c.ctl("status")
        assert shown.returncode == FAILING
        assert "no room for more events" in shown.stdout
        monkeypatch.setenv("CASSATA_MARIADB_OPTIONS", TABLES % 60)
        server.restart()
        wait_for(lambda: add(c, "again").status == 201, 30, "room")
        assert_no_trouble(c)
        half = len(ids) // 2
        for event_id in ids[:half]:
            assert c.delete(event_id).status == 200
            assert c.state(event_id) is None
        for event_id in ids[half:]:
            assert c.state(event_id) == "PENDING"
        c.stop()
    finally:
        server.stop()
