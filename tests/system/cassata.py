# SPDX-License-Identifier: ISC
"""Runs the real programs: a daemon in a state directory of its own, on port 0,
and what must be true of it when it ends."""

import contextlib
import itertools
import json
import os
import pwd
import random
import shutil
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import unquote, urlsplit

import client

TESTS = Path(__file__).resolve().parent.parent
SOURCE = TESTS.parent
# Seconds are told as of a machine that has nothing else to do.
PATIENCE = 4


def children_user():
    """Whom root's daemon runs its children as unless it is told."""
    for name in ("cassata", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("no account for the children")


def give(*paths):
    """To the children, if they have a user of their own."""
    if os.geteuid() == 0:
        user = children_user()
        for path in paths:
            os.chown(str(path), user.pw_uid, user.pw_gid)


def is_gone(pid):
    """Also when its parent has not asked for it yet."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def open_files(pid):
    """What its descriptors lead to; one may close meanwhile, or all."""
    found = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for fd in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
    return found


def wait_for(fn, seconds=15, what="the condition"):
    """What fn returns, as soon as that is true."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s did not come true in %g s (last: %r)" % (
                what, seconds, value))
        time.sleep(0.01)


def wait_shares(store, n):
    """All shards are held, by n workers with as many each."""
    def shared():
        rows = store.sql(
            "SELECT owner, COUNT(*) FROM lease WHERE owner <> 0 GROUP BY owner")
        return len(rows) == n and all(
            int(count) in (64 // n, 64 // n + 1) for _, count in rows)
    wait_for(shared, 30, "%d equal shares" % n)


def may_mount():
    """Whether this process may have mounts of its own: in a chroot(8), root
    has none to begin with."""
    return subprocess.run(["unshare", "--mount", "true"],
                          stderr=subprocess.DEVNULL).returncode == 0


def closed_port():
    """A socket that holds a port where connections are refused."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def free_port():
    """Below those that the system gives to outgoing connections, so that it
    stays free while the daemon is down."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return port


def read_text(path):
    try:
        return Path(path).read_text(errors="replace")
    except FileNotFoundError:
        return ""


def yaml_of(sections):
    """Flat sections; JSON scalars and lists are YAML."""
    lines = []
    for section, keys in sections.items():
        lines.append("%s:" % section)
        lines += ["  %s: %s" % (k, json.dumps(v)) for k, v in keys.items()]
    return "\n".join(lines) + "\n"


class SqliteStore:
    kind = "sqlite"

    def __init__(self, directory):
        self.path = os.path.join(directory, "cassata.db")
        self.url = "sqlite:" + self.path
        Path(directory, "file").write_text("")
        give(directory)
        self.bad_place = directory + "/file"
        self.bad_url = "sqlite:%s/cassata.db" % self.bad_place

    def sql(self, statement):
        with contextlib.closing(sqlite3.connect(self.path, timeout=60)) as db, db:
            return db.execute(statement).fetchall()

    def script(self, text):
        """Statements without rows."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=60)) as db:
            db.executescript(text)

    @contextlib.contextmanager
    def locked(self):
        """Nobody else can write meanwhile."""
        with contextlib.closing(sqlite3.connect(
                self.path, timeout=60, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")

    def is_free(self):
        """Whether nobody keeps others from writing."""
        with contextlib.closing(sqlite3.connect(
                self.path, timeout=0.2, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            db.execute("ROLLBACK")
            return True

    def disconnect(self):
        """Ends all connections: there are none."""

    def set_version(self, version):
        self.sql("UPDATE meta SET value = %d WHERE name = 'schema_version'" %
                 version)


class MysqlServer:
    """A private MariaDB; tests/mariadb starts and stops it."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="cassata-mariadb-")
        self._n = 0
        self.url = self._start()

    def _start(self):
        with open(os.path.join(self.directory, "url"), "w+") as output:
            # Not a pipe: the server would keep it open.
            subprocess.run([str(TESTS / "mariadb"), "start", self.directory],
                           stdin=subprocess.DEVNULL, stdout=output,
                           timeout=PATIENCE * 120, check=True)
            output.seek(0)
            return output.read().strip()

    def new(self):
        self._n += 1
        return MysqlStore(self.url, "cassata_%d" % self._n)

    def pid(self):
        return int(Path(self.directory, "pid").read_text())

    @contextlib.contextmanager
    def away(self):
        """It comes back with the same tables, at the same port."""
        self._stop()
        try:
            yield
        finally:
            assert self._start() == self.url

    def restart(self):
        with self.away():
            pass

    def _stop(self):
        subprocess.run([str(TESTS / "mariadb"), "stop", self.directory],
                       timeout=PATIENCE * 60, check=True)

    def stop(self):
        self._stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class GaleraCluster:
    """Three nodes of a private cluster; contrib/galera/cluster runs them."""

    NODES = (1, 2, 3)
    SCRIPT = str(SOURCE / "contrib" / "galera" / "cluster")
    SUSPECT = "PT2S"  # a busy machine may pause

    @classmethod
    def missing(cls):
        """Why there can be none, or nothing."""
        return subprocess.run(
            [cls.SCRIPT, "check"], stderr=subprocess.PIPE,
            universal_newlines=True).stderr.strip()

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="cassata-galera-")
        self._numbers = itertools.count(1)
        try:
            self.do("start")
        except BaseException:
            self.stop()
            raise

    def do(self, verb, *words, seconds=120):
        """What the script prints."""
        with tempfile.TemporaryFile("w+") as output:
            # Not a pipe: the nodes would keep it open.
            subprocess.run(
                [self.SCRIPT, verb, self.directory, *map(str, words)],
                stdin=subprocess.DEVNULL, stdout=output,
                timeout=PATIENCE * seconds, check=True,
                env={"CASSATA_GALERA_SUSPECT": self.SUSPECT, **os.environ})
            output.seek(0)
            return output.read().strip()

    def new(self):
        """An empty database, as a store of each node; all_nodes is the URL of a
        host that goes on at the others."""
        name = "cassata_%d" % next(self._numbers)
        self.do("sql", 1, "CREATE DATABASE %s" % name)
        return [self._store(n, name) for n in self.NODES]

    def _store(self, node, name):
        store = MysqlStore(self.do("url", node), name)
        order = [(node - 1 + i) % len(self.NODES) + 1 for i in range(
            len(self.NODES))]
        store.all_nodes = self.do(
            "url", *order).rpartition("/")[0] + "/" + name
        return store

    def pid(self, node):
        return int(Path(self.directory, str(node), "pid").read_text())

    def stop(self):
        if os.path.exists(os.path.join(self.directory, "port")):
            self.do("stop")
        shutil.rmtree(self.directory, ignore_errors=True)


class MysqlStore:
    kind = "mysql"

    def __init__(self, server_url, name):
        parts = urlsplit(server_url)
        self._name = name
        self._client = [
            "mariadb", "--no-defaults", "--protocol=tcp", "--batch",
            "--skip-column-names", "--unbuffered", "--host", parts.hostname,
            "--port", str(parts.port), "--user", parts.username,
            "--password=" + unquote(parts.password)]
        self.url = server_url.rpartition("/")[0] + "/" + name
        self._refusing = closed_port()
        self.bad_place = "127.0.0.1:%d" % self._refusing.getsockname()[1]
        self.bad_url = "mysql://someone:secret@%s/cassata" % self.bad_place

    def sql(self, statement, database=True):
        name = [self._name] if database else []
        out = subprocess.run(
            self._client + ["--execute", statement] + name, timeout=100,
            stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
        return [tuple(line.split("\t")) for line in out.splitlines()]

    @contextlib.contextmanager
    def locked(self):
        with subprocess.Popen(
                self._client, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                universal_newlines=True) as client_process:
            client_process.stdin.write(
                "FLUSH TABLES WITH READ LOCK;\nSELECT 1;\n")
            client_process.stdin.flush()
            assert client_process.stdout.readline() == "1\n"
            yield
            client_process.stdin.close()

    @contextlib.contextmanager
    def events_locked(self):
        """Nobody else can change an event that is there meanwhile."""
        with subprocess.Popen(
                self._client + [self._name], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                universal_newlines=True) as client_process:
            client_process.stdin.write(
                "BEGIN; SELECT COUNT(*) FROM event FOR UPDATE;\n")
            client_process.stdin.flush()
            assert client_process.stdout.readline()
            yield
            client_process.stdin.close()

    def is_free(self):
        """Whether nobody keeps others from the leases."""
        return subprocess.run(
            self._client + ["--execute", "SELECT shard FROM lease"
                            " FOR UPDATE NOWAIT", self._name], timeout=30,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode == 0

    def disconnect(self):
        """Ends all connections; new ones may be there when it returns."""
        query = "SELECT id FROM information_schema.processlist " \
            "WHERE db = '%s'" % self._name
        ended = set(self.sql(query, False))
        for pid, in ended:
            self.sql("KILL %s" % pid, False)
        wait_for(lambda: not ended & set(self.sql(query, False)))

    def set_version(self, version):
        self.sql("INSERT INTO meta (version) VALUES (%d)" % version)


class Cassata:
    """One master with its children. Sections of the configuration are keyword
    arguments; a master with the same directory of another can follow it."""

    def __init__(self, builddir, store, roles=None, state_dir=None, flags=(),
                 **sections):
        self.builddir = Path(builddir)
        self.store = store
        self.roles = roles
        self.flags = flags  # more words of its command line
        self.tag = "CASSATA_TEST=" + uuid.uuid4().hex
        # Short, since the path of a Unix socket may have 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="cassata-"))
        self.state_dir = Path(state_dir or self.directory / "state")
        self.state_dir.mkdir(exist_ok=True)
        # Not in the way of the children; the configuration is not theirs.
        self.directory.chmod(0o711)
        self.logs = self.directory / "logs"
        self.logs.mkdir()
        give(self.logs)
        self.config_file = self.directory / "cassata.yaml"
        self.output = self.directory / "output"
        self.log = self.logs / "log"
        self.sections = {
            "service": {"port": 0, "createTablesIfNotExists": True},
            # What a test holds up is not to end by itself.
            "worker": {"numWorkerThreads": 2, "deliveryTimeout": "10m"},
            "datastore": {"url": store.url},
            "log": {"destination": str(self.log), "level": "debug"},
            "master": {"startTimeout": "2m"},
        }
        self.process = None
        self.pid = None
        self.configure(**sections)

    # ---- configuration ----

    def configure(self, **sections):
        """Changes keys and writes the file."""
        for name, keys in sections.items():
            self.sections.setdefault(name, {}).update(keys)
        self.config_file.write_text(yaml_of(self.sections))

    @property
    def options(self):
        return ["-c", str(self.config_file), "-d", str(self.state_dir)]

    def environment(self, **more):
        name, value = self.tag.split("=")
        reports = "log_path=%s:" % (self.logs / "sanitizer")
        env = dict(os.environ)
        env.pop("NOTIFY_SOCKET", None)
        env.pop("CASSATA_HOME", None)
        env.update({
            name: value,
            "ASAN_OPTIONS": reports + "detect_leaks=1",
            "UBSAN_OPTIONS": reports + "print_stacktrace=1",
        })
        env.update(more)
        return env

    # ---- life ----

    def command(self, *extra):
        roles = ["--role", self.roles] if self.roles else []
        return [str(self.builddir / "cassatad"), "--foreground",
                *self.options, *roles, *self.flags, *extra]

    def spawn(self, prefix=(), env=None, pass_fds=()):
        """Starts the daemon; start also waits until it is ready."""
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                [*prefix, *self.command()], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, pass_fds=pass_fds,
                env=self.environment(**(env or {})))
        self.pid = self.process.pid
        return self

    def start(self, **kwargs):
        self.spawn(**kwargs)
        self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        def ready():
            if self.process and self.process.poll() is not None:
                raise AssertionError("cassatad ended with %d: %s" % (
                    self.process.returncode, self.log_text()))
            status = self.status()
            return status and status["state"] == "ready"
        wait_for(ready, seconds, "readiness")

    def copy_programs(self):
        """To where everybody may execute them."""
        programs = self.directory / "bin"
        if programs.exists():
            return
        programs.mkdir()
        for name in "cassatad", "cassatactl":
            shutil.copy(str(self.builddir / name), str(programs))
        os.chmod(str(programs), 0o755)
        self.builddir = programs

    def preload(self, library):
        """The environment in which the daemon loads a library first. A
        sanitizer's runtime must come before that."""
        for line in self.run(
                "ldd", str(self.builddir / "cassatad")).stdout.split("\n"):
            if "libasan" in line:
                library = line.split()[2] + ":" + library
        return {"LD_PRELOAD": library}

    def build_preload(self, name):
        """The library of tests/system/preload/NAME.c, for preload."""
        library = str(self.directory / (name + ".so"))
        subprocess.run(
            [os.environ.get("CC", "cc"), "-O1", "-Wall", "-Werror", "-shared",
             "-fPIC", "-o", library,
             str(TESTS / "system" / "preload" / (name + ".c")), "-ldl"],
            check=True)
        return library

    def hold_clocks(self):
        """The environment in which set_clock moves the daemon's wall clock."""
        self._clocks = self.directory / "clocks"
        self._clocks.write_bytes(bytes(24))
        return {"HELD_CLOCKS": str(self._clocks),
                **self.preload(self.build_preload("clock"))}

    def set_clock(self, seconds):
        """So far ahead of what it is."""
        with open(self._clocks, "r+b") as f:
            f.write(struct.pack("qqq", 0, 0, -seconds * 10**9))

    def run(self, *words, **kwargs):
        """Runs a command; output and exit code."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("env", self.environment())
        return subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True, timeout=100, **kwargs)

    def ctl(self, *words, **kwargs):
        """Runs cassatactl with the options for this state directory."""
        return self.run(str(self.builddir / "cassatactl"), *self.options,
                        *words, **kwargs)

    def send(self, number):
        os.kill(self.pid or self.status()["pid"], number)

    def stop(self, seconds=30, number=signal.SIGTERM):
        """A clean end: exit code 0, and nothing left of it."""
        if self.process:
            if self.process.poll() is None:
                self.send(number)
            code = self.process.wait(PATIENCE * seconds)
            self.process = None
            assert code == 0, "exit code %d: %s" % (
                code, self.log_text()[-4000:])
            assert not self.processes(), "left: %s" % self.processes()
        elif self.status():  # cassatactl started it
            os.kill(self.status()["pid"], number)
            wait_for(lambda: not self.processes(), seconds, "its end")
        self.assert_sane()

    def kill(self):
        """kill -9 of the master alone."""
        self.process.kill()
        self.process.wait(60)
        self.process = None

    def abandon(self):
        """kill -9 of all at once: none sees the end of another. One that ends
        has no environment any more, and still its descriptors."""
        killed = set()
        for number in signal.SIGSTOP, signal.SIGKILL:
            for pid in self.processes():
                killed.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if self.process:
            self.process.wait(60)
        self.process = self.pid = None
        wait_for(lambda: all(is_gone(pid) for pid in killed),
                 what="their end")

    def end(self):
        """For a test's end: whatever runs goes, by force if need be."""
        try:
            self.stop()
            wait_for(lambda: not self.processes(), 10, "their end")
        finally:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def processes(self):
        """Every living process that this object's commands led to."""
        found = []
        tag = self.tag.encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open("/proc/%s/environ" % entry, "rb") as f:
                    if tag in f.read().split(b"\0"):
                        found.append(int(entry))
            except OSError:
                pass
        return found

    def assert_sane(self):
        reports = [read_text(p) for p in self.logs.glob("sanitizer*")]
        assert not reports, "\n".join(reports)
        for word in ("Sanitizer", "runtime error:", "Assertion "):
            assert word not in self.log_text()

    def log_text(self):
        """In the foreground the log goes to stderr, else to the file."""
        return read_text(self.output) + read_text(self.log)

    # ---- the control socket ----

    @property
    def control_path(self):
        """Where the socket will be."""
        program = "cassatad" + ("-" + self.roles if self.roles else "")
        return self.state_dir / (program + ".sock")

    def _control_socket(self):
        try:
            entries = sorted(self.state_dir.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return None
        for path in entries:
            try:
                if stat.S_ISSOCK(path.stat().st_mode):
                    return str(path)
            except FileNotFoundError:
                pass
        return None

    def control(self, word, seconds=60):
        """The answer to a control word, or None when nobody listens."""
        path = self._control_socket()
        if path is None:
            return None
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(seconds)
            try:
                sock.connect(path)
                sock.sendall(word.encode() + b"\n")
                answer = b""
                while True:
                    data = sock.recv(65536)
                    if not data:
                        return answer.decode()
                    answer += data
            except (ConnectionError, FileNotFoundError):
                return None

    def status(self):
        answer = self.control("status")
        return json.loads(answer) if answer else None

    def children(self, role, state="ready"):
        status = self.status() or {"children": []}
        return [c for c in status["children"]
                if c["role"] == role and c["state"] == state]

    def reload(self):
        """The answer of the master: "ok\\n", or error lines."""
        return self.control("reload")

    @property
    def port(self):
        return int(self.status()["listening"][0].rpartition(":")[2])

    # ---- the HTTP API ----

    def request(self, *args, **kwargs):
        return client.request(self.port, *args, **kwargs)

    def get(self, path):
        return self.request("GET", path)

    def post(self, body):
        """Adds what is given: bytes as they are, else as JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.request("POST", "/cassata/add/", body)

    def event(self, event_id, app="app"):
        """The event document."""
        def answer():
            response = self.get(client.path_of("event", app, event_id))
            return response if response.status != 503 else None
        # A service process may have yet to find the datastore again.
        response = wait_for(answer)
        assert response.status == 200, response
        return response.json()

    def state(self, event_id, app="app"):
        response = self.get(client.path_of("status", app, event_id))
        return response.json()["status"] if response.status == 200 else None

    def wait_state(self, event_id, *states, app="app", seconds=20):
        """The event document once its state is one of these."""
        wait_for(lambda: self.state(event_id, app) in states, seconds,
                 "%s is %s" % (event_id, " or ".join(states)))
        return self.event(event_id, app)

    def delete(self, event_id, app="app", method="DELETE"):
        return self.request(method, client.path_of("delete", app, event_id))

    def schedule(self, event_id, url, expiry=None, app="app", is_busy=False,
                 **members):
        """Adds an event, due now unless told, and expects 201. is_busy: where
        time-outs are short it may be told to come again, and does."""
        event = {"event-id": event_id, "application-id": app, "event": {},
                 "expiry": time.time() if expiry is None else expiry,
                 "url": url}
        event.update({k.replace("_", "-"): v for k, v in members.items()})
        response = self.post(event)
        while is_busy and response.status == 503:
            response = self.post(event)
        assert response.status == 201 or (
            is_busy and response.status == 200), response
        return response
