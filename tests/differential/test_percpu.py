"""mm/percpu.c: areas of one chunk against the replay."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.linux.mm.percpu.area import PcpuChunk, pcpu_alloc_area, pcpu_find_block_fit, pcpu_free_area

FUNCTIONS = (
    "pcpu_index_alloc_map", "pcpu_off_to_block_index", "pcpu_off_to_block_off", "pcpu_block_off_to_off",
    "pcpu_next_hint", "pcpu_next_md_free_region", "pcpu_next_fit_region", "pcpu_region_overlap", "pcpu_block_update",
    "pcpu_block_update_scan", "pcpu_chunk_refresh_hint", "pcpu_block_refresh_hint", "pcpu_block_update_hint_alloc",
    "pcpu_block_update_hint_free", "pcpu_find_block_fit", "pcpu_find_zero_area", "pcpu_alloc_area", "pcpu_free_area",
    "pcpu_init_md_block", "pcpu_init_md_blocks",
)  # fmt: skip
LOOPS = ("pcpu_for_each_md_free_region", "pcpu_for_each_fit_region")
FIELDS = ("scan_hint", "scan_hint_start", "contig_hint", "contig_hint_start", "left_free", "right_free", "first_free",
          "nr_bits")  # fmt: skip
START, SIZE = 0x4CC, 20 << 10


@pytest.fixture(scope="module")
def theirs(compiled, taken_out, kernel_src, tmp_path_factory):
    folder = tmp_path_factory.mktemp("percpu")
    (folder / "percpu-functions.h").write_text(taken_out(kernel_src / "mm/percpu.c", FUNCTIONS, LOOPS))
    return compiled("percpu.c", {"percpu-functions.h": folder / "percpu-functions.h"})


def differences(theirs, chunk):
    row = (ctypes.c_int * 8)()
    found = []
    for index in range(-1, chunk.nr_pages):
        theirs.host_block(index, row)
        block = chunk.chunk_md if index < 0 else chunk.md_blocks[index]
        found += [(index, f, getattr(block, f), real) for f, real in zip(FIELDS, row, strict=True)
                  if getattr(block, f) != real]  # fmt: skip
    if (theirs.host_empty_pages(), theirs.host_free_bytes()) != (chunk.nr_empty_pop_pages, chunk.free_bytes):
        found.append("totals")
    return found


SIZES = st.one_of(st.integers(1, 64), st.integers(1, 1024), st.integers(900, 3000))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("alloc"), SIZES, st.integers(0, 10)), st.tuples(st.just("free"), st.integers(0, 1 << 20))
    ),
    max_size=120,
)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_areas_of_a_chunk(theirs, steps):
    chunk = PcpuChunk(0xC0000000 + START, SIZE)
    theirs.host_begin(START, SIZE)
    assert differences(theirs, chunk) == []
    held = []
    for what, *numbers in steps:
        if what == "alloc":
            bits, align = numbers[0], 1 << numbers[1]
            start = pcpu_find_block_fit(chunk, bits, align)
            off = -2 if start < 0 else pcpu_alloc_area(chunk, bits, align, start)
            assert off == theirs.host_alloc(bits, align)
            held += [off] if off >= 0 else []
        elif held:
            off = held.pop(numbers[0] % len(held))
            assert pcpu_free_area(chunk, off) == theirs.host_free(off)
        assert differences(theirs, chunk) == []
