"""Recorded processes: every mapping that a real kernel made, at every mark."""

import json
import lzma
import shutil
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
from click.testing import CliRunner

import bootsim
from bootsim.cli.group import cli
from bootsim.errors import InputError
from bootsim.lab.processrecording import ProcessRecording, is_process_recording
from bootsim.lab.processreplay import ProcessReplay

RECORDINGS = Path(__file__).parents[1] / "golden/processes"
FIELDS = ("mmap_base", "start_brk", "brk", "total_vm", "data_vm", "stack_vm", "exec_vm", "map_count", "task_size",
          "locked_vm", "def_flags", "highest_vm_end")  # fmt: skip


def kind(entry, zero):
    mapping = entry.get("page", {}).get("mapping", 0)
    return "zero" if entry["linux"] >> 12 == zero else "anon" if mapping & 1 else "file" if mapping else "none"


def assert_frames(real, ours, code):
    """Two entries share a frame here exactly when they do there, and its page is of the same kind."""
    for there, here in zip(real, ours, strict=True):
        frames = {}
        for pid, task in there["tasks"].items():
            mine = {e["va"]: e for e in here["tasks"][int(pid)]["mm"]["ptes"]}
            for e in task["mm"]["ptes"]:
                if e["va"] not in mine:
                    continue  # what the program itself touched of its own data and stack
                pair = frames.setdefault(e["linux"] >> 12, mine[e["va"]]["linux"] >> 12)
                if e["va"] >= 0xB6F00000 and e["va"] < 0xB6FF0000:
                    assert pair == mine[e["va"]]["linux"] >> 12, (there["mark"], hex(e["va"]))
                    zeros = there["empty_zero_page_pfn"], here["empty_zero_page_pfn"]
                    assert kind(e, zeros[0]) == kind(mine[e["va"]], zeros[1])


@pytest.mark.golden
@pytest.mark.parametrize("name", ["vm-3gh", "vmdev-3gh", "vmfz-3gh"])
def test_every_mapping_is_the_recorded_one(name):
    recording = ProcessRecording(RECORDINGS / name)
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem=recording.ram_bytes, smp=1, cmdline="norandmaps")
    replay = ProcessReplay(recording, k)
    replay.run()
    agree, total = replay.mappings()
    assert agree == total > 300
    assert replay.agree == replay.asked
    same, entries = replay.entries()
    assert same == entries > 700
    assert_frames(recording.marks, replay.marks, replay.code)
    for real, ours in zip(recording.marks, replay.marks, strict=True):
        assert sorted(map(int, real["tasks"])) == sorted(ours["tasks"])
        for pid, task in real["tasks"].items():
            mm, mine = task["mm"], ours["tasks"][int(pid)]["mm"]
            assert {f: mine[f] for f in FIELDS if f in mm} == {f: mm[f] for f in FIELDS if f in mm}, real["mark"]
            for v, w in zip(mm["vmas"], mine["vmas"], strict=True):
                assert (v["page_prot"], bool(v["anon_vma"])) == (w["page_prot"], bool(w["anon_vma"])), (real["mark"], v)


@pytest.mark.golden
def test_the_command_tells_how_much_agrees(tmp_path):
    done = CliRunner().invoke(cli, ["replay", str(RECORDINGS / "vm-3gh"), "--answers", str(tmp_path / "marks.json")])
    assert "48 of 48 answers agree; 400 of 400 mappings and 761 of 761 page table entries at 29 marks" in done.output
    assert "pages of the program's own code are mapped because the marks have them" in done.output
    assert done.exit_code == 0
    marks = json.loads((tmp_path / "marks.json").read_text())
    assert len(marks) == 30
    assert marks[0]["tasks"]["1"]["mm"]["vmas"][0]["start"] == 0x10000


@pytest.mark.golden
def test_a_refused_mapping_tells_how_a_file_was_opened(tmp_path):
    for name in ("console.log", "marks.json.xz"):
        shutil.copy(RECORDINGS / "vmdev-3gh" / name, tmp_path)
    log = tmp_path / "console.log"
    mark, where = '{"mark":2,', {"addr": 0, "len": 4096, "fd": 6, "off": 0}
    refused = json.dumps({"op": "mmap", "who": 0, "prot": 3, "flags": 1, **where, "ret": -13})
    assert mark in log.read_text()
    log.write_text(log.read_text().replace(mark, f"{refused}\n{mark}", 1))
    assert ProcessRecording(tmp_path).read_only == {6}
    done = CliRunner().invoke(cli, ["replay", str(tmp_path)])
    assert "/lib0 was opened for reading only" in done.output
    assert done.exit_code == 0  # the answer agrees, and no mapping is there that the marks have not


VMA = '{"start": 0, "end": %s, "flags": %s, "pgoff": 0, "file": null}'


def marks(flags, end=4096):
    return ('[{"mark": 1, "tasks": {"1": {"mm": {"mmap_base": 8192, "start_brk": 0, "vmas": ['
            + VMA % (end, flags) + "]}}}}]")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("marks.json", "[]", "marks.json"),
        ("marks.json", '[{"mark": 1, "tasks": {"1": {}}}]', "marks.json"),
        ("marks.json", marks('"rw"'), r"\.tasks\.1\.mm\.vmas\[0\]\.flags: 'rw' is no number below 0x100000000"),
        ("marks.json", marks(-1), "flags: -1 is no number below 0x100000000"),
        ("marks.json", marks(3, end=1), "a mapping is not of whole pages"),
        ("marks.json", marks(3, end=0), "a mapping is not of whole pages"),
        ("marks.json", marks(3).replace("}]}", "}, " + VMA % (4096, 3) + "]}"), "two mappings overlap"),
        ("marks.json", marks(3).replace('"start_brk"', '"start"'), r"tasks\.1\.mm: has no start_brk"),
        ("console.log", '@@BEGIN vmlab\n{"files":{"3":7}}\n@@END', "operation 1.*7 is no text"),
        ("console.log", '@@BEGIN vmlab\n{"about":{"3":{"pages":["x"]}}}\n@@END', "'x' is no number"),
        ("console.log", "nothing", "@@BEGIN"),
        ("console.log", '@@BEGIN vmlab\n{"op":"mmap","who":0}\n@@END', "operation 1"),
        ("console.log", '@@BEGIN vmlab\n{"op":\n@@END', "operation 1"),
        ("console.log", '@@BEGIN vmlab\n{"mark":[1]}\n@@END', "is no number"),
        ("console.log", '@@BEGIN vmlab\n{"op":"munmap","who":0,"addr":4096,"len":"x","ret":0}\n@@END', "is no number"),
    ],
)
def test_a_broken_recording_is_one_line(tmp_path, name, text, told):
    shutil.copytree(RECORDINGS / "vm-3gh", tmp_path / "r")
    (tmp_path / "r" / name).write_text(text)
    with pytest.raises(InputError, match=told):
        ProcessRecording(tmp_path / "r")
    assert is_process_recording(tmp_path / "r")


def places(found, path=()):
    """The way to each thing in a mark, of lists to the first of it."""
    for key in found if isinstance(found, dict) else [0] if found else []:
        yield (*path, key)
        if isinstance(found[key], dict | list):
            yield from places(found[key], (*path, key))


def test_marks_that_cannot_be_are_no_bug(tmp_path):
    """Each thing at the first mark is nothing of its kind in turn: it is told, or nobody wants to know it."""
    shutil.copy(RECORDINGS / "vmdev-3gh/console.log", tmp_path)
    first = json.loads(lzma.decompress((RECORDINGS / "vmdev-3gh/marks.json.xz").read_bytes()))[0]
    del first["kernel"]["page_flags"], first["tasks"]["1"]["mm"]["l1"]
    k = bootsim.boot("vexpress.dts", mem="1G", smp=1, cmdline="norandmaps")
    told = set()
    for *way, last in places([first]):
        for wrong in ("x", [5]):
            changed = json.loads(json.dumps([first]))
            reduce(getitem, way, changed)[last] = wrong
            (tmp_path / "marks.json").write_text(json.dumps(changed))
            try:
                ProcessReplay(ProcessRecording(tmp_path), k.copy())
            except InputError:
                told.add(last)
    assert {"mark", "kernel", "tasks", "rlimit", "mm", "mmap_base", "brk", "vmas", "start", "end", "flags", "pgoff",
            "file", "ptes", "va", "linux", "hw", "page", "mapping"} <= told


@pytest.mark.parametrize(
    ("old", "new"),
    [('"fd":3', '"fd":99'), ('"addr":0', '"addr":-5e9'), ('"op":"brk"', '"op":"leap"'), ('"flags":34', '"flags":"x"'),
     ('"len":98304', '"len":-1')],
)  # fmt: skip
def test_operations_that_cannot_be_made_are_no_bug(tmp_path, old, new):
    shutil.copytree(RECORDINGS / "vm-3gh", tmp_path / "r")
    log = (tmp_path / "r/console.log").read_text()
    assert old in log
    (tmp_path / "r/console.log").write_text(log.replace(old, new))
    done = CliRunner().invoke(cli, ["replay", str(tmp_path / "r")])
    assert done.exit_code in (1, 2), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit | InputError)


def test_a_wrong_number_of_a_process_is_bad_input(tmp_path):
    shutil.copytree(RECORDINGS / "vm-3gh", tmp_path / "r")
    log = (tmp_path / "r/console.log").read_text().replace('"who":0', '"who":9')
    (tmp_path / "r/console.log").write_text(log)
    done = CliRunner().invoke(cli, ["replay", str(tmp_path / "r")])
    assert done.exit_code == 2


def first_mark_of(folder):
    """What the replay makes of the recording's first mark: its mappings, and its entries by address."""
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", smp=1, cmdline="norandmaps")
    replay = ProcessReplay(ProcessRecording(folder), k)
    replay.run()
    (task,) = replay.marks[0]["tasks"].values()
    return task["mm"]["vmas"], {e["va"]: e["linux"] & 0xFFF for e in task["mm"]["ptes"]}


@pytest.mark.golden
def test_a_program_that_nobody_has_open_is_mapped_all_the_same(tmp_path):
    shutil.copytree(RECORDINGS / "vm-3gh", tmp_path / "r")
    log = (tmp_path / "r/console.log").read_text()
    assert '"3":"/sbin/init",' in log
    (tmp_path / "r/console.log").write_text(log.replace('"3":"/sbin/init",', ""))
    assert first_mark_of(tmp_path / "r") == first_mark_of(RECORDINGS / "vm-3gh")
    told = CliRunner().invoke(cli, ["replay", str(tmp_path / "r")])
    assert told.exit_code == 1
    assert "bootsim: init, which is mapped at the first mark, is no open file of the recording" in told.stderr


@pytest.mark.golden
def test_a_files_page_without_a_file_is_bad_input(tmp_path):
    shutil.copytree(RECORDINGS / "vm-3gh", tmp_path / "r")
    (packed,) = (tmp_path / "r").glob("marks.json.xz")
    marks = json.loads(lzma.decompress(packed.read_bytes()))
    for task in marks[0]["tasks"].values():
        for v in task["mm"]["vmas"]:
            v["file"] = None
    packed.write_bytes(lzma.compress(json.dumps(marks).encode()))
    done = CliRunner().invoke(cli, ["replay", str(tmp_path / "r")])
    assert done.exit_code == 2
    assert "has a page of a file, its mapping none" in str(done.exception) + done.output


def test_a_build_with_other_room_for_programs_is_refused():
    done = CliRunner().invoke(cli, ["replay", str(RECORDINGS / "vm-3gh"), "--config", "2G/2G"])
    assert done.exit_code == 2
    assert "programs below 0xbf000000, this build below 0x7f000000" in str(done.exception) + done.output
