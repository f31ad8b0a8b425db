"""Mapping and unmapping kernel memory after the boot: entries, and tables from the page allocator."""

import pytest

import bootsim
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SIZE
from bootsim.linux.include.linux.errno import EBUSY
from bootsim.linux.mm.page_alloc import GFP_KERNEL, alloc_pages
from bootsim.linux.mm.vmalloc.tables import map_kernel_range_noflush, unmap_kernel_range_noflush
from bootsim.page import PAGE_SIZE

ENOMEM = 12
VA = 0xF1000000


def unused_pages(k):
    # those of the free blocks, and what the lists of each processor hold
    blocks = sum(area["nr_free"] << order for zone in k.zones for order, area in enumerate(zone["free_area"]))
    return blocks + sum(pcp["count"] for zone in k.zones for pcp in zone["pcp"])


@pytest.fixture(scope="module")
def k():
    return bootsim.boot("vexpress.dts", mem="64M")


def test_frames_are_mapped_one_by_one_and_unmapped(k):
    pages = [alloc_pages(k, GFP_KERNEL, 0) for _ in range(5)]
    start, size = VA + PMD_SIZE - 2 * PAGE_SIZE, 5 * PAGE_SIZE  # across two tables
    assert map_kernel_range_noflush(k, start, size, k.mm.pgprot_kernel, pages) == 0
    assert [k.translate(start + i * PAGE_SIZE + 3).pa for i in range(5)] == [pfn * PAGE_SIZE + 3 for pfn in pages]
    assert not k.translate(start - 1)
    assert not k.translate(start + size)
    k.machine.ram.write32(pages[3] * PAGE_SIZE, 0x12345678)
    assert k.read(start + 3 * PAGE_SIZE, 4) == b"\x78\x56\x34\x12"
    unmap_kernel_range_noflush(k, start, size)
    assert not any(k.translate(start + i * PAGE_SIZE) for i in range(5))


def test_tables_are_pages_of_the_allocator_and_stay(k):
    pages = [alloc_pages(k, GFP_KERNEL, 0)]
    free = unused_pages(k)
    at = VA + 8 * PMD_SIZE
    map_kernel_range_noflush(k, at, PAGE_SIZE, k.mm.pgprot_kernel, pages)
    assert unused_pages(k) == free - 1
    unmap_kernel_range_noflush(k, at, PAGE_SIZE)
    map_kernel_range_noflush(k, at + PAGE_SIZE, PAGE_SIZE, k.mm.pgprot_kernel, pages)
    assert unused_pages(k) == free - 1


def test_kernel_mappings_are_global_and_not_for_users(k):
    pages = [alloc_pages(k, GFP_KERNEL, 0)]
    map_kernel_range_noflush(k, VA + 16 * PMD_SIZE, PAGE_SIZE, k.mm.pgprot_kernel, pages)
    found = k.translate(VA + 16 * PMD_SIZE)
    assert found.is_global
    assert found.permissions.user == ""


def test_what_is_mapped_already_stays_and_is_told(k):
    pages, at = [alloc_pages(k, GFP_KERNEL, 0) for _ in range(2)], VA + 24 * PMD_SIZE
    map_kernel_range_noflush(k, at, PAGE_SIZE, k.mm.pgprot_kernel, pages[:1])
    assert map_kernel_range_noflush(k, at, PAGE_SIZE, k.mm.pgprot_kernel, pages[1:]) == -EBUSY
    assert k.translate(at).pa == pages[0] * PAGE_SIZE
    assert f"{at:#010x} is mapped already" in k.log.records[-1].text


@pytest.mark.parametrize(("addr", "size"), [(VA + 1, PAGE_SIZE), (VA, 0), (0xFFFFF000, 2 * PAGE_SIZE)])
def test_what_is_no_range_of_pages_is_refused(k, addr, size):
    with pytest.raises(ValueError, match="expected a page's address"):
        unmap_kernel_range_noflush(k, addr, size)
    with pytest.raises(ValueError, match="expected a page's address"):
        map_kernel_range_noflush(k, addr, size, k.mm.pgprot_kernel, [1, 2])


def test_sections_and_missing_frames_are_refused(k):
    with pytest.raises(ValueError, match="a section is mapped there"):
        unmap_kernel_range_noflush(k, k.phys_to_virt(k.mm.phys_offset), PAGE_SIZE)
    with pytest.raises(ValueError, match="1 frames for 0x2000 bytes"):
        map_kernel_range_noflush(k, VA + 32 * PMD_SIZE, 2 * PAGE_SIZE, k.mm.pgprot_kernel, [0x60000])


def test_without_a_page_for_the_table_nothing_is_mapped(k):
    while alloc_pages(k, GFP_KERNEL, 0) is not None:
        pass
    at = VA + 40 * PMD_SIZE
    assert map_kernel_range_noflush(k, at, PAGE_SIZE, k.mm.pgprot_kernel, [0x60000]) == -ENOMEM
    assert not k.translate(at)
