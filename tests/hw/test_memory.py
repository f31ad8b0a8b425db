from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.hw.memory import PhysicalAddressError, PhysicalMemory

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


def test_it_costs_host_memory_only_where_touched():
    def resident_kib():
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    before = resident_kib()
    memories = [PhysicalMemory() for _ in range(8)]
    memories[0].zero(0, TOP)
    assert resident_kib() - before < 8192
