"""Files on a disk, as far as mappings see them (mm/filemap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.include.linux.fs import FMODE_READ, FMODE_WRITE, File, FileOperations, Inode
from bootsim.linux.mm.filemap.cache import PageCache
from bootsim.linux.mm.mmap.structs import VmOperationsStruct
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux.mm.memory.fault import ProcessPages
    from bootsim.linux.mm.mmap.structs import VmAreaStruct


class DiskOperations(FileOperations):
    """Files that are written back: the first write to a clean page of a shared mapping faults."""

    vm_ops: Any = VmOperationsStruct("generic_file_vm_ops", map_pages=True, page_mkwrite=True)

    def __init__(self, pages: ProcessPages) -> None:
        self.pages = pages

    def mmap(self, _file: File, vma: VmAreaStruct) -> int:
        """Map a part of the file. Source: mm/filemap.c generic_file_mmap()"""
        vma.vm_ops = self.vm_ops
        return 0

    def fsync(self, file: File, start: int, end: int, _datasync: int) -> int:
        """Write dirty pages back. Source: fs/sync.c vfs_fsync_range()"""
        self.pages.page_mkclean(file.f_mapping, start >> PAGE_SHIFT, end >> PAGE_SHIFT)
        return 0

    def fallocate(self, file: File, offset: int, length: int) -> int:
        """Punch a hole of whole pages, for MADV_REMOVE. Source: fs/open.c vfs_fallocate()"""
        first = offset >> PAGE_SHIFT
        file.f_mapping.page_cache.punch_hole(file.f_mapping.i_mmap, first, first + (length >> PAGE_SHIFT) - 1)
        return 0


def disk_inode(pages: ProcessPages, content: bytes, size: int | None = None) -> Inode:
    """A file of these bytes, or of `size` bytes that are zero.

    Source: fs/inode.c inode_init_always()
    Differs: no file system is there: what is on the disk is in memory, and reading it neither waits nor fails.
    """
    inode = Inode(len(content) if size is None else size, can_writeback=True)
    inode.content = content
    limit = inode.i_size + PAGE_SIZE - 1 >> PAGE_SHIFT
    inode.i_mapping.page_cache = PageCache(pages, inode.i_mapping, limit, False, content)
    return inode


def disk_file(pages: ProcessPages, path: str, inode: Inode, writable: bool = False) -> File:
    """Open a file of a disk.

    Source: fs/open.c do_dentry_open()
    Differs: `path` is a name alone; neither directories nor rights are looked at.
    """
    return File(path, inode, DiskOperations(pages), FMODE_READ | FMODE_WRITE if writable else FMODE_READ)
