# SPDX-License-Identifier: ISC
"""Events at a local time: the time zone database in force says when."""

import itertools
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
    response = daemon.request(
        "PATCH", "/cassata/event/app/" + name, b'{"method": "PUT"}',
        [("Content-Type", "application/merge-patch+json")])
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
            response = daemon.request(
                "PATCH", "/cassata/event/app/" + event_id,
                b'{"expiry": %d}' % time.time(),
                [("Content-Type", "application/merge-patch+json")])
        assert response.status == 200, response
        sink.wait("/" + event_id)
        event = daemon.wait_state(event_id, "COMPLETED")
        assert ("time-zone" in event) == (verb == "run")


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


def test_comes_later(zoned):
    """What is due waits on, when its zone has another time by then."""
    c, install = zoned

    def add(event_id):
        install("Etc/GMT+11")
        assert c.post(an_event(event_id, at_local=local(2, -11),
                               time_zone="Test/Zone")).status == 201
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
