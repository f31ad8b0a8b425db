"""Object traffic, replayed: what a recorded kernel asked of SLUB goes to a SLUB here, and its answers are kept.

The records of pages come before the object's record that they belong to. So a slab's page is the one that the replay's
own page allocator has just answered for such a request; and when a recorded page is freed that is a slab here, what
frees it is done first: it is the next record of objects.

The answer is worked out before the recorded one is looked at. Only when the two differ is the recorded object taken
out of the lists, so that the replay can go on.

What no record tells is taken from what the kernel did: that a cache was made with a region for programs (record 25
lacks it, and such a cache is not shared), and, in recordings without record 54, the constructor (by the object's size).
"""

from libc.stdint cimport uint32_t

from bootsim.lab.blocks cimport check_records, has_slab, holds, in_use
from bootsim.lab.kinds cimport (
    ASKED, CACHE, CACHE_NAME, CHANGE, CPU, CREATED, FLUSH, FREE_BLOCK, FREE_ONE, FURTHER, GET, KMALLOC, MARK, PUT,
    REQUEST, TURN_LIST)
from bootsim.lab.pages cimport PageTraffic
from bootsim.lab.recorded cimport KEPT, LATELY, NO_ORDER, PROCESSORS, Lately
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, Page, Pgdat
from bootsim.linux.mm.page_alloc.gfp cimport (
    __GFP_BITS_MASK, __GFP_COMP, __GFP_HIGHMEM, __GFP_NORETRY, __GFP_NOWARN)
from bootsim.linux.mm.slab_common cimport ZERO_SIZE_PTR, KmemCache, get_order
from bootsim.linux.mm.slub.objects cimport Slub
from bootsim.linux.mm.slub.slabs cimport LIST_END, KmemCacheCpu, SlubCache

from bootsim.linux.mm.slab_common import SlabError
from bootsim.linux.mm.slub import new_allocator

cdef enum:
    LOOK_AHEAD = 4096
    INTERRUPTED = 1024      # records of interrupts between a slab's page and its object, at most
    GFP_QUIET = __GFP_NOWARN | __GFP_NORETRY    # the first try of a slab

# Caches of which programs may be given a part; they are made with kmem_cache_create_usercopy(), and never shared.
USERCOPY = frozenset((
    "RAW", "RAWv6", "SCTP", "SCTPv6", "befs_inode_cache", "cifs_request", "cifs_small_rq", "ext2_inode_cache",
    "ext4_inode_cache", "jfs_ip", "kvm_vcpu", "mm_struct", "names_cache", "orangefs_inode_cache", "proc_dir_entry",
    "scsi_sense_cache", "skbuff_fclone_cache", "skbuff_head_cache", "ufs_inode_cache", "uts_namespace", "vxfs_inode"))


cdef class RecordedPages(Lately):
    """The pages that a recording's requests were answered with, as SLUB asks for them; and the last objects.

    `missing` counts pages asked for here and not there.
    """

    cdef bint slab[KEPT]        # of a slab; others are kmalloc()'s, or whoever's
    cdef bint oldest_first
    cdef readonly Py_ssize_t missing

    cdef void answered(self, uint32_t gfp_mask, uint32_t order, uint32_t pfn, bint slab) noexcept:
        self.slab[self.page(gfp_mask, order, pfn)] = slab

    cdef int find(self, uint32_t gfp_mask, uint32_t order, bint slab) noexcept:
        # asked for by this processor, or else by another, from which the task has come
        cdef uint32_t k
        cdef int i = -1
        for k in range(PROCESSORS):
            i = self.find_of((self.g.cpu + k) % PROCESSORS, gfp_mask, order, slab)
            if i >= 0:
                break
        return i

    cdef int find_of(self, uint32_t cpu, uint32_t gfp_mask, uint32_t order, bint slab) noexcept:
        cdef uint32_t asked = self.nr_pages[cpu]
        cdef uint32_t k, known = min(asked, LATELY)
        cdef int i
        for k in range(known):
            i = cpu * LATELY + (asked - known + k if self.oldest_first else asked - 1 - k) % LATELY
            if self.order[i] == order and self.gfp_mask[i] == gfp_mask and self.slab[i] >= slab:
                return i
        return -1

    cdef uint32_t alloc(self, uint32_t gfp_mask, uint32_t order) except? 0:
        return self.take(self.find(gfp_mask, order, True))

    cdef uint32_t take(self, int i) noexcept:
        if i < 0:
            self.missing += 1
            return NO_PAGE
        cdef uint32_t order = self.order[i]
        self.order[i] = NO_ORDER
        # after a wrong answer it may be free by now, or somebody else's
        if self.pfn[i] != NO_PAGE and (not in_use(self.g, self.pfn[i], order) or has_slab(self.g, self.pfn[i], order)):
            self.missing += 1
            return NO_PAGE
        return self.pfn[i]


cdef class ObjectTraffic:
    """One kernel's SLUB, and its page allocator, under recorded traffic, from record to record.

    `first_wrong` is the first answer of objects that differs, as a tuple of the record's index and a sentence.
    """

    cdef PageTraffic pages
    cdef RecordedPages source
    cdef Slub slub
    cdef Pgdat *g
    cdef dict names                 # of the caches that are there at the end, by address: (name, object size)
    cdef dict renamed               # recorded address -> the address here, where they differ
    cdef Py_ssize_t done            # the records of objects before this one are done
    cdef Py_ssize_t boot_end        # the last record of kmem_cache_init()
    cdef object asked_cache         # the cache that is being made: [size, align, flags, a new one was made]
    cdef uint32_t descriptor
    cdef uint32_t node
    cdef bint preempted             # other tasks may come where otherwise only interrupts do
    cdef set shrinking              # caches whose lists are to be gone through at the next free of theirs
    cdef readonly Py_ssize_t wrong
    cdef readonly Py_ssize_t late_pages     # slabs made although objects had been freed meanwhile
    cdef readonly object first_wrong

    def __init__(self, k, PageTraffic pages not None, const uint32_t[:, ::1] events not None, dict names not None):
        self.names = names
        self.pages = pages
        self.g = pages.p.g
        self.source = RecordedPages(k)
        self.slub = new_allocator(k, self.source)
        self.slub.freelist_random = False  # their objects have records of their own
        self.renamed = {}
        self.shrinking = set()
        self.preempted = k.build.config.PREEMPT
        check_records(events, events, 0, 0)
        self.boot_end = self.end_of_boot(events)
        self.source.oldest_first = True

    @property
    def allocator(self):
        """The machine's SLUB."""
        return self.slub

    def waits(self, Py_ssize_t i, uint32_t kind):
        """Whether a record's answer is still to come: those of the boot come together, at its end."""
        return kind == GET and i <= self.boot_end and self.done <= self.boot_end

    cdef Py_ssize_t end_of_boot(self, const uint32_t[:, ::1] events):
        # the record of the last cache that kmem_cache_init() makes
        cdef Py_ssize_t i
        cdef int left = 2 + self.slub.nr_kmalloc_caches()
        for i in range(events.shape[0]):
            if events[i, 0] == CACHE_NAME:
                left -= 1
                if left == 0:
                    return i
        return events.shape[0]

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
            if kind == REQUEST:
                self.pages.one(events, i, answers)
                self.answered(events[i, 1], events[i, 2], events[i, 3], self.begins_slab(events, i))
            elif kind < CACHE or kind in (CPU, TURN_LIST):
                if kind == FREE_ONE or kind == FREE_BLOCK:
                    self.before_free(events, answers, i)
                i = self.pages.one(events, i, answers)  # compaction is many records
                continue
            elif not self.pages.map(events, i, answers) and i >= self.done and kind < 55:
                self.object_record(events, answers, i)
                self.done = i + 1
            i += 1
        return i

    # ---------------------------------------------------------------- pages of slabs

    cdef int answered(self, uint32_t gfp_mask, uint32_t order, uint32_t pfn, bint slab) except -1:
        # the recorded page is the replay's too, by now; one that cannot be, in a broken recording, is none
        if pfn != NO_PAGE and (not holds(self.g, pfn, order) or self.g.map[pfn].flags & PG_slab):
            pfn = NO_PAGE
        self.source.answered(gfp_mask, order, pfn, slab)
        return 0

    cdef bint begins_slab(self, const uint32_t[:, ::1] events, Py_ssize_t i) except -1:
        # Whether a slab is asked for: its first object comes next, but for what interrupts do. They may free objects of
        # its cache: then what the allocation did first, letting go of the used-up cpu slab, is done now.
        cdef Py_ssize_t j
        cdef int nested = 0
        cdef bint first = True
        cdef SlubCache s
        if events[i, 1] & (GFP_QUIET | __GFP_HIGHMEM) != GFP_QUIET or i <= self.boot_end:
            return True
        for j in range(i + 1, min(events.shape[0], i + INTERRUPTED)):
            if not self.pages.cpus.same(i, j):
                first = first and not CACHE <= events[j, 0] < 55
                continue
            if events[j, 0] in (MARK, ASKED, CHANGE) and not self.preempted:
                break  # no interrupt does this
            if events[j, 0] == REQUEST and events[j, 1] == events[i, 1] and events[j, 2] == events[i, 2]:
                nested += 1
            elif events[j, 0] == GET:
                s = self.cache_of(events[j, 1])
                if (s is not None and s.oo >> 16 == events[i, 2]
                        and self.slub.slab_gfp(s, events[j, 3]) == events[i, 1]):
                    if nested:
                        nested -= 1
                    elif self.used_up(s):
                        if not first:
                            self.slub.let_go(s)
                        return True
                first = False
            elif CACHE <= events[j, 0] < 55:
                first = False
        return not self.slub.gfp_lifted  # until then the mask is not known

    cdef bint used_up(self, SlubCache s) noexcept:
        # whether an allocation must ask for a slab
        cdef KmemCacheCpu *c = &s.cpus[self.g.cpu]
        return not (c.freelist or (c.page != LIST_END and self.g.map[c.page].index) or c.partial != LIST_END
                    or s.nr_partial)

    cdef int before_free(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        # A slab's page is freed: what frees it comes later in the recording, and must come first here.
        cdef uint32_t pfn = events[i, 1]
        cdef uint32_t order = events[i, 2] if events[i, 0] == FREE_BLOCK else 0
        cdef uint32_t inside
        cdef Py_ssize_t j, end
        if not has_slab(self.g, pfn, order):
            return 0
        for inside in range(pfn + 1, pfn + (<uint32_t>1 << order)):
            if self.g.map[inside].flags & PG_slab:
                self.differs(i, f"the recording frees slab {inside:#x} within a block, which holds objects here")
                self.drop_slab(inside)
        j = max(i, self.done)
        end = min(events.shape[0], j + LOOK_AHEAD)
        while j < end and self.g.map[pfn].flags & PG_slab:
            if self.g.map[pfn].mapping in self.shrinking and not self.flush_follows(events, j):
                self.finish_shrinking(self.g.map[pfn].mapping)
                continue
            if CACHE <= events[j, 0] < 55:
                self.pages.cpus.at(j)
                self.object_record(events, answers, j)
                self.done = j + 1
            j += 1
        self.pages.cpus.at(i)
        if self.g.map[pfn].flags & PG_slab:
            self.differs(i, f"the recording frees slab {pfn:#x}, which holds objects here")
            self.drop_slab(pfn)
        return 0

    cdef bint flush_follows(self, const uint32_t[:, ::1] events, Py_ssize_t i):
        # whether the next record of objects, at or behind `i`, flushes a CPU's slabs
        cdef Py_ssize_t j
        for j in range(i, min(events.shape[0], i + LOOK_AHEAD)):
            if CACHE <= events[j, 0] < 55:
                return events[j, 0] == FLUSH
        return False

    cdef int drop_slab(self, uint32_t pfn) except -1:
        # after a wrong answer: forget a slab that the recorded kernel gave back
        cdef SlubCache s = self.slub.cache_at.get(self.g.map[pfn].mapping)
        cdef Page *page = &self.g.map[pfn]
        if s is not None:
            if page.private_ >> 31:
                self.slub.flush_cpu_slab(s, self.g.cpu)
            if page.flags & PG_slab and pfn in self.slub.slabs_in(s.partial.first):
                self.slub.remove_partial(s, pfn)
        page.flags &= ~<uint32_t>PG_slab
        page.mapping = 0
        return 0

    # ---------------------------------------------------------------- objects

    cdef int object_record(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        # what cannot be done, after a wrong answer or in a broken recording, is counted, and the replay goes on
        try:
            self.handle(events, answers, i)
        except SlabError as error:
            self.differs(i, str(error))
        return 0

    cdef int handle(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        cdef uint32_t kind = events[i, 0]
        cdef SlubCache s
        if i <= self.boot_end:
            if i == self.boot_end:
                self.boot(events, answers)
            return 0
        if kind == GET:
            self.get(events, answers, i)
        elif kind == PUT:
            self.put(events, i)
        elif kind == KMALLOC:
            self.kmalloc(events, answers, i)
        elif kind == FLUSH:
            s = self.cache_of(events[i, 1])
            if s is not None and events[i, 2] < self.g.nr_cpus:
                self.slub.flush_cpu_slab(s, events[i, 2])
        elif kind == ASKED:
            self.asked_cache = [events[i, 1], events[i, 2], events[i, 3], False]
            self.descriptor = self.node = 0
        elif kind == CACHE:
            self.new_cache(events, i)
        elif kind == CREATED:
            self.created(events, answers, i)
        elif kind == CHANGE:
            self.change(events[i, 1], events[i, 2])
        return 0

    cdef int boot(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers) except -1:
        # kmem_cache_init() as a whole, at its last record; what it handed out are the answers up to here
        cdef Py_ssize_t i
        cdef SlubCache s
        self.slub.init()
        self.source.oldest_first = False
        cache, node = self.slub.slab_caches[:2]
        objects = [cache.node_va, cache.va, node.va]
        caches = [node, cache]
        for s in self.slub.slab_caches[2:]:
            objects += [s.va, s.node_va]
            caches.append(s)
        objects.reverse()
        caches.reverse()
        for i in range(self.boot_end + 1):
            if events[i, 0] == GET:
                answers[i, 2] = objects.pop() if objects else 0
                if answers[i, 2] != events[i, 2]:
                    self.differs(i, f"object {events[i, 2]:#x} in the recording, {answers[i, 2]:#x} here")
                    self.renamed[events[i, 2]] = answers[i, 2]
        return 0

    cdef SlubCache cache_of(self, uint32_t va):
        found = self.slub.cache_at.get(va)
        if self.renamed and va in self.renamed:
            found = self.slub.cache_at.get(self.renamed[va])
        return found

    cdef int get(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        cdef SlubCache s = self.cache_of(events[i, 1])
        cdef uint32_t gfp_mask = events[i, 3]
        cdef uint32_t va = 0
        if s is not None:
            if not self.slub.gfp_lifted:
                self.lift(s, gfp_mask)
            if self.waits_for_slab(s, gfp_mask):
                self.late_pages += 1
                va = self.slub.alloc_from_new_slab(s, gfp_mask)
            else:
                va = self.slub.alloc(s, gfp_mask)
        answers[i, 2] = va
        if va != events[i, 2]:
            self.differs(i, f"cache {events[i, 1]:#x}: object {events[i, 2]:#x} in the recording, {va:#x} here")
            va = self.go_on_with(s, va, events[i, 2])
        if s is self.slub.kmem_cache:
            self.descriptor = va
        elif s is self.slub.kmem_cache_node:
            self.node = va
        self.source.handed_out(s.va if s is not None else 0, va)
        return 0

    cdef int lift(self, SlubCache s, uint32_t gfp_mask) except -1:
        # When the kernel lets its requests sleep, no record tells; a slab that is asked for with leave to sleep does.
        if self.source.find(self.slub.slab_gfp(s, gfp_mask), s.oo >> 16, True) < 0:
            self.slub.gfp_lifted = __GFP_BITS_MASK
            if self.source.find(self.slub.slab_gfp(s, gfp_mask), s.oo >> 16, True) < 0:
                self.slub.gfp_lifted = 0
        return 0

    cdef bint waits_for_slab(self, SlubCache s, uint32_t gfp_mask):
        # Whether this allocation has asked for a slab, although one with free objects is there by now.
        cdef KmemCacheCpu *c = &s.cpus[self.g.cpu]
        cdef uint32_t mask
        if c.page == LIST_END and c.partial == LIST_END and not s.nr_partial:
            return False
        mask = self.slub.slab_gfp(s, gfp_mask)
        return self.source.find_of(self.g.cpu % PROCESSORS, mask, s.oo >> 16, True) >= 0

    cdef uint32_t go_on_with(self, SlubCache s, uint32_t ours, uint32_t real) except? 1:
        # Take the recorded object out of the lists, and put back ours. If that cannot be, both go on under two names.
        cdef KmemCacheCpu *c
        cdef uint32_t va, left, last = 0
        if s is None or not ours or not real:
            return ours
        c = &s.cpus[self.g.cpu]
        va = c.freelist
        left = s.oo & 0xFFFF
        while va and va != real and left:
            last, va = va, self.slub.get_freepointer(s, va)
            left -= 1
        if va != real or self.slub.head_page(ours) != c.page:
            self.renamed[real] = ours
            return ours
        if last:
            self.slub.set_freepointer(s, last, self.slub.get_freepointer(s, real))
        else:
            c.freelist = self.slub.get_freepointer(s, real)
        self.slub.set_freepointer(s, ours, c.freelist)
        c.freelist = ours
        return real

    cdef int put(self, const uint32_t[:, ::1] events, Py_ssize_t i) except -1:
        cdef SlubCache s = self.cache_of(events[i, 1])
        cdef uint32_t va = events[i, 2]
        cdef uint32_t count = events[i, 3]
        cdef Py_ssize_t j = i + 1
        if s is None:
            return 0
        if self.renamed:
            va = self.renamed.pop(va, va)
        if count == 1:
            self.slub.free(s, va)
            return 0
        objects = [va]
        while j < events.shape[0] and <uint32_t>len(objects) < count:
            if events[j, 0] == FURTHER:
                objects.append(self.renamed.pop(events[j, 2], events[j, 2]))
            j += 1
        self.slub.free_linked(s, objects)
        return 0

    cdef int kmalloc(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        # The object was handed out, or the page, in a record before.
        cdef uint32_t size = events[i, 1]
        cdef uint32_t va = 0
        cdef uint32_t n
        cdef KmemCache s
        if size > self.slub.kmalloc_max_cache_size:
            n = self.source.take(self.source.find(events[i, 2] | __GFP_COMP, get_order(size), False))
            va = 0 if n == NO_PAGE else self.slub.page_va(n)
        elif not size:
            va = ZERO_SIZE_PTR
        else:
            s = self.slub.kmalloc_slab(size, events[i, 2])
            if s is not None:
                va = self.source.take_object(s.va)
        answers[i, 3] = va
        if va != events[i, 3]:
            self.differs(i, f"kmalloc of {size} bytes: {events[i, 3]:#x} in the recording, {va:#x} here")
        return 0

    # ---------------------------------------------------------------- caches

    cdef int new_cache(self, const uint32_t[:, ::1] events, Py_ssize_t i) except -1:
        cdef uint32_t align, flags
        cdef SlubCache s
        if self.asked_cache is not None:
            self.asked_cache[3] = True
            return 0
        if i + 2 >= events.shape[0]:
            return 0
        align, flags = events[i + 1, 2], events[i + 1, 3]
        s = self.slub.new_cache()
        s.object_size, s.align, s.flags = max(events[i + 1, 1], 1), align, flags
        if not align or align & (align - 1) or max(s.object_size, align) > <uint32_t>1 << self.slub.kmalloc_shift_max:
            return self.differs(i, f"a cache of objects of {s.object_size} bytes aligned to {align} in the recording")
        self.slub.calculate_sizes(s)
        s = self.make_cache(events[i + 1, 1], align, flags, None if s.size == events[i, 2] else 0)
        if s is not None and s.va != events[i, 1]:
            self.renamed[events[i, 1]] = s.va
        return 0

    cdef SlubCache make_cache(self, uint32_t size, uint32_t align, uint32_t flags, ctor):
        if not self.descriptor or self.descriptor in self.slub.cache_at:
            return None
        self.slub.kept_va = self.node
        s = self.slub.adopt(self.descriptor, size, align, flags, ctor)
        if s is not None:
            name, object_size = self.names.get(s.va, ("", 0))
            s.name = name if object_size >= size else f"cache at {s.va:#x}"
            s.usersize = name in USERCOPY
        self.descriptor = self.node = 0
        return s

    cdef int created(self, const uint32_t[:, ::1] events, uint32_t[:, ::1] answers, Py_ssize_t i) except -1:
        cdef SlubCache s = None
        ctor = events[i, 3] or None
        if self.asked_cache is not None:
            size, align, flags, new = self.asked_cache
            flags = self.slub.create_flags(flags)
            if not new:
                s = self.slub.alias(f"{events[i, 2]:#x}", size, align, flags, ctor)
            else:
                s = self.make_cache(size, self.slub.calculate_alignment(flags, align, size), flags, ctor)
        self.asked_cache = None
        answers[i, 1] = s.va if s is not None else 0
        if answers[i, 1] != events[i, 1]:
            self.differs(i, f"cache {events[i, 1]:#x} in the recording, {answers[i, 1]:#x} here")
            if s is not None:
                self.renamed[events[i, 1]] = s.va
        return 0

    cdef int change(self, uint32_t va, uint32_t what) except -1:
        cdef SlubCache s = self.cache_of(va)
        if s is None:
            return 0
        if what == 0:
            s.refcount -= 1
            if not s.refcount:
                self.shrinking.add(s.va)
        elif what == 3:
            self.shrinking.add(s.va)
        elif what == 4:
            self.finish_shrinking(s.va)
        elif what == 1:
            self.finish_shrinking(s.va)
            if s in self.slub.slab_caches and not s.refcount and not s.nr_partial and not s.nr_slabs:
                self.slub.slab_caches.remove(s)
        elif what == 2:
            self.finish_shrinking(s.va)
            if s in self.slub.slab_caches:
                self.slub.slab_caches.remove(s)
            del self.slub.cache_at[s.va]
        return 0

    cdef int finish_shrinking(self, uint32_t va) except -1:
        # the part of a shrink, or of a destruction, that comes after the flush of the CPUs' slabs
        cdef SlubCache s = self.slub.cache_at.get(va)
        if va in self.shrinking:
            self.shrinking.discard(va)
            if s is not None and s.refcount:
                self.slub.shrink_node(s)
            elif s is not None:
                self.slub.free_partial(s)
        return 0

    # ---------------------------------------------------------------- what came of it

    cdef int differs(self, Py_ssize_t i, str what) except -1:
        self.wrong += 1
        if self.first_wrong is None:
            self.first_wrong = (i, what)
        return 0
