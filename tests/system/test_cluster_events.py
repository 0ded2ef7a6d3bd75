# SPDX-License-Identifier: ISC
"""Events, pauses, jobs, schedules and callbacks through two hosts at different
nodes of a Galera cluster: what they say is true of all, and whatever is killed
nothing is lost or done twice."""

import contextlib
import itertools
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest

import cassata
import client
from cassata import wait_for
from client import path_of
from sink import Reply
from test_conflict import add
from test_jobs import FAR, counts, end, expiries, look, order, start, wait_job
from test_jobs import add as add_many
from test_pause import parked, pause, pauses, resume
from test_schedule import SECOND, ask, made, moment, show

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))
from proxy import Proxy  # noqa: E402

PUBLIC = "http://cassata.example:8085/"
ACCEPTED = Reply(202)


# ---- two hosts ----

def host(builddir, store, url=None, **worker):
    """At a node of its own; it goes on at the others."""
    return cassata.Cassata(
        builddir, store, service={"publicUrl": PUBLIC},
        datastore={"url": url or store.all_nodes},
        worker={"numWorkerThreads": 1, "retryDelays": ["100ms"],
                "retryJitter": 0, **worker})


@contextlib.contextmanager
def running(*daemons):
    """All are started at once, and each has its part of the shards."""
    try:
        for c in daemons:
            c.spawn()
        for c in daemons:
            c.wait_ready()
        wait_for(lambda: all(c.children("worker") for c in daemons))
        wait_for(lambda: {pid for pid, in holders(daemons[0].store)} == {
            str(worker["pid"]) for c in daemons
            for worker in c.children("worker")}, what="parts for all")
        yield daemons
        for c in daemons:
            c.end()
    finally:
        for c in daemons:
            c.end()
            c.remove()


def holders(store, of=""):
    """The processes of workers that hold shards."""
    return seen(store, "SELECT DISTINCT pid FROM lease JOIN instance"
                " ON instance.owner = lease.owner " + of)


def seen(store, statement):
    """What is committed by now, at whichever node."""
    return store.sql("SET SESSION wsrep_sync_wait = 1; " + statement)


@pytest.fixture(scope="module")
def pair(builddir, cluster):
    # A busy machine makes nobody lose its lease.
    daemons = [host(builddir, store, lease="30s")
               for store in cluster.new()[:2]]
    with running(*daemons):
        yield daemons


@pytest.fixture
def hosts(request, pair):
    request.node.daemons = pair
    return pair


def both(*calls):
    """Runs them side by side; what each returned."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result() for done in [pool.submit(c) for c in calls]]


# ---- what one host says is true at the other ----

def test_pause(hosts, sink, name):
    """Set at one, obeyed by the workers of both, ended at the other."""
    path = "/" + name
    for n, (a, b) in enumerate((hosts, hosts[::-1])):
        assert pause(a, "app", name).status == 201
        assert [p["application-id"] for p in pauses(b)] == [name]
        wait_for(lambda: {w["pauses"] for c in hosts
                          for w in c.children("worker")} == {1})
        for c in hosts:
            for i in range(5):
                c.schedule("%d-%d-%d" % (n, c.pid, i), sink.url(path), app=name)
        wait_for(lambda: parked(a) == 10)
        assert len(sink.arrivals(path)) == 10 * n
        assert resume(b, "app", name).status == 200
        assert pauses(a) == []
        sink.wait(path, 10 * (n + 1))
    # Whatever the node of the one has not heard yet of the other's.
    for a, b in 5 * (hosts, hosts[::-1]):
        assert pause(a, "app", name).status == 201
        assert pause(b, "app", name).status == 200
        assert resume(b, "app", name).status == 200
        assert resume(a, "app", name).status == 404


def patch(c, app, event_id, **members):
    return c.request("PATCH", path_of("event", app, event_id),
                     json.dumps(members).encode())


def found(c, app, *labels):
    query = "&".join("label=%s%%3D%s" % label for label in labels)
    response = c.get("/cassata/events/%s?fields=event-id&%s" % (app, query))
    assert response.status == 200, response
    return {event["event-id"] for event in response.json()["events"]}


def test_labels(hosts, name):
    """Found through the other host at once; what both change of an event at a
    time is changed."""
    for n, (a, b) in enumerate(5 * (hosts, hosts[::-1])):
        event_id = "e%d" % n
        a.schedule(event_id, "http://127.0.0.1:9/", time.time() + 3600,
                   app=name, labels={"n": event_id, "of": "all"})
        assert found(b, name, ("n", event_id)) == {event_id}
        patches = both(*(
            lambda c=c, key=key: patch(c, name, event_id, labels={key: "1"})
            for c, key in ((a, "a"), (b, "b"))))
        assert [r.status for r in patches] == [200, 200], patches
        for c in hosts:
            assert event_id in found(c, name, ("a", "1"), ("b", "1"))
            assert c.event(event_id, name)["labels"] == {
                "n": event_id, "of": "all", "a": "1", "b": "1"}
    for n in range(5):
        assert hosts[n % 2].delete("e%d" % n, name).status == 200
    for c in hosts:
        assert found(c, name, ("of", "all")) == {"e%d" % n
                                                 for n in range(5, 10)}
    # What is left belongs to what is left.
    assert seen(hosts[0].store, "SELECT COUNT(*), COUNT(event.id), SUM("
                "label.due_ms = event.due_ms) FROM label LEFT JOIN event"
                " ON event.id = label.event") == [("20", "20", "20")]


class Adds:
    """Adds of one id through both hosts at once, each of its own content."""

    def __init__(self, hosts, name, n=12, **members):
        self._hosts, self._name, self._members = hosts, name, members
        self._n = n
        self.answers = []  # (content, status, begin, end, replaced)

    def run(self):
        both(*(lambda c=c, i=i: self._some(c, i)
               for i, c in enumerate(2 * self._hosts)))
        assert {a[1] for a in self.answers} <= {200, 201, 409}, self.answers
        return self

    def _some(self, c, of):
        for n in range(self._n):
            begin = time.monotonic()
            response = add(c, self._name, event="%d.%d" % (of, n),
                           **self._members)
            self.answers.append((
                "%d.%d" % (of, n), response.status, begin, time.monotonic(),
                response.json().get("replaced")))

    def acknowledged(self):
        return [a for a in self.answers if a[1] != 409]

    def replaced(self, state):
        return [a for a in self.answers if a[4] == state]


@pytest.mark.parametrize("how", ["replace", "debounce"])
def test_one_id_through_two_nodes(hosts, name, how):
    """One event, of one of the last adds that were acknowledged."""
    adds = Adds(hosts, name, url="http://127.0.0.1:9/", on_conflict=how,
                **{"in": "1h"}).run()
    assert len(adds.acknowledged()) == len(adds.answers) == 48
    assert [a[1] for a in adds.answers].count(201) == 1
    assert len(adds.replaced("PENDING")) == 47
    event, other = (c.event(name) for c in hosts)
    assert event == other
    last, = (a for a in adds.answers if a[0] == event["event"])
    assert [a for a in adds.answers if a[2] > last[3]] == []
    assert seen(hosts[0].store, "SELECT COUNT(*) FROM event"
                " WHERE event_id = '%s'" % name) == [("1",)]


def test_replaced_while_they_are_delivered(hosts, sink, name):
    """Each that was acknowledged arrives, but for those that a later answer
    says were replaced while they waited."""
    adds = Adds(hosts, name, url=sink.url("/" + name), expiry=1,
                on_conflict="replace").run()
    hosts[0].wait_state(name, "COMPLETED")
    bodies = [a.body.decode() for a in sink.arrivals("/" + name)]
    assert len(set(bodies)) == len(bodies)
    assert set(bodies) <= {a[0] for a in adds.acknowledged()}
    assert len(bodies) == len(adds.acknowledged()) - len(
        adds.replaced("PENDING"))


# ---- a word through another host ----

def say(c, arrival, verb="ack"):
    url = arrival.header("Cassata-%s-Url" % verb.capitalize())
    assert url.startswith(PUBLIC)
    return client.request(c.port, "POST", url[len(PUBLIC) - 1:], b"",
                          [("Host", "cassata.example:8085")])


def test_ack(hosts, sink, name):
    """Before the 202 and after it, through either host."""
    n, events, said = 12, {}, {}

    def reply(arrival):
        event_id = unquote(arrival.header("Cassata-Event-Id"))
        events[event_id] = arrival
        if event_id.endswith("now"):
            said[event_id] = [say(c, arrival).status for c in hosts]
        return ACCEPTED
    sink.on("/" + name, reply)
    ids = ["%s-%d-%s" % (name, i, when) for i in range(n)
           for when in ("now", "then")]
    for i, event_id in enumerate(ids):
        hosts[i // 2 % 2].schedule(
            event_id, sink.url("/" + name), complete_by="1h",
            on_complete=sink.url("/told"))
    for i, event_id in enumerate(ids):
        if event_id.endswith("then"):
            c, other = hosts if i // 2 % 2 == 0 else hosts[::-1]
            c.wait_state(event_id, "AWAITING")
            assert say(other, events[event_id]).status == 200
            assert c.state(event_id) == "COMPLETED"
    sink.wait("/told", 2 * n)
    for event_id in ids:
        assert said.get(event_id, [200, 200]) == [200, 200]
        event = hosts[0].event(event_id)
        assert (event["status"], event["attempts"]) == ("COMPLETED", 1)
    assert len(sink.arrivals("/" + name)) == 2 * n
    assert len(sink.arrivals("/told")) == 2 * n


def test_ack_at_the_end_of_its_time(hosts, sink, name):
    """Either it counts, and the event is not delivered again, or it is and
    the word comes too late."""
    n, wait_s = 16, 0.7
    said, threads = {}, []

    def speak(arrival, i):
        # Around the end of the time, from somewhat before it on.
        time.sleep(wait_s - 0.1 + 0.2 * i / n)
        answers = both(*(lambda c=c: say(c, arrival) for c in hosts))
        said[i] = [r.status for r in answers]

    def reply(arrival):
        i = int(unquote(arrival.header("Cassata-Event-Id")).rpartition("-")[2])
        if arrival.header("Cassata-Attempt") != "1":
            return 200
        threads.append(threading.Thread(target=speak, args=(arrival, i)))
        threads[-1].start()
        return ACCEPTED
    sink.on("/" + name, reply)
    ids = ["%s-%d" % (name, i) for i in range(n)]
    for i, event_id in enumerate(ids):
        hosts[i % 2].schedule(event_id, sink.url("/" + name),
                              complete_by="%dms" % (wait_s * 1000))
    for event_id in ids:
        hosts[0].wait_state(event_id, "COMPLETED")
    for thread in threads:
        thread.join()
    attempts = [hosts[0].event(event_id)["attempts"] for event_id in ids]
    arrived = [unquote(a.header("Cassata-Event-Id"))
               for a in sink.arrivals("/" + name)]
    for i, event_id in enumerate(ids):
        assert said[i] in ([200, 200], [410, 410]), said
        assert (attempts[i] == 1) == (said[i] == [200, 200])
        assert arrived.count(event_id) == attempts[i]


# ---- what is killed ----

def run_times(store, name):
    """Of the runs of a schedule in the table that were begun, with states."""
    return sorted((moment(event_id.partition("@")[2]), int(status))
                  for event_id, status in seen(
                      store, "SELECT event_id, status FROM event"
                      " WHERE event_id LIKE '%s@%%'" % name))


def assert_each_once(c, name, n):
    """At least n runs, a second apart, all delivered, and no others."""
    wait_for(lambda: ask(c, name, "pause").status == 200)
    wait_for(lambda: {status for _, status in run_times(c.store, name)} == {2})
    times = [at for at, _ in run_times(c.store, name)]
    assert [b - a for a, b in itertools.pairwise(times)] == [SECOND] * (
        len(times) - 1)
    schedule = show(c, name)
    assert schedule["runs"] == len(times) >= n
    assert schedule["skipped"] == 0


def callbacks(store, begin, status=None):
    """The ids of those that are of such events."""
    return sorted(event_id for event_id, of in seen(
        store, "SELECT event_id, status FROM event WHERE event_id"
        " LIKE '%s%%.on-%%'" % begin) if status in (None, int(of)))


def test_lost_answers(builddir, cluster, sink, request, name):
    """Whatever adds an event, the answer to its commit does not come: neither
    that to the claim of a run, which adds the next one, nor that to a result,
    which adds the callback. Asked again is another node."""
    stores = cluster.new()
    with contextlib.ExitStack() as stack:
        proxies = []
        for node in 1, 2:
            proxies.append(Proxy(cluster.do("address", node)))
            stack.callback(proxies[-1].close)
        url = "%s@%s/%s" % (
            stores[0].url.rpartition("@")[0],
            ",".join("127.0.0.1:%d" % p.port for p in proxies),
            stores[0].url.rpartition("/")[2])
        c = host(builddir, stores[0], url, lease="30s")
        request.node.daemons = [c]
        stack.enter_context(running(c))
        ids = ["%s-%d" % (name, i) for i in range(4)]
        gate = sink.gate()
        sink.on("/" + name, Reply(200, gate=gate))
        for event_id in ids:
            c.schedule(event_id, sink.url("/" + name),
                       on_complete=sink.url("/told"))
        sink.wait("/" + name, 4)
        made(c, name, sink.url("/run"), every="1s", catch_up="all",
             overlap="allow")
        for proxy in proxies:
            proxy.mode("lose INSERT INTO event")
        gate.set()
        # Of the callbacks, and of three runs.
        wait_for(lambda: sum(proxy.lost() for proxy in proxies) >= 4)
        sink.wait("/told", 4)
        sink.wait("/run", 3)
        for proxy in proxies:
            proxy.mode("pass")
        assert_each_once(c, name, 3)
        assert callbacks(c.store, name) == [i + ".on-complete.1" for i in ids]
        assert len(sink.arrivals("/" + name)) == 4


def test_host_killed(builddir, cluster, sink, request, name):
    """Amid the runs of a schedule and events that tell of their end: the other
    host delivers them, each is there once, and tells once."""
    daemons = [host(builddir, store, lease="3s") for store in cluster.new()[:2]]
    request.node.daemons = daemons
    with running(*daemons):
        gate = sink.gate()
        for path in "/run", "/" + name:
            sink.on(path, Reply(200, gate=gate))
        made(daemons[0], name, sink.url("/run"), every="1s", catch_up="all",
             overlap="allow")
        store = daemons[0].store
        pid = min(wait_for(lambda: on_wire(store, name + "@")))
        a, b = daemons if pid == pid_of_worker(daemons[0]) else daemons[::-1]
        ids = []

        def has_some():
            """What a host adds is mostly its own, as it is due now."""
            for c in a, b:
                ids.append("%s-%d" % (name, len(ids)))
                c.schedule(ids[-1], sink.url("/" + name),
                           on_complete=sink.url("/told"))
            return pid in on_wire(store, name + "-")
        wait_for(has_some)
        a.abandon()
        begun = show(b, name)["runs"]
        gate.set()
        wait_for(lambda: show(b, name)["runs"] >= begun + 3)
        assert_each_once(b, name, begun + 3)
        for event_id in ids:
            assert b.wait_state(event_id, "COMPLETED")["attempts"] == 1
        sink.wait("/told", len(ids))
        wait_for(lambda: callbacks(store, name, 2) == callbacks(store, name))
        assert callbacks(store, name) == sorted(
            i + ".on-complete.1" for i in ids)


def pid_of_worker(c):
    worker, = c.children("worker")
    return worker["pid"]


def on_wire(store, begin):
    """The workers that have events of such ids."""
    return {int(pid) for pid, in seen(
        store, "SELECT DISTINCT pid FROM event JOIN instance ON"
        " instance.owner = event.owner WHERE status = 1 AND event_id"
        " LIKE '%s%%'" % begin)}


def test_job_while_a_node_is_killed(cluster, hosts, name):
    """That of the host through which it was begun, and whose worker takes its
    steps; it is watched and cancelled through the other one."""
    (pid,), = wait_for(lambda: holders(hosts[0].store, "WHERE shard = 0"))
    node = 1 if int(pid) == pid_of_worker(hosts[0]) else 2
    a, b = hosts if node == 1 else hosts[::-1]
    n = 600
    add_many(a, name, n)
    path = start(a, name, "reschedule", by="1h", rate=5)  # two minutes
    assert look(b, path)["verb"] == "reschedule"
    wait_job(b, path, lambda job: job["done"] >= 5)
    cluster.do("kill", node)
    try:
        done = look_again(b, path)["done"]
        wait_job(b, path, lambda job: job["done"] >= done + 5)
        wait_for(lambda: order(b, path, "cancel").status == 200)
        job = look(b, path)
        assert job["state"] == "cancelled"
        # Those that come last are the first; each was put off once.
        assert done <= job["done"] < n and job["skipped"] == 0
        wait_for(lambda: a.get("/readyz").status == 200)
        for c in b, a:
            assert expiries(c, name) == {
                "e%d" % i: FAR + i + (3600 if i >= n - job["done"] else 0)
                for i in range(n)}
        # Made through the other one.
        path = start(b, name, "delete", {"to": FAR + 20}, rate=1000)
        assert counts(end(a, path)) == (20, 20, 0)
        assert len(expiries(a, name)) == len(expiries(b, name)) == n - 20
    finally:
        cluster.do("join", node)


def look_again(c, path):
    """Its service may have yet to find the datastore again."""
    return wait_job(c, path, lambda _: True)
