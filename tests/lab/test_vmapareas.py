"""The trees of vmap_area and what they point to, as a picture."""

import pytest

import bootsim
from bootsim.lab.session import Session
from bootsim.views import alive

PAGE = 4096


@pytest.fixture
def lab():
    return Session(bootsim.boot("vexpress.dts", config="3G/1G", mem="1G"), alive.text)


def boxes(drawing):
    return {box.key: box for column in drawing.columns for box in column}


def below(found, root):
    """The boxes of a tree, by rb_left and rb_right, in order; the depth of black nodes is the same everywhere."""
    def walk(key):
        if not key:
            return [], 1
        rows = found[key].rows
        sides = {row.text: row.to for row in rows}
        (left, depth), (right, same) = walk(sides.get("rb_left")), walk(sides.get("rb_right"))
        assert depth == same
        red = any(row.text == "rb_node red" for row in rows)
        return [*left, key, *right], depth + (not red)

    return walk(found[root].rows[0].to)[0]


def ranges(found, keys):
    return [found[key].rows[0].text for key in keys]


def test_nothing_is_taken_and_looking_takes_nothing(lab):
    found = boxes(lab.picture("vmalloc"))
    assert lab.k.mm.vmap is None
    assert below(found, "vmap_area_root") == []
    assert ranges(found, below(found, "free_vmap_area_root")) == ["va_start 0x00000001, va_end 0xffffffff"]


def test_trees_lists_and_structs_are_those_of_the_machine(lab):
    start = lab.k.mm.layout.VMALLOC_START
    vas = [lab.vmalloc(5 * PAGE), *[lab.ioremap(0x10009000, PAGE) for _ in range(6)], lab.module_alloc(PAGE)]
    lab.vfree(vas[0])
    found = boxes(lab.picture("vmalloc"))

    keys = below(found, "vmap_area_root")
    expected = sorted(vas[1:])
    assert ranges(found, keys) == [f"va_start {va:#010x}, va_end {va + 2 * PAGE:#010x}" for va in expected]
    after = [next((row.to for row in found[key].rows if row.text == "list.next"), None) for key in keys]
    assert after == [*keys[1:], None]
    structs = [found[found[key].rows[-1].to] for key in keys]
    assert [box.rows[0].text for box in structs] == [f"addr {va:#010x}, size {2 * PAGE:#x}" for va in expected]
    assert structs[0].rows[1].text == "flags VM_ALLOC"
    assert structs[0].rows[2].text == f"nr_pages 1, pages {lab.vmalloc_to_pfn(expected[0]):#x}"
    assert [row.text for row in structs[1].rows[1:3]] == ["flags VM_IOREMAP", "phys_addr 0x10009000"]

    # the range that vfree() gave back is in neither tree, but waits
    assert [row.text for row in found["purge"].rows] == [f"{start:#010x}-{start + 6 * PAGE:#010x}", "vmap_lazy_nr 6"]
    free = below(found, "free_vmap_area_root")
    assert len(free) == len(lab.k.mm.vmap.areas.free) == 3
    lab.vm_unmap_aliases()
    found = boxes(lab.picture("vmalloc"))
    assert found["purge"].rows[-1].text == "vmap_lazy_nr 0"
    given_back = f"va_end {start + 6 * PAGE:#010x}"
    assert any(given_back in text for text in ranges(found, below(found, "free_vmap_area_root")))
