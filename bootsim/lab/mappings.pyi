from typing import Any

from bootsim.linux import Kernel
from bootsim.linux.mm.highmem import Kmap
from bootsim.linux.mm.page_alloc import Pglist
from bootsim.linux.mm.vmalloc.areas import VmapAreas

class MappingTraffic:
    areas: VmapAreas
    kmap: Kmap | None
    wrong: int
    first_wrong: tuple[int, str] | None
    def __init__(self, k: Kernel, pgdat: Pglist) -> None: ...
    def contiguous(self, pfn: int, real: int, count: int) -> None: ...
    def congruent(self) -> int: ...
    def snapshot(self) -> dict[str, Any]: ...
