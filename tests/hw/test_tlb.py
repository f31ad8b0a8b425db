"""The TLB against a slow one: a list that is searched from end to end."""

import copy
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.hw.cpu import CORTEX_A9, CORTEX_A15
from bootsim.hw.machine import Machine
from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15, Fault, translate
from bootsim.hw.tlb import Tlb
from bootsim.hw.tlbsize import tlb_of

M, TRE, AFE = 1 << 0, 1 << 28, 1 << 29
TTB, L2 = 0x4000, 0x10000
PAGE, LARGE, SECTION, SUPER = 1 << 12, 1 << 16, 1 << 20, 1 << 24
BYTES = {"small": PAGE, "large": LARGE, "section": SECTION, "supersection": SUPER}
RW, NG, SECTION_NG = 0b11 << 4, 1 << 11, 1 << 17


class World:
    """One first-level table, a second-level one for addresses of its first MiB, a TLB."""

    def __init__(self, entries=8, ways=2, sctlr=M | TRE, **registers):
        self.ram = PhysicalMemory()
        self.cp15 = Cp15(sctlr=sctlr, dacr=0x55555555, ttbr0=TTB, prrr=0xFF0A81A8, nmrr=0x40E040E0, **registers)
        self.ram.write32(TTB, L2 | 1)
        self.tlb = Tlb(entries, ways)

    def page(self, va, pa, bits=RW | NG):
        self.ram.write32(L2 + 4 * (va >> 12 & 0xFF), pa | bits | 2 if pa is not None else 0)

    def large(self, va, pa, bits=RW):
        for i in range(16):
            self.ram.write32(L2 + 4 * ((va >> 12 & 0xF0) + i), pa | bits | 1)

    def section(self, va, pa, bits=0b11 << 10):
        self.ram.write32(TTB + 4 * (va >> 20), pa | bits | 2)

    def supersection(self, va, pa):
        for i in range(16):
            self.section((va & ~(SUPER - 1)) + i * SECTION, pa, 0b11 << 10 | 1 << 18)

    def at(self, va, access="read", privileged=True):
        return self.tlb.translate(self.ram, self.cp15, va, access, privileged)


def test_a_stale_entry_answers_until_its_address_is_invalidated():
    w = World()
    w.page(0x3000, 0x60000000)
    assert w.at(0x3004).pa == 0x60000004
    w.page(0x3000, 0x61000000)
    assert translate(w.ram, w.cp15, 0x3004).pa == 0x61000004
    assert w.at(0x3008).pa == 0x60000008
    w.tlb.tlbimva(0x3000)
    assert w.at(0x3008).pa == 0x61000008
    assert (w.tlb.hits, w.tlb.misses, w.tlb.invalidated) == (1, 2, 1)


def test_an_operation_nobody_listens_to_is_counted_and_does_nothing():
    w = World()
    w.page(0x3000, 0x60000000)
    w.at(0x3000)
    w.page(0x3000, None)
    w.tlb.listens = False
    w.tlb.tlbiall()
    w.tlb.tlbimva(0x3000)
    assert w.at(0x3000).pa == 0x60000000
    assert w.tlb.forgotten == 2
    w.tlb.listens = True
    w.tlb.tlbiall()
    assert isinstance(w.at(0x3000), Fault)


def test_entries_of_other_address_spaces_do_not_answer_and_global_ones_do():
    w = World()
    w.page(0x3000, 0x60000000)
    w.page(0x4000, 0x60001000, RW)
    w.cp15.contextidr = 7
    w.at(0x3000), w.at(0x4000)
    w.cp15.contextidr = 8
    assert not w.tlb.holds(w.cp15, 0x3000)
    assert w.tlb.holds(w.cp15, 0x4000)
    w.tlb.tlbiasid(7)
    assert [(e.va, e.is_global, e.asid) for e in w.tlb.entries()] == [(0x4000, True, 7)]


def test_an_address_is_invalidated_in_one_space_or_in_all():
    w = World(entries=8, ways=4)
    w.page(0x3000, 0x60000000)
    for asid in (1, 2, 3):
        w.cp15.contextidr = asid
        w.at(0x3000)
    w.tlb.tlbimva(0x3000 | 2)
    assert [e.asid for e in w.tlb.entries()] == [1, 3]
    w.tlb.tlbimvaa(0x3000)
    assert not w.tlb.entries()


def test_the_ways_of_a_set_take_turns():
    w = World(entries=4, ways=2)
    for n in range(6):
        w.page(n * PAGE, 0x60000000 + n * PAGE)
    for n in (0, 2, 4):
        w.at(n * PAGE)  # all of set 0
    assert w.tlb.evictions == 1
    assert [e.va for e in w.tlb.entries()] == [0x4000, 0x2000]
    w.at(0)
    assert [e.va for e in w.tlb.entries()] == [0x4000, 0]


def test_faults_of_walks_leave_nothing_and_rights_are_asked_at_each_access():
    w = World(sctlr=M | TRE | AFE)
    w.page(0x3000, None)
    assert w.at(0x3000).kind == "translation"
    w.page(0x3000, 0x60000000, 0b10 << 4 | NG)
    assert w.at(0x3000).kind == "access flag"
    assert not w.tlb.entries()
    w.page(0x3000, 0x60000000, 0b01 << 4 | NG)
    assert w.at(0x3000, privileged=False).kind == "permission"
    assert len(w.tlb) == 1
    assert w.at(0x3000).pa == 0x60000000
    w.cp15.dacr = 0
    assert w.at(0x3000).kind == "domain"


def test_every_size_is_found_anywhere_in_it():
    w = World()
    w.large(0x20000, 0x60010000)
    w.section(0x00500000, 0x61000000)
    w.supersection(0x02000000, 0x62000000)
    for va, pa, size in ((0x20000, 0x60010000, LARGE), (0x00500000, 0x61000000, SECTION),
                         (0x02000000, 0x62000000, SUPER)):
        w.at(va + size - 4)
        hits = w.tlb.hits
        assert w.at(va).pa == pa
        assert w.tlb.hits == hits + 1
        assert not w.tlb.holds(w.cp15, va + size)
        w.tlb.tlbimva(va + 0x3000)
        assert not w.tlb.holds(w.cp15, va)


def test_before_armv6_each_subpage_keeps_its_rights():
    w = World(sctlr=M, id_mmfr0=0)
    w.ram.write32(L2 + 4 * 3, 0x60000000 | 0b00_01_10_11 << 4 | 2)  # subpages 0 to 3: all, user reads, kernel, nothing
    assert w.at(0x3000, "write", privileged=False).pa == 0x60000000
    assert w.at(0x3400, "write", privileged=False).kind == "permission"
    assert w.at(0x3400, privileged=False).pa == 0x60000400
    assert w.at(0x3800, privileged=False).kind == "permission"
    assert w.at(0x3C00).kind == "permission"
    assert (w.tlb.misses, w.tlb.hits) == (1, 4)


def test_mmu_off_bypasses_it():
    w = World(sctlr=0)
    assert w.at(0x12345678).pa == 0x12345678
    assert (len(w.tlb), w.tlb.misses) == (0, 0)


def test_a_copy_goes_its_own_way():
    w = World()
    w.page(0x3000, 0x60000000)
    w.at(0x3000)
    other = copy.deepcopy(w.tlb)
    w.tlb.tlbiall()
    assert other.holds(w.cp15, 0x3000)
    assert other.statistics()["misses"] == 1
    assert "TLBIALL" not in other.statistics()


def test_a_run_counts_what_single_accesses_would():
    w = World(entries=4, ways=2)
    for n in range(4):
        w.page(n * PAGE, 0x60000000 + n * PAGE)
    w.page(5 * PAGE, None)
    assert w.tlb.run(w.ram, w.cp15, array("I", [n * PAGE for n in (0, 1, 2, 3, 5)]), rounds=3) == 3
    assert (w.tlb.hits, w.tlb.misses) == (8, 7)


@pytest.mark.parametrize("size", [(0, 1), (12, 2), (8, 0), (7, 2), (1 << 20, 2), (8, -1)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="power of two"):
        Tlb(*size)


def test_sizes_of_processors():
    assert [(t.sets * t.ways, t.ways) for t in map(tlb_of, (CORTEX_A9, CORTEX_A15))] == [(128, 2), (512, 4)]


def test_loads_and_stores_go_through_it():
    machine = Machine(banks=[(0x60000000, 1 << 20)])
    w = World()
    machine.cp15, machine.ram = w.cp15, w.ram
    w.page(0x3000, 0x60000000)
    assert machine.store(0x3010, 0xDEADBEEF) is None
    assert machine.ram.read32(0x60000010) == 0xDEADBEEF
    assert machine.load(0x3010, privileged=False) == 0xDEADBEEF
    assert machine.load(0x5000).kind == "translation"
    w.page(0x6000, 0x10000000)  # no RAM
    assert machine.store(0x6000, 1) is None
    assert machine.ram.read32(0x10000000) == 0
    assert machine.main_tlb().hits == 1


class Slow:
    """Entries in a list; what is pushed out is what has been longest in its set's place."""

    def __init__(self, sets, ways):
        self.sets, self.ways = sets, ways
        self.lines = [[None] * ways for _ in range(sets)]
        self.turn = [0] * sets

    def at(self, w, va):
        for kind in ("small", "section", "large", "supersection"):
            for line in self.lines:
                for e in line:
                    if e and e[0] == kind and e[1] == va - va % BYTES[kind] and (e[3] or e[4] == w.cp15.contextidr):
                        return e[2] + va % BYTES[kind]
        found = translate(w.ram, w.cp15, va)
        if not found:
            return None
        size = BYTES[found.kind]
        index = va // size % self.sets
        line = self.lines[index]
        if None in line:
            place = line.index(None)
        else:
            place, self.turn[index] = self.turn[index], (self.turn[index] + 1) % self.ways
        line[place] = (found.kind, va - va % size, found.pa - va % size, found.is_global, w.cp15.contextidr)
        return found.pa

    def drop(self, which):
        self.lines = [[None if e and which(e) else e for e in line] for line in self.lines]


STEPS = st.one_of(
    st.tuples(st.just("read"), st.integers(0, 15), st.sampled_from([0, 0x10000, 0x100000, 0x200000, 0x1000000])),
    st.tuples(st.just("map"), st.integers(0, 15), st.integers(0, 5)),
    st.tuples(st.just("asid"), st.integers(0, 3), st.just(0)),
    st.tuples(st.sampled_from(["all", "by asid", "address", "everywhere"]), st.integers(0, 15), st.integers(0, 3)),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([(4, 1), (4, 2), (8, 4), (8, 8)]), st.lists(STEPS, max_size=80))
def test_random_accesses_and_invalidations(size, steps):
    w, slow = World(*size), Slow(size[0] // size[1], size[1])
    w.section(0x00100000, 0x61000000)
    w.section(0x00200000, 0x62000000, 0b11 << 10 | SECTION_NG)
    w.supersection(0x01000000, 0x63000000)
    w.large(0x10000, 0x64000000)
    for what, a, b in steps:
        if what == "read":
            found = w.at(b + a * PAGE)
            assert (found.pa if found else None) == slow.at(w, b + a * PAGE)
        elif what == "map":
            w.page(a * PAGE, None if b == 0 else 0x60000000 + b * PAGE, RW | (NG if b % 2 else 0))
        elif what == "asid":
            w.cp15.contextidr = a
        elif what == "all":
            w.tlb.tlbiall()
            slow.drop(lambda e: True)
        elif what == "by asid":
            w.tlb.tlbiasid(b)
            slow.drop(lambda e, b=b: not e[3] and e[4] == b)
        else:
            asid = b if what == "address" else None
            (w.tlb.tlbimva if asid is not None else w.tlb.tlbimvaa)(a * PAGE | b)
            slow.drop(lambda e, a=a, asid=asid: e[1] == a * PAGE - a * PAGE % BYTES[e[0]]
                      and (asid is None or e[3] or e[4] == asid))
    held = sorted((e.kind, e.va, e.pa, e.is_global, e.asid) for e in w.tlb.entries())
    assert held == sorted((*e,) for line in slow.lines for e in line if e)
