"""The difference of two boots: log by step, state by stage, and the causes of both."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.state.causal import Causes
from bootsim.state.governs import Index
from bootsim.state.logdiff import Entry, align
from bootsim.state.side import Side, common_part, lost_start, plain_lines
from bootsim.state.statediff import Change, state_changes

if TYPE_CHECKING:
    from bootsim.state.causal import FactChange


_TOGETHER = 4  # steps in a row that both logs have


class Unexplained(NamedTuple):
    """Something that differs and that no root explains: a `kind` ("log", "state", "fact") and what it is."""

    kind: str
    what: str


# A log that lost its start says nothing of what the other log has before both go along together.
def _without_lost_start(entries: list[Entry], *, lost_a: bool, lost_b: bool) -> list[Entry]:
    both = [entry.a is not None and entry.b is not None for entry in entries]
    start = next((n for n in range(len(both)) if all(both[n : n + _TOGETHER])), 0)
    return [
        entry
        for n, entry in enumerate(entries)
        if n >= start or not ((entry.a is None and lost_a) or (entry.b is None and lost_b))
    ]


class Difference:
    """Everything that differs between the boots `a` and `b`; parts are worked out when asked for."""

    def __init__(self, a: Side, b: Side) -> None:
        self.a, self.b = a, b

    @cached_property
    def log(self) -> list[Entry]:
        """Every step of both logs; those of kind "same" too."""
        a, b = self.a, self.b
        if a.plain or b.plain:
            one, other = (side.lines if side.plain else plain_lines(side.lines) for side in (a, b))
            entries = align(*common_part(one, other))
            return _without_lost_start(entries, lost_a=lost_start(one), lost_b=lost_start(other))
        return align(a.lines, b.lines)

    @property
    def log_changes(self) -> list[Entry]:
        """The steps that differ."""
        return [entry for entry in self.log if entry.kind != "same"]

    @cached_property
    def state(self) -> list[Change]:
        """What differs in the state, in the order of the stages where it first does."""
        return state_changes(self.a, self.b, self._index)

    @cached_property
    def causes(self) -> Causes | None:
        """Facts and roots compared; None when one of the boots does not know them."""
        a, b = self.a, self.b
        if a.facts is None or a.roots is None or b.facts is None or b.roots is None:
            return None
        return Causes(a.facts, a.roots, b.facts, b.roots, cut_short=(bool(a.panicked), bool(b.panicked)))

    @cached_property
    def _index(self) -> Index | None:
        return None if self.causes is None else Index(self.causes)

    def reasons(self, entry: Entry) -> list[str]:
        """The facts and roots that explain a step's difference, the nearest first."""
        if self._index is None:
            return []
        found = self._index.of_entry(entry)
        # how full the log is follows from all that was said before
        if not found and entry.line.func == "setup_log_buf":
            return self._said_before
        if not found and entry.kind == "moved":
            return self._around(entry)
        # what a dead kernel did not say follows from its death
        return found or (self._death if (entry.a is None and self.a.panicked) or (entry.b is None and self.b.panicked)
                         else [])  # fmt: skip

    # A step that says the same elsewhere has its place from the steps around it.
    def _around(self, entry: Entry) -> list[str]:
        if self._index is None:
            return []
        changes = self.log_changes
        at = next(n for n, other in enumerate(changes) if other is entry)
        near = [*changes[max(at - 4, 0) : at][::-1], *changes[at + 1 : at + 5]]
        return next((found for other in near if (found := self._index.of_entry(other))), [])

    @cached_property
    def _death(self) -> list[str]:
        return [] if self._index is None else self._index.of_function("panic")

    @cached_property
    def _said_before(self) -> list[str]:
        found: dict[str, None] = {}
        for entry in self.log_changes:
            if entry.line.func == "setup_log_buf":
                break
            if entry.line.kernel and self._index is not None:
                found |= dict.fromkeys(self._index.of_entry(entry))
        return list(found)

    @cached_property
    def roots(self) -> list[str]:
        """The roots that differ and that something rests on, as facts name them."""
        if self.causes is None:
            return []
        reasons = [name for change in self.state for name in change.because]
        reasons += [name for entry in self.log_changes for name in self.reasons(entry)[:1]]
        return self.causes.used_roots([*(name for name in self.causes.facts), *reasons])

    @property
    def fact_changes(self) -> list[FactChange]:
        """The facts that changed."""
        return [] if self.causes is None else list(self.causes.facts.values())

    @property
    def same(self) -> bool:
        """Whether nothing differs in log, state or facts."""
        return not self.log_changes and not self.state and not self.fact_changes

    @cached_property
    def unexplained(self) -> list[Unexplained]:
        """What no root explains; empty when the causes of neither boot are known."""
        if self.causes is None:
            return []
        found = [Unexplained("fact", change.shown()) for change in self.causes.unexplained()]
        found += [Unexplained("log", e.merged()) for e in self.log_changes if not self.reasons(e)]
        found += [Unexplained("state", c.shown()) for c in self.state if not c.because]
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values that `json` can write."""
        from bootsim.state.diffjson import as_json

        return as_json(self)
