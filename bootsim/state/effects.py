"""What differs between two boots, each thing once, and how to tell in a third boot which of the two it has.

An effect has an `id` that depends on the first boot alone. The answer of a third boot is A, B, OTHER, or None where it
did not come that far.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bootsim.stages import STAGES
from bootsim.state.ranges import Range, RangeChange, Target, goes_on, range_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bootsim.state.seen import Key, Seen

A, B, OTHER = "a", "b", "other"
Answer = str | None
PARTS = ("fact", "log", "memblock", "tables", "zones", "lists", "cma", "layout")
_MISSING = object()


@dataclass
class Effect:
    """One difference: its part, what it is, how it is in either boot ("" where it is not), the stages where it holds.

    `answer(seen)` tells which of the two a third boot has. `sets` are the smallest sets of decisions that make it, by
    number, once they are known; `settled` is False where boots ran out before. `start` and `end` bound a range.
    """

    part: str
    what: str
    id: str
    a: str
    b: str
    stages: tuple[str, ...]
    answer: Callable[[Seen], Answer]
    kind: str = "changed"
    sets: tuple[tuple[int, ...], ...] = ()
    settled: bool = True
    unit: str = ""
    change: RangeChange | None = field(default=None, repr=False)

    @property
    def roots(self) -> tuple[int, ...]:
        """Every decision of the sets."""
        return tuple(sorted({n for each in self.sets for n in each}))

    def shown(self) -> str:
        """One line, without stages."""
        head = f"{self.what} " if self.what else ""
        if not self.b:
            return f"{head}{self.a} -> gone"
        if not self.a:
            return f"{head}new: {self.b}"
        return f"{head}{self.a} -> {self.b}"


def effects(a: Seen, b: Seen) -> list[Effect]:
    """Every difference but those of ranges: facts, log, items, by part."""
    found = [*_facts(a, b), *_log(a, b), *_items(a, b)]
    order = {part: n for n, part in enumerate(PARTS)}
    return sorted(found, key=lambda effect: order[effect.part])


def _reached(seen: Seen, stage: str) -> bool:
    return not stage or not seen.dead or stage in seen.stages


# ---------------------------------------------------------------- facts


def _facts(a: Seen, b: Seen) -> Iterator[Effect]:
    if not a.facts or not b.facts:
        return
    for name in dict.fromkeys((*a.facts, *b.facts)):
        x, y = a.facts.get(name, (_MISSING,))[-1], b.facts.get(name, (_MISSING,))[-1]
        cut = (x is _MISSING and a.dead) or (y is _MISSING and b.dead)
        if x != y and not cut:
            one, other = ("" if value is _MISSING else str(value) for value in (x, y))
            unit = a.units.get(name) or b.units.get(name, "")
            yield Effect("fact", name, f"fact:{name}", one, other, (), _Fact(name, x, y), unit=unit)


class _Fact:
    def __init__(self, name: str, a: Any, b: Any) -> None:
        self._name, self._a, self._b = name, a, b

    def __call__(self, seen: Seen) -> Answer:
        value = seen.facts.get(self._name, (_MISSING,))[-1]
        if value is _MISSING and seen.dead:
            return None
        return A if value == self._a else B if value == self._b else OTHER


# ---------------------------------------------------------------- the log


def _log(a: Seen, b: Seen) -> Iterator[Effect]:
    for step in dict.fromkeys((*a.log, *b.log)):
        x, y = a.log.get(step), b.log.get(step)
        if x == y or (y is None and b.dead) or (x is None and a.dead):
            continue
        kind = "added" if x is None else "removed" if y is None else "moved" if x.moved or y.moved else "changed"
        yield Effect("log", "", f"log:{step}", "" if x is None else x.text, "" if y is None else y.text, (),
                     _Step(step, x, y, died=bool(b.dead)), kind)  # fmt: skip


class _Step:
    def __init__(self, step: str, a: Any, b: Any, *, died: bool) -> None:
        self._step, self._a, self._b, self._died = step, a, b, died

    def __call__(self, seen: Seen) -> Answer:
        value = seen.log.get(self._step)
        if value is None and seen.dead and not self._died:
            return None
        return A if value == self._a else B if value == self._b else OTHER


# ---------------------------------------------------------------- numbers, regions, lists


def _items(a: Seen, b: Seen) -> Iterator[Effect]:
    groups: dict[tuple[str, str], dict[tuple[Any, Any], list[str]]] = defaultdict(dict)
    for part, what, stage in sorted({*a.items, *b.items}, key=_in_time):
        key = (part, what, stage)
        x, y = a.items.get(key, _MISSING), b.items.get(key, _MISSING)
        if x != y and a.shows(*key) and b.shows(*key):
            groups[part, what].setdefault((x, y), []).append(stage)
    for (part, what), pairs in groups.items():
        for n, ((x, y), stages) in enumerate(pairs.items(), 1):
            # the state that lasts bears the plain name
            name = f"{part}:{what}" if n == len(pairs) else f"{part}:{what}@{stages[0]}"
            yield Effect(part, what, name, *_shown(x, y), tuple(filter(None, stages)),
                         _Item([(part, what, stage) for stage in stages], x, y))  # fmt: skip


def _in_time(key: Key) -> tuple[str, str, int]:
    order = list(STAGES)
    return key[0], key[1], order.index(key[2]) if key[2] in order else len(order)


class _Item:
    def __init__(self, keys: list[Key], a: Any, b: Any) -> None:
        self._keys, self._a, self._b = keys, a, b

    def __call__(self, seen: Seen) -> Answer:
        if not all(_reached(seen, key[2]) for key in self._keys):
            return None
        values = [seen.items.get(key, _MISSING) for key in self._keys]
        if all(value == self._a for value in values):
            return A
        return B if all(value == self._b for value in values) else OTHER


def _shown(x: Any, y: Any) -> tuple[str, str]:
    if not isinstance(x, tuple) and not isinstance(y, tuple):
        return "" if x is _MISSING else x, "" if y is _MISSING else y
    left, right = (value if isinstance(value, tuple) else () for value in (x, y))
    one, other = (f"{len(blocks)} blocks" if blocks else "none" for blocks in (left, right))
    if len(left) == len(right):
        moved = len(set(right) - set(left))
        other += f", {moved} at other addresses" if moved else ", the same in another order"
    return one, other


# ---------------------------------------------------------------- ranges


def range_effects(a: Seen, b: Seen, borders: Iterable[Seen]) -> list[Effect]:
    """What lies elsewhere, or is mapped otherwise, cut wherever one of the boots `borders` has a border."""
    others = list(borders)
    found: dict[tuple[Any, ...], list[str]] = {}
    for key in sorted({*a.maps} & {*b.maps}, key=_in_time):
        part, what, stage = key
        if a.maps[key] == b.maps[key]:
            continue
        cuts = {border for seen in others if key in seen.maps
                for r in _unlike(seen.maps[key], a.maps[key]) for border in r}  # fmt: skip
        for change in range_changes(a.maps[key], b.maps[key]):
            for piece in _cut(change, cuts):
                found.setdefault((part, what, piece), []).append(stage)
    return [_range_effect(part, what, piece, tuple(stages)) for (part, what, piece), stages in found.items()]


def _unlike(one: list[Range], other: list[Range]) -> Iterator[tuple[int, int]]:
    if one != other:
        for change in range_changes(one, other):
            yield change.start_va, change.end_va


def _cut(change: RangeChange, cuts: set[int]) -> Iterator[RangeChange]:
    inner = sorted(cut for cut in cuts if change.start_va < cut < change.end_va)
    for start, end in pairwise([change.start_va, *inner, change.end_va]):
        one, other = (None if side is None else side._replace(pa=side.pa + start - change.start_va)
                      for side in (change.a, change.b))  # fmt: skip
        yield RangeChange(start, end, one, other)


def _range_effect(part: str, what: str, change: RangeChange, stages: tuple[str, ...]) -> Effect:
    span = f"{change.start_va:#010x}-{change.end_va - 1:#010x}"
    one, other = ("" if side is None else _target(part, side) for side in (change.a, change.b))
    name = f"{what} {span}:".strip()
    keys = [(part, what, stage) for stage in stages]
    return Effect(part, name, f"{part}:{what}:{span}", one, other, stages, _Stretch(keys, change), change=change)


def _target(part: str, side: Target) -> str:
    return side.shown() if part == "tables" else side.attributes or "there"


class _Stretch:
    def __init__(self, keys: list[Key], change: RangeChange) -> None:
        self._keys, self._change = keys, change

    def __call__(self, seen: Seen) -> Answer:
        if not all(_reached(seen, key[2]) and key in seen.maps for key in self._keys):
            return None
        change = self._change
        found = {_there(seen.maps[key], change.start_va, change.end_va) for key in self._keys}
        if found == {change.a}:
            return A
        return B if found == {change.b} else OTHER


_PIECEWISE = Target(-1, "piecewise", "")


def _there(ranges: list[Range], start: int, end: int) -> Target | None:
    """What [start, end) is mapped to as a whole; None when nothing of it is, _PIECEWISE when it is not of a piece."""
    i = bisect_right(ranges, start, key=lambda r: r.start_va) - 1
    if i >= 0 and ranges[i].end_va > start:
        r = ranges[i]
        return Target(r.pa + start - r.start_va, r.kind, r.attributes) if r.end_va >= end else _PIECEWISE
    return _PIECEWISE if i + 1 < len(ranges) and ranges[i + 1].start_va < end else None


def merged(found: list[Effect]) -> list[Effect]:
    """Ranges that go on alike and have the same causes, put together again; stages that differ alike, too."""
    together: list[Effect] = []
    for effect in sorted(found, key=lambda e: (e.part, e.stages, e.change.start_va if e.change else 0)):
        last = together[-1] if together else None
        one, other = (last.change if last else None), effect.change
        if (last is not None and one is not None and other is not None and last.part == effect.part
                and last.stages == effect.stages and last.sets == effect.sets and _what(last) == _what(effect)
                and goes_on(one, other)):  # fmt: skip
            made = _range_effect(last.part, _what(last), one._replace(end_va=other.end_va), last.stages)
            made.sets, made.settled = last.sets, last.settled and effect.settled
            together[-1] = made
        else:
            together.append(effect)
    return [_named(effect, together) for effect in together]


# What lasts bears the plain name; of ranges with the same borders the others name their first stage.
def _named(effect: Effect, every: list[Effect]) -> Effect:
    order = list(STAGES)
    last = max(order.index(stage) for other in every if other.id == effect.id for stage in other.stages)
    if order.index(effect.stages[-1]) != last:
        return replace(effect, id=f"{effect.id}@{effect.stages[0]}")
    return effect


def _what(effect: Effect) -> str:
    return effect.id.split(":")[1]
