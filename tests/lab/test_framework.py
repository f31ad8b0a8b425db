"""The map of a whole machine: what it shows is the machine's, and its links are the course's topics."""

import re

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.lab.session import Session
from bootsim.views import alive


@pytest.fixture
def lab():
    return Session(bootsim.boot("vexpress.dts", mem="1G", smp=2), alive.text)


def boxes(drawing):
    return {box.key: box for column in drawing.columns for box in column}


def rows(drawing, key):
    return [row.text for row in boxes(drawing)[key].rows]


def test_every_arrow_leads_to_a_box(lab):
    p = lab.process()
    p.write(p.mmap(0, 4096), b"x")
    p.fork()
    lab.swapon("64M")
    drawing = lab.picture(lab.k)
    found = boxes(drawing)
    assert {row.to for box in found.values() for row in box.rows if row.to} <= {*found}
    assert sum(len(column) for column in drawing.columns) == len(found)


def test_numbers_are_those_of_the_machine(lab):
    before = lab.picture(lab.k)
    assert not [key for key in boxes(before) if key.startswith(("task", "mm "))]
    p = lab.process()
    addr = p.mmap(0, 40 * 4096)
    for page in range(40):
        p.write(addr + page * 4096, b"x")
    child = p.fork()
    va = lab.vmalloc(5000)
    lab.kmap(lab.alloc_page(lab.GFP_HIGHUSER))
    lab.cma_alloc(lab.cma_area(), 100, 0)
    now = lab.picture(lab.k)
    mm = p.task.mm
    assert f"pgd {mm.pgd_pa:#010x}" in rows(now, "mm 1")
    assert f"total_vm {mm.total_vm}, rss {sum(mm.rss)} pages" in rows(now, "mm 1")
    assert boxes(now)["vmas 1"].rows[0].text.startswith("00010000-00011000 r-xp ")
    assert f"{va:#010x}-{va + 0x3000:#010x}" in rows(now, "vmap")
    assert "pkmap: 1 windows" in rows(now, "vmap")
    assert "taken: 164" in rows(now, f"cma {lab.cma_area().base_pfn}")
    sizes = lab.k.mm.pgdat.lru.sizes()
    assert sizes["inactive_anon"] > 0
    assert f"inactive_anon {sizes['inactive_anon']}" in rows(now, "lru")
    shared = next(vma for vma in p.task.mm if vma.vm_start == addr)
    assert child.pfn(addr) == p.pfn(addr)
    assert rows(now, f"anon_vma {shared.anon_vma.id}")[0] == "rb_root: 2 VMAs"
    for zone in lab.k.zones[:2]:
        assert f"managed {zone['managed']}, free {zone['nr_free_pages']}" in rows(now, f"zone {zone['name']}")
    # lowmem and the tree in sections; two words each for pkmap, fixmap and vectors
    assert f"6 tables, {768 + 2} sections" in rows(before, "pgd 0")


def test_links_are_topics(lab, tmp_path):
    lab.process()
    lab.picture(lab.k).save(tmp_path / "a.svg", links="../course.md")
    text = (tmp_path / "a.svg").read_text()
    links = re.findall(r'<a href="\.\./course\.md#topic-(\d+)"><text [^>]*>[^<]*\[(\d+)\]</text></a>', text)
    assert len(links) == text.count("<a ") > 40
    assert all(topic == shown for topic, shown in links)
    lab.picture(lab.k).save(tmp_path / "b.svg")
    assert "<a " not in (tmp_path / "b.svg").read_text()


@pytest.mark.parametrize("allocator", ["slab", "slub", "slob"])
def test_every_allocator_has_a_map(allocator):
    lab = Session(bootsim.boot("vexpress.dts", mem="64M", slab=allocator), alive.text)
    assert "slab" in boxes(lab.picture(lab.k))


def test_another_machine_is_bad_input(lab):
    with pytest.raises(InputError, match="picture"):
        lab.picture(lab.branch().k)
