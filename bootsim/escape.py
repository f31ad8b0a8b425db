"""Text from a device tree on its way to a person, a log or another program: nothing in it acts on where it is shown.

A tree's names and strings may hold anything: sequences that command a terminal, newlines that begin a line which a CI
server takes for its own, marks that turn the direction of writing. Whatever prints such text passes it through here.
"""

from __future__ import annotations

import re

# Control characters, marks of direction, lone surrogates. \t and \n are text's own.
_ACTS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_IN_TEXT = re.compile(f"[{_ACTS}]")
_IN_LINE = re.compile(f"[{_ACTS}\t\n\u2028\u2029]")
# What bootsim itself sends to a terminal stays: colors, and a line begun and cleared again.
_ON_TERMINAL = re.compile(f"\\A\r|\x1b\\[[0-9;]*[mK]|([{_ACTS}])")


def printable(text: str) -> str:
    """Return text of any number of lines with what would act where it is shown written as its bytes in hex."""
    return text if text.isprintable() else _IN_TEXT.sub(_hex, text)


def escaped(text: str) -> str:
    """Return text as a part of one line: as `printable`, and newlines and tabs too."""
    return text if text.isprintable() else _IN_LINE.sub(_hex, text)


def for_terminal(text: str) -> str:
    """Return what bootsim writes to a stream, colors and all, `printable`."""
    return text if text.isprintable() else _ON_TERMINAL.sub(lambda match: _hex(match) if match[1] else match[0], text)


def _hex(match: re.Match[str]) -> str:
    # a byte that was no UTF-8 stands in the text as a lone surrogate, \udc80 to \udcff
    errors = "surrogateescape" if "\udc80" <= match[0] <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", errors))
