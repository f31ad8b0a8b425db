"""From a decision to what it makes: the recorded facts in between.

A link stands only where the decision alone moved both ends: in the first boot with the decision made, or in the second
with it taken back. Of a fact that was computed more than once, that value counts which the next one was made from.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootsim.facts import Fact, Facts
    from bootsim.state.diff import Difference
    from bootsim.state.effects import Effect
    from bootsim.state.seen import Seen

_NUMBER = re.compile(r"\b0x[0-9a-fA-F]+\b|\b\d+\b")
_LARGE = 4096  # smaller numbers are equal by chance


class Chain:
    """What decision `n` moves, fact by fact.

    `below[name]` are the facts that follow from a fact, those of "" from the decision itself; `things[name]` are the
    other effects that show a fact's change.
    """

    def __init__(self, difference: Difference, n: int) -> None:
        self._pairs = list(_experiments(difference, n))
        self._facts = [side.twin.facts for side in (difference.a, difference.b)
                       if side.twin is not None and side.twin.facts is not None]  # fmt: skip
        mine = [effect for effect in difference.effects if n in effect.roots]
        self.facts = {effect.what: effect for effect in mine if effect.part == "fact"}
        self.below: dict[str, list[str]] = defaultdict(list)
        self.things: dict[str, list[Effect]] = defaultdict(list)
        self._depths: dict[str, int] = {}
        for name in self.facts:
            self.below[max(self.parents(name), key=self._depth, default="")].append(name)
        shown = _Shown(self.facts.values())
        for effect in mine:
            if effect.part != "fact":
                self.things[max(shown.by(effect), key=self._depth, default="")].append(effect)
        self._shown = shown

    def because(self, effect: Effect) -> list[str]:
        """The facts that lead to an effect: what a fact was computed from, or what another effect shows."""
        return self.parents(effect.what) if effect.part == "fact" else list(dict.fromkeys(self._shown.by(effect)))

    def parents(self, name: str) -> list[str]:
        """The facts that a fact was computed from and that the decision moved."""
        found: dict[str, None] = {}
        for facts in self._facts:
            # a fact computed from its own old value rests on what that was computed from
            versions = [fact for fact in (facts.get(name),) if fact is not None]
            for fact in versions:
                for each in fact.inputs:
                    older = facts.as_of(name, fact.serial) if each == name else None
                    if older is not None and older not in versions:
                        versions.append(older)
                    elif each != name and each in self.facts and self._moved(facts, each, fact):
                        found[each] = None
        return list(found)

    def _moved(self, facts: Facts, name: str, user: Fact) -> bool:
        used = facts.as_of(name, user.serial)
        if used is None:
            return False
        version = facts.history(name).index(used)
        return any(_value(one, name, version) != _value(other, name, version) for one, other in self._pairs)

    # how many facts lie between a fact and the decision, on the longest way
    def _depth(self, name: str, path: frozenset[str] = frozenset()) -> int:
        if name in path:
            return 0
        if name not in self._depths:
            above = [self._depth(parent, path | {name}) for parent in self.parents(name)]
            self._depths[name] = 1 + max(above, default=0)
        return self._depths[name]


def _experiments(difference: Difference, n: int) -> Iterator[tuple[Seen, Seen]]:
    # boots that differ in decision `n` alone
    lab = difference.laboratory
    if lab is not None:
        first, last = lab.seen(()), lab.seen(lab.everything)
        for one, other in ((first, lab.alone(n)), (lab.without(n), last)):
            if one is not None and other is not None:
                yield one, other


def _value(seen: Seen, name: str, version: int) -> object:
    values = seen.facts.get(name, ())
    return values[version] if version < len(values) else None


class _Shown:
    """Facts by the change of their value, to find the one that an effect of the same causes shows."""

    def __init__(self, facts: Iterable[Effect]) -> None:
        self._by_change: dict[tuple[object, int, int], list[str]] = defaultdict(list)
        for fact in facts:
            if fact.a.isdecimal() and fact.b.isdecimal():
                a, b = int(fact.a), int(fact.b)
                for less in (0, 1):  # an end may be shown as the last byte
                    self._by_change[fact.sets, a - less, b - less].append(fact.what)

    def by(self, effect: Effect) -> list[str]:
        """The names of the facts whose change an effect shows."""
        one, other = ([number for text in _NUMBER.findall(side) if (number := int(text, 0 if "x" in text else 10))
                       >= _LARGE] for side in (effect.a, effect.b))  # fmt: skip
        return [name for a, b in zip(one, other, strict=False) for name in self._by_change.get((effect.sets, a, b), ())]
