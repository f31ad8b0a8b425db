# The fault on a page that is in a swap area.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, VmAreaStruct

cdef enum:
    READ_ONLY_YET = 0x100   # the page is there, and a write has still to be dealt with: no signal's number

cdef int64_t swap_in(TablePages pages, VmAreaStruct vma, uint32_t addr, uint32_t orig_pte, bint write) except? NO_ANSWER
