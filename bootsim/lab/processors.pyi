from typing import Any

from bootsim.linux.mm.page_alloc import Pglist

class Processors:
    most: int
    def __init__(self, k: Any, pgdat: Pglist, events: memoryview | None) -> None: ...
