"""The page of recorded processes: its spans, pages and shared frames against the recording's own marks; its HTML."""

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

import bootsim
from bootsim.cli.group import cli
from bootsim.lab.processlife import KINDS, Span, follow
from bootsim.lab.processrecording import ProcessRecording
from bootsim.lab.processreplay import ProcessReplay
from bootsim.views.report.processlife import address_space, heights, render

RECORDINGS = Path(__file__).parents[1] / "golden/processes"


@pytest.fixture(scope="module", params=["vm-3gh", "vmdev-3gh"])
def lived(request):
    recording = ProcessRecording(RECORDINGS / request.param)
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem=recording.ram_bytes, smp=1, cmdline="norandmaps")
    replay = ProcessReplay(recording, k)
    return replay, follow(replay)


def marks_by_operation(recording):
    """Each mark, and how many operations were made since the first."""
    marks, made = {mark["mark"]: mark for mark in recording.marks}, None
    for words in recording.operations:
        if "mark" in words:
            made = 0 if made is None else made
            yield made, marks[words["mark"]]
        elif "op" in words and made is not None:
            made += 1


@pytest.mark.golden
def test_spans_are_the_recorded_mappings_at_every_mark(lived):
    replay, life = lived
    assert replay.agree == replay.asked  # looking at it changes nothing
    assert life.steps
    for made, mark in marks_by_operation(replay.recording):
        if made:
            there = {(int(pid), v["start"], v["end"])
                     for pid, task in mark["tasks"].items() for v in task["mm"]["vmas"]}  # fmt: skip
            assert {(s.pid, s.start, s.end) for s in life.spans if s.first < made <= s.last + 1} == there


@pytest.mark.golden
def test_a_span_ends_where_another_begins(lived):
    _, life = lived
    for pid in {span.pid for span in life.spans}:
        own = [span for span in life.spans if span.pid == pid]
        assert not any(a is not b and a.start < b.end and b.start < a.end and a.first <= b.last and b.first <= a.last
                       for a in own for b in own)
    assert {span.kind for span in life.spans} <= set(KINDS)
    assert all(span.first <= span.last < len(life.steps) for span in life.spans)


@pytest.mark.golden
def test_shared_frames_are_those_of_the_recording(lived):
    replay, life = lived
    of_mark = [mark for made, mark in marks_by_operation(replay.recording) if made == life.sharing.after][-1]
    shown = {}
    for pid, task in of_mark["tasks"].items():
        for e in task["mm"]["ptes"]:
            if e["linux"] >> 12 != of_mark["empty_zero_page_pfn"] and e["va"] < task["mm"]["task_size"]:
                shown.setdefault(e["linux"] >> 12, set()).add((int(pid), e["va"]))
    real = {frozenset(places) for places in shown.values() if len({pid for pid, _ in places}) > 1}
    ours = {frozenset((pid, va + 4096 * i) for pid, va in one.shown) for one in life.sharing.frames
            for i in range(one.frames)}
    # what the program does to its own data and stack is in no operation
    operated = {v["start"]: v["end"] for v in of_mark["tasks"]["1"]["mm"]["vmas"]
                if 0xB6000000 <= v["start"] < 0xB6FFD000}

    def of_operations(places):
        return all(any(start <= va < end for start, end in operated.items()) for _, va in places)

    assert set(filter(of_operations, ours)) == set(filter(of_operations, real)) != set()
    assert life.sharing.drawing.columns[0][0].title.startswith("struct page")


@pytest.mark.golden
def test_the_page_is_whole_and_asks_for_nothing(lived, tmp_path):
    replay, life = lived
    page = render(replay, life, "<b>&")
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page
    for word in ("<script", 'style="', "None"):
        assert word not in page
    assert set(re.findall(r"\w+://[^\s'\"<>]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert len(page) < 500_000
    pids = sorted({pid for step in life.steps for pid in step.resident})
    assert re.findall(r"<h3>Process (\d+)</h3>", page) == [str(pid) for pid in pids]
    assert page.count('<rect class="s-') == len(life.spans)
    assert f"{replay.asked} of {replay.asked}" in page


@pytest.mark.golden
def test_the_command_writes_it(tmp_path):
    shutil.copytree(RECORDINGS / "vm-3gh", tmp_path / "r")
    words = ["replay", str(tmp_path / "r"), "--report", str(tmp_path / "a.html")]
    done = CliRunner().invoke(cli, words)
    assert (done.exit_code, "48 of 48 answers agree" in done.output) == (0, True), done.output
    assert "Shared frames" in (tmp_path / "a.html").read_text()
    done = CliRunner().invoke(cli, [*words[:2], "--report", str(tmp_path / "nowhere/a.html")])
    assert done.exit_code == 2
    done = CliRunner().invoke(cli, [*words, "--page", "0x60000"])
    assert done.exit_code == 2
    assert "--page: not for the recording of a process" in done.output


@pytest.mark.golden
def test_an_operation_is_told_in_words(lived):
    replay, life = lived
    made = [words for words in replay.recording.operations if "op" in words]
    assert len(life.steps) == len(made)
    for step, words in zip(life.steps, made, strict=True):
        assert step.words.startswith(f"process {replay.tasks[words['who']].pid}: {words['op']}")
        assert step.signal == (words["op"] == "signal")
        if words.get("addr", 0) >= 4096:
            assert f"addr {words['addr']:#x}" in step.words
    faults = [step.faults for step in life.steps]
    assert faults == sorted(faults)
    assert faults[-1] > 0


SPANS = [Span(1, 0x1000, 0x3000, KINDS[0], "a <b>", 0, 9), Span(1, 0x8000, 0x9000, KINDS[4], "c", 5, 9),
         Span(2, 0x1000, 0x2000, KINDS[1], "d", 0, 9)]  # fmt: skip


def test_what_nobody_mapped_is_squeezed():
    high, gap, low = heights(SPANS[:2])
    assert [bounds[:2] for bounds in (high, gap, low)] == [(0x8000, 0x9000), (0x3000, 0x8000), (0x1000, 0x3000)]
    assert low[2] > high[2]
    assert heights([SPANS[0], SPANS[1]._replace(start=0x80000000, end=0x80001000)])[1][2] == gap[2]


def test_a_picture_has_the_mappings_of_one_process():
    root = ElementTree.fromstring(address_space(SPANS, 1, 10))
    rects = root.findall("{http://www.w3.org/2000/svg}rect")
    low, high = sorted(rects, key=lambda rect: -float(rect.get("y")))
    assert (low.get("class"), high.get("class")) == ("s-0", "s-4")
    assert float(low.get("width")) == pytest.approx(2 * float(high.get("width")), abs=0.2)
    assert float(low.get("x")) + float(low.get("width")) == pytest.approx(990)
    assert low[0].text.startswith("a <b>;")
    assert address_space([], 3, 0).startswith("<svg")
