"""docs/api.md: every block runs, in its order, and what its comments show is what comes out."""

import re
from pathlib import Path

import pytest

import bootsim
from bootsim.errors import FaultError
from bootsim.linux.include.linux.mmzone import for_each_populated_zone, for_each_zone
from bootsim.linux.kernel.kallsyms import SymbolLookupError
from bootsim.linux.mm.page_alloc import PageFrameError

TEXT = (Path(__file__).parents[1] / "docs/api.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_blocks_run_in_order():
    names = {}
    for block in BLOCKS:
        exec(compile(block, "docs/api.md", "exec"), names)
    assert names["largest"].va == names["k"].phys_to_virt(names["largest"].pa)


def test_the_comments_are_true():
    names = {}
    exec(compile(BLOCKS[0], "docs/api.md", "exec"), names)
    for line in "\n".join(BLOCKS).splitlines():
        code, _, comment = line.partition("  # ")
        if re.match(r"k\S*$", code.strip()) and comment.strip()[:1] in ("<", "S"):
            shown = comment.strip().split(";")[0]
            shown = shown.removesuffix("...>")
            assert repr(eval(code, names)).startswith(shown)


@pytest.fixture(scope="module")
def k():
    return bootsim.boot("vexpress.dts", config="3G/1G", mem="1G")


def test_a_read_goes_through_the_tables(k):
    table = k.read(k.phys_to_virt(k.mm.init_mm.pgd_pa), 0x4000)
    assert table == k.machine.ram.read(k.mm.init_mm.pgd_pa, 0x4000)
    across = k.read(0xC0003FF0, 0x20)
    assert across == k.read(0xC0003FF0, 0x10) + k.read(0xC0004000, 0x10)


@pytest.mark.parametrize("va", [0, 0xBF000000, 0xFFFFFFFC, 1 << 32, -4])
def test_a_read_of_what_is_not_mapped(k, va):
    with pytest.raises(FaultError, match="nothing is mapped"):
        k.read(va, 4)


@pytest.mark.parametrize("pa", [0, 0x5FFFFFFF, 0xA0000000, 1 << 32])
def test_a_read_where_there_is_no_ram(k, pa):
    with pytest.raises(FaultError, match="no RAM") as caught:
        k.read(pa, 4, physical=True)
    assert caught.value.address == pa


def test_symbols(k):
    symbols = k.build.symbols
    assert k.symbol("_text").address == symbols.text
    assert k.symbol(symbols.end - 1).address <= symbols.end - 1
    with pytest.raises(SymbolLookupError, match="no symbol 'nonsense'"):
        k.symbol("nonsense")
    with pytest.raises(SymbolLookupError, match="not in the kernel image"):
        k.symbol(0x1000)


def test_zones_and_their_free_pages(k):
    assert [zone.name for zone in for_each_populated_zone(k)] == ["Normal", "HighMem"]
    assert {zone.name for zone in for_each_zone(k)} >= {"Normal", "HighMem"}
    for zone in for_each_populated_zone(k):
        free = sum(1 << order for order in range(11) for _ in zone.free_pages(order))
        assert free + sum(pcp["count"] for pcp in zone.pcp) >= zone.nr_free_pages >= free
        assert all(page.order == 3 and page.zone == zone.name for page in zone.free_pages(3))
    with pytest.raises(KeyError):
        k.zone("DMA64")


def test_pages(k):
    assert k.page(0x60004).reserved
    assert k.page(0x9FFFF).va is None
    assert k.page(0x60004) == k.page(0x60004) != k.page(0x60005)
    assert "refcount" in dir(k.page(0x60004))
    with pytest.raises(PageFrameError):
        k.page(0x1FFFF)
    with pytest.raises(AttributeError, match="struct page has no 'colour'"):
        _ = k.page(0x60004).colour


def test_notebooks_get_tables(k):
    assert k._repr_html_().count("<tr>") == 1 + len(k.zones)
    html = k.zone("Normal")._repr_html_()
    assert "<th>Movable</th>" in html
