# cython: nonecheck=True
"""Writing page tables: from one mapping request to first- and second-level words in RAM.

Whose tables they are is an argument, an MmStruct. So is who gives memory for a second-level table,
`alloc(k, size, what)` -> pa: early_alloc() takes it from memblock, late_alloc() from the page allocator.

A request becomes sections where virtual address, physical address and length allow, and page tables elsewhere, 2 MiB
(one Linux PMD, a pair of first-level words) at a time:

    virtual  |<- 2 MiB ->|<- 2 MiB ->|<- less ->|
             | S  |  S   | S  |  S   | page table|        S: 1 MiB section
"""

from libc.stdint cimport uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.arch.arm.asm.proc_fns cimport Processor
from bootsim.linux.arch.arm.asm.pgtable_2level cimport (
    L_PTE_USER, L_PTE_VALID, L_PTE_YOUNG, PAGE_SHIFT, PAGE_SIZE, PMD_SECT_SUPER, PMD_SECT_nG,
    PMD_SIZE, PMD_TYPE_SECT, PTE_EXT_NG, PTE_HWTABLE_OFF, PTE_HWTABLE_SIZE, SECTION_SIZE, SUPERSECTION_SIZE, pmd_in,
    pmd_page_pa, pte_index)

from bootsim.causes import cause, dividers
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.cp15 import CR_V
from bootsim.linux.arch.arm.asm.fixmap import FIXADDR_START
from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, MT_NAMES
from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_XSC3
from bootsim.linux.arch.arm.asm.memory import VECTORS_BASE, VMALLOC_END
from bootsim.linux.arch.arm.asm.system_info import CPU_ARCH_ARMv6
from bootsim.linux.kernel.printk import KERN_ERR, KERN_WARNING, printk, step
from bootsim.linux.mm.memblock import memblock_alloc
from bootsim.owners import Purpose


cdef class MemType:
    """struct mem_type: the bits of a mapping as pages (`prot_pte`, `prot_l1`) and as sections (`prot_sect`)."""

    def __init__(self, prot_pte=0, prot_l1=0, prot_sect=0, domain=0):
        self.prot_pte = prot_pte
        self.prot_l1 = prot_l1
        self.prot_sect = prot_sect
        self.domain = domain

    def __deepcopy__(self, memo):
        return MemType(self.prot_pte, self.prot_l1, self.prot_sect, self.domain)

    def __repr__(self):
        return (f"MemType(prot_pte={self.prot_pte:#x}, prot_l1={self.prot_l1:#x}, prot_sect={self.prot_sect:#x}, "
                f"domain={self.domain})")


# ---------------------------------------------------------------- first-level entries


def pmd_off(mm, addr):
    """Where (pa) the first-level table of `mm` holds the pair of words for the 2 MiB around `addr` (va).

    Source: include/linux/pgtable.h pmd_off()
    """
    return pmd_in(mm.pgd_pa, addr)


def pmd_off_k(k, addr):
    """Where (pa) swapper_pg_dir holds the pair of words for the 2 MiB around `addr` (va).

    Source: include/linux/pgtable.h pmd_off_k()
    """
    return pmd_in(k.mm.init_mm.pgd_pa, addr)


def pmd_clear(k, pmd_pa):
    """Clear the pair of first-level words at `pmd_pa`.

    Source: arch/arm/include/asm/pgtable-2level.h pmd_clear()
    """
    cdef PhysicalMemory ram = k.machine.ram
    ram.store32(pmd_pa, 0)
    ram.store32(pmd_pa + 4, 0)


def pmd_populate_kernel(k, pmd_pa, pte_pa):
    """Let the pair of first-level words at `pmd_pa` point to the page of entries at `pte_pa`, for kernel addresses.

    Source: arch/arm/include/asm/pgalloc.h pmd_populate_kernel()
    """
    __pmd_populate(k.machine.ram, pmd_pa, pte_pa, k.mm.kernel_pmd_table)


def section_update(k, addr, mask, prot, mm):
    """Rewrite the first-level word of `mm` for the 1 MiB around `addr` (va): keep the bits in `mask`, set `prot`.

    Source: arch/arm/mm/init.c section_update()
    """
    cdef PhysicalMemory ram = k.machine.ram
    cdef uint32_t pmd = pmd_in(mm.pgd_pa, addr)
    if addr & SECTION_SIZE:
        pmd += 4
    ram.store32(pmd, (ram.load32(pmd) & <uint32_t>(mask & 0xFFFFFFFF)) | <uint32_t>prot)


cdef void __pmd_populate(PhysicalMemory ram, uint32_t pmd_pa, uint32_t pte_pa, uint32_t prot) noexcept:
    cdef uint32_t table = (pte_pa + PTE_HWTABLE_OFF) | prot
    ram.store32(pmd_pa, table)
    ram.store32(pmd_pa + 4, table + 1024)


def clear_pmds(k, mm, start, end):
    """pmd_clear() in `mm` for every 2 MiB from `start` (va) while below `end` (va); how many live words that took.

    Source: arch/arm/include/asm/pgtable-2level.h pmd_clear()
    """
    cdef PhysicalMemory ram = k.machine.ram
    cdef uint32_t pgd = mm.pgd_pa
    cdef unsigned long long addr = start
    cdef unsigned long long last = end
    cdef uint32_t pmd
    cdef int gone = 0
    if last > 1ULL << 32:
        raise ValueError(f"end {end:#x}: expected an address of at most 32 bits")
    while addr < last:
        pmd = pmd_in(pgd, <uint32_t>addr)
        gone += (ram.load32(pmd) != 0) + (ram.load32(pmd + 4) != 0)
        ram.store32(pmd, 0)
        ram.store32(pmd + 4, 0)
        addr += PMD_SIZE
    return gone


# ---------------------------------------------------------------- create_mapping


cdef struct Counts:
    int sections
    int supersections
    int pages
    int tables


def early_alloc(k, size, what):
    """Take `size` bytes, aligned to their size and cleared, from memblock for `what`; returns their pa, or panics.

    Source: arch/arm/mm/mmu.c early_alloc()
    """
    pa = memblock_alloc(k.mm.memblock, size, size, "early_alloc", Purpose("tables", what))
    if not pa:
        raise KernelPanic(f"early_alloc: Failed to allocate {size} bytes align={size:#x}",
                          f"{what}: {cause(k, pa.why)}")
    return pa


def late_alloc(k, size, what):
    """Take `size` bytes, cleared, from the page allocator for `what`; returns their pa, or panics.

    Source: arch/arm/mm/mmu.c late_alloc()
    Differs: the page is not counted as one of page tables (NR_PAGETABLE), nor marked as one.
    """
    from bootsim.linux.mm.page_alloc import GFP_KERNEL, __GFP_ZERO, alloc_pages

    order = max((int(size) - 1) >> PAGE_SHIFT, 0).bit_length()
    pfn = alloc_pages(k, GFP_KERNEL | __GFP_ZERO, order)
    if pfn is None:
        raise KernelPanic(None, f"BUG in late_alloc: no free block of order {order} for the {what}")
    return pfn << PAGE_SHIFT


cdef object arm_pte_alloc(k, PhysicalMemory ram, uint32_t pmd_pa, uint32_t addr, uint32_t prot, alloc, Counts *n):
    # pa of the Linux entry for addr; makes the page table if the first word of the pair is empty
    cdef uint32_t start = addr & ~<uint32_t>(PMD_SIZE - 1)
    if ram.load32(pmd_pa) == 0:
        what = f"second-level table of {start:#010x}"
        __pmd_populate(ram, pmd_pa, alloc(k, PTE_HWTABLE_OFF + PTE_HWTABLE_SIZE, what), prot)
        n.tables += 1
    if ram.load32(pmd_pa) & PMD_TYPE_SECT:
        raise KernelPanic(None, f"BUG in arm_pte_alloc: {addr:#010x} needs a page table, but the 2 MiB around it begin "
                          f"with a section: {dividers(k, start, start + PMD_SIZE)}")
    return pmd_page_pa(ram.load32(pmd_pa)) + 4 * pte_index(addr)


def early_pte_alloc(k, pmd_pa, addr, prot):
    """The entry (pa) for `addr` (va) below the pair of first-level words at `pmd_pa`; makes a missing page table.

    Source: arch/arm/mm/mmu.c early_pte_alloc()
    """
    cdef Counts n = Counts(0, 0, 0, 0)
    return arm_pte_alloc(k, k.machine.ram, pmd_pa, addr, prot, early_alloc, &n)


def pte_offset_kernel(k, pmd_pa, addr):
    """The Linux entry (pa) for `addr` (va) in the page table that the words at `pmd_pa` point to.

    Source: include/linux/pgtable.h pte_offset_kernel()
    """
    cdef PhysicalMemory ram = k.machine.ram
    return pmd_page_pa(ram.load32(pmd_pa)) + 4 * pte_index(addr)


cdef int alloc_init_pte(k, PhysicalMemory ram, uint32_t pmd_pa, uint32_t addr, uint32_t end, uint32_t pfn, MemType type,
                        alloc, bint ng, Counts *n) except -1:
    cdef uint32_t pte_pa = arm_pte_alloc(k, ram, pmd_pa, addr, type.prot_l1, alloc, n)
    cdef uint32_t ext = PTE_EXT_NG if ng else 0
    cdef Processor processor = k.processor
    while True:
        processor.set_pte_ext(ram, pte_pa, pfn << PAGE_SHIFT | type.prot_pte, ext)
        n.pages += 1
        pfn += 1
        pte_pa += 4
        addr += PAGE_SIZE
        if addr == end:
            return 0


cdef void __map_init_section(PhysicalMemory ram, uint32_t pmd_pa, uint32_t addr, uint32_t end, uint32_t phys,
                             MemType type, bint ng, Counts *n) noexcept:
    if addr & SECTION_SIZE:
        pmd_pa += 4
    while True:
        ram.store32(pmd_pa, phys | type.prot_sect | (PMD_SECT_nG if ng else 0))
        n.sections += 1
        phys += SECTION_SIZE
        pmd_pa += 4
        addr += SECTION_SIZE
        if addr == end:
            return


cdef int alloc_init_pmd(k, PhysicalMemory ram, uint32_t pmd_pa, uint32_t addr, uint32_t end, uint32_t phys,
                        MemType type, alloc, bint ng, Counts *n) except -1:
    # at most one Linux PMD; sections when everything is a multiple of 1 MiB
    if type.prot_sect and ((addr | end | phys) & (SECTION_SIZE - 1)) == 0:
        __map_init_section(ram, pmd_pa, addr, end, phys, type, ng, n)
        return 0
    return alloc_init_pte(k, ram, pmd_pa, addr, end, phys >> PAGE_SHIFT, type, alloc, ng, n)


cdef int create_36bit_mapping(k, PhysicalMemory ram, uint32_t pgd, md, MemType type, bint ng, Counts *n) except -1:
    cdef uint32_t addr = md.virtual
    cdef uint32_t length = md.length + PAGE_SIZE - 1 & ~(PAGE_SIZE - 1)
    cdef uint32_t phys = <uint32_t>(md.pfn << PAGE_SHIFT & 0xFFFFFFFF)
    cdef uint32_t end = addr + length
    cdef int i
    if k.cpu_architecture < CPU_ARCH_ARMv6 and k.procinfo.set_pte != SET_PTE_XSC3:
        printk(k, KERN_ERR, "MM: CPU does not support supersection mapping for {pa:#010x} at {va:#010x}",
               func="create_36bit_mapping", pa=md.pfn << PAGE_SHIFT, va=md.virtual)
        return 0
    if type.domain:
        printk(k, KERN_ERR, "MM: invalid domain in supersection mapping for {pa:#010x} at {va:#010x}",
               func="create_36bit_mapping", pa=md.pfn << PAGE_SHIFT, va=md.virtual)
        return 0
    if (addr | length | phys) & (SUPERSECTION_SIZE - 1):
        printk(k, KERN_ERR, "MM: cannot create mapping for {pa:#010x} at {va:#010x} invalid alignment",
               func="create_36bit_mapping", pa=md.pfn << PAGE_SHIFT, va=md.virtual)
        return 0
    phys |= (<uint32_t>(md.pfn >> (32 - PAGE_SHIFT)) & 0xF) << 20
    while True:
        for i in range(16):
            ram.store32(pmd_in(pgd, addr) + 4 * i, phys | type.prot_sect | PMD_SECT_SUPER | (PMD_SECT_nG if ng else 0))
        n.supersections += 1
        addr += SUPERSECTION_SIZE
        phys += SUPERSECTION_SIZE
        if addr == end:
            return 0


cdef int __create_mapping(k, mm, md, alloc, bint ng, Counts *n) except -1:
    cdef PhysicalMemory ram = k.machine.ram
    cdef uint32_t pgd = mm.pgd_pa
    cdef MemType type = k.mm.mem_types[md.type]
    cdef uint32_t addr, phys, length, end, next
    if not 0 < md.length < 1 << 32:
        raise ValueError(f"length {md.length:#x}: expected a size of at least one byte, below 4 GiB")
    if md.pfn >= 0x100000:
        return create_36bit_mapping(k, ram, pgd, md, type, ng, n)
    addr = md.virtual & ~(PAGE_SIZE - 1)
    phys = <uint32_t>md.pfn << PAGE_SHIFT
    length = md.length + (md.virtual & PAGE_SIZE - 1) + PAGE_SIZE - 1 & ~(PAGE_SIZE - 1)
    if type.prot_l1 == 0 and (addr | phys | length) & (SECTION_SIZE - 1):
        printk(k, KERN_WARNING, "BUG: map for {pa:#010x} at {va:#010x} can not be mapped using pages, ignoring.",
               func="__create_mapping", pa=md.pfn << PAGE_SHIFT, va=addr)
        return 0
    end = addr + length
    while True:
        next = (addr + PMD_SIZE) & ~<uint32_t>(PMD_SIZE - 1)
        if next - 1 >= end - 1:
            next = end
        alloc_init_pmd(k, ram, pmd_in(pgd, addr), addr, next, phys, type, alloc, ng, n)
        phys += next - addr
        addr = next
        if addr == end:
            return 0


def _describe(Counts n):
    parts = [(n.sections, "section"), (n.supersections, "supersection"), (n.pages, "page"), (n.tables, "new table")]
    return ", ".join(f"{count} {name}{'s' if count != 1 else ''}" for count, name in parts if count) or "nothing"


def create_mapping(k, md, what="mapping"):
    """Map one MapDesc in swapper_pg_dir, with page tables from memblock. `what` names it in the log.

    Source: arch/arm/mm/mmu.c create_mapping()
    """
    cdef Counts n = Counts(0, 0, 0, 0)
    layout = k.mm.layout
    vectors_base = VECTORS_BASE if k.cpus[0].cp15.sctlr & CR_V else 0
    if md.virtual != vectors_base and md.virtual < layout.TASK_SIZE:
        printk(k, KERN_WARNING, "BUG: not creating mapping for {pa:#010x} at {va:#010x} in user region",
               func="create_mapping", pa=md.pfn << PAGE_SHIFT, va=md.virtual)
        return
    if (md.type == MT_DEVICE and layout.PAGE_OFFSET <= md.virtual < FIXADDR_START
            and not layout.VMALLOC_START <= md.virtual < VMALLOC_END):
        printk(k, KERN_WARNING, "BUG: mapping for {pa:#010x} at {va:#010x} out of vmalloc space",
               func="create_mapping", pa=md.pfn << PAGE_SHIFT, va=md.virtual)
    __create_mapping(k, k.mm.init_mm, md, early_alloc, False, &n)
    _tell(k, "create_mapping", what, md, n)


def create_mapping_late(k, mm, md, ng, what="mapping"):
    """Map one MapDesc in the tables of `mm`, with page tables from the page allocator. `what` names it in the log.

    `ng` makes the mapping one of this address space alone (not global).
    Source: arch/arm/mm/mmu.c create_mapping_late()
    """
    cdef Counts n = Counts(0, 0, 0, 0)
    __create_mapping(k, mm, md, late_alloc, ng, &n)
    _tell(k, "create_mapping_late", what, md, n)


def _tell(k, func, what, md, Counts n):
    step(k, "{what}: {va:#010x}-{last:#010x} -> {pa:#010x}, {mt}, {units}", func=func, what=what,
         va=md.virtual, last=md.virtual + md.length - 1, pa=md.pfn << PAGE_SHIFT, mt=MT_NAMES[md.type],
         units=_describe(n), sections=n.sections, pages=n.pages, tables=n.tables)


# ---------------------------------------------------------------- single entries


def set_ptes(k, uint32_t pte_pa, uint32_t count, uint32_t pte):
    """Store `count` entries from `pte_pa` on, in one table: `pte` for the first page, the frames behind it for others.

    Source: arch/arm/mm/proc-v7-2level.S cpu_v7_set_pte_ext()
    """
    cdef Processor processor = k.processor
    cdef PhysicalMemory ram = k.machine.ram
    cdef uint32_t i
    if pte_pa & 3 or (pte_pa & 0x7FF) // 4 + count > 512:
        raise ValueError(f"{count} entries from {pte_pa:#x} on: expected those of one table")
    for i in range(count):
        processor.set_pte_ext(ram, pte_pa + 4 * i, pte + (i << PAGE_SHIFT), 0)


def set_pte_at(k, addr, pte_pa, pte):
    """Store the entry `pte` for `addr` (va) at `pte_pa`; a user's page belongs to its address space alone.

    Source: arch/arm/mm/mmu.c set_pte_at()
    Differs: caches are not modelled, so nothing is flushed.
    """
    cdef uint32_t user = L_PTE_VALID | L_PTE_USER | L_PTE_YOUNG
    cdef bint ng = addr < k.mm.layout.TASK_SIZE and <uint32_t>pte & user == user
    cdef Processor processor = k.processor
    processor.set_pte_ext(k.machine.ram, pte_pa, pte, PTE_EXT_NG if ng else 0)
