from collections.abc import Callable, Iterator

PHYS_ADDR_MAX: int
MEMBLOCK_ALLOC_ACCESSIBLE: int
MEMBLOCK_ALLOC_KASAN: int
MEMBLOCK_ALLOC_ANYWHERE: int
NUMA_NO_NODE: int
INIT_MEMBLOCK_REGIONS: int
MEMBLOCK_NONE: int
MEMBLOCK_HOTPLUG: int
MEMBLOCK_MIRROR: int
MEMBLOCK_NOMAP: int

class MemblockRegion:
    base: int
    size: int
    flags: int
    def __init__(self, base: int, size: int, flags: int = 0) -> None: ...

class MemblockType:
    name: str
    regions: list[MemblockRegion]
    max: int
    total_size: int
    array_pa: int | None
    def __init__(self, name: str) -> None: ...

class Memblock:
    printk: Callable[..., None]
    zero: Callable[[int, int, str], None]
    region_bytes: int
    listener: Callable[..., None]
    memory: MemblockType
    reserved: MemblockType
    bottom_up: bool
    current_limit: int
    debug: bool
    can_resize: bool
    movable_node: bool
    def __init__(
        self,
        printk: Callable[..., None] = ...,
        zero: Callable[[int, int, str], None] = ...,
        region_bytes: int = 12,
        listener: Callable[..., None] = ...,
        debug: bool = False,
    ) -> None: ...

class ArrayFullError(Exception): ...

def for_each_mem_range(mb: Memblock, flags: int = 0) -> Iterator[tuple[int, int]]: ...
def for_each_reserved_mem_range(mb: Memblock) -> Iterator[tuple[int, int]]: ...
def for_each_mem_pfn_range(mb: Memblock) -> Iterator[tuple[int, int]]: ...
def for_each_free_mem_range(mb: Memblock, flags: int = 0) -> Iterator[tuple[int, int]]: ...
def for_each_free_mem_range_reverse(mb: Memblock, flags: int = 0) -> Iterator[tuple[int, int]]: ...
def memblock_cap_size(base: int, size: int) -> int: ...
def memblock_overlaps_region(type_: MemblockType, base: int, size: int) -> bool: ...
def memblock_merge_regions(type_: MemblockType) -> int: ...
def memblock_add_range(mb: Memblock, type_: MemblockType, base: int, size: int, flags: int = 0) -> int: ...
def memblock_isolate_range(mb: Memblock, type_: MemblockType, base: int, size: int) -> tuple[int, int]: ...
def memblock_remove_range(mb: Memblock, type_: MemblockType, base: int, size: int) -> int: ...
def memblock_find_in_range_node(mb: Memblock, size: int, align: int, start: int, end: int, flags: int) -> int: ...
