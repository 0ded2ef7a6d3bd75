# SPDX-License-Identifier: ISC
"""A datastore of several hosts: three nodes of contrib/galera/cluster, or one
MariaDB server under as many names."""

import contextlib
import os
import shutil
import subprocess

from lab import SOURCE, Database, Failure, Mariadb, with_tables

# Beside the same of the single server; the rest is the cluster's own.
OPTIONS = "--innodb-buffer-pool-size=512M --innodb-log-file-size=256M"
SECONDS = 180  # of a command of the cluster
NODES = 3


class Galera:
    name = "galera"
    nodes = range(1, NODES + 1)

    def __init__(self, lab):
        self.lab = lab
        self._asked = 0

    def __enter__(self):
        self._directory = self.lab.new_directory(self.name)
        try:
            self._url = self.cluster("start").strip()
        except BaseException:
            self.__exit__()
            raise
        self._own = self._answer_costs()
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(Failure):
            self.cluster("stop")
        shutil.rmtree(self._directory, ignore_errors=True)

    def cluster(self, verb, *words):
        """What the cluster says to a command."""
        # Not a pipe: the servers would keep it open.
        with open(self._directory.parent / "cluster.out", "w+") as output:
            done = subprocess.run(
                [str(SOURCE / "contrib/galera/cluster"), verb,
                 str(self._directory), *map(str, words)],
                stdin=subprocess.DEVNULL, stdout=output, timeout=SECONDS,
                check=False, env=dict(
                    os.environ, CASSATA_GALERA_OPTIONS=OPTIONS))
            output.seek(0)
            if done.returncode != 0:
                raise Failure("cluster %s failed" % verb)
            return output.read()

    def create(self, name):
        """A database without events; one of that name goes."""
        self.cluster("sql", 1, "DROP DATABASE IF EXISTS cassata_%s" % name)
        return with_tables(self, self.seen_by(0, name))

    def seen_by(self, host, name):
        """The same, as a host uses it: the nodes from its own one on."""
        order = [(host + i) % NODES + 1 for i in range(NODES)]
        url = self.cluster("url", *order).strip()
        return Database(self, name, self._directory / name,
                        "%s_%s" % (url, name))

    def pids(self):
        return [(self._directory / str(node) / "pid").read_text().strip()
                for node in self.nodes]

    def status(self, *names):
        """Counters of the servers, summed."""
        output = self.cluster(
            "sql", "all", "SHOW GLOBAL STATUS WHERE Variable_name IN (%s)" %
            ", ".join("'%s'" % name for name in names))
        return sum(int(line.split("\t")[1]) for line in output.splitlines())

    def _answer_costs(self):
        first = self.status("Questions")
        return self.status("Questions") - first

    def statements(self):
        """As of the single server."""
        self._asked += 1
        return self.status("Questions") - self._asked * self._own

    def conflicts(self):
        """Transactions that lost against one of another node."""
        return self.status("wsrep_local_cert_failures",
                           "wsrep_local_bf_aborts")


class Single(Mariadb):
    """Its hosts call it by different names, or they would know of each other
    that they are one machine."""
    _names = "127.0.0.1", "127.1", "127.0.1"

    def seen_by(self, host, name):
        database = self.named(name)
        database.url = database.url.replace(
            "@%s:" % self._names[0], "@%s:" % self._names[host])
        return database

    def conflicts(self):
        return 0
