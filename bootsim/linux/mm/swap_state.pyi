from bootsim.linux import Kernel
from bootsim.linux.mm.swap_slots import SwapSlots

class SwapSpace(SwapSlots):
    nrpages: int
    add_total: int
    del_total: int
    find_success: int
    find_total: int
    swapin_readahead_hits: int

def show_swap_cache_info(k: Kernel, space: SwapSpace | None) -> None: ...
