# Page tables of processes, and the pages in them.
from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.arch.arm.asm.proc_fns cimport Processor
from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm, UserPages, VmAreaStruct
from bootsim.linux.mm.mmu_gather cimport MmuGather
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport Page, Pgdat
from bootsim.linux.mm.swap cimport LruVec

cdef enum:
    MM_FILEPAGES = 0
    MM_ANONPAGES = 1
    MM_SWAPENTS = 2
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
    cdef readonly LruVec lru
    cdef readonly dict caches           # PageCache by id
    cdef uint32_t mappings              # how many files have had pages
    cdef MmuGather tlb                  # pages of an unmapping that is under way

    cdef int flush_tlb_range(self, UserMm mm, uint32_t start, uint32_t end) except -1
    cdef uint32_t pte_offset(self, UserMm mm, uint32_t addr) noexcept
    cdef uint32_t pte_alloc(self, UserMm mm, uint32_t addr) except? 1
    cdef void set_pte_at(self, uint32_t addr, uint32_t ptep, uint32_t pte) noexcept
    cdef bint has_page(self, uint32_t pfn) noexcept
    cdef uint32_t vm_normal_page(self, VmAreaStruct vma, uint32_t addr, uint32_t pte) noexcept
    cdef uint32_t new_page(self, bint zero, uint32_t gfp) except? 1
    cdef void put_page(self, uint32_t pfn)
    cdef void add_rmap(self, uint32_t pfn) noexcept
    cdef void set_anon_rmap(self, uint32_t pfn, VmAreaStruct vma, uint32_t addr, bint exclusive) noexcept
    cdef void add_anon_rmap(self, uint32_t pfn, VmAreaStruct vma, uint32_t addr, bint exclusive) noexcept
    cdef void add_new_anon_rmap(self, uint32_t pfn, VmAreaStruct vma, uint32_t addr) noexcept
    cdef void remove_rmap(self, uint32_t pfn)
    cdef void lru_cache_add_inactive_or_unevictable(self, uint32_t pfn, VmAreaStruct vma)
    cdef int munlock_batch(self, uint32_t *pages, uint32_t nr) except -1
    cdef int count_rss(self, UserMm mm, uint32_t pfn, int delta) except -1
    cdef int free_table(self, UserMm mm, uint32_t addr) except -1
    cdef int zap_page_range_single(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1
    cdef int zap_swap_entry(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pte) except -1
    cdef int64_t copy_nonpresent_pte(self, VmAreaStruct dst_vma, VmAreaStruct src_vma, uint32_t addr, uint32_t to,
                                     uint32_t pte) except? NO_ANSWER
    cdef int gather(self, VmAreaStruct vma) except -1
    cdef int finish_gather(self) except -1
    cdef bint mlocked_elsewhere(self, uint32_t pfn) except -1
    cdef int zap_file_page(self, VmAreaStruct vma, uint32_t addr) except -1
    cdef int zap_range(self, VmAreaStruct vma, uint32_t start, uint32_t end, bint swapped) except -1


cdef inline bint is_cow_mapping(uint32_t flags) noexcept:
    return (flags & 0x28) == 0x20       # VM_SHARED, VM_MAYWRITE
