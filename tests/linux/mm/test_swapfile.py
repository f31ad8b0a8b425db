"""Swap areas: which slot comes next, who uses it, when it is free again; the swap cache; swapon()."""

import random

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build
from bootsim.lab.session import Session
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm import swap_slots
from bootsim.linux.mm.page_alloc import GFP_HIGHUSER, alloc_pages, page_info
from bootsim.linux.mm.page_alloc import __free_pages as free_pages
from bootsim.linux.mm.swapfile import api, on
from bootsim.linux.mm.swapfile.on import swap_areas, swapoff, swapon, swapspace
from bootsim.linux.mm.vmalloc.area import find_vm_area
from bootsim.views import alive

CACHE, BAD = 0x40, 0x3F
SWAPCACHE, DIRTY, WRITEBACK = 1 << 10, 1 << 3, 1 << 15
P = 4096


class Machine:
    """A booted kernel with swap areas."""

    def __init__(self, *areas, smp=1, **config):
        build = load_build("3G/1G")
        build = build.replace(config=build.config.replace(**config))
        self.k = bootsim.boot("vexpress.dts", config=build, mem="256M", smp=smp, cmdline="norandmaps")
        processes(self.k)
        self.said = len(self.k.log.records)
        for i, (pages, options) in enumerate(areas):
            assert swapon(self.k, pages * P, f"/dev/vda{i + 2}", **options) == 0
        self.space = swapspace(self.k)

    def lines(self):
        return [r.text for r in self.k.log.records[self.said:] if r.kernel]

    def area(self, i=0):
        return self.space.swap_info[i]

    def page(self):
        return alloc_pages(self.k, GFP_HIGHUSER, 0)

    def slots(self, count):
        """(type, offset) of so many slots taken."""
        entries = [api.get_swap_page(self.space, 0) for _ in range(count)]
        return [(e >> 26, e & (1 << 26) - 1) for e in entries]

    def swapped(self, pfn):
        """A page in the swap cache; its entry."""
        entry = api.get_swap_page(self.space, pfn)
        api.add_to_swap_cache(self.space, pfn, entry)
        return entry

    def byte(self, entry):
        return self.area(entry >> 26).swap_map()[entry & (1 << 26) - 1]

    def info(self, pfn):
        return page_info(self.k, pfn)


def test_swapon_says_what_the_kernel_says():
    m = Machine((16384, {}), (16384, {"priority": 5, "ssd": True}))
    assert m.lines() == ["Adding 65532k swap on /dev/vda2.  Priority:-2 extents:1 across:65532k ",
                         "Adding 65532k swap on /dev/vda3.  Priority:5 extents:1 across:65532k SS"]
    assert [si.prio for si in m.space.swap_info] == [-2, 5]
    assert m.space.nr_swap_pages == m.space.total_swap_pages == 2 * 16383
    assert processes(m.k).total_swap_pages == 2 * 16383
    assert any("random slot" in r.text for r in m.k.log.records if not r.kernel)
    fs = Machine((256, {}), FRONTSWAP=True)
    assert fs.lines() == ["Adding 1020k swap on /dev/vda2.  Priority:-2 extents:1 across:1020k FS"]


def test_areas_of_no_given_priority_come_one_below_the_other():
    m = Machine(*[(64, {})] * 3)
    assert [si.prio for si in m.space.swap_info] == [-2, -3, -4]
    # the lower ones move up when one goes; the next new one is again below all
    assert swapoff(m.k, "/dev/vda2") == 0
    assert [(si.path, si.prio) for si in m.space.swap_info if si.pages] == [("/dev/vda3", -2), ("/dev/vda4", -3)]
    assert swapon(m.k, 64 * P, "/dev/vda9") == 0
    assert (m.area(0).path, m.area(0).prio) == ("/dev/vda9", -4)  # the first type is taken again


def test_an_area_too_large_for_an_entry_is_cut():
    m = Machine()
    assert swapon(m.k, (1 << 25) * P, "/dev/vda2") == 0
    assert m.area().pages == (1 << 25) - 1
    assert not [line for line in m.lines() if "Truncating" in line]
    larger = Machine()
    assert swapon(larger.k, ((1 << 25) + 2) * P, "/dev/vda2") == 0
    assert larger.area().max == 1 << 25
    assert larger.lines()[0] == "Truncating oversized swap area, only using 134217728k out of 134217732k"


def test_errors_of_swapon():
    m = Machine((64, {}))
    assert swapon(m.k, 64 * P, "/dev/vda2") == -16
    assert len([si for si in m.space.swap_info if si.pages]) == 1
    for i in range(29):
        assert swapon(m.k, 64 * P, f"/dev/sd{i}") == 0
    assert swapon(m.k, 64 * P, "/dev/sdx") == -1  # the types 30 and 31 are migration's
    with pytest.raises(InputError, match="mkswap"):
        swapon(m.k, 9 * P, "/dev/sdx")
    with pytest.raises(InputError, match="priority"):
        swapon(m.k, 64 * P, "/dev/sdx", priority=32768)
    assert swapoff(m.k, "/dev/none") == -22
    off = Machine(SWAP=False)
    assert swapon(off.k, 64 * P, "/dev/vda2") == swapoff(off.k, "/dev/vda2") == -38


def test_structures_take_memory_and_give_it_back():
    m = Machine((16, {}))  # the arrays of the slot caches stay
    swapoff(m.k, "/dev/vda2")

    def free():
        return sum(z["nr_free_pages"] + sum(p["count"] for p in z["pcp"]) for z in m.k.zones)

    before = free()
    for options in ({}, {"ssd": True}):
        assert swapon(m.k, 1 << 30, "/dev/vda2", **options) == 0
        area = find_vm_area(m.k, m.area().memory["swap_map"])
        assert (len(area.pages), area.caller) == (64, "sys_swapon")  # a byte a slot
        assert before - free() >= 64
        assert swapoff(m.k, "/dev/vda2") == 0
        # second-level tables and slabs stay
        assert 0 <= before - free() <= 8
        before = free()


def test_memory_goes_back_in_the_kernels_order(monkeypatch):
    freed = []
    m = Machine((4096, {"ssd": True}), MEMCG_SWAP=True, FRONTSWAP=True)
    names = {va: name for name, va in m.area().memory.items() if isinstance(va, int)}
    cgroup = m.area().memory["swap_cgroup pages"]
    for name in ("kvfree", "free_percpu", "kfree"):
        monkeypatch.setattr(on, name, lambda _k, va: freed.append(names.get(va)))
    monkeypatch.setattr(on, "__free_pages", lambda _k, pfn, _order: freed.append(pfn))
    assert swapoff(m.k, "/dev/vda2") == 0
    assert freed == ["swap_extent", "percpu_cluster", "cluster_next_cpu", "swap_map", "cluster_info", "frontswap_map",
                     *cgroup, "swap_cgroup", "swapper_space"]
    freed.clear()
    monkeypatch.setattr(on, "kmalloc", lambda *_: None)  # the extent's; what came before it goes back
    assert swapon(m.k, 4096 * P, "/dev/vda3", ssd=True) == -12
    # the second record, processors' clusters, no extent, pages of the cgroups, and five arrays
    assert [isinstance(each, int) for each in freed] == [False] * 4 + [True] * 2 + [False] * 5


def test_without_memory_for_cgroups_swapon_fails_and_says_so(monkeypatch):
    vzalloc = on.vzalloc
    for missing in ("array", "pages"):
        with monkeypatch.context() as patch:
            m = Machine(MEMCG_SWAP=True)
            if missing == "array":
                patch.setattr(on, "vzalloc", lambda k, size, who: 0 if who == "swap_cgroup_swapon" else
                              vzalloc(k, size, who))
            else:
                patch.setattr(on, "alloc_pages", lambda *_: None)
            assert swapon(m.k, 4096 * P, "/dev/vda2") == -12
            assert m.lines() == ["couldn't allocate enough memory for swap_cgroup",
                                 "swap_cgroup can be disabled by swapaccount=0 boot option"]


def test_without_memory_for_stores_swap_works_without_them(monkeypatch):
    given, freed = [], []

    def kvzalloc(_k, size, *_):
        given.append(size)
        return 0xC8000000 + len(given) * P if len(given) < 4 else 0

    m = Machine(smp=4)
    monkeypatch.setattr(swap_slots, "kvzalloc", kvzalloc)
    monkeypatch.setattr(swap_slots, "kvfree", lambda _k, va: freed.append(va - 0xC8000000 >> 12))
    for i in range(2):
        assert swapon(m.k, 4096 * P, f"/dev/vda{i + 2}") == 0
        given.clear()
    assert freed == [3, 1, 2] * 2  # the half of the second processor first
    assert sum("Cache allocation failed (enable_swap_slots_cache)" in line for line in m.lines()) == 1
    assert swapoff(m.k, "/dev/vda3") == 0  # has the stores used, which nobody has
    assert m.space.caches() == []
    assert m.slots(3) == [(0, 1), (0, 2), (0, 3)]
    assert m.space.nr_swap_pages == 4095 - 3
    api.put_swap_page(m.space, 1)
    assert m.space.nr_swap_pages == 4095 - 2  # at once
    monkeypatch.undo()
    assert swapon(m.k, 64 * P, "/dev/vda4") == 0
    assert len(m.space.caches()) == 4


def test_swapon_says_what_it_does_not_model():
    def said(m):
        return " ".join(r.text for r in m.k.log.records[m.said:] if not r.kernel)

    assert "locks" not in said(Machine((64, {})))
    assert "locks" in said(Machine((64, {}), DEBUG_SPINLOCK=True))


def test_swap_map_lies_in_ram():
    m = Machine((8192, {}))
    entry = m.swapped(m.page())
    va = m.area().memory["swap_map"]
    assert m.k.read(va, 1) == bytes([BAD])
    assert m.k.read(va + entry, 1) == bytes([CACHE])
    assert m.k.read(va, 8192) == m.area().swap_map()


# ---------------------------------------------------------------- which slot

def test_a_disk_is_filled_from_the_start():
    m = Machine((2048, {}))
    assert m.slots(600) == [(0, i) for i in range(1, 601)]


def test_a_disk_looks_for_256_free_slots_in_a_row():
    m = Machine((1024, {}))
    m.space.disable_swap_slots_cache()
    assert m.slots(300) == [(0, i) for i in range(1, 301)]
    for offset in range(1, 101):  # too few for a run
        api.put_swap_page(m.space, offset)
    assert m.area().lowest_bit == 1
    assert m.slots(212) == [(0, i) for i in range(301, 513)]  # the second run ends
    assert m.area().cluster_nr == 0
    assert m.slots(256) == [(0, i) for i in range(513, 769)]
    assert m.slots(3) == [(0, 1), (0, 2), (0, 3)]  # 255 are left at the end, which are no run


def test_without_a_run_any_free_slot_will_do():
    m = Machine((400, {}))
    m.space.disable_swap_slots_cache()
    assert sorted(m.slots(399)) == [(0, i) for i in range(1, 400)]
    assert api.get_swap_page(m.space, 0) == 0
    assert m.space.nr_swap_pages == 0
    assert (m.area().lowest_bit, m.area().highest_bit, m.area().available) == (400, 0, False)
    api.put_swap_page(m.space, 77)
    assert m.area().available
    assert m.slots(1) == [(0, 77)]


def test_a_device_without_seeks_gives_each_processor_a_cluster():
    m = Machine((4096, {"ssd": True}), smp=2)
    each, order = m.area().clusters()
    assert len(each) == 16
    assert order == list(range(1, 16))  # the first has the header in it
    first = m.slots(70)
    m.k.mm.pgdat.cpu = 1
    second = m.slots(70)
    assert first == [(0, 256 + i) for i in range(70)]
    assert second == [(0, 512 + i) for i in range(70)]
    assert m.area().clusters()[1] == list(range(3, 16))


def test_free_clusters_come_in_columns_of_64():
    m = Machine((100 * 256 + 10, {"ssd": True}))
    order = m.area().clusters()[1]
    assert order == [i for column in range(64) for i in (column, column + 64) if 0 < i < 100]  # the last is not whole


def test_a_cluster_that_is_empty_again_is_the_last_free_one():
    m = Machine((2048, {"ssd": True}))
    m.space.disable_swap_slots_cache()
    taken = m.slots(256 + 256)
    assert m.area().clusters()[1] == [3, 4, 5, 6, 7]
    for _, offset in taken[:256]:
        api.put_swap_page(m.space, offset)
    assert m.area().clusters()[1] == [3, 4, 5, 6, 7, 1]


def test_priorities_and_turns():
    m = Machine((64, {}), (64, {"priority": 3}), (64, {"priority": 3}), (64, {"priority": 9}))
    m.space.disable_swap_slots_cache()
    types = [type_ for type_, _ in m.slots(63 * 4)]
    assert types[:63] == [3] * 63
    assert types[63:63 + 126] == [1, 2] * 63
    assert types[63 + 126:] == [0] * 63
    assert api.get_swap_page(m.space, 0) == 0


@pytest.mark.parametrize("ssd", [False, True])
@pytest.mark.parametrize("stores", [False, True])
def test_random_use_against_a_model(ssd, stores):
    m = Machine((1500, {"ssd": ssd}), (700, {"priority": 1, "ssd": ssd}), smp=2)
    if not stores:
        m.space.disable_swap_slots_cache()
    choose, mine = random.Random(7), set()
    for step in range(6000):
        m.k.mm.pgdat.cpu = choose.randrange(2)
        if choose.random() < (0.7 if step % 2000 < 1000 else 0.35):
            entry = api.get_swap_page(m.space, 0)
            if entry == 0:
                in_stores = sum(len(out) + len(back) for out, back in m.space.caches())
                assert len(mine) + in_stores == m.space.total_swap_pages
                continue
            assert entry not in mine
            assert 1 <= entry & (1 << 26) - 1 < m.area(entry >> 26).max
            mine.add(entry)
        elif mine:
            entry = choose.choice(sorted(mine))
            mine.remove(entry)
            api.put_swap_page(m.space, entry)
    kept = {e for out, back in m.space.caches() for e in (*out, *back)}
    assert not kept & mine
    assert bool(kept) == stores
    for si in m.space.swap_info:
        used = {e & (1 << 26) - 1 for e in mine | kept if e >> 26 == si.type}
        assert {i for i, byte in enumerate(si.swap_map()) if byte} == {0, *used}
        assert si.inuse_pages == len(used)
        open_ = [i for i in range(1, si.max) if i not in used]
        if open_:
            assert si.lowest_bit <= open_[0]
            assert si.highest_bit >= open_[-1]
        each, order = si.clusters()
        if ssd:
            counts = [sum(1 for i in range(c * 256, c * 256 + 256) if i in used or i == 0 or i >= si.max)
                      for c in range(len(each))]
            assert [count for count, _ in each] == counts
            assert sorted(order) == [c for c, (_, is_free) in enumerate(each) if is_free]
            assert [is_free for _, is_free in each] == [not count for count in counts]
    assert m.space.nr_swap_pages == m.space.total_swap_pages - len(mine | kept)


# ---------------------------------------------------------------- stores of slots

def test_a_processor_takes_64_slots_at_once():
    m = Machine((4096, {}), smp=2)
    assert m.slots(1) == [(0, 1)]
    assert m.space.caches()[0] == ([2], [])  # finding the run was so long that there is a pause after two
    assert m.slots(2) == [(0, 2), (0, 3)]
    assert m.space.caches()[0] == ([*range(4, 67)], [])
    assert m.space.nr_swap_pages == 4095 - 66
    m.k.mm.pgdat.cpu = 1
    assert m.slots(1) == [(0, 67)]


def test_slots_given_back_wait_until_there_are_64():
    m = Machine((4096, {}))
    for _, offset in m.slots(64):
        api.put_swap_page(m.space, offset)
    assert m.space.caches() == [([65, 66], [*range(1, 65)])]
    assert m.byte(1) == CACHE
    assert m.space.nr_swap_pages == 4095 - 66
    (_, offset), = m.slots(1)
    assert offset == 65  # never one of those
    api.put_swap_page(m.space, offset)
    assert m.space.caches()[0][1] == [65]
    assert m.byte(1) == 0


def test_stores_are_for_when_there_is_plenty():
    few = Machine((320 + 1, {}))  # 320 free slots on one processor: no more than 5 * 64
    few.slots(1)
    assert not few.space.swap_slot_cache_active
    m = Machine((321 + 1, {}))
    m.slots(1)
    assert m.space.swap_slot_cache_active
    m.slots(130)
    assert m.space.nr_swap_pages == 321 - 2 - 3 * 64  # less than 2 * 64: given up at the next question
    m.slots(1)
    assert not m.space.swap_slot_cache_active
    assert m.space.caches() == [([], [])]
    assert m.area().inuse_pages == 132


# ---------------------------------------------------------------- users

def test_an_entry_and_its_form_in_a_page_table():
    entry = api.swp_entry(3, 0x1234)
    assert entry == 3 << 26 | 0x1234
    assert api.swp_entry_to_pte(entry) == 0x1234 << 7 | 3 << 2
    assert api.pte_to_swp_entry(api.swp_entry_to_pte(entry)) == entry
    moving = [api.make_migration_entry(0x60123, write) for write in (False, True)]
    assert [e >> 26 for e in moving] == [30, 31]
    assert all(api.is_migration_entry(e) for e in moving)
    assert not api.is_migration_entry(entry)
    assert [api.swp_entry_to_pte(e) for e in moving] == [0x60123 << 7 | 30 << 2, 0x60123 << 7 | 31 << 2]


def test_a_page_out_and_in():
    m = Machine((4096, {}))
    pfn = m.page()
    m.k.machine.ram.write(pfn << 12, b"swap me")
    entry = m.swapped(pfn)
    assert m.info(pfn)["flags"] & SWAPCACHE
    assert (m.info(pfn)["private"], m.info(pfn)["refcount"]) == (entry, 2)
    assert api.swap_duplicate(m.space, entry) == 0
    assert m.byte(entry) == CACHE | 1
    api.write_page(m.space, entry, pfn)
    assert api.lookup_swap_cache(m.space, entry) == pfn
    assert m.info(pfn)["refcount"] == 3
    assert (m.space.find_total, m.space.find_success, m.space.nrpages) == (1, 1, 1)
    api.delete_from_swap_cache(m.space, pfn)
    assert m.byte(entry) == 1
    assert (m.info(pfn)["flags"] & SWAPCACHE, m.info(pfn)["private"], m.info(pfn)["refcount"]) == (0, 0, 2)
    assert api.lookup_swap_cache(m.space, entry) is None
    back = m.page()
    api.read_page(m.space, entry, back)
    assert m.k.machine.ram.read(back << 12, 8) == b"swap me\0"
    assert api.swapcache_prepare(m.space, entry) == 0
    assert api.swapcache_prepare(m.space, entry) == -17
    api.add_to_swap_cache(m.space, back, entry)
    api.swap_free(m.space, entry)
    assert m.byte(entry) == CACHE
    assert api.try_to_free_swap(m.space, back)
    assert m.info(back)["flags"] & DIRTY
    assert m.info(back)["refcount"] == 1
    assert api.swapcache_prepare(m.space, 4000) == api.swap_duplicate(m.space, 4000) - 2 == -2


@pytest.mark.parametrize("users", [61, 62, 63, 189, 190, 191, 63 * 128 + 5, 63 * 128 * 3 + 70])
def test_counts_go_on_in_other_pages(users):
    m = Machine((8192, {}))
    first, other = m.swapped(m.page()), m.swapped(m.page())
    for n in range(1, users + 1):
        assert api.swap_duplicate(m.space, first) == 0
        if n in (1, 62, 63, 190, users):
            assert api.swp_swapcount(m.space, first) == n
    assert api.swap_duplicate(m.space, other) == 0
    assert api.swp_swapcount(m.space, other) == 1
    assert bool(m.byte(first) & 0x80) == (users > 62)
    copy = m.k.copy()
    for n in range(users, 0, -1):
        assert api.swp_swapcount(m.space, first) == n
        api.swap_free(m.space, first)
    assert m.byte(first) == CACHE
    assert api.swp_swapcount(swapspace(copy), first) == users


def test_who_may_write_a_page_that_has_a_slot():
    m = Machine((4096, {}))
    pfn = m.page()
    entry = m.swapped(pfn)
    api.swap_duplicate(m.space, entry)
    api.swap_duplicate(m.space, entry)
    assert api.reuse_swap_page(m.space, pfn) == (False, 2)
    assert m.info(pfn)["flags"] & SWAPCACHE
    api.swap_free(m.space, entry)
    assert api.reuse_swap_page(m.space, pfn) == (True, 1)
    assert not m.info(pfn)["flags"] & SWAPCACHE
    assert m.info(pfn)["flags"] & DIRTY
    assert m.byte(entry) == 1  # its last user is the entry that is about to go


def test_the_last_entry_takes_an_unmapped_page_along():
    m = Machine((4096, {}))
    pfn = m.page()
    entry = m.swapped(pfn)
    api.swap_duplicate(m.space, entry)
    free_pages(m.k, pfn, 0)  # the swap cache alone has it now
    assert m.info(pfn)["refcount"] == 1
    assert api.free_swap_and_cache(m.space, entry) == 1
    assert m.space.nrpages == 0
    assert m.info(pfn)["refcount"] == 0
    assert api.free_swap_and_cache(m.space, api.make_migration_entry(pfn, False)) == 1
    assert api.free_swap_and_cache(m.space, api.swp_entry(5, 1)) == 0
    assert m.lines()[-1] == "get_swap_device: Bad swap file entry 14000001"


def test_an_area_that_gets_full_takes_slots_of_pages_that_are_in_memory():
    m = Machine((64, {}))
    pages = [m.page() for _ in range(63)]
    assert [m.swapped(pfn) for pfn in pages] == [*range(1, 64)]
    for slot in (10, 50, 60):
        api.delete_from_swap_cache(m.space, pages[slot - 1])
    assert m.slots(1) == [(0, 10)]
    assert m.info(pages[10])["flags"] & SWAPCACHE
    assert m.slots(1) == [(0, 11)]  # no entry names it: its page keeps its bytes in memory alone
    assert not m.info(pages[10])["flags"] & SWAPCACHE
    assert m.info(pages[10])["refcount"] == 1
    assert m.space.nr_swap_pages == 2
    api.swap_duplicate(m.space, 12)
    assert m.slots(1) == [(0, 13)]  # that of an entry is left alone


def test_entries_of_no_slot_are_complained_of():
    m = Machine((64, {}))
    with pytest.raises(ValueError, match="no entry"):
        api.swap_free(m.space, api.swp_entry(0, 7))
    assert m.lines()[-1] == "swap_info_get: Unused swap offset entry 00000007"
    with pytest.raises(ValueError, match="no entry"):
        api.swap_free(m.space, api.swp_entry(0, 64))
    assert m.lines()[-1] == "swap_info_get: Bad swap offset entry 00000040"
    with pytest.raises(ValueError, match="no entry"):
        api.swap_free(m.space, api.swp_entry(1, 7))
    assert m.lines()[-1] == "swap_info_get: Bad swap file entry 04000007"


def test_a_copy_has_swap_of_its_own():
    m = Machine((4096, {"ssd": True}))
    pfn = m.page()
    m.k.machine.ram.write(pfn << 12, b"x")
    entry = m.swapped(pfn)
    api.write_page(m.space, entry, pfn)
    copy = m.k.copy()
    other = swapspace(copy)
    assert other.caches() == m.space.caches()
    assert other.swap_info[0].swap_map() == m.area().swap_map()
    assert other.swap_info[0].clusters() == m.area().clusters()
    api.delete_from_swap_cache(other, pfn)
    assert m.byte(entry) == CACHE
    assert m.info(pfn)["refcount"] == 2
    assert api.get_swap_page(other, 0) == api.get_swap_page(m.space, 0)


# ---------------------------------------------------------------- the shell

def test_the_shell_swaps():
    lab = Session(bootsim.boot("vexpress.dts", mem="256M", cmdline="norandmaps"), alive.text)
    assert swap_areas(lab.k) == []
    assert lab.cat("/proc/swaps") == "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"
    limit = int(next(line for line in lab.cat("meminfo").splitlines() if "CommitLimit" in line).split()[1])
    assert lab.swapon("64M") == 0
    assert lab.swapon("32M", priority=7, ssd=True) == 0
    assert lab.cat("swaps").splitlines()[1:] == [
        "/dev/vda2                               partition\t65532\t\t0\t\t-2",
        "/dev/vda3                               partition\t32764\t\t0\t\t7"]
    lines = {line.split(":")[0]: line.split()[1] for line in lab.cat("meminfo").splitlines()}
    assert (lines["SwapTotal"], lines["SwapFree"], lines["SwapCached"]) == ("98296", "98296", "0")
    assert int(lines["CommitLimit"]) == limit + 98296
    assert repr(lab.swapon("64M", "/dev/vda2")) == "-EBUSY"
    assert lab.swapoff("/dev/vda3") == 0
    assert len(lab.cat("swaps").splitlines()) == 2
    assert [si.path for si in swap_areas(lab.k) if si.pages] == ["/dev/vda2"]
    api.get_swap_page(swapspace(lab.k), 0)
    with pytest.raises(InputError, match="slots are taken by hand"):
        lab.swapoff("/dev/vda2") if api.get_swap_page(swapspace(lab.k), 0) else None
    for wrong in ("x", "64Q", 0, -5, True, None):
        with pytest.raises(InputError, match="swapon"):
            lab.swapon(wrong)
    with pytest.raises(InputError, match="device"):
        lab.swapon("64M", "/swapfile")
