"""Where a quantity comes from: its derivation, down to roots with their values and places."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.state.quantities import UnknownQuantityError, is_known
from bootsim.state.roots import is_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.facts import Derivation, Fact, Facts
    from bootsim.state.quantities import Quantities
    from bootsim.state.roots import Roots

_LIST = 12


def find(facts: Facts, wanted: str) -> list[str]:
    """Return the names that `wanted` stands for: a fact, a root, or all facts below a prefix such as zone.Normal.

    Raises InputError with the nearest names when there is none.
    """
    names = [fact.name for fact in facts]
    lower = {name.lower(): name for name in names}
    if wanted in facts or wanted in facts.roots():
        return [wanted]
    if wanted.lower() in lower:
        return [lower[wanted.lower()]]
    below = [name for name in names if name.lower().startswith(wanted.lower().rstrip(".") + ".")]
    if below:
        return below
    raise InputError(f"no quantity {wanted!r}{_nearest(wanted, [*names, *facts.roots()])}")


def names_of(known: Quantities, facts: Facts, wanted: str) -> list[str]:
    """Return the facts or roots that `wanted` stands for; of a quantity that is no fact, those that decide it.

    Raises InputError with the nearest names when there is none.
    """
    try:
        return find(facts, wanted)
    except InputError:
        if not is_known(wanted):
            raise
    try:
        known.value(wanted)
    except UnknownQuantityError as error:
        raise InputError(str(error)) from None
    return list(known.rests_on(wanted))


def _nearest(wanted: str, names: Sequence[str]) -> str:
    lower = {name.lower(): name for name in names}
    close = [lower[name] for name in difflib.get_close_matches(wanted.lower(), lower, 3, 0.5)]
    close += [name for name in names if wanted.lower() in name.lower() and name not in close]
    return f"; did you mean {' or '.join(close[:4])}?" if close else "; `bootsim facts` lists them all"


def derivation_lines(facts: Facts, roots: Roots, name: str) -> Iterator[str]:
    """Yield the derivation of a fact as an indented tree; what stands there already is not derived again."""
    if name not in facts:
        yield from _of_root(facts, roots, name)
        return
    seen: set[int] = set()
    yield from _lines(facts.derivation(name), roots, 0, seen)


def _lines(node: Derivation, roots: Roots, depth: int, seen: set[int]) -> Iterator[str]:
    pad = "  " * depth
    fact = node.fact
    if fact is None:
        yield f"{pad}{node.name} = {root_shown(roots, node.name)}"
        return
    if fact.serial in seen:
        yield f"{pad}{fact.name} = {fact.shown()} {fact.unit}  (derived above)"
        return
    seen.add(fact.serial)
    yield f"{pad}{fact.name} = {fact.shown()} {fact.unit}"
    yield f"{pad}    {fact.formula}; {fact.source}"
    for child in node.inputs:
        yield from _lines(child, roots, depth + 1, seen)


def root_shown(roots: Roots, name: str) -> str:
    """A root's value and the place where it was decided."""
    if not is_root(name):
        return "(not recorded in this boot)"
    return f"{roots.value(name)}  ({roots.where(name)})"


# A root is explained by what rests on it.
def _of_root(facts: Facts, roots: Roots, name: str) -> Iterator[str]:
    yield f"{name} = {root_shown(roots, name)}"
    direct = [fact for fact in facts if name in fact.inputs]
    for fact in direct:
        yield f"  => {fact.name} = {fact.shown()} {fact.unit}  ({fact.formula}; {fact.source})"
    further = [fact.name for fact in facts if fact not in direct and name in facts.roots(fact.name)]
    if further:
        more = f", and {len(further) - _LIST} more" if len(further) > _LIST else ""
        yield f"  further down: {', '.join(further[:_LIST])}{more}"


def derivation_json(facts: Facts, roots: Roots, name: str) -> dict[str, Any]:
    """Return the derivation as nested plain values."""

    def plain(node: Derivation) -> dict[str, Any]:
        if node.fact is None:
            known = is_root(node.name)
            return {"name": node.name, "root": True, "value": roots.value(node.name) if known else None,
                    "where": roots.where(node.name) if known else None}  # fmt: skip
        return {**_plain(node.fact), "root": False, "inputs": [plain(child) for child in node.inputs]}

    return plain(facts.derivation(name))


def _plain(fact: Fact) -> dict[str, Any]:
    return {"name": fact.name, "value": fact.value, "shown": fact.shown(), "unit": fact.unit,
            "formula": fact.formula, "source": fact.source}  # fmt: skip


def table(facts: Facts) -> Iterator[str]:
    """Yield every quantity with value, unit, formula and source, in columns."""
    rows = [(fact.name, fact.shown(), fact.unit, fact.formula, fact.source) for fact in facts]
    widths = [max((len(row[n]) for row in rows), default=0) for n in range(3)]
    values = Counter(fact.name for fact in facts)
    assert len(values) == len(rows)
    for name, value, unit, formula, source in rows:
        yield f"{name:<{widths[0]}}  {value:>{widths[1]}} {unit:<{widths[2]}}  {formula}  [{source}]"
