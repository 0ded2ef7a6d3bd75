# SPDX-License-Identifier: ISC
"""Nothing is sent of what others may have had: after 200 DELETED, or once
another worker has delivered it."""

import contextlib
import os
import signal
import struct
import time

import pytest

from cassata import wait_for
from sink import Reply

SETTINGS = {"numWorkerThreads": 1, "lease": "1s",
            "workerThreadPollingInterval": "1s"}
N = 20


def metric(c, name):
    return c.status()["metrics"]["cassata_" + name]


@contextlib.contextmanager
def stopped(pid, store):
    """Not amid a call that keeps others from the datastore."""
    def stop():
        os.kill(pid, signal.SIGSTOP)
        if store.is_free():
            return True
        os.kill(pid, signal.SIGCONT)
        return False
    wait_for(stop, what="a moment without a call")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def taken_over(launch, **settings):
    """Another host that has the shards of a worker that is stopped."""
    two = launch(worker={**SETTINGS, **settings})
    wait_for(lambda: metric(two, "shards_held") == 64, what="the takeover")
    return two


def await_return(store):
    """Nobody else holds a lease: that worker has them all."""
    held = "SELECT COUNT(*) FROM lease WHERE owner <> 0 AND until_ms > %d"
    wait_for(lambda: int(store.sql(held % (time.time() * 1000))[0][0]) == 64,
             what="the return")


def assert_sends_only(c, sink, n_before, due, path="/e"):
    """Of this path, one more event."""
    c.schedule("after", sink.url(path), expiry=due)
    c.wait_state("after", "COMPLETED")
    assert len(sink.arrivals(path)) == n_before + 1


def n_claimed(store):
    return int(store.sql(
        "SELECT COUNT(*) FROM event WHERE status = 1")[0][0])


def test_deleted_while_stopped(launch, store, sink):
    """A worker that was stopped for longer than its lease gets its shards back
    from one that leaves, as at a rolling restart. What it had claimed has been
    deleted."""
    one = launch(worker={**SETTINGS, "claimAhead": "10s"})
    for n_try in range(5):
        path, due = "/e%d" % n_try, time.time() + 10
        ids = ["e%d-%d" % (n_try, n) for n in range(N)]
        for event_id in ids:
            one.schedule(event_id, sink.url(path), expiry=due)
        wait_for(lambda: n_claimed(store) == N or time.time() > due,
                 what="a claim")
        with stopped(one.children("worker")[0]["pid"], store):
            two = taken_over(launch, claimAhead="0ms")
            for event_id in ids:
                wait_for(lambda: two.delete(event_id).status == 200,
                         what="a deletion")
            is_in_time = time.time() < due
            two.stop()
        await_return(store)
        if is_in_time:
            break
    assert is_in_time
    assert_sends_only(one, sink, 0, due + 0.5, path)


@pytest.mark.parametrize("settings, n_claims", [
    ({"maxConcurrentDeliveries": 1}, 2),
    ({"maxDeliveriesPerHost": 1}, 1 + N),
], ids=["held", "queued"])
def test_delivered_while_stopped(launch, store, sink, settings, n_claims):
    """The same, of events that wait for a slot of the worker or of the host."""
    one = launch(worker={**SETTINGS, **settings})
    gate = sink.gate()
    sink.on("/busy", Reply(200, gate=gate), 200)
    one.schedule("busy", sink.url("/busy"))
    sink.wait("/busy")
    for n in range(N):
        one.schedule("e%d" % n, sink.url("/e"))
    wait_for(lambda: metric(one, "events_claimed_total") >= n_claims,
             what="a claim")
    with stopped(one.children("worker")[0]["pid"], store):
        two = taken_over(launch)
        for n in range(N):
            two.wait_state("e%d" % n, "COMPLETED")
        two.wait_state("busy", "COMPLETED")
        two.stop()
    await_return(store)
    gate.set()
    assert_sends_only(one, sink, N, time.time())


@pytest.mark.parametrize("clocks", [1, 2], ids=["asleep", "paused"])
def test_delivered_while_the_machine_stood_still(
        prepare, launch, store, sink, clocks):
    """Asleep it has a clock that went on; when it was paused from outside, only
    the wall clock tells, which is set right before anything else."""
    one = prepare(worker={**SETTINGS, "maxConcurrentDeliveries": 1})
    held = one.directory / "held"
    held.write_bytes(bytes(16))
    one.start(env={"HELD_CLOCKS": str(held),
                   **one.preload(one.build_preload("clock"))})
    gate = sink.gate()
    sink.on("/busy", Reply(200, gate=gate), 200)
    one.schedule("busy", sink.url("/busy"))
    sink.wait("/busy")
    for n in range(N):
        one.schedule("e%d" % n, sink.url("/e"))
    wait_for(lambda: metric(one, "events_claimed_total") >= 2, what="a claim")
    begin = time.monotonic_ns()
    with stopped(one.children("worker")[0]["pid"], store):
        two = taken_over(launch)
        for n in range(N):
            two.wait_state("e%d" % n, "COMPLETED")
        two.wait_state("busy", "COMPLETED")
        two.stop()
        gate.set()  # the first thing that it sees: a slot is free
        ns = time.monotonic_ns() - begin
        with open(held, "r+b") as f:
            f.write(struct.pack("qq", ns, ns if clocks == 2 else 0))
    await_return(store)
    assert_sends_only(one, sink, N, time.time())


def test_lapse_seen_by_a_turn_that_failed(launch, store, sink):
    """What is known to be over is over, though its own clock does not say so
    and the datastore takes no new registration."""
    c = launch(worker={**SETTINGS, "lease": "9s", "claimAhead": "10s"})
    for n_try, seconds in enumerate((5, 10, 10, 10)):
        path, due = "/e%d" % n_try, time.time() + seconds
        c.schedule(path, sink.url(path), expiry=due)
        wait_for(lambda: n_claimed(store) == 1 or time.time() > due,
                 what="the claim")
        # What others would have done.
        store.sql("CREATE TRIGGER no_turn BEFORE INSERT ON instance " + (
            "BEGIN SELECT RAISE(ABORT, 'no'); END" if store.kind == "sqlite"
            else "FOR EACH ROW SIGNAL SQLSTATE '45000'"))
        store.sql("DELETE FROM instance")
        store.sql("DELETE FROM event")
        # The next turn comes within a fifth of the lease.
        is_in_time = time.time() < due - 2.5
        wait_for(lambda: time.time() > due + 0.5, what="its time")
        store.sql("DROP TRIGGER no_turn")
        if is_in_time:
            break
        wait_for(lambda: store.sql("SELECT owner FROM instance"))
    assert is_in_time
    assert_sends_only(c, sink, 0, time.time(), path)


def test_claimed_again_while_on_the_wire(launch, store, sink):
    """The worker that lapsed gets an event back that it is still sending: then
    that is the delivery, and there is no second one beside it."""
    c = launch(worker={**SETTINGS, "httpRetryCount": 3,
                       "retryDelays": ["100ms"]})
    gate = sink.gate()
    sink.on("/e", Reply(503, gate=gate), 200)
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    with stopped(c.children("worker")[0]["pid"], store):
        # What another worker would have done, which has left since.
        time.sleep(1.5)
        store.sql("DELETE FROM instance")
        store.sql("UPDATE lease SET owner = 0, until_ms = 0")
        store.sql("UPDATE event SET status = 0, attempts = 0")
    wait_for(lambda: metric(c, "events_claimed_total") >= 2,
             what="the second claim")
    c.schedule("after", sink.url("/after"))
    c.wait_state("after", "COMPLETED")
    assert len(sink.arrivals("/e")) == 1
    gate.set()
    event = c.wait_state("e", "COMPLETED")
    assert event["attempts"] == len(sink.arrivals("/e")) == 2
    assert len(event["attempt-log"]) == 1


def test_renewal_reads_no_rows_that_wait(launch, store):
    """With millions that are due later, a renewal took seconds."""
    if store.kind == "sqlite":
        pytest.skip("what a statement reads is not counted")
    waiting = 5000
    launch(worker={"lease": "3s", "numWorkerThreads": 1},
           datastore={"connectTimeout": "1s", "timeout": "1s"})
    wait_for(lambda: store.sql(
        "SELECT COUNT(*) FROM lease WHERE owner > 0") == [("64",)])
    store.sql(
        "INSERT INTO event (id, k, shard, status, attempts, owner, due_ms,"
        " expiry_ms, created_ms, fingerprint, app, event_id, method, url,"
        " headers, body, body_is_text, last_code, last_error)"
        " SELECT seq, UNHEX(MD5(seq)), seq %% 64, 0, 0, 0, due, due, 1,"
        " UNHEX(MD5(seq)), 'app', seq, 'POST', 'http://127.0.0.1:9/', '', '',"
        " 1, 0, '' FROM (SELECT seq, UNIX_TIMESTAMP() * 1000 + 86400000 AS due"
        " FROM seq_1_to_%d) AS later" % waiting)

    def rows_read():
        return sum(int(n) for _, n in store.sql(
            "SHOW GLOBAL STATUS WHERE Variable_name IN"
            " ('Handler_read_next', 'Handler_read_prev')"))

    def renewed():
        return store.sql("SELECT until_ms FROM instance")

    store.sql("ANALYZE TABLE event")
    before = rows_read()
    for _ in range(3):
        last = renewed()
        wait_for(lambda: renewed() != last)
    assert rows_read() - before < waiting
