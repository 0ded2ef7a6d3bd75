# SPDX-License-Identifier: ISC
"""run.py: runs the programs of doc/clients.md against the cassatad of the
build directory CASSATA_BUILD, each with the receiver of its language."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "system"))
import cassata  # noqa: E402

# client, receiver: the words that run them.
LANGUAGES = {
    "curl": (["sh", "client.sh"], [str(SOURCE / "scripts" / "receiver")]),
    "Python": (["python3", "client.py"], ["python3", "receiver.py"]),
    "Node.js": (["node", "client.mjs"], ["node", "receiver.mjs"]),
    "Java": (["java", "Client.java"], ["java", "Receiver.java"]),
}
APP, DELETED, DELIVERED = "shop", "order-4711-timeout", "order-4712-paid"
# In this order in what a client prints.
PRINTED = re.compile("%s.*PENDING.*%s.*%s.*DELETED.*COMPLETED" % (
    DELETED, DELETED, DELETED), re.S)


def extract(directory):
    """The programs of the page, each named in its first line."""
    page = (SOURCE / "doc" / "clients.md").read_text()
    programs = re.findall(
        r"^```\w+\n((?:#|//) ([\w.]+).*?)^```$", page, re.M | re.S)
    for text, name in programs:
        Path(directory, name).write_text(text)
    return {name for _, name in programs}


def accepts(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def receiving(words, port, directory):
    """The file that the receiver's output goes to, while it runs."""
    path = Path(directory, "receiver.out")
    with open(path, "w") as output, subprocess.Popen(
            [*words, str(port)], cwd=directory, stdout=output,
            stderr=subprocess.STDOUT) as process:
        try:
            cassata.wait_for(lambda: accepts(port), 60, "the receiver")
            yield path
        finally:
            process.kill()


def run(c, client, receiver, directory):
    port = cassata.free_port()
    with receiving(receiver, port, directory) as received:
        done = subprocess.run(
            client, cwd=directory, timeout=120, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True,
            env={**os.environ, "CASSATA": "http://127.0.0.1:%d" % c.port,
                 "RECEIVER": "http://127.0.0.1:%d/" % port})
        assert done.returncode == 0, done.stdout
        assert PRINTED.search(done.stdout), done.stdout
        arrived = received.read_text()
    assert DELIVERED in arrived and "4712" in arrived, arrived
    assert DELETED not in arrived, arrived
    assert c.state(DELETED, APP) is None
    assert c.delete(DELIVERED, APP).json()["event-status"] == "COMPLETED"


def main():
    build = Path(os.environ["CASSATA_BUILD"]).resolve()
    with tempfile.TemporaryDirectory(prefix="cassata-clients-") as directory:
        os.chmod(directory, 0o711)
        names = extract(directory)
        assert names == {
            word for words in LANGUAGES.values() for word in sum(words, [])
            if re.match(r"(client|receiver)\.", word, re.I)}, names
        store = Path(directory, "store")
        store.mkdir()
        c = cassata.Cassata(build, cassata.SqliteStore(str(store)))
        try:
            c.start()
            for language, words in LANGUAGES.items():
                run(c, *words, directory)
                print("check-clients: %s: passed" % language, flush=True)
        finally:
            c.end()
            c.remove()


main()
