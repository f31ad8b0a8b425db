from collections.abc import Callable
from typing import Any

from bootsim.lab.contigrange import ContigRange
from bootsim.lab.hints import SkipHints
from bootsim.lab.mappings import MappingTraffic
from bootsim.lab.processors import Processors
from bootsim.linux.mm.page_alloc import Pglist

class PageTraffic:
    contig: list[ContigRange]
    hints: SkipHints
    asked: int
    wrong: int
    first_wrong: tuple[int, str] | None
    def __init__(self, pgdat: Pglist) -> None: ...
    driver: Any
    own: Callable[[int], None] | None
    held: bytearray | None
    mappings: MappingTraffic | None
    cpus: Processors
    strayed: list[int]
    passed_over: int
    ends: dict[int, tuple[int, int]]
    def run(self, events: memoryview, answers: memoryview, start: int, stop: int) -> int: ...
