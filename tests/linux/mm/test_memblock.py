"""mm/memblock.c: adding, splitting, merging, searching, resizing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.invariants import check_memblock
from bootsim.linux.mm import memblock as m
from bootsim.linux.mm.memblock import MEMBLOCK_NOMAP, PHYS_ADDR_MAX, Memblock, for_each_free_mem_range_reverse
from bootsim.owners import Purpose
from bootsim.page import PAGE_SIZE

MiB = 1 << 20


def regions(type_):
    return [(r.base, r.size, r.flags) for r in type_.regions]


def two_banks():
    # 0x10000000 [....64M....]        0x80000000 [....32M....]
    mb = Memblock()
    m.memblock_add(mb, 0x10000000, 64 * MiB)
    m.memblock_add(mb, 0x80000000, 32 * MiB)
    return mb


def test_a_new_memblock_holds_one_empty_dummy_region():
    mb = Memblock()
    assert regions(mb.memory) == [(0, 0, 0)]
    assert mb.current_limit == PHYS_ADDR_MAX


def test_neighbours_with_equal_flags_are_merged():
    # [A][B] -> [AB]
    mb = Memblock()
    m.memblock_add(mb, 0x1000, 0x1000)
    m.memblock_add(mb, 0x2000, 0x1000)
    assert regions(mb.memory) == [(0x1000, 0x2000, 0)]


def test_an_overlapping_range_adds_only_what_is_missing():
    # have:    [--]    [--]
    # add:   [-----------------]
    mb = Memblock()
    m.memblock_reserve(mb, 0x2000, 0x1000, "t")
    m.memblock_reserve(mb, 0x5000, 0x1000, "t")
    m.memblock_reserve(mb, 0x1000, 0x8000, "t")
    assert regions(mb.reserved) == [(0x1000, 0x8000, 0)]
    assert mb.reserved.total_size == 0x8000


def test_nomap_splits_a_bank_and_does_not_merge_back():
    mb = two_banks()
    m.memblock_mark_nomap(mb, 0x10100000, MiB)
    assert regions(mb.memory)[:3] == [
        (0x10000000, MiB, 0), (0x10100000, MiB, MEMBLOCK_NOMAP), (0x10200000, 62 * MiB, 0)]
    m.memblock_clear_nomap(mb, 0x10100000, MiB)
    assert regions(mb.memory) == [(0x10000000, 64 * MiB, 0), (0x80000000, 32 * MiB, 0)]


def test_nomap_memory_is_never_handed_out():
    mb = Memblock()
    m.memblock_add(mb, 0x10000000, 2 * MiB)
    m.memblock_mark_nomap(mb, 0x10100000, MiB)
    assert m.memblock_alloc(mb, PAGE_SIZE, PAGE_SIZE, "t") == 0x100FF000


def test_removing_the_middle_leaves_two_ends():
    mb = Memblock()
    m.memblock_add(mb, 0x1000, 0x9000)
    m.memblock_remove(mb, 0x3000, 0x2000, "t")
    assert regions(mb.memory) == [(0x1000, 0x2000, 0), (0x5000, 0x5000, 0)]


def test_removing_everything_leaves_the_dummy():
    mb = two_banks()
    m.memblock_remove(mb, 0, PHYS_ADDR_MAX, "t")
    assert regions(mb.memory) == [(0, 0, 0)]
    assert mb.memory.total_size == 0


def test_allocation_is_top_down_below_the_limit():
    # current_limit cuts the second bank off
    mb = two_banks()
    assert m.memblock_alloc(mb, PAGE_SIZE, PAGE_SIZE, "t") == 0x82000000 - PAGE_SIZE
    m.memblock_set_current_limit(mb, 0x14000000)
    assert m.memblock_alloc(mb, PAGE_SIZE, PAGE_SIZE, "t") == 0x14000000 - PAGE_SIZE


def test_small_blocks_fill_the_gap_left_by_alignment():
    # | ... gap | aligned block | top: the next small block takes the gap above a lower aligned one
    mb = two_banks()
    a = m.memblock_alloc(mb, 100, 64, "t")
    b = m.memblock_alloc(mb, 20, 4, "t")
    assert a == 0x82000000 - 128
    assert b == 0x82000000 - 128 + 100 + 8


def test_a_lower_bound_that_cannot_be_met_is_dropped():
    mb = two_banks()
    m.memblock_set_current_limit(mb, 0x14000000)
    assert m.memblock_alloc_try_nid(mb, 4096, 4096, 0x90000000, caller="t") == 0x13FFF000


def test_bottom_up_search_takes_the_lowest_place():
    mb = two_banks()
    mb.bottom_up = True
    assert m.memblock_alloc(mb, PAGE_SIZE, MiB, "t") == 0x10000000


def test_page_zero_is_never_found():
    mb = Memblock()
    m.memblock_add(mb, 0, PAGE_SIZE)
    assert m.memblock_alloc(mb, 16, 16, "t") == 0


def test_a_range_is_cut_before_the_end_of_the_address_space():
    mb = Memblock()
    m.memblock_add(mb, 0xFFF00000, MiB)
    assert regions(mb.memory) == [(0xFFF00000, MiB - 1, 0)]


def test_allocated_memory_is_cleared():
    cleared = []
    mb = Memblock(zero=lambda *what: cleared.append(what))
    m.memblock_add(mb, 0x100000, MiB)
    pa = m.memblock_alloc(mb, 300, 64, "t", Purpose("other", "a test"))
    assert cleared == [(pa, 300, "a test")]


def fill_reserved(mb, n):
    for i in range(n):
        m.memblock_reserve(mb, 0x10000000 + i * 0x2000, 0x1000, "t")


def test_the_array_cannot_grow_before_resizing_is_allowed():
    mb = two_banks()
    fill_reserved(mb, 128)
    assert m.memblock_reserve(mb, 0x11000000, 0x1000, "t") == -12
    assert len(mb.reserved.regions) == 128


def test_a_full_array_is_doubled_into_reserved_memory():
    lines = []
    mb = two_banks()
    mb.printk = lambda level, template, **f: lines.append(template.format(**f))
    m.memblock_allow_resize(mb)
    fill_reserved(mb, 128)
    mb.debug = True
    assert m.memblock_reserve(mb, 0x11000000, 0x1000, "t") == 0
    assert mb.reserved.max == 256
    # 256 regions of 12 bytes take one page, at the top of memory
    assert mb.reserved.array_pa == 0x81FFF000
    assert m.memblock_is_reserved(mb, 0x81FFF000)
    assert "memblock: reserved is doubled to 256 at [0x81fff000-0x81fffbff]" in lines
    assert check_memblock(mb) == []


def test_a_second_doubling_frees_the_first_array():
    mb = two_banks()
    m.memblock_allow_resize(mb)
    fill_reserved(mb, 300)
    assert mb.reserved.max == 512
    assert mb.reserved.array_pa == 0x82000000 - 3 * PAGE_SIZE
    assert not m.memblock_is_reserved(mb, 0x81FFF000)


def test_debug_lines_read_as_the_kernels():
    lines = []
    mb = Memblock(printk=lambda level, template, **f: lines.append(template.format(**f)), debug=True)
    m.memblock_add(mb, 0x60000000, 0x40000000)
    m.memblock_alloc(mb, 8192, 8192, "early_alloc")
    m.memblock_free(mb, 0x7000, 0, "f")
    m.memblock_dump_all(mb)
    assert lines == [
        "memblock_add: [0x60000000-0x9fffffff] early_init_dt_add_memory_arch",
        "memblock_alloc_try_nid: 8192 bytes align=0x2000 nid=-1 from=0x00000000 max_addr=0x00000000 early_alloc",
        "memblock_reserve: [0x9fffe000-0x9fffffff] memblock_alloc_range_nid",
        "memblock_free: [0x00007000-0x00006fff] f",
        "MEMBLOCK configuration:",
        " memory size = 0x40000000 reserved size = 0x00002000",
        " memory.cnt  = 0x1",
        " memory[0x0]\t[0x60000000-0x9fffffff], 0x40000000 bytes flags: 0x0",
        " reserved.cnt  = 0x1",
        " reserved[0x0]\t[0x9fffe000-0x9fffffff], 0x00002000 bytes flags: 0x0",
    ]


@pytest.mark.parametrize(("base", "size", "expected"), [
    (0x10000000, 64 * MiB, True), (0x10000000, 64 * MiB + 1, False), (0x0FFFF000, 0x1000, False),
    (0x80001000, 0x1000, True)])
def test_is_region_memory(base, size, expected):
    assert m.memblock_is_region_memory(two_banks(), base, size) is expected


# ---------------------------------------------------------------- against a plain model: one flag set a page

PAGES = 96
OPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "reserve", "free", "nomap", "map", "alloc"]),
        st.integers(0, PAGES - 1), st.integers(0, 24), st.sampled_from([1, 2, 4, 8])),
    max_size=60)


@pytest.mark.property
@settings(max_examples=2000, deadline=None)
@given(OPS)
def test_random_sequences_agree_with_a_page_model(ops):
    mb = Memblock()
    memory: dict[int, bool] = {}  # page -> nomap
    reserved: set[int] = set()
    for op, first, count, align in ops:
        base, size = (first + 16) * PAGE_SIZE, count * PAGE_SIZE
        pages = range(first + 16, first + 16 + count)
        if op == "add":
            m.memblock_add(mb, base, size)
            for p in pages:
                memory.setdefault(p, False)
        elif op == "remove":
            m.memblock_remove(mb, base, size, "t")
            for p in pages:
                memory.pop(p, None)
        elif op == "reserve":
            m.memblock_reserve(mb, base, size, "t")
            reserved.update(pages)
        elif op == "free":
            m.memblock_free(mb, base, size, "t")
            reserved.difference_update(pages)
        elif op in ("nomap", "map"):
            (m.memblock_mark_nomap if op == "nomap" else m.memblock_clear_nomap)(mb, base, size)
            for p in pages:
                if p in memory:
                    memory[p] = op == "nomap"
        elif count:
            usable = [p for p, nomap in memory.items() if not nomap and p not in reserved]
            fits = [p for p in usable if p % align == 0 and all(q in usable for q in range(p, p + count))
                    # one block of memory must hold it: a border between banks that touch is no border
                    ]
            want = max(fits, default=0) * PAGE_SIZE
            assert m.memblock_alloc(mb, size, align * PAGE_SIZE, "t") == want
            reserved.update(range(want // PAGE_SIZE, want // PAGE_SIZE + count) if want else ())
        assert check_memblock(mb) == []
        assert {p for r in mb.memory.regions for p in range(r.base >> 12, (r.base + r.size) >> 12)} == set(memory)
        assert {p for r in mb.reserved.regions for p in range(r.base >> 12, (r.base + r.size) >> 12)} == reserved
        free = list(m.for_each_free_mem_range(mb))
        assert free == list(for_each_free_mem_range_reverse(mb))[::-1]
        assert ({p for b, e in free for p in range(b >> 12, e >> 12)}
                == {p for p, nomap in memory.items() if not nomap} - reserved)
