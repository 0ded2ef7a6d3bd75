# SPDX-License-Identifier: ISC
"""A TCP proxy on 127.0.0.1 that can fail as a network does. It is a process of
its own, so that a busy harness does not slow the datastore down.

    proxy.py [TARGET_HOST:]TARGET_PORT

prints its port; then reads modes, one a line, and answers each with "ok":

    pass        everything goes through
    refuse      connections are reset, new ones are refused
    hold        nothing moves in either direction, until the mode changes
    deafen      what the server says is dropped; the next mode resets these
                connections, since they lack a part
    cut         resets the connections, then passes
    lose WORDS  the same; of a MySQL transaction with a statement that has these
                words the server's answer to the COMMIT is lost, and the
                connection with it
    lost        answers how many were lost so, in the place of "ok"
"""

import socket
import struct
import subprocess
import sys
import threading

RESET = struct.pack("ii", 1, 0)


def reset(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


class Proxy:
    """Started and told its mode by the harness."""

    def __init__(self, target):
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(target)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            universal_newlines=True)
        self.port = int(self._process.stdout.readline())

    def mode(self, word):
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer == "ok\n", "the proxy said %r" % answer

    def lost(self):
        self._process.stdin.write("lost\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Listener:
    """What is said on a connection of MySQL: whether the next answer is that
    which is to be lost."""

    QUERY, PREPARE, EXECUTE = 0x03, 0x16, 0x17

    def __init__(self, words):
        self._words = words.encode()
        self._bytes = b""
        self._prepares = False
        self._statements = set()  # those with the words
        self._fits = False        # the transaction has one of them
        self.commits = False      # and is at its COMMIT

    def asked(self, data):
        self._bytes += data
        while len(self._bytes) >= 4:
            end = 4 + int.from_bytes(self._bytes[:3], "little")
            if len(self._bytes) < end:
                break
            if self._bytes[3] == 0 and end > 4:  # a command's first packet
                self._take(self._bytes[4], self._bytes[5:end])
            self._bytes = self._bytes[end:]

    def _take(self, command, text):
        if command == self.PREPARE:
            self._prepares = self._words in text
        elif command == self.EXECUTE:
            self._fits |= text[:4] in self._statements
        elif command == self.QUERY:
            self.commits = self._fits and text == b"COMMIT"
            self._fits = False

    def answered(self, data):
        if self._prepares and data[4] == 0:
            self._statements.add(data[5:9])
        self._prepares = False


class Forwarder:
    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = (host or "127.0.0.1", int(port))
        self._pairs = set()
        self._lock = threading.Lock()
        self._moving = threading.Event()
        self._moving.set()
        self._deaf = False
        self._words = ""
        self.lost = 0
        # Bound and never listening: it keeps the port while that is refused.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port = self._holder.getsockname()[1]
        self._listener = None
        self._listen()

    def _listen(self):
        self._listener = socket.create_server(
            ("127.0.0.1", self.port), backlog=256, reuse_port=True)
        threading.Thread(target=self._accept, args=(self._listener,),
                         daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client, listener),
                             daemon=True).start()

    def _connect(self, client, listener):
        self._moving.wait()
        try:
            server = socket.create_connection(self._target, 5)
        except OSError:
            reset(client)
            return
        server.settimeout(None)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        if self._listener is not listener:  # refused while it was made
            self._end(pair)
            return
        listener = Listener(self._words) if self._words else None
        threading.Thread(target=self._forward,
                         args=(pair, server, client, listener),
                         daemon=True).start()
        self._forward(pair, client, server, listener)

    def _is_lost(self, data, from_server, listener):
        if not from_server:
            listener.asked(data)
        elif self._words and listener.commits:
            self.lost += 1
            return True
        else:
            listener.answered(data)
        return False

    def _forward(self, pair, source, sink, listener):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                self._moving.wait()
                if listener and self._is_lost(
                        data, source is pair[1], listener):
                    break
                if not (self._deaf and source is pair[1]):
                    sink.sendall(data)
        except OSError:
            pass
        self._end(pair)

    def _end(self, pair):
        with self._lock:
            if pair not in self._pairs:
                return
            self._pairs.discard(pair)
        for sock in pair:
            reset(sock)

    def set_mode(self, word):
        deaf, self._deaf = self._deaf, word == "deafen"
        if word == "hold":
            self._moving.clear()
        loses, _, self._words = word.partition(" ")
        if loses == "lose":
            self.lost = 0
        if loses in ("refuse", "cut", "lose") or (deaf and not self._deaf):
            if word == "refuse" and self._listener:
                reset(self._listener)
                self._listener = None
            for pair in list(self._pairs):
                self._end(pair)
        if word != "refuse" and self._listener is None:
            self._listen()
        if word != "hold":
            self._moving.set()


def main():
    forwarder = Forwarder(sys.argv[1])
    print(forwarder.port, flush=True)
    for line in sys.stdin:
        if line == "lost\n":
            print(forwarder.lost, flush=True)
            continue
        forwarder.set_mode(line.strip())
        print("ok", flush=True)


if __name__ == "__main__":
    main()
