# SPDX-License-Identifier: ISC
"""cassatactl as a client of the API: many events of a file, several ids, what
it prints where, and servers and arguments that mean it ill."""

import contextlib
import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from cassata import SOURCE, Cassata, wait_for

NUMBERS = itertools.count()
OK, FAILED, USAGE = 0, 1, 2
FAR = 4102444800  # 2100-01-01
# What a terminal would obey.
CONTROL = re.compile("[^\n\t -~\u00a1-\u200d\u2010-\u2027\u2030-\u2065"
                     "\u2070-\ufefe\uff00-\uffff]")


@pytest.fixture
def alone(builddir, new_sqlite):
    """One without a daemon, whose datastore is of no interest."""
    c = Cassata(builddir, new_sqlite())
    yield c
    c.remove()


def event(app, i, **members):
    return {"application-id": app, "event-id": "e%d" % i, "event": {"n": i},
            "expiry": FAR, "url": "http://127.0.0.1:1/", **members}


def lines_of(events):
    return "".join(json.dumps(e) + "\n" for e in events)


def file_of(c, text):
    path = c.directory / ("events%d" % next(NUMBERS))
    path.write_text(text)
    return str(path)


def ctl(c, *words, code=OK, **kwargs):
    done = c.ctl(*words, **kwargs)
    assert done.returncode == code, done
    assert "runtime error" not in done.stderr, done.stderr
    return done


def spawn(c, *words, **kwargs):
    """It is none of the processes that the daemon must not leave behind."""
    return subprocess.Popen(
        [str(c.builddir / "cassatactl"), *c.options, *words],
        env=c.environment(CASSATA_TEST=""), **kwargs)


def ids_of(c, app):
    return {json.loads(line)["event-id"] for line in ctl(
        c, "event", "list", "--all", "--json", "--fields", "event-id",
        app).stdout.splitlines()}


# ---- the events of a file ----

def test_file(daemon, name):
    """Each is told of by its number, and a repetition changes nothing."""
    events = [event(name, i) for i in range(1200)]
    events[7]["url"] = "x"
    text = lines_of(events[:600]) + "\n{oops\n \t\r\n" + lines_of(events[600:])
    path = file_of(daemon, text)
    done = ctl(daemon, "event", "add", "--file", path, code=FAILED)
    assert done.stdout == "1199 added, 0 there already, 2 refused\n"
    first, second = done.stderr.splitlines()
    assert first.startswith("cassatactl: event 8: Unprocessable Content: ")
    assert first.endswith(" (/url: must start with http:// or https://)")
    assert second.startswith("cassatactl: event 601: Bad Request: ")
    assert ids_of(daemon, name) == {
        e["event-id"] for i, e in enumerate(events) if i != 7}
    events[7] = event(name, 7)
    events[8]["event"] = "another"
    # Without the end of the last line, too.
    done = ctl(daemon, "event", "add", "--file", "-", code=FAILED,
               stdin=open(file_of(daemon, lines_of(events)[:-1])))
    assert done.stdout == "1 added, 1198 there already, 1 refused\n"
    assert 'event 9, "e8": Conflict: ' in done.stderr
    done = ctl(daemon, "event", "add", "--json", "--file", path, code=FAILED)
    assert done.stderr == ""
    codes = [json.loads(line)["response-code"]
             for line in done.stdout.splitlines()]
    assert len(codes) == 1201 and set(codes) == {200, 400, 422}
    done = ctl(daemon, "event", "add", "--file", "/dev/null")
    assert done.stdout == "0 added, 0 there already, 0 refused\n"


def test_file_with_an_array(daemon, name):
    events = [event(name, i, event='],"[\n') for i in range(5)]
    path = file_of(daemon, json.dumps(events, indent=2))
    done = ctl(daemon, "event", "add", "--file", path)
    assert done.stdout == "5 added, 0 there already, 0 refused\n"
    shown = json.loads(ctl(daemon, "event", "show", name, "e3").stdout)
    assert shown["event"] == '],"[\n'
    replaced = [event(name, i, **{"on-conflict": "replace", "event": i})
                for i in range(4)]
    done = ctl(daemon, "event", "add", "--file",
               file_of(daemon, json.dumps(replaced)))
    assert done.stdout == (
        "0 added, 0 there already, 4 replaced, 0 refused\n")
    # What was whole before an error is added.
    for text, said in (
            ("[%s", "the array has no end"),
            ("[%s,]", "an element of the array is missing"),
            ("[%s] 1", "there is something behind the array")):
        new = event(name, 10 + len(said))
        done = ctl(daemon, "event", "add", "--file",
                   file_of(daemon, text % json.dumps(new)), code=FAILED)
        assert done.stdout == "1 added, 0 there already, 0 refused\n"
        assert said + ", at event 1" in done.stderr
    assert len(ids_of(daemon, name)) == 8


def test_file_as_it_is_written(daemon, name):
    """What is there of standard input is added, and told of, at once."""
    with spawn(daemon, "event", "add", "--json", "--file", "-", text=True,
               stdin=subprocess.PIPE, stdout=subprocess.PIPE) as adding:
        for i in range(5):
            adding.stdin.write(lines_of([event(name, i)]))
            adding.stdin.flush()
            result = json.loads(adding.stdout.readline())
            assert result["response-code"] == 201
            assert result["event-id"] == "e%d" % i
        adding.stdin.close()
        assert adding.stdout.read() == ""
        assert adding.wait(30) == OK


def test_file_and_a_server_that_stops(launch):
    """The rest was not added; the same command goes on."""
    c = launch()
    events = [event("app", i) for i in range(300)]
    with spawn(c, "event", "add", "--file", "-", text=True,
               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
               stderr=subprocess.PIPE) as adding:
        adding.stdin.write(lines_of(events[:100]))
        adding.stdin.flush()
        wait_for(lambda: len(ids_of(c, "app")) == 100, what="100 events")
        c.stop()
        # It ends by itself, whatever else there is to read.
        assert adding.wait(30) == FAILED
        assert adding.stdout.read() == (
            "100 added, 0 there already, 0 refused\n")
        said = adding.stderr.read()
        with contextlib.suppress(BrokenPipeError):
            adding.stdin.close()
    assert said.startswith("cassatactl: after 100 events: "), said
    c.start()
    done = ctl(c, "event", "add", "--file", file_of(c, lines_of(events)))
    assert done.stdout == "200 added, 100 there already, 0 refused\n"


def test_file_refused_as_a_whole(daemon, alone, name):
    done = ctl(daemon, "event", "add", "--file", "/nowhere/x", code=FAILED)
    assert done.stderr == (
        "cassatactl: /nowhere/x: No such file or directory\n")
    done = ctl(daemon, "event", "add", "--file", "/tmp", code=FAILED)
    assert "cassatactl: /tmp: Is a directory\n" in done.stderr
    for words in (["--file", "-", "-a", name], ["--file", "-", "http://x/"],
                  ["--file", "-", "--label", "a=b"], ["--file"]):
        assert "usage: " in ctl(daemon, "event", "add", *words,
                                code=USAGE).stderr
    with closed() as server:
        done = ctl(alone, "event", "add", "-S", server, "--file", "/dev/null",
                   code=FAILED)
    assert done.stderr.count("\n") == 1 and server in done.stderr


# ---- servers ----

@contextlib.contextmanager
def closed():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield "http://127.0.0.1:%d" % sock.getsockname()[1]


class Server:
    """Has one function for each connection; what that leaves open is closed."""

    def __init__(self, talk):
        self._talk = talk
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen(8)
        self.url = "http://127.0.0.1:%d" % self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while True:
            try:
                conn = self._sock.accept()[0]
            except OSError:
                return
            with conn, contextlib.suppress(OSError):
                self._talk(conn)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(20)


def read_until(conn, end):
    got = b""
    while end not in got:
        piece = conn.recv(65536)
        if not piece:
            break
        got += piece
    return got


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STREAM = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_file_on_a_terminal(alone):
    """A bar, with the rate and the end."""
    go_on = threading.Event()
    result = b'{"response-code":201}\n'

    def talk(conn):
        read_until(conn, b'"e9"')
        conn.sendall(STREAM + chunk(result * 4))
        go_on.wait()
        conn.sendall(chunk(result * 6) + b"0\r\n\r\n")
    path = file_of(alone, lines_of(event("app", i) for i in range(10)))
    ours, theirs = os.openpty()
    try:
        with Server(talk) as server, spawn(
                alone, "event", "add", "-S", server.url, "--file", path,
                stdout=subprocess.PIPE, stderr=theirs, text=True) as adding:
            shown = ""
            while "4 events, " not in shown:
                shown += os.read(ours, 65536).decode()
            go_on.set()
            assert adding.communicate(timeout=40)[0] == (
                "10 added, 0 there already, 0 refused\n")
            assert adding.returncode == OK
    finally:
        go_on.set()
        os.close(ours)
        os.close(theirs)
    assert re.search(r"\[#{20}\] 4 events, \d+/s", shown), shown


def test_back_pressure(alone):
    """A server that does not read is sent no more than what fits in between,
    and one whose answers are not read may wait."""
    read_on = threading.Event()
    line = lines_of([event("app", 1, event="x" * 4000)]).encode()

    def talk(conn):
        read_on.wait()
        read = conn.makefile("rb")
        while read.readline() != b"\r\n":
            pass
        conn.sendall(STREAM)
        while True:
            size = int(read.readline(), 16)
            n = read.read(size).count(b"\n")
            read.readline()
            if size == 0:
                break
            if n:
                conn.sendall(chunk(b'{"response-code":201}\n' * n))
        conn.sendall(b"0\r\n\r\n")
    with Server(talk) as server, spawn(
            alone, "event", "add", "-S", server.url, "--file", "-",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as adding, \
            contextlib.ExitStack() as stack:
        stack.callback(read_on.set)
        os.set_blocking(adding.stdin.fileno(), False)
        sent = 0
        while sent < 1 << 26 and select.select([], [adding.stdin], [], 1)[1]:
            sent += os.write(adding.stdin.fileno(), line[sent % len(line):])
        assert sent < 1 << 26
        read_on.set()
        os.set_blocking(adding.stdin.fileno(), True)
        adding.stdin.write(line[sent % len(line):])
        n = sent // len(line) + 1
        assert adding.communicate(timeout=50)[0].decode() == (
            "%d added, 0 there already, 0 refused\n" % n)
        assert adding.returncode == OK


RESULT = b'{"response-code":201}\n'


def endless(conn, start, piece):
    conn.sendall(start)
    while True:
        conn.sendall(piece)


WICKED_RESULTS = [
    (STREAM + chunk(RESULT * 4), "more results than events"),
    (STREAM + chunk(RESULT * 2) + b"0\r\n\r\n", "ends after 2 of 3 events"),
    (STREAM + chunk(RESULT * 3 + b'{"resp') + b"0\r\n\r\n",
     "ends after 3 of 3 events"),
    (STREAM + chunk(RESULT), "127.0.0.1"),  # no last chunk
    (STREAM + chunk(b"[]\n"), "a result has no status"),
    (STREAM + chunk(b"{}\n"), "a result has no status"),
    (STREAM + chunk(b'{"response-code":"201"}\n'), "a result has no status"),
    (STREAM + chunk(b'{"response-code":2.01e2}\n'), "a result has no status"),
    (STREAM + chunk(b'{"response-code":%s}\n' % (b"9" * 1000)),
     "a result has no status"),
    (STREAM + chunk(b"[" * 100000 + b"\n"), "a result is no JSON"),
    (STREAM + chunk(b"\x1b[2J\xff\n"), "a result is no JSON"),
    (STREAM + chunk(b'{"response-code":503,"events":0}\n' + RESULT),
     "it goes on behind its end"),
    (STREAM + chunk(b'{"response-code":409,"title":"\\u001b[2J\xc2\x9b",'
                    b'"event-id":"\xc2\x9b\\u202e"}\n'), "event 1"),
    (HEAD + b"Content-Length: 400\r\n\r\n" + RESULT * 3, "127.0.0.1"),
    (HEAD + b"Content-Length: -1\r\n\r\n" + RESULT * 3, "127.0.0.1"),
    (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", "127.0.0.1"),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "127.0.0.1"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
    (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
     b"Content-Length: 0\r\n\r\n", "status 302"),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 21\r\n\r\n"
     b'{"title":"No\\u001b[2J"}', "status 404"),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n"
     b'{"title":"No\\u001b[2"}', "No\\u001b[2"),
    (b"\x1b[2J\r\n\r\n", "127.0.0.1"),
    (b"", "127.0.0.1"),
]


@pytest.mark.parametrize("answer, said", WICKED_RESULTS,
                         ids=range(len(WICKED_RESULTS)))
def test_wicked_results(alone, answer, said):
    def talk(conn):
        read_until(conn, b'"e2"')
        conn.sendall(answer)
    path = file_of(alone, lines_of(event("app", i) for i in range(3)))
    with Server(talk) as server:
        done = ctl(alone, "--timeout", "50", "event", "add", "-S", server.url,
                   "--file", path, code=FAILED)
    assert said in done.stderr, done
    assert not CONTROL.search(done.stdout + done.stderr)


# What ends by its size, and what by the time.
ENDLESS_RESULTS = [
    (STREAM, chunk(b"x" * 60000), 50, "a result is too long"),
    (STREAM, b"10\r\n" + b"x" * 16 + b"\r\n", 50, "a result is too long"),
    (b"HTTP/1.1 500 Oops\r\n\r\n", b"x" * 60000, 50, "status 500"),
    (HEAD + b"\r\n", b"\n" * 60000, 1, "127.0.0.1"),  # blank lines
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 1, "127.0.0.1"),
    (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000, 1, "127.0.0.1"),
    (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 6000, 1, "127.0.0.1"),
]


@pytest.mark.parametrize("start, piece, seconds, said", ENDLESS_RESULTS,
                         ids=range(len(ENDLESS_RESULTS)))
def test_endless_results(alone, start, piece, seconds, said):
    def talk(conn):
        read_until(conn, b'"e2"')
        endless(conn, start, piece)
    path = file_of(alone, lines_of(event("app", i) for i in range(3)))
    with Server(talk) as server:
        done = ctl(alone, "--timeout", str(seconds), "event", "add", "-S",
                   server.url, "--file", path, code=FAILED)
    assert said in done.stderr, done
    assert len(done.stdout) + len(done.stderr) < 2000


def slow(conn):
    for i in range(1000):
        conn.sendall((STREAM + b"fff\r\n" + b"x" * 4095)[i:i + 1])
        time.sleep(0.05)


def silent(conn):
    with contextlib.suppress(OSError):
        while conn.recv(65536):
            pass


@pytest.mark.parametrize("talk", [slow, silent])
def test_slow_server(alone, talk):
    path = file_of(alone, lines_of([event("app", 1)]))
    for words in ["add", "--file", path], ["show", "app", "id", "other"]:
        with Server(talk) as server:
            done = ctl(alone, "--timeout", "1", "event", words[0], "-S",
                       server.url, *words[1:], code=FAILED)
        assert "imeout" in done.stderr or "imed out" in done.stderr, done
        assert done.stderr.count(server.url) == 1


# Those of which there is nothing to say are for the sake of the sanitizers.
WICKED_ANSWERS = [
    b"", b"{", b"null", b"[]", b"\"x\"", b"[" * 100000, b"{\"a\":" * 100000,
    b"{}\x00", b"{}{}", b"\xff\xfe", b"1e999", b"-" * 1000,
    b'{"events":{},"jobs":1,"schedules":"x","pauses":null,"job":[],'
    b'"because":7,"status":{},"next":{}}',
    b'{"events":[1,"x",null,[],[{}],{}],"jobs":[1,"x",null,[],{}],'
    b'"schedules":[1,"x",null,[],{},{"next":[],"event":[]},{"event":{}}],'
    b'"pauses":[1,"x",null,[],{}],"because":[1,null,[],{},{"text":{}}],'
    b'"job":{"a":1},"ended":1}',
    b'{"events":[{"status":1e999,"next-attempt":1e300,"finished":-1,'
    b'"attempts":%s,"url":{}}],"pauses":[{"since":1e300,"until":-1e300}],'
    b'"jobs":[{"matched":1e999,"done":-1}],"job":1e99,"ended":1e999,'
    b'"schedules":[{"next":[1e999],"runs":%s}],"created":1e300}'
    % (b"9" * 5000, b"9" * 5000),
    b'{"events":[{"status":"\\u001b[2J","url":"\x7f\xc2\x9b\xe2\x80\xae",'
    b'"event-id":"\\n\\r\\u0000"}],"pauses":[{"note":"\\u001b[2J",'
    b'"application-id":"\\u009b\\u202e"}],"jobs":[{"job":"\\u001b[2J",'
    b'"state":"\\u0007"}],"schedules":[{"status":"\\u001b[2J",'
    b'"event":{"url":"\\u001b"}}],"\xc2\x9b":"\\u001b","job":"\\u001b[2J",'
    b'"ended":1,"because":[{"text":"\\u001b[2J\\u0085"}],'
    b'"damaged":"\xc2\x9b\xe2\x80\xae"}',
]


def send_answer(conn, body, status=b"200 OK"):
    conn.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status, len(body), body))


def answer_with(body, status=b"200 OK"):
    def talk(conn):
        read_until(conn, b"\r\n\r\n")
        send_answer(conn, body, status)
    return talk


@contextlib.contextmanager
def terminal():
    """What a program writes there, as text, in a list when it has ended."""
    ours, theirs = os.openpty()
    shown = []

    def read():
        with contextlib.suppress(OSError):
            while True:
                shown.append(os.read(ours, 65536))
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield theirs, lambda: b"".join(shown).decode(errors="surrogateescape")
    finally:
        os.close(theirs)
        reader.join(20)
        os.close(ours)


def assert_bounded(done, body=None):
    assert done.returncode in (OK, FAILED), (body, done)
    assert "runtime error" not in done.stderr, done.stderr
    assert not CONTROL.search(done.stdout + done.stderr), (body, done)
    assert len(done.stdout + done.stderr) < 100000


def test_wicked_answers(alone):
    """Whatever it is, it is bounded, and nothing of it reaches the terminal."""
    for status in b"200 OK", b"404 Not Found":
        bodies = iter(WICKED_ANSWERS)
        with Server(lambda conn: answer_with(
                next(bodies), status)(conn)) as server:  # one each
            done = ctl(alone, "--timeout", "50", "event", "why", "-S",
                       server.url, "app", *map(str, range(
                           len(WICKED_ANSWERS))), code=FAILED)
        assert_bounded(done)
        assert next(bodies, None) is None


@pytest.mark.parametrize("words", [
    ["event", "list"], ["schedule", "list"], ["job", "list"],
    ["job", "show", "--watch"], ["job", "start"]], ids="-".join)
def test_wicked_lists(alone, words):
    for body in WICKED_ANSWERS[-4:]:
        with Server(answer_with(body)) as server:
            more = {"show": ["id"], "start": ["run"]}.get(words[1], [])
            assert_bounded(alone.ctl("--timeout", "50", *words, "-S",
                                     server.url, "app", *more), body)


@pytest.mark.parametrize("words", [
    ["event", "show", "app", "id"], ["event", "list", "app"], ["pauses"],
    ["job", "list", "app"], ["schedule", "list", "app"]],
                         ids=lambda words: "-".join(words[:2]))
def test_terminal_gets_no_commands(alone, words):
    at = 1 if words[0] == "pauses" else 2
    with Server(answer_with(WICKED_ANSWERS[-1])) as server, \
            terminal() as (theirs, shown), \
            spawn(alone, *words[:at], "-S", server.url, *words[at:],
                  stdout=theirs, stderr=theirs) as asking:
        assert asking.wait(30) in (OK, FAILED)
    text = shown().replace("\r\n", "\n")
    assert not CONTROL.search(text), text
    assert "\\u001b" in text


@pytest.mark.parametrize("words", [
    ["event", "list", "app", "--all"], ["schedule", "list", "app"]],
                         ids=lambda words: words[0])
def test_list_that_goes_in_a_circle(alone, words):
    body = b'{"events":[],"schedules":[],"next":"again"}'
    with Server(answer_with(body)) as server:
        done = ctl(alone, *words, "-S", server.url, code=FAILED)
    assert done.stderr == "cassatactl: the answer is no list\n"


def test_answer_that_is_too_long(alone):
    def talk(conn):
        read_until(conn, b"\r\n\r\n")
        endless(conn, HEAD + b"\r\n", b" " * 1000000)
    with Server(talk) as server:
        done = ctl(alone, "--timeout", "50", "event", "show", "-S",
                   server.url, "a", "b", code=FAILED)
    assert "the answer is too long" in done.stderr


@pytest.mark.parametrize("body", [
    b'{"now":1e300,"ahead":0}', b'{"now":NaN,"ahead":1}', b"", b"[]",
    b'{"now":1,"ahead":-1e300}', b'{"now":1}'])
def test_wicked_clock(alone, body):
    with Server(answer_with(body)) as server:
        done = ctl(alone, "clock", "-S", server.url, code=FAILED)
    assert done.stderr == "cassatactl: the answer is no clock\n"


def clock_with(answers, bodies):
    """Each of them once; what is asked for goes to bodies."""
    def talk(conn):
        body = read_until(conn, b"}").rpartition(b"\r\n")[2]
        bodies.append(json.loads(body))
        send_answer(conn, json.dumps(next(answers)).encode(), b"202 Accepted")
    return talk


def test_advance_in_parts(alone):
    """What is left is asked for, and a terminal sees how far it is."""
    bodies = []
    with terminal() as (theirs, shown):
        def answers():
            left = 30 * 86400000
            while not re.search(r"\[#*\.+\] 1970-01-02T", shown()):
                left -= 1
                yield {"now": 86400, "ahead": 1, "left": "%dms" % left}
            yield {"now": 2 * 86400, "ahead": 86400.5}
        with Server(clock_with(answers(), bodies)) as server, spawn(
                alone, "clock", "-S", server.url, "advance", "30d",
                stdout=subprocess.PIPE, stderr=theirs, text=True) as asking:
            assert asking.stdout.read() == (
                "1970-01-03T00:00:00Z, 86400500ms ahead\n")
            assert asking.wait(30) == OK
    spans = [body["advance"] for body in bodies]
    assert spans[:2] == ["30d", "2591999999ms"]
    assert spans[-1] == "%dms" % (30 * 86400000 - len(spans) + 1)


@pytest.mark.parametrize("left", ["2d", "1d", "0s", "-1d", "x", "", 7, {}])
def test_advance_that_does_not_end(alone, left):
    answers = ({"now": 1, "ahead": 1, "left": n} for n in ["1d", left])
    with Server(clock_with(answers, [])) as server:
        done = ctl(alone, "clock", "-S", server.url, "advance", "2d",
                   code=FAILED)
    assert done.stderr == "cassatactl: the answer is no clock\n"


@pytest.mark.parametrize("words", [
    ["pauses"], ["job", "list", "app"], ["schedule", "list", "app"],
    ["event", "list", "app"]], ids=lambda words: words[0])
def test_no_room_for_the_answer(alone, words):
    at = 1 if words[0] == "pauses" else 2
    body = b'{"pauses":[],"jobs":[],"schedules":[],"events":[]}'
    with Server(answer_with(body)) as server, open("/dev/full", "w") as full, \
            spawn(alone, *words[:at], "-S", server.url, *words[at:],
                  stdout=full, stderr=subprocess.PIPE, text=True) as asking:
        assert "cannot write" in asking.stderr.read()
        assert asking.wait(30) == FAILED


# ---- words ----

@pytest.mark.parametrize("words, meant", [
    (["evnt"], "event"), (["event", "lsit"], "list"),
    (["job", "strat"], "start"), (["schedule", "pasue"], "pause")])
def test_did_you_mean(alone, words, meant):
    done = ctl(alone, *words, code=USAGE)
    assert done.stderr.startswith(
        "cassatactl: unknown command: %s (did you mean %s?)\n" % (
            words[-1], meant))
    assert "usage: " in done.stderr


@pytest.mark.parametrize("words", [
    ["event"], ["event", "list"], ["job", "start"], ["schedule"], ["pause"],
    ["resume"], ["pauses"], ["clock"], ["migrate"]], ids="-".join)
def test_help(alone, words):
    done = ctl(alone, *words, "--help")
    assert done.stdout.startswith("usage: cassatactl ") and done.stderr == ""


@pytest.mark.parametrize("words, offered", [
    (["re"], "restart reload reopen resume"), (["event", "s"], "show"),
    (["job", ""], "start list show pause resume cancel delete"),
    (["event", "list", "--l"], "--label --limit"),
    (["schedule", "add", "--c"], "--cron --count --catch-up --complete-by"),
    (["pause", "-n", "note", ""], ""), (["resume", ""], "app host"),
    (["-d", "x", "job", "show", "--"], "--watch --json"),
    (["migrate", "--t"], "--to --to-password-file"), (["migrate", ""], ""),
    (["migrate", "--to-password-file", "/proc/self/statu"], "/proc/self/status"),
    (["clock", ""], "advance"), (["clock", "--"], "--json"),
    (["event", "add", "--file", "/proc/self/statu"], "/proc/self/status")])
def test_completion(alone, words, offered):
    script = SOURCE / "contrib" / "completion" / "cassatactl"
    done = alone.run(
        "bash", "-c", "source %s; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($#-1));"
        " _cassatactl \"$1\"; echo ${COMPREPLY[*]}" % script, "bash",
        str(alone.builddir / "cassatactl"), *words)
    assert done.stdout.split() == offered.split(), done


WORDS = ["", "-", "--", "\x1b[2J", "\udcff\udc9b", "../..", "%00", "1e999",
         "x" * 70000, "\u202e", "--json", "9" * 400, "=", "@/nowhere", "\n"]


@pytest.mark.parametrize("verb", [
    ["event", "add"], ["event", "list"], ["event", "show"], ["job", "start"],
    ["schedule", "add", "--count"], ["pause", "-u"]], ids="-".join)
def test_wicked_words(alone, verb):
    """It ends, and says no more than it was told, without a command."""
    at = 1 if verb[0] == "pause" else 2
    with closed() as server:
        for n, word in enumerate(WORDS[::2] if at == 1 else WORDS[1::2]):
            done = alone.ctl(*verb[:at], "-S", server, *verb[at:],
                             *[word] * (1 + n % 3))
            assert done.returncode in (FAILED, USAGE), (word, n, done)
            # getopt(3) repeats the name of an option as it was given.
            if not word.startswith("-"):
                assert not CONTROL.search(done.stderr), (word, done)


def test_what_is_kept_as_it_is_written(daemon, name):
    """A slash is a slash."""
    done = ctl(daemon, "schedule", "add", "-a", name, "--cron", "@daily",
               "--time-zone", "Europe/Berlin", "s", "http://127.0.0.1:1/")
    assert '"Europe/Berlin"' in done.stdout, done
    ctl(daemon, "schedule", "delete", name, "s")
    ctl(daemon, "event", "add", "-a", name, "-i", "e", "-t", "1h",
        "--on-complete", "http://127.0.0.1:1/told", "http://127.0.0.1:1/")
    assert '"http://127.0.0.1:1/told"' in ctl(
        daemon, "event", "show", name, "e").stdout


# ---- several ids, JSON, terminals ----

def test_several_ids(daemon, name):
    path = file_of(daemon, lines_of(event(name, i) for i in range(4)))
    ctl(daemon, "event", "add", "--file", path)
    done = ctl(daemon, "event", "show", name, "e0", "no\x1b", "e2", "--json",
               code=FAILED)
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["event-id"] for e in shown] == ["e0", "e2"]
    assert json.loads(done.stderr)["type"] == "urn:cassata:problem:unknown-event"
    done = ctl(daemon, "event", "retry", name, "e0", "e1", code=FAILED)
    said = done.stderr.splitlines()
    assert [line.split(": ")[:3] for line in said] == [
        ["cassatactl", "e0", "Conflict"], ["cassatactl", "e1", "Conflict"]]
    assert len(ctl(daemon, "event", "why", name, "e0",
                   "e1").stdout.splitlines()) == 2
    done = ctl(daemon, "event", "delete", name, "e0", "e0", "e3", code=FAILED)
    assert [json.loads(line)["event-id"]
            for line in done.stdout.splitlines()] == ["e0", "e3"]
    assert "cassatactl: e0: Not Found: " in done.stderr
    assert ids_of(daemon, name) == {"e1", "e2"}
    with closed() as server:  # which is asked once
        done = ctl(daemon, "event", "run", "-S", server, name, "a", "b",
                   code=FAILED)
    assert done.stderr.count("\n") == 1


def test_change(daemon, name):
    """A patch for each of them: a word, a file, or standard input."""
    path = file_of(daemon, lines_of(event(name, i) for i in range(2)))
    ctl(daemon, "event", "add", "--file", path)
    done = ctl(daemon, "event", "change", name, "e0", "no", "e1",
               '{"method": "PUT", "labels": {"a": "b"}}', code=FAILED)
    assert [json.loads(line)["event-id"]
            for line in done.stdout.splitlines()] == ["e0", "e1"]
    assert done.stderr.startswith("cassatactl: no: Not Found: ")
    assert ctl(daemon, "event", "list", "--label", "a=b", "--fields",
               "method", "--json", name).stdout == '{"method":"PUT"}\n' * 2
    patch = file_of(daemon, '{"labels": null,\n "method": null}')
    ctl(daemon, "event", "change", "--json", name, "e0", "@" + patch)
    shown = json.loads(ctl(daemon, "event", "show", name, "e0").stdout)
    assert shown["method"] == "POST" and "labels" not in shown
    with open(patch) as given:
        ctl(daemon, "event", "change", name, "e1", "-", stdin=given)
    assert ctl(daemon, "event", "list", "--label", "a=b", name,
               "--json").stdout == ""
    assert "/expirey: unknown member" in ctl(
        daemon, "event", "change", name, "e0", '{"expirey": 1}',
        code=FAILED).stderr
    assert "usage: " in ctl(daemon, "event", "change", name, "e0",
                            code=USAGE).stderr


def test_several_ids_of_other_things(daemon, name):
    """As those of events: each is asked for, and told of."""
    def lines(*words, code=OK, said=()):
        done = ctl(daemon, *words, code=code)
        assert len(done.stderr.splitlines()) == len(said), done
        for line, begin in zip(done.stderr.splitlines(), said):
            assert line.startswith("cassatactl: %s: " % begin), done
        return done.stdout.splitlines()

    def documents(*words, **kwargs):
        return [json.loads(line) for line in lines(*words, **kwargs)]

    for i in range(3):
        ctl(daemon, "schedule", "add", "-a", name, "--every", "1h", "s%d" % i,
            "http://127.0.0.1:1/")
    paused = documents("schedule", "pause", name, "s0", "no", "s2",
                       code=FAILED, said=["no: Not Found"])
    assert [(s["schedule-id"], s["status"]) for s in paused] == [
        ("s0", "PAUSED"), ("s2", "PAUSED")]
    shown = on_terminal(daemon, "schedule", "show", name, "s0", "s1")
    assert [re.findall("^schedule-id +(.*)$", one, re.M)
            for one in shown.split("\n\n")] == [["s0"], ["s1"]]
    assert len(documents("schedule", "delete", "--json", name, "s0",
                         "s1")) == 2
    assert "usage: " in ctl(daemon, "schedule", "run", name, code=USAGE).stderr

    jobs = [json.loads(ctl(
        daemon, "job", "start", "--dry-run", "--json", name,
        "run").stdout)["job"] for _ in range(2)]
    found = documents("job", "show", "--json", name, *jobs)
    assert [j["job"] for j in found] == jobs
    table = lines("job", "delete", name, jobs[0], "77", jobs[1], code=FAILED,
                  said=["77: Not Found"])
    assert [line.split()[0] for line in table] == ["job", *jobs]
    assert "usage: " in ctl(daemon, "job", "show", "--watch", name, "1", "2",
                            code=USAGE).stderr

    apps = [name + c for c in "abc"]
    for p in documents("pause", "-n", "note", "app", *apps):
        assert p["note"] == "note" and p["application-id"] in apps
    resumed = documents("resume", "app", apps[0], name, apps[2], code=FAILED,
                        said=[name + ": Not Found"])
    assert [p["application-id"] for p in resumed] == [apps[0], apps[2]]
    ctl(daemon, "resume", "app", apps[1])


def test_an_id_that_looks_like_an_option(daemon, name):
    ctl(daemon, "event", "add", "-a", name, "-i", "--json", "-t", "1h",
        "http://127.0.0.1:1/")
    done = ctl(daemon, "event", "show", "--", name, "--json")
    assert json.loads(done.stdout)["event-id"] == "--json"


def on_terminal(c, *words, code=OK):
    with terminal() as (theirs, shown), spawn(
            c, *words, stdout=theirs) as asking:
        assert asking.wait(30) == code
    return shown().replace("\r\n", "\n")


def test_tables_on_a_terminal(daemon, name):
    ctl(daemon, "event", "add", "-a", name, "-i", "e", "-T", str(FAR),
        "--label", "a=b", "-H", "X-A: b", "-H", "X-B: c",
        "http://127.0.0.1:1/", "text\x1b")
    text = on_terminal(daemon, "event", "show", name, "e")
    lines = dict(re.split("  +", line, maxsplit=1) for line in text.splitlines())
    assert lines["application-id"] == name and lines["status"] == "PENDING"
    assert lines["expiry"] == "2100-01-01T00:00:00.000Z"
    assert lines["event"] == "text\\u001b"
    assert lines["labels"] == '{"a":"b"}'
    assert lines["request-headers"] == "X-A: b" and lines[""] == "X-B: c"
    assert json.loads(on_terminal(
        daemon, "event", "show", "--json", name, "e"))["event-id"] == "e"
    assert re.search(r"^because {15}\w",
                     on_terminal(daemon, "event", "why", name, "e"), re.M)
    assert on_terminal(daemon, "event", "delete", name, "e").splitlines() == [
        "application-id        " + name, "event-id              e",
        "status                DELETED", "event-status          PENDING"]


REQUEST = ("-m", "PUT", "-H", "X-A: b", "-H", "X-C: d", "--label", "a=b",
           "--label", "c=d=e", "--attempts", "3", "--delays", "10s,1m",
           "--retry-jitter", "0", "--retry-on", "5xx,404", "--on-complete",
           "http://127.0.0.1:1/yes", "--on-failure", "http://127.0.0.1:1/no")
REQUESTED = {
    "method": "PUT", "request-headers": ["X-A: b", "X-C: d"],
    "labels": {"a": "b", "c": "d=e"}, "event": "body",
    "retry": {"attempts": 3, "delays": ["10s", "1m"], "jitter": 0,
              "on": ["5xx", "404"]},
    "on-complete": "http://127.0.0.1:1/yes",
    "on-failure": "http://127.0.0.1:1/no"}


@pytest.mark.parametrize("words, show, path, member", [
    (("event", "add", "-t", "1d", "-i", "e"), ("event", "show"), "/retry",
     lambda answer: answer),
    (("schedule", "add", "--every", "1d"), ("schedule", "show"),
     "/event/retry", lambda answer: answer["event"])])
def test_what_a_request_has(daemon, name, words, show, path, member):
    """Of an event and of the runs of a schedule, by the same options."""
    ids = ["e"] if words[0] == "schedule" else []
    ctl(daemon, *words, "-a", name, *REQUEST, *ids, "http://127.0.0.1:1/",
        "body")
    shown = member(json.loads(ctl(daemon, *show, name, "e").stdout))
    assert {k: shown[k] for k in REQUESTED} == REQUESTED
    for option, value, pointer in (("--attempts", "x", "attempts"),
                                   ("--delays", "10s,x", "delays/1"),
                                   ("--retry-on", "", "on/0"),
                                   ("--retry-jitter", "101", "jitter")):
        done = ctl(daemon, *words, "-a", name, option, value, *ids,
                   "http://127.0.0.1:1/", code=FAILED)
        assert path + "/" + pointer in done.stderr
    done = ctl(daemon, *words, "--label", "a", *ids, "http://a/", code=USAGE)
    assert done.stderr.startswith("usage: ")


@pytest.mark.parametrize("words", [
    ["pause", "--json", "app"], ["resume", "--json", "app"]],
                         ids=lambda words: words[0])
def test_json_of_pauses(daemon, name, words):
    ctl(daemon, "pause", "-n", "note", "app", name)
    done = ctl(daemon, *words, name)
    assert json.loads(done.stdout)["application-id"] == name
    assert any(p.get("application-id") == name for p in json.loads(ctl(
        daemon, "pauses", "--json").stdout)["pauses"]) == (
            words[0] == "pause")
    daemon.ctl("resume", "app", name)


def test_limits_of_lists(daemon, name):
    path = file_of(daemon, lines_of(event(name, i) for i in range(120)))
    ctl(daemon, "event", "add", "--file", path)

    def n(*words):
        return len(ctl(daemon, *words, "--json", name).stdout.splitlines())
    assert n("event", "list") == 100
    assert n("event", "list", "--all") == n("event", "list", "--limit=0") == 120
    for i in range(3):
        ctl(daemon, "schedule", "add", "-a", name, "--every", "1h", "s%d" % i,
            "http://127.0.0.1:1/")
    assert n("schedule", "list") == n("schedule", "list", "--all") == 3
    assert n("schedule", "list", "--limit", "2") == 2


# ---- again and again ----

def test_watch_an_event(daemon, sink, name):
    """Until it has ended."""
    ctl(daemon, "event", "add", "-a", "app", "-i", name, "-t", "1h",
        sink.url("/" + name))
    with spawn(daemon, "event", "show", "--watch", "app", name, text=True,
               stdout=subprocess.PIPE) as watching:
        assert json.loads(watching.stdout.readline())["status"] == "PENDING"
        ctl(daemon, "event", "run", "app", name)
        states = [json.loads(line)["status"] for line in watching.stdout]
        assert watching.wait(30) == OK
    assert states[-1] == "COMPLETED"
    assert "usage" in ctl(daemon, "event", "show", "--watch", "app", "a", "b",
                          code=USAGE).stderr
    assert "usage" in ctl(daemon, "event", "run", "--watch", "app", "a",
                          code=USAGE).stderr
    ctl(daemon, "event", "show", "--watch", "app", "none", code=FAILED)


@pytest.mark.parametrize("words, shown", [
    (["status", "--watch"], "cassatad "),
    (["event", "list", "--watch", "app"], "status  "),
    (["job", "list", "--watch", "app"], "job  "),
    (["schedule", "list", "--watch", "app"], "status  "),
    (["pauses", "--watch"], "since  ")],
                         ids=lambda words: words[0])
def test_watch_until_it_is_stopped(daemon, words, shown):
    with spawn(daemon, *words, text=True, stdout=subprocess.PIPE) as watching:
        n = 0
        while n < 3:
            n += watching.stdout.readline().startswith(shown)
        watching.send_signal(signal.SIGTERM)  # a background job ignores SIGINT
        assert watching.wait(30) == -signal.SIGTERM


def test_watch_that_nobody_reads(daemon, name):
    """It ends, though there is nothing to be told."""
    ctl(daemon, "event", "add", "-a", name, "-i", "e", "-t", "1d",
        "http://127.0.0.1:1/")
    with spawn(daemon, "event", "show", "--watch", name, "e", text=True,
               stdout=subprocess.PIPE) as watching:
        assert watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(30) != 0


@pytest.mark.parametrize("words", [["event", "list"], ["schedule", "list"]],
                         ids=lambda words: words[0])
def test_watch_without_an_output(daemon, name, words):
    """It ends: it neither waits for a second nor can be seen."""
    done = daemon.run("sh", "-c", 'exec "$@" >&-', "sh",
                      str(daemon.builddir / "cassatactl"), *daemon.options,
                      *words, "--watch", "--json", name)
    assert (done.returncode, done.stderr) == (0, "")
