# Pages of processes and files on the move.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.migrate cimport MappedPages

cdef class ProcessMigration(MappedPages):
    cdef TablePages pages

    cdef int move_mapping(self, uint32_t old, uint32_t new) except? 1
