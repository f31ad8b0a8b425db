"""`bootsim digest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.inputs import input_options
from bootsim.cli.values import inputs_from

if TYPE_CHECKING:
    from collections.abc import Mapping

_HELP = """Print a number that stands for a whole boot: equal boots have equal digests.

    Each BOOT is a tree, which is replayed, or a state directory. The digest covers the kernel's console lines and every
    stage, but no timestamps and none of bootsim's own lines.

    \b
    Examples:
      bootsim digest vexpress.dts --config 3G/1G --mem 1G
      bootsim digest board.dtb saved-state
      bootsim digest board.dtb --parts
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("boots", metavar="BOOT...", nargs=-1, required=True)
@input_options
@click.option("--parts", "with_parts", is_flag=True, help="A line for the log and for each stage, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, by boot.")
def digest(boots: tuple[str, ...], with_parts: bool, as_json: bool, **options: Any) -> None:
    """Print digests; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily
    from bootsim.state.digest import whole

    import_structlog_lazily()
    found = {}
    for boot in boots:
        parts = _parts(boot, inputs_from(options))
        found[boot] = {"digest": whole(parts), "parts": parts}
        if not as_json:
            click.echo(f"{found[boot]['digest']}  {boot}")
            if with_parts:
                for name, value in parts.items():
                    click.echo(f"  {value}  {name}")
    if as_json:
        click.echo(json.dumps(found))


def _parts(boot: str, inputs: Mapping[str, Any]) -> dict[str, str]:
    from bootsim.state import digest as digests

    if Path(boot).is_dir():
        from bootsim.state.directory import StateDirectory

        return digests.of_directory(StateDirectory(boot))
    from bootsim.state.replay import Replay
    from bootsim.views.dmesg import console

    replay = Replay(boot, inputs)
    return digests.of_stages(console(replay.k), replay.recorder.stages.values())
