"""`bootsim replay` of text traces: what is told, what is written, what is refused."""

import gzip
import json
import lzma
import re
import shutil
import tarfile
from pathlib import Path

import pytest

ALLOC = " init-1 [000] .... 1.5: mm_page_alloc: page=c pfn=100 order=2 migratetype=0 gfp_flags=GFP_KERNEL\n"


@pytest.fixture
def trace(tmp_path):
    file = tmp_path / "trace.txt"
    file.write_text(ALLOC)
    return file


def test_a_text_trace_is_put_to_a_board(bootsim, trace, tmp_path):
    done = bootsim("replay", trace, "--tree", "vexpress.dts", "--mem", "256M", "--page", "101",
                   "--state", tmp_path / "s")
    assert done.exit_code == 0, done.stderr
    assert "1 requests for 4 pages" in done.stdout
    assert "order 2 handed out to init-1, here at page" in done.stdout
    assert bootsim("show", tmp_path / "s", "buddyinfo").exit_code == 0


def test_from_standard_input_a_failed_request_is_an_answer(bootsim, trace):
    many = "".join(ALLOC.replace("pfn=100 order=2", f"pfn={i * 1024} order=10") for i in range(1, 80))
    done = bootsim("replay", "-", "--tree", "vexpress.dts", "--mem", "256M", input=many)
    assert done.exit_code == 1
    assert "the first of order 10 with GFP_KERNEL by init-1, line" in done.stdout


@pytest.mark.parametrize(("options", "told"), [
    ((), "expected --tree TREE"),
    (("--tree", "vexpress.dts", "--answers", "x"), "--answers: not for a text trace"),
    (("--tree", "nothing.dts"), "nothing.dts"),
    (("--tree", "vexpress.dts", "--page", "me"), "'me' is not a number"),
])
def test_what_does_not_fit_a_text_trace(bootsim, trace, options, told):
    done = bootsim("replay", trace, *options)
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_recording_has_its_own_board(bootsim, tmp_path):
    done = bootsim("replay", tmp_path, "--tree", "vexpress.dts")
    assert done.exit_code == 2
    assert "--tree: only for a text trace" in done.stderr


@pytest.mark.parametrize("option", [("--mem", "64M"), ("--all",)])
def test_what_is_for_text_traces_alone(bootsim, tmp_path, option):
    done = bootsim("replay", tmp_path, *option)
    assert done.exit_code == 2
    assert f"{option[0]}: only for a text trace" in done.stderr


def test_a_process_has_no_call_sites(bootsim, tmp_path):
    (tmp_path / "marks.json").write_text("[]")
    done = bootsim("replay", tmp_path, "--all")
    assert done.exit_code == 2
    assert "--all: not for the recording of a process" in done.stderr


def test_what_is_not_there_is_no_recording_and_no_trace(bootsim, tmp_path):
    done = bootsim("replay", tmp_path / "nothing", "--tree", "vexpress.dts")
    assert done.exit_code == 2
    assert done.stderr.endswith("nothing: not there; expected a recording's folder, a text trace, or - for standard "
                                "input\n")


@pytest.mark.golden
def test_the_recordings_to_try(bootsim, tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    (tmp_path / "tests").symlink_to(root / "tests")
    monkeypatch.chdir(tmp_path)
    commands = re.search(r"```sh\n(.*?)```", (root / "docs/recordings.md").read_text(), re.DOTALL)[1]
    tar, *replays = [line.split() for line in commands.splitlines()]
    with tarfile.open(tar[2]) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall()
    assert len(replays) == 3
    for replay in replays:
        done = bootsim(*replay[1:])
        assert done.exit_code == 0, done.stderr


def test_a_folder_of_something_else_is_no_recording(bootsim, tmp_path):
    done = bootsim("replay", tmp_path)
    assert done.exit_code == 2
    assert "no recording: expected boot.dtb, meta.json and mmtrace.bin.xz in it, or of a process" in done.stderr


@pytest.mark.golden
@pytest.mark.parametrize("option", ["--answers", "--report"])
def test_where_no_file_can_go_nothing_is_replayed(bootsim, recorded, tmp_path, option):
    for file, told in ((tmp_path, "is a directory"), (tmp_path / "no/file", "parent directory"), ("-", "/dev/stdout")):
        done = bootsim("replay", recorded("kc-slub-256"), "--config", "none", option, file)
        assert done.exit_code == 2
        assert told in done.stderr


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_packed_trace_is_known_by_its_content(bootsim, trace, pack):
    trace.write_bytes(pack(ALLOC.encode()))
    done = bootsim("replay", trace, "--tree", "vexpress.dts", "--mem", "64M")
    assert done.exit_code == 0, done.stderr
    assert "1 requests for 4 pages" in done.stdout


def broken_packings():
    text = "".join(ALLOC.replace("pfn=100", f"pfn={i * 4}") for i in range(2000)).encode()
    for pack in (gzip.compress, lzma.compress):
        packed = pack(text)
        yield packed[: len(packed) // 2]
        yield packed[:14] + b"\xff" * 40 + packed[54:]  # the beginning of the data, behind the head


@pytest.mark.parametrize("packed", list(broken_packings()))
def test_a_broken_packing_is_told(bootsim, trace, packed):
    trace.write_bytes(packed)
    done = bootsim("replay", trace, "--tree", "vexpress.dts", "--mem", "64M")
    assert done.exit_code == 2
    assert f"{trace}: cannot be decompressed: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.golden
def test_a_state_is_written_again_over_itself(bootsim, recorded, tmp_path):
    golden = Path(__file__).parents[1] / "golden"
    recording = recorded("kc-slub-256")
    for _ in range(2):
        done = bootsim("replay", recording, "--config", golden / "builds/k3slub.yaml", "--at", "26000",
                       "--state", tmp_path / "s")
        assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "s/objects.json").read_text())["allocator"] == "slub"
    shutil.copy(recording / "meta.json", tmp_path / "s/other.json")
    done = bootsim("replay", recording, "--config", golden / "builds/k3slub.yaml", "--state", tmp_path / "s")
    assert "holds other.json, which is not part of a state directory" in done.stderr
