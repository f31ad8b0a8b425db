"""Trees as real loaders handed them over: U-Boot 2023.01, the decompressor of Debian's kernel, and its EFI stub."""

import re
from pathlib import Path

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs import bootloader
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree

pytestmark = pytest.mark.golden
HERE = Path(__file__).parent
ARMMP = HERE.parent / "builds" / "deb510armmp.yaml"
UBOOT = ("top=5ddf3000,5edf3c70", "version=2023.01+dfsg-2+deb12u3", "zimage=4c5200@41000000")
INITRD_BYTES = 3_000_000


@pytest.fixture(scope="module")
def files(unpack, tmp_path_factory):
    folder = unpack("loaders/loaders", tmp_path_factory.mktemp("loaders"))
    with (folder / "initrd").open("wb") as initrd:
        initrd.truncate(INITRD_BYTES)
    return folder


@pytest.mark.parametrize(("name", "dtb_pa", "initrd_pa", "settings", "cmdline"), [
    ("a", 0x44000000, None, ("fdt_high=ffffffff",), None),
    ("b1", 0x5DB11000, 0x5DB16000, (), None),
    ("b2", 0x4FFFB000, 0x57D23000, ("fdt_high=50000000", "initrd_high=58000000", "serial#=0123",
                                    "ethaddr=52:52:52:52:52:52"), "console=ttyAMA0 mem=300M"),
    ("b3", 0x4FFFB000, 0x57D23000, ("bootm_size=10000000", "bootm_low=48000000"), None),
    ("b4", 0x47FFB000, None, ("bootm_mapsize=8000000",), None),
    ("b5", 0x5DB11000, 0x5DB16000, ("fdt_high=0", "initrd_high=no"), None),
])  # fmt: skip
def test_u_boot(files, name, dtb_pa, initrd_pa, settings, cmdline):
    wishes = {"dtb_pa": dtb_pa} if name == "a" else {}
    if initrd_pa is not None:
        wishes["initrd"] = (files / "initrd", None)
    ours = bootloader.load(load_tree(files / "uboot.dtb"), load_build("3G/1G"), bootloader="u-boot", cmdline=cmdline,
                           uboot=(*UBOOT, *settings), **wishes)
    assert (ours.dtb_pa, ours.initrd_pa) == (dtb_pa, initrd_pa)
    assert ours.blob == (files / f"uboot-{name}.dtb").read_bytes()


def test_u_boot_puts_the_initrd_where_the_tree_forbids_it(files):
    # seen on the real one: what the tree reserves is read when the initrd has its place
    k = bootsim.prepare(files / "uboot.dtb", "3G/1G", bootloader="u-boot", uboot=UBOOT, initrd=files / "initrd")
    assert 0x5DB16000 < 0x5DC00000 < 0x5DB16000 + INITRD_BYTES
    words = "reserving fdt memory region failed (addr=5dc00000 size=400000 flags=4)"
    assert any(words in line for line in k.machine.told)


@pytest.mark.parametrize(("name", "atags", "initrd"), [
    ("1", "mem=512M@0x60000000,cmdline=console=ttyAMA0 quiet", None),
    ("2", "mem=256M@0x60000000,initrd=3000000@0x68000000", (0x68000000, 3_000_000)),
])  # fmt: skip
def test_atags(files, name, atags, initrd):
    ours = bootloader.load(load_tree("vexpress.dts"), load_build(ARMMP), atags=atags, ram=(1 << 29, 0x60000000))
    assert ours.blob == (files / f"atags-{name}.dtb").read_bytes()
    assert initrd is None or (ours.initrd_pa, ours.initrd_bytes) == initrd


# ---------------------------------------------------------------- EFI


def lines(text):
    """Lines of a log without stamps, offsets in functions, and the callers of memblock, which a compiler may inline."""
    for line in text.splitlines():
        plain = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "", re.sub(r"^\[ *[\d.]+\] ", "", line)).rstrip()
        yield re.sub(r"(max_addr=0x\w+|^memblock_\w+: \[\S+) \S+$", r"\1", plain)


def test_a_boot_through_uefi_is_the_real_one(files):
    k = bootsim.boot(files / "efi.dtb", ARMMP, efi_memmap=files / "efi.log", smp=1)
    assert (k.machine.dtb_pa, k.machine.kernel_pa) == (0x5C07E000, 0x40208000)
    log = (files / "efi.log").read_text()
    real = list(lines(log[log.index("[    0.000000] Booting Linux") :]))
    ours = [line for record in k.log.records if record.kernel for line in lines(record.text)]
    missing = [line for line in real if line not in ours and "early log buf free" not in line]
    assert [line for line in missing if not line.startswith(("ftrace:", "rcu:"))] == []
    shown = [line for line in ours if line in set(real)]
    assert [line for line in real if line in set(shown)] == shown  # in the real one's order, as often


def test_the_stub_writes_what_the_real_one_wrote(files):
    received = load_tree(files / "efi.dtb")
    node = received.paths["/chosen"]
    wrote = {name: value for name, value in node.props if name.startswith("linux,uefi-")}
    ours = bootloader.load(load_tree("vexpress.dts"), load_build(ARMMP), efi_memmap=files / "efi.log", cmdline="quiet")
    told = {edit.prop: edit.value for edit in ours.edits if edit.prop and edit.prop.startswith("linux,uefi-")}
    assert told == wrote
    assert len(ours.left[0][1]) == 0x4E0  # "MemMap Size" of the real log


def test_a_tree_of_a_stub_without_the_map_is_refused(files):
    with pytest.raises(InputError, match="--efi-memmap"):
        bootsim.boot(files / "efi.dtb", ARMMP)


def test_a_log_without_a_map_is_refused(files, tmp_path):
    (tmp_path / "dmesg").write_text("efi: EFI v2.70 by EDK II\n")
    with pytest.raises(InputError, match="efi=debug"):
        bootsim.boot(files / "efi.dtb", ARMMP, efi_memmap=tmp_path / "dmesg")
