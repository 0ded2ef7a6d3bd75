# SPDX-License-Identifier: ISC
"""The daemon under test with all around it that can break: a datastore, the
file systems of the SQLite file and of the log, receivers, clients."""

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from cassata import (TESTS, Cassata, MysqlServer, SqliteStore, free_port,
                     is_gone, wait_for)
from load import Deleter, Load, Prober, Witness
from proxy import Proxy
from receiver import Receiver

WORKERS = 3
SERVICES = 2
LEASE_S = 3
# Longer than a worker is stopped for: what it was about to send is not over.
DELIVERY_TIMEOUT_S = 7
SHUTDOWN_S = 10
SLOW_S = 1.5  # at most, of the slow receiver
MAX_CONNECTIONS = 60
# How a line of the master's log names a process that it complains of.
COMPLAINT = re.compile(r"master\[\d+\] (?:warn|error): .*\(pid (\d+)\).*")


class Disk:
    """A small file system, where this process may mount one; else just a
    directory, which cannot be filled."""

    def __init__(self, path, megabytes):
        self.path = Path(path)
        self.path.mkdir()
        self._filler = self.path / "filler"
        self.small = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "cassata",
             str(path)], stderr=subprocess.DEVNULL).returncode == 0

    def fill(self):
        """Takes what is free; again when called again."""
        with open(self._filler, "ab") as filler:
            for step in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(filler.fileno(), filler.tell(), step)
                        filler.seek(0, os.SEEK_END)

    def free(self):
        self._filler.unlink()

    def close(self):
        if self.small:
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)


class Suspended:
    """How long CLOCK_MONOTONIC stood still for each process: preload/suspend.c."""

    PIDS = 4194304

    def __init__(self, directory):
        self._path = directory / "suspended"
        with open(self._path, "wb") as f:
            f.truncate(8 * self.PIDS)

    def add(self, pid, seconds):
        with open(self._path, "r+b") as f:
            f.seek(8 * (pid % self.PIDS))
            ms, = struct.unpack("q", f.read(8))
            f.seek(-8, os.SEEK_CUR)
            f.write(struct.pack("q", ms + round(seconds * 1000)))

    def environment(self, daemon):
        return {"CASSATA_SUSPEND": str(self._path),
                **daemon.preload(daemon.build_preload("suspend"))}


class Database:
    """MariaDB behind a proxy."""

    def __init__(self):
        os.environ["CASSATA_MARIADB_OPTIONS"] = \
            "--max-connections=%d" % MAX_CONNECTIONS
        self._server = MysqlServer()
        self.store = self._server.new()
        self.port = int(self._server.url.rpartition(":")[2].split("/")[0])
        self.proxy = Proxy(self.port)
        self.url = self.store.url.replace(
            ":%d/" % self.port, ":%d/" % self.proxy.port)

    def pid(self):
        return int(Path(self._server.directory, "pid").read_text())

    def kill(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: is_gone(pid), 30, "its end")
        # As a zombie it would count as running.
        Path(self._server.directory, "pid").unlink()

    def start(self):
        subprocess.run([str(TESTS / "mariadb"), "start",
                        self._server.directory], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, timeout=120, check=True)

    def close(self):
        self.proxy.close()
        self._server.stop()


class Bed:
    def __init__(self, builddir, kind, seed, rate):
        self.kind = kind
        self.directory = Path(tempfile.mkdtemp(prefix="cassata-faults-"))
        self.directory.chmod(0o711)
        self.data_disk = Disk(self.directory / "data", 1024)
        self.log_disk = Disk(self.directory / "log", 64)
        self.database = None
        self.receivers = []
        self.daemon = None
        self.killed = set()  # pids that a fault ended, or kept from leaving
        # Who starts or stops the master or asks it for pids; the database.
        self.life_lock = threading.RLock()
        self.database_lock = threading.Lock()
        try:
            self._build(builddir, seed, rate)
        except BaseException:
            self.close()
            raise

    def _build(self, builddir, seed, rate):
        if self.kind == "mysql":
            self.database = Database()
            self.store = self.database.store
        else:
            self.store = SqliteStore(str(self.data_disk.path))
        self.fast = Receiver()
        self.slow = Receiver(delay=(0.2, SLOW_S))
        # Hosts of their own: what is beyond the share of a host that answers
        # nothing waits, and is tried again only after a while.
        self.rude = Receiver(host="127.0.0.2")
        # For events that will be deleted.
        self.busy = Receiver(busy=True, host="127.0.0.3")
        self.tame = [self.fast, self.slow]
        self.receivers = [*self.tame, self.rude, self.busy]
        self.port = free_port()
        self.daemon = Cassata(
            builddir, self.store,
            service={"port": self.port, "processes": SERVICES},
            worker={"numWorkerThreads": WORKERS, "lease": "%ds" % LEASE_S,
                    "deliveryTimeout": "%ds" % DELIVERY_TIMEOUT_S,
                    "connectTimeout": "%ds" % DELIVERY_TIMEOUT_S,
                    "claimAhead": "500ms", "httpRetryCount": 1000,
                    "retryDelays": ["300ms", "1s"], "retention": 0},
            datastore={"connectTimeout": "2s", "timeout": "2s"},
            master={"shutdownTimeout": "%ds" % SHUTDOWN_S},
            log={"level": "info"})
        if self.database:
            self.daemon.configure(datastore={"url": self.database.url})
        self.daemon.output = self.log_disk.path / "output"
        self.suspended = Suspended(self.directory)
        self.deleter = Deleter(self.port)
        self.load = Load(self.port, [
            (self.fast.url(), 5), (self.slow.url(), 2), (self.rude.url(), 3)],
            self.busy.url(), self.deleter, rate, seed)
        self.witness = Witness(self.port, self.tame)
        self.prober = Prober(self.port)
        self.daemon.start(env=self.suspended.environment(self.daemon))

    # ---- the daemon ----

    def children(self, role):
        """Of the present generation, once all of them are there."""
        count = {"worker": WORKERS, "service": SERVICES}[role]

        def all_ready():
            status = self.daemon.status()
            if not status or status["state"] != "ready":
                return None
            found = [c["pid"] for c in status["children"]
                     if c["role"] == role and c["state"] == "ready"]
            return found if len(found) == count else None
        return wait_for(all_ready, 60, "%d processes: %s" % (count, role))

    def start_daemon(self):
        """As a service manager does it: again, when it did not work. Returns
        how often it was tried."""
        tries = 0
        deadline = time.monotonic() + 60
        while True:
            tries += 1
            try:
                self.daemon.spawn(env=self.suspended.environment(
                    self.daemon)).wait_ready(40)
                return tries
            except AssertionError:
                # Not ready in time, or ended.
                if self.daemon.process.poll() is None or \
                        time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def recovered(self):
        """Waits until everybody is back and an add works."""
        for role in ("worker", "service"):
            self.children(role)
        began_at = time.time()
        wait_for(lambda: self.load.acknowledged_at > began_at, 60, "an add")

    def unexpected_ends(self):
        """Lines of the master about processes that no fault had touched."""
        return [line.group() for line in
                COMPLAINT.finditer(self.daemon.log_text())
                if int(line.group(1)) not in self.killed]

    # ---- life ----

    def start_clients(self):
        for clients in (self.load, self.deleter, self.witness, self.prober):
            clients.start()

    def settle(self, seconds):
        """Waits until nothing is left to deliver; how much is, at the end."""
        deadline = time.monotonic() + seconds
        while True:
            left = int(self.store.sql(
                "SELECT COUNT(*) FROM event WHERE status < 2")[0][0])
            if left == 0 or time.monotonic() > deadline:
                return left
            time.sleep(0.2)

    def rows(self):
        """What the datastore says: number → (status, attempts, ended at);
        (number, attempt) of those that failed."""
        states = {int(n): (int(status), int(attempts), int(ended) / 1000)
                  for n, status, attempts, ended in self.store.sql(
                      "SELECT event_id, status, attempts, due_ms FROM event")}
        failed = {(int(n), int(attempt)) for n, attempt in self.store.sql(
            "SELECT event_id, number FROM attempt"
            " JOIN event ON event.id = attempt.event")}
        return states, failed

    def _wait_for_master(self, pid):
        """Its exit code, where it is our child: a successor is not."""
        code = 0
        if self.daemon.process:
            code = self.daemon.process.wait(40)
            self.daemon.process = None
        else:
            wait_for(lambda: is_gone(pid), 40, "the end of the master")
        self.daemon.pid = None
        return code

    def kill_master(self):
        pid = self.daemon.status()["pid"]
        os.kill(pid, signal.SIGKILL)
        self._wait_for_master(pid)

    def kill_everything(self):
        """Until nothing is left: a master may start another meanwhile."""
        pid = self.daemon.status()["pid"]
        while True:
            pids = self.daemon.processes()
            if not pids:
                break
            self.killed.update(pids)
            for number in signal.SIGSTOP, signal.SIGKILL:
                for each in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(each, number)
            if self.daemon.process:
                self.daemon.process.poll()
        self._wait_for_master(pid)

    def upgrade_daemon(self):
        """The answer to it."""
        pid = self.daemon.status()["pid"]
        answer = self.daemon.control("upgrade")
        if answer == "ok\n":
            self._wait_for_master(pid)
        return answer

    def stop_daemon(self):
        """TERM, and a clean end. Children of a master that was killed may
        still be leaving: these are waited for by the end of all."""
        pid = self.daemon.status()["pid"]
        os.kill(pid, signal.SIGTERM)
        code = self._wait_for_master(pid)
        assert code == 0, "exit code %d" % code

    def end_daemon(self):
        self.stop_daemon()
        wait_for(lambda: not self.daemon.processes(), 20, "the orphans' end")
        self.daemon.assert_sane()

    def close(self):
        for receiver in self.receivers:
            receiver.close()
        if self.daemon:
            for pid in self.daemon.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.daemon.process:
                self.daemon.process.wait(10)
            self.daemon.remove()
        if self.database:
            self.database.close()
        self.data_disk.close()
        self.log_disk.close()
        shutil.rmtree(self.directory, ignore_errors=True)
