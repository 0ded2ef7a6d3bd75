# SPDX-License-Identifier: ISC
"""What the datastore says to a worker: answers that are lost, and refusals."""

from cassata import wait_for
from sink import Reply

WORKER = {"numWorkerThreads": 1, "workerThreadPollingInterval": "1s",
          "httpRetryCount": 3, "retryDelays": ["100ms"]}

# Of the end of e7, and no more. Triggers of a file of SQLite are not run.
REFUSALS = {
    "sqlite": (
        "CREATE INDEX no_end ON event (CASE WHEN status >= 2"
        " AND CAST(event_id AS TEXT) = 'e7'"
        " THEN abs(-9223372036854775808) END)",
        "DROP INDEX no_end"),
    "mysql": (
        "CREATE TRIGGER no_end BEFORE UPDATE ON event FOR EACH ROW"
        " SET NEW.status = IF(NEW.status >= 2 AND NEW.event_id = 'e7', 1000,"
        " NEW.status)",
        "DROP TRIGGER no_end"),
}


def test_claim_whose_answer_was_lost(launch, store, sink):
    """A failed attempt and the next claim of its row are committed together,
    and the answer is lost: the worker knows of the row, but not that it has it
    again. That the same result comes too late tells."""
    c = launch(worker=WORKER)
    gate = sink.gate()
    sink.on("/e", Reply(503, gate=gate), 200)
    c.schedule("e", sink.url("/e"))
    sink.wait("/e")
    store.sql("UPDATE event SET attempts = 2")
    gate.set()
    event = c.wait_state("e", "COMPLETED")
    assert event["attempts"] == len(sink.arrivals("/e")) == 2
    assert "whose claim was in doubt" in c.log_text()


def test_result_that_is_refused(launch, store, sink):
    """One that the datastore does not take keeps no other from being written,
    and no event from being claimed; it is written when it is taken."""
    c = launch(worker=WORKER)
    gate = sink.gate()
    n = 20
    for i in range(n):
        sink.on("/e%d" % i, Reply(200, gate=gate))
        c.schedule("e%d" % i, sink.url("/e%d" % i))
    for i in range(n):
        sink.wait("/e%d" % i)
    refuse, take = REFUSALS[store.kind]
    store.sql(refuse)
    gate.set()
    for i in range(n):
        if i != 7:
            c.wait_state("e%d" % i, "COMPLETED")
    c.schedule("after", sink.url("/after"))
    c.wait_state("after", "COMPLETED")
    wait_for(lambda: "refuses a result of event row" in c.log_text(),
             what="the refusal")
    assert c.state("e7") == "PROCESSING"
    store.sql(take)
    c.wait_state("e7", "COMPLETED")
    assert len(sink.arrivals("/e7")) == 1
