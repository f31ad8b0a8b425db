"""`bootsim golden`: record, verify, record anew."""

from __future__ import annotations

import re
import shutil

import pytest


def test_record_and_verify(bootsim, tree_file, tmp_path):
    folder = tmp_path / "boots"
    done = bootsim("golden", "record", folder, tree_file(), "--mem", "256M", "--mem", "512M")
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["board-3g-1g-256m.boot.txt", "board-3g-1g-512m.boot.txt"]
    assert 'tree: "../board.dts"' in (folder / names[0]).read_text()
    done = bootsim("golden", "verify", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "2 recorded boots: 2 same, 0 changed"


def test_a_change_is_told_and_recorded_anew(bootsim, tree_file, tmp_path):
    folder = tmp_path / "boots"
    bootsim("golden", "record", folder, tree_file())
    tree_file(memory="	memory@60000000 { device_type = \"memory\"; reg = <0x60000000 0x10000000>; };\n")
    done = bootsim("golden", "verify", folder)
    assert done.exit_code == 1
    assert "-memory   0x60000000-0x7fffffff 512M" in done.stdout.splitlines()
    assert "+memory   0x60000000-0x6fffffff 256M" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].startswith("Causes are not measured: a recorded boot names its inputs")
    assert "recorded " in bootsim("golden", "record", folder).stdout
    assert "same " in bootsim("golden", "record", folder).stdout
    assert bootsim("golden", "verify", folder).exit_code == 0


def test_a_clone_elsewhere_verifies(bootsim, tree_file, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    tree_file(name="here/board.dts")
    monkeypatch.chdir(tmp_path)
    assert bootsim("golden", "record", "here/boots", "here/board.dts", "--cmdline", "quiet").exit_code == 0
    shutil.move("here", "there")
    monkeypatch.chdir(tmp_path / "there" / "boots")
    done = bootsim("golden", "verify", ".")
    assert done.exit_code == 0, done.output


def test_bad_input(bootsim, tree_file, tmp_path):
    assert "no recorded boots" in bootsim("golden", "verify", tmp_path).stderr
    done = bootsim("golden", "record", tmp_path / "boots", "nowhere.dts")
    assert done.exit_code == 2
    assert not (tmp_path / "boots").exists()


MEMORY = '	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x%x0000000>; };\n'
HEADING = "# bootsim golden boot, version 1"


def test_verify_reports_every_board(bootsim, tree_file, tmp_path):
    folder = tmp_path / "boots"
    bootsim("golden", "record", folder, tree_file(name="a.dts"), tree_file(name="c.dts"))
    (folder / "b.boot.txt").write_text("hello")
    (folder / "d.boot.txt").write_text(f'{HEADING}\n[inputs]\ntree: "nowhere.dts"\n')
    done = bootsim("golden", "verify", folder)
    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "same", "ERROR", "same", "ERROR", "4"]  # fmt: skip
    assert "b.boot.txt:1: found 'hello'" in done.stdout
    assert "nowhere.dts: no such file" in done.stdout
    assert lines[-1] == "4 recorded boots: 2 same, 0 changed, 2 could not be verified"


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ('tree: "a.dts"\nbogus: 1', "[inputs].bogus: 1, expected none but tree"),
        ('tree: "a.dts"\nmem: "x"', '[inputs].mem: "x", expected a number'),
        ('tree: "a.dts"\nmem: 1e99', "[inputs].mem: 1e+99, expected a number"),
        ("tree: 7", "[inputs].tree: 7, expected a text"),
        ('tree: "a.dts"\ninclude_dirs: [1]', "[inputs].include_dirs[0]: 1, expected a text"),
        ('tree: "a.dts"\nsmp: 99', "[inputs].smp: 99, expected 0 to 0x20"),
        ('tree: "a.dts"\nbootloader: "lilo"', "expected none, qemu, qemu:MACHINE or u-boot"),
        ("tree: [[[[", "found 'tree: [[[['"),
    ],
)
def test_damaged_files_say_what_is_damaged(bootsim, tmp_path, inputs, words):
    (tmp_path / "x.boot.txt").write_text(f"{HEADING}\n[inputs]\n{inputs}\n")
    done = bootsim("golden", "verify", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path}/x.boot.txt" in done.stdout
    assert words in done.stdout
    done = bootsim("golden", "record", tmp_path)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize("option", [("--cpu", "cortex-a15"), ("--soc", "scu=0"), ("--ram", "512M")])
def test_hardware_is_in_the_name_by_a_mark(bootsim, tree_file, tmp_path, option):
    bootsim("golden", "record", tmp_path / "boots", tree_file(), *option)
    (file,) = (tmp_path / "boots").iterdir()
    assert re.fullmatch(r"board-3g-1g-[0-9a-f]{8}\.boot\.txt", file.name)


def test_boards_of_one_name_are_all_kept(bootsim, tree_file, tmp_path):
    folder = tmp_path / "boots"
    for n, name in enumerate("abc", 1):
        (tmp_path / name).mkdir()
        tree_file(name=f"{name}/board.dts", memory=MEMORY % n)
    boards = [tmp_path / name / "board.dts" for name in "abc"]
    assert bootsim("golden", "record", folder, *boards[:2]).exit_code == 0
    assert bootsim("golden", "record", folder, *reversed(boards)).exit_code == 0
    files = list(folder.iterdir())
    assert len(files) == 3
    recorded = {tree for tree in "abc" for file in files if f'tree: "../{tree}/board.dts"' in file.read_text()}
    assert recorded == set("abc")
    assert bootsim("golden", "verify", folder).stdout.splitlines()[-1] == "3 recorded boots: 3 same, 0 changed"
