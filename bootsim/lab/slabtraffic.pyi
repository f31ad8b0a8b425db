from bootsim.lab.pages import PageTraffic
from bootsim.linux import Kernel
from bootsim.linux.mm.slab.objects import Slab

class SlabTraffic:
    allocator: Slab
    wrong: int
    first_wrong: tuple[int, str] | None
    def __init__(self, k: Kernel, pages: PageTraffic, names: dict[int, tuple[str, int]]) -> None: ...
    def waits(self, i: int, kind: int) -> bool: ...
    def run(self, events: memoryview, answers: memoryview, start: int, stop: int) -> int: ...
