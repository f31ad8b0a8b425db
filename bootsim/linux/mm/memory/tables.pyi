from bootsim.linux import Kernel
from bootsim.linux.mm.mmap.structs import UserPages

class TablePages(UserPages):
    def __init__(self, k: Kernel) -> None: ...
