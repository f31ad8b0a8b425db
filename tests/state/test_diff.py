"""Differences of whole boots: every one explained, none between equals, order changes told, real boots too."""

from __future__ import annotations

import itertools

import pytest

from bootsim.cli.diff import _open
from bootsim.state.chain import Chain
from bootsim.state.decisions import load_inputs
from bootsim.state.diff import Difference
from bootsim.state.logdiff import Line, align, template_of
from bootsim.state.ranges import mapped_ranges, range_changes
from bootsim.state.side import from_inputs

CASES = [("3G/1G", "1G"), ("2G/2G", "1G"), ("1G/3G", "1G"), ("3G/1G-opt", "1G"), ("3G/1G-nohighmem", "1G"),
         ("3G/1G", "512M"), ("3G/1G", "200M")]  # fmt: skip


@pytest.fixture(scope="module")
def sides():
    boots = {case: load_inputs("vexpress.dts", {"config": case[0], "mem": case[1]}) for case in CASES}
    return {case: from_inputs(" ".join(case), made_from) for case, made_from in boots.items()}


@pytest.mark.parametrize(("a", "b"), list(itertools.pairwise(CASES)), ids=str)
def test_every_difference_has_a_root(sides, a, b):
    difference = Difference(sides[a], sides[b])
    assert not difference.same
    assert len(difference.log_changes) > 10
    assert difference.unexplained == []


def test_a_boot_equals_itself(sides):
    other = from_inputs("again", load_inputs("vexpress.dts", {"config": "3G/1G", "mem": "1G"}))
    difference = Difference(sides[CASES[0]], other)
    assert difference.same
    assert difference.roots == ()


def test_state_tells_what_went_and_what_came(sides):
    difference = Difference(sides["3G/1G", "1G"], sides["2G/2G", "1G"])
    changes = {f"{c.part}: {c.shown()}": c for c in difference.effects}
    assert any(text.startswith("tables: 0xc0000000-0xc00fffff: 0x60000000 section RW NX") and text.endswith("-> gone")
               for text in changes)  # fmt: skip
    assert "zones: HighMem.start_pfn 0x90000 -> gone" in changes
    assert "layout: pkmap 0xbfe00000-0xbfffffff -> gone" in changes
    limit = changes["layout: lowmem_limit 0x90000000 -> 0xa0000000"]
    assert [difference.roots[n].name for n in limit.roots] == ["CONFIG_PAGE_OFFSET"]
    assert limit.stages == ("adjust_lowmem_bounds", "arm_memblock_init", "adjust_lowmem_bounds_2")


def test_symbols_that_moved_with_page_offset_are_no_roots(sides):
    difference = Difference(sides["3G/1G-nohighmem", "1G"], sides["2G/2G", "1G"])
    assert [root.name for root in difference.roots] == ["CONFIG_PAGE_OFFSET", "build:image"]
    image = difference.roots[1]
    assert [part.split()[0] for part in image.below] == ["_einittext"]


def test_effects_that_need_two_decisions_bear_both(sides):
    difference = Difference(sides["3G/1G", "1G"], sides["2G/2G", "1G"])
    names = [root.name for root in difference.roots]
    modules = next(e for e in difference.effects if e.id == "fact:MODULES_END")
    assert modules.sets == ((names.index("CONFIG_PAGE_OFFSET"), names.index("CONFIG_HIGHMEM")),)
    # the zone goes when lowmem reaches all of RAM, and when there is no highmem: either is enough
    zone = next(e for e in difference.effects if e.id == "zones:HighMem.start_pfn")
    assert zone.sets == ((names.index("CONFIG_PAGE_OFFSET"),), (names.index("CONFIG_HIGHMEM"),))


def test_ids_are_the_same_against_the_same_boot(sides):
    a = sides["3G/1G", "1G"]
    one, other = ({e.id: e.a for e in Difference(a, sides[case]).effects}
                  for case in (("3G/1G", "512M"), ("3G/1G", "200M")))  # fmt: skip
    both = one.keys() & other.keys()
    assert len(both) > 0.8 * min(len(one), len(other))
    # what there is in A is the same thing whatever A is compared with
    assert {name: one[name] for name in both} == {name: other[name] for name in both}
    for case in CASES[1:]:
        ids = [e.id for e in Difference(a, sides[case]).effects]
        assert len(ids) == len(set(ids))


def test_a_chain_leads_from_a_decision_to_what_it_moved(sides):
    difference = Difference(sides["3G/1G", "1G"], sides["2G/2G", "1G"])
    chain = Chain(difference, 0)
    assert difference.roots[0].name == "CONFIG_PAGE_OFFSET"
    assert "PAGE_OFFSET" in chain.below[""]
    assert {"TASK_SIZE", "vmalloc_limit"} <= set(chain.below["PAGE_OFFSET"])
    assert "arm_lowmem_limit" in chain.below["vmalloc_limit"]
    # PKMAP_BASE is another decision's
    assert "PKMAP_BASE" not in chain.facts


# ---------------------------------------------------------------- the log


def lines(*texts):
    return [Line(text.split()[0], "", text, {}, True) for text in texts]


def test_lines_align_by_form_not_by_place():
    a, b = lines("x at 0x10", "y 1", "z 5"), lines("x at 0x20", "new 7", "y 1", "z 6")
    entries = align(a, b)
    assert [e.kind for e in entries] == ["changed", "added", "same", "changed"]
    assert entries[0].merged() == "x at {0x10 -> 0x20}"


def test_order_changes_are_told_as_such():
    a, b = lines("one 1", "two 2", "three 3", "four 4"), lines("two 2", "three 3", "one 9", "four 4")
    moved = [e for e in align(a, b) if e.kind != "same"]
    assert [e.kind for e in moved] == ["moved"]
    assert moved[0].merged() == "one {1 -> 9}"
    assert moved[0].after_a is None
    assert moved[0].after_b.text == "three 3"


def test_a_form_has_no_numbers_and_no_words_filled_in():
    assert template_of("node vram@4c at 0x9f000000, 16 MiB", {"name": "vram@4c"}) == "node $ at #, # MiB"


# ---------------------------------------------------------------- page tables


def table(**sections):
    words = [0] * 4096
    for index, word in sections.items():
        words[int(index[1:], 16)] = word
    return b"".join(word.to_bytes(4, "little") for word in words)


def test_ranges_merge_what_is_mapped_alike():
    # 0xc00 0xc01 are neighbours in both address spaces, 0xc02 is not in the physical one
    l1 = table(_c00=0x6001141E, _c01=0x6011141E, _c02=0x7001141E)
    found = mapped_ranges(l1, {})
    assert [(r.start_va, r.end_va, r.pa) for r in found] == [
        (0xC0000000, 0xC0200000, 0x60000000), (0xC0200000, 0xC0300000, 0x70000000)]  # fmt: skip
    assert found[0].attributes == "RW NX write-alloc shareable"


def test_range_changes_merge_and_keep_what_is_equal():
    one = mapped_ranges(table(_c00=0x6001141E, _c01=0x6011141E, _c02=0x6021141E), {})
    other = mapped_ranges(table(_c00=0x6001141E), {})
    (change,) = range_changes(one, other)
    assert (change.start_va, change.end_va, change.b) == (0xC0100000, 0xC0300000, None)


# ---------------------------------------------------------------- real boots


@pytest.fixture(scope="module")
def capture(unpack, tmp_path_factory):
    return lambda name: _open(str(unpack(name, tmp_path_factory.mktemp(name))), {}, True, {}, as_replay=False)


@pytest.mark.golden
@pytest.mark.parametrize(("a", "b"), [("a9-3gh-512", "a9-3gh-1024"), ("a9-3gh-1024", "a9-2g-512"),
                                      ("a9-3gh-1024", "a9-3gh-1024-smp4"), ("a9-3g-1024", "a15-1g-1024"),
                                      ("a9-3go-1024", "banks-and-dynamic-reservations")])  # fmt: skip
def test_real_boots_differ_for_known_reasons(capture, a, b):
    difference = Difference(capture(a), capture(b))
    assert difference.log_changes
    assert {effect.part for effect in difference.effects} >= {"log", "tables"}
    assert difference.unexplained == []
