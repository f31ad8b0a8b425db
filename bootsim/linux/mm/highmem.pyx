"""Windows for pages of high memory: kmap()'s 512, page_address()'s hash table, kmap_atomic()'s slots (mm/highmem.c).

    PKMAP_BASE       + 512 pages     one second-level table; each window with a count: 0 free, 1 mapped and not used,
                                     more: used by count - 1
    fixmap           16 slots a CPU  a stack, from FIX_KMAP_BEGIN downwards in addresses

A window that nobody uses stays mapped, and page_address() finds it, until the search for a free window comes round to
the first: then all of these are unmapped.
"""

from copy import deepcopy

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from bootsim.linux.arch.arm.asm.pgtable_2level cimport L_PTE_XN, PAGE_SHIFT, PAGE_SIZE, PMD_SIZE

from bootsim.errors import BootsimError
from bootsim.linux.arch.arm.asm.cachetype import cache_is_vivt
from bootsim.linux.arch.arm.asm.fixmap import END_OF_PERMANENT_FIXED_ADDRESSES, FIXADDR_START, FIXADDR_TOP
from bootsim.linux.arch.arm.asm.fixmap import KM_TYPE_NR as NR_SLOTS
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, pte_offset_kernel

cdef enum:
    END = LAST_PKMAP            # of a list
    GOLDEN_RATIO_32 = 0x61C88647
    PA_HASH_ORDER = 7
    PAGES_PER_SECTION_SHIFT = 16

cdef uint32_t TOP = FIXADDR_TOP
cdef uint32_t KM_TYPE_NR = NR_SLOTS


class KmapError(BootsimError):
    """A window that cannot be had or given back: the kernel would sleep, or is told a page that is not mapped."""


cdef class Kmap:
    """The windows of a machine with CONFIG_HIGHMEM. Pages are frames' numbers, addresses virtual.

    Source: mm/highmem.c, arch/arm/mm/highmem.c
    """

    def __init__(self, k):
        config, mm = k.build.config, k.mm
        self.ram = k.machine.ram
        self.processor = k.processor
        self.base, self.table_pa = mm.layout.PKMAP_BASE, mm.pkmap_page_table_pa
        self.table_va = k.phys_to_virt(self.table_pa)
        self.prot = mm.pgprot_kernel | L_PTE_XN
        self.first_slot = END_OF_PERMANENT_FIXED_ADDRESSES
        top, bottom = TOP - (self.first_slot << PAGE_SHIFT), FIXADDR_START
        self.fixmap_pa = pte_offset_kernel(k, pmd_off_k(k, top), top & ~(PMD_SIZE - 1))
        self.low_fixmap_pa = pte_offset_kernel(k, pmd_off_k(k, bottom), bottom & ~(PMD_SIZE - 1))
        self.uses_pkmap = _needs_kmap_high_get(config) and (not config.DEBUG_HIGHMEM or cache_is_vivt(k))
        self.clears = config.DEBUG_HIGHMEM
        self.page_bytes = k.build.sizeof.page
        self.sections = {at: k.phys_to_virt(pa) for at, pa in mm.section_maps.items()} if mm.section_maps else None
        self.map_va, self.map_pfn = k.phys_to_virt(mm.pgdat.mem_map_pa or 0), mm.phys_offset >> PAGE_SHIFT
        memset(self.pkmap_count, 0, sizeof(self.pkmap_count))
        memset(self.atomic_idx, 0, sizeof(self.atomic_idx))
        for i in range(PA_HASH_SLOTS):
            self.head[i] = END

    def __deepcopy__(self, memo):
        cdef Kmap new = Kmap.__new__(Kmap)
        memo[id(self)] = new
        new.ram = deepcopy(self.ram, memo)
        new.processor = self.processor
        new.last_pkmap_nr, new.base, new.table_pa = self.last_pkmap_nr, self.base, self.table_pa
        new.table_va, new.flushes = self.table_va, self.flushes
        new.fixmap_pa, new.low_fixmap_pa = self.fixmap_pa, self.low_fixmap_pa
        new.prot, new.first_slot = self.prot, self.first_slot
        new.uses_pkmap, new.clears, new.page_bytes = self.uses_pkmap, self.clears, self.page_bytes
        new.sections, new.map_va, new.map_pfn = deepcopy(self.sections, memo), self.map_va, self.map_pfn
        memcpy(new.pkmap_count, self.pkmap_count, sizeof(self.pkmap_count))
        memcpy(new.atomic_idx, self.atomic_idx, sizeof(self.atomic_idx))
        memcpy(new.pfn, self.pfn, sizeof(self.pfn))
        memcpy(new.next, self.next, sizeof(self.next))
        memcpy(new.head, self.head, sizeof(self.head))
        return new

    # ---------------------------------------------------------------- page_address()

    cdef uint32_t slot(self, uint32_t pfn):
        # page_slot(): by the address of the struct page
        cdef uint32_t page
        if self.sections is None:
            page = self.map_va + (pfn - self.map_pfn) * self.page_bytes
        else:
            page = self.sections.get(pfn >> PAGES_PER_SECTION_SHIFT, 0)
            page += (pfn & (1 << PAGES_PER_SECTION_SHIFT) - 1) * self.page_bytes
        return (page * <uint32_t>GOLDEN_RATIO_32) >> (32 - PA_HASH_ORDER)

    cdef uint32_t page_address(self, uint32_t pfn):
        cdef uint32_t nr = self.head[self.slot(pfn)]
        while nr != END:
            if self.pfn[nr] == pfn:
                return self.base + (nr << PAGE_SHIFT)
            nr = self.next[nr]
        return 0

    cdef int set_page_address(self, uint32_t pfn, uint32_t nr) except -1:
        cdef uint32_t *link = &self.head[self.slot(pfn)]
        while link[0] != END:
            link = &self.next[link[0]]
        link[0] = nr
        self.pfn[nr], self.next[nr] = pfn, END
        return 0

    cdef int clear_page_address(self, uint32_t nr) except -1:
        cdef uint32_t *link = &self.head[self.slot(self.pfn[nr])]
        while link[0] != END:
            if self.pfn[link[0]] == self.pfn[nr]:
                link[0] = self.next[link[0]]
                break
            link = &self.next[link[0]]
        return 0

    def address_of(self, uint32_t pfn):
        """Where a page of high memory is mapped, 0 when it is not.

        Source: mm/highmem.c page_address()
        """
        return self.page_address(pfn)

    # ---------------------------------------------------------------- kmap()

    cdef int flush_all_zero(self) except -1:
        # `flushes` counts those that unmapped something, after which the TLB is flushed
        cdef uint32_t nr
        cdef bint need_flush = False
        for nr in range(LAST_PKMAP):
            if self.pkmap_count[nr] == 1:
                self.pkmap_count[nr] = 0
                self.processor.set_pte_ext(self.ram, self.table_pa + 4 * nr, 0, 0)
                self.clear_page_address(nr)
                need_flush = True
        self.flushes += need_flush
        return 0

    def flush_unused(self):
        """Unmap the windows that nobody uses.

        Source: mm/highmem.c kmap_flush_unused()
        """
        self.flush_all_zero()

    cdef uint32_t map_new_virtual(self, uint32_t pfn) except? 1:
        # 0: all are in use, and the kernel would sleep; nothing has changed then
        cdef uint32_t left = LAST_PKMAP
        cdef uint32_t before = self.last_pkmap_nr
        while True:
            self.last_pkmap_nr = (self.last_pkmap_nr + 1) & (LAST_PKMAP - 1)
            if not self.last_pkmap_nr:
                self.flush_all_zero()
                left = LAST_PKMAP
            if not self.pkmap_count[self.last_pkmap_nr]:
                break
            left -= 1
            if not left:
                self.last_pkmap_nr = before
                return 0
        self.processor.set_pte_ext(self.ram, self.table_pa + 4 * self.last_pkmap_nr, pfn << PAGE_SHIFT | self.prot, 0)
        self.pkmap_count[self.last_pkmap_nr] = 1
        self.set_page_address(pfn, self.last_pkmap_nr)
        return self.base + (self.last_pkmap_nr << PAGE_SHIFT)

    def slept(self):
        """All windows were in use, and a caller of kmap() sleeps: it will begin again at the first.

        Source: mm/highmem.c map_new_virtual()
        """
        self.flush_all_zero()
        self.last_pkmap_nr = LAST_PKMAP - 1

    cpdef uint32_t kmap_high(self, uint32_t pfn) except? 1:
        """Map a page of high memory, or use the window it has: its address, or 0 when the kernel would sleep."""
        cdef uint32_t va = self.page_address(pfn)
        if not va:
            va = self.map_new_virtual(pfn)
        if va:
            self.pkmap_count[(va - self.base) >> PAGE_SHIFT] += 1
        return va

    cpdef uint32_t kmap_high_get(self, uint32_t pfn) except? 1:
        """Use the window that a page of high memory has: its address, or 0 when it has none."""
        cdef uint32_t va = self.page_address(pfn)
        if va:
            self.pkmap_count[(va - self.base) >> PAGE_SHIFT] += 1
        return va

    cpdef uint32_t kunmap_high(self, uint32_t pfn) except? 1:
        """Use a page's window no longer; it stays mapped. Its address. Raises KmapError for a page without use."""
        cdef uint32_t va = self.page_address(pfn)
        if not va or self.pkmap_count[(va - self.base) >> PAGE_SHIFT] < 2:
            raise KmapError(f"kunmap() of page {pfn:#x}, which nobody has mapped: the kernel would stop with a BUG")
        self.pkmap_count[(va - self.base) >> PAGE_SHIFT] -= 1
        return va

    cpdef int count(self, uint32_t va) except -1:
        """The count of the window at an address."""
        cdef uint32_t nr = (va - self.base) >> PAGE_SHIFT
        if nr >= LAST_PKMAP:
            raise KmapError(f"{va:#x} is no window of kmap()")
        return self.pkmap_count[nr]

    def page_at(self, uint32_t va):
        """The page in the window at an address, None where none is."""
        return self.pfn[(va - self.base) >> PAGE_SHIFT] if self.holds(va) and self.count(va) else None

    def holds(self, uint32_t va):
        """Whether an address is that of a window of kmap()."""
        return va >= self.base and (va - self.base) >> PAGE_SHIFT < LAST_PKMAP

    # ---------------------------------------------------------------- kmap_atomic()

    cdef uint32_t slot_pa(self, uint32_t va) noexcept:
        # The entry (pa) of a slot: the slots of all processors lie in two second-level tables.
        return (self.fixmap_pa if va >> 21 == TOP >> 21 else self.low_fixmap_pa) + (va >> PAGE_SHIFT & 511) * 4

    cpdef uint32_t atomic(self, uint32_t pfn, uint32_t prot, uint32_t cpu) except? 1:
        """Map a page of high memory in a processor's next slot; its address.

        Source: arch/arm/mm/highmem.c kmap_atomic_high_prot(), without the use of a window of kmap()
        """
        cdef uint32_t idx, va
        if cpu >= MAX_CPUS or self.atomic_idx[cpu] >= <int>KM_TYPE_NR:
            raise KmapError(f"cpu {cpu} has {KM_TYPE_NR} kmap_atomic() mappings, as many as there are slots")
        idx = self.atomic_idx[cpu] + KM_TYPE_NR * cpu
        self.atomic_idx[cpu] += 1
        va = TOP - ((self.first_slot + idx) << PAGE_SHIFT)
        self.processor.set_pte_ext(self.ram, self.slot_pa(va), pfn << PAGE_SHIFT | prot, 0)
        return va

    cpdef int atomic_done(self, uint32_t va, uint32_t cpu) except -1:
        """Give back a processor's last slot, which is at this address; a kernel with DEBUG_HIGHMEM stops otherwise.

        Source: arch/arm/mm/highmem.c kunmap_atomic_high()
        """
        cdef uint32_t idx
        if cpu >= MAX_CPUS or not self.atomic_idx[cpu]:
            raise KmapError(f"kunmap_atomic({va:#x}): cpu {cpu} has no such mapping")
        idx = self.atomic_idx[cpu] - 1 + KM_TYPE_NR * cpu
        if self.clears and va & ~<uint32_t>(PAGE_SIZE - 1) != TOP - ((self.first_slot + idx) << PAGE_SHIFT):
            raise KmapError(f"kunmap_atomic({va:#x}): the last of cpu {cpu} is at "
                            f"{TOP - ((self.first_slot + idx) << PAGE_SHIFT):#x}; they are given back in turn")
        if self.clears:
            self.processor.set_pte_ext(self.ram, self.slot_pa(TOP - ((self.first_slot + idx) << PAGE_SHIFT)), 0, 0)
        self.atomic_idx[cpu] -= 1
        return 0

    @property
    def atomic_uses_kmap(self):
        """Whether kmap_atomic() of a page that kmap() has mapped gives that window: kmap_high_get() is there."""
        return self.uses_pkmap

    # ---------------------------------------------------------------- looking

    def snapshot(self, uint32_t cpu=0):
        """The state as recordings have it: counts, the last window, the buckets of page_address()."""
        if cpu >= MAX_CPUS:
            raise KmapError(f"no cpu {cpu}")
        table = []
        for i in range(PA_HASH_SLOTS):
            nr, pages = self.head[i], []
            while nr != END:
                pages.append([self.pfn[nr], self.base + (nr << PAGE_SHIFT)])
                nr = self.next[nr]
            table.append(pages)
        return {"count": list(self.pkmap_count), "last_pkmap_nr": self.last_pkmap_nr, "page_address_htable": table,
                "pkmap_page_table": self.table_va, "kmap_atomic_idx": self.atomic_idx[cpu]}


def _needs_kmap_high_get(config):
    # ARCH_NEEDS_KMAP_HIGH_GET, of arch/arm/include/asm/highmem.h
    return not (config.SMP and config.CPU_TLB_V6) and not config.ARM_ERRATA_798181
