"""Who edits the tree and where things lie: checked against QEMU 7.2 itself where it is installed."""

import hashlib
import os
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from bootsim.errors import InputError
from bootsim.inputs import bootloader
from bootsim.inputs.devicetree import load_tree
from bootsim.inputs.dtb import read_tree

MIB = 1 << 20
SHA256_A9_1024 = "d3982e4b0ffc2710b85dbbb101a7f94795660455e320705c26e84975689eb197"
BUILD = SimpleNamespace(
    symbols=SimpleNamespace(text=0xC0008000, end=0xC0C00000), config=SimpleNamespace(PAGE_OFFSET=0xC0000000)
)


@cache
def _bundled(name):
    return load_tree(name)


@pytest.fixture
def vexpress():
    return _bundled("vexpress.dts")


@pytest.fixture
def ca15():
    return _bundled("vexpress-ca15.dts")


@pytest.fixture
def board(tmp_path):
    """A tree of the given nodes below a root with one-cell addresses."""

    def make(*nodes, cells=1, compatible="test,board", name="board.dts"):
        path = tmp_path / name
        root = f'compatible = "{compatible}"; #address-cells = <{cells}>; #size-cells = <{cells}>;'
        path.write_text("/dts-v1/;\n/ {\n" + root + "\n" + "\n".join(nodes) + "\n};\n")
        return load_tree(path)

    return make


def memory(*reg, at="60000000"):
    return f'memory@{at} {{ device_type = "memory"; reg = <{" ".join(map(hex, reg))}>; }};'


def load(tree, **wishes):
    handover = bootloader.load(tree, BUILD, **wishes)
    read_tree(handover.blob)
    return handover


def refused(tree, *words, **wishes):
    with pytest.raises(InputError) as caught:
        bootloader.load(tree, BUILD, **wishes)
    for word in words:
        assert word in str(caught.value)


def props(blob, path):
    return dict(read_tree(blob).paths[path].props)


def cells(*values):
    return struct.pack(f">{len(values)}I", *values)


# ---------------------------------------------------------------- no loader


def test_without_wishes_the_tree_is_handed_over_as_it_is(vexpress):
    handover = load(vexpress)
    assert handover.blob is vexpress.blob
    assert handover.banks == ((0x60000000, 1024 * MIB),)
    assert handover.kernel_pa == 0x60008000
    assert handover.dtb_pa == 0x60000000 + 128 * MIB
    assert (handover.initrd_pa, handover.initrd_bytes) == (None, 0)


def test_memory_size_rewrites_the_memory_node(vexpress):
    handover = load(vexpress, mem_bytes=512 * MIB)
    assert handover.banks == ((0x60000000, 512 * MIB),)
    assert props(handover.blob, "/memory@60000000") == {
        "device_type": b"memory\0", "reg": cells(0x60000000, 512 * MIB)
    }  # fmt: skip
    assert len(handover.blob) == len(vexpress.blob)


def test_memory_size_leaves_one_bank(board):
    tree = board(memory(0x60000000, 0x1000000, 0x70000000, 0x1000000), memory(0x80000000, 0x1000000, at="80000000"))
    assert len(load(tree).banks) == 3
    handover = load(tree, mem_bytes=256 * MIB)
    assert handover.banks == ((0x60000000, 256 * MIB),)
    assert "/memory@80000000" not in [*read_tree(handover.blob).paths]


def test_memory_size_without_a_memory_node_goes_where_the_board_or_the_kernel_is(board):
    vexpress = board(compatible='arm,vexpress,v2p-ca9", "arm,vexpress')
    assert load(vexpress, mem_bytes=64 * MIB).banks == ((0x60000000, 64 * MIB),)
    other = board()
    refused(other, "board.dts", "no memory node", mem_bytes=64 * MIB)
    assert load(other, mem_bytes=64 * MIB, load_pa=0x40008000).banks == ((0x40000000, 64 * MIB),)


def test_memory_size_goes_where_an_empty_bank_stands(board):
    assert load(board(memory(0x10000000, 0)), mem_bytes=64 * MIB).banks == ((0x10000000, 64 * MIB),)
    empty_and_full = board(memory(0, 0), memory(0x80000000, 64 * MIB, at="80000000"))
    assert load(empty_and_full, mem_bytes=128 * MIB).banks == ((0x80000000, 128 * MIB),)
    # address 0 says as little as size 0
    refused(board(memory(0, 0)), "/memory@60000000", "where RAM starts", "--load-addr", mem_bytes=64 * MIB)
    assert load(board(memory(0, 0)), mem_bytes=64 * MIB, load_pa=0x80008000).banks == ((0x80000000, 64 * MIB),)


def test_command_line(vexpress, board):
    handover = load(vexpress, cmdline="console=ttyAMA0 mem=64M")
    assert props(handover.blob, "/chosen") == {"bootargs": b"console=ttyAMA0 mem=64M\0"}
    tree = board('chosen { bootargs = "a rather long line that is there already"; x; };', memory(0x60000000, 64 * MIB))
    shorter = load(tree, cmdline="quiet").blob
    assert props(shorter, "/chosen") == {"bootargs": b"quiet\0", "x": b""}
    assert len(shorter) < len(tree.blob)
    assert props(load(board(memory(0x60000000, 64 * MIB)), cmdline="x").blob, "/chosen") == {"bootargs": b"x\0"}


def test_initrd(vexpress, ca15, tmp_path):
    (tmp_path / "rd").write_bytes(bytes(5000))
    handover = load(vexpress, initrd=(tmp_path / "rd", None))
    assert (handover.initrd_pa, handover.initrd_bytes) == (0x68000000, 5000)
    assert handover.dtb_pa == 0x68002000
    chosen = props(handover.blob, "/chosen")
    assert chosen == {"linux,initrd-start": cells(0x68000000), "linux,initrd-end": cells(0x68000000 + 5000)}
    handover = load(vexpress, initrd=(str(tmp_path / "rd"), 0x70000010))
    assert (handover.initrd_pa, handover.dtb_pa) == (0x70000010, 0x68000000)
    wide = props(load(ca15, initrd=(tmp_path / "rd", None)).blob, "/chosen")
    assert wide["linux,initrd-end"] == cells(0, 0x88000000 + 5000)


def test_addresses(vexpress):
    handover = load(vexpress, dtb_pa=0x61000003, load_pa=0x62008000)
    assert (handover.dtb_pa, handover.kernel_pa) == (0x61000003, 0x62008000)


def test_a_small_memory_keeps_the_tree_off_the_kernel(vexpress):
    assert load(vexpress, mem_bytes=16 * MIB).dtb_pa == 0x60C00000


def test_usable_memory_and_nodes_without_reg(board):
    tree = board(
        'a { device_type = "memory"; reg = <0x60000000 0x8000000>; linux,usable-memory = <0x60000000 0x4000000>; };',
        'b { device_type = "memory"; };',
        "memory@1 { reg = <0x70000000 0x1000000>; };",
    )
    assert load(tree).banks == ((0x60000000, 64 * MIB),)


def test_banks_the_kernel_must_cope_with(board):
    overlapping = board(memory(0x60000000, 64 * MIB, 0x62000000, 64 * MIB))
    assert load(overlapping).banks == ((0x60000000, 64 * MIB), (0x62000000, 64 * MIB))
    with_empty = board(memory(0x60000000, 64 * MIB, 0x90000000, 0))
    assert load(with_empty).banks == ((0x60000000, 64 * MIB),)
    high = board(memory(0, 0x80000000, 0, 0xC0000000, at="80000000"), cells=2)
    assert load(high).banks == ((0x80000000, 0xC0000000),)


def test_the_kernel_goes_to_the_lowest_bank_that_can_take_it(board):
    two = board(memory(0x80000000, 64 * MIB, 0x60000000, 64 * MIB))
    assert load(two).kernel_pa == 0x60008000
    beside = board(memory(0x80000000, 64 * MIB, 0x7FF00000, 2 * MIB, 0x71100000, 64 * MIB))
    assert load(beside).kernel_pa == 0x80008000
    unaligned = board(memory(0x71100000, 64 * MIB))
    assert load(unaligned).kernel_pa == 0x71108000  # the replayed kernel sees to the rest


@pytest.mark.parametrize(
    ("reg", "words"),
    [
        ((0x60000000,), ("board.dts:4", "/memory@60000000", "no whole bank")),
        ((0x60000000, 0), ("board.dts:4", "/memory@60000000", "no whole bank")),
    ],
)
def test_memory_nodes_that_cannot_be(board, reg, words):
    refused(board(memory(*reg)), *words)


def test_a_part_of_a_bank_at_the_end_is_passed_over_as_the_kernel_does(board):
    assert load(board(memory(0x60000000, 64 * MIB, 0x70000000))).banks == ((0x60000000, 64 * MIB),)


def test_trees_without_ram_for_the_kernel(board):
    refused(board(), "board.dts", "no memory node")
    refused(board('memory { device_type = "memory"; reg = [60 00]; };'), "no whole bank")
    refused(board(memory(1, 0, 0, 0x20000000), cells=2), "board.dts:4", "/memory@60000000", "4 GiB")


def test_a_kernel_without_memory_node_may_be_tried(board):
    # where the user says the kernel is, and no RAM is known, nothing can be placed: still an error, not a guess
    refused(board(), "kernel image", "RAM (none)", load_pa=0x60008000)


def test_what_does_not_fit(vexpress, tmp_path):
    (tmp_path / "rd").write_bytes(bytes(5000))
    refused(vexpress, "kernel image", "RAM", mem_bytes=8 * MIB)
    refused(vexpress, "kernel image", "0x10008000", load_pa=0x10008000)
    refused(vexpress, "0x60200000", "lies on the kernel image", dtb_pa=0x60200000)
    for address in (0x10000000, 0xFFFFF000, 0x9FFFFFF0):
        refused(vexpress, f"{address:#x}", "RAM", dtb_pa=address)
    refused(vexpress, "0x10000000", "initrd", initrd=(tmp_path / "rd", 0x10000000))
    refused(vexpress, "initrd", "lies on the kernel", initrd=(tmp_path / "rd", 0x60100000))
    refused(vexpress, "lies on the initrd", initrd=(tmp_path / "rd", 0x61000000), dtb_pa=0x61001000)
    refused(vexpress, "does not fit", mem_bytes=4 << 30)
    refused(vexpress, "expected none, qemu, qemu:MACHINE or u-boot", bootloader="grub")


def test_initrd_files(vexpress, tmp_path):
    (tmp_path / "empty").touch()
    refused(vexpress, "no/rd", "No such file", initrd=("no/rd", None))
    refused(vexpress, "directory", initrd=(tmp_path, None))
    refused(vexpress, "empty", initrd=(tmp_path / "empty", None))
    refused(vexpress, "/dev/zero: a device or a pipe", initrd=("/dev/zero", None))


# ---------------------------------------------------------------- QEMU


def test_a_real_boot_of_qemu(vexpress):
    # The SHA-256 of what QEMU 7.2.22 dumped for the kernel's vexpress-v2p-ca9.dtb:
    # qemu-system-arm -M vexpress-a9,dumpdtb=... -m 1024 -append "..."
    cmdline = "console=ttyAMA0 root=/dev/mmcblk0 rootwait ro panic=1 memblock=debug ignore_loglevel loglevel=8"
    handover = load(vexpress, bootloader="qemu", mem_bytes=1024 * MIB, cmdline=cmdline)
    assert hashlib.sha256(handover.blob).hexdigest() == SHA256_A9_1024


def test_qemus_edits_and_places(vexpress, tmp_path):
    (tmp_path / "rd").write_bytes(bytes(5000))
    handover = load(vexpress, bootloader="qemu", mem_bytes=64 * MIB, cmdline="x", initrd=(tmp_path / "rd", None))
    assert len(handover.blob) == (14171 + 10000) * 2
    assert handover.banks == ((0x60000000, 64 * MIB),)
    assert (handover.kernel_pa, handover.initrd_pa, handover.dtb_pa) == (0x60008000, 0x62000000, 0x62002000)
    nodes = [*read_tree(handover.blob).paths]
    assert nodes[1:6] == [*(f"/virtio_mmio@1001{3000 + 200 * i}" for i in range(4)), "/memory@60000000"]
    assert list(props(handover.blob, nodes[1])) == [
        "dma-coherent", "interrupts", "interrupt-parent", "reg", "compatible"
    ]  # fmt: skip
    # without a wish, as much RAM as the tree says, and the tree at 128 MiB
    assert load(vexpress, bootloader="qemu").dtb_pa == 0x68000000


def test_qemu_refuses(vexpress, ca15, board):
    refused(vexpress, "vexpress-a9", "1024 MiB", bootloader="qemu", mem_bytes=2048 * MIB)
    refused(vexpress, "FDT_ERR_NOSPACE", bootloader="qemu", mem_bytes=64 * MIB, cmdline="x" * 60000)
    refused(board(), "no memory node", bootloader="qemu")
    refused(board(memory(1, 2, 3, 4, 5, 6), cells=3), "cells", bootloader="qemu")
    nested = board('memory { device_type = "memory"; reg = <0x60000000 0x8000000>; memory { }; };')
    refused(nested, "/memory/memory", bootloader="qemu")


def test_qemu_with_any_other_tree(board):
    handover = load(board(memory(0x80000000, 64 * MIB, at="80000000")), bootloader="qemu", cmdline="x")
    assert [*read_tree(handover.blob).paths] == ["/", "/chosen", "/memory@80000000"]
    assert (handover.kernel_pa, handover.dtb_pa) == (0x80008000, 0x82000000)


def _is_qemu_7_2():
    if not shutil.which("qemu-system-arm"):
        return False
    version = subprocess.run(["qemu-system-arm", "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    return "version 7.2" in version


needs_qemu = pytest.mark.skipif(not _is_qemu_7_2(), reason="qemu-system-arm 7.2, which is compared with, is not there")


def qemu(folder, machine, blob, mem_mib, *, cmdline=None, initrd=None, smp=1):
    """The tree as QEMU hands it over, None when it refuses."""
    dumped, kernel, given = (Path(folder, name) for name in ("dumped", "kernel", "given"))
    dumped.unlink(missing_ok=True)
    kernel.write_bytes(b"\x55" * 4096)
    given.write_bytes(blob)
    command = ["qemu-system-arm", "-M", f"{machine},dumpdtb={dumped}", "-m", str(mem_mib), "-kernel", kernel,
               "-dtb", given, "-smp", str(smp), "-nographic", "-net", "none"]  # fmt: skip
    if cmdline is not None:
        command += ["-append", cmdline]
    if initrd is not None:
        command += ["-initrd", initrd]
    environment = {**os.environ, "QEMU_AUDIO_DRV": "none"}
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return dumped.read_bytes() if dumped.exists() else None


def ours(tree, mem_mib, *, cmdline=None, initrd=None, smp=1):
    initrd = None if initrd is None else (initrd, None)
    try:
        wishes = {"mem_bytes": mem_mib * MIB, "cmdline": cmdline, "initrd": initrd}
        return bootloader.load(tree, BUILD, bootloader="qemu", **wishes).blob
    except InputError:
        return None


@needs_qemu
@pytest.mark.parametrize(
    ("name", "machine", "mem_mib"),
    [
        *(("vexpress.dts", "vexpress-a9", size) for size in (64, 192, 1024, 2048)),
        *(("vexpress-ca15.dts", "vexpress-a15", size) for size in (64, 2048, 3072, 4096)),
    ],
)
def test_qemu_does_the_same_byte_for_byte(tmp_path, name, machine, mem_mib):
    (tmp_path / "rd").write_bytes(bytes(70001))
    tree = _bundled(name)
    for how in ({}, {"cmdline": ""}, {"cmdline": "odd"}, {"cmdline": "console=ttyAMA0 a=b", "smp": 2},
                {"initrd": str(tmp_path / "rd")}):  # fmt: skip
        assert ours(tree, mem_mib, **how) == qemu(tmp_path, machine, tree.blob, mem_mib, **how)


@needs_qemu
@pytest.mark.parametrize(("kind", "size"), [(3, 5000), (3, 3000), (3, 9000), (2, 5000)])
def test_qemu_does_the_same_with_a_wrapped_initrd(vexpress, tmp_path, kind, size):
    header = struct.pack(">7I4B32s", 0x27051956, 0, 0, size, 0, 0, 0, 5, 2, kind, 0, b"initrd")
    (tmp_path / "rd").write_bytes(header + bytes(5000))
    how = {"initrd": str(tmp_path / "rd")}
    assert ours(vexpress, 64, **how) == qemu(tmp_path, "vexpress-a9", vexpress.blob, 64, **how)


VARIANTS = {
    "bootargs": ("chosen { };", 'chosen { bootargs = "a long line that is replaced by a shorter one"; x; };'),
    "memory": ("memory@60000000 {", "memory {"),
    "two": (
        "reserved-memory {",
        'memory@70000000 { device_type = "memory"; reg = <0x70000000 1>; };\nreserved-memory {',
    ),
    "plain and two": ("reserved-memory {", "memory { };\nreserved-memory {"),
    "chosen@0": ("chosen { };", "chosen@0 { };"),
    "no chosen": ("chosen { };", ""),
    "elsewhere": ("chosen { };", "chosen { };\nx { memory@1 { }; };"),
    "virtio": ("chosen { };", "virtio_mmio@10013200 { };"),
    "no gic": ('"arm,cortex-a9-gic"', '"arm,other-gic"'),
    "reservations": ("/dts-v1/;", "/dts-v1/;\n/memreserve/ 0x61000000 0x1000;"),
    "no cells": ("interrupt-parent = <&gic>;\n\t#address-cells = <1>;", ""),
    "zero cells": ("interrupt-parent = <&gic>;\n\t#address-cells = <1>;", "#address-cells = <0>;"),
    "two cells": ("interrupt-parent = <&gic>;\n\t#address-cells = <1>;", "#address-cells = <2>;"),
}


@needs_qemu
@pytest.mark.parametrize("variant", VARIANTS)
def test_qemu_does_the_same_with_odd_trees(tmp_path, variant):
    folder = Path(__file__).parents[2] / "dts"
    text = (folder / "vexpress.dts").read_text()
    before, after = VARIANTS[variant]
    assert before in text
    (tmp_path / "odd.dts").write_text(text.replace(before, after))
    tree = load_tree(tmp_path / "odd.dts", [folder])
    assert ours(tree, 256, cmdline="short") == qemu(tmp_path, "vexpress-a9", tree.blob, 256, cmdline="short")
    if shutil.which("dtc"):
        for extra in (["-V", "16"], ["-p", "500"], ["-S", "30000"]):
            command = ["dtc", "-q", "-f", "-I", "dtb", "-O", "dtb", *extra, "-"]
            blob = subprocess.run(command, input=tree.blob, stdout=subprocess.PIPE, check=True).stdout
            blob += b"trailing"
            other = read_tree(blob, "other.dtb")
            assert ours(other, 256, cmdline="short") == qemu(tmp_path, "vexpress-a9", blob, 256, cmdline="short")


def test_ram_that_the_tree_does_not_tell(tmp_path):
    # a reg of 4 MiB where 1 GiB is really there: the kernel runs, and finds too little memory by itself
    source = tmp_path / "small.dts"
    source.write_text("""/dts-v1/;
/ { #address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress"; chosen { };
    memory@60000000 { device_type = "memory"; reg = <0x60000000 0x400000>; }; };
""")
    with pytest.raises(InputError, match="not all in RAM"):
        bootloader.load(load_tree(source), BUILD)
    handover = bootloader.load(load_tree(source), BUILD, ram=(1 << 30, None))
    assert handover.banks == ((0x60000000, 1 << 30),)
    assert handover.blob == load_tree(source).blob
    with pytest.raises(InputError, match="--bootloader none"):
        bootloader.load(load_tree(source), BUILD, ram=(1 << 30, None), bootloader="qemu")


def test_the_ram_that_is_really_there_begins_where_the_user_says_or_the_kernel_is(board):
    none, lying = board(), board(memory(0, 0x60000000, at="60000000"), compatible="arm,vexpress,v2p-ca9")
    assert load(none, ram=(1 << 30, 0x40000000)).banks == ((0x40000000, 1 << 30),)
    assert load(none, ram=(1 << 30, None), load_pa=0x40008000).banks == ((0x40000000, 1 << 30),)
    refused(none, "board.dts", "--ram SIZE@BASE", ram=(1 << 30, None))
    # by the tree, unless what was placed by hand lies elsewhere: then by the board
    assert load(lying, ram=(1 << 30, None)).banks == ((0, 1 << 30),)
    assert load(lying, ram=(1 << 30, None), dtb_pa=0x63000000).banks == ((0x60000000, 1 << 30),)
    assert load(lying, ram=(1 << 30, None), load_pa=0x20008000).banks == ((0, 1 << 30),)


def test_memory_size_makes_memory_of_a_node_that_only_its_name_makes_it(board):
    handover = load(board("memory@60000000 { reg = <0x60000000 0x1000>; };"), mem_bytes=64 * MIB, load_pa=0x60008000)
    assert props(handover.blob, "/memory@60000000") == {
        "device_type": b"memory\0", "reg": cells(0x60000000, 64 * MIB)
    }  # fmt: skip


def test_the_tree_does_not_lie_on_an_initrd_that_it_tells_of(board):
    def placed(start, end, **wishes):
        chosen = f"chosen {{ linux,initrd-start = <{start:#x}>; linux,initrd-end = <{end:#x}>; }};"
        return load(board(memory(0x60000000, 0x40000000), chosen), **wishes).dtb_pa

    usual = load(board(memory(0x60000000, 0x40000000))).dtb_pa
    assert usual == 0x68000000
    assert placed(usual, usual + 242942) == usual + 0x3C000  # where QEMU has put it, as boots captured there show
    assert placed(usual - 0x1000, usual + 1) == usual + 0x1000
    assert placed(usual - 0x1000, usual) == usual
    assert placed(usual + 0x100000, usual + 0x200000) == usual
    assert placed(usual, usual + 242942, dtb_pa=usual) == usual


def test_an_initrd_that_is_no_range_moves_nothing(board):
    for chosen in ("linux,initrd-start = <0x68000000>;", "linux,initrd-start = <2>; linux,initrd-end = <2>;", ""):
        assert load(board(memory(0x60000000, 0x40000000), f"chosen {{ {chosen} }};")).dtb_pa == 0x68000000
