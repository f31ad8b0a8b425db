from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport Page

cdef log_bad_pages(k, Pglist p)
cdef uint32_t page_flags_of(Pglist p, const Page *page, uint32_t pfn) noexcept
cdef struct_page_va(k, Pglist p, uint32_t pfn)
cdef stop_at(k, place, func)
cdef warn_once(k, Pglist p, where, func)
cdef vm_bug_on_page(k, Pglist p, uint32_t pfn, condition, place, func)
cdef alloc_failed(k, Pglist p, uint32_t gfp_mask, uint32_t order)
cdef tell_events(k, Pglist p)
cdef tell_events_so_far(k, Pglist p)
cdef comm_of_current(k)
