"""One boot as a comparison sees it: its log, its stages, and, where a replay tells them, its facts and roots.

A side is made from a replay, from a state directory, or from a log alone. A directory has no facts of its own: they
come from a twin, a replay of the tree that the directory holds. Only facts and roots are taken from a twin; log,
memblock, page tables and free lists stay those of the directory.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bootsim.state.compare import log_lines
from bootsim.state.logdiff import Line, template_of
from bootsim.state.ranges import mapped_ranges
from bootsim.state.roots import Roots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsim.facts import Facts
    from bootsim.linux import Kernel
    from bootsim.owners import Owners
    from bootsim.state.directory import LogOnly, StateDirectory
    from bootsim.state.ranges import Range
    from bootsim.state.replay import Replay

    Tables = tuple[bytes, dict[int, bytes]]


class Side:
    """One boot under comparison. `facts`, `roots` and `owners` are None when nothing tells them.

    `captured` says that a real kernel spoke: what depends on its compiled code or on later activity does not count.
    `panicked` is why the replay died, "" when it did not.
    `plain` says that the lines are those of a console: the kernel's alone, as `plain_lines` would give them.
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
        self.roots: Roots | None = None
        self.owners: Owners | None = None
        self.panicked = ""
        self._tables = tables or {}
        self._ranges: dict[str, list[Range]] = {}
        self._directory = directory

    def tables(self, stage: str) -> Tables | None:
        """The first-level table of a stage and its second-level pages by address, or None."""
        if stage not in self._tables and self._directory is not None and "tables" in self.stages.get(stage, {}):
            self._tables[stage] = self._directory.tables(stage)
        return self._tables.get(stage)

    def ranges(self, stage: str) -> list[Range]:
        """What the tables of a stage map, merged; nothing where the stage shows no tables."""
        if stage not in self._ranges:
            tables = self.tables(stage)
            self._ranges[stage] = [] if tables is None else mapped_ranges(*tables)
        return self._ranges[stage]

    def knows_why(self) -> bool:
        """Whether facts and roots are known."""
        return self.facts is not None and self.roots is not None


def from_replay(name: str, replayed: Replay, *, steps: bool = True) -> Side:
    """Return the side of a replay; `steps` False leaves bootsim's own lines out."""
    stages = {stage.name: stage.fields for stage in replayed.recorder.stages.values()}
    tables = {}
    for stage in replayed.recorder.stages.values():
        if stage.l1 is not None and stage.l2 is not None:
            pages, l2 = stage.fields["tables"]["l2_pages"], stage.l2
            tables[stage.name] = stage.l1, {pa: l2[i * 4096 : (i + 1) * 4096] for i, pa in enumerate(pages)}
    side = Side(name, record_lines(replayed.k, steps=steps), stages, tables=tables)
    _tell_why(side, replayed)
    return side


def from_directory(directory: StateDirectory, twin: Replay | None) -> Side:
    """Return the side of a state directory, with what its twin knows. Raises InputError where it is broken."""
    side = Side(str(directory.path), _known_lines(directory.log, twin), directory.stages,
                plain=True,
                captured=directory.captured,
                directory=directory)
    if twin is not None:
        _tell_why(side, twin)
    return side


def from_log(log: LogOnly, twin: Replay | None = None) -> Side:
    """Return the side of a log alone."""
    return Side(str(log.path), _known_lines(log.log, twin), {}, captured=True, plain=True)


def _tell_why(side: Side, replayed: Replay) -> None:
    side.facts = replayed.k.facts
    side.panicked = str(replayed.k.panicked.cause or replayed.k.panicked) if replayed.k.panicked is not None else ""
    side.roots = Roots(replayed.k, replayed.blob, replayed.inputs)
    side.owners = replayed.k.owners


def record_lines(k: Kernel, *, steps: bool = True) -> list[Line]:
    """Return the log of a replay line by line; a message of several lines keeps its function and numbers."""
    return [
        Line(record.func, record.stage, text, record.fields, record.kernel)
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


def common_part(a: list[Line], b: list[Line]) -> tuple[list[Line], list[Line]]:
    """Return two logs without the start that one of them lost: a full log buffer drops its oldest lines."""
    return _from_start_of(a, b), _from_start_of(b, a)


def lost_start(lines: list[Line]) -> bool:
    """Whether a captured log lost its oldest lines."""
    return bool(lines) and not lines[0].text.startswith("Booting Linux")


def _from_start_of(lines: list[Line], other: list[Line]) -> list[Line]:
    if not lost_start(other):
        return lines
    start = next((n for n, line in enumerate(lines) if line.text == other[0].text), None)
    if start is None:
        form = template_of(other[0].text)
        start = next((n for n, line in enumerate(lines) if template_of(line.text) == form), 0)
    return lines[start:]


# The lines of a log, each with the function and numbers of the record that says the same in the twin.
def _known_lines(log: str, twin: Replay | None) -> list[Line]:
    texts = log_lines(log)
    by_text: dict[str, list[Line]] = defaultdict(list)
    by_template: dict[str, Line] = {}
    if twin is not None:
        for line in plain_lines(record_lines(twin.k, steps=False)):
            by_text[line.text].append(line)
            by_template.setdefault(template_of(line.text), line)
    found = []
    for text in texts:
        same = by_text.get(text)
        like = by_template.get(template_of(text))
        if same:
            found.append(same.pop(0))
        elif like is not None:
            found.append(Line(like.func, like.stage, text, {}, True))
        else:
            found.append(Line("", "", text, {}, True))
    return found
