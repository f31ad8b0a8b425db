"""Mistakes with pages: what the log says of them, and that the machine goes on (mm/page_alloc.c, mm/page_poison.c)."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import kfree, kmalloc, ksize
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.slab_common import SlabError

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


def test_a_page_that_only_says_that_it_is_a_slab_is_told():
    k = boot()
    page = k.page(pa.alloc_pages(k, GFP_KERNEL, 0))
    page.flags |= 1 << 9
    for call in (kfree, ksize):
        with pytest.raises(SlabError, match="somebody wrote its struct page"):
            call(k, page.va)
    assert kmalloc(k, 100)
