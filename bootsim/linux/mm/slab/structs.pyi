from bootsim.linux.mm.slab_common import KmemCache

class SlabCache(KmemCache):
    limit: int
    batchcount: int
    shared: int
    num: int
    gfporder: int
    allocflags: int
    colour: int
    colour_off: int
    freelist_size: int
    obj_offset: int
    freelist_cache: KmemCache | None
    node_va: int
    shared_va: int
    total_slabs: int
    free_slabs: int
    free_objects: int
    free_limit: int
    colour_next: int
    free_touched: bool
