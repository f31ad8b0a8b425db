"""A tree as a blob, laid out as dtc lays it out.

For trees that edits have made: their names may be any that a blob can hold, which the fdt library, which writes what
comes from source (bootsim.inputs.dts), refuses.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bootsim.inputs.dtb import BEGIN_NODE, END, END_NODE, HEADER_BYTES, MAGIC, PROP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootsim.inputs.tree import Node

_word = struct.Struct(">I").pack
_prop = struct.Struct(">III").pack


def flatten(root: Node, reservations: Iterable[tuple[int, int]], boot_cpuid: int = 0) -> bytes:
    """The blob, version 17, of a root and of memory reservations as (pa, bytes)."""
    writer = _Writer()
    writer.write(root)
    structure = b"".join(writer.tokens) + _word(END)
    strings = bytes(writer.strings)
    entries = b"".join(struct.pack(">QQ", *entry) for entry in reservations) + bytes(16)
    off_struct = HEADER_BYTES + len(entries)
    off_strings = off_struct + len(structure)
    header = struct.pack(
        ">4s9I", MAGIC, off_strings + len(strings), off_struct, off_strings, HEADER_BYTES, 17, 16, boot_cpuid,
        len(strings), len(structure),
    )  # fmt: skip
    return header + entries + structure + strings


class _Writer:
    def __init__(self) -> None:
        self.tokens: list[bytes] = []
        self.strings = bytearray()
        self._offsets: dict[str, int] = {}

    def write(self, node: Node) -> None:
        """Append the tokens of a node and of all below it."""
        add = self.tokens.append
        add(_word(BEGIN_NODE) + padded(node.name.encode("latin-1") + b"\0"))
        for name, value in node.props:
            add(_prop(PROP, len(value), self._offset(name)) + padded(value))
        for child in node.nodes:
            self.write(child)
        add(_word(END_NODE))

    def _offset(self, name: str) -> int:
        # a name that is there, or is the tail of one, is not written again
        offset = self._offsets.get(name)
        if offset is None:
            text = name.encode("latin-1") + b"\0"
            offset = self.strings.find(text)
            if offset < 0:
                offset = len(self.strings)
                self.strings += text
            self._offsets[name] = offset
        return offset


def padded(value: bytes) -> bytes:
    """A value with zeroes behind it, up to whole cells."""
    return value if len(value) % 4 == 0 else value + bytes(-len(value) % 4)
