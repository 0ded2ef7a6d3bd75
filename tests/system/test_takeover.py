# SPDX-License-Identifier: ISC
"""Whose leases are free, and whose are not."""

import contextlib
import os
import re
import signal
import time

import pytest

from cassata import SqliteStore, wait_for
from sink import Reply
from test_lapse import stopped

LONG = {"lease": "1h", "workerThreadPollingInterval": "1s"}


def metric(c, name):
    return c.status()["metrics"]["cassata_" + name]


def test_all_killed_at_once(prepare, store, sink):
    """The next master of the host knows whose leases are free, and what they
    had under way comes again; it does not wait for their end."""
    c = prepare(worker={"numWorkerThreads": 3, **LONG}).start()
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate), 200)
    c.schedule("held", sink.url("/held"))
    sink.wait("/held")
    c.schedule("later", sink.url("/later"), expiry=time.time() + 2)
    wait_for(lambda: metric(c, "shards_held") == 64, what="all leases")
    c.abandon()
    gate.set()
    c.start()
    c.schedule("new", sink.url("/new"))
    for name in "held", "later", "new":
        c.wait_state(name, "COMPLETED")
    assert len(sink.arrivals("/held")) == 2
    # Some of them may still have been on their way out.
    assert sum(map(int, re.findall(
        r"had not given their leases back: (\d+)", c.log_text()))) == 3
    c.stop()
    assert os.listdir(c.state_dir / "owners") == []


def test_killed_again(prepare, store, sink):
    """Who dies before its workers could tell the datastore leaves it to the next
    one."""
    c = prepare(worker={"numWorkerThreads": 2, **LONG},
                datastore={"timeout": "2s", "connectTimeout": "2s"}).start()
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate), 200)
    c.schedule("held", sink.url("/held"))
    sink.wait("/held")
    c.abandon()
    gate.set()
    with store.locked():
        c.spawn()
        wait_for(lambda: "had not given their leases back" in c.log_text())
        c.abandon()
    c.start()
    c.wait_state("held", "COMPLETED")
    c.stop()
    assert os.listdir(c.state_dir / "owners") == []


def test_stopped_in_an_outage(prepare, store, sink):
    """Nobody could give the leases back: the next start knows."""
    c = prepare(master={"shutdownTimeout": "4s"},
                worker={"numWorkerThreads": 2, **LONG},
                datastore={"timeout": "2s", "connectTimeout": "2s"}).start()
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate), 200)
    c.schedule("held", sink.url("/held"))
    sink.wait("/held")
    with store.locked():
        gate.set()
        c.stop()
    assert len(os.listdir(c.state_dir / "owners")) > 0
    c.start()
    c.wait_state("held", "COMPLETED")
    c.stop()
    assert os.listdir(c.state_dir / "owners") == []


def test_strange_files(prepare):
    """What was left halfway, or is nobody's, goes at the next start."""
    c = prepare()
    owners = c.state_dir / "owners"
    owners.mkdir(mode=0o700)
    for name in "new-00000000deadbeef", "stranger":
        (owners / name).write_text("")
    c.start()
    assert not {"new-00000000deadbeef", "stranger"} & set(os.listdir(owners))


def test_killed_after_the_next_start(prepare, store, sink):
    """One that outlives its master keeps its leases, until it is gone."""
    c = prepare(worker={"numWorkerThreads": 1, **LONG}).start()
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate), 200)
    c.schedule("held", sink.url("/held"))
    sink.wait("/held")
    worker = c.children("worker")[0]["pid"]
    with stopped(worker, store):
        c.kill()
        c.start()
        assert metric(c, "shards_held") == 0
        os.kill(worker, signal.SIGKILL)
        gate.set()
    c.wait_state("held", "COMPLETED")
    assert len(sink.arrivals("/held")) == 2


def test_killed_beside_another_host(prepare, store, sink):
    """Its workers live, whatever is known of others."""
    one = prepare(worker={**LONG, "numWorkerThreads": 2,
                          "lease": "15s"}).start()
    gate = sink.gate()
    for n in range(8):
        sink.on("/e%d" % n, Reply(200, gate=gate))
        one.schedule("e%d" % n, sink.url("/e%d" % n))
    for n in range(8):
        sink.wait("/e%d" % n)
    two = prepare(worker={"numWorkerThreads": 2, **LONG}).start()
    wait_for(lambda: metric(two, "shards_held") == 32, what="its half")
    two.abandon()
    two.start()
    wait_for(lambda: metric(two, "shards_held") == 32, what="its half again")
    wait_for(lambda: metric(one, "shards_held") == 32, what="the other half")
    gate.set()
    for n in range(8):
        one.wait_state("e%d" % n, "COMPLETED")
        assert len(sink.arrivals("/e%d" % n)) == 1


def test_worker_killed_alone(launch, store):
    """What its master knows needs no file."""
    c = launch(worker={"numWorkerThreads": 2, **LONG})
    owners = c.state_dir / "owners"
    before = set(os.listdir(owners))
    assert len(before) == 2
    os.kill(c.children("worker")[0]["pid"], signal.SIGKILL)
    wait_for(lambda: len(set(os.listdir(owners)) - before) == 1 and
             len(os.listdir(owners)) == 2, what="its successor's file")
    wait_for(lambda: metric(c, "shards_held") == 64, what="all leases")


def test_started_in_an_outage(prepare, store, sink):
    """A host that comes into an outage takes no lease that ended in it: whose
    it is may be back a moment later, with results to write."""
    one = prepare(worker={**LONG, "numWorkerThreads": 1, "lease": "10s"},
                  datastore={"timeout": "2s", "connectTimeout": "2s"}).start()
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate), 200)
    one.schedule("held", sink.url("/held"))
    sink.wait("/held")
    two = prepare(worker={**LONG, "numWorkerThreads": 1, "lease": "40s"},
                  datastore={"timeout": "2s", "connectTimeout": "2s"})
    worker = one.children("worker")[0]["pid"]
    with store.locked():
        two.spawn()
        wait_for(lambda: "datastore is away" in two.log_text(),
                 what="an outage to it")
        wait_for(lambda: one.log_text().count("datastore is away") >= 1,
                 what="an outage to the other")
        time.sleep(10)  # its lease is over
        os.kill(worker, signal.SIGSTOP)
    try:
        two.wait_ready()
        wait_for(lambda: store.sql(
            "SELECT COUNT(*) FROM instance")[0][0] in (2, "2"),
            what="its registration")
        wait_for(lambda: "datastore is back" in two.log_text())
        assert metric(two, "shards_held") == 0
    finally:
        os.kill(worker, signal.SIGCONT)
    gate.set()
    one.wait_state("held", "COMPLETED")
    wait_for(lambda: metric(two, "shards_held") == 32, what="its half")
    assert len(sink.arrivals("/held")) == 1
    assert "whose worker was lost" not in two.log_text()


@contextlib.contextmanager
def account_with_a_clock(store, name, ahead_s):
    """Its connections go by a clock of their own, which stands still."""
    account = "%s@127.0.0.1" % name
    try:
        store.sql("GRANT ALL ON %s.* TO %s IDENTIFIED BY 'secret'" % (
            store.url.rpartition("/")[2], account))
        # Not run for the other accounts, which may do everything.
        store.sql("SET GLOBAL init_connect ="
                  " 'SET timestamp = UNIX_TIMESTAMP() + %d'" % ahead_s)
        yield "mysql://%s:secret@%s" % (name, store.url.rpartition("@")[2])
    finally:
        store.sql("SET GLOBAL init_connect = ''")
        store.sql("DROP USER IF EXISTS %s" % account)


@pytest.mark.parametrize("ahead_s", [40, -40])
def test_node_with_another_clock(prepare, store, sink, ahead_s):
    """Whose clock is ahead takes nobody's shards, and whose is behind keeps
    none: two hosts at two nodes of a cluster."""
    if isinstance(store, SqliteStore):
        pytest.skip("its clock is ours")
    settings = {"numWorkerThreads": 1, "lease": "5s",
                "workerThreadPollingInterval": "1s"}
    one = prepare(worker=settings).start()
    wait_for(lambda: metric(one, "shards_held") == 64, what="all shards")
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate), 200)
    one.schedule("held", sink.url("/held"))
    sink.wait("/held")
    with account_with_a_clock(store, "apart", ahead_s) as url:
        two = prepare(worker=settings, datastore={"url": url}).start()
        wait_for(lambda: "ms ahead of ours" in two.log_text(), what="the skew")
        wait_for(lambda: metric(two, "shards_held") == 32, what="its half")
        wait_for(lambda: metric(one, "shards_held") == 32, what="the other")
        # For as long as a lease and more, by what they do.
        beats = "SELECT MIN(until_ms) - %d FROM instance" % (1 << 48)
        wait_for(lambda: int(store.sql(beats)[0][0]) >= 7, 30, "renewals")
        for c in (one, two):
            wait_for(lambda: metric(c, "shards_held") == 32)
            assert "lost the lease" not in c.log_text()
            assert "the lease had ended" not in c.log_text()
        gate.set()
        one.wait_state("held", "COMPLETED")
        assert len(sink.arrivals("/held")) == 1
        two.stop()
