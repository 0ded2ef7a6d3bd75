# SPDX-License-Identifier: ISC
"""What a scrape finds, and where."""

import re

LATENESS = "cassata_lateness_seconds_total"


def values(text):
    """The numbers by name and labels; each line is what the format allows."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.match(r"# (HELP|TYPE) cassata_\w+ \S", line), line
            continue
        name, value = re.fullmatch(
            r"(cassata_\w+(?:{.*})?) (\d+(?:\.\d{3})?)", line).groups()
        assert name not in found
        found[name] = float(value)
    types = re.findall(r"^# TYPE (\S+)", text, re.M)
    assert sorted(types) == sorted(set(types))
    assert set(types) == {name.partition("{")[0] for name in found}
    return found


def scrape(c):
    response = c.get("/metrics")
    assert response.status == 200
    assert response.header("Content-Type").startswith("text/plain")
    return values(response.body.decode())


def test_added(daemon, sink, name):
    before = scrape(daemon)
    daemon.schedule(name, sink.url("/" + name))
    after = scrape(daemon)
    added = "cassata_events_added_total"
    assert after[added] == before[added] + 1


def test_units_are_seconds(daemon):
    """And what cassatactl shows has the same names and numbers."""
    found = scrape(daemon)
    assert not [name for name in found if re.search("_ms(_|$)", name)]
    assert {LATENESS, "cassata_loop_stalled_seconds_total"} <= set(found)
    assert set(daemon.status()["metrics"]) == set(found)


def test_lateness_of_what_came_too_late(daemon, sink, name):
    """It counts from when the event was accepted, not from 1970."""
    before = scrape(daemon)[LATENESS]
    daemon.schedule(name, sink.url("/" + name), expiry=0)
    daemon.wait_state(name, "COMPLETED")
    assert 0 <= scrape(daemon)[LATENESS] - before < 120
    assert daemon.status()["metrics"][LATENESS] < 600


def test_each_role_has_its_own(launch):
    service = launch(roles="service")
    found = scrape(service)
    assert 'cassata_http_requests_total{code="2xx"}' in found
    assert "cassata_store_failures_total" in found
    assert not [n for n in found if re.search("attempts|shards|worker", n)]
    worker = launch(roles="worker")
    found = worker.status()["metrics"]
    assert "cassata_shards_held" in found
    assert "cassata_store_failures_total" in found
    assert not [n for n in found if re.search("http|events_added|service", n)]
