from collections.abc import Callable

from bootsim.linux.fs.exec import LinuxBinprm
from bootsim.linux.include.linux.fs import File
from bootsim.linux.mm.mmap.structs import Task

def load_elf_binary(bprm: LinuxBinprm) -> int: ...
def execve(task: Task, file: File, argv: list[bytes], envp: list[bytes],
           open_exec: Callable[[str], File | int] | None = None) -> int: ...
