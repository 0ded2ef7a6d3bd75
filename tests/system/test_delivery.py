# SPDX-License-Identifier: ISC
"""What arrives at the receiver, when, and what its answer leads to."""

import json
import re
import time
from email.utils import formatdate
from urllib.parse import unquote

import pytest

from cassata import closed_port, wait_for
from client import path_of
from sink import Reply, Sink, half_closed


def post_raw(daemon, sink, name, value, **members):
    """Adds an event, due now, whose event value is these bytes."""
    event = {"event-id": name, "application-id": "app", "expiry": 0,
             "url": sink.url("/" + name), **members}
    body = json.dumps(event).encode()[:-1] + b', "event": ' + value + b"}"
    response = daemon.post(body)
    assert response.status == 201, response


def arrival(sink, name, seconds=15):
    return sink.wait("/" + name, 1, seconds)[0]


# ---- the request ----

@pytest.mark.parametrize("value", [
    b'{"b":1,"a":2}',
    b'{ "b" :\t1.0 ,\r\n "a" : [ ] }',
    b"123456789012345678901234567890",
    b"-0.10000000000000000000000001e+0400",
    b'{"n": 9007199254740993, "d": 1.10, "e": 1E5, "z": -0}',
    b'{"a": 1, "a": 2}',
    b'["\\u00e9", "\\/", "\\ud834\\udd1e", "\xc3\xa9"]',
    b'{"":"","\xe2\x82\xac":null}',
    b"[]", b"{}", b"null", b"true", b"0",
    b'["\x7f"]',
], ids=repr)
def test_value_byte_for_byte(daemon, sink, name, value):
    post_raw(daemon, sink, name, value)
    assert arrival(sink, name).body == value


@pytest.mark.parametrize("text", [
    "", "plain", 'say "hi"\\ / \b\f\n\r\t', "é€𝄞", "\x00", "\x01\x1f\x7f",
    '{"a": 1}', " white ", "\u2028",
], ids=ascii)
@pytest.mark.parametrize("escape", [True, False])
def test_string_as_text(daemon, sink, name, text, escape):
    value = json.dumps(text, ensure_ascii=escape).encode()
    post_raw(daemon, sink, name, value)
    assert arrival(sink, name).body == text.encode()


@pytest.mark.parametrize("as_text", [True, False])
def test_a_mebibyte(daemon, sink, name, as_text):
    text = "".join(chr(97 + n % 26) for n in range(1 << 20))
    value = json.dumps(text if as_text else [text]).encode()
    post_raw(daemon, sink, name, value)
    arrived = arrival(sink, name)
    assert arrived.body == (text.encode() if as_text else value)
    assert arrived.header("Expect") is None
    wait_for(lambda: daemon.state(name) == "COMPLETED")
    assert daemon.event(name)["event"] == (text if as_text else [text])


@pytest.mark.parametrize("method", [
    "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET", "HEAD",
])
def test_method(daemon, sink, name, method):
    post_raw(daemon, sink, name, b'{"a":1}', method=method)
    arrived = arrival(sink, name)
    assert arrived.method == method
    if method in ("GET", "HEAD"):
        assert arrived.body == b""
        assert arrived.header("Content-Length") in (None, "0")
    else:
        assert arrived.body == b'{"a":1}'
    daemon.wait_state(name, "COMPLETED")


def test_default_headers(daemon, sink, name):
    post_raw(daemon, sink, name, b"1")
    arrived = arrival(sink, name)
    assert arrived.method == "POST"
    assert arrived.version == "HTTP/1.1"
    assert arrived.header("Content-Type") == "application/json"
    assert arrived.header("Content-Length") == "1"
    assert arrived.header("Host") == "127.0.0.1:%d" % sink.port
    assert arrived.header("User-Agent") == (
        "cassata/" + daemon.status()["version"])
    assert arrived.header("Cassata-Application-Id") == "app"
    assert unquote(arrived.header("Cassata-Event-Id")) == name
    assert arrived.header("Cassata-Attempt") == "1"
    assert float(arrived.header("Cassata-Due")) == daemon.event(name)["expiry"]
    assert arrived.header("Cassata-Previous-Status") is None
    assert arrived.header("Accept") is None


def test_default_type_of_a_string(daemon, sink, name):
    """Its text is what is sent, and that is no JSON."""
    post_raw(daemon, sink, name, b'"text"')
    assert arrival(sink, name).header("Content-Type") == (
        "text/plain; charset=utf-8")
    assert daemon.event(name)["request-headers"] == [
        "Content-Type: text/plain; charset=utf-8"]


def test_request_headers(daemon, sink, name):
    headers = ["X-One: 1", "x-two:2", "X-Three:   with  spaces  ", "X-Empty:",
               "Authorization: Bearer a:b;c", "X-Utf: é", "X-One: again",
               "Accept: text/html"]
    post_raw(daemon, sink, name, b"1", **{"request-headers": headers})
    arrived = arrival(sink, name)
    assert [v for n, v in arrived.headers if n == "X-One"] == ["1", "again"]
    assert arrived.header("x-two") == "2"
    assert arrived.header("X-Three") == "with  spaces"
    assert arrived.header("X-Empty") == ""
    assert arrived.header("Authorization") == "Bearer a:b;c"
    assert arrived.header("X-Utf").encode("latin-1").decode() == "é"
    assert arrived.header("Content-Type") is None
    assert arrived.header("Accept") == "text/html"
    assert arrived.header("Cassata-Attempt") == "1"


@pytest.mark.parametrize("event_id", ["a/b c", "ü€𝄞", "a%2Fb", "\u00a0\u200b", "~."])
def test_ids_in_headers(daemon, sink, name, event_id):
    app = event_id + name
    daemon.schedule(event_id, sink.url("/" + name), app=app)
    arrived = arrival(sink, name)
    for header, text in (("Cassata-Event-Id", event_id),
                         ("Cassata-Application-Id", app)):
        assert arrived.header(header).isascii()
        assert unquote(arrived.header(header)) == text


def test_url_as_given(daemon, sink, name):
    path = "/" + name + "/../a//b/%41%2f?q=%20+&r=a/b"
    daemon.schedule(name, sink.url(path))
    wait_for(lambda: daemon.state(name) != "PENDING")
    assert sink.wait(path)[0].path == path


def test_connections_are_kept(daemon, sink, name):
    for n in range(6):
        daemon.schedule("%s-%d" % (name, n), sink.url("/" + name))
        daemon.wait_state("%s-%d" % (name, n), "COMPLETED")
    assert sink.accepted <= 2  # one per worker


@pytest.mark.parametrize("end", ["close", "reset"])
def test_kept_connection_ends(launch, sink, end):
    """Whether the receiver took the request nobody knows: it is sent again, in
    the same attempt."""
    c = launch(worker={"numWorkerThreads": 1})
    sink.on("/e", 200, Reply(None, end=end), 200)
    for n in range(2):
        c.schedule("e%d" % n, sink.url("/e"))
        assert c.wait_state("e%d" % n, "COMPLETED")["attempts"] == 1
    assert [(a.header("Cassata-Event-Id"), a.header("Cassata-Attempt"))
            for a in sink.arrivals("/e")] == [
                ("e0", "1"), ("e1", "1"), ("e1", "1")]


def test_error_of_the_second_connection(launch, sink):
    """The request went over a kept connection, that ended, and over another
    one: what counts is how that one failed."""
    c = launch(worker={"numWorkerThreads": 1, "httpRetryCount": 0,
                       "deliveryTimeout": "4s"})
    sink.on("/e", 200, Reply(None, end="reset"), Reply(None, delay=60))
    c.schedule("e0", sink.url("/e"))
    c.wait_state("e0", "COMPLETED")
    c.schedule("e1", sink.url("/e"))
    error = c.wait_state("e1", "FAILED")["last-error"]
    assert len(sink.arrivals("/e")) == 3
    assert "reset" not in error and "time" in error.lower(), error


# ---- what the answer leads to ----

@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_delivered(daemon, sink, name, status):
    sink.on("/" + name, status)
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "COMPLETED", "FAILED")
    assert event["status"] == "COMPLETED"
    assert event["attempts"] == 1
    assert event["last-response-code"] == status
    assert event["attempt-log"] == []
    assert "next-attempt" not in event and "last-error" not in event
    assert len(sink.arrivals()) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 410, 422])
def test_rejected(daemon, sink, name, status):
    reply = Reply(status, b"because", [("Location", sink.url("/elsewhere"))])
    sink.on("/" + name, reply)
    started = time.time()
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "COMPLETED", "FAILED")
    assert event["status"] == "FAILED"
    assert event["attempts"] == 1
    assert event["last-response-code"] == status
    assert "next-attempt" not in event
    [attempt] = event["attempt-log"]
    assert started - 0.01 <= attempt.pop("time") <= time.time() + 0.01
    assert attempt == {"attempt": 1, "response-code": status,
                       "response-body": "because"}
    assert len(sink.arrivals()) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_retried_until_delivered(daemon, sink, name, status):
    sink.on("/" + name, Reply(status, b"not now"), status, 200)
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "COMPLETED", "FAILED")
    assert event["status"] == "COMPLETED"
    assert event["attempts"] == 3
    assert event["last-response-code"] == 200
    assert [(a["attempt"], a["response-code"], a.get("response-body"))
            for a in event["attempt-log"]] == [
                (1, status, "not now"), (2, status, None)]
    assert [a.header("Cassata-Attempt") for a in sink.arrivals()] == [
        "1", "2", "3"]
    assert len({a.body for a in sink.arrivals()}) == 1


def test_retried_until_failed(daemon, sink, name):
    sink.on("/" + name, 500)
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 3  # httpRetryCount: 2
    assert event["last-response-code"] == 500
    assert [a["attempt"] for a in event["attempt-log"]] == [1, 2, 3]
    times = [a["time"] for a in event["attempt-log"]]
    for earlier, later in zip(times, times[1:]):
        assert later - earlier >= 0.079  # 100 ms less 20 %
    assert len(sink.arrivals()) == 3


@pytest.mark.parametrize("reply, code", [
    (half_closed(), 200),
    (Reply(raw=b"HTTP/1.1 200 OK\r\nX-Half: 1\r\n", end="close"), 200),
    (Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
           end="close"), 200),
    (Reply(None, end="close"), None),
    (Reply(None, end="reset"), None),
], ids=["half-closed", "half a head", "half a head after 100", "closed",
        "reset"])
def test_broken_answers(daemon, sink, name, reply, code):
    """No whole answer is no answer: it is tried again."""
    sink.on("/" + name, reply, 200)
    daemon.schedule(name, sink.url("/" + name))
    assert_tried_again(daemon, name, code)


def assert_tried_again(c, name, code):
    event = c.wait_state(name, "COMPLETED", "FAILED")
    assert event["status"] == "COMPLETED"
    assert event["attempts"] == 2
    [attempt] = event["attempt-log"]
    assert attempt["attempt"] == 1
    assert attempt.get("response-code") == code
    assert attempt["error"]


def test_answers_that_come_too_late(launch, sink):
    c = launch(worker={"deliveryTimeout": "4s", "retryDelays": ["100ms"]})
    late = {"silence": Reply(None, delay=60), "late": Reply(200, delay=60)}
    for name, reply in late.items():
        sink.on("/" + name, reply, 200)
        c.schedule(name, sink.url("/" + name))
    for name in late:
        assert_tried_again(c, name, None)


def test_refused_connection(daemon, name):
    with closed_port() as sock:
        daemon.schedule(name, "http://127.0.0.1:%d/" % sock.getsockname()[1])
        event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 3
    assert "last-response-code" not in event
    assert event["last-error"]
    assert all(a["error"] and "response-code" not in a
               for a in event["attempt-log"])


def given_up(c):
    """The paths of the events that the log says were given up, and how many
    more there were."""
    text = c.log_text()
    return (re.findall(r"warn: given up: (/\S+) after (\d+) attempts?: (.*)",
                       text),
            sum(int(n) for n in re.findall(
                r"given up: (\d+) more events within a second", text)))


def test_given_up_is_told(launch, sink):
    """One line, after the result was committed: who, how often, why."""
    c = launch(worker={"httpRetryCount": 1, "retryDelays": ["0s"]})
    sink.on("/503", 503)
    sink.on("/404", 404)
    app = 'a/b "\u00e9'
    c.schedule("one", sink.url("/503"), app=app)
    c.schedule("two", sink.url("/404"))
    with closed_port() as sock:
        c.schedule("three", "http://127.0.0.1:%d/" % sock.getsockname()[1])
        for name, of in ("one", app), ("two", "app"), ("three", "app"):
            c.wait_state(name, "FAILED", app=of)
    wait_for(lambda: len(given_up(c)[0]) == 3)
    found = {path: (attempts, reason)
             for path, attempts, reason in given_up(c)[0]}
    assert found[path_of("event", app, "one")] == ("2", "status 503")
    assert found[path_of("event", "app", "two")] == ("1", "status 404")
    attempts, reason = found[path_of("event", "app", "three")]
    assert attempts == "2" and "connect" in reason
    assert given_up(c)[1] == 0


@pytest.mark.parametrize("most", [0, 5])
def test_many_are_given_up(launch, sink, most):
    """So many lines a second of each worker, then a count."""
    c = launch(worker={"numWorkerThreads": 1},
               log={"maxFailuresPerSecond": most})
    sink.on("/e", 404)
    at = time.time() + 1
    for n in range(60):
        c.schedule("e%d" % n, sink.url("/e"), expiry=at)
    wait_for(lambda: sum((len(given_up(c)[0]), given_up(c)[1])) == 60)
    told, rest = given_up(c)
    assert rest > 0
    assert (len(told) > 0) == (most > 0)
    assert len(set(told)) == len(told)


def test_unknown_host(daemon, name):
    daemon.schedule(name, "http://nowhere.invalid/")
    event = daemon.wait_state(name, "FAILED", seconds=40)
    assert event["last-error"]


def test_answer_that_begins_with_a_blank(daemon, sink):
    """Where a handle of libcurl's had an answer before, this one was appended
    to a header of that."""
    pids = {c["pid"] for c in daemon.children("worker")}
    rest = b"Content-Length: 0\r\n\r\n"
    sink.on("/header", Reply(raw=b"HTTP/1.1 200 OK\r\nX-A: b\r\n" + rest))
    sink.on("/blank", Reply(raw=b"HTTP/1.1 200 OK\r\n a: b\r\n" + rest))
    for i in range(40):
        kind = ("header", "blank")[i % 2]
        daemon.schedule("%s %d" % (kind, i), sink.url("/" + kind),
                        app="blanks")
    for i in range(40):
        kind = ("header", "blank")[i % 2]
        wait_for(lambda: daemon.event("%s %d" % (kind, i), app="blanks")
                 ["attempts"] > 0)
        if i % 2 == 0:
            daemon.wait_state("header %d" % i, "COMPLETED", app="blanks")
    assert pids == {c["pid"] for c in daemon.children("worker")}


@pytest.mark.parametrize("raw", [
    b"220 ready\r\n", b"\x15\x03\x01\x00\x02\x02\x50",
    b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n",
], ids=["greeting", "TLS alert", "version", "no status"])
def test_no_http(daemon, name, raw):
    """A receiver that speaks something else may be mended."""
    with Sink() as sink:
        sink.on("/" + name, Reply(200, raw=raw, end="close"), 200)
        daemon.schedule(name, sink.url("/" + name))
        event = daemon.wait_state(name, "COMPLETED", "FAILED")
    assert event["status"] == "COMPLETED"
    [attempt] = event["attempt-log"]
    assert attempt["error"] and "response-code" not in attempt


def test_times(daemon, sink, name):
    """When it was accepted and when it ended, whichever end that was."""
    sink.on("/" + name, Reply(500), 200)
    sink.on("/" + name + "-no", 404)
    before = time.time()
    for event_id in name, name + "-no":
        daemon.schedule(event_id, sink.url("/" + event_id))
    accepted = time.time()
    for event_id, state in (name, "COMPLETED"), (name + "-no", "FAILED"):
        event = daemon.wait_state(event_id, state)
        last = sink.arrivals("/" + event_id)[-1].wall
        assert before - 0.01 <= event["created"] <= accepted + 0.01
        assert last - 0.01 <= event["finished"] <= time.time() + 0.01
        status = daemon.get(path_of("status", "app", event_id)).json()
        assert status == {k: event[k] for k in status}
        assert {"created", "first-attempt", "finished"} <= set(status)
        assert event["first-attempt"] == event["attempt-log"][0]["time"]


def test_time_of_the_only_attempt(daemon, sink, name):
    daemon.schedule(name + "-later", sink.url("/"), expiry=time.time() + 3600)
    assert "first-attempt" not in daemon.event(name + "-later")
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "COMPLETED")
    assert event["first-attempt"] == event["finished"]
    assert event["attempt-log"] == []


def test_success_in_the_log(launch, sink):
    """With worker.logSuccess, and only the event's own: other events that
    succeed in the same moment have theirs."""
    c = launch(worker={"logSuccess": True, "retryDelays": ["0s"]})
    sink.on("/retried", Reply(500, b"no"), Reply(202, b"yes"))
    sink.on("/no", 404)
    at = time.time() + 0.5
    for event_id in ["retried", "no"] + ["e%d" % n for n in range(30)]:
        c.schedule(event_id, sink.url("/" + event_id), expiry=at)
    event = c.wait_state("retried", "COMPLETED")
    assert [(a["attempt"], a["response-code"], a.get("response-body"))
            for a in event["attempt-log"]] == [(1, 500, "no"), (2, 202, None)]
    assert event["attempt-log"][0]["time"] == event["first-attempt"]
    assert event["last-response-code"] == 202 and "last-error" not in event
    [attempt] = c.wait_state("no", "FAILED")["attempt-log"]
    assert attempt["response-code"] == 404
    for n in range(30):
        event = c.wait_state("e%d" % n, "COMPLETED")
        [attempt] = event["attempt-log"]
        assert attempt == {"attempt": 1, "response-code": 200,
                           "time": event["first-attempt"]}
    assert len(sink.arrivals()) == 33


def test_waiting_for_the_next_attempt(launch, sink):
    """What a client sees between two attempts, and may do then."""
    c = launch(worker={"retryDelays": ["1h"], "deliveryTimeout": "4s"})
    replies = {
        "408": 408, "425": 425, "429": 429, "500": 500, "503": 503,
        "timeout": Reply(None, delay=60), "half": half_closed(),
        "closed": Reply(None, end="close"), "reset": Reply(None, end="reset"),
    }
    before = time.time()
    with closed_port() as sock:
        c.schedule("refused",
                   "http://127.0.0.1:%d/" % sock.getsockname()[1])
        for key, reply in replies.items():
            sink.on("/" + key, reply)
            c.schedule(key, sink.url("/" + key))
        for key in [*replies, "refused"]:
            event = c.wait_state(key, "SERVICE_UNAVAILABLE")
            assert event["attempts"] == 1
            # one hour, ±20 %
            assert before + 2880 <= event["next-attempt"] <= time.time() + 4320
            if key.isdigit():
                assert event["last-response-code"] == int(key)
            else:
                assert event["last-error"]
            assert len(event["attempt-log"]) == 1
            status = c.get(path_of("status", "app", key)).json()
            assert status == {k: event[k] for k in status}
            assert status["status"] == "SERVICE_UNAVAILABLE"
            assert c.delete(key).status == 200
            assert c.state(key) is None


def test_retry_after_seconds(daemon, sink, name):
    sink.on("/" + name, Reply(429, headers=[("Retry-After", "1")]), 200)
    daemon.schedule(name, sink.url("/" + name))
    first, second = sink.wait("/" + name, 2)
    assert second.at - first.at >= 0.999  # of whole milliseconds


def test_previous_status(launch, sink, name):
    c = launch(worker={"retryDelays": ["0s"]})
    sink.on("/" + name, Reply(503, end="close"), Reply(None, end="close"), 200)
    due = int(time.time()) + 0.125
    c.schedule(name, sink.url("/" + name), expiry=due)
    c.wait_state(name, "COMPLETED")
    assert [(a.header("Cassata-Due"), a.header("Cassata-Previous-Status"))
            for a in sink.arrivals("/" + name)] == [
        (str(due), None), (str(due), "503"), (str(due), "0")]


@pytest.mark.parametrize("status", [503, 429, 408])
def test_no_retry(daemon, sink, name, status):
    sink.on("/" + name, Reply(status, headers=[("cassata-retry", "No")]))
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 1 and event["last-response-code"] == status


def test_no_retry_is_no_failure(daemon, sink, name):
    sink.on("/" + name, Reply(200, headers=[("Cassata-Retry", "no")]))
    daemon.schedule(name, sink.url("/" + name))
    daemon.wait_state(name, "COMPLETED")


@pytest.mark.parametrize("text", ["", "yes", "no, yes", "not"])
def test_no_retry_nonsense(launch, sink, name, text):
    c = launch(worker={"retryDelays": ["0s"]})
    sink.on("/" + name, Reply(503, headers=[("Cassata-Retry", text)]), 200)
    c.schedule(name, sink.url("/" + name))
    c.wait_state(name, "COMPLETED")


def test_retry_after_never_shortens(launch, sink, name):
    c = launch(worker={"retryDelays": ["1h"]})
    sink.on("/" + name, Reply(503, headers=[("Retry-After", "0")]))
    c.schedule(name, sink.url("/" + name))
    event = c.wait_state(name, "SERVICE_UNAVAILABLE")
    assert event["next-attempt"] > time.time() + 2800


@pytest.mark.parametrize("form", ["rfc1123", "rfc850", "asctime"])
def test_retry_after_date(daemon, sink, name, form):
    at = int(time.time()) + 900
    text = {
        "rfc1123": formatdate(at, usegmt=True),
        "rfc850": time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(at)),
        "asctime": time.asctime(time.gmtime(at)),
    }[form]
    sink.on("/" + name, Reply(503, headers=[("Retry-After", text)]))
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "SERVICE_UNAVAILABLE")
    assert at - 1 <= event["next-attempt"] <= at + 2


def test_retry_after_has_a_cap(launch, sink, name):
    c = launch(worker={"retryDelays": ["1s"], "maxRetryAfter": "10m"})
    sink.on("/" + name, Reply(503, headers=[("Retry-After", "99999999")]))
    before = time.time()
    c.schedule(name, sink.url("/" + name))
    event = c.wait_state(name, "SERVICE_UNAVAILABLE")
    assert before + 599 <= event["next-attempt"] <= time.time() + 601


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e3", "99999999999999999"])
def test_retry_after_nonsense(launch, sink, name, text):
    c = launch(worker={"retryDelays": ["100ms"], "maxRetryAfter": "1s"})
    sink.on("/" + name, Reply(503, headers=[("Retry-After", text)]), 200)
    c.schedule(name, sink.url("/" + name))
    c.wait_state(name, "COMPLETED")


def test_response_body_is_cut(daemon, sink, name):
    sink.on("/" + name, Reply(404, b"0123456789" * 1000))
    daemon.schedule(name, sink.url("/" + name))
    [attempt] = daemon.wait_state(name, "FAILED")["attempt-log"]
    assert attempt["response-body"] == "0123456789" * 200


def test_response_body_of_any_bytes(daemon, sink, name):
    sink.on("/" + name, Reply(404, bytes(range(256)) + b"\xe2\x82\xac"))
    daemon.schedule(name, sink.url("/" + name))
    [attempt] = daemon.wait_state(name, "FAILED")["attempt-log"]
    assert attempt["response-body"].endswith("€")


def test_damaged_options(daemon, sink, name):
    """Somebody wrote into the datastore: only that event has the damage."""
    later = time.time() + 3600
    daemon.schedule(name, sink.url("/" + name), expiry=later)
    daemon.schedule(name + "-2", sink.url("/" + name), expiry=later)
    for event_id, options in (name, '{"forgiven": "x"}'), (name + "-2", "?"):
        daemon.store.sql(
            "UPDATE event SET options = X'%s', due_ms = 1"
            " WHERE event_id = X'%s'" % (
                options.encode().hex(), event_id.encode().hex()))
    failed = daemon.wait_state(name, "FAILED")
    assert failed["last-error"] == \
        "the options of the event are damaged: has a bad value of forgiven"
    assert "damaged" in daemon.wait_state(name + "-2", "FAILED")["last-error"]
    daemon.schedule(name + "-3", sink.url("/" + name + "-3"))
    daemon.wait_state(name + "-3", "COMPLETED")
    assert not sink.arrivals("/" + name)


def test_huge_response(daemon, sink, name):
    """Read to a cap and dropped; the event was delivered all the same."""
    sink.on("/" + name, Reply(200, b"x" * (64 << 20)))
    daemon.schedule(name, sink.url("/" + name))
    event = daemon.wait_state(name, "COMPLETED", "FAILED", seconds=30)
    assert event["status"] == "COMPLETED"
    assert event["attempts"] == 1


# ---- TLS ----

def test_https(launch, certificate):
    with Sink(certificate) as sink:
        c = launch(worker={"caFile": certificate + ".crt"})
        c.schedule("tls", sink.url("/tls"), event="secret")
        c.wait_state("tls", "COMPLETED")
        assert sink.arrivals()[0].body == b"secret"


def test_https_untrusted(launch, certificate):
    with Sink(certificate) as sink:
        c = launch()
        c.schedule("tls", sink.url("/tls"))
        event = c.wait_state("tls", "SERVICE_UNAVAILABLE", "FAILED",
                             "COMPLETED")
        assert event["status"] != "COMPLETED"
        assert event["last-error"]
        assert sink.arrivals() == []


# ---- on time ----

def test_never_early(daemon, sink, name):
    start = time.time() + 0.5
    for n in range(40):
        daemon.schedule("%s-%d" % (name, n), sink.url("/%s" % n),
                        expiry=round(start + n * 0.037, 3))
    for n in range(40):
        arrived = sink.wait("/%d" % n)[0]
        assert arrived.wall >= round(start + n * 0.037, 3)


@pytest.mark.parametrize("expiry", [0, 1, 1524141245])
def test_past_expiry_is_due_at_once(daemon, sink, name, expiry):
    """At once: long before the next poll."""
    before = time.monotonic()
    daemon.schedule(name, sink.url("/" + name), expiry=expiry)
    assert arrival(sink, name, 9).at - before < 9


def test_woken_before_the_poll(launch, sink, record_property):
    """The insert wakes the worker: the poll, 60 s away, cannot be it."""
    c = launch(worker={"workerThreadPollingInterval": "60s"})
    lateness = []
    for n in range(3):
        expiry = round(time.time() + 1.5, 3)
        c.schedule("e%d" % n, sink.url("/%d" % n), expiry=expiry)
        arrived = sink.wait("/%d" % n, 1, 20)[0]
        assert arrived.wall >= expiry
        lateness.append((arrived.wall - expiry) * 1000)
    text = ", ".join("%.1f ms" % ms for ms in lateness)
    record_property("lateness", text)
    print("lateness of three events, 1.5 s ahead: " + text)


def test_earlier_event_overtakes(launch, sink):
    """A worker that sleeps until a later event hears of an earlier one."""
    c = launch(worker={"workerThreadPollingInterval": "60s"})
    c.schedule("later", sink.url("/later"), expiry=time.time() + 5)
    for n in range(8):
        c.schedule("e%d" % n, sink.url("/e%d" % n),
                   expiry=time.time() + 0.8 - 0.1 * n)
    later = sink.wait("/later")[0]
    for n in range(8):
        assert sink.wait("/e%d" % n)[0].at < later.at


def test_slow_receiver_delays_nobody(launch, sink):
    """A claimed batch does not wait for its slowest member."""
    c = launch(worker={"numWorkerThreads": 1})
    gate = sink.gate()
    sink.on("/slow", Reply(200, gate=gate))
    for n in range(4):
        c.schedule("slow%d" % n, sink.url("/slow"))
    sink.wait("/slow", 4)
    for n in range(30):
        c.schedule("fast%d" % n, sink.url("/fast"))
    sink.wait("/fast", 30)
    assert c.state("slow0") == "PROCESSING"
    gate.set()
    for n in range(4):
        c.wait_state("slow%d" % n, "COMPLETED")


# ---- delete ----

def test_delete_before(daemon, sink, name):
    expiry = time.time() + 3
    daemon.schedule(name, sink.url("/" + name), expiry=expiry)
    assert daemon.delete(name).status == 200
    daemon.schedule(name + "-after", sink.url("/after"), expiry=expiry + 0.3)
    daemon.wait_state(name + "-after", "COMPLETED")
    assert sink.arrivals("/" + name) == []


def test_delete_during_and_after(daemon, sink, name):
    gate = sink.gate()
    sink.on("/" + name, Reply(200, gate=gate))
    daemon.schedule(name, sink.url("/" + name))
    arrival(sink, name)
    assert daemon.state(name) == "PROCESSING"
    response = daemon.delete(name)
    assert response.status == 409
    assert response.json()["event-status"] == "PROCESSING"
    gate.set()
    daemon.wait_state(name, "COMPLETED")
    response = daemon.delete(name)
    assert response.status == 200
    assert response.json()["event-status"] == "COMPLETED"
    assert daemon.state(name) is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_delete_failed(daemon, sink, name, method):
    """Its ids are free for another one then."""
    sink.on("/" + name, 404, 200)
    daemon.schedule(name, sink.url("/" + name))
    daemon.wait_state(name, "FAILED")
    response = daemon.delete(name, method=method)
    assert response.status == 200
    assert response.json()["event-status"] == "FAILED"
    assert daemon.delete(name, method=method).status == 404
    daemon.schedule(name, sink.url("/" + name))
    assert daemon.wait_state(name, "COMPLETED")["attempts"] == 1


def test_add_again_after_delivery(daemon, sink, name):
    """A repeated add tells the state and delivers nothing again."""
    event = {"event-id": name, "application-id": "app", "event": 1,
             "expiry": 0, "url": sink.url("/" + name)}
    assert daemon.post(event).status == 201
    daemon.wait_state(name, "COMPLETED")
    response = daemon.post(event)
    assert (response.status, response.json()["status"]) == (200, "COMPLETED")
    daemon.schedule(name + "-after", sink.url("/after"))
    daemon.wait_state(name + "-after", "COMPLETED")
    assert len(sink.arrivals("/" + name)) == 1


@pytest.mark.parametrize("limits", [
    {"maxDeliveriesPerHost": 2},
    {"maxDeliveriesPerHost": 50, "hostLimits": [
        {"host": "example.net", "maxDeliveries": 1},
        {"host": "127.0.0.1", "maxDeliveries": 2}]},
], ids=["all", "one"])
def test_cap_per_host(launch, sink, limits):
    """One host at its cap leaves slots for another; its own wait in order."""
    c = launch(worker=dict(limits, numWorkerThreads=1))
    gate = sink.gate()
    sink.on("/slow", Reply(200, gate=gate))
    for n in range(6):
        c.schedule("slow%d" % n, sink.url("/slow"))
    sink.wait("/slow", 2)
    c.schedule("other", "http://localhost:%d/other" % sink.port)
    c.wait_state("other", "COMPLETED")
    assert len(sink.arrivals("/slow")) == 2
    gate.set()
    for n in range(6):
        c.wait_state("slow%d" % n, "COMPLETED")
    assert len(sink.arrivals("/slow")) == 6


def test_event_memory(launch, sink):
    """Large events that do not fit a worker's memory wait in the datastore."""
    c = launch(worker={"numWorkerThreads": 1, "maxEventMemory": "1MiB"})
    gate = sink.gate()
    sink.on("/large", Reply(200, gate=gate))
    due = time.time() + 2
    for n in range(12):
        c.schedule("large%d" % n, sink.url("/large"), expiry=due,
                   event="x" * 400000)
    sink.wait("/large", 3)
    time.sleep(0.5)
    assert len(sink.arrivals("/large")) == 3  # the third goes beyond
    assert c.state("large11") == "PENDING"
    gate.set()
    for n in range(12):
        assert c.wait_state("large%d" % n, "COMPLETED")["attempts"] == 1
    assert len(sink.arrivals("/large")) == 12


def test_backlog_of_one_host(launch, sink):
    """More than a worker holds in memory is due for a host that hangs: others
    get theirs, and none of it is lost, repeated or counted as an attempt."""
    c = launch(worker={"numWorkerThreads": 1, "maxDeliveriesPerHost": 2,
                       "maxQueuedPerHost": 3, "maxConcurrentDeliveries": 8})
    gate = sink.gate()
    sink.on("/slow", Reply(200, gate=gate))
    n = 40
    for i in range(n):
        c.schedule("slow%d" % i, sink.url("/slow"))
    sink.wait("/slow", 2)
    wait_for(lambda: 'cassata_events_deferred_total 0\n' not in
             c.get("/metrics").body.decode())
    c.schedule("other", "http://localhost:%d/other" % sink.port)
    c.wait_state("other", "COMPLETED")
    assert len(sink.arrivals("/slow")) == 2
    gate.set()
    for i in range(n):
        assert c.wait_state("slow%d" % i, "COMPLETED")["attempts"] == 1
    assert len(sink.arrivals("/slow")) == n
