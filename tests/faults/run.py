#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Runs the daemon under load, does to it what production does, and reconciles
in the end: nothing acknowledged may be lost.

    run.py [--datastore sqlite|mysql|both|galera] [--seed N] [--count N]
           [--seconds N] [--rate N] [--only REGEX] [--build DIR]
           [--json FILE]

A fault is chosen by the seed; how it falls is up to the machine. Exit code 0
when everything that must be true was."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
PLACES = [Path.cwd(), HERE.parent.parent / "build"]
sys.path.insert(0, str(HERE.parent / "system"))

import hosts  # noqa: E402
from bed import Bed  # noqa: E402
from fault import Injector  # noqa: E402
from report import Report  # noqa: E402

SETTLE_S = 60


def arguments():
    env = os.environ.get
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--datastore", choices=["sqlite", "mysql", "both", "galera"],
                        default=env("FAULTS_DATASTORE") or "both")
    parser.add_argument("--seed", type=int, default=int(
        env("FAULTS_SEED") or random.SystemRandom().randrange(10**6)))
    parser.add_argument("--count", type=int,
                        default=int(env("FAULTS_COUNT") or 25))
    parser.add_argument("--seconds", type=int,
                        default=int(env("FAULTS_SECONDS") or 10**6))
    parser.add_argument("--rate", type=int,
                        default=int(env("FAULTS_RATE") or 200))
    parser.add_argument("--only", default=env("FAULTS_ONLY") or "")
    parser.add_argument("--build", default=env("CASSATA_BUILD") or next(
        (p for p in PLACES if (p / "cassatad").exists()), "."))
    parser.add_argument("--json", default=env("FAULTS_JSON"))
    return parser.parse_args()


def end(bed):
    """Lets what is left be delivered, stops all. What is still there then."""
    unanswered = not bed.load.stop() or not bed.deleter.stop()
    left = bed.settle(SETTLE_S)
    time.sleep(1)  # for a second arrival that should not be
    bed.witness.stop()
    bed.prober.stop()
    try:
        bed.end_daemon()
    except Exception as error:
        return unanswered, left, repr(error)
    return unanswered, left, None


def run_one(args):
    began = time.monotonic()

    def say(text):
        print("%-7s%7.1f  %s" % (
            args.datastore, time.monotonic() - began, text), flush=True)

    def say_fault(number, fault):
        say("%3d %s%s, %.1f s %s" % (
            number, "" if fault.alone else "+ ", fault.kind,
            fault.ended_at - fault.began_at, fault.note))
        if fault.error:
            say(fault.error)

    bed = Bed(args.build, args.datastore, args.seed, args.rate)
    try:
        injector = Injector(
            bed, random.Random(args.seed), args.only, say_fault)
        for kind in injector.left_out:
            say("left out: %s (no file system may be mounted)" % kind)
        bed.start_clients()
        trouble = None
        try:
            injector.run(args.count, args.seconds)
        except AssertionError as error:
            trouble = "not recovered: %s" % error
            say(trouble)
        unanswered, left, wrong_end = end(bed)
        report = Report(bed, injector.faults).make(
            unanswered, left, trouble or wrong_end)
        return finish(args, report, time.monotonic() - began)
    finally:
        bed.close()


def finish(args, report, seconds):
    failed = sum(not passed for _, passed in report.checks)
    if failed:
        print(report.bed.daemon.log_text()[-20000:])
    print("%s, seed %d, %d of %d faults, %d adds a second" % (
        args.datastore, args.seed, len(report.faults), args.count, args.rate))
    print(report.text())
    if args.json:
        figures = dict(report.figures, seed=args.seed, rate=args.rate,
                       faults=len(report.faults), seconds=round(seconds, 1),
                       checks=dict(report.checks))
        path = Path(args.json)
        path.with_name("%s-%s" % (args.datastore, path.name)).write_text(
            json.dumps(figures, indent=1) + "\n")
    print("%s: %d passed, %d failed in %.1fs" % (
        args.datastore, len(report.checks) - failed, failed, seconds),
        flush=True)
    return failed != 0


def run_hosts(args):
    """Two hosts on a cluster."""
    began = time.monotonic()
    report, logs = hosts.run(args, lambda text: print(
        "galera %7.1f  %s" % (time.monotonic() - began, text), flush=True))
    if report is None:
        return False
    failed = sum(not passed for _, passed in report.checks)
    if failed:
        print(logs)
    print("galera, seed %d, %d of %d faults, %d adds a second" % (
        args.seed, len(report.faults), args.count, args.rate))
    for text, passed in report.checks:
        print("%s  %s" % ("ok    " if passed else "FAILED", text))
    print("\n".join(report.lines))
    print("galera: %d passed, %d failed in %.1fs" % (
        len(report.checks) - failed, failed, time.monotonic() - began),
        flush=True)
    return failed != 0


def run_both(args):
    """Side by side: two processes, whose output comes in turn by line."""
    processes = [subprocess.Popen(
        [sys.executable, __file__, "--datastore", kind,
         "--seed", str(args.seed), "--count", str(args.count),
         "--seconds", str(args.seconds), "--rate", str(args.rate),
         "--only", args.only, "--build", args.build] + (["--json", args.json] if args.json else []))
        for kind in ("sqlite", "mysql")]
    try:
        return any([p.wait() for p in processes])
    except BaseException:
        for p in processes:
            p.terminate()
        for p in processes:
            p.wait()
        raise


def main():
    # So that everything is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = arguments()
    if not (Path(args.build) / "cassatad").exists():
        sys.exit("no cassatad in %s: set CASSATA_BUILD" % args.build)
    args.build = str(Path(args.build).resolve())
    print("FAULTS_SEED=%d" % args.seed, flush=True)
    run = {"both": run_both, "galera": run_hosts}.get(args.datastore, run_one)
    sys.exit(run(args))


if __name__ == "__main__":
    main()
