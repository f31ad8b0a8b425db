"""`bootsim diff`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.output import LineOutput
from bootsim.cli.sizes import ADDRESS, FILE_AT, SIZE
from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsim.state.directory import StateDirectory
    from bootsim.state.replay import Replay
    from bootsim.state.side import Side

_HELP = """Tell how two boots differ, and why.

    A and B are trees (.dts or .dtb), state directories (of `bootsim boot --state`, or captured from a real kernel), or
    boot logs. With A alone, an option that is given twice makes the two boots. Options given once hold for both; given
    twice, the first is for A, the second for B. A state directory alone is compared with a replay of its tree under the
    options given.

    The causes come first: every root that differs (a CONFIG_ symbol, a property of the tree, a command-line option, a
    symbol's address), below it the facts that follow from it, and below each fact what changed. Then the state by
    stage, then the log by step.

    \b
    Examples:
      bootsim diff vexpress.dts --config 3G/1G --config 2G/2G --mem 1G
      bootsim diff vexpress.dts --mem 512M --mem 1G --show causes
      bootsim diff old.dts new.dts --config mine.yaml --form side
      bootsim diff capture replay --form json | jq .unexplained
    """
_CONFIG = "3G/1G"
_LOG_WORDS = ("Linux version ", "Booting Linux", "Memory: ")


@click.command(help=_HELP, epilog="Exit codes: 0 the same, 1 different, 2 bad input.",
               context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("boots", metavar="A [B]", nargs=-1, required=True)
@click.option("--config", multiple=True, metavar="NAME|FILE", help=f"Kernel build.  [default: {_CONFIG}]")
@click.option("--mem", multiple=True, type=SIZE, metavar="SIZE", help="Amount of RAM.")
@click.option("--smp", multiple=True, type=click.IntRange(1, 4), help="Processors that are powered.")
@click.option("--cmdline", multiple=True, metavar="TEXT", help="Kernel command line, in place of the tree's bootargs.")
@click.option("--bootloader", multiple=True, type=click.Choice(["qemu", "none"]), help="Who edits the tree.")
@click.option("--dtb-addr", multiple=True, type=ADDRESS, metavar="ADDR", help="Physical address of the tree.")
@click.option("--load-addr", multiple=True, type=ADDRESS, metavar="ADDR", help="Physical address of the kernel.")
@click.option("--initrd", multiple=True, type=FILE_AT, metavar="FILE[@ADDR]", help="Initial RAM disk.")
@click.option("-I", "include_dirs", multiple=True, metavar="DIR", help="Folder to search for includes; repeatable.")
@click.option("--form", type=click.Choice(["unified", "side", "json"]), default="unified", show_default=True,
              help="Form of the answer; `side` puts the logs side by side.")
@click.option("--show", multiple=True, type=click.Choice(["causes", "state", "log"]),
              help="Only this part; repeatable.")
@click.option("--steps/--no-steps", default=True, help="Whether bootsim's own lines count.  [default: steps]")
@click.option("--all", "everything", is_flag=True, help="List everything below each fact, not the first three.")
@click.pass_context
def diff(ctx: click.Context, /, boots: tuple[str, ...], form: str, show: tuple[str, ...], steps: bool, everything: bool,
         **options: Any) -> None:  # fmt: skip
    """Compare two boots; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily
    from bootsim.state.diff import Difference

    import_structlog_lazily()
    difference = Difference(*_sides(boots, options, steps))
    if form == "json":
        click.echo(json.dumps(difference.to_json()))
    else:
        from bootsim.views import difference as view

        LineOutput().write(view.text(
            difference, sections=show or view.SECTIONS, items=None if everything else 3,
            width=shutil.get_terminal_size((160, 24)).columns, side_by_side=form == "side",
        ))  # fmt: skip
    ctx.exit(0 if difference.same else 1)


def _sides(boots: tuple[str, ...], options: Mapping[str, Any], steps: bool) -> list[Side]:
    if len(boots) > 2:
        raise click.UsageError(f"{len(boots)} boots given, expected one or two")
    crowded = [name for name, values in options.items() if name != "include_dirs" and len(values) > 2]
    if crowded:
        raise click.UsageError(f"--{crowded[0].replace('_', '-')} given more than twice")
    first, second = _inputs(options, 0), _inputs(options, 1)
    if len(boots) == 2:
        return _pair(boots, (first, second), steps)
    (name,) = boots
    if Path(name).is_dir():
        return _pair((name, name), ({}, _inputs(options, -1)), steps, replay_second=True)
    if first == second:
        raise click.UsageError("one boot given and no option twice: nothing to compare with")
    return _pair((name, name), (first, second), steps)


def _inputs(options: Mapping[str, Any], side: int) -> dict[str, Any]:
    # the options of one side: of two values the side's, of one value that
    found = {name: values[min(side, len(values) - 1)] for name, values in options.items()
             if values and name != "include_dirs"}  # fmt: skip
    if options["include_dirs"]:
        found["include_dirs"] = options["include_dirs"]
    if "initrd" in found:
        found["initrd"] = tuple(found["initrd"])
    return found


def _pair(
    boots: tuple[str, ...], inputs: tuple[dict[str, Any], dict[str, Any]], steps: bool, *, replay_second: bool = False
) -> list[Side]:
    from bootsim.state.directory import LogOnly
    from bootsim.state.side import from_log

    sides: list[Side | LogOnly] = []
    twin: Replay | None = None
    for n, (name, given) in enumerate(zip(boots, inputs, strict=True)):
        side, replay = _open(name, given, steps, as_replay=replay_second and n == 1)
        twin = twin or replay
        sides.append(side)
    return [from_log(side, twin) if isinstance(side, LogOnly) else side for side in sides]


# What a name stands for, and the replay behind it. A log gets its functions later, from the other side's replay.
def _open(name: str, given: dict[str, Any], steps: bool, *, as_replay: bool) -> tuple[Any, Replay | None]:
    from bootsim.state.directory import LogOnly, StateDirectory
    from bootsim.state.replay import Replay
    from bootsim.state.side import from_directory, from_replay

    if Path(name).is_dir():
        directory = StateDirectory(name)
        inputs = directory.inputs | given
        if as_replay:
            replay = Replay(directory.path / "boot.dtb", inputs)
            return from_replay(_named(f"replay of {name}", given), replay, steps=steps), replay
        twin = _twin(directory, inputs)
        return from_directory(directory, twin), twin
    if _is_log(name):
        return LogOnly(name), None
    replay = Replay(name, {"config": _CONFIG} | given)
    return from_replay(_named(name, given), replay, steps=steps), replay


def _twin(directory: StateDirectory, inputs: dict[str, Any]) -> Replay | None:
    from bootsim.state.replay import Replay

    if "config" not in inputs or not (directory.path / "boot.dtb").is_file():
        return None
    try:
        return Replay(directory.path / "boot.dtb", inputs)
    except InputError as error:
        click.echo(f"bootsim: {directory.path}: causes are unknown, its tree cannot be replayed: {error}", err=True)
        return None


def _is_log(name: str) -> bool:
    # a blob or source text is a tree; a file that speaks as a booting kernel does is a log
    path = Path(name)
    if name == "-" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(1 << 20)
    text = head.decode(errors="replace")
    return not head.startswith(b"\xd0\x0d\xfe\xed") and "/dts-v1/" not in text and any(w in text for w in _LOG_WORDS)


def _named(name: str, given: Mapping[str, Any]) -> str:
    from bootsim.state.roots import size_shown

    words = [name]
    for option, value in given.items():
        if option == "include_dirs":
            continue
        shown = value
        if option == "mem":
            shown = size_shown(value)
        elif option.endswith("_addr"):
            shown = f"{value:#x}"
        elif option == "initrd":
            shown = value[0]
        words += [f"--{option.replace('_', '-')}", f'"{shown}"' if " " in str(shown) else str(shown)]
    return " ".join(words)
