"""Quantities: what a boot answers by name."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.state.overlaps import overlaps
from bootsim.state.quantities import FAMILIES, TABLE, Quantities, UnknownQuantityError, is_known, shown, size_text

MIB = 1 << 20

# 1 GiB from 0x60000000; the kernel's own table of the real board:
#   lowmem : 0xc0000000 - 0xf0000000 (768 MB), vmalloc : 0xf0800000 - 0xff800000 (240 MB), cma at the top of RAM
KNOWN = {
    "lowmem": 768 * MIB,
    "highmem": 256 * MIB,
    "lowmem.limit": 0x90000000,
    "memory": 1024 * MIB,
    "memory.start": 0x60000000,
    "memory.end": 0xA0000000,
    "vmalloc.start": 0xF0800000,
    "vmalloc.end": 0xFF800000,
    "vmalloc.size": 240 * MIB,
    "cma": 16 * MIB,
    "cma.default.base": 0x9F000000,
    "cma.default.end": 0xA0000000,
    "reserved.vram.base": 0x4C000000,
    "reserved.vram@4c000000.size": 8 * MIB,
    "zone.Normal.start": 0x60000000,
    "zone.HighMem.size": 256 * MIB,
    "present_pages": 262144,
    "overlap": 0,
    "warning": 0,
    "panic": 0,
    "verdict": "ok",
    "build": "3G/1G",
    "arm_lowmem_limit": 0x90000000,
}


@pytest.fixture(scope="module")
def kernel():
    return bootsim.boot("vexpress.dts", mem="1G")


@pytest.mark.parametrize("name", KNOWN)
def test_known_values(kernel, name):
    assert Quantities(kernel).value(name) == KNOWN[name]


def test_every_name_listed_has_a_value_and_a_unit(kernel):
    quantities = Quantities(kernel)
    names = [name for name in quantities.names() if name != "digest"]
    assert len(names) > 60
    for name in names:
        assert quantities.value(name) is not None
        assert quantities.unit(name)
        assert quantities.shown(name)


def test_sums_agree(kernel):
    value = Quantities(kernel).value
    assert value("lowmem") + value("highmem") == value("memory")
    assert value("managed_pages") + value("reserved_pages") == value("present_pages")
    assert value("free_pages") == value("zone.Normal.free") + value("zone.HighMem.free")


def test_a_wrong_name_is_told_with_near_ones(kernel):
    with pytest.raises(UnknownQuantityError, match=r"no quantity 'lowmen' in this boot; did you mean lowmem") as caught:
        Quantities(kernel).value("lowmen")
    assert caught.value.name == "lowmen"
    for name in ("cma.camera.base", "zone.DMA.size", "reserved.no.base"):
        with pytest.raises(UnknownQuantityError):
            Quantities(kernel).value(name)


def test_what_rests_on_which_facts(kernel):
    quantities = Quantities(kernel)
    assert quantities.rests_on("lowmem") == ("arm_lowmem_limit",)
    assert quantities.rests_on("vmalloc_limit") == ("vmalloc_limit",)
    assert quantities.rests_on("cma.default.base") == ("cma.reserved.base",)
    for quantity in TABLE:
        known = [name for name in quantity.rests_on if name not in kernel.facts]
        assert known == [], f"{quantity.name} rests on facts that no boot records"


def test_the_table_is_documented():
    assert all(quantity.meaning and quantity.unit for quantity in TABLE)
    assert all(is_known(name.replace("<area>", "x").replace("<node>", "x").replace("<zone>", "x"))
               for name, _, _ in FAMILIES)  # fmt: skip
    assert not is_known("cma.x.colour")


def test_a_boot_that_died_has_no_zones():
    k = bootsim.prepare("vexpress.dts", mem="1G", cmdline="mem=2M")
    with pytest.raises(KernelPanic):
        bootsim.run(k)
    quantities = Quantities(k)
    assert quantities.value("panic") == 1
    assert quantities.value("verdict") == "panic"
    with pytest.raises(UnknownQuantityError, match="free_pages: no zones before the kernel died"):
        quantities.value("free_pages")
    assert "free_pages" not in list(quantities.names())


TWICE = """/dts-v1/;
/ {
	#address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
	reserved-memory {
		#address-cells = <1>; #size-cells = <1>; ranges;
		a@70000000 { reg = <0x70000000 0x100000>; };
		b@70080000 { reg = <0x70080000 0x100000>; };
	};
};
"""


def test_overlaps(tmp_path):
    (tmp_path / "board.dts").write_text(TWICE)
    k = bootsim.boot(tmp_path / "board.dts")
    (overlap,) = overlaps(k)
    assert overlap.text() == (
        "/reserved-memory/a@70000000 and /reserved-memory/b@70080000 overlap in [0x70080000, 0x70100000)"
    )
    assert Quantities(k).value("overlap") == 1


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0x9F000000, "pa", "0x9f000000"), (1 << 30, "bytes", "1G"), (1000, "bytes", "1000"), (7, "pages", "7"),
     ("ok", "text", "ok")],
)  # fmt: skip
def test_shown(value, unit, text):
    assert shown(value, unit) == text


def test_size_text():
    assert [size_text(n) for n in (0, 1, 4096, 3 << 20, 2 << 30)] == ["0", "1", "4K", "3M", "2G"]
