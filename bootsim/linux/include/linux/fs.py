"""struct file, inode and address_space, as far as mappings are concerned (include/linux/fs.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootsim.linux.mm.readahead import FileRaState

FMODE_READ, FMODE_WRITE = 1, 2
S_IFREG, S_IFCHR, S_IFBLK = 0o100000, 0o020000, 0o060000


class AddressSpace:
    """struct address_space: the pages of a file, and the VMAs that show them.

    `can_writeback`: dirty pages are counted and written back (mapping_can_writeback()), so first writes must fault.
    """

    __slots__ = ("__dict__", "a_ops", "can_writeback", "host", "i_mmap", "i_mmap_writable", "page_cache")

    def __init__(self, host: Inode, a_ops: Any = None, can_writeback: bool = False) -> None:
        self.host = host
        self.a_ops = a_ops
        self.can_writeback = can_writeback
        self.i_mmap: list[Any] = []
        self.i_mmap_writable = 0
        self.page_cache: Any = None  # a PageCache of mm/filemap


class Inode:
    """struct inode. `i_size` is in bytes; `i_mode` has the kind of file, S_IF...; `content` is what the disk has of it.
    `i_blocks` are pages promised to it.

    `s_dev`, of its file system, is (major, minor).
    """

    __slots__ = (
        "__dict__", "content", "i_blocks", "i_ino", "i_mapping", "i_mode", "i_rdev", "i_size", "i_writecount", "s_dev",
    )  # fmt: skip

    def __init__(self, i_size: int = 0, i_mode: int = S_IFREG | 0o644, i_rdev: int = 0, a_ops: Any = None,
                 can_writeback: bool = False) -> None:
        self.i_size = i_size
        self.i_mode = i_mode
        self.i_rdev = i_rdev
        self.i_ino = 0
        self.i_blocks = 0
        self.s_dev = (0, 0)
        self.content = b""
        self.i_writecount = 0
        self.i_mapping = AddressSpace(self, a_ops, can_writeback)


class FileOperations:
    """struct file_operations: what a file system or driver does; what it leaves None is not there.

    mmap(file, vma) returns 0 or -errno; get_unmapped_area(file, addr, length, pgoff, flags) an address or -errno;
    fsync(file, start, end, datasync) and fallocate(file, offset, length) 0 or -errno; release(file) is called when
    nobody has the file open or mapped any more.
    """

    get_unmapped_area: Any = None
    mmap: Any = None
    fsync: Any = None
    fallocate: Any = None
    release: Any = None


class File:
    """struct file: an open file. `path` is what /proc/PID/maps calls it."""

    __slots__ = ("__dict__", "f_count", "f_flags", "f_inode", "f_mapping", "f_mode", "f_op", "f_ra", "path")

    def __init__(self, path: str, inode: Inode, f_op: FileOperations, f_mode: int = FMODE_READ | FMODE_WRITE) -> None:
        self.path = path
        self.f_inode = inode
        self.f_mapping = inode.i_mapping
        self.f_op = f_op
        self.f_mode = f_mode
        self.f_flags = 0
        self.f_count = 1
        self.f_ra: FileRaState | None = None
        if f_mode & FMODE_WRITE:
            inode.i_writecount += 1

    def __repr__(self) -> str:
        return f"File({self.path})"
