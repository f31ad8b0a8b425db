"""The command line around the commands: help, versions, errors, start-up."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bootsim as package
from bootsim.cli.group import COMMANDS


def test_version_is_the_projects(bootsim):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert package.__version__ == project["version"]
    assert bootsim("--version").output == f"bootsim {package.__version__}\n"


def test_help_lists_every_command(bootsim):
    done = bootsim("--help")
    assert done.exit_code == 0
    assert all(f"  {name} " in done.output for name in COMMANDS)
    assert "2 bad input, 3" in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(bootsim, name):
    done = bootsim(name, "--help")
    assert done.exit_code == 0
    assert done.output.startswith(f"Usage: bootsim {name}")


def test_an_unknown_command_gets_the_nearest(bootsim):
    done = bootsim("bot")
    assert done.exit_code == 2
    assert "did you mean 'boot'?" in done.output


def test_usage_errors_exit_with_2(bootsim):
    assert bootsim("boot").exit_code == 2
    assert bootsim("boot", "x.dts", "--color", "mauve").exit_code == 2
    assert bootsim("boot", "x.dts", "--mem", "lots").exit_code == 2


HEAVY = ("pydantic", "yaml", "structlog", "fdt", "pcpp", "devicetree", "rich", "asyncio", "bootsim.linux", "bootsim.hw")


@pytest.mark.parametrize(
    "code", ["import bootsim", "import bootsim.cli.group as g; g.cli(['--help'], standalone_mode=False)"]
)
def test_start_up_loads_nothing_heavy(code):
    check = f"{code}\nimport sys\nprint('loaded:', [m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_a_bug_says_how_to_report_it(monkeypatch):
    from click.testing import CliRunner

    from bootsim.cli import booting
    from bootsim.cli.group import cli

    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(booting, "run", broken)
    done = CliRunner().invoke(cli, ["boot", "x.dts"])
    assert done.exit_code == 70
    assert "ZeroDivisionError: oops" in done.output
    assert "Please report it" in done.output


def test_python_m_bootsim():
    done = subprocess.run([sys.executable, "-m", "bootsim", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"bootsim {package.__version__}\n"
