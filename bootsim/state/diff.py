"""The difference of two boots: what differs, which decisions make it, and how that was found out.

    a, b -> effects      what differs between the two boots
    decisions            what was decided otherwise, of what the boots were made from
    laboratory           the boots between the two: which decisions make which effect

A captured boot cannot be made anew; its twin can, the replay of its tree. An effect that the twins do not show has no
causes: there the replay differs from the real kernel.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.inputs.treediff import TreeChange, tree_changes
from bootsim.stages import STAGES
from bootsim.state.decisions import Decisions
from bootsim.state.effects import A, B, Effect, effects, merged, range_effects
from bootsim.state.experiment import Laboratory, settle
from bootsim.state.logdiff import Entry, align, common_end, common_start, from_start
from bootsim.state.seen import Seen, View
from bootsim.state.side import Side, from_inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.state.decisions import Decision
    from bootsim.state.logdiff import Line

class Moved(NamedTuple):
    """A quantity and what one decision alone makes of it."""

    name: str
    a: int | str | None
    b: int | str | None


class Group(NamedTuple):
    """Effects that have the same causes: `sets` of decisions by number, none for effects without any."""

    sets: tuple[tuple[int, ...], ...]
    effects: list[Effect]


class Difference:
    """Everything that differs between the boots `a` and `b`; parts are worked out when asked for.

    `limit` is the most boots that may be made to find causes, None for as many as the decisions call for;
    `progress(boots, limit)` hears of each. `steps` says whether bootsim's own lines count. `until` is the stage that
    one of the boots was stopped at, up to which both are compared, "" for whole boots.
    """

    def __init__(self, a: Side, b: Side, *, steps: bool = True, limit: int | None = None,
                 progress: Callable[[int, int], None] | None = None) -> None:  # fmt: skip
        self.a, self.b = a, b
        self._steps, self._limit, self._progress = steps, limit, progress
        plain = a.plain or b.plain
        whole = a.whole and b.whole
        lines = [side.log_lines(plain=plain, whole=whole) for side in (a, b)]
        start = common_start(*lines) if plain else ""
        stopped = min((side for side in (a, b) if side.until), key=lambda side: [*STAGES].index(side.until), default=a)
        self.until = stopped.until
        end = common_end(*(lines if stopped is a else reversed(lines))) if self.until else ""
        self._view = View(a.captured or b.captured, a.owned and b.owned, plain, whole, start, end, self.until)

    # ------------------------------------------------------------ what differs

    @cached_property
    def log(self) -> list[Entry]:
        """Every step of both logs; those of kind "same" too."""
        one, other = (seen.lines for seen in self.seen)
        return align(one, other)

    @property
    def log_changes(self) -> list[Entry]:
        """The steps that differ."""
        return [entry for entry in self.log if entry.kind != "same"]

    def _look(self, side: Side) -> Seen:
        return Seen(side, self._view, self._reference)

    @cached_property
    def _reference(self) -> list[Line]:
        # the lines that name the steps of every boot
        lines = self.a.log_lines(plain=self._view.plain, whole=self._view.whole)
        return from_start(lines, self._view.start)

    @cached_property
    def seen(self) -> tuple[Seen, Seen]:
        """Both boots as the comparison sees them."""
        return self._look(self.a), self._look(self.b)

    @cached_property
    def effects(self) -> list[Effect]:
        """Everything that differs, each with the decisions that make it."""
        a, b = self.seen
        lab = self.laboratory
        found = effects(a, b)
        ranges = range_effects(a, b, lab.singles() if lab is not None else ())
        if lab is not None:
            one, other = self._ends
            settle([e for e in (*found, *ranges) if e.answer(one) == A and e.answer(other) == B], lab)
        return [*found, *merged(ranges)]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.effects

    # ------------------------------------------------------------ why

    @cached_property
    def decisions(self) -> Decisions | None:
        """What was decided otherwise; None when it is not known what one of the boots was made from."""
        one, other = (side.twin.inputs if side.twin is not None else None for side in (self.a, self.b))
        return None if one is None or other is None else Decisions(one, other)

    @cached_property
    def tree_changes(self) -> list[TreeChange]:
        """What differs in the trees, where they are known; for boots that cannot be made anew."""
        one, other = self.a.tree, self.b.tree
        return [] if one is None or other is None else tree_changes(one, other)

    @cached_property
    def _ends(self) -> tuple[Seen, Seen]:
        # the boots between which others can be made
        one, other = (self._look(side.twin) if side.twin is not None and side.twin is not side else seen
                      for side, seen in zip((self.a, self.b), self.seen, strict=True))  # fmt: skip
        return one, other

    @cached_property
    def laboratory(self) -> Laboratory | None:
        """The boots between the two; None when none can be made."""
        decisions = self.decisions
        if decisions is None:
            return None

        def make(chosen: frozenset[int]) -> Seen:
            return self._look(from_inputs("between", decisions.between(chosen), steps=self._steps))

        return Laboratory(len(decisions.all), *self._ends, make, limit=self._limit, progress=self._progress)

    @property
    def roots(self) -> tuple[Decision, ...]:
        """The decisions, by number."""
        return () if self.decisions is None else self.decisions.all

    @cached_property
    def groups(self) -> list[Group]:
        """The effects by what makes them: of one decision, in their order, then of several, then of none."""
        found: dict[tuple[tuple[int, ...], ...], list[Effect]] = {}
        for effect in self.effects:
            found.setdefault(effect.sets, []).append(effect)
        return [Group(sets, found[sets]) for sets in sorted(found, key=lambda sets: (not sets, len(sets) * 100
                + sum(map(len, sets)), sets))]  # fmt: skip

    @property
    def unexplained(self) -> list[Effect]:
        """The effects that no decision makes."""
        return [] if self.decisions is None else [effect for effect in self.effects if not effect.sets]

    def principal(self, n: int) -> list[Moved]:
        """What decision `n` alone makes of the quantities that people ask for first."""
        before, after = self._alone(n)
        if before is None or after is None:
            return []
        names = dict.fromkeys((*before.quantities, *after.quantities))
        pairs = (Moved(name, before.quantities.get(name), after.quantities.get(name)) for name in names)
        return [pair for pair in pairs if pair.a != pair.b]

    def complaints(self, n: int) -> tuple[list[str], list[str]]:
        """The kernel's warnings that decision `n` alone brings, and those that it takes away; a death is one."""
        before, after = self._alone(n)
        if before is None or after is None:
            return [], []
        one, other = ((*seen.complaints, *([seen.dead] if seen.dead else [])) for seen in (before, after))
        return [text for text in other if text not in one], [text for text in one if text not in other]

    def _alone(self, n: int) -> tuple[Seen | None, Seen | None]:
        lab = self.laboratory
        if lab is None:
            return None, None
        after = lab.alone(n)
        if after is not None:
            return self._ends[0], after
        return lab.without(n), self._ends[1]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values that `json` can write."""
        from bootsim.state.diffjson import as_json

        return as_json(self)
