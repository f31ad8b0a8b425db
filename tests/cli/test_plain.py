"""Plain command lines of `bootsim boot` mean what click takes them for; all else is left to click."""

import os
import subprocess
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.cli.boot import boot
from bootsim.cli.group import cli
from bootsim.cli.plain import OPTIONS, read
from bootsim.stages import STAGES

WORDS = [
    "a.dts", "-", "--", "-h", "--help", "-q", "--quiet", "--steps", "--no-steps", "--allow-outside", "-Idir", "-qI",
    "-I",
    "--config", "--config=2G/2G", "3G/1G", "--mem", "512M", "--mem=1G", "--mem=lots", "--mem=", "--smp", "4", "33", "x",
    "--cmdline", "mem=1G -x", "--cmdline=", "--bootloader", "qemu", "none", "u-boot", "grub",
    "--uboot", "fdt_high=0", "--atags", "mem=1M@0", "--efi-memmap", "efi.log", "--dtb-addr", "0x68000000",
    "--load-addr=0x100000000", "--ram", "1G@0x60000000", "--cpu", "cortex-a15", "--cpu=midr=1", "--soc", "scu=0",
    "--initrd", "rd@img@0x68000000", "--state", "--until", next(iter(STAGES)), "mem", "--format", "json", "logfmt",
    "--color=always", "--colour", "", "-1",
]  # fmt: skip


def by_click(words):
    """What click makes of the words of `boot`, or None when it refuses them or answers itself."""
    try:
        with boot.make_context("boot", list(words)) as context:
            return context.params
    except (click.ClickException, click.exceptions.Exit):
        return None


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_what_is_read_without_click_is_what_click_reads(words):
    plain = read(["boot", "a.dts", *words])
    assert plain is None or plain == by_click(["a.dts", *words])


@pytest.mark.parametrize("key", OPTIONS)
def test_every_option_is_read_alone(key):
    values = {"--smp": "4", "--bootloader": "qemu", "--until": next(iter(STAGES)), "--format": "json", "--slab": "slob",
              "--color": "never"}  # fmt: skip
    words = ["a.dts", key, *([values.get(key, "512M")] if OPTIONS[key].read else [])]
    plain = read(["boot", *words])
    assert plain is not None
    assert plain == by_click(words)


def test_every_argument_has_its_default():
    assert read(["boot", "a.dts"]) == by_click(["a.dts"])


@pytest.mark.parametrize("words", [[], ["--help"], ["facts", "a.dts"], ["boot"], ["boot", "-h"], ["boot", "a", "b"],
                                   ["boot", "a", "--mem", "1G", "--mem", "2G"], ["boot", "a", "--mem"]])  # fmt: skip
def test_all_else_is_clicks(words):
    assert read(words) is None


def run(*words, **env):
    command = [sys.executable, "-m", "bootsim", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **env})


@pytest.mark.parametrize("module", ["click", "dataclasses", "inspect", "yaml", "asyncio"])
def test_a_plain_boot_does_without_what_loads_slowly(tmp_path, module, blob):
    tree = tmp_path / "board.dtb"
    tree.write_bytes(blob)
    (tmp_path / f"{module}.py").write_text("raise ImportError('not needed')")
    done = run("boot", str(tree), "--mem", "256M", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert done.returncode == 0, done.stderr
    assert "Memory: " in done.stdout


@pytest.mark.parametrize("words", [["vexpress.dts", "--mem", "256M"], ["vexpress.dts", "--cmdline", "mem=2M", "-q"],
                                   ["nowhere.dts"], ["vexpress.dts", "--config", "nothing"]])  # fmt: skip
def test_a_plain_boot_ends_as_clicks_does(words):
    from click.testing import CliRunner

    plain, with_click = run("boot", *words), CliRunner().invoke(cli, ["boot", *words], prog_name="bootsim")
    assert (plain.returncode, plain.stdout, plain.stderr) == (
        with_click.exit_code, with_click.stdout, with_click.stderr)  # fmt: skip
