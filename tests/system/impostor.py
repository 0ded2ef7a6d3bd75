# SPDX-License-Identifier: ISC
"""What answers in the place of a MySQL server, and lies: as much of its protocol
as the client library needs to believe it."""

import re
import socket
import struct
import threading

SALT = b"0123456789abcdefghij"
NATIVE = b"mysql_native_password"
# CLIENT_PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_WITH_DB,
# LENENC_CLIENT_DATA and others of a server, without SSL
CAPABILITIES = 0x003ff7df
CLIENT_SSL = 0x800
LONGLONG, BLOB = 8, 252
OK = b"\0\0\0\2\0\0\0"
END = b"\xfe\0\0\2\0"
BYTES = {"k", "fingerprint", "last_error", "app", "event_id", "method", "url",
         "headers", "body", "options", "error", "response"}


def length_of(n):
    if n < 251:
        return struct.pack("<B", n)
    if n < 1 << 16:
        return b"\xfc" + struct.pack("<H", n)
    return b"\xfe" + struct.pack("<Q", n)


def text(value):
    return length_of(len(value)) + value


def column(kind):
    """The description of a column of a result."""
    width = 1 << 28 if kind == BLOB else 20
    return (text(b"def") + 5 * text(b"") + b"\x0c" +
            struct.pack("<HIBHB2x", 63, width, kind, 0, 0))


def row(*values):
    """A row of the binary protocol: integers and bytes."""
    packet = b"\0" + bytes((len(values) + 9) // 8)
    for value in values:
        packet += text(value) if isinstance(value, bytes) else \
            struct.pack("<q", value)
    return packet


def selected(statement):
    """The kinds of the columns that a SELECT asks for, of MariaDB."""
    statement = re.sub(r"/\*!.*?\*/", "", statement)
    kinds, depth, item = [], 0, ""
    for word in re.findall(r"[\w.]+|\S", statement.replace("SELECT", "", 1)):
        if depth == 0 and word in (",", "FROM", "UNION", ")"):
            kinds.append(BLOB if item in BYTES else LONGLONG)
            item = ""
            if word != ",":
                return kinds
            continue
        depth += (word == "(") - (word == ")")
        item += word
    return kinds + [LONGLONG]


class Impostor:
    """Serves connections one after the other until it is closed.

    answers: (pattern of a statement, function from its columns to the packets
             that execute it), the first that matches
    plugin: the authentication that the greeting names
    asks: that the client is asked for then: (its name, packets to follow, each
          after one of the client)
    """

    def __init__(self, answers=(), plugin=NATIVE, asks=()):
        self.answers = answers
        self.plugin = plugin
        self.asks = asks
        self.said = []  # every packet of the clients
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def _run(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                Session(self, sock).run()
            except (OSError, EOFError):
                pass


class Session:
    def __init__(self, impostor, sock):
        self.impostor = impostor
        self.stream = sock.makefile("rwb")
        self.sequence = 0
        self.statements = {}

    def read(self):
        head = self.stream.read(4)
        if len(head) < 4:
            raise EOFError
        packet = self.stream.read(int.from_bytes(head[:3], "little"))
        self.sequence = head[3] + 1
        self.impostor.said.append(packet)
        return packet

    def write(self, *packets):
        for packet in packets:
            self.stream.write(len(packet).to_bytes(3, "little") +
                              bytes([self.sequence % 256]) + packet)
            self.sequence += 1
        self.stream.flush()

    def greet(self, capabilities=CAPABILITIES):
        self.write(
            b"\x0a" + b"5.5.5-10.11.0-MariaDB\0" + struct.pack("<I", 1) +
            SALT[:8] + b"\0" + struct.pack("<H", capabilities & 0xffff) +
            b"\x2d\2\0" + struct.pack("<H", capabilities >> 16) +
            bytes([21]) + bytes(10) + SALT[8:] + b"\0" +
            self.impostor.plugin + b"\0")

    def log_in(self):
        self.greet()
        self.read()
        for plugin, packets in self.impostor.asks:
            self.write(b"\xfe" + plugin + b"\0" + SALT + b"\0")
            self.read()
            for packet in packets:
                self.write(packet)
                self.read()
        self.write(OK)

    def prepare(self, statement):
        kinds = selected(statement) if "SELECT" in statement[:8] else []
        n_params = statement.count("?")
        number = len(self.statements) + 1
        self.statements[number] = statement
        self.write(b"\0" + struct.pack("<IHHxH", number, len(kinds), n_params, 0))
        for n, described in ((n_params, [LONGLONG] * n_params),
                             (len(kinds), kinds)):
            if n > 0:
                self.write(*[column(kind) for kind in described], END)

    def execute(self, statement):
        kinds = selected(statement) if "SELECT" in statement[:8] else None
        for pattern, answer in self.impostor.answers:
            if re.search(pattern, statement, re.S):
                self.write(*answer(kinds))
                return
        if kinds is None:
            self.write(OK)
        else:
            self.write(*rows(kinds))

    def run(self):
        self.sequence = 0
        self.log_in()
        while True:
            packet = self.read()
            if packet in (b"", b"\x01"):
                return
            command, rest = packet[0], packet[1:]
            if command == 0x16:
                self.prepare(rest.decode("latin-1"))
            elif command == 0x17:
                self.execute(
                    self.statements[int.from_bytes(rest[:4], "little")])
            elif command == 3:
                self.execute(rest.decode("latin-1"))
            elif command not in (0x19, 0x18):
                self.write(OK)


def rows(kinds, *packets):
    """A whole result with these rows."""
    return [length_of(len(kinds)), *[column(kind) for kind in kinds], END,
            *packets, END]
