"""paging_init() against words of real boots, and its behaviour at awkward boundaries."""

import pytest

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.fixmap import FIXMAP_PAGE_IO
from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, MT_MEMORY_RW, MapDesc
from bootsim.linux.arch.arm.mm.dma_mapping import dma_contiguous_early_fixup
from bootsim.linux.arch.arm.mm.ioremap import find_static_vm_paddr, find_static_vm_vaddr
from bootsim.linux.arch.arm.mm.mmu import (
    adjust_lowmem_bounds,
    early_fixmap_init,
    early_mm_init,
    fill_pmd_gaps,
    iotable_init,
    paging_init,
    set_fixmap,
)
from bootsim.linux.mm.memblock import memblock_mark_nomap, memblock_reserve

MIB = 1 << 20
RAM = 0x60000000


@pytest.fixture
def paged(make, monkeypatch):
    """A kernel after paging_init(), the zones left out."""
    monkeypatch.setattr("bootsim.linux.arch.arm.mm.init.bootmem_init", lambda k: None)
    monkeypatch.setattr("bootsim.linux.arch.arm.mm.flush.__flush_dcache_page", lambda k, pa: None)

    def build(*banks, cma=None, before=None, **options):
        k = make.with_banks(*banks, **options)
        early_fixmap_init(k)
        early_mm_init(k)
        adjust_lowmem_bounds(k)
        if k.atags_pointer:
            memblock_reserve(k.mm.memblock, k.atags_pointer, 0x10000, "test")
        if cma:
            memblock_reserve(k.mm.memblock, *cma, "test")
            dma_contiguous_early_fixup(k, *cma, "test")
        if before:
            before(k)
        adjust_lowmem_bounds(k)
        paging_init(k)
        return k

    return build


def words(k, pa, size):
    return {i: w for i, w in enumerate(memoryview(k.machine.ram.read(pa, size)).cast("I")) if w}


def runs(*parts):
    """{index: word} of (va, first word, sections) runs."""
    return {(va >> 20) + i: word + (i << 20) for va, word, n in parts for i in range(n)}


@pytest.mark.parametrize(("cpus", "expected", "vectors"), [
    (1, runs((0xBFE00000, 0x8FFFC811, 1), (0xBFF00000, 0x8FFFCC11, 1), (0xC0000000, 0x6000041E, 1),
             (0xC0100000, 0x6010040E, 11), (0xC0C00000, 0x60C0041E, 756), (0xFF800000, 0x6800841E, 2),
             (0xFFC00000, 0x8FFFB811, 1), (0xFFD00000, 0x8FFFBC11, 1), (0xFFE00000, 0x8FFFD861, 1),
             (0xFFF00000, 0x8FFFDC61, 1)),
     {496: 0x8FFFE1CF, 497: 0x8FFFF0CF, 1008: 0x8FFFE23E, 1009: 0x8FFFF21E}),
    (4, runs((0xBFE00000, 0x8FFFC811, 1), (0xBFF00000, 0x8FFFCC11, 1), (0xC0000000, 0x6001141E, 1),
             (0xC0100000, 0x6011140E, 11), (0xC0C00000, 0x60C1141E, 756), (0xFF800000, 0x6801941E, 2),
             (0xFFC00000, 0x8FFFB811, 1), (0xFFD00000, 0x8FFFBC11, 1), (0xFFE00000, 0x8FFFD861, 1),
             (0xFFF00000, 0x8FFFDC61, 1)),
     {496: 0x8FFFE5DF, 497: 0x8FFFF4DF, 1008: 0x8FFFE67E, 1009: 0x8FFFF65E})])
def test_one_gib_with_highmem_is_as_in_the_real_boot(paged, cpus, expected, vectors):
    k = paged((RAM, 1024 * MIB), cma=(0x9F000000, 16 * MIB), cpus=cpus)
    assert words(k, k.mm.init_mm.pgd_pa, 16384) == expected
    assert words(k, 0x8FFFD000, 4096) == vectors
    assert words(k, 0x8FFFC000, 4096) == words(k, 0x8FFFB000, 4096) == {}
    assert k.mm.empty_zero_page_pa == 0x8FFFA000
    assert k.mm.pkmap_page_table_pa == 0x8FFFC000


def test_a_cma_area_in_lowmem_is_mapped_by_pages_as_in_the_real_boot(paged):
    k = paged((RAM, 512 * MIB), cma=(0x7F000000, 16 * MIB), HIGHMEM=False)
    tables = {0xDF000000 + i * 2 * MIB: 0x7EFFE000 - i * 4096 for i in range(8)}
    expected = runs((0xC0000000, 0x6000041E, 1), (0xC0100000, 0x6010040E, 11), (0xC0C00000, 0x60C0041E, 484),
                    *((va, pa + 0x801, 1) for va, pa in tables.items()),
                    *((va + MIB, pa + 0xC01, 1) for va, pa in tables.items()),
                    (0xFF800000, 0x6800841E, 2), (0xFFC00000, 0x7EFF3811, 1), (0xFFD00000, 0x7EFF3C11, 1),
                    (0xFFE00000, 0x7EFF6861, 1), (0xFFF00000, 0x7EFF6C61, 1))
    assert words(k, k.mm.init_mm.pgd_pa, 16384) == expected
    for i, pa in enumerate(tables.values()):
        first = 0x7F000000 + i * 2 * MIB
        assert words(k, pa, 4096) == {j: first + j * 4096 | 0x24F for j in range(512)} | {
            512 + j: first + j * 4096 | 0x01F for j in range(512)}
    reserved = [(r.base, r.size) for r in k.mm.memblock.reserved.regions]
    assert reserved[-2:] == [(0x7EFF2000, 0xD000), (0x7EFFFFD8, 0x1000028)]
    assert find_static_vm_vaddr(k, 0xDF123456).vm.phys_addr == 0x7F000000


def test_only_the_kernels_code_is_executable(paged):
    k = paged((RAM, 512 * MIB))
    assert k.translate(0xC0100000, "execute")
    assert k.translate(0xC0BFFFFF, "execute")
    for va in (0xC0000000, 0xC0C00000, 0xDFFFFFFF):
        assert k.translate(va, "write")
        assert not k.translate(va, "execute")
    assert k.translate(0xFFFF0000, "execute", privileged=False)
    assert not k.translate(0xFFFF1000, "read", privileged=False)
    assert not k.translate(0xFF800000, "write")


def test_the_vectors_page_is_poisoned(paged):
    k = paged((RAM, 512 * MIB))
    assert k.machine.ram.read32(k.mm.vectors_page_pa) == 0xE7FDDEF1
    assert k.machine.ram.read32(k.mm.vectors_page_pa + 4096) == 0


def test_the_identity_section_is_gone(paged):
    k = paged((RAM, 512 * MIB))
    assert not k.translate(0x60100000)


def test_a_bank_that_ends_within_a_section_gets_a_page_table(paged):
    k = paged((RAM, 512 * MIB), (0x88000000, 16 * MIB + 0x35000))
    end = 0x89035000
    inside = k.translate(k.phys_to_virt(end - 1))
    assert (inside.pa, inside.kind) == (end - 1, "small")
    assert not k.translate(k.phys_to_virt(end))
    assert k.translate(k.phys_to_virt(0x88FFFFFF)).kind == "section"


def test_a_no_map_hole_is_not_mapped(paged):
    k = paged((RAM, 512 * MIB), before=lambda k: memblock_mark_nomap(k.mm.memblock, 0x70010000, 0x8000))
    assert not k.translate(k.phys_to_virt(0x70010000))
    assert not k.translate(k.phys_to_virt(0x70017FFF))
    assert k.translate(k.phys_to_virt(0x7000FFFF)).pa == 0x7000FFFF
    assert k.translate(k.phys_to_virt(0x70018000)).pa == 0x70018000


def test_a_page_table_where_a_section_is_kills_the_kernel_silently(paged):
    # the first MiB of the 2 MiB ends as a section, the second starts in its middle
    with pytest.raises(KernelPanic, match="begin with a section") as death:
        paged((RAM, 0x10100000), (0x70180000, 16 * MIB))
    assert death.value.reason is None


@pytest.mark.parametrize("banks", [
    [(RAM + 0x80000, 512 * MIB - 0x80000)],  # its first 2 MiB become no-map, and with them all that is mapped
    [(RAM, 8 * MIB), (RAM + 10 * MIB, 256 * MIB)]])
def test_a_first_bank_that_ends_within_the_kernel_kills_it_silently(paged, banks):
    # both trees do so to a real kernel
    with pytest.raises(KernelPanic, match=r"leaves the kernel at 0xc0[82a]00000 without a mapping") as death:
        paged(*banks)
    assert death.value.reason is None


def test_no_memory_left_for_tables(paged):
    with pytest.raises(KernelPanic) as death:
        paged((RAM, 16 * MIB), before=lambda k: memblock_reserve(k.mm.memblock, RAM, 16 * MIB, "test"))
    assert death.value.reason == "early_alloc: Failed to allocate 8192 bytes align=0x2000"


def test_an_early_console_page_survives(paged):
    k = paged((RAM, 512 * MIB), before=lambda k: set_fixmap(k, 0, 0x10009000, FIXMAP_PAGE_IO))
    found = k.translate(0xFFEFF010, "write")
    assert (found.pa, found.memory.type, found.domain) == (0x10009010, "device", 2)


@pytest.mark.parametrize(("ignore_loglevel", "console_loglevel", "dies"), [
    (True, 4, True), (False, 7, True), (False, 6, False)])
def test_an_early_console_that_hears_memblock_kills_the_kernel_silently(paged, ignore_loglevel, console_loglevel, dies):
    # a real kernel does so
    def talk(k):
        set_fixmap(k, 0, 0x10009000, FIXMAP_PAGE_IO)
        k.mm.memblock.debug = True
        k.log.ignore_loglevel, k.log.console_loglevel = ignore_loglevel, console_loglevel

    if dies:
        with pytest.raises(KernelPanic, match="earlycon with memblock=debug") as death:
            paged((RAM, 512 * MIB), before=talk)
        assert death.value.reason is None
    else:
        assert paged((RAM, 512 * MIB), before=talk).translate(0xFFEFF010)


def test_a_cleared_early_console_page_is_gone(paged):
    def clear(k):
        set_fixmap(k, 0, 0x10009000, FIXMAP_PAGE_IO)
        set_fixmap(k, 0, 0, 0)

    assert not paged((RAM, 512 * MIB), before=clear).translate(0xFFEFF010)


def test_fixmap_slots_end(paged):
    with pytest.raises(IndexError):
        paged((RAM, 512 * MIB), before=lambda k: set_fixmap(k, 1000, 0, FIXMAP_PAGE_IO))


def test_a_machines_devices_are_mapped_and_kept_from_vmalloc(paged):
    k = paged((RAM, 512 * MIB))
    iotable_init(k, [MapDesc(0xF8000000, 0x10000, MIB, MT_DEVICE), MapDesc(0xF9000123, 0x1C010, 0x1000, MT_DEVICE)])
    fill_pmd_gaps(k)
    assert k.translate(0xF80FFFFF, "write").pa == 0x100FFFFF
    assert k.translate(0xF80FFFFF, "write").kind == "section"
    assert k.translate(0xF9001122).pa == 0x1C011122
    assert find_static_vm_paddr(k, 0x10000100, 4096, MT_DEVICE).vm.addr == 0xF8000000
    assert find_static_vm_paddr(k, 0x10000100, 2 * MIB, MT_DEVICE) is None
    assert find_static_vm_paddr(k, 0x10000100, 4096, MT_MEMORY_RW) is None
    assert find_static_vm_vaddr(k, 0xF9001000).vm.size == 0x2000
    # the other half of the 2 MiB that one section uses
    assert [(s.vm.addr, s.vm.size, s.vm.caller) for s in k.mm.static_vmlist] == [
        (0xF8000000, MIB, "iotable_init"), (0xF8100000, MIB, "pmd_empty_section_gap"),
        (0xF9000000, 0x2000, "iotable_init")]
    assert [vm.addr for vm in k.mm.vmlist] == [0xF8000000, 0xF8100000, 0xF9000000]


def test_a_section_in_the_upper_half_blocks_the_lower(paged):
    k = paged((RAM, 512 * MIB))
    iotable_init(k, [MapDesc(0xF8100000, 0x10000, MIB, MT_DEVICE)])
    fill_pmd_gaps(k)
    assert [s.vm.addr for s in k.mm.static_vmlist] == [0xF8000000, 0xF8100000]


def test_overlapping_static_mappings_are_a_bug(paged):
    k = paged((RAM, 512 * MIB))
    iotable_init(k, [MapDesc(0xF8100000, 0x10000, MIB, MT_DEVICE)])
    with pytest.raises(KernelPanic, match="overlaps"):
        iotable_init(k, [MapDesc(0xF8180000, 0x10000, 4096, MT_DEVICE)])


def test_pci_keeps_its_window(paged):
    k = paged((RAM, 512 * MIB), PCI=True)
    assert [(vm.addr, vm.size, vm.caller) for vm in k.mm.vmlist] == [(0xFEE00000, 2 * MIB, "pci_reserve_io")]


def test_the_debug_port_is_mapped_for_good(paged):
    k = paged((RAM, 512 * MIB), DEBUG_LL=True, DEBUG_UART_PHYS=0x10009000, DEBUG_UART_VIRT=0xF8009000)
    assert (k.translate(0xF8009000).pa, k.translate(0xF8009000).kind) == (0x10009000, "small")


@pytest.mark.parametrize("phys_offset", [0x80000000, 0x10000000])
@pytest.mark.parametrize("page_offset", [0x40000000, 0x80000000, 0xB0000000, 0xC0000000])
def test_other_splits_and_boards(paged, page_offset, phys_offset):
    k = paged((phys_offset, 512 * MIB), page_offset=page_offset, kernel_pa=phys_offset + 0x8000,
              dtb_pa=phys_offset + 0x08000000)
    for offset in (0, 0x100000, 0xC00000, 512 * MIB - 1):
        assert k.translate(page_offset + offset).pa == phys_offset + offset
    assert not k.translate(page_offset + 512 * MIB)
    assert k.translate(0xFF800000).pa == phys_offset + 0x08000000
