# SPDX-License-Identifier: ISC
"""scripts/layers sees what it is there to refuse."""

import shutil
import subprocess

import pytest

from cassata import SOURCE

GOOD = {
    "base/low.h": "void low(void);\n",
    "base/low.c": '#include "base/low.h"\nvoid\nlow(void)\n{\n}\n',
    "proc/mid.h": "void mid(void);\n",
    "proc/mid.c": '#include "proc/mid.h"\n#include "base/low.h"\n'
                  "void\nmid(void)\n{\n\tlow();\n}\n",
    "master/main.c": '#include "proc/mid.h"\n'
                     "int\nmain(void)\n{\n\tmid();\n\treturn 0;\n}\n",
}
UPWARDS = {"base/low.h": '#include "proc/mid.h"\nvoid low(void);\n'}
BESIDE = {
    "worker/w.h": "",
    "worker/w.c": '#include "worker/w.h"\n#include "service/s.h"\n',
    "service/s.h": "",
    "service/s.c": '#include "service/s.h"\n',
}
INCLUDES = {
    "base/low.h": '#pragma once\n#include "base/two.h"\nvoid low(void);\n',
    "base/two.h": '#pragma once\n#include "base/three.h"\n',
    "base/three.h": '#pragma once\n#include "base/low.h"\n',
}
CALLS = {
    "base/low.c": '#include "base/low.h"\nvoid two(void);\n'
                  "void\nlow(void)\n{\n\ttwo();\n}\n",
    "base/two.h": "void two(void);\n",
    "base/two.c": '#include "base/two.h"\nvoid low(void);\n'
                  "void\ntwo(void)\n{\n\tlow();\n}\n",
}
HEADLESS = {"base/two.c": "int two;\n"}
NAMES = {
    "base/two.h": "",
    "base/two.c": '#include "base/two.h"\nstatic void\nmid(void)\n{\n}\n'
                  "void (*const two)(void) = mid;\n",
}


@pytest.fixture
def layers(tmp_path):
    def run(known, **files):
        shutil.copytree(str(SOURCE / "scripts"), str(tmp_path / "scripts"))
        (tmp_path / "scripts" / "layers-known").write_text(known)
        for name, text in dict(GOOD, **files).items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run(
            [str(tmp_path / "scripts" / "layers")], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run


def test_shape_is_held(layers):
    result = layers("")
    assert result.returncode == 0, result.stdout
    assert "0 known circles, 0 names" in result.stdout


@pytest.mark.parametrize("files, finding", [
    (UPWARDS, "include upwards: base/low of proc/mid"),
    (BESIDE, "include upwards: worker/w of service/s"),
    (INCLUDES, "circle of includes in base: low three two"),
    (CALLS, "circle of calls in base: low two"),
    (HEADLESS, "no header: base/two.c"),
    (NAMES, "one name: mid in 2 files"),
], ids=["upwards", "beside", "includes", "calls", "headless", "names"])
@pytest.mark.parametrize("is_known", [False, True])
def test_shape_is_broken(layers, files, finding, is_known):
    result = layers(finding + "\n" if is_known else "", **files)
    new = [line for line in result.stdout.splitlines() if "new: " in line]
    if is_known:
        assert result.returncode == 0, result.stdout
        assert new == []
        return
    assert result.returncode == 1
    assert len(new) == 1 and "layers: new: " + finding in new[0], new


def test_known_is_gone(layers):
    result = layers("no header: base/two.c\n")
    assert result.returncode == 1
    assert "gone, so it leaves scripts/layers-known: no header: base/two.c" \
        in result.stdout
