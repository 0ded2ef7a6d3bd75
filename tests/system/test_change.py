# SPDX-License-Identifier: ISC
"""One event changed by its clients: run now, again, otherwise."""

import itertools
import json
import threading
import time

import pytest

from cassata import wait_for
from client import path_of
from sink import Reply


def ask(c, verb, name, method="POST", **kwargs):
    return c.request(method, path_of(verb, "app", name), **kwargs)


def assert_conflict(response, state):
    assert response.status == 409, response
    assert response.json()["event-status"] == state


# ---- run ----

def test_run(daemon, sink, name):
    expiry = int(time.time()) + 3600.5
    daemon.schedule(name, sink.url("/" + name), expiry=expiry)
    response = ask(daemon, "run", name)
    assert response.status == 200
    answer = response.json()
    assert time.time() - 60 < answer.pop("next-attempt") <= time.time()
    assert answer == {"application-id": "app", "event-id": name,
                      "status": "PENDING", "expiry": expiry}
    event = daemon.wait_state(name, "COMPLETED")
    assert event["expiry"] == expiry and event["attempts"] == 1
    assert len(sink.arrivals("/" + name)) == 1
    assert_conflict(ask(daemon, "run", name), "COMPLETED")


def test_run_wakes_a_worker(launch, sink):
    """It does not wait for the poll."""
    c = launch(worker={"workerThreadPollingInterval": "10m"})
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    assert ask(c, "run", "e").status == 200
    c.wait_state("e", "COMPLETED")


def test_run_the_next_attempt(launch, sink):
    c = launch(worker={"retryDelays": ["1h"], "retryJitter": 0})
    sink.on("/e", 503, Reply(200, gate=sink.gate()))
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "SERVICE_UNAVAILABLE")
    assert ask(c, "run", "e").json()["status"] == "SERVICE_UNAVAILABLE"
    sink.wait("/e", 2)
    assert_conflict(ask(c, "run", "e"), "PROCESSING")


def test_run_what_is_due(daemon, sink, name):
    """Nothing changes, whoever is first."""
    for n in range(20):
        daemon.schedule("%s-%d" % (name, n), sink.url("/" + name),
                        expiry=time.time() + 0.01 * n)
    states = set()
    for n in range(20):
        response = ask(daemon, "run", "%s-%d" % (name, n))
        states.add((response.status, response.json().get("event-status")))
    assert states <= {(200, None), (409, "PROCESSING"), (409, "COMPLETED")}
    for n in range(20):
        daemon.wait_state("%s-%d" % (name, n), "COMPLETED")
    assert len(sink.arrivals("/" + name)) == 20


# ---- retry ----

def test_retry(launch, sink):
    """With a fresh count of attempts, and the log that it has."""
    c = launch(worker={"httpRetryCount": 1, "retryDelays": ["0"]})
    gate = sink.gate()
    sink.on("/e", Reply(503, gate=gate), 500, 502, 200)
    c.schedule("e", sink.url("/e"))
    sink.wait("/e", 1)
    assert_conflict(ask(c, "retry", "e"), "PROCESSING")
    gate.set()
    c.wait_state("e", "FAILED")
    response = ask(c, "retry", "e")
    assert response.status == 200
    assert response.json()["status"] == "PENDING"
    event = c.wait_state("e", "COMPLETED")
    assert event["attempts"] == 4
    assert [(a["attempt"], a["response-code"]) for a in event["attempt-log"]] \
        == [(1, 503), (2, 500), (3, 502)]
    assert [a.header("Cassata-Attempt") for a in sink.arrivals("/e")] == [
        "1", "2", "3", "4"]


def test_retry_what_was_delivered(daemon, sink, name):
    daemon.schedule(name, sink.url("/" + name))
    first = daemon.wait_state(name, "COMPLETED")
    assert ask(daemon, "retry", name).status == 200
    event = daemon.wait_state(name, "COMPLETED")
    assert event["attempts"] == 2
    # The first one was in no log: now something came after it.
    assert event["attempt-log"] == [{"attempt": 1, "time": first["finished"],
                                     "response-code": 200}]
    assert event["first-attempt"] == first["finished"]
    assert len(sink.arrivals("/" + name)) == 2


def test_retry_of_damaged_options(daemon, sink, name):
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600)
    daemon.store.sql("UPDATE event SET options = X'00', due_ms = 1"
                     " WHERE event_id = X'%s'" % name.encode().hex())
    daemon.wait_state(name, "FAILED")
    assert ask(daemon, "retry", name).status == 200
    daemon.wait_state(name, "COMPLETED")


def test_retry_has_an_end(daemon, sink, name):
    """Or nobody could read the log."""
    sink.on("/" + name, 404)
    daemon.schedule(name, sink.url("/" + name))
    daemon.wait_state(name, "FAILED")
    daemon.store.sql("UPDATE event SET attempts = 5001 WHERE event_id = X'%s'"
                     % name.encode().hex())
    response = ask(daemon, "retry", name)
    assert_conflict(response, "FAILED")
    assert "too many attempts" in response.json()["detail"]


def test_add_of_a_failed_one(daemon, sink, name):
    """The same again tells its state, and sends nothing."""
    event = {"event-id": name, "application-id": "app", "event": 1,
             "expiry": 0, "url": sink.url("/" + name)}
    sink.on("/" + name, 404)
    assert daemon.post(event).status == 201
    daemon.wait_state(name, "FAILED")
    response = daemon.post(event)
    assert (response.status, response.json()["status"]) == (200, "FAILED")
    assert ask(daemon, "retry", name).status == 200
    wait_for(lambda: len(sink.arrivals("/" + name)) == 2)


def test_retries_at_the_same_time(daemon, sink, name):
    """One of them begins it again."""
    sink.on("/" + name, 404, Reply(200, gate=sink.gate()))
    daemon.schedule(name, sink.url("/" + name))
    daemon.wait_state(name, "FAILED")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        ask(daemon, "retry", name).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 7
    sink.wait("/" + name, 2)
    assert daemon.event(name)["attempts"] == 2


# ---- all of them ----

@pytest.mark.parametrize("verb", ["run", "retry"])
def test_unknown(daemon, name, verb):
    assert ask(daemon, verb, name).status == 404
    assert daemon.request("POST", "/cassata/%s/a/%%ff" % verb).status == 404


@pytest.mark.parametrize("verb", ["run", "retry"])
def test_frozen(launch, sink, verb):
    c = launch()
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    assert c.ctl("freeze").returncode == 0
    response = ask(c, verb, "e")
    assert response.status == 503 and response.header("Retry-After")
    assert c.ctl("thaw").returncode == 0


PAGES = {
    "form": ([("Origin", "http://evil.example")], 403),
    "fetched": ([("Sec-Fetch-Site", "cross-site"),
                 ("Content-Type", "application/json")], 403),
    "old-form": ([("User-Agent", "Mozilla/5.0"),
                  ("Referer", "http://evil.example/")], 415),
    "rebound": ([("Host", "evil.example")], 421),
}


@pytest.mark.parametrize("verb, page", list(itertools.product(
    ["run", "retry"], PAGES)))
def test_web_pages(daemon, sink, name, verb, page):
    """None of another origin changes anything."""
    headers, status = PAGES[page]
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600)
    assert ask(daemon, verb, name, headers=headers).status == status
    assert daemon.state(name) == "PENDING"
    assert sink.arrivals("/" + name) == []


# ---- change ----

MERGE_PATCH = ("Content-Type", "application/merge-patch+json")


def patch(c, name, change, *headers):
    return ask(c, "event", name, "PATCH", body=json.dumps(change).encode(),
               headers=[MERGE_PATCH, *headers])


def test_patch(daemon, sink, name):
    later = int(time.time()) + 3600
    daemon.schedule(name, sink.url("/wrong"), expiry=later,
                    event={"a": 1, "b": {"c": 2, "d": [3]}, "e": None})
    tag = ask(daemon, "event", name, "GET").header("ETag")
    response = patch(daemon, name, {
        "url": sink.url("/" + name), "method": "PUT",
        "request-headers": ["X-A: b"], "expiry": later + 0.5,
        "event": {"a": None, "b": {"c": {"f": None, "g": 4}}, "h": "i"}})
    assert response.status == 200, response
    assert response.json() == {
        "application-id": "app", "event-id": name, "status": "PENDING",
        "expiry": later + 0.5, "next-attempt": later + 0.5}
    shown = ask(daemon, "event", name, "GET")
    assert shown.header("ETag") == response.header("ETag") != tag
    assert shown.json()["event"] == {
        "b": {"c": {"g": 4}, "d": [3]}, "e": None, "h": "i"}
    assert patch(daemon, name, {"in": "0s"}).status == 200
    [arrived] = sink.wait("/" + name)
    assert arrived.method == "PUT" and arrived.header("X-A") == "b"
    assert json.loads(arrived.body) == shown.json()["event"]
    daemon.wait_state(name, "COMPLETED")
    assert_conflict(patch(daemon, name, {"method": "POST"}), "COMPLETED")
    assert sink.arrivals("/wrong") == []


def test_patch_of_nothing(daemon, sink, name):
    """What it does not name stays, and no member means the default."""
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600,
                    method="PUT", request_headers=["X-A: b"], event="text")
    before = daemon.event(name)
    assert patch(daemon, name, {}).status == 200
    assert daemon.event(name) == before
    assert patch(daemon, name, {
        "method": None, "request-headers": None, "event": {"a": 1}
    }).status == 200
    after = daemon.event(name)
    assert after == dict(before, method="POST", event={"a": 1},
                         **{"request-headers":
                            ["Content-Type: application/json"]})


def test_add_repeated_after_a_patch(daemon, sink, name):
    """The add stays the one that it was."""
    event = {"event-id": name, "application-id": "app", "event": 1,
             "expiry": int(time.time()) + 3600, "url": sink.url("/" + name)}
    assert daemon.post(event).status == 201
    assert patch(daemon, name, {"event": 2}).status == 200
    assert daemon.post(event).status == 200
    assert daemon.post(dict(event, event=2)).status == 409
    assert daemon.event(name)["event"] == 2


def test_if_match(daemon, sink, name):
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600)
    tag = ask(daemon, "event", name, "GET").header("ETag")
    assert tag == ask(daemon, "event", name, "GET").header("ETag")
    for wrong in '"other"', "W/" + tag, tag[:-2] + '"', "x":
        assert patch(daemon, name, {"method": "PUT"},
                     ("If-Match", wrong)).status == 412
    response = patch(daemon, name, {"method": "PUT"},
                     ("If-Match", '"other", W/%s, %s' % (tag, tag)))
    assert response.status == 200
    assert patch(daemon, name, {"method": "GET"},
                 ("If-Match", tag)).status == 412
    assert patch(daemon, name, {"method": "GET"},
                 ("If-Match", response.header("ETag"))).status == 200
    now = ask(daemon, "event", name, "GET").header("ETag")
    response = patch(daemon, name, {"method": "PUT"}, ("If-Match", '"other"'),
                     ("If-Match", '"one more"'), ("If-Match", now))
    assert response.status == 200
    assert patch(daemon, name, {"method": "GET"}, ("If-Match", '"other"'),
                 ("If-Match", "W/" + response.header("ETag"))).status == 412
    assert patch(daemon, name, {"method": "GET"}, ("If-Match", '"other"'),
                 ("If-Match", now)).status == 412
    assert patch(daemon, name, {"method": "GET"},
                 ("If-Match", "*")).status == 200
    assert ask(daemon, "run", name, headers=[("If-Match", tag)]).status == 412
    for method in "DELETE", "GET":
        assert ask(daemon, "delete", name, method,
                   headers=[("If-Match", tag)]).status == 412
    assert daemon.state(name) == "PENDING"
    now = ask(daemon, "event", name, "GET").header("ETag")
    response = ask(daemon, "delete", name, "DELETE", headers=[
        ("If-Match", '"other"'), ("If-Match", now)])
    assert response.json()["event-status"] == "PENDING"
    assert ask(daemon, "delete", name, "DELETE",
               headers=[("If-Match", now)]).status == 404


def test_if_match_of_a_delete(launch, sink):
    """What was read under way is not deleted, then or afterwards."""
    def delete(tag):
        return ask(c, "delete", "e", "DELETE", headers=[("If-Match", tag)])

    def tag():
        return ask(c, "event", "e", "GET").header("ETag")

    c = launch()
    gate = sink.gate()
    sink.on("/e", Reply(200, gate=gate))
    c.schedule("e", sink.url("/e"), labels={"a": "b"})
    sink.wait("/e")
    under_way = tag()
    assert_conflict(delete(under_way), "PROCESSING")
    gate.set()
    c.wait_state("e", "COMPLETED")
    assert delete(under_way).status == 412
    assert delete(tag()).json()["event-status"] == "COMPLETED"
    assert c.get("/cassata/events/app?label=a%3Db").json()["events"] == []


@pytest.mark.parametrize("change, pointer", [
    ({"expirey": 1}, "/expirey"),
    ({"expiry": None}, "/expiry"),
    ({"url": None}, "/url"),
    ({"event": None}, "/event"),
    ({"event-id": "other"}, "/event-id"),
    ({"application-id": "other"}, "/application-id"),
    ({"expiry": 1, "in": "1h"}, "/in"),
    ({"url": "ftp://a/"}, "/url"),
    ({"method": 5}, "/method"),
    ({"request-headers": ["Host: a"]}, "/request-headers/0"),
    ([], ""),
])
def test_bad_patch(daemon, sink, name, change, pointer):
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600)
    before = daemon.event(name)
    response = patch(daemon, name, change)
    assert response.status == 422, response
    assert [e["pointer"] for e in response.json()["errors"]] == [pointer]
    assert daemon.event(name) == before


def test_patch_of_its_retries(daemon, sink, name):
    end = int(time.time()) + 7200
    daemon.schedule(name, sink.url("/" + name), expiry=end - 3600,
                    retry={"attempts": 9, "on": ["404"]})
    before = daemon.event(name)
    retry = {"attempts": 2, "delays": ["0s"], "on": ["5xx", "404"]}
    assert patch(daemon, name, {"retry": retry, "not-after": end}).status == 200
    after = daemon.event(name)
    assert after == dict(before, **{"retry": retry, "not-after": end})
    for bad, pointer in (({"retry": {"attempts": 0}}, "/retry/attempts"),
                         ({"retry": 1}, "/retry"), ({"not-after": 0},
                                                    "/not-after")):
        response = patch(daemon, name, bad)
        assert response.status == 422
        assert response.json()["errors"][0]["pointer"] == pointer
    assert patch(daemon, name, {"not-after": end - 3601}).status == 422
    assert patch(daemon, name, {"not-after": None}).status == 200
    assert daemon.event(name) == dict(before, retry=retry)
    sink.on("/" + name, 404)
    assert patch(daemon, name, {"in": "0s"}).status == 200
    event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 2
    daemon.schedule(name + "-2", sink.url("/2"), expiry=end, retry=retry)
    assert patch(daemon, name + "-2", {"retry": None}).status == 200
    assert "retry" not in daemon.event(name + "-2")


def test_patch_of_damaged_options(daemon, sink, name):
    """They stay, unless others are given."""
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600)
    daemon.store.sql("UPDATE event SET options = X'00' WHERE event_id = X'%s'"
                     % name.encode().hex())
    assert patch(daemon, name, {"method": "PUT"}).status == 200
    retry = {"attempts": 3}
    assert patch(daemon, name, {"retry": retry}).status == 200
    assert daemon.event(name)["retry"] == retry


def test_patch_to_after_its_end(daemon, sink, name):
    end = int(time.time()) + 3600
    daemon.schedule(name, sink.url("/" + name), expiry=end - 60,
                    **{"not-after": end})
    before = daemon.event(name)
    assert patch(daemon, name, {"expiry": end + 1}).status == 422
    assert daemon.event(name) == before
    assert patch(daemon, name, {"expiry": end}).status == 200


def test_patch_types(daemon, sink, name):
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600)
    for kind in "text/plain", "application/json-patch+json":
        response = ask(daemon, "event", name, "PATCH", body=b"{}",
                       headers=[("Content-Type", kind)])
        assert response.status == 415
        assert response.header("Accept-Patch") == MERGE_PATCH[1]
    assert ask(daemon, "event", name, "PATCH", body=b"{",
               headers=[MERGE_PATCH]).status == 400
    assert ask(daemon, "event", name, "PATCH", body=b"",
               headers=[MERGE_PATCH]).status == 400
    assert patch(daemon, "none", {}).status == 404


def test_patch_has_its_bounds(launch, sink):
    """Neither the event grows for ever, nor is it held against much."""
    c = launch(service={"maxBodyBytes": "4KiB"})
    c.schedule("e", sink.url("/e"), expiry=time.time() + 3600)
    assert patch(c, "e", {"event": {"a": "x" * 3000}}).status == 200
    assert patch(c, "e", {"event": {"b": "x" * 3000}}).status == 413
    assert patch(c, "e", {"event": {str(n): n for n in range(65)}}
                 ).status == 413
    assert c.event("e")["event"] == {"a": "x" * 3000}


def test_patch_races_with_delivery(launch, sink):
    """It was changed, or delivered as it was: never both, nor by halves."""
    c = launch()
    answers = {}
    for n in range(60):
        name = "e%d" % n
        c.schedule(name, sink.url("/a/" + name), event="a",
                   expiry=time.time() + 0.03)
        time.sleep(0.001 * (n % 60))
        answers[name] = patch(c, name, {
            "url": sink.url("/b/" + name), "event": "b"}).status
    assert set(answers.values()) <= {200, 409}
    for name, status in answers.items():
        c.wait_state(name, "COMPLETED")
        went = "b" if status == 200 else "a"
        [arrived] = sink.arrivals("/%s/%s" % (went, name))
        assert arrived.body == went.encode()
        assert not sink.arrivals("/%s/%s" % ("ab"[went == "a"], name))
