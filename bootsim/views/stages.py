"""The stages of a boot, one line each: when, and what can be seen there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def data(held: Mapping[str, Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Return the stages in order with what they are about; `parts` is what a state directory holds at each.

    `held` are the stages of one state directory, by name: then only those are listed, with what they really hold.
    """
    named = {name: list(stage.parts) for name, stage in STAGES.items()}
    if held is not None:
        named = {name: list(parts) for name, parts in held.items()}
    return [{"stage": name, "about": STAGES[name].about if name in STAGES else "", "parts": parts}
            for name, parts in named.items()]


def lines(held: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[str]:
    """Yield a line for each stage: its name, and what it is about."""
    for stage in data(held):
        parts = "" if held is None else f"  ({', '.join(stage['parts'])})"
        yield f"{stage['stage']:<30} {stage['about']}{parts}".rstrip()
