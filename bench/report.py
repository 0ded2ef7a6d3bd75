# SPDX-License-Identifier: ISC
"""Medians against bars: a table in Markdown, plots in SVG."""

import statistics
import subprocess

from lab import STORES, Failure, find


class Bar:
    """A figure and what it must reach. limit may differ by datastore; yardstick
    names the figure that a ratio was taken of."""

    def __init__(self, label, figure, op=None, limit=None, yardstick=None):
        self.label = label
        self.figure = figure
        self.op = op
        self.limit = limit
        self.yardstick = yardstick

    def limit_on(self, store):
        return (self.limit[store] if isinstance(self.limit, dict)
                else self.limit)

    def holds(self, store, value):
        limit = self.limit_on(store)
        return value >= limit if self.op == ">=" else value <= limit


class Row:
    """A line of the table: measure(bench) makes one run of it."""

    def __init__(self, name, title, measure, bars, stores=tuple(STORES),
                 runs=None):
        self.name = name
        self.title = title
        self.measure = measure
        self.bars = bars
        self.stores = stores
        self.runs = runs  # at most; None: as many as of the others


def number(value):
    """Three significant digits; whole numbers as they are."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return "{:,.0f}".format(value)
    return "%.3g" % value


def one_line(row, figures):
    """Figures of a run for the terminal."""
    shown = [(bar.label, figures[bar.figure]) for bar in row.bars
             if bar.figure in figures] or figures.items()
    return ", ".join("%s %s" % (name, number(value)) for name, value in shown)


def values(results, row, store, figure):
    runs = results["rows"].get(row, {}).get(store, {}).get("runs", [])
    return [run["figures"][figure] for run in runs
            if figure in run["figures"]]


def median(results, row, store, figure):
    """None where it was not measured."""
    found = values(results, row, store, figure)
    return statistics.median(found) if found else None


# ---- the table ----

def table_line(results, row, store, bar):
    found = values(results, row.name, store, bar.figure)
    if not found:
        return None
    middle = statistics.median(found)
    verdict = limit = ""
    if bar.op:
        limit = "%s %s" % ("≥" if bar.op == ">=" else "≤",
                           number(bar.limit_on(store)))
        verdict = "pass" if bar.holds(store, middle) else "**miss**"
    yardstick = (median(results, row.name, store, bar.yardstick)
                 if bar.yardstick else None)
    return [row.title, store, bar.label, limit, number(middle),
            "%s – %s" % (number(min(found)), number(max(found))),
            number(yardstick), verdict]


def table(rows, results):
    lines = [["what", "datastore", "figure", "bar", "median", "spread",
              "yardstick", ""], ["---"] * 8]
    for row in rows:
        for store in row.stores:
            lines += [table_line(results, row, store, bar) for bar in row.bars]
    return "".join("| %s |\n" % " | ".join(line) for line in lines if line)


def curves(rows, results):
    """Rows without bars: each figure on its own."""
    lines = []
    for row in rows:
        for store in row.stores if not row.bars else ():
            runs = results["rows"][row.name].get(store, {}).get("runs")
            lines += ["| %s | %s | %s | %s |\n" % (
                row.title, store, name.rpartition("_")[2],
                number(median(results, row.name, store, name)))
                for name in (runs[0]["figures"] if runs else ())]
    if not lines:
        return ""
    return "\n| what | datastore | number | median |\n" + \
        "| --- | --- | --- | --- |\n" + "".join(lines)


def commands(rows, results):
    """What the first run of each row executed, each command once."""
    text = ""
    for row in rows:
        lines = {"    %s\n" % raw["command"]: None
                 for result in results["rows"].get(row.name, {}).values()
                 for run in result["runs"][:1] for raw in run["raw"]}
        if lines:
            text += "\n%s:\n\n%s" % (row.title, "".join(lines))
    return text


def markdown(rows, results):
    machine = results["machine"]
    return (
        "# Measured\n\n"
        "%d × %s, %g GiB, Linux %s; %s. Load generator, database, daemon and "
        "sink share these processors. Medians of %d runs, the spread from the "
        "smallest to the largest; a yardstick was measured in the same run, "
        "directly before. %s\n\n%s%s\n## Commands\n%s" % (
            machine["cpus"], machine["cpu"], machine["memory_gib"],
            machine["kernel"], ", ".join(results["datastores"].values()),
            results["runs"], results["time"], table(rows, results),
            curves(rows, results), commands(rows, results)))


# ---- plots ----

PERCENTILES = ("p50", "p90", "p99", "p999", "max")


def plot(path, title, x_label, y_label, series, options=""):
    """series: name → [(x, y)]; one without points is left out."""
    series = {name: points for name, points in series.items() if points}
    if not series:
        return
    script = (
        'set terminal svg size 960,480 dynamic background "white"\n'
        'set output "%s"\nset title "%s"\nset xlabel "%s"\nset ylabel "%s"\n'
        "set grid ytics mytics xtics\nset key outside right top\nset yrange [0:*]\n%s\n" % (
            path, title, x_label, y_label, options))
    for n, points in enumerate(series.values()):
        script += "$data%d << END\n%s\nEND\n" % (
            n, "\n".join("%g %g" % point for point in points))
    script += "plot " + ", ".join(
        '$data%d with linespoints linewidth 2 title "%s"' % (n, name)
        for n, name in enumerate(series)) + "\n"
    done = subprocess.run([find("gnuplot")], input=script.encode(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    if done.returncode != 0:
        raise Failure("gnuplot: " + done.stderr.decode())


def percentile_series(rows, results, prefix, names):
    series = {}
    for row in rows:
        for store in row.stores if row.name in names else ():
            points = [(x, median(results, row.name, store,
                                 "%s_%s" % (prefix, key)))
                      for x, key in enumerate(PERCENTILES)]
            series["%s, %s" % (row.title, store)] = [
                (x, y) for x, y in points if y]
    return series


def curve_series(results, row, prefix):
    """Figures like workers_4: the number is the x."""
    series = {}
    for store, result in results["rows"].get(row, {}).items():
        names = result["runs"][0]["figures"] if result["runs"] else ()
        series[store] = [
            (int(name[len(prefix):]), median(results, row, store, name))
            for name in names if name.startswith(prefix)]
    return series


def pending_series(results):
    series = {}
    for store in STORES:
        points = [(0, median(results, "add-1m", store, "empty")),
                  (1, median(results, "add-1m", store, "per_s")),
                  (5, median(results, "add-5m", store, "per_s"))]
        series[store] = [(x, y) for x, y in points if y is not None]
    return series


def plots(rows, results, directory):
    times = "unset yrange\nset logscale y\nset xtics (%s)" % ", ".join(
        '"%s" %d' % (key.replace("p999", "p99.9"), x)
        for x, key in enumerate(PERCENTILES))
    plot(directory / "latency.svg", "Adds: latency", "", "ms",
         percentile_series(rows, results, "latency",
                           ("add-idle", "add-64", "add-256")), times)
    plot(directory / "lateness.svg", "Deliveries: lateness", "", "ms",
         percentile_series(rows, results, "lateness", (
             "lateness", "lateness-5m", "due-now", "mixed")), times)
    plot(directory / "pending.svg", "Adds beside pending events",
         "pending events, millions", "adds/s", pending_series(results))
    plot(directory / "processes.svg", "Adds by service processes",
         "service.processes", "adds/s",
         curve_series(results, "processes", "processes_"), "set xtics 1")
    plot(directory / "workers.svg", "Deliveries by worker processes",
         "worker.numWorkerThreads", "deliveries/s",
         curve_series(results, "workers", "workers_"), "set xtics 1")


def write(rows, results, directory):
    (directory / "results.md").write_text(markdown(rows, results))
    plots(rows, results, directory)
