"""bootsim compare: a real boot, or only its log, against a replay."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

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
