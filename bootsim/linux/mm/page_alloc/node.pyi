from typing import final

from bootsim.errors import BootsimError, KernelPanic
from bootsim.inputs.build import Config
from bootsim.linux.mm.swap import LruVec

class PageFrameError(BootsimError): ...
@final
class Pglist:
    zone_names: list[str]
    bank_pfns: list[tuple[int, int]]
    valid_pfns: list[tuple[int, int]]
    mem_map_pa: int | None
    mem_map_bytes: int | None
    lru: LruVec | None
    nr_bad_shown: int
    min_free_kbytes: int
    user_min_free_kbytes: int
    watermark_scale_factor: int
    watermark_boost_factor: int
    totalreserve_pages: int
    death: KernelPanic | None
    sysctl_lowmem_reserve_ratio: list[int]
    cpu: int
    gfp_allowed_mask: int
    def __init__(self, config: Config) -> None: ...
    @property
    def page_group_by_mobility_disabled(self) -> bool: ...
    @property
    def node_present_pages(self) -> int: ...
    def alloc(self, gfp_mask: int, order: int) -> int | None: ...
    def free(self, pfn: int, order: int) -> None: ...
