"""What a run tells: progress on standard error, the table on standard output, or JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from realboot.replay import Result

_SECONDS_BETWEEN = 60


class Progress:
    """One line that tells what is going on: rewritten in place on a terminal, now and then elsewhere."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started = time.monotonic()
        self._shown = self._started
        self._live = sys.stderr.isatty()
        self(" ")

    def __call__(self, what: str) -> None:
        """Show what is going on now."""
        now = time.monotonic()
        if now - self._shown < (0.2 if self._live else _SECONDS_BETWEEN) and what != " ":
            return
        self._shown = now
        line = f"{self._label} {now - self._started:.0f} s {what}".rstrip()
        text, end = (f"\r\033[K{line[:110]}", "") if self._live else (line, "\n")
        print(text, end=end, file=sys.stderr, flush=True)

    def done(self) -> float:
        """Wipe the line, and tell how long it took."""
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        return time.monotonic() - self._started


def header(width: int) -> str:
    """The titles of the table."""
    return f"{'':4} {'boot':{width}}  {'rows':>5}  {'matched/total':>15}  {'real':>6}  {'replay':>6}"


def line(result: Result, width: int) -> str:
    """The row of one boot; a captured boot that was kept from an earlier run has no time."""
    mark = "ok" if result.ok else "FAIL" if result.error else "DIFF"
    if result.error:
        return f"{mark:4} {result.name:{width}}  {result.error}"
    good = sum(row.ok for row in result.rows)
    real = "kept" if result.kept else f"{result.real_s:.1f}s"
    return (
        f"{mark:4} {result.name:{width}}  {f'{good}/{len(result.rows)}':>5}  {f'{result.matched}/{result.total}':>15}"
        f"  {real:>6}  {result.replay_s:>5.1f}s"
    )


def differences(result: Result, show: int) -> Iterator[str]:
    """The rows of a boot that differ, and the first of their differences."""
    for row in result.rows:
        if not row.ok:
            yield f"       {row.name}: {row.matched}/{row.total}"
            yield from (f"         {difference}" for difference in row.differences[:show])
    if result.rows and not result.ok:
        yield f"       more: bootsim compare {result.real} {result.replay}"


def total(results: Iterable[Result], width: int) -> str:
    """The last line."""
    results = list(results)
    good = sum(result.ok for result in results)
    rows = sum(row.ok for result in results for row in result.rows), sum(len(result.rows) for result in results)
    parts = sum(result.matched for result in results), sum(result.total for result in results)
    name = f"total: {good} of {len(results)} boots agree"
    return f"{'':4} {name:{width}}  {f'{rows[0]}/{rows[1]}':>5}  {f'{parts[0]}/{parts[1]}':>15}"


def as_json(results: list[Result]) -> str:
    """Everything, for programs."""
    boots: list[dict[str, Any]] = [
        {
            "name": result.name,
            "ok": result.ok,
            "error": result.error or None,
            "matched": result.matched,
            "total": result.total,
            "real_seconds": None if result.kept else round(result.real_s, 2),
            "replay_seconds": round(result.replay_s, 2),
            "real": str(result.real) if result.real else None,
            "replay": str(result.replay) if result.replay else None,
            "rows": [row._asdict() for row in result.rows],
        }
        for result in results
    ]
    summary = {
        "ok": all(result.ok for result in results),
        "matched": sum(result.matched for result in results),
        "total": sum(result.total for result in results),
    }
    return json.dumps({**summary, "boots": boots}, indent=1)
