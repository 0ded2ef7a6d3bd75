# SPDX-License-Identifier: ISC
"""What the processes may do, who may tell them what to do, and secrets."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time

import pytest

from cassata import (
    MysqlStore, children_user, give, is_gone, may_mount, open_files, read_text,
    wait_for)
from sink import Reply

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_mounts = pytest.mark.skipif(
    not may_mount(), reason="nothing may be mounted here")
NOBODY = pwd.getpwnam("nobody")


def facts(pid):
    """/proc/PID/status as a dictionary."""
    lines = read_text("/proc/%d/status" % pid).splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def pids_of(c):
    """Without those that a reload has told to leave: they may be gone, and
    call themselves ready until they are."""
    ready = [child for child in c.status()["children"]
             if child["state"] == "ready"]
    newest = max(child["generation"] for child in ready)
    return [child["pid"] for child in ready if child["generation"] == newest]


def for_nobody(c, store):
    """Gives what the children write to their user, and programs that it may
    execute, wherever the build lies."""
    c.copy_programs()
    os.chown(str(c.state_dir), NOBODY.pw_uid, NOBODY.pw_gid)
    os.chown(str(c.logs), NOBODY.pw_uid, NOBODY.pw_gid)
    if not isinstance(store, MysqlStore):
        path = store.url[len("sqlite:"):]
        os.chown(os.path.dirname(path), NOBODY.pw_uid, NOBODY.pw_gid)


def assert_confined(pid, user):
    child = facts(pid)
    assert child["Uid"].split() == [str(user.pw_uid)] * 4
    assert child["Gid"].split() == [str(user.pw_gid)] * 4
    assert child["Groups"].split() == []
    for name in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
        assert int(child[name], 16) == 0, name
    assert child["NoNewPrivs"] == "1"
    assert child["Seccomp"] == "2"
    with open("/proc/%d/stat" % pid) as f:
        _, group, session, terminal = f.read().rpartition(")")[2].split()[1:5]
    assert (int(group), int(session), terminal) == (pid, pid, "0")
    for fd in "0", "1":
        assert os.readlink("/proc/%d/fd/%s" % (pid, fd)) == "/dev/null"


@needs_root
@pytest.mark.parametrize("user", [None, "nobody"])
def test_children_run_as_the_user(prepare, store, sink, user):
    """Nothing is left of root, also if nobody has said who they are."""
    c = prepare()
    if user:
        c.configure(master={"user": user})
        for_nobody(c, store)
    c.start()
    assert facts(c.pid)["Uid"].split() == ["0"] * 4
    for pid in pids_of(c):
        assert_confined(pid, NOBODY if user else children_user())
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert c.ctl("reload").returncode == 0
    c.schedule("f", sink.url("/f"))
    c.wait_state("f", "COMPLETED")


@needs_root
def test_capabilities_of_a_user(prepare, store):
    """Those that a service manager, or a program's file, gave to a daemon
    that is not root's."""
    c = prepare()
    for_nobody(c, store)
    c.start(prefix=["setpriv", "--reuid", "nobody", "--regid", "nogroup",
                    "--clear-groups", "--inh-caps", "+setpcap,+kill",
                    "--ambient-caps", "+setpcap,+kill"])
    assert int(facts(c.pid)["CapEff"], 16) != 0
    for pid in pids_of(c):
        assert_confined(pid, NOBODY)


@needs_root
@pytest.mark.parametrize("capability", ["setpcap", "setuid", "setgid"])
def test_root_with_less(prepare, store, capability):
    """As in a container. Without the right to empty the bounding set it stays,
    of no use; without the one to become somebody else there is no start."""
    c = prepare()
    less = ["setpriv", "--inh-caps", "-" + capability, "--bounding-set",
            "-" + capability]
    if capability != "setpcap":
        result = c.run(*less, *c.command())
        assert result.returncode == 1
        assert "cannot become user %s: " % children_user().pw_name in \
            result.stderr
        return
    c.start(prefix=less)
    for pid in pids_of(c):
        child = facts(pid)
        assert child["Uid"].split() == [str(children_user().pw_uid)] * 4
        for name in "CapInh", "CapPrm", "CapEff", "CapAmb":
            assert int(child[name], 16) == 0, name
        assert child["NoNewPrivs"] == "1"


@needs_root
def test_directories_of_root(prepare, store):
    """The state directory stays root's; data that were root's are not given
    to the children: the start says what has to be done, and works then."""
    c = prepare()
    assert c.ctl("start").returncode == 0
    assert c.state_dir.stat().st_uid == 0
    assert c.ctl("stop").returncode == 0
    if isinstance(store, MysqlStore):
        return
    paths = [os.path.dirname(store.path), store.path]
    for path in paths:
        os.chown(path, 0, 0)
    for path in paths:
        result = c.ctl("start")
        assert result.returncode == 1
        assert os.stat(path).st_uid == 0
        assert "user %s cannot write" % children_user().pw_name in \
            result.stderr
        command = result.stderr.strip().partition("as by ")[2]
        os.chown(path, children_user().pw_uid, -1)
        assert command.startswith("chown %s: " % children_user().pw_name)
    assert c.ctl("start").returncode == 0
    c.ctl("stop")
    # The command does it.
    for path in paths:
        os.chown(path, 0, 0)
    command = c.ctl("start").stderr.strip().partition("as by ")[2]
    subprocess.run(command, shell=True, check=True)
    assert c.ctl("start").returncode == 0


@needs_root
def test_directory_out_of_reach(prepare, store):
    if isinstance(store, MysqlStore):
        pytest.skip("there is no file")
    c = prepare()
    closed = c.directory / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    c.configure(datastore={"url": "sqlite:%s/data/cassata.db" % closed})
    result = c.ctl("start")
    assert result.returncode == 1
    assert "cannot reach %s/data/" % closed in result.stderr


@needs_root
def test_tables_made_by_root(prepare, store, sink):
    """What init-db makes is the children's."""
    c = prepare(service={"createTablesIfNotExists": False})
    assert c.ctl("init-db").returncode == 0
    c.start()
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")


def test_keys_of_a_masters_life(launch, store):
    """A reload gives nobody rights."""
    c = launch()
    if os.geteuid() == 0:
        keys = {"user": "daemon", "group": "daemon", "sandbox": False}
        c.configure(master={"user": children_user().pw_name})
        assert c.reload() == "ok\n"
    else:
        keys = {"sandbox": False}
    for key, value in keys.items():
        good = dict(c.sections.get("master", {}))
        c.configure(master={key: value})
        assert c.reload() == "error: master.%s: a change takes effect at a " \
            "restart only\n" % key
        c.sections["master"] = good
    c.configure()
    assert c.reload() == "ok\n"
    for pid in pids_of(c):
        assert facts(pid)["Seccomp"] == "2"


@needs_root
def test_rotated_log_of_root(prepare, store, sink):
    """Children get it opened: they cannot even reach its directory."""
    c = prepare()
    os.chown(str(c.logs), 0, 0)
    c.logs.chmod(0o700)
    assert c.ctl("start").returncode == 0
    old = str(c.log) + ".1"
    os.rename(str(c.log), old)
    c.send(signal.SIGUSR1)

    def logs(pid):
        return open_files(pid) & {str(c.log), old}
    wait_for(lambda: all(logs(pid) == {str(c.log)} for pid in pids_of(c)),
             what="the new log")
    assert os.stat(str(c.log)).st_uid == 0
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    assert "cannot" not in read_text(old) + read_text(str(c.log))


@needs_root
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_log_that_leads_elsewhere(prepare, store, link):
    """By a link that the user has laid: nothing is written there, and root's
    file does not become theirs."""
    c = prepare(master={"user": "nobody"})
    for_nobody(c, store)
    log = c.logs / "theirs"
    c.configure(log={"destination": str(log)})
    assert c.ctl("start").returncode == 0
    secret = c.directory / "secret"
    secret.write_text("root's\n")
    os.rename(str(log), str(log) + ".1")
    link(str(secret), str(log))
    c.send(signal.SIGUSR1)
    wait_for(lambda: "cannot reopen log" in read_text(str(log) + ".1"),
             what="a line in the log")
    assert secret.read_text() == "root's\n"
    assert c.reload() == "error: cannot open log %s: %s\n" % (
        log, "Too many levels of symbolic links" if link is os.symlink else
        "it has a second name (hard link)")
    assert secret.stat().st_uid == 0


@needs_root
def test_configuration_of_another_user(prepare, store):
    """What children can write to their directory does not tell root's
    processes what to do."""
    c = prepare(master={"user": "nobody"})
    for_nobody(c, store)
    program = str(c.builddir / "cassatactl")
    path = c.state_dir / "cassata.yaml"
    text = c.config_file.read_text()

    def check(*options):
        return c.run(program, *(options or ("-d", str(c.state_dir))),
                     "check-config")
    path.write_text(text)
    os.chmod(str(path), 0o644)
    assert check().returncode == 0
    os.chmod(str(path), 0o666)
    assert "must belong to root" in check().stderr
    os.chmod(str(path), 0o644)
    os.chown(str(path), NOBODY.pw_uid, NOBODY.pw_gid)
    assert "must belong to root" in check().stderr
    assert check("-c", str(path)).returncode == 0
    assert c.run("setpriv", "--reuid", "nobody", "--clear-groups",
                 program, "-d", str(c.state_dir), "check-config",
                 env=c.environment()).returncode == 0
    path.unlink()
    path.symlink_to(c.config_file)
    assert "symbolic links" in check().stderr


def test_directory_that_is_missing(prepare, store):
    """The sandbox does not hide the reason."""
    if isinstance(store, MysqlStore):
        pytest.skip("there is no file")
    c = prepare()
    c.configure(datastore={"url": "sqlite:/nonexistent/cassata.db"})
    result = c.run(*c.command())
    assert result.returncode != 0
    assert "/nonexistent" in result.stderr
    assert "No such file or directory" in result.stderr


@needs_root
def test_user_without_access(prepare, store):
    """The start fails with the reason, and names the file."""
    if isinstance(store, MysqlStore):
        pytest.skip("there is no file")
    c = prepare(master={"user": "daemon"})
    result = c.run(*c.command())
    assert result.returncode != 0
    assert "cassata.db" in c.log_text() + result.stderr


@pytest.mark.parametrize("keys, reason", [
    ({"user": "no-such-user-here"}, "no such user: no-such-user-here"),
    ({"user": "root"}, "rights of root"),
    ({"user": "nobody", "group": "no-such-group-here"}, "no such group"),
    ({"group": "nogroup"}, "group needs a user"),
])
def test_wrong_user(prepare, keys, reason):
    c = prepare(master=keys)
    result = c.ctl("check-config")
    assert result.returncode != 0
    assert reason in result.stderr


def test_limits_and_sandbox(launch, sink):
    c = launch(service={"maxConnections": 2000})
    for pid in [c.pid] + pids_of(c):
        limits = read_text("/proc/%d/limits" % pid)
        core = [line.split() for line in limits.splitlines()
                if line.startswith("Max core")][0]
        assert core[4:6] == ["0", "0"]
        assert int(read_text("/proc/%d/coredump_filter" % pid), 16) == 0
    for child in c.children("service"):
        limits = read_text("/proc/%d/limits" % child["pid"])
        soft = [line.split()[3] for line in limits.splitlines()
                if line.startswith("Max open files")][0]
        assert int(soft) >= 2000
    if "make every" not in c.log_text():
        assert {facts(pid)["Seccomp"] for pid in pids_of(c)} == {"2"}


def test_without_a_sandbox(launch):
    c = launch(master={"sandbox": False})
    assert {facts(pid)["Seccomp"] for pid in pids_of(c)} == {"0"}
    assert "master.sandbox is false" in c.log_text()
    assert c.status()["sandbox"] == "off"


def test_what_the_kernel_lacks_is_said(launch):
    """Once at the start, and whenever somebody asks."""
    c = launch()
    said = c.status()["sandbox"]
    assert "\nsandbox    %s\n" % said in c.ctl("status").stdout
    assert (said == "on") == ("children can" not in c.log_text())
    if said != "on":
        assert c.log_text().count(said) == 1


def test_attacks_of_children(prepare, store):
    """On the master of an ordinary user, who is also theirs, and on the
    terminal that it was started from."""
    c = prepare(worker={"workerThreadPollingInterval": "100ms"})
    score = c.directory / "score"
    score.write_bytes(bytes(16))
    score.chmod(0o666)
    master, terminal = os.openpty()
    try:
        os.chmod(os.ttyname(terminal), 0o666)
        c.process = subprocess.Popen(
            ["setsid", "--ctty", *as_nobody(c, store), *c.command()],
            stdin=terminal, stdout=terminal, stderr=terminal,
            env=c.environment(ATTACK=str(score),
                              **c.preload(c.build_preload("attack"))))
        c.pid = c.process.pid
        c.wait_ready()
        limits = read_text("/proc/%d/limits" % c.pid)
        with open(str(score), "r+b") as f:
            f.write(struct.pack("I", 1))

        def counts():
            """Whether the last attempt is over, too."""
            _, made, succeeded, n = struct.unpack("IIII", score.read_bytes())
            return made > n and (succeeded, n)
        succeeded, n = wait_for(counts, 30, "the attempts")
        assert n > 0 and succeeded == 0
        assert read_text("/proc/%d/limits" % c.pid) == limits
        assert c.reload() == "ok\n"
        # The program reads nothing of the terminal: what was typed is there.
        os.set_blocking(terminal, False)
        with pytest.raises(BlockingIOError):
            os.read(terminal, 1)
        c.stop()
    finally:
        os.close(master)
        os.close(terminal)


def terminal_of(pid):
    """The number of the controlling terminal, 0 for none."""
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rpartition(")")[2].split()[4])


def test_terminal(prepare):
    """Children have none, though the daemon was started from one."""
    c = prepare()
    master, terminal = os.openpty()
    try:
        with open(c.output, "ab") as output:
            c.process = subprocess.Popen(
                ["setsid", "--ctty", *c.command()], stdin=terminal,
                stdout=terminal, stderr=output, env=c.environment())
        c.pid = c.process.pid
        c.wait_ready()
        assert terminal_of(c.pid) != 0
        for pid in pids_of(c):
            assert terminal_of(pid) == 0
            for fd in "0", "1":
                assert os.readlink(
                    "/proc/%d/fd/%s" % (pid, fd)) == "/dev/null"
        # Its keys' signals are the master's alone.
        os.write(master, b"\x03")
        assert c.process.wait(100) == 0
        c.process = c.pid = None
    finally:
        os.close(master)
        os.close(terminal)


@needs_mounts
def test_syslog(prepare, store, sink):
    """Children find it again after it was started anew."""
    c = prepare(log={"destination": "syslog"})
    devices = c.directory / "dev"
    devices.mkdir()
    for name in "null", "urandom":
        (devices / name).write_text("")

    def listen():
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(str(devices / "log"))
        os.chmod(str(devices / "log"), 0o666)
        receiver.settimeout(100)
        return receiver

    def pids_heard(receiver, wanted):
        """Reads lines until each of these has written one."""
        while wanted:
            wanted -= {int(pid) for pid in re.findall(
                rb"cassatad\[(\d+)\]", receiver.recv(65536))}
        return True

    with listen() as receiver:
        c.start(prefix=["unshare", "--mount", "sh", "-c",
                        'for f in null urandom; do '
                        'mount --bind "/dev/$f" "$0/$f" || exit 1; done; '
                        'mount --rbind "$0" /dev && exec "$@"', str(devices)])
        assert pids_heard(receiver, {c.pid})
    (devices / "log").unlink()
    children = {child["pid"] for child in c.children("service") +
                c.children("worker")}
    with listen() as receiver:
        # Its end is a line of each child.
        os.kill(c.pid, signal.SIGKILL)
        assert pids_heard(receiver, children)
    c.process.wait(100)
    c.process = c.pid = None
    wait_for(lambda: not c.processes(), 30, "their end")


@needs_mounts
def test_datastore_by_name(prepare, store, sink):
    """It is found again by what the resolver's files say by then."""
    if not isinstance(store, MysqlStore):
        pytest.skip("a file has no host")
    c = prepare()
    etc = c.directory / "etc"
    etc.mkdir()
    for name in ("nsswitch.conf", "passwd", "group"):
        shutil.copy("/etc/" + name, str(etc))
    hosts = etc / "hosts"
    hosts.write_text("127.0.0.1 datastore.test\n")
    c.configure(datastore={"url": store.url.replace(
        "127.0.0.1", "datastore.test"), "tls": "off"})
    c.start(prefix=["unshare", "--mount", "sh", "-c",
                    'mount --bind "$0" /etc && exec "$@"', str(etc)])
    store.disconnect()
    wait_for(lambda: c.get("/readyz").status == 200, what="readiness")
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    (etc / "new").write_text("127.0.0.1 datastore.test\n# new\n")
    os.rename(str(etc / "new"), str(hosts))
    store.disconnect()
    wait_for(lambda: c.get("/readyz").status == 200, what="readiness")
    c.schedule("f", sink.url("/f"))
    c.wait_state("f", "COMPLETED")


@needs_root
def test_datastore_without_a_user(prepare, store):
    """The account is that of the process, which cannot read its name."""
    if not isinstance(store, MysqlStore):
        pytest.skip("a file has no user")
    c = prepare(master={"user": "daemon"})
    c.configure(datastore={"url": "mysql://" + store.url.rpartition("@")[2]})
    result = c.run(*c.command())
    assert result.returncode != 0
    assert "user 'daemon'@" in c.log_text() + result.stderr


@needs_root
def test_too_few_descriptors(prepare, store):
    """Of another user, who cannot raise the limit."""
    c = prepare(service={"maxConnections": 5000})
    for_nobody(c, store)
    result = c.run("setpriv", "--reuid", "nobody", "--clear-groups",
                   "prlimit", "--nofile=300:300", *c.command())
    assert result.returncode != 0
    assert "descriptors are needed" in c.log_text() + result.stderr


@needs_root
def test_control_socket(launch):
    """For its owner and root: its mode says so, and so does the daemon."""
    c = launch()
    path = [entry for entry in os.listdir(str(c.state_dir))
            if entry.endswith(".sock")][0]
    path = os.path.join(str(c.state_dir), path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    # Let in by the file system all the same.
    for directory in (c.directory, c.state_dir):
        os.chmod(str(directory), 0o755)
    os.chmod(path, 0o666)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setuid(NOBODY.pw_uid)
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(100)
            s.connect(path)
            try:
                s.sendall(b"stop\n")
                status = 0 if s.recv(100) == b"" else 2
            except OSError:
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    wait_for(lambda: "user %d " % NOBODY.pw_uid in c.log_text(),
             what="a line in the log")
    assert c.status()["state"] == "ready"


def as_nobody(c, store):
    """What starts a daemon that has no user of its own for the children."""
    if os.geteuid() != 0:
        return []
    for_nobody(c, store)
    return ["setpriv", "--reuid", "nobody", "--regid", "nogroup",
            "--clear-groups"]


class Takeover:
    """Orders for the children of a daemon; see preload/takeover.c."""

    def __init__(self, c):
        self._path = c.directory / "orders"
        self._path.write_bytes(bytes(256))
        self._path.chmod(0o666)
        self._number = 0
        self.env = {"TAKEOVER": str(self._path),
                    **c.preload(c.build_preload("takeover"))}

    def order(self, master, path, word=""):
        self._number += 1
        with open(str(self._path), "r+b") as f:
            f.seek(16)
            f.write(str(path).encode().ljust(108, b"\0"))
            f.write(word.encode().ljust(32, b"\0"))
            f.seek(8)
            f.write(struct.pack("II", 0, 0))
            f.flush()
            f.seek(0)
            f.write(struct.pack("II", master, self._number))

    def done(self):
        return struct.unpack("I", self._path.read_bytes()[8:12])[0]

    def succeeded(self):
        return struct.unpack("I", self._path.read_bytes()[12:16])[0]


def test_children_do_not_control(prepare, store):
    c = prepare(worker={"workerThreadPollingInterval": "100ms"})
    t = Takeover(c)
    c.start(env=t.env, prefix=as_nobody(c, store))
    workers = {child["pid"] for child in c.children("worker")}
    t.order(c.status()["pid"], c.control_path, "reopen\n")
    wait_for(lambda: t.done() >= 2, what="words")
    assert t.succeeded() == 0
    t.order(0, c.control_path)
    wait_for(lambda: len({
        child["pid"] for child in c.children("worker")} - workers) == 2,
        what="others in their place")
    assert "killed: it spoke on the control socket" in c.log_text()
    # Whoever is refused cannot fill the log.
    assert c.log_text().count("control socket: user ") == 1
    assert c.control("reopen") == "ok\n"


def test_children_of_another_master_do_not_control(prepare, store, sink):
    """Of the one before, whose workers still drain."""
    c = prepare(worker={"workerThreadPollingInterval": "100ms"})
    t = Takeover(c)
    sink.on("/e", Reply(200, gate=sink.gate()))
    c.start(env=t.env, prefix=as_nobody(c, store))
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    old = c.pid
    assert c.control("upgrade") == "ok\n"
    t.order(old, c.control_path, "reopen\n")
    wait_for(lambda: t.done() > 0, what="a word")
    wait_for(lambda: "control socket: user " in c.log_text(), what="a line")
    assert t.succeeded() == 0
    assert c.control("reopen") == "ok\n"
    # The successor is not our child.
    os.kill(c.process.pid, signal.SIGKILL)
    c.process.wait(60)
    c.process = c.pid = None


def local(c, store):
    """All in the state directory, as it is by default."""
    if isinstance(store, MysqlStore):
        pytest.skip("there is no file")
    c.configure(datastore={"url": "sqlite:cassata.db"},
                log={"destination": "cassata.log"})


def test_children_write_to_the_data_alone(prepare, store):
    """Not to what tells the master what to do, or is the master's."""
    c = prepare(worker={"workerThreadPollingInterval": "100ms"})
    local(c, store)
    t = Takeover(c)
    c.start(env=t.env, prefix=as_nobody(c, store))
    if "no landlock" in c.log_text():
        pytest.skip("no landlock")
    for name, succeeds in (("data/file", True), ("cassata.yaml", False),
                           ("cassatad.pid", False), ("cassata.log", False),
                           ("file", False)):
        (c.state_dir / "cassata.log").touch()
        t.order(c.status()["pid"], c.state_dir / name)
        # A service wakes up for a request.
        wait_for(lambda: c.get("/livez") and t.done() == 3, what="attempts")
        assert (t.succeeded() > 0) == succeeds, name
    assert not (c.state_dir / "cassata.yaml").exists()


@needs_root
@pytest.mark.parametrize("key, name", [
    ("pidFile", "pid"), ("controlSocket", "sock"), (None, "cassata.yaml")])
def test_directory_of_the_children(prepare, store, key, name):
    """What they could replace is not relied on, however it is named."""
    c = prepare()
    theirs = c.directory / "theirs"
    theirs.mkdir()
    give(theirs)
    what = "master.%s" % key if key else "the configuration"
    if key:
        c.configure(master={key: str(theirs / name)})
    else:
        shutil.copy(str(c.config_file), str(theirs / name))
        c.config_file = theirs / name
    result = c.ctl("start")
    assert result.returncode == 1
    assert "%s %s: its directory belongs to the user of the children, %s: " \
        "chown root %s" % (what, theirs / name, children_user().pw_name,
                           theirs) in result.stderr
    os.chown(str(theirs), 0, 0)
    assert c.ctl("start").returncode == 0
    # Nor in a reload.
    if not key:
        os.chown(str(theirs), children_user().pw_uid, -1)
        assert "its directory belongs" in c.reload()
        os.chown(str(theirs), 0, 0)
        os.chown(str(c.config_file), children_user().pw_uid, -1)
        assert "belongs to the user of the children" in c.reload()
    assert c.ctl("stop").returncode == 0


@needs_root
@pytest.mark.parametrize("key, name", [
    ("pidFile", "pid"), ("controlSocket", "sock"), (None, "cassata.yaml")])
def test_directory_open_to_the_children(prepare, store, key, name):
    """The same where the mode lets them, and not their name."""
    c = prepare()
    shared = c.directory / "shared"
    shared.mkdir()
    if key:
        c.configure(master={key: str(shared / name)})
    else:
        shutil.copy(str(c.config_file), str(shared / name))
        c.config_file = shared / name
    group = children_user().pw_gid
    for owner, mode, starts in ((-1, 0o757, False), (group, 0o775, False),
                                (group, 0o755, True), (0, 0o775, True),
                                (-1, 0o1777, True)):
        os.chown(str(shared), 0, owner)
        shared.chmod(mode)
        result = c.ctl("start")
        assert (result.returncode == 0) == starts, (mode, result.stderr)
        if starts:
            assert c.ctl("stop").returncode == 0
        else:
            assert "its directory can be written by the user of the " \
                "children, %s: chmod go-w %s" % (
                    children_user().pw_name, shared) in result.stderr
    if not key:
        c.config_file.chmod(0o666)
        assert "cassata.yaml can be written by" in c.ctl("start").stderr


def test_files_beside_the_data(prepare, store):
    """Where any child writes, whoever it runs as."""
    if isinstance(store, MysqlStore):
        pytest.skip("there is no file")
    c = prepare()
    good = c.config_file
    data = os.path.dirname(store.path)
    os.mkdir(data + "/below")
    c.config_file = good.rename(data + "/below/cassata.yaml")
    result = c.ctl("start")
    assert result.returncode == 1
    assert "the configuration %s is where the children write (%s" % (
        c.config_file, data) in result.stderr
    link = c.directory / "link.yaml"
    link.symlink_to(c.config_file)
    c.config_file = link
    assert "is where the children write" in c.ctl("start").stderr
    link.unlink()
    c.config_file = good
    c.configure(master={"controlSocket": data + "/s"})
    assert "master.controlSocket %s/s is where" % data in c.ctl("start").stderr
    c.configure(master={"controlSocket": str(c.directory / "s")},
                datastore={"url": "sqlite:../cassata.db"})
    give(c.directory)
    assert "is where the children write" in c.ctl("start").stderr


def test_reload_from_the_data(prepare, store):
    """A file that children have made there, and that claims that they write
    elsewhere, is not obeyed."""
    if isinstance(store, MysqlStore):
        pytest.skip("there is no file")
    c = prepare()
    c.start()
    text = c.config_file.read_text()
    made = os.path.dirname(store.path) + "/made.yaml"
    other = c.directory / "other"
    other.mkdir()
    give(other)
    with open(made, "w") as f:
        f.write(text.replace(store.path, str(other / "cassata.db")))
    c.config_file.unlink()
    c.config_file.symlink_to(made)
    assert "is where the children write" in c.reload()
    c.config_file.unlink()
    c.config_file.write_text(text)
    assert c.reload() == "ok\n"


# ---- the layout of older versions ----

def make_old(c):
    """What an older version has left: all in the state directory, and that the
    children's."""
    for path in (c.state_dir / "data").glob("*"):
        path.replace(c.state_dir / path.name)
    (c.state_dir / "data").rmdir()
    give(c.state_dir)


@pytest.fixture
def old(prepare, store, sink):
    """A daemon that is down, on files as an older version has left them at a
    crash: what is not in the datastore yet is in its -wal."""
    c = prepare()
    local(c, store)
    assert c.ctl("start").returncode == 0
    c.schedule("old", sink.url("/e"), time.time() + 1000)
    c.abandon()
    assert list((c.state_dir / "data").glob("*-wal"))
    make_old(c)
    return c


def test_old_layout(old, sink):
    c = old
    result = c.ctl("start")
    assert result.returncode == 0, result
    moved = c.state_dir / "data" / "cassata.db"
    assert "moved %s/cassata.db to" % c.state_dir in result.stderr
    assert c.status()["datastore"] == "sqlite:%s" % moved
    assert c.state("old") == "PENDING"
    # For who looks for it where it was: a backup, or the older version.
    assert os.path.realpath(str(c.state_dir / "cassata.db")) == str(moved)
    assert c.ctl("restart").returncode == 0
    assert c.state("old") == "PENDING"
    if os.geteuid() == 0:
        assert c.state_dir.stat().st_uid == 0


def test_old_layout_after_a_crash_while_moving(old):
    """The file itself moves last."""
    c = old
    (c.state_dir / "data").mkdir()
    give(c.state_dir / "data")
    (c.state_dir / "cassata.db-wal").rename(
        c.state_dir / "data" / "cassata.db-wal")
    assert c.ctl("start").returncode == 0
    assert c.state("old") == "PENDING"


def test_old_layout_in_use(old):
    """By an older daemon of another role, say: nothing moves."""
    c = old
    with contextlib.closing(sqlite3.connect(
            str(c.state_dir / "cassata.db"))) as db:
        db.execute("SELECT * FROM meta").fetchall()
        result = c.ctl("start")
        assert result.returncode == 1
        assert "process %d has it open" % os.getpid() in result.stderr
        assert (c.state_dir / "cassata.db-wal").exists()
    assert c.ctl("start").returncode == 0
    assert c.state("old") == "PENDING"


def test_old_layout_beside_a_new_one(old):
    """Which of them is the right one is not for us to say."""
    c = old
    (c.state_dir / "data").mkdir()
    other = c.state_dir / "data" / "cassata.db"
    other.write_bytes(b"")
    give(other.parent, other)
    result = c.ctl("start")
    assert result.returncode == 1
    assert "both %s/cassata.db and %s are there" % (
        c.state_dir, other) in result.stderr
    other.unlink()
    assert c.ctl("start").returncode == 0
    assert c.state("old") == "PENDING"


@needs_root
def test_state_directory_that_children_had(prepare, store):
    """Root takes it back, and lets them through to the data alone."""
    c = prepare()
    local(c, store)
    give(c.state_dir)
    c.state_dir.chmod(0o770)
    assert c.ctl("start").returncode == 0
    st, data = c.state_dir.stat(), (c.state_dir / "data").stat()
    assert (st.st_uid, st.st_gid) == (0, children_user().pw_gid)
    assert st.st_mode & 0o777 == 0o750
    assert data.st_uid == children_user().pw_uid
    assert data.st_mode & 0o777 == 0o700
    assert (c.state_dir / "cassata.log").stat().st_uid == 0
    # With a pid file of theirs "stop" would say that nothing runs.
    pid = c.status()["pid"]
    for name in "cassatad.pid", "cassatad.sock", "cassata.log":
        assert c.run("setpriv", "--reuid", children_user().pw_name,
                     "--regid", str(children_user().pw_gid), "--clear-groups",
                     "mv", str(c.state_dir / name),
                     str(c.state_dir / "gone")).returncode != 0
    assert c.ctl("stop").stdout == "stopped (pid %d)\n" % pid
    assert is_gone(pid)


def test_upgrade_of_an_older_version(prepare, store, sink):
    """Whose children have the file open where it was: it goes on."""
    c = prepare()
    local(c, store)
    c.start()
    # What an older master looks like: its file, with what holds it, is there.
    (c.state_dir / "cassata.db").unlink(missing_ok=True)
    source = sqlite3.connect(str(c.state_dir / "cassata.db"))
    with contextlib.closing(source):
        source.execute("PRAGMA journal_mode = WAL")
        source.execute("CREATE TABLE t (c)")
        source.commit()
        source.execute("SELECT * FROM t").fetchall()
        answer = c.control("upgrade")
        assert "process %d has it open" % os.getpid() in answer
        assert "not upgraded but restarted" in answer
        assert c.reload() != "ok\n"
        assert c.get("/readyz").status == 200
    (c.state_dir / "cassata.db").unlink()
    assert c.reload() == "ok\n"


@needs_root
def test_control_socket_of_the_children(prepare, store):
    """A process of their user cannot pass for root's master."""
    c = prepare(master={"user": "nobody"})
    for_nobody(c, store)
    c.start()
    path = c._control_socket()
    assert c.ctl("reopen").returncode == 0
    c.stop()
    # As older versions left it.
    os.chown(str(c.state_dir), NOBODY.pw_uid, NOBODY.pw_gid)
    heard, heard_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setuid(NOBODY.pw_uid)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen(5)
                listener.settimeout(100)
                os.write(heard_end, b"l")
                while True:
                    s = listener.accept()[0]
                    try:
                        os.write(heard_end, s.recv(100))
                        s.sendall(b"ok\n")
                    except OSError:
                        pass
                    s.close()
        finally:
            os._exit(1)
    try:
        assert os.read(heard, 1) == b"l"
        for word in ("reopen", "reload"):
            result = c.ctl(word)
            assert result.returncode == 1
            assert "master.user" in result.stderr
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(heard_end)
    assert os.read(heard, 100) == b""
    os.close(heard)
    os.unlink(path)


def test_pid_file_that_leads_elsewhere(prepare):
    """stop does not end who holds the lock of another file."""
    c = prepare()
    pid_file = c.state_dir / "cassatad.pid"
    other = str(c.directory / "other")
    code = "import fcntl; f = open(%r, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); " \
        "print(flush=True); input()" % other
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        pid_file.symlink_to(other)
        result = c.ctl("stop")
        holder.communicate(b"\n")
    assert holder.returncode == 0
    assert result.returncode == 1
    assert "symbolic links" in result.stderr
    pid_file.unlink()
    os.mkfifo(str(pid_file))
    for word in "stop", "start":
        result = c.ctl(word)
        assert result.returncode == 1
        assert "it is no regular file" in result.stderr
    pid_file.unlink()


def test_pid_file_of_another_program(prepare):
    """Whoever holds its lock is not stopped unless it is a cassatad."""
    c = prepare()
    code = "import fcntl; f = open(%r, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); " \
        "print(flush=True); input()" % str(c.state_dir / "cassatad.pid")
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        for word in "stop", "start":
            result = c.ctl(word)
            assert result.returncode == 1
            assert "by process %d, which is no cassatad" % holder.pid in \
                result.stderr
        holder.communicate(b"\n")
    assert holder.returncode == 0


def test_pipe_for_a_configuration(launch):
    """Nobody waits for whoever might write to it."""
    c = launch()
    text = c.config_file.read_text()
    c.config_file.unlink()
    os.mkfifo(str(c.config_file))
    assert "it is no regular file" in c.reload()
    for word in "check-config", "start":
        result = c.ctl(word)
        assert result.returncode == 1
        assert "it is no regular file" in result.stderr
    c.config_file.unlink()
    c.config_file.write_text(text)
    assert c.reload() == "ok\n"


def test_start_with_a_pipe_for_a_log(prepare):
    c = prepare()
    log = c.directory / "pipe"
    os.mkfifo(str(log))
    c.configure(log={"destination": str(log)})
    result = c.ctl("start")
    assert result.returncode == 1
    assert "cannot open log %s: it is no regular file" % log in result.stderr


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_password_file_of_others(prepare, store, mode):
    c = prepare()
    secret = c.directory / "secret"
    secret.write_text("secret\n")
    secret.chmod(mode)
    c.configure(datastore={"passwordFile": str(secret)})
    result = c.ctl("check-config")
    assert result.returncode == 1
    assert "chmod u=rw,g=r,o= %s" % secret in result.stderr
    secret.chmod(0o640)
    assert c.ctl("check-config").returncode == 0


def test_password_stays_secret(prepare, store, sink):
    """Neither in ps, nor logs, nor metrics, nor any answer."""
    if not isinstance(store, MysqlStore):
        pytest.skip("a file has no password")
    c = prepare()
    scheme, rest = store.url.split("://", 1)
    user, host = rest.rsplit("@", 1)
    password = "p@ss/word"
    c.configure(datastore={"url": "%s://%s@%s" % (
        scheme, user.split(":")[0], host)})
    c.start(env={"CASSATA_DATASTORE_PASSWORD": password})
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "COMPLETED")
    seen = [c.log_text(), str(c.status()), c.ctl("status").stdout,
            c.get("/metrics").body.decode(), c.get("/readyz").body.decode()]
    # It is still known to a reload and to a successor.
    for change in ("reload", "upgrade"):
        for pid in [c.status()["pid"]] + [
                child["pid"] for child in c.children("service") +
                c.children("worker")]:
            seen += [read_text("/proc/%d/%s" % (pid, name))
                     for name in ("environ", "cmdline")]
        result = c.ctl(change)
        assert result.returncode == 0
    seen += [read_text("/proc/%d/environ" % c.status()["pid"])]
    assert c.process.wait(100) == 0
    c.process = c.pid = None
    # A wrong one is refused without being shown.
    wrong = c.run(*c.command("--check"),
                  env=c.environment(CASSATA_DATASTORE_PASSWORD="wrong-secret"))
    seen += [wrong.stdout, wrong.stderr]
    for text in seen:
        assert password not in text
        assert "p%40ss" not in text
        assert "wrong-secret" not in text
