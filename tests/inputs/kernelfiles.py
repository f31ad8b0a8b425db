"""Files of a build as `bootsim profile` reads them, made here word by word for the build 3G/1G."""

import json
import struct

import pytest

from bootsim.errors import InputError
from bootsim.inputs.build import Sizeof
from bootsim.inputs.configfile import load_build
from bootsim.inputs.profile import profile
from bootsim.inputs.warnsites import WARN_SITES

BUILD = load_build("3G/1G")

# Options that decide struct sizes or checks but not a boot's arithmetic, as the real .config of 3G/1G has them.
REST_OF_CONFIG = 'CONFIG_ARM=y\nCONFIG_MMU=y\nCONFIG_GENERIC_IRQ_MULTI_HANDLER=y\nCONFIG_CC_VERSION_TEXT="gcc"\n'

# Symbols whose presence tells of an option.
SIGNS = {"pkmap_page_table": 0xC0C12000, "cma_init_reserved_mem": 0xC0B1F000, "load_module": 0xC01B0000}
OTHER = {"__kuser_helper_start": 0xC0109000, "start_kernel": 0xC0B00F00, "__log_buf": 0xC0C97140, "next": 0xC0C9B140}


def kconfig_text(build=BUILD, **changes):
    """The .config of a build description, with options changed (None: not set)."""
    values = {**build.config.as_dict(), **changes}
    lines = ["# Linux/arm 5.10.223 Kernel Configuration", ""]
    for name, value in values.items():
        if value is None or value is False:
            lines.append(f"# CONFIG_{name} is not set")
        elif value is True:
            lines.append(f"CONFIG_{name}=y")
        elif isinstance(value, str):
            lines.append(f"CONFIG_{name}={value}" if value == "m" else f'CONFIG_{name}="{value}"')
        else:
            lines.append(f"CONFIG_{name}={value:#x}" if value > 0xFFFF else f"CONFIG_{name}={value}")
    return "\n".join(lines) + "\n" + REST_OF_CONFIG


def symbol_table(build=BUILD):
    symbols = {build.symbols.KERNEL_NAMES[name]: address for name, address in build.symbols.as_dict().items()}
    machines = {"__mach_desc_GENERIC_DT.1": 0xC0B3050C, "__mach_desc_VEXPRESS_DT": 0xC0B30574}
    bounds = {"__arch_info_begin": 0xC0B3050C, "__arch_info_end": 0xC0B305DC}
    consoles = {"qdf2400_e44310": 0xC0B30700, "pl011309": 0xC0B30704, "pl011308": 0xC0B30708}
    consoles = {f"__p__UNIQUE_ID___earlycon_{name}": address for name, address in consoles.items()}
    table = {"__earlycon_table": 0xC0B30700, "__earlycon_table_end": 0xC0B3070C}
    return {**symbols, **SIGNS, **OTHER, **machines, **bounds, **consoles, **table, **code_symbols()}


# --- code that warns ---

CODE_VA = 0xC0B02000
NAMES_VA = 0xC0B06000


def functions():
    """The functions that warn in this build, with the places of their warnings."""
    found = {}
    for site in WARN_SITES:
        if site.needs not in ("JUMP_LABEL", "SLAB", "DEBUG_SLAB", "SLOB", "HARDENED_USERCOPY"):
            found.setdefault(site.function, []).append(site.place)
    return found


def with_others(function):
    """The places of a function's warnings; those that the replay does not give stand one line before the next."""
    known = {site.nth: site.place for site in WARN_SITES if site.function == function}
    places, following = [], None
    for nth in range(max(known), -1, -1):
        if nth in known:
            following = known[nth]
        else:
            file, _, line = following.rpartition(":")
            following = f"{file}:{int(line) - 1}"
        places.insert(0, following)
    return places


def code_symbols():
    places = {name: CODE_VA + 0x200 * (1 + at) for at, name in enumerate(functions())}
    return {"warn_slowpath_fmt": CODE_VA, **places, "code_end": CODE_VA + 0x200 * (1 + len(places))}


def put_code(data, move=0, how="movw"):
    """Write the functions to the image, each line `move` further down; `how` numbers get into registers."""
    names = {}
    for name in functions():
        places = with_others(name)
        at = symbol_table()[name] - IMAGE_VA
        data[at : at + 0x200] = bytes(0x200)
        words = [0xE92D4010]  # push {r4, lr}
        for place in places:
            file, _, line = place.partition(":")
            va, number = names.setdefault(file, NAMES_VA + 64 * len(names)), int(line) + move
            data[va - IMAGE_VA : va - IMAGE_VA + len(file) + 1] = file.encode() + b"\0"
            if how == "literals":
                pool = at + 0x100 + 8 * places.index(place)
                struct.pack_into("<II", data, pool, va, number)
                words += [0xE59F0000 | pool - at - 4 * len(words) - 8, 0xE59F1000 | pool - at - 4 * len(words) - 8]
            else:
                line = [mov(1, number)]
                if how == "split":  # mov, #high byte; add, #low byte
                    line = [0xE3A01C00 | number >> 8, 0xE3A02009, 0xE2811000 | number & 0xFF]
                words += [0xE3A01077, 0xE3411077, mov(0, va & 0xFFFF), 0xE3400000 | imm16(va >> 16), *line]
            words += [0xE3A03000, 0xEB000000 | (CODE_VA - IMAGE_VA - at - 4 * len(words) - 12 >> 2 & 0xFFFFFF)]
        struct.pack_into(f"<{len(words)}I", data, at, *words)


def imm16(value):
    return value << 4 & 0xF0000 | value & 0xFFF


def mov(register, value):
    return (0xE3A00000 | value if value < 256 else 0xE3000000 | imm16(value)) | register << 12


def map_text(symbols):
    return "".join(f"{address:08x} T {name}\n" for name, address in sorted(symbols.items(), key=lambda s: s[1]))


def fill(place):
    """Make a build directory: System.map, .config, facts.json."""
    (place / ".config").write_text(kconfig_text())
    (place / "System.map").write_text(map_text(symbol_table()))
    facts = {"sizeof": SIZES, "values": {"x": 1}, "strings": {"linux_banner": BUILD.banner + "\n"}}
    (place / "facts.json").write_text(json.dumps(facts))


def fails(place, message, image="System.map", **options):
    with pytest.raises(InputError, match=message) as caught:
        profile(place / image, place / ".config", **options)
    assert str(place) in str(caught.value)


# --- an image ---

IMAGE_VA = 0xC0B00000
FUNCTION_VA = 0xC0B00F00


def image(words=26):
    """An image section: the banner, strings, a compatible array, two machine descriptors where System.map has them."""
    data = bytearray(0x31000)
    banner, generic, vexpress, compatible, array = 0x100, 0x200, 0x240, 0x280, 0x2C0
    for at, text in (
        (banner, BUILD.banner.encode() + b"\n"),
        (generic, b"Generic DT based system"),
        (vexpress, b"ARM-Versatile Express"),
        (compatible, b"arm,vexpress"),
    ):
        data[at : at + len(text)] = text
    struct.pack_into("<II", data, array, IMAGE_VA + compatible, 0)
    struct.pack_into("<II", data, 0x3050C, 0xFFFFFFFF, IMAGE_VA + generic)
    second = 0x3050C + 4 * words
    struct.pack_into("<IIII", data, second, 0xFFFFFFFF, IMAGE_VA + vexpress, 0, IMAGE_VA + array)
    struct.pack_into("<II", data, second + 48, 0xC0B00010, 0xC0B00021)  # smp, and smp_init in Thumb code
    for index, entry in enumerate(BUILD.earlycon):
        name, _, compatible = entry.partition(" ")
        struct.pack_into("<I", data, 0x30700 + 4 * index, IMAGE_VA + 0x400 + 148 * index)
        struct.pack_into("<16s128s", data, 0x400 + 148 * index, name.encode(), compatible.encode())
    put_code(data)
    return bytes(data)


def uleb(value):
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def dwarf(sizes):
    """DWARF 4 for one C file with these structs: .debug_abbrev, .debug_info, .debug_aranges, .debug_str."""
    abbrev = b"\x01\x11\x01\x03\x08\x00\x00"  # compile unit: name
    abbrev += b"\x02\x13\x00\x03\x08\x0b\x05\x00\x00"  # structure: name, byte size (data2)
    abbrev += b"\x03\x13\x00\x03\x08\x3c\x19\x00\x00\x00"  # structure: name, declaration
    dies = b"\x01main.c\0" + b"\x03zone\0"
    for name, size in sizes.items():
        dies += b"\x02" + name.removeprefix("struct ").encode() + b"\0" + struct.pack("<H", size)
    body = struct.pack("<HIB", 4, 0, 4) + dies + b"\0"
    info = struct.pack("<I", len(body)) + body
    ranges = struct.pack("<HIBB4x", 2, 0, 4, 0) + struct.pack("<IIII", FUNCTION_VA, 0x100, 0, 0)
    return {
        ".debug_abbrev": abbrev,
        ".debug_info": info,
        ".debug_aranges": struct.pack("<I", len(ranges)) + ranges,
        ".debug_str": b"\0",
    }


def elf(symbols, *, objects=(), debug=None, stripped=False, data=None, machine=40, kind=2, bits=1, order=1):
    """A 32-bit ELF file with one loaded section, a symbol table and any debug sections."""
    strings, entries = bytearray(b"\0"), bytearray(16)
    for name, address in symbols.items():
        entries += struct.pack("<IIIBBH", len(strings), address, 4, 0x12, 0, 1)
        strings += name.encode() + b"\0"
    for name, address, size in objects:
        entries += struct.pack("<IIIBBH", len(strings), address, size, 0x01, 0, 1)
        strings += name.encode() + b"\0"
    entries += struct.pack("<IIIBBH", len(strings), 0, 0, 0x10, 0, 0)  # undefined
    strings += b"weak\0"
    sections = [(".init", 1, 2, IMAGE_VA, data or image(), 0)]
    if not stripped:
        sections += [(".symtab", 2, 0, 0, bytes(entries), 3), (".strtab", 3, 0, 0, bytes(strings), 0)]
    sections += [(name, 1, 0, 0, content, 0) for name, content in (debug or {}).items()]
    names = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in sections) + b".shstrtab\0"
    sections.append((".shstrtab", 3, 0, 0, names, 0))
    body, headers = bytearray(52), bytearray(40)
    for name, section_kind, flags, address, content, link in sections:
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        info = 1 if section_kind == 2 else 0
        entry = 16 if section_kind == 2 else 0
        headers += struct.pack("<10I", at, section_kind, flags, address, len(body), len(content), link, info, 4, entry)
        body += content
    ident = b"\x7fELF" + bytes([bits, order, 1]) + bytes(9)
    head = struct.pack(
        "<HHIIIIIHHHHHH", kind, machine, 1, 0, 0, len(body), 0x5000200, 52, 32, 0, 40, len(sections) + 1, 0
    )
    body[:52] = ident + head[:-2] + struct.pack("<H", len(sections))
    return bytes(body + headers)


def image_symbols():
    functions = {
        "vexpress_smp_dt_ops": 0xC0B00010,
        "vexpress_smp_init_ops": 0xC0B00020,
        "linux_banner": IMAGE_VA + 0x100,
    }
    return symbol_table() | functions


SIZES = {Sizeof.KERNEL_NAMES[name]: size for name, size in BUILD.sizeof.as_dict().items() if size is not None}
