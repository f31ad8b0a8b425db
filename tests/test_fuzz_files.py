"""Damaged files of every kind that bootsim reads back: an answer or one clear line. Never a traceback, never a hang.

BOOTSIM_FUZZ=N tries N inputs a kind (BOOTSIM_FUZZ_SEED=N: others than the usual ones).
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
import shutil
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli
from bootsim.stages import STAGES
from bootsim.views.catalog import VIEWS

RUNS = int(os.environ.get("BOOTSIM_FUZZ", "60"))
SEED = int(os.environ.get("BOOTSIM_FUZZ_SEED", "0"))
SLOWEST_SECONDS = 60
BOARD = """/dts-v1/;
/ {
	compatible = "arm,vexpress"; #address-cells = <1>; #size-cells = <1>;
	chosen { bootargs = "console=ttyAMA0 cma=8M"; };
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x4000000>; };
	reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges; dsp@61000000 { reg = <0x61000000 0x1000>; }; };
};
"""
CHECKS = """boots:
  - tree: [board.dts]
    config: 3G/1G
    mem: [32M, 48M-64M:16M]
    cmdline: ["", "quiet", null]
    smp: 1
    bootloader: qemu
    dtb_addr: 0x62000000
    initrd: board.dts@0x63000000
    include: [.]
expect:
  - lowmem >= 16M and no panic or `reserved.dsp@61000000.base` in 0x60000000-0x70000000
  - that: cma.default.base in 0x60000000-0x63ffffff
    when: memory >= 40M
    why: the camera's DMA reaches no further
"""
VALUES = (
    None, True, 0, 1, -1, 2, 255, 4096, 1 << 20, (1 << 32) - 1, 1 << 32, 1 << 70, 1.5, float("inf"), "", "x", "0x10",
    "7", "nowhere.dts", "\x1b[31m\n", "\ud800", [], {}, [1], [[]], [None], {"x": 1}, "free_initmem",
)  # fmt: skip
WORDS = (
    "", "{", "}", "[", "]", "- ", ": ", "\n", "\t", "  ", '"', "'", "&a ", "*a", "!!int ", "#", "\0", "0", "-1", "0x",
    "99999999999999999999", "1e9", "null", "true", "~", "ü", "\x1b", ",", "|", "(", ">=", "..", "`", "1K", "no ",
)  # fmt: skip
DESCRIPTORS = (0, 1, 2, 3, 0x40412, 0x60000C0E, 0xFFFFFFFF)
NUMBERS = (0, 1, 3, 4096, 0xC0000000, 0xFFFFFFFF, 1 << 40)


def places(value, at=()):
    """Every place in a JSON value, as the keys that lead there."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*at, key))


def broken_json(rng, text):
    """JSON with some values replaced, taken away, or moved."""
    value = [json.loads(text)]
    known = list(places(value))
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        *way, last = rng.choice(known[1:])
        try:
            holder = value
            for key in way:
                holder = holder[key]
            match rng.randrange(4):
                case 0 | 1:
                    holder[last] = copy.deepcopy(rng.choice(VALUES))
                case 2:
                    del holder[last]
                case 3:
                    other = value
                    for key in rng.choice(known[1:]):
                        other = other[key]
                    holder[last] = copy.deepcopy(other)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return json.dumps(value[0] if value else None).encode()


def broken_bytes(rng, data):
    """Bytes with some changed, taken away, or repeated."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.randrange(1, 40)]
            case 3:
                data[at:at] = data[at // 2 : at // 2 + rng.randrange(1, 40)]
            case 4:
                data[at & ~3 : (at & ~3) + 4] = rng.choice(DESCRIPTORS).to_bytes(4, "little")
    return bytes(data)


def broken_text(rng, text):
    """Text with words of YAML, or other numbers, where they should not be."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        numbers = list(re.finditer(r"\b(0x[0-9a-f]+|\d+)\b", text))
        at = rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0:
                text = text[:at] + rng.choice(WORDS) + text[at:]
            case 1:
                text = text[:at] + text[at + rng.randrange(1, 30) :]
            case 2:
                lines = text.split("\n")
                line = lines.pop(rng.randrange(len(lines)))
                if rng.randrange(2):
                    lines.insert(rng.randrange(len(lines) + 1), line)
                text = "\n".join(lines)
            case _ if numbers:
                number = rng.choice(numbers)
                near = int(number[0], 16 if "x" in number[0] else 10) + rng.choice((-1, 1, 4096))
                other = rng.choice((near, *NUMBERS))
                text = text[: number.start()] + rng.choice((hex(other), str(other))) + text[number.end() :]
    return text.encode("utf-8", "surrogatepass")


def no_traceback(*words):
    """Run a command: whatever it exits with, it is no bug and no hang."""

    def hangs(*_):
        raise AssertionError(f"not done after {SLOWEST_SECONDS} s: {words}")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(SLOWEST_SECONDS)
    try:
        done = CliRunner().invoke(cli, [str(word) for word in words])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert done.exit_code in (0, 1, 2, 3), (words, done.output)
    told = "bootsim: " in done.stderr or "ERR" in done.stdout or "input error" in done.stdout
    assert done.exit_code != 2 or told, (words, done.output)


@pytest.fixture
def attempts(request, tmp_path, monkeypatch):
    """Random numbers for each attempt; what fails is kept by its own number."""
    monkeypatch.chdir(tmp_path)
    Path("board.dts").write_text(BOARD)
    return [(n, random.Random(f"{request.node.name} {SEED} {n}")) for n in range(RUNS)]


def damaged(rng, path):
    data = path.read_bytes()
    if path.suffix == ".json" and rng.randrange(4):
        return broken_json(rng, data)
    return broken_bytes(rng, data)


@pytest.mark.property
def test_state_directories(attempts):
    good, bad = Path("good"), Path("bad")
    no_traceback("boot", "board.dts", "-q", "--state", good)
    shutil.copytree(good, bad)
    files = sorted(good.iterdir())
    weights = [{"stages.json": 40, "meta.json": 10}.get(path.name, 1) for path in files]
    for _, rng in attempts:
        (path,) = rng.choices(files, weights)
        (bad / path.name).write_bytes(damaged(rng, path))
        view = rng.choice(list(VIEWS))
        stage = ("--stage", rng.choice(list(STAGES))) if rng.randrange(2) else ()
        commands = (
            ("show", bad, view, *(("0xc0008000",) if view == "vtop" else ()), *stage),
            ("compare", good, bad), ("compare", bad, good), ("diff", bad, good), ("diff", good, bad), ("digest", bad),
            ("explain", bad, "0x60000000"), ("facts", bad), ("boot", "board.dts", "-q", "--state", bad),
        )  # fmt: skip
        no_traceback(*rng.choices(commands, (20, 4, 4, 4, 2, 4, 1, 1, 1))[0])
        shutil.copy(path, bad / path.name)
        (bad / "notes").unlink(missing_ok=True)


@pytest.mark.property
def test_results_of_sweeps(attempts):
    good, bad = Path("good.jsonl"), Path("bad.jsonl")
    sweep = ("sweep", "board.dts", "--mem", "32M", "--mem", "64M", "-j", "1", "--no-progress")
    no_traceback(*sweep, "-o", good)
    lines = good.read_bytes().splitlines()
    for _, rng in attempts:
        line = broken_json(rng, lines[0]) if rng.randrange(4) else broken_bytes(rng, lines[0])
        bad.write_bytes(b"\n".join([line, lines[1], *([b""] if rng.randrange(4) else [])]))
        no_traceback(*sweep, "-o", bad, "--resume")


@pytest.mark.property
def test_recorded_boots(attempts):
    no_traceback("golden", "record", "good", "board.dts", "--mem", "32M", "--smp", "1", "--bootloader", "qemu",
                 "--cmdline", "quiet", "--initrd", "board.dts@0x61800000", "-I", ".", "--dtb-addr", "0x61700000")
    (file,) = Path("good").iterdir()
    text = file.read_text()
    head = text[: text.index("[log]")]
    Path("bad").mkdir()
    for _, rng in attempts:
        kind = rng.randrange(4)
        if kind == 0:
            data = broken_bytes(rng, text.encode())
        elif kind == 1:
            data = broken_text(rng, head) + text[len(head) :].encode()
        else:
            name, _, value = rng.choice(re.findall(r"^(\w+)(: )(.*)$", head, re.MULTILINE))
            value = broken_json(rng, value).decode()
            data = (re.sub(rf"^{name}: .*$", lambda _, n=name, v=value: f"{n}: {v}", head, flags=re.MULTILINE)
                    + text[len(head) :]).encode()  # fmt: skip
        (Path("bad") / file.name).write_bytes(data)
        no_traceback("golden", rng.choice(("verify", "verify", "record")), "bad")


@pytest.mark.property
def test_check_files(attempts):
    bad = Path("bad.bootsim.yaml")
    for _, rng in attempts:
        bad.write_bytes(broken_text(rng, CHECKS) if rng.randrange(4) else broken_bytes(rng, CHECKS.encode()))
        extra = rng.choice(((), ("--github",), ("--junit", "j.xml"), ("--names",), ("-v",)))
        no_traceback("check", bad, "-j", "1", *extra)
        if not rng.randrange(10):
            no_traceback("sweep", "--from", bad, "-j", "1", "--no-progress")


@pytest.mark.property
def test_kernel_builds(attempts):
    text = (Path(__file__).parents[1] / "configs" / "3g-1g.yaml").read_text()
    bad = Path("bad.yaml")
    for _, rng in attempts:
        bad.write_bytes(broken_text(rng, text) if rng.randrange(8) else broken_bytes(rng, text.encode()))
        no_traceback("boot", "board.dts", "-q", "--config", bad)
