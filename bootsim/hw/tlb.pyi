from array import array
from typing import Literal, NamedTuple, final

from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15, Fault, Translation

class TlbEntry(NamedTuple):
    va: int
    pa: int
    kind: str
    asid: int
    is_global: bool
    descriptors: tuple[tuple[int, int], ...]

@final
class Tlb:
    sets: int
    ways: int
    hits: int
    misses: int
    evictions: int
    invalidated: int
    forgotten: int
    listens: bool
    def __init__(self, entries: int = 128, ways: int = 2) -> None: ...
    def translate(
        self,
        ram: PhysicalMemory,
        cp15: Cp15,
        va: int,
        access: Literal["read", "write", "execute"] = "read",
        privileged: bool = True,
    ) -> Translation | Fault: ...
    def run(
        self,
        ram: PhysicalMemory,
        cp15: Cp15,
        addresses: array[int],
        access: Literal["read", "write", "execute"] = "read",
        privileged: bool = True,
        rounds: int = 1,
    ) -> int: ...
    def holds(self, cp15: Cp15, va: int) -> bool: ...
    def tlbiall(self) -> None: ...
    def tlbiasid(self, asid: int) -> None: ...
    def tlbimva(self, mva: int) -> None: ...
    def tlbimvaa(self, mva: int) -> None: ...
    def entries(self) -> list[TlbEntry]: ...
    def statistics(self) -> dict[str, int]: ...
    def __len__(self) -> int: ...
    def __deepcopy__(self, memo: dict[int, object]) -> Tlb: ...
