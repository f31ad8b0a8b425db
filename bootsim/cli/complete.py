"""What a shell completes to: trees, builds, stages, views, files and folders, by what the help calls each parameter.

A shell that is told of a file or a folder finds the names itself; bash does so where none of ours fits.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def teach(command: click.Command) -> None:
    """Let a command, and those below it, complete every parameter whose metavar WHAT has."""
    for param in command.params:
        complete = WHAT.get(param.metavar or "")
        if complete is not None:
            param.shell_complete = partial(_ask, complete)  # type: ignore[method-assign]
    if isinstance(command, click.Group):
        for below in command.commands.values():
            teach(below)


def _ask(complete: Callable[[str], list[CompletionItem]], _: click.Context, incomplete: str) -> list[CompletionItem]:
    return complete(incomplete)


def files(incomplete: str) -> list[CompletionItem]:
    """Any file."""
    return [CompletionItem(incomplete, type="file")]


def folders(incomplete: str) -> list[CompletionItem]:
    """Any folder."""
    return [CompletionItem(incomplete, type="dir")]


def trees(incomplete: str) -> list[CompletionItem]:
    """A file or a folder, or a bundled tree once something of its name stands there."""
    from bootsim.inputs.bundled import bundled_dir

    names = sorted(path.name for path in bundled_dir("dts").glob("*.dts")) if incomplete else []
    return [*files(incomplete), *_those(names, incomplete)]


def builds(incomplete: str) -> list[CompletionItem]:
    """A bundled kernel build, or a file."""
    from bootsim.inputs.configfile import bundled_builds

    names = {bundled.build.name: bundled.build.summary for bundled in bundled_builds()}
    found = [CompletionItem(name, help=names[name]) for name in names if name.startswith(incomplete)]
    return [*files(incomplete), *found]


def stages(incomplete: str) -> list[CompletionItem]:
    """A stage of the boot."""
    from bootsim.stages import STAGES

    return [CompletionItem(name, help=stage.about) for name, stage in STAGES.items() if name.startswith(incomplete)]


def views(incomplete: str) -> list[CompletionItem]:
    """A view by name, or by the path of the real file."""
    from bootsim.views.catalog import VIEWS

    names = {view.name: view.about for view in VIEWS.values()}
    paths = {view.path: view.about for view in VIEWS.values() if view.path}
    known = names | paths if incomplete.startswith("/") else names
    return [CompletionItem(name, help=about) for name, about in known.items() if name.startswith(incomplete)]


def _those(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


# What the help calls a parameter, and what completes it.
WHAT = {
    **dict.fromkeys(("TREE", "TREE [TREE]", "[TREE]...", "SOURCE", "A [B]", "BOOT...", "REAL", "REPLAY"), trees),
    **dict.fromkeys(("FILE", "FILE.yaml", "FILE.yaml...", "FILE[@ADDR]", "SCRIPT"), files),
    "NAME|FILE": builds,
    "DIR": folders,
    "STAGE": stages,
    "VIEW...": views,
}
