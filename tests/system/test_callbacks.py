# SPDX-License-Identifier: ISC
"""on-complete and on-failure: who is to be told of the end of an event is told
by an event."""

import base64
import json
import time

import pytest

from cassata import wait_for
from client import path_of
from sink import Reply
from test_culprit import CRASH, crashing


def told(sink, path, n=1, seconds=20):
    """What came there, as it was understood."""
    return [json.loads(a.body) for a in sink.wait(path, n, seconds)]


def assert_none(c, sink, path, name):
    """Neither came, nor is to come."""
    ids = [e["event-id"] for e in c.get(
        "/cassata/events/app?limit=1000").json()["events"]]
    assert not [i for i in ids if i.startswith(name + ".on-")]
    assert sink.arrivals(path) == []


def test_complete(daemon, sink, name):
    sink.on("/" + name, Reply(201, b'{"made": 7}', headers=[
        ("X-Made", "7"), ("Content-Type", "application/json")]))
    daemon.schedule(
        name, sink.url("/" + name),
        on_complete={"url": sink.url("/yes-" + name),
                     "headers": {"X-Token": "t"}},
        on_failure=sink.url("/no-" + name))
    end = told(sink, "/yes-" + name)[0]
    event = daemon.event(name)
    assert [h for h in end.pop("response-headers")
            if h.startswith("X-")] == ["X-Made: 7"]
    assert end == {
        "application-id": "app", "event-id": name, "status": "COMPLETED",
        "expiry": event["expiry"], "finished": event["finished"],
        "attempts": 1, "last-response-code": 201,
        "response-body": '{"made": 7}'}
    assert event["on-complete"]["headers"] == {"X-Token": "t"}
    assert event["on-failure"] == sink.url("/no-" + name)
    arrival = sink.arrivals("/yes-" + name)[0]
    assert arrival.method == "POST"
    assert arrival.header("X-Token") == "t"
    assert arrival.header("Content-Type") == "application/json"
    assert arrival.header("Cassata-Event-Id") == name + ".on-complete.1"
    # An event like others, but one whose end nobody is told of.
    callback = daemon.wait_state(name + ".on-complete.1", "COMPLETED")
    assert "on-complete" not in callback and callback["attempts"] == 1
    assert sink.arrivals("/no-" + name) == []


def test_at_once(launch, sink):
    """The worker looks for it without a poll."""
    c = launch(worker={"workerThreadPollingInterval": "10m"})
    c.schedule("e", sink.url("/e"), on_complete=sink.url("/yes"))
    told(sink, "/yes")


FAILURES = {
    "404": ({}, 404, {"attempts": 1, "last-response-code": 404}),
    "attempts": ({"retry": {"attempts": 2, "delays": ["0s"]}}, 503,
                 {"attempts": 2, "last-response-code": 503}),
    "no retry": ({}, Reply(503, headers=[("Cassata-Retry", "no")]),
                 {"attempts": 1, "last-response-code": 503}),
    "not-after": ({"expiry": 1000000000, "not-after": 1000000001}, 200,
                  {"last-error": "not sent: not-after has passed"}),
    "no next": ({"not-after": "in", "retry": {"delays": ["1h"]}}, 503,
                {"last-error": "the next attempt would be after not-after"}),
    "address": ({"url": "http://169.254.1.1/"}, 200, {"attempts": 1}),
}


@pytest.mark.parametrize("how", FAILURES)
def test_failure(daemon, sink, name, how):
    members, reply, expected = FAILURES[how]
    event = {"event-id": name, "application-id": "app", "event": {},
             "expiry": time.time(), "url": sink.url("/" + name),
             "on-complete": sink.url("/yes-" + name),
             "on-failure": {"url": sink.url("/no-" + name)}, **members}
    if event.get("not-after") == "in":
        event["not-after"] = time.time() + 600
    sink.on("/" + name, reply)
    assert daemon.post(event).status == 201
    end = told(sink, "/no-" + name)[0]
    ended = daemon.event(name)
    assert end["status"] == ended["status"] == "FAILED"
    assert end["finished"] == ended["finished"]
    assert end["attempts"] == ended["attempts"]
    assert end.get("last-error") == ended.get("last-error")
    assert {k: end[k] for k in expected} == expected
    daemon.wait_state("%s.on-failure.%d" % (name, end["attempts"]),
                      "COMPLETED")
    assert sink.arrivals("/yes-" + name) == []


def test_only_the_other_end(daemon, sink, name):
    """on-failure of what is delivered, on-complete of what is not."""
    path = "/told-" + name
    sink.on("/404" + name, 404)
    daemon.schedule(name + "-a", sink.url("/" + name),
                    on_failure=sink.url(path))
    daemon.schedule(name + "-b", sink.url("/404" + name),
                    on_complete=sink.url(path))
    daemon.schedule(name + "-c", sink.url("/" + name), on_failure=sink.url(path),
                    expiry=time.time() + 3600, on_complete=sink.url(path))
    daemon.wait_state(name + "-a", "COMPLETED")
    daemon.wait_state(name + "-b", "FAILED")
    assert daemon.delete(name + "-c").status == 200
    assert_none(daemon, sink, path, name)


def test_response_bytes(launch, sink):
    c = launch(worker={"callbackBytes": 100, "maxResponseBytes": 200,
                       "responseBytesKept": 10})
    bodies = {"exact": b"x" * 100, "cut": b"\xc3\xa9" * 50 + b"x",
              "part": b"x" + b"\xc3\xa9" * 50, "bytes": b"\xff\0" * 50,
              "beyond": b"y" * 1000}
    for name, body in bodies.items():
        sink.on("/" + name, Reply(404, body, headers=[
            ("X-%d" % n, "h" * 30) for n in range(10)]))
        c.schedule(name, sink.url("/" + name),
                   on_failure=sink.url("/" + name + ".no"))
    ends = {name: told(sink, "/" + name + ".no")[0] for name in bodies}
    assert {n: (e.get("response-body"), e.get("response-cut"))
            for n, e in ends.items()} == {
        "exact": ("x" * 100, None), "cut": ("é" * 50, True),
        "part": ("x" + "é" * 49, True), "bytes": (None, None),
        "beyond": ("y" * 100, True)}
    assert base64.b64decode(
        ends["bytes"]["response-body-base64"]) == bodies["bytes"]
    for name, end in ends.items():
        assert 0 < sum(map(len, end["response-headers"])) <= 100
        log = c.event(name)["attempt-log"]
        assert [len(a["response-body"].encode()) for a in log] == [10] or (
            name in ("part", "bytes"))


def test_own_retries(daemon, sink, name):
    """It is tried again as any event is, and its end tells nobody."""
    sink.on("/yes-" + name, 503, 503, 200)
    daemon.schedule(name, sink.url("/" + name),
                    on_complete=sink.url("/yes-" + name),
                    on_failure=sink.url("/no-" + name))
    told(sink, "/yes-" + name, 3)
    event = daemon.wait_state(name + ".on-complete.1", "COMPLETED")
    assert event["attempts"] == 3
    assert len(sink.arrivals("/" + name)) == 1
    assert sink.arrivals("/no-" + name) == []


def test_each_end(daemon, sink, name):
    """One that is begun again ends again."""
    sink.on("/" + name, 404, 200)
    daemon.schedule(name, sink.url("/" + name),
                    on_complete=sink.url("/yes-" + name),
                    on_failure=sink.url("/no-" + name))
    told(sink, "/no-" + name)
    assert daemon.request("POST", path_of("retry", "app", name)).status == 200
    assert told(sink, "/yes-" + name)[0]["attempts"] == 2
    daemon.wait_state(name + ".on-failure.1", "COMPLETED")
    daemon.wait_state(name + ".on-complete.2", "COMPLETED")
    assert len(sink.arrivals("/no-" + name)) == 1


def test_ids_of_before(daemon, sink, name):
    """An event in the place of another one has the same numbers of attempts;
    who added one with the ids of the callback keeps it."""
    long = (name + "x" * 255)[:255]
    for id in name, long:
        for n in range(1, 4):
            answer = daemon.post({
                "application-id": "app", "event-id": id, "event": {},
                "expiry": n, "on-conflict": "replace", "url": sink.url("/e"),
                "on-complete": sink.url("/yes-" + id[:100])})
            assert answer.status == (201 if n == 1 else 200)
            ends = told(sink, "/yes-" + id[:100], n)
            assert [e["expiry"] for e in ends] == list(range(1, n + 1))
            daemon.wait_state(id, "COMPLETED")
    ids = [a.header("Cassata-Event-Id")
           for a in sink.arrivals("/yes-" + name)]
    assert ids[0] == name + ".on-complete.1"
    assert all(i.startswith(ids[0] + ".") for i in ids[1:])
    assert len(set(ids)) == 3
    daemon.schedule(name + "-a.on-complete.1", "http://127.0.0.1:1/",
                    expiry=time.time() + 3600)
    daemon.schedule(name + "-a", sink.url("/e"),
                    on_complete=sink.url("/yes-a-" + name))
    told(sink, "/yes-a-" + name)
    assert daemon.state(name + "-a.on-complete.1") == "PENDING"


def test_long_ids(daemon, sink, name):
    for id in (name + "é" * 120)[:127], (name + "x" * 255)[:255]:
        daemon.schedule(id, sink.url("/" + name),
                        on_complete=sink.url("/yes-" + name))
    ends = told(sink, "/yes-" + name, 2)
    assert sorted(len(e["event-id"]) for e in ends) == [127, 255]
    ids = [e["event-id"] for e in daemon.get(
        "/cassata/events/app?limit=1000").json()["events"]]
    assert len([i for i in ids if i.startswith(name)]) == 4
    assert max(len(i.encode()) for i in ids) == 255


def test_change(daemon, sink, name):
    path = path_of("event", "app", name)
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600,
                    on_failure=sink.url("/no-" + name))

    def patch(**members):
        return daemon.request("PATCH", path, json.dumps({
            k.replace("_", "-"): v for k, v in members.items()}).encode())
    assert patch(on_complete={"url": sink.url("/x")}).status == 200
    assert daemon.event(name)["on-complete"] == {"url": sink.url("/x")}
    assert patch(on_complete=sink.url("/yes-" + name),
                 on_failure=None).status == 200
    event = daemon.event(name)
    assert event["on-complete"] == sink.url("/yes-" + name)
    assert "on-failure" not in event
    assert patch(on_complete="x").json()["errors"][0][
        "pointer"] == "/on-complete"
    assert daemon.request("POST", path_of("run", "app", name)).status == 200
    told(sink, "/yes-" + name)


def test_change_with_headers(daemon, name):
    """Neither is written over by the other."""
    daemon.schedule(name, "http://127.0.0.1:1/", expiry=time.time() + 3600)
    long = "http://127.0.0.1:1/" + "x" * 8000
    headers = ["X-A: " + "a" * 200, "X-B: " + "b" * 200]
    for changes in ({"request-headers": headers, "on-complete": long},
                    {"on-failure": long, "request-headers": headers[:1],
                     "on-complete": None}):
        assert daemon.request(
            "PATCH", path_of("event", "app", name),
            json.dumps(changes).encode()).status == 200
        event = daemon.event(name)
        for member, value in changes.items():
            assert event.get(member) == value


@pytest.mark.parametrize("value, pointer", [
    (7, ""), ("x", ""), ({}, "/url"), ({"url": "http://u:p@a/"}, "/url"),
    ({"url": "http://a/", "headers": {"Host": "b"}}, "/headers"),
    ({"url": "http://a/", "headers": ["A: b"]}, "/headers"),
    ({"url": "http://a/", "retry": {}}, "")])
def test_refused(daemon, value, pointer):
    event = {"application-id": "app", "event": {}, "expiry": 0,
             "url": "http://a/"}
    for member in "on-complete", "on-failure":
        response = daemon.post({**event, member: value})
        assert response.status == 422, response
        assert [e["pointer"] for e in response.json()["errors"]] == [
            "/" + member + pointer]


def test_repeated_add(daemon, sink, name):
    """They belong to the content of an event."""
    members = {"url": sink.url("/" + name), "expiry": time.time() + 3600,
               "event": 1, "application-id": "app", "event-id": name}
    first = {**members, "on-complete": sink.url("/yes")}
    assert daemon.post(first).status == 201
    assert daemon.post(first).status == 200
    assert daemon.post(members).status == 409
    assert daemon.post({**members, "on-complete": sink.url("/y")}).status == 409


def test_batch(daemon, sink, name):
    """Escapes and headers of one event stay its own."""
    lines = []
    for n in range(3):
        lines.append({
            "application-id": "app", "event-id": "%s-%d" % (name, n),
            "on-complete": {"headers": {"X-N": "é%d" % n},
                            "url": sink.url("/yes-%s-%d" % (name, n))},
            "request-headers": ["X-M: %d" % n], "event": n, "expiry": 0,
            "url": sink.url("/%s-%d" % (name, n))})
    body = "\n".join(json.dumps(line).replace("/", "\\/") for line in lines)
    answer = daemon.request("POST", "/cassata/add-batch/", body.encode(), [
        ("Content-Type", "application/x-ndjson")])
    assert [json.loads(a)["response-code"]
            for a in answer.body.splitlines()] == [201] * 3
    for n in range(3):
        arrival = sink.wait("/yes-%s-%d" % (name, n))[0]
        assert arrival.header("X-N").encode("latin-1").decode() == "é%d" % n
        assert sink.arrivals(
            "/%s-%d" % (name, n))[0].header("X-M") == str(n)


def test_answer_that_kills(prepare, sink):
    """Its end is that of its worker."""
    c = crashing(prepare, httpRetryCount=1, numWorkerThreads=2)
    sink.on("/poison", CRASH)
    c.schedule("poison", sink.url("/poison"), on_failure={
        "url": sink.url("/no"), "headers": {"X-A": "b"}},
        on_complete=sink.url("/yes"))
    end = told(sink, "/no", seconds=60)[0]
    event = c.event("poison")
    assert end == {
        "application-id": "app", "event-id": "poison", "status": "FAILED",
        "expiry": event["expiry"], "finished": event["finished"],
        "attempts": 2, "last-error": "interrupted"}
    assert sink.arrivals("/no")[0].header("X-A") == "b"
    c.wait_state("poison.on-failure.2", "COMPLETED")
    assert sink.arrivals("/yes") == []


def test_kill_9(launch, sink):
    """Whenever all is killed, each end is told, and by one event."""
    c = launch(worker={"numWorkerThreads": 2, "lease": "1s",
                       "retryDelays": ["100ms"], "httpRetryCount": 20})
    n = 300
    sink.on("/no", 404)
    due = time.time()
    for i in range(n):
        path = "/no" if i % 3 == 0 else "/e"
        c.schedule("e%d" % i, sink.url(path), expiry=due + i * 0.004,
                   on_complete=sink.url("/told"), on_failure=sink.url("/told"))
        if i % 100 == 60:
            c.abandon()
            c.start()
    ends = {}

    def all_told():
        for arrival in sink.arrivals("/told"):
            end = json.loads(arrival.body)
            ends.setdefault(end["event-id"], set()).add(
                (arrival.header("Cassata-Event-Id"), end["status"]))
        return len(ends) == n
    wait_for(all_told, 60, "word of each")
    for i in range(n):
        event = c.event("e%d" % i)
        state = "FAILED" if i % 3 == 0 else "COMPLETED"
        kind = "on-failure" if i % 3 == 0 else "on-complete"
        assert event["status"] == state
        assert ends["e%d" % i] == {
            ("e%d.%s.%d" % (i, kind, event["attempts"]), state)}
