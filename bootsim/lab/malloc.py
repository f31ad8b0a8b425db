"""malloc() as glibc makes it for one thread of a 32-bit program: small pieces from the heap, large ones by mmap().

The heap grows by what is asked for and 128 KiB more, so that few calls need brk(). From 128 KiB on a piece has a
mapping of its own, which free() gives back at once; the largest one that was given back becomes the new limit.

    heap:    [size][tcache, here with the arena's words][size][piece]...[size][the top: what is left]
    mapping: [0][size | 2][piece]

Words and pieces lie in the program's memory, so that each call touches the pages that it touches there.
Differs: pieces that free() takes back are used again only at the end of the heap, and small ones never, for which glibc
has lists; when brk() fails, glibc maps a megabyte for a second heap.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.include.linux.mman import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
from bootsim.page import PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.lab.process import Process
    from bootsim.linux.mm.mmap.structs import UserMm

DEFAULT_MMAP_THRESHOLD, DEFAULT_MMAP_THRESHOLD_MAX = 128 << 10, 512 << 10
DEFAULT_TOP_PAD = DEFAULT_TRIM_THRESHOLD = 128 << 10
MINSIZE, HEADER = 16, 8
IS_MMAPPED, PREV_INUSE = 2, 1
TCACHE_BYTES, MOST_KEPT = 0x188, 520  # bytes; the largest piece that glibc keeps for its thread
_ARENA, _MAGIC = struct.Struct("<4I"), 0x6D616C63  # top, its bytes, mmap_threshold
_PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS


def malloc(process: Process, size: int) -> int:
    """Return the address of `size` bytes, 0 when there is no memory.

    Raises InputError for a program that has moved its break itself.
    """
    wanted, mm = max(size + 4 + 7 & ~7, MINSIZE), _mm(process)
    if size >= 1 << 31:
        return 0
    if mm.brk == mm.start_brk and not _grow(process, process.brk(0), 0, TCACHE_BYTES, DEFAULT_MMAP_THRESHOLD):
        return 0
    top, left, threshold = _arena(process)
    if left < wanted + MINSIZE:
        if wanted >= threshold:
            return _map(process, wanted)
        if not _grow(process, top, left, wanted, threshold):
            return 0
        top, left, threshold = _arena(process)
    _set(process, top, wanted | PREV_INUSE)
    _keep(process, top + wanted, left - wanted, threshold)
    return top + HEADER


def free(process: Process, addr: int) -> None:
    """Give back what malloc() gave. Raises InputError for what it has not given."""
    chunk, (top, left, threshold) = addr - HEADER, _arena(process)
    word = struct.unpack("<I", process.read(chunk + 4, 4))[0] if addr > HEADER else 0
    size = word & ~7
    if word & IS_MMAPPED and chunk % PAGE_SIZE == 0:
        if threshold < size <= DEFAULT_MMAP_THRESHOLD_MAX:
            _keep(process, top, left, size)
        process.munmap(chunk, size)
        return
    if not _mm(process).start_brk < chunk < top or size < MINSIZE or chunk + size > top:
        raise InputError(f"free: malloc() has not given {addr:#x}")
    if chunk + size != top or size <= MOST_KEPT:
        return
    left += size
    trim = DEFAULT_TRIM_THRESHOLD if threshold == DEFAULT_MMAP_THRESHOLD else 2 * threshold
    spare = left - MINSIZE - 1 - DEFAULT_TOP_PAD & -PAGE_SIZE
    if left >= trim and spare > 0:
        end = _mm(process).brk
        left -= end - process.brk(end - spare)
    _keep(process, chunk, left, threshold)


def _mm(process: Process) -> UserMm:
    mm = process.task.mm
    if mm is None:
        raise InputError(f"process {process.pid} has no memory any more")
    return mm


def _grow(process: Process, top: int, left: int, wanted: int, threshold: int) -> bool:
    # more heap behind the top; whoever takes the first piece takes glibc's cache of the thread before it
    end = top + left
    new = page_align(end + wanted + DEFAULT_TOP_PAD + MINSIZE - left)
    if process.brk(new) != new:
        return False
    if left == 0:
        _set(process, top, TCACHE_BYTES | PREV_INUSE)
        top += TCACHE_BYTES
    _keep(process, top, new - top, threshold)
    return True


def _map(process: Process, wanted: int) -> int:
    size = page_align(wanted + 4)
    at = process.mmap(0, size, PROT_READ | PROT_WRITE, _PRIVATE)
    if at < 0:
        return 0
    _set(process, at, size | IS_MMAPPED)
    return at + HEADER


def _set(process: Process, chunk: int, size: int) -> None:
    process.write(chunk + 4, struct.pack("<I", size))


def _arena(process: Process) -> tuple[int, int, int]:
    mm = _mm(process)
    if mm.brk > mm.start_brk:
        top, left, threshold, magic = _ARENA.unpack(process.read(mm.start_brk + HEADER, _ARENA.size))
        if magic == _MAGIC:
            return top, left, threshold
    raise InputError("malloc: the program's heap is not malloc()'s: empty, or it moves its break itself")


def _keep(process: Process, top: int, left: int, threshold: int) -> None:
    _set(process, top, left | PREV_INUSE)
    process.write(_mm(process).start_brk + HEADER, _ARENA.pack(top, left, threshold, _MAGIC))
