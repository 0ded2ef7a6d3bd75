# SPDX-License-Identifier: ISC
"""Clients that mean harm, and what a client that behaves gets beside them."""

import contextlib
import hashlib
import json
import re
import resource
import socket
import time
from pathlib import Path

import pytest

from cassata import wait_for
from client import Connection, path_of
from conftest import ANY_STORE

MANY = 1200  # more than service.maxConnections is by default
FAR = 4102444800  # 2100-01-01
NEVER = {"headerTimeout": "1h", "bodyTimeout": "1h", "idleTimeout": "1h",
         "writeTimeout": "1h", "minBodyRate": 0}
HEAD = (b"POST /cassata/add/ HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\n")


@pytest.fixture
def descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(before[1], 8192), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def metric(c, name):
    text = c.get("/metrics").body.decode()
    return int(re.search(r"^%s (\d+)$" % re.escape(name), text, re.M)[1])


def backlog(port):
    """Connections that the server has yet to accept."""
    for line in Path("/proc/net/tcp").read_text().splitlines():
        _, local, _, state, queues, *_ = line.split()
        if local == "0100007F:%04X" % port and state == "0A":
            return int(queues.split(":")[1], 16)
    raise AssertionError("nobody listens")


def an_event(event_id, **changes):
    return {"event-id": event_id, "application-id": "app", "event": {},
            "expiry": FAR, "url": "http://127.0.0.1:1/", **changes}


@ANY_STORE
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("data", [
    HEAD + b"Content-Length: 1000\r\n\r\n", HEAD,
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1",
    b"GET /cassata/event/app/big HTTP/1.1\r\nHost: localhost\r\n\r\n" * 9,
], ids=["no-body", "half-head", "no-chunk", "deaf"])
def test_slow_clients_keep_nobody_out(launch, descriptors, data, source):
    c = launch(service={"processes": 1, **NEVER},
               master={"shutdownTimeout": "2m"})
    c.schedule("big", "http://127.0.0.1:1/", FAR, event="x" * 300000)
    port = c.port

    def all_are_in():
        """Nobody waits for the room that one who was served leaves, nor is
        there one too many; this look is one."""
        return metric(c, "cassata_connections") <= 1024 + 1 and \
            backlog(port) == 0

    with contextlib.ExitStack() as stack:
        for n in range(MANY):
            connection = stack.enter_context(Connection(port, source=source))
            # The first ones may have been displaced.
            with contextlib.suppress(ConnectionError):
                connection.send(data)
        wait_for(all_are_in, 60, "room for all of them")
        # While all that are connected are being served nobody else is. Whoever
        # was let in leaves room.
        wait_for(lambda: c.post(an_event("first")).status == 201, 60)
        for n in range(20):
            assert c.get("/livez").status == 200
            assert c.get("/readyz").status == 200
            assert c.post(an_event(str(n))).status == 201
    c.stop(120)


@ANY_STORE
def test_progress_is_shared_by_an_address(launch):
    """Many fast ones of one address make room before a slow one of another."""
    c = launch(service={"processes": 1, "maxConnections": 10, **NEVER})
    expecting = [("Content-Length", "100000"), ("Expect", "100-continue")]
    with contextlib.ExitStack() as stack:
        def begin(source, size):
            connection = stack.enter_context(
                Connection(c.port, source=source))
            connection.send_request("GET", "/livez", headers=expecting)
            assert connection.read_response().status == 100
            connection.send(b"x" * size)
            return connection
        behaved = begin("127.0.0.1", 2000)
        greedy = []
        for n in range(9 + 5):
            # Where nothing is left unread, all of it has been counted.
            behaved.send(b"x" * 50)  # it has not stopped
            greedy.append(begin("127.0.0.2", 5000))
        behaved.send(b"x" * (100000 - 2000 - 50 * len(greedy)))
        assert behaved.read_response().status == 200
        assert len([g for g in greedy if g.readable()]) >= 5


def test_health_when_all_wait_for_the_datastore(launch):
    c = launch(service={"processes": 1, "maxConnections": 5, **NEVER},
               worker={"lease": "60s"}, datastore={"timeout": "60s"})
    port = c.port
    with contextlib.ExitStack() as stack:
        def send(method, path, body=None):
            connection = stack.enter_context(Connection(port))
            connection.send_request(method, path, body)
            return connection
        with c.store.locked():
            adds = [send("POST", "/cassata/add/", json.dumps(
                an_event(str(n))).encode()) for n in range(5)]
            for _ in range(3):
                refused = send("POST", "/cassata/add/", json.dumps(
                    an_event("more")).encode()).read_response()
                assert refused.status == 503
                assert refused.header("Retry-After") == "2"
                assert refused.header("Connection") == "close"
                assert send("GET", "/livez").read_response().status == 200
                answer = send("GET", "/metrics").read_response()
                assert answer.status == 200
            # Those who ask for more than a look at the process do not fill it.
            waiting = [send("GET", "/readyz") for _ in range(30)]
            assert [w.read_response().status
                    for w in waiting[1:]] == [503] * 29
            assert not waiting[0].readable()
            assert send("GET", "/livez").read_response().status == 200
            assert not any(add.readable() for add in adds)
        for add in adds:
            assert add.read_response().status == 201
        assert waiting[0].read_response().status == 200
        assert c.post(an_event("more")).status == 201


@ANY_STORE
def test_connections_per_address(launch):
    c = launch(service={"processes": 1, "maxConnectionsPerAddress": 3})
    with contextlib.ExitStack() as stack:
        def connect():
            connection = stack.enter_context(
                Connection(c.port, source="127.0.0.2"))
            with contextlib.suppress(ConnectionError):
                connection.send_request("GET", "/livez")
            return connection
        first, *_ = connections = [connect() for _ in range(3)]
        for connection in connections:
            assert connection.read_response().status == 200
        assert connect().at_end()
        assert metric(c, "cassata_connections_refused_total") == 1
        first.close()
        wait_for(lambda: metric(c, "cassata_connections") == 3)
        assert connect().read_response().status == 200


@ANY_STORE
def test_least_rate_of_bodies(launch):
    c = launch(service={"headerTimeout": "500ms", "bodyTimeout": "1h",
                        "minBodyRate": 1000})
    body = json.dumps(an_event("slow", event="x" * 8000)).encode()
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    with Connection(c.port) as slow, Connection(c.port) as behaved:
        # What has come in advance is time to spare.
        at = 4000
        behaved.send(head + body[:at])
        slow.send(head)
        while not slow.readable():
            # More than the rate, and a tenth.
            behaved.send(body[at:at + 100])
            slow.send(b" " * 5)
            at += 100
            time.sleep(0.05)
        assert slow.read_response().status == 408
        behaved.send(body[at:])
        assert behaved.read_response().status == 201


GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
LINES = (b"{}" + b" " * 200 + b"\n") * 60000


@pytest.mark.parametrize("data", [
    GET % b"/cassata/event/app/big0" * 20,
    GET % b"/cassata/events/app?fields=event" * 20,
    b"POST /cassata/add-batch/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n"
    % len(LINES) + LINES,
], ids=["events", "lists", "stream"])
def test_slow_readers_end(launch, data):
    """Who takes a byte now and then has no more time for an answer, or a piece
    of one, than who takes none."""
    c = launch(service={"processes": 1, **NEVER, "writeTimeout": "500ms"})
    for n in range(3):
        c.schedule("big%d" % n, "http://127.0.0.1:1/", FAR, event="x" * 300000)
    sent = 0

    def has_ended():
        nonlocal sent
        with contextlib.suppress(OSError):
            sock.recv(1)
        with contextlib.suppress(OSError):
            sent += sock.send(memoryview(data)[sent:])
        return metric(c, "cassata_connections") == 1
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", c.port))
        wait_for(lambda: metric(c, "cassata_connections") == 2)
        sock.setblocking(False)
        wait_for(has_ended, 60, "its end")
        assert sent > 0


@ANY_STORE
def test_deaf_clients_hold_no_memory(launch):
    """Who does not read makes room for a client of the same address that has
    something to send."""
    c = launch(service={"processes": 1, "maxRequestMemory": "16MiB", **NEVER})
    c.schedule("big", "http://127.0.0.1:1/", FAR, event="x" * 1000000)
    body = json.dumps(an_event("more", event="x" * 4000000)).encode()
    with contextlib.ExitStack() as stack:
        for n in range(40):
            connection = stack.enter_context(Connection(c.port))
            connection.shrink()
            connection.send(b"GET /cassata/event/app/big HTTP/1.1\r\n"
                            b"Host: localhost\r\n\r\n" * 20)
        # There is no room for any more of them.
        wait_for(lambda: metric(
            c, 'cassata_http_requests_total{code="5xx"}') > 0)
        wait_for(lambda: c.post(body).status == 201)


@ANY_STORE
def test_metrics_are_not_made_for_each(launch):
    """Whoever asks for them again and again costs others little."""
    c = launch(service={"processes": 1})
    with Connection(c.port) as connection:
        started = time.monotonic()
        connection.send(
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)
        bodies = [connection.read_response().body for _ in range(300)]
        # Each has counted those before it when it was made: a few at once,
        # then 50 a second.
        assert len(set(bodies)) <= 21 + 50 * (time.monotonic() - started)
        connection.send_request("GET", "/metrics")
        wait_for(lambda: metric(
            c, 'cassata_http_requests_total{code="2xx"}') > 300)


# Each would be another line, or turn the one around it, in a list of events.
FORGING = ["\u0085", "\u009b2J", "\u061c", "\u200e", "\u202e", "\u2066",
           "\u2028", "\ufeff"]


@pytest.mark.parametrize("text", FORGING, ids=ascii)
def test_ids_that_forge_lists(daemon, text):
    for member in ("event-id", "application-id"):
        event = an_event("a")
        event[member] = "x" + text
        response = daemon.post(event)
        assert response.status == 422
        assert response.json()["errors"][0]["pointer"] == "/" + member


@pytest.mark.parametrize("event_id", ["a\u202eb\u0085c", "..", "."], ids=ascii)
def test_ids_of_before(launch, store, event_id):
    """What was accepted once can be seen and deleted; answers hold escapes."""
    c = launch()
    c.schedule("x" * 9, "http://127.0.0.1:1/", FAR, event="\u202e")
    store.sql("UPDATE event SET event_id = x'%s', k = x'%s'" % (
        event_id.encode().hex(),
        hashlib.sha256(b"app\0" + event_id.encode()).hexdigest()[:32]))
    response = c.get(path_of("event", "app", event_id))
    assert response.status == 200
    assert response.body.isascii()
    assert rb'"event":"\u202e"' in response.body
    assert response.json()["event-id"] == event_id
    assert c.delete(event_id).status == 200
    assert c.state(event_id) is None
