from bootsim.linux.mm.page_alloc import Pglist

class PageTraffic:
    contig: list[list[int]]
    asked: int
    wrong: int
    first_wrong: tuple[int, str] | None
    def __init__(self, pgdat: Pglist) -> None: ...
    def run(self, events: memoryview, answers: memoryview, start: int, stop: int) -> int: ...
