"""Facts, their derivations and the roots they end in, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.state.roots import Roots, is_root

if TYPE_CHECKING:
    from bootsim.facts import Derivation, Fact
    from bootsim.state.replay import Replay


def facts_data(replay: Replay) -> dict[str, Any]:
    """Return `facts`, `newest` (name to place in facts) and `roots` (name to [value, where it was decided]).

    A fact is [name, value, unit, formula, inputs, source]; an input is [name, place of the fact it stood for, or -1].
    A name computed more than once has several facts: an input names the one that was current.
    """
    from bootsim.escape import printable

    facts = replay.k.facts
    nodes: dict[int, Derivation] = {}
    for fact in facts:
        _collect(facts.derivation(fact.name), nodes)
    places = {serial: i for i, serial in enumerate(sorted(nodes))}
    rows = [_row(nodes[serial], places) for serial in sorted(nodes)]
    roots = Roots(replay.k, replay.blob, replay.inputs)
    names = {name for row in rows for name, place in row[4] if place < 0 and is_root(name)}
    return {
        "facts": [[printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows],
        "newest": {fact.name: places[fact.serial] for fact in facts},
        "roots": {name: [printable(roots.value(name)), printable(roots.where(name))] for name in sorted(names)},
    }


def _collect(node: Derivation, nodes: dict[int, Derivation]) -> None:
    if node.fact is not None and node.fact.serial not in nodes:
        nodes[node.fact.serial] = node
        for below in node.inputs:
            _collect(below, nodes)


def _row(node: Derivation, places: dict[int, int]) -> list[Any]:
    fact: Fact | None = node.fact
    assert fact is not None
    inputs = [[below.name, -1 if below.fact is None else places[below.fact.serial]] for below in node.inputs]
    return [fact.name, fact.shown(), fact.unit, fact.formula, inputs, fact.source]
