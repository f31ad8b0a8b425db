# Pages that have been taken out of tables, until they are freed.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.swap cimport LruVec
from bootsim.linux.mm.swap_state cimport SwapSpace

cdef enum:
    MMU_GATHER_BUNDLE = 8           # pages that need no memory to be remembered
    MAX_GATHER_BATCH = 1021         # what a page of them holds: (PAGE_SIZE - sizeof(struct mmu_gather_batch)) / 4
    MAX_GATHER_BATCH_COUNT = 9      # 10000 / MAX_GATHER_BATCH


cdef class MmuGather:
    cdef Pglist pglist
    cdef LruVec lru
    cdef SwapSpace space            # None without swap areas
    cdef uint32_t local[MMU_GATHER_BUNDLE]
    cdef uint32_t nr_local
    cdef list batches               # (frame of the batch, its pages)
    cdef Py_ssize_t active          # which of them pages go to now; -1: the local ones

    cdef bint remove_page(self, uint32_t pfn) except -1
    cdef bint next_batch(self) except -1
    cdef int flush(self) except -1
    cdef int free_batch(self, list pages) except -1
    cdef int free_pages(self, uint32_t *pages, uint32_t nr) except -1
    cdef int finish(self) except -1
