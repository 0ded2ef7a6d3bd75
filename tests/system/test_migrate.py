# SPDX-License-Identifier: ISC
"""cassatactl migrate: all events from one datastore into another, of either
kind, and what it refuses."""

import contextlib
import hashlib
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cassata import wait_for
from sink import Reply
from test_lapse import stopped

TABLES = ("event", "attempt", "job", "schedule", "pause", "label")
NUMBERS = {"bigint", "int", "tinyint", "integer"}
ODD = "ümläut ☃ '\"`"
MANY = 12000  # more than can be copied at once
OWNER = 2**64 - 77  # a worker that is gone, with the highest bit set


@pytest.fixture
def new_other(request, store, new_sqlite):
    """Makes an empty datastore of the other kind."""
    if store.kind == "mysql":
        return new_sqlite
    return request.getfixturevalue("mysql_server").new


@pytest.fixture
def other(new_other):
    return new_other()


def columns_of(store, table):
    """Name and type of each, by name."""
    if store.kind == "sqlite":
        found = store.sql("PRAGMA table_info(%s)" % table)
        return sorted((row[1], row[2].lower()) for row in found)
    return sorted(store.sql(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = '%s'" % table))


def dump(store, table):
    """Every column of every row, in words that do not depend on the kind."""
    columns = columns_of(store, table)
    rows = store.sql("SELECT %s FROM %s ORDER BY 1" % (", ".join(
        name if kind in NUMBERS else "hex(%s)" % name
        for name, kind in columns), table))

    def value(text, kind):
        return int(text) % 2**64 if kind in NUMBERS else text
    return [name for name, _ in columns], sorted(
        tuple(value(v, kind) for v, (_, kind) in zip(row, columns))
        for row in rows)


def dump_all(store):
    return [dump(store, table) for table in TABLES]


def n_events(store):
    return int(store.sql("SELECT COUNT(*) FROM event")[0][0])


def migrate(c, target, *more, **kwargs):
    return c.ctl("migrate", "--to", target.url, *more, **kwargs)


def assert_moved(done, source, target):
    assert done.returncode == 0, done
    sums = re.findall(r"^(\w+): (\d+) rows, SHA-256 [0-9a-f]{64} at both$",
                      done.stdout, re.M)
    assert [(name, int(n)) for name, n in sums] == [
        (name, len(dump(source, name)[1])) for name in TABLES]
    assert dump_all(target) == dump_all(source)


def refuses(c, target, *words, source=()):
    done = migrate(c, target, *source)
    assert done.returncode == 1, done
    for word in words:
        assert word in done.stderr, done


def fill(store, n):
    """So many events that wait for a long time, in the tables themselves."""
    due_ms = int(time.time() * 1000) + 86400000
    names = ("id, k, shard, status, attempts, owner, due_ms, expiry_ms,"
             " created_ms, fingerprint, app, event_id, method, url, headers,"
             " body, body_is_text, last_code, last_error")
    fixed = (0, 0, 0, due_ms, due_ms, due_ms)
    if store.kind == "sqlite":
        def row(i):
            key = hashlib.md5(b"%d" % i).digest()
            return (i, key, i % 64, *fixed, key, b"app", b"%d" % i, b"POST",
                    b"http://127.0.0.1:9/", b"", b"{}" * 50, 1, 0, b"")
        with contextlib.closing(sqlite3.connect(store.path, 10)) as db, db:
            db.executemany("INSERT INTO event (%s) VALUES (%s)" % (
                names, ", ".join("?" * 19)), map(row, range(1, n + 1)))
        return
    store.sql(
        "INSERT INTO event (%s) SELECT seq, UNHEX(MD5(seq)), seq %% 64,"
        " %s, UNHEX(MD5(seq)), 'app', seq, 'POST', 'http://127.0.0.1:9/', '',"
        " REPEAT('{}', 50), 1, 0, '' FROM seq_1_to_%d" % (
            names, ", ".join(map(str, fixed)), n))


# ---- everything arrives ----

def add_of_all_kinds(c, sink):
    sink.on("/given-up", Reply(503, bytes(range(256))), 404)
    sink.on("/retried", 500)
    hour = time.time() + 3600
    c.schedule("delivered", sink.url("/delivered"))
    c.schedule("given-up", sink.url("/given-up"))
    c.schedule("retried", sink.url("/retried"))
    c.schedule("claimed", sink.url("/claimed"), expiry=hour)
    c.schedule("due", sink.url("/due"), expiry=time.time() + 4)
    c.schedule("late", sink.url("/late"), expiry=hour,
               labels={"customer": "42", "odd": ODD})
    c.schedule(ODD, sink.url("/unicode"), app="äpp", expiry=hour,
               request_headers=["X-Test: ü\u00ff"], event="\0\n☃")
    for i in range(5):
        c.schedule("big%d" % i, sink.url("/big"), expiry=hour,
                   event="☃" * 100000)
    c.wait_state("delivered", "COMPLETED")
    c.wait_state("given-up", "FAILED")
    wait_for(lambda: c.event("retried")["attempts"] == 2)


def test_all_states(launch, store, other, sink):
    c = launch(worker={"httpRetryCount": 2, "retryDelays": ["100ms", "1h"]})
    add_of_all_kinds(c, sink)
    assert c.ctl("freeze").returncode == 0
    documents = [c.event(i) for i in (
        "delivered", "given-up", "retried", "late", "big3")]
    documents.append(c.event(ODD, app="äpp"))
    assert len(documents[1]["attempt-log"]) == 2
    # A worker that was killed, with all others, left one.
    owner = OWNER if store.kind == "mysql" else OWNER - 2**64
    store.sql("UPDATE event SET status = 1, attempts = 1, owner = %d,"
              " due_ms = 1, suspect = 1 WHERE event_id = X'%s'" % (
                  owner, b"claimed".hex()))

    done = migrate(c, other)
    assert_moved(done, store, other)
    assert "cassatactl thaw" in done.stdout
    assert not sink.arrivals("/due") and not sink.arrivals("/claimed")

    # The same daemon goes on with the other datastore.
    c.configure(datastore={"url": other.url})
    assert c.reload() == "ok\n"
    assert [c.event(i) for i in (
        "delivered", "given-up", "retried", "late", "big3")] + [
            c.event(ODD, app="äpp")] == documents
    assert c.ctl("thaw").returncode == 0
    c.wait_state("due", "COMPLETED")
    c.wait_state("claimed", "COMPLETED")
    assert len(sink.arrivals("/due")) == len(sink.arrivals("/claimed")) == 1
    # Its keys and its fingerprints are known there.
    listed = c.get("/cassata/events/app?label=customer%3D42").json()
    assert [e["event-id"] for e in listed["events"]] == ["late"]
    assert c.delete("late").status == 200
    for url, status in (sink.url("/delivered"), 409), (sink.url("/x"), 409):
        assert c.post({"application-id": "app", "event-id": "big1",
                       "event": {}, "expiry": 1, "url": url}).status == status
    assert len(sink.arrivals("/delivered")) == 1
    c.schedule("new", sink.url("/new"))
    c.wait_state("new", "COMPLETED")


def test_back_again(prepare, store, other, new_sqlite):
    """There and back: the same rows, in a datastore made for them."""
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    fill(store, 300)
    store.sql("INSERT INTO attempt (event, number, at_ms, code, error,"
              " response) VALUES (7, 1, 5, 500, X'00ff', X'%s'),"
              " (7, 2, 6, 0, X'', X''), (9, 1, 7, 1, X'20', X'')" %
              bytes(range(256)).hex())
    store.sql("UPDATE event SET options = X'%s' WHERE id %% 3 = 0" %
              b'{"forgiven": 1}'.hex())
    assert_moved(migrate(c, other), store, other)
    back = new_sqlite()
    done = migrate(c, back, "--from", other.url)
    assert_moved(done, other, back)
    assert dump_all(back) == dump_all(store)


def test_nothing(prepare, store, other):
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    assert_moved(migrate(c, other), store, other)


def moved_of(done):
    """Of a migrate with --json, which prints nothing else."""
    (made,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert made["command"] == "migrate" and made["seconds"] >= 0
    assert [t["table"] for t in made["tables"]] == list(TABLES)
    return made


def test_json(prepare, store, other):
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    fill(store, 7)
    done = migrate(c, other, "--json")
    assert done.returncode == 0, done
    made = moved_of(done)
    assert made["outcome"] == "moved" and made["source"] != made["target"]
    for table in made["tables"]:
        assert table["source"] == table["target"]
        assert table["source"]["rows"] == len(dump(store, table["table"])[1])
    assert dump_all(other) == dump_all(store)
    done = migrate(c, other, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert list(json.loads(done.stderr)) == ["error"]


# ---- it goes on after its death ----

def state_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[0]


def stop(process):
    """False if it had ended before."""
    process.send_signal(signal.SIGSTOP)
    return wait_for(lambda: [s for s in [state_of(process.pid)]
                             if s in "TZ"]) == ["T"]


@contextlib.contextmanager
def begun(c, new_other, **kwargs):
    """One that has looked at both, and stands still, and its target. One that
    has ended before it could be stopped is left, for another target."""
    while True:
        other = new_other()
        process = subprocess.Popen(
            [str(c.builddir / "cassatactl"), *c.options, "migrate", "--to",
             other.url], stdout=subprocess.PIPE, env=c.environment(), **kwargs)
        try:
            assert process.stdout.readline().startswith(b"from ")
            if stop(process):
                yield process, other
                return
        finally:
            process.kill()
            process.wait(60)
            process.stdout.close()


def interrupted(c, store, new_other, n):
    """The target of one that was killed when some rows, and not half of them,
    had arrived."""
    fill(store, n)
    while True:
        with begun(c, new_other) as (process, other):
            def some_are_there():
                process.send_signal(signal.SIGCONT)
                time.sleep(0.001)
                return not stop(process) or n_events(other) > 0
            wait_for(some_are_there)
        if 0 < n_events(other) < n / 2:
            return other


def test_killed(prepare, store, new_other, new_sqlite):
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    # What is left takes long enough for progress to be shown.
    other = interrupted(c, store, new_other, 6 * MANY)

    # What is half there is not served.
    c.configure(datastore={"url": other.url})
    for command in "start", "init-db":
        done = c.ctl(command)
        assert done.returncode == 1
        assert "run cassatactl migrate again" in done.stderr, done
    # Nor moved on, nor mixed.
    refuses(c, store, "migrate again")
    c.configure(datastore={"url": store.url})
    c.configure(datastore={"url": new_sqlite().url})
    assert c.ctl("init-db").returncode == 0
    refuses(c, other, "is being moved to it")
    c.configure(datastore={"url": store.url})

    ours, theirs = pty.openpty()
    done = subprocess.run(
        [str(c.builddir / "cassatactl"), *c.options, "migrate", "--to",
         other.url], stdout=subprocess.PIPE, stderr=theirs, timeout=250,
        universal_newlines=True, env=c.environment())
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\r" in shown and "% of event" in shown and "/s, " in shown
    assert done.stdout.startswith("going on from ")
    assert_moved(done, store, other)
    c.configure(datastore={"url": other.url})
    assert c.ctl("start").returncode == 0
    assert c.ctl("stop").returncode == 0


def test_killed_at_another_host(prepare, store, new_other):
    """Of several it is the same source, whichever of them answers."""
    if store.kind == "sqlite":
        pytest.skip("a server's")
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    fill(store, 10)
    at, _, rest = store.url.rpartition("@")
    url = "%s@%s,%s" % (at, store.bad_place, rest)
    c.configure(datastore={"url": url})
    with begun(c, new_other) as (_, other):
        pass
    assert other.sql("SELECT CAST(source AS TEXT) FROM moving") == [
        ("mysql://%s,%s" % (store.bad_place, rest),)]
    assert_moved(migrate(c, other), store, other)


def test_server_away(prepare, store, new_other, mysql_server):
    """It goes on by itself when the server is back."""
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    fill(store, MANY)
    with begun(c, new_other, stderr=subprocess.PIPE) as (process, other):
        with mysql_server.away():
            process.send_signal(signal.SIGCONT)
            for _ in range(2):  # amid the rows; as it begins anew
                assert process.stderr.readline().endswith(b"; trying again\n")
        assert b"all is there" in process.stdout.read()
        assert process.wait(100) == 0
        process.stderr.close()
    assert n_events(store) == MANY
    assert dump_all(other) == dump_all(store)


def test_two_at_once(prepare, store, other, new_sqlite):
    """From two sources into one target, where both wait for the lease of one
    that is gone: whatever comes of it, it is no mixture."""
    first, second = sources = [prepare(), prepare(store=new_sqlite())]
    for c in sources:
        assert c.ctl("init-db").returncode == 0
        fill(c.store, 100)
    second.store.sql("UPDATE event SET id = id + 1000, k = randomblob(16)")
    first.configure(datastore={"url": other.url})
    assert first.ctl("init-db").returncode == 0
    first.configure(datastore={"url": store.url})
    other.sql("INSERT INTO instance (owner, until_ms, host, pid, started_ms,"
              " active, lease_ms) VALUES (7, 7, 'gone', 7, 7, 1, 2000)")
    moves = [subprocess.Popen(
        [str(c.builddir / "cassatactl"), *c.options, "migrate", "--to",
         other.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=c.environment()) for c in sources]
    done = [move.wait(200) for move in moves]
    assert n_events(other) == (100 if 0 in done else 0)
    if 0 in done:
        assert done.count(0) == 1
        assert dump_all(other) == dump_all(sources[done.index(0)].store)


def test_another_meanwhile(prepare, store, other, new_sqlite):
    """One that waits while another one moves all that it has: what came does
    not become a mixture."""
    first, second = prepare(), prepare(store=new_sqlite())
    for c in (first, second):
        assert c.ctl("init-db").returncode == 0
        fill(c.store, 100)
    second.store.sql("UPDATE event SET id = id + 1000, k = randomblob(16)")
    first.configure(datastore={"url": other.url})
    assert first.ctl("init-db").returncode == 0
    first.configure(datastore={"url": store.url})
    other.sql("INSERT INTO instance (owner, until_ms, host, pid, started_ms,"
              " active, lease_ms) VALUES (7, 7, 'gone', 7, 7, 1, 60000)")
    with subprocess.Popen(
            [str(second.builddir / "cassatactl"), *second.options, "migrate",
             "--to", other.url], stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL, env=second.environment()) as waits:
        assert "workers that are registered: 1;" in waits.stderr.readline()
        with stopped(waits.pid, other):
            other.sql("DELETE FROM instance")
            assert_moved(migrate(first, other), store, other)
        assert "100 rows in its table event" in waits.communicate()[1]
        assert waits.returncode == 1
    assert dump_all(other) == dump_all(store)
    first.configure(datastore={"url": other.url})
    assert first.ctl("start").returncode == 0
    assert first.ctl("stop").returncode == 0


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["", "json"])
def test_changed_meanwhile(prepare, store, new_other, more):
    """Who wrote to the source behind its back is found out."""
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    other = interrupted(c, store, new_other, 2 * MANY)
    store.sql("UPDATE event SET due_ms = due_ms + 1 WHERE id = 1")
    done = migrate(c, other, *more)
    assert done.returncode == 1
    assert "they differ" in done.stderr
    if more:
        made = moved_of(done)
        assert made["outcome"] == "different"
        assert [t["table"] for t in made["tables"]
                if t["source"] != t["target"]] == ["event"]
    else:
        assert len(set(re.findall(
            "SHA-256 ([0-9a-f]{64}) at ", done.stdout))) > 1
    c.configure(datastore={"url": other.url})
    assert "migrate again" in c.ctl("start").stderr


# ---- what it refuses ----

def test_unfrozen(launch, store, other, sink):
    c = launch()
    refuses(c, other, "run cassatactl freeze", "pid %d" % c.pid)
    assert c.ctl("freeze").returncode == 0
    assert_moved(migrate(c, other), store, other)


def registered(store):
    return store.sql("SELECT owner FROM instance")


def test_unfrozen_elsewhere(launch, prepare, store, other):
    """A daemon that this host knows nothing of, while it lives."""
    c = launch(worker={"lease": "5s"})
    wait_for(lambda: len(registered(store)) == 2)
    elsewhere = prepare(worker={"lease": "10s"})
    refuses(elsewhere, other, "workers that live there: 2", "freeze")
    c.abandon()
    assert registered(store)
    assert_moved(migrate(elsewhere, other), store, other)
    assert not registered(other)


def test_served_target(launch, prepare, store, other):
    launch(store=other, worker={"lease": "10s"})
    c = prepare(worker={"lease": "20s"})
    assert c.ctl("init-db").returncode == 0
    wait_for(lambda: registered(other))
    refuses(c, other, "workers that live there", other.url.rpartition("@")[2])


def test_frozen_target(prepare, store, other):
    """It could be thawed while only a part is there."""
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    fill(store, 10)
    c.configure(datastore={"url": other.url})
    c.start()
    assert c.ctl("freeze").returncode == 0
    refuses(c, other, "run cassatactl stop", "pid %d" % c.pid,
            source=("--from", store.url))
    assert n_events(other) == 0
    assert c.ctl("stop").returncode == 0
    assert_moved(migrate(c, other, "--from", store.url), store, other)


def test_target_not_empty(prepare, store, other):
    c = prepare()
    for s in other, store:
        c.configure(datastore={"url": s.url})
        assert c.ctl("init-db").returncode == 0
    fill(other, 3)
    before = dump_all(other)
    refuses(c, other, "has 3 rows in its table event", "empty")
    assert dump_all(other) == before
    assert n_events(store) == 0


def set_version(store, version):
    if store.kind == "mysql":
        store.sql("DELETE FROM meta")
    store.set_version(version)


@pytest.mark.parametrize("which", ["source", "target"])
def test_other_version(prepare, store, other, which):
    c = prepare()
    for s in other, store:
        c.configure(datastore={"url": s.url})
        assert c.ctl("init-db").returncode == 0
    set_version(store if which == "source" else other, 4711)
    refuses(c, other, "4711", "newer program")
    if which == "source":
        # The target of an old one is made new, the source is left alone.
        set_version(store, 1)
        refuses(c, other, "version 1", "init-db")
        assert store.sql("SELECT * FROM meta")[0][-1] in (1, "1")


def test_not_there(prepare, store, other):
    """A source that has no tables, or is no file, is not made."""
    c = prepare()
    refuses(c, other, "init-db" if store.kind == "mysql" else "No such file")
    if store.kind == "sqlite":
        assert not os.path.exists(store.path)
    refuses(c, store, "both source and target")
    assert c.ctl("migrate").returncode == 2
    assert c.ctl("migrate", "--to", other.url, "more").returncode == 2
    assert c.ctl("migrate", "--onto", other.url).returncode == 2


def test_password_file(prepare, store, other):
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    server = store if store.kind == "mysql" else other
    parts = urlsplit(server.url)
    url = server.url.replace(":" + parts.password + "@", "@")
    assert url != server.url
    secret = c.directory / "secret"
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    end = "from" if store.kind == "mysql" else "to"
    line = ["migrate", "--" + end, url, "--%s-password-file" % end,
            str(secret)]
    if end == "from":
        line += ["--to", other.url]
    done = c.ctl(*line)
    assert done.returncode == 1 and "Access denied" in done.stderr, done
    secret.write_text(unquote(parts.password) + "\n")
    assert_moved(c.ctl(*line), store, other)
    secret.chmod(0o644)
    done = c.ctl(*line)
    assert done.returncode == 1 and str(secret) in done.stderr


def is_kept_from_writing(store):
    if store.kind == "sqlite":
        return not store.is_free()
    with pytest.raises(subprocess.CalledProcessError):
        store.sql("SET lock_wait_timeout = 1; DELETE FROM event WHERE id = 1")
    return True


def test_while_it_runs(prepare, store, new_other):
    """Nobody else writes to the source, and ps shows no password."""
    c = prepare()
    assert c.ctl("init-db").returncode == 0
    fill(store, MANY)
    with begun(c, new_other) as (process, other):
        line = Path("/proc/%d/cmdline" % process.pid).read_bytes()
        assert b"migrate" in line and other.url.encode() not in line
        assert is_kept_from_writing(store)
        process.send_signal(signal.SIGCONT)
        assert b"all is there" in process.stdout.read()
        assert process.wait(100) == 0
    assert n_events(store) == n_events(other) == MANY
