"""bootsim compare: a real boot, or only its log, against a replay."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bootsim import boot
from bootsim.cli.group import cli


@pytest.fixture
def capture(unpack, tmp_path):
    return unpack("a9-3gh-512", tmp_path / "real")


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


@pytest.fixture
def replay(capture, tmp_path):
    result = run("boot", capture / "boot.dtb", "--config", "3G/1G", "--state", tmp_path / "replay", "-q")
    assert result.exit_code == 0, result.output
    return tmp_path / "replay"


def test_a_capture_agrees_with_its_replay(capture, replay):
    result = run("compare", capture, replay)
    assert result.exit_code == 0
    assert "ok   dmesg lines" in result.output
    assert "DIFF" not in result.output
    matched, total = result.output.rpartition("score: ")[2].split("/")
    assert int(matched) == int(total) > 20000


def test_a_bare_serial_log_will_do(capture, replay, tmp_path):
    log = tmp_path / "serial.log"
    stamped = "".join(f"[    0.0000{i % 10}0] {line}\n" for i, line in
                      enumerate((capture / "console.log").read_text().splitlines()))
    log.write_text("U-Boot 2020.01\nStarting kernel ...\n" + stamped)
    result = run("compare", log, replay)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("ok   dmesg lines")


def test_what_dmesg_shows_and_a_console_does_not_is_no_difference(replay, capture, tmp_path):
    k = boot(capture / "boot.dtb")
    whole = [line for record in k.log.records if record.kernel for line in record.text.split("\n")]
    assert any(record.level == 7 for record in k.log.records)
    for stamp in ("", "[    0.000000] ", "[Thu Jan  1 00:00:07 1970] "):
        (tmp_path / "dmesg").write_text("".join(f"{stamp}{line}\n" for line in whole))
        result = run("compare", tmp_path / "dmesg", replay)
        assert result.exit_code == 0, result.output
    (tmp_path / "dmesg").write_text("".join(f"{line}\n" for line in whole if not line.startswith("Initmem")))
    assert run("compare", tmp_path / "dmesg", replay).exit_code == 1


def test_a_log_with_everything_is_held_against_a_replay_with_everything(capture, tmp_path):
    words = ("--cmdline", "console=ttyAMA0 ignore_loglevel")
    assert run("boot", capture / "boot.dtb", *words, "--state", tmp_path / "whole", "-q").exit_code == 0
    log = (tmp_path / "whole/dmesg.log").read_text()
    assert "LIFO batch:" in log
    (tmp_path / "dmesg").write_text(log.replace("LIFO batch:", "LIFO batch:1"))
    result = run("compare", tmp_path / "dmesg", tmp_path / "whole")
    assert result.exit_code == 1
    assert "+ Normal zone: " in result.output


def test_a_difference_is_shown_and_gives_exit_1(capture, replay, tmp_path):
    log = tmp_path / "serial.log"
    log.write_text((capture / "console.log").read_text().replace("Reserved 16 MiB", "Reserved 32 MiB"))
    result = run("compare", log, replay)
    assert result.exit_code == 1
    assert "- cma: Reserved 32 MiB at 0x7f000000" in result.output
    assert "+ cma: Reserved 16 MiB at 0x7f000000" in result.output


def test_json_has_every_row(capture, replay):
    result = run("compare", capture, replay, "--json")
    rows = json.loads(result.output)["rows"]
    assert {"dmesg lines", "mem_init zone numbers", "cma areas"} <= {row["name"] for row in rows}


@pytest.mark.parametrize("what", ["missing", "not-a-log", "not-a-state"])
def test_bad_input_gives_exit_2(what, replay, tmp_path):
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "empty").mkdir()
    args = {"missing": (tmp_path / "nowhere", replay), "not-a-log": (tmp_path / "text", replay),
            "not-a-state": (replay, tmp_path / "empty")}[what]
    result = run("compare", *args)
    assert result.exit_code == 2
    assert "bootsim: error:" in result.output
