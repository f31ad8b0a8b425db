"""The walker against the architecture: one table, every kind of descriptor, every kind of fault."""

import pytest

from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15, Fault, Translation, memory_type, translate

M, TRE, AFE = 1 << 0, 1 << 28, 1 << 29
TTB = 0x4000
L2 = 0x10000
ALL_CLIENTS = 0x55555555
PRRR, NMRR = 0xFF0A81A8, 0x40E040E0
RW = 0b01 << 10  # AP of a section: privileged read and write
PAGE_RW = 0b01 << 4


class World:
    def __init__(self, sctlr=M | TRE, dacr=ALL_CLIENTS, id_mmfr0=3, **registers):
        self.ram = PhysicalMemory()
        self.cp15 = Cp15(sctlr=sctlr, dacr=dacr, ttbr0=TTB, prrr=PRRR, nmrr=NMRR, id_mmfr0=id_mmfr0, **registers)

    def l1(self, va, word, table=TTB):
        self.ram.write32(table + 4 * (va >> 20), word)

    def l2(self, va, word, table=L2):
        self.ram.write32(table + 4 * (va >> 12 & 0xFF), word)

    def walk(self, va, access="read", privileged=True):
        return translate(self.ram, self.cp15, va, access, privileged)


def test_mmu_off_is_flat():
    t = World(sctlr=0).walk(0xDEADBEEF)
    assert isinstance(t, Translation)
    assert (t.pa, t.kind, t.descriptors) == (0xDEADBEEF, "off", ())


def test_section():
    w = World()
    w.l1(0xC0100000, 0x60100000 | 5 << 5 | RW | 2)
    t = w.walk(0xC0123456)
    assert t
    assert (t.pa, t.kind, t.page_bytes, t.domain, t.domain_access) == (0x60123456, "section", 1 << 20, 5, "client")
    assert t.descriptors == ((TTB + 4 * 0xC01, 0x60100000 | 5 << 5 | RW | 2),)
    assert t.is_global


def test_supersection_reaches_above_4_gib_and_is_in_domain_0():
    w = World()
    for i in range(16):
        w.l1(0x40000000 + (i << 20), 0x80000000 | 1 << 18 | 0x3 << 20 | 0xA << 5 | RW | 2)
    t = w.walk(0x40ABCDEF)
    assert t
    assert (t.pa, t.kind, t.page_bytes, t.domain) == (0xA380ABCDEF, "supersection", 1 << 24, 0)


def test_small_page():
    w = World()
    w.l1(0x00800000, L2 | 1)
    w.l2(0x0080A000, 0x12345000 | PAGE_RW | 1 << 11 | 2)
    t = w.walk(0x0080A678)
    assert t
    assert (t.pa, t.kind, t.page_bytes, t.is_global, t.permissions.xn) == (0x12345678, "small", 4096, False, False)
    assert t.descriptors[1] == (L2 + 4 * 0x0A, 0x12345000 | PAGE_RW | 1 << 11 | 2)


def test_large_page():
    w = World()
    w.l1(0x00800000, L2 | 1)
    for i in range(16):
        w.l2(0x00820000 + (i << 12), 0x77770000 | 1 << 15 | PAGE_RW | 1)
    t = w.walk(0x0082ABCD)
    assert t
    assert (t.pa, t.kind, t.page_bytes, t.permissions.xn) == (0x7777ABCD, "large", 65536, True)


@pytest.mark.parametrize(("l1", "l2", "fs"), [(0, None, 0x05), (3, None, 0x05), (L2 | 1, 0, 0x07)])
def test_translation_faults(l1, l2, fs):
    w = World()
    w.l1(0x00800000, l1)
    if l2 is not None:
        w.l2(0x00800000, l2)
    f = w.walk(0x00800123)
    assert isinstance(f, Fault)
    assert not f
    assert (f.kind, f.level, f.status) == ("translation", "section" if fs == 5 else "page", fs)


def test_type_3_is_a_section_where_pxn_exists():
    w = World(id_mmfr0=4)
    w.l1(0xC0000000, 0x60000000 | RW | 3)
    t = w.walk(0xC0000000)
    assert t
    assert t.permissions.pxn
    assert not w.walk(0xC0000000, "execute")


def test_pxn_of_a_page_table_keeps_the_kernel_from_executing():
    w = World(id_mmfr0=4)
    w.l1(0, L2 | 1 << 2 | 1)
    w.l2(0, 0x1000 | 3 << 4 | 2)
    assert not w.walk(0, "execute")
    assert w.walk(0, "execute", privileged=False)


# AP[2:0]: what (privileged, user) may do
RIGHTS = {0: ("", ""), 1: ("rw", ""), 2: ("rw", "r"), 3: ("rw", "rw"), 4: ("", ""), 5: ("r", ""), 6: ("r", "r"),
          7: ("r", "r")}


@pytest.mark.parametrize("ap", range(8))
@pytest.mark.parametrize("paged", [False, True])
def test_permissions(ap, paged):
    w = World()
    if paged:
        w.l1(0, L2 | 1)
        w.l2(0, 0x5000 | (ap >> 2) << 9 | (ap & 3) << 4 | 2)
    else:
        w.l1(0, (ap >> 2) << 15 | (ap & 3) << 10 | 2)
    for privileged in (True, False):
        rights = RIGHTS[ap][not privileged]
        for access, needed in (("read", "r"), ("write", "w"), ("execute", "r")):
            found = w.walk(0, access, privileged)
            if needed in rights:
                assert found
                assert (found.permissions.privileged, found.permissions.user) == RIGHTS[ap]
            else:
                assert (found.kind, found.status) == ("permission", 0x0F if paged else 0x0D)


def test_execute_never():
    w = World()
    w.l1(0, RW | 1 << 4 | 2)
    assert w.walk(0)
    assert w.walk(0, "execute").kind == "permission"


def test_no_access_domain_faults_and_manager_domain_asks_nothing():
    w = World(dacr=0b11 << 4 | 0b01 << 2)
    w.l1(0x000000, 0 << 5 | RW | 2)
    w.l1(0x100000, 1 << 5 | RW | 2)
    w.l1(0x200000, 2 << 5 | 0 | 1 << 4 | 2)
    assert (w.walk(0x000000).kind, w.walk(0x000000).status) == ("domain", 0x09)
    assert w.walk(0x100000)
    assert w.walk(0x200000, "execute", privileged=False)
    w.l1(0x000000, L2 | 1)
    w.l2(0x000000, PAGE_RW | 2)
    assert (w.walk(0x000000).kind, w.walk(0x000000).status) == ("domain", 0x0B)


def test_translation_faults_come_before_domain_faults():
    w = World(dacr=0)
    w.l1(0, L2 | 1)
    assert w.walk(0).kind == "translation"


def test_access_flag():
    w = World(sctlr=M | TRE | AFE)
    w.l1(0x000000, 0b10 << 10 | 2)
    w.l1(0x100000, 0b01 << 10 | 2)
    w.l1(0x200000, L2 | 1)
    w.l2(0x200000, 0b10 << 4 | 2)
    assert (w.walk(0x000000).kind, w.walk(0x000000).status) == ("access flag", 0x03)
    assert (w.walk(0x200000).kind, w.walk(0x200000).status) == ("access flag", 0x06)
    t = w.walk(0x100000)
    assert t
    assert t.permissions.privileged == "rw"


def test_tables_that_no_memory_answers_for():
    w = World()
    w.ram.fit([(0, 0x20000)])
    w.cp15.ttbr0 = 0x80000
    f = w.walk(0x100)
    assert (f.kind, f.level, f.status, f.fsr, f.descriptors) == ("external abort on walk", "section", 0x0C, 0x0C, ())
    w.cp15.ttbr0 = TTB
    w.l1(0, 0x80000 | 3 << 5 | 1)
    f = w.walk(0x100, "write")
    assert (f.kind, f.level, f.status, f.fsr) == ("external abort on walk", "page", 0x0E, 0x0E | 3 << 5 - 1 | 1 << 11)
    assert f.descriptors == ((TTB, 0x80000 | 3 << 5 | 1),)
    w.ram.fit([])
    assert w.walk(0x100).kind == "translation"


def test_fault_status_register():
    w = World()
    w.l1(0, 3 << 5 | 0b10 << 10 | 2)
    assert w.walk(0, "write", privileged=False).fsr == 0x0D | 3 << 4 | 1 << 11
    assert w.walk(0x100000, "execute").fsr == 0x05
    assert w.walk(0x100000, "read").fsr == 0x05
    w = World(id_mmfr0=0)
    assert w.walk(0x100000, "write").fsr == 0x05  # which access it was is told from ARMv6 on


@pytest.mark.parametrize("n", range(1, 8))
def test_ttbcr_splits_the_address_space(n):
    w = World(ttbcr=n, ttbr1=0x8000)
    boundary = 1 << 32 - n
    below, above = boundary - (1 << 20), boundary
    w.l1(below, 0x11100000 | RW | 2)
    w.l1(above, 0x22200000 | RW | 2, table=0x8000)
    assert w.walk(below + 1).pa == 0x11100001
    assert w.walk(above + 1).pa == 0x22200001


def test_a_split_ttbr0_table_is_smaller_and_aligned_less():
    w = World(ttbcr=7)
    w.cp15.ttbr0 = 0x4080 | 0x59  # 32 entries, aligned to 128 bytes; the low bits are attributes
    w.ram.write32(0x4080 & ~0x7F, 0x33300000 | RW | 2)
    assert w.walk(0x000FF).pa == 0x333000FF


def test_disabled_walks():
    w = World(ttbcr=1 | 1 << 5, ttbr1=0x8000)
    w.l1(0x80000000, RW | 2, table=0x8000)
    assert w.walk(0x80000000).kind == "translation"
    w = World(ttbcr=1 << 4)
    w.l1(0, RW | 2)
    assert w.walk(0).kind == "translation"


# n = TEX[0], C, B under the attributes Linux uses
REMAPPED = {0: ("strongly-ordered", "", ""), 1: ("normal", "non-cacheable", "non-cacheable"),
            2: ("normal", "write-through", "write-through"), 3: ("normal", "write-back", "write-back"),
            4: ("device", "", ""), 7: ("normal",) + ("write-back write-allocate",) * 2}


@pytest.mark.parametrize("n", REMAPPED)
@pytest.mark.parametrize("shared", [False, True])
def test_tex_remap(n, shared):
    m = memory_type(n | 0b11000, shared, TRE, PRRR, NMRR)  # TEX[2:1] do not count
    assert m[:3] == REMAPPED[n]
    assert m.shareable == (shared or n == 0)
    assert m.outer_shareable == (n == 0)


@pytest.mark.parametrize(("tex", "cb", "expected"), [
    (0, 0, ("strongly-ordered", "", "", True)), (0, 1, ("device", "", "", True)),
    (0, 2, ("normal", "write-through", "write-through", False)), (0, 3, ("normal", "write-back", "write-back", False)),
    (1, 0, ("normal", "non-cacheable", "non-cacheable", False)), (1, 1, ("reserved", "", "", False)),
    (1, 3, ("normal", "write-back write-allocate", "write-back write-allocate", False)),
    (2, 0, ("device", "", "", False)),
    (5, 2, ("normal", "write-through", "write-back write-allocate", False)),
])
def test_tex_without_remap(tex, cb, expected):
    assert memory_type(tex << 2 | cb, False, 0)[:4] == expected
