# cython: nonecheck=True
"""The page allocator: struct page, zones, free lists, per-cpu lists (mm/page_alloc.c).

The C core works on a Pgdat and knows no Python; the functions that take `k` wrap it, log and count. The parts:

    page_alloc_core.pxi     lists, pageblock flags, counters
    page_alloc_free.pxi     freeing and merging
    page_alloc_rmqueue.pxi  allocating: fallback, watermarks, zonelists
    page_alloc_contig.pxi   isolation, alloc_contig_range()
    page_alloc_gfp.pxi      GFP_* and their names
    page_alloc_init.pxi     early parameters, free_area_init()
    page_alloc_setup.pxi    zonelists, pagesets, watermarks
    page_alloc_boot.pxi     handing the boot's memory over; hash tables; the Memory: line
    page_alloc_debug.pxi    snapshots, invariants, bad pages
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from math import isqrt

from bootsim.causes import cause
from bootsim.errors import BootsimError, InputError, KernelPanic
from bootsim.linux.lib.cmdline import EarlyParam, value_of
from bootsim.linux.kernel.jump_label import static_key_disable, static_key_enable
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_ALERT, KERN_DEBUG, KERN_ERR, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import memparse, simple_strtoull
from bootsim.linux.lib.kstrtox import kstrtobool, kstrtoull
from bootsim.linux.mm.page_poison import page_poisoning_enabled, poison_byte
from bootsim.owners import Purpose


cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)
    int mprotect(void *addr, size_t length, int prot)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    int PROT_NONE, PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_HUGEPAGE
    void *MAP_FAILED


cdef enum:
    PAGE_SHIFT = 12
    PAGE_SIZE = 4096
    MAX_CPUS = 1024

cdef size_t GUARD_BYTES = 1 << 16

include "page_alloc_core.pxi"
include "page_alloc_free.pxi"
include "page_alloc_rmqueue.pxi"
include "page_alloc_contig.pxi"


class PageFrameError(BootsimError):
    """A page frame number, order, range or migrate type that the machine has not, or a page in the wrong state."""


@cython.final
cdef class Pglist:
    """The machine's one node: its struct pages and zones, and page_alloc.c's variables (struct pglist_data).

    `zone_names` are the build's zones in index order. `bank_pfns` are the (start, end) of all memory, `valid_pfns` of
    the frames for which pfn_valid() holds: every pageblock that memory touches.
    """

    def __cinit__(self, config):
        cdef Pgdat *g = <Pgdat *>calloc(1, sizeof(Pgdat))
        cdef uint32_t i
        if g == NULL:
            raise MemoryError
        self.g = g
        if not 2 <= config.FORCE_MAX_ZONEORDER <= MAX_ORDERS:
            raise InputError(f"CONFIG_FORCE_MAX_ZONEORDER is {config.FORCE_MAX_ZONEORDER}, "
                             f"expected 2 to {int(MAX_ORDERS)}")
        if not 1 <= config.NR_CPUS <= MAX_CPUS:
            raise InputError(f"CONFIG_NR_CPUS is {config.NR_CPUS}, expected 1 to {int(MAX_CPUS)}")
        g.max_order = config.FORCE_MAX_ZONEORDER
        g.pageblock_order = g.max_order - 1
        g.nr_cpus = config.NR_CPUS
        g.cma = config.CMA
        g.debug_vm = config.DEBUG_VM
        g.watermark_boost_factor = 15000
        g.gfp_allowed_mask = GFP_BOOT_MASK
        self.zone_names = _zone_names(config)
        g.nr_zones = len(self.zone_names)
        self.nr_migrate_types = MIGRATE_TYPES if config.CMA else 5 if config.MEMORY_ISOLATION else 4
        self.bank_pfns = []
        self.valid_pfns = []
        self.min_free_kbytes = 1024
        self.user_min_free_kbytes = -1
        self.watermark_scale_factor = 10
        self.sysctl_lowmem_reserve_ratio = [{"DMA": 256, "Normal": 32}.get(name, 0) for name in self.zone_names]
        for i in range(g.nr_zones):
            g.zones[i].index = i
            # zone_movable_is_highmem(): with one node, Movable counts as highmem when HighMem lies below it
            g.zones[i].highmem = config.HIGHMEM and self.zone_names[i] in ("HighMem", "Movable")
            g.zones[i].pageset = <PerCpuPages *>calloc(g.nr_cpus, sizeof(PerCpuPages))
            if g.zones[i].pageset == NULL:
                raise MemoryError("the host refused the memory for per-cpu lists")
        _fill_gfp_zone(g, self.zone_names)

    def __dealloc__(self):
        cdef uint32_t i
        if self.map_memory != NULL:
            munmap(self.map_memory, self.map_bytes)
        if self.g != NULL:
            for i in range(self.g.nr_zones):
                free(self.g.zones[i].pageset)
                if self.section_flags == NULL:
                    free(self.g.zones[i].pageblock_flags)
            free(self.section_flags)
            free(self.g)

    cdef int map_pages(self, uint32_t base, uint32_t end) except -1:
        # struct pages for [base, end), and after them the list heads
        cdef Pgdat *g = self.g
        cdef uint32_t i, cpu, head = end
        cdef uint32_t order_heads = g.max_order * MIGRATE_TYPES
        g.base, g.end, g.heads_base = base, end, end
        g.nr_heads = g.nr_zones * (order_heads + g.nr_cpus * MIGRATE_PCPTYPES) + 1
        cdef size_t bytes = ((<size_t>(end - base) + g.nr_heads) * sizeof(Page) + GUARD_BYTES - 1) & ~(GUARD_BYTES - 1)
        cdef char *memory
        # what is before and behind may not be touched
        self.map_bytes = bytes + 2 * GUARD_BYTES
        self.map_memory = mmap(NULL, self.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if self.map_memory == MAP_FAILED:
            self.map_memory = NULL
            raise MemoryError("the host refused the memory for struct pages")
        memory = <char *>self.map_memory + GUARD_BYTES
        if mprotect(memory, bytes, PROT_READ | PROT_WRITE):
            raise MemoryError("the host refused the memory for struct pages")
        madvise(memory, bytes, MADV_HUGEPAGE)  # every page of it is written; a refusal costs time alone
        g.map = <Page *>memory - base
        for i in range(g.nr_zones):
            g.zones[i].free_list = head
            head += order_heads
            for cpu in range(g.nr_cpus):
                g.zones[i].pageset[cpu].lists = head
                head += MIGRATE_PCPTYPES
        g.tmp_list = head
        for i in range(g.heads_base, g.heads_base + g.nr_heads):
            list_init(g.map, i)
        return 0

    @property
    def cpu(self):
        """The cpu that the kernel runs on now (smp_processor_id())."""
        return self.g.cpu

    @cpu.setter
    def cpu(self, uint32_t cpu):
        if cpu >= self.g.nr_cpus:
            raise PageFrameError(f"cpu {cpu}: the build has {self.g.nr_cpus}")
        self.g.cpu = cpu

    @property
    def page_group_by_mobility_disabled(self):
        """Whether there was too little memory to group pages by mobility."""
        return bool(self.g.page_group_by_mobility_disabled)

    @property
    def node_present_pages(self):
        """Pages of memory, without holes."""
        return self.g.node_present_pages

    @property
    def gfp_allowed_mask(self):
        """The flags that requests keep: GFP_BOOT_MASK until the kernel's threads run."""
        return self.g.gfp_allowed_mask

    @gfp_allowed_mask.setter
    def gfp_allowed_mask(self, uint32_t mask):
        self.g.gfp_allowed_mask = mask

    def alloc(self, uint32_t gfp_mask, uint32_t order):
        """alloc_pages() without log and contents: the first pfn, or None."""
        _check_gfp(gfp_mask)
        cdef uint32_t pfn = alloc_pages_nodemask(self.g, gfp_mask, order)
        return None if pfn == NO_PAGE else pfn

    def free(self, uint32_t pfn, uint32_t order):
        """__free_pages() without log and contents. Raises PageFrameError outside the memory map."""
        _check_pfn(self.g, pfn, order)
        if self.g.map[pfn].refcount == 1 or order:
            _check_not_free(self.g, pfn, order)
        free_pages_by_refcount(self.g, pfn, order)


cdef inline bint has_pageblock(const Pgdat *g, const Zone *zone, uint32_t pfn) noexcept nogil:
    # The zone's pageblock flags reach to the end of the pageblock in which it ends.
    return (zone.pageblock_flags != NULL
            and pfn >> g.pageblock_order <= (zone.start_pfn + zone.spanned_pages - 1) >> g.pageblock_order)


cdef inline int _check_pfn(Pgdat *g, uint32_t pfn, uint32_t order) except -1:
    # An aligned block of the memory map; a range's end is a 64-bit number.
    if (g.map == NULL or g.nr_spans == 0 or order >= g.max_order or pfn < g.span_start[0]
            or <uint64_t>pfn + (<uint64_t>1 << order) > g.end or pfn & ((<uint32_t>1 << order) - 1)
            or not has_pageblock(g, page_zone(g, pfn), pfn)):
        raise PageFrameError(f"pfn {pfn:#x} order {order}: expected an aligned block from {g.span_start[0]:#x} below "
                             f"{g.end:#x}, order below {g.max_order}")
    return 0


cdef int _check_pfn_range(Pgdat *g, uint64_t start_pfn, uint64_t end_pfn) except -1:
    # [start_pfn, end_pfn) lies in the memory map, and is not empty.
    if start_pfn >= end_pfn or end_pfn > g.end:
        raise PageFrameError(f"pfns {start_pfn:#x}-{end_pfn:#x}: expected a range of pages below {g.end:#x}")
    _check_pfn(g, <uint32_t>start_pfn, 0)
    _check_pfn(g, <uint32_t>(end_pfn - 1), 0)
    return 0


cdef int _check_migratetype(Pglist p, uint32_t migratetype) except -1:
    if migratetype not in _migratetypes(p):
        raise PageFrameError(f"migrate type {migratetype}: the build has {', '.join(map(str, _migratetypes(p)))}")
    return 0


cdef int check_pageblocks(Pglist p, uint64_t start_pfn, uint64_t end_pfn, uint32_t migratetype) except -1:
    # A range that begins with a pageblock, to be isolated or given back as this type.
    if start_pfn & ((<uint32_t>1 << p.g.pageblock_order) - 1):
        raise PageFrameError(f"pfn {start_pfn:#x}: expected the first of a pageblock")
    _check_pfn_range(p.g, start_pfn, end_pfn)
    return _check_migratetype(p, migratetype)


cdef int _check_not_free(Pgdat *g, uint32_t pfn, uint32_t order=0) except -1:
    # A page that some list holds must not be put on another: the real kernel's lists would be broken from then on. Free
    # blocks inside the block are not meant: freeing it meets their marks, and tells a bad page.
    cdef uint32_t i
    cdef uint32_t end = pfn + (<uint32_t>1 << order)
    if end > g.freed_end:
        g.freed_end = end
    if in_free_block(g, pfn):
        raise PageFrameError(f"pfn {pfn:#x} is free already")
    for i in range(pfn, end):
        if g.map[i].flags & PG_on_pcp:
            raise PageFrameError(f"pfn {i:#x} is free already")
    return 0


cdef int _check_untouched(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) except -1:
    # Nothing in the range was ever freed. The boot goes upwards, so that there is nothing to look at.
    cdef uint32_t i
    if start_pfn < g.freed_end:
        for i in range(start_pfn, end_pfn):
            if g.map[i].flags & PG_on_pcp or in_free_block(g, i):
                raise PageFrameError(f"pfn {i:#x} is free already")
    if end_pfn > g.freed_end:
        g.freed_end = end_pfn
    return 0


cdef int _check_gfp(uint32_t gfp_mask) except -1:
    if gfp_mask & GFP_MOVABLE_MASK == GFP_MOVABLE_MASK:
        raise PageFrameError(f"gfp mask {gfp_mask:#x}: __GFP_MOVABLE and __GFP_RECLAIMABLE exclude each other")
    return 0


include "page_alloc_gfp.pxi"
include "page_alloc_init.pxi"
include "page_alloc_setup.pxi"
include "page_alloc_boot.pxi"
include "page_alloc_debug.pxi"


# ------------------------------------------------------------------ allocating and freeing, for Python

def alloc_pages(k, uint32_t gfp_mask, uint32_t order):
    """Allocate 2**order pages; return the first pfn, or None when there are none, which the log then tells.

    Source: include/linux/gfp.h alloc_pages(), mm/page_alloc.c __alloc_pages_nodemask()
    Differs: nothing is reclaimed, compacted or killed for memory; the failure's stack trace and Mem-Info are left out.
    """
    cdef Pglist p = k.mm.pgdat
    _check_gfp(gfp_mask)
    cdef uint32_t pfn = alloc_pages_nodemask(p.g, gfp_mask, order)
    if p.g.nr_bad:
        _log_bad_pages(k, p)
    if pfn == NO_PAGE:
        _alloc_failed(k, p, gfp_mask, order)
        return None
    if gfp_mask & __GFP_ZERO or p.clears_allocated:
        if not want_init_on_free(k):
            k.machine.ram.zero(<int64_t>pfn << PAGE_SHIFT, <int64_t>PAGE_SIZE << order)
    return pfn


def want_init_on_alloc(k, uint32_t gfp_mask):
    """Whether a request's pages are cleared: it says so, or init_on_alloc does. Poisoning goes before that.

    Source: include/linux/mm.h want_init_on_alloc()
    """
    return bool((k.mm.init_on_alloc.taken and not page_poisoning_enabled(k)) or gfp_mask & __GFP_ZERO)


def want_init_on_free(k):
    """Whether freed pages are cleared.

    Source: include/linux/mm.h want_init_on_free()
    """
    return bool(k.mm.init_on_free.taken and not page_poisoning_enabled(k))


def __free_pages(k, uint32_t pfn, uint32_t order):
    """Drop a reference to the block at `pfn` and free it when that was the last.

    Raises PageFrameError for a block outside the memory map.
    Source: mm/page_alloc.c __free_pages()
    Differs: a block of several pages that is free already stays as it is, which a line tells; the kernel would put
        parts of it on its lists a second time, and they would be broken from then on.
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, order)
    if order and p.g.map[pfn].refcount <= 0:
        step(k, "__free_pages: pfn {pfn:#x} order {order} has no owner: freed twice; the kernel's lists would "
             "be broken from here on", func="__free_pages", pfn=pfn, order=order, level=KERN_WARNING)
        return
    if p.g.map[pfn].refcount == 1:
        _check_not_free(p.g, pfn, order)
    if p.fills_freed and p.g.map[pfn].refcount == 1:
        _fill_freed(k, pfn, <uint32_t>1 << order)
    free_pages_by_refcount(p.g, pfn, order)
    if p.g.nr_bad:
        _log_bad_pages(k, p)


def free_unref_page(k, uint32_t pfn):
    """Free one page whose last reference is gone, through the per-cpu list.

    Source: mm/page_alloc.c free_unref_page()
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, 0)
    _check_not_free(p.g, pfn)
    free_unref_page_of(p.g, pfn)
    if p.g.nr_bad:
        _log_bad_pages(k, p)


def __free_pages_ok(k, uint32_t pfn, uint32_t order, uint32_t fpi_flags=FPI_NONE):
    """Free a block whose last reference is gone straight to the free lists.

    Source: mm/page_alloc.c __free_pages_ok()
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, order)
    _check_not_free(p.g, pfn, order)
    free_pages_ok(p.g, pfn, order, fpi_flags)
    if p.g.nr_bad:
        _log_bad_pages(k, p)


def split_page(k, uint32_t pfn, uint32_t order):
    """Make 2**order single pages of an allocated block that is no compound page.

    Source: mm/page_alloc.c split_page()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    _check_pfn(p.g, pfn, order)
    _check_not_free(p.g, pfn, order)
    for i in range(pfn + 1, pfn + (<uint32_t>1 << order)):
        p.g.map[i].refcount = 1


def set_page_count(k, uint32_t pfn, int count):
    """Set the references to a page.

    Source: include/linux/page_ref.h set_page_count()
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, 0)
    p.g.map[pfn].refcount = count


def ClearPageReserved(k, uint32_t pfn):
    """Take the reservation of the boot off a page.

    Source: include/linux/page-flags.h ClearPageReserved()
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, 0)
    p.g.map[pfn].flags &= ~<uint32_t>PG_reserved


def alloc_pages_exact(k, uint32_t size, uint32_t gfp_mask):
    """Allocate the pages that `size` bytes need, and not one more; return the first pfn, or None.

    Source: mm/page_alloc.c alloc_pages_exact()
    """
    cdef uint32_t pages = <uint32_t>((<uint64_t>size + PAGE_SIZE - 1) >> PAGE_SHIFT)
    cdef uint32_t order = max(int(pages) - 1, 0).bit_length()
    cdef uint32_t i
    pfn = alloc_pages(k, gfp_mask & ~<uint32_t>GFP_COMP_BIT, order)
    if pfn is None:
        return None
    split_page(k, pfn, order)
    for i in range(pfn + pages, pfn + (<uint32_t>1 << order)):
        __free_pages(k, i, 0)
    return pfn


def free_pages_exact(k, uint32_t pfn, uint32_t size):
    """Free what alloc_pages_exact() gave for `size` bytes.

    Source: mm/page_alloc.c free_pages_exact()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint64_t end = pfn + ((<uint64_t>size + PAGE_SIZE - 1) >> PAGE_SHIFT)
    cdef uint32_t i
    if size:
        _check_pfn_range(p.g, pfn, end)
        for i in range(pfn, <uint32_t>end):
            __free_pages(k, i, 0)


def drain_pages_zone(k, uint32_t cpu, uint32_t zone):
    """Free everything on one cpu's list of the zone with index `zone`.

    Source: mm/page_alloc.c drain_pages_zone()
    """
    cdef Pglist p = k.mm.pgdat
    if cpu >= p.g.nr_cpus or zone >= p.g.nr_zones:
        raise PageFrameError(f"cpu {cpu}, zone {zone}: no such per-cpu list")
    drain_pages_zone_of(p.g, cpu, &p.g.zones[zone])
    if p.g.nr_bad:
        _log_bad_pages(k, p)


def drain_all_pages(k, zone=None):
    """Free every cpu's lists, of one zone (by index) or of all.

    Source: mm/page_alloc.c drain_all_pages()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i, cpu
    for cpu in range(p.g.nr_cpus):
        for i in range(p.g.nr_zones):
            if p.g.zones[i].present_pages and (zone is None or zone == i):
                drain_pages_zone_of(p.g, cpu, &p.g.zones[i])
    if p.g.nr_bad:
        _log_bad_pages(k, p)


def get_pageblock_migratetype(k, uint32_t pfn):
    """The migrate type of the pageblock that holds `pfn`.

    Source: include/linux/mmzone.h get_pageblock_migratetype()
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, 0)
    return get_pfnblock_migratetype(p.g, page_zone(p.g, pfn), pfn)


def set_pageblock_migratetype(k, uint32_t pfn, uint32_t migratetype):
    """Give the pageblock that holds `pfn` a migrate type.

    Source: mm/page_alloc.c set_pageblock_migratetype()
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, 0)
    _check_migratetype(p, migratetype)
    set_pfnblock_migratetype(p.g, page_zone(p.g, pfn), pfn, migratetype)


def page_zone_name(k, uint32_t pfn):
    """The name of the zone that holds `pfn`."""
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, 0)
    return p.zone_names[page_zone(p.g, pfn).index]


def page_zone_index(k, uint32_t pfn):
    """The index of the zone that holds `pfn`.

    Source: include/linux/mm.h page_zonenum()
    """
    cdef Pglist p = k.mm.pgdat
    _check_pfn(p.g, pfn, 0)
    return page_zone(p.g, pfn).index


# What kernel_init_free_pages() and kernel_poison_pages() write into freed pages.
cdef int _fill_freed(k, uint32_t pfn, uint32_t pages, bint poison=True) except -1:
    cdef Pglist p = k.mm.pgdat
    if p.fills_freed:
        if page_poisoning_enabled(k):
            if poison:
                k.machine.ram.fill32(<int64_t>pfn << PAGE_SHIFT, <int64_t>pages << PAGE_SHIFT,
                                     poison_byte(k) * 0x01010101)
        else:
            k.machine.ram.zero(<int64_t>pfn << PAGE_SHIFT, <int64_t>pages << PAGE_SHIFT)
    return 0


cdef _alloc_failed(k, Pglist p, uint32_t gfp_mask, uint32_t order):
    if order >= p.g.max_order:
        if not gfp_mask & __GFP_NOWARN:
            step(k, "__alloc_pages_nodemask: order {order} is not below MAX_ORDER {max_order}; the kernel warns here",
                 func="__alloc_pages_nodemask", order=order, max_order=p.g.max_order, level=KERN_WARNING)
        return
    if gfp_mask & __GFP_NOWARN:
        return
    mask = gfp_mask & p.g.gfp_allowed_mask
    cpuset = ",cpuset=/,mems_allowed=0" if k.build.config.CPUSETS else ""
    printk(k, KERN_WARNING, "{comm}: page allocation failure: order:{order}, mode:{mode:#x}({names}), "
           "nodemask=(null){cpuset}", func="warn_alloc", comm=k.cpus[0].comm, order=order, mode=mask,
           names=format_gfp_flags(mask), cpuset=cpuset)
