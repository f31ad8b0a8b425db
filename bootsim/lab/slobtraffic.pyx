"""Object traffic of SLOB, replayed: what a recorded kernel asked goes to a SLOB here, and its answers are kept.

A page that SLOB took is in the records before the object that it was taken for. How large a kmalloc() is stands in its
record 51, which comes behind that of the object (21); an interrupt between the two brings pairs of its own.
"""

from libc.stdint cimport uint32_t

from bootsim.lab.blocks cimport check_records, holds
from bootsim.lab.kinds cimport (
    ASKED, CACHE, CHANGE, CPU, CREATED, FREE_ONE, GET, KMALLOC, PUT, PUT_BY_RCU, REQUEST, TURN_LIST)
from bootsim.lab.pages cimport PageTraffic
from bootsim.lab.recorded cimport Lately
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, Pgdat
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_COMP
from bootsim.linux.mm.slab_common cimport ZERO_SIZE_PTR, KmemCache, get_order
from bootsim.linux.mm.slob cimport Slob
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.mm.slab_common import SlabError

cdef enum:
    AFTER_RCU = 0xFFFFFFFFU     # in place of a cache: a grace period is over
    KMALLOCED = 0               # in place of a cache: of kmalloc()


cdef class SlobTraffic:
    """One kernel's SLOB, and its page allocator, under recorded traffic, from record to record.

    `names` has name and object size of the caches at the end, by address: records have no names. `first_wrong` is the
    first answer of objects that differs, as a tuple of the record's index and a sentence.
    """

    cdef PageTraffic pages
    cdef Lately lately
    cdef Slob slob
    cdef Pgdat *g
    cdef dict names                 # of caches that are there at the end, with their object sizes, by address
    cdef dict by_rcu                # objects that wait for the end of a grace period: how large they are
    cdef object asked               # the cache that is being made: (size, align, flags)
    cdef readonly Py_ssize_t wrong
    cdef readonly object first_wrong

    def __init__(self, k, PageTraffic pages not None, dict names not None):
        self.pages = pages
        self.names = names
        self.g = pages.p.g
        self.lately = Lately(k)
        self.slob = Slob(k, self.lately)
        self.slob.init()
        self.by_rcu = {}

    @property
    def allocator(self):
        """The machine's SLOB."""
        return self.slob

    def waits(self, Py_ssize_t i, uint32_t kind):
        """Whether a record's answer is still to come: none's is."""
        return False

    def run(self, const uint32_t[:, ::1] events not None, uint32_t[:, ::1] answers not None, Py_ssize_t start,
            Py_ssize_t stop):
        """Handle the records [start, stop); returns the index of the first that needs the caller, or `stop`.

        The caller's are those of PageTraffic.run().
        """
        cdef Py_ssize_t i = start
        cdef uint32_t kind
        check_records(events, answers, start, stop)
        while i < stop:
            kind = events[i, 0]
            if self.pages.is_for_caller(kind, events[i, 2]):
                return i
            if kind < CACHE or kind in (CPU, TURN_LIST):
                if kind == FREE_ONE and holds(self.g, events[i, 1], 0):
                    self.g.map[events[i, 1]].flags &= ~<uint32_t>PG_slab
                if kind == REQUEST:
                    self.pages.one(events, i, answers)
                    self.lately.page(events[i, 1], events[i, 2],
                                     events[i, 3] if holds(self.g, events[i, 3], events[i, 2]) else NO_PAGE)
                else:
                    i = self.pages.one(events, i, answers)  # compaction is many records
                    continue
            elif not self.pages.map(events, i, answers):
                self.object_record(events, answers, i)
            i += 1
        return i

    cdef int object_record(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        cdef uint32_t kind = events[i, 0]
        try:
            if kind == GET:
                self.get(events, answers, i)
            elif kind == PUT:
                self.put(events[i, 1], events[i, 2])
            elif kind == KMALLOC:
                self.kmalloc(i, events[i, 1], events[i, 2], events[i, 3], answers)
            elif kind == PUT_BY_RCU:
                self.put_by_rcu(events[i, 1], events[i, 2])
            elif kind == ASKED:
                self.ask(events[i, 1], events[i, 2], events[i, 3])
            elif kind == CREATED:
                self.created(i, events[i, 1], events[i, 2], events[i, 3], answers)
            elif kind == CHANGE and events[i, 2] == 2:
                self.forget(events[i, 1])
        except SlabError as error:
            self.differs(i, str(error))
        return 0

    cdef KmemCache cache_of(self, uint32_t va):
        cdef KmemCache s = self.slob.cache_at.get(va)
        if s is None and not self.slob.kmem_cache.va:
            s = self.slob.kmem_cache  # the build does not say where kmem_cache_boot lies
            s.va = va
            self.slob.cache_at[va] = s
        if s is None:
            raise SlabError(f"the recording names a cache {va:#x}, which the machine has not")
        return s

    # ---------------------------------------------------------------- objects

    cdef int get(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        cdef uint32_t cache_va = events[i, 1]
        cdef uint32_t real = events[i, 2]
        cdef uint32_t size
        cdef uint32_t before = 0
        cdef KmemCache s = None
        if cache_va == KMALLOCED:
            size = self.size_of(events, i)
            before = self.slob.kmalloc_min_size
            answers[i, 2] = self.slob.small_kmalloc(size, events[i, 3])
            size += before
        else:
            s = self.cache_of(cache_va)
            size = s.size
            answers[i, 2] = self.slob.alloc_object(size, events[i, 3], s.align)
        if answers[i, 2] != real:
            self.differs(i, f"cache {cache_va:#x}, {size} bytes: object {real:#x} in the recording, "
                         f"{answers[i, 2]:#x} here")
            if answers[i, 2] and size < PAGE_SIZE:
                self.slob.slob_free(answers[i, 2] - before, size)
            if real and size < PAGE_SIZE:
                self.slob.take_at(real - before, size)
        self.lately.handed_out(cache_va, answers[i, 2])
        return 0

    cdef uint32_t size_of(self, const uint32_t[:, ::1] events, Py_ssize_t i) except? 0:
        # of the kmalloc() whose object record `i` tells: in the record 51 that belongs to it
        cdef Py_ssize_t j
        cdef int inside = 1
        for j in range(i + 1, events.shape[0]):
            if events[j, 0] == GET and events[j, 1] == KMALLOCED:
                inside += 1
            elif events[j, 0] == KMALLOC and 0 < events[j, 1] < PAGE_SIZE - self.slob.kmalloc_min_size:
                inside -= 1
                if not inside:
                    return events[j, 1]
        raise SlabError("the recording ends before it tells the size of a kmalloc()")

    cdef int kmalloc(self, Py_ssize_t i, uint32_t size, uint32_t gfp_mask, uint32_t real,
                     uint32_t[:, ::1] answers) except -1:
        cdef uint32_t order, pfn
        if not size:
            answers[i, 3] = ZERO_SIZE_PTR
        elif size < PAGE_SIZE - self.slob.kmalloc_min_size:
            answers[i, 3] = self.lately.take_object(KMALLOCED)
        else:
            order = get_order(size)
            pfn = self.lately.take_page(order, __GFP_COMP if order else 0, __GFP_COMP if order else 0)
            answers[i, 3] = 0 if pfn == NO_PAGE else self.slob.page_va(pfn)
        if answers[i, 3] != real:
            self.differs(i, f"kmalloc of {size} bytes: {real:#x} in the recording, {answers[i, 3]:#x} here")
        return 0

    cdef int put(self, uint32_t cache_va, uint32_t va) except -1:
        cdef uint32_t size
        if cache_va == KMALLOCED:
            size = self.slob.kmalloc_size(va) + self.slob.kmalloc_min_size
            return self.slob.slob_free(va - self.slob.kmalloc_min_size, size)
        if cache_va == AFTER_RCU:
            if va not in self.by_rcu:
                raise SlabError(f"object {va:#x} is freed after a grace period that nothing waited for")
            return self.slob.free_object(va, self.by_rcu.pop(va))
        return self.slob.free_object(va, self.cache_of(cache_va).size)

    cdef int put_by_rcu(self, uint32_t cache_va, uint32_t va) except -1:
        cdef KmemCache s = self.cache_of(cache_va)
        self.slob.mark_rcu(s, va)
        self.by_rcu[va] = s.size
        return 0

    # ---------------------------------------------------------------- caches

    cdef int ask(self, uint32_t size, uint32_t align, uint32_t flags) except -1:
        self.asked = None
        if not 0 < size <= 1 << self.slob.kmalloc_shift_max or align & (align - 1):
            raise SlabError(f"a cache of {size} bytes aligned to {align}")
        self.asked = (size, align, flags)
        return 0

    cdef int created(self, Py_ssize_t i, uint32_t real, uint32_t name_va, uint32_t ctor,
                     uint32_t[:, ::1] answers) except -1:
        cdef KmemCache s
        cdef uint32_t va = self.lately.take_object(self.slob.kmem_cache.va)
        answers[i, 1] = va
        if va != real:
            self.differs(i, f"cache {real:#x} in the recording, {va:#x} here")
        if self.asked is not None and real:
            size, align, flags = self.asked
            flags = self.slob.create_flags(flags)
            s = self.slob.adopt(real, size, self.slob.calculate_alignment(flags, align, size), flags, None)
            s.name, s.name_va = self.name_of(real, size, name_va), name_va
        self.asked = None
        return 0

    cdef int forget(self, uint32_t va) except -1:
        if va in self.slob.cache_at:
            self.slob.forget(self.cache_of(va))
        return 0

    cdef str name_of(self, uint32_t va, uint32_t size, uint32_t name_va):
        name, largest = self.names.get(va, ("", 0))
        return name if size <= largest else f"{name_va:#x}"

    cdef int differs(self, Py_ssize_t i, str what) except -1:
        self.wrong += 1
        if self.first_wrong is None:
            self.first_wrong = (i, what)
        return 0
