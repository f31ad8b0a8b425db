"""`bootsim boot`: what it prints, writes and returns."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bootsim.stages import STAGES
from bootsim.state.directory import StateDirectory


def kernel_lines(text):
    return [line for line in text.splitlines() if not line.startswith("[    0.000000] bootsim:")]


def test_the_log_goes_to_stdout(bootsim, tree_file):
    done = bootsim("boot", tree_file())
    assert done.exit_code == 0
    assert kernel_lines(done.stdout)[0] == "[    0.000000] Booting Linux on physical CPU 0x0"
    assert "Machine model: Test board" in done.stdout
    assert (
        "[    0.000000] bootsim: Virtual kernel memory layout:\n[    0.000000]     vector  : 0xffff0000" in done.stdout
    )
    assert done.stderr == ""


def test_no_steps_leaves_the_kernels_lines(bootsim, tree_file):
    tree = tree_file()
    with_steps, without = bootsim("boot", tree), bootsim("boot", tree, "--no-steps")
    assert "bootsim:" not in without.stdout
    assert "Virtual kernel memory layout" not in without.stdout
    assert all(line in with_steps.stdout for line in without.stdout.splitlines())


def test_blob_and_source_of_one_board_boot_alike(bootsim, tree_file, blob, tmp_path):
    (tmp_path / "board").write_bytes(blob)
    from_blob = bootsim("boot", tmp_path / "board", "--no-steps")
    from_source = bootsim("boot", tree_file(name="board.dtb"), "--no-steps")
    assert from_blob.exit_code == from_source.exit_code == 0
    assert "Memory: " in from_blob.stdout
    zones = [line for line in from_blob.stdout.splitlines() if "zone:" in line]
    assert zones
    assert all(line in from_source.stdout for line in zones)


def test_standard_input(bootsim, source, blob):
    assert bootsim("boot", "-", input=source()).exit_code == 0
    assert bootsim("boot", "-", input=blob).exit_code == 0


def test_a_bundled_tree_boots_by_name_from_anywhere(bootsim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = bootsim("boot", "vexpress.dts", "--config", "3G/1G", "--mem", "1G", "--no-steps")
    assert done.exit_code == 0, done.stderr
    assert "Machine model: V2P-CA9" in done.stdout


def test_a_file_goes_before_a_bundled_tree(bootsim, tree_file, tmp_path, monkeypatch):
    tree_file(name="vexpress.dts")
    monkeypatch.chdir(tmp_path)
    assert "Machine model: Test board" in bootsim("boot", "vexpress.dts").stdout


def test_json(bootsim, tree_file):
    done = bootsim("boot", tree_file(), "--format", "json", "--cmdline", "memblock=debug")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["seq"] for e in events] == list(range(len(events)))
    assert {e["stage"] for e in events} >= {"setup_arch"}
    assert all(set(e) == {"seq", "level", "stage", "function", "kernel", "text", "fields"} for e in events)
    reserve = next(e for e in events if e["text"].startswith("memblock_reserve:"))
    base, end = (int(number, 16) for number in re.search(r"\[(0x\w+)-(0x\w+)\]", reserve["text"]).groups())
    assert {base, end} <= set(reserve["fields"].values())


def test_logfmt(bootsim, tree_file):
    tree = tree_file()
    done = bootsim("boot", tree, "--format", "logfmt", "--no-steps")
    lines = done.stdout.splitlines()
    assert all(line.startswith("seq=") and " kernel=true " in line for line in lines)
    said = [line.partition("] ")[2] for line in bootsim("boot", tree, "--no-steps").stdout.splitlines()]
    assert len(lines) >= len(said)
    assert all(any(text in line for line in lines) for text in said if '"' not in text)


def test_quiet(bootsim, tree_file):
    done = bootsim("boot", tree_file(), "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_color(bootsim, tree_file, monkeypatch):
    tree = tree_file()
    assert "\x1b[" not in bootsim("boot", tree).stdout
    assert "\x1b[32m[    0.000000] \x1b[0m" in bootsim("boot", tree, "--color", "always", color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in bootsim("boot", tree, "--color", "auto", color=True).stdout


def test_mem_rewrites_the_memory_node(bootsim, tree_file):
    done = bootsim("boot", tree_file(), "--mem", "128M", "--no-steps")
    assert "[mem 0x0000000060000000-0x0000000067ffffff]" in done.stdout


def test_cmdline_replaces_the_bootargs(bootsim, tree_file):
    done = bootsim("boot", tree_file(), "--cmdline", "loglevel=8 vmalloc=512M")
    assert "Kernel command line: loglevel=8 vmalloc=512M" in done.stdout


def test_state_directory(bootsim, tree_file, blob, tmp_path):
    (tmp_path / "board.dtb").write_bytes(blob)
    done = bootsim("boot", tmp_path / "board.dtb", "--state", tmp_path / "s", "-q")
    assert done.exit_code == 0
    state = StateDirectory(tmp_path / "s")
    assert list(state.stages) == list(STAGES)
    assert state.dtb == blob
    assert state.meta["build"] == "3G/1G"
    assert state.meta["panic"] is None
    assert "bootsim:" not in state.log
    assert "Memory: " in state.log
    l1, l2 = state.tables("memblock_free_all")
    assert len(l1) == 16384
    assert l2
    assert state.stages["mem_init"]["zones"]


def test_the_state_directorys_log_is_what_the_console_shows(bootsim, tree_file, tmp_path):
    for options, debug_shown in (("", False), ("loglevel=8", True), ("ignore_loglevel", True), ("quiet", False)):
        bootsim("boot", tree_file(), "--state", tmp_path / "s", "--cmdline", options, "-q")
        log = StateDirectory(tmp_path / "s").log
        assert ("On node 0 totalpages" in log) is debug_shown, options
        assert ("Memory: " in log) is (options != "quiet")


def test_until_stops_after_the_stage(bootsim, tree_file, tmp_path):
    done = bootsim("boot", tree_file(), "--until", "paging_init:entry", "--state", tmp_path / "s")
    assert done.exit_code == 0
    assert "Memory: " not in done.stdout
    assert list(StateDirectory(tmp_path / "s").stages)[-1] == "paging_init:entry"


def test_until_an_unknown_stage_names_the_stages(bootsim, tree_file):
    done = bootsim("boot", tree_file(), "--until", "paging_init")
    assert done.exit_code == 2
    assert "did you mean paging_init:entry?" in done.stderr
    assert all(stage in done.stderr for stage in STAGES)


def test_state_over_something_else_is_refused_before_the_boot(bootsim, tree_file, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").write_text("mine")
    done = bootsim("boot", tree_file(), "--state", tmp_path / "s")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "bootsim: error:" in done.stderr
    assert (tmp_path / "s" / "notes.txt").read_text() == "mine"


def test_a_panic_ends_with_the_kernels_words_and_the_cause(bootsim, tree_file, tmp_path):
    done = bootsim("boot", tree_file(), "--cmdline", "mem=2M", "--state", tmp_path / "s")
    assert done.exit_code == 3
    assert "Booting Linux" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("[    0.000000] bootsim: ")
    assert StateDirectory(tmp_path / "s").meta["panic"]
    quiet = bootsim("boot", tree_file(), "--cmdline", "mem=2M", "-q")
    assert quiet.exit_code == 3
    assert quiet.stdout == ""
    assert quiet.stderr.startswith("bootsim: ")


def run(*args, **kwargs):
    command = [sys.executable, "-m", "bootsim", *map(str, args)]
    return subprocess.run(command, capture_output=True, check=False, **kwargs)


def test_a_reader_that_leaves_is_no_error(tree_file, tmp_path):
    command = f"{sys.executable} -m bootsim boot {tree_file()} --state {tmp_path / 's'}; echo status=$? >&2"
    done = subprocess.run(["sh", "-c", f"({command}) | head -1"], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == "status=0\n"
    assert list(StateDirectory(tmp_path / "s").stages) == list(STAGES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(tree_file):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "bootsim", "boot", tree_file()]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "bootsim: error: standard output: No space left on device\n"


def test_a_poor_locale_is_enough(tree_file, tmp_path):
    tree = tmp_path / "b.dts"
    tree.write_bytes(Path(tree_file()).read_bytes().replace(b"Test board", "Bücher".encode()))
    done = run("boot", tree, env={**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert b"Memory: " in done.stdout


REFUSED = """	reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
		video { size = <0x50000000>; };
	};
"""


@pytest.mark.parametrize(("options", "shown"), [
    (["-q"], 0), (["--no-steps"], 0), (["--no-steps", "--format", "json"], 0), ([], 1)])
def test_causes_are_told_once_wherever_steps_are_not_shown(bootsim, tree_file, options, shown):
    done = bootsim("boot", tree_file(REFUSED), *options)
    assert done.exit_code == 0
    assert done.stdout.count("bootsim: cause: ") == shown
    assert done.stderr.count("bootsim: cause: ") == 1 - shown
    told = done.stdout if shown else done.stderr
    assert "/reserved-memory/video size: no free 0x50000000 bytes" in told


@pytest.mark.parametrize("options", [["-q"], ["--no-steps"], []])
def test_a_warning_about_the_inputs_is_told_once_on_standard_error(bootsim, tree_file, options):
    compatible = 'compatible = "arm,realview-pb11mp";'  # in 5.10, but not in the bundled build
    done = bootsim("boot", tree_file(compatible), *options)
    assert done.stderr.count("bootsim: warning: ") == 1
