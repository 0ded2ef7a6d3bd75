# SPDX-License-Identifier: ISC
"""Every worker of a datastore, as it says itself: no daemon is asked."""

import json
import socket

from cassata import wait_for, wait_shares

FAILED = 1
USAGE = 2


def document(c):
    done = c.ctl("status", "--all", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def table(c):
    done = c.ctl("status", "--all")
    assert done.returncode == 0, done.stderr
    return done.stdout


def workers(c):
    return {child["pid"] for child in c.children("worker")}


def server(store):
    """HOST:PORT, without a user."""
    if store.kind == "sqlite":
        return ""
    return store.url.split("//")[1].split("/")[0].split("@")[-1]


def shards(doc):
    return sum(i["shards"] for i in doc["instances"])


def whole(c):
    """A document with all shards: they may be changing hands."""
    def found():
        doc = document(c)
        return doc if shards(doc) == 64 else None
    return wait_for(found, what="all shards held")


def test_two_hosts(prepare, store):
    one = prepare(worker={"numWorkerThreads": 2}).start()
    two = prepare(worker={"numWorkerThreads": 2})
    env = two.hold_clocks()
    two.set_clock(40)
    two.start(env=env)
    wait_shares(store, 4)
    ours, theirs = workers(one), workers(two)
    host = socket.gethostname()

    # All are seen from either, and one has another clock.
    for c in one, two:
        doc = whole(c)
        found = {i["pid"]: i for i in doc["instances"]}
        assert found.keys() == ours | theirs
        assert doc["free-shards"] == 0
        for instance in found.values():
            assert instance["node"] == server(store)
            assert instance["host"] == host
            assert instance["state"] == "active"
        assert all(found[pid]["clock-ahead-ms"] > 1000 for pid in theirs)
        assert all(found[pid]["clock-ahead-ms"] < 1000 for pid in ours)
        assert doc["clocks-off"] == [host]
    text = table(one)
    assert "the clock of %s is " % host in text
    assert " s ahead of that of the datastore\n" in text
    assert all(" %d " % pid in text for pid in found)

    # Nobody is left who would end their registrations.
    two.abandon()
    one.abandon()
    wait_for(lambda: all(
        i["state"] == "silent" and i["age"] > i["lease"]
        for i in document(one)["instances"] if i["pid"] in ours),
        what="their silence")
    doc = document(two)
    assert ours <= {i["pid"] for i in doc["instances"]}
    assert shards(doc) + doc["free-shards"] == 64

    # Others may have written there.
    store.sql("UPDATE instance SET host = x'1b5d303b41', node = x'ff0a'")
    assert "?]0;A " in table(one) and "\x1b" not in table(one)
    assert {i["node"] for i in document(one)["instances"]} == {"??"}
    store.sql("UPDATE instance SET pid = -1")
    done = one.ctl("status", "--all")
    assert done.returncode == FAILED and "pid" in done.stderr
    store.sql("DELETE FROM instance")
    doc = document(one)
    assert doc["instances"] == [] and doc["free-shards"] == 64
    assert "64 shards are nobody's\n" in table(one)


def test_nothing_there(prepare, store):
    """Who looks makes nothing."""
    c = prepare()
    for _ in range(2):
        done = c.ctl("status", "--all")
        assert done.returncode == FAILED and done.stderr != ""
    assert c.ctl("init-db").returncode == 0
    assert document(c)["free-shards"] == 64
    assert c.ctl("stop", "--all").returncode == USAGE
