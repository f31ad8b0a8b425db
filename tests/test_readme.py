"""README's examples: those on the bundled tree are run, and what they show is what comes out."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands():
    for kind, text in BLOCKS:
        if kind == "sh":
            for line in text.splitlines():
                whole = line.split("|")[0].split("#")[0]
                command, _, _ = whole.partition(";")
                names = shlex.split(command)[1:]
                if command.startswith("bootsim ") and ("vexpress.dts" in names or names == ["configs"]):
                    status = re.search(r"# (?:exits )?(\d)$", line)
                    yield pytest.param(names, int(status[1]) if status else 0, id=command.strip())


@pytest.mark.parametrize(("arguments", "status"), list(commands()))
def test_commands(arguments, status, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rootfs.cpio.gz").write_bytes(bytes(4096))
    (tmp_path / "labs").symlink_to(Path(__file__).parents[1] / "labs")
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == status, done.output


@pytest.mark.parametrize("command", ["boot", "where"])
def test_what_is_shown(command):
    text = next(text for kind, text in BLOCKS if kind == "console" and text.startswith(f"$ bootsim {command}"))
    command, *shown = text.splitlines()
    done = CliRunner().invoke(cli, shlex.split(command.removeprefix("$ bootsim ")))
    lines = iter(done.stdout.splitlines())
    for line in shown:
        if line != "...":
            wanted = line.removesuffix("...")
            assert next(found for found in lines if found.startswith(wanted)) == line or line.endswith("...")


def test_the_python_example():
    text = next(text for kind, text in BLOCKS if kind == "python")
    exec(compile(text, "README.md", "exec"), {})


def test_links_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (Path(__file__).parents[1] / target).exists()] == []
