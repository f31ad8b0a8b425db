# What is read of a file before anybody asks for it.
from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.filemap.cache cimport PageCache

cdef enum:
    VM_READAHEAD_PAGES = 32     # of a disk's bdi: 128 KiB
    MMAP_LOTSAMISS = 100
    IO_PAGES = 320              # and the most that one request may read: 1280 KiB, BLK_DEF_MAX_SECTORS


cdef class FileRaState:         # struct file_ra_state of an open file
    cdef public uint32_t start
    cdef public uint32_t size
    cdef public uint32_t async_size
    cdef public uint32_t ra_pages
    cdef public uint32_t mmap_miss

cdef FileRaState file_ra_state(file)
cdef int do_page_cache_ra(PageCache cache, uint32_t index, uint32_t nr_to_read, uint32_t lookahead_size,
                          uint64_t size) except -1
cdef int force_page_cache_ra(PageCache cache, FileRaState ra, uint32_t index, uint32_t nr_to_read,
                             uint64_t size) except -1
cdef int ondemand_readahead(PageCache cache, FileRaState ra, uint32_t index, bint hit_readahead_marker,
                            uint32_t req_size, uint64_t size) except -1
