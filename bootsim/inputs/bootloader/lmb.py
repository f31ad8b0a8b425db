"""U-Boot's map of what memory is free for the images of a boot (lib/lmb.c of 2023.01): two lists of regions.

It has the original's weaknesses, which decide where things lie: a region that overlaps another is refused, whatever
part of it is free, and one that adjoins another grows it without a look at what comes behind.
"""

from __future__ import annotations

TOP = 1 << 32


class Lmb:
    """RAM and what is taken of it, each region [base, size, no-map], in order of address."""

    def __init__(self, base: int, size: int, most: int = 8) -> None:
        self.memory = (base, size)
        self.reserved: list[list[int]] = []
        self._most = most  # CONFIG_LMB_MAX_REGIONS

    def reserve(self, base: int, size: int, *, nomap: bool = False) -> bool:
        """Take [base, base + size). Returns whether it was entered.

        Source: U-Boot lib/lmb.c lmb_add_region_flags()
        """
        regions, flags = self.reserved, int(nomap)
        grown = False
        for i, (start, length, its) in enumerate(regions):
            if (start, length) == (base, size):
                return flags == its
            if base + size == start or start + length == base:
                grown = flags == its
                if grown:
                    regions[i][:2] = [min(base, start), length + size]
                break
            if base < start + length and start < base + size:
                return False
        else:
            i = len(regions)
        if self._joined(i) or grown:
            return True
        if len(regions) >= self._most:
            return False
        at = next((n for n, region in enumerate(regions) if base < region[0]), len(regions))
        regions.insert(at, [base, size, flags])
        return True

    def _joined(self, i: int) -> bool:
        # whether region i and the one behind it adjoin and were made one
        if i + 1 >= len(self.reserved):
            return False
        (base, size, flags), (after, more, its) = self.reserved[i : i + 2]
        if flags != its or base + size != after:
            return False
        self.reserved[i][1] += more
        del self.reserved[i + 1]
        return True

    def alloc_base(self, size: int, align: int, limit: int) -> int | None:
        """Take `size` bytes as high as they fit below `limit` (0: anywhere). Returns where, None when nowhere.

        Source: U-Boot lib/lmb.c __lmb_alloc_base()
        """
        start, length = self.memory
        if length < size or (limit and start >= limit):
            return None
        end = min(start + length, TOP - 1, limit) if limit else start + length
        base = (end - size) & -align
        while base > 0 and start <= base:
            taken = next((at for at, bytes_, _ in self.reserved if base < at + bytes_ and at < base + size), None)
            if taken is None:
                return base if self.reserve(base, size) else None
            if taken < size:
                break
            base = (taken - size) & -align
        return None
