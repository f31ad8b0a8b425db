"""Completion in shells: what is offered where, and that every parameter that names something is completed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bootsim.cli.complete import WHAT
from bootsim.cli.group import COMMANDS, cli

ROOT = Path(__file__).parents[2]


def offered(*words):
    """What bash is offered for the last word, as (type, value)."""
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "_BOOTSIM_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("bootsim", *words)), "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    code = "from bootsim.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return [tuple(line.split(",", 1)) for line in done.stdout.splitlines()]


def test_commands_and_options():
    assert ("plain", "golden") in offered("go")
    assert ("plain", "verify") in offered("golden", "ver")
    assert ("plain", "--cmdline") in offered("boot", "--cm")
    assert offered("boot", "--bootloader", "q") == [("plain", "qemu")]
    assert offered("boot", "--bootloader", "qemu:virt") == [("plain", "qemu:virt")]


def test_trees_builds_stages_views_and_folders():
    assert offered("boot", "") == [("file", "")]
    assert ("plain", "vexpress.dts") in offered("boot", "vexp")
    assert offered("boot", "x.dts", "--config", "2G") == [("file", "2G"), ("plain", "2G/2G")]
    assert offered("boot", "x.dts", "--until", "paging") == [("plain", "paging_init:entry")]
    assert ("plain", "mark_readonly") in offered("show", "x.dts", "--stage", "ma")
    assert offered("show", "x.dts", "bud") == [("plain", "buddyinfo")]
    assert ("plain", "/proc/buddyinfo") in offered("show", "x.dts", "buddyinfo", "/proc/b")
    assert offered("boot", "x.dts", "--state", "o") == [("dir", "o")]
    assert offered("sweep", "x.dts", "-o", "r") == [("file", "r")]


def parameters(command, path):
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from parameters(below, f"{path} {name}")
    yield from ((path, param) for param in command.params)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_file_folder_and_name_is_completed(name):
    for path, param in parameters(cli.get_command(None, name), name):
        metavar = param.metavar or ""
        names_something = any(word in metavar for word in ("TREE", "FILE", "DIR", "STAGE", "VIEW", "SOURCE", "BOOT"))
        assert metavar in WHAT or not names_something, f"{path}: {param.name} ({metavar})"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_line_for_bash_works(tmp_path):
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if "bash_source" in line]
    program = tmp_path / "bootsim"  # the completion calls the program that it finds
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c 'from bootsim.cli import main; main()' \"$@\"\n"
    )
    program.chmod(0o755)
    script = f"""{line.partition("#")[0]}
COMP_WORDS=(bootsim show x.dts zonei) COMP_CWORD=3
_bootsim_completion bootsim 2>/dev/null
echo "${{COMPREPLY[@]}}"
"""
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "zoneinfo", done


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_there(shell, bootsim):
    done = bootsim(env={"_BOOTSIM_COMPLETE": f"{shell}_source"})
    assert done.exit_code == 0
    assert "_BOOTSIM_COMPLETE" in done.stdout
