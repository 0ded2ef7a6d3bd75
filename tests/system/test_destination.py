# SPDX-License-Identifier: ISC
"""Destinations that mean harm, and what fails on our own side."""

import ctypes
import gzip
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from cassata import may_mount, wait_for
from sink import Reply, Sink

OPTIONS = {"numWorkerThreads": 1, "httpRetryCount": 1, "retryDelays": ["100ms"],
           "deliveryTimeout": "20s"}


def add_many(c, events):
    """Due now, in one request."""
    lines = "\n".join(json.dumps({"event": {}, "expiry": 0, **e})
                      for e in events)
    response = c.request("POST", "/cassata/add-batch/", lines.encode(), [
        ("Content-Type", "application/x-ndjson")])
    codes = [json.loads(line)["response-code"]
             for line in response.body.splitlines()]
    assert codes == [201] * len(events)


def assert_lives(c, worker):
    assert [w["pid"] for w in c.children("worker")] == [worker["pid"]]


def resident_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("VmRSS:"))


class Flood:
    """Answers every request with a head and then with the same bytes without
    an end, until the other side has had enough."""

    MOST = 256 << 20

    def __init__(self, head, bytes_):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._head = head
        self._bytes = bytes_
        self.sent = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self):
        return "http://127.0.0.1:%d/" % self._listener.getsockname()[1]

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        n = 0
        with sock:
            try:
                sock.recv(65536)
                sock.sendall(self._head)
                while n < self.MOST:
                    sock.sendall(self._bytes)
                    n += len(self._bytes)
            except OSError:
                pass
        self.sent.append(n)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


# Where a limit of libcurl's is less than ours: what 8.14 and 8.22 say.
LARGE = "too large|Too many response headers"
FOLDED = "folded|grew larger"


@pytest.mark.parametrize("head, more, reason", [
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
     b"A: b\r\n" * 1000, LARGE),
    (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1000, LARGE),
    (b"", b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" * 500, LARGE),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n", b" c\r\n" * 4000, FOLDED),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n", b"\tc\r\n" * 4000, FOLDED),
    (b"HTTP/1.1 200 OK\r\nA: ", b"b" * 16000, ""),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
     b"b" * 16000, "too much beside"),
], ids=["trailers", "header", "interim", "folded", "tabs", "line", "extension"])
def test_endless_header(launch, head, more, reason):
    """It ends the attempt, and costs neither memory nor others their time."""
    c = launch(worker=OPTIONS)
    [worker] = c.children("worker")
    with Flood(head, more) as flood, Sink() as sink:
        c.schedule("flood", flood.url())
        for i in range(20):
            c.schedule("other%d" % i, sink.url("/other"))
        sink.wait("/other", 20)
        event = c.wait_state("flood", "FAILED")
        assert re.search(reason, event["last-error"])
        assert event["attempts"] == 2
        wait_for(lambda: len(flood.sent) == 2)
        assert max(flood.sent) < 32 << 20
    assert resident_kib(worker["pid"]) < 600 * 1024
    assert_lives(c, worker)


def test_header_limit(launch, sink):
    c = launch(worker=dict(OPTIONS, maxResponseHeaderBytes="1KiB"))
    line = b"X-A: " + b"b" * 500 + b"\r\n"
    end = b"Content-Length: 0\r\n\r\n"
    sink.on("/little", Reply(raw=b"HTTP/1.1 200 OK\r\n" + line + end))
    sink.on("/much", Reply(raw=b"HTTP/1.1 200 OK\r\n" + 2 * line + end))
    c.schedule("little", sink.url("/little"))
    c.schedule("much", sink.url("/much"))
    c.wait_state("little", "COMPLETED")
    assert "too large" in c.wait_state("much", "FAILED")["last-error"]


@pytest.mark.parametrize("coding", [
    "gzip", "gzip, chunked", "deflate", "x-gzip,chunked", "\tGZip , gzip", "br",
    "chunked, chunked", "zstd", "chunked\x0b", "",
])
def test_transfer_coding(daemon, sink, name, coding):
    """Nobody asked for one: what it hides may be without an end."""
    body = gzip.compress(b"well hidden")
    if coding.endswith("chunked"):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    sink.on("/", Reply(raw=b"HTTP/1.1 404 No\r\nTransfer-Encoding:" +
                       coding.encode() + b"\r\n\r\n" + body, end="close"))
    daemon.schedule(name, sink.url())
    event = daemon.wait_state(name, "FAILED")
    # libcurl 8.14 refuses some, too.
    assert re.search("(?i)transfer.(en)?coding", event["last-error"])
    assert "response-body" not in event["attempt-log"][0]


def test_nested_codings(launch, sink):
    """Whose decoding yields nothing, for ever, in one call of libcurl's."""
    empty_block = b"\0\0\0\xff\xff"
    head = b"\x1f\x8b\x08" + b"\0" * 7
    most = gzip.compress(head + empty_block * (16 << 20))
    bomb = gzip.compress(most)
    c = launch(worker=dict(OPTIONS, httpRetryCount=0))
    sink.on("/bomb", Reply(
        raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, gzip, gzip\r\n\r\n" +
        bomb, end="close"))
    c.schedule("bomb", sink.url("/bomb"))
    event = c.wait_state("bomb", "FAILED")
    assert re.search("(?i)transfer.(en)?coding", event["last-error"])


@pytest.mark.parametrize("coding", ["chunked", " Chunked ", "identity"])
def test_good_transfer_coding(daemon, sink, name, coding):
    body = b"2\r\nok\r\n0\r\n\r\n"
    sink.on("/", Reply(raw=b"HTTP/1.1 404 No\r\nTransfer-Encoding:" +
                       coding.encode() + b"\r\n\r\n" + body, end="close"))
    daemon.schedule(name, sink.url())
    event = daemon.wait_state(name, "FAILED")
    assert event["last-response-code"] == 404
    assert event.get("last-error", "") == ""


@pytest.mark.parametrize("status", [
    b"HTTP/1.1 -12 No", b"HTTP/2-1 200 OK", b"HTTP/2 -1", b"HTTP/1.1 000 No",
    b"HTTP/2 99999999999", b"HTTP/2 123456", b"HTTP/1.1 +20 OK",
    b"HTTP/1.1 99 No", b"HTTP/1.1 1000 No",
])
def test_strange_status(daemon, sink, name, status):
    """One that is no number of three digits is no HTTP (RFC 9110 15)."""
    sink.on("/", Reply(raw=status + b"\r\nContent-Length: 2\r\n\r\nno",
                       end="close"))
    daemon.schedule(name, sink.url())
    event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 3
    assert event["last-error"]
    assert "last-response-code" not in event


# ---- addresses ----

@pytest.mark.parametrize("host", [
    "169.254.169.254", "169.254.0.1:9000", "0xA9FEA9FE", "2852039166",
    "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "[fe80::1]",
])
def test_link_local(daemon, name, host):
    daemon.schedule(name, "http://%s/latest/meta-data/" % host)
    event = daemon.wait_state(name, "FAILED")
    assert event["attempts"] == 1
    assert event["last-error"] == "refused: a link-local address"
    assert event["attempt-log"][0]["error"] == event["last-error"]


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "0.0.0.0", "0x7f000001", "2130706433",
    "[::ffff:127.0.0.1]", "127.1",
])
def test_own_listener(daemon, name, host):
    daemon.schedule(name, "http://%s:%d/cassata/delete/app/x" % (
        host, daemon.port), method="DELETE")
    event = daemon.wait_state(name, "FAILED")
    # A name may have other addresses, which may come back.
    assert event["attempts"] == 1 or host == "localhost"
    assert "itself listens on" in event["last-error"]


def test_own_listener_by_an_address_of_this_machine(launch):
    """One that listens on all of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("no address but loopback's")
        own = s.getsockname()[0]
    c = launch(service={"listen": "0.0.0.0"}, worker=OPTIONS)
    c.schedule("own", "http://%s:%d/livez" % (own, c.port))
    event = c.wait_state("own", "FAILED")
    assert "itself listens on" in event["last-error"]


# ---- TLS ----

@pytest.fixture
def system_authorities(tmp_path, certificate):
    """(directory, prefix): the words before a command for which the directory
    has the system's authorities, which trust the certificate of a sink."""
    if not may_mount():
        pytest.skip("nothing may be mounted here")
    with open(certificate + ".crt") as f:
        trusted = f.read()
    name = subprocess.run(
        ["openssl", "x509", "-noout", "-subject_hash", "-in",
         certificate + ".crt"], stdout=subprocess.PIPE, check=True,
        universal_newlines=True).stdout.strip()
    for file in (name + ".0", "ca-certificates.crt"):
        (tmp_path / file).write_text(trusted)
        os.chmod(str(tmp_path / file), 0o644)
    os.chmod(str(tmp_path), 0o755)
    prefix = ["unshare", "--mount", "sh", "-c",
              'mount --bind "$0" /etc/ssl/certs && exec "$@"', str(tmp_path)]
    return tmp_path, prefix


def test_ca_file_alone(prepare, certificate, system_authorities):
    """With it the system's authorities do not count, in whatever form."""
    _, prefix = system_authorities
    c = prepare(worker=OPTIONS)
    other = c.directory / "other.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=other",
         "-keyout", os.devnull, "-out", str(other)], check=True,
        stderr=subprocess.DEVNULL)
    for path in (c.directory, other):
        os.chmod(str(path), 0o755)
    with Sink(certificate) as sink:
        c.start(prefix=prefix)
        c.schedule("system", sink.url("/system"))
        c.wait_state("system", "COMPLETED")
        c.stop()
        c.configure(worker={"caFile": str(other)})
        c.start(prefix=prefix)
        c.schedule("file", sink.url("/file"))
        event = c.wait_state("file", "FAILED")
        assert "certificate" in event["last-error"]
        assert sink.arrivals("/file") == []


class Opens:
    """Counts how often a file is opened (inotify(7))."""

    IN_OPEN = 0x20
    EVENT_BYTES = 16

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._fd != -1
        assert libc.inotify_add_watch(
            self._fd, os.fsencode(str(path)), self.IN_OPEN) != -1

    def count(self):
        """Since the last call; equal ones in a row may be one."""
        try:
            return len(os.read(self._fd, 65536)) // self.EVENT_BYTES
        except BlockingIOError:
            return 0


def libcurl_version():
    libcurl = ctypes.CDLL("libcurl.so.4")
    libcurl.curl_version.restype = ctypes.c_char_p
    version = libcurl.curl_version().decode().split()[0]
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


@pytest.mark.skipif(libcurl_version() >= (8, 21),
                    reason="it cannot be told to read no directory")
def test_authorities_are_kept(prepare, certificate, system_authorities):
    """Those of a system take long to read: not for each connection."""
    directory, prefix = system_authorities
    c = prepare(worker=OPTIONS)
    opens = Opens(directory / "ca-certificates.crt")
    with Sink(certificate) as sink:
        sink.on("/e", Reply(end="close"))
        c.start(prefix=prefix)
        n = []
        for i in range(4):
            c.schedule("e%d" % i, sink.url("/e"))
            c.wait_state("e%d" % i, "COMPLETED")
            n.append(opens.count())
        assert sink.accepted == 4
    assert n[0] > 0 and 0 in n[1:]


# ---- what authenticates a connection ----

@pytest.mark.parametrize("scheme", ["NTLM TlRMTVNTUAAB", "negotiate YII="])
def test_connection_bound_authentication(launch, sink, scheme):
    """Its connection serves no other request, before or after."""
    c = launch(worker=OPTIONS)
    c.schedule("before", sink.url("/e"))
    c.wait_state("before", "COMPLETED")
    c.schedule("auth", sink.url("/e"), app="one",
               request_headers=["Authorization: " + scheme])
    c.wait_state("auth", "COMPLETED", app="one")
    assert sink.accepted == 2
    c.schedule("after", sink.url("/e"), app="other")
    c.wait_state("after", "COMPLETED", app="other")
    c.schedule("again", sink.url("/e"), app="other")
    c.wait_state("again", "COMPLETED", app="other")
    assert sink.accepted <= 3


# ---- shares ----

class Silent:
    """Ports of 127.0.0.2 that accept, and never answer."""

    def __init__(self, n):
        self._sockets = [socket.create_server(("127.0.0.2", 0), backlog=4096)
                         for _ in range(n)]
        self.ports = [s.getsockname()[1] for s in self._sockets]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self._sockets:
            s.close()


@pytest.mark.parametrize("kind, workers", [
    ("host", 1), ("host", 3), ("ports", 1), ("names", 1)])
def test_silent_destination(prepare, sink, kind, workers):
    """One host, all ports of it, or all names of its address: what others
    want to have delivered is, while it keeps silent."""
    c = prepare(worker={"numWorkerThreads": workers, "deliveryTimeout": "5m",
                        "connectTimeout": "5m"},
                master={"shutdownTimeout": "1s"})
    c.start(env=c.preload(c.build_preload("resolver")))
    n = 800 * workers
    with Silent(40 if kind == "ports" else 1) as silent:
        events = []
        for i in range(n):
            host, app = "127.0.0.2", "silent"
            if kind == "names":
                host, app = "h%d.second.test" % (i % 100), "silent%d" % (i % 9)
            events.append({
                "application-id": app, "event-id": "e%d" % i,
                "url": "http://%s:%d/" % (
                    host, silent.ports[i % len(silent.ports)])})
        add_many(c, events)
        wait_for(lambda: in_flight(c) >= 100)
        for i in range(40):
            c.schedule("other%d" % i, sink.url("/other"), app="other")
        for i in range(40):
            event = c.wait_state("other%d" % i, "COMPLETED", app="other",
                                 seconds=30)
            assert event["attempts"] == 1
        assert in_flight(c) >= 100


def test_busy_address_of_several(prepare, sink):
    """Not to be connected to for want of room is no attempt, though another
    address of the name has refused."""
    c = prepare(worker=dict(OPTIONS, httpRetryCount=0,
                            maxDeliveriesPerAddress=1))
    c.start(env=c.preload(c.build_preload("resolver")))
    gate = sink.gate()
    sink.on("/busy", Reply(200, gate=gate), 200)
    c.schedule("busy", sink.url("/busy"))
    sink.wait("/busy")
    c.schedule("e", "http://h.both.test:%d/e" % sink.port)
    wait_for(lambda: c.status()["metrics"]["cassata_events_deferred_total"] > 0
             or c.state("e") == "FAILED")
    gate.set()
    assert c.wait_state("e", "COMPLETED", "FAILED")["status"] == "COMPLETED"
    assert c.event("e")["attempts"] == 1


def in_flight(c):
    text = c.get("/metrics").body.decode()
    return int(text.split("\ncassata_deliveries_in_flight ")[1].split("\n")[0])


# ---- our own side ----

def test_silent_name_server(prepare, sink):
    """Look-ups that hang take neither descriptors nor attempts of others, nor
    the worker's slots."""
    c = prepare(worker=dict(OPTIONS, httpRetryCount=0, maxLookups=16,
                            connectTimeout="20s"),
                master={"shutdownTimeout": "1s"})
    c.start(env=c.preload(c.build_preload("resolver")))
    [worker] = c.children("worker")
    add_many(c, [{"application-id": "silent", "event-id": "silent%d" % i,
                  "url": "http://h%d.silent.test/" % i} for i in range(400)])
    threads = "/proc/%d/task" % worker["pid"]
    wait_for(lambda: len(os.listdir(threads)) > 13)
    for i in range(40):
        c.schedule("other%d" % i, sink.url("/other"))
    for i in range(40):
        assert c.wait_state("other%d" % i, "COMPLETED")["attempts"] == 1
    assert len(os.listdir(threads)) < 30
    assert len(os.listdir("/proc/%d/fd" % worker["pid"])) < 400
    assert_lives(c, worker)


@pytest.mark.parametrize("kind", ["app", "domain"])
def test_silent_name_server_and_other_names(prepare, store, sink, kind):
    """Names that are not answered for leave look-ups to others. Those that have
    to wait for one do not come back every second."""
    c = prepare(worker=dict(OPTIONS, httpRetryCount=0, maxLookups=16,
                            connectTimeout="20s"),
                master={"shutdownTimeout": "1s"})
    c.start(env=c.preload(c.build_preload("resolver")))
    [worker] = c.children("worker")
    silent = [("http://h.d%d.silent/" % i, "silent") if kind == "app" else
              ("http://h%d.silent.test/" % i, "silent%d" % (i % 9))
              for i in range(200)]
    add_many(c, [{"application-id": app, "event-id": "silent%d" % i, "url": url}
                 for i, (url, app) in enumerate(silent)])
    threads = "/proc/%d/task" % worker["pid"]
    wait_for(lambda: len(os.listdir(threads)) > 13)
    for i in range(40):
        c.schedule("other%d" % i,
                   "http://h%d.other.test:%d/other" % (i, sink.port))
    for i in range(40):
        assert c.wait_state("other%d" % i, "COMPLETED")[
            "attempts"] == 1
    assert len(os.listdir(threads)) < 30
    later = "SELECT COUNT(*) FROM event WHERE status = 0 AND due_ms > %d"
    wait_for(lambda: int(store.sql(later % (
        (time.time() + 20) * 1000))[0][0]) > 50, what="patience")


def test_names_that_are_known(prepare, sink):
    """They need no look-up, so none that is free."""
    c = prepare(worker=dict(OPTIONS, httpRetryCount=0, maxLookups=1,
                            connectTimeout="20s"),
                master={"shutdownTimeout": "1s"})
    c.start(env=c.preload(c.build_preload("resolver")))
    url = "http://known.test:%d/e" % sink.port
    c.schedule("first", url)
    c.wait_state("first", "COMPLETED")
    c.schedule("silent", "http://h.silent.test/")
    c.wait_state("silent", "PROCESSING")
    c.schedule("second", url)
    c.wait_state("second", "COMPLETED")
    assert c.state("silent") == "PROCESSING"

def test_no_descriptor_is_no_attempt(prepare, sink):
    """The event waits until there is one."""
    c = prepare(worker=dict(OPTIONS, httpRetryCount=0))
    switch = c.directory / "no-sockets"
    switch.write_text("0")
    c.start(env={"NO_SOCKETS": str(switch),
                 **c.preload(c.build_preload("sockets"))})
    [worker] = c.children("worker")
    # All have the connections that they need to the datastore.
    with Sink() as other:
        c.schedule("first", other.url("/first"))
        c.wait_state("first", "COMPLETED")
    with open(str(switch), "r+") as f:
        f.write("1")
        f.flush()
        for i in range(5):
            c.schedule("e%d" % i, sink.url("/e"))
        wait_for(lambda: "what is short here" in c.log_text())
        for i in range(5):
            assert c.state("e%d" % i) in ("PENDING", "PROCESSING")
        assert sink.arrivals("/e") == []
        f.seek(0)
        f.write("0")
    for i in range(5):
        event = c.wait_state("e%d" % i, "COMPLETED")
        assert event["attempts"] == 1
    assert_lives(c, worker)


def test_no_source_address(prepare):
    """Without one an attempt has failed; without a port it was none. Both are
    EADDRNOTAVAIL."""
    c = prepare(worker=OPTIONS)
    switch = c.directory / "no-sockets"
    switch.write_text("0")
    c.start(env={"NO_SOCKETS": str(switch),
                 **c.preload(c.build_preload("sockets"))})
    c.schedule("port", "http://[2001:db8::2]/")
    wait_for(lambda: "what is short here" in c.log_text())
    c.schedule("source", "http://[2001:db8::1]/")
    assert c.wait_state("source", "FAILED")["attempts"] == 2
    assert c.state("port") in ("PENDING", "PROCESSING")
