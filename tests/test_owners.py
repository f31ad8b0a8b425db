"""Who holds what of memory, from the changes that memblock tells."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim import owners as o
from bootsim.linux.mm import memblock as m
from bootsim.linux.mm.memblock import Memblock
from bootsim.owners import Owners, Purpose

LINUX = Path(bootsim.__file__).parent / "linux"
A, B, C = (Purpose("other", name) for name in "ABC")
MIB = 1 << 20


def held(holdings):
    return [(h.base, h.end, h.purpose.what) for h in holdings]


def test_what_stands_at_each_stage():
    owners = Owners()
    owners.hear(o.RESERVE, 0x1000, 0x3000, "f", A)
    owners.mark("one")
    owners.hear(o.FREE, 0x2000, 0x1000, "f", A)
    owners.mark("two")
    assert held(owners.reserved("one")) == [(0x1000, 0x4000, "A")]
    assert held(owners.reserved("two")) == held(owners.reserved()) == [(0x1000, 0x2000, "A"), (0x3000, 0x4000, "A")]
    assert (owners.shown_at(0), owners.shown_at(1), owners.shown_at(2)) == ("one", "two", None)


def test_bytes_reserved_twice_belong_to_the_first_and_both_are_named():
    owners = Owners()
    owners.hear(o.RESERVE, 0x1000, 0x1000, "f", A)
    owners.hear(o.MARK, 0x5000, 0x1000, "f", B, m.MEMBLOCK_NOMAP)
    owners.hear(o.RESERVE, 0x1800, 0x4800, "f", C)
    owners.hear(o.RESERVE, 0x1000, 0x1000, "f", A)  # the same owner again is no second one
    assert held(owners.reserved()) == [(0x1000, 0x2000, "A"), (0x2000, 0x6000, "C")]
    assert [(t.base, t.end, t.first.purpose, t.second.purpose) for t in owners.twice()] == [
        (0x1800, 0x2000, A, C), (0x5000, 0x6000, B, C)]


def test_a_doubled_array_is_told_with_its_memory():
    owners = Owners()
    mb = Memblock(listener=owners.hear)
    m.memblock_add(mb, 0x10000000, 64 * MIB)
    m.memblock_allow_resize(mb)
    for i in range(129):
        m.memblock_reserve(mb, 0x10000000 + i * 0x2000, 0x1000, "t", A)
    (doubled,) = [change for change in owners.changes if change.op == o.DOUBLE]
    assert doubled.purpose.what == "array of 256 regions for memblock.reserved"
    assert next(h for h in owners.reserved() if h.purpose == doubled.purpose)[:2] == (doubled.base, doubled.end)


def test_a_change_that_fails_is_not_told_and_says_why():
    owners = Owners()
    mb = Memblock(listener=owners.hear)
    m.memblock_add(mb, 0x10000000, 64 * MIB)
    for i in range(128):
        m.memblock_reserve(mb, 0x10000000 + i * 0x2000, 0x1000, "t", A)
    before = list(owners.changes)
    failed = m.memblock_reserve(mb, 0x11000000, 0x1000, "t", B)
    assert (failed, failed.why) == (-12, ("reserved", 128, 128, False))
    assert m.memblock_alloc(mb, 0x1000, 0x1000, "t").why == failed.why
    assert m.memblock_alloc(mb, 65 * MIB, MIB, "t").why == (65 * MIB, MIB, 0x1000, 0xFFFFFFFF)
    assert owners.changes == before


PAGES = 64
OPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "reserve", "free", "nomap", "map"]),
                         st.integers(0, PAGES - 1), st.integers(0, 20), st.sampled_from([A, B, C])), max_size=40)


@pytest.mark.property
@settings(max_examples=500, deadline=None)
@given(OPS)
def test_random_changes_agree_with_a_page_model(ops):
    owners = Owners()
    mb = Memblock(listener=owners.hear)
    reserved: dict[int, str] = {}
    banks: dict[int, str] = {}
    for op, first, count, purpose in ops:
        base, size = (first + 16) << 12, count << 12
        pages = range(first + 16, first + 16 + count)
        if op == "add":
            m.memblock_add(mb, base, size, "t", purpose)
            banks = dict.fromkeys(pages, purpose.what) | banks
        elif op == "remove":
            m.memblock_remove(mb, base, size, "t", purpose)
            banks = {p: who for p, who in banks.items() if p not in pages}
        elif op == "reserve":
            m.memblock_reserve(mb, base, size, "t", purpose)
            reserved = dict.fromkeys(pages, purpose.what) | reserved
        elif op == "free":
            m.memblock_free(mb, base, size, "t", purpose)
            reserved = {p: who for p, who in reserved.items() if p not in pages}
        else:
            (m.memblock_mark_nomap if op == "nomap" else m.memblock_clear_nomap)(mb, base, size, purpose)
    for model, found in ((reserved, owners.reserved()), (banks, owners.banks())):
        assert {p: h.purpose.what for h in found for p in range(h.base >> 12, h.end >> 12)} == model
    nomap = {p for r in mb.memory.regions if r.flags & m.MEMBLOCK_NOMAP
             for p in range(r.base >> 12, (r.base + r.size) >> 12)}
    assert nomap <= {p for h in owners.no_map() for p in range(h.base >> 12, h.end >> 12)}


def test_what_is_withheld_has_an_owner(tmp_path):
    board = tmp_path / "board.dts"
    board.write_text("""/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
        chosen { bootargs = "mem=1020M"; };
        memory@60000000 { device_type = "memory"; reg = <0x60000000 0x40000000>; };
        reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
            fw@70000000 { reg = <0x70000000 0x100000>; no-map; };
            taken { size = <0x100000>; no-map; alloc-ranges = <0x80000000 0x1000000>; };
            kept@71000000 { reg = <0x71000000 0x100000>; };
        }; };""")
    # without highmem the kernel drops what lies above lowmem, as mem= does what lies above its size: for nobody
    k = bootsim.boot(board, config="3G/1G-nohighmem")
    assert {h.purpose.what for h in k.owners.withheld()} == {
        "/reserved-memory/fw@70000000", "/reserved-memory/taken"}
    assert len(k.owners.removed()) > 2
    roots = k.owners.above(0x70000000, 0x90000000)
    assert [root for root in roots if root.startswith("dtb:/res")] == [
        "dtb:/reserved-memory/fw@70000000:reg", "dtb:/reserved-memory/kept@71000000:reg",
        "dtb:/reserved-memory/taken:alloc-ranges"]
    assert not [root for root in k.owners.above(0x72000000, 0x80000000) if root.startswith("dtb:/res")]


# ---------------------------------------------------------------- every boot names its owners

@pytest.mark.parametrize("config", ["3G/1G", "2G/2G", "3G/1G-opt", "1G/3G", "3G/1G-nohighmem"])
def test_every_change_of_a_boot_has_a_purpose(config):
    k = bootsim.boot("vexpress.dts", config=config, mem="1G", smp=4,
                     cmdline="page_owner=on cma=8M log_buf_len=1M vmalloc=300M")
    assert [change for change in k.owners.changes if change.purpose == o.NOBODY] == []
    assert {change.purpose.kind for change in k.owners.changes} <= set(o.KINDS)
    regions = [(r.base, r.base + r.size) for r in k.mm.memblock.reserved.regions]
    merged = []
    for h in k.owners.reserved():
        if merged and merged[-1][1] == h.base:
            merged[-1] = (merged[-1][0], h.end)
        else:
            merged.append((h.base, h.end))
    assert merged == regions


def test_every_call_that_takes_memory_says_for_what():
    wanted = ("memblock_alloc", "memblock_alloc_node", "memblock_alloc_try_nid", "memblock_alloc_range_nid",
              "memblock_reserve", "memblock_free", "memblock_add", "memblock_remove", "memblock_mark_nomap")
    least = {"memblock_alloc": 5, "memblock_alloc_node": 6, "memblock_alloc_range_nid": 7, "memblock_reserve": 5,
             "memblock_free": 5, "memblock_add": 5, "memblock_remove": 5, "memblock_mark_nomap": 4}
    silent = []
    for path in LINUX.rglob("*.py"):
        if path.parent.name == "memblock":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in wanted:
                named = any(word.arg == "purpose" for word in node.keywords)
                if not named and len(node.args) < least.get(node.func.id, 99):
                    silent.append(f"{path}:{node.lineno}")
    assert silent == []
