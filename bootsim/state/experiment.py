"""Causes by experiment: boots between two boots, each with some decisions of the first and some of the second.

Every decision is made alone in the first boot, and taken back alone in the second. For an effect, a -> b:

    some decisions make b alone               each of them is a cause
    those whose taking back gives a again     together are the cause, if together they make b
    those that move it at all                 likewise, less those that are not needed
    otherwise                                 delta debugging over all decisions (Zeller, Hildebrandt 2002)

A boot that cannot be made, or that dies before the effect shows, answers nothing.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.state.effects import A, Answer, B, Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bootsim.state.seen import Seen

Set = frozenset[int]


class Laboratory:
    """The boots between two boots. `make(chosen)` boots one; it raises InputError where there is no such boot.

    `boots` counts those that were made, `limit` is the most that will be; `exhausted` says that more were wanted.
    `progress(boots, limit)` hears of each.
    """

    def __init__(self, decisions: int, a: Seen, b: Seen, make: Callable[[Set], Seen], *, limit: int | None = None,
                 progress: Callable[[int, int], None] | None = None) -> None:  # fmt: skip
        self.count = decisions
        self.everything: Set = frozenset(range(decisions))
        self.limit = boots_at_most(decisions) if limit is None else limit
        self.boots = 0
        self.exhausted = False
        self.impossible: dict[Set, str] = {}
        self._make = make
        self._progress = progress
        self._known: dict[Set, Seen | None] = {frozenset(): a, self.everything: b}

    def seen(self, chosen: Iterable[int]) -> Seen | None:
        """The boot with these decisions of the second; None where it cannot be made or boots have run out."""
        key = frozenset(chosen)
        if key not in self._known:
            if self.boots >= self.limit:
                self.exhausted = True
                return None
            self.boots += 1
            if self._progress is not None:
                self._progress(self.boots, self.limit)
            try:
                self._known[key] = self._make(key)
            except InputError as error:
                self._known[key] = None
                self.impossible[key] = str(error)
        return self._known[key]

    def alone(self, n: int) -> Seen | None:
        """The first boot with one decision of the second."""
        return self.seen({n})

    def without(self, n: int) -> Seen | None:
        """The second boot with one decision taken back."""
        return self.seen(self.everything - {n})

    def singles(self) -> list[Seen]:
        """The boots with one decision made or taken back."""
        boots = [boot for n in range(self.count) for boot in (self.alone(n), self.without(n))]
        return [boot for boot in boots if boot is not None]


def boots_at_most(decisions: int) -> int:
    """How many boots an experiment over so many decisions may take."""
    return 0 if decisions < 2 else min(60 + 6 * decisions, 600)


def settle(effects: Iterable[Effect], laboratory: Laboratory) -> None:
    """Find the causes of each effect: its `sets`, and whether they are `settled`."""
    for effect in effects:
        effect.sets, effect.settled = _Search(effect, laboratory).causes()


class _Search:
    def __init__(self, effect: Effect, laboratory: Laboratory) -> None:
        self._effect, self._lab = effect, laboratory

    def causes(self) -> tuple[tuple[tuple[int, ...], ...], bool]:
        lab = self._lab
        if lab.count < 2:
            return tuple((n,) for n in range(lab.count)), True
        alone = [self._ask(frozenset({n})) for n in range(lab.count)]
        enough = [n for n, answer in enumerate(alone) if answer == B]
        if enough:
            return tuple((n,) for n in enough), True
        back = [self._ask(lab.everything - {n}) for n in range(lab.count)]
        needed = frozenset(n for n, answer in enumerate(back) if answer == A)
        if needed and self._makes(needed):
            return (_sorted(needed),), True
        moving = frozenset(n for n in range(lab.count) if alone[n] != A or back[n] != B)
        if self._makes(moving):
            return (_sorted(self._least(moving, doubtful={n for n in moving if back[n] in (B, None)})),), True
        least = self._delta()
        settled = not lab.exhausted
        return ((_sorted(least),) if settled else (_sorted(moving or least),)), settled

    def _ask(self, chosen: Set) -> Answer:
        seen = self._lab.seen(chosen)
        return None if seen is None else self._effect.answer(seen)

    def _makes(self, chosen: Set) -> bool:
        return bool(chosen) and self._ask(chosen) == B

    # What is left when each that is not needed is taken out, one after the other. Whose taking back alone changes the
    # effect is needed.
    def _least(self, chosen: Set, doubtful: set[int]) -> Set:
        for n in sorted(doubtful):
            if len(chosen) > 1 and self._makes(chosen - {n}):
                chosen -= {n}
        return chosen

    # ddmin: halves, then their complements, then finer parts.
    def _delta(self) -> Set:
        chosen, parts = self._lab.everything, 2
        while len(chosen) > 1 and not self._lab.exhausted:
            pieces = _split(chosen, parts)
            smaller = next((piece for piece in pieces if self._makes(piece)), None)
            if smaller is not None:
                chosen, parts = smaller, 2
                continue
            rest = next((chosen - piece for piece in pieces if parts > 2 and self._makes(chosen - piece)), None)
            if rest is not None:
                chosen, parts = rest, max(parts - 1, 2)
            elif parts < len(chosen):
                parts = min(2 * parts, len(chosen))
            else:
                break
        return chosen


def _split(chosen: Set, parts: int) -> list[Set]:
    ordered = sorted(chosen)
    ends = [len(ordered) * n // parts for n in range(parts + 1)]
    return [frozenset(ordered[low:high]) for low, high in pairwise(ends)]


def _sorted(chosen: Set) -> tuple[int, ...]:
    return tuple(sorted(chosen))
