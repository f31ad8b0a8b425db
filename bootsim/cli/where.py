"""`bootsim where`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.inputs import known_stage, paired_input_options, paired_inputs
from bootsim.cli.output import LineOutput
from bootsim.errors import EXIT_PANICKED, KernelPanic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bootsim.state.where import Table

_HELP = """Tell where a board's RAM went: every byte of it under one owner.

    TREE is booted, and all its RAM is shown by owner: what is free, CMA areas, the kernel image by its parts, page
    tables, struct pages, hash tables, every region of /reserved-memory, and what Linux was not given; with the stage
    that shows it first and the input that decided it. The sizes add up to the RAM there is and to the figures of the
    kernel's own "Memory:" line; should they ever not, it is said. A boot that panics is shown as it died.

    With two trees, or an option given twice, two boots stand side by side: the first of two values is for A, the second
    for B. A state directory stands for the boot of its tree, with what it says that it was booted with.

    \b
    Examples:
      bootsim where vexpress.dts --mem 1G
      bootsim where board.dtb --all
      bootsim where vexpress.dts --stage arm_memblock_init
      bootsim where vexpress.dts --config 3G/1G --config 2G/2G --mem 1G
      bootsim where old.dts new.dts
      bootsim where captures/board board.dts
      bootsim where vexpress.dts --json | jq '.rows[] | select(.group == "node")'
    """


@click.command(help=_HELP, epilog="Exit codes: 0 shown, 2 bad input, 3 a replayed kernel panicked; there is a table.",
               context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trees", metavar="TREE [TREE]", nargs=-1, required=True)
@paired_input_options
@click.option("--stage", callback=known_stage, metavar="STAGE", help="Show RAM at this stage.  [default: the end]")
@click.option("--all", "everything", is_flag=True, help="Show every owner, also of less than a page.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list of two.")
@click.pass_context
def where(
    ctx: click.Context, /, trees: tuple[str, ...], stage: str | None, everything: bool, as_json: bool, **options: Any
) -> None:
    """Show where RAM went; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily
    from bootsim.views import where as view

    import_structlog_lazily()
    boots = paired_inputs(trees, options)
    shown: list[tuple[str, Table]] = []
    died = False
    for name, tree, inputs in boots:
        table, panic = _table(tree, inputs, stage)
        shown.append((name, table))
        if panic is not None:
            died = True
            click.echo(f"bootsim: {name}: the kernel panicked: {panic.cause or panic}", err=True)
    tables = [table for _, table in shown]
    if as_json:
        found = [{"boot": name, **view.data(table)} for name, table in shown]
        click.echo(json.dumps(found[0] if len(found) == 1 else found))
    else:
        LineOutput().write(_lines([name for name, _ in shown], tables, everything))
    for each in (each for table in tables for each in table.sums if not each.agrees):
        click.echo(f'bootsim: {each.name}: the "Memory:" line says {each.line} bytes, the table {each.table}; this is '
                   "a bug in bootsim, please report it", err=True)  # fmt: skip
    if died:
        ctx.exit(EXIT_PANICKED)


def _lines(names: list[str], tables: list[Table], everything: bool) -> Iterator[str]:
    from bootsim.views import where as view

    if len(tables) == 1:
        yield f"{names[0]}, {tables[0].stage}"
        yield from view.lines(tables[0], everything=everything)
    else:
        yield from view.lines_of_two(names, tables, everything=everything)


def _table(tree: str, inputs: Mapping[str, Any], stage: str | None) -> tuple[Table, KernelPanic | None]:
    import bootsim
    from bootsim.state.where import where as found

    k = bootsim.prepare(tree, **inputs)
    try:
        bootsim.run(k, until=stage)
    except KernelPanic as panic:
        return found(k, "the panic"), panic
    return found(k, stage or "end of boot"), None
