"""Differences of whole boots: every one explained, none between equals, order changes told, real boots too."""

from __future__ import annotations

import io
import itertools
import lzma
import tarfile
from pathlib import Path

import pytest

from bootsim.cli.diff import _open
from bootsim.state.diff import Difference
from bootsim.state.logdiff import Line, align, template_of
from bootsim.state.ranges import mapped_ranges, range_changes
from bootsim.state.replay import Replay
from bootsim.state.side import from_replay

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = [("3G/1G", "1G"), ("2G/2G", "1G"), ("1G/3G", "1G"), ("3G/1G-opt", "1G"), ("3G/1G-nohighmem", "1G"),
         ("3G/1G", "512M"), ("3G/1G", "200M")]  # fmt: skip


@pytest.fixture(scope="module")
def sides():
    boots = {case: Replay("vexpress.dts", {"config": case[0], "mem": case[1]}) for case in CASES}
    return {case: from_replay(" ".join(case), boot) for case, boot in boots.items()}


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(CASES, 2)), ids="-".join)
def test_every_difference_has_a_root(sides, a, b):
    difference = Difference(sides[a], sides[b])
    assert not difference.same
    assert len(difference.log_changes) > 10
    assert difference.unexplained == []


def test_a_boot_equals_itself(sides):
    other = from_replay("again", Replay("vexpress.dts", {"config": "3G/1G", "mem": "1G"}))
    difference = Difference(sides[CASES[0]], other)
    assert difference.same
    assert difference.roots == []


def test_state_tells_what_went_and_what_came(sides):
    changes = {f"{c.part}: {c.shown()}": c for c in Difference(sides["3G/1G", "1G"], sides["2G/2G", "1G"]).state}
    assert any(text.startswith("tables: 0xc0000000-0xc00fffff: 0x60000000 section RW NX") and text.endswith("-> gone")
               for text in changes)  # fmt: skip
    assert any(text.startswith("zones: zone HighMem [0x90000000-0x9fffffff]") for text in changes)
    assert "layout: pkmap 0xbfe00000-0xbfffffff -> gone" in changes
    limit = changes["limits: lowmem_limit 0x90000000 -> 0xa0000000"]
    assert limit.because[0] == "arm_lowmem_limit"
    assert limit.stages == ("adjust_lowmem_bounds", "arm_memblock_init", "adjust_lowmem_bounds_2")


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
def capture(tmp_path_factory):
    def unpack(name):
        target = tmp_path_factory.mktemp(name)
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress((GOLDEN / f"{name}.tar.xz").read_bytes()))) as tar:
            tar.extractall(target, filter="data")
        return _open(str(target), {}, True, as_replay=False)[0]

    return unpack


@pytest.mark.golden
@pytest.mark.parametrize(("a", "b"), [("a9-3gh-512", "a9-3gh-1024"), ("a9-3gh-1024", "a9-2g-512"),
                                      ("a9-3gh-1024", "a9-3gh-1024-smp4"), ("a9-3g-1024", "a15-1g-1024"),
                                      ("a9-3go-1024", "banks-and-dynamic-reservations")])  # fmt: skip
def test_real_boots_differ_for_known_reasons(capture, a, b):
    difference = Difference(capture(a), capture(b))
    assert difference.log_changes
    assert difference.state
    assert difference.unexplained == []
