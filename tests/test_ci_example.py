"""docs/ci.md and its workflow: every command of theirs is run, on a copy of the example board."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bootsim.cli.group import cli
from bootsim.sweep.checkfile import read

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = (DOCS / "ci.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def board(tmp_path, monkeypatch):
    shutil.copytree(DOCS / "examples", tmp_path / "board")
    monkeypatch.chdir(tmp_path / "board")
    return tmp_path / "board"


def run(command):
    name, *words = shlex.split(command)
    assert name == "bootsim"
    arguments = [each for word in words for each in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]
    return CliRunner().invoke(cli, arguments)


def test_the_guides_commands(board):
    commands = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    assert len(commands) > 6
    output = ""
    for command in commands:
        done = run(command)
        assert done.exit_code == 0, f"{command}\n{done.output}"
        output += done.stdout
    shown = next(text for kind, text in BLOCKS if not kind and "vmalloc=314572801" in text)
    assert shown in output


def test_the_guides_check_file(board):
    text = next(text for kind, text in BLOCKS if kind == "yaml")
    (board / "x.bootsim.yaml").write_text(text)
    assert len(read("x.bootsim.yaml").boots) == 4
    assert run("bootsim check x.bootsim.yaml").exit_code == 0


def test_the_failure_shown(board):
    text = (board / "board.bootsim.yaml").read_text()
    (board / "board.bootsim.yaml").write_text(text.replace("lowmem >= 480M", "lowmem >= 500M"))
    done = run("bootsim check board.bootsim.yaml --github")
    assert done.exit_code == 1
    shown = next(text for kind, text in BLOCKS if not kind and text.startswith("FAIL"))
    for line in shown.splitlines()[:7]:
        assert line in done.stdout.splitlines()
    assert "::error file=board.dts,line=44,title=lowmem >= 500M (" in done.stdout


def test_the_guides_python(board):
    import bootsim

    text = next(text for kind, text in BLOCKS if kind == "python")
    names = {}
    exec(compile(text, "ci.md", "exec"), names)
    names["test_the_decoder_reaches_its_pool"](bootsim.boot)


def test_the_workflow(board):
    workflow = yaml.safe_load((board / "bootsim.yml").read_text())
    assert workflow["name"] == "bootsim"
    (job,) = workflow["jobs"].values()
    assert job["runs-on"]
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    assert run("bootsim golden record boots board.dts").exit_code == 0
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0] == "pip install bootsim"
    for command in commands[1:]:
        done = run(command)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    uploaded = next(step for step in job["steps"] if "upload" in step.get("uses", ""))["with"]["path"].split()
    assert all((board / name).is_file() for name in uploaded)
    triggers = workflow[True]["pull_request"]["paths"]  # YAML 1.1 takes `on` for true
    assert "**.dts" in triggers


def test_the_guides_links():
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", GUIDE)
    assert [target for target in targets if not (DOCS / target).exists()] == []


def test_every_quantity_is_in_the_guide():
    from bootsim.state.quantities import TABLE

    assert [q.name for q in TABLE if f"`{q.name}`" not in GUIDE and q.name not in ("cma.areas", "smp")] == []
