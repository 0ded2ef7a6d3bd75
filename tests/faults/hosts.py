# SPDX-License-Identifier: ISC
"""Hosts on a Galera cluster of three nodes, under load: what is done to nodes,
hosts and the network between them, and whether all that was acknowledged
arrived. Times are those of the wall clock, in seconds."""

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections import defaultdict
from math import inf
from statistics import median

from cassata import Cassata, GaleraCluster, MysqlStore, free_port, wait_for
from fault import Fault, Plan
from load import Load, Talker
from proxy import Proxy
from receiver import NOT, Receiver

HOSTS = 2
WORKERS = 2
LEASE_S = 5
TIMEOUT_S = 2
DELIVERY_TIMEOUT_S = 7
AWAY_S = 8
SETTLE_S = 60
# A worker that comes back delivers what it had, once more; a result in doubt is
# known after the datastore's time-outs.
AGAIN_S = DELIVERY_TIMEOUT_S + 2 * TIMEOUT_S
ROUNDING_S = 0.002
COMPLETED = "2"


class AnyHost(Talker):
    """Asks the next host when one does not answer well."""

    def __init__(self, ports, first):
        self._ports = ports
        self._at = first
        super().__init__(ports[first])

    def ask(self, method, target, body=None):
        response = super().ask(method, target, body)
        if response is None or response.status == 503:
            self.close()
            self._at = (self._at + 1) % len(self._ports)
            self._port = self._ports[self._at]
        return response


class HostsLoad(Load):
    DOOMED = 0

    def __init__(self, ports, url, rate, seed):
        self._ports = ports
        self._first = 0
        super().__init__(ports[0], [(url, 1)], url, None, rate, seed)

    def _talker(self):
        self._first += 1
        return AnyHost(self._ports, self._first % len(self._ports))


class Host:
    """A master that reaches each node through a proxy of its own, the nearest
    first."""

    def __init__(self, builddir, cluster, store, number):
        self.proxies = [Proxy(cluster.do("address", n))
                        for n in GaleraCluster.NODES]
        ports = [p.port for p in self.proxies]
        ports = ports[number:] + ports[:number]
        login = store.url.split("@")[0]
        name = store.url.rpartition("/")[2]
        self.port = free_port()
        self.daemon = Cassata(
            builddir, store,
            service={"port": self.port},
            worker={"numWorkerThreads": WORKERS, "lease": "%ds" % LEASE_S,
                    "deliveryTimeout": "%ds" % DELIVERY_TIMEOUT_S,
                    "httpRetryCount": 1000, "retryDelays": ["300ms", "1s"],
                    "retention": 0},
            datastore={"url": "%s@%s/%s" % (
                           login,
                           ",".join("127.0.0.1:%d" % p for p in ports), name),
                       "connectTimeout": "%ds" % TIMEOUT_S,
                       "timeout": "%ds" % TIMEOUT_S},
            master={"shutdownTimeout": "10s"}, log={"level": "info"})

    def mode(self, word):
        for proxy in self.proxies:
            proxy.mode(word)

    def signal(self, number):
        for pid in self.daemon.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def is_ready(self):
        status = self.daemon.status()
        return bool(status) and status["state"] == "ready"

    def close(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        if self.daemon.process:
            self.daemon.process.wait(10)
        for proxy in self.proxies:
            proxy.close()
        self.daemon.remove()


class HostsBed:
    def __init__(self, builddir, seed, rate):
        self.cluster = GaleraCluster()
        self.hosts = []
        self.receiver = None
        try:
            self.store = MysqlStore(
                self.cluster.do("url", 1), "cassata")
            self.receiver = Receiver()
            for number in range(HOSTS):
                self.hosts.append(
                    Host(builddir, self.cluster, self.store, number))
                self.hosts[-1].daemon.start()
            self.load = HostsLoad(
                [host.port for host in self.hosts], self.receiver.url(), rate,
                seed)
        except BaseException:
            self.close()
            raise

    def missing(self, by):
        """What is due by then and has not arrived."""
        arrived = {record.event for record in list(self.receiver.records)
                   if record.answer != NOT}
        return [n for n in list(self.load.acknowledged)
                if n not in arrived and self.load.due[n] < by]

    def recovered(self):
        """Waits until all is well, and nothing is left over."""
        wait_for(lambda: all(h.is_ready() for h in self.hosts), 60, "hosts")
        began_at = time.time()
        wait_for(lambda: self.load.acknowledged_at > began_at, 60, "an add")
        wait_for(lambda: not self.missing(time.time() - 0.5), SETTLE_S,
                 "the rest")

    def rows(self):
        return dict(self.store.sql("SELECT event_id, status FROM event"))

    def close(self):
        for host in self.hosts:
            host.close()
        if self.receiver:
            self.receiver.close()
        self.cluster.stop()


# ---- faults ----

def any_node(bed, dice, fault):
    node = dice.choice(bed.cluster.NODES)
    fault.note = "node %d" % node
    return node


def kill_node(bed, fault, dice):
    node = any_node(bed, dice, fault)
    bed.cluster.do("kill", node)
    time.sleep(dice.uniform(0, 4))
    bed.cluster.do("join", node)


def restart_node(bed, fault, dice):
    bed.cluster.do("restart", any_node(bed, dice, fault))


def isolate_node(bed, fault, dice):
    node = any_node(bed, dice, fault)
    bed.cluster.do("isolate", node)
    time.sleep(AWAY_S)
    bed.cluster.do("heal", node)


def freeze_node(bed, fault, dice):
    """As a machine does that is suspended."""
    node = any_node(bed, dice, fault)
    os.kill(bed.cluster.pid(node), signal.SIGSTOP)
    time.sleep(AWAY_S)
    os.kill(bed.cluster.pid(node), signal.SIGCONT)
    bed.cluster.do("heal", node)


def any_host(bed, dice, fault):
    number = dice.randrange(HOSTS)
    fault.note = "host %d" % (number + 1)
    return bed.hosts[number]


def kill_host(bed, fault, dice):
    host = any_host(bed, dice, fault)
    host.daemon.abandon()
    time.sleep(LEASE_S + dice.uniform(2, 4))
    host.daemon.start()


def stop_host(bed, fault, dice):
    host = any_host(bed, dice, fault)
    host.signal(signal.SIGSTOP)
    time.sleep(LEASE_S + dice.uniform(2, 4))
    host.signal(signal.SIGCONT)


def part(hosts, dice):
    for host in hosts:
        host.mode(dice.choice(("hold", "refuse")))
    time.sleep(AWAY_S)
    for host in hosts:
        host.mode("cut")


def cut_host(bed, fault, dice):
    part([any_host(bed, dice, fault)], dice)


def cut_all_hosts(bed, fault, dice):
    part(bed.hosts, dice)


KINDS = {
    "node killed": (kill_node, 4),
    "node restarted": (restart_node, 2),
    "node isolated": (isolate_node, 3),
    "node frozen": (freeze_node, 1),
    "host killed": (kill_host, 4),
    "host stopped": (stop_host, 2),
    "host cut off": (cut_host, 2),
    "all hosts cut off": (cut_all_hosts, 2),
}


def inject(bed, dice, only, count, seconds, faults, say):
    plan = Plan({k: v for k, v in KINDS.items() if re.search(only, k)}, dice)
    deadline = time.monotonic() + seconds
    while len(faults) < count and time.monotonic() < deadline:
        time.sleep(dice.uniform(0.5, 2))
        fault = Fault(plan.next())
        faults.append(fault)
        fault.began_at = time.time()
        fault.ended_at = inf  # should it not end
        KINDS[fault.kind][0](bed, fault, dice)
        bed.recovered()
        fault.ended_at = time.time()
        say("%3d %s, %.1f s %s" % (
            len(faults), fault.kind, fault.ended_at - fault.began_at,
            fault.note))


# ---- reconciliation ----

class HostsReport:
    def __init__(self, bed, faults, unanswered):
        self.load = bed.load
        self.faults = faults
        arrivals = defaultdict(list)
        for record in bed.receiver.records:
            arrivals[record.event].append(record)
        self.arrivals = dict(arrivals)
        for records in self.arrivals.values():
            records.sort(key=lambda r: r.at)
        self.rows = bed.rows()
        self.checks = []
        self.lines = []
        self._check("adds without an answer at the end", int(unanswered))
        self._check("lost", self._lost())
        self._check("early", [n for n, records in self.arrivals.items()
                              if records[0].at < self.load.due[n] - ROUNDING_S])
        self._check("answers that nothing explains", self.load.wrong)
        self._check("second arrivals that no fault explains", self._strange())
        self._tell_times()

    def _check(self, text, bad):
        n = bad if isinstance(bad, int) else len(bad)
        self.checks.append(("%s: %d" % (text, n), n == 0))
        if not isinstance(bad, int):
            self.lines += ["%s: %s" % (text, b) for b in bad[:5]]

    def _lost(self):
        return [n for n in self.load.acknowledged
                if not any(r.answer != NOT
                           for r in self.arrivals.get(n, ())) or
                self.rows.get(str(n)) != COMPLETED]

    def _strange(self):
        """What arrived twice, and neither time beside a fault."""
        again = [records for records in self.arrivals.values()
                 if len(records) > 1]
        self.n_again = len(again)
        return [records[0].event for records in again if not any(
            fault.began_at - AGAIN_S <= records[-1].at and
            records[0].at <= fault.ended_at + AGAIN_S
            for fault in self.faults)]

    def _late(self, fault):
        """Of the events that were due while it lasted, the latest."""
        worst = 0
        for n, at in self.load.acknowledged.items():
            due = max(at, self.load.due[n])
            if fault.began_at <= due <= fault.ended_at and n in self.arrivals:
                worst = max(worst, self.arrivals[n][0].at - due)
        return worst

    def _tell_times(self):
        late = defaultdict(list)
        worst = []
        for number, fault in enumerate(self.faults, 1):
            late[fault.kind].append(self._late(fault))
            worst.append((late[fault.kind][-1], number, fault.kind))
        self.lines += [
            "%d acknowledged, %d arrived, %d of them more than once" % (
                len(self.load.acknowledged), len(self.arrivals), self.n_again),
            "| fault | times | latest event, median, s | most, s |",
            "|---|---|---|---|"]
        self.lines += ["| %s | %d | %.1f | %.1f |" % (
            kind, len(values), median(values), max(values))
            for kind, values in sorted(late.items())]
        self.lines += ["fault %d, %s: %.1f s" % (number, kind, seconds)
                       for seconds, number, kind in sorted(worst)[:-6:-1]]


def run(args, say):
    """The report, and the logs of the hosts."""
    missing = GaleraCluster.missing()
    if missing:
        say("skipped: %s" % missing)
        return None, ""
    bed = HostsBed(args.build, args.seed, args.rate)
    trouble = None
    faults = []
    try:
        bed.load.start()
        try:
            inject(bed, random.Random(args.seed), args.only, args.count,
                   args.seconds, faults, say)
        except (AssertionError, subprocess.SubprocessError) as error:
            trouble = "not recovered: %s" % error
            say(trouble)
        unanswered = not bed.load.stop()
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not bed.missing(inf), SETTLE_S, "the rest")
        time.sleep(1)  # for a second arrival that should not be
        for host in bed.hosts:
            host.daemon.stop()
        report = HostsReport(bed, faults, unanswered)
        report.checks.append((trouble or "ended well", trouble is None))
        return report, "".join(h.daemon.log_text()[-20000:] for h in bed.hosts)
    finally:
        bed.close()
