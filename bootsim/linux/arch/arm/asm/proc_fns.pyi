from bootsim.hw.memory import PhysicalMemory

SET_PTE_V7: int
SET_PTE_V6: int
SET_PTE_ARMV3: int
SET_PTE_ARMV3_WB: int
SET_PTE_XSCALE: int
SET_PTE_XSC3: int

class Processor:
    set_pte: int
    writethrough: bool
    def __init__(self, set_pte: int = ..., writethrough: bool = ...) -> None: ...
    def __deepcopy__(self, memo: dict[int, object]) -> Processor: ...
    def hardware_entry(self, pte: int, ext: int = ...) -> int: ...
    def cpu_set_pte_ext(self, ram: PhysicalMemory, ptep_pa: int, pte: int, ext: int = ...) -> None: ...
