"""A traced system's demand, put to another machine."""

import lzma
import re
import time
from collections import Counter
from pathlib import Path

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.lab.demand import Demand
from bootsim.lab.texttrace import _LINE, TextTrace, gfp_mask
from bootsim.linux.mm.page_alloc import check_buddy_invariants, format_gfp_flags
from bootsim.views.demand import lines

REAL = Path(__file__).parents[1] / "golden/recordings/armmp-virt-256.trace.xz"


def alloc(pfn, order=0, flags="GFP_KERNEL", who="init-1", cpu=0, time="1.000001"):
    return (f"{who:>20} [{cpu:03}] .... {time}: mm_page_alloc: page=c0de0000 pfn={pfn} order={order} migratetype=0 "
            f"gfp_flags={flags}")


def free(pfn, order=0, who="init-1"):
    return f"{who:>20} [000] .... 1.000002: mm_page_free: page=c0de0000 pfn={pfn} order={order}"


@pytest.fixture
def demand(tmp_path):
    def run(*text, **about):
        file = tmp_path / "trace.txt"
        file.write_text("\n".join(text) + "\n")
        found = Demand(bootsim.boot("vexpress.dts", config="3G/1G", mem=256 << 20), TextTrace(file), **about)
        found.run()
        assert check_buddy_invariants(found.k.mm.pgdat) == []
        return found

    return run


def free_pages_of(k):
    """Pages on the free lists and the per-cpu lists; the zones' counters lag behind them."""
    listed = sum(len(pages) << order for zone in k.zones for order, area in enumerate(zone["free_area"])
                 for pages in area["lists"])
    return listed + sum(cpu["count"] for zone in k.zones for cpu in zone["pcp"])


def test_what_was_given_back_is_free_here_too(demand):
    found = demand(alloc(100), alloc(2048, 10), free(100), free(2048, 10))
    assert (found.asked, found.asked_pages, found.freed_pages, found.held) == (2, 1025, 1025, {})
    before = free_pages_of(bootsim.boot("vexpress.dts", config="3G/1G", mem=256 << 20))
    assert free_pages_of(found.k) == before
    assert before - 1024 - 200 < found.fewest_free < before - 1024


def test_a_block_freed_in_parts_goes_page_by_page(demand):
    found = demand(alloc(200, 2), free(201), free(202))
    assert sorted(found.held) == [200, 203]
    assert found.freed_pages == 2
    assert found.held_pages == 2


def test_a_compound_block_goes_as_one_whatever_part_is_freed(demand):
    # put_page() of a compound page's head is recorded with order 0
    found = demand(alloc(200, 2, flags="GFP_KERNEL|__GFP_COMP"), free(200))
    assert (found.held, found.freed_pages) == ({}, 4)


def test_how_long_the_trace_is(demand):
    found = demand(alloc(1, time="10.5"), alloc(2, time="11.25"), alloc(3, time="12.75"))
    assert (found.first_time, found.last_time) == (10.5, 12.75)


def test_a_frame_handed_out_twice_was_freed_unseen(demand):
    found = demand(alloc(100), alloc(96, 3))
    assert found.gaps == 1
    assert found.held_pages == 8
    assert any("without a free between" in line for line in lines(found))


def test_a_free_of_what_came_before_the_trace_frees_nothing_here(demand):
    found = demand(free(100), free(300, 2), alloc(100))
    assert (found.unseen, found.freed_pages, found.held_pages) == (5, 0, 1)
    assert any("5 pages were freed whose request the trace does not have" in line for line in lines(found))


def test_more_than_this_machine_has_fails_here(demand):
    found = demand(*(alloc(1000 + i * 1024, 10) for i in range(70)))
    assert found.refused_here > 0
    assert any(f"here: {found.refused_here} requests failed, the first of order 10" in line for line in lines(found))
    assert any("page allocation failure: order:10" in record.text for record in found.k.log.records)


def test_who_holds_what(demand):
    kmalloc = (" a-7 [000] 2.5: kmalloc: call_site=f+0x10/0x20 ptr=c1000040 bytes_req=50 bytes_alloc=64 "
               "gfp_flags=GFP_KERNEL")
    kfree = " a-7 [000] 2.6: kfree: call_site=g+0x1/0x2 ptr=c1000040"
    again = kmalloc.replace("f+0x10", "h+0x10")
    found = demand(alloc(1, who="my task-x-9"), alloc(2, 1), kmalloc, kfree, again, object_va=0xC1000040, page=2)
    assert found.tasks() == [("init-1", 2), ("my task-x-9", 1)]
    assert found.sites() == [("h+0x10/0x20", 1, 64)]
    assert [re.sub(r".*?: [\d.]+: ", "", line).split(",")[0] for line in found.life] == [
        "order 1 handed out to init-1", "kmalloc of 64 bytes by f+0x10/0x20", "freed by g+0x1/0x2",
        "kmalloc of 64 bytes by h+0x10/0x20"]


@pytest.mark.parametrize("line", [
    "           <...>-1234  [000]  1234.567890: mm_page_alloc:        page=0xc0de0000 pfn=0x64 order=0 gfp_flags=none",
    "  kworker/0:1-12    (-----) [000] d..1.  12.5: kmem:mm_page_alloc: page=0x1 pfn=100 order=0 gfp_flags=none",
    "init-1 [000] 5: mm_page_alloc: page=c pfn=100 order=0 migratetype=1 gfp_flags=__GFP_IO|0x2000000",
])
def test_forms_of_a_line(tmp_path, line):
    file = tmp_path / "trace"
    file.write_text(f"cpus=1\nversion = 6\n{line}\n")
    (event,) = TextTrace(file)
    assert int(event.fields["pfn"], 0) == 100
    assert event.line == 3


@pytest.mark.parametrize(("text", "told"), [
    ("nothing\n", "no event of kmem: in it"),
    (" a-1 [000] 1.0: mm_page_alloc: page=1 pfn=5\n", ":1: mm_page_alloc without order, gfp_flags"),
    (alloc("x1"), "pfn=x1, expected a number"),
    (alloc(1, -1), "order=-1, expected a number"),
    (alloc(-5), "pfn=-5, expected a number"),
    (alloc(1, flags="0x100000000"), "gfp_flags=0x100000000: 0x100000000, expected a flag's name, or a number of 32"),
    (alloc(1, cpu=int("9" * 4000)), "no event of kmem: in it"),
    (alloc(1, time="9" * 400), "no event of kmem: in it"),
    (alloc(1, flags="__GFP_MOVABLE|__GFP_RECLAIMABLE"), ":1: gfp mask 0x18: "),
    (alloc(1, 16), "order=16, expected less than 16"),
    (alloc(1, flags="GFP_KERNEL|-1"), "gfp_flags=GFP_KERNEL|-1: -1, expected a flag's name"),
    (alloc(1, flags="GFP_KERNEL|"), "gfp_flags=GFP_KERNEL|: , expected a flag's name"),
    (" a-1 [000] 1.0: kfree: call_site=f ptr=me", "ptr=me, expected an address"),
])
def test_what_cannot_be_read_is_told_by_its_line(demand, text, told):
    with pytest.raises(InputError, match=re.escape(told)):
        demand(text)


def test_lost_events_other_events_and_unknown_processors_are_told(demand):
    found = demand("CPU:0 [LOST 12 EVENTS]", "CPU:1 [EVENTS DROPPED]", alloc(1, cpu=31),
                   " a-1 [000] 1.0: sched_switch: prev_comm=a")
    told = "\n".join(lines(found))
    assert "lost events in 2 places" in told
    assert "cpu 31: this machine has" in told
    assert "sched_switch (1)" in told


def test_a_line_that_does_not_end_is_no_trace():
    with pytest.raises(InputError, match="/dev/zero: a line of more than 64 KiB, expected a trace"):
        list(TextTrace("/dev/zero"))


def test_what_is_freed_may_begin_in_one_block_and_end_outside_of_it(demand):
    found = demand(alloc(4, 2), alloc(8, 2), free(7, 1), free(2, 1), free(11, 1))
    assert (found.held_pages, found.freed_pages, found.unseen) == (5, 3, 3)
    assert check_buddy_invariants(found.k.mm.pgdat) == []


@pytest.mark.parametrize("part", [" ", "-1", " -1 ", "-1 [0] ", "-1 [0] 1: "])
def test_a_long_line_of_something_else_is_read_in_no_time(part):
    line, began = part * (60000 // len(part)), time.process_time()
    assert _LINE.match(line) is None
    assert time.process_time() - began < 1  # with two ways to read each space: a minute


def mask_of(tmp_path, flags):
    file = tmp_path / "trace"
    file.write_text(alloc(1, flags=flags) + "\n")
    trace = TextTrace(file)
    (event,) = trace
    return gfp_mask(trace, event), trace.unknown_flags


@pytest.mark.parametrize("mask", [0xCC0, 0x100CCA, 0x12C00, 0x400DC0, 0xA20, 0x2800, 0x5, 0])
def test_masks_go_to_names_and_back(tmp_path, mask):
    assert mask_of(tmp_path, format_gfp_flags(mask) or "none") == (mask, {})
    assert mask_of(tmp_path, f"{mask:#x}") == mask_of(tmp_path, f"{mask}") == (mask, {})


@pytest.mark.parametrize(("flags", "mask", "unknown"), [
    ("GFP_KERNEL|__GFP_ZEROTAGS|__GFP_SKIP_KASAN", 0xCC0, {"__GFP_ZEROTAGS": 1, "__GFP_SKIP_KASAN": 1}),  # 6.x
    ("GFP_KERNEL|0x2000000", 0xCC0, {"0x2000000": 1}),
    ("GFP_NOWAIT|0x8000", 0x800, {"0x8000": 1}),  # 5.10 would have said __GFP_NOFAIL
    ("0x2800cc0", 0xCC0, {"0x2800000": 1}),
    ("GFP_TEMPORARY|__GFP_NOTRACK", 0, {"GFP_TEMPORARY": 1, "__GFP_NOTRACK": 1}),  # 4.x
])
def test_flags_of_other_versions_are_left_out(tmp_path, flags, mask, unknown):
    assert mask_of(tmp_path, flags) == (mask, unknown)


def test_a_trace_of_6_1(demand):
    found = demand(
        "# tracer: nop", "           <...>-3021    [005] .....  4021.778821: mm_page_alloc: page=00000000c19b1f72 "
        "pfn=0x10d3b6 order=0 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_SKIP_KASAN_UNPOISON",
        "  bash-3021    [005] .....  4021.778822: mm_page_alloc: page=0000000000000000 pfn=0x0 order=9 migratetype=1 "
        "gfp_flags=GFP_TRANSHUGE|__GFP_SKIP_KASAN_UNPOISON",
        "  bash-3021    [005] .....  4021.778823: kmem_cache_alloc: call_site=vm_area_dup+0x2a/0xb0 "
        "ptr=000000003a6f9b29 name=vm_area_struct bytes_req=152 bytes_alloc=152 gfp_flags=GFP_KERNEL node=-1 "
        "accounted=true",
        "  bash-3021    [005] .....  4021.778824: mm_page_free: page=00000000c19b1f72 pfn=0x10d3b6 order=0",
        "  bash-3021    [005] .....  4021.778825: mm_page_alloc: page=00000000c19b1f72 pfn=0x10d3b6 order=2 "
        "migratetype=1 gfp_flags=GFP_KERNEL|__GFP_COMP|__GFP_SKIP_KASAN_UNPOISON|__GFP_ZEROTAGS")
    assert (found.asked, found.refused_there, found.refused_here) == (3, 1, 0)
    assert (found.held_pages, found.freed_pages) == (4, 1)
    assert found.sites() == [("vm_area_dup+0x2a/0xb0", 1, 152)]
    told = [line.strip() for line in lines(found) if "no flag" in line]
    assert told == [
        "Linux 5.10 has no flag __GFP_SKIP_KASAN_UNPOISON, line 2: such requests are made here without it",
        "Linux 5.10 has no flag __GFP_ZEROTAGS, line 6: such requests are made here without it"]


def test_numbers_of_a_raw_report(demand):
    found = demand(
        " a-1 [000] 1.0: mm_page_alloc: pfn=0xffffffffffffffff order=10 gfp_flags=0xcc0 migratetype=0",
        " a-1 [000] 1.0: mm_page_alloc: pfn=0x64 order=1 gfp_flags=0xcc0 migratetype=0")
    assert (found.refused_there, found.held_pages) == (1, 2)


def test_an_object_whose_address_could_not_be_hashed_yet(demand):
    kmalloc = " a-7 [000] 2.5: kmalloc: call_site=f ptr={} bytes_req=50 bytes_alloc=64 gfp_flags=GFP_KERNEL"
    found = demand(kmalloc.format("(____ptrval____)"), " a-7 [000] 2.6: kfree: call_site=g ptr=(ptrval)",
                   kmalloc.format("c1000040"))
    assert (len(found.objects), found.hidden_objects, found.unseen_objects) == (1, 2, 0)
    assert any("2 events of objects have no address" in line for line in lines(found))


@pytest.mark.golden
def test_a_real_system_holds_what_it_asked_for_and_did_not_free():
    text = lzma.decompress(REAL.read_bytes()).decode()
    asked = [(int(p), int(o)) for p, o in re.findall(r"mm_page_alloc:.* pfn=(\d+) order=(\d+)", text)]
    sites = Counter(re.findall(r"kmalloc: call_site=(\S+)", text))
    held = set()
    for kind, pfn, order in re.findall(r"mm_page_(alloc|free): page=\S+ pfn=(\d+) order=(\d+)", text):
        frames = range(int(pfn), int(pfn) + (1 << int(order)))
        held = held | set(frames) if kind == "alloc" else held - set(frames)
    found = Demand(bootsim.boot("vexpress.dts", config="3G/1G", mem=256 << 20), TextTrace(REAL))
    found.run()
    assert found.asked == len(asked) > 100
    assert set(found.held) == held
    assert sum(sites.values()) > 1000
    assert {site for site, _, _ in found.sites()} <= set(sites)
    assert found.refused_here == 0
    assert check_buddy_invariants(found.k.mm.pgdat) == []
