"""From a page to everybody who maps it, as a picture."""

from xml.etree import ElementTree

PAGE = 4096


def boxes(drawing, kind):
    return {box.key: box for column in drawing.columns for box in column if box.title.startswith(f"struct {kind}")}


def targets(box):
    return [row.to for row in box.rows if row.to]


def test_generations_share_an_anonymous_page(lab, tmp_path):
    """The tree of the page's anon_vma has a VMA of each process; each generation has an anon_vma of its own."""
    first = lab.process()
    addr = first.mmap(0, 4 * PAGE)
    first.write(addr)
    second = first.fork()
    third = second.fork()
    drawing = lab.picture(lab.k.page(first.pfn(addr)))
    page, homes = boxes(drawing, "page")["page"], boxes(drawing, "anon_vma ")
    assert page.rows[0].text == "_refcount 4, _mapcount 2"  # the third reference is an LRU vector's
    assert targets(page) == ["home"]
    assert [len(targets(box)) for box in homes.values()] == [3, 2, 1]
    links = boxes(drawing, "anon_vma_chain")
    assert len(links) == 6
    assert {key for box in homes.values() for key in targets(box)} == set(links)
    for key, home in homes.items():  # a chain points to its VMA, and back to its anon_vma
        assert all(targets(links[link])[1] == key for link in targets(home))
    vmas, spaces = boxes(drawing, "vm_area_struct"), boxes(drawing, "mm_struct")
    assert {targets(box)[0] for box in links.values()} == set(vmas)
    assert [targets(box) for box in vmas.values()] == [[key] for key in spaces]
    assert [box.title.split()[4] for box in spaces.values()] == [f"{p.pid}," for p in (first, second, third)]
    for box in spaces.values():
        assert box.rows[1].text.startswith(f"entry of {int(addr):#010x}")
        assert box.rows[1].text.endswith("this page")
    drawing.save(tmp_path / "a.svg")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


def test_a_child_that_has_written_shows_another_frame(lab):
    parent = lab.process()
    addr = parent.mmap(0, PAGE)
    parent.write(addr)
    child = parent.fork()
    child.write(addr)
    of_parent = boxes(lab.picture(lab.k.page(parent.pfn(addr))), "mm_struct")
    assert [box.rows[1].text.partition(", ")[2] for box in of_parent.values()] == [
        "this page", f"another frame, {child.pfn(addr):#x}"]
    of_child = boxes(lab.picture(lab.k.page(child.pfn(addr))), "mm_struct")
    assert list(of_child) == [f"mm {child.pid}"]  # the parent is in no tree of a page that the child has made


def test_a_page_of_a_file_leads_through_its_address_space(lab, tmp_path):
    (tmp_path / "data").write_bytes(bytes(3 * PAGE))
    found = []
    for flags, offset in ((lab.MAP_SHARED, 0), (lab.MAP_PRIVATE, PAGE)):
        p = lab.process()
        addr = p.mmap(0, 2 * PAGE, lab.PROT_READ, flags, p.open(tmp_path / "data"), offset)
        assert p.read(addr + PAGE - offset) == b"\0"
        found.append((p, addr + PAGE - offset))
    (p, addr), (q, other) = found
    drawing = lab.picture(lab.k.page(p.pfn(addr)))
    space = boxes(drawing, "address_space")["home"]
    assert targets(boxes(drawing, "page")["page"]) == ["home"]
    assert targets(space) == list(boxes(drawing, "vm_area_struct"))
    assert [box.rows[1].text.split(",")[0].split(":")[0] for box in boxes(drawing, "mm_struct").values()] == [
        f"entry of {int(addr):#010x}", f"entry of {int(other):#010x}"]
    assert q.pfn(other) == p.pfn(addr)
    assert not boxes(drawing, "anon_vma")


def test_many_processes_are_told_by_number(lab):
    p = lab.process()
    addr = p.mmap(0, PAGE)
    p.write(addr)
    for _ in range(10):
        p.fork()
    drawing = lab.picture(lab.k.page(p.pfn(addr)))
    assert len(boxes(drawing, "mm_struct")) == 8
    assert boxes(drawing, "anon_vma ")["home"].rows[-1].text == "... 3 more"


def test_an_unmapped_page_stands_alone(lab):
    page = lab.alloc_page(lab.GFP_KERNEL)
    assert [row.text for row in lab.picture(page).columns[0][0].rows] == ["_refcount 1, _mapcount -1", "mapping NULL"]
    assert len(lab.picture(page).columns) == 1


def test_a_picture_of_a_copied_machine_is_of_that_machine(lab):
    p = lab.process()
    addr = p.mmap(0, PAGE)
    p.write(addr)
    second = lab.branch()
    p.fork()
    pfn = p.pfn(addr)
    assert len(boxes(lab.picture(lab.k.page(pfn)), "mm_struct")) == 2
    assert len(boxes(second.picture(second.k.page(pfn)), "mm_struct")) == 1


def test_a_process_may_show_a_page_twice(lab, tmp_path):
    """Each entry stands in the box of its own process, whoever is between them in the tree."""
    (tmp_path / "data").write_bytes(bytes(PAGE))
    p, q = lab.process(), lab.process()
    addrs = []
    for who in (p, q, p):
        addrs.append((who, who.mmap(0, PAGE, lab.PROT_READ, lab.MAP_SHARED, who.open(tmp_path / "data"))))
        who.read(addrs[-1][1])
    found = boxes(lab.picture(lab.k.page(q.pfn(addrs[1][1]))), "mm_struct")
    for who in (p, q):
        entries = [row.text for row in found[f"mm {who.pid}"].rows[1:]]
        assert [text.split(":")[0] for text in entries] == [
            f"entry of {int(addr):#010x}" for owner, addr in addrs if owner is who]
        assert all(text.endswith("this page") for text in entries)
