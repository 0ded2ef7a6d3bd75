# SPDX-License-Identifier: ISC
"""A receiver of deliveries: a real HTTP/1.1 server on raw sockets, so that a
test can make it late, rude or broken in every way that a receiver can be."""

import socket
import ssl
import struct
import threading
import time
from collections import defaultdict

from cassata import PATIENCE


class Arrival:
    """A request as it came in; body is the exact bytes."""

    def __init__(self, method, path, version, headers, body):
        self.at = time.monotonic()
        self.wall = time.time()
        self.method = method
        self.path = path
        self.version = version
        self.headers = headers
        self.body = body

    def header(self, name):
        """The value of the only header of that name, or None."""
        found = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(found) <= 1, "%s came %d times" % (name, len(found))
        return found[0] if found else None


class Reply:
    """What to do about an arrival: the answer, and how to spoil it.

    delay     seconds before the answer
    gate      the answer waits until this threading.Event is set
    announce  Content-Length to send instead of the true one
    raw       bytes to send instead of an HTTP answer
    end       after the answer: None keeps the connection, "close" ends it,
              "reset" ends it with RST; with status None nothing is sent
    """

    def __init__(self, status=200, body=b"", headers=(), delay=0, gate=None,
                 announce=None, raw=None, end=None):
        self.status = status
        self.body = body
        self.headers = list(headers)
        self.delay = delay
        self.gate = gate
        self.announce = announce
        self.raw = raw
        self.end = end


def half_closed():
    """An answer that promises more than it holds, then ends."""
    return Reply(200, b"half", announce=100, end="close")


class Sink:
    def __init__(self, certificate=None, host="127.0.0.1"):
        self._lock = threading.Condition()
        self._arrivals = []
        self._replies = {}
        self._count = defaultdict(int)
        self._gates = []
        self._connections = set()
        self.accepted = 0  # connections, ever
        self._closing = threading.Event()
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self.host = host
        self._listener = socket.create_server(
            (host, 0), backlog=1024, reuse_port=True)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/"):
        scheme = "https" if self._tls else "http"
        return "%s://%s:%d%s" % (scheme, self.host, self.port, path)

    def on(self, path, *replies):
        """Answers the first request for path with the first reply and so on;
        the last one repeats. A reply may be a status, a Reply, or a callable
        that takes the Arrival and returns one of these."""
        self._replies[path] = replies

    def gate(self):
        """An event for Reply.gate, set at the latest when the sink closes."""
        gate = threading.Event()
        self._gates.append(gate)
        return gate

    def arrivals(self, path=None):
        with self._lock:
            return [a for a in self._arrivals if path in (None, a.path)]

    def wait(self, path, n=1, seconds=15):
        """The arrivals for path once there are n of them."""
        seconds *= PATIENCE
        deadline = time.monotonic() + seconds
        with self._lock:
            while self._count[path] < n:
                left = deadline - time.monotonic()
                assert left > 0, "%d of %d arrivals at %s in %g s" % (
                    self._count[path], n, path, seconds)
                self._lock.wait(left)
        return self.arrivals(path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._closing.set()
        for gate in self._gates:
            gate.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._cut_connections()

    def _cut_connections(self):
        with self._lock:
            for sock in self._connections:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        stream = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._connections.add(sock)
            stream = sock.makefile("rb")
            while True:
                arrival = self._read(sock, stream)
                if arrival is None:
                    break
                if not self._answer(sock, arrival, self._record(arrival)):
                    break
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections.discard(sock)
            if stream:
                stream.close()
            sock.close()

    @staticmethod
    def _read(sock, stream):
        line = stream.readline()
        if not line:
            return None
        method, path, version = line.decode("latin-1").rstrip("\r\n").split(" ")
        headers = []
        for line in iter(stream.readline, b"\r\n"):
            if not line:
                return None
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
            headers.append((name, value.strip()))
        lower = {n.lower(): v for n, v in headers}
        if lower.get("expect", "").lower() == "100-continue":
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "transfer-encoding" in lower:
            body = b""
            while True:
                size = int(stream.readline(), 16)
                body += stream.read(size)
                stream.readline()
                if size == 0:
                    break
        else:
            body = stream.read(int(lower.get("content-length", "0")))
        return Arrival(method, path, version, headers, body)

    def _record(self, arrival):
        with self._lock:
            nth = self._count[arrival.path]
            replies = self._replies.get(arrival.path, (200,))
            self._count[arrival.path] += 1
            self._arrivals.append(arrival)
            self._lock.notify_all()
        return replies[min(nth, len(replies) - 1)]

    def _answer(self, sock, arrival, reply):
        """False ends the connection."""
        if callable(reply):
            reply = reply(arrival)
        if isinstance(reply, int):
            reply = Reply(reply)
        if reply.delay:
            self._closing.wait(reply.delay)
        if reply.gate:
            reply.gate.wait()
        if reply.raw is not None:
            sock.sendall(reply.raw)
        elif reply.status is not None:
            lines = ["HTTP/1.1 %d Status" % reply.status]
            lines += ["%s: %s" % header for header in reply.headers]
            if reply.status != 204:
                lines.append("Content-Length: %d" % (
                    len(reply.body) if reply.announce is None
                    else reply.announce))
            head = "\r\n".join(lines) + "\r\n\r\n"
            body = b"" if arrival.method == "HEAD" else reply.body
            sock.sendall(head.encode("latin-1") + body)
        if reply.end == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        asked = arrival.header("Connection") or "keep-alive"
        return reply.end is None and asked.lower() != "close"
