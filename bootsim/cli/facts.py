"""`bootsim facts`."""

from __future__ import annotations

import json
from typing import Any

import click

from bootsim.cli.inputs import input_options, replayable
from bootsim.cli.output import LineOutput

_HELP = """List the derived quantities of a boot: value, unit, formula, and the kernel function that computed it.

    SOURCE is a tree, or a state directory (replayed or captured), whose tree is replayed.

    \b
    Examples:
      bootsim facts vexpress.dts --mem 1G
      bootsim facts vexpress.dts --roots
      bootsim facts board.dtb --json | jq '.facts[] | select(.name == "high_memory")'
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="SOURCE")
@input_options
@click.option("--roots", "with_roots", is_flag=True, help="List what the quantities rest on instead, with values.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: facts (every version) and roots.")
def facts(source: str, with_roots: bool, as_json: bool, **options: Any) -> None:
    """List facts; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily
    from bootsim.state.explain import root_shown, table
    from bootsim.state.replay import Replay
    from bootsim.state.roots import Roots, is_root

    import_structlog_lazily()
    tree, inputs = replayable(source, options)
    replay = Replay(tree, inputs)
    known, roots = replay.k.facts, Roots(replay.k, replay.blob, inputs)
    names = [name for name in known.roots() if is_root(name)]
    if as_json:
        values = {name: {"value": roots.value(name), "where": roots.where(name)} for name in names}
        click.echo(json.dumps({"facts": known.to_json(), "roots": values}))
    elif with_roots:
        LineOutput().write(f"{name} = {root_shown(roots, name)}" for name in names)
    else:
        LineOutput().write(table(known))
