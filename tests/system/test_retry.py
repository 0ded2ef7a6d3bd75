# SPDX-License-Identifier: ISC
"""What an event says of its own retries, and of the time when it is too late."""

import time

import pytest

from cassata import closed_port, wait_for
from sink import Reply


def pointers(response):
    assert response.status == 422, response
    return [e["pointer"] for e in response.json()["errors"]]


def test_attempts(daemon, sink, name):
    sink.on("/" + name, 503)
    daemon.schedule(name, sink.url("/" + name),
                    retry={"attempts": 3, "delays": ["0s"]})
    event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 3
    assert event["retry"] == {"attempts": 3, "delays": ["0s"]}
    assert len(sink.arrivals("/" + name)) == 3


def test_one_attempt(daemon, sink, name):
    sink.on("/" + name, 503)
    daemon.schedule(name, sink.url("/" + name), retry={"attempts": 1})
    assert daemon.wait_state(name, "FAILED")["attempts"] == 1


def test_more_attempts_than_configured(launch, sink, name):
    c = launch(worker={"httpRetryCount": 0, "retryDelays": ["1h"]})
    sink.on("/" + name, 503, 500, 429, 200)
    c.schedule(name, sink.url("/" + name),
               retry={"attempts": 4, "delays": ["1ms"]})
    assert c.wait_state(name, "COMPLETED")["attempts"] == 4


def test_delays(daemon, sink, name):
    """The last one repeats."""
    sink.on("/" + name, 503)
    daemon.schedule(name, sink.url("/" + name),
                    retry={"delays": ["50ms", "1h"], "jitter": 0})
    first, second = sink.wait("/" + name, 2)
    assert second.at - first.at >= 0.05
    wait_for(lambda: len(daemon.event(name)["attempt-log"]) == 2)
    event = daemon.event(name)
    log = event["attempt-log"]
    assert event["next-attempt"] == pytest.approx(log[1]["time"] + 3600, abs=60)


@pytest.mark.parametrize("status", [404, 301, 401])
def test_status_that_may_pass(daemon, sink, name, status):
    sink.on("/" + name, status, 200)
    daemon.schedule(name, sink.url("/" + name),
                    retry={"on": [str(status)], "delays": ["0s"]})
    assert daemon.wait_state(name, "COMPLETED")["attempts"] == 2


def test_status_that_is_final(daemon, sink, name):
    """The list stands for all of the default."""
    sink.on("/" + name, 503)
    daemon.schedule(name, sink.url("/" + name), retry={"on": ["4xx"]})
    assert daemon.wait_state(name, "FAILED")["attempts"] == 1


def test_configured(launch, sink):
    """For events that have no list of their own."""
    c = launch(worker={"retryOn": ["404"], "retryDelays": ["0s"]})
    own = {"retry": {"on": ["503"]}}
    for name, status, retry, end in (
            ("again", 404, {}, ("COMPLETED", 2)),
            ("final", 503, {}, ("FAILED", 1)),
            ("own", 503, own, ("COMPLETED", 2)),
            ("own-final", 404, own, ("FAILED", 1))):
        sink.on("/" + name, status, 200)
        c.schedule(name, sink.url("/" + name), **retry)
        event = c.wait_state(name, end[0])
        assert (name, event["attempts"]) == (name, end[1])


def test_failures_by_kind(launch, sink, name):
    c = launch(worker={"deliveryTimeout": "5s", "connectTimeout": "5s"})
    closed = closed_port()
    silent = sink.gate()
    sink.on("/silent", Reply(gate=silent))
    sink.on("/broken", Reply(200, b"half", announce=100, end="close"))
    urls = {"connect": "http://127.0.0.1:%d/" % closed.getsockname()[1],
            "timeout": sink.url("/silent"), "answer": sink.url("/broken")}
    for kind, url in urls.items():
        for word in urls:
            c.schedule(kind + word, url,
                       retry={"on": [word], "delays": ["1h"]})
    for kind in urls:
        for word in urls:
            c.wait_state(kind + word, "SERVICE_UNAVAILABLE" if kind == word
                         else "FAILED")


def test_never_after(launch, store, sink, name):
    """No worker was there until then."""
    service = launch(store=store, roles="service")
    due = time.time()
    service.schedule(name, sink.url("/" + name), expiry=due,
                     **{"not-after": due})
    service.schedule(name + "2", sink.url("/" + name), expiry=due)
    launch(store=store, roles="worker")
    event = service.wait_state(name, "FAILED")
    assert event["last-error"] == "not sent: not-after has passed"
    assert event["not-after"] == pytest.approx(due, abs=0.001)
    service.wait_state(name + "2", "COMPLETED")
    assert len(sink.arrivals("/" + name)) == 1


def test_no_retry_after(daemon, sink, name):
    """What would come too late is given up at once."""
    sink.on("/" + name, 503)
    daemon.schedule(name, sink.url("/" + name),
                    retry={"delays": ["1h"]},
                    **{"not-after": time.time() + 60})
    event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 1
    assert event["last-error"] == "the next attempt would be after not-after"
    assert event["last-response-code"] == 503


def test_bounds(launch, sink, name):
    c = launch(service={"maxAttempts": 3, "minRetryDelay": "1s"})
    due = time.time() + 60

    def post(retry):
        return c.post({"event-id": name, "application-id": "app", "event": 1,
                       "expiry": due, "url": sink.url(),
                       "retry": retry})
    assert pointers(post({"attempts": 4})) == ["/retry/attempts"]
    assert pointers(post({"delays": ["1s", "999ms"]})) == ["/retry/delays/1"]
    assert post({"attempts": 3, "delays": ["1s"]}).status == 201
    assert post({"delays": ["1000ms"], "attempts": 3}).status == 200
    assert post({"delays": ["2s"], "attempts": 3}).status == 409
