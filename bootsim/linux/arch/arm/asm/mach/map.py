"""Requests for static mappings and the memory types they name (arch/arm/include/asm/mach/map.h, asm/io.h)."""

from __future__ import annotations

from typing import NamedTuple

(MT_DEVICE, MT_DEVICE_NONSHARED, MT_DEVICE_CACHED, MT_DEVICE_WC, MT_UNCACHED, MT_CACHECLEAN, MT_MINICLEAN,
 MT_LOW_VECTORS, MT_HIGH_VECTORS, MT_MEMORY_RWX, MT_MEMORY_RW, MT_MEMORY_RO, MT_ROM, MT_MEMORY_RWX_NONCACHED,
 MT_MEMORY_RW_DTCM, MT_MEMORY_RWX_ITCM, MT_MEMORY_RW_SO, MT_MEMORY_DMA_READY) = range(18)

MT_NAMES = ("MT_DEVICE", "MT_DEVICE_NONSHARED", "MT_DEVICE_CACHED", "MT_DEVICE_WC", "MT_UNCACHED", "MT_CACHECLEAN",
            "MT_MINICLEAN", "MT_LOW_VECTORS", "MT_HIGH_VECTORS", "MT_MEMORY_RWX", "MT_MEMORY_RW", "MT_MEMORY_RO",
            "MT_ROM", "MT_MEMORY_RWX_NONCACHED", "MT_MEMORY_RW_DTCM", "MT_MEMORY_RWX_ITCM", "MT_MEMORY_RW_SO",
            "MT_MEMORY_DMA_READY")


class MapDesc(NamedTuple):
    """struct map_desc: map [virtual, virtual + length) (va, bytes) to page frame `pfn` as memory type `type` (MT_*)."""

    virtual: int
    pfn: int
    length: int
    type: int


def io_desc(virtual: int, phys: int, length: int, mtype: int = MT_DEVICE) -> MapDesc:
    """A row of a machine's table of devices: `phys` (pa) at `virtual` (va), `length` in bytes.

    Source: arch/arm/mach-*, the struct map_desc tables with their __phys_to_pfn()
    """
    return MapDesc(virtual, phys >> 12, length, mtype)
