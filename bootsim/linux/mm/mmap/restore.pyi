from typing import Any

from bootsim.linux.mm.mmap.structs import Task, VmOperationsStruct

def restore(task: Task, start: int, end: int, vm_flags: int, pgoff: int, file: Any = None,
            vm_ops: VmOperationsStruct | None = None) -> int: ...
def make_anon(task: Task, addr: int) -> None: ...
