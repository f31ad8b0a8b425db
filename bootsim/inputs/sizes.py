"""Sizes of kernel structs, worked out from .config as the compiler lays them out on 32-bit ARM.

Used when nobody measured them: a System.map has no sizes, nor has a vmlinux without DWARF. Right for every 5.10.y whose
locks are plain (no DEBUG_SPINLOCK, no LOCKDEP), checked against the DWARF data of real builds by the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.inputs.kconfig import Kconfig

_WORD = 4

# Options that change the size of a spinlock, a kobject or an attribute, and with them almost everything below.
_LAYOUT_CHANGERS = ("DEBUG_SPINLOCK", "DEBUG_LOCK_ALLOC", "LOCKDEP", "DEBUG_KOBJECT_RELEASE", "NUMA", "ARM_LPAE")

# Structs that no option changes.
FIXED_SIZES = {
    "struct alias_prop": 20,
    "struct hlist_bl_head": 4,
    "struct hlist_head": 4,
    "struct list_head": 8,
    "struct memblock_region": 12,
    "struct page_ext": 4,
    "struct page_owner": 16,
    "struct mem_section_usage": 8,
    "struct pcpu_alloc_info": 32,
    "struct pcpu_block_md": 32,
    "struct pcpu_group_info": 12,
    "struct prb_desc": 12,
    "struct printk_info": 88,
    "struct resource": 32,
    "struct static_vm": 40,
    "struct vm_struct": 32,
}


def assumed_sizes(kconfig: Kconfig) -> dict[str, int]:
    """The structs whose size in bytes depends on options, for this .config.

    Raises InputError when the options change locks, so that no size here would hold.
    """
    for symbol in _LAYOUT_CHANGERS:
        if kconfig.is_on(symbol):
            raise InputError(
                f"{kconfig.where(symbol)}: CONFIG_{symbol}=y changes the size of most structs; "
                "give a vmlinux with DWARF data, or --facts with the sizes"
            )
    zone = _zone(kconfig)
    return {
        "struct device_node": 52 + (36 if kconfig.is_on("OF_KOBJ") else 0),
        "struct mem_section": 16 if kconfig.is_on("PAGE_EXTENSION") else 8,
        "struct page": 32 + _WORD * kconfig.is_on("MEMCG"),
        "struct pcpu_chunk": 88 + 8 * kconfig.is_on("PERCPU_STATS") + _WORD * kconfig.is_on("MEMCG_KMEM"),
        "struct pglist_data": _pglist_data(kconfig, zone),
        "struct property": 16 + _WORD * kconfig.is_on("OF_DYNAMIC") + (28 if kconfig.is_on("OF_KOBJ") else 0),
        "struct zone": zone,
    }


def nr_zones(kconfig: Kconfig) -> int:
    """MAX_NR_ZONES: ZONE_NORMAL and ZONE_MOVABLE are always there."""
    return 2 + kconfig.is_on("ZONE_DMA") + kconfig.is_on("HIGHMEM") + kconfig.is_on("ZONE_DEVICE")


# ZONE_PADDING(): to the next cache line, on SMP only.
def _pad(kconfig: Kconfig, size: int) -> int:
    if not kconfig.is_on("SMP"):
        return size
    line = 1 << (kconfig.number("ARM_L1_CACHE_SHIFT") or 6)
    return -(-size // line) * line


# A spinlock without debugging is a word, and nothing at all on UP.
def _lock(kconfig: Kconfig) -> int:
    return _WORD if kconfig.is_on("SMP") else 0


def _zone(kconfig: Kconfig) -> int:
    isolation, compaction = kconfig.is_on("MEMORY_ISOLATION"), kconfig.is_on("COMPACTION")
    migrate_types = 4 + kconfig.is_on("CMA") + isolation
    max_order = kconfig.number("FORCE_MAX_ZONEORDER") or 11
    stat_items = 11 + (kconfig.get("ZSMALLOC") in ("y", "m"))

    # 3 watermarks, boost, highatomic; lowmem_reserve; pgdat, pageset; then start, managed, spanned, present, name and
    # initialized
    words = 5 + nr_zones(kconfig) + 2 + (not kconfig.is_on("SPARSEMEM")) + 6 + isolation
    size = _pad(kconfig, _WORD * words)
    size += max_order * (8 * migrate_types + _WORD) + _WORD + _lock(kconfig)
    size = _pad(kconfig, size)
    size += _WORD + 5 * _WORD * (compaction or kconfig.is_on("CMA")) + 3 * _WORD * compaction
    size += _WORD  # one or two bools
    size = _pad(kconfig, size)
    return _pad(kconfig, size + _WORD * stat_items)


def _pglist_data(kconfig: Kconfig, zone: int) -> int:
    zones, lock = nr_zones(kconfig), _lock(kconfig)
    wait_queue = lock + 8
    flat = kconfig.is_on("FLAT_NODE_MEM_MAP")

    size = zones * zone + 8 * (zones + 1) + _WORD
    size += _WORD * flat + _WORD * (flat and kconfig.is_on("PAGE_EXTENSION"))
    size += lock * kconfig.is_on("MEMORY_HOTPLUG")
    size += 4 * _WORD + 2 * wait_queue + 4 * _WORD
    size += (3 * _WORD + wait_queue) * kconfig.is_on("COMPACTION")
    size = _pad(kconfig, size + _WORD)
    size += lock + (lock + 12) * kconfig.is_on("TRANSPARENT_HUGEPAGE")
    size += 64 + _WORD * kconfig.is_on("MEMCG") + _WORD
    size = _pad(kconfig, size)
    return _pad(kconfig, size + _WORD + _WORD * (37 + kconfig.is_on("SHADOW_CALL_STACK")))
