"""The size of a page, 4 KiB on 32-bit ARM (arch/arm/include/asm/page.h), and what is counted in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT


def page_align(value: int) -> int:
    """The address of the next page, `value` where one begins there; or that many bytes in whole pages.

    Source: include/linux/mm.h PAGE_ALIGN()
    Differs: does not wrap at 4 GiB, as the kernel's does for an unsigned long and does not for 64 bits.
    """
    return (value + PAGE_SIZE - 1) & -PAGE_SIZE


def get_order(size: int) -> int:
    """The order of the smallest block of pages that holds `size` bytes; 20 for none.

    Source: include/asm-generic/getorder.h get_order()
    """
    return ((size - 1) >> PAGE_SHIFT).bit_length() if size else 32 - PAGE_SHIFT


def page_pieces(start: int, size: int) -> Iterator[tuple[int, int]]:
    """[start, start + size) cut where pages end: (address, bytes) of each piece."""
    end = start + size
    while start < end:
        length = min(end - start, PAGE_SIZE - start % PAGE_SIZE)
        yield start, length
        start += length
