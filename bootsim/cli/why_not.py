"""`bootsim why-not`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.inputs import input_options, replayable
from bootsim.cli.output import Experiments, LineOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.sweep.whynot import WhyNot

_HELP = """Tell what single change would make something hold of a boot.

    WHAT is an expectation as check files have it: `lowmem >= 760M`, `cma.default.base < 0x80000000`, `no warning`.
    Where it does not hold, the boot is made again with one thing changed: another vmalloc=, cma= or amount of RAM,
    another split of the address space, each node of /reserved-memory smaller or left out, each word of the command
    line left out. Of sizes the nearest to what is now is told.

    TREE may be a state directory: its tree is booted, with what the directory says that it was booted with.

    \b
    Examples:
      bootsim why-not vexpress.dts "lowmem >= 800M" --mem 1G
      bootsim why-not board.dts "coherent_pool.max >= 20M"
      bootsim why-not captures/board "highmem == 0"
    """


@click.command("why-not", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]},
               epilog="Exit codes: 0 it holds, or a change makes it hold; 1 no change was found; 2 bad input.")
@click.argument("tree", metavar="TREE")
@click.argument("what", metavar="WHAT")
@input_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def why_not(ctx: click.Context, /, tree: str, what: str, as_json: bool, **options: Any) -> None:
    """Search; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily
    from bootsim.state.decisions import load_inputs
    from bootsim.state.expressions import ExpressionError, parse
    from bootsim.sweep import whynot

    import_structlog_lazily()
    try:
        expression = parse(what)
    except ExpressionError as error:
        raise click.BadParameter(f"column {error.column + 1}: {error}", param_hint="WHAT") from None
    progress = Experiments()
    try:
        found = whynot.why_not(load_inputs(*replayable(tree, options)), expression, progress)
    finally:
        progress.finish()
    if as_json:
        click.echo(json.dumps({
            "what": what, "holds": found.answer.holds, "reason": found.answer.reason, "boots": found.boots,
            "ways": [way._asdict() for way in found.ways], "tried": list(found.tried),
        }))  # fmt: skip
    else:
        LineOutput().write(_lines(what, found))
    ctx.exit(0 if found.answer.holds or found.ways else 1)


def _lines(what: str, found: WhyNot) -> Iterator[str]:
    if found.answer.holds:
        yield f"{what} holds"
        return
    yield f"{what} does not hold: {found.answer.reason}"
    if found.ways:
        yield f"Any one of these would make it hold ({found.boots} boots):"
    else:
        yield f"No single change that was tried makes it hold ({found.boots} boots)"
    for way in found.ways:
        now = f"  (now {way.now})" if way.now else ""
        where = f"  [{way.where}]" if way.where else ""
        yield f"  {way.change}{now}{where}"
    if found.tried:
        yield f"Not enough: {', '.join(found.tried)}"
