"""drivers/of/of_reserved_mem.c: placing regions that have a size but no address."""

from __future__ import annotations

import pytest


def placed(k):
    return {r.name: (r.base, r.size) for r in k.of.reserved_mem}


@pytest.mark.parametrize(("props", "base"), [
    ("size = <0x100000>;", 0x9FF00000),
    ("size = <0x100000>; alignment = <0x1000000>;", 0x9F000000),
    ("size = <0x100000>; alloc-ranges = <0x70000000 0x1000000>;", 0x70F00000),
    ("size = <0x100000>; alloc-ranges = <0x10000000 0x1000 0x80000000 0x1000000>;", 0x80F00000),
])
def test_from_the_top(board, props, base):
    assert placed(board.boot(reserved=f"a {{ {props} }};")) == {"a": (base, 0x100000)}


def test_a_reusable_pool_is_aligned_to_the_largest_block(board):
    pool = 'compatible = "shared-dma-pool"; reusable; size = <0x400000>; alignment = <0x1000>;'
    assert placed(board.boot(reserved=f"a {{ size = <0x1000>; }}; b {{ {pool} }};"))["b"][0] % 0x400000 == 0


def test_a_region_that_fits_nowhere(board):
    k = board.boot(reserved="a { size = <0x50000000>; };")
    assert board.said(k, "reserved mem") == ["OF: reserved mem: failed to allocate memory for node 'a'"]
    assert board.causes(k) == [
        "board.dts:9 /reserved-memory/a size: no free 0x50000000 bytes aligned to 0x40 in memory: only 1024 MiB of "
        "memory lie there (board.dts:8 /memory@60000000 reg)"]


def test_more_regions_than_the_kernel_keeps(board):
    k = board.boot(reserved="".join(f"a{i} {{ size = <0x1000>; }}; " for i in range(66)))
    assert board.said(k, "not enough space") == ["OF: reserved mem: not enough space for all defined regions."] * 2
    assert [cause.partition(" ")[2] for cause in board.causes(k)] == [
        f"/reserved-memory/a{i} is region {i + 1} of /reserved-memory, the kernel keeps 64: it gets no memory"
        for i in (64, 65)]
