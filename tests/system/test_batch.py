# SPDX-License-Identifier: ISC
"""Many events in one request: an array, or a stream of lines."""

import contextlib
import json
import os
import random
import signal
import socket
import threading
import time

import pytest

from cassata import wait_for
from client import Connection
from conftest import ANY_STORE

FAR = 4102444800  # 2100-01-01
ADD_BATCH = "/cassata/add-batch/"
LINES = ("Content-Type", "application/x-ndjson")


def an_event(event_id, app="batch", /, **changes):
    event = {"event-id": event_id, "application-id": app, "event": {"n": 1},
             "expiry": FAR, "url": "http://127.0.0.1:1/"}
    event.update({k.replace("_", "-"): v for k, v in changes.items()})
    return {k: v for k, v in event.items() if v is not ...}


def lines_of(events):
    return b"".join(e if isinstance(e, bytes) else
                    json.dumps(e).encode() + b"\n" for e in events)


def results_of(response):
    assert response.status == 200, response
    if response.header("Content-Type") == "application/json":
        return response.json()
    assert response.header("Content-Type") == "application/x-ndjson"
    return [json.loads(line) for line in response.body.splitlines()]


def codes(results):
    return [r["response-code"] for r in results]


def add_lines(c, events, headers=()):
    return results_of(c.request("POST", ADD_BATCH, lines_of(events),
                                [LINES, *headers]))


def add_array(c, events):
    return results_of(c.request("POST", ADD_BATCH, json.dumps(events).encode()))


class Stream(Connection):
    """Lines that are sent and results that are read as they come."""

    def __init__(self, port, *headers):
        super().__init__(port, timeout=60)
        self.send("\r\n".join([
            "POST %s HTTP/1.1" % ADD_BATCH, "Host: localhost",
            "%s: %s" % LINES, "Transfer-Encoding: chunked", *headers,
            "", ""]).encode())
        self.response = None
        self._rest = b""
        self._is_whole = False

    @property
    def socket(self):
        return self._sock

    def block(self, blocks):
        self._sock.setblocking(blocks)

    def send_bytes(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def send_events(self, *events):
        self.send_bytes(lines_of(events))

    def finish(self):
        self.send(b"0\r\n\r\n")

    def result(self):
        """The next one, or None at the end."""
        if self.response is None:
            self.response = self.read_response(whole=False)
            assert self.response.status == 200, self.response
            # One that was complete at once has a length.
            self._rest = self.response.body
            self._is_whole = bool(self.response.header("Content-Length"))
        while b"\n" not in self._rest:
            chunk = b"" if self._is_whole else self.read_chunk()
            if not chunk:
                assert not self._rest
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def results(self):
        return list(iter(self.result, None))


# ---- results ----

@pytest.mark.parametrize("path", ["/cassata/add-batch/", "/cassata/add-batch"])
@pytest.mark.parametrize("how", [add_lines, add_array])
def test_added(daemon, name, path, how):
    ids = ["%s-%d" % (name, i) for i in range(3)]
    assert how(daemon, [an_event(i) for i in ids]) == [
        {"response-code": 201, "application-id": "batch", "event-id": i,
         "status": "PENDING", "expiry": FAR} for i in ids]
    for i in ids:
        assert daemon.state(i, app="batch") == "PENDING"
        event = daemon.event(i, app="batch")
        assert event["url"] == "http://127.0.0.1:1/"
        assert event["event"] == {"n": 1}


@pytest.mark.parametrize("how", [add_lines, add_array])
def test_each_has_its_own(daemon, name, how):
    """Headers, body, escapes and an id that is made."""
    events = [an_event("%s-%d" % (name, i), event="t\n%d" % i,
                       request_headers=["X-N: %d" % i] * (i % 3), method="PUT",
                       **({"retry": {"attempts": i + 1}} if i % 2 else {}))
              for i in range(20)]
    events.append(an_event(..., event="made"))
    results = how(daemon, events)
    assert codes(results) == [201] * 21
    for i, result in enumerate(results[:20]):
        event = daemon.event(result["event-id"], app="batch")
        assert event["event"] == "t\n%d" % i
        assert event["request-headers"][:1] == ["X-N: %d" % i][:i % 3]
        assert len(event["request-headers"]) == i % 3 or i % 3 == 0
        assert event.get("retry", {}).get("attempts") == (
            i + 1 if i % 2 else None)
    assert daemon.event(results[20]["event-id"], app="batch")["event"] == "made"


@pytest.mark.parametrize("how", [add_lines, add_array])
def test_refused_alone(daemon, name, how):
    """What is wrong with one is told in its place, and hurts no other."""
    first = an_event(name + "-first")
    results = how(daemon, [
        first, an_event(name + "-bad", expirey=1, url="ftp://x"), first, 7,
        an_event(name + "-first", event="other"), an_event(name + "-last")])
    assert codes(results) == [201, 422, 200, 422, 409, 201]
    assert sorted(e["pointer"] for e in results[1]["errors"]) == [
        "/expirey", "/url"]
    for i in (1, 3, 4):
        assert results[i]["status"] == results[i]["response-code"]
        assert results[i]["title"] and results[i]["detail"]
    assert results[2]["status"] == "PENDING"
    assert results[4]["event-id"] == name + "-first"
    assert results[4]["event-status"] == "PENDING"
    assert daemon.event(name + "-first", app="batch")["event"] == {"n": 1}
    assert daemon.state(name + "-bad", app="batch") is None


def test_bad_lines(daemon, name):
    good = [an_event("%s-%d" % (name, i)) for i in range(4)]
    long = b'{"event": "%s"}\n' % (b"x" * (5 << 20))
    results = add_lines(daemon, [
        good[0], b"{\n", good[1], b"\n", b" \r\n", long, good[2], b"\xff\n",
        json.dumps(good[3]).encode()])  # the last line may lack its end
    assert codes(results) == [201, 400, 201, 413, 201, 400, 201]
    assert "line 1" in results[1]["detail"]


def test_order(daemon, name):
    """Groups are many, and each place of the answer is that of its line."""
    events = []
    for i in range(3000):
        events.append(an_event("%s-%d" % (name, i // 2)) if i % 7 else b"{}\n")
    results = add_lines(daemon, events)
    seen = set()
    assert len(results) == len(events)
    for event, result in zip(events, results):
        if event == b"{}\n":
            assert result["response-code"] == 422
            continue
        assert result["event-id"] == event["event-id"]
        assert result["response-code"] == (
            200 if event["event-id"] in seen else 201)
        seen.add(event["event-id"])


def test_nothing(daemon):
    assert add_lines(daemon, [b"\n"]) == []
    assert add_array(daemon, []) == []


@pytest.mark.parametrize("body, headers, status", [
    (b"", [LINES], 400),
    (b"{}", [], 422),
    (b"[{}", [], 400),
    (b"[]", [("Content-Type", "text/plain")], 415),
    (b"{}\n", [LINES, ("Content-Encoding", "gzip")], 415),
    (b"{}\n", [LINES, ("Origin", "http://other.example")], 403),
])
def test_refused_whole(daemon, body, headers, status):
    response = daemon.request("POST", ADD_BATCH, body, headers)
    assert response.status == status, response
    assert response.header("Content-Type") == "application/problem+json"


def test_methods(daemon):
    assert daemon.request("GET", ADD_BATCH).status == 405
    assert daemon.request("HEAD", ADD_BATCH).status == 405
    response = daemon.request("OPTIONS", ADD_BATCH)
    assert response.header("Allow") == "POST, OPTIONS"


# ---- all or none ----

def add_all(c, events):
    return c.request("POST", ADD_BATCH + "?atomic=true",
                     json.dumps(events).encode())


def test_all(daemon, name):
    events = [an_event("%s-%d" % (name, i),
                       request_headers=["X-N: %d" % i]) for i in range(700)]
    assert codes(results_of(add_all(daemon, events))) == [201] * 700
    assert daemon.event(name + "-699", app="batch")["request-headers"] == [
        "X-N: 699"]
    # Repeated, and with one more, which is there twice.
    events += [an_event(name + "-more")] * 2
    assert codes(results_of(add_all(daemon, events))) == [200] * 700 + [201, 200]
    assert results_of(add_all(daemon, [])) == []


def test_delivered_all(launch, sink):
    c = launch()
    url = sink.url("/all")
    assert codes(results_of(add_all(c, [
        an_event("e%d" % i, url=url, expiry=time.time()) for i in range(5)
    ]))) == [201] * 5
    for i in range(5):
        c.wait_state("e%d" % i, "COMPLETED", app="batch")


@pytest.mark.parametrize("bad, status, refused", [
    ({"url": "ftp://x"}, 422, [424, 200, 422, 424]),
    ({"event": "other"}, 409, [424, 200, 409, 424])])
def test_none(daemon, name, bad, status, refused):
    """One is refused, and nothing of the others is left."""
    there = an_event(name + "-there")
    assert codes(add_array(daemon, [there, an_event(name + "-bad")])) == [201] * 2
    response = add_all(daemon, [
        an_event(name + "-a"), there, an_event(name + "-bad", **bad),
        an_event(name + "-z")])
    assert response.status == status, response
    problem = response.json()
    assert problem["status"] == status and "none" in problem["detail"]
    if status == 422:  # the datastore was not asked
        refused = [424, 424, 422, 424]
    assert codes(problem["results"]) == refused
    for i in "az":
        assert daemon.state("%s-%s" % (name, i), app="batch") is None
    assert daemon.event(name + "-bad", app="batch")["event"] == {"n": 1}


def test_none_of_what_is_there_twice(daemon, name):
    """What met an event of the request has met nothing."""
    there = an_event(name + "-there")
    assert codes(add_array(daemon, [there])) == [201]
    other = dict(there, event="other")
    response = add_all(daemon, [
        an_event(name), an_event(name),
        an_event(name, event="other", on_conflict="ignore"),
        dict(other, **{"on-conflict": "replace"}), other, there])
    assert response.status == 409, response
    assert codes(response.json()["results"]) == [424] * 5 + [409]
    assert daemon.state(name, app="batch") is None
    assert daemon.event(name + "-there", app="batch")["event"] == {"n": 1}


def test_too_many_for_all(launch):
    c = launch(service={"maxAtomicEvents": 3})
    events = [an_event("e%d" % i) for i in range(4)]
    assert add_all(c, events).status == 413
    assert c.state("e0", app="batch") is None
    assert codes(results_of(add_all(c, events[:3]))) == [201] * 3


@pytest.mark.parametrize("query, headers", [
    ("?atomic=true", [LINES]), ("?atomic=yes", []), ("?x", [LINES])])
def test_bad_query(daemon, query, headers):
    assert daemon.request(
        "POST", ADD_BATCH + query, b"[]", headers).status == 400


# ---- the stream ----

def test_as_they_come(daemon, name):
    """Each line is answered without the next one."""
    with Stream(daemon.port) as stream:
        for i in range(5):
            stream.send_events(an_event("%s-%d" % (name, i)))
            assert stream.result()["event-id"] == "%s-%d" % (name, i)
        line = lines_of([an_event(name)])
        for i in range(len(line)):
            stream.send_bytes(line[i:i + 1])
        assert stream.result()["response-code"] == 201
        stream.finish()
        assert stream.result() is None
        stream.send_request("GET", "/livez")
        assert stream.read_response().status == 200


def test_cut_anywhere(daemon, name):
    """The answers do not depend on how the bytes came."""
    seed = random.randrange(1 << 32)
    lots = random.Random(seed)
    lines = [an_event(name), b"{}\n", b"\n", b" \t\r\n", b"[\n", b'"\\n"\n',
             an_event(name, event="\u2028 \" \\ \n"), b"\0\n", b"null\r\n",
             json.dumps(an_event(name)).encode() + b" \r\n"]
    for _ in range(5):
        chosen = lots.choices(lines, k=60)
        body = lines_of(chosen)
        whole = add_lines(daemon, chosen)
        with Stream(daemon.port) as stream:
            at = 0
            while at < len(body):
                n = lots.choice((1, 2, 7, 50, 500))
                stream.send_bytes(body[at:at + n])
                at += n
            stream.finish()
            results = stream.results()
        # What was new is there now.
        assert [{**r, "response-code": 200} if r["response-code"] == 201 else r
                for r in whole] == results, "seed %d" % seed


def test_pipelined(daemon, name):
    """What follows the stream is answered after it."""
    with Connection(daemon.port) as connection:
        body = lines_of([an_event(name)])
        for _ in range(3):
            connection.send_request("POST", ADD_BATCH, body, [LINES])
            connection.send_request("GET", "/livez")
        for code in 201, 200, 200:
            assert codes(results_of(connection.read_response())) == [code]
            assert connection.read_response().status == 200


def test_http_1_0(daemon, name):
    body = lines_of([an_event(name), an_event(name)])
    with socket.create_connection(("127.0.0.1", daemon.port), 20) as sock:
        sock.sendall(b"POST /cassata/add-batch/ HTTP/1.0\r\n"
                     b"Content-Type: application/x-ndjson\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert codes(map(json.loads, body.splitlines())) == [201, 200]


def test_continue(daemon, name):
    with Stream(daemon.port, "Expect: 100-continue") as stream:
        assert stream.read_response().status == 100
        stream.send_events(an_event(name))
        assert stream.result()["response-code"] == 201


@pytest.mark.parametrize("framing", [b"x\r\n", b"3\r\n{}\n\n", b"-1\r\n"])
def test_broken_framing(daemon, name, framing):
    """Whose framing breaks is told how far it came."""
    with Stream(daemon.port) as stream:
        stream.send_events(an_event(name), an_event(name))
        assert codes([stream.result(), stream.result()]) == [201, 200]
        stream.send(framing)
        results = stream.results()
        assert results[-1]["response-code"] == 400
        assert results[-1]["events"] == 2 + len(results) - 1
        assert stream.at_end()
    with Stream(daemon.port) as stream:  # nothing was answered
        stream.send(b"x\r\n")
        assert stream.read_response().status == 400
        assert stream.at_end()


def test_slow(launch):
    c = launch(service={"bodyTimeout": "3s", "headerTimeout": "3s"})
    with Stream(c.port) as stream:
        stream.send_events(an_event("a"))
        stream.send_bytes(b"{")
        assert stream.result()["response-code"] == 201
        last = stream.result()
        assert last["response-code"] == 408 and last["events"] == 1
        assert stream.result() is None
        assert stream.at_end()


def test_long_line(launch):
    """One that is too long has the time that its bytes may take, as any."""
    c = launch(service={"maxBodyBytes": "1KiB", "headerTimeout": "1s",
                        "minBodyRate": "1KiB"})
    with Stream(c.port) as stream:
        stream.send_bytes(b"x" * 100000)
        assert stream.result()["response-code"] == 413
        time.sleep(1.5)  # the time of a head
        stream.send_bytes(b"x\n")
        stream.send_events(an_event("a"))
        assert stream.result()["response-code"] == 201


def request_memory(c):
    """Bytes, as the daemon counts them."""
    for line in c.get("/metrics").body.decode().splitlines():
        if line.startswith("cassata_request_memory_bytes "):
            return int(line.split()[1])


@contextlib.contextmanager
def meanwhile(fn, *args):
    """Runs it beside the body, which must end it."""
    thread = threading.Thread(target=fn, args=args)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("memory, most", [("128MiB", 12 << 20),
                                          ("16MiB", 6 << 20)])
def test_long_stream(launch, store, memory, most):
    """100,000 events; the answers are read meanwhile, the memory is that of
    some groups, of fewer where there is little."""
    c = launch(service={"processes": 1, "maxRequestMemory": memory})
    n, held = 100000 if store.kind == "sqlite" else 20000, []

    def send(stream):
        for at in range(0, n, 500):
            stream.send_events(*[an_event("e%d" % i)
                                 for i in range(at, at + 500)])
        stream.finish()
    with Stream(c.port) as stream, meanwhile(send, stream):
        for i in range(n):
            result = stream.result()
            assert result["response-code"] == 201
            assert result["event-id"] == "e%d" % i
            if i % 10000 == 5000:
                held.append(request_memory(c))
        assert stream.result() is None
    assert max(held) < most
    assert c.state("e%d" % (n - 1), app="batch") == "PENDING"


@ANY_STORE
def test_back_pressure(launch):
    """Who does not read the answers is not read any more; then all goes on."""
    c = launch(service={"processes": 1})
    n = 60000
    lines = (b"{}" + b" " * 200 + b"\n") * n
    out = memoryview(b"%x\r\n%s\r\n" % (len(lines), lines))
    sent, since = 0, time.monotonic()

    def is_blocked(sock):
        nonlocal sent, since
        try:
            while sent < len(out):
                sent += sock.send(out[sent:])
                since = time.monotonic()
        except BlockingIOError:
            pass
        return time.monotonic() - since > 1

    def send_rest(stream):
        stream.send(out[sent:])
        stream.finish()
    with Stream(c.port) as stream:
        stream.block(False)
        wait_for(lambda: is_blocked(stream.socket), 60, "an end of reading")
        assert sent < len(out)
        assert request_memory(c) < 12 << 20
        stream.block(True)
        with meanwhile(send_rest, stream):
            results = stream.results()
    assert codes(results) == [422] * n


def test_lost_client(daemon, name):
    """What was committed stays."""
    stream = Stream(daemon.port)
    stream.send_events(an_event(name + "-0"))
    assert stream.result()["response-code"] == 201
    stream.send_events(*[an_event("%s-%d" % (name, i)) for i in range(1, 900)])
    stream.close()
    assert daemon.state(name + "-0", app="batch") == "PENDING"
    with Stream(daemon.port) as again:  # nothing is held on to
        again.send_events(an_event(name + "-0"))
        assert again.result()["response-code"] == 200


@pytest.mark.parametrize("how", ["reload", "stop"])
def test_drained(launch, how):
    c = launch()
    with Stream(c.port) as stream:
        stream.send_events(an_event("a"), an_event("b"))
        assert codes([stream.result(), stream.result()]) == [201, 201]
        stream.send_bytes(b'{"event-id"')
        if how == "stop":
            c.send(signal.SIGTERM)
        else:
            c.reload()
        last = stream.result()
        assert last["response-code"] == 503 and last["events"] == 2
        assert stream.result() is None
        assert stream.at_end()
    if how == "reload":
        assert add_lines(c, [an_event("b"), an_event("c")]) == [
            {**r, "event-id": i} for r, i in zip(
                [{"response-code": 200, "application-id": "batch",
                  "status": "PENDING", "expiry": FAR},
                 {"response-code": 201, "application-id": "batch",
                  "status": "PENDING", "expiry": FAR}], "bc")]


def test_frozen(launch):
    c = launch()
    with Stream(c.port) as stream:
        stream.send_events(an_event("a"))
        assert stream.result()["response-code"] == 201
        assert c.ctl("freeze").returncode == 0
        stream.send_events(an_event("b"), b"{}\n")
        results = [stream.result(), stream.result()]
        assert codes(results) == [503, 422]
        assert "frozen" in results[0]["detail"]
    assert c.ctl("thaw").returncode == 0  # by a reload, which ends the stream
    assert codes(add_lines(c, [an_event("b")])) == [201]


def test_datastore_away(launch, store):
    """503 for each, until it is back."""
    c = launch(datastore={"timeout": "4s"})
    with Stream(c.port) as stream:
        stream.send_events(an_event("a"))
        assert stream.result()["response-code"] == 201
        with store.locked():
            stream.send_events(an_event("b"))
            result = stream.result()
            assert result["response-code"] == 503
            assert "datastore" in result["detail"]

        def works():
            stream.send_events(an_event("b"))
            return stream.result()["response-code"] in (200, 201)
        wait_for(works, 20, "the datastore")


def test_killed(launch):
    """What was answered is there after kill -9."""
    c = launch(service={"processes": 1})
    answered = []

    def send(stream):
        with contextlib.suppress(OSError):
            for at in range(0, 200000, 100):
                stream.send_events(*[an_event("e%d" % i)
                                     for i in range(at, at + 100)])
    with Stream(c.port) as stream, meanwhile(send, stream):
        for _ in range(3000):
            answered.append(stream.result())
        os.kill(c.children("service")[0]["pid"], signal.SIGKILL)
        with contextlib.suppress(ConnectionError, ValueError):
            answered += iter(stream.result, None)
    assert codes(answered) == [201] * len(answered)
    repeated = [an_event(r["event-id"]) for r in answered]

    def repeat(stream):
        for at in range(0, len(repeated), 500):
            stream.send_events(*repeated[at:at + 500])
        stream.finish()
    wait_for(lambda: c.children("service"), 20, "another service")
    with Stream(c.port) as stream, meanwhile(repeat, stream):
        assert codes(stream.results()) == [200] * len(repeated)
