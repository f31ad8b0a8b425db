# The replay of kernel mappings, for the replay of page traffic.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.highmem cimport Kmap
from bootsim.linux.mm.page_alloc cimport Pgdat, Pglist
from bootsim.linux.mm.vmalloc.areas cimport VmapAreas

cdef enum:
    LATELY = 8192


cdef inline bint is_mapping(uint32_t kind) noexcept:
    return 30 <= kind <= 55 and kind not in (48, 49, 51, 52, 54)


cdef struct Given:
    uint32_t pfn        # here
    uint32_t real       # in the recording
    uint32_t count
    uint32_t gfp_mask   # of a request for one page, else 0


cdef class MappingTraffic:
    cdef object k
    cdef Pglist p
    cdef readonly VmapAreas areas
    cdef readonly Kmap kmap
    cdef Given given[LATELY]            # pages handed out lately, the newest at nr_given - 1
    cdef Py_ssize_t nr_given
    cdef list open                      # areas whose pages are not mapped yet, the newest last
    cdef object filling                 # the one of them that takes pages, with what their requests look like:
    cdef uint32_t filling_mask
    cdef list asked                     # ioremap() under way, the newest last
    cdef dict renamed                   # recorded address -> the address here, where they differ
    cdef dict got                       # windows that record 55 has counted: their pages, how often
    cdef list groups                    # of pcpu_get_vm_areas(): (offset, size, align)
    cdef list chunks                    # of per-cpu memory: its areas, and the pages of a unit that are populated
    cdef Py_ssize_t populated           # what was given before this, no per-cpu chunk can have
    cdef uint32_t last_vmalloc          # the last answer of record 37
    cdef readonly Py_ssize_t wrong
    cdef readonly object first_wrong

    cdef int page(self, uint32_t gfp_mask, uint32_t order, uint32_t pfn, uint32_t real) except -1
    cdef int give(self, uint32_t pfn, uint32_t real, uint32_t count, uint32_t gfp_mask) except -1
    cdef int record(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1
    cdef int area_record(self, uint32_t kind, const uint32_t[:, ::1] events, Py_ssize_t i,
                         uint32_t[:, ::1] answers) except -1
    cdef int answer(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers, int word,
                    uint32_t ours) except -1
    cdef int window(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1
    cdef uint32_t window_of(self, uint32_t kind, uint32_t a, uint32_t prot) except? 1
    cdef int get_area(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1
    cdef uint32_t find_room(self, uint32_t size, uint32_t align, uint32_t start, uint32_t end) except? 1
    cdef uint32_t mask_of(self, const uint32_t[:, ::1] events, Py_ssize_t i) except? 1
    cdef int next_to_fill(self) except -1
    cdef int mapped(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1
    cdef object argument(self, const uint32_t[:, ::1] events, Py_ssize_t i, object area)
    cdef object to_map(self, uint32_t va)
    cdef list populate(self, const uint32_t[:, ::1] events, Py_ssize_t i)
    cdef list latest(self, uint32_t count, bint contiguous)
    cdef list recorded(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t count)
    cdef Py_ssize_t request_of(self, uint32_t real) noexcept
    cdef uint32_t vmalloced(self, uint32_t size) except? 1
    cdef uint32_t ioremapped(self, uint32_t mtype) except? 1
    cdef int removed(self, uint32_t va) except -1
    cdef uint32_t va_here(self, uint32_t va) except? 1
