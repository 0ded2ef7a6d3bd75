# SPDX-License-Identifier: ISC
"""The API's description: served, sound, and what the tests are held to."""

import copy
import json

import pytest

import contract

PATH = "/cassata/openapi.json"


def test_served(daemon, builddir):
    response = daemon.get(PATH)
    assert response.status == 200
    assert response.header("Content-Type") == "application/json"
    assert response.body == (builddir / "openapi.json").read_bytes()
    assert response.json()["openapi"] == "3.1.0"

    tag = response.header("ETag")
    head = daemon.request("HEAD", PATH)
    assert (head.status, head.header("ETag")) == (200, tag)
    assert int(head.header("Content-Length")) == len(response.body)
    for known, status in [(tag, 304), ('"other", W/' + tag, 304), ("*", 304),
                          ('"other"', 200), (tag[:-2] + '"', 200)]:
        again = daemon.request("GET", PATH, headers=[("If-None-Match", known)])
        assert (again.status, again.header("ETag")) == (status, tag)
        assert bool(again.body) == (status == 200)
    assert daemon.request("POST", PATH, b"{}").header("Allow") == (
        "GET, HEAD, OPTIONS")


@pytest.fixture(scope="module")
def held(builddir):
    if contract.contract is None:
        pytest.skip("there is no python3-jsonschema")
    return contract.contract


def test_schemas_are_sound(held):
    """And closed: an object of an answer or a request lists its members."""
    for name, schema in held.document["components"]["schemas"].items():
        contract.Draft202012Validator.check_schema(schema)
        for part in [schema, *schema.get("oneOf", ())]:
            if "properties" in part:
                assert part.get("additionalProperties") is False, name
            if part.get("type") == "object" and "oneOf" not in part:
                assert set(part.get("required", ())) <= set(
                    part.get("properties", ())), name


def test_components_are_used(held):
    text = json.dumps(held.document)
    for kind, components in held.document["components"].items():
        for component in components:
            assert '#/components/%s/%s"' % (kind, component) in text


GOOD = ("GET", "/cassata/status/a/b%2Fc", (None, b""), 200, "application/json",
        {"application-id": "a", "event-id": "b/c", "status": "PENDING",
         "expiry": 1.5, "created": 1, "attempts": 0})
PROBLEM = {"type": "about:blank", "title": "t", "status": 404, "detail": "d"}
NEW = {"application-id": "a", "event": 1, "url": "http://a/", "in": "1s"}
ADDED = {"application-id": "a", "event-id": "b", "status": "PENDING",
         "expiry": 1}


def faults(held, method, target, request, status, media, value):
    return list(held.all_faults(method, target, request, status, media,
                                json.dumps(value).encode()))


@pytest.mark.parametrize("change, fault", [
    ({}, None),
    ({5: {**GOOD[5], "new": 1}}, "'new' was unexpected"),
    ({5: {**GOOD[5], "status": "LOST"}}, "'LOST' is not one of"),
    ({5: {"application-id": "a"}}, "is a required property"),
    ({3: 418}, "status 418 is not described"),
    ({4: "text/plain"}, "text/plain is not described"),
    ({1: "/cassata/nothing"}, "status 200 is not described"),
    ({0: "PUT"}, "status 200 is not described"),
    ({1: GOOD[1] + "?new=1"}, "query ['new'] is not described"),
    ({2: ("application/json", b"{}")}, "request: application/json is not"),
    ({3: 404, 4: "application/problem+json", 5: PROBLEM}, None),
    ({3: 404, 4: "application/problem+json",
      5: {**PROBLEM, "type": "urn:cassata:problem:new"}}, "is not one of"),
], ids=str)
def test_faults_are_found(held, change, fault):
    exchange = [change.get(i, part) for i, part in enumerate(GOOD)]
    found = faults(held, *exchange)
    assert bool(found) == (fault is not None)
    assert fault is None or any(fault in text for text in found), found


@pytest.mark.parametrize("member", [None, "new", "in"])
def test_request_members(held, member):
    """One that the server takes must be described; two times are no event."""
    event = copy.deepcopy(NEW)
    if member:
        event["expiry" if member == "in" else member] = 1
    body = json.dumps(event).encode()
    found = faults(held, "POST", "/cassata/add", ("application/json", body),
                   201, "application/json", ADDED)
    assert bool(found) == (member is not None), found


def test_lines(held):
    lines = b'{"response-code":201,%s}\n' % json.dumps(ADDED)[1:-1].encode()
    exchange = ["POST", "/cassata/add-batch/",
                ("application/x-ndjson", json.dumps(NEW).encode()), 200,
                "application/x-ndjson"]
    assert not list(held.all_faults(*exchange, lines * 3))
    assert list(held.all_faults(*exchange, lines + b'{"response-code":201}\n'))
