"""Random traffic of pages on a booted machine: nothing is given twice, nothing is lost, the lists stay whole.

`make soak` takes a million steps (BOOTSIM_SOAK); the short run looks at everything after every step.
"""

import os
import random

import bootsim
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.cma import cma_alloc, cma_release
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.migrate import page_holders

STEPS = int(os.environ.get("BOOTSIM_SOAK", "400"))
EVERY = 1 if STEPS <= 1000 else 5000
MASKS = (pa.GFP_KERNEL, pa.GFP_HIGHUSER, pa.GFP_HIGHUSER_MOVABLE, pa.GFP_ATOMIC, pa.GFP_KERNEL | pa.__GFP_RECLAIMABLE,
         pa.GFP_KERNEL | pa.__GFP_COMP)
QUIET = pa.__GFP_NOWARN | pa.__GFP_NORETRY
MOVABLE = pa.__GFP_MOVABLE
free_block = pa.__free_pages  # inside a class the name would be mangled


class Traffic:
    """One machine in use: blocks by their first frame, and every frame that is out."""

    def __init__(self, seed):
        self.k = bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="cma=8M")
        self.random = random.Random(seed)
        self.holders = page_holders(self.k)
        self.blocks = {}
        self.out = set()
        self.areas = []
        pa.drain_all_pages(self.k)
        self.total = self.free_pages()

    def free_pages(self):
        zones = pa.zones_snapshot(self.k)
        return sum(area["nr_free"] << order for zone in zones for order, area in enumerate(zone["free_area"])) + sum(
            per_cpu["count"] for zone in zones for per_cpu in zone["pcp"])

    def moved(self, old, new):
        self.out.remove(old)
        assert new not in self.out
        self.out.add(new)
        self.blocks[new] = self.blocks.pop(old)

    def take(self):
        mask, order = self.random.choice(MASKS), self.random.choice((0, 0, 0, 0, 1, 2, 3, 5, 9))
        pfn = pa.alloc_pages(self.k, mask | QUIET, order)
        if pfn is None:
            return
        frames = range(pfn, pfn + (1 << order))
        assert self.out.isdisjoint(frames)
        self.out.update(frames)
        self.blocks[pfn] = order
        if order == 0 and mask & MOVABLE:
            self.holders.hold(pfn, self)

    def give(self):
        if self.blocks:
            pfn = self.random.choice(list(self.blocks)[-200:])
            order = self.blocks.pop(pfn)
            self.out.difference_update(range(pfn, pfn + (1 << order)))
            if self.holders.holds(pfn):
                self.holders.let_go(pfn)
            free_block(self.k, pfn, order)

    def contiguous(self):
        area = self.k.mm.cma_areas[0]
        if self.areas and self.random.random() < 0.6:
            pfn, count = self.areas.pop()
            self.out.difference_update(range(pfn, pfn + count))
            assert cma_release(self.k, area, pfn, count)
            return
        count = self.random.choice((1, 16, 100, 512))
        pfn = cma_alloc(self.k, area, count, 0, no_warn=True)
        if pfn is not None:
            assert self.out.isdisjoint(range(pfn, pfn + count))
            self.out.update(range(pfn, pfn + count))
            self.areas.append((pfn, count))

    def step(self):
        choice = self.random.random()
        if choice < 0.005:
            compact_memory(self.k)
        elif choice < 0.02:
            self.contiguous()
        elif choice < 0.56:
            self.take()
        else:
            self.give()

    def check(self):
        assert pa.check_buddy_invariants(self.k.mm.pgdat) == []
        assert self.free_pages() + len(self.out) == self.total


def test_random_traffic_loses_nothing_and_gives_nothing_twice():
    traffic = Traffic(seed=STEPS)
    for i in range(STEPS):
        traffic.step()
        if i % EVERY == 0:
            traffic.check()
            traffic.k.log.records.clear()
    while traffic.blocks:
        traffic.give()
    while traffic.areas:
        pfn, count = traffic.areas.pop()
        traffic.out.difference_update(range(pfn, pfn + count))
        assert cma_release(traffic.k, traffic.k.mm.cma_areas[0], pfn, count)
    traffic.check()
    assert not traffic.out
