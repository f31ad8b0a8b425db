"""The table, the JSON, the exit codes."""

import dataclasses
import json
from pathlib import Path

import conform
import pytest
from realboot import CannotRunError, StepFailedError, replay, report, tools
from realboot.capture import Job
from realboot.matrix import Boot, Kernel
from realboot.replay import Result

from bootsim.state.compare import Row

GOOD = Row("dmesg lines", 40, 40, ())
BAD = Row("setup_arch limits", 1, 2, ("- current_limit=0x1", "+ current_limit=0x2", "another"))


def test_a_result_is_good_only_when_something_was_compared():
    assert Result("a", rows=[GOOD]).ok
    assert not Result("a").ok
    assert not Result("a", rows=[GOOD, BAD]).ok
    assert not Result("a", rows=[GOOD], error="hung").ok


def test_the_table():
    width = 8
    good = Result("a/b/512M", rows=[GOOD], real_s=31.25, replay_s=0.5)
    kept = Result("a/b/1G", rows=[GOOD, BAD], kept=True, replay_s=0.25, real=Path("r"), replay=Path("m"))
    failed = Result("a/c/1G", error="hung after mem_init: no end within 300 s")
    lines = [report.header(width), *(report.line(result, width) for result in (good, kept, failed))]
    assert "\n".join([*lines, report.total([good, kept, failed], width)]).splitlines() == [
        "     boot       rows    matched/total    real  replay",
        "ok   a/b/512M    1/1            40/40   31.2s    0.5s",
        "DIFF a/b/1G      1/2            41/42    kept    0.2s",
        "FAIL a/c/1G    hung after mem_init: no end within 300 s",
        "     total: 1 of 3 boots agree    2/3            81/82",
    ]
    assert list(report.differences(kept, 1)) == [
        "       setup_arch limits: 1/2",
        "         - current_limit=0x1",
        "       more: bootsim compare r m",
    ]
    assert list(report.differences(good, 9)) == []


def test_json_has_every_difference():
    data = json.loads(report.as_json([Result("a", rows=[GOOD, BAD]), Result("b", error="no")]))
    assert (data["ok"], data["matched"], data["total"]) == (False, 41, 42)
    assert data["boots"][0]["rows"][1]["differences"] == list(BAD.differences)
    assert data["boots"][1]["error"] == "no"


def test_missing_programs_are_named_with_their_packages(monkeypatch):
    monkeypatch.setattr(tools.shutil, "which", lambda program: None if "qemu" in program else program)
    with pytest.raises(CannotRunError, match=r"qemu-system-arm is missing \(apt-get install qemu-system-arm;"):
        tools.require(tools.CAPTURE)
    assert tools.missing(tools.BUILD) == {}


def test_a_run_that_cannot_be_made_is_skipped_and_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tools.shutil, "which", lambda program: None)
    assert conform.main(["--cache", str(tmp_path)]) == conform.EXIT_SKIPPED == 77
    assert capsys.readouterr().err.startswith("skipped: qemu-system-arm, gdb-multiarch, arm-linux-gnueabi-gcc")


def test_list_and_mistakes(capsys, tmp_path):
    assert conform.main(["--list", "--only", "banks"]) == conform.EXIT_OK
    assert "/banks/1024M/raw" in capsys.readouterr().out
    assert conform.main(["--list", "--only", "nothing-like-it"]) == conform.EXIT_USAGE
    assert conform.main(["--list", "--matrix", str(tmp_path / "none.yaml")]) == conform.EXIT_USAGE
    assert capsys.readouterr().err.startswith("error: no boot is called nothing-like-it")


def test_one_boot_that_fails_does_not_stop_the_others(monkeypatch, capsys, tmp_path):
    def one(self, boot, result, label):
        if "512M" in boot.name:
            raise StepFailedError("hung")
        result.rows = [GOOD]

    monkeypatch.setattr(conform.Run, "_one", one)
    monkeypatch.setattr(conform.Run, "prepare", lambda self, boots: [])
    matrix = tmp_path / "matrix.yaml"
    matrix.write_text("kernels: {a: }\nboots: [{trees: 'dts:vexpress.dts', mem: [512M, 1G]}]\n")
    given = ["--matrix", str(matrix), "--cache", str(tmp_path)]
    assert conform.main(given) == conform.EXIT_DIFFERS
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out[1:3]] == [["FAIL", "a/vexpress/512M"], ["ok", "a/vexpress/1024M"]]
    assert conform.main([*given, "--only", "1024M", "--json"]) == conform.EXIT_OK
    assert json.loads(capsys.readouterr().out)["matched"] == 40


def test_another_qemu_or_board_means_the_tree_as_it_was_received(tmp_path):
    class Real:
        path = tmp_path
        stages = {"__create_page_tables": {"atags": 0x68000000, "phys_offset": 0x60000000}}  # noqa: RUF012

    class Built:
        text_offset = 0x208000

    boot = Boot(Kernel("a"), "dts:vexpress.dts", 512, cpus=2)
    job = Job(boot, Built, b"arm,vexpress,v2p-ca9")
    known = replay.arguments(job, Path("t.dtb"), Path("i"), (7, 2), Real)
    assert known[:5] == ["t.dtb", "--bootloader", "qemu:vexpress-a9", "--mem", "512M"]
    assert known[-2:] == ["--initrd", "i"]
    other = replay.arguments(job, Path("t.dtb"), None, (8, 2), Real)
    received = [str(tmp_path / "boot.dtb"), "--dtb-addr", "0x68000000", "--load-addr", "0x60208000", "--smp", "2"]
    assert other == received
    virt = Job(dataclasses.replace(boot, machine="virt", until="mem_init", given=("--cpu", "midr=1")), Built, b"")
    more = ["--until", "mem_init", "--cpu", "midr=1"]
    pi = Job(dataclasses.replace(boot, machine="raspi0"), Built, b"a tree")
    assert replay.arguments(pi, Path("t.dtb"), None, (7, 2), Real)[2] == "qemu:raspi0"
    assert replay.arguments(virt, Path("t.dtb"), None, (7, 2), Real) == [*received, *more]


def test_names_make_files():
    assert conform.file_name("a/b/512M/mem=1G,2G/x y") == "a_b_512M_mem=1G,2G_x_y"
