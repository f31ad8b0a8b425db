"""kernel/dma/contiguous.c: cma=, and pools of /reserved-memory."""

from __future__ import annotations

import pytest

POOL = 'compatible = "shared-dma-pool"; reusable;'


@pytest.mark.parametrize(("cmdline", "areas"), [
    ("", [(0x9F000000, 16)]), ("cma=32M", [(0x9E000000, 32)]), ("cma=1", [(0x9FC00000, 4)]), ("cma=0", []),
    ("cma=x", []), ("cma=64M@0x70000000", [(0x70000000, 64)]), ("cma=16M@0x80000000-0x90000000", [(0x8F000000, 16)]),
    ("cma=16M@0-0x80000000", [(0x7F000000, 16)]), ("cma=4294967295", [(0x9F000000, 16)]), ("cma=16M@", []),
    ("vmalloc=800M", [(0x9F000000, 16)]), ("vmalloc=800M cma=16M@0-0x70000000", [(0x6F000000, 16)]),
    ("cma=8M cma=4M", [(0x9FC00000, 4)])])
def test_the_default_area(board, cmdline, areas):
    k = board.boot(cmdline)
    assert [(a.base_pfn << 12, a.count >> 8) for a in k.mm.cma_areas] == areas


@pytest.mark.parametrize(("build", "size"), [
    ({"CMA_SIZE_SEL_MBYTES": False, "CMA_SIZE_SEL_PERCENTAGE": True, "CMA_SIZE_PERCENTAGE": 10}, 104),
    ({"CMA_SIZE_SEL_MBYTES": False, "CMA_SIZE_SEL_MIN": True, "CMA_SIZE_PERCENTAGE": 10}, 16),
    ({"CMA_SIZE_SEL_MBYTES": False, "CMA_SIZE_SEL_MAX": True, "CMA_SIZE_PERCENTAGE": 10}, 104)])
def test_the_builds_size(board, build, size):
    assert [a.count >> 8 for a in board.boot(build=build).mm.cma_areas] == [size]


def test_a_pool_can_be_the_default(board):
    k = board.boot(reserved=f"a {{ {POOL} size = <0x1000000>; linux,cma-default; }};")
    assert k.mm.dma_contiguous_default_area is k.mm.cma_areas[0]
    assert len(k.mm.cma_areas) == 1
    assert board.said(k, "CMA", "cma") == ["Reserved memory: created CMA memory pool at 0x9f000000, size 16 MiB"]


def test_several_areas(board):
    k = board.boot(reserved=f"a {{ {POOL} size = <0x400000>; }}; b@70000000 {{ {POOL} reg = <0x70000000 0x800000>; }};")
    assert [(a.name, a.base_pfn << 12) for a in k.mm.cma_areas] == [
        ("a", 0x9FC00000), ("b@70000000", 0x70000000), ("reserved", 0x9EC00000)]


def test_cma_wins_over_the_trees_default(board):
    k = board.boot("cma=8M", reserved=f"a {{ {POOL} size = <0x1000000>; linux,cma-default; }};")
    assert [a.name for a in k.mm.cma_areas] == ["reserved"]


@pytest.mark.parametrize("order", [9, 11, 12])
def test_alignment_follows_the_largest_block(board, order):
    k = board.boot(reserved=f"a@70200000 {{ {POOL} reg = <0x70200000 0x200000>; }};",
                   build={"FORCE_MAX_ZONEORDER": order, "HUGETLB_PAGE": False})
    good = 0x200000 % (0x1000 << order - 1) == 0
    assert bool(board.said(k, "incorrect alignment")) is not good
    assert [f"CONFIG_FORCE_MAX_ZONEORDER={order}" in cause for cause in board.causes(k)] == [True] * (not good)
