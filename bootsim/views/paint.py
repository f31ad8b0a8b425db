"""A view's lines as a terminal shows them: colors, a heading over the columns, notes beside them."""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import TYPE_CHECKING

from bootsim.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BOLD, _DIM, _RED, _GREEN, _CYAN, _OFF = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"
_END = "\ue003"
_MARKS = {"\ue000": _RED, "\ue001": _GREEN, "\ue002": _BOLD, _END: _OFF}
_MARK = re.compile("([\ue000-\ue003])")
_TITLE = re.compile(r"""---\[|==>|Node\ 0,\ zone\ +\w+$|PGD\ |PTE\ |hardware\ 0x|Virtual\ |Physical\ |VIRTUAL\ |
                        \ \ PAGE\ \ |Page\ block|Pages\ per|Number\ of|Free\ pages""", re.VERBOSE)
_PART = re.compile(r"(?P<addr>\b(?:0x)?[0-9a-f]{8}\b)|(?P<wx>\bRW x\b)|(?P<ro>\bro\b)|(?P<zero>(?<= )0(?= |$))")
_STYLES = {"addr": _CYAN, "wx": _RED, "ro": _GREEN, "zero": _DIM}


def title(text: str) -> str:
    """Return a header line in bold."""
    return f"{_BOLD}{text}{_OFF}"


def painted(lines: Iterable[str], heading: str | None = None, notes: Iterable[str] = ()) -> Iterator[str]:
    """Yield lines in color: addresses, writable code, zeros; `heading` above them and a note beside each, dimmed."""
    if heading is not None:
        yield f"{_DIM}{heading}{_OFF}"
    for line, note in zip(lines, chain(notes, repeat("")), strict=False):
        yield _painted(line) + (f"  {_DIM}{note}{_OFF}" if note else "")


def _painted(line: str) -> str:
    if _TITLE.match(line):
        return title(line)
    return _PART.sub(lambda match: f"{_STYLES[match.lastgroup or 'addr']}{match[0]}{_OFF}", line)


class Paint:
    """Colors for a text of two boots: what the first has, what the second has. Plain text when not `on`.

    Colors are marks until `finish` makes terminal sequences of them, so that no text can hold one of its own.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def a(self, text: str) -> str:
        """What the first boot has."""
        return self._in("\ue000", text)

    def b(self, text: str) -> str:
        """What the second boot has."""
        return self._in("\ue001", text)

    def bold(self, text: str) -> str:
        """A name to look for."""
        return self._in("\ue002", text)

    def _in(self, mark: str, text: str) -> str:
        return f"{mark}{text}{_END}" if self._on and text else text

    def finish(self, line: str) -> str:
        """The line as a terminal gets it: marks as colors, what is not printable as its bytes in hex."""
        if not self._on:
            return printable(line)
        return "".join(_MARKS.get(part) or printable(part) for part in _MARK.split(line))

    def wrap(self, text: str, width: int, first: str = "", then: str = "") -> list[str]:
        """The text on lines of at most `width` characters, colors not counted, `first` and `then` before them.

        A color goes on in the next line. Words are not cut.
        """
        lines, line, color = [], first, ""
        length, empty = len(first), True
        for word in re.split(r"( +)", text):
            plain = len(_MARK.sub("", word))
            if not empty and not word.isspace() and length + plain > width:
                lines.append(line.rstrip(" ") + (_END if color else ""))
                line, length, empty = then + color, len(then), True
            if empty and word.isspace() and lines:
                continue
            line, length, empty = line + word, length + plain, empty and not word.strip()
            for mark in _MARK.findall(word):
                color = "" if mark == _END else mark
        return [*lines, line.rstrip(" ")]
