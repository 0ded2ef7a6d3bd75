# SPDX-License-Identifier: ISC
"""Jobs: many events changed, a few at a time."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cassata import read_text, wait_for
from sink import Reply
from test_api import assert_problem, limit_descriptors, metric
from test_pause import parked, wait_obeyed

FAR = int(time.time()) + 100000


def add(c, app, n, url="http://127.0.0.1:9/", first=0, expiry=FAR):
    """Events "e0", "e1" …, a second apart."""
    events = [{"application-id": app, "event-id": "e%d" % i, "event": {},
               "expiry": expiry + i, "url": url}
              for i in range(first, first + n)]
    response = c.request("POST", "/cassata/add-batch/",
                         json.dumps(events).encode())
    assert [r["response-code"] for r in response.json()] == [201] * n


def post(c, app, job):
    return c.request("POST", "/cassata/jobs/" + app, json.dumps(job).encode())


def start(c, app, verb, filter=None, **members):
    job = {"verb": verb, "filter": filter or {}}
    job.update({k.replace("_", "-"): v for k, v in members.items()})
    response = post(c, app, job)
    assert response.status == 202, response
    answer = response.json()
    path = "/cassata/jobs/%s/%s" % (app, answer["job"])
    assert response.header("Location") == path
    assert answer["state"] == "counting"
    assert (answer["matched"], answer["done"], answer["steps"]) == (0, 0, 0)
    return path


def look(c, path):
    response = c.get(path)
    assert response.status == 200, response
    return response.json()


def wait_job(c, path, fits):
    def fitting():
        response = c.get(path)
        # A service may have yet to find the datastore again.
        job = response.json() if response.status == 200 else None
        return job if job and fits(job) else None
    return wait_for(fitting, 40, path)


def end(c, path, state="done"):
    job = wait_job(c, path, lambda job: "ended" in job)
    assert job["state"] == state
    assert job["created"] - 60 < job["ended"] < job["created"] + 600
    return job


def counts(job):
    return job["matched"], job["done"], job["skipped"]


def order(c, path, verb):
    return c.request("POST", "%s/%s" % (path, verb))


def listed(c, app, fields="event-id,status,expiry,attempts"):
    response = c.get("/cassata/events/%s?limit=1000&fields=%s" % (app, fields))
    assert response.status == 200 and "next" not in response.json()
    return response.json()["events"]


def expiries(c, app):
    return {e["event-id"]: e["expiry"] for e in listed(c, app)}


# ---- what it does ----

def test_delete(daemon, name):
    add(daemon, name, 120)
    add(daemon, name + "x", 2)
    path = start(daemon, name, "delete", rate=1000)
    add(daemon, name, 1, first=500)  # too late
    job = end(daemon, path)
    assert counts(job) == (120, 120, 0)
    assert job["rate"] == 1000 and job["verb"] == "delete"
    assert job["application-id"] == name
    assert "eta" not in job and "dry-run" not in job
    assert [e["event-id"] for e in listed(daemon, name)] == ["e500"]
    assert len(listed(daemon, name + "x")) == 2


def test_made_at_once(launch):
    """On several hosts: each is one."""
    hosts = [launch(), launch()]

    def make(i):
        return post(hosts[i % 2], "app%d" % i,
                    {"verb": "run", "filter": {}}).status
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(make, range(80))) == [202] * 80


def test_retry(daemon, sink, name):
    sink.on("/", *[404] * 30 + [200] * 30)
    add(daemon, name, 30, sink.url("/"), expiry=0)
    add(daemon, name, 3, first=100)
    wait_for(lambda: [e["status"] for e in listed(daemon, name)].count(
        "FAILED") == 30)
    job = end(daemon, start(daemon, name, "retry", rate=1000))
    assert job["filter"] == {"status": ["FAILED"]}
    assert counts(job) == (30, 30, 0)
    wait_for(lambda: [e["status"] for e in listed(daemon, name)].count(
        "COMPLETED") == 30)
    assert {e["attempts"] for e in listed(daemon, name)} == {0, 2}
    assert len(sink.arrivals("/")) == 60


def test_retry_what_fails_again(daemon, sink, name):
    """Each once."""
    sink.on("/", *[404] * 20)
    add(daemon, name, 10, sink.url("/"), expiry=0)
    wait_for(lambda: [e["status"] for e in listed(daemon, name)].count(
        "FAILED") == 10)
    job = end(daemon, start(daemon, name, "retry", rate=30))
    assert counts(job) == (10, 10, 0)
    wait_for(lambda: len(sink.arrivals("/")) == 20)
    wait_for(lambda: all(e["status"] == "FAILED"
                         for e in listed(daemon, name)))
    assert len(sink.arrivals("/")) == 20


def test_run(daemon, sink, name):
    add(daemon, name, 40, sink.url("/"))
    path = start(daemon, name, "run", {"to": FAR + 30}, rate=1000)
    assert counts(end(daemon, path)) == (30, 30, 0)
    wait_for(lambda: len(sink.arrivals("/")) == 30)
    wait_for(lambda: [e["status"] for e in listed(daemon, name)].count(
        "COMPLETED") == 30)
    assert expiries(daemon, name) == {
        "e%d" % i: FAR + i for i in range(40)}


def test_of_what_is_paused(daemon, sink, name):
    """Parked behind all others, an event is met again, and changed once."""
    pause = "/cassata/pause/app/" + name
    add(daemon, name, 4, sink.url("/" + name))
    assert daemon.request("POST", pause).status == 201
    wait_obeyed(daemon, 1)
    path = start(daemon, name, "run", {"to": FAR + 3}, rate=2)
    assert counts(end(daemon, path)) == (3, 3, 0)
    wait_for(lambda: parked(daemon) == 3)
    for by in "-1h", "1h":
        job = end(daemon, start(daemon, name, "reschedule", by=by, rate=1000))
        assert counts(job) == (4, 1, 3)
    assert expiries(daemon, name) == {"e%d" % i: FAR + i for i in range(4)}
    assert daemon.request("DELETE", pause).status == 200
    sink.wait("/" + name, 3)
    for i in range(3):
        assert daemon.wait_state("e%d" % i, "COMPLETED", app=name)


def test_reschedule(daemon, name):
    add(daemon, name, 25)
    for by, seconds in ("1h", 3600), ("-30m", 1800), ("1s", 1801):
        job = end(daemon, start(daemon, name, "reschedule", by=by, rate=1000))
        assert counts(job) == (25, 25, 0) and job["by"] == by
        assert expiries(daemon, name) == {
            "e%d" % i: FAR + seconds + i for i in range(25)}
    job = end(daemon, start(daemon, name, "reschedule", {"from": FAR + 1806},
                            to="2100-01-01T00:00:00+01:00", rate=1000))
    assert counts(job) == (20, 20, 0) and job["to"] == 4102441200
    assert sorted(expiries(daemon, name).values()) == [
        FAR + 1801 + i for i in range(5)] + [4102441200] * 20


def test_filters(daemon, sink, name):
    """A dry run counts, and changes nothing."""
    sink.on("/", 404, 404, 200)
    add(daemon, name, 3, sink.url("/"), expiry=0)
    daemon.wait_state("e2", "COMPLETED", "FAILED", app=name)
    wait_for(lambda: len(sink.arrivals("/")) == 3)
    add(daemon, name, 5, "http://a.example/", first=10)
    add(daemon, name, 7, "http://b.example:81/", first=20)
    wait_for(lambda: {e["status"] for e in listed(daemon, name)} == {
        "PENDING", "COMPLETED", "FAILED"})
    before = listed(daemon, name)
    cases = [
        ("delete", {}, 15), ("delete", {"status": "COMPLETED"}, 1),
        ("delete", {"status": ["FAILED", "COMPLETED"]}, 3),
        ("retry", {}, 2), ("retry", {"status": "COMPLETED"}, 1),
        ("retry", {"to": 1000}, 0), ("run", {}, 12),
        ("run", {"destination": "A.example"}, 5),
        ("run", {"destination": "b.example"}, 7),
        ("run", {"destination": "b.example:82"}, 0),
        ("run", {"from": FAR + 22, "to": FAR + 25.001}, 4),
        ("run", {"status": "SERVICE_UNAVAILABLE"}, 0)]
    for some in cases[:6], cases[6:]:
        paths = [start(daemon, name, verb, filter, dry_run=True)
                 for verb, filter, _ in some]
        for (verb, filter, n), path in zip(some, paths):
            job = end(daemon, path)
            assert counts(job) == (n, 0, 0), (verb, filter)
            assert job["dry-run"] is True
    assert listed(daemon, name) == before


def test_labels(daemon, name):
    for i in range(10):
        daemon.schedule("e%d" % i, "http://127.0.0.1:9/", expiry=FAR + i,
                        app=name, labels={"half": "ab"[i % 2],
                                          "third": "xyz"[i % 3]})
    add(daemon, name, 5, first=20)
    path = start(daemon, name, "reschedule", {"label": "half=a"}, by="1h")
    job = end(daemon, path)
    assert counts(job) == (5, 5, 0)
    assert job["filter"]["label"] == ["half=a"]
    path = start(daemon, name, "delete",
                 {"label": ["third=x", "half=b"], "status": "PENDING"})
    job = end(daemon, path)
    assert counts(job) == (2, 2, 0)
    assert job["filter"]["label"] == ["third=x", "half=b"]
    assert expiries(daemon, name) == {
        **{"e%d" % i: FAR + i + 3600 * (1 - i % 2)
           for i in range(10) if i not in (3, 9)},
        **{"e%d" % i: FAR + i for i in range(20, 25)}}


def test_under_way(daemon, sink, name):
    """It is passed over."""
    gate = sink.gate()
    sink.on("/", Reply(200, gate=gate))
    add(daemon, name, 1, sink.url("/"), expiry=0)
    sink.wait("/", 1)
    add(daemon, name, 4, first=10)
    job = end(daemon, start(daemon, name, "delete"))
    assert counts(job) == (5, 4, 1)
    gate.set()
    daemon.wait_state("e0", "COMPLETED", app=name)
    assert len(listed(daemon, name)) == 1


# ---- orders ----

def test_changed_meanwhile(daemon, name):
    """A job is for what an event is when its turn comes."""
    for n in itertools.count():
        app = "%s-%d" % (name, n)
        add(daemon, app, 6)
        path = start(daemon, app, "reschedule", {"to": FAR + 6}, to=FAR + 1000,
                     rate=1)
        wait_job(daemon, path, lambda job: job["done"] >= 1)
        paused = order(daemon, path, "pause")
        if paused.status == 200 and paused.json()["done"] < 4:
            break  # in time
    assert paused.json()["state"] == "paused"
    assert look(daemon, path)["done"] < 4
    patch = json.dumps({"expiry": FAR + 2000}).encode()
    assert daemon.request("PATCH", "/cassata/event/%s/e5" % app,
                          patch).status == 200
    assert daemon.delete("e4", app=app).status == 200
    assert order(daemon, path, "resume").status == 200
    assert counts(end(daemon, path)) == (6, 4, 0)
    assert expiries(daemon, app) == {
        "e0": FAR + 1000, "e1": FAR + 1000, "e2": FAR + 1000,
        "e3": FAR + 1000, "e5": FAR + 2000}


def test_orders(daemon, name):
    add(daemon, name, 200)  # more than it comes to
    path = start(daemon, name, "delete", rate=2)
    job = wait_job(daemon, path, lambda job: job["done"] >= 1)
    assert job["state"] == "running"
    assert time.time() < job["eta"] < time.time() + 110
    response = order(daemon, path, "pause")
    assert response.status == 200
    paused = response.json()
    assert paused["state"] == "paused" and "eta" not in paused
    # Another one comes and goes.
    end(daemon, start(daemon, name, "delete", dry_run=True))
    assert look(daemon, path) == paused
    assert len(listed(daemon, name)) == 200 - paused["done"]

    assert order(daemon, path, "resume").json()["state"] == "running"
    wait_job(daemon, path, lambda job: job["done"] > paused["done"])
    cancelled = order(daemon, path, "cancel").json()
    assert cancelled["state"] == "cancelled"
    assert look(daemon, path) == cancelled
    assert len(listed(daemon, name)) == 200 - cancelled["done"]
    assert order(daemon, path, "cancel").json() == cancelled
    for verb in "pause", "resume":
        assert_problem(order(daemon, path, verb), 409)
    assert order(daemon, end_path(daemon, name), "cancel").status == 409

    jobs = daemon.get("/cassata/jobs/" + name).json()["jobs"]
    assert [job["state"] for job in jobs] == ["done", "done", "cancelled"]
    assert jobs[2] == cancelled
    assert daemon.request("DELETE", path).json() == cancelled
    assert_problem(daemon.request("DELETE", path), 404)
    assert_problem(daemon.get(path), 404)


def end_path(daemon, name):
    path = start(daemon, name, "run", dry_run=True)
    end(daemon, path)
    return path


def test_delete_cancels(daemon, name):
    add(daemon, name, 100)
    path = start(daemon, name, "delete", rate=1)
    job = daemon.request("DELETE", path).json()
    assert job["state"] == "cancelled"
    assert len(listed(daemon, name)) == 100 - job["done"]
    assert look(daemon, path) == job


def test_rate(daemon, name):
    """By the steps that it takes, whatever the clock does."""
    add(daemon, name, 12)
    job = end(daemon, start(daemon, name, "delete", rate=10))
    assert counts(job) == (12, 12, 0)
    assert job["steps"] >= 7
    assert job["ended"] - job["counted"] >= 1.1


def test_many_beside_each_other(daemon, name):
    """None waits for another's end."""
    paths = []
    for i in range(5):
        add(daemon, "%s-%d" % (name, i), 2 if i else 200)
        paths.append(start(daemon, "%s-%d" % (name, i), "delete",
                           rate=1000 if i else 1))
    for path in paths[1:]:
        end(daemon, path)
    assert order(daemon, paths[0], "cancel").json()["state"] == "cancelled"


# ---- what it survives ----

def kill_worker(c):
    worker, = c.children("worker")
    os.kill(worker["pid"], signal.SIGKILL)


def kill_all(c):
    c.abandon()
    c.start()


def restart(c):
    assert c.reload() == "ok\n"
    c.stop()
    c.start()


def test_kills(launch):
    """Of the worker that does it, and of everything, and a restart: each event
    is moved once."""
    c = launch(worker={"numWorkerThreads": 1, "lease": "2s"})
    for n in 200, 900:  # more for who takes long for the rest
        app = "app%d" % n
        add(c, app, n)
        path = start(c, app, "reschedule", by="1h", rate=100)
        job = {"done": 0}
        for blow in kill_worker, restart, kill_all:
            job = wait_job(c, path, lambda j: "ended" in j or
                           j["done"] > job["done"] + 10)
            if "ended" in job:
                break
            blow(c)
        is_amid = "ended" not in look(c, path)
        assert counts(end(c, path)) == (n, n, 0)
        assert expiries(c, app) == {
            "e%d" % i: FAR + 3600 + i for i in range(n)}
        if is_amid:
            break
    assert is_amid


def test_no_descriptor_for_the_connection(launch, name):
    """It is not asked for, and told of, whenever the worker wakes up."""
    c = launch(worker={"numWorkerThreads": 1})
    add(c, name, 1)
    pid = c.children("worker")[0]["pid"]
    limits = re.search(r"Max open files +(\d+) +(\d+)",
                       read_text("/proc/%d/limits" % pid)).groups()
    used = {int(fd) for fd in os.listdir("/proc/%d/fd" % pid)}
    limit_descriptors(
        pid, min(set(range(len(used) + 1)) - used), limits[1])
    path = start(c, name, "delete")
    told = "no connection for jobs: "
    wait_for(lambda: told in c.log_text())
    n_awake = 40
    for i in range(n_awake):
        n_claimed = metric(c.get("/metrics"), "cassata_events_claimed_total")
        assert c.post({"application-id": name, "event-id": "now%d" % i,
                       "event": 1, "expiry": 0,
                       "url": "http://127.0.0.1:9/"}).status == 201
        wait_for(lambda: metric(
            c.get("/metrics"), "cassata_events_claimed_total") > n_claimed)
    assert c.log_text().count(told) < n_awake
    limit_descriptors(pid, *limits)
    end(c, path)


def test_stop_amid_a_step(launch, store, name):
    """What it did is told, though the leases are given back before."""
    if store.kind == "sqlite":
        pytest.skip("whoever keeps a step waiting keeps the leases, too")
    c = launch(worker={"numWorkerThreads": 1}, datastore={"timeout": "60s"})
    add(c, name, 1)
    with store.events_locked():
        start(c, name, "delete")
        wait_for(lambda: store.sql(
            "SELECT 1 FROM information_schema.global_status"
            " WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'"
            " AND variable_value <> '0'"))
        c.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not store.sql(
            "SELECT shard FROM lease WHERE owner <> 0"))
    c.stop()
    assert " is done: 1 events matched, 1 were changed" in c.log_text()


def is_step_waiting(c, store):
    """There is nothing else that writes."""
    if store.kind == "sqlite":
        # A worker that has the turn keeps it while SQLite's own lock is ours.
        return re.search(r" WRITE %d \S+ 1 1$" % c.children("worker")[0]["pid"],
                         read_text("/proc/locks"), re.M)
    return store.sql(
        "SELECT 1 FROM information_schema.global_status"
        " WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'"
        " AND variable_value <> '0'")


@contextlib.contextmanager
def halted(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("what", ["lock", "datastore"])
def test_stop_while_a_step_hangs(launch, request, store, name, what):
    """It ends in time, and what the step was to do is done by the next."""
    if (store.kind, what) == ("sqlite", "datastore"):
        pytest.skip("it has no process of its own")
    c = launch(master={"shutdownTimeout": "6s"},
               worker={"numWorkerThreads": 1, "lease": "10m"},
               datastore={"timeout": "60s"})
    n = 24
    add(c, name, n)
    path = start(c, name, "reschedule", by="1h", rate=4)
    wait_job(c, path, lambda job: job["done"] > 0)
    with contextlib.ExitStack() as held:
        held.enter_context(store.locked() if store.kind == "sqlite"
                           else store.events_locked())
        wait_for(lambda: is_step_waiting(c, store))
        if what == "datastore":
            server = request.getfixturevalue("mysql_server")
            held.enter_context(halted(server.pid()))
        c.stop()
    assert "did not leave" not in c.log_text()
    assert not re.search(r" is done: \d+ events matched", c.log_text())
    c.start()
    assert counts(end(c, path)) == (n, n, 0)
    assert expiries(c, name) == {
        "e%d" % i: FAR + i + 3600 for i in range(n)}


def test_damaged(daemon, name):
    add(daemon, name, 100)
    path = start(daemon, name, "delete", rate=1)
    wait_job(daemon, path, lambda job: job["done"] >= 1)
    daemon.store.sql("UPDATE job SET spec = X'7b00' WHERE app = X'%s'"
                     % name.encode().hex())
    job = end(daemon, path, "failed")
    assert job["error"] == "what it is to do cannot be read"
    assert "verb" not in job
    assert daemon.get("/cassata/jobs/" + name).json()["jobs"] == [job]
    assert len(listed(daemon, name)) == 100 - job["done"]


# ---- what is refused ----

def test_bounds(launch):
    c = launch(service={"maxJobs": 2, "maxJobRate": 5, "jobRate": 50})
    add(c, "app", 200)
    paths = [start(c, "app", "delete") for _ in range(2)]
    for path in paths:
        assert order(c, path, "pause").json()["rate"] == 5
    assert_problem(post(c, "app", {"verb": "run", "filter": {}}), 409)
    start(c, "other", "run")
    response = post(c, "other", {"verb": "run", "filter": {}, "rate": 6})
    assert_problem(response, 422)
    assert [e["pointer"] for e in response.json()["errors"]] == ["/rate"]
    assert order(c, paths[0], "cancel").status == 200
    end(c, start(c, "app", "run", {"to": FAR}, dry_run=True))


def test_long_list(launch):
    """However much there is to say of them: page by page."""
    c = launch(service={"maxJobs": 40, "maxListBytes": "16KiB"},
               roles="service")
    labels = ["%d=%s" % (i, "v" * 64) for i in range(8)]
    made = [start(c, "app", "delete", {"label": labels}).split("/")[-1]
            for _ in range(40)]
    listed, after, n = [], "", 0
    while after is not None:
        page = c.get("/cassata/jobs/app?limit=40" + after)
        assert page.status == 200 and len(page.body) < 20 * 1024
        listed += [job["job"] for job in page.json()["jobs"]]
        after, n = page.json().get("next"), n + 1
        after = after and "&after=" + after
    assert listed == made[::-1] and n > 1
    assert [job["job"] for job in json.loads(
        ctl(c, "list", "-S", "http://127.0.0.1:%d" % c.port, "--json",
            "app").stdout)["jobs"]] == listed


def test_bad_requests(daemon, name):
    for job, pointers in [
            ({}, ["/verb", "/filter"]),
            ({"verb": "purge", "filter": {}}, ["/verb"]),
            ({"verb": "run", "filter": {"state": "PENDING"}},
             ["/filter/state"]),
            ({"verb": "run", "filter": {"status": "FAILED"}},
             ["/filter/status"]),
            ({"verb": "run", "filter": {"destination": "http://a.example/"}},
             ["/filter/destination"]),
            ({"verb": "run", "filter": {}, "to": 5}, ["/to"]),
            ({"verb": "reschedule", "filter": {}}, ["/to"])]:
        response = post(daemon, name, job)
        assert assert_problem(response, 422)["type"].endswith(":invalid-event")
        assert [e["pointer"] for e in response.json()["errors"]] == pointers
    jobs = "/cassata/jobs/" + name
    assert_problem(daemon.request("POST", jobs, b"{"), 400)
    assert_problem(daemon.request("POST", jobs, b"{}", headers=[
        ("Content-Type", "text/plain")]), 415)
    assert_problem(daemon.request("PUT", jobs, b"{}"), 405)
    assert_problem(daemon.request("POST", "/cassata/jobs/" + "a" * 101,
                                  b"{}"), 404)
    for path in "/7", "/" + "0" * 36, "/" + "%00" * 36, "/" + "0" * 36 + "/pause":
        method = "POST" if path.endswith("pause") else "GET"
        assert_problem(daemon.request(method, jobs + path), 404)
    # That of another application.
    path = start(daemon, name, "run", dry_run=True)
    other = path.replace("/%s/" % name, "/other/")
    assert_problem(daemon.get(other), 404)
    assert_problem(daemon.request("DELETE", other), 404)
    assert daemon.get("/cassata/jobs/none").json() == {"jobs": []}


def test_frozen(launch):
    c = launch()
    path = start(c, "app", "run", dry_run=True)
    end(c, path)
    assert c.ctl("freeze").returncode == 0
    assert post(c, "app", {"verb": "run", "filter": {}}).status == 503
    assert order(c, path, "cancel").status == 503
    assert look(c, path)["state"] == "done"


# ---- cassatactl ----

def ctl(c, *words, code=0, **kwargs):
    done = c.ctl("job", *words, **kwargs)
    assert done.returncode == code, done
    return done


def line(done):
    """The last one, without the titles."""
    return done.stdout.splitlines()[-1].split()


def test_ctl(daemon, name):
    add(daemon, name, 200)  # more than one of them comes to
    done = ctl(daemon, "start", name, "delete", "--dry-run", "--watch",
               "--from", str(FAR + 190), "--status", "PENDING,PROCESSING")
    assert line(ctl(daemon, "start", name, "delete", "--watch", "--label",
                    "a=b", "--label=c=d"))[1:] == [
                        "done", "delete", "0", "0", "0"]
    assert done.stdout.splitlines()[0].split() == [
        "job", "state", "verb", "matched", "done", "skipped"]
    first, *rest = line(done)
    assert rest == ["done", "delete", "10", "0", "0"]
    started = json.loads(ctl(daemon, "start", "--json", "--rate=1", name,
                             "reschedule", "--by", "-1m", "--to",
                             "2100-01-01T00:00:00Z").stdout)
    assert started["state"] == "counting" and started["by"] == "-1m"
    assert started["filter"]["to"] == 4102444800
    job = started["job"]
    assert line(ctl(daemon, "pause", name, job))[1] == "paused"
    assert line(ctl(daemon, "show", name, job))[1] == "paused"
    assert [l.split()[:2] for l in ctl(
        daemon, "list", name).stdout.splitlines()[1::2]] == [
            [job, "paused"], [first, "done"]]
    jobs = json.loads(ctl(daemon, "list", "--json", name).stdout)["jobs"]
    assert [j["job"] for j in jobs][::2] == [job, first]
    assert line(ctl(daemon, "resume", name, job))[1] in (
        "counting", "running")
    assert line(ctl(daemon, "cancel", name, job))[1] == "cancelled"
    assert "ended" in ctl(daemon, "resume", name, job, code=1).stderr
    ctl(daemon, "show", "--watch", name, job, code=1)  # it is not done
    ctl(daemon, "delete", name, job)
    assert "no job" in ctl(daemon, "show", name, job, code=1).stderr
    moved = json.loads(ctl(
        daemon, "start", name, "reschedule", "--move-to", str(FAR),
        "--rate", "1000", "--watch", "--json").stdout)
    assert moved["done"] == moved["matched"] >= 199 and moved["to"] == FAR
    for words in ([], ["start", name], ["stop", name], ["list"],
                  ["pause", "--watch", name, job],
                  ["show", "--rate", "1", name, job]):
        assert "usage" in ctl(daemon, *words, code=2).stderr


def test_ctl_watch(daemon, name):
    """On a terminal a bar, with the rate and the end."""
    add(daemon, name, 12)
    ours, theirs = os.openpty()
    try:
        with subprocess.Popen(
                [str(daemon.builddir / "cassatactl"), *daemon.options, "job",
                 "start", "--rate", "3", "--watch", name, "delete"],
                stdout=subprocess.PIPE, stderr=theirs, text=True) as watching:
            stdout = watching.communicate(timeout=200)[0]
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert watching.returncode == 0
    assert stdout.split()[-5:] == ["done", "delete", "12", "12", "0"]
    assert re.search(r"\[[#.]{20}\] \d+ of 12 events, \d+/s,"
                     r" ends at \d\d:\d\d:\d\d", shown)
