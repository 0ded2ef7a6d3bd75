# SPDX-License-Identifier: ISC
"""Events at a local time: the time zone database in force says when."""

import itertools
import json
import shutil
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cassata import wait_for

SYSTEM = Path("/usr/share/zoneinfo")


def local(seconds, hours):
    """What clocks show, that many seconds from now, so far east of UTC."""
    zone = timezone(timedelta(hours=hours))
    return datetime.fromtimestamp(int(time.time()) + seconds, zone).strftime(
        "%Y-%m-%dT%H:%M:%S")


def an_event(name, **members):
    event = {"application-id": "app", "event-id": name, "event": {},
             "url": "http://127.0.0.1:1/", "at-local": "2031-07-01T09:00:00",
             "time-zone": "Europe/Berlin"}
    event.update({k.replace("_", "-"): v for k, v in members.items()})
    return event


def patch(c, event_id, change):
    return c.request("PATCH", "/cassata/event/app/" + event_id,
                     json.dumps(change).encode(),
                     [("Content-Type", "application/merge-patch+json")])


def test_document(daemon, name):
    event = an_event(name)
    berlin = datetime(2031, 7, 1, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    response = daemon.post(event)
    assert response.status == 201
    assert response.json()["expiry"] == berlin.timestamp()
    assert daemon.post(event).status == 200
    assert daemon.post(
        an_event(name, time_zone="Europe/Paris")).status == 409
    assert daemon.post(
        an_event(name + "-2", expiry=berlin.timestamp())).status == 422
    event = daemon.event(name)
    assert event["at-local"] == "2031-07-01T09:00:00"
    assert event["time-zone"] == "Europe/Berlin"
    assert event["expiry"] == event["next-attempt"] == berlin.timestamp()
    status = daemon.get("/cassata/status/app/%s" % name).json()
    assert status["next-attempt"] == berlin.timestamp()


def test_told_alike(daemon, name):
    """That it is looked at a day before is no time of a delivery."""
    assert daemon.post(an_event(name)).status == 201
    expiry = daemon.event(name)["expiry"]
    reason = wait_for(lambda: [
        r for r in daemon.get("/cassata/why/app/" + name).json()["because"]
        if r["reason"] == "not-due"])[0]
    assert reason["due"] == expiry
    assert reason["text"].endswith(", at 2031-07-01T07:00:00Z")
    response = patch(daemon, name, {"method": "PUT"})
    assert response.json()["next-attempt"] == expiry
    assert daemon.event(name)["time-zone"] == "Europe/Berlin"


def test_unknown_zone(daemon, name):
    response = daemon.post(an_event(name, time_zone="Europe/Atlantis"))
    assert response.status == 422
    assert response.json()["errors"][0]["pointer"] == "/time-zone"


def test_delivered(daemon, sink, name):
    assert daemon.post(an_event(
        name, url=sink.url("/" + name), at_local=local(1, 0),
        time_zone="UTC")).status == 201
    sink.wait("/" + name)
    assert daemon.wait_state(name, "COMPLETED")["attempts"] == 1


def test_another_time_ends_it(daemon, sink, name):
    """Run and a change of the time are of moments."""
    for verb in ("run", "event"):
        event_id = "%s-%s" % (name, verb)
        assert daemon.post(an_event(
            event_id, url=sink.url("/" + event_id))).status == 201
        if verb == "run":
            response = daemon.request("POST", "/cassata/run/app/" + event_id)
        else:
            response = patch(daemon, event_id, {"expiry": int(time.time())})
        assert response.status == 200, response
        sink.wait("/" + event_id)
        event = daemon.wait_state(event_id, "COMPLETED")
        assert ("time-zone" in event) == (verb == "run")


def test_change_to_another(daemon, sink, name):
    """Of one that had a moment, and then another place; it is delivered."""
    daemon.schedule(name, sink.url("/" + name), expiry=time.time() + 3600,
                    not_after="2031-07-02T00:00:00Z", labels={"a": name})
    for zone in "Europe/Berlin", "America/New_York":
        there = datetime(2031, 7, 1, 9, tzinfo=ZoneInfo(zone)).timestamp()
        response = patch(daemon, name, {
            "at-local": "2031-07-01T09:00:00", "time-zone": zone})
        assert response.status == 200, response
        event = daemon.event(name)
        assert (event["at-local"], event["time-zone"]) == (
            "2031-07-01T09:00:00", zone)
        for told in response.json(), event:
            assert told["expiry"] == told["next-attempt"] == there
        # It stands where it is looked at, also by its label.
        page = daemon.get("/cassata/events/app?label=a=%s&from=%d&to=%d" % (
            name, there - 86400, there - 86399)).json()
        assert [e["event-id"] for e in page["events"]] == [name]
    for change, pointer in (
            ({"at-local": "2031-07-01T09:00:00"}, "/time-zone"),
            ({"time-zone": "UTC"}, "/time-zone"),
            ({"at-local": None}, "/at-local"),
            ({"time-zone": None}, "/time-zone"),
            ({"at-local": "2031-07-01T09:00:00", "time-zone": "Europe/Bonn"},
             "/time-zone"),
            ({"in": "1h", "at-local": "2031-07-01T09:00:00",
              "time-zone": "UTC"}, "/at-local")):
        response = patch(daemon, name, change)
        assert response.status == 422, response
        assert response.json()["errors"][0]["pointer"] == pointer
    late = {"at-local": "2031-07-02T00:00:01", "time-zone": "UTC"}
    assert patch(daemon, name, late).json()["type"].endswith(":too-late")
    assert daemon.event(name) == event
    assert patch(daemon, name, {"at-local": local(1, 0),
                                "time-zone": "UTC"}).status == 200
    sink.wait("/" + name)
    daemon.wait_state(name, "COMPLETED")


def expect_moment_after_change(c):
    """Of the event e, which a patch makes due at a local time."""
    at = datetime(2031, 7, 1, 9, tzinfo=timezone.utc).timestamp()
    response = patch(c, "e", {"at-local": "2031-07-01T09:00:00",
                              "time-zone": "UTC"})
    assert response.json()["next-attempt"] == at
    event = c.event("e")
    assert event["expiry"] == event["next-attempt"] == at
    assert "time-zone" not in event
    assert len(c.get("/cassata/events/app?from=%d" % at).json()["events"]) == 1


def test_change_of_what_has_failed(launch, sink):
    """Nobody looks at it before it is due: it has a moment."""
    c = launch(worker={"retryDelays": ["1h"]})
    sink.on("/e", 503)
    c.schedule("e", sink.url("/e"))
    c.wait_state("e", "SERVICE_UNAVAILABLE")
    expect_moment_after_change(c)


def test_change_of_what_is_quarantined(launch, store):
    """Nobody looks at it either: it would be delivered a day before."""
    c = launch(roles="service")
    c.schedule("e", "http://127.0.0.1:1/", expiry=2e9)
    store.sql("UPDATE event SET suspect = 2, due_ms = due_ms + %d" % (1 << 48))
    expect_moment_after_change(c)


@pytest.fixture
def zoned(prepare):
    """A daemon with a time zone database of its own."""
    c = prepare()
    directory = c.directory / "zones"
    (directory / "Test").mkdir(parents=True)
    for path in (directory, directory / "Test"):
        path.chmod(0o755)

    def install(name):
        """From now on the zone is that."""
        new = directory / "Test" / "new"
        shutil.copyfile(SYSTEM / name, new)
        new.chmod(0o644)
        new.rename(directory / "Test" / "Zone")
    install("Etc/GMT+11")
    c.start(env={"TZDIR": str(directory)})
    return c, install


def in_time(add):
    """What add(event id) returns, of an event that is looked at two seconds
    later, once it was done before that."""
    for n in itertools.count():
        look_at = int(time.time()) + 2
        done = add("e%d" % n)
        if time.time() < look_at - 0.3:
            return done


@pytest.mark.parametrize("how", ["added", "changed"])
def test_comes_later(zoned, how):
    """What is due waits on, when its zone has another time by then."""
    c, install = zoned

    def add(event_id):
        install("Etc/GMT+11")
        when = {"at-local": local(2, -11), "time-zone": "Test/Zone"}
        if how == "added":
            assert c.post(an_event(event_id, **when)).status == 201
        else:
            c.schedule(event_id, "http://127.0.0.1:1/", expiry=2e9)
            assert patch(c, event_id, when).status == 200
        expiry = c.event(event_id)["expiry"]
        install("Etc/GMT+12")
        return event_id, expiry
    event_id, expiry = in_time(add)
    event = wait_for(lambda: [
        e for e in [c.event(event_id)] if e["expiry"] == expiry + 3600])[0]
    assert (event["status"], event["attempts"]) == ("PENDING", 0)
    assert event["next-attempt"] == expiry + 3600


def test_comes_earlier(zoned, sink):
    """A day before its time it is seen that it is due by now."""
    c, install = zoned

    def add(event_id):
        install("Etc/GMT+11")
        assert c.post(an_event(
            event_id, url=sink.url("/" + event_id),
            at_local=local(86400 + 2, -11),
            time_zone="Test/Zone")).status == 201
        assert c.event(event_id)["expiry"] > time.time() + 80000
        install("Etc/GMT-13")
        return event_id
    event_id = in_time(add)
    sink.wait("/" + event_id)
    assert c.wait_state(event_id, "COMPLETED")["attempts"] == 1


def test_zone_is_gone(zoned, sink, name):
    """Then the time is what it was."""
    c, _ = zoned
    assert c.post(an_event(
        "a", url=sink.url("/" + name), at_local=local(2, -11),
        time_zone="Test/Zone")).status == 201
    (c.directory / "zones" / "Test" / "Zone").unlink()
    sink.wait("/" + name)


def test_looked_at_a_day_before(zoned):
    c, _ = zoned

    def ahead(event_id):
        return int(c.store.sql(
            "SELECT expiry_ms - due_ms FROM event WHERE event_id = X'%s'" %
            event_id.encode().hex())[0][0])

    def add(event_id):
        assert c.post(an_event(
            event_id, at_local=local(86400 + 2, -11),
            time_zone="Test/Zone")).status == 201
        return event_id, ahead(event_id)
    event_id, ahead_ms = in_time(add)
    assert ahead_ms == 86400000
    event = c.event(event_id)
    assert event["next-attempt"] == event["expiry"]
    wait_for(lambda: ahead(event_id) == 0)
    assert c.event(event_id) == event
