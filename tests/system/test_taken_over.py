# SPDX-License-Identifier: ISC
"""A child that has been taken over gains nothing by what it shares with the
others: memory, locks, pipes. See preload/spoiler.c."""

import os
import signal
import socket

import pytest

from cassata import wait_for

N = 40


@pytest.fixture
def hostile(prepare):
    """A daemon without the sandbox, whose children a signal takes over."""
    c = prepare(service={"processes": 3},
                worker={"numWorkerThreads": 3, "lease": "4s"},
                datastore={"timeout": "2s"},
                master={"sandbox": False, "shutdownTimeout": "4s"})
    c.start(env=c.preload(c.build_preload("spoiler")))
    return c


def pids(c):
    return {child["pid"] for role in ("service", "worker")
            for child in c.children(role)}


def has_ended(pid):
    """Though its parent does not know it yet."""
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[0] == "Z"


def assert_works(c, sink, path):
    """Adds are answered, and events delivered once."""
    for n in range(N):
        c.schedule("e%s%d" % (path.strip("/"), n), sink.url(path))
    for n in range(N):
        c.wait_state("e%s%d" % (path.strip("/"), n), "COMPLETED")
    assert len(sink.arrivals(path)) == N


@pytest.mark.parametrize("role", ["service", "worker"])
def test_memory_and_locks(hostile, sink, role):
    """The others neither die nor wait, and the master still counts."""
    c = hostile
    before = pids(c)
    assert len(before) == 6
    victim = c.children(role)[0]["pid"]
    os.kill(victim, signal.SIGRTMAX)
    assert_works(c, sink, "/a")
    assert c.get("/metrics").status == 200
    assert c.get("/readyz").status == 200
    # A worker that starts believes nothing of it, either.
    os.kill(c.children("worker")[-1]["pid"], signal.SIGKILL)
    wait_for(lambda: len(pids(c)) == 6 and pids(c) != before,
             what="a new worker")
    assert_works(c, sink, "/b")
    # It was at it all the time, and nobody else has ended.
    assert victim in pids(c)
    assert len(pids(c) & before) == 5


@pytest.mark.parametrize("role", ["service", "worker"])
def test_freeze(hostile, sink, role):
    """It ends, whatever writes one of them says that it has under way."""
    c = hostile
    os.kill(c.children(role)[0]["pid"], signal.SIGRTMAX)
    done = c.ctl("freeze", "--timeout", "30")
    assert done.returncode == 0, done
    assert c.status()["freeze-state"] == "frozen"
    assert not c.children("worker")
    c.configure(datastore={"timeout": "10s"})
    done = c.ctl("thaw")
    assert done.returncode == 0, done
    assert_works(c, sink, "/a")


@pytest.mark.parametrize("role", ["service", "worker"])
def test_pipes(hostile, sink, role):
    """It ends at once, and makes one line in the log."""
    c = hostile
    before = pids(c)
    victim = c.children(role)[0]["pid"]
    os.kill(victim, signal.SIGRTMAX - 1)
    wait_for(lambda: len(pids(c)) == 6 and victim not in pids(c),
             what="its successor")
    assert len(pids(c) & before) == 5
    assert_works(c, sink, "/a")
    lines = [line for line in c.log_text().splitlines()
             if " master[" in line and "report" in line]
    assert len(lines) == 1, lines
    assert "killed for a false report" in lines[0]


@pytest.fixture
def deaf():
    """A port where connections are made and nobody reads."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def hanging(prepare, deaf):
    """A daemon whose children a signal takes over; see preload/hanger.c."""
    c = prepare(service={"processes": 3},
                worker={"numWorkerThreads": 3, "lease": "4s"})
    c.start(env={"HANGER_PORT": str(deaf.getsockname()[1]),
                 **c.preload(c.build_preload("hanger"))})
    return c


@pytest.mark.parametrize("role", ["service", "worker"])
def test_nobody_waits(hanging, sink, role):
    """The others do not wait on the descriptors that they share with it."""
    c = hanging
    assert_works(c, sink, "/a")
    os.kill(c.children(role)[0]["pid"], signal.SIGRTMAX)
    assert_works(c, sink, "/b")
    assert c.get("/readyz").status == 200


def test_master_does_not_wait(hanging, deaf, sink):
    """Nor the master on a connection that it is sent."""
    c = hanging
    victim = c.children("worker")[0]["pid"]
    master = c.status()["pid"]
    deaf.settimeout(0.1)
    kept = []

    def is_sent():
        """Or it was ended for the attempt."""
        try:
            kept.append(deaf.accept()[0])
        except TimeoutError:
            pass
        return len(kept) == 2 or has_ended(victim)

    # Meanwhile it takes nothing: whoever closes the connection is the master.
    os.kill(master, signal.SIGSTOP)
    try:
        os.kill(victim, signal.SIGRTMAX - 1)
        wait_for(is_sent, what="the connection")
    finally:
        os.kill(master, signal.SIGCONT)
    wait_for(lambda: victim not in pids(c) and len(pids(c)) == 6,
             what="its successor")
    assert_works(c, sink, "/a")
    for connection in kept:
        connection.close()
