# SPDX-License-Identifier: ISC
"""The server of a datastore: who it must be, and what it cannot do."""

import os
import shutil
import struct
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import cassata
import impostor
from cassata import wait_for
from client import path_of
from impostor import BLOB, Impostor, row, rows

PASSWORD = "s3cret-p4ssword"


def openssl(*args, **kwargs):
    return subprocess.run(["openssl", *args], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, **kwargs).stdout


class Authority:
    """Signs certificates; a key, its certificate and others are NAME.key and
    NAME.pem in the directory."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self._make("ca", "/CN=authority", "-x509")

    def path(self, name):
        return str(self.directory / name)

    def _make(self, name, subject, *args):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "2", "-subj", subject, "-keyout",
                self.path(name + ".key"), "-out", self.path(name + ".pem"),
                *args)

    def sign(self, name, alternative):
        self._make(name, "/CN=" + name)
        extensions = self.path(name + ".ext")
        Path(extensions).write_text("subjectAltName=%s\n" % alternative)
        os.rename(self.path(name + ".pem"), self.path(name + ".csr"))
        openssl("x509", "-req", "-days", "2", "-in", self.path(name + ".csr"),
                "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"),
                "-set_serial", "2", "-extfile", extensions,
                "-out", self.path(name + ".pem"))


@pytest.fixture(scope="module")
def directory():
    path = tempfile.mkdtemp(prefix="cassata-trust-")
    os.chmod(path, 0o755)  # for the server, which is another user
    yield Path(path)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def authority(directory):
    (directory / "ours").mkdir()
    ours = Authority(directory / "ours")
    ours.sign("server", "DNS:localhost, IP:127.0.0.1")
    ours.sign("other", "DNS:other.example")
    ours.sign("client", "DNS:client.example")
    for key in (directory / "ours").iterdir():
        key.chmod(0o644)
    return ours


@pytest.fixture(scope="module")
def stranger(directory):
    (directory / "theirs").mkdir()
    return Authority(directory / "theirs")


def serve_tls(authority, name):
    """A MariaDB with that certificate."""
    options = "CASSATA_MARIADB_OPTIONS"
    before = os.environ.get(options)
    os.environ[options] = "--ssl-ca=%s --ssl-cert=%s --ssl-key=%s" % (
        authority.path("ca.pem"), authority.path(name + ".pem"),
        authority.path(name + ".key"))
    try:
        return cassata.MysqlServer()
    finally:
        del os.environ[options]
        if before is not None:
            os.environ[options] = before


@pytest.fixture(scope="module")
def tls_server(authority):
    server = serve_tls(authority, "server")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def misnamed_server(authority):
    server = serve_tls(authority, "other")
    yield server
    server.stop()


class Place:
    """A datastore that no test looks into."""

    kind = "mysql"

    def __init__(self, url):
        self.url = url

    def disconnect(self):
        """There is nobody."""


def at_host(url, host):
    return url.replace("@127.0.0.1:", "@%s:" % host)


@pytest.fixture
def init_db(prepare):
    """What "cassatactl init-db" says of a datastore, and how it ends."""
    def run(url, **datastore):
        c = prepare(store=Place(url), datastore=datastore)
        done = c.ctl("init-db")
        return done.returncode, done.stdout + done.stderr
    return run


@pytest.fixture
def store():
    return Place("mysql://nobody@127.0.0.1:1/none")


# ---- TLS ----

def test_default_is_verify_for_another_machine(init_db, mysql_server):
    """A host is judged by how it is written. 127.1 is not written as a loopback
    address, and leads there all the same."""
    url = at_host(mysql_server.new().url, "127.1")
    status, said = init_db(url)
    assert status == 1
    assert "datastore.tls, which is verify unless set" in said
    status, said = init_db(url, tls="off")
    assert status == 0, said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_default_is_off_for_this_machine(init_db, mysql_server, host):
    status, said = init_db(at_host(mysql_server.new().url, host))
    assert status == 0, said


def test_verified(init_db, tls_server, authority, stranger):
    url = at_host(tls_server.new().url, "localhost")
    ours = authority.path("ca.pem")
    for tls, ca_file, works in (
            ("verify", ours, True), ("require", None, True), ("off", None, True),
            ("verify", stranger.path("ca.pem"), False), ("verify", None, False)):
        keys = {"tls": tls}
        if ca_file:
            keys["tlsCaFile"] = ca_file
        status, said = init_db(url, **keys)
        assert (status == 0) == works, (tls, ca_file, said)
        if not works:
            assert "datastore.tlsCaFile" in said
            assert "certificate" in said.lower()


def test_name_is_verified(init_db, misnamed_server, authority):
    url = at_host(misnamed_server.new().url, "localhost")
    status, said = init_db(
        url, tls="verify", tlsCaFile=authority.path("ca.pem"))
    assert status == 1
    assert "datastore.tls" in said
    status, said = init_db(url, tls="require")
    assert status == 0, said


def test_each_host_is_verified(
        init_db, misnamed_server, tls_server, authority):
    """Of several, who cannot be who it should be is passed over."""
    store = tls_server.new()
    login, _, rest = store.url.rpartition("@")
    name = rest.split("/")[1]
    bad, good = [
        server.url.rpartition("@")[2].split("/")[0].replace(
            "127.0.0.1", "localhost")
        for server in (misnamed_server, tls_server)]
    keys = {"tls": "verify", "tlsCaFile": authority.path("ca.pem")}
    status, said = init_db(
        "%s@%s,localhost:1/%s" % (login, bad, name), **keys)
    assert status == 1
    assert bad + ": " in said and "localhost:1: " in said
    assert "datastore.tls" in said
    status, said = init_db("%s@%s,%s/%s" % (login, bad, good, name), **keys)
    assert status == 0, said
    assert store.sql("SELECT COUNT(*) FROM event") == [("0",)]


@pytest.mark.parametrize("tls", ["require", "verify"])
def test_server_without_tls(init_db, tls):
    """It may speak TLS to others: the flag is not protected."""
    with Impostor() as server:
        status, said = init_db(
            "mysql://someone:%s@localhost:%d/cassata" % (PASSWORD, server.port),
            tls=tls)
    assert status == 1
    assert "TLS" in said and "datastore.tls" in said
    assert not any(b"SELECT" in packet for packet in server.said)


@pytest.mark.parametrize("keys, reason", [
    ({"tlsCaFile": "ca.pem"}, "tlsCaFile is for datastore.tls: verify"),
    ({"tls": "require", "tlsCaFile": "ca.pem"},
     "tlsCaFile is for datastore.tls: verify"),
    ({"tlsCertificate": "c.pem", "tlsKey": "c.key"},
     "tlsCertificate is for datastore.tls"),
    ({"tls": "verify", "tlsKey": "c.key"}, "need each other"),
    ({"tls": "verify", "tlsCaFile": "/missing.pem"},
     "/missing.pem: No such file"),
])
def test_contradictions(init_db, keys, reason):
    status, said = init_db("mysql://someone@127.0.0.1:1/cassata", **keys)
    assert status == 1
    assert reason in said


def test_no_tls_on_a_socket(init_db):
    status, said = init_db("mysql://someone@/cassata?socket=/none", tls="verify")
    assert status == 1
    assert "Unix socket" in said


def test_daemon_with_a_certificate_of_its_own(
        launch, prepare, tls_server, authority, sink, name):
    """Every child can read what it needs, in the sandbox, too."""
    store = tls_server.new()
    subprocess.run(
        ["mariadb", "--no-defaults", "--user=root", "--socket",
         os.path.join(tls_server.directory, "socket"), "--execute",
         "GRANT ALL ON *.* TO 'certified'@'127.0.0.1' IDENTIFIED BY '%s'"
         " REQUIRE X509" % PASSWORD], check=True, timeout=30)
    head, _, rest = at_host(store.url, "localhost").partition("//")
    store.url = "%s//certified:%s@%s" % (
        head, PASSWORD, rest.rpartition("@")[2])
    keys = {"url": store.url, "tls": "verify", "connectTimeout": "30s",
            "tlsCaFile": authority.path("ca.pem")}
    refused = prepare(store=store, datastore=keys).ctl("init-db")
    assert refused.returncode == 1
    c = launch(store=store, datastore=dict(
        keys, tlsCertificate=authority.path("client.pem"),
        tlsKey=authority.path("client.key")))
    c.schedule(name, sink.url("/" + name))
    c.wait_state(name, "COMPLETED")


def test_server_takes_its_time(launch, tls_server, authority, sink, name):
    """An answer that comes late has come: nobody gives the connection up."""
    store = tls_server.new()
    c = launch(store=store, worker={"lease": "60s"}, datastore={
        "url": at_host(store.url, "localhost"), "tls": "verify",
        "connectTimeout": "30s", "timeout": "60s",
        "tlsCaFile": authority.path("ca.pem")})
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE " \
        "state LIKE 'Waiting for %%lock%%' AND time_ms > 500 AND " \
        "info LIKE '%%INTO event%%' AND db = '%s'" % \
        store.url.rpartition("/")[2]
    with ThreadPoolExecutor(1) as executor:
        with store.locked():
            added = executor.submit(c.schedule, name, sink.url("/" + name))
            wait_for(lambda: store.sql(waiting) == [("1",)], 30, "an add")
        added.result(100)
    c.wait_state(name, "COMPLETED")
    assert "datastore is away" not in c.log_text()


# ---- who asks for the password ----

@pytest.fixture(scope="module")
def rsa_key(directory):
    """With which a server can decrypt what it is sent."""
    path = str(directory / "rsa.pem")
    openssl("genrsa", "-out", path, "2048")
    return path


def learnt(server, rsa_key):
    """Whether the impostor knows the password now."""
    def clear(packet):
        yield packet
        if len(packet) == 256:
            decrypted = openssl(
                "pkeyutl", "-decrypt", "-inkey", rsa_key, "-pkeyopt",
                "rsa_padding_mode:oaep", input=packet)
            yield bytes(a ^ impostor.SALT[i % 20]
                        for i, a in enumerate(decrypted))
    return any(PASSWORD.encode() in form
               for packet in server.said for form in clear(packet))


ASKS = {
    "mysql_clear_password": [],
    "dialog": [b"\4Password: "],
    "mysql_old_password": [],
    "sha256_password": ["key"],
    "caching_sha2_password": [b"\1\4", "key"],
}


@pytest.mark.parametrize("when", ["greeting", "later"])
@pytest.mark.parametrize("plugin", sorted(ASKS))
@pytest.mark.parametrize("tls", ["off", "default"])
def test_password_is_not_shown(init_db, rsa_key, plugin, when, tls):
    public = b"\1" + openssl("rsa", "-in", rsa_key, "-pubout")
    packets = [public if p == "key" else p for p in ASKS[plugin]]
    first = plugin.encode() if when == "greeting" else impostor.NATIVE
    with Impostor((), first, [(plugin.encode(), packets)]) as server:
        status, said = init_db(
            "mysql://someone:%s@127.0.0.1:%d/cassata" % (PASSWORD, server.port),
            **({} if tls == "default" else {"tls": tls}))
    assert not learnt(server, rsa_key)
    assert status == 1
    assert "would show it the password" in said
    assert "datastore.tls" in said
    # After it was asked the client says nothing more.
    assert len(server.said) == 1


def test_server_that_begins_with_another_plugin(init_db):
    """As MySQL 8 does, whatever the user has."""
    with Impostor((), b"caching_sha2_password",
                  [(impostor.NATIVE, [])]) as server:
        init_db("mysql://someone:%s@127.0.0.1:%d/cassata" % (
            PASSWORD, server.port))
    assert any(b"SET SESSION" in packet for packet in server.said)


@pytest.mark.parametrize("statement", ["SET SESSION", "SELECT"])
def test_no_file_is_sent(init_db, directory, statement):
    """A server may answer any statement by asking for a file."""
    path = directory / "file"
    path.write_text("private")
    path.chmod(0o644)
    with Impostor([(statement, lambda _: [
            b"\xfb" + str(path).encode()])]) as server:
        status, _ = init_db("mysql://someone:%s@127.0.0.1:%d/cassata" % (
            PASSWORD, server.port))
    assert status == 1
    assert any(statement.encode() in packet for packet in server.said)
    assert not any(b"private" in packet for packet in server.said)


# ---- what it says ----

VERSION = max(int(path.name[:3])
              for path in (cassata.SOURCE / "sql" / "mysql").glob("*.sql"))


def number(value):
    return lambda kinds: rows(kinds, row(value))


def event_row(kinds, n_log=1, log_bytes=2, body=b"{}", **columns):
    """An event with what the statement asks for at its end."""
    values = [b"x" if kind == BLOB else 1 for kind in kinds]
    values[-7:] = [b"", 0, body, b"", 0, n_log, log_bytes]
    for place, value in columns.items():
        values[int(place[1:])] = value
    return rows(kinds, row(*values))


def log_row(kinds, error=b"e", response=b"r", n=1):
    return rows(kinds, *n * [row(1, 1, 500, error, response)])


def without_end(kinds):
    """As if the last column went on and on."""
    head = row(1, 1, 500, b"e", b"")[:-1]
    return rows(kinds, head + b"\xfe" + struct.pack("<Q", 0xfffffff0))


LIES = {
    "a longer response": (event_row, lambda k: log_row(k, b"e", 60000 * b"r")),
    "a longer error": (event_row, lambda k: log_row(k, 60000 * b"e")),
    "more attempts": (event_row, lambda k: log_row(k, n=1000)),
    "a negative count": (lambda k: event_row(k, n_log=-1), log_row),
    "a count": (lambda k: event_row(k, n_log=1 << 59), log_row),
    "a negative sum": (lambda k: event_row(k, log_bytes=-(1 << 63)), log_row),
    "a sum": (lambda k: event_row(k, log_bytes=(1 << 63) - 1), log_row),
    "a status": (lambda k: event_row(k, _8=7), log_row),
    "a time": (lambda k: event_row(k, _9=-(1 << 63)), log_row),
    "a url": (lambda k: event_row(k, _12=9000 * b"u"), log_row),
    "no column": (lambda k: rows([]), log_row),
    "3000 columns": (lambda k: rows(3000 * [BLOB], row(*3000 * [b""])), log_row),
    "a length": (event_row, without_end),
    "NULL": (event_row, lambda k: rows(k, b"\0\xff" + bytes(100))),
    "a short row": (event_row, lambda k: rows(k, b"\0\0")),
    "no result": (event_row, lambda _: [impostor.OK]),
}


def test_lies(launch, name):
    """No answer ends the process that asked."""
    lie = {}
    answers = [
        (r"max_allowed_packet", number(16 << 20)),
        (r"MAX\(version\)", number(VERSION)),
        (r"table_name = 'moving'", number(0)),
        (r"information_schema", lambda kinds: rows(kinds, row(1, 0))),
        (r"FROM attempt WHERE event = \? ORDER",
         lambda kinds: lie["log"](kinds)),
        (r"FROM event LEFT JOIN .* WHERE k = \?",
         lambda kinds: lie["event"](kinds)),
    ]
    with Impostor(answers) as server:
        c = launch(roles="service", store=Place(
            "mysql://someone@127.0.0.1:%d/cassata" % server.port))
        def pids():
            return [child["pid"] for child in c.children("service")]
        before = pids()
        path = path_of("event", "app", name)
        lie.update(event=event_row, log=log_row)
        response, = wait_for(lambda: [
            r for r in [c.get(path)] if r.status == 200])
        assert response.json()["attempts"] == 1
        for what, (event, log) in LIES.items():
            lie.update(event=event, log=log)
            response = wait_for(lambda: server_was_asked(c, server, path))
            assert response.status in (500, 503), (what, response)
            assert pids() == before, what
        lie.update(event=event_row, log=log_row)
        wait_for(lambda: c.get(path).status == 200)


def server_was_asked(c, server, path):
    """The answer, once the pause after a failure is over."""
    server.said.clear()
    response = c.get(path)
    return response if server.said else None
