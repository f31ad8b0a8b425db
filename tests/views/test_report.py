"""The report page without a browser: its data against the boot's, its size, its HTML, and strings that mean harm."""

import html
import json
import re
import struct
from html.parser import HTMLParser

import pytest

from bootsim.inputs.configfile import bundled_builds
from bootsim.state.quantities import Quantities
from bootsim.state.ranges import CR_ARMV7
from bootsim.state.where import where
from bootsim.views.report.data import Watch, page_data, printable
from bootsim.views.report.render import embedded_json, render
from bootsim.views.report.tables import Meanings, runs, words_of

LIMIT_BYTES = 2_000_000
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """Every element with its attributes, what was not closed in order, ids, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.elements, self.scripts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data

    @property
    def data(self):
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def watch():
    return Watch("vexpress.dts", {"config": "3G/1G", "mem": "1G"})


@pytest.fixture(scope="module")
def page(watch):
    return Page(render(page_data([("3G/1G", watch)]), "bootsim: vexpress.dts"))


@pytest.fixture(scope="module")
def two(watch):
    against = Watch("vexpress.dts", {"config": "2G/2G", "mem": "1G"})
    return page_data([("3G/1G", watch), ("2G/2G", against)])


@pytest.mark.parametrize("config", [bundled.build.name for bundled in bundled_builds()])
def test_a_page_of_each_build_is_small_and_asks_for_nothing(config):
    text = render(page_data([(config, Watch("vexpress.dts", {"config": config, "mem": "1G"}))]), "x")
    assert len(text.encode()) < LIMIT_BYTES
    page = Page(text)
    assert page.wrong == []
    assert page.open == []
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:,")), attributes
    outside = {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert set(re.findall(r"\w+://[^\s'\"<>]+", text)) <= outside
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#\$\{id\}\w\)", "", text)


def test_html_is_nested_and_ids_are_unique(page):
    assert page.wrong == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "for"):
            assert attributes.get(name, ids[0]) in ids
        if attributes.get("href", "").startswith("#") and "=" not in attributes["href"]:
            assert attributes["href"][1:] in ids


def test_landmarks_headings_and_language(page):
    tags = [tag for tag, _ in page.elements]
    for landmark in ("header", "nav", "main", "footer"):
        assert tags.count(landmark) == 1
    assert tags.count("h1") == 1
    assert tags.count("h2") == tags.count("section") == 9
    assert dict(page.elements)["html"]["lang"] == "en"


def test_the_script_is_the_only_one_the_policy_lets_run(page):
    import base64
    import hashlib

    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not any(name.startswith("on") or name == "style" for _, attributes in page.elements for name in attributes)


def test_states_are_those_of_the_recorded_stages(watch, page):
    boot = page.data["boots"][0]
    stages = watch.replay.recorder.stages
    assert [name for name, _ in page.data["stages"]] == list(stages)
    for step, (name, stage) in zip(boot["steps"], stages.items(), strict=True):
        assert step["stage"] == name
        if "memblock" in stage.fields:
            found = boot["memblock"][step["memblock"]]
            assert found["memory"] == [[b, b + s, f] for b, s, f in stage.fields["memblock"]["memory"] if s]
            assert covered(found["reserved"]) == covered(
                [b, b + s] for b, s, _ in stage.fields["memblock"]["reserved"] if s
            )
        if stage.l1 is not None:
            tables = boot["tables"][step["tables"]]
            assert words_of(tables["runs"], 4096) == list(struct.unpack("<4096I", stage.l1))
            pages = [boot["l2"][tables["pages"][str(pa)]] for pa in stage.fields["tables"]["l2_pages"]]
            words = [word for page in pages for word in words_of(page, 1024)]
            assert words == list(struct.unpack(f"<{len(stage.l2) // 4}I", stage.l2))
        if "zones" in stage.fields:
            check_zones(boot["zones"][step["zones"]], stage.fields["zones"])
        if "areas" in stage.fields:
            wanted = [[a["name"], a["base_pfn"] << 12, a["base_pfn"] + a["count"] << 12] for a in stage.fields["areas"]]
            assert boot["areas"][step["areas"]] == wanted


def covered(ranges):
    merged = []
    for start, end, *_ in sorted(ranges):
        if merged and merged[-1][1] == start:
            merged[-1][1] = end
        else:
            merged.append([start, end])
    return merged


def check_zones(found, wanted):
    wanted = [zone for zone in wanted if zone["spanned"]]
    assert [zone["name"] for zone in found] == [zone["name"] for zone in wanted]
    for zone, one in zip(found, wanted, strict=True):
        assert zone["nr_free_pages"] == one["nr_free_pages"]
        assert zone["free"] == [area["lists"] for area in one["free_area"]]
        free = sum(len(pfns) << order for order, lists in enumerate(zone["free"]) for pfns in lists)
        assert free == zone["nr_free_pages"]


def test_every_word_of_the_tables_has_a_meaning(page):
    data, forms = page.data, page.data["meanings"]["forms"]
    for boot in data["boots"]:
        for tables in boot["tables"]:
            for word in filter(None, words_of(tables["runs"], 4096)):
                assert f"1:{word & (0x3FF if word & 3 == 1 else 0xFFFFF):x}" in forms
        for l2 in boot["l2"]:
            words = words_of(l2, 1024)
            assert all(f"L:{word & 0xFFF:x}" in forms for word in words[:512] if word)
            assert all(f"2:{word & 0xFFF:x}" in forms for word in words[512:] if word & 2)


def test_log_lines_lead_to_the_first_stage_after_them(watch, page):
    boot = page.data["boots"][0]
    lines = [line for record in watch.replay.k.log.records for line in record.text.split("\n")]
    assert [line[3] for line in boot["log"]] == [printable(line) for line in lines]
    for i, (_, stage, *_) in enumerate(boot["log"]):
        last = stage == len(boot["steps"]) - 1
        assert boot["steps"][stage]["lines"] > i or last
        assert stage == 0 or boot["steps"][stage - 1]["lines"] <= i
    memory = next(line for line in boot["log"] if line[3].startswith("Memory: "))
    assert page.data["stages"][memory[1]][0] == "mem_init"


def test_facts_and_their_derivations_are_the_boots(watch, page):
    boot, facts = page.data["boots"][0], watch.replay.k.facts
    for fact in facts:
        name, value, unit, formula, inputs, source = boot["facts"][boot["newest"][fact.name]]
        assert (name, value, unit, formula, source) == (fact.name, fact.shown(), fact.unit, fact.formula, fact.source)
        assert [name for name, _ in inputs] == list(fact.inputs)
        tree = facts.derivation(fact.name)
        for (_, place), below in zip(inputs, tree.inputs, strict=True):
            if below.fact is None:
                assert place == -1
            else:
                assert boot["facts"][place][:2] == [below.name, below.fact.shown()]
    assert boot["roots"]["CONFIG_PAGE_OFFSET"][0] == "0xc0000000"
    assert "vexpress" in boot["roots"]["dtb:/memory@60000000:reg"][1]


def test_overview_has_the_quantities(watch, page):
    shown = {row[0]: row[2] for row in page.data["boots"][0]["overview"]}
    quantities = Quantities(watch.replay.k)
    assert shown["lowmem"] == "768 MiB"
    assert shown["lowmem.limit"] == f"{quantities.value('lowmem.limit'):#010x}"
    assert shown["free_pages"].startswith(f"{quantities.value('free_pages')} (")
    assert str(quantities.value("reserved")) in shown["reserved"]
    assert re.fullmatch("[0-9a-f]{64}", shown["digest"])


def test_two_boots_have_their_differences_marked(two):
    difference = two["difference"]
    assert {"lowmem", "highmem", "high_memory", "vmalloc.size"} <= set(difference["overview"])
    assert "memory" not in difference["overview"]
    assert "PAGE_OFFSET" in difference["facts"]
    assert "PHYS_OFFSET" not in difference["facts"]
    assert "CONFIG_PAGE_OFFSET" in difference["roots"]
    names = [name for name, _ in two["stages"]]
    assert "memblock" not in difference["stages"][names.index("setup_machine_fdt")]
    assert {"memblock", "tables", "zones"} <= set(difference["stages"][-1])
    text = render(two, "x")
    assert text.count('<tr class="differs"') == len(difference["overview"])
    assert text.count("&#8800; differs") == len(difference["overview"])
    assert len(text.encode()) < LIMIT_BYTES


def test_two_logs_are_aligned_whole_and_cut_where_they_part(two):
    a, b = (boot["log"] for boot in two["boots"])
    steps = two["difference"]["log"]
    assert sorted(step[0] for step in steps if step[0] >= 0) == list(range(len(a)))
    assert sorted(step[1] for step in steps if step[1] >= 0) == list(range(len(b)))
    for i, j, kind, *pieces in steps:
        if kind == "same":
            assert a[i][3] == b[j][3]
        elif i >= 0 and j >= 0 and pieces:
            assert ["".join(side) for side in pieces] == [a[i][3], b[j][3]]
            assert pieces[0][::2] == pieces[1][::2]
            assert pieces[0][1::2] != pieces[1][1::2] or kind == "moved"
    assert any(kind == "changed" for _, _, kind, *_ in steps)


def test_a_boot_against_itself_has_no_difference(watch):
    difference = page_data([("a", watch), ("b", watch)])["difference"]
    assert difference["overview"] == difference["facts"] == difference["roots"] == []
    assert not any(difference["stages"])
    assert {step[2] for step in difference["log"]} == {"same"}


def test_hostile_strings_stay_text():
    evil = '</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&"\'\u2028'
    watch = Watch("vexpress.dts", {"config": "3G/1G", "mem": "256M", "cmdline": evil})
    text = render(page_data([(evil, watch), (evil, watch)]), evil)
    page = Page(text)
    assert page.wrong == []
    assert len(page.scripts) == 2
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in page.elements)
    assert page.data["boots"][0]["name"] == evil
    assert any(evil[:30] in line[3] for line in page.data["boots"][0]["log"])
    assert "<!--" not in text


def test_json_in_a_script_cannot_end_it():
    value = {"</script>": ["<!--", "]]>", "&amp;"]}
    text = embedded_json(value)
    assert not set("<>&") & set(text)
    assert json.loads(text) == value


def test_unprintable_bytes_are_written_out():
    assert printable("a\x1b[0m\udcff") == "a\\x1b[0m\\xff"
    assert printable("plain ≠ text\t") == "plain ≠ text\t"


def test_a_panic_has_a_page_that_ends_in_it():
    watch = Watch("vexpress.dts", {"cmdline": "mem=2M"})
    data = page_data([("dies", watch)])
    boot = data["boots"][0]
    assert boot["verdict"] == "panic"
    assert boot["panic"]["reason"] == ""
    assert "mem=" in boot["panic"]["cause"]
    assert data["stages"][-1][0] == "panic"
    assert boot["log"][-1][1] == len(data["stages"]) - 1
    assert data["stages"][-1][1] == "the kernel has died"
    page = render(data, "x")
    assert "The kernel died without a word:" in page
    assert page.partition("<script")[0].count(html.escape(boot["panic"]["cause"], quote=False)[:40]) == 1


def test_a_boot_that_died_stands_beside_one_that_lives(watch):
    data = page_data([("lives", watch), ("dies", Watch("vexpress.dts", {"mem": "1G", "cmdline": "mem=2M"}))])
    lives, dies = data["boots"]
    assert len(lives["steps"]) == len(dies["steps"]) == len(data["stages"])
    assert [step["reached"] for step in dies["steps"]].count(False) > 0
    assert not lives["steps"][-1]["reached"]
    assert data["stages"][-1] == ["panic", "the kernel of dies has died"]


@pytest.mark.parametrize("words", [[0] * 8, [5, 6, 7, 0, 9], [1, 1, 1], [3, 2, 1], [0, 4, 8, 13, 0]])
def test_runs_give_the_words_back(words):
    assert words_of(runs(words), len(words)) == words


def test_runs_of_a_full_table_are_one():
    assert runs([0x60000C0E + (i << 20) for i in range(768)]) == [[0, 768, 0x60000C0E, 1 << 20]]


def test_forms_tell_kind_and_family():
    meanings, domains = Meanings(), {0: "KERNEL", 1: "USER"}
    meanings.first_level(0x6001141E, CR_ARMV7, domains)
    meanings.first_level(0x8FFFC821, CR_ARMV7, domains)
    forms = meanings.data()["forms"]
    assert forms["1:1141e"][0] == "section"
    assert forms["1:1141e"][2] == "data"
    assert forms["1:21"][0] == "table"


def test_every_reservation_has_an_owner_and_a_color(page):
    rows = [row for state in page.data["boots"][0]["memblock"] for row in state["reserved"]]
    named = {row[4]: (row[2], row[3]) for row in rows}
    assert named["kernel image"] == ("arm_memblock_init", "image")
    assert named["mem_map of node 0"] == ("alloc_node_mem_map", "memmap")
    assert named["device tree"] == ("setup_arch", "tree")
    assert not any("nobody" in row[4] for row in rows)


def test_where_ram_went_needs_no_script(watch, page):
    table = where(watch.replay.k)
    boot = page.data["boots"][0]["where"]
    assert sum(width for _, width, _, _ in boot["all"]) == pytest.approx(1000, abs=0.1)
    assert boot["size"] == "1024 MiB"
    bars = [attributes for tag, attributes in page.elements if tag == "svg" and attributes.get("class") == "wherebar"]
    assert len(bars) == 2
    assert bars[0]["aria-label"].startswith("All RAM, 1024 MiB: free: 988.0 MiB, 96.5%; CMA areas: 16 MiB")
    assert bars[1]["aria-label"].startswith("What is not free: CMA areas: 16 MiB")
    assert sum(len(group["rows"]) for group in boot["groups"]) == len(table.rows)


def test_structures_are_pictures_and_text_without_a_script(watch, page):
    kinds = [attributes.get("class") for tag, attributes in page.elements if tag in ("rect", "path", "text")]
    assert kinds.count("d-arrow") > 20
    shown = watch.data("x", Meanings())["structures"]
    assert [one["title"] for one in shown] == ["Page allocator: Normal, HighMem", "Slab cache kmem_cache",
                                              "Page table around 0xffff0000"]
    assert "hardware&#x27;s entries at" in shown[2]["svg"]
    for zone in watch.replay.k.zones:
        for order, area in enumerate(zone["free_area"]):
            assert (f"free_area[{order}] of {zone['name']}" in shown[0]["svg"]) == bool(area["nr_free"])
    assert "structures" not in page.data["boots"][0]
