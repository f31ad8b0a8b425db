from typing import Any, Final

from bootsim.errors import BootsimError
from bootsim.linux import Kernel

SLAB_CONSISTENCY_CHECKS: Final[int]
SLAB_RED_ZONE: Final[int]
SLAB_POISON: Final[int]
SLAB_HWCACHE_ALIGN: Final[int]
SLAB_CACHE_DMA: Final[int]
SLAB_CACHE_DMA32: Final[int]
SLAB_STORE_USER: Final[int]
SLAB_RECLAIM_ACCOUNT: Final[int]
SLAB_PANIC: Final[int]
SLAB_TYPESAFE_BY_RCU: Final[int]
SLAB_MEM_SPREAD: Final[int]
SLAB_TRACE: Final[int]
SLAB_DEBUG_OBJECTS: Final[int]
SLAB_NOLEAKTRACE: Final[int]
SLAB_FAILSLAB: Final[int]
SLAB_ACCOUNT: Final[int]
SLAB_KASAN: Final[int]
ZERO_SIZE_PTR: Final[int]
KMALLOC_INFO: Final[tuple[tuple[int, str], ...]]

class SlabError(BootsimError): ...

def dump_unreclaimable_slab(k: Kernel) -> None: ...
def slab_warning(k: Kernel, place: str, text: str | None = None, *, func: str, once: bool = False) -> None: ...

class PageSource:
    def __init__(self, k: Kernel) -> None: ...

class KmemCache:
    name: str
    va: int
    object_size: int
    size: int
    align: int
    flags: int
    useroffset: int
    usersize: int
    refcount: int
    name_va: int
    ctor: object
    aliases: list[str]
    random_seq: int

class SlabAllocator:
    slab_state: int
    slab_nomerge: bool
    freelist_random: bool
    slab_caches: list[KmemCache]
    cache_at: dict[int, KmemCache]
    kmem_cache: KmemCache
    kmalloc_caches: list[list[KmemCache | None]]
    kmalloc_min_size: int
    kmalloc_shift_low: int
    kmalloc_shift_high: int
    kmalloc_shift_max: int
    arch_slab_minalign: int
    def __init__(self, k: Kernel, pages: PageSource | None = None) -> None: ...
    def nr_kmalloc_caches(self) -> int: ...
    def slabs(self) -> list[tuple[int, int, str]]: ...
    def owner_of(self, va: int) -> str: ...
    def heap_object(self, va: int) -> tuple[str, KmemCache | None, int, int] | None: ...
    def snapshot(self) -> list[dict[str, Any]]: ...
