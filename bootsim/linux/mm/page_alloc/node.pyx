# cython: nonecheck=True
"""The node: struct pages and zones (struct pglist_data), and what a caller from Python may name of them."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from bootsim.hw.memory cimport copy_touched, map_zeroed, unmap
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.slowpath cimport alloc_pages_nodemask
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.errors import BootsimError, InputError


cdef enum:
    MAX_CPUS = 1024

# A mapping of struct pages is a multiple of this, so that boards of nearly one size have mappings of one size.
cdef size_t MAP_UNIT_BYTES = 1 << 16


class PageFrameError(BootsimError):
    """A page frame number, order, range or migrate type that the machine has not, or a page in the wrong state."""


cdef size_t usemap_size(const Pgdat *g, const Zone *zone) noexcept nogil:
    # bytes of a zone's pageblock flags
    cdef uint64_t block_pages = <uint64_t>1 << g.pageblock_order
    cdef uint64_t pages = zone.spanned_pages + (zone.start_pfn & (block_pages - 1))
    cdef uint64_t blocks = (pages + block_pages - 1) >> g.pageblock_order
    return (blocks * PAGEBLOCK_BITS + 31) // 32 * 4


cdef size_t section_flags_words(const Pgdat *g) noexcept nogil:
    # of the pageblock flags of all zones together
    return ((g.end - g.base) >> g.pageblock_order) // PAGEBLOCKS_PER_WORD + 1


cdef void *duplicate(const void *source, size_t size) except NULL:
    cdef void *new = malloc(size)
    if new == NULL:
        raise MemoryError
    memcpy(new, source, size)
    return new


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
        if config is None:  # a copy, that __deepcopy__ fills
            return
        if not 2 <= config.FORCE_MAX_ZONEORDER <= MAX_ORDERS:
            raise InputError(f"CONFIG_FORCE_MAX_ZONEORDER is {config.FORCE_MAX_ZONEORDER}, "
                             f"expected 2 to {int(MAX_ORDERS)}")
        if not 1 <= config.NR_CPUS <= MAX_CPUS:
            raise InputError(f"CONFIG_NR_CPUS is {config.NR_CPUS}, expected 1 to {int(MAX_CPUS)}")
        g.max_order = config.FORCE_MAX_ZONEORDER
        g.pageblock_order = g.max_order - 1
        g.nr_cpus = config.NR_CPUS
        g.cma = config.CMA
        g.debug_vm = g.checks_pcp = config.DEBUG_VM
        g.checks_lists = not config.DEBUG_VM
        g.compaction = config.COMPACTION
        g.captured = NO_PAGE
        g.kcompactd_highest_zoneidx = MAX_ZONES
        g.watermark_boost_factor = 15000
        g.gfp_allowed_mask = GFP_BOOT_MASK
        self.zone_names = _zone_names(config)
        g.nr_zones = len(self.zone_names)
        self.nr_migrate_types = MIGRATE_TYPES if config.CMA else 5 if config.MEMORY_ISOLATION else 4
        self.bank_pfns = []
        self.warned = set()
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
            unmap(self.map_memory, self.map_bytes)
        if self.g != NULL:
            for i in range(self.g.nr_zones):
                free(self.g.zones[i].pageset)
                if self.section_flags == NULL:
                    free(self.g.zones[i].pageblock_flags)
            free(self.section_flags)
            free(self.g)

    def __deepcopy__(self, memo):
        cdef Pglist new = Pglist(None)
        new.copy_from(self)
        new.zone_names, new.bank_pfns = list(self.zone_names), list(self.bank_pfns)
        new.valid_pfns, new.warned = list(self.valid_pfns), set(self.warned)
        new.sysctl_lowmem_reserve_ratio = list(self.sysctl_lowmem_reserve_ratio)
        new.nr_migrate_types = self.nr_migrate_types
        new.clears_allocated, new.fills_freed = self.clears_allocated, self.fills_freed
        new.mem_map_pa, new.mem_map_bytes = self.mem_map_pa, self.mem_map_bytes
        new.nr_bad_shown, new.totalreserve_pages = self.nr_bad_shown, self.totalreserve_pages
        new.min_free_kbytes, new.user_min_free_kbytes = self.min_free_kbytes, self.user_min_free_kbytes
        new.watermark_scale_factor = self.watermark_scale_factor
        memo[id(self)] = new
        if self.lru is not None:
            new.lru = self.lru.copy_for(new)
        if self.holders is not None:
            new.holders = self.holders.copy_for(new, memo)
        return new

    cdef int copy_from(self, Pglist other) except -1:
        # The same Pgdat, but for its pointers. Links are numbers, and stay what they are.
        cdef Pgdat *g = self.g
        cdef uint32_t i
        g[0] = other.g[0]
        g.map = NULL
        g.owners = NULL  # those that copy_for() makes
        g.oom = NULL     # those of the copied processes
        g.reclaim = NULL
        g.capturing = NULL
        for i in range(g.nr_zones):
            g.zones[i].pageset, g.zones[i].pageblock_flags = NULL, NULL
        for i in range(g.nr_zones):
            g.zones[i].pageset = <PerCpuPages *>duplicate(other.g.zones[i].pageset, g.nr_cpus * sizeof(PerCpuPages))
        if other.map_memory != NULL:
            self.reserve_map()
            copy_touched(self.map_memory, other.map_memory, self.map_bytes, True)
        if other.section_flags != NULL:
            self.section_flags = <uint32_t *>duplicate(other.section_flags, section_flags_words(g) * 4)
        for i in range(g.nr_zones):
            if other.g.zones[i].pageblock_flags == NULL:
                continue
            g.zones[i].pageblock_flags = (self.section_flags if self.section_flags != NULL else <uint32_t *>duplicate(
                other.g.zones[i].pageblock_flags, usemap_size(g, &g.zones[i])))
        return 0

    cdef int map_pages(self, uint32_t base, uint32_t end) except -1:
        # struct pages for [base, end), and after them the list heads
        cdef Pgdat *g = self.g
        cdef uint32_t i, cpu, head = end
        cdef uint32_t order_heads = g.max_order * MIGRATE_TYPES
        g.base, g.end, g.heads_base = base, end, end
        g.nr_heads = g.nr_zones * (order_heads + g.nr_cpus * MIGRATE_PCPTYPES) + 1
        g.nr_heads += 2 * MAX_COMPACTIONS + NR_LRU_HEADS
        self.reserve_map()
        for i in range(g.nr_zones):
            g.zones[i].free_list = head
            head += order_heads
            for cpu in range(g.nr_cpus):
                g.zones[i].pageset[cpu].lists = head
                head += MIGRATE_PCPTYPES
        g.tmp_list = head
        g.compact_lists = head + 1
        g.lru_lists = g.compact_lists + 2 * MAX_COMPACTIONS
        for i in range(g.heads_base, g.heads_base + g.nr_heads):
            list_init(g.map, i)
        return 0

    cdef int reserve_map(self) except -1:
        # the host's memory for the struct pages and list heads of [base, end)
        cdef Pgdat *g = self.g
        cdef size_t entries = <size_t>(g.end - g.base) + g.nr_heads
        self.map_bytes = (entries * sizeof(Page) + MAP_UNIT_BYTES - 1) & ~(MAP_UNIT_BYTES - 1)
        self.map_memory = map_zeroed(self.map_bytes, "the memory for struct pages")
        g.map = <Page *>self.map_memory - g.base
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
    def watermark_boost_factor(self):
        """How far a watermark may be raised for a while, in 10,000ths of the high one (/proc/sys/vm)."""
        return self.g.watermark_boost_factor

    @watermark_boost_factor.setter
    def watermark_boost_factor(self, uint32_t factor):
        self.g.watermark_boost_factor = factor

    @property
    def gfp_allowed_mask(self):
        """The flags that requests keep: GFP_BOOT_MASK until the kernel's threads run."""
        return self.g.gfp_allowed_mask

    @gfp_allowed_mask.setter
    def gfp_allowed_mask(self, uint32_t mask):
        self.g.gfp_allowed_mask = mask

    def alloc(self, uint32_t gfp_mask, uint32_t order):
        """alloc_pages() without log and contents: the first pfn, or None."""
        check_gfp(gfp_mask)
        cdef uint32_t pfn = alloc_pages_nodemask(self.g, gfp_mask, order)
        self.raise_death()
        return None if pfn == NO_PAGE else pfn

    cdef int raise_death(self) except -1:
        # what the kernel died of in the midst of a request
        if self.death is not None:
            death, self.death = self.death, None
            raise death
        return 0

    def free(self, uint32_t pfn, uint32_t order):
        """__free_pages() without log and contents. Raises PageFrameError outside the memory map."""
        check_pfn(self.g, pfn, order)
        if self.g.map[pfn].refcount == 1 or order:
            check_not_free(self.g, pfn, order)
        free_pages_by_refcount(self.g, pfn, order)


cdef int check_pfn(Pgdat *g, uint32_t pfn, uint32_t order) except -1:
    # An aligned block of the memory map; a range's end is a 64-bit number.
    if (g.map == NULL or g.nr_spans == 0 or order >= g.max_order or pfn < g.span_start[0]
            or <uint64_t>pfn + (<uint64_t>1 << order) > g.end or pfn & ((<uint32_t>1 << order) - 1)
            or not has_pageblock(g, page_zone(g, pfn), pfn)):
        raise PageFrameError(f"pfn {pfn:#x} order {order}: expected an aligned block from {g.span_start[0]:#x} below "
                             f"{g.end:#x}, order below {g.max_order}")
    return 0


cdef int check_pfn_range(Pgdat *g, uint64_t start_pfn, uint64_t end_pfn) except -1:
    # [start_pfn, end_pfn) lies in the memory map, and is not empty.
    if start_pfn >= end_pfn or end_pfn > g.end:
        raise PageFrameError(f"pfns {start_pfn:#x}-{end_pfn:#x}: expected a range of pages below {g.end:#x}")
    check_pfn(g, <uint32_t>start_pfn, 0)
    check_pfn(g, <uint32_t>(end_pfn - 1), 0)
    return 0


cdef int check_migratetype(Pglist p, uint32_t migratetype) except -1:
    if migratetype not in migratetypes(p):
        raise PageFrameError(f"migrate type {migratetype}: the build has {', '.join(map(str, migratetypes(p)))}")
    return 0


cdef int check_pageblocks(Pglist p, uint64_t start_pfn, uint64_t end_pfn, uint32_t migratetype) except -1:
    # A range that begins with a pageblock, to be isolated or given back as this type.
    if start_pfn & ((<uint32_t>1 << p.g.pageblock_order) - 1):
        raise PageFrameError(f"pfn {start_pfn:#x}: expected the first of a pageblock")
    check_pfn_range(p.g, start_pfn, end_pfn)
    return check_migratetype(p, migratetype)


cdef int check_not_free(Pgdat *g, uint32_t pfn, uint32_t order=0) except -1:
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


cdef int check_untouched(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) except -1:
    # Nothing in the range was ever freed. The boot goes upwards, so that there is nothing to look at.
    cdef uint32_t i
    if start_pfn < g.freed_end:
        for i in range(start_pfn, end_pfn):
            if g.map[i].flags & PG_on_pcp or in_free_block(g, i):
                raise PageFrameError(f"pfn {i:#x} is free already")
    if end_pfn > g.freed_end:
        g.freed_end = end_pfn
    return 0


cdef int check_gfp(uint32_t gfp_mask) except -1:
    if gfp_mask & GFP_MOVABLE_MASK == GFP_MOVABLE_MASK:
        raise PageFrameError(f"gfp mask {gfp_mask:#x}: __GFP_MOVABLE and __GFP_RECLAIMABLE exclude each other")
    return 0


cdef migratetypes(Pglist p):
    # The types the build has, as indices here: without CMA, Isolate takes its number.
    return {6: range(6), 5: (0, 1, 2, 3, MIGRATE_ISOLATE), 4: range(4)}[p.nr_migrate_types]


cdef list _zone_names(config):
    names = ["DMA"] if config.ZONE_DMA else []
    names.append("Normal")
    if config.HIGHMEM:
        names.append("HighMem")
    names.append("Movable")
    return names


cdef void _fill_gfp_zone(Pgdat *g, list names):
    # GFP_ZONE_TABLE: the highest zone each combination of the four zone bits may use. Where two of them exclude each
    # other (GFP_ZONE_BAD) the table has 0, the lowest zone.
    normal = names.index("Normal")
    for bits in range(16):
        zone = normal
        if (bits & (__GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM)).bit_count() > 1:
            zone = 0
        elif bits & __GFP_DMA:
            zone = names.index("DMA") if "DMA" in names else normal
        elif bits & __GFP_HIGHMEM:
            zone = names.index("HighMem") if "HighMem" in names else normal
            if bits & __GFP_MOVABLE:
                zone = names.index("Movable")
        g.gfp_zone[bits] = zone


# ------------------------------------------------------------------ what the boot's parts share

cdef list zone_fact_names(k, what):
    return [fact.name for fact in k.facts if fact.name.startswith("zone.") and fact.name.endswith(f".{what}")]


cdef smp_cache_bytes(k):
    return 1 << k.build.config.ARM_L1_CACHE_SHIFT


cdef clamp(value, low, high):
    return low if value < low else high if value > high else value


cdef round_up(value, unit):
    return (value + unit - 1) // unit * unit
