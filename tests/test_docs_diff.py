"""The examples of docs/diff.md show what comes out."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli

TEXT = (Path(__file__).parents[1] / "docs" / "diff.md").read_text()
BLOCKS = re.findall(r"^```console\n\$ bootsim (.*?)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_examples(command, shown):
    lines = iter(CliRunner(env={"COLUMNS": "120"}).invoke(cli, shlex.split(command)).stdout.splitlines())
    for line in shown.splitlines():
        if line != "...":
            assert line in lines
