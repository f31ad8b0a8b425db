"""Object traffic of SLAB, replayed: what a recorded kernel asked goes to a SLAB here, and its answers are kept.

A new slab has a record of its own (64), between that of its pages and that of the object it was made for; so has every
array that is drained. Pages and free lists of slabs that go are freed by records of their own.

Two things no record tells. That a cache has a region for programs, and so is never shared: it follows from a cache made
although one that fits is there. And when the reaper finds free_touched set, and clears it: it goes through all caches
in order, and through a node every four seconds, which the records of the arrays before and after it show.
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.lab.blocks cimport check_records, holds
from bootsim.lab.kinds cimport (
    ARRAYS, ASKED, CACHE, CHANGE, CPU, CREATED, DRAINED, EMPTIED, FREE_BLOCK, FREE_LIMIT, FREE_ONE, GET, GIVEN_BACK,
    KMALLOC, NEW_SLAB, PUT, REQUEST, TURN_LIST, UNTOUCHED)
from bootsim.lab.pages cimport PageTraffic
from bootsim.lab.recorded cimport Lately
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, Pgdat
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_COMP
from bootsim.linux.mm.slab.objects cimport Slab
from bootsim.linux.mm.slab.structs cimport SLABS_FREE, ArrayCache, SlabCache, off_slab
from bootsim.linux.mm.slab_common cimport FULL, ZERO_SIZE_PTR, KmemCache, get_order

from bootsim.lab.objects import USERCOPY
from bootsim.linux.mm.slab_common import SlabError

cdef enum:
    CPU_DEAD = 2            # of record 67
    ONE_ROUND = 4096        # no more records lie between two of one round of the reaper
    ALL = 0x7FFFFFFF        # of record 62: not the reaper


cdef class SlabTraffic:
    """One kernel's SLAB, and its page allocator, under recorded traffic, from record to record.

    `names` has name and object size of the caches at the end, by address: records have no names. `first_wrong` is the
    first answer of objects that differs, as a tuple of the record's index and a sentence.
    """

    cdef PageTraffic pages
    cdef Lately lately
    cdef Slab slab
    cdef Pgdat *g
    cdef dict names                 # of caches that are there at the end, with their object sizes, by address
    cdef uint32_t rodata_end        # names of caches below it are constants of the kernel's own
    cdef object asked               # the cache that is being made: (size, align, flags, record of its answer)
    cdef SlabCache made             # and itself, once it has an address
    cdef bint no_memory             # for an array or the node of it
    cdef bint booting
    cdef uint32_t descriptor        # of the next cache of the boot
    cdef uint32_t node              # an object for the node of a new cache
    cdef set emptied                # caches whose shared array is drained whole: a shrink, not the reaper
    cdef uint32_t hz
    cdef uint32_t reaps             # how often the reaper came
    cdef int64_t first_reap         # when it came first, in jiffies
    cdef Py_ssize_t last_reap       # its last record
    cdef list to_reap               # caches it has still to come to, the next one last
    cdef dict next_reap             # by cache: when its node is due
    cdef set guessed                # those of which that is a guess: when they were made is not known
    cdef list visited               # what its visits to caches showed this time
    cdef set unsure                 # those whose node's mark (free_touched) rests on when exactly the reaper came
    cdef set came                   # caches whose node it came to this time, as records show
    cdef readonly Py_ssize_t wrong
    cdef readonly object first_wrong

    def __init__(self, k, PageTraffic pages not None, dict names not None):
        self.pages = pages
        self.names = names
        self.g = pages.p.g
        self.lately = Lately(k)
        self.slab = Slab(k, self.lately)
        self.slab.recorded = True
        self.slab.kmem_cache_init()
        self.booting = True
        self.emptied = set()
        self.hz = k.build.config.HZ
        self.first_reap = self.hz
        self.to_reap = []
        self.next_reap = {}
        self.guessed = set()
        self.visited = []
        self.came, self.unsure = set(), set()
        self.rodata_end = k.build.symbols.end_rodata

    @property
    def allocator(self):
        """The machine's SLAB."""
        return self.slab

    @property
    def untold(self):
        """Of how many caches the mark that the reaper clears (free_touched) rests on what no record tells."""
        return len(self.unsure)

    def end(self):
        """No record comes any more: the reaper has been through all caches."""
        self.reaped_up_to(None)

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
                if (kind == FREE_ONE or kind == FREE_BLOCK) and holds(self.g, events[i, 1], 0):
                    self.g.map[events[i, 1]].flags &= ~<uint32_t>PG_slab
                    self.g.map[events[i, 1]].mapping = 0
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
        cdef uint32_t a = events[i, 1]
        cdef uint32_t b = events[i, 2]
        cdef uint32_t c = events[i, 3]
        try:
            if self.to_reap and len(self.to_reap) == 1 and kind not in (DRAINED, UNTOUCHED, GIVEN_BACK):
                self.reaped_up_to(None)
            if kind == GET:
                self.get(i, a, b, c, answers)
            elif kind == PUT:
                self.slab.cache_free(self.cache_of(a), b)
            elif kind == KMALLOC:
                self.kmalloc(i, a, b, c, answers)
            elif kind == NEW_SLAB:
                self.new_slab(i, a, b, c, answers)
            elif kind == GIVEN_BACK:
                self.give_back(i, a, b, c, answers)
            elif kind == ASKED:
                self.ask(events, i)
            elif kind == CREATED:
                self.created(i, a, answers)
            elif kind == CACHE:
                self.complete()
            elif kind == ARRAYS:
                self.arrays(a)
            elif kind == FREE_LIMIT:
                self.free_limit(a, c)
            elif kind == CHANGE:
                self.change(a, b, c)
            elif kind in (DRAINED, EMPTIED, UNTOUCHED):
                self.drained(i, kind, a, b)
        except SlabError as error:
            self.differs(i, str(error))
        return 0

    cdef SlabCache cache_of(self, uint32_t va):
        cdef SlabCache s = self.slab.cache_at.get(va)
        if s is None and not self.slab.kmem_cache.va:
            s = self.slab.kmem_cache  # the build does not say where kmem_cache_boot lies
            s.va = va
            self.slab.cache_at[va] = s
        if s is None or s.cpu_cache == NULL:
            raise SlabError(f"the recording names a cache {va:#x}, which the machine has not")
        return s

    # ---------------------------------------------------------------- objects and slabs

    cdef int get(self, Py_ssize_t i, uint32_t cache_va, uint32_t real, uint32_t gfp_mask,
                 uint32_t[:, ::1] answers) except -1:
        cdef SlabCache s = self.cache_of(cache_va)
        cdef ArrayCache *ac = &s.cpu_cache[self.g.cpu]
        cdef uint32_t va
        if s.grown != NO_PAGE and ac.avail:
            # an interrupt has freed objects while the slab was made
            va = s.grown
            s.grown = NO_PAGE
            self.slab.cache_grow_end(s, va)
        va = self.slab.slab_alloc(s, gfp_mask)
        answers[i, 2] = va
        if va != real:
            self.differs(i, f"cache {cache_va:#x}: object {real:#x} in the recording, {va:#x} here")
            if va and real:
                self.slab.swap(s, va, real)
                va = real
        if va and s is self.slab.kmem_cache and (self.asked is not None or self.booting):
            self.describe(va)
        self.lately.handed_out(cache_va, va)
        return 0

    cdef int kmalloc(self, Py_ssize_t i, uint32_t size, uint32_t gfp_mask, uint32_t real,
                     uint32_t[:, ::1] answers) except -1:
        # The object was handed out, or the page, in a record before.
        cdef KmemCache s
        cdef uint32_t va = ZERO_SIZE_PTR
        cdef uint32_t pfn
        if size > self.slab.kmalloc_max_cache_size:
            pfn = self.lately.take_page(get_order(size), __GFP_COMP, __GFP_COMP)
            va = 0 if pfn == NO_PAGE else self.slab.page_va(pfn)
        elif size:
            s = self.slab.kmalloc_slab(size, gfp_mask)
            va = 0 if s is None else self.lately.take_object(s.va)
        answers[i, 3] = va
        if va != real:
            self.differs(i, f"kmalloc of {size} bytes: {real:#x} in the recording, {va:#x} here")
        if not va and self.made is not None:
            self.no_memory = True
        if size == self.slab.node_bytes:
            self.node_for(va)
        return 0

    cdef int node_for(self, uint32_t va) except -1:
        # the first two of the boot replace init_kmem_cache_node[]
        cdef SlabCache s
        if self.booting and not self.descriptor:
            for s in self.slab.slab_caches[:2]:
                if not s.node_va:
                    s.node_va = va
                    return 0
        self.node = va
        return 0

    cdef int new_slab(self, Py_ssize_t i, uint32_t cache_va, uint32_t pfn, uint32_t offset,
                      uint32_t[:, ::1] answers) except -1:
        cdef SlabCache s = self.cache_of(cache_va)
        cdef uint32_t ours = self.lately.take_page(s.gfporder, s.allocflags, s.allocflags)
        cdef uint32_t freelist = self.lately.take_object(s.freelist_cache.va) if off_slab(s) else 0
        answers[i, 2] = ours
        if ours == NO_PAGE:
            answers[i, 3] = 0
        else:
            self.slab.new_slab(s, ours, freelist)
            s.grown = ours
            answers[i, 3] = self.slab.slab_at(ours).s_mem - self.slab.page_va(ours)
        if ours != pfn or answers[i, 3] != offset:
            self.differs(i, f"cache {cache_va:#x}: slab {pfn:#x} of colour {offset:#x} in the recording, {ours:#x} of "
                         f"{answers[i, 3]:#x} here")
        return 0

    cdef int give_back(self, Py_ssize_t i, uint32_t cache_va, uint32_t real, uint32_t most,
                       uint32_t[:, ::1] answers) except -1:
        # one step of drain_freelist()
        cdef SlabCache s = self.cache_of(cache_va)
        cdef uint32_t pfn = self.slab.take_free_slab(s)
        if most != ALL:
            self.came.add(s.va)
        answers[i, 2] = pfn
        if pfn != NO_PAGE:
            self.slab.slab_destroy(s, pfn)
        if pfn != real:
            self.differs(i, f"cache {cache_va:#x}: slab {real:#x} given back in the recording, {pfn:#x} here")
        return 0

    cdef int drained(self, Py_ssize_t i, uint32_t kind, uint32_t cache_va, uint32_t which) except -1:
        cdef SlabCache s = self.cache_of(cache_va)
        cdef ArrayCache *ac = s.shared_array if which and kind != EMPTIED else &s.cpu_cache[self.g.cpu]
        if kind == EMPTIED:
            ac = &s.cpu_cache[which if which < s.nr_cpus else self.g.cpu]
            self.emptied.add(cache_va)
        elif cache_va not in self.emptied:
            self.reaper_at(i, s, which)
        if ac == NULL:
            return 0
        if kind == UNTOUCHED:
            ac.touched = 0
            return 0
        if kind == EMPTIED or (which and cache_va in self.emptied):
            return self.slab.drain_array(s, ac, ac.avail)
        return self.slab.drain_array(s, ac, self.slab.reaped(ac))

    # ---------------------------------------------------------------- the reaper

    cdef int reaper_at(self, Py_ssize_t i, SlabCache s, uint32_t shared) except -1:
        # a record shows it at a cache: at its node, or at a CPU's array, and then it has been through those before
        if shared:
            self.came.add(s.va)
            return 0
        if s not in self.to_reap or i - self.last_reap > ONE_ROUND:
            self.reaped_up_to(None)
            self.reaps += 1
            self.to_reap = list(self.slab.slab_caches)
        self.reaped_up_to(s)
        self.last_reap = i
        return 0

    cdef int reaped_up_to(self, SlabCache s) except -1:
        # the caches before `s`, or all
        while self.to_reap and self.to_reap[len(self.to_reap) - 1] is not s:
            self.visited.append(self.visit(self.to_reap.pop()))
        if not self.to_reap and self.visited:
            self.end_of_round()
        return 0

    cdef tuple visit(self, SlabCache s):
        # What the reaper's visit showed: when the node was due, whether it came to the node, whether it passed it by
        # for certain, and whether the node was touched.
        cdef uint32_t interval = 4 * self.hz
        cdef bint came = s.va in self.came
        cdef bint touched = s.free_touched
        cdef bint passed = not came and ((s.shared_array != NULL and s.shared_array.avail)
                                         or (not touched and s.lists[SLABS_FREE].first != NO_PAGE))
        self.came.discard(s.va)
        if not passed:
            s.free_touched = False  # for now
        return s, self.next_reap.get(s, interval + s.va % interval), came, passed, touched

    cdef int end_of_round(self) except -1:
        # The time was not before that at which any node it came to was due, and before that of all it passed by: so it
        # is known better for those of which no record tells anything.
        cdef int64_t guess = self.first_reap + 2 * self.hz * (self.reaps - 1)
        known = [seen for seen in self.visited if seen[0] not in self.guessed]
        least = max((due for _, due, came, _, _ in known if came), default=0)
        most = min((due for _, due, _, passed, _ in known if passed), default=guess + 1)
        now = max(min(guess, most - 1), least)
        self.first_reap += now - guess
        for s, due, came, passed, touched in self.visited:
            if came or passed:
                self.unsure.discard(s)
            elif touched and (s in self.guessed or abs(due - now) < self.hz and due > least):
                self.unsure.add(s)  # round_jiffies(): its time is known to a second
            if came or (not passed and due <= now):
                self.next_reap[s] = now + 4 * self.hz
                self.guessed.discard(s)
            elif touched:
                (<SlabCache>s).free_touched = True
        self.visited.clear()
        return 0

    # ---------------------------------------------------------------- caches

    cdef int complete(self) except -1:
        # a cache is complete; in kmem_cache_init(), the next one
        if self.made is not None:
            if not self.made.node_va:
                self.made.node_va = self.node
        elif self.descriptor:
            self.slab.boot_step(self.descriptor, self.node)
        self.descriptor = self.node = 0
        return 0

    cdef int describe(self, uint32_t va) except -1:
        # the descriptor of a cache that is being made
        if self.asked is None:
            self.descriptor = va
            return 0
        size, align, flags, ctor, name_va = self.asked
        self.made = self.slab.new_cache()
        self.made.va = va
        self.made.name = self.name_of(va, size, name_va)
        self.made.name_va = name_va
        self.made.usersize = self.made.name in USERCOPY
        self.made.size = self.made.object_size = size
        self.made.align = self.slab.calculate_alignment(flags, align, size)
        self.made.ctor = ctor
        self.slab.layout(self.made, flags)
        self.slab.cache_at[va] = self.made
        if self.slab.slab_state < FULL:
            self.slab.setup_cpu_cache(self.made)
        self.node = 0
        return 0

    cdef int ask(self, const uint32_t[:, ::1] events, Py_ssize_t i) except -1:
        # The constructor and the name were arguments too; they stand in the record of the answer.
        cdef Py_ssize_t j = i + 1
        self.booting = False
        self.asked = self.made = None
        if not 0 < events[i, 1] <= 1 << self.slab.kmalloc_shift_max or events[i, 2] & (events[i, 2] - 1):
            raise SlabError(f"a cache of {events[i, 1]} bytes aligned to {events[i, 2]}")
        while j < events.shape[0] and events[j, 0] != CREATED:
            j += 1
        ctor, name_va = (events[j, 3] or None, events[j, 2]) if j < events.shape[0] else (None, 0)
        self.asked = (events[i, 1], events[i, 2], self.slab.create_flags(events[i, 3]), ctor, name_va)
        self.made = None
        self.no_memory = False
        return 0

    cdef int created(self, Py_ssize_t i, uint32_t real, uint32_t[:, ::1] answers) except -1:
        cdef SlabCache s = self.made
        cdef SlabCache fits
        if self.asked is None:
            return 0
        size, align, flags, ctor, name_va = self.asked
        if s is None:
            s = self.slab.alias(f"{name_va:#x}", size, align, flags, ctor)
        elif self.no_memory:
            del self.slab.cache_at[s.va]
            s = None
        else:
            fits = self.slab.find_mergeable(size, align, flags, "", ctor)
            if fits is not None:
                # one of the two has a region for programs; a cache whose name was put together has none
                (s if name_va < self.rodata_end else fits).usersize = 1
            s.refcount = 1
            self.slab.add(s)
            if self.reaps:  # made after the reaper came last, when exactly is not known
                self.next_reap[s] = self.first_reap + self.hz * (2 * self.reaps + 3) + s.va % (4 * self.hz)
                self.guessed.add(s)
        answers[i, 1] = 0 if s is None else s.va
        if answers[i, 1] != real:
            self.differs(i, f"cache {real:#x} in the recording, {answers[i, 1]:#x} here")
        self.asked = self.made = None
        return 0

    cdef int arrays(self, uint32_t cache_va) except -1:
        # do_tune_cpucache()
        cdef SlabCache s = self.slab.cache_at.get(cache_va)
        cdef uint32_t limit, batchcount, shared
        if s is None:
            raise SlabError(f"the recording names a cache {cache_va:#x}, which the machine has not")
        if s is not self.made:
            self.slab.slab_state = FULL  # kmem_cache_init_late()
        self.slab.wanted_arrays(s, &limit, &batchcount, &shared)
        return self.slab.set_arrays(s, limit, batchcount, shared)

    cdef int free_limit(self, uint32_t cache_va, uint32_t why) except -1:
        cdef SlabCache s = self.cache_of(cache_va)
        if why == CPU_DEAD:
            s.free_limit -= s.batchcount
            return 0
        if not s.has_node:
            s.node_va = self.node
            s.has_node = True
        self.slab.init_free_limit(s)
        if s.shared_array == NULL:
            self.slab.set_shared_array(s)
        return 0

    cdef int change(self, uint32_t cache_va, uint32_t what, uint32_t result) except -1:
        cdef SlabCache s = self.slab.cache_at.get(cache_va)
        self.emptied.discard(cache_va)
        if s is None:
            return 0  # 1 behind 2: the cache is gone
        if what == 0:
            s.refcount -= 1
        elif (what == 2 or (what == 1 and not result)) and s in self.slab.slab_caches:
            self.slab.slab_caches.remove(s)
        if what == 2:
            self.unsure.discard(s)
            del self.slab.cache_at[cache_va]
            self.next_reap.pop(s, None)
            self.guessed.discard(s)
        return 0

    cdef str name_of(self, uint32_t va, uint32_t size, uint32_t name_va):
        name, largest = self.names.get(va, ("", 0))
        return name if size <= largest else f"{name_va:#x}"

    cdef int differs(self, Py_ssize_t i, str what) except -1:
        self.wrong += 1
        if self.first_wrong is None:
            self.first_wrong = (i, what)
        return 0
