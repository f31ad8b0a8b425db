"""What differs between the two boots of a page, as far as it does not depend on the stage that is looked at.

The page itself marks what differs in the states of a stage; here are the overview, the facts, the roots and the log,
and for each stage the names of the parts that differ.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from bootsim.state.logdiff import Entry, Line, align
from bootsim.state.side import record_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel

PARTS = ("memblock", "tables", "zones", "areas")
_WORDS = re.compile(r"0x[0-9a-fA-F]+|\w+|\s+|.")


def compare(boots: Sequence[dict[str, Any]], kernels: Sequence[Kernel]) -> dict[str, Any]:
    """Return the differences of two boots: `stages`, `overview`, `facts`, `roots` (names), `log` (aligned lines)."""
    a, b = boots
    return {
        "stages": [_parts(a, b, one, other) for one, other in zip(a["steps"], b["steps"], strict=True)],
        "overview": [row[0] for row, other in zip(a["overview"], b["overview"], strict=True) if row[2] != other[2]],
        "facts": _names(_values(a), _values(b)),
        "roots": _names(a["roots"], b["roots"]),
        "log": _log(boots, [record_lines(k) for k in kernels]),
    }


def _parts(a: dict[str, Any], b: dict[str, Any], one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [part for part in PARTS if _state(a, one, part) != _state(b, other, part)]


def _state(boot: dict[str, Any], step: dict[str, Any], part: str) -> Any:
    place = step[part]
    if place is None:
        return None
    state = boot[part][place]
    if part == "tables":
        return {**state, "pages": {pa: boot["l2"][page] for pa, page in state["pages"].items()}}
    return state


def _values(boot: dict[str, Any]) -> dict[str, str]:
    return {name: boot["facts"][place][1] for name, place in boot["newest"].items()}


def _names(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]


def _log(boots: Sequence[dict[str, Any]], lines: Sequence[list[Line]]) -> list[list[Any]]:
    # each step as [place in a or -1, place in b or -1, kind, pieces of a, pieces of b]
    places = [{id(line): i for i, line in enumerate(side)} for side in lines]
    return [_step(entry, boots, places) for entry in align(lines[0], lines[1])]


def _step(entry: Entry, boots: Sequence[dict[str, Any]], places: Sequence[dict[int, int]]) -> list[Any]:
    i = -1 if entry.a is None else places[0][id(entry.a)]
    j = -1 if entry.b is None else places[1][id(entry.b)]
    step: list[Any] = [i, j, entry.kind]
    if i >= 0 and j >= 0 and entry.kind != "same":
        step += _pieces(boots[0]["log"][i][3], boots[1]["log"][j][3])
    return step


def _pieces(a: str, b: str) -> tuple[list[str], list[str]]:
    """Cut two lines where they part: pieces alternate between same and different, the first is same."""
    one, other = _WORDS.findall(a), _WORDS.findall(b)
    left, right = [""], [""]
    for tag, a0, a1, b0, b1 in difflib.SequenceMatcher(a=one, b=other, autojunk=False).get_opcodes():
        if (tag == "equal") != (len(left) % 2 == 1):
            left.append("")
            right.append("")
        left[-1] += "".join(one[a0:a1])
        right[-1] += "".join(other[b0:b1])
    return left, right
