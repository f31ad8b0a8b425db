"""The report page in a real Chromium: what a person does with mouse and keyboard, and a silent console."""

import base64
import json
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli

try:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    pass  # conftest.py skips every test here and says why

INPUTS = {"one": ["--mem", "1G"], "two": ["--mem", "1G", "--config", "3G/1G", "--config", "2G/2G"]}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The files of a page of one boot, of two, and of a panic."""
    folder = tmp_path_factory.mktemp("pages")
    for name, options in {**INPUTS, "panic": ["--cmdline", "mem=2M"]}.items():
        done = CliRunner().invoke(cli, ["report", "vexpress.dts", "-o", str(folder / f"{name}.html"), *options])
        assert done.exit_code == (3 if name == "panic" else 0), done.output
    return folder


class Browser:
    """A page open in the browser, and what people do with it."""

    def __init__(self, driver, path):
        self.driver = driver
        self.url = Path(path).as_uri()

    def open(self, fragment=""):
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(self.url + fragment)
        return self

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, *pressed):
        for key in pressed:
            ActionChains(self.driver).send_keys(key).perform()

    def focus(self, selector):
        self.js("document.querySelector(arguments[0]).focus()", selector)

    def click(self, element):
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        ActionChains(self.driver).move_to_element(element).click().perform()

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    @property
    def stage(self):
        return self.find("#stage-name").text

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(params=["one", "two"])
def page(chromium, pages, request):
    emulate(chromium, "light")
    browser = Browser(chromium, pages / f"{request.param}.html").open()
    yield browser
    assert browser.complaints() == []


@pytest.fixture
def single(chromium, pages):
    emulate(chromium, "light")
    browser = Browser(chromium, pages / "one.html").open()
    yield browser
    assert browser.complaints() == []


def emulate(driver, scheme, motion="reduce"):
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_the_slider_moves_everything_by_keyboard(page):
    assert page.stage == "mark_readonly"
    slider = page.find("#stage")
    page.focus("#stage")
    page.press(Keys.HOME)
    assert page.stage == "__create_page_tables"
    assert slider.get_attribute("aria-valuetext").startswith("__create_page_tables: ")
    assert page.all("#physical .region.f-image") == []
    assert "memblock is still in charge" in page.find("#buddy").text
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.stage == "arm_memblock_init"
    assert page.all("#physical .region.f-image")
    page.press(Keys.END)
    assert page.stage == "mark_readonly"
    assert page.all("#buddy table")


def test_the_slider_and_its_buttons_by_mouse(page):
    page.click(page.find("#stage-prev"))
    assert page.stage == "free_initmem"
    page.click(page.find("#stage-next"))
    assert page.stage == "mark_readonly"
    slider = page.find("#stage")
    ActionChains(page.driver).move_to_element_with_offset(slider, -slider.size["width"] // 2 + 9, 0).click().perform()
    assert page.stage == "__create_page_tables"
    page.click(page.find("#stage-play"))
    assert page.stage == "setup_machine_fdt"
    assert page.find("#stage-play").get_attribute("aria-pressed") == "true"
    page.click(page.find("#stage-play"))
    assert page.find("#stage-play").get_attribute("aria-pressed") == "false"


def test_reservations_grow(single):
    single.focus("#stage")
    single.press(Keys.HOME)
    counts = []
    for _ in range(10):
        counts.append(len(single.all("#physical details tbody tr")))
        single.press(Keys.ARROW_RIGHT)
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > 20


def test_maps_zoom_and_tell(page):
    where = page.find("#physical .where")
    whole = where.text
    page.click(page.find("#physical [aria-label='Zoom in']"))
    assert where.text != whole
    page.focus("#physical [aria-label='Zoom out']")
    page.press(Keys.ENTER)
    assert where.text == whole
    page.click(page.find("#physical .region.f-cma"))
    assert "CMA" in page.find("#physical .detail").text
    page.click(page.find("#physical .detail button"))
    assert where.text != whole
    assert page.find("#announce").get_attribute("textContent")


def test_the_grid_opens_a_second_level_table_by_keyboard(page):
    field = page.find("#goto")
    page.click(field)
    field.send_keys("0xffff0000", Keys.ENTER)
    box = ".panel .gridbox:not(.sub)"
    assert page.find(".panel .gridbox.sub").is_displayed()
    assert "0xffff0000" in page.find("#tables .gridside").text
    assert "0x8fffe000" in page.find("#tables .gridside").text
    page.focus(box)
    page.press(Keys.ESCAPE)
    assert not page.find(".panel .gridbox.sub").is_displayed()
    page.press(Keys.ENTER)
    assert page.js("return document.activeElement.matches('.gridbox.sub')")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert "Page 17:" in page.find("#tables .gridside").text
    page.press(Keys.ESCAPE)
    assert page.js("return document.activeElement.matches(arguments[0])", box)
    page.press(Keys.ARROW_UP)
    assert "Entry 4031:" in page.find("#tables .gridside").text
    field.clear()
    field.send_keys("nowhere", Keys.ENTER)
    assert field.get_attribute("aria-invalid") == "true"


def test_the_grid_follows_the_mouse(single):
    picture = single.find("#tables .gridbox svg")
    single.js("arguments[0].scrollIntoView({block: 'end', behavior: 'instant'})", picture)
    width = picture.size["width"]
    cell = width * 10 / (74 + 640 + 2)
    left = -width / 2 + width * 74 / 716 + cell * 63.5
    bottom = picture.size["height"] / 2 - cell * 0.6
    ActionChains(single.driver).move_to_element_with_offset(picture, round(left), round(bottom)).click().perform()
    assert "Entry 4095:" in single.find("#tables .gridside").text
    second = single.find("#tables .gridbox.sub")
    assert second.is_displayed()
    single.click(second)
    assert "Page 0:" not in single.find("#tables .gridside").text


def test_the_log_is_filtered_and_moves_the_slider(page):
    total = len([row for row in page.all("#log li") if row.is_displayed()])
    page.click(page.find("#log-text"))
    page.find("#log-text").send_keys("available")
    rows = [row for row in page.all("#log li") if row.is_displayed()]
    assert 1 <= len(rows) < total
    assert page.find("#log-count").text.startswith(f"{len(rows)} of ")
    line = rows[0].find_element(By.CSS_SELECTOR, "button.line")
    page.click(line)
    assert page.stage == "mem_init"
    assert "now" in line.get_attribute("class")
    assert page.driver.current_url.endswith("#stage=mem_init")
    page.find("#log-text").clear()
    page.find("#log-text").send_keys(Keys.SPACE, Keys.BACKSPACE)
    page.click(page.find("#log-steps"))
    assert not [row for row in page.all("#log li") if row.is_displayed() and "bootsim: " in row.text]
    page.js("const s = document.getElementById('log-level'); s.value = '4'; s.dispatchEvent(new Event('input'))")
    assert not [row for row in page.all("#log li") if row.is_displayed()]


def test_the_log_by_keyboard(page):
    page.js("document.querySelector('#log-lines button[tabindex=\"0\"]').focus()")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.END)
    assert len(page.all("#log-lines button[tabindex='0']")) == 1
    page.press(Keys.HOME, Keys.ENTER)
    assert page.stage == "__create_page_tables"


def test_facts_open_down_to_their_roots(page):
    page.find("#fact-text").send_keys("arm_lowmem_limit")
    summary = page.find("#fact-arm_lowmem_limit > summary")
    page.click(summary)
    tree = page.find("#fact-arm_lowmem_limit .tree")
    assert "vmalloc_limit" in tree.text
    for _ in range(3):
        for closed in tree.find_elements(By.CSS_SELECTOR, "details:not([open]) > summary"):
            if closed.is_displayed():
                page.click(closed)
    assert "CONFIG_PAGE_OFFSET = 0xc0000000" in tree.text
    page.focus("#fact-arm_lowmem_limit > summary")
    page.press(Keys.ENTER)
    assert not tree.is_displayed()


def test_links_lead_to_their_place(page):
    for link in page.all("nav a"):
        page.click(link)
        target = link.get_attribute("href").rpartition("#")[2]
        assert page.js("return location.hash") == f"#{target}"
        top = page.js("return document.getElementById(arguments[0]).getBoundingClientRect().top", target)
        bar = page.js("return document.getElementById('stagebar').getBoundingClientRect().bottom")
        assert bar - 1 <= top <= page.js("return innerHeight"), target
    page.click(page.find("#numbers tr[data-name='lowmem.limit'] a.why"))
    assert page.js("return document.getElementById('fact-arm_lowmem_limit').open")
    assert page.find("#fact-arm_lowmem_limit > summary") == page.driver.switch_to.active_element


def test_a_link_into_the_page(chromium, pages):
    browser = Browser(chromium, pages / "one.html").open("#stage=mem_init%3Aentry")
    assert browser.stage == "mem_init:entry"
    browser.open("#stage=nonsense")
    assert browser.stage == "mark_readonly"
    assert browser.complaints() == []


def test_differences_are_marked(chromium, pages):
    page = Browser(chromium, pages / "two.html").open()
    assert "differ" in page.find("#stage-differs").text
    assert page.all("#physical .differing")
    assert page.all("#virtual .differing")
    assert all("M" in path.get_attribute("d") for path in page.all("#tables .differoutline"))
    assert page.all("#buddy td.differs")
    assert page.all("#log li.differs mark")
    assert page.all("#facts .fact.differs")
    before = page.find("#tables .gridside").text
    page.click(page.all("#tables .toolbar button")[2])
    assert page.find("#tables .gridside").text != before
    page.click(page.find("#log-differs"))
    assert all("differs" in row.get_attribute("class") for row in page.all("#log li") if row.is_displayed())
    assert page.complaints() == []


def test_a_panic_has_a_page_too(chromium, pages):
    page = Browser(chromium, pages / "panic.html").open()
    assert page.stage == "panic"
    page.focus("#stage")
    page.press(Keys.HOME)
    assert page.stage == "__create_page_tables"
    assert page.complaints() == []


NAMELESS = """
const named = (e) => (e.getAttribute('aria-label') || e.textContent || '').trim()
    || (e.labels && e.labels.length) || e.getAttribute('aria-labelledby');
return [...document.querySelectorAll('button, a, input, select, svg, [role=region], [role=application]')]
    .filter((e) => !e.closest('[hidden]') && !named(e)).map((e) => e.outerHTML.slice(0, 120));
"""
DUPLICATES = """
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
return ids.filter((id, i) => ids.indexOf(id) !== i);
"""
# Text whose contrast with what lies behind it is below WCAG's AA.
FAINT = """
const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const parse = (s) => { const m = s.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
function behind(e) {
    for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
    return [255, 255, 255];
}
const faint = new Set();
for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || e.disabled || e.closest('svg') || e.closest('.hidden')) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(`${ratio.toFixed(2)} ${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`);
}
const fills = new Set();
for (const e of document.querySelectorAll('text')) {
    const isBar = e.classList.contains('regionlabel');
    const under = isBar ? parse(getComputedStyle(e.previousElementSibling.classList.contains('differing')
        ? e.previousElementSibling.previousElementSibling : e.previousElementSibling).fill) : behind(e.closest('div'));
    const [a, b] = [light(parse(getComputedStyle(e).fill)), light(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(`${ratio.toFixed(2)} ${e.getAttribute('class')}: ${e.textContent}`);
}
return [...faint];
"""
# Texts of one picture that lie over each other.
OVERLAPPING = """
const found = [];
for (const picture of document.querySelectorAll('svg')) {
    const boxes = [...picture.querySelectorAll('text')].map((t) => [t.getBoundingClientRect(), t.textContent]);
    boxes.forEach(([a, one], i) => boxes.slice(i + 1).forEach(([b, other]) => {
        const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (w > 1 && h > 3) found.push(`${one} / ${other}`);
    }));
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_every_stage_is_readable_in_light_and_dark(chromium, pages, name, scheme):
    emulate(chromium, scheme)
    page = Browser(chromium, pages / f"{name}.html").open()
    page.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.focus("#stage")
    page.press(Keys.HOME)
    for _ in page.js("return JSON.parse(document.getElementById('data').textContent).stages"):
        assert page.js(NAMELESS) == []
        assert page.js(DUPLICATES) == []
        assert page.js(FAINT) == [], page.stage
        assert page.js(OVERLAPPING) == [], page.stage
        page.press(Keys.ARROW_RIGHT)
    assert page.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_screenshots(chromium, pages, name, scheme):
    emulate(chromium, scheme)
    page = Browser(chromium, pages / f"{name}.html").open()
    folder = Path(tempfile.gettempdir()) / "bootsim-browser-test"
    folder.mkdir(exist_ok=True)
    height, width = page.js("return [document.documentElement.scrollHeight, innerWidth]")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = chromium.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    target = folder / f"report-{name}-{scheme}.png"
    target.write_bytes(base64.b64decode(shot["data"]))
    assert target.stat().st_size > 50_000
    dark = page.js("return getComputedStyle(document.body).backgroundColor")
    assert sum(json.loads(dark.replace("rgb(", "[").replace(")", "]"))) < 150 or scheme == "light"


# What is wider than its place: cut off, or to be had by scrolling sideways alone.
OVERFLOWING = """
const found = [], width = document.documentElement.clientWidth, aside = '.hidden, .skip, thead';
const tell = (what, e) => found.push(`${what}: ${e.tagName}.${e.getAttribute('class')}: ${e.textContent.slice(0, 40)}`);
if (document.documentElement.scrollWidth > width) tell('wider than the window', document.documentElement);
for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || e.closest(aside)) continue;
    const box = e.getBoundingClientRect();
    if (box.width && (box.right > width + 1 || box.left < -1)) tell('out of the page', e);
    const cut = getComputedStyle(e).overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1;
    if (cut && !e.closest('svg')) tell('cut off', e);
}
for (const picture of document.querySelectorAll('svg')) {
    const frame = picture.getBoundingClientRect();
    for (const t of picture.querySelectorAll('text, rect')) {
        const box = t.getBoundingClientRect();
        const inside = box.left >= frame.left - 1 && box.right <= frame.right + 1
            && box.top >= frame.top - 2 && box.bottom <= frame.bottom + 2;
        if (!inside) tell('out of its picture', t);
    }
}
return found;
"""
# Lines of text, each with where it stands as far as it can be seen: those that meet, and words cut to crumbs.
COLLIDING = """
const lines = [], crumbs = [], aside = 'svg, script, style, option, .hidden, .skip, thead, #stagebar, .loghead';
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const e = node.parentElement, text = node.textContent.trim();
    if (!text || !e.checkVisibility() || e.closest(aside)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1);
    if (text.length >= 6 && boxes.length > 1 && boxes.length > text.length / 3) crumbs.push(text);
    const frame = e.closest('.scroll, .loglines'), seen = (frame || document.body).getBoundingClientRect();
    for (const box of boxes) {
        const top = Math.max(box.top, seen.top), bottom = Math.min(box.bottom, seen.bottom);
        if (bottom - top > 2) lines.push([box.left, box.right, top, bottom, text]);
    }
}
lines.sort((a, b) => a[2] - b[2]);
const found = [];
lines.forEach((a, i) => {
    for (let n = i + 1; n < lines.length && lines[n][2] < a[3]; n++) {
        const b = lines[n], w = Math.min(a[1], b[1]) - Math.max(a[0], b[0]), h = Math.min(a[3], b[3]) - b[2];
        if (w > 2 && h > 4) found.push(`${a[4].slice(0, 30)} / ${b[4].slice(0, 30)}`);
    }
});
return [...found, ...crumbs.map((text) => `in crumbs: ${text}`)];
"""


@pytest.mark.parametrize("name", [*INPUTS, "panic"])
@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_overflows_or_overlaps(chromium, pages, width, name):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    emulate(chromium, "light")
    try:
        page = Browser(chromium, pages / f"{name}.html").open()
        page.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        stages = page.js("return JSON.parse(document.getElementById('data').textContent).stages.map((s) => s[0])")
        for stage in dict.fromkeys((stages[0], stages[len(stages) // 2], stages[-1])):
            page.js("location.hash = `stage=${encodeURIComponent(arguments[0])}`", stage)
            page.js("window.scrollTo(0, 0)")
            time.sleep(0.3)  # what is drawn for its width is drawn after layout
            assert page.stage == stage
            assert page.js(OVERFLOWING) == []
            assert page.js(OVERLAPPING) == []
            assert page.js(COLLIDING) == []
        assert page.complaints() == []
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_death_is_told_once(chromium, pages):
    page = Browser(chromium, pages / "panic.html").open()
    said = [part.text for part in page.all(".notice.panic p")]
    assert len(said) == len(set(said)) > 0
    cause = said[-1].partition(": ")[2] or said[-1]
    assert sum(cause in part for part in said) == 1
    assert page.find("#stage-about").text == "the kernel has died"


def test_the_first_tab_stop_skips_to_the_overview(single):
    single.press(Keys.TAB)
    assert single.driver.switch_to.active_element.text == "Skip to the overview"
    outline = single.js("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    single.press(Keys.ENTER)
    assert single.js("return document.activeElement.id") == "overview"


@pytest.fixture(scope="module", params=["allocators", "processes"])
def life(recorded, tmp_path_factory, request):
    """The page of a recording's life: of allocators, of their beginning; of processes."""
    golden = Path(__file__).parents[1] / "golden"
    folder = tmp_path_factory.mktemp("life")
    if request.param == "processes":
        words = ["replay", str(golden / "processes/vmdev-3gh"), "--report", str(folder / "life.html")]
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output
        return folder / "life.html"
    words = ["--config", str(golden / "builds/k3slub.yaml"), "--report", str(folder / "life.html"), "--at", "120000"]
    done = CliRunner().invoke(cli, ["replay", str(recorded("kc-slub-256")), *words])
    assert done.exit_code == 0, done.output
    return folder / "life.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_of_a_recording_fits_and_is_legible(chromium, life, width, scheme):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    emulate(chromium, scheme)
    try:
        page = Browser(chromium, life).open()
        page.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        for wrong in (OVERFLOWING, COLLIDING, NAMELESS, DUPLICATES, FAINT):
            assert page.js(wrong) == []
        assert page.complaints() == []
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
