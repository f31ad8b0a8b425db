from typing import Literal, NamedTuple, final

from bootsim.hw.memory import PhysicalMemory

class MemoryType(NamedTuple):
    type: str
    inner: str
    outer: str
    shareable: bool
    outer_shareable: bool

class Permissions(NamedTuple):
    privileged: str
    user: str
    xn: bool
    pxn: bool

KINDS: tuple[str, ...]
ACCESSES: dict[str, int]

@final
class Cp15:
    sctlr: int
    ttbr0: int
    ttbr1: int
    ttbcr: int
    dacr: int
    prrr: int
    nmrr: int
    contextidr: int
    dfsr: int
    dfar: int
    ifsr: int
    ifar: int
    @property
    def id_mmfr0(self) -> int: ...
    @property
    def supersections(self) -> bool: ...
    @property
    def asid(self) -> int: ...
    def __init__(
        self,
        sctlr: int = 0,
        ttbr0: int = 0,
        ttbr1: int = 0,
        ttbcr: int = 0,
        dacr: int = 0,
        prrr: int = 0,
        nmrr: int = 0,
        contextidr: int = 0,
        id_mmfr0: int = 3,
        supersections: bool = False,
    ) -> None: ...
    def copy(self) -> Cp15: ...
    def take(self, fault: Fault) -> None: ...

def memory_type(texcb: int, shared: bool, sctlr: int, prrr: int = 0, nmrr: int = 0) -> MemoryType: ...

@final
class Translation:
    @property
    def va(self) -> int: ...
    @property
    def pa(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def page_bytes(self) -> int: ...
    @property
    def memory(self) -> MemoryType: ...
    @property
    def permissions(self) -> Permissions: ...
    @property
    def ap(self) -> int: ...
    @property
    def domain(self) -> int: ...
    @property
    def domain_access(self) -> str: ...
    @property
    def is_global(self) -> bool: ...
    @property
    def descriptors(self) -> tuple[tuple[int, int], ...]: ...
    def __bool__(self) -> Literal[True]: ...

@final
class Fault:
    @property
    def va(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def access(self) -> str: ...
    @property
    def domain(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def fsr(self) -> int: ...
    @property
    def descriptors(self) -> tuple[tuple[int, int], ...]: ...
    def __bool__(self) -> Literal[False]: ...

def translate(
    ram: PhysicalMemory,
    cp15: Cp15,
    va: int,
    access: Literal["read", "write", "execute"] = "read",
    privileged: bool = True,
) -> Translation | Fault: ...
def alignment_fault(cp15: Cp15, va: int, access: Literal["read", "write"]) -> Fault: ...
def external_abort(cp15: Cp15, found: Translation, access: Literal["read", "write", "execute"]) -> Fault: ...
