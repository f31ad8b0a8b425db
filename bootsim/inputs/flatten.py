"""A tree as a blob, laid out as dtc lays it out.

For trees that edits have made: their names may be any that a blob can hold, which the fdt library, which writes what
comes from source (bootsim.inputs.dts), refuses.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bootsim.inputs.dtb import BEGIN_NODE, END, END_NODE, HEADER_BYTES, MAGIC, MAX_DEPTH, MAX_NAME, PROP
from bootsim.inputs.tree import Spot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootsim.inputs.tree import Node

_word = struct.Struct(">I").pack
_prop = struct.Struct(">III").pack


def flatten(root: Node, reservations: Iterable[tuple[int, int]], boot_cpuid: int = 0) -> bytes:
    """The blob, version 17, of a root and of memory reservations as (pa, bytes)."""
    return laid_out(root, reservations, boot_cpuid)[0]


def laid_out(root: Node, reservations: Iterable[tuple[int, int]], boot_cpuid: int = 0) -> tuple[bytes, Spot | None]:
    """The blob as flatten() makes it, and where the root lies in it: None where what is read of it would be another."""
    pairs = list(reservations)
    entries = b"".join(struct.pack(">QQ", *entry) for entry in pairs) + bytes(16)
    off_struct = HEADER_BYTES + len(entries)
    writer = _Writer(off_struct)
    spot = writer.write(root, 0)
    structure = b"".join(writer.tokens) + _word(END)
    strings = bytes(writer.strings)
    off_strings = off_struct + len(structure)
    header = struct.pack(
        ">4s9I", MAGIC, off_strings + len(strings), off_struct, off_strings, HEADER_BYTES, 17, 16, boot_cpuid,
        len(strings), len(structure),
    )  # fmt: skip
    same = writer.readable and all(size for _, size in pairs)
    return header + entries + structure + strings, spot if same else None


class _Writer:
    def __init__(self, start: int) -> None:
        self.at = start
        self.readable = True
        self.tokens: list[bytes] = []
        self.strings = bytearray()
        self._offsets: dict[str, int] = {}

    def write(self, node: Node, depth: int) -> Spot:
        """Append the tokens of a node and of all below it; returns where they lie."""
        add, start, offsets = self.tokens.append, self.at, []
        name = padded(node.name.encode("latin-1") + b"\0")
        add(_word(BEGIN_NODE) + name)
        at = start + 4 + len(name)
        for prop, value in node.props:
            token = _prop(PROP, len(value), self._offset(prop)) + padded(value)
            add(token)
            offsets.append(at)
            at += len(token)
        self.at = at
        spots = tuple([self.write(child, depth + 1) for child in node.nodes])
        add(_word(END_NODE))
        self.at += 4
        fits = not depth or (node.name and "/" not in node.name and len(node.name) <= MAX_NAME)
        if not fits or depth >= MAX_DEPTH or "\0" in node.name:
            self.readable = False
        return Spot(start, self.at, tuple(offsets), spots)

    def _offset(self, name: str) -> int:
        # a name that is there, or is the tail of one, is not written again
        offset = self._offsets.get(name)
        if offset is None:
            text = name.encode("latin-1") + b"\0"
            self.readable &= "\0" not in name
            offset = self.strings.find(text)
            if offset < 0:
                offset = len(self.strings)
                self.strings += text
            self._offsets[name] = offset
        return offset


def padded(value: bytes) -> bytes:
    """A value with zeroes behind it, up to whole cells."""
    return value if len(value) % 4 == 0 else value + bytes(-len(value) % 4)
