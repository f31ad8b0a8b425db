from typing import Any

class SwapInfo:
    path: str
    flags: int
    prio: int
    type: int
    max: int
    pages: int
    inuse_pages: int
    lowest_bit: int
    highest_bit: int
    cluster_next: int
    cluster_nr: int
    available: bool
    memory: dict[str, Any]
    def swap_map(self) -> bytes: ...
    def clusters(self) -> tuple[list[tuple[int, bool]], list[int]]: ...
