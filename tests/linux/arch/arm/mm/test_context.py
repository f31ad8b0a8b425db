"""Numbers of address spaces (ASIDs), and the TLB's flushes where kernel mappings go."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_all, flush_tlb_mm, flush_tlb_page, flush_tlb_range
from bootsim.linux.arch.arm.mm.context import NUM_USER_ASIDS, asids, new_context, switch_mm
from bootsim.linux.arch.arm.mm.ioremap.remap import ioremap, iounmap
from bootsim.linux.arch.arm.mm.pageattr import set_memory_ro
from bootsim.linux.include.linux.gfp import alloc_page, alloc_pages
from bootsim.linux.include.linux.highmem import kmap, kmap_atomic, kmap_flush_unused, kunmap, kunmap_atomic
from bootsim.linux.mm.page_alloc import GFP_HIGHUSER, GFP_KERNEL
from bootsim.linux.mm.vmalloc.alloc import PAGE_KERNEL, vfree, vmalloc, vmap, vunmap
from bootsim.linux.mm.vmalloc.block import block_pages, vm_map_ram, vm_unmap_aliases, vm_unmap_ram
from bootsim.linux.mm.vmalloc.early import VM_MAP


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", mem="1G", config="3G/1G")


@pytest.fixture
def k(booted):
    k = booted.copy()
    k.machine.main_tlb()
    return k


class Space(SimpleNamespace):
    """What a switch wants to know of an address space; identity is its own."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def space(k, name="mm"):
    table = alloc_pages(k, GFP_KERNEL, 2).pfn << 12
    k.machine.ram.write(table, bytes(k.machine.ram.read(k.mm.init_mm.pgd_pa, 1 << 14)))
    return Space(name=name, pgd_pa=table, context_id=0, vmalloc_seq=k.mm.init_mm.vmalloc_seq)


def test_the_first_numbers_are_1_2_3_and_go_to_contextidr(k):
    spaces = [space(k) for _ in range(3)]
    for mm in spaces:
        switch_mm(k, mm)
    assert [mm.context_id for mm in spaces] == [0x101, 0x102, 0x103]
    cp15 = k.cpus[0].cp15
    assert cp15.asid == 3
    assert cp15.ttbr0 & ~0x3FFF == spaces[2].pgd_pa
    assert cp15.ttbr0 & 0x3FFF == cp15.ttbr1 & 0x3FFF
    switch_mm(k, spaces[0])
    assert (cp15.asid, spaces[0].context_id) == (1, 0x101)


def test_an_address_space_without_tables_is_refused(k):
    with pytest.raises(ValueError, match="no page tables"):
        switch_mm(k, Space(name="none", pgd_pa=0, context_id=0, vmalloc_seq=0))


def test_roll_over_flushes_and_keeps_the_running_ones_number(k):
    one = space(k)
    others = [Space(name=str(n), pgd_pa=one.pgd_pa, context_id=0, vmalloc_seq=one.vmalloc_seq) for n in range(256)]
    for mm in others[:NUM_USER_ASIDS - 1]:
        switch_mm(k, mm)
    tlb = k.machine.tlb
    assert others[254].context_id == 0x1FF
    k.machine.load(k.build.config.PAGE_OFFSET)
    assert len(tlb) == 1
    switch_mm(k, others[255])
    assert len(tlb) == 0
    assert others[255].context_id == 0x201  # 0xff is the running one's, and 1 the first free
    assert asids(k).reserved[0] == 0x1FF
    switch_mm(k, others[254])
    assert others[254].context_id == 0x2FF  # as it was running
    switch_mm(k, others[0])
    assert others[0].context_id == 0x202  # its number is another's now
    switch_mm(k, others[9])
    assert others[9].context_id == 0x20A  # its number is still free
    assert "generation 2 begins" in k.log.records[-1].text


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=300, max_size=900))
def test_no_two_address_spaces_of_a_generation_share_a_number(booted, names):
    k = booted.copy()
    k.mm.asids = None
    spaces = {}
    flushed = 0
    k.machine.main_tlb()
    for name in names:
        mm = spaces.setdefault(name, Space(name=name, pgd_pa=0x60010000, context_id=0,
                                           vmalloc_seq=k.mm.init_mm.vmalloc_seq))
        before = asids(k).generation
        running = k.active_mm
        switch_mm(k, mm)
        now = asids(k)
        assert mm.context_id >> 8 == now.generation >> 8
        assert 1 <= mm.context_id & 0xFF < NUM_USER_ASIDS
        if now.generation != before:
            flushed += 1
            assert now.taken[running.context_id & 0xFF]
        current = [other.context_id for other in spaces.values() if other.context_id >> 8 == now.generation >> 8]
        assert len(set(current)) == len(current)
    assert k.machine.tlb.statistics().get("TLBIALL", 0) == flushed


def test_a_number_of_a_past_generation_is_taken_again_when_it_is_free(k):
    ids = asids(k)
    ids.generation = 0x300
    ids.taken[5] = True
    assert new_context(k, Space(context_id=0x107)) == 0x307
    assert new_context(k, Space(context_id=0x105)) == 0x301


def test_user_flushes_go_by_number(k):
    mm, other = space(k), space(k)
    switch_mm(k, mm)
    switch_mm(k, other)
    flush_tlb_mm(k, mm)
    flush_tlb_page(k, mm, 0x1234)
    flush_tlb_range(k, mm, 0x2000, 0x5000)
    flush_tlb_all(k)
    counted = k.machine.tlb.statistics()
    assert (counted["TLBIASID"], counted["TLBIMVA"], counted["TLBIALL"]) == (1, 4, 1)


def test_with_the_erratum_all_spaces_forget(k):
    k.build = k.build.replace(config=k.build.config.replace(ARM_ERRATA_720789=True))
    mm = space(k)
    k.is_smp = True
    flush_tlb_page(k, mm, 0x1000)
    flush_tlb_mm(k, mm)
    counted = k.machine.tlb.statistics()
    assert (counted.get("TLBIMVAA"), counted.get("TLBIALL"), counted.get("TLBIMVA")) == (1, 1, None)


# ---------------------------------------------------------------- kernel mappings


def unmapped(k, va):
    return not isinstance(k.machine.load(va), int)


def test_vfree_leaves_entries_until_addresses_are_purged(k):
    va = vmalloc(k, 8192)
    k.machine.store(va + 4096, 42)
    vfree(k, va)
    assert k.machine.load(va + 4096) == 42  # still in the TLB: lazy
    vm_unmap_aliases(k)
    assert unmapped(k, va + 4096)


def test_a_forgotten_flush_reads_the_old_page(k):
    pages = [alloc_page(k, GFP_KERNEL) for _ in range(2)]
    va = vmap(k, pages[:1], 1, VM_MAP, PAGE_KERNEL(k))
    k.machine.store(va, 1)
    vunmap(k, va)
    k.machine.tlb.listens = False
    vm_unmap_aliases(k)
    again = vmap(k, pages[1:], 1, VM_MAP, PAGE_KERNEL(k))
    assert again == va
    k.machine.store(again, 2)
    assert k.machine.ram.read32(pages[0].pfn << 12) == 2  # into a page that may be another's by now
    assert k.machine.ram.read32(pages[1].pfn << 12) == 0


def test_vunmap_that_purges_by_itself_flushes(k):
    lazy = k.mm.vmap.areas.lazy_nr if k.mm.vmap else 0
    va = vmalloc(k, 4096)
    k.machine.load(va)
    vfree(k, va)
    assert lazy < k.mm.vmap.areas.lazy_nr
    for _ in range(40):
        vfree(k, vmalloc(k, 8 << 20))
    assert unmapped(k, va)


def test_blocks_of_vm_map_ram_flush_what_was_used(k):
    page = alloc_page(k, GFP_KERNEL)
    va, other = vm_map_ram(k, [page], 1), vm_map_ram(k, [page], 1)
    k.machine.load(va)
    vm_unmap_ram(k, va, 1)
    assert not unmapped(k, va)
    vm_unmap_aliases(k)
    assert unmapped(k, va)
    assert k.machine.tlb.statistics()["TLBIMVA"] == 1
    vm_unmap_ram(k, other, 1)
    vm_unmap_aliases(k)  # nothing of the block is in use: it goes as a whole
    assert k.machine.tlb.statistics()["TLBIMVA"] == 1 + block_pages(k)


def test_windows_of_kmap_are_flushed_when_the_search_comes_round(k):
    page = alloc_page(k, GFP_HIGHUSER)
    assert page.pfn >= k.mm.max_low_pfn
    va = kmap(k, page)
    k.machine.store(va, 7)
    kunmap(k, page)
    assert k.machine.load(va) == 7
    kmap_flush_unused(k)
    assert unmapped(k, va)
    counted = k.machine.tlb.statistics()["TLBIMVA"]
    kmap_flush_unused(k)
    assert k.machine.tlb.statistics()["TLBIMVA"] == counted == 512


def test_a_slot_of_kmap_atomic_shows_the_new_page_at_once(k):
    kmap_flush_unused(k)
    first, second = alloc_page(k, GFP_HIGHUSER), alloc_page(k, GFP_HIGHUSER)
    va = kmap_atomic(k, first)
    k.machine.store(va, 1)
    kunmap_atomic(k, va)
    assert kmap_atomic(k, second) == va
    assert k.machine.load(va) == 0


def test_protection_holds_at_once(k):
    va = vmalloc(k, 4096)
    assert k.machine.store(va, 1) is None
    assert set_memory_ro(k, va, 1) == 0
    assert k.machine.store(va, 2).kind == "permission"


def test_an_address_within_a_page_has_its_page_changed_too(k):
    va = vmalloc(k, 3 * 4096)
    assert set_memory_ro(k, va + 16, 1) == 0
    assert [k.machine.store(va + page * 4096, 1) is None for page in range(3)] == [False, False, True]
    assert any("arch/arm/mm/pageattr.c:44" in record.text for record in k.log.records)


def test_debug_pagealloc_flushes_at_once(k):
    k.mm.debug_pagealloc_enabled = True
    va, page = vmalloc(k, 4096), alloc_page(k, GFP_KERNEL)
    ram = vm_map_ram(k, [page], 1)
    for at in (va, ram):
        k.machine.load(at)
    vfree(k, va)
    vm_unmap_ram(k, ram, 1)
    assert unmapped(k, va)
    assert unmapped(k, ram)


def test_sections_of_ioremap_go_at_once_without_smp(k):
    k.build = k.build.replace(config=k.build.config.replace(SMP=False))
    va = ioremap(k, 0x1A000000, 2 << 20)
    mm = space(k)
    switch_mm(k, mm)
    k.machine.load(va)
    assert k.machine.tlb.entries()[0].kind == "section"
    iounmap(k, va)
    assert unmapped(k, va)  # of the process's own copy of the word, too
    assert mm.vmalloc_seq == k.mm.init_mm.vmalloc_seq > 0
