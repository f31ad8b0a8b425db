"""What cache maintenance leaves in memory: the entry that shows the zero page where that is high memory to the kernel.

Expected values are those of real boots with `movablecore=`: a kernel of multi_v5_defconfig on QEMU's versatilepb, which
left none, and one of vexpress_defconfig with HIGHMEM on vexpress-a9.
"""

from pathlib import Path

import pytest

import bootsim

BUILDS = Path(__file__).parents[4] / "golden/builds"
BOARD = """/dts-v1/;
/ { compatible = "arm,versatile-pb", "arm,vexpress"; #address-cells = <1>; #size-cells = <1>;
	chosen { bootargs = "movablecore=32M cma=0"; };
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x8000000>; }; };
"""
KMAP_SLOT = 0xFFEFE000  # FIX_KMAP_BEGIN


@pytest.mark.parametrize(("config", "cpu", "left"), [
    (BUILDS / "v5xscale.yaml", ["arm926"], False), (BUILDS / "v6realview.yaml", ["arm1136"], False),
    (BUILDS / "v6realview.yaml", ["arm1136", "ctr=0x1d152152"], True), ("3G/1G", ["cortex-a9"], True)])
def test_only_a_cache_without_aliases_wants_the_zero_page_mapped(tmp_path, config, cpu, left):
    (tmp_path / "board.dts").write_text(BOARD)
    k = bootsim.boot(tmp_path / "board.dts", config=config, cpu=cpu, dtb_addr=0x62000000, load_addr=0x60008000,
                     until="request_standard_resources")
    assert [zone["name"] for zone in k.zones if zone["present"]] == ["Normal", "Movable"]
    found = k.translate(KMAP_SLOT)
    assert bool(found) == left
    if left:
        assert found.pa == k.mm.empty_zero_page_pa
