"""Lines on causes blame the input that made it so, in every way a message can come about."""

from __future__ import annotations

import pytest

RAM = 'memory@60000000 { device_type = "memory"; reg = <%s>; };\n'
HALF = RAM % "0x60000000 0x1c000000"  # 448 MiB
NOHIGHMEM = {"config": "3G/1G-nohighmem"}
MAX = 128  # regions of a memblock array before it can grow


def node(name, base, size, more=""):
    return f"{name}@{base:x} {{ reg = <{base:#x} {size:#x}>; {more} }}; "


def warnings(k):
    """bootsim's warnings that are no causes."""
    return [r.text.removeprefix("bootsim: ") for r in k.log.records
            if r.tells_cause() and "cause: " not in r.text]  # fmt: skip


# ---------------------------------------------------------------- RAM that is ignored


def test_no_map_at_the_end_of_ram(board):
    k = board.boot(memory=HALF, reserved=node("fw", 0x78000000, 0x4000000, "no-map;"), **NOHIGHMEM)
    assert board.said(k, "Ignoring") == []  # the first look at lowmem comes before /reserved-memory
    k = board.boot(memory=HALF, reserved=node("fw", 0x78000000, 0x4000000, "no-map;"), until="adjust_lowmem_bounds_2",
                   **NOHIGHMEM)  # fmt: skip
    assert board.said(k, "Ignoring") == ["Ignoring RAM at 0x78000000-0x7c000000"]
    (cause,) = board.causes(k)
    assert cause.startswith("board.dts:9 /reserved-memory/fw@78000000 reg at 0x78000000-0x7bffffff is no-map at the")
    assert "vmalloc=" not in cause
    assert "lowmem could go up to 0x90000000" in cause


def test_memory_beyond_lowmem_names_its_bank_alone(board):
    two = RAM % "0x60000000 0x10000000" + RAM.replace("60000000", "90000000") % "0x90000000 0x10000000"
    k = board.boot(memory=two, **NOHIGHMEM)
    (cause,) = board.causes(k)
    assert cause.startswith("board.dts:9 /memory@90000000 reg goes on beyond 0x90000000, where lowmem ends as the")
    assert "memory@60000000" not in cause
    assert "unless vmalloc= says otherwise" in cause


def test_an_odd_hole_takes_all_above_it_with_it(board):
    # the hole's end is no multiple of 2 MiB: from there on a kernel without HIGHMEM drops everything
    k = board.boot(reserved=node("fw", 0x70000000, 0x101000, "no-map;"), until="adjust_lowmem_bounds_2", **NOHIGHMEM)
    assert board.said(k, "Ignoring RAM")[0] == "Ignoring RAM at 0x90000000-0xa0000000"
    k = board.boot(memory=HALF, reserved=node("fw", 0x70000000, 0x101000, "no-map;") +
                   node("end", 0x78000000, 0x4000000, "no-map;"), until="adjust_lowmem_bounds_2", **NOHIGHMEM)
    assert board.said(k, "Ignoring RAM") == ["Ignoring RAM at 0x70000000-0x7c000000"]
    (cause,) = board.causes(k)
    assert "end@78000000 reg at 0x78000000-0x7bffffff is no-map at the end of memory" in cause
    assert cause.endswith("it drops all from 0x70000000 on, as board.dts:9 /reserved-memory/fw@70000000 reg ends at "
                          "0x70101000, no multiple of 2 MiB")  # fmt: skip


def test_no_map_at_the_start_of_ram(board):
    # between the first page table and the kernel image
    k = board.boot("cma=0", reserved=node("fw", 0x60008000, 0xF8000, "no-map;"), until=None)
    assert k.panicked is not None
    (death,) = board.causes(k)
    assert death == (
        "prepare_page_table() leaves the kernel at 0xb0100000 without a mapping: the first region of memory, "
        "0x60000000-0x60007fff, ends before the kernel does (0x60cc39e8), as board.dts:9 "
        "/reserved-memory/fw@60008000 reg begins at 0x60008000")


@pytest.mark.parametrize(("option", "message", "cause"), [
    ("mem=512", "", "cmdline: mem= leaves no whole page (sizes are in bytes)"),
    ("mem=64M@0x100000000", "outside 32-bit physical address space", "that a kernel without LPAE cannot address"),
    ("mem=1G@0xe0000000", "Truncating memory", "and a kernel without LPAE addresses 4 GiB"),
    ("mem=64M@0x40000000", "below PHYS_OFFSET", "begins below PHYS_OFFSET 0x60000000, which is where the kernel was"),
])  # fmt: skip
def test_ignored_banks_have_a_cause(board, option, message, cause):
    k = board.boot(option, until="setup_machine_fdt")
    assert any(message in line for line in board.said(k))
    assert cause in board.causes(k)[0]


# ---------------------------------------------------------------- a full array


def test_a_full_memory_array_is_no_memreserve(board):
    nodes = "".join(node("n", 0x70000000 + i * 0x200000, 0x1000, "no-map;") for i in range(MAX // 2))
    k = board.boot(reserved=nodes)
    assert board.said(k, "failed to reserve memory") == [
        "OF: fdt: Reserved memory: failed to reserve memory for node 'n@77e00000': base 0x77e00000, size 0 MiB"]
    (cause,) = board.causes(k)
    assert cause == (
        "board.dts:9 /reserved-memory/n@77e00000 reg: memblock.memory has 127 regions, its array has room for 128, "
        "and it cannot grow before paging_init() has mapped memory; 63 owners of /reserved-memory and /memreserve/ "
        "are in it")


def test_return_codes_that_the_kernel_ignores(board):
    source = board.source().replace("/dts-v1/;", "/dts-v1/;\n" + "".join(
        f"/memreserve/ {0x70000000 + i * 0x2000:#x} 0x1000;\n" for i in range(MAX)))  # fmt: skip
    (board.folder / "board.dts").write_text(source)
    import bootsim

    k = bootsim.prepare("board.dts", "3G/1G-opt", dtb_addr=0x68000000, load_addr=0x60008000)
    bootsim.run(k, until="arm_memblock_init")
    undone = [cause for cause in board.causes(k) if "is not done" in cause]
    assert undone
    assert all("reserving what /memreserve/ entry" in cause and "memblock.reserved has 12" in cause
               for cause in undone)  # fmt: skip
    done = [r for r in k.log.records if r.text.startswith("bootsim: /memreserve/")]
    assert len(done) + len(undone) == MAX
    taken = {h.base for h in k.owners.reserved()}
    assert {r.fields["base"] for r in done} <= taken


# ---------------------------------------------------------------- what is in the way


def test_the_obstacle_and_the_largest_run_are_named(board):
    # | 0x60000000 kernel |    tree at 0x68000000    | 0x70000000: 64 + 128 MiB free, 130 asked for
    pool = "pool { size = <0x8200000>; alloc-ranges = <0x60000000 0x10000000>; };"
    (cause,) = board.causes(board.boot(reserved=pool))
    assert cause.startswith("board.dts:9 /reserved-memory/pool alloc-ranges: no free 0x8200000 bytes aligned to 0x40 "
                            "in 0x60000000-0x6fffffff: the largest free run is 0x68000")  # fmt: skip
    assert "; in the way: the device tree at 0x68000000-0x68000" in cause
    assert "kernel image" not in cause  # without it nothing would fit either


def test_each_range_has_its_cause(board):
    pool = "pool { size = <0x200000>; alloc-ranges = <0x10000000 0x1000000 0x60000000 0x200000>; };"
    (cause,) = board.causes(board.boot(reserved=pool))
    assert "in 0x10000000-0x10ffffff: no memory lies there" in cause
    assert "in 0x60000000-0x601fffff: the largest free run is" in cause


def test_an_initrd_behind_lowmem(board):
    chosen = "linux,initrd-start = <0x98000000>; linux,initrd-end = <0x98100000>;"
    k = board.boot(chosen=chosen, **NOHIGHMEM)
    assert board.said(k, "INITRD") == ["INITRD: 0x98000000+0x00100000 is not a memory region - disabling initrd"]
    assert board.causes(k)[1] == (
        "board.dts:7 /chosen linux,initrd-start puts the initrd at 0x98000000-0x980fffff, adjust_lowmem_bounds() "
        "took 0x90000000-0x9fffffff out of memory: the memory above lowmem, which needs CONFIG_HIGHMEM")


def test_a_cma_limit_names_what_took_the_rest_of_memory(board):
    k = board.boot("cma=64M@0x9c000000-0xa0000000", **NOHIGHMEM)
    assert "exceeds limit (0x90000000)" in board.said(k, "exceeds")[0]
    assert "adjust_lowmem_bounds() took 0x90000000-0x9fffffff" in board.causes(k)[1]


# ---------------------------------------------------------------- given twice


def test_regions_given_twice_name_both_owners(board):
    nodes = node("dsp", 0x70000000, 0x100000) + node("more", 0x71000000, 0x1000).replace(
        "<0x71000000 0x1000>", "<0x71000000 0x1000 0x70080000 0x1000>")
    k = board.boot(reserved=nodes)
    assert board.said(k, "OVERLAP") == []  # the kernel looks at the first range alone
    assert warnings(k) == [
        "board.dts:9 /reserved-memory/more@71000000 reg lies on board.dts:9 /reserved-memory/dsp@70000000 reg at "
        "0x70000000-0x700fffff: the kernel does not say so, and both will use that memory"]


def test_who_took_memory_out_is_in_the_way(board):
    # a no-map region without an address is no memory any more, and no region has the flag
    taken = "taken { size = <0x20000000>; no-map; };"
    k = board.boot(reserved=f"more {{ size = <0x38000000>; }}; {taken}")
    assert board.said(k, "failed") == ["OF: reserved mem: failed to allocate memory for node 'more'"]
    (cause,) = board.causes(k)
    assert "/reserved-memory/more size: no free 0x38000000 bytes" in cause
    assert "/reserved-memory/taken size at 0x80000000-0x9fffffff" in cause.partition("in the way: ")[2]


def test_an_area_on_memory_that_was_taken_out_has_two_owners(board):
    # between two banks, where memblock still looks for room for the area
    banks = RAM % "0x60000000 0x20000000 0x88000000 0x10000000"
    taken = "taken { size = <0x400000>; no-map; alloc-ranges = <0x88000000 0x400000>; };"
    k = board.boot("cma=16M@0x88000000", memory=banks, reserved=taken)
    assert board.said(k, "cma:") == ["cma: Reserved 16 MiB at 0x88000000"]
    (said,) = warnings(k)
    assert "lies on board.dts:9 /reserved-memory/taken alloc-ranges at 0x88000000-0x883fffff" in said


def test_an_overlap_that_the_kernel_tells_is_told_once(board):
    k = board.boot(reserved=node("a", 0x70000000, 0x100000) + node("b", 0x70080000, 0x100000))
    assert len(board.said(k, "OVERLAP")) == 1
    assert warnings(k) == []


def test_a_fixed_cma_area_on_no_map_memory(board):
    k = board.boot("cma=16M@0x70000000", reserved=node("fw", 0x70000000, 0x100000, "no-map;"))
    assert board.said(k, "cma:") == ["cma: Reserved 16 MiB at 0x70000000"]
    assert "lies on board.dts:9 /reserved-memory/fw@70000000 reg at 0x70000000-0x700fffff" in warnings(k)[0]


def test_a_region_given_back_frees_what_lies_in_it(board):
    pool = node("pool", 0x68000000, 0x400000, 'compatible = "shared-dma-pool";')
    k = board.boot(reserved=pool)
    assert board.said(k, "matching fail")
    assert any("is given back, and with it what of the device tree at 0x68000000" in text for text in warnings(k))
    assert not any(h.base <= 0x68000000 < h.end for h in k.owners.reserved())


# ---------------------------------------------------------------- mappings that a remap takes away


@pytest.mark.parametrize(("cma", "dies"), [("cma=15M", True), ("cma=16M", False)])
def test_cma_at_an_odd_mib(board, cma, dies):
    k = board.boot(f"{cma} vmalloc=256M", memory=RAM % "0x60000000 0x10000000", until=None,
                   build={"FORCE_MAX_ZONEORDER": 9})  # fmt: skip
    assert (k.panicked is not None) == dies
    if dies:
        (cause,) = board.causes(k)
        assert "0xbf000000-0xbf0fffff is not mapped any more" in cause
        assert "cmdline: cma= got an area at 0x6f100000-0x6fffffff" in cause
        assert "CONFIG_FORCE_MAX_ZONEORDER=9" in cause


def test_what_divides_2_mib_that_need_sections_and_pages(board):
    # |section|no-map|pages|: the first bank ends with a section, and in the same 2 MiB the second begins with pages
    k = board.boot(reserved=node("fw", 0x70100000, 0x80000, "no-map;"), until=None)
    assert k.panicked is not None
    (death,) = board.causes(k)
    assert death.startswith("BUG in arm_pte_alloc: 0xc0180000 needs a page table")
    assert "they are divided by board.dts:9 /reserved-memory/fw@70100000 reg at 0x70100000-0x7017ffff" in death
