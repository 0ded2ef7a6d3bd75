# SPDX-License-Identifier: ISC
"""What a scrape finds, and where."""

import os
import re
import signal
import socket

import pytest

import client
from cassata import closed_port, wait_for

LATENESS = "cassata_lateness_seconds_total"


def values(text):
    """The numbers by name and labels; each line is what the format allows."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.match(r"# (HELP|TYPE) cassata_\w+ \S", line), line
            continue
        name, value = re.fullmatch(
            r"(cassata_\w+(?:{.*})?) (\d+(?:\.\d{3})?)", line).groups()
        assert name not in found
        found[name] = float(value)
    types = re.findall(r"^# TYPE (\S+)", text, re.M)
    assert sorted(types) == sorted(set(types))
    assert set(types) == {name.partition("{")[0] for name in found}
    return found


def scrape(c):
    response = c.get("/metrics")
    assert response.status == 200
    assert response.header("Content-Type").startswith("text/plain")
    return values(response.body.decode())


def test_added(daemon, sink, name):
    before = scrape(daemon)
    daemon.schedule(name, sink.url("/" + name))
    added = "cassata_events_added_total"
    # A moment later it may be the same answer.
    wait_for(lambda: scrape(daemon)[added] == before[added] + 1)


def test_units_are_seconds(daemon):
    """And what cassatactl shows has the same names and numbers."""
    found = scrape(daemon)
    assert not [name for name in found if re.search("_ms(_|$)", name)]
    assert {LATENESS, "cassata_loop_stalled_seconds_total"} <= set(found)
    assert set(daemon.status()["metrics"]) == set(found)


def test_lateness_of_what_came_too_late(daemon, sink, name):
    """It counts from when the event was accepted, not from 1970."""
    before = scrape(daemon)[LATENESS]
    daemon.schedule(name, sink.url("/" + name), expiry=0)
    daemon.wait_state(name, "COMPLETED")
    assert 0 <= scrape(daemon)[LATENESS] - before < 120
    assert daemon.status()["metrics"][LATENESS] < 600


def test_each_role_has_its_own(launch):
    service = launch(roles="service")
    found = scrape(service)
    assert 'cassata_http_requests_total{code="2xx"}' in found
    assert "cassata_store_failures_total" in found
    assert not [n for n in found if re.search("attempts|shards|worker", n)]
    worker = launch(roles="worker")
    found = worker.status()["metrics"]
    assert "cassata_shards_held" in found
    assert "cassata_store_failures_total" in found
    assert not [n for n in found if re.search("http|events_added|service", n)]


# ---- the listener of its own ----

OWN = {"metrics": "127.0.0.1:0"}


def own_port(c):
    """Where the child for metrics listens that came last."""
    return int(re.findall(r"metrics on 127.0.0.1 port (\d+)", c.log_text())[-1])


def scrape_own(c):
    response = client.request(own_port(c), "GET", "/metrics", is_api=False)
    assert response.status == 200
    return values(response.body.decode())


def test_worker_alone_can_be_scraped(launch, sink):
    service = launch(roles="service")
    worker = launch(roles="worker", master=OWN)
    service.schedule("e", sink.url("/e"))
    service.wait_state("e", "COMPLETED")
    wait_for(lambda: scrape_own(worker)[
        'cassata_attempts_total{outcome="delivered"}'] == 1)
    found = scrape_own(worker)
    assert not [n for n in found if re.search("http|events_added|service", n)]
    for method, path, status in [
            ("HEAD", "/metrics", 200), ("POST", "/metrics", 405),
            ("GET", "/", 404), ("GET", "/livez", 404)]:
        answer = client.request(own_port(worker), method, path, is_api=False)
        assert answer.status == status


def another(c, old):
    """The only child for metrics, once the old one is gone."""
    def only():
        found = [m["pid"] for m in c.children("metrics")]
        return found[0] if len(found) == 1 and found != [old] else None
    return wait_for(only)


def test_own_listener_after_changes(launch):
    """On one port: the next configuration's, and its successor's."""
    c = launch(master=OWN)
    [first] = c.children("metrics")
    c.configure(master={"metrics": "127.0.0.1:%d" % own_port(c)})
    assert c.reload() == "ok\n"
    second = another(c, first["pid"])
    assert scrape_own(c)
    os.kill(second, signal.SIGKILL)
    another(c, second)
    assert scrape_own(c)
    c.configure(master={"metrics": None})
    assert c.reload() == "ok\n"
    wait_for(lambda: c.children("metrics") == [])


def test_two_daemons_on_one_port(launch, prepare):
    """The second is refused, and says why; after a kill of all it is not."""
    first = launch(master=OWN)
    port = "127.0.0.1:%d" % own_port(first)
    second = prepare(master={"metrics": port})
    started = second.ctl("start")
    assert started.returncode != 0
    assert "master.metrics: cannot listen on %s: Address already in use" % (
        port) in started.stderr
    assert scrape_own(first)
    first.abandon()
    second.start()
    assert scrape_own(second)


def test_own_listener_bears_clients(launch):
    """More than it takes at a time that say nothing, too much or nonsense."""
    c = launch(master=OWN)
    port = own_port(c)
    silent = [socket.create_connection(("127.0.0.1", port))
              for _ in range(20)]
    for bytes_ in (b"GET /metrics HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 8192,
                   b"GET /metrics\r\n\r\n", b"\0" * 100,
                   b"POST /metrics HTTP/1.1\r\nHost: a\r\n"
                   b"Content-Length: 9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(bytes_)
            try:
                assert sock.recv(100)[:10] in (b"", b"HTTP/1.1 4")
            except ConnectionResetError:
                pass
    assert scrape_own(c)
    for sock in silent:
        sock.close()
    [child] = c.children("metrics")
    with open("/proc/%d/status" % child["pid"]) as f:
        facts = dict(line.split(":\t", 1) for line in f.read().splitlines())
    if os.geteuid() == 0:
        assert facts["Uid"].split()[0] != "0"
    assert facts["CapEff"].strip("0\n") == ""


@pytest.mark.parametrize("value", [
    "9085", "localhost:9085", "127.0.0.1", "127.0.0.1:65536", "[::1]", ":1",
    "u@127.0.0.1:1", "127.0.0.1:-1"])
def test_own_listener_needs_an_address(prepare, value):
    c = prepare(master={"metrics": value})
    done = c.ctl("check-config")
    assert done.returncode != 0
    assert "metrics must be an address and a port" in done.stderr


def test_own_listener_on_a_port_in_use(prepare):
    with closed_port() as sock:
        sock.listen()
        c = prepare(master={
            "metrics": "127.0.0.1:%d" % sock.getsockname()[1]})
        done = c.ctl("start")
        assert done.returncode != 0
        assert "master.metrics: cannot listen on 127.0.0.1" in done.stderr
