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
from client import path_of
from sink import Sink

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "40"))
STEPS = int(os.environ.get("MODEL_STEPS", "40"))
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
        """It is due, and its receiver answers at once."""
        event = self.events[name]
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

    # ---- rules ----

    @rule(name=names, content=contents, expiry=times, receiver=receivers,
          method=st.sampled_from(["POST", "PUT"]), how=conflicts,
          batch=st.booleans())
    def add(self, name, content, expiry, receiver, method, how, batch):
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
        event = self.events.pop(name, None)
        answers = self.verb("delete", name, "DELETE")
        if event is None:
            self.expect(answers, 404)
        else:
            self.expect(answers, 200, status="DELETED",
                        event_status=event.state)

    @rule(name=names)
    def run_now(self, name):
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
            self.expect(answers, 200, status=event.state, event=event.content,
                        expiry=event.expiry, attempts=event.attempts,
                        method=event.method, url=self.sink.url(event.receiver))

    @invariant()
    def is_listed(self):
        answers = self.call("GET", "/cassata/events/%s?fields=event-id,status"
                            % self.app)
        want = sorted((n, e.state) for n, e in self.events.items())
        for status, document in answers:
            assert status == 200
            assert sorted((e["event-id"], e["status"])
                          for e in document["events"]) == want


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
