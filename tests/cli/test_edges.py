"""Where a command ends badly: standard output full or closed, a disk full, Ctrl-C. One line, and the right code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import bootsim as package
from bootsim import start

BOOTS = (
    ("boot", "vexpress.dts"), ("show", "vexpress.dts", "buddyinfo"), ("digest", "vexpress.dts"),
    ("facts", "vexpress.dts"), ("explain", "vexpress.dts", "arm_lowmem_limit"),
    ("diff", "vexpress.dts", "--mem", "64M", "--mem", "65M"), ("report", "vexpress.dts", "-o", "-"),
    ("sweep", "vexpress.dts", "--no-progress"), ("golden", "record", "boots", "vexpress.dts"),
    ("check", "x.bootsim.yaml"),
)  # fmt: skip
OTHERS = (("configs",), ("boot", "--help"), ("--version",))
CODES = {"diff": 1}


def run(*args, cwd, **how):
    how = {"stdout": subprocess.PIPE, **how}
    return subprocess.run(
        [sys.executable, "-m", "bootsim", *args], cwd=cwd, stderr=subprocess.PIPE, text=True, check=False, **how
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "x.bootsim.yaml").write_text("boots: {tree: vexpress.dts}\nexpect: no panic\n")
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(os.path.dirname(package.__file__)))  # noqa: PTH120
    return tmp_path


@pytest.mark.parametrize("command", [*BOOTS, *OTHERS], ids=lambda words: words[0].strip("-"))
def test_a_full_standard_output(place, command):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(*command, cwd=place, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "bootsim: error: standard output: No space left on device\n"


@pytest.mark.parametrize("command", [BOOTS[0], BOOTS[1], OTHERS[0], OTHERS[1]], ids=lambda words: words[0])
def test_a_closed_standard_output(place, command):
    done = run(*command, cwd=place, stdout=None, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (2, "bootsim: error: standard output: closed\n")


@pytest.mark.parametrize(("command", "code", "told"), [
    (("boot", "-"), 2, "bootsim: error: <stdin>: empty, expected a device tree: source text or a blob\n"),
    (("show", "-", "iomem"), 2, "bootsim: error: <stdin>: empty, expected a device tree: source text or a blob\n"),
    (("replay", "-", "--tree", "vexpress.dts"), 2, "bootsim: error: -: no event of kmem: in it"),
    (("shell", "vexpress.dts"), 0, "<Kernel 3G/1G"),
], ids=lambda words: words[0] if isinstance(words, tuple) else "")
def test_a_closed_standard_input_is_an_empty_one(place, command, code, told):
    done = run(*command, cwd=place, preexec_fn=lambda: os.close(0))
    assert done.returncode == code
    assert done.stderr.startswith(told)


def test_what_needs_no_standard_output_does_without(place):
    done = run("boot", "vexpress.dts", "-q", "--state", "s", cwd=place, stdout=None, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")
    assert (place / "s" / "stages.json").is_file()


@pytest.mark.parametrize("command", [*BOOTS, *OTHERS], ids=lambda words: words[0].strip("-"))
def test_a_reader_that_has_left_changes_no_answer(place, command):
    read, write = os.pipe()
    os.close(read)
    done = run(*command, cwd=place, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (CODES.get(command[0], 0), "")


def test_a_full_standard_error_is_no_error(place):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([sys.executable, "-m", "bootsim", "boot", "no.dts"], cwd=place, stderr=full, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize("command", BOOTS, ids=lambda words: words[0])
def test_control_c(place, command, bootsim, monkeypatch):
    def interrupted(*_args, **_rest):
        raise KeyboardInterrupt

    monkeypatch.chdir(place)
    monkeypatch.setattr(start, "boot", interrupted)
    done = bootsim(*command)
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1].startswith("bootsim: interrupted")
    assert not (place / "boots").exists()


def test_control_c_from_a_terminal_ends_every_process(place):
    started = subprocess.Popen(
        [sys.executable, "-m", "bootsim", "sweep", "vexpress.dts", "--mem", "64M-1G:64K", "-j", "2", "-o", "r.jsonl"],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    results = place / "r.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and not (results.exists() and results.stat().st_size):
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGINT)
    try:
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert (started.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "bootsim: interrupted; --resume goes on"
    assert results.read_bytes().endswith(b"\n")


def test_odd_names_are_no_bug(bootsim):
    for command in ("boot", "digest", "show"):
        done = bootsim(command, "x" * 5000, *(["layout"] if command == "show" else []))
        assert done.exit_code == 2, done.output
        assert done.stderr.startswith("bootsim: error: ")
