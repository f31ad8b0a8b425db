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
