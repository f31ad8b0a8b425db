from collections.abc import Callable

from bootsim.linux.include.linux.fs import File
from bootsim.linux.mm.mmap.structs import Task

class LinuxBinprm: ...

def bprm_execve(task: Task, file: File, load_binary: Callable[[LinuxBinprm], int], argv: list[bytes],
                envp: list[bytes], open_exec: Callable[[str], File | int] | None = None) -> int: ...
