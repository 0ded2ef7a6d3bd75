# SPDX-License-Identifier: ISC
"""Events that come in late are due soon, and nobody looks by itself: only a
wake-up brings them within the time of a test."""

import copy
import os
import signal
import time

import pytest

from cassata import open_files, wait_for, wait_shares
from test_lapse import stopped
from test_lifecycle import Clients

SLEEPY = {"workerThreadPollingInterval": "1h"}
# By chance alone, all of them would be where they can be woken once in a
# million runs.
SOME = 20


def add_some(c, sink, name, seconds=0.5):
    for i in range(SOME):
        path = "/%s-%d" % (name, i)
        c.schedule(path, sink.url(path), expiry=time.time() + seconds)


def wait_some(sink, name):
    for i in range(SOME):
        sink.wait("/%s-%d" % (name, i), seconds=20)


def test_where_its_host_can_be_woken(launch, store, sink):
    """Two hosts share a datastore: what is added on one, and due soon, comes
    on time, whichever of the two it is."""
    hosts = [launch(worker=SLEEPY) for _ in range(2)]
    wait_shares(store, 4)
    for i, host in enumerate(hosts):
        add_some(host, sink, "host%d" % i)
        wait_some(sink, "host%d" % i)


def test_while_shards_move(launch, store, sink):
    """What is put where a worker looked that has just left is found."""
    c = launch(worker=SLEEPY)
    wait_shares(store, 2)
    with Clients(c.port, sink.url("/moved")) as clients:
        for n in 1, 3, 2:
            c.configure(worker={"numWorkerThreads": n})
            assert c.reload() == "ok\n"
            wait_for(lambda: len(c.status()["children"]) - len(
                c.children("service")) == n, 30, "the end of the old ones")
            sink.wait("/moved", len(sink.arrivals()) + 20)
    assert clients.failures == []
    for name in clients.accepted:
        c.wait_state(name, "COMPLETED")


def bell_of(c):
    bell, = {path for pid in c.processes() for path in open_files(pid)
             if "-bell" in path and not path.endswith("(deleted)")}
    return bell


def test_a_start_that_fails(prepare, store):
    """It leaves no bell behind."""
    c = prepare().start()
    bell = bell_of(c)
    c.stop()
    store.set_version(99)
    c.spawn()
    assert c.process.wait(100) != 0
    c.process = None
    assert not os.path.exists(bell)


def test_roles_apart(launch, store, sink):
    """Masters of one host wake each other's workers."""
    service = launch(roles="service", worker=SLEEPY)
    worker = launch(roles="worker", worker=SLEEPY)
    wait_shares(store, 2)
    add_some(service, sink, "first")
    wait_some(sink, "first")
    # The next ones of either hear it, too.
    assert worker.reload() == "ok\n"
    wait_for(lambda: len(worker.status()["children"]) == 2, 30, "the old end")
    assert service.reload() == "ok\n"
    add_some(service, sink, "second")
    wait_some(sink, "second")
    # It goes with the last one.
    bell = bell_of(service)
    worker.stop()
    assert os.path.exists(bell)
    service.stop()
    assert not os.path.exists(bell)


def test_left_by_the_killed(launch, new_store, store):
    """Whoever comes next, of the same user, removes the bell that nobody uses,
    and no other."""
    if store.kind == "sqlite":
        pytest.skip("it is beside the file, for the next one")
    killed, lives = launch(), launch(store=new_store())
    left = bell_of(killed)
    killed.abandon()  # who starts beside this test may be the next one
    last = launch(store=new_store())
    wait_for(lambda: not os.path.exists(left))
    assert os.path.exists(bell_of(lives)) and os.path.exists(bell_of(last))


def test_shards_set_free_beside(launch, store, sink):
    """Who leaves rings for the workers of the other master: they take its
    shards over, and what waits there."""
    one = launch(worker={**SLEEPY, "numWorkerThreads": 1, "lease": "1h"})
    two = launch(worker={**SLEEPY, "numWorkerThreads": 1, "lease": "1h"})
    wait_shares(store, 2)
    add_some(two, sink, "left", 3)
    two.stop()
    wait_shares(store, 1)
    wait_some(sink, "left")
    add_some(one, sink, "new")
    wait_some(sink, "new")


def test_leaves_before_it_had_any(launch, store):
    """What was set free for it goes back."""
    launch(worker={**SLEEPY, "numWorkerThreads": 1, "lease": "1h"})
    wait_shares(store, 1)
    for _ in range(5):
        launch(worker={**SLEEPY, "numWorkerThreads": 1, "lease": "1h"}).stop()
        wait_shares(store, 1)


def test_services_elsewhere(launch, store, sink):
    """A host with services only, one with workers only. To them the server has
    two names, as a server has one for each on two hosts: so nobody rings."""
    if store.kind == "sqlite":
        pytest.skip("a file has no other hosts")
    other = copy.copy(store)
    other.url = store.url.replace("127.0.0.1", "localhost")
    assert other.url != store.url
    worker = launch(store=other, roles="worker", worker=SLEEPY)
    service = launch(store=store, roles="service", worker=SLEEPY)
    wait_shares(store, 2)
    add_some(service, sink, "first")
    wait_some(sink, "first")
    # Whichever worker it was that asked.
    os.kill(worker.children("worker")[0]["pid"], signal.SIGKILL)
    add_some(service, sink, "second")
    wait_some(sink, "second")


def test_a_worker_is_stopped(launch, store, sink):
    """It says that it holds its shards, and another master's has taken them
    over: what is added there is told to that one."""
    short = {**SLEEPY, "numWorkerThreads": 1, "lease": "2s"}
    one, two = launch(worker=short), launch(worker=short)
    wait_shares(store, 2)
    with stopped(one.children("worker")[0]["pid"], store):
        wait_shares(store, 1)
        add_some(one, sink, "stopped")
        wait_some(sink, "stopped")
