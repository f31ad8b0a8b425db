from bootsim.linux.mm.memory.fault import ProcessPages
from bootsim.linux.mm.swap_state import SwapSpace

def try_to_unuse(pages: ProcessPages, space: SwapSpace, number: int) -> int: ...
