"""Mistakes with pages: what the log says of them, and that the machine goes on (mm/page_alloc.c, mm/page_poison.c)."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.lab.session import Session
from bootsim.linux.include.linux.slab import (
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    ksize,
)
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.slab_common import SlabError
from bootsim.views import alive

GFP_KERNEL = 0xCC0


def boot(cmdline="", **config):
    build = load_build("3G/1G")
    build = build.replace(config=build.config.replace(**config))
    k = bootsim.prepare("vexpress.dts", build, mem="64M", cmdline=cmdline)
    bootsim.run(k)
    return k


def texts(k):
    return [record.text for record in k.log.records if record.kernel]


def test_a_page_that_was_written_while_free_is_found():
    k = boot("page_poison=1", PAGE_POISONING=True)
    pfn = pa.alloc_pages(k, GFP_KERNEL, 0)
    va = k.phys_to_virt(pfn << 12)
    for written, said in ((b"\xab", ["pagealloc: single bit error", f"{va + 20:08x}: {'ab':<49}."]),
                          (b"A" * 17, ["pagealloc: memory corruption",
                                       f"{va + 20:08x}: {' '.join(['41'] * 16):<49}{'A' * 16}",
                                       f"{va + 36:08x}: {'41':<49}A"])):
        pa.__free_pages(k, pfn, 0)
        k.machine.ram.write((pfn << 12) + 20, written)
        start = len(k.log.records)
        assert pa.alloc_pages(k, GFP_KERNEL, 0) == pfn
        assert [record.text for record in k.log.records[start:]] == said
    pa.__free_pages(k, pfn, 0)
    start = len(k.log.records)
    assert pa.alloc_pages(k, GFP_KERNEL, 0) == pfn
    assert len(k.log.records) == start


def test_with_debug_vm_a_page_freed_twice_stops_the_kernel():
    k = boot(DEBUG_VM=True)
    pfn = pa.alloc_pages(k, GFP_KERNEL, 0)
    pa.__free_pages(k, pfn, 0)
    pa.__free_pages(k, pfn, 0)
    assert texts(k)[-4:] == ["page dumped because: VM_BUG_ON_PAGE(page_ref_count(page) == 0)",
                             "------------[ cut here ]------------", "kernel BUG at include/linux/mm.h:707!",
                             "Internal error: Oops - BUG: 0 [#1] SMP ARM"]
    assert pa.alloc_pages(k, GFP_KERNEL, 0) == pfn  # the machine is as it was


def test_with_debug_vm_freeing_ends_where_the_kernel_stops():
    k = boot(DEBUG_VM=True)
    pfn = pa.alloc_pages_exact(k, 3 * 4096, GFP_KERNEL)
    pa.__free_pages(k, pfn + 1, 0)
    pa.free_pages_exact(k, pfn, 3 * 4096)
    assert sum("kernel BUG" in text for text in texts(k)) == 1
    assert pa.page_info(k, pfn + 2)["refcount"] == 1


def test_references_of_a_compound_page_are_its_heads():
    k = boot()
    pfn = pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_COMP, 2)
    pa.get_page(k, pfn + 3)
    pa.__free_pages(k, pfn, 2)
    assert pa.page_info(k, pfn)["refcount"] == 1
    assert pa.page_info(k, pfn)["head"]
    pa.put_page(k, pfn + 1)
    assert not pa.page_info(k, pfn)["head"]
    assert pa.alloc_pages(k, GFP_KERNEL, 2) == pfn


def test_fields_of_a_page_can_be_written():
    k = boot()
    page = k.page(pa.alloc_pages(k, GFP_KERNEL, 1))
    page.flags |= 1 << 4
    page.mapcount = 2
    page.mapping = 0xC1000000
    assert (page.flags, page.mapcount, page.mapping) == (1 << 4, 2, 0xC1000000)
    pa.__free_pages(k, page.pfn, 1)
    assert "flags: 0x10(lru)" in texts(k)
    with pytest.raises(pa.PageFrameError, match="is not to be written"):
        page.zone = "HighMem"


def test_a_page_of_a_slab_stays_where_it_is():
    k = boot()
    s = kmem_cache_create(k, "x", 200)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    page = k.page(k.virt_to_phys(va) >> 12)
    for _ in range(2):
        pa.__free_pages(k, page.pfn, 0)
        assert "is on a list of a slab cache: freed behind its back" in k.log.records[-1].text
        pa.free_contig_range(k, page.pfn, 1)
    with pytest.raises(pa.PageFrameError, match="would be broken"):
        page.flags = 0
    kmem_cache_free(k, s, va)
    kmem_cache_destroy(k, s)
    pa.drain_all_pages(k)
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_a_page_of_a_process_stays_on_its_list():
    lab = Session(boot(), alive.text)
    p = lab.process()
    addr = p.mmap(0, 32 * 4096, 3, 0x22)
    for i in range(32):  # those that wait for their place on the list are no more than 15
        p.write(addr + i * 4096, b"here")
    pa.put_page(lab.k, p.pfn(addr))
    assert "is on a list of pages in use (LRU)" in lab.k.log.records[-1].text
    for field in ("refcount", "mapping", "mapcount", "index"):
        with pytest.raises(pa.PageFrameError, match="ties it to those who have it"):
            setattr(lab.k.page(p.pfn(addr)), field, 0)
    assert p.read(addr, 4) == b"here"
    p.munmap(addr, 32 * 4096)
    pa.drain_all_pages(lab.k)
    assert pa.check_buddy_invariants(lab.k.mm.pgdat) == []


def test_pages_that_are_free_in_part_are_not_freed_again():
    k = boot()
    pfn = pa.alloc_pages(k, GFP_KERNEL, 2)
    pa.split_page(k, pfn, 2)
    pa.__free_pages(k, pfn + 1, 0)
    pa.set_page_count(k, pfn, 5)
    pa.__free_pages(k, pfn, 2)
    assert "is free already, as a whole or in part" in k.log.records[-1].text
    pa.set_page_count(k, pfn + 1, 1)
    with pytest.raises(pa.PageFrameError, match="is free already"):
        pa.free_contig_range(k, pfn + 1, 1)
    pa.set_page_count(k, pfn + 1, 0)
    for each in (pfn, pfn + 2, pfn + 3):
        pa.set_page_count(k, each, 1)
        pa.__free_pages(k, each, 0)
    pa.drain_all_pages(k)
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_the_fields_that_hold_free_pages_together_are_the_allocators():
    k = boot()
    page = k.page(pa.alloc_pages(k, GFP_KERNEL, 0))
    with pytest.raises(pa.PageFrameError, match="the mark of a free block"):
        page.mapcount = -129
    pa.__free_pages(k, page.pfn, 0)
    for field in ("index", "private", "mapcount"):
        with pytest.raises(pa.PageFrameError, match="is free"):
            setattr(page, field, 1 << 20)
    with pytest.raises(pa.PageFrameError, match="zone 9"):
        pa.drain_all_pages(k, 9)
    pa.drain_all_pages(k)
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_compaction_passes_over_a_page_that_only_says_that_it_is_compound():
    k = boot()
    pages = [pa.alloc_pages(k, GFP_KERNEL, 0) for _ in range(40)]
    for pfn in pages[::2]:
        k.page(pfn).flags |= 1 << 16
        pa.__free_pages(k, pfn + 1, 0)
    compact_memory(k)
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


@pytest.mark.parametrize(("cmdline", "reason"), [
    ("panic_on_taint=20", "panic_on_taint set ..."), ("panic_on_taint=200", None),
])  # fmt: skip
def test_panic_on_taint(cmdline, reason):
    k = boot(cmdline)
    page = k.page(pa.alloc_pages(k, GFP_KERNEL, 1))
    page.flags |= 1 << 4
    if reason is None:
        pa.__free_pages(k, page.pfn, 1)
        assert k.panicked is None
        return
    with pytest.raises(KernelPanic, match="panic_on_taint set"):
        pa.__free_pages(k, page.pfn, 1)
    assert f"Kernel panic - not syncing: {reason}" in texts(k)
    assert "cause: cmdline: panic_on_taint names the taint B" in k.log.records[-1].text


def test_panic_on_warn_comes_before_the_taint_of_a_warning():
    k = boot("panic_on_taint=200 panic_on_warn=1")
    with pytest.raises(KernelPanic, match="kernel: panic_on_warn set"):
        pa.alloc_pages(k, GFP_KERNEL, k.mm.max_order)
    k = boot("panic_on_taint=200")
    with pytest.raises(KernelPanic, match="panic_on_taint set"):
        pa.alloc_pages(k, GFP_KERNEL, k.mm.max_order)


def test_zones_that_exclude_each_other_are_looked_at_after_the_order():
    k = boot(DEBUG_VM=True)
    mask = GFP_KERNEL | pa.__GFP_DMA | pa.__GFP_HIGHMEM
    assert pa.alloc_pages(k, mask, k.mm.max_order) is None
    assert texts(k)[-1].endswith("__alloc_pages_nodemask")
    assert pa.alloc_pages(k, mask, 0) is None
    assert "kernel BUG at include/linux/gfp.h:457!" in texts(k)


def test_a_page_that_only_says_that_it_is_a_slab_is_told():
    k = boot()
    page = k.page(pa.alloc_pages(k, GFP_KERNEL, 0))
    page.flags |= 1 << 9
    for call in (kfree, ksize):
        with pytest.raises(SlabError, match="somebody wrote its struct page"):
            call(k, page.va)
    assert kmalloc(k, 100)
