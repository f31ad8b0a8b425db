# cython: nonecheck=True
"""Compaction, asked for from Python: /proc/sys/vm/compact_memory and the indices of fragmentation."""

from bootsim.linux.mm.compaction.compact cimport compact_node, compaction_suitable_of, fragmentation_index_of
from bootsim.linux.mm.migrate cimport raise_what_a_holder_raised
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport COMPACT_CONTINUE, COMPACT_SKIPPED, COMPACT_SUCCESS

from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.page_alloc.node import PageFrameError


cdef int _check(Pglist p, zone, order) except -1:
    if not 0 <= zone < p.g.nr_zones or not 0 <= order < p.g.max_order:
        raise PageFrameError(f"zone {zone}, order {order}: expected a zone below {p.g.nr_zones}, an order below "
                             f"{p.g.max_order}")
    return 0


def compact_memory(k):
    """Compact every zone, whatever it costs; how many pages moved.

    Pages of processes and files can move, and those with a holder (bootsim.linux.mm.migrate). Raises PageFrameError
    without CONFIG_COMPACTION.
    Source: mm/compaction.c sysctl_compaction_handler(), compact_nodes()
    """
    cdef Pglist p = k.mm.pgdat
    if not p.g.compaction:
        raise PageFrameError("compact_memory: this kernel has no CONFIG_COMPACTION")
    holders = page_holders(k)
    before = holders.moved
    compact_node(p.g)
    raise_what_a_holder_raised(p)
    step(k, "compact_memory: {pages} pages moved", func="compact_nodes", pages=holders.moved - before)
    return holders.moved - before


def fragmentation_index(k, zone, order):
    """Why a request of this order would fail in the zone: towards 0 for lack of memory, towards 1000 for pieces.

    -1000: it would not fail.
    Source: mm/vmstat.c fragmentation_index()
    """
    cdef Pglist p = k.mm.pgdat
    _check(p, zone, order)
    return fragmentation_index_of(p.g, &p.g.zones[zone], order)


def compaction_suitable(k, zone, order):
    """Whether compaction would help: "skipped" (too little is free), "success" (there is a block) or "continue".

    Source: mm/compaction.c compaction_suitable()
    """
    cdef Pglist p = k.mm.pgdat
    _check(p, zone, order)
    return {COMPACT_SKIPPED: "skipped", COMPACT_SUCCESS: "success", COMPACT_CONTINUE: "continue"}[
        compaction_suitable_of(p.g, &p.g.zones[zone], order, 0, zone)]
