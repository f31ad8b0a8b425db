"""SLUB's checks: red zones, poison, who allocated and freed (mm/slub.c with slub_debug).

An object of a cache with all of them, from the slab's start:

    | left red zone | object, 6b..a5 when free | red zone | free pointer | track, track | padding 5a |
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport PG_locked, PG_slab, Page, compound_order
from bootsim.linux.mm.slab_common cimport (
    SLAB_CONSISTENCY_CHECKS, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER, SLAB_TRACE, PageSource, SlabAllocator)
from bootsim.linux.mm.slub.objects cimport Slub
from bootsim.linux.mm.slub.report cimport info_end, page_at, size_from_object, valid_pointer
from bootsim.linux.mm.slub.slabs cimport (
    MAX_OBJS_PER_PAGE, OBJECT_POISON, SlubCache, inuse_of, objects_of, order_objects)
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.kernel.printk import KERN_INFO
from bootsim.linux.mm.slub import slab_flags
from bootsim.linux.mm.slub.report import symbol_of

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
        (<SlubDebug>new).clock = self.clock
        return Slub.copy_rest(self, new, memo)

    cdef uint32_t kmem_cache_flags(self, uint32_t object_size, uint32_t flags, str name) except? 0xFFFFFFFFU:
        return slab_flags(flags, name, self.global_flags, self.blocks)

    cdef int tell_owner(self, SlubCache s, uint32_t va) except -1:
        self.report().print_tracking(s, va)
        return 0

    cdef tuple track_of(self, SlubCache s, uint32_t va, int item):
        # struct track: the caller's address, processor, process, time
        track = self.memory.read(self.pa(va + info_end(s) + item * self.track_bytes), self.track_bytes)
        return tuple([int.from_bytes(track[at:][:4], "little")
                      for at in (0, *range(len(track) - 12, len(track), 4))])

    cdef str list_locations(self, SlubCache s, int item):
        # alloc_calls_show(), free_calls_show()
        cdef uint32_t pfn, va
        if not s.flags & SLAB_STORE_USER:
            return None
        places = {}
        self.flush_all(s)
        for pfn in self.slabs_in(s.partial.first) + self.slabs_in(s.full.first):
            vacant = self.free_objects(s, self.g.map[pfn].index)
            va = self.page_va(pfn) + s.red_left_pad
            for _ in range(objects_of(&self.g.map[pfn])):
                if va not in vacant:
                    caller, cpu, pid, when = self.track_of(s, va, item)
                    age = self.clock - when & 0xFFFFFFFF
                    places.setdefault(caller, []).append((age, pid - (pid >> 31 << 32), cpu, when))
                va += s.size
        return "\n".join(self.location(caller, places[caller]) for caller in sorted(places)) or "No data"

    def location(self, uint32_t caller, list tracks not None):
        """A line of list_locations(): how many objects, their ages, processes, processors.

        Source: mm/slub.c list_locations()
        """
        # of those without a time the first is looked at alone
        ages, pids, cpus = ([track[i] for at, track in enumerate(tracks) if not at or track[3]] for i in range(3))
        age = f"{min(ages)}" + (f"/{sum(ages) // len(tracks)}/{max(ages)}" if sum(ages) != min(ages) else "")
        pid = f"{min(pids)}" if min(pids) == max(pids) else f"{min(pids)}-{max(pids)}"
        line = f"{len(tracks):7} {symbol_of(self.k, caller) if caller else '<not-available>'} age={age} pid={pid}"
        return f"{line} cpus={bitmap_list(set(cpus))}" if self.k.nr_online_cpus > 1 else line

    # ---------------------------------------------------------------- what lies where

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
        cdef uint32_t at = va + info_end(s) + item * self.track_bytes
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
        self.report().slab_bug(s, f"{what} overwritten")
        self.report().say(f"INFO: 0x{first:08x}-0x{last:08x} @offset={first - self.page_va(pfn)}. First byte "
                 f"{data[wrong[0]]:#x} instead of {value:#x}", func="check_bytes_and_report")
        self.report().print_trailer(s, pfn, va)
        self.restore(s, first, last, value)
        return False

    cdef int restore(self, SlubCache s, uint32_t first, uint32_t last, int value) except -1:
        self.report().slab_fix(s, f"Restoring 0x{first:08x}-0x{last:08x}={value:#x}")
        self.report().say("", func="restore_bytes")
        return self.fill(first, value, last + 1 - first)

    cdef bint check_object(self, SlubCache s, uint32_t pfn, uint32_t va, int value) except -1:
        cdef uint32_t end = va + s.object_size
        cdef uint32_t off = info_end(s) + (2 * self.track_bytes if s.flags & SLAB_STORE_USER else 0)
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
            if off != size_from_object(s):
                self.check_bytes(s, pfn, va, "Object padding", va + off, POISON_INUSE, size_from_object(s) - off)
        if s.offset < s.inuse and value == RED_ACTIVE:
            return True
        if not valid_pointer(self, s, pfn, self.get_freepointer(s, va)):
            self.report().object_err(s, pfn, va, "Freepointer corrupt")
            self.set_freepointer(s, va, 0)
            return False
        return True

    cdef int slab_pad_check(self, SlubCache s, uint32_t pfn) except -1:
        cdef uint32_t length = <uint32_t>PAGE_SIZE << compound_order(self.g, pfn)
        cdef uint32_t rest = length % s.size
        cdef uint32_t pad = self.page_va(pfn) + length - rest
        if not s.flags & SLAB_POISON or not rest:
            return 0
        data = self.memory.read(self.pa(pad), rest)
        wrong = [i for i, byte in enumerate(data) if byte != POISON_INUSE]
        if wrong:
            first, last = pad + wrong[0], pad + wrong[len(wrong) - 1]
            self.report().slab_err(s, pfn, f"Padding overwritten. 0x{first:08x}-0x{last:08x} "
                          f"@offset={first - self.page_va(pfn)}")
            self.report().print_section("Padding ", pad, rest)
            self.restore(s, first, last, POISON_INUSE)
        return 0

    cdef bint check_slab(self, SlubCache s, uint32_t pfn) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef uint32_t most = order_objects(compound_order(self.g, pfn), s.size)
        if not page.flags & PG_slab:
            self.report().slab_err(s, pfn, "Not a valid slab page")
            return False
        if objects_of(page) > most:
            self.report().slab_err(s, pfn, f"objects {objects_of(page)} > max {most}")
            return False
        if inuse_of(page) > objects_of(page):
            self.report().slab_err(s, pfn, f"inuse {inuse_of(page)} > max {objects_of(page)}")
            return False
        self.slab_pad_check(s, pfn)
        return True

    cdef bint on_freelist(self, SlubCache s, uint32_t pfn, uint32_t search) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef uint32_t fp = page.index
        cdef uint32_t va = 0, count = 0, most
        cdef int counted
        while fp and count <= objects_of(page):
            if fp == search:
                return True
            if not valid_pointer(self, s, pfn, fp):
                if not va:
                    self.report().slab_err(s, pfn, "Freepointer corrupt")
                    page.index = 0
                    page.private_ = (page.private_ & ~<uint32_t>0xFFFF) | objects_of(page)
                    self.report().slab_fix(s, "Freelist cleared")
                    return False
                self.report().object_err(s, pfn, va, "Freechain corrupt")
                self.set_freepointer(s, va, 0)
                break
            va = fp
            fp = self.get_freepointer(s, va)
            count += 1
        most = min(order_objects(compound_order(self.g, pfn), s.size), <uint32_t>MAX_OBJS_PER_PAGE)
        if objects_of(page) != most:
            self.report().slab_err(s, pfn, f"Wrong number of objects. Found {objects_of(page)} but should be {most}")
            page.private_ = (page.private_ & 0x8000FFFFU) | most << 16
            self.report().slab_fix(s, "Number of objects adjusted.")
        counted = <int>(objects_of(page) - count)  # -1 where the list is a circle
        if <int>inuse_of(page) != counted:
            self.report().slab_err(s, pfn, f"Wrong object count. Counter is {inuse_of(page)} but counted were "
                          f"{counted}")
            page.private_ = (page.private_ & ~<uint32_t>0xFFFF) | (<uint32_t>counted & 0xFFFF)
            self.report().slab_fix(s, "Object count adjusted.")
        return search == 0

    def trace(self, SlubCache s not None, uint32_t pfn, uint32_t va, bint alloc):
        """Tell of every allocation and free of a traced cache.

        Source: mm/slub.c trace()
        """
        cdef Page *page = page_at(self, pfn)
        if s.flags & SLAB_TRACE:
            self.report().say(f"TRACE {s.name} {'alloc' if alloc else 'free'} 0x{va:08x} inuse={inuse_of(page)} "
                     f"fp=0x{page.index:08x}", KERN_INFO, "trace")
            if not alloc:
                self.report().print_section("Object ", va, s.object_size, KERN_INFO)

    # ---------------------------------------------------------------- what SLUB calls

    cdef int setup_page_debug(self, SlubCache s, uint32_t pfn) except -1:
        if s.flags & SLAB_POISON:
            self.fill(self.page_va(pfn), POISON_INUSE, <uint32_t>PAGE_SIZE << compound_order(self.g, pfn))
        return 0

    cdef int setup_object(self, SlubCache s, uint32_t va) except -1:
        if s.debug and s.flags & (SLAB_STORE_USER | SLAB_RED_ZONE | <uint32_t>OBJECT_POISON):
            self.init_object(s, va, RED_INACTIVE)
            if s.flags & SLAB_STORE_USER:
                self.fill(va + info_end(s), 0, 2 * self.track_bytes)
        return Slub.setup_object(self, s, va)

    cdef int setup_first_object(self, SlubCache s, uint32_t va) except -1:
        self.init_object(s, va, RED_ACTIVE)
        if s.flags & SLAB_STORE_USER:
            self.fill(va + info_end(s), 0, 2 * self.track_bytes)
        return 0

    cdef bint alloc_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t va) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef bint good = True
        self.clock += 1
        if s.flags & SLAB_CONSISTENCY_CHECKS:
            good = self.check_slab(s, pfn)
            if good and not valid_pointer(self, s, pfn, va):
                self.report().object_err(s, pfn, va, "Freelist Pointer check fails")
                good = False
            good = good and self.check_object(s, pfn, va, RED_INACTIVE)
        if not good:
            if page.flags & PG_slab:
                self.report().slab_fix(s, "Marking all objects used")
                page.private_ = (page.private_ & ~<uint32_t>0xFFFF) | objects_of(page)
                page.index = 0
            return False
        self.set_track(s, va, TRACK_ALLOC)
        self.trace(s, pfn, va, True)
        self.init_object(s, va, RED_ACTIVE)
        return True

    cdef bint free_consistency_checks(self, SlubCache s, uint32_t pfn, uint32_t va) except -1:
        cdef Page *page = &self.g.map[pfn]
        if not valid_pointer(self, s, pfn, va):
            self.report().slab_err(s, pfn, f"Invalid object pointer 0x{va:08x}")
            return False
        if self.on_freelist(s, pfn, va):
            self.report().object_err(s, pfn, va, "Object already free")
            return False
        if not self.check_object(s, pfn, va, RED_ACTIVE):
            return False
        if page.mapping != s.va:
            self.report().object_err(s, pfn, va, "page slab pointer corrupt.")
            return False
        return True

    cdef bint free_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail,
                                    uint32_t count) except -1:
        # the slab is locked meanwhile, as reports show
        cdef bint good
        self.g.map[pfn].flags |= PG_locked
        good = self.check_freed(s, pfn, head, tail, count)
        self.g.map[pfn].flags &= ~<uint32_t>PG_locked
        return good

    cdef bint check_freed(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail, uint32_t count) except -1:
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
            self.report().slab_err(s, pfn, f"Bulk freelist count({count}) invalid({seen})")
        if not good:
            self.report().slab_fix(s, f"Object at 0x{va:08x} not freed")
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


def bitmap_list(bits):
    """Write a set of numbers as ranges, "0-2,5".

    Source: lib/vsprintf.c bitmap_list_string()
    """
    first = [bit for bit in sorted(bits) if bit - 1 not in bits]
    last = [bit for bit in sorted(bits) if bit + 1 not in bits]
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in zip(first, last, strict=True))
