"""`bootsim check`: exit codes and outputs; the files themselves are tested in tests/state."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest


@pytest.fixture
def check_file(tree_file, tmp_path):
    tree_file()

    def write(expect, boots="{tree: board.dts, mem: [256M, 512M]}"):
        path = tmp_path / "x.bootsim.yaml"
        path.write_text(f"boots: {boots}\nexpect: [{expect}]\n")
        return path

    return write


def test_all_holds(bootsim, check_file):
    done = bootsim("check", check_file("lowmem >= 200M, no warning"))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "2 boots, 4 expectations: 4 hold"
    assert "lowmem" not in done.stdout


def test_something_does_not(bootsim, check_file, tmp_path):
    done = bootsim("check", check_file("lowmem >= 512M"), "--github", "--junit", tmp_path / "j.xml", "-v")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith("FAIL ") and line.endswith("mem=256M") for line in lines)
    assert "  FAIL lowmem >= 512M" in lines
    assert "         lowmem is 256M, expected >= 512M" in lines
    assert "  ok   lowmem >= 512M" in lines
    assert lines[-1].startswith(f"::error file={tmp_path / 'board.dts'},line=")
    assert Xml.parse(tmp_path / "j.xml").getroot().get("failures") == "1"


def test_bad_input(bootsim, check_file, tmp_path):
    assert bootsim("check", check_file("no panic", "{tree: nowhere.dts}")).exit_code == 2
    done = bootsim("check", check_file("lowmen > 1"))
    assert done.exit_code == 2
    assert "x.bootsim.yaml:2:10: no quantity 'lowmen' in this boot; did you mean lowmem" in done.stderr
    assert "x.bootsim.yaml:2:19: 'lowmem >='" in bootsim("check", check_file("lowmem >=")).stderr
    done = bootsim("check", check_file("no panic"), "--junit", tmp_path / "no" / "j.xml")
    assert done.exit_code == 2
    assert "j.xml: its parent directory does not exist" in done.stderr


def test_names(bootsim, check_file):
    done = bootsim("check", check_file("no panic"), "--names")
    assert done.exit_code == 0
    assert "  lowmem                           256M  (bytes)" in done.stdout.splitlines()
    assert "  digest " in done.stdout


def test_a_digest_can_be_expected(bootsim, check_file):
    names = bootsim("check", check_file("no panic"), "--names").stdout.splitlines()
    digest = next(line.split()[1] for line in names if line.startswith("  digest "))
    assert bootsim("check", check_file(f"digest == {digest}", "{tree: board.dts, mem: 256M}")).exit_code == 0
    changed = bootsim("check", check_file(f"digest == {digest}", "{tree: board.dts, mem: 512M}"))
    assert changed.exit_code == 1
    assert f"expected == {digest}" in changed.stdout


def test_many_boots_run_in_processes(bootsim, check_file):
    done = bootsim("check", check_file("no panic", '{tree: board.dts, mem: 64M-224M:16M}'), "-j", "2")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "11 boots, 11 expectations: 11 hold"


def test_all_mistakes_at_once(bootsim, tree_file, tmp_path):
    tree_file()
    (tmp_path / "a.bootsim.yaml").write_text("boots: {tree: board.dts, smp: 99}\nexpect: [lowmem >=, {when: panic}]\n")
    (tmp_path / "b.bootsim.yaml").write_text("boots: {tre: board.dts}\nexpect: no panic\n")
    (tmp_path / "c.bootsim.yaml").write_text("[\n")
    done = bootsim("check", *(tmp_path / f"{name}.bootsim.yaml" for name in "abc"))
    assert done.exit_code == 2
    lines = [line.removeprefix("bootsim: error: ").removeprefix(f"{tmp_path}/") for line in done.stderr.splitlines()]
    assert [line.split(" ")[0] for line in lines] == [
        "a.bootsim.yaml:1:31:", "a.bootsim.yaml:2:19:", "a.bootsim.yaml:2:21:", "b.bootsim.yaml:1:8:",
        "b.bootsim.yaml:1:9:", "c.bootsim.yaml:2:1:"]  # fmt: skip


def test_an_unknown_name_does_not_hide_what_else_is_wrong(bootsim, check_file, tree_file):
    tree_file()
    done = bootsim("check", check_file("lowmen > 1, lowmem > 900M"))
    assert done.exit_code == 2
    assert "FAIL lowmem > 900M" in done.stdout
    assert "no quantity 'lowmen'" in done.stderr


def test_what_the_machine_has_can_be_said_in_the_file_and_at_the_command(bootsim, check_file):
    boots = "{tree: board.dts, mem: 256M, ram: 512M@0x60000000, cpu: cortex-a15, soc: [scu=0x1e000000]}"
    file = check_file("no panic", boots)
    assert bootsim("check", file).exit_code == 0
    assert bootsim("check", file, "--ram", "128M").exit_code == 1
    wrong = bootsim("check", check_file("no panic", "{tree: board.dts, ram: much}"))
    assert wrong.exit_code == 2
    assert "x.bootsim.yaml:1:31: 'much' is not a size such as 512M" in wrong.stderr
    wrong = bootsim("check", check_file("no panic", "{tree: board.dts, allow_outside: true}"))
    assert wrong.exit_code == 2
    assert "unknown name 'allow_outside'" in wrong.stderr
