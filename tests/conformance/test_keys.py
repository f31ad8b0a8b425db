"""What is kept between runs: every input that decides a build or a capture is in its key, and nothing else."""

import dataclasses
import struct
from pathlib import Path

import pytest
from realboot import UsageError, capture, kernels
from realboot.kernels import Build
from realboot.matrix import Boot, Kernel

A9, A15 = b"...arm,vexpress,v2p-ca9\0arm,vexpress\0", b"...arm,vexpress,v2p-ca15,tc1\0arm,vexpress\0"
MAP = "80008000 T _text\n80100000 T panic\n80200000 t cma_init_reserved_areas\n80300000 D memblock\n"
KERNEL = Kernel("a", options=(("HIGHMEM", "y"), ("CMA_SIZE_MBYTES", "64")))
BOOT = Boot(KERNEL, "dts:vexpress.dts", 512)


@pytest.fixture
def build(tmp_path):
    (tmp_path / "arch/arm/boot").mkdir(parents=True)
    for name in kernels.IMAGES:
        (tmp_path / name).write_text("CONFIG_PAGE_OFFSET=0x80000000\n" if name == ".config" else name)
    (tmp_path / "System.map").write_text(MAP)
    return Build("a", tmp_path)


def test_a_build_is_keyed_by_what_decides_it():
    key = kernels.key(KERNEL, "5.10.223", "gcc 12")
    assert key == kernels.key(dataclasses.replace(KERNEL, name="b", options=KERNEL.options[::-1]), "5.10.223", "gcc 12")
    others = [
        kernels.key(dataclasses.replace(KERNEL, base="multi_v7_defconfig"), "5.10.223", "gcc 12"),
        kernels.key(dataclasses.replace(KERNEL, options=(("HIGHMEM", "y"),)), "5.10.223", "gcc 12"),
        kernels.key(KERNEL, "5.10.224", "gcc 12"),
        kernels.key(KERNEL, "5.10.223", "gcc 13"),
    ]
    assert len({key, *others}) == 5


def test_a_capture_is_keyed_by_what_decides_it(build):
    job = capture.Job(BOOT, build, A9)
    key = job.key((7, 2))
    assert key == capture.Job(BOOT, Build("renamed", build.directory), A9).key((7, 2))
    changes = [{"mem_mib": 256}, {"cpus": 2}, {"cmdline": "mem=1G"}, {"initrd_bytes": 4096}, {"dtb_pa": 0x62000000},
               {"debug": False}, {"machine": "virt"}, {"cpu": "cortex-a8"}, {"until": "mem_init"}]
    others = {capture.Job(dataclasses.replace(BOOT, **change), build, A9).key((7, 2)) for change in changes}
    others |= {job.key((8, 2)), capture.Job(BOOT, build, A9 + b"\0").key((7, 2))}
    (build.directory / "arch/arm/boot/zImage").write_text("another kernel")
    others.add(job.key((7, 2)))
    assert len(others | {key}) == len(changes) + 4


def test_a_build_at_hand_must_be_finished(build):
    assert kernels.at_hand(Kernel("mine", directory=build.directory)).name == "mine"
    (build.directory / "vmlinux").unlink()
    with pytest.raises(UsageError, match="no vmlinux, expected a finished ARM build"):
        kernels.at_hand(Kernel("mine", directory=build.directory))


def test_what_a_build_tells(build):
    assert build.page_offset == 0x80000000
    assert build.functions() == {"_text": 0x80008000, "panic": 0x80100000, "cma_init_reserved_areas": 0x80200000}
    assert build.text_offset == 0x8000
    build.vmlinux.write_bytes(b"\x7fELF\0Linux version 5.10.1 (a@b) #1 SMP\n\0")
    assert build.banner() == "Linux version 5.10.1 (a@b) #1 SMP"


def test_only_5_10_is_built(tmp_path):
    with pytest.raises(UsageError, match=r"expected a Linux 5\.10 source tree"):
        kernels.source_version(tmp_path)
    makefile = tmp_path / "Makefile"
    makefile.write_text("VERSION = 5\nPATCHLEVEL = 10\nSUBLEVEL = 223\nEXTRAVERSION =\n")
    assert kernels.source_version(tmp_path) == "5.10.223"
    makefile.write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\n")
    with pytest.raises(UsageError, match=r"Linux 6\.1\.0, expected 5\.10"):
        kernels.source_version(tmp_path)


def test_options_that_kconfig_refuses_are_found():
    options = {"HIGHMEM": "y", "SMP": "n", "CMA_SIZE_MBYTES": "64", "CMDLINE": '"a b"'}
    assert kernels.fragment(options)[:2] == ["CONFIG_HIGHMEM=y", "# CONFIG_SMP is not set"]
    config = 'CONFIG_HIGHMEM=y\n# CONFIG_SMP is not set\nCONFIG_CMA_SIZE_MBYTES=16\nCONFIG_CMDLINE="a b"\n'
    assert kernels.not_taken(config, options) == ["CMA_SIZE_MBYTES=64"]
    assert kernels.not_taken("", {"SMP": "n"}) == []


@pytest.mark.parametrize(("tree", "machine"), [(A9, "vexpress-a9"), (A15, "vexpress-a15")])
def test_the_machine_follows_from_the_tree(tree, machine):
    assert capture.machine_of(tree) == machine
    with pytest.raises(UsageError, match="no Versatile Express board: say `machine`"):
        capture.machine_of(b"brcm,bcm2836")


def test_qemu_gets_the_tree_through_its_loader_or_past_it(build, tmp_path):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    boot = dataclasses.replace(BOOT, initrd_bytes=100, cmdline="mem=1G")
    command = capture.qemu_command(capture.Job(boot, build, A9), inputs)
    assert command[command.index("-append") + 1].endswith(" mem=1G")
    assert len((inputs / "initrd").read_bytes()) == 100
    virt = capture.Job(dataclasses.replace(BOOT, machine="virt", cpu="cortex-a7"), build, b"")
    command = capture.qemu_command(virt, inputs)
    assert "-dtb" not in command
    assert command[command.index("-cpu") + 1] == "cortex-a7"
    raw = capture.Job(dataclasses.replace(BOOT, dtb_pa=0x62000000), build, A9)
    command = capture.qemu_command(raw, inputs)
    assert "-append" not in command
    assert any(f"tree.dtb,addr={0x62000000:#x}" in word for word in command)
    assert struct.unpack("<2I", (inputs / "start.bin").read_bytes()[16:]) == (0x62000000, 0x60008000)


def test_where_the_log_is(build):
    def consoles(**changes):
        job = capture.Job(dataclasses.replace(BOOT, **changes), build, A15)
        return job.is_vexpress, job.has_console

    assert consoles() == (True, True)
    assert consoles(until="mem_init") == (True, False)  # before any console
    assert consoles(machine="vexpress-a15") == (False, False)  # the tree of another board


def test_the_debugger_script_is_python():
    path = Path(capture.__file__).with_name("in_gdb.py")
    compile(path.read_text(), str(path), "exec")
