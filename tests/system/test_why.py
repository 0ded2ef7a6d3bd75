# SPDX-License-Identifier: ISC
"""What an event waits for, by what the workers go by."""

import time

import pytest

from cassata import closed_port, wait_for
from client import path_of
from sink import Reply
from test_schedule import made


def why(c, event_id, app="app"):
    response = c.get(path_of("why", app, event_id))
    assert response.status == 200, response
    answer = response.json()
    assert (answer["application-id"], answer["event-id"]) == (app, event_id)
    return answer


def reasons(c, event_id):
    """By their names; none comes twice."""
    because = why(c, event_id)["because"]
    named = {r["reason"]: r for r in because}
    assert len(named) == len(because), because
    return named


def only(c, event_id):
    """The one reason; for a moment after a start shards are nobody's."""
    def one():
        because = why(c, event_id)["because"]
        return because[0] if len(because) == 1 else None
    return wait_for(one, 15, "one reason")


def among(c, event_id, *names):
    """What it waits for, once that is these and nothing else."""
    def all_of_them():
        because = why(c, event_id)["because"]
        found = sorted(r["reason"] for r in because)
        return because if found == sorted(names) else None
    return wait_for(all_of_them, 15, "because of %s" % ", ".join(names))


def test_unknown(daemon, name):
    assert daemon.get(path_of("why", "app", name)).status == 404


def test_not_due(daemon, sink, name):
    expiry = int(time.time()) + 3 * 3600 + 60
    daemon.schedule(name, sink.url("/" + name), expiry=expiry)
    reason = only(daemon, name)
    assert why(daemon, name)["status"] == "PENDING"
    assert (reason["reason"], reason["due"]) == ("not-due", expiry)
    assert reason["text"] == "not due for 3 h, at %s" % time.strftime(
        "%Y-%m-%dT%H:%M:%SZ", time.gmtime(expiry))


def test_retry(launch, sink):
    """The configured number of them, or the event's own."""
    c = launch(worker={"httpRetryCount": 5, "retryDelays": ["1h"],
                       "retryJitter": 0})
    sink.on("/e", 503)
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "SERVICE_UNAVAILABLE")
    reason = only(c, "e")
    assert reason["reason"] == "retry"
    assert (reason["retry"], reason["retries"],
            reason["last-response-code"]) == (1, 5, 503)
    assert reason["due"] == c.event("e")["next-attempt"]
    assert reason["text"].startswith("waits for retry 1 of 5 at ")
    assert reason["text"].endswith(", after status 503")
    with closed_port() as nobody:
        c.schedule("own", "http://127.0.0.1:%d/" % nobody.getsockname()[1],
                   retry={"attempts": 3})
        c.wait_state("own", "SERVICE_UNAVAILABLE")
    reason = only(c, "own")
    assert (reason["retry"], reason["retries"]) == (1, 2)
    assert reason["last-error"] in reason["text"]


def test_refused(launch, sink):
    """A status alone would not tell why."""
    c = launch(worker={"retryDelays": ["1h"]})
    sink.on("/no", Reply(503, headers=[("Cassata-Retry", "no")]))
    sink.on("/late", 503)
    c.schedule("no", sink.url("/no"))
    c.schedule("late", sink.url("/late"), not_after=time.time() + 60)
    for name, words in (
            ("no", "its receiver wants no other attempt (Cassata-Retry)"),
            ("late", "the next attempt would be after not-after")):
        assert c.wait_state(name, "FAILED")["last-error"] == words
        reason = only(c, name)
        assert reason["text"].endswith(" attempts: status 503: " + words)


def test_queued(launch, sink):
    """A run, behind the one before."""
    c = launch()
    gate = sink.gate()
    sink.on("/s", Reply(200, gate=gate), 200)
    answer = made(c, "s", sink.url("/s"), every="1s", overlap="queue",
                  catch_up="all")
    first, second = ["s@" + at for at in answer["next"][:2]]
    sink.wait("/s")
    queued = wait_for(lambda: [
        reason for reason in why(c, second)["because"]
        if reason["reason"] == "queued"])[0]
    assert queued["run"] == first
    assert queued["due"] > c.event(second)["expiry"]
    assert first in queued["text"]
    gate.set()
    assert c.wait_state(second, "COMPLETED")


def test_paused(launch, sink):
    """By both, and beside what it waits for anyway."""
    c = launch()
    since = {}
    for kind, name in ("app", "app"), ("host", "127.0.0.1"):
        body = {"app": b'{"note": "burns", "until": "2100-01-01T00:00:00Z"}',
                "host": b'{"note": "burns"}'}[kind]
        response = c.request(
            "POST", "/cassata/pause/%s/%s" % (kind, name), body)
        assert response.status == 201
        since[kind] = response.json()["since"]
    wait_for(lambda: {w["pauses"] for w in c.children("worker")} == {2})
    c.schedule("e", sink.url("/e"))
    c.schedule("later", sink.url("/later"), expiry=time.time() + 3600)
    for event_id, first in ("e", "due"), ("later", "not-due"):
        reason, app, host = sorted(
            among(c, event_id, first, "paused", "paused"),
            key=lambda r: (r["reason"] == "paused", "destination" in r))
        assert (app["application-id"], app["since"], app["note"]) == (
            "app", since["app"], "burns")
        assert app["text"].startswith("its application is paused since ")
        assert app["text"].endswith(" until 2100-01-01T00:00:00Z: burns")
        assert host["text"].endswith("Z: burns")
        assert " until " not in host["text"]
        assert (host["destination"], host["since"]) == (
            "127.0.0.1", since["host"])


def test_deferred(launch, sink):
    """Its host has its share, and the worker gave it back."""
    c = launch(worker={"numWorkerThreads": 1, "maxDeliveriesPerHost": 1,
                       "maxQueuedPerHost": 1})
    gate = sink.gate()
    sink.on("/e", *[Reply(200, gate=gate)] * 9)
    for i in range(9):
        c.schedule("e%d" % i, sink.url("/e"))
    deferred = wait_for(lambda: [
        reason for i in range(9) for reason in why(c, "e%d" % i)["because"]
        if reason["reason"] == "deferred"])
    assert deferred[0]["due"] > 0
    assert "has its share" in deferred[0]["text"]
    capped = wait_for(lambda: [
        reason for i in range(9) for reason in why(c, "e%d" % i)["because"]
        if reason["reason"] == "at-cap"], what="one at its host's cap")[0]
    assert (capped["destination"], capped["slots"]) == ("127.0.0.1", 1)
    assert capped["waiting"] <= 1
    assert "its host 127.0.0.1 has all 1 deliveries" in capped["text"]
    wait_for(lambda: any("on-wire" in reasons(c, "e%d" % i)
                         for i in range(9)))
    gate.set()
    for i in range(9):
        c.wait_state("e%d" % i, "COMPLETED")


def test_datastore_was_away(launch, store, sink):
    """It waits on for its host, after its worker had no datastore."""
    c = launch(worker={"numWorkerThreads": 1, "maxDeliveriesPerHost": 1,
                       "maxQueuedPerHost": 1},
               datastore={"timeout": "500ms"})
    gate = sink.gate()
    sink.on("/e", *[Reply(200, gate=gate)] * 4)
    for i in range(4):
        c.schedule("e%d" % i, sink.url("/e"))
    sink.wait("/e")
    with store.locked():
        wait_for(lambda: "trouble" in c.children("worker")[0], 30)
    away = wait_for(lambda: [
        reason for i in range(4) for reason in why(c, "e%d" % i)["because"]
        if reason["reason"] == "datastore-was-away"], 30)[0]
    assert away["since"] <= away["until"] <= time.time()
    assert "had no datastore from 20" in away["text"]
    c.schedule("later", sink.url("/e"), expiry=1)
    assert "datastore-was-away" not in reasons(c, "later")
    gate.set()


def test_under_way(launch, sink):
    c = launch(worker={"numWorkerThreads": 1})
    gate = sink.gate()
    sink.on("/e", Reply(200, gate=gate))
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    reason, = wait_for(lambda: [
        r for r in why(c, "e")["because"] if r["reason"] == "on-wire"])
    worker, = c.children("worker")
    assert (reason["attempt"], reason["pid"]) == (1, worker["pid"])
    assert "attempt 1 is on the wire, of worker %d of host %s" % (
        reason["pid"], reason["host"]) == reason["text"]
    gate.set()
    event = c.wait_state("e", "COMPLETED")
    reason = only(c, "e")
    assert reason["finished"] == event["finished"]
    assert (reason["reason"], reason["attempts"],
            reason["last-response-code"]) == ("delivered", 1, 200)


def test_given_up(launch, sink):
    c = launch()
    sink.on("/e", 404)
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "FAILED")
    reason = only(c, "e")
    assert reason["reason"] == "given-up"
    assert reason["text"].endswith(" after 1 attempts: status 404")


def test_no_worker(launch, sink):
    """Of a service alone; one came and is gone; one was killed."""
    c = launch(roles="service")
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    found = reasons(c, "e")
    assert set(found) == {"not-due", "no-worker"}
    assert found["no-worker"]["text"] == "no worker holds its shard"
    worker = launch(roles="worker", state_dir=c.state_dir)
    wait_for(lambda: set(reasons(c, "e")) == {"not-due"}, 30)
    worker.stop()
    wait_for(lambda: "no-worker" in reasons(c, "e"), 30)


def test_silent_worker(launch, store, sink):
    """As the table of registrations tells, by the datastore's clock."""
    c = launch(roles="service")
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    store.sql("UPDATE lease SET owner = 7")
    assert "is gone" in reasons(c, "e")["no-worker"]["text"]
    columns = "owner, until_ms, host, pid, started_ms, active, lease_ms," \
        " wall_ms, seen_ms"
    store.sql("INSERT INTO instance (%s) VALUES (7, 1, 'there', 12, 1, 1, 1000,"
              " 1, %d)" % (columns, (time.time() - 5.5 * 3600) * 1000))
    reason = reasons(c, "e")["no-worker"]
    assert (reason["host"], reason["pid"]) == ("there", 12)
    assert "was not heard of for 5 h" in reason["text"]


@pytest.mark.parametrize("damage", [
    "seen_ms = -9223372036854775807", "lease_ms = -1"])
def test_damaged_registration(launch, store, sink, damage):
    c = launch(roles="service")
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    store.sql("UPDATE lease SET owner = 7")
    columns = "owner, until_ms, host, pid, started_ms, active, lease_ms," \
        " wall_ms, seen_ms"
    store.sql("INSERT INTO instance (%s) VALUES (7, 1, 'there', 12, 1, 1, 1000,"
              " 1, 1)" % columns)
    store.sql("UPDATE instance SET %s WHERE owner = 7" % damage)
    assert c.get(path_of("why", "app", "e")).status == 500
    wait_for(lambda: "the datastore says " + damage.split()[0]
             in c.log_text())
    store.sql("DELETE FROM instance WHERE owner = 7")
    assert "is gone" in reasons(c, "e")["no-worker"]["text"]


def test_quarantined(launch, store, sink):
    c = launch(roles="service")
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    store.sql("UPDATE event SET suspect = 2, due_ms = due_ms + %d" % (1 << 48))
    assert "alone" in reasons(c, "e")["quarantined"]["text"]


def test_frozen(launch, sink):
    c = launch()
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    assert c.ctl("freeze").returncode == 0
    assert "frozen" in reasons(c, "e")
    assert c.ctl("thaw").returncode == 0
    wait_for(lambda: set(reasons(c, "e")) == {"not-due"}, 30)


@pytest.mark.parametrize("verb", ["why", "pause"])
def test_cassatactl(launch, sink, verb):
    c = launch()
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    if verb == "why":
        done = c.ctl("event", "why", "app", "e")
        assert done.returncode == 0
        assert '"reason":"not-due"' in done.stdout
        assert c.ctl("event", "why", "app", "f").returncode == 1
        return
    assert c.ctl("pause", "-n", "burns", "-u", "2h", "app",
                 "app").returncode == 0
    assert c.ctl("pause", "-u", "4102444800", "host", "H:80").returncode == 0
    done = c.ctl("pauses")
    assert done.returncode == 0, done
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[2:] for line in lines] == [
        ["what", "name"], ["app", "app", "burns"], ["host", "h:80"]]
    assert lines[2][1] == "2100-01-01T00:00:00.000Z"
    assert '"note":"burns"' in c.ctl("pauses", "--json").stdout
    assert c.ctl("resume", "app", "app").returncode == 0
    assert c.ctl("resume", "app", "app").returncode == 1
    assert c.ctl("pause", "application", "app").returncode == 2
