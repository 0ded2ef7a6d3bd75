# SPDX-License-Identifier: ISC
"""Where the events go: a sink that writes down every arrival in few bytes, and
that can be as hostile as receivers are."""

import random
import socket
import struct
import threading
import time
import weakref

from sink import Sink

RESET = struct.pack("ii", 1, 0)
OK_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY_ANSWER = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
MODES = ("refuse", "hang", "reset", "drip", "headers", "body", "close")

# How an arrival was answered.
NOT, WHOLLY, ENDLESSLY = range(3)


class Record:
    """One arrival. Times are those of the wall clock, in seconds."""

    __slots__ = ("event", "attempt", "at", "answered_at", "answer", "line")

    def __init__(self, event, attempt):
        self.at = time.time()
        self.event = event
        self.attempt = attempt
        self.answered_at = None
        self.answer = NOT
        self.line = None  # the connection that it came on


class Line:
    """A connection to the receiver. It ends with the worker that made it."""

    __slots__ = ("requests", "ended_at")

    def __init__(self):
        self.requests = 0
        self.ended_at = None


class Receiver(Sink):
    def __init__(self, delay=(0, 0), busy=False, host="127.0.0.1"):
        self._delay = delay
        self._busy = busy
        self._deaf = []
        self._mode = None
        self._mode_over = threading.Event()
        self._lines = weakref.WeakKeyDictionary()
        self.records = []
        super().__init__(host=host)
        # Bound and never listening: it keeps the port while that is refused.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind((self.host, self.port))

    def misbehave(self, mode):
        """One of MODES until behave, or "deaf": connections hang."""
        self._mode_over = threading.Event()
        self._mode = mode
        if mode in ("refuse", "deaf"):
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._cut_connections()
        if mode == "deaf":
            self._fill_backlog()

    def _fill_backlog(self):
        listener = socket.create_server(
            (self.host, self.port), backlog=0, reuse_port=True)
        self._deaf = [listener]
        for _ in range(3):
            sock = socket.socket()
            self._deaf.append(sock)
            sock.setblocking(False)
            sock.connect_ex((self.host, self.port))

    def behave(self):
        mode, self._mode = self._mode, None
        self._mode_over.set()
        while self._deaf:
            self._deaf.pop().close()
        if mode in ("refuse", "deaf"):
            self._listener = socket.create_server(
                (self.host, self.port), backlog=1024, reuse_port=True)
            threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        super().close()
        self._mode_over.set()
        self._holder.close()

    def _serve(self, sock):
        line = self._lines[sock] = Line()
        super()._serve(sock)
        line.ended_at = time.time()

    def _record(self, arrival):
        record = Record(int(arrival.header("Cassata-Event-Id")),
                        int(arrival.header("Cassata-Attempt")))
        with self._lock:
            self.records.append(record)
        return record

    def _answer(self, sock, arrival, reply):
        """False ends the connection. reply is the record."""
        line = reply.line = self._lines[sock]
        line.requests += 1
        mode = self._mode
        if mode == "close" and line.requests == 1:
            mode = None
        if mode:
            return self._spoil(sock, mode, reply)
        delay = random.uniform(*self._delay)
        if delay:
            self._closing.wait(delay)
        sock.sendall(BUSY_ANSWER if self._busy else OK_ANSWER)
        if not self._busy:
            reply.answered_at = time.time()
            reply.answer = WHOLLY
        return True

    def _spoil(self, sock, mode, record):
        over = self._mode_over
        if mode == "hang":
            over.wait(20)
        elif mode == "reset":
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif mode == "drip":
            for byte in OK_ANSWER[:-1]:
                sock.sendall(bytes([byte]))
                if over.wait(1):
                    break
        elif mode == "headers":
            sock.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.is_set():
                sock.sendall(b"X-Endless: %s\r\n" % (b"x" * 1000) * 16)
        elif mode == "body":
            # Enough of it is an answer: the rest is not waited for.
            record.answer = ENDLESSLY
            sock.sendall(b"HTTP/1.1 200 OK\r\n"
                         b"Content-Length: 1000000000000\r\n\r\n")
            while not over.is_set():
                sock.sendall(b"x" * 16384)
        return False
