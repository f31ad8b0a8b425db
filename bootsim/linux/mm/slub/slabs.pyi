from bootsim.linux.mm.slab_common import KmemCache, SlabAllocator
from bootsim.linux.mm.slub.report import SlubReport

class SlubCache(KmemCache):
    min_partial: int
    cpu_partial: int
    offset: int
    inuse: int
    red_left_pad: int
    oo: int
    min_oo: int
    max_oo: int
    allocflags: int
    random: int
    node_va: int
    nr_partial: int
    nr_slabs: int
    total_objects: int

class SlubSlabs(SlabAllocator):
    kmem_cache_node: SlubCache
    slub_min_order: int
    slub_max_order: int
    slub_min_objects: int
    slub_debug: bool
    slub_cpu_partial: bool

    def report(self) -> SlubReport: ...
