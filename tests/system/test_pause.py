# SPDX-License-Identifier: ISC
"""Applications and destinations that are paused: nothing goes out, nothing is
lost, and nobody else waits for it."""

import copy
import json
import time
from urllib.parse import quote

import pytest

from cassata import wait_for
from client import Connection, path_of
from sink import Reply

FLOOR_MS = 1 << 49


def pause(c, kind, name, **members):
    body = json.dumps(members).encode() if members else None
    return c.request("POST", "/cassata/pause/%s/%s" % (
        kind, quote(name, safe="")), body)


def begin_pause(c, kind, name, **members):
    """It is obeyed when this returns."""
    assert pause(c, kind, name, **members).status == 201
    wait_obeyed(c, 1)


def is_obeyed(c, n):
    """So many, by every worker."""
    return {w["pauses"] for w in c.children("worker")} == {n}


def wait_obeyed(c, n):
    wait_for(lambda: is_obeyed(c, n))


def resume(c, kind, name, method="DELETE", verb="pause"):
    return c.request(method, "/cassata/%s/%s/%s" % (
        verb, kind, quote(name, safe="")))


def pauses(c):
    response = c.get("/cassata/pauses")
    assert response.status == 200, response
    return response.json()["pauses"]


def host_of(sink):
    return "127.0.0.1:%d" % sink.port


def counter(c, name):
    """Of all children, as the metrics tell."""
    for line in c.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(name)


def parked(c):
    """Events that wait behind all others."""
    (n,), = c.store.sql("SELECT COUNT(*) FROM event WHERE status = 0"
                        " AND due_ms >= %d" % FLOOR_MS)
    return int(n)


def test_answers(launch):
    """Begun, again with another note, listed, ended."""
    c = launch(roles="service", service={"maxPauses": 2})
    before = time.time()
    response = pause(c, "app", "shop", note="stock-taking", until="2h")
    assert response.status == 201
    first = response.json()
    assert before - 1 < first["since"] < time.time() + 1
    assert first == {"application-id": "shop", "note": "stock-taking",
                     "since": first["since"], "until": first["until"]}
    assert abs(first["until"] - first["since"] - 7200) < 5
    response = pause(c, "host", "API.example.net:80",
                     until="2100-01-01T00:00:00Z")
    assert response.status == 201
    second = response.json()
    assert second == {"destination": "api.example.net:80",
                      "since": second["since"], "until": 4102444800}
    # Another one is too many, the same is not.
    assert pause(c, "app", "api.example.net:80").status == 409
    response = pause(c, "app", "shop", until=4102444800.5)
    assert (response.status, response.json()) == (
        200, {"application-id": "shop", "since": first["since"],
              "until": 4102444800.5})
    assert pauses(c) == [response.json(), second]
    assert resume(c, "app", "api.example.net:80").status == 404
    assert resume(c, "host", "api.Example.net:80").json() == second
    assert resume(c, "app", "shop", "POST", "resume").status == 200
    assert resume(c, "app", "shop").status == 404
    assert pauses(c) == []
    # What no URL can lead to would hold back nothing.
    for name in ("http://a.example/", "*.example", "a.example:", "a b", "u@a",
                 "a.example:99999", "a/b", "[::1"):
        assert pause(c, "host", name).status == 404, name
    # Unless it was taken before it was refused.
    assert pause(c, "host", "a.example").status == 201
    c.store.sql("UPDATE pause SET name = x'%s'" % b"*.example".hex())
    assert resume(c, "host", "*.Example").json()["destination"] == "*.example"
    for name in "::1", "[::1]:80":
        assert pause(c, "host", name).status == 201
        assert resume(c, "host", name).status == 200
    response = pause(c, "app", "shop", until=1)
    assert response.status == 422
    assert response.json()["type"].endswith(":invalid-event")
    assert response.json()["errors"] == [
        {"pointer": "/until", "detail": "has passed"}]


@pytest.mark.parametrize("kind", ["app", "host"])
def test_parked(launch, sink, kind):
    """What is due waits, and looks like any other; what is not, too. Others go
    out."""
    c = launch()
    name = "app" if kind == "app" else host_of(sink)
    begin_pause(c, kind, name, note="burns")
    other = {} if kind == "host" else {"app": "other"}
    elsewhere = sink.url("/elsewhere").replace("127.0.0.1", "localhost")
    c.schedule("other", elsewhere, **other)
    sink.wait("/elsewhere")
    for n in range(3):
        c.schedule("e%d" % n, sink.url("/e%d" % n))
    c.schedule("later", sink.url("/later"), expiry=time.time() + 3600)
    wait_for(lambda: parked(c) == 3)
    event = c.event("e0")
    assert (event["status"], event["attempts"]) == ("PENDING", 0)
    pause_of, = event["paused"]
    assert pause_of["note"] == "burns"
    assert c.event("later")["paused"] == [pause_of]
    assert "paused" not in c.event("other", **other)
    listed = c.get("/cassata/events/app?fields=event-id&status=PENDING")
    assert {e["event-id"] for e in listed.json()["events"]} == {
        "e0", "e1", "e2", "later"}
    # They can be deleted, changed and wanted now; the pause stands above that.
    assert c.delete("e1").status == 200
    for event_id in "e0", "later":
        assert c.request(
            "POST", path_of("run", "app", event_id)).status == 200
    wait_for(lambda: parked(c) == 3)
    assert "pauses     1: " in c.ctl("status").stdout
    assert resume(c, kind, name).status == 200
    for event_id in "e0", "e2", "later":
        event = c.wait_state(event_id, "COMPLETED")
        assert (event["attempts"], event["attempt-log"]) == (1, [])
    assert sorted(a.path for a in sink.arrivals()) == [
        "/e0", "/e2", "/elsewhere", "/later"]


def test_on_the_wire_and_in_memory(launch, sink):
    """What was begun ends as it ends, and is retried only afterwards; what a
    worker had claimed and not begun is given back."""
    c = launch(worker={"maxConcurrentDeliveries": 1, "numWorkerThreads": 1,
                       "maxShare": 100, "retryDelays": ["0"]})
    gate = sink.gate()
    sink.on("/first", Reply(503, gate=gate), 200)
    c.schedule("first", sink.url("/first"))
    sink.wait("/first")
    for n in range(5):
        c.schedule("e%d" % n, sink.url("/e"))
    # They wait for the slot: claimed already.
    wait_for(lambda: c.state("e0") == "PROCESSING")
    begin_pause(c, "app", "app")
    wait_for(lambda: parked(c) == 5)
    gate.set()
    event = c.wait_state("first", "SERVICE_UNAVAILABLE")
    assert event["attempts"] == 1
    wait_for(lambda: parked(c) == 6)
    assert len(sink.arrivals()) == 1
    assert resume(c, "app", "app").status == 200
    for n in range(5):
        assert c.wait_state("e%d" % n, "COMPLETED")["attempts"] == 1
    assert c.wait_state("first", "COMPLETED")["attempts"] == 2


def test_the_end_of_a_pause(launch, sink):
    c = launch()
    for seconds in 2, 8, 32:
        until = pause(c, "app", "app", until="%ds" % seconds).json()["until"]
        wait_for(lambda: is_obeyed(c, 1) or time.time() > until)
        if is_obeyed(c, 1):
            break
    c.schedule("e", sink.url("/e"))
    arrival = sink.wait("/e")[0]
    assert until - 0.01 < arrival.wall
    wait_for(lambda: c.store.sql("SELECT COUNT(*) FROM pause") in (
        [(0,)], [("0",)]))
    assert pauses(c) == []


def test_nobody_else_waits(launch, sink):
    """Beside 8,000 events that are due and paused an event of another
    application costs the calls that it costs without them, and it comes to rest."""
    c = launch(worker={"numWorkerThreads": 1})
    begin_pause(c, "app", "full")
    n = 8000
    with Connection(c.port) as connection:
        for first in range(0, n, 1000):  # answers wait until they are read
            lines = b"".join(
                b'{"application-id":"full","event-id":"e%d","event":0,'
                b'"expiry":0,"url":"%s"}\n' % (i, sink.url("/full").encode())
                for i in range(first, first + 1000))
            connection.send_request(
                "POST", "/cassata/add-batch/", lines,
                headers=[("Content-Type", "application/x-ndjson")])
            assert connection.read_response().status == 200
    wait_for(lambda: counter(c, "cassata_events_parked_total") == n, 60)
    calls = 'cassata_commits_total{role="worker"}'

    def cost(name):
        before = counter(c, calls)
        c.schedule(name, sink.url("/" + name), app="other")
        sink.wait("/" + name)
        c.wait_state(name, "COMPLETED", app="other")
        return counter(c, calls) - before

    # A claim, its result, and what the poll may add.
    costs = [cost("o%d" % i) for i in range(5)]
    assert sorted(costs)[2] <= 4, costs

    def rests():
        before = counter(c, calls)
        time.sleep(1.5)
        return counter(c, calls) == before
    wait_for(rests, 30)
    assert counter(c, "cassata_events_parked_total") == n
    assert sink.arrivals("/full") == []


def test_resume_is_spread(launch, sink):
    """By the limit that holds for everything to a host."""
    c = launch(worker={"numWorkerThreads": 1, "maxDeliveriesPerHost": 3})
    begin_pause(c, "app", "app")
    sink.on("/e", Reply(200, delay=0.02))
    for i in range(40):
        c.schedule("e%d" % i, sink.url("/e"))
    wait_for(lambda: parked(c) == 40)
    assert resume(c, "app", "app").status == 200
    times = sorted(a.at for a in sink.wait("/e", 40))
    # The fourth comes when one of the three before it was answered.
    assert all(fourth - first >= 0.02
               for first, fourth in zip(times, times[3:]))


def test_adds_go_on(launch, sink):
    """While pauses come and go, at any moment: each event goes out once."""
    c = launch()
    with Connection(c.port) as connection:
        for i in range(100):
            connection.add({
                "application-id": "app", "event-id": "e%d" % i, "event": 0,
                "expiry": time.time() + 0.2, "url": sink.url("/e")})
            if i % 20 == 5:
                assert pause(c, "app", "app").status == 201
            if i % 20 == 15:
                assert resume(c, "app", "app").status == 200
    for i in range(100):
        assert c.wait_state("e%d" % i, "COMPLETED")["attempts"] == 1
    assert len(sink.arrivals("/e")) == 100
    assert parked(c) == 0


def test_two_daemons(launch, store, sink):
    """A pause through one is obeyed by the other, which hears of it from the
    datastore alone where that is a server."""
    one = launch(store=elsewhere(store), worker={"numWorkerThreads": 1})
    two = launch(store=store, worker={"numWorkerThreads": 1})
    wait_for(lambda: len(store.sql(
        "SELECT DISTINCT owner FROM lease WHERE owner <> 0")) == 2, 30)
    assert pause(one, "app", "app").status == 201
    for c in one, two:
        wait_obeyed(c, 1)
    for i in range(40):
        one.schedule("e%d" % i, sink.url("/e"))
        two.schedule("f%d" % i, sink.url("/e"))
    wait_for(lambda: parked(one) == 80, 30)
    for c in one, two:
        wait_for(lambda: counter(c, "cassata_events_parked_total") > 0)
    assert resume(two, "app", "app").status == 200
    sink.wait("/e", 80)
    assert parked(one) == 0


def elsewhere(store):
    """To its daemon the server has another name, as to one on another host: no
    bell rings between the two."""
    other = copy.copy(store)
    other.url = store.url.replace("127.0.0.1", "localhost")
    return other


def test_damaged_rows(launch, store, sink):
    """They are left out, and told of once; the others are obeyed. Of the same
    name there may be another one."""
    insert = ("INSERT INTO pause (number, kind, since_ms, until_ms, name, note)"
              " VALUES ")
    c = launch(roles="service")
    store.sql(insert + "(5, 0, 1, -1, x'%s', x'')" % b"mended".hex())
    assert pauses(c) == []
    assert resume(c, "app", "mended").status == 404
    assert pause(c, "app", "mended").status == 201
    assert [p["application-id"] for p in pauses(c)] == ["mended"]
    assert resume(c, "app", "mended").status == 200
    rows = ["(1, 7, 1, 0, 'app', '')", "(2, 1, 1, 0, '', '')",
            "(3, 0, 1, -1, 'app', '')", "(0, 0, 1, 0, 'zero', '')",
            "(4096, 0, 1, 0, 'high', '')", "(4095, 0, 1, 0, 'last', '')"]
    rows += ["(%d, 0, 1, 0, 'app%d', '')" % (n, n) for n in range(10, 266)]
    store.sql(insert + ", ".join(rows))
    c.stop()
    c = launch(store=store, worker={"numWorkerThreads": 1})
    wait_obeyed(c, 256)
    for app in "app", "last", "app265":
        c.schedule("e", sink.url("/" + app), app=app)
    for app in "app", "last":
        sink.wait("/" + app)
    wait_for(lambda: parked(c) == 1)
    assert sink.arrivals("/app265") == []
    # Read again.
    assert resume(c, "app", "app10").status == 200
    assert resume(c, "app", "app265").status == 200
    sink.wait("/app265")
    assert {p["application-id"] for p in pauses(c)} == {
        "app%d" % n for n in range(11, 265)} | {"last"}
    worker, = c.children("worker")
    for number in 1, 2, 3, 4095:
        said = [line for line in c.log_text().splitlines()
                if "pause %d is left out" % number in line
                and str(worker["pid"]) in line]
        assert len(said) == 1, (number, said)


def test_of_a_worker_that_dies(launch, store, sink):
    """Its shards come to another one, and with them what it parked; also
    when the pause has ended meanwhile."""
    c = launch(worker={"numWorkerThreads": 1, "lease": "2s"})
    begin_pause(c, "app", "app")
    for i in range(20):
        c.schedule("e%d" % i, sink.url("/e"))
    wait_for(lambda: parked(c) == 20)
    c.abandon()
    store.sql("DELETE FROM pause")
    c.start()
    sink.wait("/e", 20)
    assert parked(c) == 0


def test_reload(launch, sink):
    """The next generation knows of it before it begins anything."""
    c = launch()
    begin_pause(c, "app", "app")
    c.schedule("e", sink.url("/e"), expiry=time.time() + 1)
    assert c.reload() == "ok\n"
    wait_for(lambda: parked(c) == 1)
    assert sink.arrivals() == []
    assert resume(c, "app", "app").status == 200
    sink.wait("/e")


def test_migrate(launch, new_sqlite, sink):
    """A pause, and what it has parked, go along."""
    c = launch()
    begin_pause(c, "app", "app", note="n")
    c.schedule("e", sink.url("/e"))
    wait_for(lambda: parked(c) == 1)
    before = pauses(c)
    assert c.ctl("freeze").returncode == 0
    other = new_sqlite()
    done = c.ctl("migrate", "--to", other.url)
    assert done.returncode == 0, done
    c.store = other
    c.configure(datastore={"url": other.url})
    assert c.reload() == "ok\n"
    assert pauses(c) == before and parked(c) == 1
    assert c.ctl("thaw").returncode == 0
    wait_obeyed(c, 1)
    assert resume(c, "app", "app").status == 200
    sink.wait("/e")
