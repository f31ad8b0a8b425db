"""read() and write() of open files: a driver's functions, or the page cache (fs/read_write.c, mm/filemap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.include.linux.errno import EBADF, EFBIG, EINVAL, ENOMEM
from bootsim.linux.include.linux.fs import FMODE_READ, FMODE_WRITE, File
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux import Kernel

MAX_LFS_FILESIZE = 0xFFFFFFFF << PAGE_SHIFT  # bytes, of a file system that sets no limit of its own


def vfs_read(k: Kernel, file: File, count: int, pos: int) -> bytes | int:
    """Read up to `count` bytes from `pos` on, or -errno.

    Source: fs/read_write.c vfs_read()
    """
    if not file.f_mode & FMODE_READ:
        return -EBADF
    read = getattr(file.f_op, "read", None)
    if read is not None:
        got: bytes | int = read(file, count, pos)
        return got
    if file.f_mapping.page_cache is None:
        return -EINVAL
    return _generic_file_read(k, file, min(count, max(file.f_inode.i_size - pos, 0)), pos)


def vfs_write(k: Kernel, file: File, data: bytes, pos: int) -> int:
    """Write bytes at `pos`; how many, or -errno.

    Source: fs/read_write.c vfs_write()
    """
    if not file.f_mode & FMODE_WRITE:
        return -EBADF
    write = getattr(file.f_op, "write", None)
    if write is not None:
        done: int = write(file, data, pos)
        return done
    if file.f_mapping.page_cache is None:
        return -EINVAL
    if pos >= MAX_LFS_FILESIZE:  # generic_write_check_limits()
        return -EFBIG
    return _generic_perform_write(k, file, data, pos)


def _parts(pos: int, count: int) -> Iterator[tuple[int, int, int]]:
    # (index, offset in the page, bytes) of each page of a range
    while count:
        offset = pos % PAGE_SIZE
        size = min(PAGE_SIZE - offset, count)
        yield pos >> PAGE_SHIFT, offset, size
        pos, count = pos + size, count - size


def _generic_file_read(k: Kernel, file: File, count: int, pos: int) -> bytes | int:
    # Source: mm/filemap.c generic_file_buffered_read(): what was read before memory ran out, or -ENOMEM
    cache: Any = file.f_mapping.page_cache
    parts: list[bytes] = []
    for index, offset, size in _parts(pos, count):
        pfn = cache.frame(index)
        if pfn is None and cache.holds(index):
            return b"".join(parts) or -ENOMEM
        parts.append(bytes(size) if pfn is None else bytes(k.machine.ram.read((pfn << PAGE_SHIFT) + offset, size)))
    return b"".join(parts)


def _generic_perform_write(k: Kernel, file: File, data: bytes, pos: int) -> int:
    # Source: mm/filemap.c generic_perform_write()
    cache: Any = file.f_mapping.page_cache
    done = 0
    for index, offset, size in _parts(pos, len(data)):
        cache.write(index, 1)
        pfn = cache.frame(index)
        if pfn is None:
            break  # without memory
        k.machine.ram.write((pfn << PAGE_SHIFT) + offset, data[done : done + size])
        done += size
    if not done:
        return -ENOMEM if data else 0
    file.f_inode.i_size = max(file.f_inode.i_size, pos + done)
    return done
