# How many pages an address space has, by kind, and may have.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport UserMm

cdef bint may_expand_vm(UserMm mm, uint32_t flags, uint32_t npages) except -1
cdef void vm_stat_account(UserMm mm, uint32_t flags, int64_t npages) noexcept
cdef int64_t mlock_future_check(UserMm mm, uint32_t flags, uint32_t length) noexcept
