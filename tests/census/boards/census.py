"""One tree: compile it, hold it against dtc, boot it, and say in one row how it went. Never raises."""

from __future__ import annotations

import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bootsim
from boards import equality
from boards.plan import NotModelledError, choose, summary
from bootsim.errors import InputError, KernelPanic
from bootsim.hw.cpu import NoMmuError, of_tree
from bootsim.inputs.devicetree import load_tree
from bootsim.linux.arch.arm.asm.mach.arch import HOOKS, MODELLED, WITHOUT_EFFECT

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild, MachineDesc
    from bootsim.inputs.tree import Tree

BOOTED, PANICKED, NOT_MODELLED, REFUSED, TRACEBACK = "booted", "panicked", "not modelled", "refused", "traceback"
NOT_PARSED, NOT_COMPARED = "not parsed", "not compared"
_WARNING = 4


@dataclass(frozen=True)
class Settings:
    """What all trees have in common."""

    kernel_src: Path
    builds: tuple[KernelBuild, ...]  # of those that know a board's processor, the first is booted
    dtc: equality.Dtc | None


@dataclass
class Row:
    """How one tree fared.

    `parsed` is identical, equal, differs, not parsed, or not compared; `outcome` booted, panicked, not modelled,
    refused (bootsim calls the input bad), or traceback. `hooks` are those of the tree's machine that come before the
    allocators, `missing` those of them that are not modelled.
    """

    name: str
    parsed: str = NOT_PARSED
    difference: str = ""
    outcome: str = TRACEBACK
    reason: str = ""
    cause: str = ""
    hooks: str = ""
    missing: str = ""
    inputs: str = ""
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine(dts: Path, settings: Settings) -> Row:
    """The row of one tree."""
    row, started = Row(dts.name), time.monotonic()
    try:
        _examine(dts, settings, row)
    except Exception:
        row.outcome, row.reason = TRACEBACK, traceback.format_exc()
    row.seconds = round(time.monotonic() - started, 3)
    for text in ("reason", "cause", "difference"):  # short names: all lie in one folder
        setattr(row, text, getattr(row, text).replace(f"{dts.parent}/", ""))
    return row


def _examine(dts: Path, settings: Settings, row: Row) -> None:
    try:
        includes = settings.kernel_src / "scripts/dtc/include-prefixes"
        tree = load_tree(dts, include_dirs=[includes] if includes.is_dir() else [])
    except InputError as error:
        row.outcome, row.reason = REFUSED, str(error)
        return
    row.parsed = NOT_COMPARED
    if settings.dtc is not None:
        try:
            row.parsed, row.difference = equality.compare(tree.blob, settings.dtc.compile(dts))
        except equality.CompilerRefusedError as error:
            row.parsed, row.difference = equality.DIFFERS, str(error)
    _boot(tree, settings, row)


def hooks(machine: MachineDesc) -> tuple[str, str]:
    """A machine's hooks as the source has them ("map_io omap3_map_io"), and those that are not modelled."""
    named = [(hook, getattr(machine, hook)) for hook in HOOKS if getattr(machine, hook)]
    missing = [(hook, name) for hook, name in named if name not in MODELLED and name not in WITHOUT_EFFECT]
    return tuple(", ".join(f"{hook} {name}" for hook, name in which) for which in (named, missing))


def _boot(tree: Tree, settings: Settings, row: Row) -> None:
    board = summary(tree.blob, tree.name)
    stages: list[str] = []
    try:
        plan = choose(board, of_tree(tree), settings.builds)
        row.inputs = "; ".join((plan.build.name, *plan.why))
        k = bootsim.prepare(
            tree, plan.build, mem=plan.mem_bytes, load_addr=plan.load_pa,
            observer=lambda stage, _: stages.append(stage),
        )
    except NotModelledError as error:
        row.outcome, row.reason = NOT_MODELLED, str(error)
        return
    except NoMmuError:
        row.outcome, row.reason = NOT_MODELLED, "CPU without an MMU"
        return
    except InputError as error:
        row.outcome, row.reason = REFUSED, str(error)
        return
    try:
        bootsim.run(k)
        assert stages[-1] == "mark_readonly", stages
        row.outcome = BOOTED
    except KernelPanic as error:
        row.outcome, row.reason, row.cause = PANICKED, error.reason or "dies without a word", error.cause or ""
    except InputError as error:
        row.outcome, row.reason = REFUSED, str(error)
    if hasattr(k, "mdesc"):
        row.hooks, row.missing = hooks(k.mdesc)
    row.warnings = [record.text for record in k.log.records if record.kernel and record.level <= _WARNING]
