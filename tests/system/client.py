# SPDX-License-Identifier: ISC
"""A client that sends exactly the bytes it is told to, and reads answers with
the framing checked."""

import collections
import json
import select
import socket
from urllib.parse import quote

import contract


class Response:
    def __init__(self, version, status, headers, body):
        self.version = version
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name):
        """The value of the only header of that name, or None."""
        found = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(found) <= 1, "%s came %d times" % (name, len(found))
        return found[0] if found else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %s %r>" % (self.status, self.headers, self.body[:1000])


class Connection:
    def __init__(self, port, timeout=80, source="127.0.0.1", is_api=True):
        self._sock = socket.create_connection(
            ("127.0.0.1", port), timeout, (source, 0))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._sock.makefile("rb")
        # Requests that are to be answered, of which the API's description
        # tells; not where there are others.
        self._asked = collections.deque()
        self._is_api = is_api

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._stream.close()
        self._sock.close()

    def send(self, data):
        self._is_api = False
        self._sock.sendall(data)

    def send_request(self, method, target, body=None, headers=()):
        lines = ["%s %s HTTP/1.1" % (method, target)]
        names = [name for name, _ in headers]
        if "Host" not in names:
            lines.append("Host: localhost")
        lines += ["%s: %s" % header for header in headers]
        if body is not None:
            if "Content-Type" not in names:
                lines.append("Content-Type: application/json")
            lines.append("Content-Length: %d" % len(body))
        self._asked.append((method, target, dict(headers).get(
            "Content-Type", "application/json"), body or b""))
        self._sock.sendall(
            "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def shrink(self):
        """Takes little before the server has to wait."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def add(self, event):
        """One of many, on a connection that is kept."""
        self.send_request("POST", "/cassata/add/", json.dumps(event).encode())
        response = self.read_response()
        assert response.status == 201, response

    def shutdown(self):
        """Says that nothing more will be sent."""
        self._sock.shutdown(socket.SHUT_WR)

    def readable(self):
        """Whether the server has sent something."""
        return bool(select.select([self._sock], [], [], 0)[0])

    def at_end(self):
        """Whether the server ends the connection without another byte."""
        try:
            return self._stream.read(1) == b""
        except ConnectionResetError:
            return True

    def read_chunk(self):
        """Of a body in chunks; b"" is the end."""
        size = self._stream.readline()
        if not size.endswith(b"\r\n"):
            raise ConnectionError("answer ended between chunks")
        chunk = self._stream.read(int(size, 16))
        if len(chunk) != int(size, 16) or self._stream.read(2) != b"\r\n":
            raise ConnectionError("answer ended in a chunk")
        return chunk

    def read_response(self, head=False, whole=True):
        line = self._stream.readline()
        if not line:
            raise ConnectionError("no answer")
        version, status, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        for line in iter(self._stream.readline, b"\r\n"):
            if not line:
                raise ConnectionError("answer ended in its head")
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
            headers.append((name, value.strip()))
        response = Response(version, int(status), headers, b"")
        if response.header("Transfer-Encoding") is not None:
            assert response.header("Transfer-Encoding") == "chunked"
            assert response.header("Content-Length") is None
            if whole:
                response.body = b"".join(iter(self.read_chunk, b""))
        elif response.status >= 200 and response.status not in (204, 304) \
                and not head:
            length = int(response.header("Content-Length"))
            response.body = self._stream.read(length)
            if len(response.body) != length:
                raise ConnectionError("answer ended in its body")
        if response.status >= 200:
            asked = self._asked.popleft() if self._asked else None
            if self._is_api and asked:
                contract.check(asked, response, whole)
        return response


def request(port, method, target, body=None, headers=(), is_api=True):
    """One request on a connection of its own, which must end after it."""
    headers = list(headers) + [("Connection", "close")]
    with Connection(port, is_api=is_api) as connection:
        connection.send_request(method, target, body, headers)
        response = connection.read_response(head=method == "HEAD")
        assert connection.at_end(), "more than one answer"
        return response


def path_of(verb, app, event_id):
    """ids may be str or bytes."""
    return "/cassata/%s/%s/%s" % (verb, quote(app, safe=""),
                                  quote(event_id, safe=""))
