# Windows for pages that have no address of their own.
from libc.stdint cimport int32_t, uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.arch.arm.asm.proc_fns cimport Processor

cdef enum:
    LAST_PKMAP = 512
    PA_HASH_SLOTS = 128
    MAX_CPUS = 32


cdef class Kmap:
    cdef int32_t pkmap_count[LAST_PKMAP]
    cdef readonly uint32_t last_pkmap_nr
    cdef readonly uint32_t flushes          # how often windows were unmapped
    cdef readonly uint32_t base             # PKMAP_BASE
    cdef PhysicalMemory ram
    cdef Processor processor
    cdef uint32_t table_pa                  # pkmap_page_table
    cdef uint32_t table_va
    cdef uint32_t fixmap_pa                 # the tables of the kmap_atomic slots: of FIXADDR_TOP, of FIXADDR_START
    cdef uint32_t low_fixmap_pa
    cdef uint32_t prot                      # kmap_prot
    cdef uint32_t first_slot                # FIX_KMAP_BEGIN
    cdef bint uses_pkmap                    # kmap_atomic() may be given a mapping of kmap()
    cdef bint clears                        # kunmap_atomic() clears its entry
    cdef int32_t atomic_idx[MAX_CPUS]       # __kmap_atomic_idx
    # page_address_maps, in the buckets of page_address_htable
    cdef uint32_t pfn[LAST_PKMAP]
    cdef uint32_t next[LAST_PKMAP]
    cdef uint32_t head[PA_HASH_SLOTS]
    cdef dict sections                      # where the struct pages of a section lie (va); None: in one map
    cdef uint32_t map_va
    cdef uint32_t map_pfn
    cdef uint32_t page_bytes

    cdef uint32_t slot_pa(self, uint32_t va) noexcept
    cdef uint32_t slot(self, uint32_t pfn)
    cdef uint32_t page_address(self, uint32_t pfn)
    cdef int set_page_address(self, uint32_t pfn, uint32_t nr) except -1
    cdef int clear_page_address(self, uint32_t nr) except -1
    cdef int flush_all_zero(self) except -1
    cdef uint32_t map_new_virtual(self, uint32_t pfn) except? 1
    cpdef uint32_t kmap_high(self, uint32_t pfn) except? 1
    cpdef uint32_t kmap_high_get(self, uint32_t pfn) except? 1
    cpdef uint32_t kunmap_high(self, uint32_t pfn) except? 1
    cpdef int count(self, uint32_t va) except -1
    cpdef uint32_t atomic(self, uint32_t pfn, uint32_t prot, uint32_t cpu) except? 1
    cpdef int atomic_done(self, uint32_t va, uint32_t cpu) except -1
