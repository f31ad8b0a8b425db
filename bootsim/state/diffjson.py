"""A difference of two boots as plain values, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootsim.facts import Fact
    from bootsim.state.causal import Causes, FactChange
    from bootsim.state.diff import Difference
    from bootsim.state.logdiff import Entry, Line


def as_json(difference: Difference) -> dict[str, Any]:
    """Return names, log, state and causes; `same` says whether there is any difference."""
    causes = difference.causes
    return {
        "same": difference.same,
        "a": difference.a.name,
        "b": difference.b.name,
        "log": [_entry(difference, entry) for entry in difference.log_changes],
        "state": [{**change._asdict(), "stages": list(change.stages), "because": list(change.because)}
                  for change in difference.state],
        "roots": [] if causes is None else _roots(difference, causes),
        "facts": [] if causes is None else [_fact_change(causes, change) for change in difference.fact_changes],
        "causes_known": causes is not None,
        "unexplained": [item._asdict() for item in difference.unexplained],
    }  # fmt: skip


def _entry(difference: Difference, entry: Entry) -> dict[str, Any]:
    line = entry.line
    found: dict[str, Any] = {
        "kind": entry.kind, "function": line.func, "stage": line.stage, "text": entry.merged(),
        "a": _line(entry.a), "b": _line(entry.b), "because": difference.reasons(entry),
    }  # fmt: skip
    if entry.kind == "moved":
        found |= {"after_a": _line(entry.after_a), "after_b": _line(entry.after_b)}
    return found


def _line(line: Line | None) -> dict[str, Any] | None:
    return None if line is None else {"text": line.text, "fields": dict(line.fields), "kernel": line.kernel}


def _roots(difference: Difference, causes: Causes) -> list[dict[str, Any]]:
    return [change._asdict() for name in difference.roots for change in causes.root(name)]


def _fact_change(causes: Causes, change: FactChange) -> dict[str, Any]:
    return {
        "name": change.name, "a": _fact(change.a), "b": _fact(change.b),
        "because": causes.parents(change.name) if change.name in causes.explained else [],
    }  # fmt: skip


def _fact(fact: Fact | None) -> dict[str, Any] | None:
    return None if fact is None else {**fact._asdict(), "inputs": list(fact.inputs)}
