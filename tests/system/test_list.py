# SPDX-License-Identifier: ISC
"""GET /cassata/events/{app}: which events, in what order, page by page."""

import json
import re
import signal
import time
from urllib.parse import urlencode

import pytest

from cassata import wait_for
from client import Connection
from test_api import FAR, assert_problem

NOW = int(time.time())
# Of the column status.
WAITING, PROCESSING, COMPLETED, FAILED = range(4)
STATES = ["PENDING", "PROCESSING", "COMPLETED", "FAILED"]
QUARANTINE_MS = 1 << 48


def rows(store, n, first=1, app="app", /, **columns):
    """Puts n rows into the table: number i, from first, is event "eI"; columns
    are SQL of i."""
    digits = " UNION ALL ".join("SELECT %d" % d for d in range(10))
    places = range(len(str(n)))
    numbers = "SELECT %s + %d AS i FROM %s" % (
        " + ".join("d%d.d * %d" % (p, 10 ** p) for p in places), first,
        ", ".join("digit AS d%d" % p for p in places))
    text = {"mysql": "LPAD(i, 16, '0')",
            "sqlite": "CAST(printf('%016d', i) AS BLOB)"}[store.kind]
    event_id = {"mysql": "CONCAT('e', i)",
                "sqlite": "CAST('e' || i AS BLOB)"}[store.kind]
    blob = {"mysql": "'%s'", "sqlite": "CAST('%s' AS BLOB)"}[store.kind]
    values = {
        "id": "i", "k": text, "shard": "i % 64", "status": "0",
        "attempts": "0", "owner": "0", "due_ms": "%d + i" % (FAR * 1000),
        "expiry_ms": "%d + i" % (FAR * 1000), "created_ms": "i",
        "fingerprint": text, "app": blob % app, "event_id": event_id,
        "method": blob % "POST", "url": blob % "http://a.example/x",
        "headers": blob % "X: y\n", "body_is_text": "0", "body": blob % "{}",
        "last_code": "0", "last_error": blob % ""}
    values.update(columns)
    store.sql(
        "INSERT INTO event (%s) WITH digit (d) AS (%s), number (i) AS (%s)"
        " SELECT %s FROM number WHERE i < %d" % (
            ", ".join(values), digits, numbers, ", ".join(values.values()),
            first + n))


@pytest.fixture
def service(launch):
    """Nobody delivers: rows stay as they are put."""
    return launch(roles="service")


def ask(daemon, app="app", /, **query):
    query = {k.rstrip("_"): v for k, v in query.items()}
    return daemon.get("/cassata/events/%s?%s" % (app, urlencode(query)))


def page(daemon, app="app", /, **query):
    response = ask(daemon, app, **query)
    assert response.status == 200, response
    assert response.header("Content-Type") == "application/json"
    answer = response.json()
    assert set(answer) <= {"events", "next", "damaged"}
    return answer


def pages(daemon, app="app", /, **query):
    """All of them."""
    answer = page(daemon, app, **query)
    yield answer
    while "next" in answer:
        answer = page(daemon, app, after=answer["next"], **query)
        yield answer


def ids(daemon, app="app", /, **query):
    return [e["event-id"] for p in pages(daemon, app, **query)
            for e in p["events"]]


def names(*numbers):
    return ["e%d" % i for i in numbers]


def test_members(launch, sink):
    """An event of a list is the one that is asked for by its ids."""
    c = launch()
    sink.on("/bad", 404)
    c.schedule("waits", sink.url("/later"), FAR, request_headers=["X-A: b"],
               event={"n": [1]})
    c.schedule("text", sink.url("/later"), FAR + 1, event="a\u00e9",
               method="PUT", not_after=FAR + 9)
    c.schedule("good", sink.url("/good"))
    c.schedule("bad", sink.url("/bad"))
    c.wait_state("good", "COMPLETED")
    c.wait_state("bad", "FAILED")
    c.schedule("other", sink.url("/later"), FAR, app="another")
    listed = {e["event-id"]: e for e in page(
        c, fields="application-id,event-id,status,expiry,created,attempts,"
        "first-attempt,next-attempt,finished,last-response-code,last-error,"
        "url,method,request-headers,not-after,retry,event")["events"]}
    assert set(listed) == {"waits", "text", "good", "bad"}
    for event_id, event in listed.items():
        whole = c.event(event_id)
        del whole["attempt-log"]
        assert event == whole
    usual = {e["event-id"]: e for e in page(c)["events"]}
    for event_id, event in usual.items():
        assert event.items() < listed[event_id].items()
        assert set(listed[event_id]) - set(event) == {
            "request-headers", "event"}
    assert page(c, fields="status,event-id", status="FAILED") == {
        "events": [{"event-id": "bad", "status": "FAILED"}]}


def test_order_and_limit(service, store):
    """By time and then by row, whichever their shards, states and pages."""
    rows(store, 99, status="i % 4",
         due_ms="%d - i %% 7" % (FAR * 1000))
    expected = sorted(range(1, 100), key=lambda i: (-(i % 7), i))
    for limit in 20, 98:
        assert ids(service, limit=limit) == names(*expected)
        assert ids(service, limit=limit, order="due") == names(*expected)
        assert ids(service, limit=limit, order="-due") == \
            names(*reversed(expected))
    assert [len(p["events"]) for p in pages(service, limit=98)] == [98, 1]
    rows(store, 50, 100)
    assert len(page(service)["events"]) == 100
    assert page(service, "nobody") == {"events": []}


def test_equal_times(service, store):
    """What is due at one time is any number of events; all may be in one
    shard."""
    rows(store, 700, due_ms="%d" % (FAR * 1000),
         shard="CASE WHEN i < 400 THEN 5 ELSE i % 64 END")
    query = {"limit": 300, "status": "PENDING"}
    assert ids(service, **query) == names(*range(1, 701))
    assert ids(service, order="-due", **query) == names(*range(700, 0, -1))


def test_filters(service, store):
    rows(store, 200, status="i % 4", due_ms="1000 * i")
    rows(store, 50, 1000, "other", due_ms="1000 * i")
    for state, name in enumerate(STATES):
        assert ids(service, status=name) == names(*range(state or 4, 201, 4))
    assert ids(service, status="FAILED,COMPLETED") == names(
        *(i for i in range(1, 201) if i % 4 >= 2))
    store.sql("UPDATE event SET last_code = 503 WHERE id = 8")
    store.sql("UPDATE event SET last_error = %s WHERE id = 12"
              % {"mysql": "'no'", "sqlite": "x'6e6f'"}[store.kind])
    assert ids(service, status="SERVICE_UNAVAILABLE") == names(8, 12)
    assert ids(service, status="PENDING", to=17) == names(4, 16)
    # From there, to before that; a fraction and a date are times, too.
    assert ids(service, from_=10, to=13) == names(10, 11, 12)
    assert ids(service, from_="10.001", to="13.0019", order="-due") == names(
        13, 12, 11)
    assert ids(service, from_="1970-01-01T00:00:10Z",
               to="1970-01-01T01:00:13+01:00") == names(10, 11, 12)
    assert ids(service, from_=300) == ids(service, to=0) == []
    assert ids(service, from_=20, to=10) == []
    assert len(ids(service, "other")) == 50


def test_destination(service, store):
    rows(store, 4, url={
        "mysql": "ELT(i, 'http://a.example/x', 'https://A.EXAMPLE:444/y',"
        " 'http://b.example/a.example', 'http://[::1]:1/')",
        "sqlite": "CAST(CASE i WHEN 1 THEN 'http://a.example/x' WHEN 2 THEN"
        " 'https://A.EXAMPLE:444/y' WHEN 3 THEN 'http://b.example/a.example'"
        " ELSE 'http://[::1]:1/' END AS BLOB)"}[store.kind])
    assert ids(service, destination="a.example") == names(1, 2)
    assert ids(service, destination="A.example:444") == names(2)
    assert ids(service, destination="b.example") == names(3)
    assert ids(service, destination="[::1]:1") == names(4)
    assert ids(service, destination="c.example") == []
    assert len(list(pages(service, destination="a.example", limit=1))) == 3


def test_quarantine(service, store):
    """Events that are delivered alone come behind all others, in any order of
    the rest; the time that they tell is theirs."""
    rows(store, 8, due_ms="1000 * i")
    store.sql("UPDATE event SET suspect = 2, due_ms = due_ms + %d"
              " WHERE id IN (3, 5)" % QUARANTINE_MS)
    rest = [i for i in range(1, 9) if i not in (3, 5)]
    for limit in 1, 4:
        assert ids(service, limit=limit) == names(*rest, 3, 5)
        assert ids(service, limit=limit, order="-due") == names(
            5, 3, *reversed(rest))
        assert ids(service, limit=limit, from_=4, to=7) == names(4, 6, 5)
        assert ids(service, limit=limit, from_=4, to=7, order="-due") == \
            names(5, 6, 4)
    assert {e["next-attempt"] for e in page(service, from_=5, to=6)["events"]
            } == {5}


def test_stable_pages(service, store):
    """Of what was there all the time nothing is missed, and nothing told twice,
    whatever is added, deleted and moved between the pages."""
    rows(store, 400)
    seen, query = [], {"limit": 20}
    with Connection(service.port) as conn:
        while True:
            answer = page(service, **query)
            seen += [e["event-id"] for e in answer["events"]]
            if "next" not in answer:
                break
            query["after"] = answer["next"]
            at = max(int(n[1:]) for n in seen if n[0] == "e")
            # Of every tenth: it goes, or waits for later.
            store.sql("DELETE FROM event WHERE id = %d" % (at // 10 * 10 + 15))
            store.sql("UPDATE event SET due_ms = due_ms + 1000000"
                      " WHERE id = %d" % (at // 10 * 10 + 25))
            for due_ms in at - 5, at, at + 1:
                conn.add({"event-id": "n%d-%d" % (at, due_ms - at),
                          "application-id": "app", "event": 1,
                          "expiry": FAR + due_ms / 1000,
                          "url": "http://127.0.0.1:1/"})
    assert len(seen) == len(set(seen))
    stayed = {int(r[0]) for r in store.sql(
        "SELECT id FROM event WHERE id <= 400")}
    assert len(stayed) < 400
    assert stayed <= {int(n[1:]) for n in seen if n[0] == "e"}


def test_many(service, store):
    """Of 100,000 events of five applications."""
    app = {"mysql": "CONCAT('app', i % 5)",
           "sqlite": "CAST('app' || (i % 5) AS BLOB)"}[store.kind]
    rows(store, 100000, status="CASE i % 9 WHEN 0 THEN 2 WHEN 1 THEN 3 ELSE 0"
         " END", app=app)
    late = FAR + 95
    listed = ids(service, "app3", limit=1000, fields="event-id", from_=late)
    assert listed == names(*range(95003, 100001, 5))
    failed = ids(service, "app3", limit=1000, status="FAILED", order="-due",
                 from_=late)
    assert failed == names(*(i for i in range(100000, 95000, -1)
                             if i % 5 == 3 and i % 9 == 1))


def test_rows_read(service, store):
    """A page is a few ranges of an index, wherever it begins: a server counts
    the rows. (The statements for SQLite name their index, or fail.)"""
    if store.kind != "mysql":
        pytest.skip("it does not count")
    rows(store, 20000, status="CASE WHEN i < 20 THEN 1 ELSE i % 2 * 2 END",
         due_ms="%d + i %% 3" % (FAR * 1000))

    def n_read():
        return sum(int(n) for _, n in store.sql(
            "SHOW GLOBAL STATUS LIKE 'Handler\\_read%'"))

    def n_sorted():
        return sum(int(n) for _, n in store.sql(
            "SHOW GLOBAL STATUS LIKE 'Sort%rows'"))
    middle = {}
    for query in ({}, {"order": "-due"}, {"status": "COMPLETED"}):
        walk = pages(service, limit=1000, fields="event-id", **query)
        middle[str(query)] = [next(walk) for _ in range(4)][-1]["next"]
    for query in ({}, {"order": "-due"}, {"status": "COMPLETED"}):
        for place in {}, {"after": middle[str(query)]}:
            before = n_read(), n_sorted()
            assert len(page(service, limit=100, **query, **place)["events"]
                       ) == 100
            read = n_read() - before[0]
            assert read < 5000, (query, place, read)
            assert n_sorted() == before[1]


def test_bounds(launch, store):
    """However little a list is of, a page looks at so many rows; however large
    its events, it has so many bytes."""
    c = launch(roles="service", service={
        "maxListScan": 2000, "maxListPage": 50, "maxListBytes": "1KiB"})
    rows(store, 9000)
    assert_problem(ask(c, limit=51), 400)
    assert all(0 < len(p["events"]) < 10 for p in list(
        pages(c, limit=50, to=FAR + 0.1)))
    empty = list(pages(c, "nobody"))
    assert 3 <= len(empty) <= 9
    assert all(p["events"] == [] for p in empty)
    store.sql("UPDATE event SET body = %s WHERE id = 2" % {
        "mysql": "CONCAT('\"', REPEAT('1', 3000000), '\"')",
        "sqlite": "CAST('\"' || hex(zeroblob(1500000)) || '\"' AS BLOB)"
    }[store.kind])
    first = page(c, fields="event", limit=1)
    second = page(c, fields="event", limit=9, after=first["next"])
    assert [len(e["event"]) for e in second["events"]] == [3000000]


BAD = [
    ("status=", "and AWAITING, parted"), ("status=pending", "status must be"),
    ("status=FAILED,", "status must be"), ("status=DELETED", "status must be"),
    ("from=x", "from must be"), ("from=-1", "from must be"),
    ("to=", "to must be"), ("to=1e3", "to must be"), ("to=1.", "to must be"),
    ("from=99999999999999999999", "from must be"),
    ("to=2027-13-01T00:00:00Z", "to must be"),
    ("to=1969-12-31T23:59:59Z", "to must be"),
    ("destination=", "destination must be"),
    ("destination=http://a.example/", "destination must be"),
    ("destination=a.example:x", "destination must be"), ("order=", "order must be"),
    ("order=id", "order must be"), ("fields=", "fields must be"),
    ("fields=event-id,x", "fields must be"), ("limit=0", "limit must be"),
    ("limit=1001", "limit must be"), ("limit=-1", "limit must be"),
    ("limit=1&limit=1", "comes twice"), ("status=%4", "percent-escape"),
    ("state=FAILED", "the query may have"), ("limit", "limit must be"),
    ("&x", "the query may have"), ("=1", "the query may have"),
    ("after=", "after must be"), ("after=1", "after must be"),
    ("after=" + "0" * 48, "after must be"),
    ("after=" + "g" * 48, "after must be"),
]


@pytest.mark.parametrize("query, detail", BAD)
def test_bad_query(daemon, query, detail):
    response = daemon.get("/cassata/events/app?" + query)
    assert assert_problem(response, 400)["detail"].find(detail) >= 0


def test_bad_application(daemon):
    assert_problem(ask(daemon, "a" * 101), 404)
    assert ask(daemon, "a" * 100).json() == {"events": []}
    assert_problem(daemon.request("POST", "/cassata/events/a", b"{}"), 405)
    assert daemon.request("HEAD", "/cassata/events/a").status == 200


def test_cursor(service, store):
    """One that is changed, or of another list, is refused."""
    rows(store, 10)
    rows(store, 10, 100, "other")
    query = {"status": "PENDING", "from_": 1, "to": FAR + 9,
             "destination": "a.example", "order": "-due"}
    cursor = page(service, limit=3, **query)["next"]
    assert re.fullmatch("[0-9a-f]{48}", cursor)
    rest = page(service, after=cursor, **query)
    assert [e["event-id"] for e in rest["events"]] == names(*range(7, 0, -1))
    # The size of pages and the members may be others.
    assert page(service, after=cursor, limit=1, fields="url", **query) == {
        "events": [{"url": "http://a.example/x"}],
        "next": page(service, after=cursor, limit=1, **query)["next"]}
    for i in range(48):
        changed = cursor[:i] + "%x" % (int(cursor[i], 16) ^ 1) + cursor[i + 1:]
        assert_problem(ask(service, after=changed, **query), 400)
    for change in ({"status": "FAILED"}, {"from_": 2}, {"to": FAR + 8},
                   {"destination": "b.example"}, {"order": "due"}):
        assert_problem(ask(service, after=cursor, **{**query, **change}), 400)
    assert_problem(ask(service, "other", after=cursor, **query), 400)
    for cut in cursor[:-1], cursor + "0", cursor.upper(), cursor + "%00":
        if cut != cursor:
            assert_problem(service.get("/cassata/events/app?after=" + cut), 400)


def ctl_list(c, *words, returncode=0):
    done = c.ctl("service", "event", "list", *words)
    assert done.returncode == returncode, done
    return done


def test_cassatactl(launch, store):
    """Pages are followed, whatever their size, up to what is asked for."""
    c = launch(roles="service", service={"maxListPage": 40})
    rows(store, 250, status="CASE WHEN i % 50 = 0 THEN 3 ELSE 0 END",
         due_ms="%d + i" % (FAR * 1000))

    def listed(*words):
        lines = ctl_list(c, "app", "--json", *words).stdout.splitlines()
        return [json.loads(line)["event-id"] for line in lines]
    assert listed() == names(*range(1, 101))
    assert listed("--limit", "0") == names(*range(1, 251))
    assert listed("--limit", "130", "--order", "-due") == names(
        *range(250, 120, -1))
    assert listed("--status", "FAILED,COMPLETED") == names(
        50, 100, 150, 200, 250)
    assert listed("--from", "%d.2" % FAR, "--to", "%d.203" % FAR,
                  "--destination", "a.example") == names(200, 201, 202)
    assert listed("--destination", "b.example") == []
    assert json.loads(ctl_list(
        c, "--fields", "event-id,event", "--limit", "1", "app", "--json"
    ).stdout) == {"event-id": "e1", "event": {}}
    assert json.loads(ctl_list(
        c, "app", "--limit", "1", "--json").stdout) == page(
            c, limit=1)["events"][0]


def test_cassatactl_table(service, store):
    rows(store, 3, status="CASE i WHEN 2 THEN 3 ELSE 0 END", attempts="i - 1",
         last_code="CASE i WHEN 2 THEN 404 ELSE 0 END",
         due_ms="86400000 + i * 1500")
    # Ids of an earlier version forge no lines, and bodies none of JSON.
    store.sql("UPDATE event SET event_id = X'%s', body = X'%s' WHERE id = 3" % (
        b"o\n\r\x1b[2J".hex(), b'{"a":\n\t[1,\r\n2]}'.hex()))

    def table(*words):
        return [re.split("  +", line) for line in ctl_list(
            service, "app", *words).stdout.splitlines()]
    assert table() == [
        ["status", "due", "attempts", "last-response-code", "event-id", "url"],
        ["PENDING", "1970-01-02T00:00:01.500Z", "0", "-", "e1",
         "http://a.example/x"],
        ["FAILED", "1970-01-02T00:00:03.000Z", "1", "404", "e2",
         "http://a.example/x"],
        ["PENDING", "1970-01-02T00:00:04.500Z", "2", "-",
         "o\\u000a\\u000d\\u001b[2J", "http://a.example/x"]]
    assert table("--fields", "event-id,request-headers,finished",
                 "--limit", "2") == [
        ["event-id", "request-headers", "finished"],
        ["e1", '["X: y"]', "-"],
        ["e2", '["X: y"]', "1970-01-02T00:00:03.000Z"]]
    assert ctl_list(service, "nobody").stdout.count("\n") == 1
    lines = ctl_list(service, "app", "--json", "--fields", "event").stdout
    assert [json.loads(line)["event"] for line in lines.splitlines()] == [
        {}, {}, {"a": [1, 2]}]


def test_cassatactl_refused(service, store):
    done = ctl_list(service, "app", "--order", "id", returncode=1)
    assert done.stderr == (
        "cassatactl: Bad Request: order must be due or -due\n")
    assert done.stdout == ""
    done = ctl_list(service, "app", "--order", "id", "--json", returncode=1)
    assert json.loads(done.stderr)["detail"] == "order must be due or -due"
    rows(store, 3)
    damage(store, "created_ms", "-1", 2)
    done = ctl_list(service, "app", "--fields", "event-id", returncode=1)
    assert done.stdout == "event-id\ne1\ne3\n"
    assert done.stderr == (
        "cassatactl: events that cannot be read, and are left out: 1\n")
    done = service.run(
        "sh", "-c", "exec \"$@\" > /dev/full", "sh",
        str(service.builddir / "cassatactl"), *service.options,
        "service", "event", "list", "app")
    assert done.returncode == 1 and "cannot write the list" in done.stderr
    service.stop()
    done = ctl_list(service, "app", returncode=1)
    assert done.stderr.count("\n") == 1 and "127.0.0.1" in done.stderr


def damage(store, column, value, row):
    """As one who writes into the table by hand can."""
    statement = "UPDATE event SET %s = %s WHERE id = %d" % (column, value, row)
    if store.kind == "sqlite":
        store.script("PRAGMA ignore_check_constraints = ON; " + statement)
    else:
        store.sql(statement)


def test_damaged_rows(service, store):
    """They are left out, and told."""
    rows(store, 100)
    damage(store, "created_ms", "-1", 10)
    damage(store, "attempts", "4000000000", 20)
    damage(store, "last_code", "-1", 30)
    good = [i for i in range(1, 101) if i not in (10, 20, 30)]
    for limit in 30, 1000:
        answers = list(pages(service, limit=limit))
        listed = [e["event-id"] for p in answers for e in p["events"]]
        assert listed == names(*good)
        assert sum(p.get("damaged", 0) for p in answers) == 3
    if store.kind == "sqlite":
        damage(store, "attempts", "'text'", 40)
        damage(store, "last_code", "'text'", 50)
        assert ids(service) == names(
            *(i for i in good if i not in (40, 50)))
    assert "cannot be read" in service.log_text()


def test_lists_at_a_time(launch, store):
    """What is beyond their number is told to come again; no add waits for
    them."""
    c = launch(roles="service", service={"maxLists": 1})
    rows(store, 100)
    with store.locked():
        # A reader of SQLite waits for nobody.
        conns = [Connection(c.port) for _ in range(5)]
        for conn in conns:
            conn.send_request("GET", "/cassata/events/app")
        answers = [conn.read_response() for conn in conns]
    for answer in answers:
        if answer.status == 503:
            assert answer.header("Retry-After") == "2"
            assert "too many lists" in assert_problem(answer, 503)["detail"]
        else:
            assert len(answer.json()["events"]) == 100
    assert any(a.status == 200 for a in answers)
    for conn in conns:
        conn.close()
    assert len(page(c)["events"]) == 100


def test_drained(launch, store):
    """A stop waits for no list to come to its end: another process goes on."""
    c = launch(roles="service", service={"processes": 1})
    rows(store, 3000, 1, "other")
    with Connection(c.port) as asking, Connection(c.port) as idle:
        asking.send(b"GET /cassata/events/app?limit=1 HTTP/1.1\r\n")
        idle.send_request("GET", "/livez")
        assert idle.read_response().status == 200
        c.send(signal.SIGTERM)
        assert idle.at_end()
        asking.send(b"Host: localhost\r\n\r\n")
        response = asking.read_response()
    assert response.status == 200, response
    assert response.json()["events"] == [] and response.json()["next"]


def test_datastore_away(launch, store, mysql_server):
    """A list is refused like anything else, and goes well afterwards."""
    if store.kind != "mysql":
        pytest.skip("a file is never away")
    c = launch(roles="service")
    rows(store, 3)
    assert len(page(c)["events"]) == 3
    store.disconnect()

    def answer():
        response = ask(c)
        return response.json() if response.status == 200 else None
    assert wait_for(answer)["events"][0]["event-id"] == "e1"
