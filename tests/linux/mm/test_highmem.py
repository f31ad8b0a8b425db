"""kmap(), page_address() and kmap_atomic() against a slow model: lists of windows, searched from the first."""

from contextlib import nullcontext
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.linux.include.linux import highmem
from bootsim.linux.mm.highmem import Kmap, KmapError

NR = 512


@pytest.fixture(scope="module")
def k():
    return bootsim.boot("vexpress.dts", mem="1G", config="3G/1G")


@pytest.fixture
def kmap(k):
    return Kmap(k.copy())


class Windows:
    """512 windows: [page or None, how often in use]; the search goes round, and unmaps the unused at the first."""

    def __init__(self):
        self.windows = [[None, 0] for _ in range(NR)]
        self.last = 0
        self.order = []  # mapped pages, in the order in which they were mapped

    def where(self, page):
        return next((nr for nr, (mapped, _) in enumerate(self.windows) if mapped == page), None)

    def kmap(self, page):
        nr = self.where(page)
        if nr is None:
            if all(uses for _, uses in self.windows):
                return None
            while True:
                self.last = (self.last + 1) % NR
                if self.last == 0:
                    gone = [mapped for mapped, uses in self.windows if mapped is not None and not uses]
                    self.order = [mapped for mapped in self.order if mapped not in gone]
                    self.windows = [[mapped, uses] if uses else [None, 0] for mapped, uses in self.windows]
                if self.windows[self.last][0] is None:
                    break
            nr = self.last
            self.windows[nr][0] = page
            self.order.append(page)
        self.windows[nr][1] += 1
        return nr


def bucket(k, pfn):
    """hash_ptr(): 7 bits of the address of the struct page."""
    page_va = k.phys_to_virt(k.mm.pgdat.mem_map_pa) + (pfn - (k.mm.phys_offset >> 12)) * k.build.sizeof.page
    return (page_va * 0x61C88647 & 0xFFFFFFFF) >> 25


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 700)), min_size=400, max_size=1500))
def test_every_window_is_the_one_that_the_search_comes_to(k, steps):
    kmap, model = Kmap(k.copy()), Windows()
    high = k.mm.max_low_pfn
    for maps, n in steps:
        page = high + n
        nr = model.where(page)
        if maps:
            expected = model.kmap(page)
            assert kmap.kmap_high(page) == (0 if expected is None else kmap.base + expected * 4096)
        elif nr is None or not model.windows[nr][1]:
            with pytest.raises(KmapError, match="nobody has mapped"):
                kmap.kunmap_high(page)
        else:
            model.windows[nr][1] -= 1
            assert kmap.kunmap_high(page) == kmap.base + nr * 4096
    state = kmap.snapshot()
    assert state["count"] == [uses + (page is not None) for page, uses in model.windows]
    assert state["last_pkmap_nr"] == model.last
    buckets = [[] for _ in range(128)]
    for page in model.order:
        buckets[bucket(k, page)].append([page, kmap.base + model.where(page) * 4096])
    assert state["page_address_htable"] == buckets


def test_a_window_leads_to_its_page(k):
    k = k.copy()
    kmap = Kmap(k)
    page = k.mm.max_low_pfn + 5
    va = kmap.kmap_high(page)
    assert k.translate(va).pa == page << 12
    k.machine.ram.write32((page << 12) + 8, 0xCAFE)
    assert k.read(va + 8, 2) == b"\xfe\xca"
    kmap.kunmap_high(page)
    assert k.translate(va)  # until the search comes round
    kmap.flush_unused()
    assert not k.translate(va)
    assert kmap.address_of(page) == 0


def test_when_all_are_in_use_the_caller_would_sleep_and_nothing_changes(k, kmap):
    for page in range(NR):
        assert kmap.kmap_high(k.mm.max_low_pfn + page)
    before = kmap.snapshot()
    assert kmap.kmap_high(k.mm.max_low_pfn + NR) == 0
    assert kmap.snapshot() == before
    assert kmap.kmap_high(k.mm.max_low_pfn + 3) == kmap.address_of(k.mm.max_low_pfn + 3)
    kmap.kunmap_high(k.mm.max_low_pfn + 7)
    assert kmap.kmap_high(k.mm.max_low_pfn + NR) == kmap.base + 8 * 4096


def test_atomic_slots_are_a_stack_of_each_processor(k):
    k = k.copy()
    kmap = Kmap(k)
    high, prot = k.mm.max_low_pfn, k.mm.pgprot_kernel
    first, second, other = kmap.atomic(high, prot, 0), kmap.atomic(high + 1, prot, 0), kmap.atomic(high + 2, prot, 1)
    assert (first, second, other) == (0xFFEFE000, 0xFFEFD000, 0xFFEFE000 - 16 * 4096)
    assert [k.translate(va).pa >> 12 for va in (first, second, other)] == [high, high + 1, high + 2]
    kmap.atomic_done(second, 0)
    assert kmap.atomic(high + 3, prot, 0) == second
    kmap.atomic_done(other, 1)
    with pytest.raises(KmapError, match="has no such mapping"):
        kmap.atomic_done(other, 1)
    for _ in range(14):
        kmap.atomic(high, prot, 0)
    with pytest.raises(KmapError, match="as many as there are slots"):
        kmap.atomic(high, prot, 0)


def test_a_slot_out_of_turn_is_found_out_where_the_kernel_looks(k):
    for debug in (False, True):
        other = k.copy()
        other.build = k.build.replace(config=k.build.config.replace(DEBUG_HIGHMEM=debug))
        kmap = Kmap(other)
        first, second = (kmap.atomic(k.mm.max_low_pfn + i, k.mm.pgprot_kernel, 0) for i in range(2))
        with pytest.raises(KmapError, match="in turn") if debug else nullcontext():
            kmap.atomic_done(first, 0)
        if debug:
            kmap.atomic_done(second, 0)
        assert bool(other.translate(second)) is not debug  # the entry stays without DEBUG_HIGHMEM
        assert kmap.snapshot()["kmap_atomic_idx"] == 1


def test_a_page_of_lowmem_has_its_address(k):
    k = k.copy()
    low, high = k.mm.max_low_pfn - 1, k.mm.max_low_pfn
    assert highmem.kmap(k, low) == highmem.kmap_atomic(k, low) == k.phys_to_virt(low << 12)
    highmem.kunmap(k, low)
    highmem.kunmap_atomic(k, k.phys_to_virt(low << 12))
    assert highmem.page_address(k, high) == 0
    va = highmem.kmap(k, k.page(high))
    assert highmem.kmap_to_page(k, va) == k.page(high)
    assert highmem.kmap_to_page(k, k.phys_to_virt(low << 12)) == k.page(low)
    assert highmem.page_address(k, high) == va


def test_kmap_atomic_uses_a_window_that_is_there(k):
    k = k.copy()
    high = k.mm.max_low_pfn
    va = highmem.kmap(k, high)
    assert highmem.kmap_atomic(k, high) == va
    assert k.mm.kmap.count(va) == 3
    highmem.kunmap_atomic(k, va)
    assert k.mm.kmap.count(va) == 2
    slot = highmem.kmap_atomic(k, high + 1)
    assert k.translate(slot).pa >> 12 == high + 1
    highmem.kunmap_atomic(k, slot)
    highmem.kunmap(k, high)
    highmem.kmap_flush_unused(k)
    assert highmem.page_address(k, high) == 0
    with pytest.raises(KmapError, match="nobody has mapped"):
        highmem.kunmap(k, high)


def test_the_513th_caller_is_told_that_it_would_sleep(k):
    k = k.copy()
    for page in range(NR):
        highmem.kmap(k, k.mm.max_low_pfn + page)
    with pytest.raises(KmapError, match="would sleep until a kunmap"):
        highmem.kmap(k, k.mm.max_low_pfn + NR)


def test_a_copy_lives_on_its_own(k, kmap):
    kmap.kmap_high(k.mm.max_low_pfn)
    other = deepcopy(kmap)
    kmap.kmap_high(k.mm.max_low_pfn + 1)
    assert other.address_of(k.mm.max_low_pfn) == kmap.address_of(k.mm.max_low_pfn)
    assert other.address_of(k.mm.max_low_pfn + 1) == 0
    assert other.kmap_high(k.mm.max_low_pfn + 2) == kmap.address_of(k.mm.max_low_pfn + 1)


def test_slots_of_all_processors_lead_to_their_page(k):
    own = k.copy()
    kmap = Kmap(own)
    for cpu in (0, 14, 15, 16, 31):
        for slot in range(16):
            va = kmap.atomic(k.mm.max_low_pfn + slot, k.mm.pgprot_kernel, cpu)
            assert va == 0xFFEFF000 - (1 + 16 * cpu + slot) * 4096
            assert own.translate(va).pa >> 12 == k.mm.max_low_pfn + slot


def test_with_debug_highmem_a_window_is_used_for_virtual_caches_alone(k):
    other = k.copy()
    config = k.build.config.replace(DEBUG_HIGHMEM=True, SMP=False, CPU_TLB_V6=False, CPU_CACHE_VIPT=False)
    other.build = k.build.replace(config=config)
    assert not Kmap(other).atomic_uses_kmap
    other.build = k.build.replace(config=config.replace(CPU_CACHE_VIVT=True))
    assert Kmap(other).atomic_uses_kmap
