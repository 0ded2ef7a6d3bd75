# SPDX-License-Identifier: ISC
"""Several database hosts in one URL. The nodes are proxies in front of one
server, so that each can fail as a node does, and servers that only say so."""

import contextlib
import sys
import threading
import time
from pathlib import Path

import pytest

import cassata
from cassata import wait_for
from impostor import Impostor, row, rows

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))
from proxy import Proxy  # noqa: E402


@pytest.fixture(scope="module")
def new_store(mysql_server):
    """Only servers have hosts."""
    return mysql_server.new


@pytest.fixture
def nodes(store):
    """Three ways to the datastore."""
    port = int(store.url.rpartition("@")[2].split("/")[0].split(":")[1])
    with contextlib.ExitStack() as stack:
        proxies = []
        for _ in range(3):
            proxies.append(Proxy(port))
            stack.callback(proxies[-1].close)
        yield proxies


def address(node):
    return "127.0.0.1:%d" % node.port


@pytest.fixture
def c(nodes, prepare, store):
    """A daemon with the first two, that goes back soon."""
    return at(prepare(), store, *nodes[:2])


def at(c, store, *nodes):
    login, _, rest = store.url.rpartition("@")
    places = ",".join(map(address, nodes))
    c.configure(worker={"lease": "3s"}, datastore={
        "url": "%s@%s/%s" % (login, places, rest.split("/")[1]),
        "connectTimeout": "2s", "timeout": "3s", "returnAfter": "1s"})
    return c


def hosts(c):
    """Where the processes are, as far as they are somewhere."""
    return {child.get("datastore-host")
            for child in c.status()["children"]}


def all_at(c, node):
    """Once the services were asked for something."""
    def there():
        c.get("/readyz")
        return hosts(c) == {address(node)}
    wait_for(there, 30, "all at %s" % address(node))


def add(c, sink, name):
    return c.post({"application-id": "app", "event-id": name, "expiry": 0,
                   "event": 1, "url": sink.url("/" + name)}).status


def deliver(c, sink, name):
    """An event that is added and arrives; an add that fails is repeated, as its
    client would."""
    wait_for(lambda: add(c, sink, name) in (200, 201), 30, "an add")
    wait_for(lambda: sink.arrivals("/" + name), 30, "its arrival")


def test_first_is_used(c, sink, name, nodes):
    c.start()
    deliver(c, sink, name)
    all_at(c, nodes[0])
    # Who was kept waiting may be elsewhere for a moment.
    wait_for(lambda: c.get("/readyz").json() == {
        "status": "ok", "datastore-host": 1})
    wait_for(lambda: c.ctl("status").stdout.count(
        ", at %s\n" % address(nodes[0])) == 3)


def test_first_is_down_at_start(c, sink, name, nodes):
    nodes[0].mode("refuse")
    c.start()
    deliver(c, sink, name)
    all_at(c, nodes[1])
    wait_for(lambda: c.get("/readyz").json().get("datastore-host") == 2)
    # It is back, and so are we.
    nodes[0].mode("pass")
    all_at(c, nodes[0])
    wait_for(lambda: "now at mysql://%s" % address(nodes[0]) in c.log_text())
    deliver(c, sink, name + "-2")


def threads_called(pid, name):
    n = 0
    for comm in Path("/proc/%d/task" % pid).glob("*/comm"):
        with contextlib.suppress(OSError):  # it has just ended
            n += comm.read_text() == name + "\n"
    return n


def test_jobs_end_while_a_host_is_tried(c, sink, name, nodes):
    """Their connection is not waited for then: that is the worker's time."""
    c.configure(worker={"numWorkerThreads": 1},
                datastore={"connectTimeout": "10m"})
    nodes[0].mode("refuse")
    c.start()
    all_at(c, nodes[1])
    for i in range(8):
        assert c.post({"application-id": "far", "event-id": str(i), "event": 1,
                       "expiry": int(time.time()) + 10000,
                       "url": sink.url()}).status == 201
    response = c.request("POST", "/cassata/jobs/far",
                         b'{"verb": "delete", "filter": {}, "rate": 1}')
    assert response.status == 202
    path = response.header("Location")
    wait_for(lambda: c.get(path).json()["done"] > 0)
    nodes[0].mode("hold")
    pid = c.children("worker")[0]["pid"]
    wait_for(lambda: threads_called(pid, "beside") == 2)
    wait_for(lambda: " is done: 8 events matched" in c.log_text())
    deliver(c, sink, name)
    nodes[0].mode("refuse")


@pytest.mark.parametrize("mode", ["refuse", "cut"])
def test_lost_under_load(c, sink, name, nodes, mode):
    """A node that is killed, and one that only drops its connections."""
    c.configure(datastore={"returnAfter": "1h"})
    c.start()
    all_at(c, nodes[0])
    added, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            event = "%s-%d" % (name, len(added))
            if add(c, sink, event) in (200, 201):
                added.append(event)
    thread = threading.Thread(target=load)
    thread.start()
    try:
        wait_for(lambda: len(added) > 20)
        nodes[0].mode(mode)
        before = len(added)
        wait_for(lambda: len(added) > before + 20)
    finally:
        stop.set()
        thread.join()
    for event in added:
        wait_for(lambda: sink.arrivals("/" + event), 30, event)
    if mode == "refuse":
        all_at(c, nodes[1])
    nodes[1].mode("refuse")
    nodes[0].mode("pass")
    deliver(c, sink, name + "-after")
    all_at(c, nodes[0])


def test_black_hole_at_start(c, sink, name, nodes):
    """Connections are made, and nobody ever answers."""
    nodes[0].mode("hold")
    c.start()
    deliver(c, sink, name)
    all_at(c, nodes[1])
    nodes[0].mode("pass")
    all_at(c, nodes[0])


def test_becomes_a_black_hole(c, sink, name, nodes):
    c.start()
    all_at(c, nodes[0])
    nodes[0].mode("hold")
    deliver(c, sink, name + "-2")
    all_at(c, nodes[1])


def test_all_are_away(c, sink, name, nodes):
    c.start()
    all_at(c, nodes[0])
    for node in nodes:
        node.mode("refuse")
    wait_for(lambda: c.get("/readyz").status == 503)
    wait_for(lambda: hosts(c) == {None})
    wait_for(lambda: all(address(node) in c.status()["datastore-reason"]
                         for node in nodes[:2]))
    nodes[1].mode("pass")
    deliver(c, sink, name + "-2")
    all_at(c, nodes[1])


def says(number):
    return lambda kinds: rows(kinds, row(number))


def refuses(code, text):
    """The packet of an error."""
    return lambda _: [b"\xff" + code.to_bytes(2, "little") + b"#HY000" + text]


OUTSIDE = refuses(1047, b"WSREP has not yet prepared node for application use")
UNFIT = {
    "read_only": [(r"@@read_only", says(1))],
    "not primary": [(r"FROM meta", OUTSIDE)],
    "never ready": [(r"SET SESSION", OUTSIDE)],
    "full": [(r"SET SESSION", refuses(1040, b"Too many connections"))],
}


@pytest.mark.parametrize("what", UNFIT)
def test_unfit_is_passed_over(nodes, prepare, store, sink, name, what):
    answers = [(r"max_allowed_packet", says(16 << 20)), *UNFIT[what]]
    with Impostor(answers) as unfit:
        c = at(prepare(), store, unfit, nodes[0], nodes[1])
        c.start()
        deliver(c, sink, name)
        all_at(c, nodes[0])
        # They tried it before they went on, and try it again, in vain.
        tries = len(unfit.said)
        assert tries > 0
        wait_for(lambda: len(unfit.said) > tries)
        deliver(c, sink, name + "-2")
        all_at(c, nodes[0])


def test_sandbox_has_all_ports(c, sink, name, nodes):
    """Each host has a port of its own; the children may go to all of them."""
    c.start()
    all_at(c, nodes[0])
    for gone, used in ((0, 1), (1, 0), (0, 1)):
        nodes[used].mode("pass")
        nodes[gone].mode("refuse")
        deliver(c, sink, "%s-%d" % (name, time.monotonic_ns()))
        all_at(c, nodes[used])
