from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist

cdef log_bad_pages(k, Pglist p)
cdef alloc_failed(k, Pglist p, uint32_t gfp_mask, uint32_t order)
cdef tell_events(k, Pglist p)
cdef tell_events_so_far(k, Pglist p)
cdef warn_once(k, Pglist p, where, func)
cdef comm_of_current(k)
