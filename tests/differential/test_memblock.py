"""mm/memblock.c against the replay: the same calls in the same order, the same state after each."""

import ctypes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootsim.linux.mm import memblock as ours
from bootsim.linux.mm.memblock import Memblock

MAX = 3 * 4096  # words a region array may need


@pytest.fixture(scope="module")
def theirs(compiled):
    library = compiled("memblock.c", {"mm-memblock.c": "mm/memblock.c"})
    u32 = ctypes.c_uint32
    for name in ("memblock_add", "memblock_remove", "memblock_reserve", "memblock_free", "memblock_mark_nomap",
                 "memblock_clear_nomap", "memblock_mark_hotplug", "memblock_clear_hotplug"):  # fmt: skip
        getattr(library, name).argtypes = [u32, u32]
        getattr(library, name).restype = ctypes.c_int
    library.host_alloc.argtypes = library.host_find.argtypes = [u32] * 4
    library.host_alloc.restype = library.host_find.restype = library.host_total.restype = u32
    library.memblock_phys_alloc_range.argtypes = [u32] * 4
    library.memblock_phys_alloc_range.restype = u32
    library.host_max.restype = ctypes.c_ulong
    for name in ("memblock_is_memory", "memblock_is_map_memory", "memblock_is_reserved"):
        getattr(library, name).argtypes = [u32]
        getattr(library, name).restype = ctypes.c_bool
    for name in ("memblock_is_region_memory", "memblock_is_region_reserved"):
        getattr(library, name).argtypes = [u32, u32]
        getattr(library, name).restype = ctypes.c_bool
    library.memblock_start_of_DRAM.restype = library.memblock_end_of_DRAM.restype = u32
    library.memblock_enforce_memory_limit.argtypes = [u32]
    return library


def regions(library, reserved):
    words = (ctypes.c_uint32 * MAX)()
    count = library.host_regions(reserved, words)
    return [tuple(words[3 * i : 3 * i + 3]) for i in range(count)]


def same_state(library, mb):
    for reserved, type_ in ((0, mb.memory), (1, mb.reserved)):
        assert [(r.base, r.size, r.flags) for r in type_.regions] == regions(library, reserved)
        assert type_.total_size & 0xFFFFFFFF == library.host_total(reserved)
        assert type_.max == library.host_max(reserved)


# Addresses and sizes meet often, and at the ends of the address space too.
GRAIN = st.sampled_from((1, 0x1000, 0x1000, 0x100000, 0x1000000))
ADDRESS = st.one_of(
    st.builds(lambda n, grain: n * grain & 0xFFFFFFFF, st.integers(0, 64), GRAIN),
    st.builds(lambda n, grain: 0xFFFFFFFF - n * grain & 0xFFFFFFFF, st.integers(0, 8), GRAIN),
    st.integers(0, 0xFFFFFFFF),
)
SIZE = st.one_of(st.builds(lambda n, grain: n * grain, st.integers(0, 40), GRAIN), st.integers(0, 0xFFFFFFFF))
ALIGN = st.sampled_from((4, 64, 0x1000, 0x2000, 0x10000, 0x100000, 0x400000))
# The kernel's callers clear what they get: an allocation is as large as a test can clear.
SMALL = st.one_of(st.integers(1, 0x4000), st.builds(lambda n: n * 0x1000, st.integers(1, 256)))

RANGES = ("memblock_add", "memblock_remove", "memblock_reserve", "memblock_free", "memblock_mark_nomap",
          "memblock_clear_nomap", "memblock_mark_hotplug", "memblock_clear_hotplug")  # fmt: skip
STEP = st.one_of(
    st.tuples(st.sampled_from(RANGES), ADDRESS, SIZE),
    st.tuples(st.just("alloc"), SMALL, ALIGN, ADDRESS, ADDRESS),
    st.tuples(st.just("alloc"), SMALL, ALIGN, st.just(0), st.just(0)),
    st.tuples(st.just("phys_alloc"), SIZE.filter(bool), ALIGN, ADDRESS, ADDRESS),
    st.tuples(st.just("find"), ADDRESS, ADDRESS, SIZE.filter(bool), ALIGN),
    st.tuples(st.just("bottom_up"), st.booleans()),
    st.tuples(st.just("limit"), ADDRESS),
    st.tuples(st.just("resize")),
    st.tuples(st.just("is"), ADDRESS, SIZE),
)
CALLED = {"memblock_add", "memblock_remove", "memblock_free", "memblock_reserve"}


def step(library, mb, name, *arguments):
    if name in RANGES:
        caller = {"caller": "test"} if name in CALLED else {}
        assert (getattr(ours, name)(mb, *arguments, **caller) < 0) == (getattr(library, name)(*arguments) < 0)
    elif name == "alloc":
        size, align, low, high = arguments
        found = ours.memblock_alloc_try_nid(mb, size, align, low, high, caller="test")
        assert found == library.host_alloc(size, align, low, high)
    elif name == "phys_alloc":
        size, align, start, end = arguments
        found = ours.memblock_phys_alloc_range(mb, size, align, start, end, "test")
        assert found == library.memblock_phys_alloc_range(size, align, start, end)
    elif name == "find":
        start, end, size, align = arguments
        found = ours.memblock_find_in_range(mb, start, end, size, align)
        assert found == library.host_find(start, end, size, align)
    elif name == "bottom_up":
        mb.bottom_up = arguments[0]
        library.host_bottom_up(int(arguments[0]))
    elif name == "limit":
        mb.current_limit = arguments[0]
        library.memblock_set_current_limit(ctypes.c_uint32(arguments[0]))
    elif name == "resize":
        mb.can_resize = True
        library.memblock_allow_resize()
    else:
        address, size = arguments
        for query in ("memblock_is_memory", "memblock_is_map_memory", "memblock_is_reserved"):
            assert getattr(ours, query)(mb, address) == getattr(library, query)(address)
        found = bool(ours.memblock_is_region_memory(mb, address, size))
        assert found == library.memblock_is_region_memory(address, size)
        assert ours.memblock_start_of_DRAM(mb) == library.memblock_start_of_DRAM()
        assert ours.memblock_end_of_DRAM(mb) & 0xFFFFFFFF == library.memblock_end_of_DRAM()


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, min_size=1, max_size=40))
def test_random_calls(theirs, steps):
    assert theirs.host_reset() == 0
    mb = Memblock()
    for words in [("memblock_add", 0x60000000, 0x10000000), ("memblock_add", 0x80000000, 0x8000000), *steps]:
        step(theirs, mb, *words)
        same_state(theirs, mb)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(100, 600), st.booleans(), st.lists(STEP, max_size=10), st.integers(0, 3))
def test_arrays_grow_alike(theirs, count, memory, steps, gap):
    assert theirs.host_reset() == 0
    mb = Memblock()
    step(theirs, mb, "memblock_add", 0x60000000, 0x20000000)
    step(theirs, mb, "resize")
    for n in range(count):
        base = 0x60000000 + n * 0x3000 + gap * 0x1000
        step(theirs, mb, "memblock_mark_nomap" if memory else "memblock_reserve", base, 0x1000)
    for words in steps:
        step(theirs, mb, *words)
    same_state(theirs, mb)
