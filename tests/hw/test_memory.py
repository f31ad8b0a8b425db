import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.hw.memory import PhysicalAddressError, PhysicalMemory, keep_mappings
from bootsim.hw.mmu import Cp15, translate

TOP = 1 << 32


def test_untouched_memory_reads_as_zero():
    ram = PhysicalMemory()
    assert ram.read(0x60000000, 16) == bytes(16)
    assert ram.read32(0xFFFFFFFC) == 0


def test_words_are_little_endian():
    ram = PhysicalMemory()
    ram.write32(0x1000, 0x11223344)
    assert ram.read(0x1000, 4) == b"\x44\x33\x22\x11"
    ram.write(0xFFFFFFFC, b"\xd0\x0d\xfe\xed")
    assert ram.read32(0xFFFFFFFC) == 0xEDFE0DD0


def test_write_takes_any_buffer():
    ram = PhysicalMemory()
    ram.write(0x2001, memoryview(bytearray(b"abc")))
    assert ram.read(0x2000, 5) == b"\0abc\0"


def test_two_memories_are_apart():
    one, other = PhysicalMemory(), PhysicalMemory()
    one.write32(0x60000000, 7)
    assert other.read32(0x60000000) == 0


@pytest.mark.parametrize(("pa", "size"), [(TOP, 1), (TOP - 1, 2), (-4, 4), (0, TOP + 1)])
def test_ranges_outside_the_address_space_are_refused(pa, size):
    ram = PhysicalMemory()
    with pytest.raises(PhysicalAddressError, match="32-bit address space"):
        ram.read(pa, size)
    with pytest.raises(PhysicalAddressError):
        ram.zero(pa, size)


def test_an_empty_range_at_the_end_is_fine():
    assert PhysicalMemory().read(TOP, 0) == b""


@pytest.mark.parametrize("pa", [1, 2, 0x60000003])
def test_words_must_be_aligned(pa):
    ram = PhysicalMemory()
    with pytest.raises(PhysicalAddressError, match="aligned"):
        ram.read32(pa)
    with pytest.raises(PhysicalAddressError, match="aligned"):
        ram.write32(pa, 1)
    with pytest.raises(PhysicalAddressError, match="aligned"):
        ram.fill32(pa, 4, 1)


def test_a_word_must_fit_32_bits():
    with pytest.raises(OverflowError):
        PhysicalMemory().write32(0, TOP)


@given(st.integers(0, 3 * 4096), st.integers(0, 5 * 4096))
def test_zero_clears_its_range_and_nothing_else(start, size):
    ram, base, span = PhysicalMemory(), 0x60000000, 9 * 4096
    ram.write(base, b"\xff" * span)
    ram.zero(base + start, size)
    assert ram.read(base, span) == b"\xff" * start + bytes(size) + b"\xff" * (span - start - size)


@given(st.integers(0, 3 * 1024), st.integers(0, 5 * 1024), st.sampled_from([0, 1, 0xE7FDDEF1]))
def test_fill_writes_its_range_and_nothing_else(start, words, word):
    ram, base, span = PhysicalMemory(), 0x60000000, 9 * 4096
    ram.write(base, b"\xff" * span)
    ram.fill32(base + 4 * start, 4 * words, word)
    expected = b"\xff" * 4 * start + word.to_bytes(4, "little") * words
    assert ram.read(base, span) == expected + b"\xff" * (span - len(expected))


def resident_kib():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def test_it_costs_host_memory_only_where_touched():
    before = resident_kib()
    memories = [PhysicalMemory() for _ in range(8)]
    memories[0].zero(0, TOP)
    assert resident_kib() - before < 8192


@pytest.fixture
def keeping():
    keep_mappings(2)
    yield
    keep_mappings(0)


def mapped_spans():
    """How many mappings of at least 4 GiB this process has."""
    ranges = (line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines())
    return sum(int(end, 16) - int(start, 16) >= TOP for start, end in ranges)


def test_kept_memory_reads_as_zero(keeping):
    places = [0, 0x7000, *range(0x60000000, 0x70000000, 0x01234000), TOP - 8]
    for round_ in range(3):
        ram = PhysicalMemory()
        assert [ram.read32(pa) for pa in places] == [0] * len(places), round_
        for pa in places:
            ram.write32(pa, 0xDEADBEEF)
        del ram


def test_of_much_that_was_written_nothing_stays(keeping):
    size = 40 << 20
    ram = PhysicalMemory()
    ram.fill32(0x60000000, size, 0xE7FDDEF1)
    ram.write32(0xFFFF0000, 1)
    del ram
    again = PhysicalMemory()
    assert again.read(0x60000000, size) == bytes(size)
    assert again.read32(0xFFFF0000) == 0


def test_what_machines_long_gone_wrote_does_not_stay(keeping):
    one = bytes([1]) * (1 << 20)
    held = []
    for i in range(24):
        ram = PhysicalMemory()
        ram.write(0x60000000 + i * len(one), one)
        del ram
        held.append(resident_kib())
    assert max(held) - min(held) < 6 * 1024
    assert min(held[12:]) < min(held[:2]) + 2 * 1024  # the older places went back to the host, now and then


def test_no_more_is_kept_than_was_asked_for(keeping):
    before = mapped_spans()
    several = [PhysicalMemory() for _ in range(4)]
    assert mapped_spans() == before + 4
    del several
    assert mapped_spans() == before + 2
    ram = PhysicalMemory()
    assert mapped_spans() == before + 2
    del ram
    keep_mappings(0)
    assert mapped_spans() == before


def test_nothing_is_kept_unless_asked_for():
    before = mapped_spans()
    PhysicalMemory()
    assert mapped_spans() == before


@pytest.mark.parametrize("count", [-1, 17])
def test_a_number_of_mappings_that_cannot_be_kept(count):
    with pytest.raises(ValueError, match="expected 0 to 16"):
        keep_mappings(count)


def test_banks_that_pass_the_address_space_end_with_it():
    ram = PhysicalMemory()
    ram.fit([(0xFFFFFFFF_FFFFF000, 0xFFFFFFFF_FFFFFFFF), (0x4000, 1 << 70)])
    registers = Cp15(sctlr=1, ttbr0=0x8000, dacr=1)
    assert translate(ram, registers, 0).kind == "translation"
    ram.fit([(1 << 32, 1 << 70)])
    assert translate(ram, registers, 0).kind == "external abort on walk"


def test_where_memory_is_fitted_goes_with_a_copy():
    ram = PhysicalMemory()
    ram.fit([(0x4000, 0x1000)])
    for wrong in ([(-1, 2)], [(1, 2, 3)], 5):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            ram.fit(wrong)
    copied = copy.deepcopy(ram)
    ram.fit([])
    registers = Cp15(sctlr=1, ttbr0=0x8000, dacr=1)
    assert translate(copied, registers, 0).kind == "external abort on walk"
    assert translate(ram, registers, 0).kind == "translation"
