"""create_mapping_late(): after the boot, in any address space, with second-level tables from the page allocator."""

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.hw.mmu import translate
from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, MT_MEMORY_RW, MapDesc
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_USER
from bootsim.linux.arch.arm.mm.mmu import create_mapping_late, pmd_off, pmd_off_k, set_pte_at
from bootsim.linux.include.linux.mm_types import MmStruct
from bootsim.linux.mm.memory import pte_alloc_kernel
from bootsim.linux.mm.page_alloc import __GFP_ZERO, GFP_KERNEL, alloc_pages
from bootsim.page import PAGE_SIZE

GFP = GFP_KERNEL | __GFP_ZERO
PGD_ORDER = 2
VA = 0x00400000


def unused_pages(k):
    # those of the free blocks, and what the lists of each processor hold
    blocks = sum(area["nr_free"] << order for zone in k.zones for order, area in enumerate(zone["free_area"]))
    return blocks + sum(pcp["count"] for zone in k.zones for pcp in zone["pcp"])


@pytest.fixture(scope="module")
def k():
    return bootsim.boot("vexpress.dts", mem="64M")


@pytest.fixture
def mm(k):
    return MmStruct("test", alloc_pages(k, GFP, PGD_ORDER) * PAGE_SIZE)


def walk(k, mm, va):
    # what a processor makes of an address whose TTBR0 is the table of `mm`
    cp15 = k.cpus[0].cp15.copy()
    cp15.ttbr0 = mm.pgd_pa
    return translate(k.machine.ram, cp15, va, "read", True)


def test_another_address_space_gets_it_and_no_other(k, mm):
    free = unused_pages(k)
    create_mapping_late(k, mm, MapDesc(VA, 0x70000, 3 * PAGE_SIZE, MT_DEVICE), True)
    assert unused_pages(k) == free - 1
    assert [walk(k, mm, VA + i * PAGE_SIZE).pa for i in range(3)] == [0x70000000 + i * PAGE_SIZE for i in range(3)]
    assert not walk(k, mm, VA + 3 * PAGE_SIZE)
    assert not k.translate(VA)


@pytest.mark.parametrize("ng", [False, True])
@pytest.mark.parametrize("size", [PAGE_SIZE, 1 << 20])
def test_a_mapping_is_global_unless_it_is_of_one_address_space(k, mm, size, ng):
    create_mapping_late(k, mm, MapDesc(VA, 0x70000, size, MT_MEMORY_RW), ng)
    found = walk(k, mm, VA)
    assert found.kind == ("small" if size == PAGE_SIZE else "section")
    assert found.is_global is not ng


def test_a_users_page_is_not_global_and_a_kernels_is(k, mm):
    create_mapping_late(k, mm, MapDesc(VA, 0x70000, 2 * PAGE_SIZE, MT_MEMORY_RW), True)
    table = k.machine.ram.read32(pmd_off(mm, VA)) & ~(PAGE_SIZE - 1)
    for page, bits, is_global in ((0, L_PTE_USER, False), (1, 0, True)):
        va = VA + page * PAGE_SIZE
        pte_pa = table + 4 * (va >> 12 & 511)
        set_pte_at(k, va, pte_pa, 0x70000000 | k.mm.pgprot_kernel | bits)
        assert walk(k, mm, va).is_global is is_global


def test_tables_of_kernel_memory_come_from_the_page_allocator(k):
    va = 0xF4000000
    free = unused_pages(k)
    first, second = (pte_alloc_kernel(k, pmd_off_k(k, va), va + i * PAGE_SIZE) for i in range(2))
    assert second == first + 4
    assert unused_pages(k) == free - 1
    assert k.machine.ram.read(first & ~(PAGE_SIZE - 1), PAGE_SIZE) == bytes(PAGE_SIZE)


def test_without_memory_for_the_table_it_is_a_bug(k, mm):
    while alloc_pages(k, GFP_KERNEL, 0) is not None:
        pass
    with pytest.raises(KernelPanic) as death:
        create_mapping_late(k, mm, MapDesc(VA, 0x70000, PAGE_SIZE, MT_DEVICE), True, "a window")
    assert death.value.reason is None
    assert "second-level table of 0x00400000" in death.value.cause
