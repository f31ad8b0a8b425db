"""State directories as views see them: what a captured boot holds is shown, what it does not is said."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.mm.cma import cma_alloc
from bootsim.stages import STAGES
from bootsim.state.directory import StateDirectory
from bootsim.views import buddyinfo, cma, iomem, kernel_page_tables, maps, memblock, stages, zoneinfo
from bootsim.views.held import END, DirectoryState, LiveState, NotHeld


@pytest.fixture(scope="module")
def captured(unpack, tmp_path_factory):
    """The real boot that the bundled board's replay is held against."""
    return StateDirectory(unpack("a9-3gh-1024", tmp_path_factory.mktemp("real")))


@pytest.fixture
def at(captured):
    """The captured boot at a stage."""
    return lambda stage, build="3G/1G": DirectoryState(captured, stage, load_build(build) if build else None)


def test_buddyinfo_of_the_real_kernel_is_that_of_the_replay(at, booted):
    real = list(buddyinfo.lines(at("mem_init")))
    assert real == list(buddyinfo.lines(booted(until="mem_init")))
    for zone in at("mem_init").part("zones"):
        for area in zone["free_area"]:
            assert area["nr_free"] == sum(map(len, area["lists"]))


@pytest.mark.parametrize("kind", ["memory", "reserved"])
@pytest.mark.parametrize("stage", ["setup_machine_fdt", "arm_memblock_init", "setup_arch", "mem_init:entry"])
def test_memblock_of_the_real_kernel_is_that_of_the_replay(at, booted, stage, kind):
    real = list(memblock.lines(at(stage), kind))
    assert real == list(memblock.lines(booted(until=stage), kind))
    base, size, _ = at(stage).part("memblock")[kind][0]
    assert real[0] == f"   0: 0x{base:08x}..0x{base + size - 1:08x}"


@pytest.mark.parametrize("stage", ["bootmem_init:entry", "memblock_free_all"])
def test_page_tables_of_the_real_kernel_are_those_of_the_replay(at, booted, stage):
    real = list(kernel_page_tables.lines(at(stage)))
    assert real == list(kernel_page_tables.lines(booted(until=stage)))
    assert any("VECTORS" in line for line in real)


def test_what_a_directory_does_not_hold_is_said(at):
    with pytest.raises(NotHeld, match="does not hold resources"):
        list(iomem.lines(at("mem_init")))
    with pytest.raises(NotHeld, match="setup_arch does not hold zones; it holds that at memblock_free_all, mem_init"):
        list(buddyinfo.lines(at("setup_arch")))
    with pytest.raises(NotHeld, match="name it with --config"):
        list(kernel_page_tables.lines(at("memblock_free_all", build=None)))
    with pytest.raises(NotHeld, match="holds no stage somewhere"):
        at("somewhere")
    assert "per-cpu lists" in zoneinfo.missing(at("mem_init"))


def test_cma_of_a_directory_leaves_out_what_is_in_use(at):
    assert list(cma.lines(at("mem_init"))) == [
        "cma-reserved/base_pfn:651264", "cma-reserved/count:4096", "cma-reserved/order_per_bit:0",
    ]  # fmt: skip
    assert "bitmap" in cma.missing(at("mem_init"))


def test_cma_counts_what_is_in_use():
    k = bootsim.boot("vexpress.dts", mem="1G")
    area = k.mm.dma_contiguous_default_area
    assert cma_alloc(k, area, 100, 7) == area.base_pfn + 128  # the pool of DMA has the first 64 pages
    (shown,) = cma.data(LiveState(k, END))
    assert (shown["used"], shown["maxchunk"]) == (164, 4096 - 228)
    assert shown["bitmap"] == [0xFFFFFFFF] * 2 + [0, 0] + [0xFFFFFFFF] * 3 + [0xF] + [0] * 120
    assert cma.missing(LiveState(k, END)) is None


def test_a_name_is_cut_as_the_kernel_cuts_it():
    shown = cma._area({"name": "a-long-name-of-a-node", "base_pfn": 1, "count": 66, "order_per_bit": 1}, bytearray())
    assert shown["directory"] == "cma-a-long-name"
    assert (shown["used"], shown["maxchunk"], shown["bitmap"]) == (0, 66, [0, 0])


def test_layout(at, booted):
    text = "\n".join(maps.lines(booted()))
    assert "lowmem  : 0xc0000000 - 0xf0000000   ( 768 MB)" in text
    assert "device tree" in text
    areas = {area.name: (area.start, area.end) for area in maps.physical(booted())}
    assert areas["RAM"] == (0x60000000, 0xA0000000)
    assert areas["highmem"] == (0x90000000, 0xA0000000)
    assert areas["cma reserved"] == (0x9F000000, 0xA0000000)
    assert areas["/reserved-memory/vram@4c000000"] == (0x4C000000, 0x4C800000)
    assert {area.name for area in maps.physical(at("memblock_free_all"))} >= {"RAM", "lowmem", "kernel image"}


def test_stages_of_a_directory_are_those_it_holds(captured):
    assert len(list(stages.lines())) == len(STAGES)
    lines = list(stages.lines(captured.stages))
    assert lines[-1].endswith("(zones, totalram_pages)")


def test_sizes():
    assert [memblock.size_text(n) for n in (1 << 30, 0x4000, 48342, 0)] == ["1024 MB", "16 kB", "48342 B", "0 B"]
