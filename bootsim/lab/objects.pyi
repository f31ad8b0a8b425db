from bootsim.lab.pages import PageTraffic
from bootsim.linux import Kernel
from bootsim.linux.mm.slub.objects import Slub

class ObjectTraffic:
    allocator: Slub
    wrong: int
    late_pages: int
    first_wrong: tuple[int, str] | None
    def __init__(
        self, k: Kernel, pages: PageTraffic, events: memoryview, names: dict[int, tuple[str, int]]
    ) -> None: ...
    def waits(self, i: int, kind: int) -> bool: ...
    def run(self, events: memoryview, answers: memoryview, start: int, stop: int) -> int: ...
