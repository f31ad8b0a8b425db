"""Profiles of builds from a System.map, and the commands that write and list them."""

import gzip
import json
import lzma
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from kernelfiles import BUILD, IMAGE_VA, elf, fails, image, kconfig_text, map_text, symbol_table

from bootsim.cli.configs import configs
from bootsim.cli.profile import profile as profile_command
from bootsim.errors import InputError
from bootsim.inputs.build import MachineDesc, Sizeof
from bootsim.inputs.configfile import read_build
from bootsim.inputs.configwriter import render
from bootsim.inputs.kconfig import read_kconfig
from bootsim.inputs.profile import describe, profile, read_system_map
from bootsim.inputs.sizes import FIXED_SIZES, assumed_sizes


def from_map(place, **options):
    return profile(place / "System.map", place / ".config", **options)


# --- System.map ---


def test_system_map_and_facts_give_the_build_back(place):
    built = from_map(
        place, name=BUILD.name, summary=BUILD.summary, origin=BUILD.origin, facts_path=place / "facts.json"
    )
    assert built == BUILD
    assert render(built) == render(BUILD)


def test_without_facts_sizes_are_worked_out_and_named(place):
    built = from_map(place, banner=BUILD.banner)
    assert built.sizeof == BUILD.sizeof
    assert built.provenance == "derived"
    # each struct that the boot counts, but those of sparse memory, which this build has not
    assert set(built.assumed) == {*Sizeof.KERNEL_NAMES.values()} - {"struct mem_section"} - FIXED_SIZES.keys()
    text = render(built)
    assert "# ASSUMED, not read from the build: struct page, " in text
    assert '  - "struct zone"\n' in text


def test_without_a_banner_it_is_assumed(place):
    built = from_map(place)
    assert built.banner == "Linux version 5.10.223 (unknown@unknown) (gcc) #1 SMP"
    assert built.assumed[-1] == "banner"


def test_the_release_is_in_the_names_of_installed_files(place):
    (place / "System.map").rename(place / "System.map-5.10.0-32-armmp")
    built = profile(place / "System.map-5.10.0-32-armmp", place / ".config")
    assert built.banner.startswith("Linux version 5.10.0-32-armmp (unknown@unknown)")
    assert built.name == "5.10.0-32-armmp 3G/1G"
    (place / ".config").rename(place / "config-5.10.0-31-armmp")
    with pytest.raises(InputError, match=r"config-5\.10\.0-31-armmp of 5\.10\.0-31-armmp: the \.config of"):
        profile(place / "System.map-5.10.0-32-armmp", place / "config-5.10.0-31-armmp")


def test_machine_that_the_source_does_not_have_is_named_as_assumed(place):
    symbols = symbol_table() | {"__mach_desc_MINE": 0xC0B305DC}
    (place / "System.map").write_text(map_text(symbols))
    built = from_map(place, facts_path=place / "facts.json")
    assert built.assumed == ("machine MINE",)
    assert built.machines[-1] == MachineDesc(symbol="MINE", name="MINE", dt_compat="")


def test_default_name_and_summary(place):
    built = from_map(place)
    assert built.name == "5.10.223 3G/1G"
    assert built.summary == "Linux 5.10.223, SLUB, up to 8 CPUs, modules"
    assert built.origin == "bootsim profile, from System.map and .config"


@pytest.mark.parametrize("slab", ["SLUB", "SLAB", "SLOB"])
def test_a_summary_names_the_allocator(slab):
    kinds = {name: name == slab for name in ("SLUB", "SLAB", "SLOB")}
    assert f", {slab}, " in describe(BUILD.banner, BUILD.config.replace(**kinds))


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gz"), (lzma.compress, "xz")])
def test_compressed_system_map(place, pack, name):
    plain = place / "System.map"
    packed = place / f"System.map.{name}"
    packed.write_bytes(pack(plain.read_bytes()))
    assert read_system_map(packed) == read_system_map(plain)
    packed.write_bytes(pack(plain.read_bytes())[:-20])
    with pytest.raises(InputError, match="cannot be decompressed"):
        read_system_map(packed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty, expected a System.map or a vmlinux"),
        (b"c0008000 T _text\nhello\n", r"System\.map:2: 'hello', expected ADDRESS TYPE NAME"),
        (b"ffffffff81000000 T _text\n", "a 64-bit address"),
        (bytes(range(256)), "expected ADDRESS TYPE NAME"),
        (b"c0008000 T _text\n", "no symbol swapper_pg_dir, expected a complete symbol table"),
        (
            b"ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n",
            "Debian's note of where it is: install linux-image-VERSION-dbg and give /usr/lib/debug/boot/System.map-",
        ),
        (bytes(36) + b"\x18\x28\x6f\x01" + bytes(99), "a zImage, the compressed kernel .vmlinuz., which has no"),
        (b"\x27\x05\x19\x56" + bytes(99), "a U-Boot image"),
        (b"\xd0\x0d\xfe\xed" + bytes(99), "a device tree blob"),
        (b"!<arch>\ndebian-binary   ", "a package or an archive"),
        (b"\0\0\xa0\xe1" + bytes(99) + b"Linux version 5.10.223 (a@b)", "an Image, the bare kernel, which has no symb"),
        (b"CONFIG_ARM=y\n", "a .config, expected the vmlinux .*; the .config is for --kconfig"),
        (gzip.compress(b"\x7fELF" + bytes(99), mtime=0), "a compressed ELF file, expected it unpacked"),
        (b"\x1f\x8b\x08" + bytes(20), "cannot be decompressed"),
    ],
)
def test_bad_system_map(place, content, message):
    (place / "System.map").write_bytes(content)
    fails(place, message, banner=BUILD.banner)


def test_missing_files(place):
    fails(place, "nothing.map: No such file", image="nothing.map")
    fails(place, "Is a directory", image=".")
    fails(place, "facts.txt: No such file", facts_path=place / "facts.txt")
    (place / ".config").unlink()
    fails(place, r"\.config: No such file")


def test_ambiguous_symbol(place):
    with (place / "System.map").open("a") as file:
        file.write("c0b45000 d bm_pte\n")
    fails(place, "2 symbols are called bm_pte, expected one")


# --- .config ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"PAGE_OFFSET": 0x80000000},
            "CONFIG_PAGE_OFFSET=0x80000000, but .* has _text at 0xc0008000: the .config of",
        ),
        ({"HIGHMEM": False}, "CONFIG_HIGHMEM=n, but .*System.map has symbol pkmap_page_table"),
        ({"SMP": False}, "CONFIG_SMP=n, but .* has symbol __per_cpu_start"),
        ({"CMA": False}, "CONFIG_CMA=n, but .* has symbol cma_init_reserved_mem"),
        ({"MODULES": False}, "CONFIG_MODULES=n"),
        ({"KUSER_HELPERS": False}, "CONFIG_KUSER_HELPERS=n"),
        ({"PAGE_EXTENSION": True}, "CONFIG_PAGE_EXTENSION=y, but .* has no symbol page_ext_init_flatmem"),
        (
            {"PAGE_EXTENSION": True, "SPARSEMEM": True},
            "CONFIG_PAGE_EXTENSION=y, but .* has no symbol page_ext_init: the .config of another build",
        ),
        ({"LOG_BUF_SHIFT": 15}, "CONFIG_LOG_BUF_SHIFT=15, but .* has only 0x4000 bytes of __log_buf"),
        ({"ARM_LPAE": True}, "CONFIG_ARM_LPAE=y: LPAE's long descriptors is not modelled"),
        ({"XIP_KERNEL": True}, "CONFIG_XIP_KERNEL=y: a kernel that runs from flash"),
        ({"DEBUG_SPINLOCK": True}, "CONFIG_DEBUG_SPINLOCK=y changes the size of most structs"),
        ({"PAGE_OFFSET": None}, "CONFIG_PAGE_OFFSET is not set"),
        ({"PAGE_OFFSET": "x"}, 'CONFIG_PAGE_OFFSET is "x", expected a number'),
        ({"SMP": 3}, "CONFIG_SMP is 3, expected y, m or n"),
        ({"CMDLINE": 3}, "CONFIG_CMDLINE is 3, expected text in double quotes"),
    ],
)
def test_config_of_another_build(place, changes, message):
    (place / ".config").write_text(kconfig_text(**changes))
    fails(place, message)


def test_config_of_another_version(place):
    fails(place, "System.map: Linux 6.1.0, expected 5.10.y", banner="Linux version 6.1.0 (a@b) #1")
    fails(place, "banner 'hello', expected", banner="hello")
    (place / ".config").write_text("# Linux/x86 5.4.1 Kernel Configuration\nCONFIG_64BIT=y\nCONFIG_X86=y\n")
    fails(place, r"\.config: the \.config of Linux 5.4.1, expected 5.10.y")


def test_another_version_is_told_before_what_follows_from_it(place):
    (place / "System.map").rename(place / "System.map-6.1.0-9-armmp")
    (place / "System.map-6.1.0-9-armmp").write_text("c0008000 T _text\n")
    fails(place, "Linux 6.1.0-9-armmp, expected 5.10.y", image="System.map-6.1.0-9-armmp")
    data = image().replace(b"Linux version 5.10.223", b"Linux version 5.15.223")
    (place / "vmlinux").write_bytes(elf({"linux_banner": IMAGE_VA + 0x100}, data=data))
    fails(place, "vmlinux: Linux 5.15.223, expected 5.10.y", image="vmlinux")


def test_a_distributions_release_need_not_name_the_sublevel(place):
    banner = "Linux version 5.10.0-32-armmp (a@b) (gcc-10) #1 SMP Debian 5.10.223-1 (2024-08-10)"
    assert from_map(place, banner=banner).name == "5.10.0-32-armmp 3G/1G"


def test_local_version_names_the_release_where_no_banner_does(place):
    with (place / ".config").open("a") as file:
        file.write('CONFIG_LOCALVERSION="-mine"\n')
    assert from_map(place).banner.startswith("Linux version 5.10.223-mine (")


def test_packed_config(place):
    plain = from_map(place)
    (place / ".config").write_bytes(gzip.compress((place / ".config").read_bytes()))
    assert from_map(place) == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no CONFIG_ symbol is set there"),
        ("# nothing\n", "no CONFIG_ symbol is set there"),
        ("CONFIG_ARM=y\nPAGE_OFFSET=3\n", r"\.config:2: 'PAGE_OFFSET=3', expected CONFIG_NAME=value"),
        ("CONFIG_X86=y\n", "CONFIG_ARM is not set"),
        ("CONFIG_ARM=y\n", "CONFIG_MMU is not set"),
        ("CONFIG_64BIT=y\nCONFIG_ARM=y\n", "a 64-bit kernel is not modelled"),
    ],
)
def test_bad_config(place, text, message):
    (place / ".config").write_text(text)
    fails(place, message)


def test_kconfig_values(tmp_path):
    path = tmp_path / ".config"
    path.write_text(
        "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=-1\nCONFIG_E=0xFf\n"
        'CONFIG_F="a \\"b\\" \\\\"\nCONFIG_G=""\n'
        "CONFIG_H=010\nCONFIG_I=y\n# CONFIG_I is not set\n"
    )
    kconfig = read_kconfig(path)
    assert [kconfig.is_on(name) for name in "ABCI"] == [True, False, False, False]
    assert [kconfig.is_enabled(name) for name in "ABCI"] == [True, True, False, False]
    assert [kconfig.number(name) for name in "DEHC"] == [-1, 255, 10, None]
    assert [kconfig.text(name) for name in "FGC"] == ['a "b" \\', "", None]
    assert kconfig.where("E") == f"{path}:5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected {"),
        ('{"sizeof": 3}', "expected {"),
        ('{"sizeof": {"struct page": "x"}}', "struct page is 'x', expected a number of bytes"),
        ('{"sizeof": {"struct page": true}}', "struct page is True"),
        ('{"strings": {"linux_banner": 3}}', "linux_banner is 3, expected text"),
    ],
)
def test_bad_facts(place, text, message):
    (place / "facts.json").write_text(text)
    fails(place, re.escape(message), facts_path=place / "facts.json")


# --- sizes ---


UP = {"SMP": False, "NR_CPUS": 1}
CGROUPS = dict.fromkeys(("MEMCG", "MEMCG_KMEM", "ZSMALLOC", "PERCPU_STATS", "OF_DYNAMIC"), True)
SPARSE = {"SPARSEMEM": True, "FLAT_NODE_MEM_MAP": False, "FORCE_MAX_ZONEORDER": 13, "PAGE_EXTENSION": True}
SMALL = {"PAGE_EXTENSION": True, **dict.fromkeys(("CMA", "DMA_CMA", "COMPACTION", "MEMORY_ISOLATION"), False)}


# Measured in the DWARF data of real 5.10.223 builds (gcc 12.2): vexpress_defconfig and the option changed.
@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({}, {"struct page": 32, "struct zone": 896, "struct pglist_data": 3136, "struct pcpu_chunk": 88}),
        ({"HIGHMEM": False}, {"struct zone": 896, "struct pglist_data": 2240}),
        ({}, {"struct device_node": 88, "struct property": 44}),
        (UP, {"struct zone": 732, "struct pglist_data": 2528, "struct page": 32, "struct pcpu_chunk": 88}),
        (CGROUPS, {"struct zone": 896, "struct pglist_data": 3136, "struct page": 36, "struct pcpu_chunk": 100}),
        (CGROUPS, {"struct device_node": 88, "struct property": 48}),
        (SPARSE, {"struct zone": 960, "struct pglist_data": 3328}),
        (SMALL, {"struct zone": 704, "struct pglist_data": 2560, "struct page": 32, "struct property": 44}),
    ],
)
def test_sizes_are_those_of_real_builds(tmp_path, changes, sizes):
    (tmp_path / ".config").write_text(kconfig_text(**changes))
    assumed = assumed_sizes(read_kconfig(tmp_path / ".config"))
    assert {name: assumed[name] for name in sizes} == sizes


def test_every_struct_of_the_schema_has_a_size(place):
    known = FIXED_SIZES.keys() | assumed_sizes(read_kconfig(place / ".config")).keys()
    assert set(Sizeof.KERNEL_NAMES.values()) - known == set()


# --- commands ---


def run(*arguments):
    return CliRunner().invoke(profile_command, [str(argument) for argument in arguments])


def test_command_writes_a_file_that_loads(place):
    out = place / "mine.yaml"
    result = run(place / "System.map", "--kconfig", place / ".config", "--facts", place / "facts.json", "-o", out)
    assert (result.exit_code, result.output) == (0, "")
    assert read_build(out).symbols == BUILD.symbols
    assert [path.name for path in place.iterdir() if path.name.startswith(".mine")] == []


def test_command_prints_and_says_what_it_assumed(place):
    result = run(place / "System.map", "--kconfig", place / ".config", "--name", "mine")
    assert result.exit_code == 0
    assert 'name: "mine"' in result.stdout
    assert result.stderr.startswith("bootsim: not read from the build but assumed: struct page, ")
    again = run(place / "System.map", "--kconfig", place / ".config", "--name", "mine")
    assert again.stdout == result.stdout


def test_command_writes_nothing_that_does_not_load(place):
    symbols = symbol_table() | {"_end": 0xC0000000}
    (place / "System.map").write_text(map_text(symbols))
    result = run(place / "System.map", "--kconfig", place / ".config", "-o", place / "mine.yaml")
    assert isinstance(result.exception, InputError)
    assert "_end: 0xc0000000, expected at least" in str(result.exception)
    assert not (place / "mine.yaml").exists()


def test_configs_command():
    folder = Path(__file__).parents[2] / "configs"
    built = {path.name: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}
    header, *table = CliRunner().invoke(configs).output.splitlines()
    assert header.split() == ["NAME", "PAGE_OFFSET", "HIGHMEM", "CMA", "PROVENANCE", "SUMMARY"]
    listed = json.loads(CliRunner().invoke(configs, ["--json"]).output)
    assert {Path(entry["file"]).name for entry in listed} == built.keys()
    for entry, row in zip(listed, table, strict=True):
        file = built[Path(entry["file"]).name]
        config = file["config"]
        assert (entry["name"], entry["page_offset"]) == (file["name"], config["PAGE_OFFSET"])
        highmem = "yes" if config.get("HIGHMEM") else "no"
        assert row.split()[:5] == [file["name"], f"{config['PAGE_OFFSET']:#x}", highmem,
                                   str(config["CMA_SIZE_MBYTES"]), "MiB"]  # fmt: skip
