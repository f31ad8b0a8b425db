"""One boot as a comparison sees it: its log, its stages, and, of a replay, its facts and what it was made from.

A side is made from a replay, from a state directory, or from a log alone. A directory has no facts of its own, and no
boots can be made between it and another: its twin can, a replay of the tree that the directory holds.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bootsim.inputs.dtb import read_tree
from bootsim.linux.kernel.printk import suppress_message_printing
from bootsim.state.compare import log_lines
from bootsim.state.logdiff import Line, template_of
from bootsim.state.ranges import cr_of_log, mapped_ranges
from bootsim.state.replay import Replay
from bootsim.state.seen import principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsim.facts import Facts
    from bootsim.inputs.tree import Tree
    from bootsim.linux import Kernel
    from bootsim.owners import Owners
    from bootsim.state.decisions import Inputs
    from bootsim.state.directory import LogOnly, StateDirectory
    from bootsim.state.ranges import Range

    Tables = tuple[bytes, dict[int, bytes]]


_WARNING = 4


class Side:
    """One boot under comparison. `facts`, `inputs` and `tree` are None when nothing tells them.

    `twin` is the replay of what a state directory holds; of a replay it is itself. `captured` says that a real kernel
    spoke: what depends on its compiled code or on later activity does not count. `panicked` is why the replay died, ""
    when it did not.
    `plain` says that the lines are those of a console: the kernel's alone, as `plain_lines` would give them. `until` is
    the stage that a directory's boot was stopped at, "" for a whole boot.
    """

    def __init__(self, name: str, lines: list[Line], stages: Mapping[str, dict[str, Any]], *,
                 captured: bool = False, plain: bool = False, tables: dict[str, Tables] | None = None,
                 directory: StateDirectory | None = None) -> None:  # fmt: skip
        self.name = name
        self.lines = lines
        self.stages = stages
        self.captured = captured
        self.plain = plain
        self.facts: Facts | None = None
        self.inputs: Inputs | None = None
        self.tree: Tree | None = None
        self.twin: Side | None = None
        self.quantities: dict[str, int | str] = {}
        self.complaints: tuple[str, ...] = ()
        self.owners: Owners | None = None
        self.panicked = ""
        self.until = "" if directory is None else directory.until
        self._tables = tables or {}
        self._ranges: dict[str, list[Range]] = {}
        self._directory = directory

    def tables(self, stage: str) -> Tables | None:
        """The first-level table of a stage and its second-level pages by address, or None."""
        if stage not in self._tables and self._directory is not None and "tables" in self.stages.get(stage, {}):
            self._tables[stage] = self._directory.tables(stage)
        return self._tables.get(stage)

    @cached_property
    def cr(self) -> int:
        """The control register (SCTLR), by the log."""
        return cr_of_log("\n".join(line.text for line in self.lines if line.text.startswith("CPU: ")))

    def ranges(self, stage: str) -> list[Range]:
        """What the tables of a stage map, merged; nothing where the stage shows no tables."""
        if stage not in self._ranges:
            tables = self.tables(stage)
            # most stages leave the tables as they are
            same = next((other for other in self._ranges if self.tables(other) == tables), None)
            if same is not None:
                self._ranges[stage] = self._ranges[same]
            else:
                self._ranges[stage] = [] if tables is None else mapped_ranges(*tables, self.cr)
        return self._ranges[stage]

    def held(self, stage: str) -> list[tuple[str, int, int]]:
        """What is reserved at a stage, in the order of time: (purpose, base, end)."""
        if self.owners is None:
            return []
        holdings = sorted(self.owners.reserved(stage), key=lambda holding: (holding.serial, holding.base))
        return [(holding.purpose.what, holding.base, holding.end) for holding in holdings]

    @property
    def owned(self) -> bool:
        """Whether it is known who reserved what."""
        return self.owners is not None

    @property
    def whole(self) -> bool:
        """Whether the log shows, as dmesg does, what the console leaves out."""
        return not self.plain or any(not line.console for line in self.lines)

    def log_lines(self, *, plain: bool, whole: bool) -> list[Line]:
        """The lines; `plain` as a captured log has them, then without `whole` as a console shows them."""
        lines = plain_lines(self.lines) if plain and not self.plain else self.lines
        return lines if whole else [line for line in lines if line.console]


def from_inputs(name: str, inputs: Inputs, *, steps: bool = True) -> Side:
    """Boot and return the side of it. Raises InputError for what cannot be booted."""
    return from_replay(name, Replay(inputs.tree, {"config": inputs.build, **inputs.options}), inputs, steps=steps)


def from_replay(name: str, replayed: Replay, inputs: Inputs | None = None, *, steps: bool = True) -> Side:
    """Return the side of a replay made from `inputs`; `steps` False leaves bootsim's own lines out."""
    stages = {stage.name: stage.fields for stage in replayed.recorder.stages.values()}
    tables = {}
    for stage in replayed.recorder.stages.values():
        if stage.l1 is not None and stage.l2 is not None:
            pages, l2 = stage.fields["tables"]["l2_pages"], stage.l2
            tables[stage.name] = stage.l1, {pa: l2[i * 4096 : (i + 1) * 4096] for i, pa in enumerate(pages)}
    k = replayed.k
    side = Side(name, record_lines(k, steps=steps), stages, tables=tables)
    side.twin = side
    side.facts, side.inputs, side.tree = k.facts, inputs, inputs.tree if inputs is not None else None
    side.panicked = str(k.panicked.cause or k.panicked) if k.panicked is not None else ""
    side.quantities = principal(k)
    side.complaints = tuple(r.text.split("\n")[0] for r in k.log.records if r.kernel and r.level <= _WARNING)
    side.owners = k.owners
    return side


def from_directory(directory: StateDirectory, twin: Side | None) -> Side:
    """Return the side of a state directory, with its twin. Raises InputError where it is broken."""
    side = Side(str(directory.path), _known_lines(directory.log, twin), directory.stages,
                plain=True,
                captured=directory.captured,
                directory=directory)
    side.twin = twin
    if (directory.path / "boot.dtb").is_file():
        side.tree = read_tree(directory.dtb, str(directory.path / "boot.dtb"))
    return side


def from_log(log: LogOnly, twin: Side | None = None) -> Side:
    """Return the side of a log alone; `twin` is a replay whose functions say the like."""
    return Side(str(log.path), _known_lines(log.log, twin), {}, captured=True, plain=True)


def record_lines(k: Kernel, *, steps: bool = True) -> list[Line]:
    """Return the log of a replay line by line; a message of several lines keeps its function and numbers."""
    return [
        Line(record.func, record.stage, text, record.fields, record.kernel,
             not suppress_message_printing(k, record.level))
        for record in k.log.records
        if steps or record.kernel
        for text in record.text.split("\n")
    ]


def plain_lines(lines: list[Line]) -> list[Line]:
    """Return lines as a captured log would give them: the kernel's alone, cut where a replay ends, callers left out."""
    kernel = [line for line in lines if line.kernel]
    plain = iter(kernel)
    found = []
    for text in log_lines("".join(f"{line.text}\n" for line in kernel)):
        # log_lines() keeps the order, so each comes from the next line that normalises to it
        source = next((line for line in plain if log_lines(f"{line.text}\n") == [text]), None)
        found.append(Line("", "", text, {}, True) if source is None else source._replace(text=text))
    return found


# The lines of a log, each with the function and numbers of the record that says the same in the twin.
def _known_lines(log: str, twin: Side | None) -> list[Line]:
    texts = log_lines(log)
    by_text: dict[str, list[Line]] = defaultdict(list)
    by_template: dict[str, Line] = {}
    if twin is not None:
        for line in plain_lines(twin.lines):
            by_text[line.text].append(line)
            by_template.setdefault(template_of(line.text), line)
    found = []
    for text in texts:
        same = by_text.get(text)
        like = by_template.get(template_of(text))
        if same:
            found.append(same.pop(0))
        elif like is not None:
            found.append(Line(like.func, like.stage, text, {}, True, like.console))
        else:
            found.append(Line("", "", text, {}, True))
    return found
