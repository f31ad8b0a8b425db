"""The files of /sys/kernel/slab (mm/slub.c)."""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.slab_common cimport (
    SLAB_CACHE_DMA, SLAB_CONSISTENCY_CHECKS, SLAB_HWCACHE_ALIGN, SLAB_POISON, SLAB_RECLAIM_ACCOUNT, SLAB_RED_ZONE,
    SLAB_STORE_USER, SLAB_TRACE, SLAB_TYPESAFE_BY_RCU, check_own)
from bootsim.linux.mm.slub.objects cimport Slub
from bootsim.linux.mm.slub.slabs cimport *

# the files of CONFIG_SLUB_STATS, in their order
_STATS = {
    "alloc_fastpath": ALLOC_FASTPATH, "alloc_slowpath": ALLOC_SLOWPATH, "free_fastpath": FREE_FASTPATH,
    "free_slowpath": FREE_SLOWPATH, "free_frozen": FREE_FROZEN, "free_add_partial": FREE_ADD_PARTIAL,
    "free_remove_partial": FREE_REMOVE_PARTIAL, "alloc_from_partial": ALLOC_FROM_PARTIAL, "alloc_slab": ALLOC_SLAB,
    "alloc_refill": ALLOC_REFILL, "alloc_node_mismatch": ALLOC_NODE_MISMATCH, "free_slab": FREE_SLAB,
    "cpuslab_flush": CPUSLAB_FLUSH, "deactivate_full": DEACTIVATE_FULL, "deactivate_empty": DEACTIVATE_EMPTY,
    "deactivate_to_head": DEACTIVATE_TO_HEAD, "deactivate_to_tail": DEACTIVATE_TO_TAIL,
    "deactivate_remote_frees": DEACTIVATE_REMOTE_FREES, "deactivate_bypass": DEACTIVATE_BYPASS,
    "order_fallback": ORDER_FALLBACK, "cmpxchg_double_fail": CMPXCHG_DOUBLE_FAIL,
    "cmpxchg_double_cpu_fail": CMPXCHG_DOUBLE_CPU_FAIL, "cpu_partial_alloc": CPU_PARTIAL_ALLOC,
    "cpu_partial_free": CPU_PARTIAL_FREE, "cpu_partial_node": CPU_PARTIAL_NODE, "cpu_partial_drain": CPU_PARTIAL_DRAIN,
}


def sysfs(Slub slub not None, SlubCache s not None):
    """What the files of /sys/kernel/slab/<cache> say, by name, without the line's end; None for -ENOSYS.

    Source: mm/slub.c slab_attrs[], show_slab_objects()
    Differs: nothing is written to one.
    """
    cdef uint32_t cpu, pages = 0, objects = 0, slabs = 0
    cdef KmemCacheCpu *c
    each = ""
    check_own(slub, s)
    for cpu in range(slub.g.nr_cpus):
        c = &s.cpus[cpu]
        nr, held = (0, 0) if c.partial == LIST_END else divmod(slub.g.map[c.partial].prev, 0x10000)[::-1]
        pages, objects = pages + nr, objects + held
        each += f" C{cpu}={held}({nr})" if nr and slub.k.build.config.SMP else ""
        slabs += 0 if c.page == LIST_END else 1 + nr
    inuse = sum([inuse_of(&slub.g.map[<uint32_t>pfn]) for pfn in slub.slabs_in(s.partial.first)])
    files = {
        "slab_size": s.size, "object_size": s.object_size, "objs_per_slab": s.oo & 0xFFFF, "order": s.oo >> 16,
        "min_partial": s.min_partial, "cpu_partial": s.cpu_partial,
        "objects": s.total_objects - slub.count_free(s) if slub.slub_debug else 0, "objects_partial": inuse,
        "partial": s.nr_partial, "cpu_slabs": slabs, "ctor": getattr(s.ctor, "__name__", "") if s.ctor else "",
        "aliases": max(s.refcount - 1, 0), "align": s.align, "hwcache_align": s.flags & SLAB_HWCACHE_ALIGN != 0,
        "reclaim_account": s.flags & SLAB_RECLAIM_ACCOUNT != 0,
        "destroy_by_rcu": s.flags & SLAB_TYPESAFE_BY_RCU != 0, "shrink": "",
        "slabs_cpu_partial": f"{objects}({pages}){each}",
    }
    if slub.slub_debug:
        flags = (("sanity_checks", SLAB_CONSISTENCY_CHECKS), ("trace", SLAB_TRACE), ("red_zone", SLAB_RED_ZONE),
                 ("poison", SLAB_POISON), ("store_user", SLAB_STORE_USER))
        files |= {"total_objects": s.total_objects, "slabs": s.nr_slabs}
        files |= {name: s.flags & flag != 0 for name, flag in flags}
        files |= {"validate": "", "alloc_calls": slub.list_locations(s, 0), "free_calls": slub.list_locations(s, 1)}
    files |= {"cache_dma": s.flags & SLAB_CACHE_DMA != 0} if slub.zone_dma else {}
    files |= {name: _count(slub, s, item) for name, item in _STATS.items()} if s.stats != NULL else {}
    files |= {"usersize": s.usersize}
    return {name: value if value is None else f"{value:d}" if isinstance(value, bool) else f"{value}"
            for name, value in files.items()}


cdef str _count(Slub slub, SlubCache s, uint32_t item):
    # show_stat()
    cdef uint32_t cpu, count
    cdef uint32_t total = 0
    each = ""
    for cpu in range(min(<uint32_t>slub.k.nr_online_cpus, slub.g.nr_cpus)):
        count = s.stats[cpu * NR_SLUB_STAT_ITEMS + item]
        total += count
        each += f" C{cpu}={count}" if count and slub.k.build.config.SMP else ""
    return f"{total}{each}"
