# Pages faulted in for mlock() and MAP_POPULATE.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm, VmAreaStruct

cdef enum:
    FOLL_WRITE = 0x01
    FOLL_TOUCH = 0x02
    FOLL_FORCE = 0x10
    FOLL_POPULATE = 0x40
    FOLL_MLOCK = 0x1000

cdef int64_t populate_vma_page_range(VmAreaStruct vma, uint32_t start, uint32_t end) except? NO_ANSWER
cdef int64_t __mm_populate(UserMm mm, uint32_t start, uint32_t length, bint ignore_errors) except? NO_ANSWER
