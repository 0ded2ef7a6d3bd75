# SPDX-License-Identifier: ISC
"""cassatad and cassatactl as an operator meets them."""

import contextlib
import json
import os
import re
import signal
import socket
import time

import pytest

from cassata import SOURCE, free_port, give, wait_for
from client import path_of
from conftest import ANY_STORE
from sink import Reply

# Exit codes of LSB init scripts.
OK, FAILED, USAGE, STOPPED, NOT_RUNNING = 0, 1, 2, 3, 7
FAR = 4102444800  # 2100-01-01
DEAD = 1  # status, with a pid file left behind
UNKNOWN = 4


def assert_ok(done):
    assert done.returncode == OK and done.stderr == "", done
    return done


def assert_one_line(done, *words):
    """A refusal: one line that says what and where."""
    assert done.stderr.count("\n") == 1, done
    assert_last_line(done, *words)


def assert_last_line(done, *words):
    assert done.returncode != OK, done
    assert done.stderr.endswith("\n"), done
    for word in words:
        assert word in done.stderr.splitlines()[-1], done


# ---- start, stop, status ----

def test_start_status_stop(prepare, sink):
    c = prepare()
    assert c.ctl("status").returncode == STOPPED
    assert "started" in assert_ok(c.ctl("start")).stdout
    # Ready when it returns: nothing is waited for.
    assert c.status()["state"] == "ready"
    assert c.get("/readyz").status == 200
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")

    pid = c.status()["pid"]
    assert os.getsid(pid) != os.getsid(0)
    assert str(pid) in assert_ok(c.ctl("status")).stdout
    assert json.loads(assert_ok(c.ctl("status", "--json")).stdout) \
        ["listening"] == c.status()["listening"]
    assert "already running" in assert_ok(c.ctl("start")).stdout
    assert c.status()["pid"] == pid

    assert_ok(c.ctl("stop"))
    assert c.processes() == []  # gone when it returns
    assert c.ctl("status").returncode == STOPPED
    assert_ok(c.ctl("stop"))
    assert not [f for f in os.listdir(c.state_dir)
                if f.endswith((".pid", ".sock"))]


def test_start_keeps_no_descriptors(prepare):
    """A lock that the starter holds by one ends with it."""
    c = prepare()
    lock = str(c.directory / "lock")
    result = c.run("flock", "-n", lock, str(c.builddir / "cassatactl"),
                   *c.options, "start")
    assert_ok(result)
    assert_ok(c.run("flock", "-n", lock, "true"))


def test_restart(prepare, sink):
    c = prepare()
    assert_ok(c.ctl("restart"))  # starts what does not run
    first = c.status()["pid"]
    c.schedule("e", sink.url("/e"), expiry=time.time() + 2)
    assert_ok(c.ctl("restart"))
    assert c.status()["pid"] != first
    c.wait_state("e", "COMPLETED")


def test_reload(prepare):
    c = prepare()
    assert c.ctl("reload").returncode == NOT_RUNNING
    assert_ok(c.ctl("start"))
    c.configure(worker={"numWorkerThreads": 3})
    assert_ok(c.ctl("reload"))
    wait_for(lambda: len(c.children("worker")) == 3, what="three workers")
    good = c.config_file.read_text()
    c.config_file.write_text("service:\n  port: [1, 2]\n")
    assert c.ctl("reload").returncode == FAILED
    c.config_file.write_text(good)
    assert len(c.children("worker")) == 3


def test_reload_tells_what_the_daemon_found(launch, store):
    """The file is right, but the new children cannot work with it."""
    c = launch()
    before = {x["pid"] for x in c.status()["children"]}
    c.configure(datastore={"url": store.bad_url})
    done = c.ctl("reload")
    assert done.returncode == FAILED
    assert store.bad_place in done.stderr
    c.configure(datastore={"url": store.url})
    assert {x["pid"] for x in c.status()["children"]} == before
    assert c.get("/readyz").status == 200


def test_status_after_a_crash(prepare):
    c = prepare(master={"shutdownTimeout": "500ms"}).start()
    c.kill()
    wait_for(lambda: not c.processes(), 20, "end of orphans")
    assert c.ctl("status").returncode == DEAD
    assert_ok(c.ctl("start"))
    assert_ok(c.ctl("status"))
    assert_ok(c.ctl("stop"))


@ANY_STORE
def test_status_of_a_daemon_that_hangs(launch):
    """Also when others have filled the backlog of its socket."""
    c = launch()
    with contextlib.ExitStack() as stack:
        c.send(signal.SIGSTOP)
        stack.callback(c.send, signal.SIGCONT)
        while True:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.setblocking(False)
            try:
                sock.connect(str(c.state_dir / "cassatad.sock"))
            except BlockingIOError:
                break
        result = c.ctl("status")
    assert result.returncode == UNKNOWN
    assert "does not answer" in result.stderr


@pytest.mark.parametrize("role_first", [True, False])
def test_second_name(prepare, sink, role_first):
    """cassata service start, cassata start service: as in the seed."""
    c = prepare(worker={"workerThreadPollingInterval": "500ms"})
    link = c.directory / "cassata"
    link.symlink_to(c.builddir / "cassatactl")

    def cassata(verb, role):
        words = (role, verb) if role_first else (verb, role)
        return c.run(str(link), *c.options, *words)
    assert_ok(cassata("start", "service"))
    assert_ok(cassata("status", "service"))
    assert cassata("status", "worker").returncode == STOPPED
    assert_ok(cassata("start", "worker"))
    documents = [json.loads(c.ctl("status", "--json", role).stdout)
                 for role in ("service", "worker")]
    for document, role in zip(documents, ("service", "worker")):
        assert {x["role"] for x in document["children"]} == {role}
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert_ok(cassata("reload", "worker"))
    assert_ok(cassata("stop", "worker"))
    assert cassata("status", "worker").returncode == STOPPED
    assert_ok(cassata("status", "service"))
    assert_ok(cassata("stop", "service"))


def test_roles_started_apart(prepare):
    """Without a role a command is about each daemon that runs."""
    c = prepare()
    assert_ok(c.ctl("start", "service"))
    # Also when there is one only.
    assert "(service)" in assert_ok(c.ctl("status")).stdout
    assert_ok(c.ctl("start", "worker"))
    shown = assert_ok(c.ctl("status")).stdout
    assert "(service)" in shown and "(worker)" in shown
    documents = [json.loads(line) for line in
                 assert_ok(c.ctl("status", "--json")).stdout.splitlines()]
    assert [{x["role"] for x in document["children"]}
            for document in documents] == [{"service"}, {"worker"}]
    before = {x["pid"] for document in documents
              for x in document["children"]}
    assert assert_ok(c.ctl("reload")).stdout == "reloaded\n" * 2
    documents = [json.loads(line) for line in
                 assert_ok(c.ctl("status", "--json")).stdout.splitlines()]
    assert not before & {x["pid"] for document in documents
                         for x in document["children"]
                         if x["state"] == "ready"}
    assert_ok(c.ctl("reopen"))
    masters = {document["pid"] for document in documents}
    assert_ok(c.ctl("restart"))
    documents = [json.loads(line) for line in
                 assert_ok(c.ctl("status", "--json")).stdout.splitlines()]
    assert len(documents) == 2
    assert not masters & {document["pid"] for document in documents}
    assert_ok(c.ctl("stop"))
    assert c.processes() == []
    assert c.ctl("status").returncode == STOPPED


def test_a_pid_file_that_was_removed(prepare):
    """The daemon runs all the same, as its socket tells."""
    c = prepare()
    assert_ok(c.ctl("start"))
    pid = c.status()["pid"]
    (c.state_dir / "cassatad.pid").unlink()
    assert str(pid) in assert_ok(c.ctl("status")).stdout
    assert str(pid) in assert_ok(c.ctl("start")).stdout
    assert_ok(c.ctl("reload"))
    assert str(pid) in assert_ok(c.ctl("stop")).stdout
    assert c.processes() == []
    assert c.ctl("status").returncode == STOPPED


def objects(done):
    """Of a command with --json, which prints nothing else."""
    assert "runtime error" not in done.stderr
    return [[json.loads(line) for line in text.splitlines()]
            for text in (done.stdout, done.stderr)]


def test_json_of_what_was_done(prepare):
    c = prepare()

    def did(*words, code=OK, **expected):
        """The only object; its command is the first of the words."""
        done = c.ctl(*words, "--json")
        assert done.returncode == code, done
        (made,), said = objects(done)
        assert said == [], done
        if expected:
            assert made.pop("seconds") >= 0
            expected["command"] = words[0]
            assert made == expected
        return made

    assert did("status", code=STOPPED) == {"state": "stopped"}
    did("check-config", outcome="valid", config=str(c.config_file))
    did("stop", outcome="not-running")
    pid = did("start")["pid"]
    assert pid == c.status()["pid"] == did("status")["pid"]
    for word, outcome in (
            ("start", "already-running"), ("reload", "reloaded"),
            ("reopen", "reopened"), ("freeze", "frozen"), ("thaw", "thawed")):
        did(word, outcome=outcome, pid=pid)
    new = did("upgrade")
    assert new["pid"] == c.status()["pid"] != pid
    version = c.status()["version"]
    assert (new["outcome"], new["version"]) == ("upgraded", version)
    assert new["before"] == {
        "pid": pid, "version": version, "state": "stopped"}
    again = did("restart")
    assert again["pid"] == c.status()["pid"]
    assert (again["outcome"], again["stopped"]) == ("started", new["pid"])
    did("stop", outcome="stopped", pid=again["pid"])
    started = did("start", "service")
    assert (started["role"], started["outcome"]) == ("service", "started")
    did("stop", outcome="stopped", pid=started["pid"], role="service")
    ready = did("init-db")
    assert ready["outcome"] == "ready" and ready["datastore"]
    (c.state_dir / "cassatad.pid").write_text("")
    assert did("status", code=DEAD) == {"state": "dead"}
    assert c.processes() == []


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_no_room_for_what_was_done(prepare, options):
    """It is done all the same. A status has told all by its exit code."""
    c = prepare()

    def run(word):
        return c.run("sh", "-c", 'exec "$@" > /dev/full', "sh",
                     str(c.builddir / "cassatactl"), *c.options, *options,
                     word)

    def fails(word):
        done = run(word)
        assert done.returncode == FAILED and done.stdout == "", done
        assert "cannot write" in done.stderr, done

    fails("--help")
    fails("--version")
    fails("check-config")
    fails("start")
    assert_ok(c.ctl("status"))
    fails("reload")
    assert_ok(run("status"))
    fails("stop")
    assert c.ctl("status").returncode == STOPPED


def test_json_of_what_failed(prepare):
    c = prepare()

    def said(*words, code=FAILED):
        done = c.ctl(*words, "--json")
        made, errors = objects(done)
        assert (made, done.returncode) == ([], code), done
        return [e.pop("error") for e in errors if len(e) == 1]

    for word in "reload", "reopen", "upgrade", "freeze", "thaw":
        assert said(word, code=NOT_RUNNING) == ["not running"]
    text = c.config_file.read_text()
    c.config_file.write_text("service:\n  prot: 1\nextra:\n  a: b\n")
    errors = said("check-config")
    assert len(errors) == 2 and ":2:3: " in errors[0]
    assert said("start") == errors
    # What cassatad itself says.
    c.config_file.write_text(text)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        c.configure(service={"port": taken.getsockname()[1]})
        assert "Address already in use" in said("start")[-1]
    c.configure(service={"port": 0})
    assert_ok(c.ctl("start"))
    c.configure(worker={"lease": "1ms"})
    assert said("reload")
    c.configure(worker={"lease": "20s"})
    assert_ok(c.ctl("stop"))


@pytest.mark.parametrize("words", [
    ["--version", "--json"], ["--json", "--version"]])
def test_json_of_the_version(prepare, words):
    (made,), errors = objects(prepare().ctl(*words))
    assert re.fullmatch(r"\d+\.\d+\.\d+", made["version"]) and not errors


@ANY_STORE
@pytest.mark.parametrize("word", ["reload", "reopen", "upgrade"])
def test_change_of_a_daemon_that_hangs(launch, word):
    """It is not waited for as long as for one that works."""
    # Whoever waited for a start would be given up by the test.
    c = launch(master={"startTimeout": "1h"})
    with contextlib.ExitStack() as stack:
        c.send(signal.SIGSTOP)
        stack.callback(c.send, signal.SIGCONT)
        result = c.ctl(word)
    assert result.returncode == FAILED
    assert "does not answer within 5 s" in result.stderr


def test_a_second_master_is_refused(launch):
    """In the state directory of one that runs."""
    c = launch()
    assert_last_line(c.run(*c.command()), str(c.pid))
    assert c.status()["pid"] == c.pid


@pytest.mark.parametrize("words", [
    [], ["begin"], ["start", "stop"], ["start", "service", "worker"],
    ["start", "everything"], ["event"], ["event", "list"],
    ["event", "list", "one", "two"], ["event", "list", "one", "--limit", "x"],
    ["event", "show", "one"], ["--wrong"], ["schedule"],
    ["schedule", "add", "one"], ["schedule", "list"],
    ["schedule", "pause", "one"], ["schedule", "list", "one", "--wrong"],
])
def test_usage(prepare, words):
    done = prepare().ctl(*words)
    assert done.returncode == USAGE
    assert "usage: " in done.stderr
    assert done.stdout == ""


def test_unknown_command(prepare):
    c = prepare()
    done = c.ctl("xyzzy")
    assert done.returncode == USAGE
    assert done.stderr.startswith("cassatactl: unknown command: xyzzy\n")
    assert "did you mean reload?" in c.ctl("relaod").stderr
    done = c.ctl("stop", "start")
    assert "one command at a time" in done.stderr
    assert "one role at a time" in c.ctl("stop", "worker", "service").stderr


def test_options_behind_the_command(prepare):
    c = prepare()
    path = str(c.builddir / "cassatactl")
    done = c.run(path, "status", *c.options, "--json")
    assert done.returncode == STOPPED, done.stderr
    done = c.run(path, "-d", str(c.state_dir), "check-config",
                 "-c", str(c.directory / "none.yaml"))
    assert done.returncode == FAILED
    assert "none.yaml" in done.stderr


def test_help_has_a_word_for_each_command(prepare):
    c = prepare()
    text = assert_ok(c.ctl("--help")).stdout
    for word in ("start", "stop", "restart", "reload", "upgrade", "reopen",
                 "status", "check-config", "init-db", "event add",
                 "event list", "event show", "event delete", "event retry", "event run",
                 "schedule add"):
        assert re.search(r"^  %s +\w+ \w+" % word, text, re.M), word


@pytest.mark.parametrize("program", ["cassatad", "cassatactl"])
def test_help_and_version(prepare, program):
    c = prepare()
    path = str(c.builddir / program)
    assert "usage: " in assert_ok(c.run(path, "--help")).stdout
    assert re.fullmatch(r"cassata(d|ctl)? \d+\.\d+\.\d+\n",
                        assert_ok(c.run(path, "--version")).stdout)
    assert c.run(path, "--wrong").returncode == USAGE


def test_state_directory_from_the_environment(prepare, store):
    """$CASSATA_HOME holds the configuration and all that is relative."""
    c = prepare()
    if store.kind == "sqlite":
        c.configure(datastore={"url": "sqlite:relative.db"})
    c.config_file.rename(c.state_dir / "cassata.yaml")
    env = c.environment(CASSATA_HOME=str(c.state_dir))
    ctl = str(c.builddir / "cassatactl")
    assert_ok(c.run(ctl, "start", env=env))
    assert c.get("/readyz").status == 200
    assert c.status()["config"] == str(c.state_dir / "cassata.yaml")
    if store.kind == "sqlite":
        assert (c.state_dir / "data" / "relative.db").exists()
    assert_ok(c.run(ctl, "stop", env=env))


def test_reload_without_the_file(prepare):
    """One that was found at the start is not replaced by the defaults, which
    name another datastore."""
    c = prepare()
    path = c.state_dir / "cassata.yaml"
    c.config_file.rename(path)
    ctl = [str(c.builddir / "cassatactl"), "-d", str(c.state_dir)]
    assert_ok(c.run(*ctl, "start"))
    path.rename(c.config_file)
    assert c.reload() == "error: %s is no longer there\n" % path
    assert c.status()["config"] == str(path)
    c.config_file.rename(path)
    assert c.reload() == "ok\n"


# ---- check-config, init-db, event ----

@pytest.mark.parametrize("command", [
    ["cassatactl", "check-config"], ["cassatad", "--check"]])
def test_check_config(prepare, command):
    c = prepare()
    program, word = command
    path = str(c.builddir / program)
    done = assert_ok(c.run(path, *c.options, word))
    assert done.stdout == "%s: configuration OK\n" % c.config_file
    c.config_file.write_text(
        "service:\n"
        "  prot: 1\n"
        "  port: 70000\n"
        "  port: 1\n"
        "worker:\n"
        "  numWorkerThreads: many\n"
        "  retryDelays: [1s, soon]\n"
        "  lease: -1s\n"
        "extra:\n"
        "  a: b\n"
        "log:\n"
        "  level: loud\n"
        "  destination: [1]\n")
    done = c.run(path, *c.options, word)
    assert done.returncode == FAILED and done.stdout == ""
    lines = done.stderr.splitlines()
    places = [re.search(r"cassata\.yaml:(\d+):(\d+): (.*)", line).groups()
              for line in lines]
    assert {int(line) for line, _, _ in places} == {
        2, 3, 4, 6, 7, 8, 9, 12, 13}
    assert len(lines) == len(places) == 9
    assert "port" in places[0][2]  # the nearest valid key
    assert [int(n) for n, _, _ in places] == sorted(
        int(n) for n, _, _ in places)


@pytest.mark.parametrize("command", [
    ["cassatactl", "check-config"], ["cassatad", "--check"]])
@pytest.mark.parametrize("key, missing", [
    (("worker", "caFile"), "none.pem"),
    (("datastore", "tlsCertificate"), "none.pem"),
    (("log", "destination"), "none/log"),
    (("master", "pidFile"), "none/pid"),
    (("master", "controlSocket"), "none/socket"),
    (("datastore", "url"), "none/db"),
    (("master", "stateDirectory"), "none/state"),
])
def test_check_config_looks_for_files(prepare, command, key, missing):
    c = prepare()
    program, word = command
    section, name = key
    path = str(c.directory / missing)
    more = {"tlsKey": str(c.config_file)} if name == "tlsCertificate" else {}
    c.configure(**{section: {
        name: "sqlite:" + path if name == "url" else path, **more}})
    options = ["-c", str(c.config_file)]
    if name != "stateDirectory":
        options = c.options
    done = c.run(str(c.builddir / program), *options, word)
    assert done.returncode == FAILED and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "%s.%s: " % (section, name) in line
    assert "No such file or directory" in line
    assert str(c.config_file) in line


@pytest.mark.parametrize("command", [
    ["cassatactl", "check-config"], ["cassatad", "--check"]])
def test_check_config_without_a_file(prepare, command):
    """A state directory that is not there yet is made by the start."""
    c = prepare()
    program, word = command
    done = assert_ok(c.run(str(c.builddir / program), "-d",
                           str(c.directory / "new"), word))
    assert done.stdout.endswith(": configuration OK\n")


def test_init_db(prepare, store, sink):
    """A MySQL schema is made on demand; SQLite makes its own."""
    c = prepare(service={"createTablesIfNotExists": False})
    if store.kind == "mysql":
        assert_one_line(c.ctl("start"), "init-db")
    done = assert_ok(c.ctl("init-db"))
    assert "p@ss" not in done.stdout
    c.start()
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert_ok(c.ctl("init-db"))  # changes nothing
    assert c.state("e") == "COMPLETED"


def test_event_commands(launch, sink):
    c = launch()
    app, event_id = "an app/é", "id 1/%"
    added = assert_ok(c.ctl(
        "event", "add", "-a", app, "-i", event_id, "-m", "PUT",
        "-H", "X-A: b", "-H", "Content-Type: text/plain",
        "-t", "0.2", sink.url("/e"), "text of the event"))
    assert json.loads(added.stdout)["event-id"] == event_id
    [arrived] = sink.wait("/e")
    assert arrived.method == "PUT"
    assert arrived.body == b"text of the event"
    assert arrived.header("X-A") == "b"
    assert arrived.header("Content-Type") == "text/plain"
    c.wait_state(event_id, "COMPLETED", app=app)

    shown = json.loads(assert_ok(
        c.ctl("event", "show", app, event_id)).stdout)
    assert (shown["event"], shown["status"]) == (
        "text of the event", "COMPLETED")
    done = c.ctl("event", "run", app, event_id)
    assert done.returncode == FAILED and "COMPLETED" in done.stderr
    again = assert_ok(c.ctl("event", "retry", app, event_id))
    assert json.loads(again.stdout)["status"] == "PENDING"
    sink.wait("/e", 2)
    c.wait_state(event_id, "COMPLETED", app=app)
    done = assert_ok(c.ctl("event", "delete", app, event_id))
    assert json.loads(done.stdout)["event-status"] == "COMPLETED"

    assert_ok(c.ctl("event", "add", "-a", "a", "-i", "later", "-t", "3600",
                    sink.url("/later")))
    assert_ok(c.ctl("event", "add", "-a", "a", "-i", "dated", "-T",
                    "2100-01-01T00:00:00+01:00", sink.url("/dated")))
    shown = json.loads(assert_ok(c.ctl("event", "show", "a", "dated")).stdout)
    assert shown["expiry"] == 4102441200
    assert_ok(c.ctl("event", "add", "-a", "a", "-i", "delayed", "-t", "2h",
                    sink.url("/delayed")))
    shown = json.loads(assert_ok(
        c.ctl("event", "show", "a", "delayed")).stdout)
    assert 7190 < shown["expiry"] - shown["created"] < 7210
    done = c.ctl("event", "add", "-t", "2x", sink.url("/delayed"))
    assert done.returncode == FAILED and "30m" in done.stderr
    assert_ok(c.ctl("event", "add", "-a", "a", "-i", "local",
                    "--at-local", "2100-01-01T09:00:00", "--time-zone", "UTC",
                    "--not-after", "2100-01-02T00:00:00Z",
                    sink.url("/local")))
    again = assert_ok(c.ctl(
        "event", "add", "-a", "a", "-i", "local", "-T", str(FAR),
        "--on-conflict", "ignore", sink.url("/local")))
    assert json.loads(again.stdout)["expiry"] == FAR + 9 * 3600
    shown = json.loads(assert_ok(c.ctl("event", "show", "a", "local")).stdout)
    assert shown["time-zone"] == "UTC" and shown["not-after"] == FAR + 86400
    done = c.ctl("event", "add", "-t", "1h", "--at-local",
                 "2100-01-01T09:00:00", sink.url("/local"))
    assert done.returncode == USAGE
    assert_ok(c.ctl("event", "run", "a", "delayed"))
    sink.wait("/delayed")
    assert_ok(c.ctl("event", "delete", "a", "later"))
    assert c.ctl("event", "show", "a", "later").returncode == FAILED
    assert c.get(path_of("status", "a", "later")).status == 404


def test_event_cannot_reach_the_terminal(launch, sink):
    """What a client and a destination wrote is printed without a byte that a
    terminal would obey, and means the same."""
    c = launch(worker={"httpRetryCount": 0})
    hostile = "\x1b[2J\x9b31m\x7f\r\n\u202e\u0085"
    sink.on("/e", Reply(500, hostile.encode() + b"\xff\xc2"))
    raw = json.dumps([hostile, "\x9b\x7f"], ensure_ascii=False).encode()
    document = json.dumps({
        "application-id": "app", "event-id": "e", "expiry": 0,
        "url": sink.url("/e"), "event": 0}).encode()
    assert c.post(document.replace(b"0}", raw + b"}")).status == 201
    c.wait_state("e", "FAILED")
    done = assert_ok(c.ctl("event", "show", "app", "e"))
    assert not re.search("[^\n\t -~\u00a0-\uffff]", done.stdout)
    shown = json.loads(done.stdout)
    assert shown["event"] == [hostile, "\x9b\x7f"]
    assert shown["attempt-log"][0]["response-body"] == hostile + "\ufffd" * 2
    done = c.ctl("event", "show", "app", "\x1b[2J\x9b")
    assert done.returncode == FAILED
    assert not re.search("[^\n\t -~\u00a0-\uffff]", done.stderr)


def test_event_body_from_a_file(launch, sink):
    c = launch()
    path = c.directory / "body"
    text = '{"é": 1}\n' + "x" * 100000 + "\n"
    path.write_text(text)
    assert_ok(c.ctl("event", "add", sink.url("/file"), "@%s" % path))
    with open(path) as stdin:
        assert_ok(c.ctl("event", "add", sink.url("/stdin"), "-", stdin=stdin))
    for where in ("/file", "/stdin"):
        assert sink.wait(where)[0].body == text.encode()
    done = c.ctl("event", "add", sink.url("/x"), "@/nowhere/file")
    assert_one_line(done, "/nowhere/file")
    done = c.ctl("event", "add", "not a url", "x")
    assert done.returncode == FAILED and "/url" in done.stderr


def test_event_asks_no_other_server(launch, sink):
    """Whatever the environment, which sudo may have kept, says."""
    c = launch()
    home = c.directory / "home"
    home.mkdir()
    server = "http://127.0.0.1:%d" % c.port
    (home / ".netrc").write_text("default login someone password secret\n")
    names = ["http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"]
    env = c.environment(HOME=str(home), no_proxy="",
                        **{name: sink.url("/proxy") for name in names})
    result = c.ctl("event", "add", "-S", server, "-a", "a", "-i", "e",
                   "-t", "100", sink.url("/e"), "{}", env=env)
    assert result.returncode == 0, result.stderr
    assert c.ctl("event", "show", "a", "e", env=env).returncode == 0
    sink.on("/cassata/event/a/e", Reply(401))
    c.ctl("event", "show", "-S", sink.url("/").rstrip("/"), "a", "e", env=env)
    sink.on("/cassata/event/a/f", Reply(302, headers=[
        ("Location", server + "/cassata/event/a/e")]))
    assert c.ctl("event", "show", "-S", sink.url("/").rstrip("/"), "a", "f",
                 env=env).returncode == 1
    assert len(sink.arrivals()) == 2
    for arrival in sink.arrivals():
        assert arrival.path.startswith("/cassata/event/")
        assert arrival.header("Authorization") is None
    secret = home / "cassata" / "event" / "a"
    secret.mkdir(parents=True)
    (secret / "e").write_text("secret\n")
    result = c.ctl("event", "show", "-S", "file://%s" % home, "a", "e")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "nsupported protocol" in result.stderr


def test_event_to_a_long_url(prepare):
    """Up to the byte where only its end has no more room."""
    c = prepare()
    server = "http://127.0.0.1:1/".ljust(65536 - len("/cassata/add/"), "a")
    result = c.ctl("event", "add", "-S", server, "http://127.0.0.1:1/")
    assert result.returncode == 1
    assert "URL is too long" in result.stderr


def test_event_without_a_daemon(prepare):
    c = prepare(service={"port": 1})
    assert_one_line(c.ctl("event", "show", "a", "b"), "127.0.0.1:1")


# ---- starts that cannot succeed ----

def assert_refused(c, *words):
    for done in (c.ctl("start"), c.run(*c.command())):
        assert_one_line(done, *words)
        assert done.stdout == ""
    # The answer is given before a sanitizer has looked for leaks.
    wait_for(lambda: c.processes() == [], what="the end of all processes")
    assert c.ctl("status").returncode in (FAILED, STOPPED)


def test_config_no_yaml(prepare):
    c = prepare()
    c.config_file.write_text("service:\n  ]\n")
    assert_refused(c, "cassata.yaml:2:", "YAML")


def test_config_missing(prepare):
    c = prepare()
    c.config_file.unlink()
    assert_refused(c, str(c.config_file), "No such file")


def test_datastore_out_of_reach(prepare, store):
    c = prepare(datastore={"url": store.bad_url, "connectTimeout": "1s"})
    assert_refused(c, store.bad_place)
    if store.kind == "mysql":
        assert "secret" not in c.ctl("start").stderr


def test_wrong_password(prepare, store):
    """For SQLite its like: a file that is no database."""
    if store.kind == "mysql":
        url = store.url.replace("p%40ss%2Fword", "wrong")
        c = prepare(datastore={"url": url})
        assert_refused(c, "denied")
    else:
        with open(store.path, "w") as f:
            f.write("no database, but long enough to be looked at\n" * 100)
        give(store.path)
        assert_refused(prepare(), store.path, "not a database")


# The first that is not ours yet, and one of a far future.
@pytest.mark.parametrize("version", [
    len(list((SOURCE / "sql" / "sqlite").glob("*.sql"))) + 1, 1000000])
def test_wrong_schema_version(prepare, store, version):
    c = prepare()
    assert_ok(c.ctl("init-db"))
    store.set_version(version)
    assert_refused(c, "schema", str(version))
    done = c.ctl("init-db")
    assert_one_line(done, "schema", str(version))


def test_port_in_use(prepare):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        c = prepare(service={"port": port})
        assert_refused(c, "127.0.0.1:%d" % port, "in use")


@ANY_STORE
def test_control_socket_in_use(prepare):
    """Also by one that hangs: looking whether it lives fills its backlog."""
    c = prepare()
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(c.state_dir / "cassatad.sock"))
        taken.listen(1)
        done = c.run(*c.command())
    assert_one_line(done, "cassatad.sock", "in use by another process")


def test_bad_listen_address(prepare):
    c = prepare(service={"listen": "192.0.2.1"})
    assert_refused(c, "192.0.2.1")


def test_state_directory_below_a_file(prepare):
    c = prepare()
    (c.directory / "file").write_text("")
    c.state_dir = c.directory / "file" / "state"
    assert_refused(c, str(c.state_dir), "Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_state_directory_without_permission(prepare):
    c = prepare()
    os.chmod(c.state_dir, 0o500)
    assert_refused(c, str(c.state_dir), "Permission denied")


def test_log_file_in_no_directory(prepare):
    c = prepare()
    c.configure(log={"destination": "/nowhere/log"})
    assert_one_line(c.ctl("start"), "/nowhere/log")


def test_failed_start_leaves_nothing_in_the_way(prepare, sink):
    """Once the reason is gone the next start succeeds."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        c = prepare(service={"port": port})
        assert_one_line(c.ctl("start"), str(port))
    assert_ok(c.ctl("start"))
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")


def test_stop_with_a_broken_configuration(prepare):
    """The daemon that runs was started with a better one."""
    c = prepare()
    assert_ok(c.ctl("start"))
    good = c.config_file.read_text()
    c.config_file.write_text(good + "servce: {}\n")
    status = c.ctl("status")
    assert status.returncode == OK and "servce" in status.stderr
    assert c.ctl("restart").returncode == FAILED
    assert c.ctl("status").returncode == OK  # restart did not stop it
    assert c.ctl("stop").returncode == OK
    assert c.ctl("status").returncode == STOPPED
    assert c.processes() == []


# ---- the init script ----

def test_init_script(prepare, sink):
    c = prepare()

    def script(verb):
        env = c.environment(
            CASSATACTL=str(c.builddir / "cassatactl"),
            CONFIG=str(c.config_file), CASSATA_HOME=str(c.state_dir))
        return c.run("sh", str(SOURCE / "contrib/init.d/cassata"), verb,
                     env=env)
    assert script("status").returncode == STOPPED
    assert script("reload").returncode == NOT_RUNNING
    assert_ok(script("try-restart"))
    assert script("status").returncode == STOPPED
    assert_ok(script("start"))
    assert_ok(script("status"))
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    first = c.status()["pid"]
    assert_ok(script("start"))
    assert_ok(script("reload"))
    assert_ok(script("force-reload"))
    c.log.rename(c.logs / "log.1")
    assert_ok(script("reopen"))
    assert c.log.exists()
    assert c.status()["pid"] == first
    assert_ok(script("restart"))
    assert_ok(script("try-restart"))
    assert c.status()["pid"] != first
    assert_ok(script("stop"))
    assert script("status").returncode == STOPPED
    assert script("wrong").returncode == USAGE


def test_systemd_unit(builddir):
    """The daemon looks for its files where the service manager has made room,
    whatever the prefix of the installation, and is started until it runs."""
    unit = (builddir / "contrib/systemd/cassata.service").read_text()
    # There the programs look, too, without a word.
    for program in "cassatad", "cassatactl":
        assert b"\0/var/lib/cassata\0" in (builddir / program).read_bytes()
    assert "\nStateDirectory=cassata\n" in unit
    assert "\nEnvironment=CASSATA_HOME=%S/cassata\n" in unit
    assert "\nStartLimitIntervalSec=0\n" in unit
