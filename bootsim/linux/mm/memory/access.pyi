from bootsim.linux.mm.memory.fault import ProcessPages
from bootsim.linux.mm.mmap.structs import Task

def access_user(task: Task, pages: ProcessPages, addr: int, size: int,
                data: bytes | None = None) -> bytes | tuple[int, int, int]: ...
def do_page_fault(task: Task, pages: ProcessPages, addr: int, write: bool, execute: bool = False
                  ) -> tuple[int, int]: ...
