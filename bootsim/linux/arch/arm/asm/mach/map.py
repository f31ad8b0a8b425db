"""Requests for static mappings and the memory types they name (arch/arm/include/asm/mach/map.h, asm/io.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.inputs.iotables import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel

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


def io_table(k: Kernel, name: str, rows: Sequence[MapDesc]) -> Sequence[MapDesc]:
    """The table `name` of a machine as the build has it, or `rows`, 5.10's, where the build does not tell.

    Source: arch/arm/mach-*, the struct map_desc tables
    """
    return [io_desc(row.va, row.pa, row.size_bytes, row.type) for row in rows_of(k.build.io_tables, name)] or rows
