"""Profiles of builds from a vmlinux: small ELF files made here word by word."""

import re
import struct
from pathlib import Path

import pytest
from kernelfiles import (
    BUILD,
    IMAGE_VA,
    SIZES,
    dwarf,
    elf,
    fails,
    functions,
    image,
    image_symbols,
    kconfig_text,
    mov,
    put_code,
    symbol_table,
)

from bootsim.errors import InputError
from bootsim.inputs.build import Sizeof
from bootsim.inputs.configfile import parse_build
from bootsim.inputs.configwriter import render
from bootsim.inputs.profile import profile
from bootsim.inputs.vmlinux import Vmlinux
from bootsim.inputs.warnsites import WARN_SITES


def test_vmlinux_with_dwarf_gives_the_build_back(place):
    (place / "vmlinux").write_bytes(elf(image_symbols(), debug=dwarf(SIZES)))
    built = profile(place / "vmlinux", place / ".config", name=BUILD.name, summary=BUILD.summary, origin=BUILD.origin)
    assert built == BUILD


def test_tables_of_devices_are_read(place):
    data = bytearray(image())
    struct.pack_into("<4I", data, 0x2000, 0xFE200000, 0x60000, 0x100000, 0)
    tables = [("soc_io_desc", IMAGE_VA + 0x2000, 16), ("soc_io_description", IMAGE_VA + 0x2000, 16)]
    (place / "vmlinux").write_bytes(elf(image_symbols(), objects=tables, data=bytes(data)))
    assert profile(place / "vmlinux", place / ".config").io_tables == ("soc_io_desc 0xfe200000 0x60000000 0x100000 0",)


def test_sizes_are_read_not_assumed(place):
    strange = {name: size + 400 for name, size in SIZES.items()}
    (place / "vmlinux").write_bytes(elf(image_symbols(), debug=dwarf(strange)))
    built = profile(place / "vmlinux", place / ".config")
    assert {Sizeof.KERNEL_NAMES[n]: s for n, s in built.sizeof.as_dict().items() if s is not None} == strange


def test_vmlinux_without_dwarf_works_out_sizes(place):
    (place / "vmlinux").write_bytes(elf(image_symbols()))
    built = profile(place / "vmlinux", place / ".config")
    assert built.provenance == "derived"
    assert built.sizeof == BUILD.sizeof
    assert built.banner == BUILD.banner
    assert built.machines == BUILD.machines


def test_machines_need_the_right_config(place):
    (place / "vmlinux").write_bytes(elf(image_symbols()))
    (place / ".config").write_text(kconfig_text(ZONE_DMA=True))
    fails(place, "2 machine descriptors in 0xd0 bytes, expected 0x6c each", image="vmlinux")


def test_machines_with_a_dma_zone(place):
    data = bytearray(image(words=27))
    struct.pack_into("<I", data, 0x3050C + 20, 0x10000000)
    second = 0x3050C + 4 * 27
    struct.pack_into("<IIIII", data, second + 48, 0, 0xC0B00010, 0xC0B00021, 0, 0)
    struct.pack_into("<I", data, second + 4 * 20, 0xC0B00099)
    symbols = image_symbols() | {"__arch_info_end": 0xC0B3050C + 8 * 27}
    (place / "vmlinux").write_bytes(elf(symbols, data=bytes(data)))
    (place / ".config").write_text(kconfig_text(ZONE_DMA=True))
    generic, vexpress = profile(place / "vmlinux", place / ".config").machines
    assert generic.dma_zone_size == 0x10000000
    assert vexpress.dt_compat == "arm,vexpress"
    assert (vexpress.smp, vexpress.smp_init) == ("vexpress_smp_dt_ops", "vexpress_smp_init_ops")
    assert vexpress.init_early == "0xc0b00099"


CALLS = r'(?:warn\((?:self\.)?k|warning\((?:self\.)?k|_warn_once\(k, p), f?"([^"]+)"'


@pytest.mark.parametrize("how", ["movw", "literals", "split"])
def test_warnings_that_stand_elsewhere_are_read_from_the_code(place, how):
    data = bytearray(image())
    put_code(data, move=1000, how=how)
    (place / "vmlinux").write_bytes(elf(image_symbols(), debug=dwarf(SIZES), data=bytes(data)))
    built = profile(place / "vmlinux", place / ".config")
    assert "mm/cma.c:106 mm/cma.c:1106 cma_init_reserved_areas" in built.warnings
    assert len(built.warnings) == sum(map(len, functions().values()))
    assert built.assumed == ()
    assert built.warning_place("mm/page_alloc.c:7638", "x") == ("mm/page_alloc.c:8638", "cmdline_parse_core")
    assert built.warning_place("mm/none.c:1", "x") == ("mm/none.c:1", "x")
    assert parse_build(render(built).encode(), "a.yaml") == built


def test_a_function_of_the_same_source_has_its_warnings_at_the_same_lines(place):
    # one of four is compiled so that its line cannot be read: the others are not taken for it
    data = bytearray(image())
    put_code(data)
    at = symbol_table()["__early_ioremap"] - IMAGE_VA
    words = list(struct.unpack_from("<128I", data, at))
    words[words.index(mov(1, 130))] = 0xE1A00000  # nop
    struct.pack_into("<128I", data, at, *words)
    (place / "vmlinux").write_bytes(elf(image_symbols(), debug=dwarf(SIZES), data=bytes(data)))
    built = profile(place / "vmlinux", place / ".config")
    assert not [line for line in built.warnings if "early_ioremap" in line]
    assert built.assumed == ("lines of warnings",)


def test_warnings_that_cannot_be_read_are_assumed(place):
    symbols = {name: at for name, at in image_symbols().items() if name != "rmem_dma_setup"}
    (place / "vmlinux").write_bytes(elf(symbols, debug=dwarf(SIZES)))
    assert profile(place / "vmlinux", place / ".config").assumed == ("lines of warnings",)
    assert "lines of warnings" not in profile(place / "System.map", place / ".config").assumed
    (place / ".config").write_text(kconfig_text().replace("5.10.223", "5.10.99"))
    assert "lines of warnings" in profile(place / "System.map", place / ".config").assumed


def test_every_warning_of_the_replay_can_be_read():
    root = Path(__file__).parents[2] / "bootsim/linux"
    sources = [path for suffix in ("py", "pyx", "pxd") for path in root.rglob(f"*.{suffix}")]
    given = {place for path in sources for place in re.findall(CALLS, path.read_text())}
    given.discard("mm/slab.c:596")  # of SLAB with FREELIST_HARDENED alone
    given.discard("mm/page_alloc.c:4977")  # where it is one of several depends on what the compiler put beside it
    given.discard("include/linux/jump_label.h:{306 if on else 317}")
    assert len(given) > 4
    assert given <= {site.place for site in WARN_SITES}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machine": 62}, "an ELF file for machine 62, expected 40"),
        ({"kind": 3}, "an ELF file of type 3, expected 2"),
        ({"bits": 2}, "a 64-bit ELF file"),
        ({"order": 2}, "a big-endian ELF file"),
        ({"stripped": True}, "stripped: it has no symbol table"),
    ],
)
def test_elf_files_that_are_no_kernel(place, options, message):
    (place / "vmlinux").write_bytes(elf(image_symbols(), **options))
    fails(place, message, image="vmlinux")


def test_vmlinux_of_another_build(place):
    (place / "vmlinux").write_bytes(elf(image_symbols() | {"_text": 0x80008000, "swapper_pg_dir": 0x80004000}))
    fails(place, "has _text at 0x80008000: the .config of another build", image="vmlinux")
    (place / "vmlinux").write_bytes(elf(image_symbols() | {"swapper_pg_dir": 0xC0003000}))
    fails(place, "swapper_pg_dir is 0x5000 below _text, expected 0x4000 .LPAE", image="vmlinux")


def test_vmlinux_cut_short_or_damaged_anywhere(place):
    whole = elf(image_symbols(), debug=dwarf(SIZES))
    path = place / "vmlinux"
    table = len(whole) - 40 * 9
    starts = [*range(0, 60, 3), *range(table, len(whole), 7), *range(0x31034, table, 97)]
    for at in starts:
        path.write_bytes(whole[:at])
        _profiles_or_says_why(path, place)
        path.write_bytes(whole[:at] + b"\xff\xfe\x80\x01" + whole[at + 4 :])
        _profiles_or_says_why(path, place)


def _profiles_or_says_why(path, place):
    try:
        profile(path, place / ".config", banner=BUILD.banner)
    except InputError as error:
        assert str(error)


def test_no_file_stays_open(place):
    (place / "vmlinux").write_bytes(elf(image_symbols(), debug=dwarf(SIZES)))
    with Vmlinux(place / "vmlinux") as vmlinux:
        assert vmlinux.symbols["_text"] == [0xC0008000]
        assert "weak" not in vmlinux.symbols
    with pytest.raises(ValueError, match="closed"):
        vmlinux.read(IMAGE_VA, 4)
