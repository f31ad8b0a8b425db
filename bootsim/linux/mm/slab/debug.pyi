from bootsim.linux import Kernel
from bootsim.linux.mm.slab_common import PageSource, SlabAllocator

class SlabChecks(SlabAllocator):
    def __init__(self, k: Kernel, pages: PageSource | None = None) -> None: ...
