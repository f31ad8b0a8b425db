# Mappings made.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm
from bootsim.linux.mm.mmap.vma cimport Links

cdef int64_t get_unmapped_area(UserMm mm, object file, uint32_t addr, uint32_t length, uint32_t pgoff,
                               uint32_t flags) except? NO_ANSWER
cdef int64_t do_mmap(UserMm mm, object file, uint32_t addr, uint32_t length, uint32_t prot, uint32_t flags,
                     uint32_t pgoff, uint32_t *populate) except? NO_ANSWER
cdef int64_t vm_mmap_pgoff(UserMm mm, object file, uint32_t addr, uint32_t length, uint32_t prot, uint32_t flags,
                           uint32_t pgoff) except? NO_ANSWER
cdef int64_t munmap_vma_range(UserMm mm, uint32_t start, uint32_t length, Links *links) except? NO_ANSWER
