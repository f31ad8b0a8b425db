"""What SLUB says of a slab or an object with which something is wrong (mm/slub.c, CONFIG_SLUB_DEBUG).

Differs: no stack is dumped. Addresses are shown, where the kernel shows what it makes of them with a secret number. Who
called is not known, so a track has the address of `_stext`, and its age counts allocations and frees.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, Page
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.report cimport page_flags_of, struct_page_va
from bootsim.linux.mm.slab_common cimport SLAB_RED_ZONE, SLAB_STORE_USER
from bootsim.linux.mm.slub.objects cimport Slub
from bootsim.linux.mm.slub.slabs cimport SlubCache, inuse_of, objects_of
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.kernel.kallsyms import SymbolLookupError
from bootsim.linux.kernel.panic import TAINT_BAD_PAGE, add_taint, print_tainted
from bootsim.linux.kernel.printk import KERN_ERR, printk
from bootsim.linux.lib.hexdump import hex_line
from bootsim.linux.mm.slab_common import SlabError


cdef uint32_t info_end(SlubCache s) noexcept:
    return s.inuse + 4 if s.offset >= s.inuse else s.inuse


cdef uint32_t size_from_object(SlubCache s) noexcept:
    return s.size - s.red_left_pad if s.flags & SLAB_RED_ZONE else s.size


cdef bint valid_pointer(Slub a, SlubCache s, uint32_t pfn, uint32_t va):
    cdef uint32_t base = a.page_va(pfn)
    cdef uint32_t at = va - s.red_left_pad if s.flags & SLAB_RED_ZONE else va
    return not va or (base <= at < base + objects_of(&a.g.map[pfn]) * s.size and (at - base) % s.size == 0)


cdef Page *page_at(Slub a, uint32_t pfn) except NULL:
    if pfn < a.g.base or pfn >= a.g.end:
        raise SlabError(f"page {pfn:#x} to show: the machine has none of that number")
    return &a.g.map[pfn]


def symbol_of(k, uint32_t va):
    """The function that a track names; the address where no symbol is, as when something wrote over the track.

    Source: lib/vsprintf.c symbol_string(), of %pS
    """
    try:
        return k.symbol(va).name
    except SymbolLookupError:
        return f"{va:#x}"


cdef class SlubReport:
    """Reports of one allocator."""

    def __init__(self, Slub a not None):
        self.a = a

    def say(self, str text, int level=KERN_ERR, str func="slab_bug"):
        """Log one line of a report."""
        printk(self.a.k, level, "{text}", text=text, func=func)

    def slab_bug(self, SlubCache s not None, str what):
        """Begin a report.

        Source: mm/slub.c slab_bug()
        """
        self.say("=" * 77)
        self.say(f"BUG {s.name} ({print_tainted(self.a.k)}): {what}")
        self.say("-" * 77)
        self.say("")
        add_taint(self.a.k, TAINT_BAD_PAGE)

    def slab_fix(self, SlubCache s not None, str what):
        """Tell what is done about it.

        Source: mm/slub.c slab_fix()
        """
        self.say(f"FIX {s.name}: {what}", func="slab_fix")

    def print_section(self, str text, uint32_t va, uint32_t length, int level=KERN_ERR):
        """Dump bytes as print_hex_dump() does, 16 a line.

        Source: mm/slub.c print_section(), lib/hexdump.c
        """
        if length > <uint32_t>1 << self.a.kmalloc_shift_max:
            raise SlabError(f"{length} bytes at {va:#x} to show: no object is so large")
        data = self.a.memory.read(self.a.pa(va), length)
        for at in range(0, length, 16):
            self.say(f"{text}{va + at:08x}: {hex_line(data[at:at + 16])}", level, "print_section")

    def print_page_info(self, uint32_t pfn):
        """Tell of a slab.

        Source: mm/slub.c print_page_info()
        """
        cdef Page *page = page_at(self.a, pfn)
        cdef Pglist p = self.a.k.mm.pgdat
        va = struct_page_va(self.a.k, p, pfn)
        self.say(f"INFO: Slab 0x{va:08x} objects={objects_of(page)} used={inuse_of(page)} "
                 f"fp=0x{page.index:08x} flags=0x{page_flags_of(p, page, pfn):04x}", func="print_page_info")

    def print_tracking(self, SlubCache s not None, uint32_t va):
        """Tell who allocated and freed an object last.

        Source: mm/slub.c print_tracking(), print_track()
        """
        if not s.flags & SLAB_STORE_USER:
            return
        for item, name in enumerate(("Allocated", "Freed")):
            track = self.a.memory.read(self.a.pa(va + info_end(s) + item * self.a.track_bytes), self.a.track_bytes)
            caller, cpu, pid, when = (int.from_bytes(track[at:][:4], "little")
                                      for at in (0, *range(len(track) - 12, len(track), 4)))
            if caller:
                self.say(f"INFO: {name} in {symbol_of(self.a.k, caller)} age={self.a.clock - when & 0xFFFFFFFF} "
                         f"cpu={cpu} pid={pid - (pid >> 31 << 32)}", func="print_track")

    def print_trailer(self, SlubCache s not None, uint32_t pfn, uint32_t va):
        """Tell of an object, and show its bytes.

        Source: mm/slub.c print_trailer()
        """
        start = self.a.page_va(pfn)
        self.print_tracking(s, va)
        self.print_page_info(pfn)
        self.say(f"INFO: Object 0x{va:08x} @offset={va - start} fp=0x{self.a.get_freepointer(s, va):08x}",
                 func="print_trailer")
        self.say("", func="print_trailer")
        if s.flags & SLAB_RED_ZONE:
            self.print_section("Redzone  ", va - s.red_left_pad, s.red_left_pad)
        elif va > start + 16:
            self.print_section("Bytes b4 ", va - 16, 16)
        self.print_section("Object   ", va, min(s.object_size, PAGE_SIZE))
        if s.flags & SLAB_RED_ZONE:
            self.print_section("Redzone  ", va + s.object_size, s.inuse - s.object_size)
        off = info_end(s) + (2 * self.a.track_bytes if s.flags & SLAB_STORE_USER else 0)
        if off != size_from_object(s):
            self.print_section("Padding  ", va + off, size_from_object(s) - off)

    def object_err(self, SlubCache s not None, uint32_t pfn, uint32_t va, str why):
        """Report an object.

        Source: mm/slub.c object_err()
        """
        self.slab_bug(s, why)
        self.print_trailer(s, pfn, va)

    def slab_err(self, SlubCache s not None, uint32_t pfn, str why):
        """Report a slab.

        Source: mm/slub.c slab_err()
        """
        self.slab_bug(s, why[:99])
        self.print_page_info(pfn)

    def freelist_corrupted(self, SlubCache s not None, uint32_t pfn, uint32_t va, uint32_t next_):
        """Whether what follows a free object is no object of its slab, which is told.

        Source: mm/slub.c freelist_corrupted()
        """
        if valid_pointer(self.a, s, pfn, next_):
            return False
        self.object_err(s, pfn, va, "Freechain corrupt")
        self.slab_fix(s, "Isolate corrupted freechain")
        return True

    def list_slab_objects(self, SlubCache s not None, uint32_t pfn):
        """Tell of what is left in a slab whose cache is to go.

        Source: mm/slub.c list_slab_objects()
        """
        cdef uint32_t va = self.a.page_va(pfn) + s.red_left_pad
        vacant = self.a.free_objects(s, self.a.g.map[pfn].index)
        self.slab_err(s, pfn, f"Objects remaining in {s.name} on __kmem_cache_shutdown()")
        for _ in range(objects_of(&self.a.g.map[pfn])):
            if va not in vacant:
                self.say(f"INFO: Object 0x{va:08x} @offset={va - self.a.page_va(pfn)}", func="list_slab_objects")
                self.print_tracking(s, va)
            va += s.size

    def heap_object(self, uint32_t va):
        """Of an address in a slab: what usercopy calls it, the cache, the place in the object, the object's bytes.

        None where no slab is. The place is negative in an object's left red zone.
        Source: mm/slub.c __check_heap_object()
        """
        cdef uint32_t pfn = self.a.head_page(va)
        cdef SlubCache s
        if pfn == NO_PAGE or not self.a.g.map[pfn].flags & PG_slab:
            return None
        s = self.a.cache_of(self.a.g.map[pfn].mapping)
        offset = (va - self.a.page_va(pfn)) % s.size
        zone = s.red_left_pad if s.debug and s.flags & SLAB_RED_ZONE else 0
        return "SLUB object", s, offset - zone, self.a.ksize(va)
