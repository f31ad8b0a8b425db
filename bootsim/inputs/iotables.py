"""The tables of devices that the machines of a build map for good (arrays of struct map_desc).

    map_desc    0 virtual   4 pfn   8 length   12 type    (bytes; type is one of enum MT_*)

They exist in a kernel image alone; where a System.map describes the build, those of 5.10's source are used.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.inputs.vmlinux import Vmlinux

MEMORY_TYPES = 18  # of enum MT_*
_SUFFIX = "_io_desc"
_ROW = struct.Struct("<4I")


class IoRow(NamedTuple):
    """One row: [pa, pa + bytes) is mapped at va as memory type `type`."""

    table: str
    va: int
    pa: int
    size_bytes: int
    type: int

    def text(self) -> str:
        """The row as a description has it."""
        return f"{self.table} {self.va:#x} {self.pa:#x} {self.size_bytes:#x} {self.type}"


def io_tables_of_image(vmlinux: Vmlinux) -> tuple[str, ...]:
    """The rows of every table of a kernel image that is complete when the kernel is linked, in memory's order."""
    rows = [row for name, at, size in sorted(vmlinux.objects(_SUFFIX), key=lambda found: found[1])
            for row in _rows(vmlinux, name, at, size)]
    return tuple(row.text() for row in rows)


def _rows(vmlinux: Vmlinux, name: str, at: int, size: int) -> Iterator[IoRow]:
    rows = [IoRow(name, va, pfn << 12, length, kind) for va, pfn, length, kind in
            _ROW.iter_unpack(vmlinux.read(at, size // _ROW.size * _ROW.size))]
    # a table that the machine's code completes when it runs has rows without an address
    if all(row.va for row in rows):
        yield from rows


def parse_row(text: str) -> IoRow:
    """A row of a description. Raises ValueError."""
    table, *numbers = text.split()
    va, pa, size_bytes, kind = (int(number, 0) for number in numbers)
    row = IoRow(table, va, pa, size_bytes, kind)
    if not all(0 <= number <= 0xFFFFFFFF for number in row[1:]) or not size_bytes:
        raise ValueError(text)
    return row


def rows_of(rows: Sequence[str], table: str) -> list[IoRow]:
    """The rows of one table; none when the build does not tell it."""
    return [row for row in map(parse_row, rows) if row.table == table]
