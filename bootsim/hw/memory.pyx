"""The physical address space: 4 GiB of bytes that cost nothing until they are touched.

    host:  base                                              base + 2**32
             |-----------------------------------------------------|--pad--|
    pa:      0                                                  2**32

One anonymous private mapping without swap reservation. Pages nobody wrote read as zero and hold no host memory;
`zero` gives whole pages back to the host. Where memory is really fitted (`fit`) matters to those alone who ask
for it, as the table walk does: bytes elsewhere can be read and written all the same.

A process that boots without end may keep the mappings of machines that are gone for those that come (`keep_mappings`):
what was written is set to zero, which takes a fraction of the time in which the host finds and clears pages anew.
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
    int mprotect(void *addr, size_t length, int prot)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    int mincore(void *addr, size_t length, unsigned char *vec)
    int PROT_NONE, PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_DONTNEED
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

    #include <fcntl.h>
    #include <sys/ioctl.h>
    #include <unistd.h>
    /* PAGEMAP_SCAN, Linux 6.7; an older host refuses it */
    struct bootsim_page_region {
        uint64_t start, end, categories;
    };
    struct bootsim_pm_scan_arg {
        uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
    };
    #define BOOTSIM_PAGEMAP_SCAN _IOWR('f', 16, struct bootsim_pm_scan_arg)
    #define BOOTSIM_HELD (1 << 3 | 1 << 4)  /* PAGE_IS_PRESENT, PAGE_IS_SWAPPED */
    """
    int MADV_POPULATE_WRITE
    struct PageRegion "bootsim_page_region":
        uint64_t start, end
    struct ScanArg "bootsim_pm_scan_arg":
        uint64_t size, start, end, walk_end, vec, vec_len, category_anyof_mask, return_mask
    unsigned long BOOTSIM_PAGEMAP_SCAN
    uint64_t BOOTSIM_HELD
    int O_RDONLY, O_CLOEXEC
    int open_file "open"(const char *path, int flags) nogil
    int close(int fd) nogil
    int ioctl(int fd, unsigned long request, ScanArg *arg) nogil

cdef struct Mapping:
    unsigned char *memory
    size_t size

cdef enum:
    MOST_KEPT = 16
    SCANNED_AT_ONCE = 128


cdef unsigned long long SPAN_BYTES = 1ULL << 32
# A 32-bit load at the last address must not leave the mapping.
cdef unsigned long long PAD_BYTES = 4096
cdef unsigned long long HOST_PAGE_BYTES = 4096
# How many pages the host is asked of at once.
cdef size_t _STEP_PAGES = 1 << 16
# What lies before and behind a mapping, and may not be touched.
cdef size_t GUARD_BYTES = 1 << 16
# Of a kept mapping no more than this stays with the process; a boot of 1 GiB writes 1.2 MiB of RAM.
cdef size_t HELD_BYTES = 4 << 20
# Not a machine's: memory of the host that no machine has at present, the newest last.
cdef Mapping kept[MOST_KEPT]
cdef int nr_kept = 0
cdef int keep_at_most = 0


class PhysicalAddressError(BootsimError):
    """An access outside the 32-bit physical address space."""


@cython.final
cdef class PhysicalMemory:
    """The 4 GiB a 32-bit physical address can name, as bytes. Little-endian words. Freed with the object."""

    def __cinit__(self):
        self.base = map_zeroed(SPAN_BYTES + PAD_BYTES, "a 4 GiB sparse mapping for physical memory")

    def __dealloc__(self):
        if self.base != NULL:
            unmap(self.base, SPAN_BYTES + PAD_BYTES)
        free(self.banks)

    def fit(self, banks):
        """Say where memory answers: (base, size) of banks, as far as 32 bits reach. Without any, it does everywhere."""
        cdef size_t i = 0
        cdef uint64_t *new = <uint64_t *>malloc(2 * (len(banks) + 1) * sizeof(uint64_t))
        if new == NULL:
            raise MemoryError
        try:
            for base, size in banks:
                new[2 * i], new[2 * i + 1] = min(base, SPAN_BYTES), min(base + size, SPAN_BYTES)
                i += 1
        except BaseException:
            free(new)
            raise
        free(self.banks)
        self.banks, self.nr_banks = new, i

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
        new.fit([(self.banks[2 * i], self.banks[2 * i + 1] - self.banks[2 * i]) for i in range(self.nr_banks)])
        return new

    def __repr__(self):
        return "<PhysicalMemory 4 GiB>"


def keep_mappings(count):
    """Keep up to `count` mappings of machines that are gone for those that this process makes next; 0 keeps none."""
    global keep_at_most
    if not 0 <= count <= MOST_KEPT:
        raise ValueError(f"{count} mappings: expected 0 to {int(MOST_KEPT)}")
    keep_at_most = count
    while nr_kept > keep_at_most:
        drop_oldest()


cdef unsigned char *map_zeroed(size_t size, what) except NULL:
    """`size` bytes of the host (whole pages) that read as zero, for `what`, between guards. `unmap` frees them."""
    cdef unsigned char *memory
    cdef int i
    for i in range(nr_kept - 1, -1, -1):
        if kept[i].size == size:
            memory = kept[i].memory
            forget(i)
            return memory
    memory = <unsigned char *>mmap(NULL, size + 2 * GUARD_BYTES, PROT_NONE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if memory == MAP_FAILED:
        raise MemoryError(f"the host refused {what}")
    if mprotect(memory + GUARD_BYTES, size, PROT_READ | PROT_WRITE) != 0:
        munmap(memory, size + 2 * GUARD_BYTES)
        raise MemoryError(f"the host refused {what}")
    return memory + GUARD_BYTES


cdef void unmap(unsigned char *memory, size_t size) noexcept:
    """Give back what `map_zeroed` gave: to the host, or to whom this process asks for as much next."""
    if keep_at_most == 0 or not clear_held(memory, size):
        munmap(memory - GUARD_BYTES, size + 2 * GUARD_BYTES)
        return
    global nr_kept
    if nr_kept == keep_at_most:
        drop_oldest()
    kept[nr_kept].memory, kept[nr_kept].size = memory, size
    nr_kept += 1


cdef void forget(int i) noexcept nogil:
    global nr_kept
    nr_kept -= 1
    while i < nr_kept:
        kept[i] = kept[i + 1]
        i += 1


cdef void drop_oldest() noexcept nogil:
    munmap(kept[0].memory - GUARD_BYTES, kept[0].size + 2 * GUARD_BYTES)
    forget(0)


cdef bint clear_held(unsigned char *memory, size_t size) noexcept nogil:
    # Zero everywhere: what the host holds is overwritten. When that is more than HELD_BYTES, or the host does not tell,
    # all of it goes back: most was written by machines long gone. False if the host does not take it.
    cdef int fd = open_file("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    cdef bint cleared = False
    if fd >= 0:
        cleared = overwrite_held(fd, memory, size)
        close(fd)
    return cleared or madvise(memory, size, MADV_DONTNEED) == 0


cdef bint overwrite_held(int fd, unsigned char *memory, size_t size) noexcept nogil:
    # whether all of it is zero now
    cdef PageRegion held[SCANNED_AT_ONCE]
    cdef ScanArg arg
    cdef size_t cleared = 0
    cdef int i, count
    memset(&arg, 0, sizeof(arg))
    arg.size = sizeof(arg)
    arg.start, arg.end = <uint64_t>memory, <uint64_t>memory + size
    arg.vec, arg.vec_len = <uint64_t>&held[0], SCANNED_AT_ONCE
    arg.category_anyof_mask = arg.return_mask = BOOTSIM_HELD
    while arg.start < arg.end:
        count = ioctl(fd, BOOTSIM_PAGEMAP_SCAN, &arg)
        if count < 0:
            return False
        for i in range(count):
            cleared += held[i].end - held[i].start
            if cleared > HELD_BYTES:
                return False
            memset(<void *>held[i].start, 0, held[i].end - held[i].start)
        arg.start = arg.walk_end
    return True


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
