"""Memory types: which bits each kind of mapping gets on this processor, and the options that ask for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.cp15 import CR_C, CR_TRE, CR_W, CR_XP
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
    L_PTE_MT_VECTORS,
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
    PMD_BIT4,
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
from bootsim.linux.arch.arm.asm.system_info import CPU_ARCH_ARMv5, CPU_ARCH_ARMv6, CPU_ARCH_ARMv7
from bootsim.linux.arch.arm.mm.mmu.create_mapping import MemType
from bootsim.linux.kernel.printk import KERN_CRIT, KERN_ERR, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import EarlyParam, SetupParam, value_of

if TYPE_CHECKING:
    from bootsim.inputs.build import Config, MachineDesc
    from bootsim.linux import Kernel


class CachePolicy(NamedTuple):
    """struct cachepolicy: how normal memory is cached, as section bits and as page bits.

    `cr_mask` are bits of SCTLR that cachepolicy= clears.
    """

    policy: str
    pmd: int
    pte: int
    cr_mask: int = 0


CPOLICY_UNCACHED, CPOLICY_BUFFERED, CPOLICY_WRITETHROUGH, CPOLICY_WRITEBACK, CPOLICY_WRITEALLOC = range(5)

CACHE_POLICIES = (
    CachePolicy("uncached", PMD_SECT_UNCACHED, L_PTE_MT_UNCACHED, CR_W | CR_C),
    CachePolicy("buffered", PMD_SECT_BUFFERED, L_PTE_MT_BUFFERABLE, CR_C),
    CachePolicy("writethrough", PMD_SECT_WT, L_PTE_MT_WRITETHROUGH),
    CachePolicy("writeback", PMD_SECT_WB, L_PTE_MT_WRITEBACK),
    CachePolicy("writealloc", PMD_SECT_WBWA, L_PTE_MT_WRITEALLOC),
)


def initial_mem_types(config: Config) -> list[MemType]:
    """The memory types as compiled, before build_mem_type_table() fits them to the processor.

    Source: arch/arm/mm/mmu.c mem_types
    """
    kernel, io = DOMAIN_KERNEL(config), DOMAIN_IO(config)
    young = L_PTE_PRESENT | L_PTE_YOUNG | L_PTE_DIRTY
    device, sect_device = young | L_PTE_XN, PMD_TYPE_SECT | PMD_SECT_AP_WRITE
    table, sect = PMD_TYPE_TABLE, PMD_TYPE_SECT
    types = {
        MT_DEVICE: MemType(device | L_PTE_MT_DEV_SHARED | L_PTE_SHARED, table, sect_device | PMD_SECT_S, io),
        MT_DEVICE_NONSHARED: MemType(device | L_PTE_MT_DEV_NONSHARED, table, sect_device, io),
        MT_DEVICE_CACHED: MemType(device | L_PTE_MT_DEV_CACHED, table, sect_device | PMD_SECT_WB, io),
        MT_DEVICE_WC: MemType(device | L_PTE_MT_DEV_WC, table, sect_device, io),
        MT_UNCACHED: MemType(device, table, sect | PMD_SECT_XN, io),
        MT_CACHECLEAN: MemType(0, 0, sect | PMD_SECT_XN, kernel),
        MT_MINICLEAN: MemType(0, 0, sect | PMD_SECT_XN | PMD_SECT_MINICACHE, kernel),
        MT_LOW_VECTORS: MemType(young | L_PTE_RDONLY, table, 0, DOMAIN_VECTORS),
        MT_HIGH_VECTORS: MemType(young | L_PTE_USER | L_PTE_RDONLY, table, 0, DOMAIN_VECTORS),
        MT_MEMORY_RWX: MemType(young, table, sect | PMD_SECT_AP_WRITE, kernel),
        MT_MEMORY_RW: MemType(young | L_PTE_XN, table, sect | PMD_SECT_AP_WRITE, kernel),
        MT_MEMORY_RO: MemType(young | L_PTE_XN | L_PTE_RDONLY, table, sect, kernel),
        MT_ROM: MemType(0, 0, sect, kernel),
        MT_MEMORY_RWX_NONCACHED: MemType(young | L_PTE_MT_BUFFERABLE, table, sect | PMD_SECT_AP_WRITE, kernel),
        MT_MEMORY_RW_DTCM: MemType(young | L_PTE_XN, table, sect | PMD_SECT_XN, kernel),
        MT_MEMORY_RWX_ITCM: MemType(young, table, 0, kernel),
        MT_MEMORY_RW_SO: MemType(young | L_PTE_MT_UNCACHED | L_PTE_XN, table,
                                 sect | PMD_SECT_AP_WRITE | PMD_SECT_S | PMD_SECT_UNCACHED | PMD_SECT_XN,
                                 kernel),
        MT_MEMORY_DMA_READY: MemType(young | L_PTE_XN, table, 0, kernel),
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
    if selected == k.mm.cachepolicy:
        return 0
    if k.cpu_architecture >= CPU_ARCH_ARMv6:
        printk(k, KERN_WARNING, "Only cachepolicy={policy} supported on ARMv6 and later",
               policy=CACHE_POLICIES[k.mm.cachepolicy].policy)
    elif selected == -1:
        step(k, "cause: cmdline: cachepolicy={value}: the kernel takes what lies before its list of policies; not "
             "modelled, the policy stays", value=value)
    else:
        k.cr_alignment &= ~CACHE_POLICIES[selected].cr_mask
        k.cpus[0].cp15.sctlr = k.cr_alignment | k.machine.cpu.sctlr_ones
        k.mm.cachepolicy = selected
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
    """
    _fit_cache_policy(k)
    arch, sctlr, types = k.cpu_architecture, k.cpus[0].cp15.sctlr, k.mm.mem_types
    policy = CACHE_POLICIES[k.mm.cachepolicy]
    xsc3 = cpu_is_xsc3(k)
    extended = arch >= CPU_ARCH_ARMv6 and bool(sctlr & CR_XP)
    remaps = arch >= CPU_ARCH_ARMv7 and bool(sctlr & CR_TRE)
    _strip(k, types, extended or xsc3)
    _device_types(types, extended=extended, remaps=remaps, xsc3=xsc3)
    vecs_pgprot = pgprot = policy.pte
    if arch == CPU_ARCH_ARMv6:
        vecs_pgprot |= L_PTE_MT_VECTORS
    if arch == CPU_ARCH_ARMv7 and k.machine.cpu.has_pxn:
        k.mm.user_pmd_table |= PMD_PXNTABLE
    if extended:
        for mt in (MT_ROM, MT_MINICLEAN, MT_CACHECLEAN, MT_MEMORY_RO):
            types[mt].prot_sect |= PMD_SECT_APX | PMD_SECT_AP_WRITE
        if k.mm.initial_pmd_value & PMD_SECT_S:
            pgprot |= L_PTE_SHARED
            vecs_pgprot |= L_PTE_SHARED
            _share(types)
    types[MT_MEMORY_RWX_NONCACHED].prot_sect |= (
        PMD_SECT_TEX_1 if arch >= CPU_ARCH_ARMv6 and not remaps else PMD_SECT_BUFFERED)
    k.mm.protection_map = [prot | pgprot for prot in k.mm.protection_map]
    k.mm.pgprot_user = L_PTE_PRESENT | L_PTE_YOUNG | pgprot
    k.mm.pgprot_kernel = k.mm.pgprot_user | L_PTE_DIRTY
    _memory_types(k, types, policy, pgprot, vecs_pgprot)
    for t in types:
        if t.prot_l1:
            t.prot_l1 |= t.domain << 5
        if t.prot_sect:
            t.prot_sect |= t.domain << 5
    step(k, "memory types: MT_MEMORY_RWX sections {rwx:#x}, MT_MEMORY_RW {rw:#x}, MT_DEVICE {device:#x}; kernel pages "
         "{pgprot:#x}; user tables {user:#x}", rwx=types[MT_MEMORY_RWX].prot_sect,
         rw=types[MT_MEMORY_RW].prot_sect, device=types[MT_DEVICE].prot_sect, pgprot=k.mm.pgprot_kernel,
         user=k.mm.user_pmd_table)


def cpu_is_xsc3(k: Kernel) -> bool:
    """Whether the processor is an XScale of the third generation.

    Source: arch/arm/include/asm/cputype.h cpu_is_xsc3()
    """
    return k.build.config.CPU_XSC3 and k.processor_id & 0xFFFFE000 in (0x69056000, 0x56056000)


def cpu_is_xscale_family(k: Kernel) -> bool:
    """Whether the processor is any XScale or a Mohawk, which want bit 4 of first-level entries clear.

    Source: arch/arm/include/asm/cputype.h cpu_is_xscale_family()
    """
    config = k.build.config
    known = config.CPU_XSCALE or config.CPU_XSC3 or config.CPU_MOHAWK
    return known and k.processor_id & 0xFFFFE000 in (0x69052000, 0x69054000, 0x69056000, 0x56056000, 0x56158000)


def _fit_cache_policy(k: Kernel) -> None:
    config, arch = k.build.config, k.cpu_architecture
    if arch < CPU_ARCH_ARMv6:
        if config.CPU_DCACHE_DISABLE:
            k.mm.cachepolicy = min(k.mm.cachepolicy, CPOLICY_BUFFERED)
        elif config.CPU_DCACHE_WRITETHROUGH:
            k.mm.cachepolicy = min(k.mm.cachepolicy, CPOLICY_WRITETHROUGH)
    if arch < CPU_ARCH_ARMv5:
        k.mm.cachepolicy = min(k.mm.cachepolicy, CPOLICY_WRITEBACK)
        k.mm.ecc_mask = 0
    if k.is_smp:
        if k.mm.cachepolicy != CPOLICY_WRITEALLOC:
            printk(k, KERN_WARNING, "Forcing write-allocate cache policy for SMP", func="build_mem_type_table")
            k.mm.cachepolicy = CPOLICY_WRITEALLOC
        if not k.mm.initial_pmd_value & PMD_SECT_S:
            printk(k, KERN_WARNING, "Forcing shared mappings for SMP", func="build_mem_type_table")
            k.mm.initial_pmd_value |= PMD_SECT_S


def _strip(k: Kernel, types: list[MemType], shareable: bool) -> None:
    # what older processors lack; bit 4, which XScale wants clear and other processors before ARMv6 set
    for t in types:
        if k.cpu_architecture < CPU_ARCH_ARMv5:
            t.prot_sect &= ~(7 << 12)
        if not shareable:
            t.prot_sect &= ~PMD_SECT_S
        if cpu_is_xscale_family(k):
            t.prot_sect &= ~PMD_BIT4
            t.prot_l1 &= ~PMD_BIT4
        elif k.cpu_architecture < CPU_ARCH_ARMv6:
            t.prot_l1 |= PMD_BIT4 if t.prot_l1 else 0
            t.prot_sect |= PMD_BIT4 if t.prot_sect else 0


def _device_types(types: list[MemType], *, extended: bool, remaps: bool, xsc3: bool) -> None:
    # with extended page tables data is never executed, but on XScale; what a device is TEX, C and B say
    if not extended and not xsc3:
        types[MT_DEVICE_WC].prot_sect |= PMD_SECT_BUFFERABLE
        return
    if not xsc3:
        for mt in (MT_DEVICE, MT_DEVICE_NONSHARED, MT_DEVICE_CACHED, MT_DEVICE_WC, MT_MEMORY_RW, MT_MEMORY_RO):
            types[mt].prot_sect |= PMD_SECT_XN
    if remaps:
        device, nonshared, wc = PMD_SECT_TEX_1, PMD_SECT_TEX_1, PMD_SECT_BUFFERABLE
    else:
        device = PMD_SECT_TEX_1 | PMD_SECT_BUFFERED if xsc3 else PMD_SECT_BUFFERED
        nonshared, wc = PMD_SECT_TEX_1 << 1, PMD_SECT_TEX_1
    types[MT_DEVICE].prot_sect |= device
    types[MT_DEVICE_NONSHARED].prot_sect |= nonshared
    types[MT_DEVICE_WC].prot_sect |= wc


def _share(types: list[MemType]) -> None:
    # memory that other processors see
    for mt in (MT_DEVICE_WC, MT_DEVICE_CACHED, MT_MEMORY_RWX, MT_MEMORY_RW, MT_MEMORY_RO, MT_MEMORY_RWX_NONCACHED):
        types[mt].prot_sect |= PMD_SECT_S
        types[mt].prot_pte |= L_PTE_SHARED
    types[MT_MEMORY_DMA_READY].prot_pte |= L_PTE_SHARED


def _memory_types(k: Kernel, types: list[MemType], policy: CachePolicy, pgprot: int, vecs_pgprot: int) -> None:
    # the policy, and parity protection, in every kind of normal memory
    ecc = k.mm.ecc_mask
    for mt in (MT_LOW_VECTORS, MT_HIGH_VECTORS):
        types[mt].prot_pte |= vecs_pgprot
        types[mt].prot_l1 |= ecc
    for mt in (MT_MEMORY_RWX, MT_MEMORY_RW, MT_MEMORY_RO):
        types[mt].prot_sect |= ecc | policy.pmd
    for mt in (MT_MEMORY_RWX, MT_MEMORY_RW, MT_MEMORY_RO, MT_MEMORY_DMA_READY):
        types[mt].prot_pte |= pgprot
    types[MT_MEMORY_RWX_NONCACHED].prot_sect |= ecc
    types[MT_ROM].prot_sect |= policy.pmd
    types[MT_CACHECLEAN].prot_sect |= {PMD_SECT_WT: PMD_SECT_WT, PMD_SECT_WB: PMD_SECT_WB,
                                       PMD_SECT_WBWA: PMD_SECT_WB}.get(policy.pmd, 0)
    printk(k, KERN_INFO, "Memory policy: {ecc}Data cache {policy}", ecc="ECC enabled, " if ecc else "",
           policy=policy.policy, func="build_mem_type_table")
