from bootsim.linux.mm.slub.objects import Slub
from bootsim.linux.mm.slub.slabs import SlubCache

class SlubDebug(Slub):
    def trace(self, s: SlubCache, pfn: int, va: int, alloc: bool) -> None: ...
