from collections.abc import Callable
from typing import Any

from bootsim.linux.mm.mmap.structs import Task, UserPages, VmOperationsStruct

SIGBUS: int
SIGSEGV: int

class BarePages(UserPages):
    def __init__(self, shmem_file: Callable[[int, int], Any] | None = None) -> None: ...
    @property
    def shmem_file(self) -> Callable[[int, int], Any] | None: ...

def touch(task: Task, addr: int, write: bool) -> int: ...
def restore(task: Task, start: int, end: int, vm_flags: int, pgoff: int, file: Any = None,
            vm_ops: VmOperationsStruct | None = None) -> int: ...
def make_anon(task: Task, addr: int) -> None: ...
