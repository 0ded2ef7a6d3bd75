# SPDX-License-Identifier: ISC
"""Clients that add events at a low rate to several hosts, through whatever is
done to them, and note when each add was acknowledged and when it arrived."""

import contextlib
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLIENTS = 16      # for each host: some may be left without an answer
EVERY_S = 0.05    # from one add to the next, of each host
TIMEOUT_S = 8
ARRIVAL_S = 60    # of the last event, after the last add


class Sink(ThreadingHTTPServer):
    """Notes the first arrival of each path."""
    request_queue_size = 128
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.arrived = {}
        self.again = 0
        self.lock = threading.Lock()
        self.url = "http://127.0.0.1:%d" % self.server_address[1]

    def note(self, path):
        now = time.time()
        with self.lock:
            self.again += path in self.arrived
            self.arrived.setdefault(path, now)

    def handle_error(self, *_):
        """A peer that was killed is no error here."""


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.note(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Probe:
    """With it, events are added to the daemons until it ends."""

    def __init__(self, daemons, due_in_s=1):
        self._daemons = daemons
        self._due_in_s = due_in_s
        self._over = threading.Event()
        self._end = None
        self._sink = Sink()
        self._lock = threading.Lock()
        self._due = {}       # of those that were acknowledged
        self._answered = {daemon: [] for daemon in daemons}
        self.refused = 0

    def __enter__(self):
        self._pool = ThreadPoolExecutor(CLIENTS * len(self._daemons) + 1)
        self._tasks = [self._pool.submit(self._sink.serve_forever)]
        for daemon in self._daemons:
            for n in range(CLIENTS):
                self._tasks.append(self._pool.submit(
                    self._client, daemon, n))
        return self

    def __exit__(self, *exception):
        self._over.set()
        self._end = time.time()
        for task in self._tasks[1:]:
            task.result()
        deadline = time.monotonic() + (0 if exception[0] else ARRIVAL_S)
        while time.monotonic() < deadline and self.missing():
            time.sleep(0.05)
        self._sink.shutdown()
        self._sink.server_close()
        self._pool.shutdown()

    def _client(self, daemon, n):
        """Every client adds at times of its own."""
        connection, number = None, 0
        start = time.monotonic() + n * EVERY_S
        while not self._over.wait(max(0, start + number * CLIENTS * EVERY_S -
                                      time.monotonic())):
            # What could not be sent in time is left out.
            late = time.monotonic() - start
            number = max(number, int(late / (CLIENTS * EVERY_S))) + 1
            connection = connection or http.client.HTTPConnection(
                "127.0.0.1", daemon.port, timeout=TIMEOUT_S)
            if not self._add(daemon, connection, "/%d-%d-%d" % (
                    daemon.port, n, number)):
                connection.close()
                connection = None
        if connection:
            connection.close()

    def _add(self, daemon, connection, path):
        """Whether it was acknowledged."""
        due = round(time.time() + self._due_in_s, 3)
        body = json.dumps({
            "application-id": "probe", "event-id": path, "event": "{}",
            "expiry": due, "url": self._sink.url + path})
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/cassata/add/", body, {
                "Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 201:
                with self._lock:
                    self._due[path] = due
                    self._answered[daemon].append(time.time())
                return True
        with self._lock:
            self.refused += 1
        return False

    def missing(self):
        """Acknowledged, and not arrived."""
        with self._lock, self._sink.lock:
            return len(self._due.keys() - self._sink.arrived.keys())

    def longest_silence_s(self, daemon, since):
        """Without an acknowledged add, from a time on."""
        with self._lock:
            times = sorted(self._answered[daemon])
        times = [since, *(t for t in times if t > since), self._end]
        return max(b - a for a, b in zip(times, times[1:]))

    def lateness_s(self):
        """Of all that have arrived."""
        with self._lock, self._sink.lock:
            return [max(0, self._sink.arrived[path] - due)
                    for path, due in self._due.items()
                    if path in self._sink.arrived]

    @property
    def again(self):
        return self._sink.again
