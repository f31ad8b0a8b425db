"""Memory types: which bits each kind of mapping gets on this processor, and the options that ask for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.domain import DOMAIN_IO, DOMAIN_KERNEL, DOMAIN_VECTORS
from bootsim.linux.arch.arm.asm.mach.arch import run_hook
from bootsim.linux.arch.arm.asm.mach.map import (
    MT_CACHECLEAN,
    MT_DEVICE,
    MT_DEVICE_CACHED,
    MT_DEVICE_NONSHARED,
    MT_DEVICE_WC,
    MT_HIGH_VECTORS,
    MT_LOW_VECTORS,
    MT_MEMORY_DMA_READY,
    MT_MEMORY_RO,
    MT_MEMORY_RW,
    MT_MEMORY_RW_DTCM,
    MT_MEMORY_RW_SO,
    MT_MEMORY_RWX,
    MT_MEMORY_RWX_ITCM,
    MT_MEMORY_RWX_NONCACHED,
    MT_MINICLEAN,
    MT_NAMES,
    MT_ROM,
    MT_UNCACHED,
)
from bootsim.linux.arch.arm.asm.pgtable_2level import (
    L_PTE_DIRTY,
    L_PTE_MT_BUFFERABLE,
    L_PTE_MT_DEV_CACHED,
    L_PTE_MT_DEV_NONSHARED,
    L_PTE_MT_DEV_SHARED,
    L_PTE_MT_DEV_WC,
    L_PTE_MT_UNCACHED,
    L_PTE_MT_WRITEALLOC,
    L_PTE_MT_WRITEBACK,
    L_PTE_MT_WRITETHROUGH,
    L_PTE_NONE,
    L_PTE_PRESENT,
    L_PTE_RDONLY,
    L_PTE_SHARED,
    L_PTE_USER,
    L_PTE_XN,
    L_PTE_YOUNG,
    PMD_PROTECTION,
    PMD_PXNTABLE,
    PMD_SECT_AP_WRITE,
    PMD_SECT_APX,
    PMD_SECT_BUFFERABLE,
    PMD_SECT_BUFFERED,
    PMD_SECT_CACHE_MASK,
    PMD_SECT_MINICACHE,
    PMD_SECT_S,
    PMD_SECT_TEX_1,
    PMD_SECT_UNCACHED,
    PMD_SECT_WB,
    PMD_SECT_WBWA,
    PMD_SECT_WT,
    PMD_SECT_XN,
    PMD_TYPE_SECT,
    PMD_TYPE_TABLE,
)
from bootsim.linux.arch.arm.mm.mmu.create_mapping import MemType
from bootsim.linux.kernel.printk import KERN_CRIT, KERN_ERR, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import EarlyParam, SetupParam, value_of

if TYPE_CHECKING:
    from bootsim.inputs.build import MachineDesc
    from bootsim.linux import Kernel


class CachePolicy(NamedTuple):
    """struct cachepolicy: how normal memory is cached, as section bits and as page bits."""

    policy: str
    pmd: int
    pte: int


CPOLICY_UNCACHED, CPOLICY_BUFFERED, CPOLICY_WRITETHROUGH, CPOLICY_WRITEBACK, CPOLICY_WRITEALLOC = range(5)

CACHE_POLICIES = (
    CachePolicy("uncached", PMD_SECT_UNCACHED, L_PTE_MT_UNCACHED),
    CachePolicy("buffered", PMD_SECT_BUFFERED, L_PTE_MT_BUFFERABLE),
    CachePolicy("writethrough", PMD_SECT_WT, L_PTE_MT_WRITETHROUGH),
    CachePolicy("writeback", PMD_SECT_WB, L_PTE_MT_WRITEBACK),
    CachePolicy("writealloc", PMD_SECT_WBWA, L_PTE_MT_WRITEALLOC),
)


def initial_mem_types() -> list[MemType]:
    """The memory types as compiled, before build_mem_type_table() fits them to the processor.

    Source: arch/arm/mm/mmu.c mem_types
    """
    young = L_PTE_PRESENT | L_PTE_YOUNG | L_PTE_DIRTY
    device, sect_device = young | L_PTE_XN, PMD_TYPE_SECT | PMD_SECT_AP_WRITE
    table, sect = PMD_TYPE_TABLE, PMD_TYPE_SECT
    types = {
        MT_DEVICE: MemType(device | L_PTE_MT_DEV_SHARED | L_PTE_SHARED, table, sect_device | PMD_SECT_S, DOMAIN_IO),
        MT_DEVICE_NONSHARED: MemType(device | L_PTE_MT_DEV_NONSHARED, table, sect_device, DOMAIN_IO),
        MT_DEVICE_CACHED: MemType(device | L_PTE_MT_DEV_CACHED, table, sect_device | PMD_SECT_WB, DOMAIN_IO),
        MT_DEVICE_WC: MemType(device | L_PTE_MT_DEV_WC, table, sect_device, DOMAIN_IO),
        MT_UNCACHED: MemType(device, table, sect | PMD_SECT_XN, DOMAIN_IO),
        MT_CACHECLEAN: MemType(0, 0, sect | PMD_SECT_XN, DOMAIN_KERNEL),
        MT_MINICLEAN: MemType(0, 0, sect | PMD_SECT_XN | PMD_SECT_MINICACHE, DOMAIN_KERNEL),
        MT_LOW_VECTORS: MemType(young | L_PTE_RDONLY, table, 0, DOMAIN_VECTORS),
        MT_HIGH_VECTORS: MemType(young | L_PTE_USER | L_PTE_RDONLY, table, 0, DOMAIN_VECTORS),
        MT_MEMORY_RWX: MemType(young, table, sect | PMD_SECT_AP_WRITE, DOMAIN_KERNEL),
        MT_MEMORY_RW: MemType(young | L_PTE_XN, table, sect | PMD_SECT_AP_WRITE, DOMAIN_KERNEL),
        MT_MEMORY_RO: MemType(young | L_PTE_XN | L_PTE_RDONLY, table, sect, DOMAIN_KERNEL),
        MT_ROM: MemType(0, 0, sect, DOMAIN_KERNEL),
        MT_MEMORY_RWX_NONCACHED: MemType(young | L_PTE_MT_BUFFERABLE, table, sect | PMD_SECT_AP_WRITE, DOMAIN_KERNEL),
        MT_MEMORY_RW_DTCM: MemType(young | L_PTE_XN, table, sect | PMD_SECT_XN, DOMAIN_KERNEL),
        MT_MEMORY_RWX_ITCM: MemType(young, table, 0, DOMAIN_KERNEL),
        MT_MEMORY_RW_SO: MemType(young | L_PTE_MT_UNCACHED | L_PTE_XN, table,
                                 sect | PMD_SECT_AP_WRITE | PMD_SECT_S | PMD_SECT_UNCACHED | PMD_SECT_XN,
                                 DOMAIN_KERNEL),
        MT_MEMORY_DMA_READY: MemType(young | L_PTE_XN, table, 0, DOMAIN_KERNEL),
    }
    return [types[i] for i in range(len(MT_NAMES))]


def initial_protection_map() -> list[int]:
    """What mmap's read, write, exec (private, then shared) become as page protection, before user_pgprot is added.

    Source: arch/arm/include/asm/pgtable.h __P000...__S111
    """
    base = L_PTE_PRESENT | L_PTE_YOUNG
    none = base | L_PTE_RDONLY | L_PTE_XN | L_PTE_NONE
    readonly, readonly_exec = base | L_PTE_USER | L_PTE_RDONLY | L_PTE_XN, base | L_PTE_USER | L_PTE_RDONLY
    shared, shared_exec = base | L_PTE_USER | L_PTE_XN, base | L_PTE_USER
    private = [none, readonly, readonly, readonly] + [readonly_exec] * 4
    return private + [none, readonly, shared, shared, readonly_exec, readonly_exec, shared_exec, shared_exec]


def init_default_cache_policy(k: Kernel, pmd: int) -> None:
    """Take the cache policy over from the section flags `pmd` that head.S mapped the kernel with.

    Source: arch/arm/mm/mmu.c init_default_cache_policy()
    """
    k.mm.initial_pmd_value = pmd
    for i, policy in enumerate(CACHE_POLICIES):
        if policy.pmd == pmd & PMD_SECT_CACHE_MASK:
            k.mm.cachepolicy = i
            return
    printk(k, KERN_ERR, "ERROR: could not find cache policy")


def early_cachepolicy(k: Kernel, arg: str | None) -> int:
    """cachepolicy=NAME: on ARMv6 and later only what head.S chose is possible.

    Source: arch/arm/mm/mmu.c early_cachepolicy()
    """
    value = value_of("cachepolicy", arg)
    selected = next((i for i, p in enumerate(CACHE_POLICIES) if value.startswith(p.policy)), -1)
    if selected == -1:
        printk(k, KERN_ERR, "ERROR: unknown or unsupported cache policy")
    if selected != k.mm.cachepolicy:
        printk(k, KERN_WARNING, "Only cachepolicy={policy} supported on ARMv6 and later",
               policy=CACHE_POLICIES[k.mm.cachepolicy].policy)
    return 0


def early_nocache(k: Kernel, _arg: str | None = None) -> int:
    """nocache: an old name of cachepolicy=buffered.

    Source: arch/arm/mm/mmu.c early_nocache()
    """
    printk(k, KERN_WARNING, "nocache is deprecated; use cachepolicy={policy}", policy="buffered")
    return early_cachepolicy(k, "buffered")


def early_nowrite(k: Kernel, _arg: str | None = None) -> int:
    """nowb: an old name of cachepolicy=uncached.

    Source: arch/arm/mm/mmu.c early_nowrite()
    """
    printk(k, KERN_WARNING, "nowb is deprecated; use cachepolicy={policy}", policy="uncached")
    return early_cachepolicy(k, "uncached")


def early_ecc(k: Kernel, arg: str | None) -> int:
    """ecc=on|off: ask for parity protection in first-level descriptors.

    Source: arch/arm/mm/mmu.c early_ecc()
    """
    value = value_of("ecc", arg)
    if value.startswith("on"):
        k.mm.ecc_mask = PMD_PROTECTION
    elif value.startswith("off"):
        k.mm.ecc_mask = 0
    return 0


def noalign_setup(_k: Kernel, _text: str) -> bool:
    """noalign: serves processors without a CP15 alone.

    Source: arch/arm/mm/mmu.c noalign_setup()
    """
    return True


EARLY_PARAMS = (
    EarlyParam("ecc", early_ecc),
    EarlyParam("nowb", early_nowrite),
    EarlyParam("nocache", early_nocache),
    EarlyParam("cachepolicy", early_cachepolicy),
)
SETUP_PARAMS = (SetupParam("noalign", noalign_setup),)


def early_mm_init(k: Kernel, mdesc: MachineDesc | None = None) -> None:
    """Fit the memory types to the processor, and hear whether the machine's memory is elsewhere.

    Source: arch/arm/mm/mmu.c early_mm_init(), early_paging_init()
    """
    build_mem_type_table(k)
    if mdesc is not None and run_hook(k, "pv_fixup"):
        printk(k, KERN_CRIT, "Physical address space modification is only to support Keystone2.\n"
               "Please enable ARM_LPAE and ARM_PATCH_PHYS_VIRT support to use this\n"
               "feature. Your kernel may crash now, have a good day.", func="early_paging_init")


def build_mem_type_table(k: Kernel) -> None:
    """Complete k.mm.mem_types, the user protections and the kernel's own with this processor's attributes.

    Sets k.mm.pgprot_user, k.mm.pgprot_kernel, k.mm.user_pmd_table and k.mm.protection_map.
    Source: arch/arm/mm/mmu.c build_mem_type_table()
    Differs: ARMv7 with TEX remapping only; the branches for older processors cannot be reached.
    """
    if k.is_smp:
        if k.mm.cachepolicy != CPOLICY_WRITEALLOC:
            printk(k, KERN_WARNING, "Forcing write-allocate cache policy for SMP")
            k.mm.cachepolicy = CPOLICY_WRITEALLOC
        if not k.mm.initial_pmd_value & PMD_SECT_S:
            printk(k, KERN_WARNING, "Forcing shared mappings for SMP")
            k.mm.initial_pmd_value |= PMD_SECT_S
    types, policy = k.mm.mem_types, CACHE_POLICIES[k.mm.cachepolicy]
    shared = L_PTE_SHARED if k.mm.initial_pmd_value & PMD_SECT_S else 0
    pgprot = policy.pte | shared
    _device_types(types)
    _memory_types(types, k.mm.ecc_mask | policy.pmd, bool(shared))
    types[MT_MEMORY_RWX_NONCACHED].prot_sect |= k.mm.ecc_mask
    types[MT_ROM].prot_sect |= policy.pmd
    types[MT_CACHECLEAN].prot_sect |= {PMD_SECT_WT: PMD_SECT_WT, PMD_SECT_WB: PMD_SECT_WB,
                                       PMD_SECT_WBWA: PMD_SECT_WB}.get(policy.pmd, 0)
    for mt in (MT_LOW_VECTORS, MT_HIGH_VECTORS):
        types[mt].prot_pte |= pgprot
        types[mt].prot_l1 |= k.mm.ecc_mask
    for mt in (MT_MEMORY_RWX, MT_MEMORY_RW, MT_MEMORY_RO, MT_MEMORY_DMA_READY):
        types[mt].prot_pte |= pgprot
    if k.machine.cpu.has_pxn:
        k.mm.user_pmd_table |= PMD_PXNTABLE
    k.mm.protection_map = [prot | pgprot for prot in k.mm.protection_map]
    k.mm.pgprot_user = L_PTE_PRESENT | L_PTE_YOUNG | pgprot
    k.mm.pgprot_kernel = k.mm.pgprot_user | L_PTE_DIRTY
    for t in types:
        if t.prot_l1:
            t.prot_l1 |= t.domain << 5
        if t.prot_sect:
            t.prot_sect |= t.domain << 5
    printk(k, KERN_INFO, "Memory policy: {ecc}Data cache {policy}",
           ecc="ECC enabled, " if k.mm.ecc_mask else "", policy=policy.policy)
    step(k, "memory types: MT_MEMORY_RWX sections {rwx:#x}, MT_MEMORY_RW {rw:#x}, MT_DEVICE {device:#x}; kernel pages "
         "{pgprot:#x}; user tables {user:#x}", rwx=types[MT_MEMORY_RWX].prot_sect,
         rw=types[MT_MEMORY_RW].prot_sect, device=types[MT_DEVICE].prot_sect, pgprot=k.mm.pgprot_kernel,
         user=k.mm.user_pmd_table)


def _device_types(types: list[MemType]) -> None:
    # devices are never executed; TEX[0] makes them device memory under PRRR
    for mt in (MT_DEVICE, MT_DEVICE_NONSHARED, MT_DEVICE_CACHED, MT_DEVICE_WC):
        types[mt].prot_sect |= PMD_SECT_XN
    types[MT_DEVICE].prot_sect |= PMD_SECT_TEX_1
    types[MT_DEVICE_NONSHARED].prot_sect |= PMD_SECT_TEX_1
    types[MT_DEVICE_WC].prot_sect |= PMD_SECT_BUFFERABLE


def _memory_types(types: list[MemType], cache: int, shared: bool) -> None:
    # sections of normal memory: no execution of data, read-only where promised, cached, shared between processors
    for mt in (MT_MEMORY_RW, MT_MEMORY_RO):
        types[mt].prot_sect |= PMD_SECT_XN
    for mt in (MT_ROM, MT_MINICLEAN, MT_CACHECLEAN, MT_MEMORY_RO):
        types[mt].prot_sect |= PMD_SECT_APX | PMD_SECT_AP_WRITE
    for mt in (MT_MEMORY_RWX, MT_MEMORY_RW, MT_MEMORY_RO):
        types[mt].prot_sect |= cache
    types[MT_MEMORY_RWX_NONCACHED].prot_sect |= PMD_SECT_BUFFERED
    if not shared:
        return
    for mt in (MT_DEVICE_WC, MT_DEVICE_CACHED, MT_MEMORY_RWX, MT_MEMORY_RW, MT_MEMORY_RO, MT_MEMORY_RWX_NONCACHED):
        types[mt].prot_sect |= PMD_SECT_S
        types[mt].prot_pte |= L_PTE_SHARED
    types[MT_MEMORY_DMA_READY].prot_pte |= L_PTE_SHARED
