"""mm/swapfile.c, mm/swap_slots.c: which slot comes next, how users are counted, and all the state behind it."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm.page_alloc import GFP_HIGHUSER, alloc_pages, page_info
from bootsim.linux.mm.swapfile import api
from bootsim.linux.mm.swapfile.on import swapon, swapspace

SWAPFILE = (
    "swap_count", "cluster_set_flag", "cluster_count", "cluster_set_count", "cluster_set_count_flag", "cluster_next",
    "cluster_set_next", "cluster_set_next_flag", "cluster_is_free", "cluster_is_null", "cluster_set_null",
    "cluster_is_huge", "cluster_clear_huge", "lock_cluster", "unlock_cluster", "lock_cluster_or_swap_info",
    "unlock_cluster_or_swap_info", "cluster_list_empty", "cluster_list_first", "cluster_list_init",
    "cluster_list_add_tail", "cluster_list_del_first", "__free_cluster", "alloc_cluster", "free_cluster",
    "inc_cluster_info_page", "dec_cluster_info_page", "scan_swap_map_ssd_cluster_conflict",
    "scan_swap_map_try_ssd_cluster", "__del_from_avail_list", "del_from_avail_list", "swap_range_alloc",
    "add_to_avail_list", "swap_range_free", "set_cluster_next", "scan_swap_map_slots", "get_swap_pages",
    "__swap_info_get", "_swap_info_get", "swap_info_get_cont", "__swap_entry_free_locked", "get_swap_device",
    "__swap_entry_free", "swap_entry_free", "swap_free", "put_swap_page", "swp_entry_cmp", "swapcache_free_entries",
    "swp_swapcount", "setup_swap_info", "_enable_swap_info", "setup_swap_map_and_extents", "__swap_duplicate",
    "swap_duplicate", "add_swap_count_continuation", "swap_count_continued",
)  # fmt: skip
SLOTS = ("deactivate_swap_slots_cache", "reactivate_swap_slots_cache", "check_cache_active", "drain_slots_cache_cpu",
         "__drain_swap_slots_cache", "refill_swap_slots_cache", "free_swap_slot", "get_swap_page")  # fmt: skip
PG_swapcache = 1 << 10


@pytest.fixture(scope="module")
def theirs(compiled, taken_out, kernel_src, tmp_path_factory):
    folder, files = tmp_path_factory.mktemp("swapfile"), {"lib-sort.c": "lib/sort.c"}
    for name, path, functions in (("swapfile", "mm/swapfile.c", SWAPFILE), ("swap_slots", "mm/swap_slots.c", SLOTS),
                                  ("plist", "lib/plist.c", ("plist_add", "plist_del", "plist_requeue"))):  # fmt: skip
        copy = folder / f"{name}-functions.h"
        copy.write_text(taken_out(kernel_src / path, functions))
        files[copy.name] = copy
    library = compiled("swapfile.c", files)
    library.host_map.restype = library.host_cached.restype = ctypes.POINTER(ctypes.c_ubyte)
    library.host_get.restype, library.host_count.restype = ctypes.c_uint, ctypes.c_long
    return library


@pytest.fixture(scope="module")
def booted():
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", smp=2, cmdline="norandmaps")
    processes(k)
    return k


class Both:
    """The same areas in the replay and in the kernel's C."""

    def __init__(self, theirs, k, areas, store):
        self.theirs, self.k = theirs, k.copy()
        theirs.host_begin()
        for i, (pages, prio, ssd) in enumerate(areas):
            assert swapon(self.k, pages << 12, f"/dev/vda{i}", priority=prio, ssd=ssd) == 0
            theirs.host_swapon(pages, -1 if prio is None else prio, ssd, store)
        self.space = swapspace(self.k)
        if not store:
            self.space.disable_swap_slots_cache()
        self.users, self.pages, self.taken = {}, {}, set()  # taken: the swap cache has the slot

    def step(self, what, pick, cpu):
        self.k.mm.pgdat.cpu = cpu
        self.theirs.host_on_cpu(cpu)
        entry = sorted(self.users)[pick % len(self.users)] if self.users else 0
        if what in ("get", "burst"):
            for _ in range(1 if what == "get" else pick % 300):
                entry = api.get_swap_page(self.space, 0)
                assert entry == self.theirs.host_get()
                if entry == 0:
                    break
                self.gone()
                self.users[entry] = 0
                self.taken.add(entry)
        elif not entry:
            return
        elif what == "cache" and entry in self.taken and entry not in self.pages:
            pfn = self.pages[entry] = alloc_pages(self.k, GFP_HIGHUSER, 0)
            api.add_to_swap_cache(self.space, pfn, entry)
            self.theirs.host_cache(entry, 1)
        elif what in ("put", "clear"):
            for each in [entry] if what == "put" else sorted(self.users)[pick % 7 :: 2]:
                self.put(each)
        elif what in ("dup", "many"):
            for _ in range(1 if what == "dup" else pick):
                assert api.swap_duplicate(self.space, entry) == self.theirs.host_duplicate(entry) == 0
                self.users[entry] += 1
        elif what in ("free", "few"):
            for _ in range(min(1 if what == "free" else pick, self.users[entry])):
                api.swap_free(self.space, entry)
                self.theirs.host_free(entry)
                self.users[entry] -= 1
            self.forget(entry)

    def forget(self, entry):
        if not self.users[entry] and entry not in self.taken:
            del self.users[entry]

    def put(self, entry):
        if entry not in self.taken:
            return
        self.taken.remove(entry)
        if entry in self.pages:
            api.delete_from_swap_cache(self.space, self.pages.pop(entry))
            self.theirs.host_cache(entry, 0)
        else:
            api.put_swap_page(self.space, entry)
        self.theirs.host_put(entry)
        self.forget(entry)

    def gone(self):
        # slots that were taken from pages in the swap cache
        for entry in [e for e, pfn in self.pages.items() if not page_info(self.k, pfn)["flags"] & PG_swapcache]:
            del self.pages[entry], self.users[entry]
            self.taken.remove(entry)

    def same(self):
        row, clusters, slots = (ctypes.c_long * 10)(), (ctypes.c_int * 4096)(), (ctypes.c_uint * 64)()
        for si in self.space.swap_info:
            self.theirs.host_area(si.type, row)
            mine = [si.prio, si.max, si.pages, si.inuse_pages, si.lowest_bit, si.highest_bit, si.cluster_next,
                    si.cluster_nr, si.available, self.space.nr_swap_pages]  # fmt: skip
            assert mine == list(row)
            assert si.swap_map() == bytes(self.theirs.host_map(si.type)[: si.max])
            found = self.theirs.host_free_clusters(si.type, clusters)
            assert si.clusters()[1] == list(clusters[:found])
        for cpu, store in enumerate(self.space.caches()):
            for back in (0, 1):
                count = self.theirs.host_store(cpu, back, slots)
                assert store[back] == list(slots[:count])
        for entry in self.users:
            assert api.swp_swapcount(self.space, entry) == self.theirs.host_count(entry) == self.users[entry]


SIZES = st.one_of(st.integers(10, 1800), st.integers(10, 600), st.integers(16600, 17000))
AREAS = st.lists(st.tuples(SIZES, st.sampled_from((None, None, 1, 1, 5)), st.booleans()), min_size=1, max_size=4)
WORDS = ("get", "get", "burst", "cache", "cache", "put", "clear", "dup", "many", "free", "few")
STEPS = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 700), st.integers(0, 1)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(AREAS, st.booleans(), STEPS)
def test_every_slot_and_all_that_is_behind_it(theirs, booted, areas, store, steps):
    both = Both(theirs, booted, areas, store)
    both.same()
    for what, pick, cpu in steps:
        both.step(what, pick, cpu)
        both.same()
