"""The surroundings of shell and scripts: functions bound to a machine, who holds what, back and branch."""

import importlib
import re
from xml.etree import ElementTree

import pytest

import bootsim
from bootsim.errors import BootsimError, InputError
from bootsim.inputs.configfile import load_build
from bootsim.lab import names
from bootsim.lab.effects import effects
from bootsim.lab.picture import free_by_block, memory_map
from bootsim.lab.prompt import Prompt
from bootsim.lab.session import Session
from bootsim.linux.mm import page_alloc as pa
from bootsim.state import directory
from bootsim.state.snapshot import Stage
from bootsim.views import alive, catalog
from bootsim.views.held import DirectoryState


@pytest.fixture
def lab():
    return Session(bootsim.boot("vexpress.dts", mem="256M", smp=2, cmdline="cma=16M"), alive.text)


@pytest.fixture
def slab():
    build = load_build("3G/1G")
    config = build.config.replace(SLUB=False, SLAB=True, SLAB_FREELIST_RANDOM=False, MEMCG_KMEM=True)
    return Session(bootsim.boot("vexpress.dts", build.replace(config=config), mem="128M"), alive.text)


def typed(lab, *lines):
    """Run lines as the prompt does."""
    bare = lab.bare if lab.bare is not None else lab.names()
    for line in lines:
        lab.remember()
        exec(line, bare)
    return bare


def test_what_is_listed_is_there(lab):
    for module, listed in names.FUNCTIONS.items():
        for name in listed:
            assert callable(getattr(importlib.import_module(module), name))
            assert name in lab.names()
    assert lab.names()["GFP_KERNEL"] == pa.GFP_KERNEL


def test_every_flag_of_gfp_h_is_at_hand(lab):
    bits = """DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO ATOMIC DIRECT_RECLAIM KSWAPD_RECLAIM WRITE NOWARN
        RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP NOMEMALLOC HARDWALL THISNODE ACCOUNT""".split()  # noqa: SIM905
    assert [lab.names()[f"__GFP_{name}"] for name in bits] == [1 << i for i in range(23)]
    sets = """ATOMIC KERNEL KERNEL_ACCOUNT NOWAIT NOIO NOFS USER DMA DMA32 HIGHUSER HIGHUSER_MOVABLE TRANSHUGE_LIGHT
        TRANSHUGE""".split()  # noqa: SIM905
    assert {f"GFP_{name}" for name in sets} <= lab.names().keys()
    assert lab.names()["__GFP_NOLOCKDEP"] == 0
    assert lab.names()["__GFP_RECLAIM"] == lab.names()["__GFP_DIRECT_RECLAIM"] | lab.names()["__GFP_KSWAPD_RECLAIM"]
    assert lab.names()["k"] is lab.k


def test_a_call_is_told_in_the_log(lab):
    page = lab.alloc_pages(lab.GFP_KERNEL | lab.__GFP_COMP, 2)
    assert lab.k.log.records[-1].text == f"bootsim: alloc_pages(GFP_KERNEL|__GFP_COMP, 2) = page {page.pfn:#x}"
    assert lab.k.log.records[-1].func == "alloc_pages"


def test_arguments_that_do_not_fit_are_bad_input(lab):
    with pytest.raises(InputError, match=r"alloc_pages\(\)"):
        lab.alloc_pages("x", 2)
    with pytest.raises(InputError, match=r"alloc_pages\(\)"):
        lab.alloc_pages(lab.GFP_KERNEL, -1)
    with pytest.raises(AttributeError, match="alloc_pages"):
        lab.alloc_page_typo  # noqa: B018


def test_a_zone_has_a_name_and_a_number(lab):
    assert lab.fragmentation_index("Normal", 3) == lab.fragmentation_index(0, 3)
    assert lab.k.log.records[-2].text == "bootsim: fragmentation_index(0, 3) = -1000"
    with pytest.raises(InputError, match=r"no zone 'High'; there are: Normal, HighMem, Movable"):
        lab.fragmentation_index("High", 3)


def test_flags_of_an_area_are_none_of_a_request(lab):
    lab.vmap([lab.alloc_page(lab.GFP_KERNEL)], 1, lab.VM_MAP, lab.PAGE_KERNEL())
    assert f", 1, {lab.VM_MAP}, " in lab.k.log.records[-1].text


def test_names_that_are_no_text_are_bad_input(lab):
    for call in (lab.cat, lab.sysctl):
        with pytest.raises(InputError, match="5 is no name"):
            call(5)


def test_a_picture_is_svg_and_whole(lab, tmp_path):
    with pytest.raises(InputError, match=r"\.svg"):
        lab.picture().save(tmp_path / "a.png")
    lab.picture().save(tmp_path / "a.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def test_who_holds_pages(lab):
    first = lab.alloc_pages(lab.GFP_KERNEL, 1)
    second = lab.alloc_pages(lab.GFP_KERNEL, 0)
    assert [held.pfn for held in lab.holders()] == [first.pfn, second.pfn]
    assert all("test_session.py" in held.place and "test_who_holds_pages" in held.place for held in lab.holders())
    lab.__free_pages(first, 1)
    assert [held.pfn for held in lab.holders()] == [second.pfn]
    third = lab.alloc_pages(lab.GFP_KERNEL, 1)
    assert [held.pfn for held in lab.holders()] == [second.pfn, third.pfn]
    assert "alloc_pages(GFP_KERNEL, 0)" in lab.kmem(second.pa)


def test_who_owns_an_address(lab):
    k = lab.k
    area = lab.cma_area()
    assert "contiguous area" in lab.kmem(area.base_pfn << 12)
    taken = next(h for h in k.owners.claims() if h.purpose.what == "mem_map of node 0")
    assert "mem_map of node 0" in lab.kmem(taken.base)
    assert f"pa {taken.base:#010x}" in lab.kmem(k.phys_to_virt(taken.base))
    assert "no RAM" in lab.kmem(0x10000000)
    for wrong in (0xFF000000, -1, 1 << 32, "x"):
        with pytest.raises(InputError, match="kmem"):
            lab.kmem(wrong)


def test_another_processor_has_lists_of_its_own(lab):
    lab.drain_all_pages()
    with lab.cpu(1):
        lab.alloc_pages(lab.GFP_KERNEL, 0)
    first, second = lab.k.zone("Normal").pcp[:2]
    assert (first["count"], second["count"]) == (0, second["batch"] - 1)
    assert lab.k.mm.pgdat.cpu == 0
    with pytest.raises(InputError, match="2 processors run"), lab.cpu(2):
        pass


def test_back_undoes_lines(lab):
    before = lab.k.zones
    bare = typed(lab, "a = alloc_pages(GFP_KERNEL, 3)", "b = alloc_pages(GFP_KERNEL, 0)")
    assert len(bare["holders"]()) == 2
    typed(lab, "back()")
    assert "b" not in bare
    assert [held.pfn for held in lab.holders()] == [bare["a"].pfn]
    assert bare["a"]._k is lab.k
    typed(lab, "back()")
    assert "a" not in bare
    assert lab.k.zones == before
    assert bare["k"] is lab.k
    with pytest.raises(InputError, match="no line to undo"):
        typed(lab, "back()")
    typed(lab, "c = alloc_pages(GFP_KERNEL, 3)")
    assert "c" in bare


def test_back_is_of_prompts(lab):
    with pytest.raises(InputError, match=r"branch\(\)"):
        lab.back()


def test_the_past_is_bounded(lab):
    bare = typed(lab, *[f"x = {i}" for i in range(40)], *["back()"] * 32)
    assert bare["x"] == 7
    for _ in range(2):
        with pytest.raises(InputError, match="no line to undo"):
            typed(lab, "back()")
    assert bare["x"] == 7


def test_a_branch_is_a_machine_of_its_own(lab):
    page = lab.alloc_pages(lab.GFP_KERNEL, 0)
    other = lab.branch()
    other.__free_pages(page, 0)
    assert other.holders() == []
    assert [held.pfn for held in lab.holders()] == [page.pfn]
    assert page.refcount == 1
    assert other.k is not lab.k


def test_views_of_the_machine_as_it_is_now(lab):
    before = lab.cat("/proc/buddyinfo")
    assert lab.cat("buddyinfo") == before
    lab.alloc_pages(lab.GFP_KERNEL, 10)
    assert lab.cat("/proc/buddyinfo") != before
    assert repr(before) == str(before)
    assert "PAGE DIRECTORY" in lab.vtop(0xC0008000)
    for wrong in ("nothing", "vtop"):
        with pytest.raises(InputError, match="no view"):
            lab.cat(wrong)


def test_what_a_view_leaves_out_is_told_once(lab):
    for _ in range(2):
        assert "nr_free_pages" in lab.cat("/proc/vmstat")
    assert sum(record.text.startswith("bootsim: vmstat: not counted") for record in lab.k.log.records) == 1


def test_what_a_line_did(lab):
    before = lab.k.copy()
    lab.alloc_pages(lab.GFP_KERNEL, 10)
    lab.cma_alloc(lab.cma_area(), 256, 0)
    told = list(effects(before, lab.k))
    assert any(line.startswith("Normal: free blocks: ") and "order 10 -" in line for line in told)
    assert any("contiguous area" in line and "64 -> 320" in line for line in told)
    assert list(effects(lab.k, lab.k.copy())) == []


def test_the_picture_has_every_pageblock(lab):
    blocks = sum(-(-zone["spanned"] // 1024) for zone in lab.k.zones if zone["present"])
    assert memory_map(lab.k).count("<title>") == blocks
    listed = sum(area["nr_free"] << o for zone in lab.k.zones for o, area in enumerate(zone["free_area"]))
    assert sum(free_by_block(lab.k).values()) == listed
    for zone in lab.k.zones:  # a processor keeps up to 125 pages of a zone's count to itself (mm/vmstat.c)
        listed = sum(area["nr_free"] << o for o, area in enumerate(zone["free_area"]))
        assert abs(listed - zone["nr_free_pages"]) <= 2 * 125


def test_a_notebook_boots_with_a_line():
    class Notebook:
        def register_magic_function(self, function, kind, name):
            self.function, self.kind, self.name = function, kind, name

        def push(self, names):
            self.names = names

    notebook = Notebook()
    bootsim.load_ipython_extension(notebook)
    assert (notebook.kind, notebook.name) == ("line", "bootsim")
    lab = notebook.function("vexpress.dts --mem 128M")
    assert notebook.names["k"] is lab.k
    assert lab.k.machine.banks == [(0x60000000, 128 << 20)]
    assert lab._repr_html_().startswith("<svg")
    with pytest.raises(InputError, match="--nonsense"):
        notebook.function("vexpress.dts --nonsense")


def test_who_holds_objects(lab):
    one = lab.kmalloc(100, lab.GFP_KERNEL)
    other = lab.kmalloc(100, lab.GFP_KERNEL)
    assert [held.va for held in lab.holders()] == [one, other]
    told = lab.kmem(one + 8)
    assert "kmalloc-128" in told
    assert "test_who_holds_objects: kmalloc(100, GFP_KERNEL)" in told
    assert told.count("held since") == 1
    lab.kfree(one)
    assert [held.va for held in lab.holders()] == [other]
    assert "held since" not in lab.kmem(one)
    grown = lab.krealloc(other, 1000, lab.GFP_KERNEL)
    assert [held.va for held in lab.holders()] == [grown]


def test_caches_by_name(lab):
    with pytest.raises(InputError, match="there are: kmem_cache, kmem_cache_node, kmalloc-64, "):
        lab.cache("mine")
    made = lab.kmem_cache_create("mine", 3000, 0, lab.SLAB_HWCACHE_ALIGN)
    assert lab.cache("mine") is made
    twin = lab.branch()
    assert twin.cache("mine") is not made
    va = lab.kmem_cache_alloc(made, lab.GFP_KERNEL)
    assert twin.kmem_cache_alloc(twin.cache("mine"), lab.GFP_KERNEL) == va


def test_per_cpu_areas_are_held_too(lab):
    ptr = lab.__alloc_percpu(16, 8)
    assert [held.call for held in lab.holders()] == ["__alloc_percpu(16, 8)"]
    lab.free_percpu(ptr)
    assert lab.holders() == []


def test_pages_by_address_and_by_frame(lab):
    va = lab.__get_free_pages(lab.GFP_KERNEL, 1)
    assert [(held.va, held.pfn) for held in lab.holders()] == [(va, lab.virt_to_pfn(va))]
    assert "__get_free_pages(GFP_KERNEL, 1)" in lab.kmem(va + 8)
    lab.free_pages(va, 1)
    assert lab.holders() == []
    page = lab.alloc_page(lab.GFP_KERNEL)
    lab.__free_page(page.pfn)  # a frame's number will do
    assert lab.holders() == []
    assert lab.k.log.records[-1].text == f"bootsim: __free_page(page {page.pfn:#x}) = None"


def test_windows_of_high_pages_are_listed():
    lab = Session(bootsim.boot("vexpress.dts", mem="1G", config="3G/1G"), alive.text)
    assert lab.pkmap() == "no page of high memory has been mapped yet"
    one, two = (lab.alloc_page(lab.GFP_HIGHUSER) for _ in range(2))
    va = lab.kmap(one)
    lab.kmap(two)
    lab.kunmap(two)
    first, second, rest = lab.pkmap().splitlines()
    assert first == f"{va:#010x}  page {one.pfn:#x}  pkmap_count 2"
    assert second == f"{va + 4096:#010x}  page {two.pfn:#x}  pkmap_count 1, unused"
    assert rest == "510 of 512 windows are free, last taken: 2"


def test_a_module_that_is_no_file_is_bad_input(tmp_path):
    lab = Session(bootsim.boot("vexpress.dts", mem="64M", config="3G/1G"), alive.text)
    with pytest.raises(InputError, match=r"insmod: .*nothing"):
        lab.insmod(tmp_path / "nothing.ko")
    (tmp_path / "x.ko").write_bytes(b"no module")
    with pytest.raises(InputError, match=r"x\.ko: no module"):
        lab.insmod(tmp_path / "x.ko")


def test_kernel_addresses_have_holders():
    lab = Session(bootsim.boot("vexpress.dts", mem="64M", config="3G/1G"), alive.text)
    va = lab.vmalloc(5000)
    assert [held.va for held in lab.holders()] == [va]
    lab.vfree(va)
    assert lab.holders() == []


def test_a_forgotten_flush_at_the_prompt(lab):
    lab.tlb(8, 2)
    va = lab.vmalloc(4096)
    assert lab.store(va, 0x1234) is None
    assert lab.load(va) == 0x1234
    lab.vfree(va)
    with lab.without_flushes():
        lab.vm_unmap_aliases()
    assert lab.load(va) == 0x1234  # the page is another's by now
    assert "2 forgotten" in lab.tlb()  # its page and the guard page
    lab.vmalloc(4096)
    lab.vfree(va)
    lab.vm_unmap_aliases()
    assert not isinstance(lab.load(va), int)
    assert "translation fault" in lab.k.log.records[-1].text
    assert lab.tlb().startswith("4 sets of 2, ")
    assert lab.tlb("cortex-a15").startswith("128 sets of 4, 0 entries")
    assert lab.tlb("cortex-a9").startswith("64 sets of 2, 0 entries")


def test_flushes_of_a_process_at_the_prompt(lab):
    p = lab.process()
    at = p.mmap(0, 3 * 4096)
    for page in range(3):
        p.write(at + page * 4096, b"x")
    lab.switch_to(p)
    tlb, cp15 = lab.k.machine.main_tlb(), lab.k.cpus[0].cp15

    for flush, left in ((lambda: lab.flush_tlb_page(p, at + 5), [1, 2]), (lambda: lab.flush_tlb_mm(p), []),
                        (lambda: lab.flush_tlb_range(p, at + 4096, at + 3 * 4096), [0]),
                        (lambda: lab.flush_tlb_range(p, at, 1 << 40), [])):
        for page in range(3):
            lab.load(at + page * 4096, privileged=False)
        flush()
        assert [page for page in range(3) if tlb.holds(cp15, at + page * 4096)] == left
    with pytest.raises(InputError, match="5 is no process"):
        lab.flush_tlb_mm(5)


def test_areas_for_percpu_memory_at_the_prompt(lab):
    low, high = lab.pcpu_get_vm_areas([0, 0x40000], [0x8000, 0x8000], 0x1000)
    assert high.addr - low.addr == 0x40000
    assert high.addr + high.size == 0xFF800000  # from the top
    lab.pcpu_free_vm_areas([low, high])
    free = lab.k.zones
    for wrong in (([0], [1], 4096), ([], [], 4096), ([0, 0x4000], [0x8000, 0x8000], 4096), ([0], [4096], 3)):
        with pytest.raises(InputError):
            lab.pcpu_get_vm_areas(*wrong)
    assert lab.pcpu_get_vm_areas([0], [1 << 31], 4096) is None  # a warning, as there
    assert lab.k.zones == free  # nothing is kept of what is refused


def test_addresses_and_sizes_the_tlb_refuses(lab):
    for wrong in (lambda: lab.load(0xFFFFFFFE), lambda: lab.load(1 << 32), lambda: lab.load("0xc0000000"),
                  lambda: lab.load(0xC0000000, 3), lambda: lab.store(0xC0000000, 256, 1), lambda: lab.fetch(2),
                  lambda: lab.abort(5),
                  lambda: lab.store(0xC0000000, -1), lambda: lab.store(0xC0000000, "1"), lambda: lab.tlb(7, 2),
                  lambda: lab.tlb("many")):
        with pytest.raises(InputError):
            wrong()


@pytest.mark.parametrize("allocator", ["SLUB", "SLAB", "SLOB"])
def test_an_address_within_an_object_is_told_with_its_object(allocator):
    build = load_build("3G/1G")
    kinds = {"SLUB": False, "SLAB": False, "SLOB": False, allocator: True}
    k = bootsim.boot("vexpress.dts", mem="256M", config=build.replace(config=build.config.replace(**kinds)))
    lab = Session(k, alive.text)
    before, va = (lab.kmalloc(200, lab.GFP_KERNEL) for _ in range(2))
    told = lab.kmem(va + 100)
    if allocator == "SLOB":
        assert "slob" in told.lower()
        return
    assert "in use" in told
    number = {"SLUB": r"object (\d+) of \d+ in slab", "SLAB": r"cache kmalloc-256, (\d+) of \d+ in slab"}[allocator]
    first, second = (int(re.search(number, lab.kmem(at))[1]) for at in (before, va + 100))
    assert second - first == (va - before) // 256  # of one slab, in either order
    lab.kfree(va)
    assert "free" in lab.kmem(va + 100)


def boxes(drawing):
    return {box.key: box for column in drawing.columns for box in column}


def test_a_picture_of_the_node_has_every_list():
    lab = Session(bootsim.boot("vexpress.dts", mem="1G"), alive.text)
    drawing = lab.picture()
    found = boxes(drawing)
    assert [row.to for row in found["pgdat"].rows[:3]] == ["Normal", "HighMem", ""]
    for zone in lab.k.zones:
        for order, area in enumerate(zone["free_area"]):
            key = f"{zone['name']} {order}"
            assert (key in found) == bool(area["nr_free"])
            if area["nr_free"]:
                assert found[key].rows[0].text == f"nr_free {area['nr_free']}"
                pages = [found[row.to].rows[0].text for row in found[key].rows[1:]]
                assert [text.split()[1] for text in pages] == [f"{pfns[0]:#x}" for pfns in area["lists"] if pfns]
    assert set(boxes(lab.picture("HighMem"))) < set(found)
    assert "free_area[10] of Normal" in repr(drawing)


def test_zoneinfo_and_mem_info_agree_on_boosted_watermarks(tmp_path):
    lab = Session(bootsim.boot("vexpress.dts", mem="64M"), alive.text)

    def marks():
        words = str(lab.cat("/proc/zoneinfo")).partition("Node 0, zone  HighMem")[0].split()
        return [int(words[words.index(name) + 1]) for name in ("min", "low", "high")]

    before = marks()
    while lab.alloc_pages(lab.GFP_KERNEL | lab.__GFP_NORETRY | lab.__GFP_NOWARN):
        pass  # stealing pageblocks of movable pages boosts the watermarks by one pageblock
    boosted = marks()
    assert boosted == [mark + 1024 for mark in before]
    assert lab.alloc_pages(lab.GFP_KERNEL | lab.__GFP_NORETRY) is None
    told = next(r.text for r in lab.k.log.records if r.text.startswith("Normal free:"))
    assert [int(re.search(rf"{name}:(\d+)kB", told)[1]) // 4 for name in ("min", "low", "high")] == boosted
    directory.write(tmp_path / "s", [Stage("end", {"zones": lab.k.zones}, None, None)], dtb=b"", dmesg="", meta={})
    of_files = DirectoryState(directory.StateDirectory(tmp_path / "s"), "end", lab.k.build)
    assert f"        min      {boosted[0]}" in list(catalog.find("zoneinfo").lines(of_files))


@pytest.mark.parametrize("allocator", ["slub", "slab", "slob"])
def test_an_object_is_of_its_cache_but_with_slob(allocator):
    lab = Session(bootsim.boot("vexpress.dts", slab=allocator, mem="128M"), alive.text)
    va = lab.kmalloc(200, lab.GFP_KERNEL)
    told = lab.kmem(va)
    assert ("slab of <KmemCache kmalloc-256" in told) == (allocator != "slob")
    assert ("in SLOB page" in told) == (allocator == "slob")
    assert "kmem_cache" not in told
    pfn = lab.k.virt_to_phys(va) >> 12
    assert (pfn, 1, "" if allocator == "slob" else "kmalloc-256") in lab.k.mm.slab.slabs()


@pytest.mark.parametrize("allocator", ["slub", "slab", "slob"])
def test_a_picture_of_a_cache_leads_to_its_slabs(allocator, tmp_path):
    lab = Session(bootsim.boot("vexpress.dts", slab=allocator, mem="128M", smp=2), alive.text)
    name = "kmalloc-256"
    vas = [lab.kmalloc(200, lab.GFP_KERNEL) for _ in range(40)]
    with lab.cpu(1):
        vas.append(lab.kmalloc(200, lab.GFP_KERNEL))
    drawing = lab.picture(name)
    found = boxes(drawing)
    targets = [row.to for box in found.values() for row in box.rows if row.to]
    assert set(targets) <= set(found)
    roots = {"pgdat", "cache", "free_slob_small", "free_slob_medium", "free_slob_large"}
    assert set(found) - set(targets) <= roots  # each box is pointed to
    pfns = {lab.k.virt_to_phys(va) >> 12 for va in vas}
    assert any(f"pfn {pfn:#x}" in box.title for pfn in pfns for box in found.values())
    if allocator != "slob":
        assert {"cpu 0", "cpu 1", "node"} <= set(found)
    drawing.save(tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert root.tag.endswith("svg")
    titles = [e.text for e in root.iter() if e.get("class") == "d-title"]
    assert sorted(titles) == sorted(box.title for box in found.values())
    assert sum(e.get("class") == "d-arrow" for e in root.iter()) == len(targets)
    width, height = (float(root.get(name)) for name in ("width", "height"))
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(rect.get("x")) + float(rect.get("width")) <= width
        assert float(rect.get("y")) + float(rect.get("height")) <= height


def test_what_has_no_picture_is_bad_input(lab):
    for what in ("HighMem", "Movable", "nothing", -1, 2.5):  # 256 MiB are all low
        with pytest.raises(InputError):
            lab.picture(what)
    with pytest.raises(InputError, match="is a directory"):
        lab.picture().save("/")


EARLY = ("picture()", "picture(k)", "alloc_page(GFP_KERNEL)", "kmalloc(8, GFP_KERNEL)", "cat('buddyinfo')",
         "k.page(0x60100)", "vmalloc(4096)", "process()", "compact_memory()", "nr_free_pages()", "picture('vmalloc')",
         "swapon('64M')")


@pytest.mark.parametrize("until", ["__create_page_tables", "setup_machine_fdt", "paging_init:entry"])
def test_a_prompt_before_there_are_zones(until, capsys):
    k = bootsim.prepare("vexpress.dts", mem="64M")
    bootsim.run(k, until=until)
    prompt = Prompt(Session(k, alive.text))
    for line in EARLY:
        prompt.push(line)
        said = capsys.readouterr().err
        assert "yet" in said or "has not come" in said, line
        assert "Traceback" not in said, said
    prompt.push("print(kmem(0x60100000))")
    assert capsys.readouterr().out.startswith("pa 0x60100000: boot: ")


def test_flags_that_a_build_has_not_are_no_flags(lab, slab):
    absent = lab.SLAB_ACCOUNT | lab.SLAB_DEBUG_OBJECTS | lab.SLAB_FAILSLAB | lab.SLAB_KASAN
    assert absent == 0
    assert lab.kmem_cache_create("driver", 100, 0, absent) is not None
    assert slab.SLAB_ACCOUNT == 0x04000000
    assert slab.kmem_cache_create("driver", 100, 0, slab.SLAB_ACCOUNT).flags & slab.SLAB_ACCOUNT


def test_the_reaper_of_slab_is_at_hand(lab, slab):
    cache = slab.kmem_cache_create("driver", 100)
    for va in [slab.kmem_cache_alloc(cache, slab.GFP_KERNEL) for _ in range(100)]:
        slab.kmem_cache_free(cache, va)
    slabs = cache.total_slabs
    for _ in range(12):
        slab.cache_reap(True)
    assert cache.total_slabs < slabs
    with pytest.raises(BootsimError, match="nobody else has a reaper"):
        lab.cache_reap()


def marks(lab):
    return [int(line.split()[1]) for line in lab.cat("/proc/zoneinfo").grep(r"^ +(min|low|high) ").splitlines()[:3]]


def test_variables_of_the_page_allocator(lab):
    managed = int(lab.cat("/proc/zoneinfo").grep("managed").splitlines()[0].split()[1])
    assert lab.sysctl("vm.min_free_kbytes") == int(lab.cat("/proc/sys/vm/min_free_kbytes")) > 128
    lab.sysctl("vm.min_free_kbytes", 8192)
    # the one zone with memory has all of it; the gap is a quarter, or a thousandth of the zone
    assert marks(lab) == [2048, 2048 + 512, 2048 + 1024]
    lab.sysctl("vm.watermark_scale_factor", 1000)
    tenth = managed // 10000 * 1000 + managed % 10000 * 1000 // 10000
    assert marks(lab) == [2048, 2048 + tenth, 2048 + 2 * tenth]
    assert lab.sysctl("vm.watermark_boost_factor") == 15000
    assert lab.sysctl("vm.watermark_boost_factor", 0) == 0
    assert lab.branch().sysctl("vm.min_free_kbytes") == 8192
    for name, value in (("min_free_kbytes", -1), ("watermark_scale_factor", 0), ("watermark_scale_factor", 3001),
                        ("watermark_boost_factor", -1), ("min_free_kbytes", "1M")):
        with pytest.raises(InputError, match=f"vm.{name}: .* is no number from"):
            lab.sysctl(name, value)
    assert lab.k.processes is None  # none of these is about processes


def test_compact_memory_is_written(lab):
    assert lab.sysctl("vm.compact_memory", 1) is None
    assert any("compact_memory: 0 pages moved" in r.text for r in lab.k.log.records)
    with pytest.raises(InputError, match="can only be written"):
        lab.cat("/proc/sys/vm/compact_memory")
    lab.k.build = lab.k.build.replace(config=lab.k.build.config.replace(COMPACTION=False))
    with pytest.raises(InputError, match=r"no variable 'vm\.compact_memory'"):
        lab.sysctl("vm.compact_memory", 1)
