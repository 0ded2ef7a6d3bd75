# SPDX-License-Identifier: ISC
"""Starting, stopping, reloading and killing: nothing accepted is lost."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import pytest

from cassata import (
    SqliteStore, free_port, is_gone, open_files, read_text, wait_for,
    wait_shares)
from client import Connection, path_of
from sink import Reply

ENDED = ("COMPLETED", "FAILED")
FAILING = 150  # status: what the datastore is


def pids(children):
    return {c["pid"] for c in children}


def kill_child(pid):
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(pid), 10, "end of the child")


class Clients:
    """Threads that post events, due now, until they are told to stop. Every
    other one keeps its connection as long as the server does."""

    def __init__(self, port, url, n=4):
        self._port = port
        self._url = url
        self._ending = threading.Event()
        self.accepted = []
        self.failures = []
        self._threads = [
            threading.Thread(target=self._run, args=(i, i % 2 == 0))
            for i in range(n)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        self._ending.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number, keeps):
        connection = None
        n = 0
        while not self._ending.is_set():
            event_id = "client-%d-%d" % (number, n)
            n += 1
            body = ('{"event-id":"%s","application-id":"app","event":1,'
                    '"expiry":0,"url":"%s"}' % (event_id, self._url)).encode()
            try:
                connection = connection or Connection(self._port)
                connection.send_request("POST", "/cassata/add/", body)
                response = connection.read_response()
                if response.status == 201:
                    self.accepted.append(event_id)
                else:
                    self.failures.append(response)
                if not keeps or response.header("Connection") == "close":
                    connection.close()
                    connection = None
            except OSError as e:
                self.failures.append(e)
                connection = None
            time.sleep(0.005)


def assert_all_delivered(c, clients, seconds=30):
    assert clients.accepted
    for event_id in clients.accepted:
        c.wait_state(event_id, "COMPLETED", seconds=seconds)


# ---- stop and start ----

def test_restart_loses_nothing(prepare, sink):
    """Waiting, between two attempts, and on the wire when the time is up: there
    it was not the destination that failed, so another attempt follows the
    last."""
    # An eighth of it is for writing the results of those on the wire.
    c = prepare(master={"shutdownTimeout": "8s"},
                worker={"retryDelays": ["8s"]}).start()
    for name in "hung", "slow", "late":
        sink.on("/" + name, Reply(200, gate=sink.gate()),
                500 if name == "slow" else 200)
        c.schedule(name, sink.url("/" + name), **(
            {} if name == "hung" else {"retry": {"attempts": 1}}))
        sink.wait("/" + name)
    sink.on("/retried", 503, 200)
    c.schedule("retried", sink.url("/retried"))
    c.schedule("far", sink.url("/far"), expiry=time.time() + 3600)
    c.wait_state("retried", "SERVICE_UNAVAILABLE")
    for n in range(5):
        c.schedule("waiting%d" % n, sink.url("/waiting"),
                   expiry=time.time() + 10)
    c.stop()
    assert sink.arrivals("/waiting") == []

    c.start()
    assert c.wait_state("hung", "COMPLETED")["attempts"] == 2
    assert c.wait_state("slow", *ENDED)["status"] == "FAILED"
    assert c.wait_state("late", *ENDED)["status"] == "COMPLETED"
    for name in "slow", "late":
        assert [a.header("Cassata-Attempt") for a in sink.arrivals(
            "/" + name)] == ["1", "2"]
    assert c.wait_state("retried", "COMPLETED")["attempts"] == 2
    for n in range(5):
        assert c.wait_state("waiting%d" % n, "COMPLETED")["attempts"] == 1
    assert c.state("far") == "PENDING"
    assert len(sink.arrivals("/waiting")) == 5
    assert len(sink.arrivals("/hung")) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_finishes_deliveries(prepare, sink, number):
    c = prepare().start()
    gate = sink.gate()
    sink.on("/slow", Reply(200, gate=gate))
    for n in range(10):
        c.schedule("slow%d" % n, sink.url("/slow"))
    sink.wait("/slow", 10)
    due = time.time() + 4
    c.schedule("next", sink.url("/next"), expiry=due)
    c.send(number)
    wait_for(lambda: c.status()["state"] == "draining", 10, "the drain")
    # It becomes due, and is not begun.
    wait_for(lambda: time.time() > due + 0.2)
    assert c.process.poll() is None
    assert sink.arrivals("/next") == []
    gate.set()
    c.stop(number=number)
    c.start()
    for n in range(10):
        assert c.wait_state("slow%d" % n, "COMPLETED")["attempts"] == 1
    c.wait_state("next", "COMPLETED")
    assert len(sink.arrivals("/slow")) == 10


def add_all(c, ids, url, expiry):
    """In one request."""
    response = c.request("POST", "/cassata/add-batch/", json.dumps([
        {"application-id": "app", "event-id": event_id, "event": {},
         "expiry": expiry, "url": url} for event_id in ids]).encode())
    assert [r["response-code"] for r in response.json()] == [201] * len(ids)


def n_in(c, state):
    """Events in that state."""
    return len(c.get("/cassata/events/app?fields=event-id&limit=1000&status=" +
                     state).json()["events"])


def test_stop_gives_held_claims_back(prepare, sink):
    """Claimed ahead of their time and not begun: as if never claimed."""
    c = prepare(worker={"claimAhead": "10s"})
    n = 50
    for n_try in range(5):
        c.configure(worker={"claimAhead": "10s"})
        c.start()
        ids = ["held%d-%d" % (n_try, i) for i in range(n)]
        path, due = "/held%d" % n_try, time.time() + 10
        add_all(c, ids, sink.url(path), due)
        wait_for(lambda: n_in(c, "PROCESSING") == n or time.time() > due)
        c.stop()
        is_in_time = time.time() < due
        if is_in_time:
            break
    assert is_in_time
    assert sink.arrivals(path) == []
    c.configure(worker={"claimAhead": 0})
    c.start()
    for event_id in ids:
        event = wait_for(lambda: [e for e in [c.event(event_id)]
                                  if e["status"] != "PROCESSING"])[0]
        assert event["status"] in ("PENDING", *ENDED)
        assert event["attempts"] == (0 if event["status"] == "PENDING" else 1)
    sink.wait(path, n)


def test_stop_amid_a_claim(prepare, store, sink):
    """What a claim brings after the stop is not begun either."""
    c = prepare(worker={"numWorkerThreads": 1, "claimAhead": "1s"}).start()
    n = 10
    for n_try in range(5):
        ids = ["e%d-%d" % (n_try, i) for i in range(n)]
        path, due = "/e%d" % n_try, time.time() + 3
        add_all(c, ids, sink.url(path), due)
        with store.locked():
            is_in_time = time.time() < due - 1.2  # no claim has begun
            if is_in_time:
                wait_for(lambda: time.time() > due - 0.2)
                c.send(signal.SIGTERM)
                wait_for(lambda: c.status()["state"] == "draining", 10,
                         "the drain")
                break
    assert is_in_time
    c.stop()
    assert sink.arrivals(path) == []
    c.start()
    for event_id in ids:
        assert c.wait_state(event_id, *ENDED)["attempts"] == 1


def test_stop_while_clients_post(prepare, sink):
    """What was answered with 201 is delivered after the next start, and no
    request is cut: a client just finds nobody any more."""
    c = prepare().start()
    with Clients(c.port, sink.url("/e")) as clients:
        sink.wait("/e", 20)
        c.stop()
    assert [f for f in clients.failures
            if not isinstance(f, ConnectionRefusedError)] == []
    c.start()
    assert_all_delivered(c, clients)


def test_stop_reads_for_nobody(launch, store, sink):
    """Of the look-ups that wait at a stop those are not made whose client sends
    no more: it may be gone."""
    c = launch(roles="service", service={"processes": 1},
               datastore={"timeout": "60s"})
    c.schedule("e", sink.url("/e"), expiry=4102444800)
    with contextlib.ExitStack() as stack:
        idle, adding, *asking = [stack.enter_context(Connection(c.port))
                                 for _ in range(6)]

        def let_it_take(conn, *request):
            """Two turns of its loop: what was sent is with the datastore."""
            conn.send_request(*request)
            for _ in range(2):
                idle.send_request("GET", "/livez")
                assert idle.read_response().status == 200
        with store.locked():
            let_it_take(adding, "POST", "/cassata/add/", json.dumps({
                "event-id": "new", "application-id": "app", "event": 1,
                "expiry": 4102444800, "url": sink.url("/e")}).encode())
            for conn in asking:
                let_it_take(conn, "GET", path_of("event", "app", "e"))
            asking[2].shutdown()
            c.send(signal.SIGTERM)
            assert idle.at_end()
        assert adding.read_response().status == 201
        assert [conn.read_response().status for conn in asking] == [
            200, 200, 503, 200]


def test_stop_answers_requests_begun(prepare):
    """A request whose beginning was read before the stop gets its answer."""
    c = prepare().start()
    body = (b'{"event-id":"half","application-id":"app","event":1,'
            b'"expiry":4102444800,"url":"http://127.0.0.1:1/"}')
    with Connection(c.port) as idle, Connection(c.port) as half:
        idle.send_request("GET", "/livez")
        idle.read_response()
        half.send(b"POST /cassata/add/ HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/json\r\nExpect: "
                  b"100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert half.read_response().status == 100
        c.send(signal.SIGTERM)
        wait_for(lambda: c.status()["state"] == "draining", 10, "the drain")
        half.send(body)
        response = half.read_response()
        assert response.status == 201
        assert response.header("Connection") == "close"
        assert half.at_end() and idle.at_end()
    c.stop()


def test_stop_waits_for_no_deaf_client(prepare):
    """Nor for one that sends slowly: neither has all of shutdownTimeout."""
    c = prepare(master={"shutdownTimeout": "1h"},
                service={"headerTimeout": "1h", "bodyTimeout": "1h",
                         "writeTimeout": "1h"}).start()
    c.schedule("big", "http://127.0.0.1:1/", 4102444800, event="x" * 1000000)
    with Connection(c.port) as deaf, Connection(c.port) as half:
        deaf.shrink()
        deaf.send(b"GET /cassata/event/app/big HTTP/1.1\r\n"
                  b"Host: localhost\r\n\r\n" * 20)
        wait_for(deaf.readable)
        half.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET")
        assert half.read_response().status == 200
        c.stop(60)
        assert half.read_response().status == 408


def test_stop_while_starting(prepare):
    """A stop at any moment of the start is a stop, and leaves nothing."""
    for delay in (0, 0.02, 0.1, 0.3):
        c = prepare()
        c.spawn()
        time.sleep(delay)
        c.send(signal.SIGTERM)
        code = c.process.wait(100)
        c.process = None
        # Before its handlers are there a process ends as any other.
        assert code in (0, -signal.SIGTERM), c.log_text()
        assert not c.processes()


# ---- kill -9 ----

@pytest.mark.parametrize("how_many", [1, 2])
def test_killed_workers(launch, store, sink, how_many):
    """Their claims come back at once, not after the lease."""
    c = launch(worker={"numWorkerThreads": 2, "lease": "10m",
                       "workerThreadPollingInterval": "10m"})
    wait_for(lambda: [int(n) for _, n in store.sql(
        "SELECT owner, COUNT(*) FROM lease GROUP BY owner")] == [32, 32],
             20, "an equal share")
    gate = sink.gate()
    n = 0
    # Shards are drawn by lot, of those that the workers say that they hold: one
    # may not have said so yet.
    while n < 16 or len(store.sql("SELECT owner FROM event WHERE status = 1"
                                  " GROUP BY owner")) < 2:
        assert n < 200
        sink.on("/%d" % n, Reply(200, gate=gate), 200)
        c.schedule("e%d" % n, sink.url("/%d" % n))
        sink.wait("/%d" % n)
        n += 1
    before = pids(c.children("worker"))
    assert len(before) == 2
    killed = sorted(before)[:how_many]
    for pid in killed:
        kill_child(pid)
    wait_for(lambda: len(pids(c.children("worker"))) == 2 and
             not pids(c.children("worker")) & set(killed), 20, "new workers")
    wait_for(lambda: len(sink.arrivals()) > (n if how_many == 1 else 2 * n - 1),
             20, "another delivery")
    gate.set()
    for i in range(n):
        event = c.wait_state("e%d" % i, *ENDED)
        assert event["status"] == "COMPLETED"
        assert event["attempts"] == 1
        assert event["attempt-log"] == []
    assert c.status()["pid"] == c.pid


def test_killed_service(launch, sink):
    c = launch(service={"processes": 2})
    port = c.port
    before = pids(c.children("service"))
    killed = min(before)
    kill_child(killed)
    for n in range(50):  # the other one serves
        with Connection(port) as connection:
            connection.send_request("GET", "/readyz")
            assert connection.read_response().status == 200
    wait_for(lambda: len(pids(c.children("service")) - {killed}) == 2, 20,
             "a new service")
    c.schedule("after", sink.url("/after"))
    c.wait_state("after", "COMPLETED")


@pytest.mark.parametrize("role", ["service", "worker"])
def test_broken_promise(prepare, sink, role):
    """The log tells what a child found broken; another one takes over."""
    c = prepare(service={"processes": 2}, worker={"numWorkerThreads": 2})
    victim = c.directory / "victim"
    victim.write_bytes(struct.pack("i", 0))
    c.start(env={"NO_TIMERS": str(victim),
                 **c.preload(c.build_preload("promise"))})
    before = pids(c.children("service") + c.children("worker"))
    pid = c.children(role)[0]["pid"]
    with open(str(victim), "r+b") as f:
        f.write(struct.pack("i", pid))

    def connected_until_gone():
        # Whichever takes it.
        try:
            c.get("/livez")
        except ConnectionError:
            pass
        return is_gone(pid)
    wait_for(connected_until_gone, what="its end")
    wait_for(lambda: len(pids(c.children(role)) - {pid}) == 2,
             what="its successor")
    after = pids(c.children("service") + c.children("worker"))
    assert before - after == {pid}
    lines = [line for line in c.log_text().splitlines()
             if "broken promise: " in line]
    assert len(lines) == 1, lines
    assert re.search(r"loop\.c:\d+: loop_timer_set: ", lines[0])
    assert "%s " % role in lines[0] and "[%d]" % pid in lines[0], lines
    assert "(pid %d) died from SIGABRT" % pid in c.log_text()
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert len(sink.arrivals("/e")) == 1


def test_killed_children_at_random(launch, sink):
    """Events and clients meanwhile: nothing accepted is lost."""
    c = launch(worker={"numWorkerThreads": 3, "lease": "10m"},
               service={"processes": 2})
    dice = random.Random(1)
    with Clients(c.port, sink.url("/e")) as clients:
        for _ in range(8):
            role = dice.choice(["service", "worker"])
            children = wait_for(lambda: c.children(role), 20, "a " + role)
            kill_child(dice.choice(children)["pid"])
            time.sleep(0.2)
    assert_all_delivered(c, clients)


def test_killed_master(prepare, sink):
    """No orphan stays, and a new start works at once, on the same port."""
    # An eighth of it is for writing the results of orphans.
    c = prepare(service={"port": free_port()},
                master={"shutdownTimeout": "8s"}).start()
    gate = sink.gate()
    sink.on("/hung", Reply(200, gate=gate), 200)
    c.schedule("hung", sink.url("/hung"))
    c.schedule("later", sink.url("/later"), expiry=time.time() + 2)
    sink.wait("/hung")
    old = c.processes()
    c.kill()
    c.start()
    assert c.wait_state("hung", "COMPLETED")["attempts"] == 2
    c.wait_state("later", "COMPLETED")
    assert len(sink.arrivals("/later")) == 1
    wait_for(lambda: not set(old) & set(c.processes()), 20, "end of orphans")


def test_killed_master_alone(prepare):
    """Without a new start everything is gone, too."""
    c = prepare(master={"shutdownTimeout": "1s"}).start()
    c.kill()
    wait_for(lambda: not c.processes(), 20, "end of orphans")


def test_killed_all_at_once(prepare, sink):
    """As after a crash of the machine: all that was answered is there."""
    c = prepare(worker={"lease": "2s"}).start()
    with Clients(c.port, sink.url("/e")) as clients:
        sink.wait("/e", 20)
        c.abandon()
    c.start()
    assert_all_delivered(c, clients)


# ---- reload ----

def test_reload_while_clients_post(launch, sink):
    """Good or broken, no request fails; broken, the old one stays."""
    c = launch(worker={"numWorkerThreads": 2})
    with Clients(c.port, sink.url("/e")) as clients:
        sink.wait("/e", 10)
        for n in (4, 1, 3):
            c.configure(worker={"numWorkerThreads": n})
            assert c.reload() == "ok\n"
            assert c.get("/readyz").status == 200
            wait_for(lambda: len(c.children("worker")) == n, 30, "workers")
            sink.wait("/e", len(sink.arrivals()) + 10)
        good = c.config_file.read_text()
        wait_for(lambda: len({x["generation"] for x in c.status()["children"]}
                             ) == 1, what="the end of the old ones")
        services = pids(c.children("service"))
        for bad in ("service: [", "service:\n  port: many\n",
                    "worker:\n  numWorkerThread: 3\n"):
            c.config_file.write_text(bad)
            answer = c.reload()
            assert answer.startswith("error: ")
            assert "cassata.yaml:" in answer
            sink.wait("/e", len(sink.arrivals()) + 10)
        assert pids(c.children("service")) == services
        assert len(c.children("worker")) == 3
        c.config_file.write_text(good)
        assert c.reload() == "ok\n"
        sink.wait("/e", len(sink.arrivals()) + 10)
    assert clients.failures == []
    assert_all_delivered(c, clients)


def test_reload_finishes_deliveries(launch, sink):
    """The old children end what they began; nothing is sent twice."""
    c = launch()
    gate = sink.gate()
    sink.on("/slow", Reply(200, gate=gate))
    for n in range(6):
        c.schedule("slow%d" % n, sink.url("/slow"))
    sink.wait("/slow", 6)
    before = pids(c.children("worker"))
    assert c.reload() == "ok\n"
    for n in range(6):
        c.schedule("fast%d" % n, sink.url("/fast"))
    # Shards of waiting deliveries stay with the old worker until it is done.
    gate.set()
    for n in range(6):
        assert c.wait_state("slow%d" % n, "COMPLETED")["attempts"] == 1
        c.wait_state("fast%d" % n, "COMPLETED")
    wait_for(lambda: len(c.processes()) == 1 + len(c.status()["children"]) and
             not before & set(c.processes()), 20, "end of the old")
    assert len(sink.arrivals("/slow")) == 6


def test_hangup(launch):
    c = launch()
    before = pids(c.status()["children"])
    c.config_file.write_text("nonsense: [")
    c.send(signal.SIGHUP)
    wait_for(lambda: "cassata.yaml:" in c.log_text(), 10, "a log line")
    assert pids(c.status()["children"]) == before
    c.configure()
    c.send(signal.SIGHUP)
    wait_for(lambda: not before & pids(c.status()["children"]), 20, "a reload")
    c.wait_ready()


def test_reload_changes_settings(launch, sink):
    c = launch(worker={"httpRetryCount": 0})
    sink.on("/one", 500)
    c.schedule("one", sink.url("/one"))
    assert c.wait_state("one", "FAILED")["attempts"] == 1
    before = pids(c.status()["children"])
    c.configure(worker={"httpRetryCount": 1, "retryDelays": ["50ms"]})
    assert c.reload() == "ok\n"
    wait_for(lambda: not before & set(c.processes()), what="end of the old")
    sink.on("/two", 500)
    c.schedule("two", sink.url("/two"))
    assert c.wait_state("two", "FAILED")["attempts"] == 2


# ---- several workers, several masters ----

def test_each_event_once(launch, sink):
    """Many events, many workers: no claim is delivered twice."""
    c = launch(worker={"numWorkerThreads": 6, "lease": "6s",
                       "numEventsProcessedPerTransaction": 3})
    dice = random.Random(2)
    sink.on("/e", lambda _: Reply(200, delay=dice.random() * 0.05))
    n = 400
    due = time.time() + 1
    for i in range(n):
        c.schedule("e%d" % i, sink.url("/e"), expiry=due + dice.random())
    sink.wait("/e", n, 60)
    for i in range(n):
        assert c.wait_state("e%d" % i, *ENDED)["attempts"] == 1
    ids = [a.header("Cassata-Event-Id") for a in sink.arrivals("/e")]
    assert sorted(ids) == sorted("e%d" % i for i in range(n))


def test_lease_outlived(launch, sink):
    """A delivery that takes longer than the lease is not begun again."""
    c = launch(worker={"numWorkerThreads": 2, "lease": "3s"})
    sink.on("/slow", Reply(200, delay=7))
    for n in range(6):
        c.schedule("e%d" % n, sink.url("/slow"))
    for n in range(6):
        assert c.wait_state("e%d" % n, *ENDED)["attempts"] == 1
    assert len(sink.arrivals()) == 6


@pytest.mark.parametrize("change", ["kill", "reload", "upgrade"])
def test_hanging_destination_delays_nobody(launch, sink, change):
    """Shards change hands although events of theirs are under way, and these
    are still finished by who began them."""
    # The sink is one host: its share has to have room for both.
    c = launch(worker={"numWorkerThreads": 2, "deliveryTimeout": "10m",
                       "maxDeliveriesPerHost": 0},
               master={"shutdownTimeout": "10m"})
    gate, n = sink.gate(), 150
    sink.on("/hung", Reply(200, gate=gate))
    for i in range(n):
        c.schedule("hung%d" % i, sink.url("/hung"))
    sink.wait("/hung", n)
    before = pids(c.children("worker"))
    if change == "kill":
        kill_child(min(before))
    else:
        c.send({"reload": signal.SIGHUP, "upgrade": signal.SIGUSR2}[change])
    wait_for(lambda: len(pids(c.children("worker")) - before) ==
             (1 if change == "kill" else 2), 20, "new workers")
    for i in range(100):
        c.schedule("e%d" % i, sink.url("/e"))
    sink.wait("/e", 100, 20)
    gate.set()
    for i in range(n):
        c.wait_state("hung%d" % i, "COMPLETED")
    if change != "kill":
        assert len(sink.arrivals("/hung")) == n
    if change == "upgrade":
        assert c.process.wait(100) == 0
        c.process = None


def test_two_masters(launch, sink):
    """Two hosts on one datastore share the work."""
    settings = {"lease": "3s", "workerThreadPollingInterval": "1s"}
    one = launch(worker=settings)
    two = launch(worker=settings)

    def shared():
        return [c.status()["metrics"]["cassata_shards_held"]
                for c in (one, two)] == [32, 32]
    wait_for(shared, 30, "a fair share")
    n = 100
    for i in range(n):
        (one, two)[i % 2].schedule("e%d" % i, sink.url("/e"))
    for i in range(n):
        assert two.wait_state("e%d" % i, *ENDED)["attempts"] == 1
    assert len(sink.arrivals("/e")) == n
    for c in (one, two):
        assert c.status()["metrics"]["cassata_events_claimed_total"] > 0

    two.stop()  # its shards are free at once
    for i in range(20):
        one.schedule("after%d" % i, sink.url("/after"))
    sink.wait("/after", 20)


def test_master_lost_on_another_host(launch, sink):
    """Its leases run out, then its events are delivered by the others."""
    settings = {"lease": "3s", "workerThreadPollingInterval": "1s"}
    one = launch(worker=settings)
    two = launch(worker=settings)
    wait_for(lambda: two.status()["metrics"]["cassata_shards_held"] == 32, 30,
             "a fair share")
    two.abandon()
    for i in range(40):
        one.schedule("e%d" % i, sink.url("/e"))
    for i in range(40):
        one.wait_state("e%d" % i, "COMPLETED")


def test_roles_apart(launch, sink):
    service = launch(roles="service")
    assert {c["role"] for c in service.status()["children"]} == {"service"}
    service.schedule("before", sink.url("/before"))
    worker = launch(roles="worker",
                    worker={"workerThreadPollingInterval": "1s"})
    assert {c["role"] for c in worker.status()["children"]} == {"worker"}
    assert worker.status()["listening"] == []
    service.schedule("after", sink.url("/after"))
    service.wait_state("before", "COMPLETED")
    service.wait_state("after", "COMPLETED")


# ---- the datastore goes away for a while ----

def test_locked_datastore(launch, store, sink):
    """Adds are refused in time with 503; results wait and are not lost."""
    c = launch(service={"processes": 1}, datastore={"timeout": "500ms"})
    gate = sink.gate()
    sink.on("/e", Reply(200, gate=gate))
    c.schedule("e", sink.url("/e"), is_busy=True)
    sink.wait("/e")
    body = {"event-id": "x", "application-id": "app", "event": 1,
            "expiry": 0, "url": sink.url("/x")}
    with store.locked():
        gate.set()
        response = c.post(body)
        assert response.status == 503
        assert int(response.header("Retry-After")) > 0
        assert response.header("Content-Type") == "application/problem+json"
        assert c.get("/livez").status == 200
        ready = c.get("/readyz")
        assert ready.status == 503
        assert ready.json()["detail"] == "the datastore cannot be reached"

        def is_told():
            """By all in the same words."""
            [service] = c.children("service")
            shown = c.ctl("status")
            return service["trouble"] in c.log_text() and \
                service["trouble"] in shown.stdout and \
                shown.returncode == FAILING
        wait_for(is_told)
        status = c.status()
        assert status["datastore-state"] == "failing"
        wait_for(lambda: status["datastore-reason"] in c.log_text())
        assert 0 < status["datastore-since"] <= time.time()
        before = c.log_text().count("datastore is away")
        failures = c.status()["metrics"]["cassata_store_failures_total"]
        wait_for(lambda: c.status()["metrics"]["cassata_store_failures_total"]
                 > failures + 5, 20, "more failures")
        # Each process says it once.
        assert c.log_text().count("datastore is away") <= max(before, 3)
    wait_for(lambda: c.post(body).status in (200, 201), 20, "an answer")
    c.wait_state("x", "COMPLETED")
    assert c.wait_state("e", "COMPLETED")["attempts"] == 1
    assert len(sink.arrivals("/e")) == 1
    wait_for(lambda: "trouble" not in c.children("service")[0])
    wait_for(lambda: c.ctl("status").returncode == 0, what="no trouble")
    wait_for(lambda: c.status()["datastore-state"] == "ready" and
             "datastore-reason" not in c.status())


def test_settings_that_lose_events(launch, store):
    """Told at the start and by status, until a reload finds them mended."""
    if store.kind != "mysql":
        pytest.skip("SQLite's are the daemon's")
    setting = "innodb_flush_log_at_trx_commit = %d"
    store.sql("SET GLOBAL " + setting % 2, False)
    try:
        c = launch()
    finally:
        store.sql("SET GLOBAL " + setting % 1, False)
    weakness = c.status()["datastore-weakness"]
    assert setting % 2 in weakness
    assert weakness in c.log_text()
    shown = c.ctl("status")
    assert shown.returncode == 0
    assert "warning    " + weakness in shown.stdout.splitlines()
    assert c.reload() == "ok\n"
    assert "datastore-weakness" not in c.status()
    assert "warning" not in c.ctl("status").stdout


def title(pid):
    return read_text("/proc/%d/cmdline" % pid).rstrip("\0")


def test_titles(launch, sink):
    """ps and top tell which is which, and what it does."""
    gate = sink.gate()
    sink.on("/held", Reply(200, gate=gate))
    c = launch(service={"processes": 1}, worker={"numWorkerThreads": 2})
    wait_for(lambda: title(c.pid) == "cassatad: master, ready",
             what="the master's title")
    workers = {x["pid"]: x["number"] for x in c.children("worker")}
    [service] = c.children("service")
    with Connection(c.port):
        wait_for(lambda: re.fullmatch(r"cassatad: service 1, [1-9]\d* "
                                      r"connections", title(service["pid"])),
                 what="the title of a service")
    c.schedule("held", sink.url("/held"))
    sink.wait("/held")
    for pid, number in workers.items():
        wait_for(lambda: re.fullmatch(
            r"cassatad: worker %d, \d+ shards, \d+ in flight" % number,
            title(pid)), what="the title of worker %d" % number)
    wait_for(lambda: [pid for pid in workers
                      if title(pid).endswith(", 1 in flight")],
             what="who delivers")
    gate.set()
    c.wait_state("held", "COMPLETED")
    wait_for(lambda: all(title(pid).endswith(", 0 in flight")
                         for pid in workers), what="the end of it")
    wait_for(lambda: sum(int(title(pid).split()[3]) for pid in workers) == 64)
    for pid, number in workers.items():
        threads = {read_text(path).strip() for path in
                   Path("/proc/%d/task" % pid).glob("*/comm")}
        assert {"worker %d" % number, "store"} <= threads
    # The options were where the title is: they last.
    assert c.reload() == "ok\n"


def test_journal(prepare, sink):
    """systemd's gets the priority of each line, and notes the time itself."""
    c = prepare(log={"destination": "stderr"})
    c.output.touch()
    st = c.output.stat()
    env = {"JOURNAL_STREAM": "%d:%d" % (st.st_dev, st.st_ino)}
    c.start(env=env)
    kill_child(min(pids(c.children("service"))))
    wait_for(lambda: re.search(r"^<4>master\[\d+\]: service .* died from ",
                               c.log_text(), re.M), what="its line")
    c.stop()
    c.configure(datastore={"url": "sqlite:/none/at/all"})
    assert c.spawn(env=env).process.wait(100) == 1
    c.process = None
    lines = read_text(c.output).splitlines()
    assert re.match(r"<6>master\[\d+\]: listening on ", lines[0])
    assert all(re.match(r"<[3-7]>[\w ]+(\[\d+\])?: ", line)
               for line in lines), lines
    assert re.match(r"<3>cassatad: /none/at: ", lines[-1])


def test_stop_without_datastore(launch, store):
    """Nobody asks for the datastore but the workers, which tell; and when they
    have no results for it they do not wait for it."""
    c = launch(datastore={"timeout": "500ms"})
    with store.locked():
        done = wait_for(lambda: [d for d in [c.ctl("status", "--json")]
                                 if d.returncode == FAILING], 30,
                        "the state of the datastore")[0]
        assert json.loads(done.stdout)["datastore-state"] == "failing"
        c.stop()
    log = c.log_text()
    assert "no result was to be written" in log
    assert "results were not written" not in log


def test_not_ready_without_a_turn_to_write(launch, store):
    """Where no add could be committed, although none was tried."""
    if not isinstance(store, SqliteStore):
        pytest.skip("one writer does not keep the others out")
    c = launch(roles="service", datastore={"timeout": "500ms"})
    wait_for(lambda: c.get("/readyz").status == 200)
    with store.locked():
        began = time.monotonic()
        ready = c.get("/readyz")
        assert 0.4 < time.monotonic() - began
        assert ready.status == 503
        assert ready.json()["detail"] == "the datastore cannot be reached"
        wait_for(lambda: re.search(
            "datastore is away: .*database is locked", c.log_text()))
        assert c.get("/livez").status == 200
    wait_for(lambda: c.get("/readyz").status == 200)


def test_alive_without_the_datastore(launch, store, sink):
    """/livez is answered while the datastore keeps an add waiting."""
    c = launch(service={"processes": 1}, datastore={"timeout": "20s"})
    body = b'{"event-id":"e","application-id":"app","event":1,"expiry":0,' \
        b'"url":"%s"}' % sink.url("/e").encode()
    with Connection(c.port) as adding:
        with store.locked():
            adding.send_request("POST", "/cassata/add/", body)
            assert c.get("/livez").status == 200
            assert not adding.readable()
        assert adding.read_response().status == 201


def under_way(launch, sink, workers, n):
    """A daemon with n deliveries that wait for the gate."""
    c = launch(worker={"numWorkerThreads": workers, "lease": "3s"},
               datastore={"timeout": "500ms"})
    wait_shares(c.store, workers)
    gate = sink.gate()
    sink.on("/e", Reply(200, gate=gate))
    for i in range(n):
        c.schedule("e%d" % i, sink.url("/e"), is_busy=True)
    sink.wait("/e", n)
    return c, gate


def test_results_outlive_leases(launch, store, sink):
    """The datastore is away for longer than all leases: who comes back first
    leaves the others the time to write what they have."""
    n = 40
    c, gate = under_way(launch, sink, 4, n)
    with store.locked():
        gate.set()
        time.sleep(5)
    for i in range(n):
        assert c.wait_state("e%d" % i, *ENDED)["attempts"] == 1
    assert len(sink.arrivals()) == n


def test_worker_killed_in_an_outage(launch, store, sink):
    """Its successor leaves the other worker the time to write, too."""
    c, gate = under_way(launch, sink, 2, 40)
    owners = dict(store.sql("SELECT event_id, owner FROM event"))
    with store.locked():
        gate.set()
        time.sleep(1)
        kill_child(c.children("worker")[0]["pid"])
        time.sleep(4)
    arrivals = {}
    for event_id, owner in owners.items():
        if isinstance(event_id, bytes):
            event_id = event_id.decode()
        assert c.wait_state(event_id, *ENDED)["attempts"] == 1
        arrivals.setdefault(owner, set()).add(len([
            a for a in sink.arrivals()
            if a.header("Cassata-Event-Id") == event_id]))
    assert sorted(map(sorted, arrivals.values())) == [[1], [2]]


def test_stop_without_the_datastore(prepare, store, sink):
    """Its workers leave in time, even out of a call that hangs, and what they
    could not write is delivered again."""
    c = prepare(master={"shutdownTimeout": "6s"},
                datastore={"timeout": "30s"}).start()
    gate = sink.gate()
    sink.on("/e", Reply(200, gate=gate))
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    with store.locked():
        gate.set()
        # A result that nobody can write keeps a worker's datastore call busy.
        c.stop()
    assert "available: 1 results were not written" in c.log_text()
    assert "did not leave" not in c.log_text()
    c.start()
    c.wait_state("e", "COMPLETED", seconds=60)


def test_lost_connections(launch, store, sink):
    c = launch(service={"processes": 1})
    for n in range(3):
        c.schedule("before%d" % n, sink.url("/before"),
                   expiry=time.time() + 1)
        store.disconnect()
        event = {"event-id": "e%d" % n, "application-id": "app", "event": 1,
                 "expiry": 0, "url": sink.url("/e")}
        # An idle connection that was ended costs no request.
        assert c.post(event).status == 201
    for n in range(3):
        c.wait_state("e%d" % n, "COMPLETED")
        c.wait_state("before%d" % n, "COMPLETED")
    assert c.get("/readyz").status == 200


def test_claims_in_doubt(launch, store, sink):
    """A large claim whose commit was not known of comes back at once, and not
    in the steps of the leases."""
    c = launch(worker={"numWorkerThreads": 1, "lease": "10m"},
               datastore={"timeout": "500ms"})
    n = 200
    wait_shares(store, 1)
    due = time.time() + 3600
    for i in range(n):
        c.schedule("e%d" % i, sink.url("/e"), expiry=due, is_busy=True)
    store.sql("UPDATE event SET status = 1, attempts = 1, due_ms = 0, owner ="
              " (SELECT owner FROM lease WHERE lease.shard = event.shard)")
    # One of them is due when nothing can be claimed.
    due = time.time() + 1
    for i in range(20):
        c.schedule("claimed%d" % i, sink.url("/claimed"), expiry=due + i,
                   is_busy=True)
    with store.locked():
        wait_for(lambda: re.search(r"worker 1\[\d+\] warn: datastore is away",
                                   c.log_text()), 20, "a failed claim")
    sink.wait("/e", n)
    for i in range(n):
        assert c.wait_state("e%d" % i, *ENDED)["attempts"] == 1
    assert len(sink.arrivals("/e")) == n


# ---- steps of the clock ----

@pytest.mark.parametrize("step_s", [7200, -3600])
def test_clock_step(prepare, store, sink, step_s):
    """Nothing is lost, nothing comes twice, no lease changes hands."""
    c = prepare(worker={"workerThreadPollingInterval": "1s", "lease": "8s"})
    c.start(env=c.hold_clocks())
    gate = sink.gate()
    n = 8
    for i in range(n):
        sink.on("/held%d" % i, Reply(200, gate=gate))
        c.schedule("held%d" % i, sink.url("/held%d" % i))
        c.schedule("soon%d" % i, sink.url("/soon%d" % i),
                   expiry=time.time() + (4 if step_s > 0 else 30))
    for i in range(n):
        sink.wait("/held%d" % i)
    c.set_clock(step_s)
    if isinstance(store, SqliteStore):
        wait_for(lambda: "was stepped by" in c.log_text(), 20, "the step")
    else:
        wait_for(lambda: "ms ahead of ours" in c.log_text(), 20, "the skew")
    # An event's time has come when both clocks say so.
    c.schedule("after", sink.url("/after"),
               expiry=time.time() + (step_s if isinstance(store, SqliteStore)
                                     else min(step_s, 0)))
    sink.wait("/after", seconds=40)
    gate.set()
    for i in range(n):
        c.wait_state("held%d" % i, "COMPLETED", seconds=40)
        assert len(sink.arrivals("/held%d" % i)) == 1
    if step_s > 0:
        for i in range(n):
            c.wait_state("soon%d" % i, "COMPLETED", seconds=40)
            assert len(sink.arrivals("/soon%d" % i)) == 1
    else:
        assert c.state("soon0") == "PENDING"
    assert "whose worker was lost" not in c.log_text()
    assert "lost the lease" not in c.log_text()


@pytest.mark.parametrize("ahead_s", [2, -2])
def test_never_early(prepare, store, sink, ahead_s):
    """By the clock of the host, and by that of the database."""
    c = prepare(worker={"workerThreadPollingInterval": "1s"})
    env = c.hold_clocks()
    c.set_clock(ahead_s)
    c.start(env=env)
    shared = isinstance(store, SqliteStore)
    if not shared:
        wait_for(lambda: "ms ahead of ours" in c.log_text(),
                 what="the skew")
    n = 20
    host_now = time.time() + ahead_s
    due = [host_now + 1 + i / 10 for i in range(n)]
    for i in range(n):
        c.schedule("e%d" % i, sink.url("/e%d" % i), expiry=due[i])
    for i in range(n):
        at = sink.wait("/e%d" % i)[0].wall
        assert at + ahead_s >= due[i] - 0.001
        assert shared or at >= due[i] - 0.001


def test_slow_turns_are_no_step(launch, store):
    """A lease turn that waits for a lock has read the clock before."""
    c = launch(worker={"lease": "6s"})
    with store.locked():
        time.sleep(2.5)
    wait_for(lambda: c.get("/readyz").status == 200)
    time.sleep(2)  # for a lease turn
    assert "was stepped by" not in c.log_text()


# ---- the world around ----

def test_clock_step_amid_a_lease_turn(prepare, store, sink):
    """What the turn measured before the step counts no more."""
    if isinstance(store, SqliteStore):
        pytest.skip("its clock is ours")
    c = prepare(worker={"numWorkerThreads": 1, "lease": "6s",
                        "workerThreadPollingInterval": "1s"})
    c.start(env=c.hold_clocks())
    c.schedule("later", sink.url("/later"), expiry=time.time() + 600)
    with store.locked():
        time.sleep(3)  # a turn that renews has looked, and waits to write
        c.set_clock(3600)
        time.sleep(0.5)
    c.schedule("now", sink.url("/now"))
    sink.wait("/now")
    time.sleep(1)
    assert sink.arrivals("/later") == []
    assert c.state("later") == "PENDING"


def rotated(c):
    """What contrib/logrotate does once a log is renamed, with our programs."""
    text = read_text(c.builddir / "contrib/logrotate/cassata")
    script = re.search(r"postrotate\n(.*)\n\s*endscript", text, re.S)[1]
    script = re.sub(r"\S*/cassatactl", str(c.builddir / "cassatactl"), script)
    return c.run("sh", "-c", script, "logrotate_script",
                 str(c.state_dir / "cassata.log"))


def test_logrotate_knows_the_logs(builddir):
    """That of the directory compiled in, and that of the systemd unit."""
    text = read_text(builddir / "contrib/logrotate/cassata")
    logs = re.search(r"^(/.*) {$", text, re.M)[1].split()
    compiled_in = os.path.dirname(logs[0]).encode() + b"\0"
    assert compiled_in in (builddir / "cassatad").read_bytes()
    assert "/var/lib/cassata/cassata.log" in logs
    unit = read_text(builddir / "contrib/systemd/cassata.service")
    assert "\nStateDirectory=cassata\n" in unit


@pytest.mark.parametrize("way", ["signal", "cassatactl", "logrotate"])
def test_reopen_log(prepare, way):
    c = prepare()
    assert c.ctl("reopen").returncode == 7
    assert c.ctl("start").returncode == 0
    assert "ready" in read_text(c.log)
    old = str(c.log) + ".1"
    os.rename(c.log, old)
    if way == "signal":
        os.kill(c.status()["pid"], signal.SIGUSR1)
    elif way == "logrotate":
        assert rotated(c).returncode == 0
    else:
        assert c.ctl("reopen").returncode == 0

    def logs_open():
        return set().union(*(open_files(pid) for pid in c.processes()))
    wait_for(lambda: str(c.log) in logs_open() and old not in logs_open(), 10,
             "the new log")
    kill_child(c.children("worker")[0]["pid"])
    wait_for(lambda: read_text(c.log), 10, "a line in the new log")


@pytest.mark.parametrize("abstract", [False, True])
def test_notify(prepare, abstract):
    c = prepare()
    name = str(c.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name if abstract else name)
        sock.settimeout(100)

        def message():
            return dict(line.split("=", 1)
                        for line in sock.recv(4096).decode().splitlines())
        c.start(env={"NOTIFY_SOCKET": "@" + name if abstract else name})
        ready = message()
        assert ready["READY"] == "1"
        assert int(ready.get("MAINPID", c.pid)) == c.pid
        assert c.get("/readyz").status == 200
        c.send(signal.SIGHUP)
        reloading = message()
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert message()["READY"] == "1"
        c.send(signal.SIGTERM)
        assert message()["STOPPING"] == "1"
        c.stop()


# LISTEN_PID must name the process that the program becomes.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_socket_activation(prepare, sink):
    """Connections made before the start, and between two, are served."""
    c = prepare()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        prefix = [sys.executable, "-c", ACTIVATE, str(listener.fileno())]
        for n in range(2):
            with Connection(port) as early:
                early.send_request("GET", "/readyz")
                c.start(prefix=prefix, pass_fds=[listener.fileno()])
                assert early.read_response().status == 200
            assert c.status()["listening"] == ["127.0.0.1:%d" % port]
            c.schedule("e%d" % n, sink.url("/e"))
            c.wait_state("e%d" % n, "COMPLETED")
            assert c.reload() == "ok\n"
            assert c.get("/readyz").status == 200
            c.stop()


def test_descriptors_do_not_leak(launch, sink):
    """As many descriptors after a hundred events and clients as before."""
    c = launch(service={"processes": 1}, worker={"numWorkerThreads": 1})
    pid = c.children("service")[0]["pid"]

    def one():
        c.schedule("e%d" % next(numbers), sink.url("/e"))
    numbers = iter(range(1000))
    for _ in range(5):
        one()

    def count():
        return len(os.listdir("/proc/%d/fd" % pid))
    before = count()
    for _ in range(100):
        one()
    wait_for(lambda: count() <= before, 10, "%d descriptors" % before)


def test_status_document(launch, store):
    before = int(time.time())
    c = launch(service={"processes": 2}, worker={"numWorkerThreads": 3})
    status = c.status()
    assert status["pid"] == c.pid
    assert status["state"] == "ready"
    assert before <= status["started"] <= time.time()
    assert status["config"] == str(c.config_file)
    assert status["datastore"].startswith(store.kind + ":")
    assert "ss%2F" not in status["datastore"]  # the password
    assert "ss/word" not in status["datastore"]
    assert sorted((x["role"], x["number"]) for x in status["children"]) == [
        ("service", 1), ("service", 2), ("worker", 1), ("worker", 2),
        ("worker", 3)]
    for child in status["children"]:
        assert child["state"] == "ready"
        assert before <= child["started"] <= time.time()
        assert child["generation"] == status["children"][0]["generation"]
    for word in ("nonsense", "", "x" * 1000):
        c.control(word)
        assert c.status()["state"] == "ready"


def test_secrets_stay_out_of_the_log(launch, store, sink):
    c = launch()
    c.schedule("e", sink.url("/e"), event="body-of-the-event",
               request_headers=["Authorization: Bearer very-secret"])
    c.wait_state("e", "COMPLETED")
    c.stop()
    for secret in ("very-secret", "body-of-the-event", "p@ss/word",
                   "p%40ss%2Fword"):
        assert secret not in c.log_text()


def test_delete_races_with_delivery(launch, sink):
    """Deleted or delivered, never both."""
    c = launch()
    outcome = {}
    for n in range(60):
        name = "e%d" % n
        c.schedule(name, sink.url("/" + name), expiry=time.time() + 0.03)
        time.sleep(0.001 * (n % 60))
        response = c.delete(name)
        outcome[name] = response.status, response.json()["event-status"]
    assert set(outcome.values()) <= {
        (200, "PENDING"), (200, "COMPLETED"), (409, "PROCESSING")}
    for name, (status, state) in outcome.items():
        if status == 409:
            c.wait_state(name, "COMPLETED")
        else:
            assert c.get(path_of("status", "app", name)).status == 404
        assert len(sink.arrivals("/" + name)) == (state != "PENDING")
