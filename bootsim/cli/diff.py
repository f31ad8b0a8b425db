"""`bootsim diff`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.inputs import FOR_BOTH, twice_input_options
from bootsim.cli.output import Experiments, LineOutput, wants_color
from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsim.inputs.tree import Tree
    from bootsim.state.directory import LogOnly, StateDirectory
    from bootsim.state.side import Side

_HELP = """Tell how two boots differ, and why.

    A and B are trees (.dts or .dtb), state directories (of `bootsim boot --state`, or captured from a real kernel), or
    boot logs. With A alone, an option that is given twice makes the two boots. Options given once hold for both; given
    twice, the first is for A, the second for B. A state directory alone is compared with a replay of its tree under the
    options given.

    First come the decisions that differ (a node or property of the tree, a word of the command line, an option, a
    CONFIG_ symbol, another kernel image), each with what it makes of memory. Which decision makes what is found by
    experiment: boots between the two, with each decision made alone and taken back alone. --show tells more.

    \b
    Examples:
      bootsim diff vexpress.dts --config 3G/1G --config 2G/2G --mem 1G
      bootsim diff vexpress.dts --mem 512M --mem 1G --show causes
      bootsim diff old.dts new.dts --config mine.yaml --show log --form side
      bootsim diff capture replay --form json | jq '.effects[] | select(.roots == [])'
    """
_WIDTH = 120
_LOG_WORDS = ("Linux version ", "Booting Linux", "Memory: ")


@click.command(help=_HELP, epilog="Exit codes: 0 the same, 1 different, 2 bad input.",
               context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="A [B]", nargs=-1, required=True)
@twice_input_options
@click.option("--form", type=click.Choice(["unified", "side", "json"]), default="unified", show_default=True,
              help="Form of the answer; `side` puts the logs side by side.")
@click.option("--show", multiple=True, type=click.Choice(["summary", "causes", "state", "log", "all"]),
              help="What to tell; repeatable.  [default: summary]")
@click.option("--depth", type=click.IntRange(1), default=3, show_default=True, metavar="N",
              help="How many facts below one another the causes show.")
@click.option("--steps/--no-steps", default=True, help="Whether bootsim's own lines count.  [default: steps]")
@click.option("--all", "everything", is_flag=True, help="List everything below each fact, not the first three.")
@click.option("--boots", "limit", type=click.IntRange(0), metavar="N",
              help="Make at most N boots to find causes.  [default: 60, and 6 a decision]")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
              help="Whether to color.")
@click.pass_context
def diff(ctx: click.Context, /, names: tuple[str, ...], form: str, show: tuple[str, ...], depth: int, steps: bool,
         everything: bool, limit: int | None, color: str, **options: Any) -> None:  # fmt: skip
    """Compare two boots; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily
    from bootsim.state.diff import Difference

    import_structlog_lazily()
    progress = Experiments()
    difference = Difference(*_sides(names, options, steps), steps=steps, limit=limit, progress=progress)
    try:
        same = difference.same
    finally:
        progress.finish()
    if form == "json":
        click.echo(json.dumps(difference.to_json()))
    else:
        from bootsim.views.difference import SECTIONS, Text
        from bootsim.views.paint import Paint

        text = Text(difference, items=None if everything else 3, depth=depth, paint=Paint(on=wants_color(color)),
                    width=min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH))  # fmt: skip
        sections = SECTIONS if "all" in show else show or ("log",) * (form == "side") or ("summary",)
        LineOutput().write(text.lines(sections, side_by_side=form == "side"))
    ctx.exit(0 if same else 1)


def _sides(boots: tuple[str, ...], options: Mapping[str, Any], steps: bool) -> list[Side]:
    if len(boots) > 2:
        raise click.UsageError(f"{len(boots)} boots given, expected one or two")
    times = {name: len(values) for name, values in options.items() if name not in FOR_BOTH}
    crowded = next((name for name, count in times.items() if count > 2), None)
    if crowded is not None:
        raise click.UsageError(f"--{crowded.replace('_', '-')} given more than twice")
    first, second = _inputs(options, 0), _inputs(options, 1)
    if len(boots) == 2:
        return _pair(boots, (first, second), steps)
    (name,) = boots
    if Path(name).is_dir():
        second = _inputs(options, -1)
        return _pair((name, name), ({}, second), steps, replay_second=True)
    if 2 not in times.values():
        raise click.UsageError("one boot given and no option twice: nothing to compare with")
    return _pair((name, name), (first, second), steps)


def _inputs(options: Mapping[str, Any], side: int) -> dict[str, Any]:
    # the options of one side: of two values the side's, of one value that
    found = {name: values[min(side, len(values) - 1)] for name, values in options.items()
             if values and name not in FOR_BOTH}  # fmt: skip
    found |= {name: options[name] for name in FOR_BOTH if options[name]}
    if "initrd" in found:
        found["initrd"] = tuple(found["initrd"])
    for name in ("cpu", "soc", "uboot"):
        if name in found:
            found[name] = (found[name],)
    return found


def _pair(
    boots: tuple[str, ...], inputs: tuple[dict[str, Any], dict[str, Any]], steps: bool, *, replay_second: bool = False
) -> list[Side]:
    from bootsim.state.directory import LogOnly
    from bootsim.state.side import from_log

    trees: dict[Any, Tree] = {}
    if replay_second and "config" in inputs[1] and not _names_its_build(boots[0]):
        inputs = ({"config": inputs[1]["config"]}, inputs[1])
    sides = [_open(name, given, steps, trees, as_replay=replay_second and n == 1)
             for n, (name, given) in enumerate(zip(boots, inputs, strict=True))]  # fmt: skip
    twin = next((side.twin for side in sides if not isinstance(side, LogOnly) and side.twin is not None), None)
    return [from_log(side, twin) if isinstance(side, LogOnly) else side for side in sides]


# What a name stands for. A log gets its functions later, from the other side's replay.
def _open(name: str, given: dict[str, Any], steps: bool, trees: dict[Any, Tree], *, as_replay: bool) -> Side | LogOnly:
    from bootsim.state.decisions import load_inputs
    from bootsim.state.directory import LogOnly, StateDirectory
    from bootsim.state.side import from_directory, from_inputs

    if Path(name).is_dir():
        directory = StateDirectory(name)
        options = _of_directory(directory, given, needs_build=as_replay)
        if as_replay:
            made_from = load_inputs(directory.path / "boot.dtb", options)
            return from_inputs(_named(f"replay of {name}", given), made_from, steps=steps)
        return from_directory(directory, _twin(directory, options, steps))
    if _is_log(name):
        return LogOnly(name)
    inputs = load_inputs(trees.get(_source(name, given), name), given)
    trees[_source(name, given)] = inputs.tree
    return from_inputs(_named(name, given), inputs, steps=steps)


def _of_directory(directory: StateDirectory, given: dict[str, Any], *, needs_build: bool) -> dict[str, Any]:
    from bootsim.state.fitting import known_build, no_build

    options = directory.inputs | given
    if "config" not in given:
        known = known_build(directory)
        if known is None and needs_build:
            raise InputError(no_build(directory))
        options["config"] = known or options.get("config")
    return {name: value for name, value in options.items() if value is not None}


def _names_its_build(name: str) -> bool:
    from bootsim.state.directory import StateDirectory
    from bootsim.state.fitting import known_build

    directory = StateDirectory(name)
    return known_build(directory) == directory.inputs.get("config") is not None


def _source(name: str, given: Mapping[str, Any]) -> Any:
    return name, given.get("include_dirs")


def _twin(directory: StateDirectory, options: dict[str, Any], steps: bool) -> Side | None:
    from bootsim.state.decisions import load_inputs
    from bootsim.state.side import from_inputs

    if "config" not in options or not (directory.path / "boot.dtb").is_file():
        missing = "the build" if "config" not in options else "the tree"
        click.echo(f"bootsim: {directory.path}: causes are unknown: it does not hold {missing}", err=True)
        return None
    try:
        return from_inputs(str(directory.path), load_inputs(directory.path / "boot.dtb", options), steps=steps)
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
    from bootsim.state.decisions import option_shown

    words = [name]
    for option, value in given.items():
        if option not in FOR_BOTH:
            shown = option_shown(option, value)
            words += [f"--{option.replace('_', '-')}", f'"{shown}"' if " " in shown else shown]
    return " ".join(words)
