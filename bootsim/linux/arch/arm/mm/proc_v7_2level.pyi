from bootsim.hw.memory import PhysicalMemory

TTB_FLAGS_UP: int
TTB_FLAGS_SMP: int
PMD_FLAGS_UP: int
PMD_FLAGS_SMP: int
PRRR: int
NMRR: int
CRVAL_CLEAR: int
CRVAL_MMUSET: int

def cpu_v7_set_pte_ext(ram: PhysicalMemory, ptep_pa: int, pte: int, ext: int) -> None: ...
def hardware_entry(pte: int, ext: int = 0) -> int: ...
