"""Recordings, and the bitmap of a contiguous area."""

import pytest

from bootsim.errors import InputError
from bootsim.lab.recording import Recording
from bootsim.linux.mm.cma import Cma, bitmap_find_next_zero_area_off, cma_release


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        Recording(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"meta\.json"):
        Recording(tmp_path)


def test_the_search_for_clear_bits_keeps_alignment_and_skips_taken_ones():
    bits = bytearray(16)
    bits[3] = 1
    assert bitmap_find_next_zero_area_off(bits, 0, 3, 0, 0) == 0
    assert bitmap_find_next_zero_area_off(bits, 0, 4, 3, 0) == 4
    assert bitmap_find_next_zero_area_off(bits, 0, 13, 0, 0) is None


def test_a_range_beyond_the_area_is_not_its_own():
    area = Cma(0x1000, 16, 0, "area", bitmap=bytearray(b"\1" * 16))
    assert not cma_release(None, area, 0x100F, 2, free=False)
    assert cma_release(None, area, 0x1002, 4, free=False)
    assert area.set_bits == [[0, 2], [6, 10]]
