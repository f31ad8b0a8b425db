"""Ranges of kernel addresses against a list of pages: what is handed out was free, what is given back is free again.

Which of several holes is taken depends on the shape of a tree; recordings of real kernels (tests/lab) hold that.
"""

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.linux.mm.vmalloc.areas import VmapAreas

PAGE = 4096
START, END = 0x10000000, 0x10000000 + 256 * PAGE
EARLY = [(START + 100 * PAGE, START + 108 * PAGE)]


class Pages:
    """The slow, obvious model: one character a page. '.' free, '#' taken, '-' waiting."""

    def __init__(self):
        self.map = ["."] * 256
        self.set(*EARLY[0], "#")

    def set(self, start, end, what):
        for page in range((start - START) // PAGE, (end - START) // PAGE):
            self.map[page] = what

    def is_free(self, start, size):
        return all(self.map[page] == "." for page in range((start - START) // PAGE, (start - START + size) // PAGE))

    def lowest(self, pages):
        """The first page of the lowest hole that fits."""
        return next((at for at in range(257 - pages) if self.is_free(START + at * PAGE, pages * PAGE)), None)

    def purge(self):
        self.map = ["." if what == "-" else what for what in self.map]

    def runs(self, what):
        found = []
        for page, is_ in enumerate(self.map):
            at = START + page * PAGE
            if is_ != what:
                continue
            if found and found[-1][1] == at:
                found[-1][1] += PAGE
            else:
                found.append([at, at + PAGE])
        return found


STEPS = st.lists(st.tuples(st.sampled_from("tttggp"), st.integers(1, 24), st.sampled_from([1, 1, 1, 2, 4, 16])),
                 max_size=120)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.integers(4, 64))
def test_taken_was_free_and_given_back_is_free_again(steps, most):
    areas, pages, held = VmapAreas(EARLY), Pages(), []
    for what, count, align in steps:
        size = count * PAGE
        if what == "t":
            va = areas.take(size, align * PAGE if align > 1 else 1, START, END)
            if va == END:
                wide = pages.lowest(count + align - 1)  # the search takes size + align - 1 bytes
                assert wide is None or wide + count + align - 1 == 256  # the hole goes on past END
                continue
            assert va % (align * PAGE) == 0
            assert pages.is_free(va, size)
            if align == 1:
                assert va == START + pages.lowest(count) * PAGE
            areas.insert_busy(va, va + size)
            pages.set(va, va + size, "#")
            held.append((va, va + size))
        elif what == "g" and held:
            start, end = held.pop(count % len(held))
            areas.give_back(start + (count * 7 % (end - start)), most)
            pages.set(start, end, "-")
            if pages.map.count("-") > most:
                pages.purge()
        elif what == "p":
            assert areas.purge_now() == ("-" in pages.map)
            pages.purge()
        assert areas.busy == sorted([list(range_) for range_ in (*held, *EARLY)])
        assert areas.lazy_nr == pages.map.count("-") == sum(end - start for start, end in areas.purge) // PAGE
        inside = [[max(start, START), min(end, END)] for start, end in areas.free if start < END and end > START]
        assert inside == pages.runs(".")
    check_sizes(areas.shape())


def check_sizes(node):
    """Each node of the free tree knows the largest range below it; the largest of all."""
    if node is None:
        return 0
    start, end, most, left, right = node
    assert most == max(end - start, check_sizes(left), check_sizes(right))
    return most


def test_what_the_boot_took_is_taken_and_the_rest_is_free():
    areas = VmapAreas([(0xF8000000, 0xF8100000), (0xF9000000, 0xF9001000)])
    assert areas.free == [[1, 0xF8000000], [0xF8100000, 0xF9000000], [0xF9001000, 0xFFFFFFFF]]
    assert areas.find(0xF8000FFF) == (0xF8000000, 0xF8100000)
    assert areas.find(0xF8100000) is None


def test_the_newest_waits_first():
    areas = VmapAreas([])
    for at in range(3):
        start = areas.take(PAGE, 1, START, END)
        assert start == START + at * PAGE
        areas.insert_busy(start, start + PAGE)
    for at in (1, 0, 2):
        areas.give_back(START + at * PAGE, 100)
    assert [start for start, _ in areas.purge] == [START + 2 * PAGE, START, START + PAGE]
    assert areas.purge_now()
    assert not areas.purge_now()
    assert areas.free == [[1, 0xFFFFFFFF]]


def test_areas_of_every_processor_lie_apart_as_asked_and_as_high_as_may_be():
    areas = VmapAreas([(END - 8 * PAGE, END - 6 * PAGE)])
    offsets, sizes = [0, 16 * PAGE], [4 * PAGE, 4 * PAGE]
    base = areas.take_congruent(offsets, sizes, PAGE, START, END)
    assert base == END - 20 * PAGE  # the second ends where the area does
    assert areas.take_congruent([0], [2 * PAGE], PAGE, START, END) == END - 6 * PAGE
    assert areas.take_congruent(offsets, sizes, PAGE, START, END) == END - 28 * PAGE
    assert areas.take_congruent([0], [250 * PAGE], PAGE, START, END) is None
    with pytest.raises(ValueError, match="more asked for"):
        areas.take_congruent([0], [257 * PAGE], PAGE, START, END)


class Objects:
    """Gives numbers from 100 on; none while `empty`."""

    def __init__(self):
        self.empty = False
        self.held = set()

    def alloc(self, gfp):
        if self.empty:
            return 0
        number = max(self.held, default=99) + 1
        self.held.add(number)
        return number

    def free(self, number):
        self.held.remove(number)


def test_every_range_has_an_object_and_a_split_range_wants_one_more():
    objects = Objects()
    areas = VmapAreas([], objects)
    assert len(objects.held) == 1
    areas.preload_cpu(0xCC0, 0)
    va = objects.alloc(0xCC0)
    start = areas.take(PAGE, 1, START, END)  # out of the middle of the only hole
    areas.insert_busy(start, start + PAGE, va)
    assert areas.preload == {}
    assert len(objects.held) == 3
    objects.empty = True
    assert areas.take(PAGE, 64 * PAGE, START, END) == END  # no memory for the other half
    assert areas.take(PAGE, 1, START, END) == START + PAGE  # the left end of a hole: none needed
    areas.give_back(start, 0)
    assert len(objects.held) == 2 + len(areas.busy)  # merged with what lies below it


def test_a_copy_lives_on_its_own():
    areas = VmapAreas(EARLY)
    other = deepcopy(areas)
    before = other.free
    for _ in range(200):
        start = areas.take(PAGE, 1, START, END)
        areas.insert_busy(start, start + PAGE)
    assert other.free == before
    assert other.busy == [list(EARLY[0])]
