"""The page of the allocators' life under a recording: charts over time, and frames with their biographies."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bootsim.escape import printable
from bootsim.lab import structures
from bootsim.lab.life import LARGE
from bootsim.page import PAGE_SIZE
from bootsim.version import __version__
from bootsim.views.report.render import content_hash, resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bootsim.lab.life import Biography, Life
    from bootsim.lab.replay import PageReplay

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 1000, 220, 70, 24, 8
_ROWS = 20  # of a table of a chart
_COLOURS = 6
_TOLD = 400  # records of a biography


def render(replay: PageReplay, life: Life, name: str) -> str:
    """Return the page, as HTML."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = resource("report.css")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resource("life.html.j2"))
    right, asked, first = replay.score()
    return template.render(
        name=printable(name), version=__version__, style=Markup(style), style_hash=content_hash(style),  # noqa: S704
        svg=Markup, numbers=list(_numbers(replay, life, right, asked, first)), charts=list(_charts(life, first)),
        frames=[_frame(one, replay.at) for one in life.frames],
        drawing=structures.node(replay.k).svg(style=False),
    )  # fmt: skip


def _numbers(replay: PageReplay, life: Life, right: int, asked: int, first: Any) -> Iterator[tuple[str, str]]:
    build = replay.k.build
    yield "Build", printable(build.name)
    yield "Records replayed", f"{replay.at} of {len(replay.records)}"
    yield "Answers that agree", f"{right} of {asked}"
    if first is not None:
        yield "First that differs", f"record {first[0]}"
    for what, counts in life.events.items():
        yield what[0].upper() + what[1:], str(sum(counts))
    yield "Page requests that failed", str(life.failed)
    yield "Compactions of a zone", str(len(life.compactions))


def _charts(life: Life, first: Any) -> Iterator[dict[str, Any]]:
    marks = [(record, "compaction begins") for record in life.compactions]
    marks += [] if first is None else [(first[0], "first answer that differs")]
    free = {f"{zone}, free": pages for zone, pages in life.free.items()}
    large = {f"{zone}, in blocks of order {LARGE} and above": pages for zone, pages in life.large.items()}
    lengths = [end - start for start, end in pairwise([0, *life.ends])]
    rates = {name: [1000 * value // length for value, length in zip(values, lengths, strict=True)]
             for name, values in life.events.items()}
    for title, series, what in (("Events", rates, "of a thousand records"), ("Free pages", free, "pages"),
                                ("Large free blocks", large, "pages")):  # fmt: skip
        kept = {name: values for name, values in series.items() if any(values)}
        yield {"title": title, "what": what, "svg": chart(title, kept, life.ends, marks),
               "names": list(kept), "rows": list(_rows(kept, life.ends))}  # fmt: skip


def _rows(series: Mapping[str, Sequence[int]], ends: Sequence[int]) -> Iterator[list[int]]:
    step = max(1, len(ends) // _ROWS)
    for i in range(step - 1, len(ends), step):
        yield [ends[i], *(values[i] for values in series.values())]


def chart(title: str, series: Mapping[str, Sequence[int]], ends: Sequence[int], marks: Sequence[tuple[int, str]],
          unit: str = "record") -> str:  # fmt: skip
    """Return lines over the number of records as SVG; `marks` are records to point out, which `unit` names."""
    top = max((max(values) for values in series.values() if values), default=0) or 1
    last = ends[-1] if ends else 1

    def x(record: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 10) * record / last

    def y(value: int) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * value / top

    parts = [f'<line class="c-axis" x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
             f'<text class="c-label" x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>'
             for value in (0, top // 2, top)]
    parts += [f'<text class="c-label" x="{x(record):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{record}</text>'
              for record, anchor in ((0, "start"), (last // 2, "middle"), (last, "end"))]
    parts += [f'<line class="c-mark" x1="{x(record):.1f}" x2="{x(record):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}">'
              f"<title>{unit} {record}: {what}</title></line>" for record, what in marks]
    for i, (name, values) in enumerate(series.items()):
        path = " ".join(f"{x(end):.1f},{y(value):.1f}" for end, value in zip(ends, values, strict=True))
        parts.append(f'<polyline class="c-line c-{i % _COLOURS}" points="{path}"><title>{name}</title></polyline>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{title} over the {unit}s">{"".join(parts)}</svg>')


def _frame(one: Biography, end: int) -> dict[str, Any]:
    return {
        "pfn": f"{one.pfn:#x}", "pa": f"{one.pfn * PAGE_SIZE:#x}", "boot": printable(one.boot),
        "used": sum(used for _, used, _ in one.story), "bar": _bar(one, end), "count": len(one.story),
        "rows": [(str(record), "in use" if used else "free", what) for record, used, what in one.story[:_TOLD]],
        "more": max(0, len(one.story) - _TOLD),
    }  # fmt: skip


def _bar(one: Biography, end: int) -> str:
    # when the frame was in use
    whole = max(end, 1)
    parts = [f'<rect class="f-ram" x="0" y="0" width="{_WIDTH}" height="24"/>']
    since = None
    for record, used, _ in [*one.story, (end, False, "")]:
        if used and since is None:
            since = record
        elif not used and since is not None:
            left, width = _WIDTH * since / whole, max(_WIDTH * (record - since) / whole, .3)
            parts.append(f'<rect class="f-image" x="{left:.2f}" y="0" width="{width:.2f}" height="24">'
                         f"<title>in use from record {since} to {record}</title></rect>")
            since = None
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="wherebar" viewBox="0 0 {_WIDTH} 24" '
            f'preserveAspectRatio="none" role="img" aria-label="When frame {one.pfn:#x} was in use">'
            f"{''.join(parts)}</svg>")
