# SPDX-License-Identifier: ISC
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import cassata
import contract
from sink import Sink

TEST_SECONDS = 300
LOG_TAIL = 6000
NUMBERS = itertools.count(1)
# Marks a test of what no datastore takes part in: one kind is enough.
ANY_STORE = pytest.mark.parametrize("new_store", ["sqlite"], indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for c in getattr(item, "daemons", []):
            report.sections.append(("daemon log", c.log_text()[-LOG_TAIL:]))


@pytest.fixture(autouse=True)
def time_limit():
    """A test that hangs fails, and its daemon is still cleaned up."""
    def expired(*_):
        raise TimeoutError("the test took more than %d s" % TEST_SECONDS)
    previous = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session")
def builddir():
    """CASSATA_BUILD, or where the programs are found."""
    given = os.environ.get("CASSATA_BUILD")
    places = [Path(given)] if given else [
        Path.cwd(), cassata.SOURCE, cassata.SOURCE / "build"]
    for place in places:
        if (place / "cassatad").exists():
            contract.hold(place / "openapi.json")
            return place.resolve()
    pytest.exit("no cassatad: set CASSATA_BUILD", 4)


@pytest.fixture(scope="session")
def mysql_server():
    server = cassata.MysqlServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def new_sqlite():
    """Makes an empty SQLite datastore, where the children may write."""
    root = tempfile.mkdtemp(prefix="cassata-sqlite-")
    os.chmod(root, 0o711)

    def new():
        directory = os.path.join(root, str(next(NUMBERS)))
        os.mkdir(directory)
        return cassata.SqliteStore(directory)
    yield new
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster():
    """Three nodes, for the tests that need them."""
    missing = cassata.GaleraCluster.missing()
    if missing:
        pytest.skip(missing)
    nodes = cassata.GaleraCluster()
    yield nodes
    nodes.stop()


@pytest.fixture(scope="session", params=["sqlite", "mysql"])
def new_store(request):
    """Makes an empty datastore; every test that starts a daemon runs on each
    kind."""
    if request.param == "mysql":
        return request.getfixturevalue("mysql_server").new
    return request.getfixturevalue("new_sqlite")


@pytest.fixture
def store(new_store):
    return new_store()


@pytest.fixture
def prepare(request, builddir, store):
    """Makes Cassata objects that are cleaned up, and checked, at the end."""
    request.node.daemons = daemons = []

    def make(**kwargs):
        kwargs.setdefault("store", store)
        c = cassata.Cassata(builddir, **kwargs)
        daemons.append(c)
        return c
    yield make
    try:
        errors = []
        for c in daemons:
            try:
                c.end()
            except Exception as e:  # the others must go too
                errors.append(e)
        if errors:
            raise errors[0]
    finally:
        for c in daemons:
            c.remove()


@pytest.fixture
def launch(prepare):
    """Starts a daemon of the test's own."""
    def start(**kwargs):
        return prepare(**kwargs).start()
    return start


@pytest.fixture(scope="module")
def shared_daemon(builddir, new_store):
    c = cassata.Cassata(builddir, new_store(), worker={
        "httpRetryCount": 2, "retryDelays": ["100ms"]})
    try:
        c.start()
        yield c
    finally:
        c.end()
        c.remove()


@pytest.fixture
def daemon(request, shared_daemon):
    """A daemon that the tests of a file share, each with ids of its own."""
    request.node.daemons = [shared_daemon]
    return shared_daemon


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


@pytest.fixture
def name(request):
    """An event id, also fit for a path, that no other test uses."""
    return "%s-%d" % (re.sub("[^A-Za-z0-9_]+", "-", request.node.name),
                      next(NUMBERS))


@pytest.fixture(scope="session")
def certificate():
    """The path of a key and a self-signed certificate for 127.0.0.1."""
    directory = tempfile.mkdtemp(prefix="cassata-tls-")
    os.chmod(directory, 0o711)
    path = os.path.join(directory, "both.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", path, "-out", path + ".crt"],
        check=True, stderr=subprocess.DEVNULL)
    with open(path, "a") as both, open(path + ".crt") as crt:
        both.write(crt.read())
    yield path
    shutil.rmtree(directory)
