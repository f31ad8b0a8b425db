"""QEMU's machines: RAM and tree at the first instruction, against QEMU 7.2 itself where it is installed.

A machine is started halted, and its monitor asked for memory: the boot stub, the tree, the initrd. BOOTSIM_QEMU=1 asks
for more: every amount of RAM that a machine takes, and, with KERNEL_SRC, the kernel's own trees.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from bootsim.errors import InputError
from bootsim.inputs import bootloader
from bootsim.inputs.bootloader.qemuboards import BOARDS, board_named, board_of
from bootsim.inputs.devicetree import load_tree
from bootsim.inputs.dtb import read_tree

MIB = 1 << 20
BUILD = SimpleNamespace(
    symbols=SimpleNamespace(text=0xC0008000, end=0xC0C00000), config=SimpleNamespace(PAGE_OFFSET=0xC0000000)
)
INITRD = bytes(range(256)) * 50 + b"odd"
EXHAUSTIVE = bool(os.environ.get("BOOTSIM_QEMU"))


@cache
def is_qemu_7_2():
    if not shutil.which("qemu-system-arm"):
        return False
    version = subprocess.run(["qemu-system-arm", "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    return "version 7.2" in version


needs_qemu = pytest.mark.skipif(not is_qemu_7_2(), reason="qemu-system-arm 7.2, which is compared with, is not there")
needs_wish = pytest.mark.skipif(not EXHAUSTIVE, reason="takes minutes: BOOTSIM_QEMU=1 starts QEMU with every size")


def tree_of(folder, compatible, *, memory="0x60000000 0x4000000", cells=1, nodes=""):
    path = folder / "board.dts"
    names = ", ".join(f'"{name}"' for name in compatible)
    path.write_text(f"""/dts-v1/;
/ {{
\tcompatible = {names};
\t#address-cells = <{cells}>;
\t#size-cells = <{cells}>;
\tchosen {{ bootargs = "an old line"; }};
\tpsci {{ compatible = "arm,psci"; method = "smc"; cpu_off = <0x95c10002>; }};
\tmemory {{ device_type = "memory"; reg = <{memory}>; }};
\tgic: interrupt-controller {{ compatible = "arm,cortex-a9-gic"; interrupt-controller; #interrupt-cells = <3>; }};
\tvirtual {{ interrupt-parent = <&gic>; }};
{nodes}
}};
""")
    return load_tree(path)


def ours(tree, name, mem_bytes, initrd, smp=None, cmdline="console=ttyAMA0 quiet"):
    return bootloader.load(tree, BUILD, bootloader=f"qemu:{name}", mem_bytes=mem_bytes, cmdline=cmdline,
                           initrd=None if initrd is None else (initrd, None), smp=smp)  # fmt: skip


def qemu(folder, name, tree, mem_bytes, initrd, wanted, smp=None, cmdline="console=ttyAMA0 quiet"):
    """(stretches of guest memory, program counter) of a halted machine; what QEMU said where it refuses."""
    (folder / "kernel").write_bytes(b"\x55" * 4096)
    (folder / "given").write_bytes(tree.blob)
    command = ["qemu-system-arm", "-M", name, "-m", f"{mem_bytes // MIB}", "-kernel", "kernel", "-dtb", "given", "-S",
               "-append", cmdline, "-display", "none", "-serial", "none", "-net", "none",
               "-monitor", "stdio"]  # fmt: skip
    command += [] if initrd is None else ["-initrd", str(initrd)]
    command += [] if smp is None else ["-smp", str(smp)]
    asked = [f"pmemsave {pa} {size} part{i}" for i, (pa, size) in enumerate(wanted)]
    lines = "\n".join([*asked, "info registers", "quit", ""])
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=folder, timeout=60, check=False,
                          env={**os.environ, "QEMU_AUDIO_DRV": "none"})  # fmt: skip
    if done.returncode:
        return done.stderr
    counter = re.search(r"R15=([0-9a-f]{8})", done.stdout)
    return [(folder / f"part{i}").read_bytes() for i in range(len(wanted))], counter and int(counter[1], 16)


def hold_against_qemu(folder, tree, name, mem_bytes, initrd=None, smp=None):
    handover = ours(tree, name, mem_bytes, initrd, smp)
    ((base, stub),) = handover.left
    wanted = [(base, len(stub)), (handover.dtb_pa, len(handover.blob))]
    wanted += [] if initrd is None else [(handover.initrd_pa, handover.initrd_bytes)]
    real, counter = qemu(folder, name, tree, mem_bytes, initrd, wanted, smp)
    assert counter == base
    assert real[0].hex(" ", 4) == stub.hex(" ", 4)
    assert real[1] == handover.blob
    assert initrd is None or real[2] == Path(initrd).read_bytes()


def usual_size(board):
    return board.ram_bytes


@needs_qemu
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_halted_machine_has_the_same_in_its_memory(tmp_path, board):
    (tmp_path / "rd").write_bytes(INITRD)
    tree = tree_of(tmp_path, board.compatible or ("test,board",))
    hold_against_qemu(tmp_path, tree, board.name, usual_size(board), tmp_path / "rd")


@needs_qemu
@pytest.mark.parametrize("name", ["virt", "midway", "sabrelite", "raspi2b"])
def test_with_addresses_of_two_cells_and_without_an_initrd(tmp_path, name):
    board = board_named(name)
    tree = tree_of(tmp_path, board.compatible, memory="0 0x60000000 0 0x4000000", cells=2)
    hold_against_qemu(tmp_path, tree, name, usual_size(board))


def sizes_of(board):
    most = min(board.max_ram_bytes, 3072 * MIB)
    return board.sizes or [size * MIB for size in (48, 128, 256, 512, 1024, 2048, 3072) if size * MIB <= most]


@needs_qemu
@needs_wish
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_size_and_number_of_processors(tmp_path, board):
    (tmp_path / "rd").write_bytes(INITRD)
    tree = tree_of(tmp_path, board.compatible or ("test,board",))
    for size in sizes_of(board):
        hold_against_qemu(tmp_path, tree, board.name, size, tmp_path / "rd")
    for smp in range(board.cpus[1], board.cpus[2] + 1):
        hold_against_qemu(tmp_path, tree, board.name, usual_size(board), smp=smp)


@needs_qemu
@needs_wish
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_what_qemu_refuses_is_refused(tmp_path, board):
    tree = tree_of(tmp_path, board.compatible or ("test,board",))
    for size in (48 * MIB, 96 * MIB, 384 * MIB, 1536 * MIB, 2560 * MIB, 3072 * MIB):
        refused = isinstance(qemu(tmp_path, board.name, tree, size, None, []), str)
        assert refused == _refuses(tree, board.name, size), size
    for smp in (1, 2, 3, 4, 5, 8, 9):
        refused = isinstance(qemu(tmp_path, board.name, tree, usual_size(board), None, [], smp), str)
        assert refused == _refuses(tree, board.name, usual_size(board), smp), smp


def _refuses(tree, name, size, smp=None):
    try:
        ours(tree, name, size, None, smp)
    except InputError as error:
        return name in str(error)
    return False


TREES = Path(os.environ.get("KERNEL_SRC", "")) / "arch/arm/boot/dts"
KERNELS_OWN = ("arm-realview-eb", "arm-realview-eb-11mp", "arm-realview-pba8", "arm-realview-pbx-a9", "versatile-ab",
               "versatile-pb", "integratorcp", "bcm2835-rpi-zero", "bcm2835-rpi-zero-w", "bcm2835-rpi-a-plus",
               "bcm2835-rpi-b", "bcm2836-rpi-2-b", "aspeed-ast2500-evb", "aspeed-bmc-opp-palmetto",
               "aspeed-bmc-opp-romulus", "aspeed-bmc-opp-witherspoon", "aspeed-bmc-quanta-q71l", "aspeed-ast2600-evb",
               "aspeed-bmc-opp-tacoma", "aspeed-bmc-ibm-rainier", "aspeed-bmc-inspur-fp5280g2", "nuvoton-npcm750-evb",
               "exynos4210-smdkv310", "exynos4210-universal_c210", "highbank", "ecx-2000", "imx6q-sabrelite",
               "imx7d-sdb", "imx6ul-14x14-evk", "zynq-zc702", "sun8i-h3-orangepi-pc", "sun4i-a10-cubieboard",
               "imx25-pdk", "imx31-lite", "vexpress-v2p-ca9", "vexpress-v2p-ca15-tc1")  # fmt: skip


@needs_qemu
@needs_wish
@pytest.mark.skipif("KERNEL_SRC" not in os.environ, reason="KERNEL_SRC=DIR, a kernel's source, has the trees")
@pytest.mark.parametrize("name", KERNELS_OWN)
def test_the_kernels_own_trees(tmp_path, name):
    (tmp_path / "rd").write_bytes(INITRD)
    tree = load_tree(TREES / f"{name}.dts")
    board = board_of(tree)
    assert board is not None
    for initrd in (None, tmp_path / "rd"):
        hold_against_qemu(tmp_path, tree, board.name, usual_size(board), initrd)


# ------------------------------------------------------------ without QEMU


@pytest.mark.parametrize(("compatible", "name"), [
    (("fsl,imx6q-other", "fsl,imx6q"), "sabrelite"),
    (("ibm,romulus-bmc", "aspeed,ast2500"), "romulus-bmc"),
    (("other,bmc", "aspeed,ast2500"), "ast2500-evb"),
    (("arm,vexpress,v2p-ca15,tc1", "arm,vexpress,v2p-ca15", "arm,vexpress"), "vexpress-a15"),
    (("arm,vexpress,v2p-ca9", "arm,vexpress"), "vexpress-a9"),
])  # fmt: skip
def test_the_first_compatible_string_that_means_a_machine_decides(tmp_path, compatible, name):
    assert board_of(tree_of(tmp_path, compatible)).name == name


def test_the_core_tile_of_a_realview_eb_is_told_by_its_processors(tmp_path):
    def cpus(count):
        nodes = " ".join(f'cpu@{i} {{ device_type = "cpu"; reg = <{i}>; }};' for i in range(count))
        return f"cpus {{ #address-cells = <1>; #size-cells = <0>; {nodes} }};"

    assert board_of(tree_of(tmp_path, ("arm,realview-eb",), nodes=cpus(1))).name == "realview-eb"
    assert board_of(tree_of(tmp_path, ("arm,realview-eb",), nodes=cpus(4))).name == "realview-eb-mpcore"


def test_a_board_that_qemu_has_not_is_told_and_edited_as_every_board(tmp_path):
    tree = tree_of(tmp_path, ("brcm,bcm2711", "test,board"))
    assert board_of(tree) is None
    handover = bootloader.load(tree, BUILD, bootloader="qemu")
    assert "no machine for brcm,bcm2711, test,board" in handover.told[0]
    assert "qemu:MACHINE" in handover.told[0]
    assert "QEMU: add /memory@60000000" in handover.told
    assert handover.banks == ((0x60000000, 64 * MIB),)


def test_a_machine_is_named_where_the_tree_does_not_tell(tmp_path):
    tree = tree_of(tmp_path, ("brcm,bcm2835",))
    assert bootloader.load(tree, BUILD, bootloader="qemu:raspi0").told[0].startswith("QEMU: machine raspi0, 448 MiB")
    with pytest.raises(InputError, match=r"qemu:raspi4b: no machine .* expected vexpress-a9, .*raspi2b"):
        bootloader.load(tree, BUILD, bootloader="qemu:raspi4b")


def test_ram_that_a_machine_has_and_what_it_tells(tmp_path):
    def banks(name, size=None):
        handover = bootloader.load(tree_of(tmp_path, ("x,y",)), BUILD, bootloader=f"qemu:{name}", mem_bytes=size)
        node = next(node for path, node in _nodes(handover.blob) if path.startswith("/memory@"))
        return handover.banks, int.from_bytes(node.get("reg")[4:], "big") // MIB

    assert banks("raspi2b") == (((0, 1024 * MIB),), 960)  # the last 64 MiB are the video core's
    assert banks("smdkc210", 256 * MIB) == (((0x40000000, 1024 * MIB),), 1024)
    assert banks("realview-pb-a8", 768 * MIB) == (((0x70000000, 512 * MIB), (0x20000000, 256 * MIB)), 512)
    assert banks("realview-pbx-a9", 512 * MIB) == (((0, 256 * MIB),), 512)
    assert banks("orangepi-pc") == (((0x40000000, 1024 * MIB),), 1024)


def _nodes(blob):
    return read_tree(blob).walk()


@pytest.mark.parametrize(("name", "wishes", "words"), [
    ("raspi0", {"mem_bytes": 256 * MIB}, "256 MiB of RAM, QEMU's raspi0 takes 512 MiB"),
    ("cubieboard", {"mem_bytes": 256 * MIB}, "QEMU's cubieboard takes 512 or 1024 MiB"),
    ("versatilepb", {"mem_bytes": 512 * MIB}, "QEMU's versatilepb takes at most 256 MiB"),
    ("raspi2b", {"smp": 1}, "--smp 1: QEMU's raspi2b has 4 processor"),
    ("sabrelite", {"smp": 5}, "--smp 5: QEMU's sabrelite has 1 to 4 processor"),
])  # fmt: skip
def test_what_a_machine_does_not_take_is_told(tmp_path, name, wishes, words):
    with pytest.raises(InputError, match=re.escape(words)):
        bootloader.load(tree_of(tmp_path, ("x,y",)), BUILD, bootloader=f"qemu:{name}", **wishes)


def test_processors_are_those_of_the_machine(tmp_path):
    tree = tree_of(tmp_path, ("x,y",))
    assert bootloader.load(tree, BUILD, bootloader="qemu:orangepi-pc").cpus == 4
    assert bootloader.load(tree, BUILD, bootloader="qemu:sabrelite").cpus == 1
    assert bootloader.load(tree, BUILD, bootloader="qemu:sabrelite", smp=2).cpus == 2
