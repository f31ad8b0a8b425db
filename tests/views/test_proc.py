"""The views of /proc against the same files of real kernels: every format, and the numbers that boot decides."""

from __future__ import annotations

import re

import pytest

from bootsim.views import buddyinfo, iomem, meminfo, pagetypeinfo, vmallocinfo, zoneinfo
from bootsim.views.held import NotHeld

LATER = re.compile(r"(pages free|nr_\w+|workingset_\w+|count:) +\d+$")  # counters that a running system moves
# what meminfo has of them
MOVED = {"MemFree", "MemAvailable", "Buffers", "Cached", "Active", "Inactive", "Active(anon)", "Inactive(anon)",
         "Active(file)", "Inactive(file)", "HighFree", "LowFree", "AnonPages", "Mapped", "KReclaimable", "Slab",
         "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "Committed_AS", "VmallocUsed", "CmaFree"}


def shape(line):
    """A line with every number, and the blanks that pad it, as one run of # of the same length."""
    return re.sub(r" *\d+", lambda number: "#" * len(number[0]), line)


def test_buddyinfo(booted, real):
    assert [shape(line) for line in buddyinfo.lines(booted())] == [shape(line) for line in real("buddyinfo")]


def test_buddyinfo_counts_every_free_page(booted):
    zones = {zone["name"]: zone for zone in booted().part("zones")}
    for shown in buddyinfo.data(booted()):
        assert sum(n << order for order, n in enumerate(shown["nr_free"])) == zones[shown["zone"]]["nr_free_pages"]


def test_pagetypeinfo(booted, real):
    assert [shape(line) for line in pagetypeinfo.lines(booted())] == [shape(line) for line in real("pagetypeinfo")]


def test_pageblocks_are_those_of_the_real_kernel_before_any_was_stolen(booted, real):
    theirs = {line.split()[3]: [int(n) for n in line.split()[4:]] for line in real("pagetypeinfo")[-2:]}
    for zone in pagetypeinfo.data(booted())["zones"]:
        ours = list(zone["blocks"].values())
        assert sum(ours) == sum(theirs[zone["zone"]])
        assert ours[3:] == theirs[zone["zone"]][3:]  # HighAtomic, CMA, Isolate


def test_a_long_list_is_not_counted_to_its_end():
    assert pagetypeinfo._counted(99999) == " 99999 "
    assert pagetypeinfo._counted(123456) == ">100000 "


@pytest.mark.parametrize(("file", "smp"), [("zoneinfo", 1), ("zoneinfo-smp4", 4)])
def test_zoneinfo(booted, real, file, smp):
    def decided(lines):
        return [LATER.sub(r"\1 N", line) for line in lines]

    assert decided(zoneinfo.lines(booted(smp=smp))) == decided(real(file))


def test_zoneinfo_without_smp_has_no_thresholds(booted):
    zone = zoneinfo._zone(booted().part("zones")[0], {}, 1, smp=False)
    assert all("stat_threshold" not in pcp for pcp in zone["pagesets"])


def test_cma_pages_are_counted_free(booted):
    assert {zone["zone"]: zone["stats"]["nr_free_cma"] for zone in zoneinfo.data(booted())} == {
        "Normal": 0, "HighMem": 4096 - 64, "Movable": 0,  # DMA's pool
    }  # fmt: skip


@pytest.mark.parametrize(("file", "config"), [("iomem", "3G/1G"), ("iomem-3g", "3G/1G-nohighmem")])
def test_iomem(booted, real, file, config):
    assert list(iomem.lines(booted(config))) == real(file)[-3:]


def test_iomem_before_there_are_resources(booted):
    with pytest.raises(NotHeld, match="no resources yet"):
        list(iomem.lines(booted(until="paging_init:entry")))


@pytest.mark.parametrize(("file", "config"), [("meminfo", "3G/1G"), ("meminfo-3g", "3G/1G-nohighmem")])
def test_meminfo(booted, real, file, config):
    theirs = {line.split(":")[0]: line for line in real(file)}
    ours = {line.split(":")[0]: line for line in meminfo.lines(booted(config))}
    assert list(ours) == list(theirs)
    assert {label: line for label, line in ours.items() if label not in MOVED} == {
        label: line for label, line in theirs.items() if label not in MOVED
    }
    assert all(len(ours[label]) == len(theirs[label]) for label in ours)


def test_vmallocinfo(booted, real):
    theirs = [line for line in real("vmallocinfo-3g") if "iotable_init" in line]
    ours = list(vmallocinfo.lines(booted("3G/1G-nohighmem")))
    hashed = [re.sub(r"0x\w{8}-0x\w{8}", "0x(ptrval)-0x(ptrval)", line) for line in ours]
    assert hashed == [re.sub(r"\+0x\w+/0x\w+", "", line) for line in theirs]
    assert ours[0].startswith("0xef000000-0xf0000000 16777216 ")


def test_views_of_zones_need_zones(booted):
    with pytest.raises(NotHeld, match="no zones yet"):
        list(buddyinfo.lines(booted(until="paging_init:entry")))
