# SPDX-License-Identifier: ISC
"""Labels: what clients find events by."""

import hashlib
import json
import time

import pytest

from cassata import wait_for
from client import Connection, path_of
from sink import Reply
from test_api import FAR, assert_problem
from test_list import ask, ids, names, page, pages, rows
from test_pause import begin_pause, resume


def n_rows(store):
    return int(store.sql("SELECT COUNT(*) FROM label")[0][0])


def patch(c, name, changes):
    return c.request("PATCH", path_of("event", "app", name),
                     json.dumps(changes).encode())


def key_of(label, app="app"):
    """As the table has it."""
    return hashlib.sha256(
        app.encode() + b"\0" + label.encode()).digest()[:16]


def label_rows(store, n, label, first=1, due="%d + i" % (FAR * 1000)):
    """Puts that label to the events of rows()."""
    digits = " UNION ALL ".join("SELECT %d" % d for d in range(10))
    store.sql(
        "INSERT INTO label (event, number, k, due_ms) WITH digit (d) AS (%s),"
        " number (i) AS (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + %d"
        " FROM digit AS a, digit AS b, digit AS c, digit AS e)"
        " SELECT i, 0, X'%s', %s FROM number WHERE i < %d" % (
            digits, first, key_of(label).hex(), due, first + n))


def options_of(store, **labels):
    """For rows(): SQL of the column options."""
    text = json.dumps({"labels": labels}, separators=(",", ":"))
    return {"mysql": "X'%s'", "sqlite": "X'%s'"}[store.kind] % (
        text.encode().hex())


# ---- what a client sees ----

def test_add_and_list(launch, store):
    c = launch(roles="service")
    odd = "ü=\"\\+&%"
    c.schedule("both", "http://a.example/", FAR + 2,
               labels={"order.no": odd, "customer": "42"})
    c.schedule("one", "http://b.example/", FAR + 1,
               labels={"customer": "42", "by": "A B"})
    c.schedule("other", "http://a.example/", FAR, labels={"customer": "43"})
    c.schedule("none", "http://a.example/", FAR - 1)
    c.schedule("one", "http://a.example/", FAR, app="app2",
               labels={"customer": "42"})
    assert n_rows(store) == 6

    assert ids(c, label="customer=42") == ["one", "both"]
    assert ids(c, label="customer=42", order="-due") == ["both", "one"]
    assert ids(c, label="order.no=" + odd) == ["both"]
    assert c.get("/cassata/events/app?label=by=A%20B&fields=event-id"
                 ).json() == {"events": [{"event-id": "one"}]}
    assert ids(c, label="customer=4") == ids(c, label="Customer=42") == []
    assert ids(c, "app2", label="customer=42") == ["one"]
    assert ids(c, label="customer=42", destination="b.example") == ["one"]
    assert ids(c, label="customer=42", from_=FAR + 2) == ["both"]
    assert ids(c, label="customer=42", to=FAR + 2, status="PENDING") == ["one"]
    assert ids(c, label="customer=42", status="FAILED") == []
    whole = c.event("both")
    assert whole["labels"] == {"order.no": odd, "customer": "42"}
    assert "labels" not in c.event("none")
    assert page(c, fields="event-id,labels")["events"] == [
        {"event-id": "none"},
        {"event-id": "other", "labels": {"customer": "43"}},
        {"event-id": "one", "labels": {"customer": "42", "by": "A B"}},
        {"event-id": "both", "labels": whole["labels"]}]
    [listed] = page(c, label="order.no=" + odd)["events"]
    assert listed["labels"] == whole["labels"]


def test_all_of_several(daemon, name):
    def find(*labels, **query):
        query = "&".join(["label=%s%s" % (name, label) for label in labels] +
                         ["%s=%s" % pair for pair in query.items()])
        response = daemon.get("/cassata/events/app?" + query)
        assert response.status == 200, response
        return response.json()
    eight = {"%s%d" % (name, i): "v" for i in range(8)}
    daemon.schedule(name + "all", "http://a.example/", FAR, labels=eight)
    daemon.schedule(name + "two", "http://a.example/", FAR + 1,
                    labels={name + "0": "v", name + "1": "w"})

    def listed(*labels):
        return [e["event-id"][len(name):] for e in find(*labels)["events"]]
    assert listed("0=v") == ["all", "two"]
    assert listed("0=v", "1=v") == listed("1=v", "0=v") == ["all"]
    assert listed("1=w", "0=v") == ["two"]
    assert listed("1=w", "7=v") == []
    assert listed(*("%d=v" % i for i in range(8))) == ["all"]
    # Whichever of them is read, the pages are of one list.
    first = find("0=v", "1=v", limit=1)
    if "next" in first:
        assert find("1=v", "0=v", limit=1, after=first["next"])["events"] == []


def test_same_event(daemon, name):
    """Other labels are other content; their order is none."""
    event = {"application-id": "app", "event-id": name, "event": 1,
             "expiry": FAR, "url": "http://127.0.0.1:1/",
             "labels": {"a": "1", "b": "2"}}
    assert daemon.post(event).status == 201
    assert daemon.post(event).status == 200
    event["labels"] = {"b": "2", "a": "1"}
    assert daemon.post(event).status == 200
    for labels in {"a": "1"}, {"a": "1", "b": "3"}, {}, None:
        other = {**event, "labels": labels}
        if labels is None:
            del other["labels"]
        assert daemon.post(other).status == 409
    batch = json.dumps([event, {**event, "event-id": name + "2",
                                "labels": {"batch": name}}])
    with Connection(daemon.port) as conn:
        for atomic in "", "?atomic=true":
            conn.send_request("POST", "/cassata/add-batch/" + atomic,
                              batch.encode())
            answer = conn.read_response().json()
            assert [e["response-code"] for e in answer] == [
                200, 200 if atomic else 201]
    assert ids(daemon, label="batch=" + name) == [name + "2"]


@pytest.mark.parametrize("labels, pointer, detail", [
    ([], "/labels", "must be an object"),
    (None, "/labels", "must be an object"),
    ({"a": 1}, "/labels/a", "must be a string"),
    ({"a": "1" * 65}, "/labels/a", "64 bytes"),
    ({"a": "\n"}, "/labels/a", "control characters"),
    ({"a b": ""}, "/labels", "letters, digits"),
    ({"": ""}, "/labels", "1 to 32"),
    ({"a" * 33: ""}, "/labels", "1 to 32"),
    ({str(i): "" for i in range(9)}, "/labels/8", "at most 8"),
])
def test_bad_labels(daemon, name, labels, pointer, detail):
    response = daemon.post({
        "application-id": "app", "event-id": name, "event": 1, "expiry": FAR,
        "url": "http://127.0.0.1:1/", "labels": labels})
    [error] = assert_problem(response, 422)["errors"]
    assert error["pointer"] == pointer and detail in error["detail"]


@pytest.mark.parametrize("query, detail", [
    ("label=", "NAME=VALUE"), ("label=a", "NAME=VALUE"),
    ("label=%3D1", "1 to 32"), ("label=a%20b=1", "letters, digits"),
    ("label=a=" + "1" * 65, "64 bytes"), ("label=a=%0A", "control"),
    ("label=a=1&label=a=2", "two labels of one name"),
    ("&".join("label=%d=" % i for i in range(9)), "at most 8"),
    ("labels=a=1", "the query may have"),
])
def test_bad_query(daemon, query, detail):
    response = daemon.get("/cassata/events/app?" + query)
    assert detail in assert_problem(response, 400)["detail"]


def test_patch(launch, store):
    c = launch(roles="service")
    c.schedule("e", "http://127.0.0.1:1/", FAR, labels={"a": "1", "b": "2"},
               not_after=FAR + 100)
    tag = c.get(path_of("event", "app", "e")).header("ETag")
    response = patch(c, "e", {"labels": {"a": None, "c": "3"}})
    assert response.status == 200
    assert response.header("ETag") not in (None, tag)
    assert c.event("e")["labels"] == {"b": "2", "c": "3"}
    assert c.event("e")["not-after"] == FAR + 100
    assert ids(c, label="a=1") == []
    assert ids(c, label="b=2") == ids(c, label="c=3") == ["e"]
    assert patch(c, "e", {"labels": {"b": "4"}, "expiry": FAR + 9,
                          "url": "http://127.0.0.1:2/"}).status == 200
    assert c.event("e")["labels"] == {"b": "4", "c": "3"}
    assert ids(c, label="b=4", from_=FAR + 9, to="%d.001" % (FAR + 9)) == ["e"]
    assert ids(c, label="b=4", to=FAR + 9) == []
    assert patch(c, "e", {"expiry": FAR + 10}).status == 200
    assert ids(c, label="c=3", from_=FAR + 10) == ["e"]

    nine = {str(i): "" for i in range(7)}
    assert "more than 8" in assert_problem(
        patch(c, "e", {"labels": nine}), 422)["detail"]
    for bad in [], "a=1", {"a": 1}, {"a b": None}:
        assert assert_problem(patch(c, "e", {"labels": bad}), 422)[
            "errors"][0]["pointer"].startswith("/labels")
    assert c.event("e")["labels"] == {"b": "4", "c": "3"}
    assert n_rows(store) == 2
    assert patch(c, "e", {"labels": {**nine, "b": None}}).status == 200
    assert n_rows(store) == 8
    assert patch(c, "e", {"labels": None}).status == 200
    assert "labels" not in c.event("e")
    assert n_rows(store) == 0
    # The add stays the one that made it.
    assert c.post({"application-id": "app", "event-id": "e", "event": {},
                   "expiry": FAR, "url": "http://127.0.0.1:1/",
                   "not-after": FAR + 100,
                   "labels": {"a": "1", "b": "2"}}).status == 200


def test_replaced(launch, store):
    """The labels of what another event takes the place of go with it."""
    c = launch(roles="service")
    event = {"application-id": "app", "event-id": "e", "event": 1,
             "expiry": FAR, "url": "http://127.0.0.1:1/",
             "labels": {"a": "1", "b": "2"}}
    assert c.post(event).status == 201
    other = {**event, "on-conflict": "replace", "expiry": FAR + 1,
             "labels": {"b": "2", "c": "3"}}
    assert c.post(other).status < 300
    assert ids(c, label="a=1") == []
    assert ids(c, label="b=2", from_=FAR + 1) == ids(c, label="c=3") == ["e"]
    assert n_rows(store) == 2
    pushed = {"application-id": "app", "event-id": "pushed", "event": 1,
              "in": "1h", "url": "http://127.0.0.1:1/", "labels": {"p": "1"},
              "on-conflict": "debounce"}
    for status in 201, 200:
        assert c.post(pushed).status == status
    at = c.event("pushed")["expiry"]
    assert ids(c, label="p=1", from_="%.3f" % at) == ["pushed"]
    # One batch has an event and what takes its place.
    batch = [{**event, "event-id": "new"}, {**other, "event-id": "new"}]
    with Connection(c.port) as conn:
        conn.send_request("POST", "/cassata/add-batch/",
                          json.dumps(batch).encode())
        assert all(e["response-code"] < 300
                   for e in conn.read_response().json())
    assert ids(c, label="c=3") == ["e", "new"]
    assert n_rows(store) == 5


# ---- where events are ----

def test_delivered(launch, store, sink):
    """At each time that an event is due, or ended, its label is there too."""
    c = launch(worker={"retryDelays": ["1h"], "retryJitter": 0})
    sink.on("/retried", 503, 200)
    sink.on("/failed", 404, 200)
    for event_id in "good", "retried", "failed":
        c.schedule(event_id, sink.url("/" + event_id), labels={"a": event_id})
    c.schedule("plain", sink.url("/plain"))
    c.wait_state("good", "COMPLETED")
    c.wait_state("failed", "FAILED")
    c.wait_state("retried", "SERVICE_UNAVAILABLE")
    for event_id in "good", "retried", "failed":
        [event] = page(c, label="a=" + event_id)["events"]
        at = event.get("finished", event.get("next-attempt"))
        assert ids(c, label="a=" + event_id, from_="%.3f" % at,
                   to="%.3f" % (at + 0.001)) == [event_id]
    assert c.request("POST", path_of("run", "app", "retried")).status == 200
    c.wait_state("retried", "COMPLETED")
    assert ids(c, label="a=retried", to=time.time() + 60) == ["retried"]
    assert c.request("POST", path_of("retry", "app", "failed")).status == 200
    assert c.wait_state("failed", "COMPLETED")["labels"] == {"a": "failed"}
    assert ids(c, label="a=failed", status="COMPLETED") == ["failed"]
    assert n_rows(store) == 3
    for event_id in "good", "retried", "failed":
        assert c.delete(event_id).status == 200
    assert n_rows(store) == 0


def test_paused(launch, store, sink):
    """What a pause holds back is behind all others, and then where it ended."""
    c = launch()
    begin_pause(c, "app", "app")
    c.schedule("held", sink.url("/e"), labels={"a": "1"})
    c.schedule("later", sink.url("/e"), FAR, labels={"a": "1"})
    wait_for(lambda: ids(c, label="a=1") == ["later", "held"])
    assert ids(c, label="a=1", order="-due") == ["held", "later"]
    assert resume(c, "app", "app").status == 200
    event = c.wait_state("held", "COMPLETED")
    assert ids(c, label="a=1", limit=1) == ["held", "later"]
    assert ids(c, label="a=1", from_="%.3f" % event["finished"],
               to=FAR) == ["held"]


# ---- a range of an index ----

def test_pages(launch, store):
    """Of events with the label alone, however many others there are: as many
    rows are read anywhere in the list."""
    c = launch(roles="service", service={"maxListScan": 1000})
    rows(store, 20000, options=options_of(store, a="1"))
    rows(store, 3000, 30000, options=options_of(store, a="2"))
    label_rows(store, 3000, "a=2", 30000)
    assert len(list(
        pages(c, label="a=2", limit=600, fields="event-id"))) <= 6
    expected = names(*range(30000, 33000))
    assert ids(c, label="a=2", limit=700, fields="event-id") == expected
    assert ids(c, label="a=2", limit=1000, fields="event-id",
               order="-due") == expected[::-1]
    assert ids(c, label="a=2", from_=FAR + 32.99, fields="event-id") == names(
        *range(32990, 33000))
    if store.kind != "mysql":
        return  # its statements name the index, or fail

    def n_read():
        return sum(int(n) for _, n in store.sql(
            "SHOW GLOBAL STATUS LIKE 'Handler\\_read%'"))
    at = None
    for limit in 100, 2000 // 4, 100:
        query = {"label": "a=2", "limit": limit, "fields": "event-id"}
        if at is not None:
            query["after"] = at
        before = n_read()
        answer = page(c, **query)
        assert len(answer["events"]) == limit
        assert n_read() - before < 5 * limit + 500
        at = answer["next"]


def test_equal_times(launch, store):
    c = launch(roles="service")
    rows(store, 700, due_ms="%d" % (FAR * 1000),
         options=options_of(store, a="2"))
    label_rows(store, 700, "a=2", due="%d" % (FAR * 1000))
    query = {"limit": 300, "label": "a=2"}
    assert ids(c, **query) == names(*range(1, 701))
    assert ids(c, order="-due", **query) == names(*range(700, 0, -1))


def test_cursor(launch, store):
    c = launch(roles="service")
    rows(store, 10, options=options_of(store, a="2"))
    label_rows(store, 10, "a=2")
    cursor = page(c, limit=3, label="a=2")["next"]
    assert [e["event-id"] for e in page(
        c, label="a=2", after=cursor)["events"]] == names(*range(4, 11))
    assert_problem(ask(c, after=cursor), 400)
    assert_problem(ask(c, label="a=3", after=cursor), 400)


def test_what_is_not_so(launch, store):
    """The index may be wrong, by an older daemon or by hand: events say what
    labels they have, and each is told once."""
    c = launch(roles="service")
    rows(store, 5, options=options_of(store, a="2"))
    label_rows(store, 7, "a=2")  # 6 and 7 are gone
    store.sql("UPDATE event SET options = X'7b7d' WHERE id = 1")
    store.sql("UPDATE event SET options = X'00' WHERE id = 2")
    store.sql("UPDATE event SET due_ms = 1 WHERE id = 4")
    for limit in 1, 100:
        assert ids(c, label="a=2", limit=limit) == names(3, 4, 5)
    assert sorted(ids(c)) == names(1, 2, 3, 4, 5)


# ---- cassatactl ----

def test_cassatactl(launch, store):
    c = launch(roles="service")

    def ctl(*words, returncode=0):
        done = c.ctl("service", "event", *words)
        assert done.returncode == returncode, done
        return done
    for i, words in enumerate((
            ["--label", "a=1"], ["--label", "a=1", "--label", "b=x=y"], [])):
        ctl("add", "-a", "app", "-i", "e%d" % i, "-t", "%dh" % (i + 1),
            *words, "http://127.0.0.1:1/")

    def listed(*words):
        lines = ctl("list", "app", "--json", *words).stdout.splitlines()
        return [json.loads(line)["event-id"] for line in lines]
    assert listed() == ["e0", "e1", "e2"]
    assert listed("--label", "a=1") == ["e0", "e1"]
    assert listed("--label", "a=1", "--label", "b=x=y") == ["e1"]
    assert json.loads(ctl("show", "app", "e1").stdout)["labels"] == {
        "a": "1", "b": "x=y"}
    assert "usage" in ctl("add", "--label", "a", "http://127.0.0.1:1/",
                          returncode=2).stderr
    assert "NAME=VALUE" in ctl(
        "list", "app", "--label", "a", returncode=1).stderr
