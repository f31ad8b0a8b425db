"""kernel_page_tables, pgd and vtop: against a real kernel's dump, the MMU, and words taken apart by hand."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.inputs.configwriter import render
from bootsim.linux.arch.arm.asm.memory import VECTORS_BASE
from bootsim.state import ranges
from bootsim.state.ranges import CR_ARMV7
from bootsim.views import descriptors, kernel_page_tables, pgd, vtop
from bootsim.views.held import LiveState, Tables

DOMAINS = {0: "KERNEL", 1: "USER", 2: "IO", 3: "VECTORS"}  # arch/arm/include/asm/domain.h, without CONFIG_IO_36


@pytest.fixture(scope="module")
def dumped(tmp_path_factory):
    """A kernel like the one whose tables were dumped: text to 0xb0a00000, 64 MiB of CMA, sections left writable."""
    build = load_build("3G/1G-opt")
    moved = {name: va - 0x200000 for name, va in build.symbols.as_dict().items() if va >= build.symbols.init_begin}
    symbols = build.symbols.replace(
        **moved, stext=0xB0008240, etext=0xB0800000, start_rodata=0xB0800000, end_rodata=0xB0900000,
        start_rodata_section_aligned=0,
    )  # fmt: skip
    config = build.config.replace(STRICT_KERNEL_RWX=False, DEBUG_ALIGN_RODATA=False, CMA_SIZE_MBYTES=64)
    path = tmp_path_factory.mktemp("build") / "dumped.yaml"
    path.write_text(render(build.replace(symbols=symbols, config=config, name="dumped")))
    return LiveState(bootsim.boot("vexpress.dts", path, mem="1G", bootloader="qemu", smp=4), "end of boot")


def test_the_dump_of_a_real_kernel(dumped, real):
    ours, theirs = list(kernel_page_tables.lines(dumped)), real("kernel_page_tables")
    assert [line for line in ours if line.startswith("---")] == [line for line in theirs if line.startswith("---")]
    # since then drivers took pages of the CMA area behind DMA's pool, and filled the vmalloc area; all else stays
    cma = "0xec040000-0xf0000000       65280K KERNEL      RW NX SHD MEM/CACHED/WBWA"
    later = [line for line in theirs if line.startswith("0x") and 0xEC040000 <= int(line[:10], 16) < 0xFF800000]
    expected = [line for line in theirs if line not in later]
    expected.insert(expected.index("---[ vmalloc() Area ]---"), cma)
    assert ours == expected


def test_every_kind_of_entry_prints_as_the_real_kernel_prints_it(dumped, real):
    shapes = {line[36:] for line in real("kernel_page_tables") if line.startswith("0x")}
    assert {line[36:] for line in kernel_page_tables.lines(dumped) if line.startswith("0x")} <= shapes


def test_the_marker_of_vmalloc_waits_for_the_end_of_lowmem(booted):
    names = [line for line in kernel_page_tables.lines(booted(until="__create_page_tables")) if line.startswith("---")]
    assert "---[ Kernel Mapping ]---" in names
    assert "---[ vmalloc() Area ]---" not in names


def test_the_dump_and_the_mmu_agree(booted):
    held = booted()
    k = held.kernel("translations")
    for shown in kernel_page_tables.data(held):
        for va in (shown["start"], shown["end"] - 4):
            found = k.translate(va)
            assert found, f"{va:#x} is in the dump and faults"
            assert found.permissions.xn == ("NX" in shown["flags"])
            assert (found.permissions.privileged == "r") == ("ro" in shown["flags"])
            assert (found.permissions.user != "") == ("USR" in shown["flags"])


def test_pgd_ranges_cover_the_table(booted):
    ranges = pgd.data(booted())["ranges"]
    assert ranges[0]["start"] == 0
    assert ranges[-1]["end"] == 1 << 32
    assert all(a["end"] == b["start"] for a, b in pairwise(ranges))
    assert sum(r["entries"] for r in ranges) == 4096
    assert len(ranges) < 20


def test_pgd_lines(booted):
    lines = list(pgd.lines(booted()))
    assert lines[0] == "PGD at 0x60004000"
    assert "0xc0b00000-0xefffffff   757 section      0x60b00000             KERNEL   RW NX   normal write-back" in lines


@pytest.mark.parametrize("va", [0xC0000000, 0xC0123456, 0xEFFFFFFC, 0xFF800004, VECTORS_BASE, VECTORS_BASE + 0x1234])
def test_vtop_leads_where_the_mmu_leads(booted, va):
    held = booted()
    assert vtop.walk(held.tables(), va, held.cr, DOMAINS).pa == held.kernel("translations").translate(va).pa


@pytest.mark.parametrize("va", [0, 0xBFDFFFFC, 0xF0000000, 0xFFFF2000])
def test_vtop_of_what_is_not_mapped(booted, va):
    held = booted()
    assert vtop.walk(held.tables(), va, held.cr, DOMAINS).pa is None
    assert not held.kernel("translations").translate(va)
    assert f"{va:<8x}  (not mapped)" in list(vtop.lines(held, va))


def test_vtop_in_the_form_of_crash(booted):
    lines = list(vtop.lines(booted(), VECTORS_BASE))
    first = lines[: lines.index("") + 11]
    word = next(line.split()[-1] for line in first if "PTE:" in line)
    assert first[0] == "VIRTUAL   PHYSICAL"
    assert first[3] == "PAGE DIRECTORY: c0004000"
    assert first[4].startswith("  PGD: c0007ffc => ")
    assert first[5] == first[4].replace("PGD", "PMD")
    assert "  PTE     PHYSICAL  FLAGS" in first
    assert f"{word}  {word[:5]}000  (PRESENT|DIRTY|YOUNG|EXEC)" in first


def test_vtop_of_a_section(booted):
    lines = list(vtop.lines(booted(), 0xC0008000))
    assert lines[:7] == ["VIRTUAL   PHYSICAL", "c0008000  60008000", "", "PAGE DIRECTORY: c0004000",
                         "  PGD: c0007000 => 6000041e", "  PMD: c0007000 => 6000041e", " PAGE: 60000000  (1MB)"]
    assert "  [4]      XN         1         execute never" in lines


def test_fields_make_up_their_word():
    first_level = partial(descriptors.first_level, cr=CR_ARMV7, domains=DOMAINS)
    for decode in (first_level, descriptors.second_level, descriptors.linux_entry):
        for word in (0, 0x60011C0E, 0x8FFFDC61, 0x9105_0C02, 0xFFFFFFFF, 0x8FFFE23E, 0x8FFF_0031, 0x8FFFE1CF):
            found = decode(word)
            assert sum(field.value << field.low for field in found.fields) == word
            assert [f.low for f in found.fields][:-1] == [f.high + 1 for f in found.fields][1:]


def test_supersections_and_large_pages():
    words = [0] * 4096
    words[0x100:0x110] = [0x9004_0402] * 16
    words[0x200] = 0x8000_0001
    page = bytearray(4096)
    page[0x40:0x44] = (0x7000_0011).to_bytes(4, "little")
    tables = Tables(0x60004000, tuple(words), {0x80000000: bytes(page)})
    assert vtop.walk(tables, 0x10312345, CR_ARMV7, DOMAINS).pa == 0x90312345
    assert vtop.walk(tables, 0x20010000, CR_ARMV7, DOMAINS).pa == 0x70000000


CR_V5, CR_V6 = 0x00093177, 0x00C5387D


@pytest.mark.parametrize(("word", "cr", "told"), [
    # of real kernels: QEMU's versatilepb (ARM926) and raspi0 (ARM1176)
    (0x0000041E, CR_V5, "RW x    write-back"),
    (0x0800001E, CR_V5, "ro x    write-back"),
    (0x10100412, CR_V5, "RW x    uncached"),
    (0x0000040E, CR_V6, "RW x    normal write-back"),
    (0x20000416, CR_V6, "RW NX   device"),
    (0x0001140E, CR_V6, "RW x    normal write-back write-allocate"),
    (0x00001402, CR_V6, "RW x    normal non-cacheable"),
])
def test_sections_of_older_processors(word, cr, told):
    assert descriptors.attributes(descriptors.first_level(word, cr, DOMAINS), cr).replace(" S ", "   ") == told


def test_a_page_before_armv6_has_permissions_for_each_quarter():
    found = descriptors.second_level(0x0FFFEAAE, CR_V5)
    assert {f.name: f.meaning for f in found.fields if f.name.startswith("AP")} == dict.fromkeys(
        ("AP3", "AP2", "AP1", "AP"), "privileged, user: RW, ro")
    assert "XN" not in found.values
    assert descriptors.attributes(found, CR_V5) == "RW/ro x    write-back"
    extended = descriptors.second_level(0x0FFFE04F | 0x10, CR_V5)  # XScale's
    assert (extended.kind, extended.values["TEX"], extended.values["AP"]) == ("small page", 1, 1)


def test_bit_4_is_no_xn_in_a_view_of_an_older_processor():
    assert ranges.section_attributes(0x41E, CR_V5) == "RW x write-back"
    assert ranges.section_attributes(0x41E) == "RW NX write-back"
    assert ranges.page_attributes(0x0FFFEAAE, CR_V5) == "RW user RO x write-back"
    assert ranges.section_attributes(0x416, CR_V6) == "RW NX device"
    assert ranges.cr_of_log("[    0.000000] CPU: ARM926EJ-S [41069265] revision 5 (ARMv5TEJ), cr=00093177") == CR_V5
    assert ranges.cr_of_log("nothing") == CR_ARMV7
