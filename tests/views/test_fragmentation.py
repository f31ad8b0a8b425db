"""extfrag and vmstat: indices of zones whose free blocks are given, counters against a real file."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from bootsim.linux.mm.vmstat import si_mem_available
from bootsim.views import extfrag, vmstat
from bootsim.views.catalog import find
from bootsim.views.extfrag import fill_contig_page_info, fragmentation_index, unusable_free_index
from bootsim.views.held import NotHeld


def zone(*blocks):
    return {"free_area": [{"nr_free": n} for n in blocks]}


def index(function, order, *blocks):
    return function(order, fill_contig_page_info(zone(*blocks), order))


def test_a_zone_as_a_request_sees_it():
    assert fill_contig_page_info(zone(3, 1, 0, 2), 2) == (3 + 2 + 16, 6, 4)


@pytest.mark.parametrize(("blocks", "indices"), [
    ((0, 0, 0), (1000, 1000, 1000)),       # nothing is free: all of it is of no use
    ((0, 0, 5), (0, 0, 0)),
    ((4, 0, 1), (0, 500, 500)),            # half of eight pages are single
    ((1, 1, 0), (0, 333, 1000)),
])
def test_how_much_is_of_no_use(blocks, indices):
    assert tuple(index(unusable_free_index, order, *blocks) for order in range(3)) == indices


@pytest.mark.parametrize(("blocks", "indices"), [
    ((0, 0, 0), (0, 0, 0)),                # nothing to say of an empty zone
    ((0, 0, 5), (-1000, -1000, -1000)),    # nothing fails
    ((1, 0, 0), (-1000, -500, -250)),      # 1 - (1 + 1/2) / 1: less than one block is there
    ((8, 0, 0), (-1000, 375, 625)),        # 1 - (1 + 8/4) / 8
    ((1024, 0, 0), (-1000, 500, 750)),     # enough pages, in pieces
])
def test_why_a_block_would_fail(blocks, indices):
    assert tuple(index(fragmentation_index, order, *blocks) for order in range(3)) == indices


def test_the_form_of_the_numbers():
    """As C prints "%d.%03d" of a quotient and a remainder, both rounded towards zero."""
    shown = {0: "0.000 ", 1000: "1.000 ", -1000: "-1.000 ", 42: "0.042 ", -500: "0.-500 ", -9: "0.-09 "}
    assert {number: extfrag._shown(number) for number in shown} == shown


@pytest.mark.parametrize("name", ["unusable_index", "extfrag_index"])
def test_the_files(booted, name):
    view = find(f"/sys/kernel/debug/extfrag/{name}")
    lines = view.lines(booted())
    assert [line[:21] for line in lines] == ["Node 0, zone   Normal", "Node 0, zone  HighMem"]
    assert all(len(line.split()) == 4 + 11 for line in lines)
    assert all(line.endswith(" ") for line in lines)


def test_without_compaction_there_is_no_file(booted):
    build = booted().build
    held = SimpleNamespace(build=build.replace(config=build.config.replace(COMPACTION=False)))
    with pytest.raises(NotHeld, match="CONFIG_COMPACTION"):
        extfrag.data(held, "unusable_index")


def test_vmstat_has_every_counter_of_a_real_kernel_in_its_order(booted, real):
    names = [line.split()[0] for line in vmstat.lines(booted())]
    assert names == [line.split()[0] for line in real("vmstat")]


def number(line):
    return int(line.split()[-1])


def test_dirty_thresholds_are_the_real_kernels(real):
    """Of its own zones as they were then."""
    shown = {line.split()[0]: number(line) for line in real("vmstat")}
    zones, stats, reserve = [], [], 0
    for text in "\n".join(real("zoneinfo")).split("Node 0, zone")[1:]:
        lines = [line.strip() for line in text.splitlines()]
        found = {name: number(next(line for line in lines if re.match(rf"{name} +\d", line)))
                 for name in ("pages free", "high", "present", "managed")}
        stats.append({line.split()[0]: number(line) for line in lines if re.match(r"nr_zone_(in)?active_file ", line)}
                     or {"nr_zone_inactive_file": 0, "nr_zone_active_file": 0})
        protection = max(map(int, re.findall(r"\d+", next(line for line in lines if line.startswith("protection")))))
        reserve += min(protection + found["high"], found["managed"])
        zones.append({"name": lines[0], "present": found["present"], "watermark": (0, 0, found["high"]),
                      "nr_free_pages": found["pages free"]})
    mm = SimpleNamespace(pgdat=SimpleNamespace(totalreserve_pages=reserve))
    held = SimpleNamespace(part=lambda _: zones, kernel=lambda _: SimpleNamespace(mm=mm),
                           build=SimpleNamespace(config=SimpleNamespace(HIGHMEM=True)))
    limits = vmstat.dirty_limits(held, stats, shown)
    assert limits == (shown["nr_dirty_threshold"], shown["nr_dirty_background_threshold"])


def test_available_memory_is_the_real_kernels(booted, real):
    """Of its own counters; watermarks and reserve are the boot's."""
    shown = {line.split()[0]: number(line) for line in real("vmstat")}
    theirs = next(int(line.split()[1]) for line in real("meminfo") if line.startswith("MemAvailable"))
    assert si_mem_available(booted().kernel(""), [{"nr_free_pages": shown["nr_free_pages"]}], shown) * 4 == theirs


def test_a_build_with_zsmalloc_has_a_counter_more(booted):
    held = booted()
    held = SimpleNamespace(build=held.build.replace(config=held.build.config.replace(ZSMALLOC=True)),
                           part=held.part, is_live=lambda: False)
    names = list(vmstat.data(held))
    assert names[names.index("nr_bounce") + 1:][:2] == ["nr_zspages", "nr_free_cma"]


def test_what_requests_leave_alone_is_the_real_kernels(booted, real):
    text = "\n".join(real("zoneinfo"))
    high = [int(n) for n in re.findall(r"(?m)^ +high +(\d+)$", text)]
    most = [max(map(int, numbers.split(","))) for numbers in re.findall(r"protection: \(([\d, ]+)\)", text)]
    managed = [int(n) for n in re.findall(r"(?m)^ +managed +(\d+)$", text)]
    expected = sum(min(a + b, c) for a, b, c in zip(high, most, managed, strict=True))
    assert booted().kernel("").mm.pgdat.totalreserve_pages == expected
