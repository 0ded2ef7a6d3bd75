# SPDX-License-Identifier: ISC
"""What a measurement needs: datastores, daemons, the yardsticks, cassata-bench.
Everything lives below one temporary directory, and whatever was started is
stopped when its "with" ends."""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

SOURCE = Path(__file__).resolve().parent.parent
PAYLOAD = 300       # bytes of an event
FAR = 86400         # seconds: due long after the measurement
SPREAD = 30 * 86400  # over which pending events are due


class Failure(Exception):
    """A measurement could not be made."""


def free_port():
    """Below the ports that the system gives to outgoing connections."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise Failure("no free port")


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def pss_kib(pid):
    """A process's memory, its share of what others hold as well."""
    text = Path("/proc/%d/smaps_rollup" % pid).read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


def anonymous_kib(pid):
    """A process's heap, stacks and whatever else it has written, swapped out or
    not; what it shares since the fork is divided. No other program's use of the
    same libraries changes it."""
    text = Path("/proc/%d/smaps_rollup" % pid).read_text()
    parts = dict(re.findall(r"^(Pss_Anon|SwapPss):\s+(\d+)", text, re.M))
    if "Pss_Anon" not in parts:
        raise Failure("Linux 5.4 is needed for the memory of a process")
    return sum(map(int, parts.values()))


def tree_bytes(path, pattern="*"):
    """The files below a directory; one that goes meanwhile is nothing."""
    total = 0
    for file in Path(path).rglob(pattern):
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def build_directory():
    """Where the programs are: CASSATA_BUILD, else the present directory, else
    the source tree or its directory build."""
    given = os.environ.get("CASSATA_BUILD")
    for place in [given] if given else [".", SOURCE, SOURCE / "build"]:
        if (Path(place) / "cassatad").exists():
            return place
    raise Failure("no cassatad: set CASSATA_BUILD")


def parse_arguments(description, *options):
    """The command line: datastores, all unless some are named, and options as
    (name, type, default, help)."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datastore", nargs="*", help="of: " + " ".join(STORES))
    for name, kind, default, text in options:
        parser.add_argument("--" + name, type=kind, default=default, help=text)
    arguments = parser.parse_args()
    arguments.datastore = arguments.datastore or list(STORES)
    if not set(arguments.datastore) <= set(STORES):
        parser.error("datastores are: " + " ".join(STORES))
    return arguments


class Lab:
    """Runs programs and keeps what they said in self.raw. What the datastores
    hold is kept below a directory, if one is given."""

    def __init__(self, build, sizes, keep=None):
        self.build = Path(build).resolve()
        self._keep = keep and Path(keep).resolve()
        self.sizes = sizes
        self.raw = []
        self.directory = None
        self._n = 0

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="cassata-run-"))
        # The database server may run under an account of its own.
        self.directory.chmod(0o711)
        return self

    def __exit__(self, *exception):
        shutil.rmtree(self.directory, ignore_errors=True)

    def new_directory(self, name):
        self._n += 1
        path = self.directory / ("%s-%d" % (name, self._n))
        path.mkdir()
        return path

    def store_directory(self, name):
        """Of a datastore: a new one, or what was kept of an earlier run."""
        if self._keep is None:
            return self.new_directory(name)
        path = self._keep / name
        path.mkdir(parents=True, exist_ok=True)
        self._keep.chmod(0o711)
        return path

    def leave_directory(self, path):
        if self._keep is None:
            shutil.rmtree(path, ignore_errors=True)

    def program(self, name):
        return str(self.build / name)

    # ---- programs ----

    def run(self, *command, seconds=60):
        """Standard output of a command that must end with 0 or 1."""
        words = [str(word) for word in command]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, universal_newlines=True,
                timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise Failure("not done in %g s: %s" % (seconds, " ".join(words)))
        if done.returncode not in (0, 1) or (
                done.returncode == 1 and not done.stdout.strip()):
            raise Failure("%s: exit %d: %s" % (
                " ".join(words), done.returncode, done.stderr.strip()[-2000:]))
        return done.stdout

    def figures(self, *command, seconds=60, note=""):
        """The JSON object that a command prints."""
        output = self.run(*command, seconds=seconds)
        try:
            value = json.loads(output)
        except ValueError:
            raise Failure("%s: no JSON: %s" % (command[0], output[-2000:]))
        self.raw.append({
            "command": self.shown(command) + note, "output": value})
        return value

    def shown(self, command):
        """A command line as a reader may repeat it: without the places."""
        text = " ".join(str(word) for word in command)
        for place in self.build, SOURCE, Path(find(command[0])).parent:
            text = text.replace("%s/" % place, "")
        text = re.sub(r"-[cd] %s\S* " % self.directory, "", text)
        text = re.sub(r" --(url http://|pid )\S+", "", text)
        text = re.sub(r"(sqlite:|mysql://)\S+", "DATASTORE", text)
        return re.sub(r"http://127\.0\.0\.1:\d+", "URL", text)

    @contextlib.contextmanager
    def running(self, *command, port):
        """A server, from when its port answers until the end of the with."""
        log = self.new_directory("server") / "log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output)
        try:
            wait_for_port(port, process, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # ---- yardsticks ----

    @contextlib.contextmanager
    def nginx(self):
        """The URL of a server that answers 200 to everything."""
        directory = self.new_directory("nginx")
        port = free_port()
        text = (SOURCE / "bench/nginx.conf.in").read_text()
        for key, value in (("DIR", directory), ("PORT", port), ("WORKERS", 1)):
            text = text.replace("@%s@" % key, str(value))
        (directory / "nginx.conf").write_text(text)
        command = [find("nginx"), "-c", directory / "nginx.conf",
                   "-e", directory / "nginx.log"]
        with self.running(*command, port=port):
            yield "http://127.0.0.1:%d" % port

    def wrk(self, url, connections=64):
        """Adds per second that wrk posts to the URL."""
        seconds = self.sizes.seconds
        command = [
            find("wrk"), "-t1", "-c%d" % connections, "-d%ds" % seconds,
            "-s", SOURCE / "bench/add.lua", url + "/cassata/add/", "--",
            PAYLOAD, FAR]
        output = self.run(*command, seconds=seconds + 60)
        for line in output.splitlines():
            if line.startswith("Requests/sec:"):
                per_s = float(line.split()[1])
                self.raw.append({"command": self.shown(command),
                                 "output": {"per_s": per_s}})
                return per_s
        raise Failure("wrk: no rate: " + output[-2000:])

    def libcurl(self, url, count):
        """Requests per second of libcurl alone."""
        out = self.figures(
            self.program("bench/libcurl_client"), "--handles", 256,
            "--payload", PAYLOAD, "--count", count, url,
            seconds=count / 500 + 60)
        if out["failed"] > 0:
            raise Failure("libcurl_client: %d requests failed" % out["failed"])
        return out["per_s"]

    def insert(self, database, rows, connections):
        """A plain loop of inserts: rows per second, times of a commit."""
        return self.figures(
            self.program("bench/insert"), "--rows", rows, "--connections",
            connections, "--payload", PAYLOAD, "--seconds",
            self.sizes.seconds, database.url, seconds=self.sizes.seconds + 60)

    # ---- cassata-bench ----

    @contextlib.contextmanager
    def sink(self, **options):
        """The URL of the sink of cassata-bench, alone."""
        port = free_port()
        with self.running(self.program("cassata-bench"), "sink",
                          *words_of(sink_port=port, **options), port=port):
            yield "http://127.0.0.1:%d" % port

    def bench(self, mode, daemon=None, **options):
        """The figures of cassata-bench."""
        seconds = (options.get("duration", 0) +
                   options.get("count", 0) / 500 + 120)
        # A directory without a daemon: nothing but the URL is asked.
        words, note = ["-d", self.directory, mode], ""
        if daemon:
            note = daemon.note
            words = [*daemon.options, mode, "--url", daemon.url]
            for pid in daemon.database.pids():
                words += ["--pid", pid]
        return self.figures(self.program("cassata-bench"), *words,
                            *words_of(payload=PAYLOAD, **options), "--json",
                            seconds=seconds, note=note)


def words_of(**options):
    """sink_delay=50 is --sink-delay 50."""
    words = []
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), value]
    return words


def find(program):
    path = shutil.which(
        program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Failure(program + " is not installed")
    return path


def wait_for_port(port, process, log):
    deadline = time.monotonic() + 15
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failure("%s does not answer: %s" % (
                process.args[0], log.read_text(errors="replace")[-2000:]))
        time.sleep(0.02)


def give_to_children(path):
    """To the user that root's daemon runs its children as."""
    if os.geteuid() != 0:
        return
    for name in "cassata", "nobody":
        with contextlib.suppress(LookupError):
            shutil.chown(path, name)
            return


# ---- datastores ----

class Database:
    """A database with the tables of cassata and a known number of rows."""

    def __init__(self, store, name, place, url):
        self.store = store
        self.name = name
        self.url = url
        self.rows = {"pending": 0, "completed": 0}
        # Who is killed amid a fill leaves nothing that could be relied on.
        self._filled = Path("%s.filled" % place)

    def take_up(self):
        """What an earlier run has filled; None when there is none."""
        try:
            self.rows = json.loads(self._filled.read_text())
        except OSError:
            return None
        return self

    def pids(self):
        return self.store.pids()

    def fill(self, **wanted):
        """Adds rows until there are so many; no daemon may use it."""
        lab = self.store.lab
        self._filled.unlink(missing_ok=True)
        for kind, options in (
                ("pending", ["--due-from", FAR, "--due-spread", SPREAD]),
                ("completed", ["--completed", "--due-from", 1])):
            missing = wanted.get(kind, 0) - self.rows[kind]
            if missing <= 0:
                continue
            lab.figures(
                lab.program("bench/insert"), "--fill", missing, "--rows", 200,
                "--connections", 2, "--payload", PAYLOAD, *options, self.url,
                seconds=missing / 2000 + 60)
            self.rows[kind] += missing
            self.store.settle()
        self._filled.write_text(json.dumps(self.rows))


class Sqlite:
    name = "sqlite"

    def __init__(self, lab):
        self.lab = lab
        self._pending = None

    def __enter__(self):
        self._directory = self.lab.store_directory(self.name)
        give_to_children(self._directory)
        return self

    def __exit__(self, *exception):
        self.lab.leave_directory(self._directory)

    def create(self, name):
        """A database without events; one of that name goes."""
        for path in self._directory.glob(name + ".db*"):
            path.unlink()
        return with_tables(self, self.named(name))

    def named(self, name):
        return Database(self, name, self._directory / name,
                        "sqlite:%s/%s.db" % (self._directory, name))

    def filled(self, name):
        """As create, or one that was kept when it had been filled."""
        kept = self.named(name).take_up()
        return with_tables(self, kept) if kept else self.create(name)

    def pids(self):
        return []

    def sizes(self):
        """Bytes of files: of the log, and of all others."""
        log = tree_bytes(self._directory, "*.db-*")
        return {"database": tree_bytes(self._directory) - log, "log": log}

    def settle(self):
        """What was written is on the disk: later syncs wait for themselves."""
        os.sync()

    def warm(self, database):
        """The system's cache has what was read of the file of late."""

    def statements(self):
        return None

    def version(self):
        return "SQLite " + sqlite3.sqlite_version


class Mariadb:
    name = "mariadb"
    _settings = "SET GLOBAL innodb_max_dirty_pages_pct = %d, " \
                "GLOBAL innodb_io_capacity_max = %d, " \
                "GLOBAL innodb_io_capacity = %d"

    def __init__(self, lab):
        self.lab = lab
        self._asked = 0

    def __enter__(self):
        pool = min(4 << 30, memory_bytes() // 4)
        self._directory = self.lab.store_directory(self.name)
        environment = dict(os.environ, CASSATA_MARIADB_OPTIONS=(
            "--innodb-buffer-pool-size=%d --innodb-log-file-size=1G" % pool))
        # Not a pipe: the server would keep it open.
        with open(self._directory / "url", "w+") as output:
            done = subprocess.run(
                [SOURCE / "tests/mariadb", "start", self._directory],
                stdin=subprocess.DEVNULL, stdout=output, timeout=120,
                check=False, env=environment)
            output.seek(0)
            self._url = output.read().strip()
        if done.returncode != 0:
            raise Failure("no MariaDB server")
        parts = urlsplit(self._url)
        self._client = [
            find("mariadb"), "--no-defaults", "--protocol=tcp", "--batch",
            "--skip-column-names", "--host", parts.hostname, "--port",
            parts.port, "--user", parts.username,
            "--password=" + unquote(parts.password), "--execute"]
        first = self.status("Questions")
        self._own = self.status("Questions") - first
        return self

    def __exit__(self, *exception):
        subprocess.run([SOURCE / "tests/mariadb", "stop", self._directory],
                       timeout=120, check=True)
        self.lab.leave_directory(self._directory)

    def sql(self, statement):
        output = self.lab.run(*self._client, statement, seconds=300)
        return [line.split("\t") for line in output.splitlines()]

    def status(self, name):
        """A counter of the server."""
        return int(self.sql("SHOW GLOBAL STATUS LIKE '%s'" % name)[0][1])

    def create(self, name):
        self.sql("DROP DATABASE IF EXISTS cassata_%s" % name)
        return with_tables(self, self.named(name))

    def named(self, name):
        return Database(self, name, self._directory / name,
                        "%s_%s" % (self._url, name))

    def filled(self, name):
        """As create, or one that was kept when it had been filled."""
        kept = self.named(name).take_up()
        return with_tables(self, kept) if kept else self.create(name)

    def pids(self):
        return [(self._directory / "pid").read_text().strip()]

    def sizes(self):
        log = tree_bytes(self._directory / "data", "ib_logfile*")
        return {"database": tree_bytes(self._directory / "data") - log,
                "log": log}

    def settle(self):
        """Dirty pages of a fill are not the business of what follows."""
        self.sql(self._settings % (0, 20000, 20000))
        deadline = time.monotonic() + 120
        while (self.status("Innodb_buffer_pool_pages_dirty") > 500 and
               time.monotonic() < deadline):
            time.sleep(0.2)
        self.sql(self._settings % (90, 2000, 200))
        os.sync()

    def warm(self, database):
        """Reads its indexes, which a server that was just started must fetch
        from the disk when an add comes."""
        schema = "cassata_" + database.name
        for index, in self.sql(
                "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS"
                " WHERE TABLE_SCHEMA = '%s' AND TABLE_NAME = 'event'"
                " AND INDEX_NAME <> 'PRIMARY'" % schema):
            self.sql("SELECT COUNT(*) FROM %s.event FORCE INDEX (%s)" % (
                schema, index))

    def statements(self):
        """How many were executed, without those of this question: only the
        difference between two answers means something."""
        self._asked += 1
        return self.status("Questions") - self._asked * self._own

    def version(self):
        return "MariaDB " + self.sql("SELECT VERSION()")[0][0]


STORES = {"sqlite": Sqlite, "mariadb": Mariadb}


def with_tables(store, database):
    daemon = Daemon(store.lab, database)
    daemon.ctl("init-db")
    return database


# ---- daemons ----

class Daemon:
    """cassatad with its defaults, but for the sections that are given."""

    def __init__(self, lab, database, role=None, **sections):
        self._lab = lab
        self._role = [role] if role else []
        self.database = database
        self.directory = lab.new_directory("daemon")
        self.sections = {"datastore": {"url": database.url}}
        self.port = free_port()
        self.start_ms = None
        # What differs from the defaults.
        self.note = "".join(
            "  # %s.%s: %s" % (section, key, value)
            for section, keys in sections.items()
            for key, value in keys.items())
        self.options = ["-c", self.directory / "cassata.yaml",
                        "-d", self.directory]
        self.configure(service={"port": self.port})
        self.configure(**sections)

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def configure(self, **sections):
        for name, keys in sections.items():
            self.sections.setdefault(name, {}).update(keys)
        # JSON is YAML.
        (self.directory / "cassata.yaml").write_text(
            json.dumps(self.sections))

    def ctl(self, *words):
        """Runs cassatactl; the milliseconds that it took."""
        start = time.monotonic()
        self._ctl(*words)
        return (time.monotonic() - start) * 1000

    def _ctl(self, *words):
        done = subprocess.run(
            [self._lab.program("cassatactl"), *self.options, *words,
             *self._role], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, universal_newlines=True, timeout=90,
            check=False)
        if done.returncode != 0:
            raise Failure("cassatactl %s: %s" % (
                " ".join(words), done.stderr.strip()))
        return done.stdout

    def status(self):
        return json.loads(self._ctl("status", "--json"))

    def wait_for_shards(self, n):
        """Until its workers hold that many: leases change hands in turns."""
        deadline = time.monotonic() + 60
        while True:
            if self.status()["metrics"]["cassata_shards_held"] >= n:
                return
            if time.monotonic() > deadline:
                raise Failure("the second master got no %d shards" % n)
            time.sleep(0.2)

    def __enter__(self):
        try:
            self.start_ms = self.ctl("start")
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *exception):
        try:
            self.ctl("stop")
        finally:
            self._kill()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _kill(self):
        """For one that did not stop: its children end with it."""
        for path in self.directory.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(path.read_text()), signal.SIGKILL)


def machine():
    """What the figures depend on."""
    model = "unknown"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cpus": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory_bytes() / (1 << 30), 1),
            "kernel": os.uname().release,
            "python": sys.version.split()[0]}
