"""mm/vmalloc.c: which addresses are taken and free, and the tree of free ranges, against the replay."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.linux.mm.vmalloc.areas import VmapAreas

FUNCTIONS = (
    "get_subtree_max_size", "__find_vmap_area", "find_va_links", "get_va_next_sibling", "link_va", "unlink_va",
    "augment_tree_propagate_from", "insert_vmap_area", "insert_vmap_area_augment", "merge_or_add_vmap_area",
    "is_within_this_va", "find_vmap_lowest_match", "classify_va_fit_type", "adjust_va_to_fit_type",
    "__alloc_vmap_area", "node_to_va", "pvm_find_va_enclose_addr", "pvm_determine_end_from_reverse",
    "pcpu_get_vm_areas",
)  # fmt: skip
HEADERS = {f"linux/{name}.h": f"include/linux/{name}.h" for name in ("rbtree", "rbtree_augmented")}
PAGE = 4096
START, END = 0xF0800000, 0xF0800000 + 400 * PAGE


@pytest.fixture(scope="module")
def theirs(compiled, taken_out, kernel_src, tmp_path_factory):
    functions = tmp_path_factory.mktemp("vmalloc") / "vmalloc-functions.h"
    functions.write_text(taken_out(kernel_src / "mm/vmalloc.c", FUNCTIONS))
    library = compiled("vmalloc.c", {"lib-rbtree.c": "lib/rbtree.c", "vmalloc-functions.h": functions, **HEADERS})
    library.host_take.restype = library.host_percpu.restype = ctypes.c_uint
    return library


def free_ranges(shape):
    """Of each node in order: start, end, largest below, starts of the children."""
    if shape is None:
        return []
    start, end, most, left, right = shape
    node = [start, end, most, left[0] if left else 0, right[0] if right else 0]
    return [*free_ranges(left), node, *free_ranges(right)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 40), st.sampled_from([0, 0, 0, 12, 13, 14, 16, 19]),
                  st.integers(0, 300), st.integers(100, 400)),
        st.tuples(st.just("give"), st.integers(0, 1 << 20)),
        st.tuples(st.just("give"), st.integers(0, 1 << 20)),
        st.tuples(st.just("percpu"), st.integers(1, 3), st.integers(1, 12), st.integers(0, 60),
                  st.sampled_from([0, 2])),
    ),
    max_size=150,
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(STEPS, st.booleans())
def test_every_range_is_the_kernels_and_so_is_the_tree(theirs, steps, whole):
    areas, held = VmapAreas([]), []
    theirs.host_begin(START, END)
    for what, *numbers in steps:
        if what == "take":
            pages, align, low, high = numbers
            bounds = (START, END) if whole else (START + low * PAGE, START + high * PAGE)
            size = pages * PAGE
            va = areas.take(size, 1 << align, *bounds)
            assert va == theirs.host_take(size, 1 << align, *bounds)
            if va != bounds[1]:
                areas.insert_busy(va, va + size)
                held.append(va)
        elif what == "give" and held:
            va = held.pop(numbers[0] % len(held))
            areas.give_back(va, 0)  # at once
            theirs.host_give(va)
        elif what == "percpu":
            groups, pages, gap, shift = numbers
            align = PAGE << shift
            sizes = [pages * align] * groups
            offsets = [(i * i + i) * (pages + gap) * align for i in range(groups)]
            if offsets[-1] + sizes[-1] > (END & -align) - (START + align - 1 & -align):
                continue
            row = ctypes.c_uint * groups
            base = areas.take_congruent(offsets, sizes, align, START, END)
            assert (base or 0) == theirs.host_percpu(row(*offsets), row(*sizes), groups, align)
            for offset, size in zip(offsets, sizes, strict=True) if base is not None else ():
                areas.insert_busy(base + offset, base + offset + size)
                held.append(base + offset)
        out = (ctypes.c_uint * 5000)()
        count = theirs.host_free(out)
        assert free_ranges(areas.shape()) == [list(out[5 * i:5 * i + 5]) for i in range(count)]
