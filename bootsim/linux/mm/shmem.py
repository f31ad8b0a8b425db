"""tmpfs, as far as mappings see it, and the files behind shared anonymous memory (mm/shmem.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.fs import File, FileOperations, Inode
from bootsim.linux.mm.filemap.cache import PageCache
from bootsim.linux.mm.mmap.structs import VmOperationsStruct
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux.mm.memory.fault import ProcessPages
    from bootsim.linux.mm.mmap.structs import VmAreaStruct


UNLINKED = "/dev/zero (deleted)"


class ShmemOperations(FileOperations):
    """Files whose pages are in memory alone: nobody has to hear of a first write."""

    vm_ops = VmOperationsStruct("shmem_vm_ops", map_pages=True)

    def __init__(self, pages: ProcessPages) -> None:
        self.pages = pages

    def mmap(self, _file: File, vma: VmAreaStruct) -> int:
        """Map a part of the file. Source: mm/shmem.c shmem_mmap()"""
        vma.vm_ops = self.vm_ops
        return 0

    def fsync(self, _file: File, _start: int, _end: int, _datasync: int) -> int:
        """Nothing. Source: fs/libfs.c noop_fsync()"""
        return 0

    def fallocate(self, file: File, offset: int, length: int) -> int:
        """Punch a hole of whole pages, for MADV_REMOVE. Source: mm/shmem.c shmem_fallocate()"""
        first = offset >> PAGE_SHIFT
        file.f_mapping.page_cache.punch_hole(file.f_mapping.i_mmap, first, first + (length >> PAGE_SHIFT) - 1)
        return 0

    def release(self, file: File) -> None:
        """Give back the memory of a file that has no name. Source: mm/shmem.c shmem_evict_inode()"""
        if file.path == UNLINKED:
            file.f_mapping.page_cache.evict()
            self.pages.unaccount(file.f_inode.i_blocks)


def shmem_kernel_file_setup(pages: ProcessPages, size: int, path: str = UNLINKED, filled: bool = False,
                            promised: int = 0) -> File:
    """A file of `size` bytes; with `filled`, all of it has been written already. `promised` pages go back with it.

    Source: mm/shmem.c shmem_kernel_file_setup(), shmem_zero_setup()
    """
    inode = Inode(size)
    limit = size + PAGE_SIZE - 1 >> PAGE_SHIFT if filled else 0
    inode.i_mapping.page_cache = PageCache(pages, inode.i_mapping, limit, True)
    inode.i_blocks = promised
    return File(path, inode, ShmemOperations(pages))
