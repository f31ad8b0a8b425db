# Mappings taken away.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm, VmAreaStruct

cdef int64_t do_munmap(UserMm mm, uint32_t start, uint32_t length) except? NO_ANSWER
cdef int unmap_region(UserMm mm, VmAreaStruct vma, VmAreaStruct prev, uint32_t start, uint32_t end) except -1
cdef int munlock_vma_pages_range(VmAreaStruct vma, uint32_t start, uint32_t end) except -1
cdef int exit_mmap(UserMm mm) except -1
