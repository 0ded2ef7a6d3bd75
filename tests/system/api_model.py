# SPDX-License-Identifier: ISC
"""Random calls of the API against a small model of what an event is, on SQLite
and MariaDB side by side: whatever is answered must be what the model says.

Waits for nothing but results: time is that of a test clock, which goes on by whole
hours. Whatever is due by itself is so at other minutes, so that it does not
matter how long an example takes. MODEL_EXAMPLES, MODEL_STEPS and MODEL_SEED set how
much is tried, and what."""

import datetime
import json
import os
import random
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (RuleBasedStateMachine, initialize, invariant,
                                 rule, run_state_machine_as_test)

import cassata
from cassata import wait_for
from client import path_of
from sink import Sink

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "40"))
STEPS = int(os.environ.get("MODEL_STEPS", "60"))
SEED = int(os.environ.get("MODEL_SEED", random.randrange(1 << 32)))

NAMES = ["a", "b", "c"]
MINUTE, HOUR = 60, 3600
ENDED = {"COMPLETED", "FAILED"}
WAITS = {"PENDING", "SERVICE_UNAVAILABLE"}
ATTEMPTS, DELAY = 3, 5 * HOUR + 20 * MINUTE  # of /busy
PAUSE = 90 * MINUTE
CLOCK = "/cassata/admin/clock"
JSON = [("Content-Type", "application/json")]
MERGE_PATCH = [("Content-Type", "application/merge-patch+json")]

names = st.sampled_from(NAMES)
contents = st.sampled_from([{"n": 1}, {"n": 2, "o": {"p": None}}, "text", [3]])
# After the begin of an example.
times = st.sampled_from([10.5 * HOUR, 10.5 * HOUR + 0.5, 28.5 * HOUR])
receivers = st.sampled_from(["/good", "/bad"])
all_receivers = st.sampled_from(["/good", "/bad", "/busy"])
conflicts = st.sampled_from(["reject", "ignore", "replace", None])


class Event:
    """What there is to know of one. Times are after the begin of the example."""

    def __init__(self, add):
        self.add = add  # a repeat of it changes nothing
        self.content = add["event"]
        self.expiry = self.due = add["expiry"]
        self.receiver = add["url"]
        self.method = add["method"]
        self.state = "PENDING"
        self.attempts = 0
        self.forgiven = 0  # attempts before a retry
        self.held = False  # due, and its application is paused

    def deliver(self, at):
        self.attempts += 1
        self.held = False
        if self.receiver == "/good":
            self.state = "COMPLETED"
        elif (self.receiver == "/bad" or
              self.attempts - self.forgiven == ATTEMPTS):
            self.state = "FAILED"
        else:
            self.state = "SERVICE_UNAVAILABLE"
            self.due = at + DELAY

    def again(self):
        self.state = "PENDING"
        self.forgiven = self.attempts


class Schedule:
    """One that makes a run each period, from its first one on."""

    def __init__(self, first, period, now):
        self.spec = first, period
        self.paused = False
        self.go_on(now)

    def go_on(self, now):
        first, period = self.spec
        self.next = first
        while self.next <= now:
            self.next += period

    def coming(self):
        first, period = self.spec
        return [self.next + n * period for n in range(5)]


def merged(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class Api(RuleBasedStateMachine):
    """Each call goes to both daemons; each run has an application of its own."""

    sides = ()
    sink = None
    number = 0
    ahead = 0  # hours, the clocks of both

    @initialize()
    def begin(self):
        Api.number += 1
        self.app = "app%d" % Api.number
        self.events = {}
        self.paused = None  # until then
        self.begun = int(self.sides[0].get(CLOCK).json()["now"])
        self.now = 0
        self.schedule, self.runs = None, {}
        self.wanted = [set() for _ in self.sides]  # runs beside their times
        for name, receiver in ("a", "/good"), ("b", "/busy"):
            self.add(name, {"n": 0}, 10.5 * HOUR, receiver, "POST", None,
                     False)

    def teardown(self):
        """There are so many pauses at a time."""
        if getattr(self, "paused", None) is not None:
            self.call("DELETE", "/cassata/pause/app/" + self.app)
        if getattr(self, "schedule", None) is not None:
            self.call("DELETE", self.schedule_path())

    # ---- calls ----

    def call(self, method, path, body=None, headers=JSON):
        """The answers of all sides, which are the same but for their times."""
        answers = []
        for c in self.sides:
            response = c.request(method, path,
                                 None if body is None
                                 else json.dumps(body).encode(),
                                 headers if body is not None else ())
            answers.append((response.status, response.json()))
        return answers

    def expect(self, answers, code, /, **members):
        for got, document in answers:
            assert got == code, (got, code, document)
            for name, value in members.items():
                assert document.get(name.replace("_", "-")) == value, document

    def verb(self, verb, name, method="POST", **kwargs):
        return self.call(method, path_of(verb, self.app, name), **kwargs)

    def settle(self, name):
        """It is due, and its receiver answers at once; or, of a pause that is
        young, whether it does is not known until the end of that."""
        event = self.events[name]
        event.held = self.paused is not None
        if event.held:
            return
        event.deliver(self.now)
        for c in self.sides:
            wait_for(lambda c=c: self.is_like(event, c.event(name, self.app)),
                     what="%s is %s after %d" % (
                         name, event.state, event.attempts))

    @staticmethod
    def is_like(event, shown):
        return (shown["status"], shown["attempts"]) == (
            event.state, event.attempts)

    def settle_if_due(self, name):
        event = self.events[name]
        if event.state in WAITS and not event.held and event.due <= self.now:
            self.settle(name)

    def pass_by(self, event):
        """What comes of it until now."""
        if event.held and (self.paused is None or self.paused <= self.now):
            event.deliver(self.paused)
        while event.state in WAITS and event.due <= self.now:
            if self.paused is not None and event.due < self.paused:
                if self.paused > self.now:
                    event.held = True
                    return
                event.deliver(self.paused)
            else:
                event.deliver(event.due)

    def document(self, name, content, expiry, receiver, method):
        return {"application-id": self.app, "event-id": name, "event": content,
                "expiry": expiry, "url": receiver, "method": method}

    def sent(self, document, how=None):
        sent = dict(document, url=self.sink.url(document["url"]),
                    expiry=self.begun + document["expiry"])
        if document["url"] == "/busy":
            sent["retry"] = {"attempts": ATTEMPTS, "jitter": 0,
                             "delays": ["%ds" % DELAY]}
        return sent if how is None else dict(sent, **{"on-conflict": how})

    def is_held(self, name):
        return name in self.events and self.events[name].held

    # ---- rules ----

    @rule(name=names, content=contents, expiry=times, receiver=all_receivers,
          method=st.sampled_from(["POST", "PUT"]), how=conflicts,
          batch=st.booleans())
    def add(self, name, content, expiry, receiver, method, how, batch):
        if self.is_held(name) or (self.paused and receiver == "/busy"):
            return
        document = self.document(name, content, expiry, receiver, method)
        if batch:
            answers = [(a["response-code"], a) for _, [a] in
                       self.call("POST", "/cassata/add-batch/",
                                 [self.sent(document, how)])]
        else:
            answers = self.call("POST", "/cassata/add/",
                                self.sent(document, how))
        self.check_add(name, document, how, answers)

    @rule(name=names)
    def add_again(self, name):
        if self.is_held(name):
            return
        event = self.events.get(name)
        if event is not None:
            answers = self.call("POST", "/cassata/add/", self.sent(event.add))
            self.expect(answers, 200, status=event.state,
                        expiry=self.begun + event.expiry)

    def check_add(self, name, document, how, answers):
        event = self.events.get(name)
        if event is None:
            self.expect(answers, 201, status="PENDING",
                        expiry=self.begun + document["expiry"])
        elif event.add == document or how == "ignore":
            self.expect(answers, 200, status=event.state,
                        expiry=self.begun + event.expiry, replaced=None)
            return
        elif how == "replace":
            self.expect(answers, 200, status="PENDING", replaced=event.state,
                        expiry=self.begun + document["expiry"])
        else:
            self.expect(answers, 409, event_status=event.state)
            return
        self.events[name] = Event(document)
        self.settle_if_due(name)

    @rule(documents=st.lists(st.tuples(names, contents, times), min_size=1,
                             max_size=4))
    def add_all_or_none(self, documents):
        if any(self.is_held(name) for name, _, _ in documents):
            return
        documents = [self.document(name, content, expiry, "/good", "POST")
                     for name, content, expiry in documents]
        answers = self.call("POST", "/cassata/add-batch/?atomic=true",
                            [self.sent(d) for d in documents])
        made = dict(self.events)
        for document in documents:
            event = made.setdefault(document["event-id"], Event(document))
            if event.add != document:
                self.expect(answers, 409)
                return
        for status, results in answers:
            assert status == 200, results
        new = [name for name in made if name not in self.events]
        self.events = made
        for name in new:
            self.settle_if_due(name)

    @rule(name=names)
    def delete(self, name):
        if self.is_held(name):
            return
        event = self.events.pop(name, None)
        answers = self.verb("delete", name, "DELETE")
        if event is None:
            self.expect(answers, 404)
        else:
            self.expect(answers, 200, status="DELETED",
                        event_status=event.state)

    @rule(name=names)
    def run_now(self, name):
        if self.is_held(name):
            return
        event = self.events.get(name)
        answers = self.verb("run", name)
        if event is None:
            self.expect(answers, 404)
        elif event.state in ENDED:
            self.expect(answers, 409, event_status=event.state)
        else:
            self.expect(answers, 200, status=event.state,
                        expiry=self.begun + event.expiry)
            self.settle(name)

    @rule(name=names)
    def retry(self, name):
        event = self.events.get(name)
        if self.is_held(name) or (self.paused and event is not None and
                                  event.receiver == "/busy"):
            return
        answers = self.verb("retry", name)
        if event is None:
            self.expect(answers, 404)
        elif event.state not in ENDED:
            self.expect(answers, 409, event_status=event.state)
        else:
            self.expect(answers, 200, status="PENDING")
            event.again()
            self.settle(name)

    @rule(name=names, content=contents | st.just({"n": None, "q": {"r": 4}}),
          expiry=times | st.none(), receiver=receivers | st.none())
    def patch(self, name, content, expiry, receiver):
        if self.is_held(name):
            return
        patch = {"event": content}
        if expiry is not None:
            patch["expiry"] = self.begun + expiry
        if receiver is not None:
            patch["url"] = self.sink.url(receiver)
        event = self.events.get(name)
        answers = self.verb("event", name, "PATCH", body=patch,
                            headers=MERGE_PATCH)
        if event is None:
            self.expect(answers, 404)
        elif event.state in ENDED:
            self.expect(answers, 409, event_status=event.state)
        else:
            event.content = merged(event.content, content)
            if expiry is not None:
                event.expiry = event.due = expiry
            event.receiver = receiver or event.receiver
            self.expect(answers, 200, status=event.state,
                        expiry=self.begun + event.expiry)
            self.settle_if_due(name)

    @rule()
    def pause(self):
        """Of what is retried it would not be known when."""
        if any(e.receiver == "/busy" and e.state in WAITS
               for e in self.events.values()):
            return
        answers = self.call("POST", "/cassata/pause/app/" + self.app,
                            {"note": "model", "until": "%ds" % PAUSE})
        self.expect(answers, 201 if self.paused is None else 200, note="model")
        self.paused = self.now + PAUSE

    @rule()
    def resume(self):
        answers = self.call("DELETE", "/cassata/pause/app/" + self.app)
        self.expect(answers, 404 if self.paused is None else 200)
        self.paused = None
        for name, event in self.events.items():
            if event.held:
                self.settle(name)

    # ---- time ----

    @rule(hours=st.sampled_from([1, 3, 7, 24]))
    def advance(self, hours):
        Api.ahead += hours
        for code, clock in self.call("POST", CLOCK,
                                     {"advance": "%dh" % hours}):
            assert (code, clock["ahead"]) == (200, Api.ahead * HOUR), clock
        self.now += hours * HOUR
        for event in self.events.values():
            self.pass_by(event)
        if self.paused is not None and self.paused <= self.now:
            self.paused = None
        schedule = self.schedule
        while (schedule is not None and not schedule.paused and
               schedule.next <= self.now):
            self.runs[schedule.next] = "COMPLETED"
            schedule.next += schedule.spec[1]

    # ---- what comes again and again ----

    def schedule_path(self, verb=""):
        return path_of("schedules", self.app + "s", "s") + verb

    def text_of(self, seconds):
        return datetime.datetime.fromtimestamp(
            self.begun + seconds, datetime.timezone.utc).strftime(
                "%Y-%m-%dT%H:%M:%SZ")

    @rule(first=st.sampled_from([0, 1, 30]), hours=st.sampled_from([4, 6]))
    def put_schedule(self, first, hours):
        first, period = first * HOUR + 40 * MINUTE, hours * HOUR
        answers = self.call("POST", self.schedule_path(), {
            "schedule": {"every": "%dh" % hours,
                         "start": self.text_of(first)},
            "event": {"url": self.sink.url("/good"), "event": {}}})
        self.expect(answers, 201 if self.schedule is None else 200)
        if self.schedule is None or self.schedule.spec != (first, period):
            paused = self.schedule is not None and self.schedule.paused
            self.schedule = Schedule(first, period, self.now)
            self.schedule.paused = paused

    @rule(verb=st.sampled_from(["/pause", "/resume", "/run"]))
    def change_schedule(self, verb):
        answers = self.call("POST", self.schedule_path(verb))
        if self.schedule is None:
            self.expect(answers, 404)
        elif verb == "/run":
            self.expect(answers, 201)
            for c, wanted, (_, run) in zip(self.sides, self.wanted, answers):
                wanted.add(run["event-id"])
                c.wait_state(run["event-id"], "COMPLETED", app=self.app + "s")
        else:
            self.expect(answers, 200)
            if verb == "/resume" and self.schedule.paused:
                self.schedule.go_on(self.now)
            self.schedule.paused = verb == "/pause"

    @rule()
    def delete_schedule(self):
        answers = self.call("DELETE", self.schedule_path())
        self.expect(answers, 404 if self.schedule is None else 200)
        self.schedule = None

    @rule(verb=st.sampled_from(["run", "retry", "delete"]),
          dry=st.booleans())
    def job(self, verb, dry):
        if any(e.held for e in self.events.values()) or (
                self.paused and verb == "retry"):
            return
        states = {"run": WAITS, "retry": {"FAILED"}, "delete": WAITS | ENDED}
        meant = [n for n, e in self.events.items()
                 if e.state in states[verb]]
        answers = self.call("POST", "/cassata/jobs/" + self.app, {
            "verb": verb, "filter": {}, "dry-run": dry})
        for c, (code, made) in zip(self.sides, answers):
            assert code == 202, made
            done = wait_for(lambda: self.ended_job(c, made["job"]))
            assert done["matched"] == len(meant), done
            assert done["done"] == (0 if dry else len(meant)), done
        for name in () if dry else meant:
            if verb == "delete":
                del self.events[name]
                continue
            if verb == "retry":
                self.events[name].again()
            self.settle(name)

    def ended_job(self, c, job):
        answer = c.get("/cassata/jobs/%s/%s" % (self.app, job)).json()
        return answer if answer["state"] == "done" else None

    @rule(kill=st.booleans(), lot=st.integers(0, 9))
    def restart(self, kill, lot):
        for c in self.sides if lot == 9 else ():
            if kill:
                c.abandon()
            else:
                c.stop()
            c.flags = ["--test-clock=%dh" % Api.ahead]
            c.start()

    # ---- what holds after each ----

    @invariant()
    def is_shown(self):
        for name in NAMES:
            event = self.events.get(name)
            answers = self.verb("event", name, "GET")
            if event is None:
                self.expect(answers, 404)
                continue
            if event.held:
                self.expect(answers, 200, event=event.content)
                continue
            self.expect(answers, 200, status=event.state, event=event.content,
                        expiry=self.begun + event.expiry,
                        attempts=event.attempts,
                        method=event.method, url=self.sink.url(event.receiver))

    @invariant()
    def is_listed(self):
        answers = self.call("GET", "/cassata/events/%s?fields=event-id,status"
                            % self.app)
        for code, document in answers:
            assert code == 200
            shown = {e["event-id"]: e["status"] for e in document["events"]}
            assert len(shown) == len(document["events"])
            assert shown.keys() == self.events.keys()
            assert all(e.held or shown[n] == e.state
                       for n, e in self.events.items()), shown

    @invariant()
    def is_scheduled(self):
        answers = self.call("GET", self.schedule_path())
        schedule = self.schedule
        if schedule is None:
            self.expect(answers, 404)
        else:
            self.expect(answers, 200,
                        status="PAUSED" if schedule.paused else "ACTIVE")
        if schedule is not None and not schedule.paused:
            for _, document in answers:
                assert document["next"] == [
                    self.text_of(t) for t in schedule.coming()], document

    @invariant()
    def runs_are_listed(self):
        runs = {"s@" + self.text_of(t): state
                for t, state in self.runs.items()}
        if self.schedule is not None and not self.schedule.paused:
            runs["s@" + self.text_of(self.schedule.next)] = "PENDING"
        answers = self.call("GET", "/cassata/events/%ss?limit=1000"
                            "&fields=event-id,status" % self.app)
        for wanted, (code, document) in zip(self.wanted, answers):
            assert code == 200 and "next" not in document, document
            assert {e["event-id"]: e["status"]
                    for e in document["events"]} == {
                        **runs, **{i: "COMPLETED" for i in wanted}}


@pytest.fixture(autouse=True)
def time_limit():
    """As long as its examples take."""


@pytest.fixture
def sides(builddir, new_sqlite, mysql_server):
    made = [cassata.Cassata(builddir, new(), flags=["--test-clock"],
                            worker={"httpRetryCount": 0})
            for new in (new_sqlite, mysql_server.new)]
    try:
        for c in made:
            c.start()
        yield made
        for c in made:
            c.end()
    finally:
        for c in made:
            c.remove()


def test_model(sides, request):
    request.node.daemons = sides
    with Sink() as sink:
        sink.on("/bad", 404)
        sink.on("/busy", 503)
        Api.sides, Api.sink = sides, sink
        print("MODEL_SEED=%d" % SEED)
        seed(SEED)(Api)
        run_state_machine_as_test(Api, settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None,
            database=None, print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck)))
