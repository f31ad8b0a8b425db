"""bootsim explain."""

from __future__ import annotations

import json

import pytest


def test_a_quantity(bootsim):
    result = bootsim("explain", "vexpress.dts", "arm_lowmem_limit", "--mem", "1G")
    assert result.exit_code == 0
    assert result.stdout.startswith("arm_lowmem_limit = 0x90000000 pa\n    vmalloc_limit, as memory goes beyond it")
    assert "CONFIG_PAGE_OFFSET = 0xc0000000  (build 3G/1G)" in result.stdout


def test_an_address_both_ways_or_one(bootsim):
    both = bootsim("explain", "vexpress.dts", "0xc0008000").stdout
    assert "0xc0008000 as a physical address" in both
    assert "0xc0008000 as a virtual address" in both
    assert "physical" not in bootsim("explain", "vexpress.dts", "0xc0008000", "--virt").stdout.splitlines()[0]
    assert "by alloc_node_mem_map()" in bootsim("explain", "vexpress.dts", "0x8f800000", "--phys", "--mem", "1G").stdout


def test_json(bootsim):
    told = json.loads(bootsim("explain", "vexpress.dts", "high_memory", "--json").stdout)
    assert told[0]["name"] == "high_memory"
    told = json.loads(bootsim("explain", "vexpress.dts", "0x60100000", "--json").stdout)
    assert told["phys"][-1]["to"] == "mark_readonly"
    assert told["virt"]


@pytest.mark.parametrize(
    ("what", "said"), [("lowmem_limit", "did you mean arm_lowmem_limit"), ("0x123456789", "32 bits")]
)
def test_bad_input(bootsim, what, said):
    result = bootsim("explain", "vexpress.dts", what)
    assert result.exit_code == 2
    assert said in result.output


def test_a_region_that_the_kernel_refused_has_no_memory(bootsim, tmp_path):
    board = tmp_path / "board.dts"
    board.write_text("""/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
        memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
        reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
            a@60008000 { no-map; reg = <0x60008000 0x100000>; };
            b@70000000 { no-map; reg = <0x70000000 0x100000>; };
            c@74000000 { reg = <0x74000000 0x100000>; };
            d { size = <0x100000>; };
            e { no-map; reg = <0x60010000 0x100000>; };
            e-too { reg = <0x60020000 0x1000>; };
            f { no-map; size = <0x100000>; };
        }; };""")
    # a and e lie on the page tables and the image, which are reserved before them; e-too only begins as e does
    for name, has in (("a@60008000", False), ("e", False), ("e-too", True), ("b@70000000", True),
                      ("c@74000000", True), ("d", True), ("f", True)):
        told = bootsim("explain", str(board), f"/reserved-memory/{name}").stdout
        assert ("  has no memory" in told.splitlines()) is not has, name


def test_who_bounds_the_largest_free_run(bootsim, tmp_path):
    # the kernel places the nodes from the top of memory down, and takes what is no-map out of memory
    board = tmp_path / "board.dts"
    board.write_text("""/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
        memory@60000000 { device_type = "memory"; reg = <0x60000000 0x8000000>; };
        reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
            none { size = <0x6000000>; };
            taken { no-map; size = <0x1000000>; alignment = <0x100000>; };
        }; };""")
    alone = ("--dtb-addr", "0x61000000", "--cmdline", "cma=0")
    told = bootsim("explain", str(board), "/reserved-memory/none", *alone).stdout
    assert "  has no memory" in told
    assert "  in memory the largest free run beside it is 0x61001000-0x66ffffff" in told
    between = next(line for line in told.splitlines() if line.startswith("    between "))
    assert "the device tree at 0x61000000-" in between
    assert "/reserved-memory/taken size at 0x67000000-0x67ffffff" in between
    way = told.partition("in the way: ")[2]
    assert "/reserved-memory/taken size at 0x67000000-0x67ffffff (without it " in way
    assert "the device tree at 0x61000000-" in way


def test_each_range_of_a_region_is_looked_at(bootsim, tmp_path):
    board = tmp_path / "board.dts"
    board.write_text("""/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
        memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
        reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
            two { reg = <0x70000000 0x100000 0x74000000 0x100000>; };
            on { reg = <0x74080000 0x1000>; };
        }; };""")
    told = bootsim("explain", str(board), "/reserved-memory/two").stdout
    assert "  in 0x74000000-0x740fffff lie also " in told
    assert "/reserved-memory/on reg at 0x74080000-0x74080fff" in told
    assert "in 0x70000000-" not in told


def test_a_region_is_told_nothing_of_those_whose_names_hold_its_own(bootsim, tmp_path):
    board = tmp_path / "board.dts"
    board.write_text("""/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
        memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
        reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
            dsp { size = <0x100000>; };
            dsp2 { size = <0x40000000>; };
            small-dsp { size = <0x40000000>; };
        }; };""")
    for name, causes in (("dsp", 0), ("dsp2", 1), ("small-dsp", 1)):
        told = bootsim("explain", str(board), f"/reserved-memory/{name}").stdout
        assert told.count("no free 0x40000000 bytes") == causes, told
