"""The log as text: stamps, steps, colors, and what a console shows."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest

from bootsim.linux.kernel.printk import Record
from bootsim.views import dmesg


def record(text, level=6, kernel=True):
    return Record(0, level, "setup_arch", "f", text, kernel, {})


def test_every_line_of_a_message_is_stamped():
    lines = list(dmesg.lines([record("Zone ranges:\n  Normal   empty")]))
    assert lines == ["[    0.000000] Zone ranges:", "[    0.000000]   Normal   empty"]


def test_steps_can_be_left_out():
    records = [record("Linux"), record("bootsim: mapped", kernel=False)]
    assert len(list(dmesg.lines(records))) == 2
    assert list(dmesg.lines(records, steps=False)) == ["[    0.000000] Linux"]


# One message of each kind `dmesg --color` tells apart: with a subsystem, without, a colon without a blank, each level.
MESSAGES = [
    (6, "OF: fdt: Machine model: V2P-CA9"),
    (6, "Linux version 5.10.223"),
    (4, "foo: a warning"),
    (3, "cma: Failed to reserve 16 MiB"),
    (3, "an error without a subsystem"),
    (2, "cma: critical"),
    (1, "cma: alert"),
    (0, "Kernel panic - not syncing: x: y"),
    (5, "memory[0x0]\t[0x60000000-0x9fffffff], flags: 0x0"),
    (7, "On node 0 totalpages: 262144"),
    (6, "ends with a colon:"),
    (6, "a:b"),
]


def test_colors():
    shown = list(dmesg.lines([record(text, level) for level, text in MESSAGES], color=True))
    assert shown[0] == "\x1b[32m[    0.000000] \x1b[0m\x1b[33mOF: \x1b[0mfdt: Machine model: V2P-CA9"
    assert shown[1] == "\x1b[32m[    0.000000] \x1b[0mLinux version 5.10.223"
    assert shown[3].endswith("\x1b[31mFailed to reserve 16 MiB\x1b[0m")


@pytest.mark.skipif(shutil.which("dmesg") is None, reason="needs util-linux's dmesg")
def test_colors_are_those_of_dmesg(tmp_path):
    kmsg = tmp_path / "kmsg"
    kmsg.write_text("".join(f"<{level}>[    0.000000] {text}\n" for level, text in MESSAGES))
    done = subprocess.run(["dmesg", "-F", kmsg, "--color=always"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"dmesg cannot: {done.stderr}")
    assert list(dmesg.lines([record(text, level) for level, text in MESSAGES], color=True)) == done.stdout.splitlines()


@pytest.mark.parametrize(
    ("loglevel", "ignore", "shown"),
    [(7, False, "Linux"), (4, False, ""), (10, False, "Linux debug"), (4, True, "Linux debug")],
)
def test_console_shows_what_is_below_its_level(loglevel, ignore, shown):
    assert dmesg.console(kernel(loglevel, ignore)) == "".join(f"[    0.000000] {text}\n" for text in shown.split())


@pytest.mark.parametrize(("printk_time", "arch_name", "stamp"), [
    (False, "armv7", ""), (True, "armv7", "[    0.000000] "), (False, "armv5tej", "[    0.000000] "),
])
def test_a_console_without_timestamps(printk_time, arch_name, stamp):
    shown = dmesg.console(kernel(10, printk_time=printk_time, arch_name=arch_name))
    assert shown == f"{stamp}Linux\n{stamp}debug\n"


def kernel(loglevel, ignore=False, printk_time=True, arch_name="armv7"):
    records = [record("Linux"), record("debug", 7), record("bootsim: x", kernel=False)]
    log = SimpleNamespace(records=records, console_loglevel=loglevel, ignore_loglevel=ignore)
    build = SimpleNamespace(config=SimpleNamespace(PRINTK_TIME=printk_time))
    return SimpleNamespace(log=log, build=build, procinfo=SimpleNamespace(arch_name=arch_name))


def test_what_a_terminal_would_obey_is_shown_in_hex():
    assert list(dmesg.lines([record("a\x1b[31m\tb\x9b\udcff ü")])) == ["[    0.000000] a\\x1b[31m\tb\\xc2\\x9b\\xff ü"]
