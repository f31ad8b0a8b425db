"""The page of the allocators' life under a recording: its numbers against the records', its HTML."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli
from bootsim.inputs.configfile import load_build
from bootsim.lab.life import follow
from bootsim.lab.recording import Recording
from bootsim.lab.replay import PageReplay
from bootsim.views.report.life import chart, render

GOLDEN = Path(__file__).parents[1] / "golden"
BUILD = GOLDEN / "builds/k3slub.yaml"
NAME = "kc-slub-256"


@pytest.fixture(scope="module")
def recording(recorded):
    return recorded(NAME)


@pytest.fixture(scope="module")
def replay(recording):
    return PageReplay(Recording(recording), load_build(BUILD))


@pytest.fixture(scope="module")
def life(replay):
    return follow(replay, None, [])


def of_kind(replay, *kinds):
    return [i for i in range(len(replay.records)) if replay.records[i, 0] in kinds]


@pytest.mark.golden
def test_every_record_is_counted_once(replay, life):
    assert life.ends[-1] == replay.at == len(replay.records)
    assert life.ends == sorted(set(life.ends))
    assert sum(life.events["page requests"]) == len(of_kind(replay, 1))
    assert sum(life.events["pages moved"]) == len(of_kind(replay, 19))
    entered = [i for i in of_kind(replay, 17) if replay.records[i, 3] >> 31]
    assert life.compactions == entered
    right, asked, first = replay.score()
    assert (right, first) == (asked, None)  # looking at it changes nothing


@pytest.mark.golden
def test_free_memory_is_the_machines_at_the_end(replay, life):
    for zone in replay.state()["zones"]:
        if zone["present"]:
            blocks = [area["nr_free"] << order for order, area in enumerate(zone["free_area"])]
            assert life.free[zone["name"]][-1] == sum(blocks)
            assert life.large[zone["name"]][-1] == sum(blocks[9:])
    before = life.large["HighMem"][life.ends.index(max(end for end in life.ends if end <= life.compactions[-1]))]
    assert life.large["HighMem"][-1] > before  # compaction was for that


@pytest.mark.golden
def test_a_frame_goes_from_hand_to_hand(replay, life):
    (frame,) = life.frames
    used = [now for _, now, _ in frame.story]
    assert len(used) > 100
    # Single pages are handed out and freed in turn; the boot frees it first, when memblock had it.
    assert all(a != b for a, b in pairwise(used))
    assert frame.boot
    assert [f"{i}: {what}" for i, _, what in frame.story] == replay.life_of(frame.pfn)[1:]


@pytest.mark.golden
def test_the_page_is_whole_and_asks_for_nothing(recording, tmp_path):
    done = CliRunner().invoke(cli, ["replay", str(recording), "--config", str(BUILD), "--report",
                                    str(tmp_path / "life.html"), "--page", "0x604c8", "--at", "100000"])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "life.html").read_text()
    assert "100000 of 528065" in text
    assert "Frame 0x604c8" in text
    assert "<script" not in text
    assert "kernel image" in text
    assert set(re.findall(r"\w+://[^\s'\"<>]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert len(text) < 500_000
    assert 'style="' not in text  # the page's policy forbids it


@pytest.mark.golden
def test_a_name_stays_text(replay, life):
    page = render(replay, life, "<b>&")
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page


def test_a_chart_reaches_from_edge_to_edge():
    svg = chart("x", {"a": [0, 50, 100]}, [10, 20, 40], [(20, "here")])
    points = [tuple(map(float, p.split(","))) for p in re.search(r'points="([^"]*)"', svg)[1].split()]
    assert points[-1][0] == 990
    assert points[0][1] > points[1][1] > points[2][1] == 8
    assert (points[1][0] - points[0][0]) * 2 == pytest.approx(points[2][0] - points[1][0], abs=0.2)
    assert chart("x", {}, [], []).startswith("<svg")


def test_only_recordings_have_such_a_page(tmp_path):
    trace = tmp_path / "trace.txt"
    trace.write_text("\n")
    page = str(tmp_path / "a.html")
    done = CliRunner().invoke(cli, ["replay", str(trace), "--tree", "vexpress.dts", "--report", page])
    assert done.exit_code == 2
    assert "--report: not for a text trace" in done.output
