"""malloc() of a program: when it asks for brk(), when for mmap(), and what free() gives back."""

import re
from itertools import pairwise

import pytest

from bootsim.errors import InputError

KIB = 1 << 10
PAGE = 4096


def calls(lab):
    """The system calls so far that got or gave memory."""
    texts = (record.text for record in lab.k.log.records)
    return [found[1] for text in texts if (found := re.search(r"process \d+: (brk|mmap|munmap)\((?!0\))", text))]


def test_many_small_pieces_take_one_brk(lab):
    p = lab.process()
    start = p.task.mm.start_brk
    given = [p.malloc(100) for _ in range(1000)]
    assert calls(lab) == ["brk"]
    assert p.task.mm.brk - start == 132 * KIB  # what glibc's first heap has
    assert given[0] == start + 0x190  # behind the cache of the thread
    assert {b - a for a, b in pairwise(given)} == {104}
    assert all(addr % 8 == 0 for addr in given)


@pytest.mark.parametrize(("size", "call"), [(128 * KIB - 12, "brk"), (128 * KIB - 11, "mmap"), (3 << 20, "mmap")])
def test_128_kib_decide(lab, size, call):
    p = lab.process()
    p.malloc(8)
    p.malloc(100 * KIB)  # so that the rest of the heap does not hold it
    before = calls(lab)
    addr = p.malloc(size)
    assert calls(lab)[len(before):] == [call]
    assert (addr % PAGE == 8) == (call == "mmap")
    p.write(addr, b"x" * 16)
    p.write(addr + size - 1)


def test_a_mapping_goes_back_at_once_and_moves_the_limit(lab):
    p = lab.process()
    addr = p.malloc(200 * KIB)
    p.free(addr)
    assert calls(lab)[-1] == "munmap"
    assert p.touch(addr) == "SIGSEGV"
    before = p.task.mm.brk
    again = p.malloc(200 * KIB)  # below the new limit: from the heap
    assert calls(lab)[-1] == "brk"
    assert p.task.mm.start_brk < again < p.task.mm.brk
    assert p.task.mm.brk > before


def test_the_end_of_the_heap_goes_back_when_much_is_free(lab):
    p = lab.process()
    pieces = [p.malloc(100 * KIB) for _ in range(5)]
    most = p.task.mm.brk
    p.free(pieces[0])  # in the middle: stays
    assert p.task.mm.brk == most
    for piece in reversed(pieces[1:]):
        p.free(piece)
    assert 128 * KIB <= p.task.mm.brk - pieces[1] <= 136 * KIB
    assert p.malloc(100 * KIB) == pieces[1]


def test_heaps_live_in_the_programs_memory(lab):
    """A copied machine and a child go on from the same heap, each for itself."""
    p = lab.process()
    p.malloc(100)
    child, second = p.fork(), lab.branch()
    expected = p.malloc(100)
    assert child.malloc(100) == expected
    assert second.ps()[0].malloc(100) == expected
    assert p.malloc(100) == expected + 104


def test_no_memory_is_0(lab):
    p = lab.process()
    p.setrlimit(2, PAGE)  # RLIMIT_DATA
    assert p.malloc(100) == 0
    q = lab.process()
    assert q.malloc(100) != 0
    assert q.malloc(3 << 30) == q.malloc((1 << 31) - 16) == 0


def test_wrong_calls_are_bad_input(lab):
    p = lab.process()
    for wrong in (p.free, lambda addr: p.free(p.task.mm.start_brk + addr)):
        with pytest.raises(InputError):
            wrong(0x1000)
    addr = p.malloc(100)
    for at in (addr + 8, 0, 0xC0000000, p.task.mm.start_brk, "x"):
        with pytest.raises(InputError):
            p.free(at)
    q = lab.process()
    q.brk(q.brk(0) + PAGE)
    with pytest.raises(InputError, match="break itself"):
        q.malloc(100)
    with pytest.raises(InputError):
        p.malloc(-(1 << 40))
