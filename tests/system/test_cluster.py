# SPDX-License-Identifier: ISC
"""Hosts at different nodes of a Galera cluster."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import cassata
from cassata import wait_for
from test_migrate import MANY, begun, dump_all, fill, n_events

N_LARGE, LARGE_BYTES = 16, 100_000


@pytest.fixture
def hosts(request, builddir, cluster):
    """A daemon at each of two nodes."""
    request.node.daemons = daemons = [
        cassata.Cassata(builddir, store) for store in cluster.new()[:2]]
    try:
        for c in daemons:
            c.start()
        yield daemons
        for c in daemons:
            c.stop()
    finally:
        for c in daemons:
            c.end()
            c.remove()


def test_what_one_host_said_is_true_at_the_next(hosts, name):
    a, b = hosts
    for i in range(30):
        event = {"event-id": "%s-%d" % (name, i), "application-id": "app",
                 "event": {}, "expiry": time.time() + 3600,
                 "url": "http://127.0.0.1:9/"}
        event_id = event["event-id"]
        assert a.post(event).status == 201
        assert b.state(event_id) == "PENDING"
        assert b.delete(event_id).status == 200
        assert a.state(event_id) is None
        assert a.post(event).status == 201
        assert b.post(event).status == 200
        assert b.delete(event_id).status == 200


def test_more_than_a_transaction(cluster, hosts, sink, name):
    """What comes together is more than the cluster takes at once."""
    cluster.do("sql", "all", "SET GLOBAL wsrep_max_ws_size = 1048576")
    try:
        host = hosts[0]
        host.reload()
        ids = ["%s-%d" % (name, i) for i in range(N_LARGE)]
        with ThreadPoolExecutor(N_LARGE) as pool:
            answers = list(pool.map(lambda event_id: host.schedule(
                event_id, sink.url("/" + event_id),
                event="x" * LARGE_BYTES), ids))
        assert [r.status for r in answers] == N_LARGE * [201]
        for event_id in ids:
            sink.wait("/" + event_id)
            host.wait_state(event_id, "COMPLETED")
    finally:
        cluster.do("sql", "all", "SET GLOBAL wsrep_max_ws_size = 2147483647")


@pytest.mark.parametrize("side", ["source", "target"])
def test_migrate_while_a_node_is_killed(builddir, cluster, new_sqlite, side):
    """It goes on at another one: of what was acknowledged nothing is missing,
    nor there twice."""
    node, others = cluster.new()[0], []
    node.url = node.all_nodes
    stores = (node, new_sqlite) if side == "source" else (
        new_sqlite(), lambda: others.append(cluster.new()[0]) or others[-1])
    c = cassata.Cassata(builddir, stores[0])

    def new_other():
        other = stores[1]()
        if side == "target":
            other.url = other.all_nodes
        return other
    try:
        assert c.ctl("init-db").returncode == 0
        fill(stores[0], MANY)
        with begun(c, new_other, stderr=subprocess.PIPE) as (process, other):
            cluster.do("kill", 1)
            try:
                process.send_signal(signal.SIGCONT)
                out, told = process.communicate(timeout=100)
            finally:
                cluster.do("join", 1)
        assert process.returncode == 0, told
        assert b"; trying again" in told and b"all is there" in out
        assert n_events(other) == MANY
        assert dump_all(other) == dump_all(stores[0])
    finally:
        c.end()
        c.remove()


def test_healed_is_a_member(cluster):
    """A node that stood still takes itself for one until it hears of the
    others."""
    pid = cluster.pid(3)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: size(cluster, 1) == 2, 30, "the others")
    finally:
        os.kill(pid, signal.SIGCONT)
    cluster.do("heal", 3)
    assert size(cluster, 1) == size(cluster, 3) == 3


def size(cluster, node):
    return int(cluster.do("sql", node, "SHOW GLOBAL STATUS LIKE "
                          "'wsrep_cluster_size'").split()[1])
