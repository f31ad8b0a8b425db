"""What U-Boot, old loaders with ATAGs and UEFI are told, and what is refused."""

from types import SimpleNamespace

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs import bootloader
from bootsim.inputs.bootloader.lmb import Lmb
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree
from bootsim.inputs.dtb import read_tree
from bootsim.inputs.efimap import Region, load_firmware

MIB = 1 << 20
BASE = 0x60000000
REGION = "efi:   0x000060000000-0x00006fffffff [Conventional|   |  |  |  |  |  |  |  |  |   |WB|  |  |  ]\n"
TABLES = "efi:   System Table         : 0x6ffe0010\nefi:   MemMap Address       : 0x6e000010\n"


def build(**config):
    given = {"PAGE_OFFSET": 0xC0000000, "ARM_ATAG_DTB_COMPAT": True, "ARM_ATAG_DTB_COMPAT_CMDLINE_EXTEND": False}
    return SimpleNamespace(name="a build", symbols=SimpleNamespace(text=0xC0008000, end=0xC0C00000),
                           config=SimpleNamespace(**given | config))  # fmt: skip


@pytest.fixture
def board(tmp_path):
    """A tree with 256 MiB at BASE, of the given nodes."""

    def make(*nodes, cells=1, memory=True):
        reg = f"{BASE:#x} 0x10000000" if cells == 1 else f"0 {BASE:#x} 0 0x10000000"
        body = [f"#address-cells = <{cells}>; #size-cells = <{cells}>;", *nodes]
        body += [f'memory@{BASE:x} {{ device_type = "memory"; reg = <{reg}>; }};'] if memory else []
        (tmp_path / "board.dts").write_text("/dts-v1/;\n/ {\n" + "\n".join(body) + "\n};\n")
        return load_tree(tmp_path / "board.dts")

    return make


def uboot(tree, *settings, **wishes):
    return bootloader.load(tree, build(), bootloader="u-boot", uboot=settings, **wishes)


def test_a_region_that_overlaps_is_refused_whatever_part_is_free():
    lmb = Lmb(0, 0x100000)
    assert lmb.reserve(0x1000, 0x1000)
    assert not lmb.reserve(0x1800, 0x10000)
    assert lmb.reserve(0x1000, 0x1000)  # the same again
    assert not lmb.reserve(0x1000, 0x1000, nomap=True)
    assert lmb.reserved == [[0x1000, 0x1000, 0]]


def test_adjoining_regions_join_when_their_flags_are_equal():
    lmb = Lmb(0, 0x100000)
    for base in (0x1000, 0x3000, 0x2000):
        assert lmb.reserve(base, 0x1000)
    assert lmb.reserve(0x4000, 0x1000, nomap=True)
    assert lmb.reserved == [[0x1000, 0x3000, 0], [0x4000, 0x1000, 1]]


def test_there_are_eight_regions():
    lmb = Lmb(0, 0x100000)
    assert all(lmb.reserve(n * 0x4000, 0x1000) for n in range(8))
    assert not lmb.reserve(0x40000, 0x1000)
    assert lmb.alloc_base(0x1000, 0x1000, 0) is None


def test_memory_is_taken_from_below_the_limit_downwards():
    lmb = Lmb(0x1000, 0xF000)
    assert lmb.alloc_base(0x1800, 0x1000, 0) == 0xE000
    assert lmb.alloc_base(0x1000, 0x1000, 0x8000) == 0x7000
    assert lmb.alloc_base(0x1000, 0x1000, 0x8000) == 0x6000
    assert lmb.alloc_base(0x100000, 0x1000, 0) is None


def test_u_boot_writes_the_ram_it_found_and_its_version(board):
    tree = read_tree(uboot(board(memory=False), "top=6f000000", "version=2021.07", ram=(128 * MIB, BASE)).blob)
    node = tree.paths["/memory"]
    assert node.get("device_type") == b"memory\0"
    assert node.get("reg") == BASE.to_bytes(4, "big") + (128 * MIB).to_bytes(4, "big")
    assert tree.paths["/chosen"].get("u-boot,version") == b"2021.07\0"


def test_what_u_boot_keeps_for_itself_is_a_guess_until_told(board):
    said = uboot(board()).told
    assert "--uboot top=ADDR" in said[0]
    assert not any("top=ADDR" in line for line in uboot(board(), "top=6f000000").told)


@pytest.mark.parametrize(("settings", "words"), [
    (["fdt_high"], "NAME=VALUE"), (["bootargs=quiet"], "--cmdline"), (["bootdelay=3"], "decides nothing"),
    (["bootm_size=lots"], "hexadecimal"), (["ethaddr=1:2"], "02:00:00:00:00:01"), (["fdt_high=ffffffff"], "--dtb-addr"),
    (["bootm_size=1000"], "allocation error"), (["fdt_high=68000000", "fdt_high=68000000"], "fdt_high is given twice"),
])  # fmt: skip
def test_settings_that_say_nothing(board, settings, words):
    with pytest.raises(InputError, match=words):
        uboot(board(), *settings)


def test_options_that_u_boot_has_no_use_for(board, tmp_path):
    (tmp_path / "rd").write_bytes(b"x")
    with pytest.raises(InputError, match="fdt_high=ffffffff"):
        uboot(board(), dtb_pa=0x68000000)
    with pytest.raises(InputError, match="initrd_high=ffffffff"):
        uboot(board(), initrd=(tmp_path / "rd", 0x68000000))
    with pytest.raises(InputError, match="--bootloader u-boot"):
        bootloader.load(board(), build(), uboot=["fdt_high=0"])


def atags(tree, words, **config):
    return read_tree(bootloader.load(tree, build(**config), atags=words).blob)


def test_tags_replace_the_command_line_or_extend_it(board):
    tree = board('chosen { bootargs = "quiet"; };')
    line = "cmdline=console=ttyS0,115200 root=/dev/sda,1"
    assert atags(tree, line).paths["/chosen"].get("bootargs") == b"console=ttyS0,115200 root=/dev/sda,1\0"
    extended = atags(tree, line, ARM_ATAG_DTB_COMPAT_CMDLINE_EXTEND=True)
    assert extended.paths["/chosen"].get("bootargs") == b"quiet console=ttyS0,115200 root=/dev/sda,1\0"


def test_banks_have_as_many_cells_as_sizes_have(board):
    banks = "mem=64M@0x60000000,mem=0@0x70000000,mem=32M@0x68000000"
    for cells in (1, 2):
        words = [BASE, 64 * MIB, 0x68000000, 32 * MIB]  # an empty bank is passed over
        expected = b"".join(word.to_bytes(4 * cells, "big") for word in words)
        assert atags(board(cells=cells), banks).paths["/memory@60000000"].get("reg") == expected


def test_memory_of_tags_without_a_node_is_no_memory(board):
    tree = board(memory=False)
    made = read_tree(bootloader.load(tree, build(), atags="mem=64M@0x60000000", ram=(64 * MIB, BASE)).blob)
    assert made.paths["/memory"].get("device_type") is None
    assert made.banks == ()


def test_a_serial_number_has_sixteen_digits(board):
    assert atags(board(), "serial=0xabc").root.get("serial-number") == b"0000000000000ABC\0"


@pytest.mark.parametrize("words", ["", "mem=1G", "mem=x@0", "initrd=1M@-1", "core=1", "serial=0x10000000000000000"])
def test_tags_that_are_none(board, words):
    with pytest.raises(InputError, match="--atags"):
        atags(board(), words)


def test_a_build_that_passes_over_tags(board):
    with pytest.raises(InputError, match="ARM_ATAG_DTB_COMPAT"):
        atags(board(), "cmdline=x", ARM_ATAG_DTB_COMPAT=False)


@pytest.fixture
def log(tmp_path):
    def make(text):
        (tmp_path / "dmesg").write_text(text)
        return tmp_path / "dmesg"

    return make


def test_a_region_is_read_by_its_words(log):
    runtime = "[ 0.0] efi:   0x000000001000-0x000000001fff [Runtime Data|RUN|  |  |  |  |XP|  |  |  |   |WB|WT|WC|UC]\n"
    raw = "efi:   0x000000002000-0x000000003fff [type=99|attr=0x0000000100000008]\n"
    assert load_firmware(log(runtime + raw)).regions == (
        Region(6, 0x1000, 1, 1 << 63 | 1 << 14 | 0xF), Region(99, 0x2000, 2, 0x100000008),
    )  # fmt: skip


@pytest.mark.parametrize(("line", "words"), [
    (REGION.replace("Conventional", "Conventual"), "of type"), (REGION.replace("WB", "WX"), "attribute"),
    (REGION.replace("6fffffff", "6ffff000"), "whole pages"), ("nothing", "no line"),
    (REGION.replace("6fffffff", "f" * 20), "whole pages"), ("efi: 0x0-0xfff [type=4294967296|attr=0x8]", "of type"),
    ("efi: 0x0-0xfff [type=1|attr=0xzz]", "attribute"),
    ("efi: 0x0-0xfff [type=1|attr=0x" + "1" * 17 + "]", "attribute"),
    ("efi:   MemMap Desc. Size: 0x27", "Desc. Size is 0x27, expected 0x28 to 0x1000"),
    ("efi:   MemMap Desc. Size: 0xffffffffff", "Desc. Size is 0xffffffffff"),
    ("efi:   System Table: 0x10000000000000000", "System Table is"),
    ("efi:   Secure Boot Enabled: 0x100000000", "Secure Boot Enabled is"),
])  # fmt: skip
def test_logs_that_cannot_be_read(log, line, words):
    with pytest.raises(InputError, match=words):
        load_firmware(log(line))


def test_what_uefi_decides_is_nobody_elses(board, log):
    good = log(TABLES + REGION)
    for wish, words in (({"mem_bytes": MIB}, "--mem"), ({"atags": "cmdline=x"}, "--atags"),
                        ({"bootloader": "qemu"}, "--bootloader")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            bootloader.load(board(), build(), efi_memmap=good, **wish)
    with pytest.raises(InputError, match="System Table"):
        bootloader.load(board(), build(), efi_memmap=log(REGION))


@pytest.mark.parametrize(("before", "after", "told"), [
    ("0x00c5187d", "0x00c5187d", None),
    ("0x00c5187c", "0x00c5187d", "efi: [Firmware Bug]: EFI stub was entered with MMU and Dcache disabled"),
    ("0x00c5187d", "0x00c5187c", "efi: [Firmware Bug]: ExitBootServices() returned with MMU and Dcache disabled"),
])  # fmt: skip
def test_firmware_that_left_the_mmu_off_is_told_of(log, before, after, told):
    state = f"efi: SCTLR at EFI stub entry       : {before}\nefi: SCTLR after ExitBootServices(): {after}\n"
    efi = load_build("3G/1G")
    efi = efi.replace(config=efi.config.replace(EFI=True))
    k = bootsim.boot("vexpress.dts", config=efi, efi_memmap=log(TABLES + REGION + state))
    said = [record.text for record in k.log.records if record.kernel]
    assert [text for text in said if "Firmware Bug" in text] == [text for text in said if told and told in text]
    assert any("SCTLR at EFI stub entry" in text for text in said) == (told is not None)
