"""A difference of two boots as plain values, for programs; docs/diff.md says what each means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.state.chain import Chain

if TYPE_CHECKING:
    from bootsim.state.diff import Difference
    from bootsim.state.effects import Effect

VERSION = 2


def as_json(difference: Difference) -> dict[str, Any]:
    """Return names, decisions (`roots`) and effects; `same` says whether there is any difference."""
    effects = difference.effects
    lab = difference.laboratory
    names = [root.name for root in difference.roots]
    return {
        "version": VERSION,
        "same": difference.same,
        "a": difference.a.name,
        "b": difference.b.name,
        "until": difference.until or None,
        "causes_known": lab is not None,
        "boots": 0 if lab is None else lab.boots,
        "settled": all(effect.settled for effect in effects),
        "roots": [_root(difference, n) for n in range(len(names))],
        "effects": _effects(difference, names),
    }


def _root(difference: Difference, n: int) -> dict[str, Any]:
    root = difference.roots[n]
    new, gone = difference.complaints(n)
    return {
        **root._asdict(), "below": list(root.below),
        "alone": {moved.name: {"a": moved.a, "b": moved.b} for moved in difference.principal(n)},
        "complaints": {"new": new, "gone": gone},
    }  # fmt: skip


def _effects(difference: Difference, names: list[str]) -> list[dict[str, Any]]:
    chains = [Chain(difference, n) for n in range(len(names))]
    found = []
    for effect in difference.effects:
        because = [fact for n in effect.roots for fact in chains[n].because(effect)]
        found.append(_effect(effect, names) | {"because": list(dict.fromkeys(because))})
    return found


def _effect(effect: Effect, names: list[str]) -> dict[str, Any]:
    return {
        "part": effect.part, "id": effect.id, "what": effect.what, "a": effect.a or None, "b": effect.b or None,
        "kind": effect.kind, "stages": list(effect.stages), "roots": [names[n] for n in effect.roots],
        "sets": [[names[n] for n in each] for each in effect.sets], "settled": effect.settled,
    }  # fmt: skip
