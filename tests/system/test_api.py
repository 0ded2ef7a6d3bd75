# SPDX-License-Identifier: ISC
"""The HTTP API: every row of its table, every refusal, and the framing."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from cassata import read_text, wait_for
from client import Connection, path_of

FAR = 4102444800  # 2100-01-01
HOST = b"Host: localhost\r\n"
POST = b"POST /cassata/add/ HTTP/1.1\r\n"
JSON = b"Content-Type: application/json\r\n"
GET = b"GET /livez HTTP/1.1\r\n"


def an_event(event_id, app="api", /, **changes):
    event = {"event-id": event_id, "application-id": app, "event": {"n": 1},
             "expiry": FAR, "url": "http://127.0.0.1:1/"}
    event.update({k.replace("_", "-"): v for k, v in changes.items()})
    return {k: v for k, v in event.items() if v is not ...}


def assert_problem(response, status):
    """RFC 9457."""
    assert response.status == status, response
    assert response.header("Content-Type") == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    for member in ("type", "title", "detail"):
        assert isinstance(problem[member], str) and problem[member]
    return problem


def pointers(response):
    problem = assert_problem(response, 422)
    assert all(e["detail"] for e in problem["errors"])
    return sorted(e["pointer"] for e in problem["errors"])


# ---- add ----

@pytest.mark.parametrize("path", ["/cassata/add/", "/cassata/add"])
def test_add(daemon, name, path):
    response = daemon.request(
        "POST", path, json.dumps(an_event(name)).encode())
    assert response.status == 201
    assert response.header("Location") == path_of("status", "api", name)
    assert response.header("Content-Type") == "application/json"
    assert response.json() == {"application-id": "api", "event-id": name,
                               "status": "PENDING", "expiry": FAR}
    assert daemon.get(response.header("Location")).status == 200


def test_add_again(daemon, name):
    """The same content, however it is written, may be sent again."""
    event = an_event(name)
    assert daemon.post(event).status == 201
    other_way = json.dumps(dict(reversed(list(event.items()))), indent=2)
    for body in (json.dumps(event), other_way.replace(
            '{\n    "n": 1\n  }', '{"n": 1}')):
        response = daemon.post(body.encode())
        assert response.status == 200
        assert response.json() == {"application-id": "api", "event-id": name,
                                   "status": "PENDING", "expiry": FAR}
        assert response.header("Location") is None


def test_no_event_id(daemon, name):
    """One is made, another for each, and found by the one that is returned."""
    event = an_event(name, event=name)
    del event["event-id"]
    ids = []
    for _ in range(2):
        response = daemon.post(event)
        assert response.status == 201
        ids.append(response.json()["event-id"])
        made = uuid.UUID(ids[-1])
        assert (made.version, made.variant) == (7, uuid.RFC_4122)
        assert abs((made.int >> 80) / 1000 - time.time()) < 60
        found = daemon.get(response.header("Location")).json()
        assert found["event-id"] == ids[-1]
        assert daemon.event(ids[-1], "api")["event"] == name
    assert ids[0] != ids[1]


def test_expiry_as_text(daemon, name):
    """A date-time of RFC 3339 is the same moment as its seconds."""
    zone = timezone(timedelta(hours=5, minutes=30))
    texts = [datetime.fromtimestamp(FAR, tz).isoformat()
             for tz in (timezone.utc, zone)]
    response = daemon.post(an_event(name, expiry=texts[0]))
    assert response.status == 201
    assert response.json()["expiry"] == FAR
    assert daemon.post(an_event(name, expiry=texts[1])).status == 200
    assert daemon.post(an_event(name)).status == 200
    assert daemon.event(name, "api")["expiry"] == FAR
    problem = assert_problem(daemon.post(
        an_event(name, expiry=texts[0].replace("+00:00", ""))), 422)
    assert problem["errors"][0]["pointer"] == "/expiry"


def test_in(daemon, name, sink):
    """So long after the add; a repeat of it is the same event."""
    event = an_event(name, expiry=..., **{"in": "2h"})
    before = time.time()
    response = daemon.post(event)
    assert response.status == 201
    expiry = response.json()["expiry"]
    assert before - 0.001 <= expiry - 7200 <= time.time()
    wait_for(lambda: time.time() > expiry - 7200 + 0.01)
    response = daemon.post(event)
    assert response.status == 200
    assert response.json()["expiry"] == expiry
    assert daemon.event(name, "api")["expiry"] == expiry
    for change in ({"in": "3h"}, {"in": ..., "expiry": expiry}):
        assert_problem(daemon.post({
            k: v for k, v in dict(event, **change).items()
            if v is not ...}), 409)
    assert pointers(daemon.post(dict(event, expiry=FAR))) == ["/in"]
    assert pointers(daemon.post(an_event(name, expiry=...))) == ["/expiry"]
    soon = name + "-soon"
    assert daemon.post(an_event(soon, expiry=..., url=sink.url("/" + soon),
                                **{"in": "1ms"})).status == 201
    sink.wait("/" + soon)


@pytest.mark.parametrize("change", [
    {"event": {"n": 2}}, {"event": '{"n": 1}'}, {"expiry": FAR + 1},
    {"url": "http://127.0.0.1:1/x"}, {"method": "PUT"},
    {"request_headers": ["X-A: b"]},
], ids=lambda change: next(iter(change)))
def test_add_conflicting(daemon, name, change):
    assert daemon.post(an_event(name)).status == 201
    problem = assert_problem(daemon.post(an_event(name, **change)), 409)
    assert problem["application-id"] == "api"
    assert problem["event-id"] == name
    assert problem["event-status"] == "PENDING"
    event = daemon.event(name, "api")
    assert (event["event"], event["expiry"]) == ({"n": 1}, FAR)


def test_add_same_id_in_another_application(daemon, name):
    assert daemon.post(an_event(name, "one")).status == 201
    assert daemon.post(an_event(name, "two", event=2)).status == 201
    assert daemon.event(name, "two")["event"] == 2


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"nonsense", b'{"event-id": "x",}', b"[1, 2", b"{} {}",
    b'{"event-id": "\xff"}', b'{"event-id": "\\ud800"}', b"{'a': 1}",
    b'{"event-id": "a\nb"}', b"\xef\xbb\xbf{}", b"[" * 1000, b'{"a": 01}',
    b'{"a": NaN}',
])
def test_add_malformed(daemon, body):
    assert_problem(daemon.post(body), 400)


@pytest.mark.parametrize("content_type", [
    None, "", "text/plain", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "application/jsonp",
    "text/plain; application/json", "application/json, text/plain",
    "application/vnd.api+json", "application/octet-stream",
])
def test_add_of_another_type(daemon, name, content_type):
    """What a web page may send without asking first is no event."""
    body = json.dumps(an_event(name)).encode()
    headers = [] if content_type is None else [
        ("Content-Type", content_type)]
    with Connection(daemon.port) as c:
        c.send(POST + HOST + b"".join(
            b"%s: %s\r\n" % (n.encode(), v.encode()) for n, v in headers) +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert_problem(c.read_response(), 415)
        c.send_request("GET", "/livez")
        assert c.read_response().status == 200
    assert daemon.state(name, "api") is None


@pytest.mark.parametrize("content_type", [
    "application/json", "Application/JSON", "application/json;charset=utf-8",
    "application/json ; charset=UTF-8", "application/json;",
])
def test_add_of_its_type(daemon, name, content_type):
    response = daemon.request(
        "POST", "/cassata/add/", json.dumps(an_event(name)).encode(),
        headers=[("Content-Type", content_type)])
    assert response.status == 201


@pytest.mark.parametrize("coding", ["gzip", "br, identity", "x-unknown"])
def test_add_encoded(daemon, name, coding):
    """Not stored as if it were not: RFC 9110 15.5.16."""
    response = daemon.request(
        "POST", "/cassata/add/", json.dumps(an_event(name)).encode(),
        headers=[("Content-Encoding", coding)])
    assert_problem(response, 415)
    assert response.header("Accept-Encoding") == "identity"
    assert daemon.state(name, "api") is None


def test_add_not_encoded(daemon, name):
    assert daemon.request(
        "POST", "/cassata/add/", json.dumps(an_event(name)).encode(),
        headers=[("Content-Encoding", "Identity")]).status == 201


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_add_no_object(daemon, body):
    assert_problem(daemon.post(body), 422)


@pytest.mark.parametrize("changes, expected", [
    ({"application_id": ...}, ["/application-id"]),
    ({"event": ...}, ["/event"]),
    ({"expiry": ...}, ["/expiry"]),
    ({"url": ...}, ["/url"]),
    ({"event_id": ""}, ["/event-id"]),
    ({"event_id": 7}, ["/event-id"]),
    ({"event_id": "x" * 256}, ["/event-id"]),
    ({"event_id": "é" * 128}, ["/event-id"]),
    ({"event_id": "a\u0001b"}, ["/event-id"]),
    ({"event_id": "a\u0000b"}, ["/event-id"]),
    ({"event_id": "a\u007fb"}, ["/event-id"]),
    ({"event_id": "."}, ["/event-id"]),
    ({"event_id": ".."}, ["/event-id"]),
    ({"application_id": ".", "event_id": ".."},
     ["/application-id", "/event-id"]),
    ({"application_id": ""}, ["/application-id"]),
    ({"application_id": "x" * 101}, ["/application-id"]),
    ({"application_id": "a\nb"}, ["/application-id"]),
    ({"application_id": None}, ["/application-id"]),
    ({"expiry": -1}, ["/expiry"]),
    ({"expiry": "tomorrow"}, ["/expiry"]),
    ({"expiry": True}, ["/expiry"]),
    ({"expiry": 253402300800}, ["/expiry"]),
    ({"expiry": 1e300}, ["/expiry"]),
    ({"url": "ftp://127.0.0.1/"}, ["/url"]),
    ({"url": "file:///etc/passwd"}, ["/url"]),
    ({"url": "127.0.0.1/x"}, ["/url"]),
    ({"url": "http://"}, ["/url"]),
    ({"url": "http:///x"}, ["/url"]),
    ({"url": "http://127.0.0.1/\r\nX: y"}, ["/url"]),
    ({"url": "http://127.0.0.1/a b"}, ["/url"]),
    ({"url": "http://user:password@127.0.0.1/"}, ["/url"]),
    ({"url": 1}, ["/url"]),
    ({"url": "http://127.0.0.1/" + "x" * 8192}, ["/url"]),
    ({"method": ""}, ["/method"]),
    ({"method": "P O"}, ["/method"]),
    ({"method": 1}, ["/method"]),
    ({"method": "CONNECT"}, ["/method"]),
    ({"request_headers": "X: y"}, ["/request-headers"]),
    ({"request_headers": {"X": "y"}}, ["/request-headers"]),
    ({"request_headers": [1]}, ["/request-headers/0"]),
    ({"request_headers": ["X: y", "no colon"]}, ["/request-headers/1"]),
    ({"request_headers": [": x"]}, ["/request-headers/0"]),
    ({"request_headers": ["X : y"]}, ["/request-headers/0"]),
    ({"request_headers": ["X: a\r\nY: b"]}, ["/request-headers/0"]),
    ({"request_headers": ["X: a\nb"]}, ["/request-headers/0"]),
    ({"request_headers": ["X: a\u0000b"]}, ["/request-headers/0"]),
    ({"expirey": 1}, ["/expirey"]),
    ({"a/b~c": 1}, ["/a~1b~0c"]),
    ({"event_id": 1, "expiry": -1, "url": "x", "method": 2, "more": 3,
      "request_headers": ["X"]},
     ["/event-id", "/expiry", "/method", "/more", "/request-headers/0",
      "/url"]),
])
def test_add_invalid(daemon, changes, expected):
    assert pointers(daemon.post(an_event("invalid", **changes))) == expected
    assert daemon.state("invalid", "api") is None


@pytest.mark.parametrize("header", [
    "Host", "Content-Length", "transfer-encoding", "CONNECTION", "Keep-Alive",
    "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer", "Upgrade",
    "Expect", "Cassata-Attempt",
])
def test_add_refuses_framing_headers(daemon, header):
    event = an_event("framing", request_headers=["X: y", header + ": 1"])
    assert pointers(daemon.post(event)) == ["/request-headers/1"]


def test_add_names_milliseconds(daemon):
    response = daemon.post(an_event("ms", expiry=int(time.time() * 1000)))
    assert pointers(response) == ["/expiry"]
    assert "millisecond" in response.json()["errors"][0]["detail"]


def test_add_longest_ids(daemon):
    app, event_id = "a" * 100, "é" * 127 + "x"
    response = daemon.post(an_event(event_id, app))
    assert response.status == 201
    assert daemon.get(response.header("Location")).json()["event-id"] == event_id


# ---- ids ----

@pytest.mark.parametrize("event_id", [
    "a/b", "a b", "a%2Fb", "a+b", "ü-€-𝄞", "a?b#c", "...", ".a", "a\\b", '"',
    "<&>", ";,", " ", "%", "a%", "~-._",
])
def test_ids_in_paths(daemon, event_id):
    app = "ids/" + event_id
    response = daemon.post(an_event(event_id, app))
    assert response.status == 201
    for verb in ("status", "event", "delete"):
        found = daemon.get(path_of(verb, app, event_id))
        assert found.status == 200
        assert found.json()["event-id"] == event_id
        assert found.json()["application-id"] == app
    assert daemon.get(response.header("Location")).status == 404


def test_ids_byte_for_byte(daemon):
    """No case folding, no trailing spaces, no normal forms, no collation."""
    ids = ["Key", "key", "KEY", "key ", " key", "ke\u0301y", "k\u00e9y",
           "k\u00c9y", "ke\u0301y ", "ss", "\u00df", "key\u200b", "0", "00"]
    for n, event_id in enumerate(ids):
        event = an_event(event_id, "bytes", event=n)
        assert daemon.post(event).status == 201, event_id
    for n, event_id in enumerate(ids):
        assert daemon.event(event_id, "bytes")["event"] == n


def test_ids_do_not_run_together(daemon):
    assert daemon.post(an_event("bc", "a")).status == 201
    assert daemon.post(an_event("c", "ab")).status == 201


@pytest.mark.parametrize("path, status", [
    ("/cassata/status/none/none", 404),
    ("/cassata/event/none/none", 404),
    ("/cassata/delete/none/none", 404),
    ("/cassata/status/none", 404),
    ("/cassata/status/none/", 404),
    ("/cassata/status//none", 404),
    ("/cassata/status/a/b/c", 404),
    ("/cassata/status/a/%00", 404),
    ("/cassata/status/a/" + "x" * 256, 404),
    ("/cassata/status/a/%FF", 404),
    ("/cassata/status/a/%zz", 400),
    ("/cassata/status/a/%4", 400),
    ("/", 404), ("/cassata", 404), ("/cassata/", 404), ("/livez/", 404),
    ("/cassata/add/x", 404), ("/LIVEZ", 404), ("/cassata/../livez", 404),
])
def test_unknown(daemon, path, status):
    assert_problem(daemon.get(path), status)


# ---- status, event, delete ----

def test_status(daemon, name):
    before = time.time()
    daemon.post(an_event(name))
    response = daemon.get(path_of("status", "api", name))
    assert response.status == 200
    assert response.header("Content-Type") == "application/json"
    document = response.json()
    assert before - 0.01 <= document.pop("created") <= time.time() + 0.01
    assert document == {
        "application-id": "api", "event-id": name, "status": "PENDING",
        "expiry": FAR, "attempts": 0, "next-attempt": FAR}


def test_event_document(daemon, name):
    value = b'{ "b" : 1.0,\t"a":[1e400 , 123456789012345678901234567890] }'
    headers = ["Content-Type: text/x", "X-A:  b ", "X-Empty:"]
    body = json.dumps(an_event(
        name, event="HERE", method="PUT", request_headers=headers))
    added = daemon.post(body.encode().replace(b'"HERE"', value))
    assert added.status == 201, added
    response = daemon.get(path_of("event", "api", name))
    assert response.status == 200
    assert value in response.body
    document = response.json()
    del document["event"]
    assert document.pop("created") <= time.time() + 0.01
    accepted = [h.split(":")[0] for h in document.pop("request-headers")]
    assert accepted == ["Content-Type", "X-A", "X-Empty"]
    assert document == {
        "application-id": "api", "event-id": name, "status": "PENDING",
        "expiry": FAR, "attempts": 0, "next-attempt": FAR,
        "url": "http://127.0.0.1:1/", "method": "PUT", "attempt-log": []}


def test_event_document_defaults(daemon, name):
    daemon.post(an_event(name, event="a \"text\"\n\u00e9"))
    document = daemon.event(name, "api")
    assert document["method"] == "POST"
    assert document["request-headers"] == [
        "Content-Type: text/plain; charset=utf-8"]
    assert document["event"] == "a \"text\"\n\u00e9"


@pytest.mark.parametrize("expiry", [FAR + 0.125, FAR + 0.001, FAR + 0.5])
def test_expiry_to_the_millisecond(daemon, name, expiry):
    response = daemon.post(an_event(name, expiry=expiry))
    assert response.json()["expiry"] == expiry
    assert daemon.event(name, "api")["expiry"] == expiry


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_delete(daemon, name, method):
    path = path_of("delete", "api", name)
    daemon.post(an_event(name))
    response = daemon.request(method, path)
    assert response.status == 200
    assert response.json() == {"application-id": "api", "event-id": name,
                               "status": "DELETED",
                               "event-status": "PENDING"}
    assert_problem(daemon.request(method, path), 404)
    assert daemon.state(name, "api") is None
    assert daemon.post(an_event(name, event="new")).status == 201


def test_delete_by_get(launch, daemon, name):
    """It tells that it is of old, and can be switched off."""
    path = path_of("delete", "api", name)
    daemon.post(an_event(name))
    for status in (200, 404):
        response = daemon.request("GET", path)
        assert response.status == status
        assert response.header("Deprecation") == "@1795910400"
        assert 'rel="deprecation"' in response.header("Link")
    daemon.post(an_event(name))
    assert daemon.request("DELETE", path).header("Deprecation") is None
    c = launch(service={"getDelete": False})
    c.post(an_event(name))
    response = c.request("GET", path)
    assert_problem(response, 405)
    assert response.header("Allow") == "DELETE, OPTIONS"
    for method in "HEAD", "POST", "OPTIONS":
        assert c.request(method, path).header("Allow") == "DELETE, OPTIONS"
    assert c.request("DELETE", path).status == 200


# ---- health and metrics ----

@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health(daemon, path):
    response = daemon.get(path)
    assert response.status == 200
    assert response.json() == {"status": "ok"}


# ---- web pages ----

FORM = ("Content-Type", "application/x-www-form-urlencoded")
TEXT = ("Content-Type", "text/plain;charset=UTF-8")
PAGE = ("Referer", "http://evil.example/")
AGENT = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) "
                       "Gecko/20100101 Firefox/133.0")


def fetch_metadata(site, mode, dest):
    return [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest)]


# What browsers send for the reader of a page of another origin; the older
# ones, and all of them to an address that is no loopback, without Sec-Fetch.
PAGES = {
    "form": ("POST", [FORM, ("Origin", "http://evil.example"), PAGE], 403),
    "form-privacy": ("POST", [FORM, ("Origin", "null")], 403),
    "form-old": ("POST", [FORM, PAGE], 415),
    "fetch-text": ("POST", [TEXT, ("Origin", "https://evil.example")], 403),
    "fetch-same-host": (
        "POST", [TEXT, ("Origin", "http://localhost:3000")], 403),
    "fetch-fetched": ("POST", [
        TEXT, *fetch_metadata("same-site", "no-cors", "empty")], 403),
    "fetch-beacon": ("POST", [
        ("Content-Type", ""), *fetch_metadata("cross-site", "no-cors",
                                              "empty")], 403),
    "json": ("POST", [("Content-Type", "application/json"),
                      ("Origin", "http://evil.example")], 403),
    "json-fetched": ("POST", [
        ("Content-Type", "application/json"),
        *fetch_metadata("cross-site", "cors", "empty")], 403),
    "preflight": ("OPTIONS", [
        ("Origin", "http://evil.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type")], 403),
    "image": ("GET", [AGENT, PAGE, ("Accept", "image/avif,image/webp,*/*")],
              403),
    "image-no-referrer": ("GET", [AGENT], 403),
    "image-fetched": ("GET", fetch_metadata("cross-site", "no-cors", "image"),
                      403),
    "link": ("GET", [AGENT, *fetch_metadata("cross-site", "navigate",
                                            "document")], 403),
    "typed": ("GET", [AGENT, *fetch_metadata("none", "navigate", "document")],
              403),
    "rebound": ("DELETE", [("Host", "evil.example")], 421),
    "rebound-port": ("DELETE", [("Host", "evil.example:8085")], 421),
    "rebound-origin": ("DELETE", [
        ("Host", "evil.example"), ("Origin", "http://evil.example")], 421),
    "rebound-fetched": ("DELETE", [
        ("Host", "evil.example"),
        *fetch_metadata("same-origin", "cors", "empty")], 421),
}


@pytest.mark.parametrize("page", PAGES)
def test_web_pages_are_no_clients(daemon, name, page):
    method, headers, status = PAGES[page]
    assert daemon.post(an_event(name, event="kept")).status == 201
    path = path_of("delete", "api", name)
    body = None
    if method in ("POST", "OPTIONS"):
        path = "/cassata/add/"
    if method == "POST":
        body = json.dumps(an_event(name + "-more")).encode()
    response = daemon.request(method, path, body, headers)
    assert_problem(response, status)
    assert not [n for n, _ in response.headers
                if n.lower().startswith("access-control")]
    assert daemon.event(name, "api")["event"] == "kept"
    assert daemon.state(name + "-more", "api") is None


@pytest.mark.parametrize("path", [
    "/cassata/event/a/b", "/metrics", "/livez", "/nothing"])
@pytest.mark.parametrize("headers, status", [
    ([("Host", "evil.example")], 421),
    ([("Host", "localhost.evil.example")], 421),
    ([("Host", "127.0.0.1.evil.example")], 421),
    ([("Host", "10.1.2.3")], 421), ([("Host", "[fe80::1]")], 421),
    ([("Host", "127.0.0.1x")], 421),
    ([("Origin", "http://evil.example")], 403),
    ([("Origin", "")], 403), ([("Origin", "http://")], 403),
    ([("Origin", "localhost")], 403),
    ([("Sec-Fetch-Site", "cross-site")], 403),
    ([("Sec-Fetch-Site", "")], 403),
])
def test_foreign(daemon, headers, status, path):
    assert_problem(daemon.request("GET", path, headers=headers), status)


@pytest.mark.parametrize("headers", [
    [("Host", "127.0.0.1")], [("Host", "127.0.0.1:8085")],
    [("Host", "LocalHost:1")], [("Host", "localhost.")],
    [("Host", "127.1.2.3")], [("Host", "[::1]:80")],
    [("Host", socket.gethostname())],
    [("Host", "localhost:80"), ("Origin", "http://localhost:80")],
    [("Origin", "https://localhost")],
    [("Sec-Fetch-Site", "same-origin")], [("Sec-Fetch-Site", "none")],
])
def test_own_names(daemon, headers):
    assert daemon.request("GET", "/livez", headers=headers).status == 200
    assert daemon.request(
        "DELETE", "/cassata/delete/a/b", headers=headers).status == 404


def test_url_as_target_names_the_host(daemon):
    """RFC 9112, 3.2.2: its host counts, and Host does not."""
    for url, host, status in (("http://evil.example", b"localhost", 421),
                              ("http://localhost", b"evil.example", 200)):
        with Connection(daemon.port) as c:
            c.send(b"GET %s/livez HTTP/1.1\r\nHost: %s\r\n\r\n" % (
                url.encode(), host))
            assert c.read_response().status == status


def test_configured_names(launch):
    c = launch(service={"listen": "0.0.0.0", "hosts": ["a.example", "[::5]"]})

    def status(host, *headers):
        return c.request("GET", "/livez", headers=[
            ("Host", host), *headers]).status
    for host in ("a.example", "A.example:80", "[0::5]", "localhost",
                 "192.0.2.1", "[2001:db8::1]:8085"):
        assert status(host) == 200, host
    assert status("b.a.example") == 421
    # A proxy may pass its own name, or the one that its client used.
    assert status("127.0.0.1", ("Origin", "https://a.example")) == 200
    assert status("127.0.0.1", ("Origin", "https://192.0.2.1")) == 403
    c.configure(service={"hosts": ["*"]})
    assert c.reload() == "ok\n"
    wait_for(lambda: status("anything.example") == 200)  # of the new ones
    assert status("a.example", ("Origin", "http://b.example")) == 403


# ---- HTTP ----

@pytest.mark.parametrize("method, path, allow", [
    ("GET", "/cassata/add/", {"POST", "OPTIONS"}),
    ("PUT", "/cassata/add", {"POST", "OPTIONS"}),
    ("POST", "/cassata/status/a/b", {"GET", "HEAD", "OPTIONS"}),
    ("PATCH", "/cassata/delete/a/b", {"GET", "DELETE", "OPTIONS"}),
    ("HEAD", "/cassata/delete/a/b", {"GET", "DELETE", "OPTIONS"}),
    ("DELETE", "/cassata/event/a/b", {"GET", "HEAD", "PATCH", "OPTIONS"}),
    ("GET", "/cassata/run/a/b", {"POST", "OPTIONS"}),
    ("DELETE", "/cassata/retry/a/b", {"POST", "OPTIONS"}),
    ("POST", "/livez", {"GET", "HEAD", "OPTIONS"}),
    ("POST", "/readyz", {"GET", "HEAD", "OPTIONS"}),
    ("DELETE", "/metrics", {"GET", "HEAD", "OPTIONS"}),
    ("get", "/livez", {"GET", "HEAD", "OPTIONS"}),
    ("options", "/livez", {"GET", "HEAD", "OPTIONS"}),
])
def test_method_not_allowed(daemon, method, path, allow):
    response = daemon.request(method, path, b"{}" if method != "HEAD" else None)
    assert response.status == 405
    assert set(response.header("Allow").split(", ")) == allow
    if method != "HEAD":
        assert_problem(response, 405)


@pytest.mark.parametrize("path, allow", [
    ("*", {"GET", "HEAD", "PATCH", "POST", "DELETE", "OPTIONS"}),
    ("/cassata/add/", {"POST", "OPTIONS"}),
    ("/cassata/delete/a/none", {"GET", "DELETE", "OPTIONS"}),
    ("/cassata/status/a/none", {"GET", "HEAD", "OPTIONS"}),
    ("/livez?q", {"GET", "HEAD", "OPTIONS"}),
])
def test_options(daemon, path, allow):
    """What may be asked for; nothing is done."""
    with Connection(daemon.port) as c:
        c.send_request("OPTIONS", path, b"{}")
        response = c.read_response()
        assert response.status == 204
        assert set(response.header("Allow").split(", ")) == allow
        assert response.header("Content-Length") is None
        c.send_request("GET", "/livez")
        assert c.read_response().json() == {"status": "ok"}


def test_options_of_nothing(daemon):
    assert_problem(daemon.request("OPTIONS", "/none"), 404)


@pytest.mark.parametrize("path", [
    "/livez", "/metrics", "/cassata/status/a/none", "/cassata/status/api/head",
    "/cassata/event/api/head",
])
def test_head(daemon, path):
    daemon.post(an_event("head"))
    got = daemon.get(path)
    with Connection(daemon.port) as c:
        c.send_request("HEAD", path)
        head = c.read_response(head=True)
        c.send_request("GET", "/livez")  # nothing came between
        assert c.read_response().json() == {"status": "ok"}
    assert head.status == got.status
    assert head.header("Content-Type") == got.header("Content-Type")
    if path != "/metrics":
        assert head.header("Content-Length") == got.header("Content-Length")


@pytest.mark.parametrize("path", ["/livez", "/cassata/status/a/none", "/none"])
def test_response_headers(daemon, path):
    response = daemon.get(path)
    date = parsedate_to_datetime(response.header("Date"))
    assert abs(date.timestamp() - time.time()) < 60
    assert response.header("Date").endswith(" GMT")
    assert int(response.header("Content-Length")) == len(response.body)
    assert response.header("Content-Type")
    assert response.header("Connection") == "close"
    assert response.header("Transfer-Encoding") is None
    assert response.header("Cache-Control") == "no-store"
    assert response.header("X-Content-Type-Options") == "nosniff"


def test_keep_alive(daemon, name):
    with Connection(daemon.port) as c:
        for n in range(20):
            body = json.dumps(an_event("%s-%d" % (name, n))).encode()
            c.send_request("POST", "/cassata/add/", body)
            response = c.read_response()
            assert response.status == 201
            assert response.header("Connection") in (None, "keep-alive")


def test_requests_per_connection(launch):
    c = launch(service={"maxRequestsPerConnection": 3})
    with Connection(c.port) as connection:
        for n in range(3):
            connection.send_request("GET", "/livez")
            response = connection.read_response()
            assert response.status == 200
            assert (response.header("Connection") == "close") == (n == 2)
        assert connection.at_end()


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n"])
def test_last_answer_before_pipelined_rest(launch, header):
    """What comes behind the last answer is dropped, and cuts nothing off."""
    c = launch(service={"maxRequestsPerConnection": 3})
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % header
    with socket.create_connection(("127.0.0.1", c.port), 20) as s:
        s.sendall(request * 20000)
        s.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: s.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == (1 if header else 3)


def test_pipelining(daemon, name):
    """Answers come in the order of the requests, slow or not."""
    requests = b""
    for n in range(10):
        body = json.dumps(an_event("%s-%d" % (name, n))).encode()
        requests += (POST + HOST + JSON +
                     b"Content-Length: %d\r\n\r\n" % len(body)) + body
        requests += b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Connection(daemon.port) as c:
        c.send(requests)
        for n in range(10):
            response = c.read_response()
            assert response.json()["event-id"] == "%s-%d" % (name, n)
            assert c.read_response().json() == {"status": "ok"}


def test_request_in_single_bytes(daemon, name):
    body = json.dumps(an_event(name)).encode()
    data = (POST + HOST + JSON +
            b"Content-Length: %d\r\n\r\n" % len(body)) + body
    with Connection(daemon.port) as c:
        for byte in data:
            c.send(bytes([byte]))
        assert c.read_response().status == 201


def chunks_of(data, size):
    out = b""
    for i in range(0, len(data), size):
        part = data[i:i + size]
        out += b"%x;ext=\"v\"\r\n%s\r\n" % (len(part), part)
    return out + b"0\r\n"


@pytest.mark.parametrize("size", [1, 7, 100000])
@pytest.mark.parametrize("trailer", [b"", b"X-T: 1\r\nX-U: 2\r\n"])
def test_chunked(daemon, name, size, trailer):
    body = json.dumps(an_event(name, event="x" * 300)).encode()
    with Connection(daemon.port) as c:
        c.send(POST + HOST + JSON +
               b"Transfer-Encoding: chunked\r\n\r\n" + chunks_of(body, size) +
               trailer + b"\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert c.read_response().status == 201
        assert c.read_response().json() == {"status": "ok"}
    assert daemon.event(name, "api")["event"] == "x" * 300


def test_expect_continue(daemon, name):
    body = json.dumps(an_event(name)).encode()
    with Connection(daemon.port) as c:
        c.send(POST + HOST + JSON +
               b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert c.read_response().status == 100
        c.send(body)
        assert c.read_response().status == 201


def test_expect_unknown(daemon):
    with Connection(daemon.port) as c:
        c.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\n\r\n")
        assert_problem(c.read_response(), 417)


def test_http_1_0(daemon):
    with Connection(daemon.port) as c:
        c.send(b"GET /livez HTTP/1.0\r\n\r\n")
        response = c.read_response()
        assert response.status == 200
        assert c.at_end()


def test_http_1_0_keep_alive(daemon):
    with Connection(daemon.port) as c:
        for _ in range(3):
            c.send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = c.read_response()
            assert response.status == 200
            assert response.header("Connection").lower() == "keep-alive"


def test_absolute_form(daemon):
    with Connection(daemon.port) as c:
        c.send(b"GET http://localhost/livez?q HTTP/1.1\r\n"
               b"Host: localhost\r\n\r\n")
        assert c.read_response().status == 200


def test_query_is_ignored(daemon):
    assert daemon.get("/livez?a=b").status == 200


def test_half_closed_client(daemon, name):
    """A client that says it will send no more still gets its answer."""
    body = json.dumps(an_event(name)).encode()
    with Connection(daemon.port) as c:
        c.send_request("POST", "/cassata/add/", body)
        c.shutdown()
        assert c.read_response().status == 201
        assert c.at_end()




@pytest.mark.parametrize("data, status", [
    (b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (GET + HOST + b"X-A: " + b"x" * 200000 + b"\r\n\r\n", 431),
    (GET + HOST + b"X-A: b\r\n" * 200 + b"\r\n", 431),
    (POST + HOST + b"Content-Length: 1000000000\r\n\r\n", 413),
    (POST + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n", 413),
    (POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n3b9aca00\r\n", 413),
    (b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", 505),
], ids=["line", "header", "headers", "body", "body-huge", "chunk", "version"])
def test_limits(daemon, data, status):
    with Connection(daemon.port) as c:
        c.send(data)
        response = c.read_response()
        assert_problem(response, status)
        assert response.header("Connection") == "close"
        assert c.at_end()


SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("head", [
    POST + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    POST + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    POST + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n",
    POST + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n",
    POST + HOST + b"Content-Length: 5, 5\r\n",
    POST + HOST + b"Content-Length: +5\r\n",
    POST + HOST + b"Content-Length: -5\r\n",
    POST + HOST + b"Content-Length: 0x5\r\n",
    POST + HOST + b"Content-Length: \r\n",
    POST + HOST + b"Transfer-Encoding: chunked, chunked\r\n",
    POST + HOST + b"Transfer-Encoding: chunked\r\n"
                  b"Transfer-Encoding: chunked\r\n",
    POST + HOST + b"Transfer-Encoding: xchunked\r\n",
    POST + HOST + b"Transfer-Encoding: identity\r\n",
    POST + HOST + b"Transfer-Encoding: chunked, gzip\r\n",
    POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n",
    GET + HOST + b"X-A: b\r\n folded\r\n",
    GET + b" Host: localhost\r\n",
    GET + HOST + b"X-A : b\r\n",
    GET + HOST + b": b\r\n",
    GET + HOST + b"no colon\r\n",
    GET + HOST + b"X(A): b\r\n",
    GET + HOST + b"X-A: b\rc\r\n",
    GET + HOST + b"X-A: b\0c\r\n",
    GET + HOST + b"X-A\0: b\r\n",
    GET,
    GET + HOST + HOST,
    GET + b"Host:\r\n",
    GET + b"Host: localhost%zz\r\n",
    b"GET /livez HTTP/01.1\r\n" + HOST,
    b"GET /livez\r\n" + HOST,
    b"GET  /livez HTTP/1.1\r\n" + HOST,
    b"GET /livez  HTTP/1.1\r\n" + HOST,
    b"GET /li vez HTTP/1.1\r\n" + HOST,
    b"GET /livez HTTP/1.1 \r\n" + HOST,
    b"GET livez HTTP/1.1\r\n" + HOST,
    b"GET /livez http/1.1\r\n" + HOST,
    b"GET /livez HTTP/1.\r\n" + HOST,
    b"G\x01T /livez HTTP/1.1\r\n" + HOST,
    b"GET /\x01 HTTP/1.1\r\n" + HOST,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
])
def test_smuggling(daemon, head):
    """Where two readers could disagree, neither the request nor what follows
    it is served."""
    with Connection(daemon.port) as c:
        c.send(head + b"\r\n0\r\n\r\n" + SMUGGLED)
        response = c.read_response()
        assert_problem(response, 400)
        assert response.header("Connection") == "close"
        assert c.at_end()


@pytest.mark.parametrize("head", [
    POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n",
    b"CONNECT localhost:443 HTTP/1.1\r\n" + HOST,
], ids=["coding", "CONNECT"])
def test_not_implemented(daemon, head):
    with Connection(daemon.port) as c:
        c.send(head + b"\r\n0\r\n\r\n" + SMUGGLED)
        assert_problem(c.read_response(), 501)
        assert c.at_end()


@pytest.mark.parametrize("chunks", [
    b"5;\r\nhello\r\n0\r\n\r\n", b"5;bad[=x\r\nhello\r\n0\r\n\r\n",
    b"x\r\n", b"\r\n", b"-1\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5 5\r\nhello\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n",
    b"5\rX\nhello\r\n0\r\n\r\n", b"0\r\nbad trailer\r\n\r\n",
])
def test_bad_chunks(daemon, chunks):
    with Connection(daemon.port) as c:
        c.send(POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        response = c.read_response()
        assert_problem(response, 413 if chunks.startswith(b"ff") else 400)
        assert c.at_end()


def test_slow_and_silent_clients(launch):
    """Header and body time-outs are answered; an idle connection just ends."""
    # Each has said something by then.
    c = launch(service={"headerTimeout": "3s", "bodyTimeout": "3s",
                        "idleTimeout": "3s"})
    port = c.port
    with contextlib.ExitStack() as stack:
        head, body, served, silent = [
            stack.enter_context(Connection(port)) for _ in range(4)]
        head.send(GET)
        body.send(POST + HOST + b"Content-Length: 5\r\n\r\n{")
        served.send_request("GET", "/livez")
        assert served.read_response().status == 200
        for connection in head, body:
            assert_problem(connection.read_response(), 408)
        for connection in head, body, served, silent:
            assert connection.at_end()


@pytest.mark.parametrize("head", [
    GET + b"X: ", POST + HOST + b"Content-Length: 1000\r\n\r\n",
], ids=["head", "body"])
def test_trickling_clients(launch, head):
    """A byte now and then is no reason to wait any longer."""
    c = launch(service={"headerTimeout": "500ms", "bodyTimeout": "500ms"})
    with Connection(c.port) as connection:
        connection.send(head)
        for _ in range(100):
            if connection.readable():
                break
            connection.send(b"x")
            time.sleep(0.1)
        assert connection.readable()
        assert_problem(connection.read_response(), 408)


def connections_of(c):
    """Open connections, without the one that asks."""
    return metric(c.get("/metrics"), "cassata_connections") - 1


def metric(response, name):
    [line] = [line for line in response.body.decode().splitlines()
              if line.startswith(name + " ")]
    return int(line.split()[1])


def test_pipelining_leaves_others_their_turn(launch):
    c = launch(service={"processes": 1})
    [service] = c.children("service")
    with Connection(c.port) as greedy, Connection(c.port) as other:
        for connection in greedy, other:
            connection.send_request("GET", "/livez")
            assert connection.read_response().status == 200
        os.kill(service["pid"], signal.SIGSTOP)
        try:
            greedy.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000)
            other.send_request("GET", "/metrics")
        finally:
            os.kill(service["pid"], signal.SIGCONT)
        answered = metric(other.read_response(),
                          'cassata_http_requests_total{code="2xx"}')
        assert answered < 100
        for _ in range(2000):
            assert greedy.read_response().status == 200


def test_client_that_does_not_read(launch):
    """Its requests are not read either, and in the end it is cut off."""
    c = launch(service={"processes": 1, "writeTimeout": "300ms"})
    c.schedule("big", "http://127.0.0.1:1/", time.time() + 3600,
               event="x" * (1 << 20))
    with Connection(c.port) as connection:
        request = ("GET /cassata/event/app/big HTTP/1.1\r\n"
                   "Host: localhost\r\n\r\n").encode()
        connection.send(request * 50)
        # It was accepted before those that ask for it.
        wait_for(lambda: connections_of(c) == 0)
        answered = metric(c.get("/metrics"),
                          'cassata_http_requests_total{code="2xx"}')
        assert answered < 50


def test_connection_limit(launch):
    """At the limit a client takes the place of the one that is idle for the
    longest time, else of the one that makes the least progress."""
    c = launch(service={"processes": 1, "maxConnections": 3})
    expecting = [("Content-Length", "5001"), ("Expect", "100-continue")]
    with contextlib.ExitStack() as stack:
        def connect():
            return stack.enter_context(Connection(c.port))

        first, second, third = busy = [connect() for _ in range(3)]
        for connection in busy:
            connection.send_request("GET", "/metrics", headers=expecting)
            assert connection.read_response().status == 100
        for connection in first, third:
            connection.send(b"x" * 5000)
        fourth = connect()
        fourth.send_request("GET", "/metrics")
        answer = fourth.read_response()
        assert metric(answer, "cassata_connections") == 3
        assert metric(answer, "cassata_connections_displaced_total") == 1
        assert second.at_end()
        fifth = connect()
        fifth.send_request("GET", "/livez")
        assert fifth.read_response().status == 200
        assert fourth.at_end()
        for connection in first, third:
            connection.send(b"x")
            assert connection.read_response().status == 200


def limit_descriptors(pid, soft, hard):
    """As the user of the process: root may lack the right to."""
    facts = dict(re.findall(r"^(\w+):\t(\d+)",
                            read_text("/proc/%d/status" % pid), re.M))
    command = ["prlimit", "--pid", str(pid), "--nofile=%s:%s" % (soft, hard)]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", facts["Uid"], "--regid", facts["Gid"],
                   "--clear-groups", *command]
    subprocess.run(command, check=True)


def test_no_descriptors_left(launch):
    """New clients wait; the log has a line per pause, not one per request."""
    c = launch(service={"processes": 1})
    [service] = c.children("service")
    descriptors = Path("/proc/%d/fd" % service["pid"])
    limits = re.search(r"Max open files +(\d+) +(\d+)",
                       read_text("/proc/%d/limits" % service["pid"])).groups()
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(Connection(c.port))
        busy.send_request("GET", "/livez")
        assert busy.read_response().status == 200
        used = {int(path.name) for path in descriptors.iterdir()}
        limit_descriptors(service["pid"],
                          min(set(range(len(used) + 1)) - used), limits[1])
        port, started = c.port, time.monotonic()
        waiting = stack.enter_context(Connection(port))
        waiting.send_request("GET", "/livez")
        for _ in range(200):
            busy.send_request("GET", "/livez")
            assert busy.read_response().status == 200
        told = c.log_text().count("cannot accept")
        assert 1 <= told <= (time.monotonic() - started) / 0.1 + 1
        assert not waiting.readable()
        limit_descriptors(service["pid"], *limits)
        assert waiting.read_response().status == 200


def test_memory_of_idle_clients(launch):
    """Below 4 KiB each with what libevent needs, whatever was answered."""
    c = launch(service={"processes": 1})
    body = json.dumps({"%s-%02d" % ("x" * 70, n): 1
                       for n in range(30)})
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(Connection(c.port))
            connection.send_request("POST", "/cassata/add", body.encode())
            response = connection.read_response()
            assert 3000 < len(response.body) < 3900
        held = metric(c.get("/metrics"), "cassata_request_memory_bytes")
        assert held < 100 * 3000


def test_idle_clients_keep_nobody_out(launch):
    c = launch(service={"processes": 1, "maxConnections": 20,
                        "idleTimeout": "1h"})
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(Connection(c.port))
        for n in range(20):
            assert c.get("/livez").status == 200


def test_request_memory(launch):
    """Bodies that do not arrive hold memory up to a limit; beyond it a client
    is told to come again, and those that were there go on. Other addresses have
    their share."""
    c = launch(service={"processes": 1, "maxBodyBytes": "1MiB",
                        "maxRequestMemory": "8MiB"})
    document = json.dumps(an_event("memory", event="x" * 900000)).encode()
    head = (POST + HOST + JSON +
            b"Content-Length: %d\r\n\r\n" % len(document))
    with contextlib.ExitStack() as stack:
        slow, refused = [], None
        while refused is None:
            assert len(slow) < 10, "nothing was refused"
            connection = stack.enter_context(Connection(c.port))
            held = metric(c.get("/metrics"), "cassata_request_memory_bytes")
            connection.send(head + document[:-1])

            def settled():
                nonlocal refused
                if connection.readable():
                    refused = connection.read_response()
                    return True
                return metric(
                    c.get("/metrics"),
                    "cassata_request_memory_bytes") >= held + len(document)
            wait_for(settled)
            slow.append(connection)
        assert_problem(refused, 503)
        assert refused.header("retry-after") == "2"
        assert len(slow) > 2
        assert c.get("/livez").status == 200
        with Connection(c.port, source="127.0.0.2") as other:
            other.send(head + document.replace(b'"memory"', b'"others"'))
            assert other.read_response().status == 201
        first = slow[0]
        first.send(document[-1:])
        assert first.read_response().status == 201
        first.close()
    wait_for(lambda: metric(
        c.get("/metrics"), "cassata_request_memory_bytes") < 1 << 20)
    assert c.post(document).status == 200


def peak_memory(pid):
    """The most that a process ever had, in bytes."""
    status = Path("/proc/%d/status" % pid).read_text()
    return 1024 * int(re.search(r"^VmHWM:\s*(\d+) kB", status, re.M)[1])


def test_memory_of_events_read(prepare):
    """Who asks for large events waits, rather than have them all in memory."""
    c = prepare(service={"processes": 1, "maxRequestMemory": "20MiB"})
    sanitizer = c.environment()["ASAN_OPTIONS"] + ":quarantine_size_mb=1"
    c.start(env={"ASAN_OPTIONS": sanitizer})
    c.schedule("big", "http://127.0.0.1:1/", FAR, event="x" * 4000000)
    [service] = c.children("service")
    before = peak_memory(service["pid"])
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(c.port, 60))
                       for _ in range(30)]
        for connection in connections:
            connection.send_request("GET", "/cassata/event/app/big")
        for connection in connections:
            assert connection.read_response().status in (200, 503)
    assert peak_memory(service["pid"]) - before < 80 << 20


def test_body_limit(launch):
    c = launch(service={"maxBodyBytes": 2000})
    fits = json.dumps(an_event("fits")).encode()
    fits += b" " * (2000 - len(fits))
    assert c.post(fits).status == 201
    assert_problem(c.post(fits + b" "), 413)


def test_event_larger_than_bodies_now(launch):
    """What was accepted is shown, whatever may be added today."""
    c = launch(service={"maxBodyBytes": "2MiB"})
    c.schedule("large", "http://127.0.0.1:1/", FAR, event="x" * 2000000)
    c.configure(service={"maxBodyBytes": "1KiB"})
    c.reload()
    assert c.event("large")["event"] == "x" * 2000000


def test_many_clients(daemon, name):
    """As many connections as there is room for, all answered."""
    connections = [Connection(daemon.port) for _ in range(200)]
    for n, c in enumerate(connections):
        body = json.dumps(an_event("%s-%d" % (name, n))).encode()
        c.send_request("POST", "/cassata/add/", body)
    for c in connections:
        assert c.read_response().status == 201
        c.close()


def test_concurrent_same_event(daemon, name):
    """Of many at once exactly one creates."""
    connections = [Connection(daemon.port) for _ in range(20)]
    body = json.dumps(an_event(name)).encode()
    for c in connections:
        c.send_request("POST", "/cassata/add/", body)
    statuses = sorted(c.read_response().status for c in connections)
    for c in connections:
        c.close()
    assert statuses == [200] * 19 + [201]
