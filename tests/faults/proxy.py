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

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Forwarder:
    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = (host or "127.0.0.1", int(port))
        self._pairs = set()
        self._lock = threading.Lock()
        self._moving = threading.Event()
        self._moving.set()
        self._deaf = False
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
        threading.Thread(target=self._forward, args=(pair, server, client),
                         daemon=True).start()
        self._forward(pair, client, server)

    def _forward(self, pair, source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                self._moving.wait()
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
        if word in ("refuse", "cut") or (deaf and not self._deaf):
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
        forwarder.set_mode(line.strip())
        print("ok", flush=True)


if __name__ == "__main__":
    main()
