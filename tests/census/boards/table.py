"""The census as a table, and whether it is good enough."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from boards.census import BOOTED, NOT_COMPARED, NOT_MODELLED, NOT_PARSED, PANICKED, REFUSED, TRACEBACK, Row
from boards.equality import DIFFERS, EQUAL, IDENTICAL

MAX_UNEQUAL = 4  # of all trees, in a run of the whole kernel tree

# Boards that die in the real kernel too, and why.
KNOWN_PANICS = {
    "axm5516-amarillo.dts": "8 GiB in one bank from 0: 32-bit arithmetic makes 0 of the size, and no memory is left; "
    "the board needs a kernel with LPAE",
    **dict.fromkeys(
        ("keystone-k2e-evm.dts", "keystone-k2hk-evm.dts", "keystone-k2l-evm.dts"),
        "a CMA area at 0x81f800000 is 0x1f800000 in 32 bits, which lies below RAM; the board needs a kernel with LPAE",
    ),
}


def report(rows: Sequence[Row], skipped: str = "") -> str:
    """The table. `skipped` says why trees were not held against dtc."""
    count = Counter(row.outcome for row in rows)
    booted = [row for row in rows if row.outcome == BOOTED]
    with_hooks = [row for row in booted if row.hooks and not row.missing]
    missing = [row for row in booted if row.missing]
    lines = [f"{len(rows)} trees", "", *_parsing(rows, skipped), ""]
    lines.append(f"{'booted to free_initmem':34} {count[BOOTED]:5}")
    lines.append(f"{'  machine without code of its own':34} {len(booted) - len(with_hooks) - len(missing):5}")
    lines.append(f"{'  machine with code of its own':34} {len(with_hooks):5}")
    lines += _counted((row.hooks for row in with_hooks), "    ")
    lines.append(f"{'  machine hooks not modelled':34} {len(missing):5}")
    lines += _counted((row.missing for row in missing), "    ")
    for outcome in (PANICKED, NOT_MODELLED, REFUSED, TRACEBACK):
        lines.append(f"{outcome:34} {count[outcome]:5}")
        group = [row for row in rows if row.outcome == outcome]
        if outcome == NOT_MODELLED:
            lines += _counted((row.reason for row in group), "  ")
        else:
            lines += [f"  {row.name}: {_why(row)}" for row in group]
    return "\n".join(lines)


def _parsing(rows: Sequence[Row], skipped: str) -> list[str]:
    count = Counter(row.parsed for row in rows)
    lines = [f"{'parsed':34} {len(rows) - count[NOT_PARSED]:5}"]
    if count[NOT_COMPARED]:
        lines.append(f"{'  not held against dtc':34} {count[NOT_COMPARED]:5}  {skipped}".rstrip())
    if len(rows) - count[NOT_COMPARED] - count[NOT_PARSED]:
        lines.append(f"{'  byte for byte as dtc':34} {count[IDENTICAL]:5}")
        lines.append(f"{'  equal values and order':34} {count[EQUAL]:5}")
        lines.append(f"{'  differing':34} {count[DIFFERS]:5}")
    lines += [f"    {row.name}: {row.difference}" for row in rows if row.parsed in (EQUAL, DIFFERS)]
    return lines


def _counted(what: Any, indent: str) -> list[str]:
    return [f"{indent}{n:5}  {text}" for text, n in sorted(Counter(what).items(), key=lambda item: (-item[1], item[0]))]


def _why(row: Row) -> str:
    if row.outcome == PANICKED:
        known = f"; known: {KNOWN_PANICS[row.name]}" if row.name in KNOWN_PANICS else ""
        hooks = f"; machine hooks not modelled: {row.missing}" if row.missing else ""
        return f"{row.reason}; cause: {row.cause}{hooks}{known}"
    return row.reason.rstrip().replace("\n", "\n    ")


def one_line(row: Row) -> str:
    """A row by itself."""
    more = row.reason.strip().splitlines()[-1:] or ([f"hooks: {row.hooks}"] if row.hooks else [])
    return " ".join([f"{row.outcome:12} {row.parsed:12} {row.seconds:6.2f}s {row.name}", *more])


def failures(rows: Sequence[Row]) -> list[str]:
    """What keeps the census from passing; empty when it passes."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.outcome == TRACEBACK:
            groups["tracebacks"].append(row.name)
        elif row.outcome == REFUSED and row.parsed == NOT_PARSED:
            groups["trees not parsed"].append(row.name)
        elif row.outcome in (PANICKED, REFUSED) and row.name not in KNOWN_PANICS:
            groups["boards that did not boot"].append(row.name)
        elif row.missing:
            groups["machine hooks not modelled"].append(row.name)
    unequal = [row.name for row in rows if row.parsed in (DIFFERS, NOT_PARSED)]
    if len(unequal) > MAX_UNEQUAL:
        groups[f"more than {MAX_UNEQUAL} trees unequal to dtc's"] = unequal
    return [f"{what}: {len(names)} ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"
            for what, names in groups.items()]


def as_json(rows: Sequence[Row], skipped: str = "") -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "trees": len(rows),
        "parsed": dict(Counter(row.parsed for row in rows)),
        "dtc_skipped": skipped or None,
        "outcomes": dict(Counter(row.outcome for row in rows)),
        "failures": failures(rows),
        "rows": [row.as_dict() for row in rows],
    }
