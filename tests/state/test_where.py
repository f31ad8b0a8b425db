"""Every byte of RAM under one owner: on boards, on random trees, at every stage."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.errors import InputError, KernelPanic
from bootsim.inputs.devicetree import load_tree
from bootsim.linux import STAGES
from bootsim.state.where import GROUPS, where

MIB = 1 << 20
BASE = 0x60000000


def rows(table, group):
    return {row.owner: row for row in table.rows if row.group == group}


def check(table):
    """The rows are all of RAM, each byte once, and agree with the kernel's own line."""
    pieces = sorted(bounds for row in table.rows for bounds in row.ranges)
    assert all(a[1] <= b[0] for a, b in pairwise(pieces)), "counted twice"
    merged = []
    for start, end in pieces:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    assert tuple(merged) == table.ram
    assert sum(row.size for row in table.rows) == table.size
    assert [(each.name, each.table, each.line) for each in table.sums if not each.agrees] == []
    assert "lost" not in {row.group for row in table.rows}
    assert {row.group for row in table.rows} <= set(GROUPS)


@pytest.fixture(scope="module")
def table():
    k = bootsim.boot("vexpress.dts", mem="1G", cmdline="console=ttyAMA0")
    found = where(k)
    check(found)
    return found


def test_the_kernel_says_the_same(table):
    assert {each.name: each.line for each in table.sums} == {
        "available": 1010652 << 10, "reserved": 21540 << 10, "cma-reserved": 16 * MIB, "highmem": 240 * MIB,
        "memory": 1024 * MIB}  # fmt: skip


def test_owners_with_their_ranges_stages_and_inputs(table):
    image = rows(table, "image")
    assert image[".text"].ranges == ((0x60100000, 0x60900000),)
    assert image[".text"].since == "arm_memblock_init"
    assert rows(table, "memmap")["mem_map of node 0"].size == 8 * MIB
    area, pool = rows(table, "cma")["area reserved"], rows(table, "cma")["area reserved, DMA's atomic pool"]
    assert (area.size, area.root, area.counted) == (16 * MIB - 256 * 1024, "CONFIG_CMA_SIZE_MBYTES", "cma")
    assert (pool.size, pool.caller) == (256 * 1024, "atomic_pool_init")
    assert rows(table, "free")["zone Normal, was kernel .init"].size == MIB
    assert rows(table, "tables")["second-level table of 0xffe00000"].size == 4096
    assert all(row.counted in ("available", "reserved", "cma") for row in table.rows)


def test_every_stage_counts_every_byte():
    seen = []

    def look(stage, k):
        found = where(k, stage)
        check(found)
        seen.append((found.stage, {row.group for row in found.rows}))

    bootsim.run(bootsim.prepare("vexpress.dts", mem="512M", observer=look))
    assert [stage for stage, _ in seen] == list(STAGES)
    assert seen[0][1] == {"gone"}  # nobody has told Linux of RAM yet
    assert "image" in seen[3][1]


TREE = """/dts-v1/;
/ {
	compatible = "arm,vexpress";
	#address-cells = <1>;
	#size-cells = <1>;
	chosen { bootargs = "%s"; %s };
	%s
	reserved-memory {
		#address-cells = <1>;
		#size-cells = <1>;
		ranges;
		%s
	};
};
"""


def boot(folder, *, banks=((BASE, 0x20000000),), nodes="", args="", chosen="", config="3G/1G", **inputs):
    """Boot a tree; a panic is as good an end as any."""
    reg = " ".join(f"{base:#x} {size:#x}" for base, size in banks)
    memory = f'memory@{banks[0][0]:x} {{ device_type = "memory"; reg = <{reg}>; }};'
    (folder / "board.dts").write_text(TREE % (args, chosen, memory, nodes))
    inputs = {"dtb_addr": BASE + 128 * MIB, "load_addr": BASE + 0x8000, "ram": "1G", "smp": 1} | inputs
    k = bootsim.prepare(load_tree(folder / "board.dts"), config, **inputs)
    try:
        bootsim.run(k)
    except KernelPanic:
        assert k.panicked is not None
    return k


def test_what_linux_was_not_given_has_a_reason(tmp_path):
    k = boot(tmp_path, banks=((BASE, 0x30000000),), nodes="fw@78000000 { reg = <0x78000000 0x100000>; no-map; };"
             "dsp { size = <0x100000>; no-map; }; modem@70000000 { reg = <0x70000000 0x200000>; };")
    table = where(k)
    check(table)
    gone, node = rows(table, "gone"), rows(table, "node")
    assert gone["not told of by the tree"].size == 256 * MIB
    assert gone["/reserved-memory/dsp"].size == MIB  # a dynamic no-map region is taken out of memory
    assert node["/reserved-memory/fw@78000000 (no-map)"].size == MIB
    modem = node["/reserved-memory/modem@70000000"]
    assert (modem.size, modem.place) == (2 * MIB, f"{tmp_path / 'board.dts'}:12")


def test_a_kernel_without_highmem_names_what_it_drops(tmp_path):
    k = boot(tmp_path, banks=((BASE, 0x40000000),), config="3G/1G-nohighmem")
    table = where(k)
    check(table)
    (row,) = rows(table, "gone").values()
    assert (row.owner, row.size, row.caller) == (
        "memory above lowmem, which needs CONFIG_HIGHMEM", 256 * MIB, "adjust_lowmem_bounds")  # fmt: skip


def test_an_initrd_is_free_again_and_so_told(tmp_path):
    chosen = "linux,initrd-start = <0x70000000>; linux,initrd-end = <0x70123456>;"
    table = where(boot(tmp_path, chosen=chosen))
    check(table)
    assert rows(table, "free")["zone Normal, was initrd"].size == 0x124000


# ---------------------------------------------------------------- random trees

PLACE = st.integers(0, 0x3F0).map(lambda n: BASE + n * MIB)
SIZE = st.one_of(st.sampled_from([0x1000, 0x100000, 0x400000, 0x800000]), st.integers(1, 0x300000))
KIND = st.sampled_from(["", "no-map;", 'compatible = "shared-dma-pool"; reusable;',
                        'compatible = "shared-dma-pool"; no-map;', 'compatible = "shared-dma-pool";'])  # fmt: skip
FIXED = st.tuples(st.just("fixed"), PLACE, SIZE, KIND)
DYNAMIC = st.tuples(st.just("dynamic"), st.sampled_from(["", "alloc-ranges = <0x60000000 0x10000000>;"]), SIZE, KIND)
BANKS = st.sampled_from([
    ((BASE, 0x20000000),), ((BASE, 0x40000000),), ((BASE, 0x10000000), (0x80000000, 0x10000000)),
    ((BASE, 0x8100000),), ((BASE, 0x10000000), (0x70100000, 0xFF00000)), ((BASE, 0x30000000), (0x98000000, 0x8001000)),
])  # fmt: skip
OPTIONS = st.lists(st.sampled_from(["cma=0", "cma=40M", "cma=8M@0x70000000", "vmalloc=600M", "mem=300M", "mem=256M",
                                    "movablecore=64M", "log_buf_len=1M", "initrd=0x66000000,3M", "kernelcore=100M",
                                    "page_owner=on", "dhash_entries=1024"]), max_size=3, unique=True)  # fmt: skip
CONFIGS = st.sampled_from(["3G/1G", "2G/2G", "3G/1G-opt", "3G/1G-nohighmem", "1G/3G"])


def source(n, region):
    how, where_, size, kind = region
    if how == "fixed":
        return f"n{n}@{where_:x} {{ reg = <{where_:#x} {size:#x}>; {kind} }};"
    return f"n{n} {{ size = <{size:#x}>; {where_} {kind} }};"


@pytest.mark.property
@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BANKS, st.lists(st.one_of(FIXED, DYNAMIC), max_size=8), OPTIONS, CONFIGS)
@example(((BASE, 0x30000000),), [("fixed", 0x66200000, 6566, 'compatible = "shared-dma-pool"; reusable;')],
         ["initrd=0x66000000,3M"], "3G/1G")  # given back within the initrd, which is freed as a whole
def test_random_trees_count_every_byte_once(tmp_path, banks, regions, options, config):
    nodes = "\n".join(source(n, region) for n, region in enumerate(regions))
    try:
        k = boot(tmp_path, banks=banks, nodes=nodes, args=" ".join(options), config=config)
    except InputError:  # an initrd outside of RAM, two nodes of one name
        return
    table = where(k)
    if any("is given back, and with it" in record.text for record in k.log.records):
        # what somebody uses was freed: pages are freed twice then, and the buddy allocator loses some
        rows = tuple(row._replace(group="free") if row.group == "lost" else row for row in table.rows)
        table = table._replace(rows=rows)
    check(table)
