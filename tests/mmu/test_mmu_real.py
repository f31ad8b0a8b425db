"""bootsim's MMU against QEMU's, table by table: `make mmu-test`; SEED=N, COUNT=N.

Where QEMU 7.2 departs from the architecture (ARM DDI 0406C, B3), bootsim follows the architecture, and the answers are
brought together here, one departure at a time:
- it asks for the domain before it reads the second level, and before the access flag;
- a manager domain does not ask for the access flag, and XN counts before it;
- IFSR has the domain, as DFSR; before ARMv6 the status of a first-level translation fault has one, too, which means
  nothing there;
- before ARMv7 PAR does not say that a supersection was found;
- unaligned words of device memory are as those of normal memory: no such probe is made.
"""

import os
import random
import struct
from collections import Counter

import pytest

import bootsim
from bootsim.hw.machine import Machine
from bootsim.hw.mmu import Cp15, Fault, Translation, translate
from bootsim.lab.session import Session
from bootsim.views import alive

from .conftest import (
    ARM926,
    ARM1176,
    ATS,
    FILLED_BYTES,
    KINDS,
    MIB,
    VEXPRESS_A9,
    VIRT,
    XSCALE,
    Case,
    Place,
    pattern,
    stored,
)

SEED, COUNT = int(os.environ.get("SEED") or 1), int(os.environ.get("COUNT") or 4)
CASES = 60  # tables in one run
M, A, TRE, AFE = 1 << 0, 1 << 1, 1 << 28, 1 << 29
SCTLR = 0x00C50078  # what reads as one, and caches off
V5_SCTLR, V6_SCTLR = 0x00050078, 0x00850078  # the latter with the tables of ARMv6
SYSTEM, ROM = 1 << 8, 1 << 9
HOME_DOMAIN = 15
HOME_SECTION = 0xC00 | HOME_DOMAIN << 5 | 2
EXECUTED = {KINDS.index("jump"), KINDS.index("jump as user")}
ACCESS = {"STR": ("write", True), "LDR": ("read", True), "STRT": ("write", False), "LDRT": ("read", False),
          "ATS1CPR": ("read", True), "ATS1CPW": ("write", True), "ATS1CUR": ("read", False),
          "ATS1CUW": ("write", False), "jump": ("execute", True), "jump as user": ("execute", False),
          "LDRH": ("read", True), "LDRB": ("read", True), "STRH": ("write", True), "STRB": ("write", True)}


class Tables:
    """Random tables for one case, each address in 16 MiB of its own, so that all words of a unit can be written."""

    def __init__(self, rng, place, board, at):
        self.rng, self.place, self.board, self.at, self.free = rng, place, board, at, at
        self.words = {}
        self.n = rng.choice((0, 0, 1, 1, 2, 3, 7))
        self.ttbr0, self.ttbr1 = self.take(1 << 14 - self.n), self.take(1 << 14)
        home_is_low = not self.n or place.home >> 32 - self.n == 0
        ttbcr = self.n | (rng.random() < 0.1 and not home_is_low) << 4
        ttbcr |= (rng.random() < 0.1 and self.n and home_is_low) << 5
        sctlr = SCTLR | M | rng.choice((0, TRE)) | rng.choice((0, 0, AFE))
        dacr = sum(rng.choice((0, 1, 1, 1, 1, 2, 3)) << 2 * domain for domain in range(15)) | 3 << 2 * HOME_DOMAIN
        self.cp15 = Cp15(sctlr, self.ttbr0 | rng.choice((0, 0x59 & (1 << 7) - 1)) if self.n == 0 else self.ttbr0,
                         self.ttbr1, ttbcr, dacr, rng.getrandbits(32), rng.getrandbits(32), rng.randrange(256),
                         board.id_mmfr0)
        self.first(place.home, place.guest | HOME_SECTION)

    def take(self, size):
        pa = -(-self.free // size) * size
        self.free = pa + size
        return pa

    def first(self, va, word):
        high = self.n and va >> 32 - self.n
        self.words[(self.ttbr1 if high else self.ttbr0) + (va >> 20) * 4] = word

    def target(self, size):
        if self.board.aborts and self.rng.random() < 0.1:
            return 0x90000000 + self.rng.randrange(0, 256 * MIB, size)  # nothing answers
        return self.place.fill + self.rng.randrange(0, FILLED_BYTES, size)

    def map(self, va):
        """Map the unit at `va` in some way."""
        rng, kind = self.rng, self.rng.choices(("none", "table", "section", "super", "three"), (1, 9, 5, 2, 2))[0]
        bits = rng.getrandbits(20)
        if kind == "none":
            self.first(va, bits & ~3)
        elif kind == "table":
            table = 0xA0000000 if self.board.aborts and rng.random() < 0.05 else self.take(1024)
            self.first(va, table | rng.randrange(15) << 5 | bits & 0x21C | 1)
            if table < 0xA0000000:
                self.page(table, va)
        elif kind == "super":
            high = rng.choice((0, 0, 0, rng.getrandbits(8))) if self.board.aborts else 0
            word = self.target(16 * MIB) | (high >> 4) << 5 | (high & 15) << 20 | bits & 0x3FE1C & ~0x1E0 | 1 << 18 | 2
            for section in range(16):
                self.first((va & 0xFF000000) + section * MIB, word)
        else:
            # bit 18 clear; a section of domain 15 would be a manager's
            word = self.target(MIB) | bits & 0xBFE1C & ~0x1E0 | rng.randrange(15) << 5
            self.first(va, word | (3 if kind == "three" else 2))

    def page(self, table, va):
        rng, index, bits = self.rng, va >> 12 & 0xFF, self.rng.getrandbits(16)
        kind = rng.choices((0, 1, 2, 3), (1, 3, 4, 4))[0]
        if kind == 1:
            word = self.target(1 << 16) | bits & 0xFE3C | rng.choice((0, 0x1C0)) | 1
            for replica in range(16):
                self.words[table + 4 * (index & 0xF0) + 4 * replica] = word
        else:
            self.words[table + 4 * index] = (self.target(4096) | bits & 0xFFC | kind) if kind else bits & 0xFFC

    def case(self, kinds, unaligned=False):
        rng = self.rng
        tops = [top for top in range(256) if top != self.place.home >> 24]
        probes = []
        chosen = rng.sample(tops, 24)
        for top in chosen if not self.n else sorted({*chosen, 0, 1} & {*tops}):  # the half of TTBR0 may be small
            va = top << 24 | rng.getrandbits(24) & (~0 if unaligned else ~3)
            self.map(va)
            probes += [(va, kind) for kind in kinds]
            if not unaligned:
                probes += [(va ^ rng.getrandbits(12) & ~3, kind) for kind in kinds]
        return Case(self.cp15, probes)


class OldTables(Tables):
    """Tables before ARMv6: one root, sections, large and small pages of four subpages."""

    def __init__(self, rng, place, board, at):
        super().__init__(rng, place, board, at)
        self.words.clear()
        self.n, self.ttbr1 = 0, 0
        self.ttbr0 = self.take(1 << 14)
        self.cp15 = Cp15(V5_SCTLR | M | rng.choice((0, SYSTEM, ROM)), self.ttbr0, dacr=self.cp15.dacr, id_mmfr0=0)
        self.first(place.home, place.guest | HOME_SECTION)

    def map(self, va):
        rng, kind = self.rng, self.rng.choices(("none", "table", "section"), (1, 9, 5))[0]
        bits = rng.getrandbits(12) & ~0x1E0 | rng.randrange(15) << 5
        if kind == "table":
            table = self.take(1024)
            self.first(va, table | bits & 0x3F0 | 1)
            self.page(table, va)
        else:
            self.first(va, self.target(MIB) | bits & 0xDFC | 2 if kind == "section" else bits & ~3)

    def page(self, table, va):
        rng, index, bits = self.rng, va >> 12 & 0xFF, self.rng.getrandbits(12)
        kind = rng.choices((0, 1, 2, 3), (1, 4, 5, 4 if self.board is XSCALE else 0))[0]  # 3: a page with TEX
        if kind == 1:
            word = self.target(1 << 16) | bits & 0xFFC | 1
            for replica in range(16):
                self.words[table + 4 * (index & 0xF0) + 4 * replica] = word
        else:
            self.words[table + 4 * index] = self.target(4096) | bits & 0xFFC | kind if kind else bits & 0xFFC


def par(found, supersections):
    """PAR, short descriptors, without attributes, which QEMU does not tell; whether it tells of `supersections`."""
    if isinstance(found, Fault):
        return (found.status & 0xF) << 1 | (found.status >> 4) << 5 | 1
    if found.kind == "supersection" and supersections:
        return found.pa & 0xFF000000 | 2
    return found.pa & 0xFFFFF000


def as_qemu(machine, va, access, privileged, found):
    """What QEMU makes of it where it departs in the order of checks."""
    c = machine.cp15
    if not c.sctlr & M or (isinstance(found, Fault) and found.kind == "external abort on walk" and
                           found.level == "section"):
        return found
    words = found.descriptors
    if not words:
        return found
    first = words[0][1]
    domain = first >> 5 & 15 if first & 3 == 1 or not first & 1 << 18 else 0
    rights = c.dacr >> 2 * domain & 3
    if isinstance(found, Fault) and found.kind == "translation" and found.level == "section":
        return found
    page = first & 3 == 1
    if rights in (0, 2):
        return ("domain", 0xB if page else 9, domain)
    if not isinstance(found, Fault) or found.kind != "access flag":
        return found
    easy = c.copy()
    easy.sctlr &= ~AFE
    if rights == 3:
        return translate(machine.ram, easy, va, access, privileged)
    easy.dacr = 0xFFFFFFFF
    allowed = translate(machine.ram, easy, va).permissions
    if access == "execute" and (allowed.xn or (privileged and allowed.pxn)):
        return ("permission", 0xF if page else 0xD, domain)
    return found


class Replay:
    """The same probes on bootsim's machine. `known(pa)` tells whether a word there is known to both."""

    def __init__(self, board, place, loaded, cases):
        self.machine = Machine(banks=[(place.ram, place.ram_bytes)])
        self.machine.devices = []
        self.place, self.touched = place, set()
        self.tells_supersections = not board.symbols
        for pa, content in loaded:
            self.machine.ram.write(pa, content)
        self.cases = cases
        self.departures = Counter()

    def expect(self, cp15, va, kind):
        """(what, a, b) as the guest would tell; None for a number that nobody knows."""
        machine, name = self.machine, KINDS[kind]
        access, privileged = ACCESS[name]
        machine.cp15 = cp15
        walked = translate(machine.ram, cp15, va, access, privileged)
        qemu = as_qemu(machine, va, access, privileged, walked)
        if qemu is not walked and not isinstance(qemu, tuple):
            self.departures["access flag of a manager"] += 1
        elif isinstance(qemu, tuple) and qemu[0] != getattr(walked, "kind", ""):
            self.departures[f"{qemu[0]} first"] += 1
        if name in ATS and getattr(qemu, "kind", "") == "external abort on walk":
            return 1, qemu.status | qemu.domain << 4, va
        if name in ATS:
            return 0, (qemu[1] << 1 | 1) if isinstance(qemu, tuple) else par(qemu, self.tells_supersections), 0
        size = {"H": 2, "B": 1}.get(name[-1], 4)
        misaligned = va % size and cp15.sctlr & A
        if isinstance(qemu, tuple) and not misaligned:
            _, status, domain = qemu
            fsr = status | domain << 4 | (0x800 if access == "write" and cp15.id_mmfr0 else 0)
            return (2, fsr, va) if access == "execute" else (1, fsr, va)
        if qemu is not walked and not misaligned:
            cp15 = machine.cp15 = cp15.copy()
            cp15.sctlr &= ~AFE
        self.fill(qemu)
        return self.access(name, va, size, privileged)

    def fill(self, found):
        pa = found.pa & ~3 if isinstance(found, Translation) else -1
        for word in (pa, pa + 4):
            if word not in self.touched and self.place.fill <= word < self.place.fill + FILLED_BYTES:
                self.machine.ram.write32(word, pattern(word))
                self.touched.add(word)

    def access(self, name, va, size, privileged):
        machine, cp15 = self.machine, self.machine.cp15
        if name.startswith("jump"):
            found = machine.fetch(va, privileged)
        elif name.startswith("LDR"):
            found = machine.load(va, size, privileged)
        else:
            found = machine.store(va, stored(va) & (1 << 8 * size) - 1, size, privileged)
        if not isinstance(found, Fault):
            return 0, found or 0, 0
        if name.startswith("jump"):
            # QEMU's IFSR has the domain, too
            return 2, cp15.ifsr | found.domain << 4, cp15.ifar
        return 1, cp15.dfsr, cp15.dfar


def answers_of(replay):
    for case in replay.cases:
        replay.machine.main_tlb().tlbiall()
        for va, kind in case.probes:
            yield case, va, kind, replay.expect(case.cp15, va, kind)


def compare(told, replay, same=lambda expected, found, kind: expected == found):
    different = []
    counted = Counter()
    for found, (case, va, kind, expected) in zip(told, answers_of(replay), strict=True):
        counted[KINDS[kind], expected[0]] += 1
        if kind < len(ATS) and found[0] == 0 and not found[1] & 1:
            found = (0, found[1] & ~0x200, found[2])  # whether the secure world's, which bootsim does not know
        if not same(expected, found, kind):
            words = [f"{number:#x}" for number in (*expected, *found)]
            different.append(f"{KINDS[kind]} {va:#010x}: bootsim {words[:3]}, QEMU {words[3:]}; "
                             f"{translate(replay.machine.ram, case.cp15, va)!r} {case.cp15!r}")
    print(f"{len(told)} answers, {dict(counted)}, departures of QEMU {dict(replay.departures)}")
    assert not different, f"{len(different)} of {len(told)} differ:\n" + "\n".join(different[:8])


def loaded_words(words):
    """Words at addresses as few pieces: (pa, bytes) of 64 KiB each."""
    pieces = {}
    for pa, word in words.items():
        piece = pieces.setdefault(pa & ~0xFFFF, bytearray(1 << 16))
        struct.pack_into("<I", piece, pa & 0xFFFF, word)
    return [(pa, bytes(piece)) for pa, piece in sorted(pieces.items())]


def random_place(rng, board):
    if board.symbols:
        return Place(board.ram + 8 * MIB, 0, board.ram + 9 * MIB, board.ram + 32 * MIB, board.ram + 64 * MIB, board.ram,
                     128 * MIB)
    homes = [section for section in range(8, 4096) if not board.ram <= section << 20 < board.ram + 128 * MIB]
    return Place(board.ram + 8 * MIB, rng.choice((0x01000000, rng.choice(homes) << 20)), board.ram + 9 * MIB,
                 board.ram + 32 * MIB, board.ram + 64 * MIB, board.ram, 128 * MIB)


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("board", [VIRT, VEXPRESS_A9, ARM1176, ARM926, XSCALE],
                         ids=["A15", "A9", "ARM1176", "ARM926", "XScale"])
def test_random_tables(number, board, real):
    rng = random.Random(f"{SEED}/{number}")
    place = random_place(rng, board)
    words, cases, at = {}, [], board.ram + 12 * MIB
    for _ in range(CASES):
        old = board.id_mmfr0 == 0
        tables = (OldTables if old else Tables)(rng, place, board, at)
        if board.symbols and not old:
            tables.cp15.sctlr = tables.cp15.sctlr & ~SCTLR | V6_SCTLR
            tables.cp15.ttbcr &= 7  # this board has no Security Extensions, so that there are no PD0 and PD1
        case = tables.case(range(len(ATS) if old else 0, 10))
        at = tables.free
        words |= tables.words
        cases.append(case)
    loaded = loaded_words(words)
    assert at < place.results
    replay = Replay(board, place, loaded, cases)
    cases[:] = [Case(c.cp15, [(va, kind) for va, kind in c.probes if kind not in EXECUTED or lands(replay, c, va)])
                for c in cases]

    def same(expected, found, kind):
        if board.id_mmfr0 == 0 and expected[0] and expected[1] == 5:
            found = (found[0], found[1] & ~0xF0, found[2])
        return expected == found

    compare(real.run(board, place, cases, loaded), replay, same)


def lands(replay, case, va):
    """Whether a jump to `va`, if it is allowed, meets an SVC of the fill, or an abort."""
    everyone = case.cp15.copy()
    everyone.dacr, everyone.sctlr = 0xFFFFFFFF, everyone.sctlr & ~AFE
    found = translate(replay.machine.ram, everyone, va)
    if isinstance(found, Fault):
        return True
    inside = replay.place.fill <= found.pa < replay.place.fill + FILLED_BYTES
    return inside or not replay.machine.answers(found.pa)


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("board", [VIRT, VEXPRESS_A9], ids=["A15", "A9"])
def test_unaligned_accesses(number, board, real):
    rng = random.Random(f"unaligned/{SEED}/{number}")
    place = random_place(rng, board)
    words, cases, at = {}, [], board.ram + 12 * MIB
    kinds = [KINDS.index(name) for name in ("STR", "LDR", "STRT", "LDRT", "LDRH", "LDRB", "STRH", "STRB")]
    for _ in range(CASES):
        tables = Tables(rng, place, board, at)
        tables.cp15.sctlr = tables.cp15.sctlr & ~AFE | TRE | rng.choice((0, A))
        tables.cp15.prrr |= 0xAAAA
        tables.cp15.prrr &= ~0x5555  # all of it is normal memory
        case = tables.case(kinds, unaligned=True)
        probes = [*case.probes, *((va | 0xFFF & ~rng.randrange(4), kind) for va, kind in case.probes)]
        cases.append(Case(tables.cp15, [(va, kind) for va, kind in probes if va & 0xFFFFF < 0xFFFFD]))
        at = tables.free
        words |= tables.words
    loaded = loaded_words(words)

    def same(expected, found, kind):
        if expected[0] == 1 and expected[1] & 0x40F == 8:  # QEMU reads aligned words, and tells their address
            return expected[:2] == found[:2] and expected[2] & ~3 == found[2] & ~3
        return expected == found

    compare(real.run(board, place, cases, loaded), Replay(board, place, loaded, cases), same)


def a_process(lab, folder):
    """A program that has touched some of its pages and has a child: the user's half of the tables."""
    head = struct.pack("<4sBBB9xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 2, 40, 1, 0x10100, 52, 0, 0x05000200, 52, 32, 1, 0,
                       0, 0)  # fmt: skip
    (folder / "a.elf").write_bytes(head + struct.pack("<8I", 1, 0, 0x10000, 0x10000, 0x2000, 0x3000, 7, 0x1000)
                                   + bytes(0x2000))
    program = lab.process(folder / "a.elf")
    for prot in (0, 1, 3, 5, 7):
        place = program.mmap(0, 8 << 12, prot)
        for page in range(0, 8, 3):
            program.touch(place + (page << 12), write=prot == 3)
            program.touch(place + (page << 12) + 4096)
    program.fork()
    program.touch(place + 4096, write=True)
    lab.switch_to(program)
    lab.k.cpus[0].cp15.dacr |= 1 << 2  # the kernel lets itself see user pages


@pytest.mark.parametrize("config", ["3G/1G", "2G/2G", "1G/3G", "process"])
def test_tables_of_the_kernel(config, real, tmp_path):
    split = "3G/1G" if config == "process" else config
    k = bootsim.boot("vexpress.dts", config=split, mem="256M", cmdline="norandmaps")
    if config == "process":
        a_process(Session(k, alive.text), tmp_path)
    ram, home = VEXPRESS_A9.ram, k.build.config.PAGE_OFFSET + MIB  # of the kernel's code
    place = Place(ram + MIB, home, ram + 32 * MIB, ram + 48 * MIB, ram + 96 * MIB, ram, 256 * MIB)
    cp15 = k.cpus[0].cp15.copy()
    table = cp15.ttbr0 & ~0x3FFF
    first = struct.unpack("<4096I", k.machine.ram.read(table, 0x4000))
    tables = {table + offset for offset in range(0, 0x4000, 4096)} | {word & ~0xFFF for word in first if word & 3 == 1}
    used = [(place.guest, place.guest + MIB), (place.data, place.results + 48 * MIB),
            (place.fill, place.fill + FILLED_BYTES)]
    assert not [pa for pa in tables for start, end in used if start <= pa < end]
    loaded = [(pa, k.machine.ram.read(pa, 4096)) for pa in sorted(tables)]
    cp15.sctlr = SCTLR | M | cp15.sctlr & (TRE | AFE)
    replay = Replay(VEXPRESS_A9, place, loaded, [])
    replay.machine.devices = [(0, 1 << 32)]
    rng = random.Random(SEED)
    addresses = {(section << 20) + offset for section in range(4096) for offset in (0, rng.randrange(0, MIB, 4))}
    for section, word in enumerate(first):
        if word & 3 == 1:
            addresses |= {(section << 20) + (page << 12) + rng.randrange(0, 4096, 4) for page in range(256)}
    probes = [(va, kind) for va in sorted(addresses) for kind in range(10) if harmless(replay, cp15, va, kind)]
    replay.cases.append(Case(cp15, probes))

    def same(expected, found, kind):
        if kind in (KINDS.index("LDR"), KINDS.index("LDRT")) and expected[0] == 0 == found[0]:
            return True  # most of RAM, and devices, hold here and there what they like; PAR tells the address
        return expected == found

    compare(real.run(VEXPRESS_A9, place, replay.cases, loaded), replay, same)


def harmless(replay, cp15, va, kind):
    """Whether a probe that is allowed leaves the guest and the tables alone."""
    if KINDS[kind].startswith("ATS"):
        return True
    found = translate(replay.machine.ram, cp15, va, *ACCESS[KINDS[kind]])
    if isinstance(found, Fault):
        return True
    if kind in EXECUTED or KINDS[kind].startswith("STR"):
        return replay.place.fill <= found.pa < replay.place.fill + FILLED_BYTES
    return replay.machine.has_ram(found.pa, 4)
