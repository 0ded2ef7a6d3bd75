# SPDX-License-Identifier: ISC
"""What an add does where its ids are taken: on-conflict."""

import json
import threading
import time

import pytest

from cassata import wait_for
from sink import Reply

HOUR = 3600


def add(c, name, url, **members):
    event = {"event-id": name, "application-id": "app", "event": {}, "url": url}
    event.update({k.replace("_", "-"): v for k, v in members.items()})
    return c.post(event)


def test_ignore(daemon, name):
    expiry = int(time.time()) + HOUR
    url = "http://127.0.0.1:1/"
    for status, hours in ((201, 1), (200, 1), (200, 2)):
        response = add(daemon, name, url, expiry=expiry + (hours - 1) * HOUR,
                       on_conflict="ignore")
        assert response.status == status
        answer = response.json()
        assert answer["expiry"] == expiry and "replaced" not in answer
    assert add(daemon, name, url, expiry=expiry + HOUR).status == 409


def test_replace(daemon, sink, name):
    """What was replaced is not delivered; a repeat is the same event."""
    assert add(daemon, name, sink.url("/first"), **{"in": "1h"}).status == 201
    for replaced in ({"replaced": "PENDING"}, {}):
        response = add(daemon, name, sink.url("/" + name), expiry=1,
                       event=[2], on_conflict="replace")
        assert response.status == 200
        answer = response.json()
        if replaced:
            assert answer == {"application-id": "app", "event-id": name,
                              "status": "PENDING", "expiry": 1, **replaced}
        else:
            assert "replaced" not in answer
    event = daemon.wait_state(name, "COMPLETED")
    assert event["event"] == [2] and event["attempts"] == 1
    assert len(sink.arrivals("/" + name)) == 1
    response = add(daemon, name, sink.url("/" + name), expiry=2,
                   on_conflict="replace")
    assert response.json()["replaced"] == "COMPLETED"
    sink.wait("/" + name, 2)
    assert not sink.arrivals("/first")


def test_replace_what_is_under_way(launch, sink):
    c = launch()
    gate = sink.gate()
    sink.on("/e", Reply(200, gate=gate), 200)
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    for how in ("replace", "debounce"):
        response = add(c, "e", sink.url("/e"), expiry=1, on_conflict=how)
        assert response.status == 409
        assert response.json()["event-status"] == "PROCESSING"
        assert response.json()["detail"] == \
            "an event with these ids is under way"
    gate.set()
    c.wait_state("e", "COMPLETED")


def test_debounce(launch, sink):
    """However often it is put off, it comes so long after the first add."""
    c = launch()
    sink.on("/e", Reply(200, gate=sink.gate()))
    answers = []

    def put_off():
        answers.append(add(c, "e", sink.url("/e"), event=len(answers),
                           on_conflict="debounce",
                           **{"in": "10m", "debounce-max": "3s"}))
        return answers[-1].status == 409
    wait_for(put_off, what="its delivery")
    assert answers[0].status == 201
    assert {a.json()["replaced"] for a in answers[1:-1]} == {"PENDING"}
    assert answers[-1].json()["event-status"] == "PROCESSING"
    assert sink.wait("/e")[0].body == b"%d" % (len(answers) - 2)
    assert len({a.json()["expiry"] for a in answers[1:-1]}) == 1


def test_debounce_is_as_old_as_its_first_add(daemon, name):
    url = "http://127.0.0.1:1/"
    add(daemon, name, url, on_conflict="debounce", **{"in": "1h"})
    first = daemon.event(name)
    for n in range(3):
        # The same content, too, is put off: from now on.
        response = add(daemon, name, url, on_conflict="debounce",
                       **{"in": "1h"})
        assert response.status == 200
        assert response.json()["replaced"] == "PENDING"
    last = daemon.event(name)
    assert last["created"] == first["created"]
    assert last["expiry"] > first["expiry"]
    response = add(daemon, name, url, on_conflict="debounce",
                   **{"in": "2h", "debounce-max": "1h"})
    assert response.json()["expiry"] == daemon.event(name)["expiry"] == \
        pytest.approx(first["created"] + HOUR, abs=0.002)
    # And so the first one, whatever its own time is.
    for n, when in enumerate(({"in": "2h"}, {"expiry": 4e9})):
        first = "%s-%d" % (name, n)
        for status in 201, 200:
            response = add(daemon, first, url, on_conflict="debounce",
                           **{"debounce-max": "1h"}, **when)
            assert response.status == status
            event = daemon.event(first)
            assert event["expiry"] == response.json()["expiry"]
            assert event["expiry"] <= event["created"] + HOUR
            assert response.json().get("replaced") == (
                "PENDING" if status == 200 and n == 0 else None)
    # A moment is the same, however often it is said.
    moment = int(time.time()) + 5 * HOUR
    for replaced in ("PENDING", None):
        response = add(daemon, name, url, on_conflict="debounce", expiry=moment)
        assert response.json().get("replaced") == replaced


def test_in_a_stream(daemon, sink, name):
    """One after the other, as lines are."""
    lines = b"".join(json.dumps({
        "event-id": name, "application-id": "app", "url": sink.url("/" + name),
        "event": n, "in": "1h" if n < 4 else "0s", "on-conflict": "replace",
    }).encode() + b"\n" for n in range(5))
    response = daemon.request("POST", "/cassata/add-batch/", lines,
                              [("Content-Type", "application/x-ndjson")])
    results = [json.loads(line) for line in response.body.splitlines()]
    assert [r["response-code"] for r in results] == [201, 200, 200, 200, 200]
    assert [r.get("replaced") for r in results] == [None] + 4 * ["PENDING"]
    daemon.wait_state(name, "COMPLETED")
    assert [a.body for a in sink.arrivals("/" + name)] == [b"4"]


def test_many_at_once(daemon, name):
    """Whoever is last has the event; nobody fails."""
    statuses = []

    def add_some(of):
        for n in range(10):
            statuses.append(add(daemon, name, "http://127.0.0.1:1/",
                                event=[of, n], on_conflict="replace",
                                **{"in": "1h"}).status)
    threads = [threading.Thread(target=add_some, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == 39 * [200] + [201]
    assert daemon.event(name)["event"][1] == 9


def test_wakes_a_worker(launch, sink):
    c = launch(worker={"workerThreadPollingInterval": "10m"})
    c.schedule("e", sink.url("/e"), expiry=time.time() + HOUR)
    response = add(c, "e", sink.url("/e"), on_conflict="replace",
                   **{"in": "0s"})
    assert response.json()["replaced"] == "PENDING"
    c.wait_state("e", "COMPLETED")
    add(c, "d", sink.url("/d"), on_conflict="debounce", **{"in": "1h"})
    created = c.event("d")["created"]
    wait_for(lambda: time.time() > created + 0.01)
    # So long after the first add is past.
    add(c, "d", sink.url("/d"), on_conflict="debounce",
        **{"in": "1h", "debounce-max": "1ms"})
    c.wait_state("d", "COMPLETED")


def test_without_id(daemon):
    response = daemon.post({"application-id": "app", "event": 1, "in": "1h",
                            "url": "http://127.0.0.1:1/",
                            "on-conflict": "replace"})
    assert response.status == 422
    assert response.json()["errors"] == [
        {"pointer": "/on-conflict",
         "detail": "goes with an event-id only: one that is made is new"}]
