# The replay of page traffic, for the replay of objects.
from libc.stdint cimport int64_t, uint32_t

from bootsim.lab.contigrange cimport ContigRange
from bootsim.lab.hints cimport SkipHints
from bootsim.lab.mappings cimport MappingTraffic
from bootsim.lab.processors cimport Processors
from bootsim.linux.mm.page_alloc cimport CompactControl, PageOwners, Pglist


cdef class PageTraffic:
    cdef Pglist p
    cdef ContigRange contig_now  # inside alloc_contig_range(): its entry of `contig`
    cdef list free_pages         # compaction's free pages, in list order
    cdef list isolated           # blocks taken since that list was used up: (pfn, order)
    cdef uint32_t last_isolated
    cdef uint32_t last_target    # what alloc_migration_target() was answered last
    cdef readonly list contig
    cdef readonly SkipHints hints
    cdef public object driver    # whose run() does the records that come between compaction's steps; None: this
    cdef public object own       # what does those that are the caller's
    cdef public MappingTraffic mappings     # what does those of kernel mappings; None: they are passed over
    cdef public Processors cpus  # whose each record is
    cdef public object held      # a byte a frame: what may move, where a recording tells; else None
    cdef const uint32_t[:, ::1] events
    cdef uint32_t[:, ::1] answers
    cdef Py_ssize_t at           # the record after compaction's last step
    cdef PageOwners owners       # what the recording tells of the pages
    cdef CompactControl *cc      # the compaction that is under way, and its processor
    cdef uint32_t own_cpu
    cdef set outer               # the processors of those that wait for it to end, as another task's
    cdef set taken               # free pages that it took
    cdef set in_hands            # pages to be moved, in its lists
    cdef Py_ssize_t waiting      # the record of the request that direct compaction is for
    cdef uint32_t captured       # the block that compaction got for it, of order captured_order; NO_PAGE: none
    cdef uint32_t captured_order
    cdef int prio_order          # the order of a request that compacts and is not yet answered, and the priority
    cdef int prio                # that it is at; -1: there is none
    cdef uint32_t prio_zone      # the zone it compacted last, and the best result of this round over the zones
    cdef int prio_result
    cdef readonly Py_ssize_t passed_over    # frees of what is free here, or in compaction's hands
    cdef readonly list strayed   # the records at which compaction went another way than the recorded one
    cdef readonly dict ends      # how compactions ended: by the index of the record, (migrate scanner's pfn, result)
    cdef object error            # raised below it
    cdef readonly Py_ssize_t asked
    cdef readonly Py_ssize_t wrong
    cdef readonly object first_wrong

    cdef bint is_for_caller(self, uint32_t kind, uint32_t b) noexcept
    cdef bint map(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1
    cdef Py_ssize_t one(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1
    cdef int request(self, Py_ssize_t i, uint32_t gfp_mask, uint32_t order, uint32_t real,
                     uint32_t[:, ::1] answers) except -1
    cdef int differs(self, Py_ssize_t i, str what) except -1
    cdef int go_on_with(self, uint32_t ours, uint32_t real, uint32_t order) except -1
    cdef int free_one(self, uint32_t pfn, uint32_t cpu) except -1
    cdef int rare(self, Py_ssize_t i, uint32_t kind, uint32_t a, uint32_t b, uint32_t c,
                  const uint32_t[:, ::1] events, uint32_t[:, ::1] answers) except -1
    cdef int free_block(self, uint32_t pfn, uint32_t order, uint32_t fpi_flags) except -1
    cdef int pageblock(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t pfn,
                       uint32_t migratetype) except -1
    cdef int unreserve(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t pfn) except -1
    cdef int isolate(self, uint32_t pfn, uint32_t order) except -1
    cdef int moved(self, Py_ssize_t i, uint32_t old, uint32_t new, uint32_t result, uint32_t[:, ::1] answers) except -1
    cdef int moves(self, uint32_t old, uint32_t new_) noexcept
    cdef Py_ssize_t compact(self, Py_ssize_t i) except -1
    cdef int ask(self, Py_ssize_t i, CompactControl *cc) except -1
    cdef Py_ssize_t end_of(self, Py_ssize_t i) noexcept
    cdef int woken_for(self, Py_ssize_t i, CompactControl *cc) except -1
    cdef int priority(self, CompactControl *cc) noexcept
    cdef uint32_t hand_over(self, Py_ssize_t i, uint32_t gfp_mask, uint32_t order) noexcept
    cdef Py_ssize_t next_step(self)
    cdef bint in_contig(self, uint32_t pfn)
    cdef int meanwhile(self) noexcept
    cdef bint compacts_too(self) except -1
    cdef bint gives_back(self, uint32_t kind, uint32_t pfn)
    cdef bint is_next(self, uint32_t kind, uint32_t a) noexcept
    cdef int done(self) noexcept
    cdef int strays(self, Py_ssize_t i, str what) except -1
    cdef int astray(self, str what) noexcept
    cdef int finish(self, int result, int64_t migrate_pfn) except -1
