import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.hw.cpu import CORTEX_A15
from bootsim.hw.mmu import memory_type
from bootsim.linux.arch.arm.asm.mach.map import (
    MT_DEVICE,
    MT_DEVICE_CACHED,
    MT_DEVICE_NONSHARED,
    MT_DEVICE_WC,
    MT_HIGH_VECTORS,
    MT_LOW_VECTORS,
    MT_MEMORY_DMA_READY,
    MT_MEMORY_RO,
    MT_MEMORY_RW,
    MT_MEMORY_RWX,
    MT_MEMORY_RWX_NONCACHED,
    MT_NAMES,
)
from bootsim.linux.arch.arm.asm.proc_fns import Processor
from bootsim.linux.arch.arm.mm.mmu import (
    build_mem_type_table,
    early_cachepolicy,
    early_ecc,
    early_nocache,
    early_nowrite,
    early_vmalloc,
    init_default_cache_policy,
)
from bootsim.linux.arch.arm.mm.proc_v7_2level import NMRR, PRRR

SECTIONS_UP = {MT_MEMORY_RWX: 0x0040E, MT_MEMORY_RW: 0x0041E, MT_MEMORY_RO: 0x0841E, MT_DEVICE: 0x11452}
SECTIONS_SMP = {MT_MEMORY_RWX: 0x1140E, MT_MEMORY_RW: 0x1141E, MT_MEMORY_RO: 0x1941E, MT_DEVICE: 0x11452}


def said(k):
    return [r.text for r in k.log.records if r.kernel]


@pytest.mark.parametrize(("cpus", "sections", "policy"), [
    (1, SECTIONS_UP, "writeback"), (4, SECTIONS_SMP, "writealloc")])
def test_section_bits_are_the_real_ones(make, cpus, sections, policy):
    k = make.started(cpus=cpus)
    build_mem_type_table(k)
    assert {mt: k.mm.mem_types[mt].prot_sect for mt in sections} == sections
    assert said(k) == [f"Memory policy: Data cache {policy}"]


@pytest.mark.parametrize(("cpus", "pages"), [
    (1, {MT_HIGH_VECTORS: 0x1CF, MT_LOW_VECTORS: 0x0CF, MT_MEMORY_DMA_READY: 0x24F}),
    (4, {MT_HIGH_VECTORS: 0x5DF, MT_LOW_VECTORS: 0x4DF})])
def test_page_bits_are_the_real_ones(make, cpus, pages):
    k = make.started(cpus=cpus)
    build_mem_type_table(k)
    assert {mt: k.mm.mem_types[mt].prot_pte for mt in pages} == pages


@pytest.mark.parametrize(("linux", "hardware"), [
    (0x8FFFE1CF, 0x8FFFE23E), (0x8FFFF0CF, 0x8FFFF21E), (0x8FFFE5DF, 0x8FFFE67E), (0x8FFFF4DF, 0x8FFFF65E),
    (0x7FFFF24F, 0x7FFFF01F)])
def test_the_hardware_entry_is_the_real_one(linux, hardware):
    assert Processor().hardware_entry(linux) == hardware


def test_pages_that_fault_on_purpose():
    valid, young, none = 1, 2, 1 << 11
    assert Processor().hardware_entry(0x12345000 | valid) == 0
    assert Processor().hardware_entry(0x12345000 | young) == 0
    assert Processor().hardware_entry(0x12345000 | valid | young | none) == 0
    assert Processor().hardware_entry(0x12345000 | valid | young, 1 << 11) & 1 << 11  # nG


def hardware_memory(k, mt):
    """The MemoryTypes of a section and of a page of that mem_type."""
    t, tre = k.mm.mem_types[mt], 1 << 28
    sect, page = t.prot_sect, Processor().hardware_entry(t.prot_pte)
    return (memory_type((sect >> 12 & 7) << 2 | sect >> 2 & 3, bool(sect >> 16 & 1), tre, PRRR, NMRR),
            memory_type((page >> 6 & 7) << 2 | page >> 2 & 3, bool(page >> 10 & 1), tre, PRRR, NMRR))


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("mt", [MT_DEVICE, MT_DEVICE_NONSHARED, MT_DEVICE_CACHED, MT_DEVICE_WC, MT_MEMORY_RWX,
                                MT_MEMORY_RW, MT_MEMORY_RO, MT_MEMORY_RWX_NONCACHED], ids=lambda mt: MT_NAMES[mt])
def test_sections_and_pages_of_a_type_are_the_same_memory(make, cpus, mt):
    k = make.started(cpus=cpus)
    build_mem_type_table(k)
    section, page = hardware_memory(k, mt)
    assert section == page
    assert section.type == ("device" if mt in (MT_DEVICE, MT_DEVICE_NONSHARED) else "normal")
    if section.type == "normal":
        assert section.shareable == (cpus > 1)


def test_user_tables_forbid_the_kernel_to_execute_where_pxn_exists(make):
    k = make.started()
    build_mem_type_table(k)
    assert k.mm.user_pmd_table == 0x31
    k = make.started(cpu=CORTEX_A15)
    build_mem_type_table(k)
    assert k.mm.user_pmd_table == 0x35


def test_user_protections(make):
    k = make.started()
    build_mem_type_table(k)
    assert k.mm.pgprot_user == 0x0F
    assert k.mm.pgprot_kernel == 0x4F
    assert k.mm.protection_map[0b0011] == 0x38F  # private write: read-only until copied
    assert k.mm.protection_map[0b1011] == 0x30F  # shared write
    assert k.mm.protection_map[0] == 0xA8F


def test_ecc(make):
    k = make.started()
    early_ecc(k, "on")
    build_mem_type_table(k)
    assert said(k) == ["Memory policy: ECC enabled, Data cache writeback"]
    assert k.mm.mem_types[MT_MEMORY_RW].prot_sect == 0x61E


def test_other_cache_policies_are_refused(make):
    k = make.started()
    early_cachepolicy(k, "writethrough")
    early_nocache(k)
    early_nowrite(k)
    early_cachepolicy(k, "writeback")
    early_cachepolicy(k, "none")
    only = "Only cachepolicy=writeback supported on ARMv6 and later"
    assert said(k) == [only, "nocache is deprecated; use cachepolicy=buffered", only,
                       "nowb is deprecated; use cachepolicy=uncached", only,
                       "ERROR: unknown or unsupported cache policy", only]


@pytest.mark.parametrize("handler", [early_cachepolicy, early_ecc, early_vmalloc])
def test_an_option_without_its_value_is_the_end(make, handler):
    # real kernels die so: the handler reads its value at address 0
    with pytest.raises(KernelPanic, match="without a value") as death:
        handler(make.started(), None)
    assert death.value.reason is None


def test_an_unknown_policy_of_head_is_an_error(make):
    k = make.started()
    init_default_cache_policy(k, 1 << 12)
    assert said(k) == ["ERROR: could not find cache policy"]


def test_smp_forces_its_policy(make):
    k = make.started(cpus=2)
    init_default_cache_policy(k, 0xC0E)
    build_mem_type_table(k)
    assert said(k) == ["Forcing write-allocate cache policy for SMP", "Forcing shared mappings for SMP",
                       "Memory policy: Data cache writealloc"]


@pytest.mark.parametrize("ptep_pa", [0xFFFFFFFF, 0x60003002])
def test_an_entry_between_words_is_refused(ptep_pa):
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", until="mem_init")
    with pytest.raises(ValueError, match=f"{ptep_pa:#x} is no address of an entry"):
        k.processor.cpu_set_pte_ext(k.machine.ram, ptep_pa, 0, 0)
