"""`bootsim report`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bootsim.cli.inputs import directory_boot, input_options, is_directory
from bootsim.cli.sizes import SIZE
from bootsim.cli.values import inputs_from
from bootsim.errors import EXIT_PANICKED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_F = TypeVar("_F", bound="Callable[..., Any]")
_CONFIG = "3G/1G"
_OPTION = {"config": "configs"}  # where an input has another name among the options

_HELP = """Write one HTML page that shows a boot: memory maps, page tables, free blocks, log and facts at every stage.

    TREE may be a state directory (replayed or captured) instead, whose tree is replayed.

    The page needs nothing but a browser: it works from a file, without a network. With two --config, two --mem, or two
    of both, it shows two boots side by side and marks what differs.

    \b
    Examples:
      bootsim report vexpress.dts -o report.html
      bootsim report vexpress.dts --mem 1G --config 3G/1G --config 2G/2G -o splits.html
      bootsim report board.dtb --mem 512M --mem 1G -o sizes.html
    """


def _inputs_twice(function: _F) -> _F:
    # every option that says what to boot; --config and --mem may be given twice
    plain: list[click.Option] = getattr(input_options(lambda: None), "__click_params__", [])
    twice = {
        "config": click.Option(["--config", "configs"], multiple=True, metavar="NAME|FILE",
                               help=f"Kernel build to boot; twice to compare.  [default: {_CONFIG}]"),
        "mem": click.Option(["--mem", "mems"], multiple=True, type=SIZE, metavar="SIZE",
                            help="Amount of RAM: rewrites the tree's memory node, as QEMU does; twice to compare."),
    }  # fmt: skip
    options = [twice.get(option.name or "", option) for option in plain]
    function.__click_params__ = [*getattr(function, "__click_params__", []), *options]  # type: ignore[attr-defined]
    return function


@click.command(help=_HELP, epilog="Exit codes: 0 booted, 2 bad input, 3 a replayed kernel panicked; there is a page.",
               context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("tree", metavar="TREE")
@click.option("-o", "--output", required=True, metavar="FILE", help="The page to write; - for standard output.")
@_inputs_twice
@click.pass_context
def report(ctx: click.Context, /, tree: str, output: str, **options: Any) -> None:
    """Write the page; the help text is `_HELP`."""
    from bootsim import files
    from bootsim.escape import printable
    from bootsim.log import import_structlog_lazily

    import_structlog_lazily()
    from bootsim.views.report.data import Watch, page_data
    from bootsim.views.report.render import render

    known: dict[str, Any] = {}
    if is_directory(tree):
        tree, known = directory_boot(tree, needs_build=not options["configs"])
        known = {name: value for name, value in known.items() if not options.get(_OPTION.get(name, name))}
    both = [(name, inputs | known) for name, inputs in _boots(options)]
    if output != "-":
        files.target_of(output)
    boots = [(name, Watch(tree, inputs)) for name, inputs in both]
    page = render(page_data(boots), f"bootsim: {printable(tree)}: {' against '.join(name for name, _ in boots)}")
    if output == "-":
        sys.stdout.write(page)
    else:
        files.write(output, page)
    died = [watch.replay.k.panicked for _, watch in boots if watch.replay.k.panicked is not None]
    for panic in died:
        click.echo(f"bootsim: {panic.cause or panic}", err=True)
    if died:
        ctx.exit(EXIT_PANICKED)


def _boots(options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the name and the inputs of each boot that the options ask for, one or two."""
    configs: Sequence[str] = options["configs"] or (_CONFIG,)
    mems: Sequence[int | None] = options["mems"] or (None,)
    for option, given in (("--config", configs), ("--mem", mems)):
        if len(given) > 2:
            raise click.UsageError(f"{option} is given {len(given)} times; a page shows one boot or two")
    count = max(len(configs), len(mems))
    boots = []
    for i in range(count):
        config, mem = configs[min(i, len(configs) - 1)], mems[min(i, len(mems) - 1)]
        words = [config] if len(configs) == count or len(mems) == 1 else []
        if mem is not None and len(mems) == count:
            words.append(f"{mem >> 20} MiB" if mem % (1 << 20) == 0 else f"{mem:#x} bytes")
        boots.append((", ".join(words), inputs_from({**options, "config": config, "mem": mem})))
    return boots
