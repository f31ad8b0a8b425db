"""Readahead: what is read of a file before anybody asks for it (mm/readahead.c).

    |<-------- size -------->|
    start        ^- async_size before the end: the page with PG_readahead, whose use has the next window read
"""

from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.filemap.cache cimport NO_MEMORY, PageCache
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_NORETRY, __GFP_NOWARN, GFP_HIGHUSER_MOVABLE
from bootsim.page cimport PAGE_SHIFT


cdef class FileRaState:
    """struct file_ra_state: the window of an open file. Source: mm/readahead.c file_ra_state_init()"""

    def __init__(self):
        self.ra_pages = VM_READAHEAD_PAGES

    def __deepcopy__(self, memo):
        new = FileRaState()
        memo[id(self)] = new
        for name in ("start", "size", "async_size", "ra_pages", "mmap_miss"):
            setattr(new, name, getattr(self, name))
        return new


cdef FileRaState file_ra_state(file):
    if file.f_ra is None:
        file.f_ra = FileRaState()
    return file.f_ra


cdef int do_page_cache_ra(PageCache cache, uint32_t index, uint32_t nr_to_read, uint32_t lookahead_size,
                          uint64_t size) except -1:
    """Read pages of a file of `size` bytes that are not in memory; the first of the last `lookahead_size` is marked.

    Source: mm/readahead.c do_page_cache_ra(), page_cache_ra_unbounded()
    """
    cdef uint64_t end_index
    cdef uint32_t i
    if not size or index > size - 1 >> PAGE_SHIFT:
        return 0
    end_index = size - 1 >> PAGE_SHIFT
    nr_to_read = <uint32_t>min(<uint64_t>nr_to_read, end_index - index + 1)
    for i in range(nr_to_read):
        if cache.has(index + i):
            continue
        if i == nr_to_read - lookahead_size:
            cache.readahead.add(index + i)
        if cache.make(index + i, False, GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN) == NO_MEMORY:
            cache.readahead.discard(index + i)
            break
    return 0


cdef int force_page_cache_ra(PageCache cache, FileRaState ra, uint32_t index, uint32_t nr_to_read,
                             uint64_t size) except -1:
    """Read pages as they are asked for, as many as one request to the disk may read.

    Source: mm/readahead.c force_page_cache_ra()
    """
    return do_page_cache_ra(cache, index, min(nr_to_read, max(<uint32_t>IO_PAGES, ra.ra_pages)), 0, size)


cdef uint32_t get_init_ra_size(uint32_t size, uint32_t max_pages) noexcept:
    # Source: mm/readahead.c get_init_ra_size()
    cdef uint32_t newsize = 1
    while newsize < size:
        newsize <<= 1
    if newsize <= max_pages // 32:
        return newsize * 4
    return newsize * 2 if newsize <= max_pages // 4 else max_pages


cdef uint32_t get_next_ra_size(FileRaState ra, uint32_t max_pages) noexcept:
    # Source: mm/readahead.c get_next_ra_size()
    if ra.size < max_pages // 16:
        return 4 * ra.size
    return 2 * ra.size if ra.size <= max_pages // 2 else max_pages


cdef bint try_context_readahead(PageCache cache, FileRaState ra, uint32_t index, uint32_t req_size,
                                uint32_t max_pages) except -1:
    # Whether pages before this one are in memory: one reads in turn. Source: mm/readahead.c try_context_readahead()
    cdef uint32_t size = 0
    while size < max_pages and size < index and cache.has(index - 1 - size):
        size += 1
    if size == max_pages:
        size -= 1   # page_cache_prev_miss() ends on the last page that it looked at
    if size <= req_size:
        return False
    if size >= index:
        size *= 2
    ra.start, ra.size, ra.async_size = index, min(size + req_size, max_pages), 1
    return True


cdef bint next_window(PageCache cache, FileRaState ra, uint32_t index, bint hit_readahead_marker,
                      uint32_t req_size) except -1:
    # Where to read, in `ra`; False: nowhere by windows
    cdef uint32_t max_pages = ra.ra_pages
    cdef uint32_t start
    if index and (index == ra.start + ra.size - ra.async_size or index == ra.start + ra.size):
        ra.start += ra.size
        ra.size = ra.async_size = get_next_ra_size(ra, max_pages)
    elif index and hit_readahead_marker:
        start = index + 1
        while start < index + max_pages and cache.has(start):
            start += 1
        ra.start, ra.size = start, start - index + req_size
        ra.size = ra.async_size = get_next_ra_size(ra, max_pages)
    elif not index or req_size > max_pages:  # prev_pos is read()'s alone
        ra.start, ra.size = index, get_init_ra_size(req_size, max_pages)
        ra.async_size = ra.size - req_size if ra.size > req_size else ra.size
    else:
        return try_context_readahead(cache, ra, index, req_size, max_pages)
    return True


cdef int ondemand_readahead(PageCache cache, FileRaState ra, uint32_t index, bint hit_readahead_marker,
                            uint32_t req_size, uint64_t size) except -1:
    """Read the next window of a file, or the first one. Source: mm/readahead.c ondemand_readahead()"""
    cdef uint32_t add_pages
    if not next_window(cache, ra, index, hit_readahead_marker, req_size):
        return do_page_cache_ra(cache, index, req_size, 0, size)
    if index == ra.start and ra.size == ra.async_size:
        add_pages = get_next_ra_size(ra, ra.ra_pages)
        if ra.size + add_pages <= ra.ra_pages:
            ra.async_size = add_pages
            ra.size += add_pages
        else:
            ra.size, ra.async_size = ra.ra_pages, ra.ra_pages >> 1
    return do_page_cache_ra(cache, ra.start, ra.size, ra.async_size, size)
