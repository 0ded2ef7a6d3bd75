# SPDX-License-Identifier: ISC
"""The death of a worker costs nobody but the event that it died of."""

import os
import signal
import time

import pytest

from cassata import is_gone, wait_for
from client import path_of
from sink import Reply

ENDED = ("COMPLETED", "FAILED")
CRASH = Reply(200, headers=[("X-Crash", "1")])


def kill_child(pid):
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(pid), 10, "end of the child")


def crashing(prepare, **worker):
    """A daemon whose workers do not survive some answers."""
    c = prepare(worker={"lease": "10m", "workerThreadPollingInterval": "10m",
                        **worker})
    return c.start(env=c.preload(c.build_preload("crash")))


def assert_untouched(event):
    assert event["status"] == "COMPLETED"
    assert event["attempts"] == 1
    assert event["attempt-log"] == []


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_answer_that_kills(prepare, sink, retries):
    """Its event is given up, but not at the first time; the others arrive once,
    and once more for each time that they may have been on the wire."""
    c = crashing(prepare, httpRetryCount=retries, numWorkerThreads=2)
    n = 40
    sink.on("/poison", CRASH)
    due = time.time() + 1
    for i in range(n):
        sink.on("/%d" % i, Reply(200, delay=0.2))
        c.schedule("e%d" % i, sink.url("/%d" % i), expiry=due)
    c.schedule("poison", sink.url("/poison"), expiry=due)
    for i in range(n):
        assert_untouched(c.wait_state("e%d" % i, *ENDED))
    event = c.wait_state("poison", *ENDED, seconds=60)
    kills = sink.arrivals("/poison")
    for i in range(n):
        first, *again = sink.arrivals("/%d" % i)
        assert len(again) <= len(kills)
        assert all(a.at > kill.at for a, kill in zip(again, kills))
    attempts = max(retries + 1, 2)
    assert event["status"] == "FAILED"
    assert event["attempts"] == len(sink.arrivals("/poison")) == attempts
    assert [a["error"] for a in event["attempt-log"]] == [
        "interrupted"] * attempts
    # One line, by whoever took over.
    line = "warn: given up: %s after %d attempts: interrupted" % (
        path_of("event", "app", "poison"), attempts)
    wait_for(lambda: line in c.log_text())
    assert c.log_text().count("given up: ") == 1


def test_many_answers_that_kill(prepare, sink):
    """However often the worker dies, no attempt of the others is counted."""
    c = crashing(prepare, httpRetryCount=0, numWorkerThreads=2)
    n = 40
    sink.on("/poison", CRASH)
    sink.on("/e", Reply(200, delay=0.2))
    due = time.time() + 1
    for i in range(n):
        c.schedule("e%d" % i, sink.url("/e"), expiry=due)
        if i % 8 == 0:
            c.schedule("poison%d" % i, sink.url("/poison"), expiry=due)
    for i in range(n):
        assert_untouched(c.wait_state("e%d" % i, *ENDED, seconds=60))
        if i % 8 == 0:
            event = c.wait_state("poison%d" % i, *ENDED, seconds=60)
            assert event["status"] == "FAILED"
            assert event["attempts"] == 2


def test_killed_at_the_only_attempt(launch, sink):
    """Nothing is known against what was on the wire."""
    c = launch(worker={"numWorkerThreads": 1, "lease": "10m",
                       "httpRetryCount": 0})
    gate = sink.gate()
    n = 8
    for i in range(n):
        sink.on("/%d" % i, Reply(200, gate=gate), 200)
        c.schedule("e%d" % i, sink.url("/%d" % i))
    for i in range(n):
        sink.wait("/%d" % i)
    kill_child(c.children("worker")[0]["pid"])
    for i in range(n):
        assert_untouched(c.wait_state("e%d" % i, *ENDED))
        assert len(sink.arrivals("/%d" % i)) == 2
    assert c.children("quarantine") == []


def quarantined(launch, sink, paths, **worker):
    """A daemon whose worker was killed twice with these on the wire."""
    c = launch(worker={"numWorkerThreads": 1, "lease": "10m",
                       "workerThreadPollingInterval": "1s", **worker})
    gate = sink.gate()
    for path in paths:
        sink.on(path, Reply(200, gate=gate))
        c.schedule(path, sink.url(path))
    for n in range(2):
        for path in paths:
            sink.wait(path, n + 1, seconds=40)
        kill_child(wait_for(lambda: c.children("worker"), 20,
                            "a worker")[0]["pid"])
    return c, gate


def test_quarantine(launch, sink):
    """What was on the wire at two kills is delivered by a worker that has
    nothing else; meanwhile others come and go. It leaves when all is done."""
    paths = ["/%d" % n for n in range(4)]
    c, gate = quarantined(launch, sink, paths)
    wait_for(lambda: sum(len(sink.arrivals(p)) for p in paths) == 9,
             what="a delivery from quarantine")
    assert [c.state(p) for p in paths].count("PROCESSING") == 1
    assert [c.state(p) for p in paths].count("PENDING") == 3
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert len(c.children("quarantine")) == 1
    assert len(c.children("worker")) == 1
    assert sum(len(sink.arrivals(p)) for p in paths) == 9
    # One that waits may be deleted.
    waiting = next(p for p in paths if c.state(p) == "PENDING")
    assert c.delete(waiting).status == 200
    gate.set()
    for path in paths:
        if path != waiting:
            assert_untouched(c.wait_state(path, *ENDED))
            assert len(sink.arrivals(path)) == 3
    assert len(sink.arrivals(waiting)) == 2
    wait_for(lambda: c.status() and not [
        child for child in c.status()["children"]
        if child["role"] == "quarantine"], 30, "the end of the quarantine")


def test_death_in_quarantine(launch, sink):
    """That counts, whatever it was: but never as the last attempt at once."""
    c, gate = quarantined(launch, sink, ["/e"], httpRetryCount=0)
    for n in range(2):
        sink.wait("/e", 3 + n, seconds=40)
        assert c.event("/e")["attempts"] == 1 + n
        kill_child(c.children("quarantine")[0]["pid"])
    event = c.wait_state("/e", *ENDED)
    gate.set()
    assert event["status"] == "FAILED"
    assert event["attempts"] == 2
    assert [a["error"] for a in event["attempt-log"]] == ["interrupted"] * 2
    assert len(sink.arrivals("/e")) == 4


def test_killed_after_the_answer(launch, store, sink):
    """What is over was not why the worker in quarantine died, though it could
    not be written any more."""
    c, gate = quarantined(launch, sink, ["/e"])
    sink.wait("/e", 3, seconds=40)
    with store.locked():
        gate.set()
        wait_for(lambda: "\ncassata_deliveries_in_flight 0\n" in
                 c.get("/metrics").body.decode(), what="the answer")
        kill_child(c.children("quarantine")[0]["pid"])
    assert_untouched(c.wait_state("/e", *ENDED, seconds=40))
    assert len(sink.arrivals("/e")) == 4


@pytest.mark.parametrize("change", ["reload", "upgrade", "stop"])
def test_change_amid_quarantine(launch, sink, change):
    """What it has begun it finishes; what waits is the next one's."""
    paths = ["/0", "/1"]
    c, gate = quarantined(launch, sink, paths)
    wait_for(lambda: sum(len(sink.arrivals(p)) for p in paths) == 5,
             what="a delivery from quarantine")
    before = c.children("quarantine")[0]["pid"]
    c.send({"reload": signal.SIGHUP, "upgrade": signal.SIGUSR2,
            "stop": signal.SIGTERM}[change])
    if change == "stop":
        gate.set()
        assert c.process.wait(60) == 0
        c.process = None
        c.start()
    else:
        wait_for(lambda: any(child["pid"] == before and
                             child["state"] == "draining"
                             for child in (c.status() or {}).get("children", []))
                 or change == "upgrade" and c.process.poll() is None and
                 c.status() and c.status()["pid"] != c.pid,
                 20, "the drain")
        gate.set()
    for path in paths:
        assert_untouched(c.wait_state(path, *ENDED, seconds=40))
        assert len(sink.arrivals(path)) == 3
    if change == "upgrade":
        assert c.process.wait(60) == 0
        c.process = None
