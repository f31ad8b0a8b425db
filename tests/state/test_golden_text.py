"""The text of a recorded boot."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import InputError, KernelPanic
from bootsim.state.golden import HEADING, differences, dump, load


@pytest.fixture(scope="module")
def text():
    return dump(bootsim.boot("vexpress.dts", mem="1G"), {"tree": "vexpress.dts", "mem": 1 << 30}, "d1")


def test_what_it_says(text):
    lines = text.split("\n")
    assert lines[:5] == [HEADING, "", "[inputs]", 'tree: "vexpress.dts"', "mem: 1073741824"]
    assert "Booting Linux on physical CPU 0x0" in lines
    assert "memory   0x60000000-0x9fffffff 1G" in lines
    assert "Normal   0x60000000-0x8fffffff 768M" in lines
    assert "HighMem  managed 65536" in lines
    assert "reserved 0x9f000000-0x9fffffff 16M default" in lines
    assert "lowmem : 0xc0000000 - 0xf0000000 ( 768 MB)" in lines
    assert lines[-3:] == ["[digest]", "d1", ""]
    assert not any("bootsim: " in line for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_it_is_read_back(text):
    recorded = load(text, "x")
    assert recorded.inputs == {"tree": "vexpress.dts", "mem": 1 << 30}
    assert differences(recorded, text, "x") == []


def test_one_change_is_one_line(text):
    changed = differences(load(text.replace("HighMem  managed 65536", "HighMem  managed 7"), "x"), text, "x")
    assert changed[:2] == ["--- x (recorded)", "+++ x (now)"]
    assert [line for line in changed[2:] if line[0] in "+-"] == ["-HighMem  managed 7", "+HighMem  managed 65536"]


def test_a_panic_is_recorded_too():
    k = bootsim.prepare("vexpress.dts", mem="1G", cmdline="mem=2M")
    with pytest.raises(KernelPanic):
        bootsim.run(k)
    assert "\n[zones]\n\n[cma]\n\n[layout]\n\n[digest]\n" in dump(k, {"tree": "x"}, "d")


@pytest.mark.parametrize(("broken", "message"), [
    ("", "x:1: found '', expected '# bootsim golden boot, version 1'"),
    ("hello\n", "x:1: found 'hello'"),
    (f"{HEADING}\n", "x: no tree among its [inputs]"),
    (f"{HEADING}\n[inputs]\ntree = 3\n", "x:3: found 'tree = 3', expected `name: value`"),
    (f"{HEADING}\n[inputs]\ntree: 3G/1G\n", "x:3: found 'tree: 3G/1G'"),
])  # fmt: skip
def test_texts_that_are_none(broken, message):
    with pytest.raises(InputError) as caught:
        load(broken, "x")
    assert message in str(caught.value)
