# cython: nonecheck=True
"""Moving pages: who holds them is told where they have gone (mm/migrate.c).

A machine has one table of holders. Compaction and contiguous ranges ask it what may move, and have it move pages; they
know nothing else of processes, files or drivers. Pages of processes and files are the business of `users`
(mm/memory/migration).
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.errno cimport EAGAIN, EBUSY, ENOMEM
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist, check_pfn, check_pfn_range, round_up
from bootsim.linux.mm.page_alloc.report cimport alloc_failed, tell_events_so_far
from bootsim.linux.mm.page_alloc.slowpath cimport alloc_pages_nodemask
from bootsim.linux.mm.page_alloc.structs cimport *

from copy import deepcopy
from weakref import ProxyType, proxy

from bootsim.linux.mm.page_alloc.node import PageFrameError

cdef enum:
    CLUSTER = 32            # COMPACT_CLUSTER_MAX
    TRIES = 5
    PASSES = 10


cdef class MappedPages:
    """What migration asks of processes and files about their pages (mm/memory/migration)."""

    cdef bint movable(self, uint32_t pfn, uint32_t gfp_mask) except -1:
        return False

    cdef bint isolate(self, uint32_t pfn, int mode) except -1:
        return False

    cdef int putback(self, uint32_t pfn) except -1:
        return 0

    cdef int drain(self, bint everywhere) except -1:
        return 0

    cdef int move(self, uint32_t old, uint32_t new) except? 1:
        return -EAGAIN

    cdef list reclaim_clean(self, list page_list):
        return page_list


cdef class PageHolders:
    """Who holds the movable pages of the machine `k`.

    A holder is anything with a method moved(old_pfn, new_pfn), or None. Its pages count as on a list of pages of
    processes or files (PG_lru), one reference each.
    """

    def __init__(self, k, Pglist pgdat not None):
        self.k = k if isinstance(k, ProxyType) else proxy(k)
        self.by_pfn = {}
        self.g = pgdat.g
        self.owners.self = <void *>self
        self.owners.movable = &movable
        self.owners.isolate = &isolate
        self.owners.putback = &putback
        self.owners.move = &move
        self.owners.drain = &drain
        self.owners.frees = True

    def copy_for(self, Pglist pgdat not None, memo):
        """The table of a copied machine, whose page map is `pgdat`: copies of the holders hold the copied pages."""
        cdef PageHolders new = PageHolders(deepcopy(self.k, memo), pgdat)
        memo[id(self)] = new
        pgdat.g.owners = &new.owners
        new.by_pfn, new.moved = deepcopy(self.by_pfn, memo), self.moved
        new.users = deepcopy(self.users, memo)
        return new

    def __len__(self):
        return len(self.by_pfn)

    def holder(self, uint32_t pfn):
        """Who holds a page. Raises KeyError when it is nobody here."""
        return self.by_pfn[pfn]

    def holds(self, uint32_t pfn):
        """Whether somebody here holds the page."""
        return pfn in self.by_pfn

    def hold(self, uint32_t pfn, holder=None):
        """Say that `holder` holds the allocated page `pfn`, and that it may move. Raises PageFrameError."""
        cdef Page *page
        check_pfn(self.g, pfn, 0)
        page = &self.g.map[pfn]
        if page.refcount != 1 or PageCompound(page) or page.flags & (PG_reserved | PG_slab) or PageBuddy(page):
            raise PageFrameError(f"pfn {pfn:#x}: expected an allocated single page with one reference, to be movable")
        page.flags |= PG_lru
        self.by_pfn[pfn] = holder

    def let_go(self, uint32_t pfn):
        """Say that nobody holds the page any more; it is to be freed as any other. Raises PageFrameError."""
        if pfn not in self.by_pfn:
            raise PageFrameError(f"pfn {pfn:#x}: nobody holds it as a movable page")
        del self.by_pfn[pfn]
        self.g.map[pfn].flags &= ~<uint32_t>PG_lru

    cdef int moves(self, uint32_t old, uint32_t new) except -1:
        # migrate_page(): content, flags and holder go from one frame to the other
        ram = self.k.machine.ram
        holder = self.by_pfn.pop(old)
        ram.write(<int64_t>new << PAGE_SHIFT, ram.read(<int64_t>old << PAGE_SHIFT, PAGE_SIZE))
        self.by_pfn[new] = holder
        self.g.map[new].flags |= PG_lru
        self.moved += 1
        if holder is not None:
            holder.moved(old, new)
        return 0


cdef void raised(PageHolders holders, error):
    # an exception cannot pass through compaction: it stops, and whoever began it raises
    holders.error = error
    holders.owners.stop = True


cdef int movable(void *self, uint32_t pfn, int mode, uint32_t gfp_mask) noexcept nogil:
    with gil:
        holders = <PageHolders>self
        if pfn in holders.by_pfn:
            return MOVABLE_LRU if holders.g.map[pfn].flags & PG_lru else NOT_MOVABLE
        if holders.users is not None and holders.users.movable(pfn, gfp_mask):
            return MOVABLE_LRU
        return NOT_MOVABLE


cdef bint isolate(void *self, uint32_t pfn, int mode) noexcept nogil:
    with gil:
        holders = <PageHolders>self
        if pfn not in holders.by_pfn:
            return holders.users.isolate(pfn, mode)
        holders.g.map[pfn].flags &= ~<uint32_t>PG_lru
        return True


cdef void putback(void *self, uint32_t pfn) noexcept nogil:
    with gil:
        holders = <PageHolders>self
        if pfn not in holders.by_pfn:
            holders.users.putback(pfn)
        else:
            holders.g.map[pfn].flags |= PG_lru


cdef void drain(void *self, bint everywhere) noexcept nogil:
    with gil:
        if (<PageHolders>self).users is not None:
            (<PageHolders>self).users.drain(everywhere)


cdef int move(void *self, uint32_t old, uint32_t new_, int mode) noexcept nogil:
    cdef int rc
    with gil:
        holders = <PageHolders>self
        try:
            if old in holders.by_pfn:
                holders.moves(old, new_)
                return 0
            rc = holders.users.move(old, new_)
            holders.moved += rc == 0
            return rc
        except Exception as error:
            raised(holders, error)
        return 0


def page_holders(k):
    """The machine's table of holders, made at the first call. Source: none, bootsim's own"""
    cdef Pglist p = k.mm.pgdat
    cdef PageHolders holders
    if p.holders is None:
        holders = PageHolders(k, p)
        p.holders = holders
        p.g.owners = &holders.owners
    return p.holders


cdef int raise_what_a_holder_raised(Pglist p) except -1:
    cdef PageHolders holders
    if p.holders is not None:
        holders = p.holders
        if holders.error is not None:
            error, holders.error = holders.error, None
            holders.owners.stop = False
            raise error
    return 0


cdef uint32_t alloc_migration_target(k, Pglist p, uint32_t pfn, bint quiet) except? 1:
    # A frame for a page that leaves a contiguous range: of high or movable memory for a page of those.
    cdef uint32_t gfp_mask = GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL
    cdef const Zone *zone = page_zone(p.g, pfn)
    cdef uint32_t found
    if zone.highmem or zone.index == p.g.gfp_zone[__GFP_MOVABLE | __GFP_HIGHMEM]:
        gfp_mask |= __GFP_HIGHMEM
    found = alloc_pages_nodemask(p.g, gfp_mask, 0)
    if found == NO_PAGE and not quiet:
        tell_events_so_far(k, p)
        alloc_failed(k, p, gfp_mask, 0)
    return found


cdef list reclaim_clean(Pgdat *g, list batch):
    # reclaim_clean_pages_from_list() of what processes and files hold
    cdef PageHolders holders = <PageHolders>g.owners.self
    if holders.users is None:
        return batch
    held = [pfn for pfn in batch if pfn in holders.by_pfn]
    try:
        return holders.users.reclaim_clean([pfn for pfn in batch if pfn not in holders.by_pfn]) + held
    except Exception as error:
        raised(holders, error)
    return batch


cdef int migrate_pages(k, Pglist p, list batch, bint quiet) except? -2:
    # Leaves in `batch` what may be tried again; how many have not moved, or -ENOMEM.
    cdef Pgdat *g = p.g
    cdef uint32_t old, new
    cdef int rc, passes = 0, failed = 0, succeeded = 0
    cdef bint no_target = False, again = True
    while passes < PASSES and again and not no_target:
        passes += 1
        again = False
        for old in tuple(batch):
            new = alloc_migration_target(k, p, old, quiet)
            if new == NO_PAGE:
                no_target = True
                break
            rc = g.owners.move(g.owners.self, old, new, MIGRATE_SYNC)
            free_pages_by_refcount(g, new if rc else old, 0)
            if rc == -EAGAIN:
                again = True
                continue
            batch.remove(old)
            if rc == 0:
                succeeded += 1
            else:
                failed += 1
                g.owners.putback(g.owners.self, old)
    failed += 1 if no_target else len(batch)
    count_vm_events(g, PGMIGRATE_SUCCESS, succeeded)
    count_vm_events(g, PGMIGRATE_FAIL, failed)
    return -ENOMEM if no_target else failed


cdef inline bint starts_pageblock(const Pgdat *g, uint32_t pfn) noexcept nogil:
    return not pfn & ((<uint32_t>1 << g.pageblock_order) - 1)


cdef int migrate_range(k, Pglist p, uint32_t start, uint32_t end) except 1:
    # What may move in [start, end) goes elsewhere, up to 32 pages at a time, but for clean pages of files, which are
    # dropped; 0 or -errno.
    cdef Pgdat *g = p.g
    cdef uint32_t pfn = start
    cdef list batch
    cdef int ret = 0, tries, kind
    cdef bint in_vain = False  # the pageblock was looked through from its start, and nothing in it can be moved
    if g.owners.drain != NULL:
        g.owners.drain(g.owners.self, True)
    while pfn < end and not g.owners.stop:
        batch = []
        while pfn < end and len(batch) < CLUSTER:
            if starts_pageblock(g, pfn):
                in_vain = True
            if not PageBuddy(&g.map[pfn]):
                kind = g.owners.movable(g.owners.self, pfn, MIGRATE_SYNC, GFP_KERNEL)
                if kind == MOVABLE_LRU:
                    in_vain = False
                if kind != NOT_MOVABLE and g.owners.isolate(g.owners.self, pfn, MIGRATE_SYNC):
                    in_vain = False
                    batch.insert(0, pfn)
            pfn += 1
            if in_vain and (pfn == end or starts_pageblock(g, pfn)):
                set_pageblock_skip(g, page_zone(g, pfn - 1), pfn - 1, True)
        count_vm_events(g, COMPACTISOLATED, len(batch))
        tries = 0
        while batch and tries < TRIES:
            batch = reclaim_clean(g, batch)
            ret = migrate_pages(k, p, batch, tries > 0)
            tries += 1
        if batch:
            for old in batch:
                g.owners.putback(g.owners.self, old)
            return ret if ret < 0 else -EBUSY
    return 0


def empty_range(k, uint32_t start, uint32_t end):
    """Move what may move out of [start, end), whose pageblocks are isolated; 0 or -errno. Raises what a holder raises.

    A pageblock of which the range holds the start, and in it nothing that may move, is one that compaction passes by
    from then on.

    Source: mm/page_alloc.c __alloc_contig_migrate_range(), mm/migrate.c migrate_pages(), mm/compaction.c
        isolate_migratepages_range()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t pfn
    cdef int ret = 0
    check_pfn_range(p.g, start, end)
    if p.g.owners != NULL and p.g.owners.frees:
        ret = migrate_range(k, p, start, end)
        p.raise_death()
        raise_what_a_holder_raised(p)
    else:
        for pfn in range(round_up(start, <uint32_t>1 << p.g.pageblock_order), end, 1 << p.g.pageblock_order):
            set_pageblock_skip(p.g, page_zone(p.g, pfn), pfn, True)
    return ret
