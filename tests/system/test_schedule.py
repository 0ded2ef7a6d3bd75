# SPDX-License-Identifier: ISC
"""What comes again and again: by a period or an expression, through restarts,
kills and outages, each time once."""

import datetime
import itertools
import json
import time
from urllib.parse import quote, unquote

import pytest

from cassata import wait_for
from client import path_of
from sink import Reply

SECOND = datetime.timedelta(seconds=1)


def path(name, verb=""):
    return path_of("schedules", "app", name) + (verb and "/" + verb)


def put(c, name, url, app="app", event=None, **schedule):
    body = {"schedule": {key.replace("_", "-"): value
                         for key, value in schedule.items()},
            "event": dict({"url": url, "event": {"n": name}}, **event or {})}
    return c.request("POST", path_of("schedules", app, name),
                     body=json.dumps(body).encode())


def made(*args, **kwargs):
    response = put(*args, **kwargs)
    assert response.status == 201, response
    return response.json()


def show(c, name):
    response = c.request("GET", path(name))
    assert response.status == 200, response
    return response.json()


def ask(c, name, verb="", method="POST", **kwargs):
    return c.request(method, path(name, verb), **kwargs)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def run_times(sink, name):
    """The times of the runs that arrived, in their order."""
    ids = [unquote(a.header("Cassata-Event-Id"))
           for a in sink.arrivals("/" + name)]
    assert all(i.startswith(name + "@") for i in ids)
    return [moment(i[len(name) + 1:]) for i in ids]


def each_second(times):
    times = sorted(set(times))
    return [b - a for a, b in itertools.pairwise(times)] == [SECOND] * (
        len(times) - 1)


def wait_each_second(sink, name):
    """Two that are on their way at a time may arrive in any order."""
    wait_for(lambda: each_second(run_times(sink, name)))


# ---- what is said of it ----

def test_answers(daemon, sink, name):
    begin = int(time.time())
    response = put(daemon, name, sink.url("/" + name), cron="0 9 * * 1-5",
                   time_zone="Europe/Berlin", start="2038-03-26T00:00:00Z",
                   event={"method": "PUT", "request-headers": ["X-A: b"],
                          "retry": {"attempts": 3}})
    assert response.status == 201
    assert response.header("Location") == path(name)
    answer = response.json()
    assert begin <= answer.pop("created") <= time.time()
    assert answer == {
        "application-id": "app", "schedule-id": name, "status": "ACTIVE",
        "next": ["2038-03-26T09:00:00+01:00", "2038-03-29T09:00:00+02:00",
                 "2038-03-30T09:00:00+02:00", "2038-03-31T09:00:00+02:00",
                 "2038-04-01T09:00:00+02:00"],
        "runs": 0, "skipped": 0,
        "schedule": {"cron": "0 9 * * 1-5", "time-zone": "Europe/Berlin",
                     "start": "2038-03-26T00:00:00Z"},
        "event": {"url": sink.url("/" + name), "method": "PUT"}}
    shown = show(daemon, name)
    assert shown.pop("created") > 0
    assert shown.pop("event") == {
        "url": sink.url("/" + name), "method": "PUT",
        "request-headers": ["X-A: b"], "retry": {"attempts": 3},
        "event": {"n": name}}
    answer.pop("event")
    assert shown == answer
    run = daemon.event(name + "@2038-03-26T08:00:00Z")
    assert run["status"] == "PENDING" and run["retry"] == {"attempts": 3}
    assert run["expiry"] == run["next-attempt"] == moment(
        "2038-03-26T08:00:00Z").timestamp()


def test_the_same_and_another(daemon, sink, name):
    url = sink.url("/" + name)
    first = made(daemon, name, url, every="1h")
    again = put(daemon, name, url, every="1h")
    assert again.status == 200 and again.json() == first
    other = put(daemon, name, url, every="2h")
    assert other.status == 200 and other.json()["next"] != first["next"]
    assert other.json()["created"] == first["created"]
    assert ask_event(daemon, name, first) == 404
    assert ask_event(daemon, name, other.json()) == 200
    # What each run is of counts, too.
    third = put(daemon, name, url, every="2h", event={"event": 2})
    assert third.status == 200
    assert show(daemon, name)["event"]["event"] == 2


def ask_event(c, name, answer):
    """The status of a look at the run that comes next."""
    return c.get(path_of("event", "app", "%s@%s" % (
        name, answer["next"][0]))).status


def test_ends_by_itself(daemon, sink, name):
    answer = made(daemon, name, sink.url("/" + name), every="1s", count=2,
                  overlap="allow", catch_up="all")
    assert len(answer["next"]) == 2
    sink.wait("/" + name, 2)
    ended = wait_for(lambda: [s for s in [show(daemon, name)]
                              if s["status"] == "ENDED"])[0]
    assert ended["next"] == [] and ended["runs"] == 2
    assert ended["last-run"] == "%s@%s" % (name, answer["next"][1])
    wait_each_second(sink, name)


BAD = {
    "none": ({}, {}, "/schedule"),
    "cron": ({"cron": "0 25 * * *"}, {}, "/schedule/cron"),
    "both": ({"cron": "@daily", "every": "1d"}, {}, "/schedule"),
    "zone": ({"cron": "@daily", "time_zone": "Europe/Atlantis"}, {},
             "/schedule/time-zone"),
    "often": ({"every": "500ms"}, {}, "/schedule/every"),
    "never": ({"cron": "0 0 30 2 *"}, {}, "/schedule"),
    "past": ({"every": "1d", "end": "2020-01-01T00:00:00Z"}, {}, "/schedule"),
    "url": ({"every": "1d"}, {"url": "ftp://a/"}, "/event/url"),
    "id": ({"every": "1d"}, {"event-id": "x"}, "/event/event-id"),
    "app": ({"every": "1d"}, {"application-id": "x"},
            "/event/application-id"),
    "time": ({"every": "1d"}, {"in": "1h"}, "/event/in"),
    "end": ({"every": "1d"}, {"not-after": 1795478410}, "/event/not-after"),
    "member": ({"every": "1d"}, {"urll": "http://a/"}, "/event/urll"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad(daemon, sink, name, case):
    schedule, event, pointer = BAD[case]
    response = put(daemon, name, sink.url("/"), event=event, **schedule)
    assert response.status == 422, response
    assert pointer in [e["pointer"] for e in response.json()["errors"]]
    assert ask(daemon, name, method="GET").status == 404


@pytest.mark.parametrize("body, status", [
    (b"{", 400), (b"[]", 422), (b"{}", 422),
    (b'{"schedule":{"every":"1d"}}', 422), (b'{"event":{}}', 422),
    (b'{"schedule":1,"event":2}', 422),
    (b'{"schedule":{"every":"1d"},"event":{"url":"http://a/","event":1},'
     b'"other":1}', 422),
    (b'{"schedule":{"every":"1d"},"schedule":{"every":"1d"},'
     b'"event":{"url":"http://a/","event":1}}', 422)])
def test_no_schedule(daemon, name, body, status):
    assert ask(daemon, name, body=body).status == status
    assert ask(daemon, name, method="GET").status == 404


@pytest.mark.parametrize("schedule_id, fits", [
    ("a" * 230, True), ("a" * 231, False), ("a\u2028b", False), ("..", False)])
def test_ids(daemon, sink, schedule_id, fits):
    response = put(daemon, schedule_id, sink.url("/"), every="1d")
    assert response.status == (201 if fits else 422), response


def test_bounds(launch, sink):
    c = launch(service={"minSchedulePeriod": "1m", "maxSchedules": 2})
    url = sink.url("/")
    for n, (schedule, status) in enumerate([
            ({"every": "59s"}, 422), ({"every": "60s"}, 201),
            ({"cron": "* * * * *"}, 201), ({"cron": "*/30 * * * * *"}, 422)]):
        assert put(c, "s%d" % n, url, **schedule).status == status
    problem = put(c, "more", url, every="60s")
    assert problem.status == 409
    assert problem.json()["type"].endswith(":too-many-schedules")
    assert put(c, "s1", url, every="61s").status == 200
    assert put(c, "more", url, app="other", every="60s").status == 201
    assert ask(c, "s1", method="DELETE").status == 200
    assert put(c, "more", url, every="60s").status == 201


def test_list(daemon, sink, name):
    names = ["a", "b", "b/c", "ä"]
    for n in names:
        assert put(daemon, n, sink.url("/"), app=name,
                   every="1d").status == 201
    listed = daemon.get("/cassata/schedules/%s" % name).json()
    assert [s["schedule-id"] for s in listed["schedules"]] == names
    assert "next" not in listed
    assert all(len(s["next"]) == 5 for s in listed["schedules"])
    found, after = [], ""
    while after is not None:
        page = daemon.get("/cassata/schedules/%s?limit=3%s" % (
            name, after and "&after=" + quote(after, safe=""))).json()
        found += [s["schedule-id"] for s in page["schedules"]]
        after = page.get("next")
    assert found == names
    assert daemon.get("/cassata/schedules/nobody").json() == {"schedules": []}
    for query in ("limit=0", "limit=1001", "limit=x", "after=", "after=%zz",
                  "limit=1&limit=1", "color=red"):
        assert daemon.get("/cassata/schedules/%s?%s" % (
            name, query)).status == 400


# ---- it comes ----

def test_runs(daemon, sink, name):
    answer = made(daemon, name, sink.url("/" + name), every="1s",
                  overlap="allow", catch_up="all")
    sink.wait("/" + name, 2)
    wait_each_second(sink, name)
    assert min(run_times(sink, name)) == moment(answer["next"][0])
    for arrival, at in zip(sink.arrivals("/" + name), run_times(sink, name)):
        assert json.loads(arrival.body) == {"n": name}
        assert float(arrival.header("Cassata-Due")) == at.timestamp()
    daemon.wait_state("%s@%s" % (name, answer["next"][0]), "COMPLETED")
    shown = show(daemon, name)
    assert shown["runs"] >= 2 and shown["skipped"] == 0
    response = ask(daemon, name, method="DELETE")
    assert response.status == 200 and response.json() == {
        "application-id": "app", "schedule-id": name, "status": "DELETED"}
    assert ask(daemon, name, method="DELETE").status == 404
    # None of its runs waits.
    listed = daemon.get("/cassata/events/app?limit=1000&fields=event-id,status"
                        "&status=PENDING").json()["events"]
    assert not [e for e in listed if e["event-id"].startswith(name + "@")]


def test_the_run_that_waits_is_not_deleted(daemon, sink, name):
    """Or nothing would come any more."""
    answer = made(daemon, name, sink.url("/" + name), every="1d")
    response = daemon.delete("%s@%s" % (name, answer["next"][0]))
    assert response.status == 409, response
    assert "schedule" in response.json()["detail"]
    for way in "replace", "debounce":
        response = daemon.post({
            "application-id": "app", "event": {}, "in": "1h",
            "event-id": "%s@%s" % (name, answer["next"][0]),
            "url": sink.url("/other"), "on-conflict": way})
        assert response.status == 409, response
        assert "schedule" in response.json()["detail"]
        assert response.json()["event-status"] == "PENDING"
    run = ask(daemon, name, "run").json()["event-id"]
    daemon.wait_state(run, "COMPLETED")
    assert daemon.delete(run).status == 200
    assert daemon.delete("%s@%s" % (name, answer["next"][1])).status == 404
    assert daemon.delete("nothing@" + answer["next"][0]).status == 404


def test_overlap(launch, sink):
    """While the first run goes on: of the next ones each is left out, or waits
    for it, or is begun beside it."""
    c = launch()
    gate = sink.gate()
    for way in "skip", "queue", "allow":
        sink.on("/" + way, Reply(200, gate=gate), 200)
        made(c, way, sink.url("/" + way), every="1s", overlap=way,
             catch_up="last" if way == "skip" else "all")
    sink.wait("/allow", 3)
    wait_for(lambda: show(c, "skip")["skipped"] >= 2)
    for way in "skip", "queue":
        assert show(c, way)["runs"] == len(sink.arrivals("/" + way)) == 1
    gate.set()
    sink.wait("/skip", 2)
    sink.wait("/queue", 3)
    for way in "queue", "allow":
        wait_each_second(sink, way)
    skipped = run_times(sink, "skip")
    assert skipped[1] - skipped[0] >= 3 * SECOND


def test_jitter(daemon, sink, name):
    answer = made(daemon, name, sink.url("/" + name), every="1d",
                  start="2030-01-01T00:00:00Z", jitter="24h")
    run = daemon.event("%s@2030-01-01T00:00:00Z" % name)
    assert answer["next"][0] == "2030-01-01T00:00:00Z"
    assert 0 <= run["next-attempt"] - run["expiry"] <= 86400


# ---- by hand ----

def test_run_now(daemon, sink, name):
    made(daemon, name, sink.url("/" + name), every="1d")
    begin = time.time()
    response = ask(daemon, name, "run")
    assert response.status == 201
    answer = response.json()
    assert answer["application-id"] == "app"
    assert begin - 1 < answer["expiry"] <= time.time()
    assert answer["event-id"].startswith(name + "@")
    assert response.header("Location") == path_of(
        "status", "app", answer["event-id"])
    daemon.wait_state(answer["event-id"], "COMPLETED")
    assert len(sink.arrivals("/" + name)) == 1
    # Twice are two.
    assert ask(daemon, name, "run").json()["event-id"] != answer["event-id"]
    sink.wait("/" + name, 2)
    assert show(daemon, name)["runs"] == 0


def test_pause(daemon, sink, name):
    made(daemon, name, sink.url("/" + name), every="1s")
    sink.wait("/" + name, 1)
    for _ in range(2):
        response = ask(daemon, name, "pause")
        assert response.status == 200
        assert response.json()["status"] == "PAUSED"
        assert response.json()["next"] == []
    n = response.json()["runs"]
    # It can be run, and replaced.
    run = ask(daemon, name, "run").json()["event-id"]
    daemon.wait_state(run, "COMPLETED")
    sink.wait("/" + name, n + 1)  # the last of those may be on the wire yet
    assert put(daemon, name, sink.url("/" + name), every="1s",
               overlap="allow").json()["status"] == "PAUSED"
    assert show(daemon, name)["runs"] == 0
    before = len(sink.arrivals("/" + name))
    assert before == n + 1
    for _ in range(2):
        response = ask(daemon, name, "resume")
        assert response.status == 200
        assert response.json()["status"] == "ACTIVE"
    sink.wait("/" + name, before + 2)
    ask(daemon, name, method="DELETE")


def test_the_run_that_waits_is_run_early(daemon, sink, name):
    """Then its time has had its run, and the next one comes."""
    answer = made(daemon, name, sink.url("/" + name), every="1d")
    run = "%s@%s" % (name, answer["next"][0])
    assert daemon.request("POST", path_of("run", "app", run)).status == 200
    daemon.wait_state(run, "COMPLETED")
    shown = show(daemon, name)
    assert shown["runs"] == 1 and shown["last-run"] == run
    assert shown["next"][:4] == answer["next"][1:]


def test_replaced_after_an_early_run(daemon, sink, name):
    """Its times are not those that have had their run."""
    run = "%s@%s" % (name, made(daemon, name, sink.url("/" + name),
                                every="7d")["next"][0])
    assert daemon.request("POST", path_of("run", "app", run)).status == 200
    daemon.wait_state(run, "COMPLETED")
    assert put(daemon, name, sink.url("/" + name), every="1s",
               overlap="allow").status == 200
    wait_for(lambda: show(daemon, name)["runs"] >= 3)


def test_clients_event_of_that_id(daemon, sink, name):
    """It is none of the schedule's, whatever becomes of that."""
    url = sink.url("/" + name)
    run = "%s@%s" % (name, made(daemon, name, url, every="7d")["next"][0])
    event = {"application-id": "app", "event-id": run, "event": "mine",
             "in": "3h", "url": url}
    assert ask(daemon, name, "pause").status == 200
    assert daemon.post(event).status == 201
    for order in "resume", "pause":
        assert ask(daemon, name, order).status == 200
        assert daemon.event(run)["event"] == "mine"
    assert ask(daemon, name, method="DELETE").status == 200
    assert daemon.event(run)["event"] == "mine"
    made(daemon, name, url, every="7d")
    assert daemon.delete(run).status == 200


def test_changed_run(daemon, sink, name):
    """One that a client has put off is not late."""
    made(daemon, name, sink.url("/" + name), every="1s", overlap="allow")

    def put_off():
        """The one that waits, unless its time has come meanwhile."""
        at = show(daemon, name)["next"][0]
        run, due = "%s@%s" % (name, at), moment(at).timestamp() + 2
        response = daemon.request(
            "PATCH", path_of("event", "app", run),
            json.dumps({"expiry": due, "event": "changed"}).encode(),
            [("Content-Type", "application/merge-patch+json")])
        assert response.status in (200, 404, 409), response
        return response.status == 200 and (run, due)
    run, due = wait_for(put_off)
    event = daemon.wait_state(run, "COMPLETED")
    assert event["event"] == "changed" and event["finished"] >= due


def test_ids_that_are_taken(daemon, sink, name):
    """However many follow each other, it has not come to its end."""
    begin = (int(time.time()) // 60 + 2) * 60
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin + 60 * i))
             for i in range(12)]
    for text in times:
        daemon.schedule("%s@%s" % (name, text), sink.url("/"),
                        expiry=begin + 99999)
    answer = made(daemon, name, sink.url("/" + name), every="1m",
                  start=times[0])
    assert answer["status"] == "ACTIVE"


def test_damaged_schedule(launch, sink):
    """Its run waits, and nobody else does."""
    c = launch()
    run = "s@%s" % made(c, "s", sink.url("/s"), every="1d")["next"][0]
    c.store.sql("UPDATE schedule SET runs = -1")
    assert c.request("POST", path_of("run", "app", run)).status == 200
    wait_for(lambda: "a run waits: " in c.log_text())
    c.schedule("other", sink.url("/other"))
    c.wait_state("other", "COMPLETED")
    assert c.state(run) == "PENDING"


@pytest.mark.parametrize("verb, method", [
    ("", "GET"), ("", "DELETE"), ("run", "POST"), ("pause", "POST"),
    ("resume", "POST")])
def test_unknown(daemon, name, verb, method):
    response = ask(daemon, name, verb, method)
    assert response.status == 404, response
    assert response.json()["type"].endswith(":unknown-schedule")
    assert daemon.request(method, "/cassata/schedules/a/%ff" + (
        verb and "/" + verb)).status == 404


def test_frozen(launch, sink):
    c = launch()
    made(c, "s", sink.url("/s"), every="1d")
    assert c.ctl("freeze").returncode == 0
    for verb, method in (("", "DELETE"), ("run", "POST"), ("pause", "POST"),
                         ("resume", "POST")):
        response = ask(c, "s", verb, method)
        assert response.status == 503 and response.header("Retry-After")
    assert put(c, "s", sink.url("/s"), every="2d").status == 503
    assert show(c, "s")["schedule"] == {"every": "1d"}
    assert c.ctl("thaw").returncode == 0


@pytest.mark.parametrize("verb", ["run", "pause", "resume"])
def test_web_pages(daemon, sink, name, verb):
    made(daemon, name, sink.url("/" + name), every="1d")
    for headers, status in (
            ([("Origin", "http://evil.example")], 403),
            ([("User-Agent", "Mozilla/5.0"),
              ("Referer", "http://evil.example/")], 415)):
        assert ask(daemon, name, verb, headers=headers).status == status
    assert show(daemon, name)["status"] == "ACTIVE"


# ---- cassatactl ----

def ctl(c, *words):
    done = c.ctl("schedule", *words)
    assert done.returncode == 0, done
    return done.stdout


def test_ctl(launch, sink):
    c = launch()
    made_one = json.loads(ctl(
        c, "add", "-a", "app", "-m", "PUT", "-H", "X-A: b", "-H", "X-C: d",
        "--cron", "0 9 * * *", "--time-zone", "Europe/Berlin", "--count", "7",
        "--start", "2038-03-27T00:00:00Z", "--overlap", "allow", "one",
        sink.url("/one"), "hello"))
    assert made_one["next"][0] == "2038-03-27T09:00:00+01:00"
    assert made_one["schedule"] == {
        "cron": "0 9 * * *", "time-zone": "Europe/Berlin", "count": 7,
        "start": "2038-03-27T00:00:00Z", "overlap": "allow"}
    shown = json.loads(ctl(c, "show", "app", "one"))
    assert shown["event"] == {
        "url": sink.url("/one"), "method": "PUT", "event": "hello",
        "request-headers": ["X-A: b", "X-C: d"]}
    assert json.loads(ctl(c, "pause", "app", "one"))["status"] == "PAUSED"
    run = json.loads(ctl(c, "run", "app", "one"))
    c.wait_state(run["event-id"], "COMPLETED")
    assert sink.arrivals("/one")[0].body == b"hello"
    assert json.loads(ctl(c, "resume", "app", "one"))["status"] == "ACTIVE"
    assert put(c, "t\u00fc", sink.url("/"), every="1h").status == 201
    lines = ctl(c, "list", "app").split("\n")
    assert lines[0].split() == ["status", "next", "runs", "skipped",
                                "schedule-id", "url"]
    assert lines[1].split() == ["ACTIVE", "2038-03-27T09:00:00+01:00", "0",
                                "0", "one", sink.url("/one")]
    listed = [json.loads(line) for line in ctl(
        c, "list", "--json", "app").splitlines()]
    assert listed == c.get("/cassata/schedules/app").json()["schedules"]
    assert json.loads(ctl(c, "delete", "app", "one"))["status"] == "DELETED"
    done = c.ctl("schedule", "show", "app", "one")
    assert done.returncode == 1 and "no schedule" in done.stderr
    done = c.ctl("schedule", "add", "--every", "x", "one",
                 sink.url("/"))
    assert done.returncode == 1 and "/schedule/every" in done.stderr


def test_ctl_list_of_pages(launch, sink):
    c = launch(service={"maxListPage": 2})
    for n in range(5):
        assert put(c, "s%d" % n, sink.url("/"), every="1d").status == 201
    lines = ctl(c, "list", "app").splitlines()
    assert [line.split()[4] for line in lines[1:]] == [
        "s%d" % n for n in range(5)]
    assert len(ctl(c, "list", "--json", "app").splitlines()) == 5


# ---- through restarts, kills and outages ----

def test_restart_and_kill(launch, sink):
    """Each second has its run, whatever happens in between. What was on the wire
    may come again: nothing else does."""
    c = launch()
    made(c, "s", sink.url("/s"), every="1s", overlap="allow", catch_up="all")
    for n, end in enumerate((c.stop, c.abandon)):
        sink.wait("/s", 2 * n + 1)
        end()
        c.start()
    sink.wait("/s", len(sink.arrivals("/s")) + 2)
    wait_each_second(sink, "s")


@pytest.fixture
def held(prepare):
    """A daemon that is started at a time of its own."""
    c = prepare()

    def start(ahead_s):
        c.flags = ["--test-clock=%ds" % ahead_s]
        return c.start()
    c.start_ahead = start
    return c


MISSED = {"none": 0, "last": 1, "all": 5, "window": 2}


def test_outage(held, sink):
    """Of five days, and some hours."""
    held.start_ahead(10)
    days = {}
    for way in MISSED:
        how = {"all": {"catch_up": "all", "window": "30d"},
               "window": {"catch_up": "all", "window": "2d"}}.get(
                   way, {"catch_up": way})
        answer = made(held, way, sink.url("/" + way), every="1d", **how)
        first = moment(answer["next"][0])
        days[way] = [first + n * 86400 * SECOND for n in range(6)]
    held.stop()
    held.start_ahead(86400 * 5 + 40000)
    for way, n in MISSED.items():
        wait_for(lambda: moment(show(held, way)["next"][0]) == days[way][5])
        sink.wait("/" + way, n)
        assert sorted(run_times(sink, way)) == days[way][5 - n:5]
        assert show(held, way)["runs"] == n


def test_zone(held, sink):
    """A day of 23 hours, by the clock: nine o'clock is nine o'clock."""
    year = time.gmtime().tm_year + 1
    last = datetime.datetime(year, 3, 31, 12, tzinfo=datetime.timezone.utc)
    sunday = last - (last.weekday() + 1) % 7 * 86400 * SECOND
    ahead_s = int(sunday.timestamp() - time.time()) - 86400
    held.start_ahead(ahead_s)
    answer = made(held, "s", sink.url("/s"), cron="0 9 * * *",
                  time_zone="Europe/Berlin")
    assert answer["next"][0] == sunday.strftime("%Y-%m-%dT09:00:00+02:00")
    held.stop()
    held.start_ahead(ahead_s + 86400)
    sink.wait("/s", 1)
    assert run_times(sink, "s") == [sunday - 5 * 3600 * SECOND]
    monday = sunday + 86400 * SECOND
    wait_for(lambda: show(held, "s")["next"][0] == monday.strftime(
        "%Y-%m-%dT09:00:00+02:00"))


# Of 2038 in Europe/Berlin: clocks go over 02:00 to 03:00 on 28 March, and from
# 02:00 to 03:00 twice on 31 October.
CHANGES = {
    "skip": ("30 2 * * *", "skip", "03-27T12:00", ["03-29T02:30:00+02:00"]),
    "after": ("30 2 * * *", "after", "03-27T12:00",
              ["03-28T03:00:00+02:00", "03-29T02:30:00+02:00"]),
    "once": ("30 2 * * *", "skip", "10-30T12:00",
             ["10-31T02:30:00+02:00", "11-01T02:30:00+01:00"]),
    "hourly": ("30 * * * *", "skip", "10-31T00:00",
               ["10-31T02:30:00+02:00", "10-31T02:30:00+01:00",
                "10-31T03:30:00+01:00"]),
    "over": ("30 * * * *", "skip", "03-28T00:15",
             ["03-28T01:30:00+01:00", "03-28T03:30:00+02:00"]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_changes_of_clocks(daemon, sink, name, case):
    cron, gap, start, times = CHANGES[case]
    answer = made(daemon, name, sink.url("/"), cron=cron, gap=gap,
                  time_zone="Europe/Berlin", start="2038-%s:00Z" % start)
    assert answer["next"][:len(times)] == ["2038-" + t for t in times]
