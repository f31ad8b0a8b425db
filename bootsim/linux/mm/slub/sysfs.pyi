from bootsim.linux.mm.slub.objects import Slub
from bootsim.linux.mm.slub.slabs import SlubCache

def sysfs(slub: Slub, s: SlubCache) -> dict[str, str | None]: ...
