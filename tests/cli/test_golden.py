"""`bootsim golden`: record, verify, record anew."""

from __future__ import annotations

import shutil


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
    (tmp_path / "x.boot.txt").write_text("hello")
    done = bootsim("golden", "verify", tmp_path)
    assert done.exit_code == 2
    assert "x.boot.txt:1: found 'hello'" in done.stderr
    (tmp_path / "x.boot.txt").write_text('# bootsim golden boot, version 1\n[inputs]\ntree: "a"\nbogus: 1\n')
    assert "its [inputs]" in bootsim("golden", "verify", tmp_path).stderr
