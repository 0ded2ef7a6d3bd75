# SPDX-License-Identifier: ISC
"""What the documents list is what there is: keys with their defaults and ranges,
counters, types of problems, commands and options."""

import re

import pytest

from cassata import SOURCE, Cassata


@pytest.fixture
def alone(builddir, new_sqlite):
    c = Cassata(builddir, new_sqlite())
    yield c
    c.remove()


def text_of(path):
    return (SOURCE / path).read_text()


# ---- cassata.yaml ----

def example_keys():
    """The default of each key; config_test holds the file to the code."""
    keys = {}
    for line in text_of("etc/cassata.yaml").splitlines():
        if found := re.match(r"(\w+):$", line):
            section = found[1]
        elif found := re.match(r"  (\w+):(?: (.*))?$", line):
            keys[section, found[1]] = found[2] or ""
    return keys


def page_keys():
    """What cassata.yaml(5) says of each, up to the next one."""
    keys, section, depth, words = {}, None, 0, []
    for line in text_of("man/cassata.yaml.5").splitlines():
        if line.startswith(".S"):
            found = re.match(r"\.Ss Section (\w+)", line)
            section, depth, words = found and found[1], 0, []
        depth += line.startswith(".Bl") - line.startswith(".El")
        if section and depth == 1 and (
                found := re.match(r"\.It Cm (\w+)$", line)):
            words = keys[section, found[1]] = []
        elif section:
            words.append(re.sub(r"^\.[A-Z][a-z] ", "", line))
    return {key: " ".join(words) for key, words in keys.items()}


# Keys without a value in the file, and what the page says of that.
EMPTY = r"none|empty|compiled in|cassatad\.(?:pid|sock)|cassata if there is"


def test_keys_are_on_the_page():
    assert set(page_keys()) == set(example_keys())


def test_defaults_are_on_the_page():
    pages = page_keys()
    for key, value in example_keys().items():
        value = "0" if re.fullmatch("0[a-z]", value) else re.escape(value)
        assert re.search(r"[Dd]efault:? (?:%s)(?:[;:,. ]|$)" % (
            value or EMPTY), pages[key]), key


def ranges(c, section, names, value):
    """What each must be between, as a wrong value is told: lowest, highest."""
    c.config_file.write_text("%s:\n%s" % (section, "".join(
        "  %s: %s\n" % (name, value) for name in names)))
    return {(section, name): (low, high) for name, low, high in re.findall(
        r" (\w+) must be between (\S+) and (\S+), not ",
        c.ctl("check-config").stderr)}


def test_ranges_are_on_the_page(alone):
    """Of numbers, and of lists of them."""
    pages, found = page_keys(), {}
    ranged = {key: kind for key in pages if (kind := re.match(
        "Number|Duration|Size|Percentage|List of durations", pages[key]))}
    for section in {section for section, _ in ranged}:
        for is_list in (False, True):
            found.update(ranges(alone, section, [
                key[1] for key, kind in ranged.items() if key[0] == section
                and kind[0].startswith("List") == is_list],
                "[-1]" if is_list else "-1"))
    assert set(found) == set(ranged)
    for key, (low, high) in found.items():
        if key == ("worker", "lease"):
            low = "1s"  # or 0
        assert re.search(r"\b%s to %s\b" % (low, high), pages[key]), key


# What the table of the README says in words.
IN_WORDS = {("worker", "lease"), ("master", "stateDirectory"),
            ("master", "user"), ("service", "minRetryDelay")}


def test_table_of_the_readme():
    """It has some of the keys, several in a line."""
    known, found = example_keys(), set()
    for names, values in re.findall(
            r"^\| (`\w+\.\w+`[^|]*) \| ([^|]*)\|", text_of("README.md"), re.M):
        names = re.findall(r"`(\w+)\.(\w+)`", names)
        values = [v.strip() for v in (re.split(r", (?![^[]*\])", values)
                                      if len(names) > 1 else [values])]
        for key, value in zip(names, values + [""] * len(names)):
            assert key in known and key not in found
            found.add(key)
            assert value == known[key] or key in IN_WORDS, key
    assert len(found) > 40


# ---- api.md ----

def rows_under(heading):
    """The cells of the tables of a section of api.md."""
    part = text_of("doc/api.md").split("\n## %s\n" % heading)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in part.split("\n## ")[0].splitlines()
            if line.startswith("| `")]


def test_counters_are_listed(daemon):
    listed = {}
    for names, _, role in rows_under("Metrics"):
        first, *more = re.findall(r"`(\w+)(?:{\w+})?`", names)
        for name in [first] + [
                n if n.startswith("cassata_") else re.sub(
                    r"_[a-z]+_total$", n, first) for n in more]:
            assert name not in listed
            listed[name] = role
    text = daemon.get("/metrics").body.decode()
    assert set(listed) == set(re.findall(r"^# TYPE (\S+)", text, re.M))


def test_types_of_problems_are_listed():
    listed = [(cells[0].strip("`"), cells[1]) for cells in rows_under("Errors")
              if cells[1] != "status"]
    there = re.findall(r'{(\d+), URN "([\w-]+)"}', text_of(
        "src/service/problem.c"))
    assert sorted(listed) == sorted((kind, status) for status, kind in there)


# ---- commands ----

def options_in(usage):
    return set(re.findall(r"(?<=[\s\[])--?[A-Za-z][\w-]*", usage))


def synopses():
    """The options of each command in cassatactl(8)."""
    part = text_of("man/cassatactl.8").split(".Sh SYNOPSIS\n")[1]
    found = {}
    for block in part.split(".Sh ")[0].split(".Nm cassatactl\n")[1:]:
        block = block.split(".Nm cassata\n")[0]
        [first] = re.findall(
            r"^\.Cm ([a-z].*)", block, re.M)[:1]
        options = {"-" + o for o in re.findall(r"Fl (-?[\w-]+)", block)}
        *group, verbs = re.match(
            r"(?:(event|job|schedule) )?(.*)", first).groups()
        for verb in verbs.split(" | "):
            name = " ".join([w for w in group if w] + [verb])
            found.setdefault(name, set()).update(options - {"-c", "-d"})
    return found


def helps(c):
    """The same of what the program says: of those that have a --help of
    their own; and the names of all."""
    shown = c.ctl("--help").stdout
    names, own = set(), {}
    for words in re.findall(r"^  ([a-z][a-z-]*(?: [a-z-]+(?:, [a-z]+)*)?)"
                            r"(?:  .*)?$", shown, re.M):
        group, _, verbs = words.partition(" ")
        names.update("%s %s" % (group, v) if v else group
                     for v in verbs.split(", "))
    for name in names:
        usage = c.ctl(*name.split(), "--help").stdout
        for one in re.split(r"(?:usage: |\n {7})(?=cassatactl )", usage):
            if one.startswith(("cassatactl %s " % name)):
                own.setdefault(name, set()).update(
                    options_in(one.replace("[option ...]", "")))
    return names, own


def test_commands_are_on_the_page(alone):
    names, own = helps(alone)
    there = synopses()
    assert set(there) == names
    described = re.findall(r"^\.It Cm ([a-z].*)", text_of("man/cassatactl.8"),
                           re.M)
    assert sorted(described) == sorted(names)
    assert len(own) > 20
    for name, options in own.items():
        assert there[name] == options, name


@pytest.mark.parametrize("program, page", [
    ("cassatad", "cassatad.8"), ("cassata-bench", "cassata-bench.1")])
def test_options_are_on_the_page(alone, program, page):
    shown = options_in(alone.run(
        str(alone.builddir / program), "--help").stdout)
    described = []
    for line in re.findall(r"^\.It (Fl .*)", text_of("man/" + page), re.M):
        described += ["-" + o for o in re.findall(r"Fl (-?[\w-]+)", line)]
    assert sorted(described) == sorted(set(described))
    assert {o for o in described if o != "-h"} == {
        o for o in shown if o != "-h"}
