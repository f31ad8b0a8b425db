"""Page traffic, replayed: what a recorded kernel was asked goes to the page allocator, and its answers are kept.

Of records of four words, kind, a, b, c, those of pages are handled here, the rest is passed over. The answer to one is
worked out before the recorded one is looked at; only when they differ is the recorded page taken out of the lists.

Two things decide the allocator's answers that no record tells: when the kernel lets its requests sleep (here: when it
first sets its watermarks, which is one initcall later), and which pages could have been moved (record 13 counts them).
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from bootsim.errno cimport EAGAIN
from bootsim.lab.kinds cimport (
    BOOST, CACHE, CMA_ALLOC, CMA_RELEASE, COMPACT, CONTIG_ENTER, CONTIG_LEAVE, CPU, DRAIN, FOLD, FREE_BLOCK, FREE_ONE,
    ISOLATE_FREE, LRU_ISOLATED, MOVED, PAGEBLOCK, PAGESET, PUT_BACK, REQUEST, STEAL, THRESHOLD, TURN_LIST, WATERMARKS)
from bootsim.lab.mappings cimport is_mapping
from bootsim.linux.mm.compaction.compact cimport compact_zone, compaction_suitable_of
from bootsim.lab.blocks cimport check_records, holds, in_use, turn
from bootsim.lab.contigrange cimport contig_range, isolated_for
from bootsim.lab.hints cimport SkipHints
from bootsim.lab.processors cimport Processors
from bootsim.linux.mm.compaction.skip cimport COMPACT_PRIO_ASYNC, COMPACT_PRIO_SYNC_FULL, COMPACT_PRIO_SYNC_LIGHT
from bootsim.linux.mm.page_alloc cimport (
    COMPACT_COMPLETE, COMPACT_CONTENDED, COMPACT_CONTINUE, COMPACT_PARTIAL_SKIPPED, MIGRATE_SYNC_LIGHT,
    FPI_SKIP_REPORT_NOTIFY, FPI_TO_TAIL, GFP_KERNEL, GFP_ZONEMASK, MIGRATE_ASYNC, MIGRATE_CMA, MIGRATE_HIGHATOMIC,
    MIGRATE_ISOLATE, NO_PAGE, PG_head, PG_reserved, MOVABLE_LRU, NOT_MOVABLE,
    CompactControl, Page, Pgdat, Pglist, TOOK_FREE_BLOCK, FOUND_NOTHING, STAYS_LAST, alloc_pages_nodemask,
    block_of, drain_pages_zone_of, free_pages_ok, free_unref_page_of, get_pageblock, gfp_migratetype,
    isolate_free_page, move_block, prep_new_page, put_free_block, take_free_page, unreserve_highatomic_pageblock,
    zone_of)
from bootsim.linux.mm.page_alloc.gfp cimport (
    GFP_USER, PAGE_ALLOC_COSTLY_ORDER, __GFP_HIGHMEM, __GFP_MOVABLE, __GFP_RETRY_MAYFAIL)

cdef enum:
    LEFT_ALONE = 0x7FFFFFFF     # a mode of record 17 without its mark
    # what __alloc_contig_migrate_range() asks for pages with, and __GFP_HIGHMEM where that fits
    GFP_MIGRATION_TARGET = GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL


cdef class PageTraffic:
    """One kernel's page allocator under recorded traffic, from record to record.

    `asked` and `wrong` count requests and answers that differ from the recorded ones; `first_wrong` is the first
    difference as a tuple of the record's index and a sentence; `strayed` has the records at which a compaction went
    another way. `contig` holds each alloc_contig_range() since the last answer of CMA.
    """

    def __init__(self, Pglist pgdat not None):
        self.p = pgdat
        self.free_pages, self.isolated, self.contig = [], [], []
        self.last_isolated = self.last_target = NO_PAGE
        self.taken, self.in_hands, self.outer, self.ends, self.strayed = set(), set(), set(), {}, []
        self.captured = NO_PAGE
        self.prio = self.waiting = -1
        self.hints = SkipHints.__new__(SkipHints)
        self.hints.g = pgdat.g
        self.cpus = Processors(None, pgdat, None)
        self.owners.self = <void *>self
        self.owners.movable = &movable
        self.owners.isolate = &isolate
        self.owners.putback = &putback
        self.owners.move = &move
        self.owners.told = &told

    def run(self, const uint32_t[:, ::1] events not None, uint32_t[:, ::1] answers not None, Py_ssize_t start,
            Py_ssize_t stop):
        """Handle the records [start, stop); returns the index of the first that needs the caller, or `stop`.

        The caller's are those of the boot's own doing (6, 7: pagesets and watermarks; 5 with the type of CMA outside
        a contiguous range) and of CMA (48, 49).
        """
        cdef Py_ssize_t i = start
        check_records(events, answers, start, stop)
        while i < stop and not self.is_for_caller(events[i, 0], events[i, 2]):
            i = self.one(events, i, answers)
        return i

    cdef bint is_for_caller(self, uint32_t kind, uint32_t b) noexcept:
        return kind in (PAGESET, WATERMARKS, CMA_ALLOC, CMA_RELEASE) or (
            kind == PAGEBLOCK and b == MIGRATE_CMA and self.contig_now is None)

    cdef Py_ssize_t one(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1:
        # Handles the record, and what belongs to it; the one after it.
        cdef uint32_t kind = events[i, 0]
        if kind == REQUEST:
            self.request(i, events[i, 1], events[i, 2], events[i, 3], answers)
        elif kind == FREE_ONE:
            self.free_one(events[i, 1], events[i, 3])
        elif kind == COMPACT and events[i, 3] > LEFT_ALONE and self.cc == NULL:
            self.events, self.answers = events, answers
            return self.compact(i)
        elif kind == CPU:
            self.cpus.on(events[i, 1])
        elif self.map(events, i, answers):
            pass
        elif kind < CACHE or kind == TURN_LIST:
            self.rare(i, kind, events[i, 1], events[i, 2], events[i, 3], events, answers)
        return i + 1

    cdef bint map(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1:
        # whether the record is one of kernel mappings, and done
        if self.mappings is None or not is_mapping(events[i, 0]):
            return False
        self.mappings.record(events, i, answers)
        return True

    cdef int request(self, Py_ssize_t i, uint32_t gfp_mask, uint32_t order, uint32_t real,
                     uint32_t[:, ::1] answers) except -1:
        cdef Pgdat *g = self.p.g
        cdef uint32_t pfn = self.hand_over(i, gfp_mask, order)
        if pfn == NO_PAGE:
            pfn = alloc_pages_nodemask(g, gfp_mask, order)
        if i == self.waiting and pfn != NO_PAGE:
            self.hints.answered(pfn, order)
        if self.prio_order == <int>order:
            self.prio = -1
        g.nr_movable_seen = g.movable_used = g.nr_bad = g.nr_events = 0
        self.asked += 1
        answers[i, 3] = pfn
        if pfn != real:
            self.differs(i, f"order {order} mask {gfp_mask:#x}: page {real:#x} in the recording, {pfn:#x} here")
            self.go_on_with(pfn, real, order)
        if gfp_mask & ~<uint32_t>__GFP_HIGHMEM == GFP_MIGRATION_TARGET:
            self.last_target = pfn
        if self.mappings is not None:
            self.mappings.page(gfp_mask, order, pfn, real)
        return 0

    cdef int differs(self, Py_ssize_t i, str what) except -1:
        self.wrong += 1
        if self.first_wrong is None:
            self.first_wrong = (i, what)
        return 0

    cdef int go_on_with(self, uint32_t ours, uint32_t real, uint32_t order) except -1:
        # Give back what the replay took, and take what the recorded kernel took.
        cdef Pgdat *g = self.p.g
        if ours != NO_PAGE:
            g.map[ours].refcount = 0
            free_pages_ok(g, ours, order, 0)
        if holds(self.p.g, real, order):
            take_free_page(g, real, order)
        g.nr_bad = 0
        return 0

    cdef int free_one(self, uint32_t pfn, uint32_t cpu) except -1:
        cdef Pgdat *g = self.p.g
        cdef Page *page = &g.map[pfn]
        if not holds(self.p.g, pfn, 0):
            raise ValueError(f"the recording frees page {pfn:#x}, which the machine has not")
        self.last_isolated = NO_PAGE
        if self.contig_now is not None and get_pageblock(g, pfn) == MIGRATE_ISOLATE:
            self.contig_now.take()
        if not in_use(self.p.g, pfn, 0) or pfn in self.in_hands:
            self.passed_over += 1
            return 0
        if page.flags & PG_reserved:
            page.flags &= ~<uint32_t>PG_reserved
            zone_of(g, pfn).managed_pages += 1
        page.refcount = page.page_type = 0
        page.flags &= ~<uint32_t>PG_head
        free_unref_page_of(g, pfn)
        return 0

    cdef int rare(self, Py_ssize_t i, uint32_t kind, uint32_t a, uint32_t b, uint32_t c,
                  const uint32_t[:, ::1] events, uint32_t[:, ::1] answers) except -1:
        cdef Pgdat *g = self.p.g
        if kind == FREE_BLOCK:
            self.free_block(a, b, c)
        elif kind == DRAIN and a < g.nr_cpus and b < g.nr_zones:
            drain_pages_zone_of(g, a, &g.zones[b])
        elif kind == PAGEBLOCK:
            self.pageblock(events, i, a, b)
        elif kind == CONTIG_ENTER:
            self.contig_now = contig_range(g, a, b)
            self.contig.append(self.contig_now)
        elif kind == CONTIG_LEAVE:
            answers[i, 3] = 0 if self.contig_now is not None and self.contig_now.taken else 0xFFFFFFF0U
            if self.contig_now is not None:
                self.contig_now.leave(c)
            self.contig_now = None
        elif kind == LRU_ISOLATED and self.in_contig(a):
            self.contig_now.finds_movable(a)
        elif kind == ISOLATE_FREE:
            self.isolate(a, b)
        elif kind == PUT_BACK:
            if self.last_isolated == a and holds(self.p.g, a, b):
                put_free_block(g, a, b, c, FPI_SKIP_REPORT_NOTIFY | FPI_TO_TAIL)
            self.last_isolated = NO_PAGE
        elif kind == STEAL:
            g.movable_seen[g.nr_movable_seen & 15] = b & 0xFFFF
            g.nr_movable_seen += 1
        elif kind == BOOST and c == 1 and a < g.nr_zones:
            g.zones[a].watermark_boost = b
            self.hints.tries_to_sleep(&g.zones[a])
        elif kind == FOLD:
            self.cpus.fold(i, a, answers)
        elif kind == THRESHOLD and a < g.nr_zones and b < g.nr_cpus:
            g.zones[a].pageset[b].stat_threshold = <int32_t>c
            self.hints.kswapd(&g.zones[a], c)
        elif kind == COMPACT:
            self.isolated, self.free_pages = [], []
        elif kind == MOVED:
            self.moved(i, a, b, c, answers)
        elif kind == TURN_LIST:
            turn(g, a, b, c)
        return 0

    cdef int free_block(self, uint32_t pfn, uint32_t order, uint32_t fpi_flags) except -1:
        cdef Pgdat *g = self.p.g
        if not holds(self.p.g, pfn, order):
            raise ValueError(f"the recording frees block {pfn:#x} of order {order}, which the machine has not")
        if not in_use(self.p.g, pfn, order) or not self.in_hands.isdisjoint(range(pfn, pfn + (1 << order))):
            self.passed_over += 1
            return 0
        g.map[pfn].refcount = 0
        free_pages_ok(g, pfn, order, fpi_flags)
        g.nr_bad = 0
        return 0

    cdef int pageblock(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t pfn,
                       uint32_t migratetype) except -1:
        # What is an answer (an allocation that steals or reserves a block) was done by the request itself, or will be.
        cdef Pgdat *g = self.p.g
        cdef uint32_t old
        if not holds(self.p.g, pfn, 0):
            return 0
        old = get_pageblock(g, pfn)
        if migratetype == MIGRATE_ISOLATE:
            move_block(g, pfn, MIGRATE_ISOLATE, True)
            if self.in_contig(pfn):
                self.contig_now.isolated += 1
        elif old == MIGRATE_ISOLATE:
            if self.contig_now is not None:
                self.contig_now.take()
                self.contig_now.undoing = True
            # unset_migratetype_isolate(): a block that was taken whole is put back after this
            move_block(g, pfn, migratetype, self.last_isolated != pfn)
        elif old == MIGRATE_HIGHATOMIC and self.contig_now is None and migratetype != MIGRATE_HIGHATOMIC:
            self.unreserve(events, i, pfn)
        return 0

    cdef int unreserve(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t pfn) except -1:
        # A request gives up a block that was kept for high-order atomic ones: when is recorded, which is answered.
        cdef Pgdat *g = self.p.g
        cdef Py_ssize_t ahead = i
        cdef uint32_t gfp_mask
        while ahead < events.shape[0] and not (events[ahead, 0] == REQUEST and self.cpus.same(i, ahead)):
            ahead += 1
        if ahead == events.shape[0]:
            return 0
        gfp_mask = events[ahead, 1]
        if not unreserve_highatomic_pageblock(g, g.gfp_zone[gfp_mask & GFP_ZONEMASK], gfp_migratetype(g, gfp_mask),
                                              False):
            unreserve_highatomic_pageblock(g, g.gfp_zone[gfp_mask & GFP_ZONEMASK], gfp_migratetype(g, gfp_mask), True)
        g.nr_events = 0
        if get_pageblock(g, pfn) == MIGRATE_HIGHATOMIC:
            self.differs(i, f"the block of page {pfn:#x} was given up for others in the recording, another one here")
        return 0

    cdef int isolate(self, uint32_t pfn, uint32_t order) except -1:
        cdef Pgdat *g = self.p.g
        cdef uint32_t i
        if not holds(self.p.g, pfn, order) or block_of(g, pfn) != pfn or g.map[pfn].private_ != order:
            return 0  # after a wrong answer
        isolate_free_page(g, pfn, order)
        for i in range(pfn, pfn + (<uint32_t>1 << order)):
            g.map[i].private_ = 0
            g.map[i].refcount = 1
        self.last_isolated = pfn if order >= g.pageblock_order else NO_PAGE
        if self.in_contig(pfn):
            self.contig_now.takes_block()
        else:
            self.isolated.append((pfn, order))
        return 0

    cdef int moved(self, Py_ssize_t i, uint32_t old, uint32_t new, uint32_t result, uint32_t[:, ::1] answers) except -1:
        # In a contiguous range the new page is the one that alloc_migration_target() asked for last; compaction takes
        # it from its own list, which split_map_pages() made of the blocks taken: the last one's last page comes first.
        if self.in_contig(old):
            self.contig_now.last_result = result
            answers[i, 2] = self.last_target
        else:
            if not self.free_pages:
                for pfn, order in reversed(self.isolated):
                    self.free_pages.extend(range(pfn + (1 << order) - 1, pfn - 1, -1))
                self.isolated.clear()
            answers[i, 2] = self.free_pages[0] if self.free_pages else NO_PAGE
            if self.free_pages and not result:
                del self.free_pages[0]
        answers[i, 3] = result
        if answers[i, 2] != new:
            self.differs(i, f"page {old:#x} moved to {new:#x} in the recording, {answers[i, 2]:#x} here")
        return 0

    cdef int moves(self, uint32_t old, uint32_t new_) noexcept:
        # Compaction moves a page: where to is answered; why it could not be moved is recorded.
        cdef Py_ssize_t i = self.at
        cdef int result
        if not self.is_next(MOVED, old):
            self.astray(f"page {old:#x} moves to {new_:#x}, in the recording another one, or none")
            return -EAGAIN
        self.answers[i, 2], self.answers[i, 3] = new_, self.events[i, 3]
        if self.events[i, 2] != new_:
            self.astray(f"page {old:#x} moves to {new_:#x}, in the recording to {self.events[i, 2]:#x}")
        result = <int32_t>self.events[i, 3]
        if result == 0:
            self.taken.discard(new_)
            self.in_hands.discard(old)
        if result == 0 and self.held is not None:
            self.held[new_], self.held[old] = 1, 0
        self.done()
        return result

    cdef Py_ssize_t compact(self, Py_ssize_t i) except -1:
        # The two scanners run; each thing they do is held against the recording's next record of it. In between, what
        # other tasks did meanwhile is done. After a wrong step the recording's own are taken over.
        cdef Pgdat *g = self.p.g
        cdef CompactControl cc
        cdef int prio, ret
        self.isolated, self.free_pages = [], []
        if self.captured != NO_PAGE:
            free_pages_ok(g, self.captured, self.captured_order, 0)
            self.captured = NO_PAGE
        self.at = i + 1
        if (self.events[i, 1] >= g.nr_zones or not g.zones[self.events[i, 1]].managed_pages
                or (self.events[i, 2] >= g.max_order and <int32_t>self.events[i, 2] != -1)):
            self.differs(i, "compaction of a zone or an order that this machine has not")
            return self.at
        self.ask(i, &cc)
        self.taken = set()
        self.cc, self.own_cpu = &cc, g.cpu
        self.owners.stop = False
        g.owners = &self.owners
        if cc.direct_compaction:
            self.cpus.captures(&cc, g.cpu)
            g.captured = NO_PAGE
        self.meanwhile()
        prio = self.prio if cc.direct_compaction else COMPACT_PRIO_SYNC_LIGHT
        self.hints.begins(&cc, prio)
        if not self.owners.stop and self.at < self.events.shape[0] and self.events[self.at, 0] == LRU_ISOLATED:
            self.hints.first_page(&cc, self.events[self.at, 1])
        ret = compact_zone(g, &cc)
        self.cc = NULL
        self.cpus.captures(NULL, 0)
        if cc.direct_compaction:
            self.captured, self.captured_order, g.captured = g.captured, cc.order, NO_PAGE
            self.prio_result = max(self.prio_result, ret)
        self.finish(ret, cc.migrate_pfn)
        self.hints.ends(&cc, prio, ret)
        if self.error is not None:
            raise self.error
        return self.at

    cdef int ask(self, Py_ssize_t i, CompactControl *cc) except -1:
        # What was to be compacted, and for whom: for the request that comes next, or by a thread of the kernel's.
        cdef Pgdat *g = self.p.g
        cdef Py_ssize_t end = self.end_of(i), ahead = end
        memset(cc, 0, sizeof(CompactControl))
        cc.zone = &g.zones[self.events[i, 1]]
        cc.order = cc.search_order = <int32_t>self.events[i, 2]
        cc.mode = self.events[i, 3] & LEFT_ALONE
        cc.gfp_mask = GFP_KERNEL
        if cc.order < 0:
            cc.ignore_skip_hint = cc.whole_zone = True
            return 0
        while ahead < self.events.shape[0] and (self.events[ahead, 0] in (COMPACT, CPU, DRAIN, PAGEBLOCK)
                                                or not self.cpus.same(end, ahead)):
            ahead += 1
        if (ahead < self.events.shape[0] and self.events[ahead, 0] == REQUEST
                and self.events[ahead, 2] == <uint32_t>cc.order or cc.mode == MIGRATE_ASYNC
                or self.prio >= 0 and self.prio_order == cc.order):
            while ahead < self.events.shape[0] and not (
                    self.events[ahead, 0] == REQUEST and self.events[ahead, 2] == <uint32_t>cc.order
                    and self.cpus.same(end, ahead)):
                ahead += 1
            cc.direct_compaction = True
            self.waiting = ahead
            if ahead < self.events.shape[0]:
                cc.gfp_mask = self.events[ahead, 1]
            self.priority(cc)
        cc.highest_zoneidx = g.gfp_zone[cc.gfp_mask & GFP_ZONEMASK]
        return 0 if cc.direct_compaction else self.woken_for(i, cc)

    cdef Py_ssize_t end_of(self, Py_ssize_t i) noexcept:
        # where the recording tells that this compaction ended
        cdef Py_ssize_t ahead = i + 1
        cdef int inside = 1
        while ahead < self.events.shape[0]:
            if self.events[ahead, 0] == COMPACT:
                inside += 1 if self.events[ahead, 3] > LEFT_ALONE else -1
                if not inside:
                    break
            ahead += 1
        return ahead

    cdef int woken_for(self, Py_ssize_t i, CompactControl *cc) except -1:
        # Up to which zone kcompactd was woken for, no record tells. Whether it found the zone suitable does.
        cdef Py_ssize_t ahead = i + 1
        cdef bint leaves
        while ahead < self.events.shape[0] and self.events[ahead, 0] != COMPACT:
            ahead += 1
        leaves = ahead < self.events.shape[0] and self.events[ahead, 2] == 0 and self.events[ahead, 3] <= LEFT_ALONE
        cc.highest_zoneidx = self.p.g.nr_zones - 1
        while cc.highest_zoneidx > cc.zone.index and leaves == (
                compaction_suitable_of(self.p.g, cc.zone, cc.order, 0, cc.highest_zoneidx) == COMPACT_CONTINUE):
            cc.highest_zoneidx -= 1
        return 0

    cdef int priority(self, CompactControl *cc) noexcept:
        # A request compacts all its zones with one priority; should_compact_retry() tells what comes after a failure.
        cdef bint same = self.prio >= 0 and self.prio_order == cc.order
        cdef bint again = not same or cc.zone.index >= self.prio_zone  # zones are compacted from the highest down
        if cc.mode == MIGRATE_ASYNC:
            self.prio = COMPACT_PRIO_ASYNC
        elif not same or self.prio == COMPACT_PRIO_ASYNC:
            self.prio, again = COMPACT_PRIO_SYNC_LIGHT, True
        elif again and cc.order <= PAGE_ALLOC_COSTLY_ORDER and self.prio_result in (
                COMPACT_COMPLETE, COMPACT_PARTIAL_SKIPPED, COMPACT_CONTENDED):
            self.prio = COMPACT_PRIO_SYNC_FULL
        if again:
            self.prio_result = 0
        self.prio_order, self.prio_zone = cc.order, cc.zone.index
        cc.whole_zone = cc.ignore_skip_hint = cc.ignore_block_suitable = self.prio == COMPACT_PRIO_SYNC_FULL
        return 0

    cdef uint32_t hand_over(self, Py_ssize_t i, uint32_t gfp_mask, uint32_t order) noexcept:
        # What compaction got for a request is that request's; if another comes to its turn first, nobody waits for it.
        cdef Pgdat *g = self.p.g
        cdef uint32_t pfn = self.captured
        if pfn == NO_PAGE or order != self.captured_order or not self.cpus.same(i, self.waiting):
            return NO_PAGE
        self.captured = NO_PAGE
        if i == self.waiting:
            prep_new_page(g, pfn, order, gfp_mask, 0)
            return pfn
        free_pages_ok(g, pfn, order, 0)
        return NO_PAGE

    cdef Py_ssize_t next_step(self):
        # Where compaction's next record is: that of a step, or of a page that it gives back. What happens to pages of a
        # contiguous range that another task is about to take is that range's.
        cdef Py_ssize_t i = self.at
        cdef uint32_t kind, pfn, start = 0, end = 0
        if self.contig_now is not None:
            start, end = isolated_for(self.p.g, self.contig_now.start, self.contig_now.end)
        while i < self.events.shape[0]:
            kind, pfn = self.events[i, 0], self.events[i, 1]
            if kind == CONTIG_ENTER:
                start, end = isolated_for(self.p.g, pfn, self.events[i, 2])
            elif kind == CONTIG_LEAVE:
                start = end = 0
            elif self.cpus.of_record(i) != self.own_cpu and self.cpus.of_record(i) in self.outer:
                if kind == COMPACT and self.events[i, 3] > LEFT_ALONE:
                    break
            elif kind in (ISOLATE_FREE, LRU_ISOLATED, MOVED):
                if not start <= pfn < end:
                    break
            elif kind in (COMPACT, TURN_LIST) or self.gives_back(kind, pfn):
                break
            i += 1
        return i

    cdef bint in_contig(self, uint32_t pfn):
        return self.contig_now is not None and self.contig_now.isolates(pfn)

    cdef int meanwhile(self) noexcept:
        # What is recorded before compaction's next step: also whole compactions of other tasks.
        try:
            while True:
                end = self.next_step()
                while self.at < end:
                    run = self.run if self.driver is None else self.driver.run
                    self.at = run(self.events, self.answers, self.at, end)
                    if self.at < end:
                        if self.own is not None:
                            self.own(self.at)
                        self.at += 1
                if self.owners.stop or not self.compacts_too():
                    break
            if (self.cc != NULL and not self.cc.ignore_skip_hint and self.at < self.events.shape[0]
                    and self.events[self.at, 0] == LRU_ISOLATED and holds(self.p.g, self.events[self.at, 1], 0)):
                self.hints.found_a_page(self.events[self.at, 1])
        except Exception as error:
            self.error = error
            self.owners.stop = True
        return 0

    cdef bint compacts_too(self) except -1:
        # Whether another task's compaction comes next, which is done.
        cdef Pgdat *g = self.p.g
        cdef CompactControl *cc = self.cc
        cdef CompactControl *capturing = self.cpus.capturing
        cdef uint32_t captured = g.captured, cpu = self.cpus.capturing_cpu, own = self.own_cpu
        cdef set taken = self.taken, outer = self.outer
        if (self.at >= self.events.shape[0] or self.events[self.at, 0] != COMPACT
                or self.events[self.at, 3] <= LEFT_ALONE):
            return False
        self.outer = outer | {own}
        self.compact(self.at)
        self.cc, self.taken, self.owners.stop, self.outer, self.own_cpu = cc, taken, False, outer, own
        self.cpus.captures(capturing, cpu)
        g.captured = captured
        return True

    cdef bint gives_back(self, uint32_t kind, uint32_t pfn):
        # Compaction ends, and frees what it took and did not need.
        return self.cc != NULL and not self.owners.stop and kind == FREE_ONE and pfn in self.taken

    cdef bint is_next(self, uint32_t kind, uint32_t a) noexcept:
        return (not self.owners.stop and self.at < self.events.shape[0] and self.events[self.at, 0] == kind
                and self.events[self.at, 1] == a)

    cdef int done(self) noexcept:
        # the task may have gone to another processor
        self.own_cpu = self.cpus.of_record(self.at)
        if self.cc.direct_compaction:
            self.cpus.captures(self.cc, self.own_cpu)
        self.at += 1
        return self.meanwhile()

    cdef int strays(self, Py_ssize_t i, str what) except -1:
        self.strayed.append(i)
        return self.differs(i, what)

    cdef int astray(self, str what) noexcept:
        # The recording's own steps are taken over from here on.
        cdef uint32_t pfn
        cdef Pgdat *g = self.p.g
        if not self.owners.stop:
            self.owners.stop = True
            self.strays(self.at, f"compaction: {what}")
            pfn = g.map[self.cc.freepages].next
            while pfn != self.cc.freepages:
                self.free_pages.append(pfn)
                pfn = g.map[pfn].next
        return 0

    cdef int finish(self, int result, int64_t migrate_pfn) except -1:
        cdef Py_ssize_t i
        if self.owners.stop:
            return 0
        self.meanwhile()
        i = self.at
        if i >= self.events.shape[0] or self.events[i, 0] != COMPACT or self.events[i, 3] > LEFT_ALONE:
            self.strays(i, f"compaction ends with {result} at {migrate_pfn:#x}, in the recording it goes on")
            return 0
        self.answers[i, 2], self.answers[i, 3] = <uint32_t>migrate_pfn, result
        self.ends[i] = (self.answers[i, 2], self.answers[i, 3])
        if self.events[i, 2] != self.answers[i, 2] or self.events[i, 3] != self.answers[i, 3]:
            self.strays(i, f"compaction ends with {result} at {migrate_pfn:#x}, in the recording with "
                        f"{self.events[i, 3]} at {self.events[i, 2]:#x}")
        self.at = i + 1
        return 0


cdef int movable(void *self, uint32_t pfn, int mode, uint32_t gfp_mask) noexcept nogil:
    with gil:
        traffic = <PageTraffic>self
        if traffic.held is None or traffic.cc.order >= 0 or traffic.cc.mode == MIGRATE_SYNC_LIGHT:
            return MOVABLE_LRU if traffic.is_next(LRU_ISOLATED, pfn) else NOT_MOVABLE
        return MOVABLE_LRU if pfn < len(traffic.held) and traffic.held[pfn] else NOT_MOVABLE


cdef bint isolate(void *self, uint32_t pfn, int mode) noexcept nogil:
    with gil:
        traffic = <PageTraffic>self
        if not traffic.is_next(LRU_ISOLATED, pfn):
            traffic.astray(f"page {pfn:#x} is taken to be moved, in the recording another one, or none")
            return False
        traffic.in_hands.add(pfn)
        traffic.done()
        return True


cdef void putback(void *self, uint32_t pfn) noexcept with gil:
    (<PageTraffic>self).in_hands.discard(pfn)


cdef int move(void *self, uint32_t old, uint32_t new_, int mode) noexcept nogil:
    with gil:
        return (<PageTraffic>self).moves(old, new_)


cdef void told(void *self, int what, uint32_t a, uint32_t b, uint32_t c) noexcept nogil:
    with gil:
        traffic = <PageTraffic>self
        if what == TOOK_FREE_BLOCK:
            if traffic.is_next(ISOLATE_FREE, a):
                traffic.taken.update(range(a, a + (1 << b)))
                traffic.done()
            else:
                traffic.astray(f"takes the free block {a:#x} of order {b}, in the recording another one, or none")
        elif what == FOUND_NOTHING:
            traffic.hints.found_nothing(a)
        elif traffic.is_next(TURN_LIST, a):
            traffic.done()
        elif b != STAYS_LAST:
            traffic.astray(f"turns the list of order {c} to {a:#x}, in the recording otherwise")
