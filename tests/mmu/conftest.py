"""Runs guest.S in QEMU: page tables in RAM, and what a real walk, load, store or jump makes of them."""

import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
ASKED = os.environ.get("BOOTSIM_MMU", "0") not in ("", "0")
TOOLS = ("qemu-system-arm", "arm-linux-gnueabi-as", "arm-linux-gnueabi-objcopy")
PATIENCE = 60
MIB = 1 << 20
ATS = ("ATS1CPR", "ATS1CPW", "ATS1CUR", "ATS1CUW")
KINDS = (*ATS, "STR", "LDR", "STRT", "LDRT", "jump", "jump as user", "LDRH", "LDRB", "STRH", "STRB")
PATTERN = 0xEF800000
FILLED_BYTES = 32 * MIB  # the words of a fill differ within that


class Board(NamedTuple):
    """A machine of QEMU's: its options, where RAM begins, whether an address without a device is an external abort.

    `symbols` are those that guest.S is assembled with.
    """

    options: tuple[str, ...]
    ram: int
    id_mmfr0: int
    aborts: bool
    symbols: tuple[str, ...] = ()


VIRT = Board(("-machine", "virt,highmem=off,secure=on", "-cpu", "cortex-a15"), 0x40000000, 5, True)
VEXPRESS_A9 = Board(("-machine", "vexpress-a9"), 0x60000000, 3, False)
ARM1176 = Board(("-machine", "versatilepb", "-cpu", "arm1176"), 0, 3, False, ("OLD",))
ARM926 = Board(("-machine", "versatilepb", "-cpu", "arm926"), 0, 0, False, ("OLD", "V5"))
XSCALE = Board(("-machine", "versatilepb", "-cpu", "pxa255"), 0, 0, False, ("OLD", "V5"))


class Place(NamedTuple):
    """Physical addresses of one run: the guest's MiB, `home` (va) of it, its data, its results, what it fills."""

    guest: int
    home: int
    data: int
    results: int
    fill: int
    ram: int
    ram_bytes: int


class Case(NamedTuple):
    """Registers (a Cp15), and probes as (va, number in KINDS)."""

    cp15: object
    probes: list


def pattern(pa):
    """The word that a fill leaves at a physical address: an SVC."""
    return PATTERN | pa >> 2 & 0x7FFFFF


def stored(va):
    """The word that a probe stores."""
    return PATTERN | va & 0x7FFFFF


def own_table(place):
    """The table between probes: RAM is mapped to itself, `home` to the guest."""
    words = [0] * 4096
    for pa in range(place.ram, place.ram + place.ram_bytes, MIB):
        words[pa >> 20] = pa | 0xC02
    words[place.home >> 20] = place.guest | 0xC02
    return struct.pack("<4096I", *words)


def image_of(place, code, cases):
    """(pa, bytes) to load: the guest with its parameters, its table, the cases with their probes."""
    table, at = place.data, place.data + 0x4000
    code = bytearray(code.ljust(0x1000, b"\0"))
    mark = code.index(struct.pack("<I", 0x0B007AB1))
    code[mark - 4 : mark] = struct.pack("<I", table)
    count = sum(len(case.probes) for case in cases)
    code += struct.pack("<9I", place.home, table, len(cases), at, place.results, 12 * count, 1, place.fill,
                        place.fill + FILLED_BYTES)
    records, probes, probes_pa = b"", b"", at + 40 * len(cases)
    for case in cases:
        c = case.cp15
        records += struct.pack("<10I", c.sctlr, c.ttbr0, c.ttbr1, c.ttbcr, c.dacr, c.prrr, c.nmrr, c.contextidr,
                               len(case.probes), probes_pa + len(probes))
        probes += b"".join(struct.pack("<2I", va, kind) for va, kind in case.probes)
    assert at + len(records) + len(probes) < place.results
    return [(place.guest, bytes(code)), (table, own_table(place)), (at, records + probes)]


class Qemu:
    """A real MMU."""

    def __init__(self, folder):
        self.folder = folder

    def code(self, board):
        """The guest for a board's processor."""
        symbols = [word for symbol in board.symbols for word in ("--defsym", f"{symbol}=1")]
        linked, image = self.folder / "guest.o", self.folder / "guest.bin"
        subprocess.run([TOOLS[1], *symbols, str(HERE / "guest.S"), "-o", str(linked)], check=True)
        subprocess.run([TOOLS[2], "-O", "binary", str(linked), str(image)], check=True)
        return image.read_bytes()

    def run(self, board, place, cases, loaded=()):
        """Answers of all probes in turn, (what, a, b); `loaded` are (pa, bytes) beside what the guest needs."""
        command = ["qemu-system-arm", *board.options, "-m", str(place.ram_bytes // MIB), "-display", "none", "-nic",
                   "none", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"]
        for number, (pa, content) in enumerate([*image_of(place, self.code(board), cases), *loaded]):
            (self.folder / f"part{number}").write_bytes(content)
            command += ["-device", f"loader,file=part{number},addr={pa:#x},force-raw=on"]
        command += ["-device", f"loader,addr={place.guest:#x},cpu-num=0"]
        (self.folder / "results").unlink(missing_ok=True)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=PATIENCE, check=False)
        assert (self.folder / "results").is_file(), done.stderr.decode()
        return list(struct.iter_unpack("<3I", (self.folder / "results").read_bytes()))


@pytest.fixture
def real(tmp_path):
    """QEMU with the guest that asks its MMU."""
    if not ASKED:
        pytest.skip("not asked for: run `make mmu-test`")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} (Debian: apt install qemu-system-arm binutils-arm-linux-gnueabi)")
    return Qemu(tmp_path)
