# SPDX-License-Identifier: ISC
"""A test clock: what becomes due in thirty days comes at once, each at its
time and in its order, and nothing else knows of it."""

import datetime
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cassata import wait_for
from client import Connection, path_of
from sink import Reply
from test_schedule import made, moment, run_times
from test_upgrade import upgrade

CLOCK = "/cassata/admin/clock"
HOUR, DAY = 3600, 86400


@pytest.fixture
def start(prepare):
    def make(**kwargs):
        return prepare(flags=["--test-clock"], **kwargs).start()
    return make


def ask(connection, span, within="1h"):
    """It takes as long as what is due."""
    connection.send_request("POST", CLOCK, json.dumps(
        {"advance": span, "within": within}).encode())


def advance(c, span, within="1h"):
    with Connection(c.port, timeout=100) as connection:
        ask(connection, span, within)
        return connection.read_response()


def advanced(c, span):
    response = advance(c, span)
    assert response.status == 200, response
    return response.json()


def clock(c):
    response = c.get(CLOCK)
    assert response.status == 200, response
    return response.json()


def add(c, event_id, url, app="app", status=201, **members):
    event = {"application-id": app, "event-id": event_id, "event": {},
             "url": url}
    event.update({k.replace("_", "-"): v for k, v in members.items()})
    response = c.post(event)
    assert response.status == status, response
    return response.json()


def retries(attempts):
    return {"attempts": attempts, "delays": ["24h"], "jitter": 0}


def assert_daily(times):
    for before, after in zip(times, times[1:]):
        assert DAY <= after - before < DAY + HOUR


def test_thirty_days(start, sink):
    """Everything that goes by time, in the order of its times."""
    c = start(service={"publicUrl": "http://cassata.example"})
    sink.on("/again", 503)
    sink.on("/slow", Reply(202))
    now = clock(c)["now"]
    add(c, "again", sink.url("/again"), **{"in": "1h"}, retry=retries(4),
        on_failure=sink.url("/gone"))
    add(c, "slow", sink.url("/slow"), **{"in": "6h"}, complete_by="2d",
        retry=retries(2))
    add(c, "once", sink.url("/once"), **{"in": "20h"})
    noon = datetime.datetime.fromtimestamp(int(now) + 12 * HOUR,
                                           datetime.timezone.utc)
    made(c, "daily", sink.url("/daily"), every="1d", start=noon.isoformat())
    assert c.request("POST", "/cassata/pause/app/held",
                     b'{"until": "20d"}').status == 201
    add(c, "late", sink.url("/late"), "held", **{"in": "2h"},
        not_after=now + 10 * DAY)
    add(c, "kept", sink.url("/kept"), "held", **{"in": "3h"})
    ahead = advanced(c, "30d")
    assert ahead["ahead"] == 30 * DAY
    assert 30 * DAY <= ahead["now"] - now < 30 * DAY + HOUR
    due = [(1 + 24 * n, "/again") for n in range(4)]
    due += [(73.1, "/gone"), (6, "/slow"), (54, "/slow"), (20, "/once")]
    due += [(12 + 24 * n, "/daily") for n in range(30)] + [(480, "/kept")]
    assert [a.path for a in sink.arrivals()] == [p for _, p in sorted(due)]
    again = c.event("again")
    assert (again["status"], again["attempts"]) == ("FAILED", 4)
    times = [a["time"] for a in again["attempt-log"]]
    assert HOUR <= times[0] - now < 2 * HOUR
    assert_daily(times)
    assert again["finished"] == times[3]
    slow = c.event("slow")
    assert (slow["status"], slow["attempts"]) == ("FAILED", 2)
    assert "not acknowledged in time" in slow["last-error"]
    assert 102 * HOUR <= slow["finished"] - now < 103 * HOUR
    late, kept = c.event("late", "held"), c.event("kept", "held")
    assert (late["status"], late["attempts"]) == ("FAILED", 1)
    assert kept["status"] == "COMPLETED"
    for event in late, kept:
        assert 20 * DAY <= event["finished"] - now < 20 * DAY + HOUR
    daily = c.request("GET", path_of("schedules", "app", "daily")).json()
    assert (daily["runs"], daily["skipped"]) == (30, 0)
    runs = sorted(e["finished"] for e in c.get(
        "/cassata/events/app?limit=1000&status=COMPLETED").json()["events"]
        if e["event-id"].startswith("daily@"))
    assert len(runs) == 30
    assert 11 * HOUR < runs[0] - now < 13 * HOUR
    for before, after in zip(runs, runs[1:]):
        assert DAY - HOUR < after - before < DAY + HOUR


def test_in_steps(start, sink):
    """What is put off, and what is of a local time."""
    c = start()
    debounced = {"in": "5d", "on_conflict": "debounce"}
    add(c, "put-off", sink.url("/put-off"), **debounced)
    local = datetime.datetime.utcfromtimestamp(
        int(clock(c)["now"]) + 4 * DAY).isoformat()
    moment = add(c, "local", sink.url("/local"), at_local=local,
                 time_zone="Etc/UTC")["expiry"]
    advanced(c, "3d")
    add(c, "put-off", sink.url("/put-off"), status=200, **debounced)
    assert sink.arrivals() == []
    advanced(c, "3d")
    assert [a.path for a in sink.arrivals()] == ["/local"]
    event = c.event("local")
    assert event["expiry"] == moment
    assert moment <= event["finished"] < moment + HOUR
    event = c.event("put-off")
    assert event["status"] == "PENDING"
    assert DAY < event["expiry"] - clock(c)["now"] <= 2 * DAY
    # Its shard may just go from one worker to another.
    because = c.get(path_of("why", "app", "put-off")).json()["because"]
    assert "not-due" in [b["reason"] for b in because]
    assert advanced(c, "3d")["ahead"] == 9 * DAY
    assert [a.path for a in sink.arrivals()] == ["/local", "/put-off"]


def test_pause_just_before(start, sink):
    """However soon the clock goes on, workers know of it; and of its end."""
    c = start()
    for n in range(8):
        add(c, "e", sink.url("/held"), "app%d" % n, **{"in": "1h"})
        assert c.request("POST", "/cassata/pause/app/app%d" % n).status == 201
        advanced(c, "2h")
    assert sink.arrivals() == []
    for n in range(8):
        assert c.request("POST", "/cassata/resume/app/app%d" % n).status == 200
        advanced(c, "1h")
        assert len(sink.arrivals("/held")) == n + 1


def test_spread_further_than_apart(start, sink):
    """A run that its jitter makes late keeps none of the next ones away."""
    c = start()
    first = made(c, "s", sink.url("/s"), every="1m", jitter="5m",
                 overlap="allow", catch_up="none")["next"][0]
    advanced(c, "1h")
    times = run_times(sink, "s")
    wanted = [moment(first) + datetime.timedelta(minutes=n) for n in range(54)]
    assert set(wanted) <= set(times) and len(times) == len(set(times))
    for event in c.get("/cassata/events/app?limit=1000&status=COMPLETED"
                       ).json()["events"]:
        assert 0 <= event["finished"] - event["expiry"] < 10 * 60


def test_kept(start, sink):
    """By an upgrade; a start begins where it is told to."""
    c = start()
    add(c, "e", sink.url("/e"), **{"in": "10d"})
    advanced(c, "9d")
    upgrade(c)
    assert clock(c)["ahead"] == 9 * DAY
    status = c.status()
    assert status["test-clock-ahead"] == 9 * DAY
    assert "test clock %d.0 s ahead" % (9 * DAY) in c.ctl("status").stdout
    assert "a test clock runs" in c.log_text()
    c.stop()
    c.flags = ["--test-clock=10d"]
    c.start()
    assert clock(c)["ahead"] == 10 * DAY
    sink.wait("/e")
    # It is the daemon's, and none of cassatactl's.
    result = c.ctl("clock", "advance", "36h")
    assert result.returncode == 0, result
    assert result.stdout.endswith("Z, 276h ahead\n")
    assert clock(c)["ahead"] == 276 * HOUR
    assert json.loads(c.ctl("clock", "--json").stdout)["ahead"] == 276 * HOUR
    assert c.ctl("clock", "advance").returncode == 2
    assert c.ctl("clock", "advance", "soon").returncode == 1
    result = c.ctl("clock", "advance", "1h", "--json")
    assert json.loads(result.stdout)["ahead"] == 277 * HOUR
    now = clock(c)["now"]
    added = c.ctl("event", "add", "-i", "new", "-t", "7.5", sink.url("/new"))
    assert json.loads(added.stdout)["expiry"] >= now + 7.5


def test_upgrade_takes_nothing_back(start, sink):
    """The new one begins where the old one has ended."""
    c = start()
    made(c, "hourly", sink.url("/hourly"), every="1h")
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(advance, c, "3000d")
        sink.wait("/hourly")
        upgrade(c)
        response = response.result()
    assert response.status == 503
    assert response.json()["type"] == "urn:cassata:problem:draining"
    daily = c.request("GET", path_of("schedules", "app", "hourly")).json()
    assert moment(daily["last-run"].partition("@")[2]).timestamp() <= (
        clock(c)["now"])
    now = clock(c)
    assert advanced(c, "1h")["ahead"] == pytest.approx(now["ahead"] + HOUR)


def test_stands(start, sink):
    """It does not go on while what is due is not done."""
    c = start(worker={"numWorkerThreads": 1, "deliveryTimeout": "1s",
                      "connectTimeout": "1s"})
    worker, = c.children("worker")
    add(c, "e", sink.url("/e"), **{"in": "1d"})
    os.kill(worker["pid"], signal.SIGSTOP)
    try:
        response = advance(c, "2d")
    finally:
        os.kill(worker["pid"], signal.SIGCONT)
    assert response.status == 409
    assert response.json()["type"] == "urn:cassata:problem:clock-stands"
    assert DAY - HOUR < clock(c)["ahead"] <= DAY
    advanced(c, "1d")
    assert c.state("e") == "COMPLETED"


def test_parts(start, sink):
    """A call has an end, and the next one goes on."""
    c = start()
    made(c, "hourly", sink.url("/hourly"), every="1h")
    left, before, n = "1d", 0, 0
    while left:
        response = advance(c, left, within="1ms")
        answer, n = response.json(), n + 1
        assert answer["ahead"] > before
        before, left = answer["ahead"], answer.get("left")
        assert response.status == (202 if left else 200)
    assert before == DAY
    assert 2 <= n <= 25
    assert 23 <= len(sink.arrivals()) <= 25


def stands(c, sink):
    """As long as many others are delivered."""
    ahead = clock(c)["ahead"]
    for n in range(30):
        name = "now%d-%d" % (n, ahead * 1000)
        add(c, name, sink.url("/" + name), **{"in": "0s"})
        sink.wait("/" + name)
    return clock(c)["ahead"] == ahead


def test_client_ends(start, sink):
    """The clock goes nowhere for nobody."""
    c = start()
    made(c, "hourly", sink.url("/hourly"), every="1h")
    with Connection(c.port, timeout=100) as connection:
        ask(connection, "3000d")
        sink.wait("/hourly")
        connection.shutdown()  # who only says so gets an answer
        response = connection.read_response()
    assert response.status == 202, response
    assert HOUR - 1 <= response.json()["ahead"] < 3000 * DAY
    assert clock(c)["ahead"] == response.json()["ahead"]
    n = len(sink.arrivals())
    connection = Connection(c.port)
    ask(connection, "2000d")
    sink.wait("/hourly", n + 1)
    connection.close()
    wait_for(lambda: stands(c, sink), what="a clock that stands")


def test_refused(start):
    """Requests that make no sense, and changes of the configuration."""
    c = start()
    assert clock(c)["ahead"] == 0
    for body in (b'{"advance": "-1d"}', b'{"advance": 30}', b"{}", b"[]",
                 b'{"advance": "0s"}', b'{"advance": "1d", "b": 1}',
                 b'{"advance": "3651d"}', b'{"advance": "soon"}',
                 b'{"within": "1s"}', b'{"advance": "1d", "within": "61m"}',
                 b'{"advance": "1d", "within": 1}',
                 b'{"advance": "1d", "within": "0s"}'):
        response = c.request("POST", CLOCK, body)
        assert response.status == 422, response
    assert c.request("POST", CLOCK, b"{").status == 400
    assert c.request("POST", CLOCK, b'{"advance": "1d"}',
                     [("Content-Type", "text/plain")]).status == 415
    assert c.request("DELETE", CLOCK).status == 405
    assert clock(c)["ahead"] == 0
    c.ctl("freeze")
    assert advance(c, "1d").status == 503
    c.ctl("thaw")
    c.configure(service={"listen": "0.0.0.0"})
    assert "loopback" in c.reload()
    assert advanced(c, "3650d")["ahead"] == 3650 * DAY
    assert advance(c, "1ms").status == 422


def test_absent(launch, prepare):
    """No daemon has one that was not told to, and few may."""
    c = launch()
    for method, body in ("GET", None), ("POST", b'{"advance": "1d"}'), (
            "OPTIONS", None):
        assert c.request(method, CLOCK, body).status == 404
    assert "test-clock-ahead" not in c.status()
    for words in ["clock"], ["clock", "advance", "1d"], ["clock", "--json"]:
        done = c.ctl(*words)
        assert done.returncode == 1 and "cassatad --test-clock" in done.stderr
    c.stop()
    for reason, kwargs in (
            ("loopback", {"service": {"listen": "0.0.0.0"}}),
            ("in one daemon", {"roles": "service"}),
            ("in one daemon", {"roles": "worker"})):
        other = prepare(flags=["--test-clock"], **kwargs)
        result = other.run(*other.command())
        assert result.returncode == 1, result
        assert reason in result.stderr
    other.flags = ["--test-clock=soon"]
    assert other.run(*other.command()).returncode == 2


def test_real_time(start, sink):
    """What is no event's keeps its time: leases, retention, the log."""
    c = start(worker={"retention": "1d", "lease": "10s"})
    add(c, "e", sink.url("/e"), **{"in": "1d"})
    before = wait_for(lambda: int(c.store.sql(  # none may have told of itself
        "SELECT COALESCE(MAX(seen_ms), 0) FROM instance")[0][0]))
    advanced(c, "3000d")
    assert c.state("e") == "COMPLETED"
    (after,), = c.store.sql("SELECT MAX(seen_ms) FROM instance")
    assert int(after) - before < HOUR * 1000
    assert c.store.sql("SELECT COUNT(*) FROM lease")[0][0] in (64, "64")
    year = "%d-" % time.gmtime().tm_year
    assert all(line.startswith(year) for line in
               c.log_text().splitlines() if line[:2] == "20")
