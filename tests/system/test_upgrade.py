# SPDX-License-Identifier: ISC
"""One master after another, and one generation after another: no request is
refused, no connection in use is cut, nothing is delivered twice."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from cassata import (
    SOURCE, free_port, is_gone, open_files, read_text, wait_for)
from client import Connection, request
from sink import Reply
from test_lifecycle import ACTIVATE, Clients, assert_all_delivered, pids

# No polling, no lease that ends in time: who needs them makes the test fail.
NO_CHANCE = {"lease": "10m", "workerThreadPollingInterval": "10m"}


@pytest.fixture
def own_programs(builddir, tmp_path):
    """A directory with programs that a test may replace."""
    for program in ("cassatad", "cassatactl"):
        shutil.copy(str(builddir / program), str(tmp_path))
    return tmp_path


def replace_program(directory, content):
    """As an update does it: by another file, the running one stays."""
    new = directory / "new"
    new.write_bytes(content)
    new.chmod(0o755)
    os.replace(new, directory / "cassatad")


def follow(c, old):
    """Waits until the old master is gone. The new one is not our child."""
    if c.process:
        assert c.process.wait(100) == 0, c.log_text()
        c.process = None
    c.pid = None
    wait_for(lambda: is_gone(old), 30, "end of the old master")


def upgrade(c):
    """The process numbers of the old and the new master."""
    before = c.status()
    result = c.ctl("upgrade")
    assert result.returncode == 0, result
    after = c.status()
    assert before["pid"] != after["pid"]
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "cassatad %s (pid %d) %s" % line for line in (
            (before["version"], before["pid"], "starts its successor"),
            (after["version"], after["pid"], "has taken over"),
            (before["version"], before["pid"], "has left"))]
    follow(c, before["pid"])
    pid_file = c.state_dir / "cassatad.pid"
    assert int(read_text(pid_file)) == after["pid"]
    assert after["state"] == "ready"
    assert {x["state"] for x in after["children"]} == {"ready"}
    wait_for(lambda: not pids(before["children"]) & set(c.processes()), 20,
             "end of the old children")
    return before["pid"], after["pid"]


def upgrade_plain(c):
    old = c.status()["pid"]
    assert c.control("upgrade") == "ok\n"
    follow(c, old)


def refused(c, reason):
    """An upgrade fails with the reason, and all is as before."""
    before = c.status()
    answer = c.control("upgrade")
    assert re.match("error: .*" + reason, answer), answer
    after = c.status()
    assert after["pid"] == before["pid"]
    assert after["state"] == "ready"
    assert pids(after["children"]) == pids(before["children"])
    assert c.get("/readyz").status == 200
    wait_for(lambda: set(c.processes()) == {after["pid"]} |
             pids(after["children"]), 20, "end of the failed one")


def assert_each_once(clients, sink):
    arrived = Counter(a.header("Cassata-Event-Id") for a in sink.arrivals())
    assert set(arrived) == set(clients.accepted)
    assert set(arrived.values()) == {1}


# ---- upgrades ----

def test_upgrade_while_clients_post(prepare, sink):
    """Thrice, of a real daemon: no request fails, every event comes once."""
    c = prepare(worker=NO_CHANCE)
    assert c.ctl("start").returncode == 0
    with Clients(c.port, sink.url("/e"), 6) as clients:
        for _ in range(3):
            sink.wait("/e", len(sink.arrivals()) + 20)
            upgrade(c)
    assert clients.failures == []
    assert_all_delivered(c, clients)
    assert_each_once(clients, sink)
    assert c.reload() == "ok\n"
    assert c.ctl("stop").returncode == 0
    assert not list(c.state_dir.glob("cassatad*"))


def test_upgrade_of_events_due(prepare, sink):
    """Due and on the wire meanwhile: each is sent once, and is sent."""
    c = prepare(worker=NO_CHANCE).start()
    sink.on("/e", Reply(200, delay=0.3))
    n = 300
    start = time.time() + 0.5
    for i in range(n):
        c.schedule("e%d" % i, sink.url("/e"), expiry=start + i * 0.01)
    for k in range(3):
        sink.wait("/e", 10 + 80 * k)
        upgrade(c)
    sink.wait("/e", n, 30)
    for i in range(n):
        assert c.wait_state("e%d" % i, "COMPLETED")["attempts"] == 1
    arrived = Counter(a.header("Cassata-Event-Id") for a in sink.arrivals())
    assert set(arrived.values()) == {1}


def test_upgrade_serves_open_connections(prepare, sink):
    """Idle at that moment, or in the middle of a request; what the old service
    adds is delivered at once, though its own workers have gone."""
    c = prepare(worker=NO_CHANCE).start()
    body = ('{"event-id":"%s","application-id":"app","event":1,"expiry":0,'
            '"url":"' + sink.url("/e") + '"}')
    old = c.pid
    workers = pids(c.children("worker"))
    numbers = itertools.count()

    def add(connection):
        connection.send_request("POST", "/cassata/add/",
                                (body % ("e%d" % next(numbers))).encode())
        response = connection.read_response()
        assert response.status == 201
        return response
    with Connection(c.port) as idle, Connection(c.port) as half, \
            Connection(c.port) as held:
        for connection in (idle, held):
            connection.send_request("GET", "/livez")
            assert connection.read_response().status == 200
        half.send(b"POST /cassata/add/ HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/json\r\nExpect: "
                  b"100-continue\r\nContent-Length: %d\r\n\r\n" %
                  len(body % "half"))
        assert half.read_response().status == 100
        assert c.control("upgrade") == "ok\n"
        added = [add(idle)]
        while added[-1].header("Connection") != "close":
            added.append(add(idle))
        assert idle.at_end()
        sink.wait("/e", len(added))
        # What tells the new workers of the next one is the event alone: the
        # old workers are gone, and held keeps the old service for a while.
        wait_for(lambda: all(map(is_gone, workers)), 20, "the old workers")
        wait_for(lambda: shards_held(c) == 64, 20, "all shards")
        time.sleep(0.2)
        half.send((body % "half").encode())
        response = half.read_response()
        assert response.status == 201
        assert response.header("Connection") == "close"
        sink.wait("/e", len(added) + 1)
    follow(c, old)
    assert c.wait_state("half", "COMPLETED")["attempts"] == 1


def shards_held(c):
    return c.status()["metrics"]["cassata_shards_held"]


def test_upgrade_with_metrics_of_its_own(prepare):
    """Both masters' children for metrics listen at one port for a while."""
    port = free_port()
    c = prepare(master={"metrics": "127.0.0.1:%d" % port}).start()
    for _ in range(2):
        upgrade(c)
        assert request(port, "GET", "/metrics").status == 200


def test_killed_old_worker(prepare, sink):
    """What it had on the wire is delivered by the new ones, at once."""
    c = prepare(worker=NO_CHANCE).start()
    sink.on("/e", Reply(200, gate=sink.gate()), 200)
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    old = c.pid
    workers = pids(c.children("worker"))
    assert c.control("upgrade") == "ok\n"
    # One has nothing to do and goes.
    wait_for(lambda: sum(map(is_gone, workers)) == 1, 20, "the idle one")
    wait_for(lambda: shards_held(c) == 64, 20, "all shards")
    for pid in workers:
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
    sink.wait("/e", 2)
    follow(c, old)
    assert c.wait_state("e", "COMPLETED")["attempts"] == 1


def test_killed_worker_of_the_master_before_last(prepare, sink):
    """The masters in between pass the news on, though they have nothing else
    left to do."""
    c = prepare(worker=NO_CHANCE).start()
    sink.on("/e", Reply(200, gate=sink.gate()), 200)
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    old = c.pid
    workers = pids(c.children("worker"))
    assert c.control("upgrade") == "ok\n"
    second = pids(c.status()["children"])
    with socket.socket(socket.AF_UNIX) as early:
        early.connect(str(c.control_path))
        assert c.control("upgrade") == "ok\n"
        wait_for(lambda: all(map(is_gone, second)), 20,
                 "the second generation")
        # It still answers, unless it has lost patience.
        with contextlib.suppress(ConnectionError):
            early.sendall(b"status\n")
            answer = early.makefile().read()
            assert not answer or json.loads(answer)["state"] == "draining"
    wait_for(lambda: sum(map(is_gone, workers)) == 1, 20, "the idle one")
    wait_for(lambda: shards_held(c) == 64, 20, "all shards")
    for pid in workers:
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
    sink.wait("/e", 2)
    follow(c, old)
    assert c.wait_state("e", "COMPLETED")["attempts"] == 1


def test_three_masters(prepare, sink):
    """The second one, which has left to the third, hears the end of the
    first: nothing is its to take over."""
    c = prepare(worker=NO_CHANCE).start()
    old, gates = [], []
    for path in ("/first", "/second"):
        gates.append(sink.gate())
        sink.on(path, Reply(200, gate=gates[-1]))
        c.schedule(path[1:], sink.url(path))
        sink.wait(path)
        old.append(c.status()["pid"])
        assert c.control("upgrade") == "ok\n"
    new = c.status()["pid"]
    for pid, gate in zip(old, gates):
        gate.set()
        follow(c, pid)
    assert c.status()["pid"] == new
    assert int(read_text(c.state_dir / "cassatad.pid")) == new
    assert c.log_text().count("took over from") == 2


def test_worker_killed_before_the_upgrade(prepare, store, sink):
    """Nobody was left there to take its claim over: the new ones do, at
    once."""
    c = prepare(worker={"numWorkerThreads": 1, **NO_CHANCE}).start()
    sink.on("/e", Reply(200, gate=sink.gate()), 200)
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    old = c.pid
    # Its successor dies before it can take the claim over, so that the next
    # one is to start later than the upgrade is done.
    killed = set()
    with store.locked():
        while len(killed) < 2:
            pid = wait_for(lambda: [x["pid"] for x in c.status()["children"]
                                    if x["role"] == "worker" and
                                    x["pid"] not in killed | {None}])[0]
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    assert c.control("upgrade") == "ok\n"
    sink.wait("/e", 2)
    follow(c, old)
    assert c.wait_state("e", "COMPLETED")["attempts"] == 1


def test_upgrade_to_another_version(prepare, own_programs):
    """The file at the path by which it was started, with the options and the
    environment of the start."""
    c = prepare()
    c.builddir = own_programs
    assert c.ctl("start").returncode == 0
    assert c.status()["version"] != "9.9.9"
    version = c.status()["version"].encode() + b"\0"
    program = (own_programs / "cassatad").read_bytes()
    assert version in program
    replace_program(own_programs, program.replace(
        version, b"9.9.9".ljust(len(version), b"\0")))
    _, new = upgrade(c)
    assert c.status()["version"] == "9.9.9"
    assert "cassatad 9.9.9, pid %d, ready" % new in c.ctl("status").stdout
    assert c.status()["config"] == str(c.config_file)
    assert new in c.processes()  # by its environment


def test_upgrade_by_signal(prepare):
    c = prepare().start()
    old = c.pid
    children = pids(c.status()["children"])
    for pid in children:  # pkill may send it to all
        os.kill(pid, signal.SIGUSR2)
    c.send(signal.SIGUSR2)
    wait_for(lambda: c.status()["pid"] != old, 20, "the new master")
    follow(c, old)
    assert "died from" not in c.log_text()
    c.send(signal.SIGTERM)
    wait_for(lambda: not c.processes(), 20, "its end")


def test_upgrade_of_one_role(prepare, sink):
    c = prepare()
    worker = prepare(roles="worker", worker={
        "workerThreadPollingInterval": "1s"})
    c.roles = "service"
    for one in (c, worker):
        one.start()
        old = one.pid
        assert one.control("upgrade") == "ok\n"
        follow(one, old)
        assert {x["role"] for x in one.status()["children"]} == {one.roles}
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")


def test_upgrade_to_another_port(prepare):
    c = prepare().start()
    old_port = c.port
    port = free_port()
    c.configure(service={"port": port})
    upgrade(c)
    assert c.port == port
    assert c.get("/readyz").status == 200
    with pytest.raises(ConnectionRefusedError):
        Connection(old_port)


def test_upgrade_with_socket_activation(prepare):
    c = prepare()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        c.start(prefix=[sys.executable, "-c", ACTIVATE,
                        str(listener.fileno())],
                pass_fds=[listener.fileno()])
        upgrade(c)
        assert c.status()["listening"] == ["127.0.0.1:%d" % port]
        assert c.reload() == "ok\n"
        assert c.status()["listening"] == ["127.0.0.1:%d" % port]
        assert c.get("/readyz").status == 200


def test_upgrade_tells_the_service_manager(prepare):
    c = prepare()
    name = str(c.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name)
        sock.settimeout(100)
        c.start(env={"NOTIFY_SOCKET": name})
        assert b"READY=1" in sock.recv(4096)
        _, new = upgrade(c)
        assert sock.recv(4096) == b"MAINPID=%d" % new
        assert sock.recv(4096) == b"READY=1\nMAINPID=%d" % new
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(4096)


def test_upgrade_leaves_no_gap(prepare):
    """At no moment could another daemon start, or status fail."""
    c = prepare()
    assert c.ctl("start").returncode == 0
    ending = threading.Event()
    wrong, asked = [], Counter()

    def ask(what):
        while not ending.is_set():
            if what == "status":
                result = c.ctl("status")
                right = result.returncode == 0
            else:
                result = c.run(*c.command())
                right = (result.returncode == 1 and
                         "already running (pid" in result.stderr)
            asked[what] += 1
            if not right:
                wrong.append(result)
    threads = [threading.Thread(target=ask, args=(what,))
               for what in ("status", "start")]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            before = asked.copy()
            wait_for(lambda: all(asked[what] > before[what]
                                 for what in ("status", "start")), 20, "both")
            upgrade_plain(c)
    finally:
        ending.set()
        for thread in threads:
            thread.join(100)
    assert wrong == []


# ---- upgrades that fail ----

def test_refused_configurations(launch, store, sink):
    c = launch()
    with Clients(c.port, sink.url("/e")) as clients:
        for section, key, value, reason in (
                ("nonsense", "key", 1, r"cassata\.yaml:\d+:\d+: "),
                ("datastore", "url", store.bad_url,
                 re.escape(store.bad_place)),
                ("service", "listen", "192.0.2.1", "listen on 192.0.2.1"),
                ("master", "pidFile", str(c.directory / "pid"), "pid: "),
                ("master", "controlSocket", str(c.directory / "sock"),
                 "master.controlSocket: a change")):
            good = {name: dict(keys) for name, keys in c.sections.items()}
            c.configure(**{section: {key: value}})
            refused(c, reason)
            c.sections = good
            c.configure()
    assert clients.failures == []
    upgrade(c)
    assert_all_delivered(c, clients)


def test_refused_schema(launch, store):
    c = launch()
    (version,), = store.sql("SELECT max(%s) FROM meta" % (
        "value" if store.kind == "sqlite" else "version"))
    store.set_version(99)
    refused(c, "99")
    assert "not upgraded" in c.log_text()
    if store.kind == "sqlite":
        store.set_version(int(version))
    else:
        store.sql("DELETE FROM meta WHERE version = 99")
    upgrade(c)


@pytest.mark.parametrize("content, reason", [
    (None, "not executed: .*/cassatad: No such file or directory"),
    (b"\0", "cannot execute .*/cassatad: Exec format error"),
    (b"#!/bin/sh\nexit 3\n", ".*/cassatad exited with code 3"),
    (b"#!/bin/sh\nkill -9 $$\n", ".*/cassatad died from SIGKILL"),
    (b"#!/bin/sh\necho because >&2; exit 3\n", "because\n$"),
], ids=["missing", "no program", "exits", "dies", "says why"])
def test_refused_programs(prepare, own_programs, content, reason):
    c = prepare()
    c.builddir = own_programs
    c.start()
    program = (own_programs / "cassatad").read_bytes()
    if content is None:
        (own_programs / "cassatad").unlink()
    else:
        replace_program(own_programs, content)
    refused(c, reason)
    result = c.ctl("upgrade")
    assert result.returncode == 1
    assert re.search(reason, result.stderr)
    assert c.reload() == "ok\n"
    replace_program(own_programs, program)
    upgrade(c)


def test_program_of_everybody(prepare, own_programs):
    """What anybody can have put there is not executed."""
    c = prepare()
    c.builddir = own_programs
    c.start()
    for path in own_programs / "cassatad", own_programs:
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o002)
        refused(c, "not executed: everybody can write to %s" % path)
        path.chmod(mode)
    # The one that runs stays root's.
    replace_program(own_programs, (own_programs / "cassatad").read_bytes())
    if os.geteuid() == 0:
        for path in own_programs / "cassatad", own_programs:
            owner = path.stat().st_uid
            os.chown(str(path), 1 + owner, -1)
            refused(c, "not executed: %s/? belongs to user %d" % (
                path, 1 + owner))
            os.chown(str(path), owner, -1)
    upgrade(c)


def test_upgrade_of_nothing(prepare):
    result = prepare().ctl("upgrade")
    assert result.returncode == 7
    assert result.stderr == "cassatactl: not running\n"


class Held:
    """An upgrade whose new master waits before it begins."""

    def __init__(self, c, programs):
        self._c = c
        self._gate = programs / "gate"
        os.replace(programs / "cassatad", programs / "cassatad-real")
        replace_program(programs, (
            "#!/bin/sh\nwhile [ ! -e %s ]; do sleep 0.02; done\n"
            "exec %s/cassatad-real \"$@\"\n" % (self._gate, programs)).encode())
        before = set(c.processes())
        self.answer = []
        self._thread = threading.Thread(
            target=lambda: self.answer.append(c.control("upgrade")))
        self._thread.start()
        old = c.status()["pid"]

        def successor():
            return [pid for pid in set(c.processes()) - before
                    if parent(pid) == old]
        self.pid, = wait_for(successor, 20, "the new master")

    def go(self):
        self._gate.write_text("")

    def end(self):
        self._thread.join(100)
        return self.answer[0]


def parent(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


@pytest.fixture
def held(prepare, own_programs):
    def make(**kwargs):
        c = prepare(**kwargs)
        c.builddir = own_programs
        c.start()
        return c, Held(c, own_programs)
    return make


def test_killed_new_master(held, sink):
    """Nothing else can change meanwhile; then the old one goes on."""
    c, h = held()
    with Clients(c.port, sink.url("/e")) as clients:
        assert c.reload() == "error: an upgrade is under way\n"
        assert c.control("upgrade") == "error: an upgrade is under way\n"
        assert c.status()["pid"] == c.pid
        os.kill(h.pid, signal.SIGKILL)
        assert "died from SIGKILL before it was ready" in h.end()
        h.go()
        assert c.status()["pid"] == c.pid
        assert c.reload() == "ok\n"
    assert clients.failures == []
    assert_all_delivered(c, clients)
    upgrade(c)


def test_new_master_too_slow(held):
    c, h = held(master={"startTimeout": "6s"})
    assert h.end() == "error: killed: it was not ready in time\n"
    assert is_gone(h.pid)
    assert c.status()["pid"] == c.pid


def test_stop_during_upgrade(held):
    c, h = held()
    c.send(signal.SIGTERM)
    assert c.process.wait(100) == 0
    c.process = c.pid = None
    assert h.end() == "error: the daemon is stopping\n"
    wait_for(lambda: not c.processes(), 10, "the end of all")


def test_killed_old_master(held, sink):
    """When the new one is ready, or nearly: it takes over all the same."""
    c, h = held(worker={"lease": "2s"})
    c.schedule("e", sink.url("/e"), expiry=time.time() + 1)
    os.kill(c.pid, signal.SIGSTOP)
    h.go()
    wait_for(lambda: "master[%d] info: ready" % h.pid in c.log_text(), 30,
             "readiness")
    c.kill()
    c.pid = None
    wait_for(lambda: (c.status() or {}).get("pid") == h.pid, 20, "its answer")
    assert int(read_text(c.state_dir / "cassatad.pid")) == h.pid
    c.wait_state("e", "COMPLETED")
    assert c.ctl("stop").returncode == 0


def test_stopped_new_master(held):
    """It was ready, but is gone before the old one looks: that goes on."""
    c, h = held()
    os.kill(c.pid, signal.SIGSTOP)
    h.go()
    wait_for(lambda: "master[%d] info: ready" % h.pid in c.log_text(), 30,
             "readiness")
    os.kill(h.pid, signal.SIGTERM)
    wait_for(lambda: is_gone(h.pid), 30, "its end")
    os.kill(c.pid, signal.SIGCONT)
    assert h.end().endswith("exited with code 0 before it was ready\n")
    assert c.status()["pid"] == c.pid
    assert int(read_text(c.state_dir / "cassatad.pid")) == c.pid
    upgrade(c)


def test_stop_during_reload(prepare):
    """Who waits for it is told, and what was started for it goes, too."""
    c = prepare().start()
    answer = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        c.configure(datastore={
            "url": "mysql://a:b@127.0.0.1:%d/c" % silent.getsockname()[1],
            "connectTimeout": "30s"})
        thread = threading.Thread(target=lambda: answer.append(c.reload()))
        thread.start()
        wait_for(lambda: "reloading" in c.log_text(), what="the reload")
        assert c.control("stop") == "ok\n"
        thread.join(100)
    assert answer == ["error: the daemon is stopping\n"]
    assert c.process.wait(100) == 0
    c.process = c.pid = None
    wait_for(lambda: not c.processes(), 10, "the end of all")
    assert not list(c.state_dir.glob("cassatad*"))


def test_start_after_killed_new_master(prepare, sink):
    """The one before it, which still drains, is not in the way."""
    c = prepare().start()
    gate = sink.gate()
    sink.on("/e", Reply(200, gate=gate))
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    old = c.pid
    assert c.control("upgrade") == "ok\n"
    os.kill(c.status()["pid"], signal.SIGKILL)
    result = c.ctl("start")
    assert not is_gone(old)
    gate.set()
    assert result.returncode == 0, result
    follow(c, old)
    assert c.status()["state"] == "ready"


def test_rotated_log_during_upgrade(prepare, own_programs):
    """The new master has opened the log when its name is taken away, and the
    old one is who hears of that."""
    c = prepare()
    c.builddir = own_programs
    assert c.ctl("start").returncode == 0
    h = Held(c, own_programs)
    old = c.status()["pid"]
    os.kill(old, signal.SIGSTOP)
    h.go()
    wait_for(lambda: "master[%d] info: ready" % h.pid in c.log_text(), 30,
             "readiness")
    os.rename(str(c.log), str(c.log) + ".1")
    os.kill(old, signal.SIGUSR1)
    os.kill(old, signal.SIGCONT)
    assert h.end() == "ok\n"

    wait_for(lambda: all(str(c.log) in open_files(pid) for pid in
                         {h.pid} | pids(c.status()["children"])),
             what="the new log")
    follow(c, old)


# ---- connections ----

@pytest.mark.parametrize("change", ["reload", "upgrade"])
def test_idle_connection_survives(prepare, change):
    """There is no hurry to close it: its next request is answered."""
    c = prepare().start()
    old = c.pid
    with Connection(c.port) as idle:
        idle.send_request("GET", "/livez")
        assert idle.read_response().header("Connection") != "close"
        assert c.control(change) == "ok\n"
        time.sleep(1.5)  # longer than a stop would wait
        idle.send_request("GET", "/livez")
        response = idle.read_response()
        assert response.status == 200
        assert response.header("Connection") == "close"
        assert idle.at_end()
    if change == "upgrade":
        follow(c, old)


def test_idle_connection_ends(prepare):
    """In time for the others: nobody is killed."""
    c = prepare(master={"shutdownTimeout": "4s"}).start()
    old = pids(c.children("service"))
    with Connection(c.port) as idle:
        idle.send_request("GET", "/livez")
        idle.read_response()
        assert c.reload() == "ok\n"
        assert idle.at_end()
        wait_for(lambda: not old & set(c.processes()), 20, "the old service")
    assert "killed" not in c.log_text()


# ---- under the load of a real client ----

def wrk(c, tmp_path, change, n):
    """So many changes, half a second apart, while wrk adds events; what it
    printed."""
    if not shutil.which("wrk"):
        pytest.skip("no wrk")
    with open(str(tmp_path / "wrk"), "w+") as output:
        with subprocess.Popen(
                ["wrk", "-t1", "-c16", "-d300s", "--timeout", "100s", "-s",
                 str(SOURCE / "bench" / "add.lua"),
                 "http://127.0.0.1:%d/" % c.port, "--", "50"],
                stdout=output) as process:
            try:
                for _ in range(n):
                    time.sleep(0.5)
                    change()
                time.sleep(0.5)
            finally:
                process.send_signal(signal.SIGINT)  # its end, as by time
        output.seek(0)
        text = output.read()
    assert process.returncode == 0
    return text


def assert_no_error(text):
    assert int(re.search(r"(\d+) requests in", text).group(1)) > 0
    assert "Socket errors" not in text
    assert "Non-2xx" not in text


def test_reload_under_wrk(launch, tmp_path):
    c = launch(service={"processes": 2})

    def reload():
        assert c.reload() == "ok\n"
    assert_no_error(wrk(c, tmp_path, reload, 4))


def test_upgrade_under_wrk(prepare, tmp_path):
    c = prepare(service={"processes": 2})
    assert c.ctl("start").returncode == 0

    def change():
        assert c.ctl("upgrade").returncode == 0
    assert_no_error(wrk(c, tmp_path, change, 3))


def test_reload_and_upgrade_of_many_clients(prepare, sink):
    """Whatever the client is: half of them on connections that stay."""
    c = prepare(service={"processes": 2})
    assert c.ctl("start").returncode == 0
    with Clients(c.port, sink.url("/e"), 8) as clients:
        for k in range(6):
            sink.wait("/e", len(sink.arrivals()) + 20)
            if k % 2:
                assert c.reload() == "ok\n"
            else:
                upgrade_plain(c)
    assert clients.failures == []
    assert_all_delivered(c, clients)
    assert_each_once(clients, sink)


def test_restart_while_clients_post(prepare, sink):
    """Clients may find nobody for a moment; what was accepted is delivered,
    once."""
    c = prepare(service={"port": free_port()})
    assert c.ctl("start").returncode == 0
    with Clients(c.port, sink.url("/e")) as clients:
        for _ in range(3):
            sink.wait("/e", len(sink.arrivals()) + 20)
            assert c.ctl("restart").returncode == 0
    assert not [f for f in clients.failures if not isinstance(f, OSError)]
    assert_all_delivered(c, clients)
    assert set(Counter(a.header("Cassata-Event-Id")
                       for a in sink.arrivals()).values()) == {1}
