# SPDX-License-Identifier: ISC
"""Random calls of the API against a small model of what an event is, on SQLite
and MariaDB side by side: whatever is answered must be what the model says.

Waits for nothing but results: events are due in ten hours, or now, and what is
due now ends at its first answer. MODEL_EXAMPLES, MODEL_STEPS and MODEL_SEED set
how much is tried, and what."""

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
FAR = int(time.time()) + 36000
ENDED = {"COMPLETED", "FAILED"}
WAITS = {"PENDING"}
JSON = [("Content-Type", "application/json")]
MERGE_PATCH = [("Content-Type", "application/merge-patch+json")]

names = st.sampled_from(NAMES)
contents = st.sampled_from([{"n": 1}, {"n": 2, "o": {"p": None}}, "text", [3]])
times = st.sampled_from([FAR, FAR + 0.5, FAR + 60])
receivers = st.sampled_from(["/good", "/bad"])
conflicts = st.sampled_from(["reject", "ignore", "replace", None])


class Event:
    """What there is to know of one."""

    def __init__(self, add):
        self.add = add  # a repeat of it changes nothing
        self.content = add["event"]
        self.expiry = add["expiry"]
        self.receiver = add["url"]
        self.method = add["method"]
        self.state = "PENDING"
        self.attempts = 0
        self.held = False  # due, and its application is paused

    def deliver(self):
        self.attempts += 1
        self.state = "FAILED" if self.receiver == "/bad" else "COMPLETED"


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

    @initialize()
    def begin(self):
        Api.number += 1
        self.app = "app%d" % Api.number
        self.events = {}
        self.paused = False
        for name, receiver in ("a", "/good"), ("b", "/bad"):
            self.add(name, {"n": 0}, FAR, receiver, "POST", None, False)

    def teardown(self):
        """There are so many pauses at a time."""
        if getattr(self, "paused", False):
            self.call("DELETE", "/cassata/pause/app/" + self.app)

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
        event.held = self.paused
        if event.held:
            return
        event.deliver()
        for c in self.sides:
            shown = c.wait_state(name, *ENDED, app=self.app)
            assert shown["status"] == event.state, shown

    def document(self, name, content, expiry, receiver, method):
        return {"application-id": self.app, "event-id": name, "event": content,
                "expiry": expiry, "url": receiver, "method": method}

    def sent(self, document, how=None):
        sent = dict(document, url=self.sink.url(document["url"]))
        return sent if how is None else dict(sent, **{"on-conflict": how})

    def is_held(self, name):
        return name in self.events and self.events[name].held

    # ---- rules ----

    @rule(name=names, content=contents, expiry=times, receiver=receivers,
          method=st.sampled_from(["POST", "PUT"]), how=conflicts,
          batch=st.booleans())
    def add(self, name, content, expiry, receiver, method, how, batch):
        if self.is_held(name):
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
            self.expect(answers, 200, status=event.state, expiry=event.expiry)

    def check_add(self, name, document, how, answers):
        event = self.events.get(name)
        if event is None:
            self.expect(answers, 201, status="PENDING",
                        expiry=document["expiry"])
        elif event.add == document or how == "ignore":
            self.expect(answers, 200, status=event.state, expiry=event.expiry,
                        replaced=None)
            return
        elif how == "replace":
            self.expect(answers, 200, status="PENDING", replaced=event.state,
                        expiry=document["expiry"])
        else:
            self.expect(answers, 409, event_status=event.state)
            return
        self.events[name] = Event(document)

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
        self.events = made

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
            self.expect(answers, 200, status="PENDING", expiry=event.expiry)
            self.settle(name)

    @rule(name=names)
    def retry(self, name):
        if self.is_held(name):
            return
        event = self.events.get(name)
        answers = self.verb("retry", name)
        if event is None:
            self.expect(answers, 404)
        elif event.state not in ENDED:
            self.expect(answers, 409, event_status=event.state)
        else:
            self.expect(answers, 200, status="PENDING")
            self.settle(name)

    @rule(name=names, content=contents | st.just({"n": None, "q": {"r": 4}}),
          expiry=times | st.none(), receiver=receivers | st.none())
    def patch(self, name, content, expiry, receiver):
        if self.is_held(name):
            return
        patch = {"event": content}
        if expiry is not None:
            patch["expiry"] = expiry
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
            event.expiry = expiry if expiry is not None else event.expiry
            event.receiver = receiver or event.receiver
            self.expect(answers, 200, status="PENDING", expiry=event.expiry)

    @rule()
    def pause(self):
        answers = self.call("POST", "/cassata/pause/app/" + self.app,
                            {"note": "model", "until": "1h"})
        self.expect(answers, 200 if self.paused else 201, note="model")
        self.paused = True

    @rule()
    def resume(self):
        answers = self.call("DELETE", "/cassata/pause/app/" + self.app)
        self.expect(answers, 200 if self.paused else 404)
        self.paused = False
        for name, event in self.events.items():
            if event.held:
                self.settle(name)

    @rule(verb=st.sampled_from(["run", "retry", "delete"]),
          dry=st.booleans())
    def job(self, verb, dry):
        if any(e.held for e in self.events.values()):
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
            else:
                self.settle(name)

    def ended_job(self, c, job):
        answer = c.get("/cassata/jobs/%s/%s" % (self.app, job)).json()
        return answer if answer.get("state") == "done" else None

    @rule(kill=st.booleans(), lot=st.integers(0, 9))
    def restart(self, kill, lot):
        for c in self.sides if lot == 9 else ():
            if kill:
                c.abandon()
            else:
                c.stop()
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
                        expiry=event.expiry, attempts=event.attempts,
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


@pytest.fixture(autouse=True)
def time_limit():
    """As long as its examples take."""


@pytest.fixture
def sides(builddir, new_sqlite, mysql_server):
    made = [cassata.Cassata(builddir, new(), worker={"httpRetryCount": 0})
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
        Api.sides, Api.sink = sides, sink
        print("MODEL_SEED=%d" % SEED)
        seed(SEED)(Api)
        run_state_machine_as_test(Api, settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None,
            database=None, print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck)))
