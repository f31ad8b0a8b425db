"""`bootsim boot`."""

from __future__ import annotations

from typing import Any

import click

from bootsim.cli import booting
from bootsim.cli.inputs import input_options, known_stage

_HELP = """Replay the boot of TREE, a .dts or .dtb file, and print its log.

    TREE is a path, the name of a bundled tree (vexpress.dts), or - for standard input. Source and blob are told apart
    by content. The log goes to standard output: the kernel's own lines, and between them, marked `bootsim:`, a line for
    every step the kernel takes in silence.

    \b
    Examples:
      bootsim boot vexpress.dts --config 3G/1G --mem 1G
      bootsim boot board.dts -I include --cmdline "console=ttyAMA0 vmalloc=512M"
      bootsim boot board.dtb --mem 512M --bootloader qemu --no-steps
      bootsim boot board.dtb --format json | jq 'select(.stage == "paging_init")'
      bootsim boot board.dtb --until paging_init:entry --state before-paging
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("tree", metavar="TREE")
@input_options
@click.option("--until", callback=known_stage, metavar="STAGE", help="Stop after this stage.")
@click.option("--state", metavar="DIR", help="Write a state directory: every stage's memblock, tables and free lists.")
@click.option("--format", "form", type=click.Choice(["dmesg", "json", "logfmt"]), default="dmesg", show_default=True,
              help="Form of the log.")  # fmt: skip
@click.option("--steps/--no-steps", default=True, help="Whether to show bootsim's own lines.  [default: steps]")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
              help="Color the log as dmesg does. `auto` honours NO_COLOR.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="No log on standard output.")
@click.pass_context
def boot(ctx: click.Context, /, tree: str, **options: Any) -> None:
    """Run one boot; the help text is `_HELP`."""
    ctx.exit(booting.run(tree, **options))
