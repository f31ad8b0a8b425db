"""Tables of devices out of a kernel image, and their rows in a description."""

import importlib
import struct
from pathlib import Path

import pytest

from bootsim.inputs.configfile import read_build
from bootsim.inputs.iotables import IoRow, io_tables_of_image, parse_row, rows_of
from bootsim.linux.arch.arm.asm.mach.arch import MODELLED
from bootsim.linux.arch.arm.asm.mach.map import io_desc

DEBIAN = read_build(Path(__file__).parents[1] / "golden" / "builds" / "deb510armmp.yaml")


class Image:
    """Objects in memory, as of a vmlinux."""

    def __init__(self, **tables):
        self.tables, self.at = {}, 0x1000
        for name, rows in tables.items():
            self.tables[name] = (self.at, b"".join(struct.pack("<4I", *row) for row in rows))
            self.at -= 0x100

    def objects(self, suffix):
        return [(name, at, len(data)) for name, (at, data) in self.tables.items() if name.endswith(suffix)]

    def read(self, va, size):
        return next(data for at, data in self.tables.values() if at == va)[:size]


def test_rows_in_the_order_of_memory():
    image = Image(b_io_desc=[(0xFE000000, 0x70000, 0x1000, 0)],
                  a_io_desc=[(0xFD000000, 0x60000, 0x2000, 1), (0xFC000000, 0x50000, 0x3000, 0)])
    assert io_tables_of_image(image) == (
        "a_io_desc 0xfd000000 0x60000000 0x2000 1", "a_io_desc 0xfc000000 0x50000000 0x3000 0",
        "b_io_desc 0xfe000000 0x70000000 0x1000 0")


def test_a_table_that_is_completed_at_run_time_is_left_out():
    assert io_tables_of_image(Image(scu_io_desc=[(0, 0, 0x1000, 0)])) == ()


def test_a_row_is_read_as_it_is_written():
    row = IoRow("tegra_io_desc", 0xFE200000, 0x60000000, 0x100000, 0)
    assert parse_row(row.text()) == row
    assert rows_of([row.text(), "x_io_desc 1 2 3 4"], "tegra_io_desc") == [row]


@pytest.mark.parametrize("text", ["x_io_desc 1 2 3", "x_io_desc 1 2 0 0", "x_io_desc 1 2 0x100000000 0", "x 1 2 z 0"])
def test_what_is_no_row(text):
    with pytest.raises((TypeError, ValueError)):
        parse_row(text)


def test_the_tables_of_the_source_are_those_of_a_real_kernel():
    known = {}
    for module in {place.partition(":")[0] for place in MODELLED.values()}:
        tables = vars(importlib.import_module(f"bootsim.linux.arch.arm.{module}"))
        known |= {name: list(rows) for name, rows in tables.items() if name.endswith("_io_desc")}
    real = {}
    for row in map(parse_row, DEBIAN.io_tables):
        real.setdefault(row.table, []).append(io_desc(row.va, row.pa, row.size_bytes, row.type))
    assert len(real) == 10
    assert {name: known[name] for name in real} == real
