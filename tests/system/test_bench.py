# SPDX-License-Identifier: ISC
"""cassata-bench: what it counts, what it says, how it fails. Never how fast."""

import json
import os
import signal
import subprocess

import pytest

from cassata import SOURCE, closed_port


@pytest.fixture(scope="module")
def new_store(new_sqlite):
    """The program speaks HTTP: one kind is enough."""
    return new_sqlite


def run(daemon, *words):
    return daemon.run(str(daemon.builddir / "cassata-bench"), *daemon.options,
                      *words)


def bench(daemon, *words, status=0):
    """The report of a run against the daemon."""
    done = run(daemon, *words, "--json")
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def assert_times(times, n):
    order = [times[k] for k in ("min", "p50", "p90", "p99", "p999", "max")]
    assert order == sorted(order) and times["min"] <= times["mean"] <= times["max"]
    assert n == 0 or times["max"] > 0


def assert_cpu(cpu, *names):
    assert {"cassatad-master", "cassata-bench", *names} <= set(cpu)
    assert cpu["total"] == pytest.approx(sum(
        us for name, us in cpu.items()
        if name not in ("total", "cassata-bench")), rel=0.01, abs=0.01)


def assert_delivered(report, n):
    delivery = report["delivery"]
    assert delivery["count"] == n
    assert [delivery[k] for k in ("lost", "duplicates", "early")] == [0, 0, 0]
    assert_times(delivery["lateness_ms"], n)
    assert_cpu(delivery["cpu_us_per_event"], "cassatad-worker")


def test_add(daemon):
    before = daemon.status()["metrics"]["cassata_events_added_total"]
    report = bench(daemon, "add", "-N", "2000", "-t", "60", "-n", "16",
                   "-b", "100", "--pid", str(os.getpid()))
    add = report["add"]
    assert (report["mode"], report["connections"], report["payload_bytes"]) == \
        ("add", 16, 100)
    assert (add["count"], add["refused"], add["failed"]) == (2000, 0, 0)
    assert 0 < add["commits"] <= 2000
    assert_times(add["latency_ms"], 2000)
    assert_cpu(add["cpu_us_per_event"], "cassatad-service")
    assert report["pss_kib"]["cassatad-worker"] > 0
    assert daemon.status()["metrics"]["cassata_events_added_total"] == \
        before + 2000


def test_many_descriptors(daemon):
    """The usual soft limit is no limit of connections."""
    limited = ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh"]
    done = daemon.run(*limited, str(daemon.builddir / "cassata-bench"),
                      *daemon.options, "add", "-n", "100", "-N", "200",
                      "-t", "60")
    assert done.returncode == 0, done.stderr
    assert "added 200 events" in done.stdout


def test_pipelining(daemon):
    report = bench(daemon, "add", "-N", "500", "-t", "60", "-n", "3",
                   "-p", "10")
    assert report["add"]["count"] == 500
    assert report["pipeline"] == 10


def test_batch(daemon):
    """The last request has what is left; one answer comes in chunks, another
    in one."""
    report = bench(daemon, "drain", "-N", "1234", "-n", "2", "--batch", "600",
                   "--due-in", "5")
    assert report["add"]["count"] == 1234
    assert report["add"]["refused"] == report["add"]["failed"] == 0
    assert_delivered(report, 1234)


def test_duration_and_rate(daemon):
    # So many connections that none waits for an answer.
    report = bench(daemon, "add", "-t", "1", "-r", "100", "-n", "100")
    assert report["add"]["count"] == 100


def test_drain(daemon):
    report = bench(daemon, "drain", "-N", "1000", "-n", "16", "--due-in", "5")
    assert report["add"]["count"] == 1000
    assert_delivered(report, 1000)
    assert 0 < report["delivery"]["commits"] < 1000


def test_lateness(daemon):
    assert_delivered(bench(
        daemon, "lateness", "-t", "1", "-r", "100", "-n", "100"), 100)


def test_due_now(daemon):
    report = bench(daemon, "lateness", "-t", "1", "-r", "50", "-n", "50",
                   "--due-in", "0")
    assert_delivered(report, 50)


def test_slow(daemon):
    report = bench(daemon, "slow", "-N", "100", "--due-in", "3",
                   "--sink-delay", "0.2")
    assert_delivered(report, 100)
    assert report["in_flight_max"] > 1


def test_slow_host_beside_a_fast_one(daemon):
    report = bench(daemon, "mixed", "-t", "1", "-r", "100", "-n", "100",
                   "--slow-share", "10", "--slow-delay", "1")
    assert_delivered(report, 100)


def test_text(daemon):
    done = run(daemon, "drain", "-N", "100", "--due-in", "3")
    assert done.returncode == 0
    for text in ("added 100 events", "delivered 100 events", "latency",
                 "lateness", "commits", "us per event", "(PSS)",
                 "lost 0, duplicates 0, early 0"):
        assert text in done.stdout


def test_refused_events_fail_the_run(daemon):
    # The daemon's limit is 4 MiB.
    report = bench(daemon, "add", "-N", "2", "-t", "60", "-n", "1",
                   "-b", "5000000", status=1)
    assert report["add"]["refused"] + report["add"]["failed"] == 2


def test_lost_events_fail_the_run(launch):
    """A service alone adds, and nobody delivers."""
    daemon = launch(roles="service")
    report = bench(daemon, "lateness", "-t", "0.5", "-r", "20", "--patience",
                   "4", "--url", "http://127.0.0.1:%d" % daemon.port, status=1)
    assert "commits" not in report["delivery"]
    assert report["delivery"]["count"] == 0
    assert report["delivery"]["lost"] == report["add"]["count"] == 10


def test_idle(daemon):
    report = bench(daemon, "idle", "-t", "0.5")
    assert report["seconds"] >= 0.5
    assert report["pss_kib"]["cassatad-service"] > 0
    assert "total" in report["cpu_percent"]


def test_sink(daemon):
    """The sink alone is a destination for others; a signal ends it."""
    process = subprocess.Popen(
        [str(daemon.builddir / "cassata-bench"), *daemon.options, "sink",
         "--sink-status", "204", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert daemon.schedule("one", url + "sub/path").status == 201
        daemon.wait_state("one", "COMPLETED")
        assert daemon.event("one")["last-response-code"] == 204
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(out)["requests"] == 1


@pytest.mark.parametrize("words", [
    [], ["fast"], ["add", "drain"], ["-n", "0", "add"], ["-n", "x", "add"],
    ["-n", "1.5", "add"], ["-r", "-1", "add"], ["-r", "nan", "add"],
    ["-t", "1s", "add"], ["-t", "", "add"], ["--pid", "0", "add"],
    ["--sink-status", "99", "add"], ["--no-such", "add"], ["-N"],
], ids=repr)
def test_usage(daemon, words):
    done = run(daemon, *words)
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr != ""


@pytest.mark.parametrize("url", [
    "https://127.0.0.1/", "http://", "http://[::1", "http://[::1/]:80",
    "http://127.0.0.1:123456", "http://127.0.0.1:", "127.0.0.1:80",
], ids=repr)
def test_no_url(daemon, url):
    done = run(daemon, "add", "-t", "1", "--url", url)
    assert done.returncode == 1
    assert done.stderr == (
        'cassata-bench: "%s": not http://host[:port]\n' % url)


def test_no_server(daemon):
    with closed_port() as port:
        done = run(daemon, "add", "--url", "http://127.0.0.1:%d" % (
            port.getsockname()[1]))
    assert done.returncode == 1
    assert "Connection refused" in done.stderr


def test_no_daemon(daemon, tmp_path):
    done = run(daemon, "-d", str(tmp_path), "add")
    assert done.returncode == 1
    assert "cassatad.sock" in done.stderr


def test_measurements_find_the_programs(tmp_path, monkeypatch):
    """In a clone, as the documents call them, those that quickstart has built."""
    monkeypatch.syspath_prepend(str(SOURCE / "bench"))
    lab = __import__("lab")
    monkeypatch.setattr(lab, "SOURCE", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CASSATA_BUILD", raising=False)
    with pytest.raises(lab.Failure):
        lab.build_directory()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "cassatad").touch()
    assert (tmp_path / lab.build_directory()).samefile(tmp_path / "build")
    monkeypatch.setenv("CASSATA_BUILD", "elsewhere")
    with pytest.raises(lab.Failure):
        lab.build_directory()
