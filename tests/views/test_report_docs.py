"""docs/report.md: its commands run, and what it says of the page holds."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli

TEXT = (Path(__file__).parents[2] / "docs/report.md").read_text()
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    (page,) = tmp_path.iterdir()
    text = page.read_text()
    shown = re.findall(r"^\| ([A-Z][\w ]+?) \|", TEXT, re.MULTILINE)
    assert len(shown) == 9
    assert all(re.search(rf"<h2[^>]*>{name}", text) for name in shown)
    assert len(text) < 500_000
