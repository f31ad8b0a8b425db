"""Sizes and ranges counted in pages (include/linux/mm.h, include/asm-generic/getorder.h)."""

import pytest

from bootsim.page import get_order, page_align, page_pieces


@pytest.mark.parametrize(("value", "aligned"), [
    (0, 0), (1, 0x1000), (0x1000, 0x1000), (0x60000FFF, 0x60001000), (0xFFFFF001, 1 << 32),
])
def test_a_page_begins_there_or_behind(value, aligned):
    assert page_align(value) == aligned


# the examples of getorder.h itself
@pytest.mark.parametrize(("size", "order"), [
    (1, 0), (4096, 0), (4097, 1), (2 * 4096, 1), (2 * 4096 + 1, 2), (4 * 4096 + 1, 3), (256 << 10, 6), (0, 20),
])
def test_the_order_of_a_size(size, order):
    assert get_order(size) == order


@pytest.mark.parametrize(("start", "size", "pieces"), [
    (0x1FFE, 3, [(0x1FFE, 2), (0x2000, 1)]),
    (0x1000, 0x2000, [(0x1000, 0x1000), (0x2000, 0x1000)]),
    (0x1800, 0x1000, [(0x1800, 0x800), (0x2000, 0x800)]),
    (0xFFFFFFF0, 16, [(0xFFFFFFF0, 16)]),
    (5, 0, []),
])
def test_a_range_is_cut_where_pages_end(start, size, pieces):
    assert list(page_pieces(start, size)) == pieces
