"""SLUB's checks: red zones, poison, who allocated and freed (mm/slub.c with slub_debug).

An object of a cache with all of them, from the slab's start:

    | left red zone | object, 6b..a5 when free | red zone | free pointer | track, track | padding 5a |

Differs: no stack is dumped. Addresses are shown, where the kernel shows what it makes of them with a secret number. Who
called is not known, so a track has the address of `_stext`, and its age counts allocations and frees.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport PG_head, PG_slab, Page
from bootsim.linux.mm.slab_common cimport (
    SLAB_CONSISTENCY_CHECKS, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER, SLAB_TRACE, PageSource, SlabAllocator)
from bootsim.linux.mm.slub.objects cimport Slub
from bootsim.linux.mm.slub.slabs cimport OBJECT_POISON, SlubCache, inuse_of, objects_of
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk
from bootsim.linux.mm.slab_common import SlabError
from bootsim.linux.mm.slub import slab_flags

cdef enum:
    RED_INACTIVE = 0xBB
    RED_ACTIVE = 0xCC
    POISON_FREE = 0x6B
    POISON_END = 0xA5
    POISON_INUSE = 0x5A
    TRACK_ALLOC = 0
    TRACK_FREE = 1


cdef class SlubDebug(Slub):
    """SLUB with slub_debug."""

    def __init__(self, k, PageSource pages=None):
        super().__init__(k, pages)
        self.debug_enabled = True
        self.global_flags = k.options["slub_debug"]
        self.blocks = k.options.get("slub_debug_blocks", [])
        self.disable_higher_order_debug = bool(k.options.get("slub_debug_o"))
        self.caller = k.build.symbols.stext

    cdef int copy_rest(self, SlabAllocator new, dict memo) except -1:
        (<SlubDebug>new).clock, (<SlubDebug>new).tainted = self.clock, self.tainted
        return Slub.copy_rest(self, new, memo)

    cdef uint32_t kmem_cache_flags(self, uint32_t object_size, uint32_t flags, str name) except? 0xFFFFFFFFU:
        return slab_flags(flags, name, self.global_flags, self.blocks)

    # ---------------------------------------------------------------- reports

    def say(self, str text, int level=KERN_ERR, str func="slab_bug"):
        """Log one line of a report."""
        printk(self.k, level, "{text}", text=text, func=func)

    def slab_bug(self, SlubCache s not None, str what):
        """Begin a report.

        Source: mm/slub.c slab_bug()
        """
        taint = "Tainted: G    B            " if self.tainted else "Not tainted"
        self.say("=" * 77)
        self.say(f"BUG {s.name} ({taint}): {what}")
        self.say("-" * 77)
        self.say("")
        self.tainted = True

    def slab_fix(self, SlubCache s not None, str what):
        """Tell what is done about it.

        Source: mm/slub.c slab_fix()
        """
        self.say(f"FIX {s.name}: {what}", func="slab_fix")

    def print_section(self, str text, uint32_t va, uint32_t length, int level=KERN_ERR):
        """Dump bytes as print_hex_dump() does, 16 a line.

        Source: mm/slub.c print_section(), lib/hexdump.c
        """
        if length > <uint32_t>1 << self.kmalloc_shift_max:
            raise SlabError(f"{length} bytes at {va:#x} to show: no object is so large")
        data = self.memory.read(self.pa(va), length)
        for at in range(0, length, 16):
            row = data[at:at + 16]
            shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            self.say(f"{text}{va + at:08x}: {' '.join(f'{byte:02x}' for byte in row):<49}{shown}", level,
                     "print_section")

    cdef Page *page_at(self, uint32_t pfn) except NULL:
        if pfn < self.g.base or pfn >= self.g.end:
            raise SlabError(f"page {pfn:#x} to show: the machine has none of that number")
        return &self.g.map[pfn]

    def print_page_info(self, uint32_t pfn):
        """Tell of a slab.

        Source: mm/slub.c print_page_info()
        """
        cdef Page *page = self.page_at(pfn)
        base = self.k.phys_to_virt(self.k.mm.pgdat.mem_map_pa or 0)
        va = base + (pfn - self.g.base) * self.k.build.sizeof.page
        self.say(f"INFO: Slab 0x{va:08x} objects={objects_of(page)} used={inuse_of(page)} fp=0x{page.index:08x} "
                 f"flags=0x{page.flags & 0x3FFFFF:04x}", func="print_page_info")

    cdef int tell_owner(self, SlubCache s, uint32_t va) except -1:
        self.print_tracking(s, va)
        return 0

    def print_tracking(self, SlubCache s not None, uint32_t va):
        """Tell who allocated and freed an object last.

        Source: mm/slub.c print_tracking(), print_track()
        """
        if not s.flags & SLAB_STORE_USER:
            return
        for item, name in enumerate(("Allocated", "Freed")):
            track = self.memory.read(self.pa(va + self.info_end(s) + item * self.track_bytes), self.track_bytes)
            caller = int.from_bytes(track[:4], "little")
            cpu, pid, when = (int.from_bytes(track[at:][:4], "little") for at in range(len(track) - 12, len(track), 4))
            if caller:
                self.say(f"INFO: {name} in {self.k.symbol(caller).name} age={self.clock - when} cpu={cpu} pid={pid}",
                         func="print_track")

    def print_trailer(self, SlubCache s not None, uint32_t pfn, uint32_t va):
        """Tell of an object, and show its bytes.

        Source: mm/slub.c print_trailer()
        """
        start = self.page_va(pfn)
        self.print_tracking(s, va)
        self.print_page_info(pfn)
        self.say(f"INFO: Object 0x{va:08x} @offset={va - start} fp=0x{self.get_freepointer(s, va):08x}",
                 func="print_trailer")
        self.say("", func="print_trailer")
        if s.flags & SLAB_RED_ZONE:
            self.print_section("Redzone  ", va - s.red_left_pad, s.red_left_pad)
        elif va > start + 16:
            self.print_section("Bytes b4 ", va - 16, 16)
        self.print_section("Object   ", va, min(s.object_size, PAGE_SIZE))
        if s.flags & SLAB_RED_ZONE:
            self.print_section("Redzone  ", va + s.object_size, s.inuse - s.object_size)
        off = self.info_end(s) + (2 * self.track_bytes if s.flags & SLAB_STORE_USER else 0)
        if off != self.size_from_object(s):
            self.print_section("Padding  ", va + off, self.size_from_object(s) - off)

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
        self.slab_bug(s, why)
        self.print_page_info(pfn)

    # ---------------------------------------------------------------- what lies where

    cdef uint32_t info_end(self, SlubCache s) noexcept:
        return s.inuse + 4 if s.offset >= s.inuse else s.inuse

    cdef uint32_t size_from_object(self, SlubCache s) noexcept:
        return s.size - s.red_left_pad if s.flags & SLAB_RED_ZONE else s.size

    cdef bint valid_pointer(self, SlubCache s, uint32_t pfn, uint32_t va):
        cdef uint32_t base = self.page_va(pfn)
        cdef uint32_t at = va - s.red_left_pad if s.flags & SLAB_RED_ZONE else va
        return not va or (base <= at < base + objects_of(&self.g.map[pfn]) * s.size and (at - base) % s.size == 0)

    cdef int fill(self, uint32_t va, int value, uint32_t length) except -1:
        self.memory.write(self.pa(va), bytes((value,)) * length)
        return 0

    cdef int init_object(self, SlubCache s, uint32_t va, int value) except -1:
        if s.flags & SLAB_RED_ZONE:
            self.fill(va - s.red_left_pad, value, s.red_left_pad)
        if s.flags & <uint32_t>OBJECT_POISON:
            self.fill(va, POISON_FREE, s.object_size - 1)
            self.fill(va + s.object_size - 1, POISON_END, 1)
        if s.flags & SLAB_RED_ZONE:
            self.fill(va + s.object_size, value, s.inuse - s.object_size)
        return 0

    cdef int set_track(self, SlubCache s, uint32_t va, int item) except -1:
        cdef uint32_t at = va + self.info_end(s) + item * self.track_bytes
        words = (self.g.cpu, 1, self.clock)
        if s.flags & SLAB_STORE_USER:
            self.fill(at, 0, self.track_bytes)
            self.memory.write(self.pa(at), self.caller.to_bytes(4, "little"))
            self.memory.write(self.pa(at + self.track_bytes - 12), b"".join(w.to_bytes(4, "little") for w in words))
        return 0

    # ---------------------------------------------------------------- checks

    cdef bint check_bytes(self, SlubCache s, uint32_t pfn, uint32_t va, str what, uint32_t start, int value,
                          uint32_t length) except -1:
        # check_bytes_and_report()
        data = self.memory.read(self.pa(start), length)
        wrong = [i for i, byte in enumerate(data) if byte != value]
        if not wrong:
            return True
        first, last = start + wrong[0], start + wrong[len(wrong) - 1]
        self.slab_bug(s, f"{what} overwritten")
        self.say(f"INFO: 0x{first:08x}-0x{last:08x} @offset={first - self.page_va(pfn)}. First byte "
                 f"{data[wrong[0]]:#x} instead of {value:#x}", func="check_bytes_and_report")
        self.print_trailer(s, pfn, va)
        self.restore(s, first, last, value)
        return False

    cdef int restore(self, SlubCache s, uint32_t first, uint32_t last, int value) except -1:
        self.slab_fix(s, f"Restoring 0x{first:08x}-0x{last:08x}={value:#x}")
        self.say("", func="restore_bytes")
        return self.fill(first, value, last + 1 - first)

    cdef bint check_object(self, SlubCache s, uint32_t pfn, uint32_t va, int value) except -1:
        cdef uint32_t end = va + s.object_size
        cdef uint32_t off = self.info_end(s) + (2 * self.track_bytes if s.flags & SLAB_STORE_USER else 0)
        if s.flags & SLAB_RED_ZONE:
            if not (self.check_bytes(s, pfn, va, "Left Redzone", va - s.red_left_pad, value, s.red_left_pad)
                    and self.check_bytes(s, pfn, va, "Right Redzone", end, value, s.inuse - s.object_size)):
                return False
        elif s.flags & SLAB_POISON and s.object_size < s.inuse:
            self.check_bytes(s, pfn, va, "Alignment padding", end, POISON_INUSE, s.inuse - s.object_size)
        if s.flags & SLAB_POISON:
            if value != RED_ACTIVE and s.flags & <uint32_t>OBJECT_POISON and not (
                    self.check_bytes(s, pfn, va, "Poison", va, POISON_FREE, s.object_size - 1)
                    and self.check_bytes(s, pfn, va, "End Poison", end - 1, POISON_END, 1)):
                return False
            if off != self.size_from_object(s):
                self.check_bytes(s, pfn, va, "Object padding", va + off, POISON_INUSE, self.size_from_object(s) - off)
        if s.offset < s.inuse and value == RED_ACTIVE:
            return True
        if not self.valid_pointer(s, pfn, self.get_freepointer(s, va)):
            self.object_err(s, pfn, va, "Freepointer corrupt")
            self.set_freepointer(s, va, 0)
            return False
        return True

    cdef int slab_pad_check(self, SlubCache s, uint32_t pfn) except -1:
        cdef uint32_t order = self.g.map[pfn + 1].prev & 0xFF if self.g.map[pfn].flags & PG_head else 0
        cdef uint32_t length = <uint32_t>PAGE_SIZE << order
        cdef uint32_t rest = length % s.size
        cdef uint32_t pad = self.page_va(pfn) + length - rest
        if not s.flags & SLAB_POISON or not rest:
            return 0
        data = self.memory.read(self.pa(pad), rest)
        wrong = [i for i, byte in enumerate(data) if byte != POISON_INUSE]
        if wrong:
            first, last = pad + wrong[0], pad + wrong[len(wrong) - 1]
            self.slab_err(s, pfn, f"Padding overwritten. 0x{first:08x}-0x{last:08x} "
                          f"@offset={first - self.page_va(pfn)}")
            self.print_section("Padding ", pad, rest)
            self.restore(s, first, last, POISON_INUSE)
        return 0

    cdef bint check_slab(self, SlubCache s, uint32_t pfn) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef uint32_t order = self.g.map[pfn + 1].prev & 0xFF if page.flags & PG_head else 0
        cdef uint32_t most = (<uint32_t>PAGE_SIZE << order) // s.size
        if not page.flags & PG_slab:
            self.slab_err(s, pfn, "Not a valid slab page")
            return False
        if objects_of(page) > most:
            self.slab_err(s, pfn, f"objects {objects_of(page)} > max {most}")
            return False
        if inuse_of(page) > objects_of(page):
            self.slab_err(s, pfn, f"inuse {inuse_of(page)} > max {objects_of(page)}")
            return False
        self.slab_pad_check(s, pfn)
        return True

    cdef bint on_freelist(self, SlubCache s, uint32_t pfn, uint32_t search) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef uint32_t fp = page.index
        cdef uint32_t va = 0, count = 0
        while fp and count <= objects_of(page):
            if fp == search:
                return True
            if not self.valid_pointer(s, pfn, fp):
                if not va:
                    self.slab_err(s, pfn, "Freepointer corrupt")
                    page.index = 0
                    page.private_ = (page.private_ & ~<uint32_t>0xFFFF) | objects_of(page)
                    self.slab_fix(s, "Freelist cleared")
                    return False
                self.object_err(s, pfn, va, "Freechain corrupt")
                self.set_freepointer(s, va, 0)
                break
            va = fp
            fp = self.get_freepointer(s, va)
            count += 1
        if inuse_of(page) != objects_of(page) - count:
            self.slab_err(s, pfn, f"Wrong object count. Counter is {inuse_of(page)} but counted were "
                          f"{objects_of(page) - count}")
            page.private_ = (page.private_ & ~<uint32_t>0xFFFF) | (objects_of(page) - count)
            self.slab_fix(s, "Object count adjusted.")
        return search == 0

    def trace(self, SlubCache s not None, uint32_t pfn, uint32_t va, bint alloc):
        """Tell of every allocation and free of a traced cache.

        Source: mm/slub.c trace()
        """
        cdef Page *page = self.page_at(pfn)
        if s.flags & SLAB_TRACE:
            self.say(f"TRACE {s.name} {'alloc' if alloc else 'free'} 0x{va:08x} inuse={inuse_of(page)} "
                     f"fp=0x{page.index:08x}", KERN_INFO, "trace")
            if not alloc:
                self.print_section("Object ", va, s.object_size, KERN_INFO)

    # ---------------------------------------------------------------- what SLUB calls

    cdef int setup_page_debug(self, SlubCache s, uint32_t pfn) except -1:
        cdef uint32_t order = self.g.map[pfn + 1].prev & 0xFF if self.g.map[pfn].flags & PG_head else 0
        if s.flags & SLAB_POISON:
            self.fill(self.page_va(pfn), POISON_INUSE, <uint32_t>PAGE_SIZE << order)
        return 0

    cdef int setup_object(self, SlubCache s, uint32_t va) except -1:
        if s.debug and s.flags & (SLAB_STORE_USER | SLAB_RED_ZONE | <uint32_t>OBJECT_POISON):
            self.init_object(s, va, RED_INACTIVE)
            if s.flags & SLAB_STORE_USER:
                self.fill(va + self.info_end(s), 0, 2 * self.track_bytes)
        return Slub.setup_object(self, s, va)

    cdef int setup_first_object(self, SlubCache s, uint32_t va) except -1:
        self.init_object(s, va, RED_ACTIVE)
        if s.flags & SLAB_STORE_USER:
            self.fill(va + self.info_end(s), 0, 2 * self.track_bytes)
        return 0

    cdef bint alloc_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t va) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef bint good = True
        self.clock += 1
        if s.flags & SLAB_CONSISTENCY_CHECKS:
            good = self.check_slab(s, pfn)
            if good and not self.valid_pointer(s, pfn, va):
                self.object_err(s, pfn, va, "Freelist Pointer check fails")
                good = False
            good = good and self.check_object(s, pfn, va, RED_INACTIVE)
        if not good:
            if page.flags & PG_slab:
                self.slab_fix(s, "Marking all objects used")
                page.private_ = (page.private_ & ~<uint32_t>0xFFFF) | objects_of(page)
                page.index = 0
            return False
        self.set_track(s, va, TRACK_ALLOC)
        self.trace(s, pfn, va, True)
        self.init_object(s, va, RED_ACTIVE)
        return True

    cdef bint free_consistency_checks(self, SlubCache s, uint32_t pfn, uint32_t va) except -1:
        cdef Page *page = &self.g.map[pfn]
        if not self.valid_pointer(s, pfn, va):
            self.slab_err(s, pfn, f"Invalid object pointer 0x{va:08x}")
            return False
        if self.on_freelist(s, pfn, va):
            self.object_err(s, pfn, va, "Object already free")
            return False
        if not self.check_object(s, pfn, va, RED_ACTIVE):
            return False
        if page.mapping != s.va:
            self.object_err(s, pfn, va, "page slab pointer corrupt.")
            return False
        return True

    cdef bint free_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail,
                                    uint32_t count) except -1:
        cdef uint32_t va = head
        cdef uint32_t seen = 0
        cdef bint checks = s.flags & SLAB_CONSISTENCY_CHECKS != 0
        cdef bint good = not checks or self.check_slab(s, pfn)
        self.clock += 1
        while good:
            seen += 1
            if checks and not self.free_consistency_checks(s, pfn, va):
                good = False
                break
            self.set_track(s, va, TRACK_FREE)
            self.trace(s, pfn, va, False)
            self.init_object(s, va, RED_INACTIVE)
            if va == tail:
                break
            va = self.get_freepointer(s, va)
        if seen != count:
            self.slab_err(s, pfn, f"Bulk freelist count({count}) invalid({seen})")
        if not good:
            self.slab_fix(s, f"Object at 0x{va:08x} not freed")
        return good

    cdef int check_freed_slab(self, SlubCache s, uint32_t pfn) except -1:
        # __free_slab()
        cdef uint32_t va = self.page_va(pfn) + s.red_left_pad
        if s.flags & SLAB_CONSISTENCY_CHECKS:
            self.slab_pad_check(s, pfn)
            for _ in range(objects_of(&self.g.map[pfn])):
                self.check_object(s, pfn, va, RED_INACTIVE)
                va += s.size
        return 0

    cdef bint freelist_corrupted(self, SlubCache s, uint32_t pfn, uint32_t *freelist, uint32_t next_) except -1:
        if s.flags & SLAB_CONSISTENCY_CHECKS and not self.valid_pointer(s, pfn, next_) and freelist[0]:
            self.object_err(s, pfn, freelist[0], "Freechain corrupt")
            freelist[0] = 0
            self.slab_fix(s, "Isolate corrupted freechain")
            return True
        return False

    cdef int list_slab_objects(self, SlubCache s, uint32_t pfn) except -1:
        cdef uint32_t va = self.page_va(pfn) + s.red_left_pad
        vacant = self.free_objects(s, self.g.map[pfn].index)
        self.slab_err(s, pfn, f"Objects remaining in {s.name} on __kmem_cache_shutdown()")
        for _ in range(objects_of(&self.g.map[pfn])):
            if va not in vacant:
                self.say(f"INFO: Object 0x{va:08x} @offset={va - self.page_va(pfn)}", func="list_slab_objects")
                self.print_tracking(s, va)
            va += s.size
        return 0
