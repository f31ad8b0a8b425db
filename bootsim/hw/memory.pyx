"""The physical address space: 4 GiB of bytes that cost nothing until they are touched.

    host:  base                                              base + 2**32
             |-----------------------------------------------------|--pad--|
    pa:      0                                                  2**32

One anonymous private mapping without swap reservation. Pages nobody wrote read as zero and hold no host memory;
`zero` gives whole pages back to the host.
"""

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize

from bootsim.errors import BootsimError


cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    int mincore(void *addr, size_t length, unsigned char *vec)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_DONTNEED
    void *MAP_FAILED

cdef extern from "<sys/sysinfo.h>" nogil:
    struct HostInfo "sysinfo":
        unsigned long totalswap, freeswap
    int sysinfo(HostInfo *info)


cdef extern from *:
    """
    #ifndef MADV_POPULATE_WRITE
    #define MADV_POPULATE_WRITE 23  /* Linux 5.14; an older host refuses it */
    #endif
    """
    int MADV_POPULATE_WRITE


cdef unsigned long long SPAN_BYTES = 1ULL << 32
# A 32-bit load at the last address must not leave the mapping.
cdef unsigned long long PAD_BYTES = 4096
cdef unsigned long long HOST_PAGE_BYTES = 4096
# How many pages the host is asked of at once.
cdef size_t _STEP_PAGES = 1 << 16


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
        self.populate(at, end)
        while at < end:
            bootsim_le32_store(self.base + at, word)
            at += 4

    def zero(self, long long pa, long long size):
        """Make all of [pa, pa + size) read as zero. Whole pages go back to the host."""
        _check(pa, size, 0)
        self.clear(pa, size)

    cdef void populate(self, unsigned long long start, unsigned long long end) noexcept nogil:
        # all of it is about to be written: one system call in place of a fault a page; a refusal costs time alone
        start &= ~(HOST_PAGE_BYTES - 1)
        if end - start > 2 * HOST_PAGE_BYTES:
            madvise(self.base + start, end - start, MADV_POPULATE_WRITE)

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

    def __deepcopy__(self, memo):
        cdef PhysicalMemory new = PhysicalMemory()
        # what goes to swap while mincore() runs counts at the second look, if nobody reads it back meanwhile
        cdef bint swapped = host_swaps()
        copy_touched(new.base, self.base, SPAN_BYTES, swapped)
        if not swapped and host_swaps():
            copy_touched(new.base, self.base, SPAN_BYTES, True)
        return new

    def __repr__(self):
        return "<PhysicalMemory 4 GiB>"


cdef int copy_touched(unsigned char *to, const unsigned char *source, size_t size, bint swapped) except -1:
    """Copy what was ever written of [source, source + size) to memory that nobody wrote yet.

    Both are whole pages of private anonymous mappings. Pages that the host does not hold are zero, and stay untouched.
    `swapped`: some may be in swap; only /proc/self/pagemap tells them from those never written, and it takes longer.
    """
    cdef size_t pages = size // HOST_PAGE_BYTES
    cdef size_t done = 0
    cdef size_t n
    cdef unsigned char *held = <unsigned char *>malloc(_STEP_PAGES)
    if held == NULL:
        raise MemoryError
    try:
        while done < pages:
            n = min(pages - done, _STEP_PAGES)
            if swapped:
                ask_pagemap(source + done * HOST_PAGE_BYTES, n, held)
            elif mincore(<void *>(source + done * HOST_PAGE_BYTES), n * HOST_PAGE_BYTES, held) != 0:
                raise MemoryError("the host does not tell which pages it holds")
            copy_held(to + done * HOST_PAGE_BYTES, source + done * HOST_PAGE_BYTES, n, held)
            done += n
    finally:
        free(held)
    return 0


cdef void copy_held(unsigned char *to, const unsigned char *source, size_t pages, const unsigned char *held) noexcept:
    cdef size_t page = 0
    cdef size_t end
    while page < pages:
        if not held[page] & 1:
            page += 1
            continue
        end = page
        while end < pages and held[end] & 1:
            end += 1
        memcpy(to + page * HOST_PAGE_BYTES, source + page * HOST_PAGE_BYTES, (end - page) * HOST_PAGE_BYTES)
        page = end


cdef int ask_pagemap(const unsigned char *source, size_t pages, unsigned char *held) except -1:
    cdef const uint64_t[::1] entries
    cdef size_t i
    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            pagemap.seek(<size_t>source // HOST_PAGE_BYTES * 8)
            entries = memoryview(pagemap.read(pages * 8)).cast("Q")
    except (OSError, TypeError) as error:
        raise MemoryError(f"/proc/self/pagemap does not tell which pages are used: {error}") from None
    if <size_t>entries.shape[0] != pages:
        raise MemoryError("/proc/self/pagemap ends early")
    for i in range(pages):
        held[i] = entries[i] >> 62 != 0  # present, or in swap
    return 0


cdef bint host_swaps() noexcept nogil:
    cdef HostInfo info
    return sysinfo(&info) != 0 or info.totalswap != info.freeswap


cdef int _check(long long pa, long long size, int align_mask) except -1:
    if pa < 0 or size < 0 or pa > <long long>SPAN_BYTES or size > <long long>SPAN_BYTES - pa:
        raise PhysicalAddressError(
            f"physical access to {size:#x} bytes at {pa:#x}: expected a range within the 32-bit address space")
    if (pa | size) & align_mask:
        raise PhysicalAddressError(f"physical access to {size:#x} bytes at {pa:#x}: expected whole aligned words")
    return 0
