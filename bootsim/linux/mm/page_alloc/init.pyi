from collections.abc import Mapping

from bootsim.linux import Kernel

def free_area_init(k: Kernel, max_zone_pfn: Mapping[str, int]) -> None: ...
