# Page tables of processes, and the pages in them.
from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.arch.arm.asm.proc_fns cimport Processor
from bootsim.linux.mm.mmap.structs cimport UserMm, UserPages, VmAreaStruct
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport Page, Pgdat

cdef enum:
    PG_referenced = 1 << 1
    PG_dirty = 1 << 3
    PG_readahead = 1 << 18
    PG_swapbacked = 1 << 19
    PAGE_MAPPING_ANON = 1
    PAGEVEC_SIZE = 15
    MM_FILEPAGES = 0
    MM_ANONPAGES = 1
    MM_SHMEMPAGES = 3

cdef class TablePages(UserPages):
    cdef object machine                 # whose TLB may hold entries
    cdef object k
    cdef Pglist pglist
    cdef Pgdat *g
    cdef PhysicalMemory ram
    cdef Processor processor
    cdef uint32_t zero_pfn
    cdef uint32_t user_table            # what a first-level word of user space has beside the address
    cdef uint32_t swapper_pgd_pa
    cdef uint32_t task_size
    cdef uint32_t table_gfp             # of second-level tables
    cdef uint32_t pagevec[PAGEVEC_SIZE]  # pages that wait for their place on the LRU list, with a reference each
    cdef uint32_t nr_pending

    cdef int flush_tlb_range(self, UserMm mm, uint32_t start, uint32_t end) except -1
    cdef uint32_t pte_offset(self, UserMm mm, uint32_t addr) noexcept
    cdef uint32_t pte_alloc(self, UserMm mm, uint32_t addr) except? 1
    cdef void set_pte_at(self, uint32_t addr, uint32_t ptep, uint32_t pte) noexcept
    cdef bint has_page(self, uint32_t pfn) noexcept
    cdef uint32_t vm_normal_page(self, VmAreaStruct vma, uint32_t addr, uint32_t pte) noexcept
    cdef uint32_t new_page(self, bint zero, uint32_t gfp) except? 1
    cdef void put_page(self, uint32_t pfn) noexcept
    cdef void add_rmap(self, uint32_t pfn) noexcept
    cdef void add_new_anon_rmap(self, uint32_t pfn, VmAreaStruct vma, uint32_t addr) noexcept
    cdef void remove_rmap(self, uint32_t pfn) noexcept
    cdef void lru_cache_add(self, uint32_t pfn) noexcept
    cdef int count_rss(self, UserMm mm, uint32_t pfn, int delta) except -1
    cdef int free_table(self, UserMm mm, uint32_t addr) except -1
    cdef int zap_range(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1


cdef inline bint is_cow_mapping(uint32_t flags) noexcept:
    return (flags & 0x28) == 0x20       # VM_SHARED, VM_MAYWRITE
