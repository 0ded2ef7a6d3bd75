# SPDX-License-Identifier: ISC
"""Clients that never stop: they add events, look at what became of them, and
ask the server how it is. Times are those of the wall clock, in seconds."""

import heapq
import json
import queue
import random
import threading
import time

import client

APP = "faults"
# The datastore's time-outs twice: what runs when a request comes, and its own.
ANSWER_S = 8
ALIVE_S = 2


class Failure:
    """A request without a good answer; status 0: the connection broke, or
    there was none in time."""

    __slots__ = ("began_at", "at", "status", "event")

    def __init__(self, began_at, status, event):
        self.began_at = began_at
        self.at = time.time()
        self.status = status
        self.event = event

    def __str__(self):
        return "status %d at %.3f, begun %.3f: %s" % (
            self.status, self.at, self.began_at, self.event)


class Talker:
    """One connection, made again when it broke."""

    def __init__(self, port, seconds=ANSWER_S):
        self._port = port
        self._seconds = seconds
        self._connection = None

    def ask(self, method, target, body=None):
        try:
            if self._connection is None:
                self._connection = client.Connection(
                    self._port, self._seconds)
            self._connection.send_request(method, target, body)
            response = self._connection.read_response()
        except (OSError, ValueError):
            self.close()
            return None
        if response.header("Connection") == "close":
            self.close()
        return response

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None


class Load:
    """Adds events, rate a second over n connections. What got no answer is
    added again with the same ids until it is acknowledged."""

    RETRY_S = 0.05
    DOOMED = 0.1  # of all events

    def __init__(self, port, urls, doomed_url, deleter, rate, seed, n=8):
        """urls: (url, weight) pairs; doomed_url: of events that the deleter is
        told to delete."""
        self._port = port
        self._urls, self._weights = zip(*urls)
        self._doomed_url = doomed_url
        self._deleter = deleter
        self._pause = n / rate
        self._next = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self.due = {}           # of every event, by its number
        self.acknowledged = {}  # when
        self.acknowledged_at = 0  # the last one
        self.again = set()      # events that a repeated add found there
        self.failures = []
        self.wrong = []         # answers that nothing explains
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(
                "%s-%d" % (seed, i)),), daemon=True) for i in range(n)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self, seconds=60):
        """False when an add is still without an answer."""
        self._ending.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return not any(t.is_alive() for t in self._threads)

    def _talker(self):
        return Talker(self._port)

    def _number(self):
        with self._lock:
            self._next += 1
            return self._next

    def _run(self, dice):
        talker = self._talker()
        next_at = time.monotonic() + dice.random() * self._pause
        while not self._ending.wait(max(0, next_at - time.monotonic())):
            # After a stall nothing is made up for.
            next_at = max(next_at, time.monotonic() - 1) + self._pause
            number = self._number()
            ahead = dice.choice((0, 0, dice.uniform(0, 2), dice.uniform(0, 8)))
            due = self.due[number] = round(time.time() + ahead, 3)
            size = dice.choice((10, 10, 100, 5000))
            url = dice.choices(self._urls, self._weights)[0]
            doomed = dice.random() < self.DOOMED
            if doomed:
                url = self._doomed_url
            body = json.dumps({
                "application-id": APP, "event-id": str(number),
                "event": "x" * size, "expiry": due,
                "url": url}).encode()
            while not self._add(talker, number, body):
                time.sleep(self.RETRY_S)
            if doomed:
                self._deleter.delete(number, due + dice.uniform(-1, 4))
        talker.close()

    def _add(self, talker, number, body):
        began_at = time.time()
        response = talker.ask("POST", "/cassata/add/", body)
        if response is not None and response.status in (200, 201):
            self.acknowledged[number] = self.acknowledged_at = time.time()
            if response.status == 200:
                self.again.add(number)
            return True
        status = 0 if response is None else response.status
        self.failures.append(Failure(began_at, status, number))
        if status not in (0, 503, 507):  # 507: a full disk
            self.wrong.append("add: %r" % response)
        elif status != 0 and response.header("Retry-After") is None:
            self.wrong.append("no Retry-After: %r" % response)
        return False


class Watcher:
    """Runs _run in a thread, which looks at _ending, from start to stop."""

    def __init__(self):
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._ending.set()
        self._thread.join(30)


class Deleter(Watcher):
    """Deletes what it is told to, at a time or as soon after as the event
    waits. What was deleted arrives no more."""

    RETRY_S = 0.05

    def __init__(self, port):
        self._port = port
        self._lock = threading.Lock()
        self._heap = []  # (at, number, whether an answer was lost)
        self.deleted = {}  # when its 200 came
        self.failures = []
        self.wrong = []
        super().__init__()

    def delete(self, number, at, in_doubt=False):
        with self._lock:
            heapq.heappush(self._heap, (at, number, in_doubt))

    def stop(self):
        """Deletes what is left first."""
        super().stop()
        with self._lock:
            return not self._heap

    def _next(self):
        with self._lock:
            if self._heap and (self._ending.is_set() or
                               self._heap[0][0] <= time.time()):
                return heapq.heappop(self._heap)
            return None

    def _run(self):
        talker = Talker(self._port)
        while True:
            task = self._next()
            if task:
                self._try(talker, *task)
            elif self._ending.is_set():
                break
            else:
                self._ending.wait(self.RETRY_S)
        talker.close()

    def _try(self, talker, at, number, in_doubt):
        began_at = time.time()
        response = talker.ask(
            "DELETE", client.path_of("delete", APP, str(number)))
        status = 0 if response is None else response.status
        if status == 200 or (status == 404 and in_doubt):
            self.deleted[number] = time.time()
            return
        if status not in (0, 409, 503):
            self.wrong.append("delete %d: %r" % (number, response))
            return
        if status != 409:
            self.failures.append(Failure(began_at, status, number))
        if self._ending.is_set():
            time.sleep(self.RETRY_S)
        self.delete(number, time.time() + self.RETRY_S,
                    in_doubt or status != 409)


class Witness(Watcher):
    """Looks at events that a receiver has answered, until they are completed:
    from then on nobody may see them again."""

    def __init__(self, port, receivers):
        self._port = port
        self._receivers = receivers
        self._again = queue.Queue(2000)
        self.completed = {}  # when it was known
        self.wrong = []
        super().__init__()

    def _answered(self):
        """Numbers of new arrivals; older ones are passed over when late."""
        seen = [0] * len(self._receivers)
        while True:
            for i, receiver in enumerate(self._receivers):
                records = receiver.records
                end = len(records)
                for record in records[max(seen[i], end - 200):end]:
                    yield record.event
                seen[i] = end
            yield None

    def _run(self):
        talker = Talker(self._port)
        answered = self._answered()
        while not self._ending.is_set():
            number = next(answered)
            if number is None:
                self._ending.wait(0.1)
                for _ in range(self._again.qsize()):
                    self._look(talker, self._again.get())
            else:
                self._look(talker, number)
        talker.close()

    def _look(self, talker, number):
        if number in self.completed or self._ending.is_set():
            return
        response = talker.ask("GET", client.path_of("status", APP, str(number)))
        if response is None:
            time.sleep(0.02)
        elif response.status not in (200, 503):
            self.wrong.append("status: %r" % response)
        elif response.status == 200:
            if response.json()["status"] == "COMPLETED":
                self.completed[number] = time.time()
                return
        try:
            self._again.put_nowait(number)
        except queue.Full:
            pass  # it was a sample anyway


class Prober(Watcher):
    """Asks /livez and /readyz, each time on a new connection."""

    PAUSE_S = 0.25

    def __init__(self, port):
        self._port = port
        self.n = 0
        self.not_alive = []  # answers of /livez that are not 200
        self.not_ready = []  # when
        self.ready = []
        self.failures = []
        super().__init__()

    def _run(self):
        while not self._ending.wait(self.PAUSE_S):
            alive = self._ask("/livez", ALIVE_S)
            ready = self._ask("/readyz", ANSWER_S)
            self.n += 1
            if alive is not None and alive.status != 200:
                self.not_alive.append("%.3f %r" % (time.time(), alive))
            if ready is not None:
                (self.ready if ready.status == 200 else
                 self.not_ready).append(time.time())

    def _ask(self, path, seconds):
        began_at = time.time()
        talker = Talker(self._port, seconds)
        response = talker.ask("GET", path)
        talker.close()
        if response is None:
            self.failures.append(Failure(began_at, 0, path))
        return response
