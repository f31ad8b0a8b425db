"""Why two boots differ: from the roots that differ, through the facts that follow, to what changed.

A fact has changed when its value differs, or when only one boot has it. It is explained when one of its inputs is a
root that differs or a fact that is explained itself. Nothing here reads the text of a log.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bootsim.state.roots import is_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootsim.facts import Fact, Facts
    from bootsim.state.roots import Roots


class RootChange(NamedTuple):
    """A root with other values, and where each was decided."""

    name: str
    a: str
    b: str
    where_a: str
    where_b: str

    def shown(self) -> str:
        """One line: name, both values, the places."""
        places = self.where_a if self.where_a == self.where_b else f"{self.where_a} | {self.where_b}"
        return f"{self.name} {self.a} -> {self.b}  ({places})"


class FactChange(NamedTuple):
    """A fact with other values; None where a boot does not have it."""

    name: str
    a: Fact | None
    b: Fact | None

    def shown(self) -> str:
        """One line: name and both values."""
        return f"{self.name} {'none' if self.a is None else self.a.shown()} -> {self.after()}"

    def after(self) -> str:
        """The second value as people read it."""
        return "gone" if self.b is None else self.b.shown()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names that either boot computed it from."""
        names = (*(self.a.inputs if self.a else ()), *(self.b.inputs if self.b else ()))
        return tuple(dict.fromkeys(name for name in names if name != self.name))


class Causes:
    """The facts and roots of two boots, compared.

    `cut_short` says of either boot that it died: facts that it did not come to are no difference.
    """

    def __init__(self, facts_a: Facts, roots_a: Roots, facts_b: Facts, roots_b: Roots, *,
                 cut_short: tuple[bool, bool] = (False, False)) -> None:
        self._facts = facts_a, facts_b
        self._cut_short = cut_short
        self._roots = roots_a, roots_b
        self._root_changes: dict[str, list[RootChange]] = {}

    @cached_property
    def facts(self) -> dict[str, FactChange]:
        """The facts that changed, by name, in the order of the boot."""
        a, b = self._facts
        names = dict.fromkeys([*(fact.name for fact in a), *(fact.name for fact in b)])
        changes = (FactChange(name, a.get(name), b.get(name)) for name in names)
        return {c.name: c for c in changes if self._differs(c)}

    def _differs(self, change: FactChange) -> bool:
        if change.a is None or change.b is None:
            return not self._cut_short[change.b is None]
        return change.a.value != change.b.value

    @cached_property
    def explained(self) -> frozenset[str]:
        """The names of the changed facts that rest on a root that differs, through explained facts alone."""
        found: set[str] = set()
        left = dict(self.facts)
        while True:
            new = [c.name for c in left.values() if any(name in found or self.root(name) for name in c.inputs)]
            if not new:
                return frozenset(found)
            found.update(new)
            for name in new:
                del left[name]

    def unexplained(self) -> list[FactChange]:
        """The changed facts that no root explains."""
        return [change for name, change in self.facts.items() if name not in self.explained]

    def root(self, name: str) -> list[RootChange]:
        """How a root differs: nothing when it does not (or is a fact); a name with * may differ in many places."""
        if name not in self._root_changes:
            fact = any(name in facts for facts in self._facts)
            self._root_changes[name] = [] if fact or not is_root(name) else list(self._differences(name))
        return self._root_changes[name]

    def _differences(self, name: str) -> Iterator[RootChange]:
        a, b = self._roots
        for each in dict.fromkeys((*a.expand(name), *b.expand(name))):
            one, other = a.value(each), b.value(each)
            if one != other:
                yield RootChange(each, one, other, a.where(each), b.where(each))

    def because(self, names: Iterable[str]) -> list[str]:
        """Of the names of facts and roots that something rests on, those that explain a change of it."""
        return [name for name in dict.fromkeys(names) if name in self.explained or self.root(name)]

    def depth(self, name: str) -> int:
        """How many facts lie between a changed fact and its farthest root, itself counted; a root has 0."""
        return self._depths.get(name, 0)

    @cached_property
    def _depths(self) -> dict[str, int]:
        depths: dict[str, int] = {}

        def measure(name: str, path: frozenset[str]) -> int:
            if name not in self.explained or name in path:
                return 0
            if name not in depths:
                depths[name] = 1 + max((measure(i, path | {name}) for i in self.facts[name].inputs), default=0)
            return depths[name]

        for name in self.explained:
            measure(name, frozenset())
        return depths

    def parents(self, name: str) -> list[str]:
        """The inputs of a changed fact that explain it, the one with the longest way to a root first."""
        return sorted(self.because(self.facts[name].inputs), key=lambda parent: -self.depth(parent))

    def used_roots(self, names: Iterable[str]) -> list[str]:
        """The roots (as facts name them) that differ and explain any of `names`, in the order they are met."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        ahead = list(names)[::-1]
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.explained:
                ahead += self.because(self.facts[name].inputs)[::-1]
            elif self.root(name):
                found[name] = None
        return list(found)
