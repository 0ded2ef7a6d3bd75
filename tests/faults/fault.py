# SPDX-License-Identifier: ISC
"""The faults: what is done to the daemon, to its datastore, disks and
receivers. A function per kind; it returns when the fault is over."""

import os
import random
import re
import signal
import socket
import threading
import time
import traceback

from bed import LEASE_S, MAX_CONNECTIONS
from cassata import is_gone, wait_for
from receiver import MODES

AWAY_S = 10
RUDE_S = 4

REFUSED = "not reloaded"
RUDE_LOCK = threading.Lock()


class Fault:
    """One that happened. Times are those of the wall clock; it disturbs from
    began_at to ended_at."""

    def __init__(self, kind):
        self.kind = kind
        self.began_at = None
        self.ended_at = None
        self.alone = True  # no other one at the same time
        self.note = ""
        self.error = None


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# ---- processes ----

def kill_child(bed, fault, dice, role):
    with bed.life_lock:
        pid = dice.choice(bed.children(role))
        bed.killed.add(pid)
        fault.began_at = time.time()
        send(pid, signal.SIGKILL)
        fault.note = "pid %d" % pid


def kill_worker(bed, fault, dice):
    kill_child(bed, fault, dice, "worker")


def kill_service(bed, fault, dice):
    kill_child(bed, fault, dice, "service")


def kill_master(bed, fault, _):
    with bed.life_lock:
        fault.began_at = time.time()
        bed.kill_master()
        fault.note = "%d starts" % bed.start_daemon()


def kill_everything(bed, fault, _):
    """All processes at once: nobody is left to say who is gone."""
    with bed.life_lock:
        bed.children("worker")
        fault.began_at = time.time()
        bed.kill_everything()
        fault.note = "%d starts" % bed.start_daemon()
        # The leases of the dead end by time alone.
        time.sleep(max(0, fault.began_at + LEASE_S + 0.5 - time.time()))


def stop(bed, fault, dice):
    """A worker, which comes back as one whose work others have."""
    with bed.life_lock:
        pid = dice.choice(bed.children("worker"))
        bed.killed.add(pid)  # it may be too late for a stop meanwhile
        fault.began_at = time.time()
        send(pid, signal.SIGSTOP)
    fault.note = "pid %d" % pid
    return pid


def sleep_longer_than_lease(dice):
    time.sleep(LEASE_S + dice.uniform(1.5, 3))


def stop_worker(bed, fault, dice):
    pid = stop(bed, fault, dice)
    sleep_longer_than_lease(dice)
    send(pid, signal.SIGCONT)


def suspend_worker(bed, fault, dice):
    """As a sleeping machine does it: the monotonic clock stands still."""
    pid = stop(bed, fault, dice)
    began = time.monotonic()
    sleep_longer_than_lease(dice)
    bed.suspended.add(pid, time.monotonic() - began)
    send(pid, signal.SIGCONT)


def give_shards_back(bed, fault, dice):
    """A stopped worker comes back when those that took its shards die."""
    pid = stop(bed, fault, dice)
    sleep_longer_than_lease(dice)
    with bed.life_lock:
        status = bed.daemon.status() or {"children": []}
        others = [c["pid"] for c in status["children"]
                  if c["role"] == "worker" and c["pid"] != pid]
        bed.killed.update(others)
        for other in others:
            send(other, signal.SIGKILL)
        # Their leases are free once the master knows.
        wait_for(lambda: all(map(is_gone, others)), 10, "their end")
        send(pid, signal.SIGCONT)


def stop_amid_connects(bed, fault, dice):
    """Connections stand when it comes back, and what they were made for is
    done or deleted."""
    with RUDE_LOCK:
        for receiver in (bed.rude, bed.busy):
            receiver.misbehave("deaf")
        try:
            time.sleep(0.8)  # for events that come by then
            pid = stop(bed, fault, dice)
        finally:
            for receiver in (bed.rude, bed.busy):
                receiver.behave()
    sleep_longer_than_lease(dice)
    send(pid, signal.SIGCONT)


def hangup(bed, fault, _):
    with bed.life_lock:
        old = set(bed.children("worker"))
        refused = bed.daemon.log_text().count(REFUSED)
        fault.began_at = time.time()
        bed.daemon.send(signal.SIGHUP)
        # While the datastore is away a reload leaves all as it was.
        wait_for(lambda: not old & set(bed.children("worker")) or
                 bed.daemon.log_text().count(REFUSED) > refused, 45,
                 "a reload")
        assert not fault.alone or \
            bed.daemon.log_text().count(REFUSED) == refused, REFUSED


def upgrade(bed, fault, _):
    """To the same program. It is refused while the datastore is away."""
    with bed.life_lock:
        bed.children("worker")
        fault.began_at = time.time()
        fault.note = bed.upgrade_daemon().strip()
        assert fault.note == "ok" or not fault.alone, fault.note


def stop_and_start(bed, fault, _):
    with bed.life_lock:
        fault.began_at = time.time()
        bed.stop_daemon()
        fault.note = "%d starts" % bed.start_daemon()


# ---- MariaDB ----

def kill_database(bed, fault, dice):
    with bed.database_lock:
        fault.began_at = time.time()
        bed.database.kill()
        time.sleep(dice.uniform(0, 3))
        bed.database.start()


def freeze_database(bed, fault, _):
    with bed.database_lock:
        pid = bed.database.pid()
        fault.began_at = time.time()
        os.kill(pid, signal.SIGSTOP)
        time.sleep(AWAY_S)
        os.kill(pid, signal.SIGCONT)


def through_proxy(bed, fault, mode, seconds):
    with bed.database_lock:
        fault.began_at = time.time()
        bed.database.proxy.mode(mode)
        time.sleep(seconds)
        bed.database.proxy.mode("pass")


def refuse_database(bed, fault, _):
    through_proxy(bed, fault, "refuse", AWAY_S)


def hold_database(bed, fault, _):
    through_proxy(bed, fault, "hold", AWAY_S)


def cut_database(bed, fault, _):
    through_proxy(bed, fault, "cut", 0)


def deafen_database(bed, fault, dice):
    """Commits happen, and their answers are lost."""
    through_proxy(bed, fault, "deafen", dice.uniform(0.05, 0.5))


def crowd_database(bed, fault, _):
    """All connections that the server allows are taken."""
    with bed.database_lock:
        crowd = []
        fault.began_at = time.time()
        try:
            bed.database.proxy.mode("cut")
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                # One that does not log in counts, for connect_timeout.
                while len(crowd) < 3 * MAX_CONNECTIONS:
                    crowd.append(socket.create_connection(
                        ("127.0.0.1", bed.database.port), 5))
                time.sleep(0.1)
        finally:
            for sock in crowd:
                sock.close()


# ---- SQLite, disks ----

def lock_database(bed, fault, _):
    """Another process has the write lock for longer than the time-out."""
    with bed.database_lock, bed.store.locked():
        fault.began_at = time.time()
        time.sleep(AWAY_S / 2)


def fill_disk(disk, fault, seconds):
    fault.began_at = time.time()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            disk.fill()
            time.sleep(0.05)
    finally:
        disk.free()


def fill_data(bed, fault, _):
    with bed.database_lock:
        fill_disk(bed.data_disk, fault, 5)


def fill_log(bed, fault, _):
    fill_disk(bed.log_disk, fault, 3)


# ---- receivers ----


def receiver_fault(mode):
    def misbehave(bed, fault, _):
        with RUDE_LOCK:
            fault.began_at = time.time()
            bed.rude.misbehave(mode)
            try:
                time.sleep(RUDE_S)
            finally:
                bed.rude.behave()
    return misbehave


# ---- all of them ----

PROCESS_KINDS = {
    "worker killed": (kill_worker, 4),
    "service killed": (kill_service, 2),
    "master killed": (kill_master, 2),
    "all killed": (kill_everything, 1),
    "worker stopped": (stop_worker, 2),
    "worker suspended": (suspend_worker, 2),
    "shards given back": (give_shards_back, 2),
    "stopped amid connects": (stop_amid_connects, 2),
    "HUP": (hangup, 2),
    "upgrade": (upgrade, 2),
    "TERM, start": (stop_and_start, 1),
}
SQLITE_KINDS = {
    "database locked": (lock_database, 1),
    "disk full": (fill_data, 1),
}
MYSQL_KINDS = {
    "MariaDB killed": (kill_database, 2),
    "MariaDB frozen": (freeze_database, 1),
    "MariaDB refused": (refuse_database, 1),
    "MariaDB held": (hold_database, 1),
    "connections cut": (cut_database, 1),
    "answers lost": (deafen_database, 2),
    "too many connections": (crowd_database, 1),
}
LOG_KIND = {"log disk full": (fill_log, 1)}
RECEIVER_KINDS = {
    "receiver: " + mode: (receiver_fault(mode), 1) for mode in MODES}

# Deliveries that were under way may come twice.
STOPS = {"worker stopped", "worker suspended", "shards given back",
         "stopped amid connects"}
LOSES_WORKER = STOPS | {"worker killed", "all killed"}
# Results are kept until the datastore is back, by workers that stay.
LOSES_STORE = set(SQLITE_KINDS) | set(MYSQL_KINDS)
# A worker that is stopped may hold locks.
BLOCKS_STORE = LOSES_STORE | STOPS
LEAVES = {"HUP", "upgrade", "TERM, start", "master killed"}
# Deliveries may have to wait until it is over. A shard that changes hands waits
# for its events under way, so for a receiver that hangs.
HOLDS_UP = LOSES_WORKER | LOSES_STORE | LEAVES | {
    "receiver: hang", "receiver: drip"}
# All that asks the datastore fails from the beginning to the end.
AWAY = {"database locked", "MariaDB frozen", "MariaDB refused",
        "MariaDB held"}
# Connections of clients end.
CUTS = {"service killed", "master killed", "all killed", "TERM, start"}


def kinds(bed, only):
    """name → (function, weight) of those that match, and the names of those
    that cannot be done here."""
    found = dict(PROCESS_KINDS)
    found.update(MYSQL_KINDS if bed.kind == "mysql" else SQLITE_KINDS)
    found.update(LOG_KIND)
    found.update(RECEIVER_KINDS)
    left_out = []
    if not bed.log_disk.small:
        left_out = ["disk full", "log disk full"]
    return {k: v for k, v in found.items()
            if k not in left_out and re.search(only, k)}, left_out


class Plan:
    """Draws kinds from a shuffled deck, so that each comes up."""

    def __init__(self, kinds_, dice):
        self._kinds = kinds_
        self._dice = dice
        self._deck = []

    def next(self):
        if not self._deck:
            self._deck = [k for k, (_, weight) in self._kinds.items()
                          for _ in range(weight)]
            self._dice.shuffle(self._deck)
        return self._deck.pop()


class Injector:
    """Runs faults; every fourth begins while the one before still lasts."""

    def __init__(self, bed, dice, only, say):
        self._bed = bed
        self._dice = dice
        self._say = say
        self._kinds, self.left_out = kinds(bed, only)
        self._threads = []
        self._group = []  # faults since all was well
        self.faults = []

    def run(self, count, seconds):
        plan = Plan(self._kinds, self._dice)
        deadline = time.monotonic() + seconds
        while len(self.faults) < count and time.monotonic() < deadline:
            together = self._dice.random() < 0.25 and self._threads
            pause = self._dice.uniform(0.5, 2)
            seed = self._dice.randrange(1 << 32)
            if not together:
                self._wait()
            time.sleep(pause)
            self._start(plan.next(), seed)
        self._wait()

    def _start(self, kind, seed):
        fault = Fault(kind)
        self.faults.append(fault)
        self._group.append(fault)
        if len(self._group) > 1:
            for member in self._group:
                member.alone = False
        thread = threading.Thread(target=self._run, args=(
            fault, len(self.faults), random.Random(seed)))
        thread.start()
        self._threads.append(thread)

    def _run(self, fault, number, dice):
        try:
            self._kinds[fault.kind][0](self._bed, fault, dice)
        except Exception:
            fault.error = traceback.format_exc()
        fault.ended_at = time.time()
        if fault.began_at is None:
            fault.began_at = fault.ended_at
        self._say(number, fault)

    def _wait(self):
        """Until all faults are over and the daemon has recovered."""
        for thread in self._threads:
            thread.join()
        if self._threads:
            self._bed.recovered()
        self._threads = []
        self._group = []
