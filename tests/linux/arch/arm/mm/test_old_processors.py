"""Processors before ARMv7: who they are, how their tables look.

Expected values are those of real boots where it says so, else of the assembler's own tables of permissions.
"""

import pytest

from bootsim.errors import KernelPanic
from bootsim.hw.cpu import ARM11MPCORE, ARM920, ARM926, ARM1026, ARM1136, ARM1176, FEROCEON, MOHAWK, XSC3, XSCALE_PXA27X
from bootsim.linux.arch.arm.asm.domain import domain_names
from bootsim.linux.arch.arm.asm.mach.map import (
    MT_DEVICE,
    MT_DEVICE_WC,
    MT_HIGH_VECTORS,
    MT_MEMORY_RW,
    MT_MEMORY_RWX,
    MapDesc,
)
from bootsim.linux.arch.arm.asm.proc_fns import (
    SET_PTE_ARMV3,
    SET_PTE_ARMV3_WB,
    SET_PTE_V6,
    SET_PTE_XSC3,
    SET_PTE_XSCALE,
    Processor,
)
from bootsim.linux.arch.arm.asm.system_info import (
    CPU_ARCH_ARMv4T,
    CPU_ARCH_ARMv5TE,
    CPU_ARCH_ARMv5TEJ,
    CPU_ARCH_ARMv6,
    CPU_ARCH_ARMv7,
)
from bootsim.linux.arch.arm.kernel.setup import setup_processor
from bootsim.linux.arch.arm.mm.mmu import create_mapping, pmd_populate_kernel
from bootsim.linux.arch.arm.mm.mmu.mem_types import build_mem_type_table, early_cachepolicy
from bootsim.linux.mm.memblock import memblock_add
from bootsim.state.ranges import CR_ARMV7
from bootsim.views.descriptors import first_level

V5 = {"CPU_V7": False, "CPU_ARM926T": True, "CPU_32v5": True, "CPU_CACHE_VIVT": True, "SMP": False, "SMP_ON_UP": False,
      "ALIGNMENT_TRAP": True, "SWP_EMULATE": False}  # fmt: skip
V6 = {"CPU_V7": False, "CPU_V6": True, "CPU_32v6": True, "CPU_CACHE_VIPT": True, "SMP": False, "SMP_ON_UP": False,
      "ALIGNMENT_TRAP": True, "SWP_EMULATE": False}  # fmt: skip
PRESENT, YOUNG, DIRTY, RDONLY, USER, XN, SHARED = 1, 2, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10
WRITEBACK = 3 << 2
PFN = 0x12345000


def log(k):
    return [record.text for record in k.log.records if record.kernel]


@pytest.mark.parametrize(("cpu", "config", "arch", "line", "caches"), [
    # the first two lines are of real boots: a Versatile and a Raspberry Pi Zero in QEMU
    (ARM926, V5, CPU_ARCH_ARMv5TEJ, "CPU: ARM926EJ-S [41069265] revision 5 (ARMv5TEJ), cr=00093177",
     "VIVT data cache, VIVT"),
    (ARM1176, V6, CPU_ARCH_ARMv7, "CPU: ARMv6-compatible processor [410fb767] revision 7 (ARMv7), cr=00c5387d",
     "VIPT aliasing data cache, unknown"),
    (ARM1136, V6, CPU_ARCH_ARMv6, "CPU: ARMv6-compatible processor [4117b363] revision 3 (ARMv6TEJ), cr=00c5387d",
     "VIPT aliasing data cache, unknown"),
    (ARM920, V5 | {"CPU_ARM920T": True, "CPU_32v4T": True}, CPU_ARCH_ARMv4T,
     "CPU: ARM920T [41129200] revision 0 (ARMv4T), cr=00007177", "VIVT data cache, VIVT"),
    (FEROCEON, V5 | {"CPU_FEROCEON": True}, CPU_ARCH_ARMv5TE,
     "CPU: Feroceon 88FR131 [56251311] revision 1 (ARMv5TE), cr=0005397f",  # of a Kirkwood board
     "VIVT data cache, VIVT"),
])  # fmt: skip
def test_who_they_are(make, cpu, config, arch, line, caches):
    k = make.started(cpu=cpu, **config)
    setup_processor(k)
    assert k.cpu_architecture == arch
    assert log(k)[-2:] == [line, f"CPU: {caches} instruction cache"]


@pytest.mark.parametrize(("cpu", "config", "cr"), [
    # QEMU's PXA270, with a kernel that its decompressor started
    (XSCALE_PXA27X, {**V5, "CPU_XSCALE": True}, 0x7977),
])
def test_the_control_register_keeps_bits_of_the_decompressor(make, cpu, config, cr):
    assert make.started(cpu=cpu, **config).cr_alignment == cr


def test_a_pi_that_says_what_its_chip_says_has_no_aliases(make):
    k = make.started(cpu=ARM1176._replace(ctr=0x1D152152), **V6)
    setup_processor(k)
    assert log(k)[-1] == "CPU: PIPT / VIPT nonaliasing data cache, VIPT nonaliasing instruction cache"


def test_a_kernel_without_the_processor_is_the_end(make):
    with pytest.raises(KernelPanic, match="0x41069265"):
        make.started(cpu=ARM926, **V6)


def test_an_armv7_kernel_takes_an_arm11_for_its_own_and_dies(make):
    with pytest.raises(KernelPanic, match="__v7_setup") as death:
        make.started(cpu=ARM1176)
    assert death.value.reason is None


def test_the_first_table_sets_bit_4_and_knows_no_xn(make):
    # of the real Versatile: sections of the kernel 0xc1e, of the debug port 0xc12
    k = make.started(cpu=ARM926, DEBUG_LL=True, DEBUG_UART_PHYS=0x101F1000, DEBUG_UART_VIRT=0xF11F1000, **V5)
    words = k.machine.ram
    assert words.read32(k.mm.init_mm.pgd_pa + 4 * 0xC00) & 0xFFFFF == 0xC1E
    assert words.read32(k.mm.init_mm.pgd_pa + 4 * 0xF11) == 0x10100C12


def test_a_kernel_with_domains_manages_its_memory(make):
    # DAC of a real kernel on QEMU's integratorcp: 00000053
    k = make.started(cpu=ARM926, **V5, CPU_USE_DOMAINS=True, CPU_SW_DOMAIN_PAN=True)
    assert k.cpus[0].cp15.dacr == 0x53
    assert make.started(cpu=ARM926, **V5, CPU_SW_DOMAIN_PAN=True).cpus[0].cp15.dacr == 0x51


def test_arm11mpcore_is_smp_by_its_id(make):
    assert make.started(cpu=ARM11MPCORE, **V6 | {"SMP": True, "SMP_ON_UP": True}).is_smp
    assert not make.started(cpu=ARM1176, **V6 | {"SMP": True, "SMP_ON_UP": True}).is_smp


def mem_types(make, cpu, config):
    k = make.started(cpu=cpu, **config)
    setup_processor(k)
    build_mem_type_table(k)
    return k


def test_memory_types_of_armv5(make):
    k = mem_types(make, ARM926, V5)
    types = k.mm.mem_types
    assert types[MT_MEMORY_RWX].prot_sect == 0x41E  # as the real Versatile's lowmem
    assert types[MT_MEMORY_RW].prot_sect == 0x41E
    assert types[MT_DEVICE].prot_sect & 0x1C00C == 0  # TEX, S, C, B: strongly ordered
    assert all(t.prot_l1 & 0x10 for t in types if t.prot_l1)
    assert all(t.prot_sect & 0x10 for t in types if t.prot_sect)


def test_memory_types_of_armv6(make):
    types = mem_types(make, ARM1136, V6).mm.mem_types
    assert types[MT_DEVICE].prot_sect & 0x1D01C == 1 << 16 | 1 << 4 | 1 << 2  # S, XN, B
    assert types[MT_DEVICE_WC].prot_sect & 0x701C == 1 << 12 | 1 << 4
    assert types[MT_HIGH_VECTORS].prot_pte >> 2 & 15 == 15  # the vectors' own memory type
    assert mem_types(make, ARM1176, V6).mm.mem_types[MT_HIGH_VECTORS].prot_pte >> 2 & 15 == 3


@pytest.mark.parametrize(("cpu", "symbol"), [(XSCALE_PXA27X, "CPU_XSCALE"), (XSC3, "CPU_XSC3"), (MOHAWK, "CPU_MOHAWK")])
def test_xscale_wants_bit_4_clear(make, cpu, symbol):
    types = mem_types(make, cpu, V5 | {symbol: True}).mm.mem_types
    assert not any((t.prot_l1 | t.prot_sect) & 0x10 for t in types)


def test_a_kernel_that_reaches_devices_above_4_gib_numbers_domains_otherwise(make):
    # CONFIG_IO_36: devices have domain 0, the only one of a supersection, and kernel memory domain 2
    io36 = V5 | {"CPU_XSC3": True, "CPU_XSCALE": True, "IO_36": True, "CPU_USE_DOMAINS": True}
    for cpu in (XSC3, XSCALE_PXA27X):
        k = mem_types(make, cpu, io36)
        assert k.cpus[0].cp15.dacr == 0x71  # a manager of domain 2
        assert k.mm.mem_types[MT_MEMORY_RW].prot_sect >> 5 & 15 == 2
        assert k.mm.mem_types[MT_DEVICE].prot_sect >> 5 & 15 == 0
        assert k.mm.mem_types[MT_HIGH_VECTORS].prot_l1 >> 5 & 15 == 3
        pmd_populate_kernel(k, k.mm.init_mm.pgd_pa + 0x3C00, 0x60800000)
        assert k.machine.ram.read32(k.mm.init_mm.pgd_pa + 0x3C00) == 0x60800851
    assert domain_names(k.build.config) == {0: "IO", 1: "USER", 2: "KERNEL", 3: "VECTORS"}
    assert first_level(0x60000C5E, CR_ARMV7, domain_names(k.build.config)).kind == "section"
    assert [f.meaning for f in first_level(0x60000C4E, CR_ARMV7, domain_names(k.build.config)).fields
            if f.name == "domain"] == ["KERNEL"]  # fmt: skip


@pytest.mark.parametrize(("cpu", "words"), [
    (XSC3, []), (XSCALE_PXA27X, ["MM: CPU does not support supersection mapping for 0x100000000 at 0xf0000000"]),
])  # fmt: skip
def test_a_device_above_4_gib_is_for_xscale_of_the_third_generation(make, cpu, words):
    k = mem_types(make, cpu, V5 | {"CPU_XSC3": True, "CPU_XSCALE": True, "IO_36": True})
    create_mapping(k, MapDesc(0xF0000000, 0x100000, 16 << 20, MT_DEVICE))
    assert [text for text in log(k) if "supersection" in text and not text.startswith("bootsim")] == words
    word = k.machine.ram.read32(k.mm.init_mm.pgd_pa + 0x3C00)
    assert (word >> 18 & 1, word >> 20 & 0xF) == ((1, 1) if cpu is XSC3 else (0, 0))


def test_arm1026_is_uncached_as_head_mapped_it(make):
    k = mem_types(make, ARM1026, V5 | {"CPU_ARM1026": True})
    assert log(k)[-1] == "Memory policy: Data cache uncached"


def test_cachepolicy_counts_before_armv6(make):
    k = make.started(cpu=ARM926, **V5)
    setup_processor(k)
    early_cachepolicy(k, "buffered")
    build_mem_type_table(k)
    assert log(k)[-1] == "Memory policy: Data cache buffered"
    assert k.cpus[0].cp15.sctlr == 0x93177 & ~(1 << 2)  # the data cache is off


def test_a_build_for_write_through(make):
    assert log(mem_types(make, ARM926, V5 | {"CPU_DCACHE_WRITETHROUGH": True}))[-1].endswith("writethrough")


def test_aliases_drop_highmem(make):
    from bootsim.linux.arch.arm.mm.mmu import adjust_lowmem_bounds

    k = make.started(cpu=ARM1176, **V6)
    setup_processor(k)
    memblock_add(k.mm.memblock, 0x60000000, 1 << 30)
    adjust_lowmem_bounds(k)
    assert any(text.startswith("Ignoring RAM at 0x90000000") for text in log(k))


# ---------------------------------------------------------------- second-level entries


def entry(kind, *bits, mt=WRITEBACK, **options):
    return Processor(kind, **options).hardware_entry(PFN | mt | sum(bits)) & 0xFFF


@pytest.mark.parametrize(("bits", "ap"), [  # young, user, writable, dirty: AP of each of the four subpages
    ((PRESENT, YOUNG, DIRTY, RDONLY), 0), ((PRESENT, YOUNG), 0), ((PRESENT, YOUNG, DIRTY), 1),
    ((PRESENT, YOUNG, USER, RDONLY, DIRTY), 2), ((PRESENT, YOUNG, USER), 2), ((PRESENT, YOUNG, USER, DIRTY), 3),
])  # fmt: skip
def test_permissions(bits, ap):
    assert entry(SET_PTE_ARMV3, *bits) == 0x55 * ap << 4 | 0xC | 2
    assert entry(SET_PTE_XSCALE, *bits) & ~0xC == ap << 4 | 3
    assert entry(SET_PTE_XSC3, *bits) & ~0xC == ap << 4 | 3


@pytest.mark.parametrize("kind", [SET_PTE_V6, SET_PTE_ARMV3, SET_PTE_XSCALE, SET_PTE_XSC3])
def test_old_and_absent_pages_fault(kind):
    assert entry(kind, PRESENT, DIRTY) == entry(kind, YOUNG, DIRTY) == 0


def test_write_through_builds_take_the_bufferable_bit_from_cached_pages():
    bits = (PRESENT, YOUNG, DIRTY)
    assert entry(SET_PTE_ARMV3, *bits, writethrough=True) & 0xC == 8
    assert entry(SET_PTE_ARMV3_WB, *bits, writethrough=True) & 0xC == 0xC


@pytest.mark.parametrize(("bits", "apx", "ap"), [
    ((DIRTY,), 0, 1), ((RDONLY, DIRTY), 1, 1), ((), 1, 1), ((USER, DIRTY), 0, 3), ((USER, RDONLY), 1, 2),
    ((USER,), 1, 2),
])  # fmt: skip
def test_permissions_of_armv6(bits, apx, ap):
    found = entry(SET_PTE_V6, PRESENT, YOUNG, *bits)
    assert (found >> 9 & 1, found >> 4 & 3, found & 3) == (apx, ap, 2)


def test_attributes_of_armv6():
    assert entry(SET_PTE_V6, PRESENT, YOUNG, DIRTY, XN) & 1
    assert entry(SET_PTE_V6, PRESENT, YOUNG, DIRTY, SHARED) & 1 << 10
    assert entry(SET_PTE_V6, PRESENT, YOUNG, DIRTY, mt=1 << 2) & 0x1CC == 1 << 6  # bufferable: TEX 1
    assert entry(SET_PTE_V6, PRESENT, YOUNG, DIRTY, mt=12 << 2) & 0x1CC == 2 << 6  # device, not shared
    vectors = entry(SET_PTE_V6, PRESENT, YOUNG, DIRTY, USER, RDONLY, mt=15 << 2)
    assert vectors & 0x1CC == 0xC
    assert (vectors >> 9 & 1, vectors >> 4 & 3) == (0, 2)  # the user reads, the kernel writes


def test_xscale_writes_users_read_only_pages_through():
    assert entry(SET_PTE_XSCALE, PRESENT, YOUNG, USER, RDONLY) & 0xC == 8
    assert entry(SET_PTE_XSCALE, PRESENT, YOUNG, USER, DIRTY) & 0xC == 0xC
    assert entry(SET_PTE_XSC3, PRESENT, YOUNG, DIRTY, SHARED) & 1 << 9


def test_a_feroceon_keeps_the_write_buffer_of_a_write_through_build(make):
    from bootsim.linux.arch.arm.mm import proc_feroceon, proc_sa110

    assert {entry.set_pte for entry in proc_feroceon.PROC_INFO} == {entry.set_pte for entry in proc_sa110.PROC_INFO}
    assert proc_feroceon.PROC_INFO[0].set_pte != make.started(cpu=ARM926, **V5).procinfo.set_pte
