"""The page of recorded processes: address spaces over the operations, pages, faults, and who shares which frame."""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bootsim.escape import printable
from bootsim.lab.processlife import KINDS
from bootsim.page import PAGE_SIZE
from bootsim.version import __version__
from bootsim.views.report.life import chart
from bootsim.views.report.render import content_hash, resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bootsim.lab.processlife import ProcessLife, Shared, Span
    from bootsim.lab.processreplay import ProcessReplay

_WIDTH, _LEFT, _BOTTOM, _GAP = 1000, 90, 24, 14
_LABEL = 12  # px between two labels of the axis


def render(replay: ProcessReplay, life: ProcessLife, name: str) -> str:
    """Return the page, as HTML."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = resource("report.css")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resource("processlife.html.j2"))
    pids = sorted({pid for step in life.steps for pid in step.resident})
    return template.render(
        name=printable(name), version=__version__, style=Markup(style), style_hash=content_hash(style),  # noqa: S704
        svg=Markup, kinds=KINDS, numbers=list(_numbers(replay, life, pids)),
        spaces=[{"pid": pid, "svg": address_space(life.spans, pid, len(life.steps)),
                 "rows": [(f"{s.start:#010x}", s.kind, s.words, s.first, s.last)
                          for s in life.spans if s.pid == pid]} for pid in pids],
        charts=list(_charts(life, pids)), operations=list(_operations(life)), sharing=_sharing(life),
    )  # fmt: skip


def _numbers(replay: ProcessReplay, life: ProcessLife, pids: Sequence[int]) -> Iterator[tuple[str, str]]:
    (agree, total), (same, entries) = replay.mappings(), replay.entries()
    yield "Build", printable(replay.k.build.name)
    yield "Operations", str(len(life.steps))
    yield "Answers that agree", f"{replay.agree} of {replay.asked}"
    yield "Mappings that agree", f"{agree} of {total}"
    yield "Entries that agree", f"{same} of {entries}"
    yield "Processes", ", ".join(map(str, pids))
    yield "Page faults", str(life.steps[-1].faults if life.steps else 0)


def heights(spans: Sequence[Span]) -> list[tuple[int, int, float]]:
    """Return (start, end, height in px) of each stretch of addresses that a boundary of a span ends, from the top down.

    A stretch of 2**n pages is as high as n allows; one that nothing is mapped in has the height of a gap.
    """
    bounds = sorted({at for span in spans for at in (span.start, span.end)}, reverse=True)
    found = []
    for end, start in pairwise(bounds):
        used = any(span.start <= start and end <= span.end for span in spans)
        found.append((start, end, 4 + 3 * math.log2((end - start) // PAGE_SIZE) if used else _GAP))
    return found


def address_space(spans: Sequence[Span], pid: int, operations: int) -> str:
    """Return the mappings of one process as SVG: operations from left to right, addresses downwards, gaps squeezed."""
    own = [span for span in spans if span.pid == pid]
    tops: dict[int, float] = {}
    y = 8.0
    for start, end, height in heights(own):
        tops.setdefault(end, y)
        y += height
        tops[start] = y
    parts = list(_axis(tops, y, operations))
    for span in own:
        left, right = _x(span.first, operations), _x(span.last + 1, operations)
        top, bottom = tops[span.end], tops[span.start]
        words = f"{span.words}; {span.kind}, operations {span.first} to {span.last}"
        parts.append(f'<rect class="s-{KINDS.index(span.kind)}" x="{left:.1f}" y="{top:.1f}" '
                     f'width="{right - left:.1f}" height="{bottom - top:.1f}"><title>{_text(words)}</title></rect>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {_WIDTH} {y + _BOTTOM:.0f}" '
            f'role="img" aria-label="Mappings of process {pid} over the operations">{"".join(parts)}</svg>')


def _axis(tops: Mapping[int, float], bottom: float, operations: int) -> Iterator[str]:
    last = -_LABEL
    for at, y in tops.items():
        if y - last >= _LABEL:
            last = int(y)
            yield f'<text class="c-label" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{at:#010x}</text>'
    for number, anchor in ((0, "start"), (operations // 2, "middle"), (operations, "end")):
        yield (f'<text class="c-label" x="{_x(number, operations):.1f}" y="{bottom + _BOTTOM - 6:.1f}" '
               f'text-anchor="{anchor}">{number}</text>')


def _x(operation: int, operations: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - 10) * operation / max(operations, 1)


def _text(words: str) -> str:
    return escape(printable(words))


def _charts(life: ProcessLife, pids: Sequence[int]) -> Iterator[dict[str, Any]]:
    ends = list(range(1, len(life.steps) + 1))
    marks = [(number, "a signal") for number, step in enumerate(life.steps, 1) if step.signal]
    resident = {f"process {pid}": [step.resident.get(pid, 0) for step in life.steps] for pid in pids}
    faults = {"faults": [step.faults for step in life.steps]}
    for title, series, what in (("Pages in memory", resident, "pages of each process, as RSS counts them"),
                                ("Page faults", faults, "how many there were")):  # fmt: skip
        yield {"title": title, "what": what, "names": list(series),
               "svg": chart(title, series, ends, marks, "operation")}


def _operations(life: ProcessLife) -> Iterator[tuple[int, str, int, str]]:
    before = 0
    for number, step in enumerate(life.steps):
        pages = ", ".join(f"{pid}: {pages}" for pid, pages in step.resident.items())
        yield number, printable(step.words), step.faults - before, pages
        before = step.faults


def _sharing(life: ProcessLife) -> dict[str, Any] | None:
    if life.sharing is None:
        return None
    rows = [(one.frames, one.what, _places(one)) for one in life.sharing.frames]
    return {"after": life.sharing.after, "count": sum(one.frames for one in life.sharing.frames), "rows": rows,
            "svg": life.sharing.drawing.svg(style=False), "title": printable(life.sharing.drawing.title)}


def _places(one: Shared) -> str:
    size = one.frames * PAGE_SIZE
    return ", ".join(f"process {pid} at {va:#010x}-{va + size:#010x}" for pid, va in one.shown)
