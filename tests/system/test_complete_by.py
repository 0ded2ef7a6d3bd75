# SPDX-License-Identifier: ISC
"""complete-by: a receiver that answers 202 says later what came of it."""

import json
import time

import pytest

from cassata import wait_for
from client import path_of, request
from sink import Reply
from test_damaged import counter, spoil

ACCEPTED = Reply(202, b"working")


@pytest.fixture
def start(prepare):
    """A daemon that receivers can reach."""
    def make(**worker):
        c = prepare(service={"publicUrl": "http://cassata.example:8085/x/"},
                    worker={"numWorkerThreads": 1, "retryDelays": ["0s"],
                            "retryJitter": 0, **worker})
        return c.start()
    return make


def word(c, arrival, verb, body=b""):
    """Says what a receiver says, as through a proxy that takes the prefix."""
    url = arrival.header("Cassata-%s-Url" % verb.capitalize())
    prefix = "http://cassata.example:8085/x/"
    assert url.startswith(prefix + "cassata/%s/" % verb)
    return request(c.port, "POST", "/" + url[len(prefix):], body,
                   [("Host", "cassata.example:8085")])


def awaiting(c, sink, name, n=1, **members):
    """The last of n arrivals of an event that now waits for a word."""
    if n == 1:
        sink.on("/" + name, ACCEPTED)
        c.schedule(name, sink.url("/" + name),
                   **{"complete_by": "1h", **members})
    arrival = sink.wait("/" + name, n)[n - 1]
    wait_for(lambda: c.event(name)["attempts"] == n and
             c.state(name) == "AWAITING", what="AWAITING")
    return arrival


def test_ack(start, sink):
    c = start()
    arrival = awaiting(c, sink, "e", on_complete=sink.url("/yes"))
    event = c.event("e")
    assert event["complete-by"] == "1h" and "finished" not in event
    assert event["last-response-code"] == 202 and "last-error" not in event
    assert time.time() + 3500 < event["next-attempt"] < time.time() + 3601
    listed = c.get("/cassata/events/app?status=AWAITING").json()["events"]
    assert [e["event-id"] for e in listed] == ["e"]
    assert c.get("/cassata/events/app?status=PENDING,SERVICE_UNAVAILABLE"
                 ).json()["events"] == []
    response = word(c, arrival, "ack", b'{"made": 7}')
    assert (response.status, response.json()) == (200, {
        "application-id": "app", "event-id": "e", "status": "COMPLETED"})
    event = c.event("e")
    assert event["status"] == "COMPLETED" and event["attempts"] == 1
    end = json.loads(sink.wait("/yes")[0].body)
    assert end == {
        "application-id": "app", "event-id": "e", "status": "COMPLETED",
        "expiry": event["expiry"], "finished": event["finished"],
        "attempts": 1, "last-response-code": 202,
        "response-body": '{"made": 7}'}
    # Its answer may have been lost.
    assert word(c, arrival, "ack").json()["status"] == "COMPLETED"
    refused = word(c, arrival, "nack")
    assert refused.status == 410
    assert refused.json()["event-status"] == "COMPLETED"
    assert len(sink.arrivals("/e")) == len(sink.arrivals("/yes")) == 1


def test_nack(start, sink):
    """Each is an attempt that failed; the last one ends the event."""
    c = start(httpRetryCount=1)
    first = awaiting(c, sink, "e", on_failure=sink.url("/no"))
    response = word(c, first, "nack", b"out of stock")
    assert response.status == 200
    assert response.json()["status"] == "SERVICE_UNAVAILABLE"
    second = awaiting(c, sink, "e", 2)
    assert second.header("Cassata-Previous-Status") == "202"
    log = c.event("e")["attempt-log"]
    assert log[0]["error"] == "refused by a nack"
    assert log[0]["response-body"] == "out of stock"
    for verb in "ack", "nack":
        late = word(c, first, verb)
        assert late.status == 410
        assert late.json()["event-status"] == "AWAITING"
    assert word(c, second, "nack", b"\xff").json()["status"] == "FAILED"
    assert word(c, second, "nack").json()["status"] == "FAILED"
    assert word(c, second, "ack").status == 410
    end = json.loads(sink.wait("/no")[0].body)
    assert end["attempts"] == 2 and end["response-body-base64"] == "/w=="
    assert end["last-error"] == c.event("e")["last-error"]
    assert len(sink.arrivals("/e")) == 2


def test_nack_waits_as_a_failure_does(start, sink):
    c = start(retryDelays=["1h"])
    arrival = awaiting(c, sink, "e")
    next_attempt = word(c, arrival, "nack").json()["next-attempt"]
    assert time.time() + 3500 < next_attempt < time.time() + 3601
    assert word(c, arrival, "nack").json()["next-attempt"] == next_attempt
    # Its receiver has done it after all.
    assert word(c, arrival, "ack").json()["status"] == "COMPLETED"


def test_nack_before_not_after(start, sink):
    """What would come too late is given up, and says so."""
    c = start(retryDelays=["1h"])
    arrival = awaiting(c, sink, "e", not_after=time.time() + 600)
    assert word(c, arrival, "nack").json()["status"] == "FAILED"
    assert c.event("e")["last-error"] == (
        "refused by a nack; the next attempt would be after not-after")


def test_fewer_attempts_after_a_nack(start, sink):
    """What was refused is no wait that is over, however few attempts are left:
    the one that waits is made, as after any failure."""
    c = start(retryDelays=["1h"])
    word(c, awaiting(c, sink, "e"), "nack")
    sink.on("/e", Reply(503))
    assert c.request("PATCH", path_of("event", "app", "e"),
                     b'{"retry": {"attempts": 1}, "in": "0s"}', headers=[
                         ("Content-Type", "application/merge-patch+json")],
                     ).status == 200
    assert c.wait_state("e", "FAILED")["last-response-code"] == 503
    assert len(sink.arrivals("/e")) == 2


def test_no_word(start, sink):
    """After the time it is delivered again, as often as any event is."""
    c = start(httpRetryCount=1)
    sink.on("/e", ACCEPTED, ACCEPTED, Reply(202, gate=sink.gate()))
    c.schedule("e", sink.url("/e"), complete_by="300ms",
               on_failure=sink.url("/no"))
    first, second = sink.wait("/e", 2)
    assert second.at - first.at >= 0.299  # of whole milliseconds
    assert [a.header("Cassata-Attempt") for a in (first, second)] == ["1", "2"]
    event = c.wait_state("e", "FAILED")
    assert event["attempts"] == 2
    assert event["last-error"] == "not acknowledged in time"
    assert event["last-response-code"] == 202
    end = json.loads(sink.wait("/no")[0].body)
    assert end["attempts"] == 2 and end["status"] == "FAILED"
    assert c.wait_state("e.on-failure.2", "COMPLETED")
    assert word(c, second, "ack").status == 410
    assert len(sink.arrivals("/e")) == 2
    wait_for(lambda: "after 2 attempts: status 202, not acknowledged in time"
             in c.log_text())
    # Again, with a fresh count; its time has not begun.
    assert c.request("POST", path_of("retry", "app", "e")).status == 200
    third = sink.wait("/e", 3)[2]
    assert word(c, second, "ack").status == 410
    assert word(c, third, "ack").status == 200
    assert c.state("e") == "COMPLETED"


def test_other_answers(start, sink):
    """Only 202 makes it wait, and only what has a time."""
    c = start()
    sink.on("/202", ACCEPTED)
    sink.on("/404", 404)
    c.schedule("200", sink.url("/200"), complete_by="1h")
    c.schedule("404", sink.url("/404"), complete_by="1h")
    c.schedule("202", sink.url("/202"))
    assert c.wait_state("200", "COMPLETED")["attempts"] == 1
    c.wait_state("404", "FAILED")
    c.wait_state("202", "COMPLETED")
    assert sink.arrivals("/202")[0].header("Cassata-Ack-Url") is None
    assert sink.arrivals("/404")[0].header("Cassata-Nack-Url") is not None


def test_word_before_the_answer(start, sink):
    """The event is under way, and nobody knows of a 202 yet."""
    c = start()
    gate = sink.gate()
    for name in "yes", "no":
        sink.on("/" + name, Reply(202, gate=gate), 200)
        c.schedule(name, sink.url("/" + name), complete_by="1h",
                   on_complete=sink.url("/told"))
    yes, no = sink.wait("/yes")[0], sink.wait("/no")[0]
    assert c.state("yes") == "PROCESSING"
    assert word(c, yes, "ack").json()["status"] == "COMPLETED"
    assert word(c, no, "nack").json()["status"] == "SERVICE_UNAVAILABLE"
    sink.wait("/no", 2)
    event = c.wait_state("no", "COMPLETED")
    assert event["attempts"] == 2
    assert event["attempt-log"][0]["error"] == "refused by a nack"
    gate.set()
    c.schedule("later", sink.url("/later"))
    c.wait_state("later", "COMPLETED")
    sink.wait("/told", 2)
    assert c.event("yes")["status"] == "COMPLETED"
    assert c.event("yes")["attempts"] == 1
    assert len(sink.arrivals("/yes")) == 1 and len(sink.arrivals("/no")) == 2
    assert len(sink.arrivals("/told")) == 2


def test_what_may_be_done_meanwhile(start, sink):
    c = start()
    arrival = awaiting(c, sink, "e")
    response = c.request("PATCH", path_of("event", "app", "e"),
                         b'{"event": 2}')
    assert response.status == 409
    assert response.json()["event-status"] == "AWAITING"
    assert c.request("POST", path_of("retry", "app", "e")).status == 409
    assert c.request("POST", path_of("run", "app", "e")).status == 200
    second = awaiting(c, sink, "e", 2)
    assert word(c, arrival, "ack").status == 410
    assert c.delete("e").json()["event-status"] == "AWAITING"
    assert word(c, second, "ack").status == 404


def test_forged(start, sink):
    """Neither another's token, nor a made up one; of each event its own."""
    c = start()
    tokens = []
    for name in "a", "b":
        arrival = awaiting(c, sink, name)
        tokens.append(arrival.header("Cassata-Ack-Url").split("/")[-1])
        assert arrival.header("Cassata-Nack-Url").endswith(tokens[-1])
    a, b = tokens
    assert len(a) == 56
    for token in (a[:24] + b[24:], a[:-1] + ("0" if a[-1] != "0" else "1"),
                  a[:23] + "2" + a[24:], "0" * 56, a[:-1], a + "0", "x" * 56,
                  a.upper()):
        for verb in "ack", "nack":
            response = c.request("POST", "/cassata/%s/%s" % (verb, token))
            assert response.status == 404, token
    assert c.state("a") == c.state("b") == "AWAITING"
    assert c.get("/cassata/ack/" + a).status == 405
    # A page can be told by its browser only.
    for headers, status in ([("Origin", "http://evil.example")], 403), (
            [("User-Agent", "Mozilla/5.0")], 415):
        assert request(c.port, "POST", "/cassata/ack/" + a, None,
                       headers).status == status
    assert "ack-key" not in c.event("a")


def test_repeated_add(start, sink):
    """The key is no part of what an event is; the time is."""
    c = start()
    event = {"event-id": "e", "application-id": "app", "event": {},
             "expiry": time.time() + 3600, "url": sink.url("/e"),
             "complete-by": "15m"}
    assert c.post(event).status == 201
    assert c.post(event).status == 200
    assert c.post({**event, "complete-by": "16m"}).status == 409
    batch = [{**event, "event-id": "b%d" % n} for n in range(2)]
    for expected in 201, 200:
        answer = c.request("POST", "/cassata/add-batch/",
                           json.dumps(batch).encode()).json()
        assert [a["response-code"] for a in answer] == [expected] * 2


def test_batch(start, sink):
    """Each has a key of its own, however it was added."""
    c = start()
    ways = (("", "json"), ("?atomic=true", "json"), ("", "x-ndjson"))
    for way, (query, kind) in enumerate(ways):
        events = [{"application-id": "app", "event-id": "%d-%d" % (way, n),
                   "event": {}, "expiry": 0, "complete-by": "1h",
                   "request-headers": ["X-N: %d" % n] * n,
                   "on-complete": sink.url("/told"),
                   "url": sink.url("/%d-%d" % (way, n))} for n in range(2)]
        for event in events:
            sink.on("/" + event["event-id"], ACCEPTED)
        body = json.dumps(events) if kind == "json" else "\n".join(
            map(json.dumps, events))
        assert c.request("POST", "/cassata/add-batch/" + query, body.encode(), [
            ("Content-Type", "application/" + kind)]).status == 200
        for n, event in enumerate(events):
            arrival = sink.wait("/" + event["event-id"])[0]
            assert len([h for h in arrival.headers if h[0] == "X-N"]) == n
            assert word(c, arrival, "ack").status == 200
    sink.wait("/told", 2 * len(ways))


def test_refused(daemon, start):
    """Without an address of its own a daemon cannot say where to send it."""
    event = {"application-id": "app", "event": {}, "url": "http://a/",
             "expiry": time.time() + 3600, "complete-by": "15m"}
    response = daemon.post(event)
    assert response.status == 422
    assert "service.publicUrl" in response.json()["errors"][0]["detail"]
    c = start()
    for value in "0s", "15", 900, None, "36501d":
        response = c.post({**event, "complete-by": value})
        assert [e["pointer"] for e in response.json()["errors"]] == [
            "/complete-by"]


def test_worker_without_the_url(start, sink):
    """It sends nothing that cannot be answered, and says why."""
    c = start()
    c.schedule("e", sink.url("/e"), complete_by="1h",
               expiry=time.time() + 3600)
    c.sections["service"].pop("publicUrl")
    c.configure()
    c.reload()
    assert c.request("POST", path_of("run", "app", "e")).status == 200
    wait_for(lambda: "service.publicUrl is not configured" in c.log_text())
    event = c.event("e")
    assert event["status"] in ("PENDING", "PROCESSING")
    assert sink.arrivals("/e") == []


def test_restarts(start, sink):
    """What waits, waits on, whatever is killed."""
    c = start()
    arrivals = [awaiting(c, sink, "e%d" % n) for n in range(3)]
    late = awaiting(c, sink, "late", complete_by="5s")
    c.stop()
    c.start()
    assert word(c, arrivals[0], "ack").status == 200
    c.abandon()
    c.start()
    assert c.state("e0") == "COMPLETED"
    assert word(c, arrivals[1], "ack").status == 200
    assert word(c, arrivals[2], "nack").status == 200
    sink.wait("/e2", 2, seconds=30)
    sink.wait("/late", 2, seconds=30)
    assert word(c, late, "ack").status == 410
    assert len(sink.arrivals("/e0")) == len(sink.arrivals("/e1")) == 1


def test_worker_that_is_killed(start, sink):
    """Its receiver may say so nevertheless: the attempt is the last one."""
    c = start(lease="1s")
    gate = sink.gate()
    sink.on("/e", Reply(202, gate=gate))
    c.schedule("e", sink.url("/e"), complete_by="1h")
    arrival = sink.wait("/e")[0]
    c.abandon()
    gate.set()
    c.start()
    assert word(c, arrival, "ack").status == 200
    assert c.event("e")["attempts"] == 1
    assert c.state("e") == "COMPLETED"


def test_no_slot_is_held(start, sink):
    """Many wait at a time, with one slot for deliveries."""
    c = start(maxConcurrentDeliveries=1)
    sink.on("/e", ACCEPTED)
    for n in range(20):
        c.schedule("e%d" % n, sink.url("/e"), complete_by="1h")
    arrivals = sink.wait("/e", 20)
    for n in range(20):
        c.wait_state("e%d" % n, "AWAITING")
    for arrival in arrivals:
        assert word(c, arrival, "ack").status == 200
    for n in range(20):
        assert c.state("e%d" % n) == "COMPLETED"


def test_damaged(start, store, sink):
    """Its receiver is told so, and nobody that the datastore is in trouble."""
    c = start()
    arrival = awaiting(c, sink, "e")
    spoil(store, "UPDATE event SET last_code = -5")
    for verb in ("ack", "nack"):
        response = word(c, arrival, verb)
        assert response.status == 500
        assert response.json()["type"] == "urn:cassata:problem:damaged"
        assert "last_code -5" in response.json()["detail"]
    assert counter(c, "cassata_store_failures_total") == 0
