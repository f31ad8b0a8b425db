"""The difference of two boots as text: causes as a tree from each root, state by part, log step by step."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootsim.state.causal import Causes
    from bootsim.state.diff import Difference
    from bootsim.state.logdiff import Entry, Line
    from bootsim.state.statediff import Change

SECTIONS = ("causes", "state", "log")
_MARKS = {"changed": "~", "removed": "-", "added": "+", "moved": ">"}


def text(difference: Difference, *, sections: Iterable[str] = SECTIONS, items: int | None = 3, width: int = 120,
         side_by_side: bool = False) -> Iterator[str]:  # fmt: skip
    """Yield the lines of the difference. `items` limits what is shown below a fact (None: everything).

    With `side_by_side` the log stands in two columns that fill `width` characters.
    """
    yield f"--- {difference.a.name}"
    yield f"+++ {difference.b.name}"
    if difference.same:
        yield "the same"
        return
    if "causes" in sections:
        yield ""
        yield from causes_text(difference, items)
    if "state" in sections:
        yield ""
        yield from _state(difference.state)
    if "log" in sections:
        yield ""
        yield from _side_by_side(difference, width) if side_by_side else _unified(difference)


# ---------------------------------------------------------------- causes


def causes_text(difference: Difference, items: int | None = 3) -> Iterator[str]:
    """Yield the causal part: each root that differs, the chain of facts below it, and what changed with each fact."""
    causes = difference.causes
    if causes is None:
        yield "Causes: unknown, as a log alone records no facts (give a state directory or a tree, and its --config)"
        return
    roots = difference.roots
    yield f"Causes: {_count(sum(len(causes.root(name)) for name in roots), 'root')} differ"
    yield from _Tree(difference, causes, items).lines(roots)
    unexplained = difference.unexplained
    yield "Unexplained: none" if not unexplained else f"Unexplained: {len(unexplained)}"
    yield from (f"  {item.kind}: {item.what}" for item in unexplained)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


class _Tree:
    """The chains below the roots: each fact stands once, below the input with the longest way to a root."""

    def __init__(self, difference: Difference, causes: Causes, items: int | None) -> None:
        self._causes = causes
        self._items = items
        self._below: dict[str, list[str]] = defaultdict(list)
        self._also: dict[str, list[str]] = defaultdict(list)
        for name in causes.facts:
            if name in causes.explained:
                first, *others = causes.parents(name)
                self._below[first].append(name)
                for other in others:
                    self._also[other].append(name)
        self._things: dict[str, list[str]] = defaultdict(list)
        for change in difference.state:
            if change.because:
                self._things[change.because[0]].append(f"{change.part}: {change.shown()}")
        for entry in difference.log_changes:
            reasons = difference.reasons(entry)
            if reasons:
                self._things[reasons[0]].append(f"{_MARKS[entry.kind]} {entry.merged().strip()}")

    def lines(self, roots: Iterable[str]) -> Iterator[str]:
        for name in roots:
            for change in self._causes.root(name)[: self._items and 4 * self._items]:
                yield f"  {change.shown()}"
            hidden = len(self._causes.root(name)) - (4 * self._items if self._items else len(self._causes.root(name)))
            if hidden > 0:
                yield f"  ... and {hidden} more of {name}"
            yield from self._under(name, 1)

    def _under(self, name: str, depth: int) -> Iterator[str]:
        pad = "     " * depth
        things = self._things.get(name, [])
        shown = things if self._items is None else things[: self._items]
        yield from (f"{pad}| {thing}" for thing in shown)
        if len(shown) < len(things):
            yield f"{pad}| ... and {len(things) - len(shown)} more"
        for fact in self._below.get(name, []):
            yield f"{pad}=> {self._causes.facts[fact].shown()}"
            yield from self._under(fact, depth + 1)
        if not things and name not in self._below and name in self._also and depth == 1:
            yield f"{pad}also behind {', '.join(self._also[name])}"


# ---------------------------------------------------------------- state


def _state(changes: list[Change]) -> Iterator[str]:
    yield f"State: {_count(len(changes), 'difference')}"
    for part, group in groupby(sorted(changes, key=_part_order(changes)), key=lambda change: change.part):
        yield f"  {part}"
        for change in group:
            yield f"    {change.shown()}  ({_stages(change.stages)})"


def _part_order(changes: list[Change]):  # type: ignore[no-untyped-def]  # a key for sorted()
    order = {part: n for n, part in enumerate(dict.fromkeys(change.part for change in changes))}
    return lambda change: order[change.part]


def _stages(stages: tuple[str, ...]) -> str:
    return stages[0] if len(stages) == 1 else f"{stages[0]} ... {stages[-1]}"


# ---------------------------------------------------------------- log


def _unified(difference: Difference) -> Iterator[str]:
    changes = difference.log_changes
    yield f"Log: {_count(len(changes), 'step')} differ"
    for func, group in groupby(changes, key=lambda entry: entry.line.func):
        yield f"@@ {func or 'log'}"
        for entry in group:
            yield f"{_MARKS[entry.kind]} {entry.merged()}"
            if entry.kind == "moved":
                yield f"    order: {_place(entry.after_a)} -> {_place(entry.after_b)}"


def _place(line: Line | None) -> str:
    return "first" if line is None else f"after {textwrap.shorten(line.text, 60, placeholder=' ...')!r}"


def _side_by_side(difference: Difference, width: int) -> Iterator[str]:
    column = max((width - 3) // 2, 20)
    changes = difference.log_changes
    yield f"Log: {_count(len(changes), 'step')} differ"
    for entry in changes:
        yield from _row(entry, column)


def _row(entry: Entry, column: int) -> Iterator[str]:
    mark = {"changed": "|", "removed": "<", "added": ">", "moved": "^"}[entry.kind]
    cells = [textwrap.wrap(line.text, column, break_long_words=True) if line else [] for line in (entry.a, entry.b)]
    for n in range(max(map(len, cells))):
        left, right = (cell[n] if n < len(cell) else "" for cell in cells)
        yield f"{left:<{column}} {mark if n == 0 else ' '} {right}".rstrip()
