import pytest

from bootsim.linux.arch.arm.mm.mmu import adjust_lowmem_bounds, arm_mm_memblock_reserve, early_vmalloc
from bootsim.linux.mm.memblock import MEMBLOCK_NOMAP

MIB = 1 << 20
RAM = 0x60000000


def said(k):
    return [r.text for r in k.log.records if r.kernel]


def memory(k):
    return [(r.base, r.size, r.flags) for r in k.mm.memblock.memory.regions]


@pytest.mark.parametrize(("mib", "page_offset", "limit"), [
    (512, 0xC0000000, 0x80000000), (1024, 0xC0000000, 0x90000000), (1024, 0x80000000, 0xA0000000)])
def test_the_limit_is_the_real_one(make, mib, page_offset, limit):
    #   RAM |------- lowmem -------|~~ highmem ~~|
    #                              vmalloc_min, 240 MiB + 8 MiB below 0xff800000
    k = make.with_banks((RAM, mib * MIB), page_offset=page_offset)
    adjust_lowmem_bounds(k)
    assert k.mm.arm_lowmem_limit == limit
    assert k.mm.memblock.current_limit == limit
    assert k.mm.high_memory == limit - RAM + page_offset
    assert memory(k) == [(RAM, mib * MIB, 0)]


def test_without_highmem_the_rest_is_ignored_in_the_kernels_words(make):
    k = make.with_banks((RAM, 1024 * MIB), HIGHMEM=False)
    adjust_lowmem_bounds(k)
    assert said(k) == ["Ignoring RAM at 0x90000000-0xa0000000", "Consider using a HIGHMEM enabled kernel."]
    assert memory(k) == [(RAM, 768 * MIB, 0)]
    adjust_lowmem_bounds(k)
    assert len(said(k)) == 2


def test_lowmem_ends_inside_the_bank_that_crosses_the_limit(make):
    k = make.with_banks((RAM, 256 * MIB), (0x80000000, 512 * MIB), (0xB0000000, 256 * MIB))
    adjust_lowmem_bounds(k)
    assert k.mm.arm_lowmem_limit == 0x90000000
    assert k.facts.derivation("arm_lowmem_limit").inputs[0].name == "vmalloc_limit"


def test_a_bank_wholly_above_the_limit_does_not_count(make):
    k = make.with_banks((RAM, 256 * MIB), (0xA0000000, 256 * MIB))
    adjust_lowmem_bounds(k)
    assert k.mm.arm_lowmem_limit == 0x70000000


def test_memory_is_taken_below_the_first_odd_boundary_only(make):
    #   |------ bank 0 ------|  limit  |-- odd start
    k = make.with_banks((RAM, 64 * MIB), (0x70080000, 16 * MIB))
    adjust_lowmem_bounds(k)
    assert k.mm.memblock.current_limit == 0x70000000
    k = make.with_banks((RAM, 64 * MIB + 0x80000), (0x70000000, 16 * MIB))
    adjust_lowmem_bounds(k)
    assert k.mm.memblock.current_limit == RAM + 64 * MIB


def test_an_odd_start_of_the_first_bank_is_not_mapped(make):
    k = make.with_banks((RAM + 0x8000, 64 * MIB))
    adjust_lowmem_bounds(k)
    assert memory(k) == [(RAM + 0x8000, 2 * MIB - 0x8000, MEMBLOCK_NOMAP), (RAM + 2 * MIB, 62 * MIB + 0x8000, 0)]


def test_no_memory_at_all(make):
    k = make.with_banks()
    adjust_lowmem_bounds(k)
    assert k.mm.arm_lowmem_limit == 0
    assert k.mm.memblock.current_limit == 0


@pytest.mark.parametrize(("arg", "vmalloc_min", "words"), [
    ("512M", 0xDF800000, []), ("240M", 0xF0800000, []),
    ("1M", 0xFE800000, ["vmalloc area too small, limiting to 16MB"]),
    ("2G", 0xC2000000, ["vmalloc area is too big, limiting to 984MB"]),
    ("", 0xFE800000, ["vmalloc area too small, limiting to 16MB"])])
def test_vmalloc_option(make, arg, vmalloc_min, words):
    k = make.with_banks((RAM, 1024 * MIB))
    early_vmalloc(k, arg)
    assert k.mm.vmalloc_min == vmalloc_min
    assert said(k) == words
    adjust_lowmem_bounds(k)
    assert k.mm.arm_lowmem_limit == min(vmalloc_min - 0xC0000000 + RAM, RAM + 1024 * MIB)


def test_the_page_table_is_reserved(make):
    k = make.started()
    arm_mm_memblock_reserve(k)
    assert [(r.base, r.size) for r in k.mm.memblock.reserved.regions] == [(0x60004000, 0x4000)]


def test_boundaries_are_facts(make):
    k = make.with_banks((RAM, 1024 * MIB))
    early_vmalloc(k, "384M")
    adjust_lowmem_bounds(k)
    assert k.facts.value("high_memory") == 0xE7800000
    assert k.facts.value("VMALLOC_START") == 0xE8000000
    assert "cmdline:vmalloc" in k.facts.roots("VMALLOC_START")
