"""A view's lines as a terminal shows them: colors, a heading over the columns, notes beside them."""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BOLD, _DIM, _RED, _GREEN, _CYAN, _OFF = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"
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
