"""The physical address space: 4 GiB of bytes that cost nothing until they are touched.

    host:  base                                              base + 2**32
             |-----------------------------------------------------|--pad--|
    pa:      0                                                  2**32

One anonymous private mapping without swap reservation. Pages nobody wrote read as zero and hold no host memory;
`zero` gives whole pages back to the host.
"""

cimport cython
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize

from bootsim.errors import BootsimError


cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_DONTNEED
    void *MAP_FAILED


cdef unsigned long long SPAN_BYTES = 1ULL << 32
# A 32-bit load at the last address must not leave the mapping.
cdef unsigned long long PAD_BYTES = 4096
cdef unsigned long long HOST_PAGE_BYTES = 4096


class PhysicalAddressError(BootsimError):
    """An access outside the 32-bit physical address space."""


@cython.final
cdef class PhysicalMemory:
    """The 4 GiB a 32-bit physical address can name, as bytes. Little-endian words. Freed with the object."""

    def __cinit__(self):
        cdef void *p = mmap(NULL, SPAN_BYTES + PAD_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if p == MAP_FAILED:
            raise MemoryError("the host refused a 4 GiB sparse mapping for physical memory")
        self.base = <unsigned char *>p

    def __dealloc__(self):
        if self.base != NULL:
            munmap(self.base, SPAN_BYTES + PAD_BYTES)

    def read(self, long long pa, long long size):
        """The `size` bytes at `pa`. Raises PhysicalAddressError when any lies outside the address space."""
        _check(pa, size, 0)
        return PyBytes_FromStringAndSize(<char *>self.base + pa, size)

    def write(self, long long pa, data):
        """Store `data` (any object with a buffer) at `pa`. Raises PhysicalAddressError as `read` does."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            _check(pa, view.len, 0)
            memcpy(self.base + pa, view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def read32(self, long long pa):
        """The word at `pa`, a multiple of 4."""
        _check(pa, 4, 3)
        return self.load32(<uint32_t>pa)

    def write32(self, long long pa, uint32_t word):
        """Store the word at `pa`, a multiple of 4."""
        _check(pa, 4, 3)
        self.store32(<uint32_t>pa, word)

    def fill32(self, long long pa, long long size, uint32_t word):
        """Store the same word all over [pa, pa + size); both are multiples of 4."""
        _check(pa, size, 3)
        cdef unsigned long long at = pa
        cdef unsigned long long end = at + size
        if word == 0:
            self.clear(at, end - at)
            return
        while at < end:
            bootsim_le32_store(self.base + at, word)
            at += 4

    def zero(self, long long pa, long long size):
        """Make all of [pa, pa + size) read as zero. Whole pages go back to the host."""
        _check(pa, size, 0)
        self.clear(pa, size)

    cdef void clear(self, unsigned long long pa, unsigned long long size) noexcept nogil:
        # memset for the edges, and for short ranges, where a system call would cost more than it saves
        cdef unsigned long long first = (pa + HOST_PAGE_BYTES - 1) & ~(HOST_PAGE_BYTES - 1)
        cdef unsigned long long last = (pa + size) & ~(HOST_PAGE_BYTES - 1)
        if last <= first or last - first < 2 * HOST_PAGE_BYTES:
            memset(self.base + pa, 0, size)
            return
        memset(self.base + pa, 0, first - pa)
        if madvise(self.base + first, last - first, MADV_DONTNEED) != 0:
            memset(self.base + first, 0, last - first)
        memset(self.base + last, 0, pa + size - last)

    def __repr__(self):
        return "<PhysicalMemory 4 GiB>"


cdef int _check(long long pa, long long size, int align_mask) except -1:
    if pa < 0 or size < 0 or pa > <long long>SPAN_BYTES or size > <long long>SPAN_BYTES - pa:
        raise PhysicalAddressError(
            f"physical access to {size:#x} bytes at {pa:#x}: expected a range within the 32-bit address space")
    if (pa | size) & align_mask:
        raise PhysicalAddressError(f"physical access to {size:#x} bytes at {pa:#x}: expected whole aligned words")
    return 0
