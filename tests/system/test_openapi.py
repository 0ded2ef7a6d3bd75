# SPDX-License-Identifier: ISC
"""The API's description: served, sound, and what the tests are held to."""

import copy
import http.server
import json
import threading

import pytest

import client
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


class Between(http.server.BaseHTTPRequestHandler):
    """Asks the daemon what cassatactl asks, as a test does."""

    protocol_version = "HTTP/1.1"
    port, faults, seen = 0, [], set()

    def body(self):
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def handle_one(self):
        body = self.body()
        headers = [(name, self.headers[name]) for name in (
            "Content-Type",) if self.headers[name]]
        self.seen.add((self.command, self.path.split("/")[2]))
        try:
            answer = client.request(self.port, self.command, self.path,
                                    body or None, headers)
        except AssertionError as error:
            self.faults.append(error)
            raise
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.header("Content-Type"))
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PATCH = do_DELETE = handle_one

    def log_message(self, *_):
        pass


@pytest.fixture
def between(daemon):
    """The words that lead cassatactl there."""
    Between.port = daemon.port
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "-S", "http://127.0.0.1:%d" % server.server_port
        server.shutdown()
    assert not Between.faults, Between.faults[0]


ASKED = [
    "event add -a {} -i a -t 1d --label x=y --attempts 2 --delays 1m "
    "--retry-on 5xx --on-failure http://a/ http://127.0.0.1:1/ body",
    "event add -a {} -i b --at-local 2037-03-28T09:00:00 --time-zone "
    "Europe/Berlin http://127.0.0.1:1/",
    "event list --status PENDING --label x=y --order -due --limit 3 {}",
    "event list --fields event-id,status --all {}", "event show {} a",
    'event change {} a {{"in":"2d"}}', "event why {} a", "pause -n why app {}",
    "pause -u 2h host a.example", "pauses", "resume app {}",
    "resume host a.example", "event run {} b", "event delete {} a",
    "schedule add -a {} --cron @daily --time-zone Europe/Berlin --gap after "
    "--count 3 --overlap queue --catch-up all --window 2d --jitter 5m s "
    "http://127.0.0.1:1/",
    "schedule list {}", "schedule show {} s", "schedule pause {} s",
    "schedule resume {} s", "schedule run {} s", "schedule delete {} s",
    "job start --status FAILED --destination a --label x=y --rate 5 --dry-run "
    "{} retry",
    "job start --to 2037-01-01T00:00:00Z --by 90m {} reschedule", "job list {}",
]


def test_what_cassatactl_asks(held, daemon, between, name):
    """Whatever it asks is described, and so is the answer."""
    def run(words, code=0):
        at = 1 if words[0] in ("pause", "pauses", "resume") else 2
        done = daemon.ctl(*words[:at], *between, "--json", *words[at:])
        assert done.returncode == code, done
        return done.stdout
    path = daemon.directory / "events"
    path.write_text(json.dumps({**NEW, "application-id": name}) + "\n")
    run(["event", "add", "--file", str(path)])
    for line in ASKED:
        answer = run(line.format(name).split(" "))
    job = json.loads(answer)["jobs"][0]["job"]
    run(["job", "show", name, job])
    for verb in "pause", "resume", "cancel":
        daemon.ctl("job", verb, *between, name, job)  # it may have ended
    run(["job", "delete", name, job])
    run(["event", "show", name, "nothing"], 1)
    assert {"add-batch", "event", "schedules", "jobs", "why", "pauses"} <= {
        what for _, what in Between.seen}
