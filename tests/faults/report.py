# SPDX-License-Identifier: ISC
"""Reconciles what was acknowledged, what arrived and what the datastore says.
Times are those of the wall clock, in seconds."""

import re
from bisect import bisect
from collections import Counter, defaultdict
from datetime import datetime
from math import inf

import fault as kinds
from bed import DELIVERY_TIMEOUT_S, SHUTDOWN_S
from receiver import NOT, WHOLLY

COMPLETED = 2
# An answer is committed so long after it, at most, while all is well.
COMMIT_S = 1.5
# What a worker sent before its death may be noted so much later.
NOTED_S = 1
# What is lost comes back, and what was away is used again.
BACK_S = 2
# A row's time of its end is in milliseconds, rounded down; a receiver notes the
# end of a connection late.
ROUNDING_S = 0.001
LATE_S = 0.5
# A disk that is full now and then makes a process say so as often.
OFTEN = 20
# A line of the log without what comes behind a colon.
# Not only at a line's begin: what another process wrote on a full disk, a part of
# a line, may be in front.
LINE = re.compile(r"(?P<at>\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{3})Z "
                  r"(?P<who>[a-z]+( \d+)?\[\d+\]) \w+: (?P<what>[^:\n]*)")


class Report:
    def __init__(self, bed, faults):
        self.bed = bed
        self.faults = sorted(faults, key=lambda f: f.began_at)
        self.holding = [f for f in self.faults if f.kind in kinds.HOLDS_UP]
        self.load = bed.load
        self.arrivals = defaultdict(list)
        for receiver in bed.receivers:
            for record in receiver.records:
                self.arrivals[record.event].append(record)
        self.rude = {record.event for record in bed.rude.records}
        for records in self.arrivals.values():
            records.sort(key=lambda r: r.at)
        self.deleted = bed.deleter.deleted
        self.states, self.failed = bed.rows()
        self.checks = []  # (text, passed)
        self.figures = {}
        self.examples = []

    def check(self, text, bad):
        """bad: what must be 0, or a list that must be empty."""
        n = bad if isinstance(bad, (int, float)) else len(bad)
        self.checks.append(("%s: %s" % (text, n), not n))
        if n and not isinstance(bad, (int, float)):
            self.examples += ["%s: %s" % (text, b) for b in bad[:5]]

    def make(self, unanswered, left, wrong_end):
        self.count_events(unanswered, left)
        self.count_deleted()
        self.count_duplicates()
        self.look_at_arrivals()
        self.time_arrivals()
        self.time_lost_claims()
        self.look_at_clients()
        self.look_at_processes(wrong_end)
        return self

    # ---- the three lists ----

    def describe(self, number):
        return "event %d, due %.3f, acknowledged %s, row %s, arrivals %s" % (
            number, self.load.due.get(number, 0),
            self.load.acknowledged.get(number), self.states.get(number),
            [(r.attempt, round(r.at, 3), r.answer,
              r.answered_at and round(r.answered_at, 3))
             for r in self.arrivals.get(number, ())])

    def count_events(self, unanswered, left):
        acknowledged = self.load.acknowledged
        arrived = {n for n, records in self.arrivals.items()
                   if any(r.answer != NOT for r in records)}
        lost = [self.describe(n) for n in acknowledged
                if n not in self.deleted and (n not in arrived or
                self.states.get(n, (None,))[0] != COMPLETED)]
        strange = [self.describe(n) for n in arrived if n not in acknowledged]
        self.figures.update({
            "acknowledged": len(acknowledged),
            "delivered": len(arrived & acknowledged.keys()),
            "deleted": len(self.deleted),
            "acknowledged by a repeated add": len(self.load.again),
            "arrivals": sum(map(len, self.arrivals.values())),
        })
        self.check("adds without an answer at the end", int(unanswered))
        self.check("events left at the end", left)
        self.check("lost", lost)
        if not unanswered:
            self.check("delivered without being acknowledged", strange)

    def count_deleted(self):
        """From the answer to its DELETE on nobody may see an event. What was
        sent before that a receiver may note late."""
        self.check("arrivals of deleted events", [
            "deleted %.3f: %s" % (at, self.describe(n))
            for n, at in self.deleted.items()
            if any(r.at > at + LATE_S for r in self.arrivals.get(n, ()))])
        self.check("deleted events that are still there", [
            self.describe(n) for n in self.deleted if n in self.states])

    # ---- duplicates ----

    def settled_at(self, record):
        """When the result of an answered arrival must have been committed."""
        until = record.answered_at + COMMIT_S
        for fault in self.faults:
            if fault.kind in kinds.BLOCKS_STORE and \
                    fault.began_at <= until and fault.ended_at >= record.at:
                until = max(until, fault.ended_at + BACK_S + COMMIT_S)
        return until

    def lost_its_worker(self, record, fault):
        """Whether the connection ended with the fault, which a receiver may
        see late. A worker that was stopped may go on with it; the rude receiver
        ends some itself."""
        ended_at = record.line.ended_at
        if fault.kind in kinds.STOPS or record.event in self.rude:
            return True
        left_at = fault.ended_at
        if fault.kind in kinds.LEAVES:
            left_at += SHUTDOWN_S
        return ended_at is not None and fault.began_at <= ended_at <= \
            max(left_at, record.answered_at) + BACK_S

    def cause(self, first):
        """The fault that took the worker away while the delivery was under
        way. An outage alone is none, since results are kept; but who has to
        leave during it cannot write them."""
        until = self.settled_at(first)
        outage = until > first.answered_at + COMMIT_S
        for fault in self.faults:
            if fault.began_at <= until and \
                    fault.ended_at + NOTED_S >= first.at and (
                        fault.kind in kinds.LOSES_WORKER or
                        (outage and fault.kind in kinds.LEAVES)) and \
                    self.lost_its_worker(first, fault):
                return fault.kind if fault.kind in kinds.LOSES_WORKER \
                    else fault.kind + " in an outage"
        return None

    def after_commit(self, number, records):
        """Whether it was sent once more after its result was committed: after
        the time in its row, which is that of the last attempt, or after a
        client had been told. The receiver may see late what a worker sent that
        was lost since."""
        status, attempts, ended_at = self.states.get(number, (None, 0, inf))
        until = min(self.bed.witness.completed.get(number, inf) + LATE_S,
                    ended_at + ROUNDING_S if status == COMPLETED else inf)
        return any(r.at > until + (LATE_S if r.attempt < attempts or
                                   self.worker_lost_at(r.at) else 0)
                   for r in records)

    def worker_lost_at(self, at):
        return any(f.kind in kinds.LOSES_WORKER and
                   f.began_at <= at <= f.ended_at + LATE_S for f in self.faults)

    @staticmethod
    def was_over(record, first):
        """An earlier attempt that its worker had given up, which the receiver
        saw late: nobody was there any more for the answer."""
        ended_at = record.line.ended_at
        return record.attempt < first.attempt and ended_at is not None and \
            ended_at <= (record.answered_at or record.at) + LATE_S

    def count_duplicates(self):
        explained = Counter()
        unexplained, committed = [], []
        repeats = 0
        for number, records in self.arrivals.items():
            # A client may send an attempt again on a new connection; its
            # time began with the first.
            began_at = {}
            for r in records:
                began_at.setdefault(r.attempt, r.at)
            answered = [r for r in records if r.answer == WHOLLY and
                        r.answered_at - began_at[r.attempt] <
                        DELIVERY_TIMEOUT_S * 0.9]
            if self.after_commit(number, records):
                committed.append(self.describe(number))
            if len(records) == 1:
                continue
            if not answered:
                repeats += len(records) - 1
                continue
            first = min(answered, key=lambda r: r.answered_at)
            late = [r for r in records
                    if r.at > first.at and not self.was_over(r, first)]
            repeats += len(records) - 1 - len(late)
            cause = self.cause(first)
            if late and cause:
                explained[cause] += len(late)
            elif late:
                unexplained.append(self.describe(number))
        self.figures.update({
            "attempts after one without an answer": repeats,
            "duplicates": sum(explained.values()) + len(unexplained),
            "duplicates by the fault they were under way at": dict(explained),
            "seen completed by the witness": len(self.bed.witness.completed),
        })
        self.check("duplicates that no fault explains", unexplained)
        self.check("arrivals after the result was committed", committed)

    def look_at_arrivals(self):
        early, twice = [], []
        for number, records in self.arrivals.items():
            due = self.load.due.get(number, 0)
            if records[0].at < due - ROUNDING_S / 2:
                early.append(self.describe(number))
            answered = defaultdict(list)
            for r in records:
                if r.answer == WHOLLY:
                    answered[r.attempt].append(r)
            # An attempt that a fault cut off is not counted.
            if any(len(rs) > 1 and not self.cause(rs[0])
                   for rs in answered.values()):
                twice.append(self.describe(number))
        # Whom the rude receiver refuses, nobody counts.
        tame = {r.event for receiver in self.bed.tame
                for r in receiver.records}
        sent = {(n, r.attempt) for n in tame for r in self.arrivals[n]}
        unsent = {(n, attempt) for n in tame & self.states.keys()
                  for attempt in range(1, self.states[n][1] + 1)} - sent
        self.figures["attempts counted and never sent"] = len(unsent)
        self.check("attempts counted, neither sent nor in the log", [
            "%d: %s" % (attempt, self.describe(n))
            for n, attempt in unsent - self.failed])
        self.check("arrivals before their time", early)
        self.check("attempts of one number answered twice", twice)

    # ---- late ones ----

    def free_s(self, since, until):
        """How long, of that time, nothing held deliveries up."""
        free = 0
        for fault in self.holding:
            if fault.ended_at > since:
                free += max(0, min(fault.began_at, until) - since)
                since = fault.ended_at
            if since >= until:
                return free
        return free + until - since

    def check_waits(self, text, waits):
        """waits: (seconds, number) pairs."""
        self.figures["longest wait of " + text + ", s"] = round(
            max(waits, default=(0,))[0], 3)
        self.check("waits of more than %g s of %s" % (BACK_S, text), [
            "%.3f s: %s" % (seconds, self.describe(number))
            for seconds, number in waits if seconds > BACK_S])

    def time_arrivals(self):
        """From its time to the first arrival of every event."""
        first = {}
        for receiver in self.bed.tame:
            for r in receiver.records:
                first.setdefault(r.event, r.at)
        self.check_waits("an event that no fault held up", [
            (self.free_s(max(self.load.due[n], self.load.acknowledged[n]), at),
             n) for n, at in first.items() if n in self.load.acknowledged])

    def time_lost_claims(self):
        """From the death of a worker to the next arrival of what it had on the
        wire. What was there at two deaths comes alone, one after the other."""
        waits, alone = [], []
        for number in {r.event for receiver in self.bed.tame
                       for r in receiver.records}:
            records = self.arrivals[number]
            for i, (before, after) in enumerate(zip(records, records[1:])):
                killed_at = max((
                    f.began_at for f in self.faults
                    if f.kind == "worker killed" and
                    before.at - NOTED_S <= f.began_at < after.at and
                    (before.answered_at is None or
                     f.began_at <= before.answered_at + COMMIT_S) and
                    self.ended_with(before, f)), default=None)
                if killed_at is None:
                    continue
                # An attempt that was cut off has its number once more.
                cut = [r for r in records[:i + 1]
                       if r.attempt == after.attempt]
                (alone if len(cut) > 1 else waits).append(
                    (self.free_s(killed_at, after.at), number))
        self.figures["claims back after the kill of a worker"] = len(waits)
        self.figures["claims back after a second one"] = len(alone)
        self.figures["longest wait of these, s"] = round(
            max(alone, default=(0,))[0], 3)
        self.check_waits("a killed worker's claim", waits)

    @staticmethod
    def ended_with(record, fault):
        """Whether its connection ended at the beginning of the fault."""
        ended_at = record.line.ended_at
        return ended_at is not None and \
            abs(ended_at - fault.began_at) <= max(LATE_S, (
                record.answered_at or record.at) - fault.began_at + LATE_S)

    # ---- clients ----

    def owner(self, failure):
        """The last fault that the failure may come from: 503 while the
        datastore is away, a broken connection when its service process goes.
        No answer in time is as bad as a broken connection."""
        found = None
        for fault in self.faults:
            if fault.began_at <= failure.at and \
                    failure.began_at <= fault.ended_at + BACK_S and \
                    fault.kind in (kinds.BLOCKS_STORE if failure.status else
                                   kinds.CUTS):
                found = fault
        return found

    def look_at_clients(self):
        failures = defaultdict(list)
        alien = []
        for failure in self.load.failures:
            fault = self.owner(failure)
            if fault is None:
                alien.append(str(failure))
            else:
                failures[fault].append(failure)
        self.figures["503, 507 to adds"] = sum(
            f.status in (503, 507) for f in self.load.failures)
        self.figures["adds whose connection broke"] = sum(
            f.status == 0 for f in self.load.failures)
        self.figures["by kind"] = self.by_kind(failures)
        self.figures["longest recovery, s"] = max(
            (k["recovered_s"] for k in self.figures["by kind"].values()),
            default=0)
        self.check("adds that failed without a fault that explains it", alien)
        self.check("wrong answers", self.load.wrong + self.bed.witness.wrong)
        self.check("/livez with another answer than 200",
                   self.bed.prober.not_alive)
        self.look_at_probes()

    def look_at_probes(self):
        prober = self.bed.prober
        self.figures["probes"] = prober.n
        self.figures["probes not ready"] = len(prober.not_ready)
        self.check("/livez or /readyz without an answer in time", [
            str(f) for f in prober.failures if self.owner(f) is None])
        self.check("ready while the datastore was away", [
            "%.3f" % at for at in prober.ready if any(
                f.began_at + LATE_S < at < f.ended_at for f in self.faults
                if f.kind in kinds.AWAY and f.alone)])
        self.check("not ready with the datastore there", [
            "%.3f" % at for at in prober.not_ready if not any(
                f.began_at <= at <= f.ended_at + BACK_S for f in self.faults
                if f.kind in kinds.BLOCKS_STORE | kinds.CUTS)])

    def by_kind(self, failures):
        """What clients saw. Recovery is counted where a fault was alone: from
        its end to the last add that failed, and to the first arrival of an
        event that was added after its end."""
        first_arrival = sorted(
            (self.load.acknowledged[n], records[0].at)
            for n, records in self.arrivals.items()
            if n in self.load.acknowledged)
        table = {}
        position = 0
        for fault in self.faults:
            row = table.setdefault(fault.kind, {
                "faults": 0, "503": 0, "broken": 0, "failing_s": 0,
                "recovered_s": 0, "delivering_s": 0})
            mine = failures.get(fault, [])
            row["faults"] += 1
            row["503"] += sum(f.status in (503, 507) for f in mine)
            row["broken"] += sum(f.status == 0 for f in mine)
            while position < len(first_arrival) and \
                    first_arrival[position][0] < fault.ended_at:
                position += 1
            if not fault.alone:
                continue
            if mine:
                last = max(f.at for f in mine)
                row["failing_s"] = max(row["failing_s"], round(
                    last - fault.began_at, 3))
                row["recovered_s"] = max(row["recovered_s"], round(
                    last - fault.ended_at, 3))
            after = [at for _, at in first_arrival[position:position + 50]
                     if at > fault.ended_at]
            if after:
                row["delivering_s"] = max(row["delivering_s"], round(
                    min(after) - fault.ended_at, 3))
        return dict(sorted(table.items()))

    # ---- processes ----

    def look_at_processes(self, wrong_end):
        self.check("ends of processes that no fault caused",
                   self.bed.unexpected_ends())
        self.check("faults that could not be done, or were not recovered from",
                   ["%s: %s" % (f.kind, f.error)
                    for f in self.faults if f.error])
        self.check("wrong end of the daemon", [wrong_end] if wrong_end else 0)
        self.look_at_log()

    def look_at_log(self):
        """Each process says once that its datastore is away, until it is back;
        and nothing is said without an end."""
        log = self.bed.daemon.log_text()
        said, again, away = Counter(), [], {}
        for line in LINE.finditer(log):
            at = datetime.fromisoformat(line["at"] + "+00:00").timestamp()
            fault = self.fault_at(at)
            said[fault, line["who"], re.sub(r"\d+", "N", line["what"])] += 1
            if line["what"] == "datastore is away":
                if away.get(line["who"]) and not self.log_was_full(
                        away[line["who"]], at):
                    again.append(line.group())
                away[line["who"]] = at
            elif line["what"] == "datastore is back":
                away[line["who"]] = None
        self.figures["log, bytes"] = len(log)
        self.check("lines that a datastore is away, while it was", again)
        self.check("steps of a clock that nobody made",
                   log.count("clock was stepped"))
        self.check("lines said more than %d times in a fault" % OFTEN, [
            "%d times at %s: %s: %s" % (n, fault and fault.kind, who, what)
            for (fault, who, what), n in said.items() if n > OFTEN])

    def log_was_full(self, since, until):
        return any(f.kind in kinds.LOG_KIND and f.began_at <= until and
                   f.ended_at >= since for f in self.faults)

    def fault_at(self, at):
        """The last that had begun."""
        n = bisect([f.began_at for f in self.faults], at)
        return self.faults[n - 1] if n else None

    # ---- print ----

    def text(self):
        lines = []
        for name, value in self.figures.items():
            if name != "by kind":
                lines.append("%-52s %s" % (name, value))
        lines.append("%-24s %6s %6s %6s %10s %12s %13s" % (
            "fault", "number", "503, 507", "broken", "failing, s",
            "recovered, s", "delivering, s"))
        for kind, row in self.figures["by kind"].items():
            lines.append("%-24s %6d %6d %6d %10.1f %12.1f %13.1f" % (
                kind, row["faults"], row["503"], row["broken"],
                row["failing_s"], row["recovered_s"], row["delivering_s"]))
        lines += self.examples
        lines += [("ok      " if passed else "FAILED  ") + text
                  for text, passed in self.checks]
        return "\n".join(lines)
