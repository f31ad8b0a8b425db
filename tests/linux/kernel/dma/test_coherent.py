"""kernel/dma/coherent.c: no-map pools."""

from __future__ import annotations

POOL = 'a@%x { compatible = "shared-dma-pool"; reg = <%#x 0x400000>; %s };'


def test_a_no_map_pool(board):
    k = board.boot(reserved=POOL % (0x70000000, 0x70000000, "no-map; linux,dma-default;"))
    assert board.said(k, "DMA") == ["Reserved memory: created DMA memory pool at 0x70000000, size 4 MiB"]
    assert k.of.dma_reserved_default_memory is k.of.reserved_mem[0]


def test_a_pool_that_is_mapped_is_given_back(board):
    k = board.boot(reserved=POOL % (0x70000000, 0x70000000, ""))
    assert board.said(k, "eserved mem") == ["Reserved memory: regions without no-map are not yet supported",
                                            "OF: reserved mem: node a@70000000 compatible matching fail"]
    assert all(r.base != 0x70000000 for r in k.mm.memblock.reserved.regions)


def test_reusable_and_no_map_is_nobodys(board):
    k = board.boot(reserved=POOL % (0x70000000, 0x70000000, "no-map; reusable;"))
    assert board.said(k, "eserved mem") == ["OF: reserved mem: node a@70000000 compatible matching fail"]


def test_coherent_pool_is_a_number_of_bytes(board):
    k = board.boot("coherent_pool=2M")
    assert k.facts.value("atomic_pool_size") == 2 << 20
