"""Boxes that point to boxes, as SVG and as text: how structures in memory hang together.

    column 0       column 1          column 2
    +-------+      +--------+        +--------+
    | title |   ,->| title  |    ,-->| title  |
    | row  -|--'   | row   -|---'    | row    |
    +-------+      | row   -|------> ...

A box lies in a column; a row of it may point to another box. What a picture leaves out it says in a row of its own.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bootsim import files
from bootsim.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_CHAR, _LINE, _PAD, _GAP, _BETWEEN, _MARGIN = 6.7, 17, 7, 12, 70, 8
STYLE = (".d-box{fill:#fff;stroke:#55606e}.d-head{fill:#dce8f5}.d-title{font-weight:bold}"
         ".d-arrow{fill:none;stroke:#1f6fb2;stroke-width:1.3}.d-tip{fill:#1f6fb2}"
         "text{fill:#17202b;font:11px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}")


class Row(NamedTuple):
    """A line of a box, the key of the box that it points to, and the topic of the course that treats it."""

    text: str
    to: str = ""
    topic: int = 0

    @property
    def words(self) -> str:
        """The text, and the topic."""
        return _with_topic(self.text, self.topic)


class Box(NamedTuple):
    """A structure: its key in the picture, what it is, its lines, and the topic of the course that treats it."""

    key: str
    title: str
    rows: list[Row]
    topic: int = 0

    @property
    def words(self) -> str:
        """The title, and the topic."""
        return _with_topic(self.title, self.topic)


def _with_topic(text: str, topic: int) -> str:
    return f"{text} [{topic}]" if topic else text


class _Place(NamedTuple):
    x: float
    y: float
    width: float
    box: Box

    @property
    def height(self) -> float:
        return _LINE * (1 + len(self.box.rows)) + _PAD


class Drawing:
    """A picture of boxes in columns. It shows itself in a notebook; at a prompt it is an outline; `save` writes SVG."""

    def __init__(self, title: str, columns: list[list[Box]]) -> None:
        self.title = title
        self.columns = columns

    def svg(self, *, style: bool = True, links: str = "") -> str:
        """Return the picture as SVG; without `style` the page around it says how the classes `d-...` look.

        `links` is the course's file, as seen from the picture: what bears a topic's number leads to the topic.
        """
        places = {place.box.key: place for place in self._places()}
        width = max((place.x + place.width for place in places.values()), default=0) + 3 * _MARGIN
        height = max((place.y + place.height for place in places.values()), default=0) + _MARGIN
        parts = [f"<style>{STYLE}</style>"] if style else []
        parts += [part for place in places.values() for part in _arrows(place, places)]  # under the boxes
        parts += [part for place in places.values() for part in _box(place, links)]
        return (f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" width="{width:.0f}" height="{height:.0f}" '
                f'viewBox="0 0 {width:.0f} {height:.0f}" role="img"><title>{escape(self.title)}</title>'
                f"{''.join(parts)}</svg>")

    def _places(self) -> Iterator[_Place]:
        x = float(_MARGIN)
        for boxes in self.columns:
            texts = [text for box in boxes for text in (box.words, *(row.words for row in box.rows))]
            y, width = float(_MARGIN), max(map(len, texts), default=0) * _CHAR + 2 * _PAD
            for box in boxes:
                place = _Place(x, y, width, box)
                yield place
                y += place.height + _GAP
            x += width + _BETWEEN

    def lines(self) -> Iterator[str]:
        """Yield the outline: each box under the row that first points to it."""
        boxes = {box.key: box for column in self.columns for box in column}
        seen: set[str] = set()
        for key in boxes:
            if key not in seen:
                yield from _outline(key, boxes, seen, 0)

    def save(self, file: str | os.PathLike[str], links: str = "") -> None:
        """Write the picture to an SVG file, with `links` as `svg` has it.

        Raises InputError where that cannot be, or the name says another kind.
        """
        if Path(file).suffix not in ("", ".svg"):
            raise InputError(f"{file}: expected a name that ends in .svg, the only kind that is written")
        files.write(file, self.svg(links=links) + "\n")

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return "\n".join([f"{self.title}; .save(FILE) writes it as SVG", *self.lines()])


def _outline(key: str, boxes: dict[str, Box], seen: set[str], depth: int) -> Iterator[str]:
    seen.add(key)
    yield f"{'  ' * depth}{boxes[key].words}"
    for row in boxes[key].rows:
        again = f" -> {boxes[row.to].title}" if row.to in seen else ""
        yield f"{'  ' * depth}  {row.words}{again}"
        if row.to and row.to not in seen:
            yield from _outline(row.to, boxes, seen, depth + 2)


def _box(place: _Place, links: str) -> Iterator[str]:
    x, y, width = place.x, place.y, place.width
    yield f'<rect class="d-box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{place.height:.1f}"/>'
    yield f'<rect class="d-head" x="{x + .5:.1f}" y="{y + .5:.1f}" width="{width - 1:.1f}" height="{_LINE}"/>'
    yield _text(x, y, place.box.words, "d-title", place.box.topic, links)
    for i, row in enumerate(place.box.rows, 1):
        yield _text(x, y + i * _LINE, row.words, "d-row", row.topic, links)


def _text(x: float, y: float, words: str, kind: str, topic: int, links: str) -> str:
    text = f'<text class="{kind}" x="{x + _PAD:.1f}" y="{y + 12.5:.1f}" xml:space="preserve">{escape(words)}</text>'
    return f'<a href="{escape(links)}#topic-{topic}">{text}</a>' if links and topic else text


def _arrows(place: _Place, places: dict[str, _Place]) -> Iterator[str]:
    for i, row in enumerate(place.box.rows, 1):
        if not row.to:
            continue
        to = places[row.to]
        x, y, tip = place.x + place.width, place.y + (i + .5) * _LINE, to.y + _LINE / 2
        if to.x > place.x:
            bend = min(_BETWEEN, to.x - x) / 2
            path = f"M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {to.x - bend:.1f} {tip:.1f} {to.x - 5:.1f} {tip:.1f}"
            head = f"M{to.x:.1f} {tip:.1f}l-7 -4v8z"
        elif to.x < place.x:  # back to a column on the left
            end, bend = to.x + to.width, _BETWEEN / 2
            path = (f"M{place.x:.1f} {y:.1f}C{place.x - bend:.1f} {y:.1f} {end + bend:.1f} {tip:.1f} "
                    f"{end + 5:.1f} {tip:.1f}")
            head = f"M{end:.1f} {tip:.1f}l7 -4v8z"
        else:  # in its own column: round its right side
            end = to.x + to.width
            path = f"M{x:.1f} {y:.1f}C{x + 25:.1f} {y:.1f} {end + 25:.1f} {tip:.1f} {end + 5:.1f} {tip:.1f}"
            head = f"M{end:.1f} {tip:.1f}l7 -4v8z"
        yield f'<path class="d-arrow" d="{path}"/><path class="d-tip" d="{head}"/>'
