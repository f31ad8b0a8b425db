"""`bootsim show`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from bootsim.cli.booting import tell_prepared
from bootsim.cli.inputs import input_options, known_stage
from bootsim.cli.output import LineOutput, wants_color
from bootsim.cli.values import INPUT_NAMES, prepare_from
from bootsim.errors import EXIT_BAD_INPUT, EXIT_PANICKED, InputError, KernelPanic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.inputs.build import KernelBuild
    from bootsim.linux import Kernel
    from bootsim.state.directory import StateDirectory
    from bootsim.views.catalog import View
    from bootsim.views.held import Held

_HELP = """Show a boot's state as the kernel's own files show it.

    SOURCE is a device tree, which is booted, or a state directory (replayed or captured from a real boot), which is
    read. Each VIEW is one of the names below or the path of the real file, such as /proc/buddyinfo; `vtop` takes the
    addresses that follow it. Without --stage, a boot is shown as it ends, and a directory at the last stage that holds
    what the view needs.

    \b
    Views:
{views}

    \b
    Examples:
      bootsim show vexpress.dts buddyinfo iomem --mem 1G
      bootsim show vexpress.dts /sys/kernel/debug/kernel_page_tables --config 2G/2G
      bootsim show vexpress.dts memblock/reserved --stage setup_machine_fdt --stage arm_memblock_init
      bootsim show vexpress.dts vtop 0xc0008000 0xffff0000
      bootsim show captured zoneinfo --config mine.yaml
      bootsim show vexpress.dts zoneinfo --json | jq '.[].zoneinfo[].managed'
    """
_EXITS = "Exit codes: 0 all shown, 2 bad input or a view of what is not there, 3 the replayed kernel panicked."
_ADDRESS = re.compile(r"(0x)?[0-9a-fA-F]+")


def _help() -> str:
    from bootsim.views.catalog import VIEWS

    return _HELP.format(views="\n".join(f"      {view.name:<24}{view.about}" for view in VIEWS.values()))


def _known_stages(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for stage in value:
        known_stage(ctx, param, stage)
    return value


class Shown(NamedTuple):
    """One view of one stage: its lines or its data, the error that took their place, or a note that there are none."""

    stage: str
    view: View
    lines: list[str]
    data: Any = None
    error: str | None = None
    note: str | None = None


@click.command(help=_help(), epilog=_EXITS, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="SOURCE")
@click.argument("views", metavar="VIEW...", nargs=-1, required=True)
@click.option("--stage", "stages", multiple=True, callback=_known_stages, metavar="STAGE",
              help="Show the state at this stage; repeatable.")  # fmt: skip
@input_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: {stage: {view: values}}.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
              help="Color, column headings and sizes for a terminal. `auto` honours NO_COLOR.")  # fmt: skip
@click.pass_context
def show(
    ctx: click.Context, /, source: str, views: tuple[str, ...], stages: tuple[str, ...], as_json: bool, color: str,
    **options: Any,
) -> None:  # fmt: skip
    """Show views; the help text is `_HELP`."""
    wanted = _views(views)
    given = [name for name in INPUT_NAMES if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    painter = _Painter(as_json=as_json, color=wants_color(color) and not as_json)
    panic = None
    if source != "-" and Path(source).is_dir():
        found = list(_of_directory(source, wanted, stages, options["config"] if "config" in given else None, given,
                                   painter))  # fmt: skip
    else:
        found, panic = _of_boot(source, wanted, stages, options, painter)
    errors = _print(found, as_json=as_json, color=painter.color)
    if panic is not None:
        click.echo(f"bootsim: the kernel panicked: {panic.cause or panic}", err=True)
        ctx.exit(EXIT_PANICKED)
    if errors:
        ctx.exit(EXIT_BAD_INPUT)


def _views(names: Sequence[str]) -> list[View]:
    # the views that the words name; after `vtop` words are addresses until one is not
    from bootsim.views import catalog

    found: list[View] = []
    in_vtop = False
    for i, name in enumerate(names):
        if in_vtop and _ADDRESS.fullmatch(name):
            va = int(name, 16)
            if va >= 1 << 32:
                raise InputError(f"vtop {name}: does not fit in 32 bits")
            found.append(catalog.vtop_at(va))
            continue
        view = catalog.find(name)
        if view is None:
            raise InputError(f"no view {name!r}{_nearest(name)}; the views are {', '.join(catalog.VIEWS)}")
        in_vtop = view.name == "vtop"
        if not in_vtop:
            found.append(view)
        elif not _ADDRESS.fullmatch(next(iter(names[i + 1 :]), "")):
            raise InputError("vtop: expected a virtual address after it, such as vtop 0xc0008000")
    return found


def _nearest(name: str) -> str:
    import difflib

    from bootsim.views.catalog import VIEWS

    close = difflib.get_close_matches(name, VIEWS, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


class _Painter:
    """Renders a view of a state that is about to change."""

    def __init__(self, *, as_json: bool, color: bool) -> None:
        self.as_json = as_json
        self.color = color

    def shown(self, view: View, held: Held) -> Shown:
        """Render `view` now; what the state does not hold becomes an error to tell later."""
        from bootsim.views.held import NotHeld

        try:
            if self.as_json:
                return Shown(held.stage, view, [], view.data(held))
            lines = view.lines(held)
            if self.color:
                from bootsim.views.paint import painted

                lines = list(painted(lines, view.heading(held), view.notes(held)))
            missing = view.missing(held)
            nothing = None if lines or missing else f"{view.name}: empty at {held.stage}"
            return Shown(held.stage, view, lines, error=missing, note=nothing)
        except NotHeld as error:
            return Shown(held.stage, view, [], error=f"{view.name}: {error}")


def _of_boot(
    tree: str, views: list[View], stages: tuple[str, ...], options: dict[str, Any], painter: _Painter
) -> tuple[list[Shown], KernelPanic | None]:
    # boot the tree and look at it at each wanted stage, or at its end; with the panic it died of
    import bootsim
    from bootsim.log import import_structlog_lazily
    from bootsim.stages import STAGES
    from bootsim.views.held import END, LiveState

    import_structlog_lazily()
    shown: list[Shown] = [_stages_shown(view, painter, None) for view in views if view.name == "stages"]
    views = [view for view in views if view.name != "stages"]

    def look(stage: str, k: Kernel) -> None:
        shown.extend(painter.shown(view, LiveState(k, stage)) for view in views)

    def observer(stage: str, k: Kernel) -> None:
        if stage in stages:
            look(stage, k)

    k = prepare_from(tree, options, observer=observer)
    tell_prepared(k)
    if not views:
        return shown, None
    panic = None
    try:
        bootsim.run(k, until=max(stages, key=list(STAGES).index) if stages else None)
    except KernelPanic as stop:
        panic = stop
    if not stages:
        look(END if panic is None else "the panic", k)
    reached = {one.stage for one in shown}
    shown += [Shown(stage, view, [], error=f"{view.name}: stage {stage} was not reached")
              for stage in dict.fromkeys(stages) if stage not in reached for view in views]  # fmt: skip
    return shown, panic


def _of_directory(
    path: str, views: list[View], stages: tuple[str, ...], config: str | None, given: list[str], painter: _Painter
) -> Iterator[Shown]:
    from bootsim.state.directory import StateDirectory
    from bootsim.views.held import DirectoryState

    inputs = [name for name in given if name != "config"]
    if inputs:
        raise InputError(f"{path}: a state directory is read, not booted: --{inputs[0].replace('_', '-')} says nothing")
    directory = StateDirectory(path)
    build = _build_of(directory, config)
    order = [stage for stage in directory.stages if stage in stages] + [s for s in stages if s not in directory.stages]
    for stage in dict.fromkeys(order) if stages else (None,):
        for view in views:
            if view.name == "stages":
                yield _stages_shown(view, painter, directory)
            else:
                at = stage or _last_with(directory, view.part)
                yield painter.shown(view, DirectoryState(directory, at, build))


def _last_with(directory: StateDirectory, part: str) -> str:
    # the last stage that holds the part, or the last one of all: the view then says what is missing
    from bootsim.views.held import holds

    names = [name for name in directory.stages if holds(directory, name, part)] or list(directory.stages)
    if not names:
        raise InputError(f"{directory.path}: stages.json holds no stage")
    return names[-1]


def _build_of(directory: StateDirectory, config: str | None) -> KernelBuild | None:
    # the build that --config names, or the one that the directory's boot is of
    from bootsim.inputs.configfile import load_build
    from bootsim.state.fitting import known_build

    if config is not None:
        return load_build(config)
    named = known_build(directory)
    return None if named is None else load_build(named)


def _stages_shown(view: View, painter: _Painter, directory: StateDirectory | None) -> Shown:
    from bootsim.views import stages

    held = None if directory is None else directory.stages
    if painter.as_json:
        return Shown("all", view, [], stages.data(held))
    return Shown("all", view, list(stages.lines(held)))


def _print(found: list[Shown], *, as_json: bool, color: bool) -> bool:
    # print what was found and tell the errors; whether there was one that left a view out
    output = LineOutput()
    if as_json:
        answer: dict[str, dict[str, Any]] = {}
        for one in found:
            if one.error is None:
                answer.setdefault(one.stage, {})[one.view.name] = one.data
        output.write(json.dumps(answer, indent=1).split("\n"))
    else:
        for i, one in enumerate(found):
            if one.lines or one.error is None:
                output.write(_with_header(one, i, several=len(found) > 1, color=color))
    for one in found:
        if one.note is not None:
            click.echo(f"bootsim: note: {one.note}", err=True)
        if one.error is not None:
            click.echo(f"bootsim: {'error' if not one.lines else 'note'}: {one.error}", err=True)
    return any(one.error is not None and not one.lines for one in found)


def _with_header(one: Shown, i: int, *, several: bool, color: bool) -> Iterator[str]:
    if several:
        from bootsim.views.paint import title

        header = f"==> {one.view.path or one.view.name} ({one.stage}) <=="
        if i:
            yield ""
        yield title(header) if color else header
    yield from one.lines
