# Which processor each record of a recording is of, for all that replay them.
from libc.stdint cimport uint8_t, uint32_t

from bootsim.linux.mm.page_alloc cimport CompactControl, Pgdat


cdef class Processors:
    cdef object k
    cdef Pgdat *g
    cdef const uint8_t[::1] of      # by record
    cdef readonly uint32_t most     # how many the recording names
    cdef CompactControl *capturing  # the compaction that a request waits for, and whose it is
    cdef uint32_t capturing_cpu

    cdef uint32_t of_record(self, Py_ssize_t i) noexcept
    cdef bint same(self, Py_ssize_t i, Py_ssize_t j) noexcept
    cdef int on(self, uint32_t cpu) except -1
    cdef int at(self, Py_ssize_t i) except -1
    cdef void captures(self, CompactControl *cc, uint32_t cpu) noexcept
    cdef int fold(self, Py_ssize_t i, uint32_t which, uint32_t[:, ::1] answers) except -1
