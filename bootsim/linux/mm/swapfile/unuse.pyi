from bootsim.linux.mm.mmap.structs import UserPages
from bootsim.linux.mm.swap_state import SwapSpace

def try_to_unuse(pages: UserPages, space: SwapSpace, number: int) -> int: ...
