"""kernel_page_tables, pgd and vtop: against a real kernel's dump, the MMU, and words taken apart by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.inputs.configwriter import render
from bootsim.linux.arch.arm.asm.memory import VECTORS_BASE
from bootsim.views import descriptors, kernel_page_tables, pgd, vtop
from bootsim.views.held import LiveState, Tables


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
    assert vtop.walk(held.tables(), va).pa == held.kernel("translations").translate(va).pa


@pytest.mark.parametrize("va", [0, 0xBFDFFFFC, 0xF0000000, 0xFFFF2000])
def test_vtop_of_what_is_not_mapped(booted, va):
    held = booted()
    assert vtop.walk(held.tables(), va).pa is None
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
    for decode in (descriptors.first_level, descriptors.second_level, descriptors.linux_entry):
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
    assert vtop.walk(tables, 0x10312345).pa == 0x90312345
    assert vtop.walk(tables, 0x20010000).pa == 0x70000000
