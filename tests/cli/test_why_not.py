"""bootsim why-not, and bootsim explain --what-if: single changes, each of them booted."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import bootsim as library
from bootsim.cli.group import cli
from bootsim.state.quantities import Quantities
from bootsim.sweep import worker
from bootsim.sweep.find import Answer, Flip, Found
from bootsim.sweep.whynot import nearest

BOARD = """/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	model = "board";
	compatible = "arm,vexpress";
	chosen { bootargs = "console=ttyAMA0 vmalloc=400M"; };
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
	reserved-memory {
		#address-cells = <1>;
		#size-cells = <1>;
		ranges;
		big { size = <0x8000000>; alloc-ranges = <0x68000000 0x10000000>; };
		dsp@6c000000 { reg = <0x6c000000 0x1000000>; };
		cam@6e000000 { reg = <0x6e000000 0x4000000>; };
	};
};
"""


@pytest.fixture
def board(tmp_path):
    path = tmp_path / "board.dts"
    path.write_text(BOARD)
    return str(path)


def test_the_nearest_sizes_make_it_hold(bootsim):
    result = bootsim("why-not", "vexpress.dts", "lowmem >= 800M", "--mem", "1G")
    assert result.exit_code == 0
    assert "lowmem >= 800M does not hold: lowmem is 768M, expected >= 800M" in result.stdout
    assert "  vmalloc=216M or less  (now 248M)" in result.stdout
    assert "  CONFIG_VMSPLIT_2G=y (PAGE_OFFSET 0x80000000)  [build 3G/1G]" in result.stdout
    # and it does hold then, and not a mebibyte before
    for vmalloc, holds in (("216M", True), ("217M", False)):
        k = library.boot("vexpress.dts", mem="1G", cmdline=f"vmalloc={vmalloc}")
        assert (k.mm.arm_lowmem_limit - k.mm.phys_offset >= 800 << 20) is holds


def test_a_node_in_the_way_may_be_smaller(bootsim, board):
    result = bootsim("why-not", board, "reserved.big.size >= 128M")
    assert result.exit_code == 0
    assert "/reserved-memory/cam@6e000000 of 32M or less  (now 64M)" in result.stdout
    assert "board.dts:15" in result.stdout
    assert "without /reserved-memory/dsp@6c000000" in result.stdout.partition("Not enough: ")[2]


def test_what_holds_needs_no_change(bootsim):
    result = bootsim("why-not", "vexpress.dts", "no panic")
    assert (result.exit_code, result.stdout) == (0, "no panic holds\n")


def test_what_no_single_change_brings_about(bootsim):
    result = bootsim("why-not", "vexpress.dts", "cma.areas > 5")
    assert result.exit_code == 1
    assert "No single change that was tried makes it hold" in result.stdout
    tried = " ".join(result.stdout.split())
    assert all(f" {option}" in tried for option in ("vmalloc=", "cma=", "--mem", "CONFIG_VMSPLIT_2G=y"))


def test_what_moves_the_digest_of_a_boot(bootsim):
    told = json.loads(bootsim("explain", "vexpress.dts", "digest", "--what-if", "--json").stdout)
    values = {move["value"] for move in told["moves"]}
    assert len(values) == len(told["moves"]) > 2
    assert all(len(value) == 64 for value in values)


def test_json(bootsim):
    told = json.loads(bootsim("why-not", "vexpress.dts", "coherent_pool.max >= 20M", "--json").stdout)
    assert not told["holds"]
    assert told["boots"] > 10
    assert [way["change"].partition("=")[0] for way in told["ways"]] == ["cma"]


@pytest.mark.parametrize(("what", "said"), [("lowmem >", "column"), ("lowmem >= 1M", "no such file")])
def test_bad_input(bootsim, what, said):
    result = bootsim("why-not", "nowhere.dts", what)
    assert result.exit_code == 2
    assert said in result.output


def test_the_nearest_of_several_stretches():
    yes, no = Answer(True), Answer(False)
    found = Found(0, 100, yes, (Flip(10, 11, yes, no), Flip(59, 60, no, yes), Flip(80, 81, yes, no)))
    assert nearest(found, 30) == 10
    assert nearest(found, 40) == 60
    assert nearest(found, 99) == 80
    assert nearest(Found(0, 100, no, ()), 5) is None


def test_what_if(bootsim, board):
    result = bootsim("explain", board, "lowmem", "--what-if")
    assert result.exit_code == 0
    assert result.stdout.startswith("lowmem = 512M\n")
    told = json.loads(bootsim("explain", board, "arm_lowmem_limit", "--what-if", "--json", "--mem", "1G").stdout)
    moves = {move["change"]: move["value"] for move in told["moves"]}
    k = library.boot(board, mem="1G", cmdline="console=ttyAMA0")
    assert moves["without vmalloc=400M"] == k.mm.arm_lowmem_limit
    assert "without /reserved-memory/dsp@6c000000" not in moves


def test_a_quantity_is_derived_from_what_decides_it(bootsim):
    result = bootsim("explain", "vexpress.dts", "lowmem", "--mem", "1G")
    assert result.stdout.startswith("lowmem = 768M  (RAM in the linear mapping)\narm_lowmem_limit = 0x90000000 pa")


def test_a_node_tells_who_is_in_the_way(bootsim, board):
    result = bootsim("explain", board, "/reserved-memory/big")
    lines = result.stdout.splitlines()
    assert lines[1] == "  has no memory"
    assert lines[2] == ("  in 0x68000000-0x77ffffff the largest free run beside it is 0x72000000-0x77ffffff, 96M")
    assert "board.dts:15 /reserved-memory/cam@6e000000 reg at 0x6e000000-0x71ffffff" in lines[3]
    assert bootsim("explain", board, "/reserved-memory/nope").exit_code == 2
    assert "has 0x6c000000-0x6cffffff, 16M" in bootsim("explain", board, "/reserved-memory/dsp@6c000000").stdout


@pytest.mark.parametrize(("cmdline", "size"), [("cma=32M", 32 << 20), ("cma=0", 4 << 20)])
def test_how_large_coherent_pool_may_be(cmdline, size):
    # out of the CMA area all of it; else the largest block of the page allocator
    assert Quantities(library.boot("vexpress.dts", cmdline=cmdline)).value("coherent_pool.max") == size


def test_a_name_that_no_boot_knows_is_bad_input(bootsim):
    result = bootsim("why-not", "vexpress.dts", "lowmen >= 800M", "--mem", "512M")
    assert result.exit_code == 2
    assert "'lowmen'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [("why-not", "vexpress.dts", "lowmem >= 1"),
                                     ("explain", "vexpress.dts", "arm_lowmem_limit", "--what-if")])
def test_a_bug_is_no_bad_input(monkeypatch, command):
    def broken(*_args, **_rest):
        raise ZeroDivisionError

    monkeypatch.setattr(worker, "run", broken)
    assert CliRunner().invoke(cli, command).exit_code == 70  # with a traceback, as a bug has
