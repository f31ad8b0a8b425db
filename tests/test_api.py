"""bootsim as a library."""

import threading

import pytest

import bootsim
from bootsim.errors import InputError, KernelPanic
from bootsim.stages import STAGES

BOARD = """/dts-v1/;
/ {
	model = "Test board"; compatible = "arm,vexpress"; #address-cells = <1>; #size-cells = <1>;
	chosen { bootargs = "console=ttyAMA0"; };
	cpus {
		#address-cells = <1>; #size-cells = <0>;
		cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <0>; };
	};
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
};
"""


@pytest.fixture
def board(tmp_path):
    path = tmp_path / "board.dts"
    path.write_text(BOARD)
    return path


def test_boot_returns_the_kernel_as_the_boot_leaves_it(board):
    k = bootsim.boot(board)
    assert any(r.kernel and r.text.startswith("Memory: ") for r in k.log.records)
    assert [r.seq for r in k.log.records] == list(range(len(k.log.records)))
    assert k.mm.memblock.memory.regions[0].base == 0x60000000
    assert k.zones[0]["name"] == "Normal"
    assert k.facts.value("arm_lowmem_limit") == k.mm.arm_lowmem_limit
    assert k.translate(k.build.symbols.text).pa == k.build.symbols.text - 0xC0000000 + 0x60000000


def test_sizes_are_numbers_or_text(board):
    pages = [bootsim.boot(board, mem=mem).mm.memblock.memory.total_size for mem in ("256M", 256 << 20, "0x10000000")]
    assert pages == [256 << 20] * 3


def test_stages(board):
    k = bootsim.boot(board, stages=True)
    assert list(k.observer.stages) == list(STAGES)
    k = bootsim.boot(board, stages=True, until="setup_arch")
    assert list(k.observer.stages)[-1] == "setup_arch"


def test_every_derivation_ends_in_roots(board):
    facts = bootsim.boot(board).facts
    prefixes = ("CONFIG_", "symbol:", "sizeof:", "dtb:", "cmdline:", "option:", "build:", "cpu:")
    assert [name for name in facts.roots() if not name.startswith(prefixes)] == []


def test_an_unknown_stage(board):
    with pytest.raises(InputError, match="no stage 'x'"):
        bootsim.boot(board, until="x")


def test_bad_input_and_panics_are_told_apart(board):
    with pytest.raises(InputError):
        bootsim.boot("nowhere.dts")
    with pytest.raises(KernelPanic) as caught:
        bootsim.boot(board, cmdline="mem=2M")
    assert caught.value.cause


def test_two_boots_live_side_by_side(board):
    texts = {}

    def boot(mem):
        texts[mem] = [r.text for r in bootsim.boot(board, mem=mem).log.records]

    threads = [threading.Thread(target=boot, args=(mem,)) for mem in ("128M", "256M", "384M")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(texts[mem] == [r.text for r in bootsim.boot(board, mem=mem).log.records] for mem in texts)
