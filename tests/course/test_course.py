"""The course shows what comes out, in both languages alike, and every value it stands on was printed."""

import re
from itertools import chain

import course
import pytest

TEXTS = {name: path.read_text(encoding="utf-8") for name, path in course.LANGUAGES.items()}
TOPICS = {name: {topic.numbers: topic for topic in course.topics(text)} for name, text in TEXTS.items()}
ENGLISH, CHINESE = TOPICS.values()
BOTH = [pytest.param(numbers, id=f"topic-{numbers[0]}") for numbers in ENGLISH]
EACH = [pytest.param(name, numbers, id=f"topic-{numbers[0]}-{name}") for name in TOPICS for numbers in TOPICS[name]]
BLOCKS = [
    pytest.param(block, id=f"topic-{topic.numbers[0]}-{i}")
    for topic in ENGLISH.values() for i, block in enumerate(topic.blocks, 1)
]  # fmt: skip
FILE = re.compile(r"`((?:arch|drivers|fs|include|init|kernel|lib|mm)/[\w/.-]+\.[chS])`")


def bold(topic):
    return re.findall(r"\*\*(.+?)\*\*", topic.prose)


def shown(topic):
    return "\n".join(line for block in topic.blocks for entry in course.entries(block) for line in entry.shown)


@pytest.mark.parametrize("language", TOPICS)
def test_every_topic_has_its_heading(language):
    assert [*chain(*TOPICS[language])] == [*range(1, 45)]
    assert TEXTS[language].count("\n## ") == len(TOPICS[language]) + 1  # and the table of contents


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_shows_what_its_commands_print(block, tmp_path):
    for entry, lines in zip(course.entries(block), course.printed(block, tmp_path), strict=True):
        assert course.agrees(entry.shown, lines), "\n".join([*entry.command, *lines, "`make course` writes it"])
    for picture in tmp_path.glob("*.svg"):
        known = course.PICTURES / picture.name
        assert known.is_file(), f"{known}: `make course` makes it"
        assert picture.read_text() == known.read_text(), f"{known}: `make course` makes it again"


@pytest.mark.parametrize("numbers", BOTH)
def test_both_languages_have_the_same_blocks_and_values(numbers):
    assert ENGLISH[numbers].blocks == CHINESE[numbers].blocks
    assert {*bold(ENGLISH[numbers])} == {*bold(CHINESE[numbers])}


@pytest.mark.parametrize(("language", "numbers"), EACH)
def test_bold_values_were_printed(language, numbers):
    topic = TOPICS[language][numbers]
    missing = [value for value in bold(topic) if not re.search(rf"(?<!\w){re.escape(value)}(?!\w)", shown(topic))]
    assert missing == []


@pytest.mark.parametrize(("language", "numbers"), EACH)
def test_a_topic_is_complete(language, numbers):
    topic = TOPICS[language][numbers]
    assert topic.blocks
    assert bold(topic)
    assert FILE.search(topic.prose), "no file of the kernel to read"


@pytest.mark.parametrize(("language", "numbers"), EACH)
def test_files_of_the_kernel_are_those_of_v5_10(language, numbers):
    known = set()
    for line in (course.ROOT / "tests/data/linux-5.10-paths.txt").read_text().splitlines():
        if not line.startswith("#"):
            folder, files = line.split(":")
            known |= {f"{folder}/{file}" for file in files.split()}
    assert {*FILE.findall(TOPICS[language][numbers].prose)} <= known


@pytest.mark.parametrize("language", TOPICS)
def test_links_lead_somewhere(language):
    text, folder = TEXTS[language], course.LANGUAGES[language].parent
    anchors = re.findall(r'<a id="([\w-]+)"></a>', text)
    assert len(anchors) == len({*anchors})
    assert {f"topic-{n}" for n in range(1, 45)} <= {*anchors}
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        assert not file or (folder / file).exists(), target
        assert file or anchor in anchors, target


@pytest.mark.parametrize("language", TOPICS)
def test_the_map_leads_to_every_topic(language):
    path = course.LANGUAGES[language]
    picture = path.with_name("pictures") / path.name.replace("course", "framework").replace(".md", ".svg")
    assert f"(pictures/{picture.name})" in TEXTS[language]
    found = re.findall(rf'href="\.\./{re.escape(path.name)}#topic-(\d+)"', picture.read_text())
    assert {numbers[0] for numbers in TOPICS[language]} - {*map(int, found)} == {44}


LINES = ["a", "b", "c", "d"]


@pytest.mark.parametrize("shown", [LINES, ["..."], ["a", "...", "d"], ["...", "c", "d"], ["a", "...", "b", "...", "d"],
                                   ["...", "b", "c", "..."], ["a", "b", "...", "c", "d"], ["...", "b", "...", "..."]])
def test_elided_lines_agree(shown):
    assert course.agrees(shown, LINES)


@pytest.mark.parametrize("shown", [[], ["a"], ["a", "b"], ["...", "c"], ["b", "..."], ["...", "b", "d", "..."],
                                   ["...", "c", "...", "b", "..."], ["a", "b", "c", "...", "c", "d"],
                                   ["...", "x", "..."]])
def test_other_lines_do_not_agree(shown):
    assert not course.agrees(shown, LINES)


def test_what_was_chosen_is_chosen_again():
    now = ["MemTotal: 12 kB", "MemFree: 7 kB", "Slab: 3 kB"]
    for shown, again in ((["...", "MemFree: 8 kB", "..."], ["...", "MemFree: 7 kB", "..."]), (["MemFree: 8 kB"], now)):
        assert course.refreshed(course.Entry([">>> x"], shown), now) == again
    with pytest.raises(AssertionError, match=r">>> x: .*Quicklists"):
        course.refreshed(course.Entry([">>> x"], ["...", "Quicklists: 0 kB", "..."]), now)


def test_a_block_is_typed_at_one_prompt(tmp_path):
    block = "$ bootsim shell vexpress.dts --mem 64M\n>>> x = 2\n>>> for i in range(2):\n...     print(x + i)\n"
    shown = ["2", "3"]
    assert course.printed(block, tmp_path) == [[], [], shown]
    whole = course.written(block, course.printed(block, tmp_path))
    assert whole == block + "2\n3\n"
    assert course.entries(whole)[-1].shown == shown


def test_a_mistake_in_a_block_is_none_of_its_output(tmp_path):
    with pytest.raises(AssertionError, match="NameError"):
        course.printed("$ bootsim shell vexpress.dts --mem 64M\n>>> nothing\n", tmp_path)
    with pytest.raises(AssertionError, match="exit code 2"):
        course.printed("$ bootsim show vexpress.dts nothing\n", tmp_path)
