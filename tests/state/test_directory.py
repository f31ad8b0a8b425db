"""State directories: written in one step, read back, never over somebody else's files."""

import json

import pytest

from bootsim.errors import InputError
from bootsim.state import directory
from bootsim.state.snapshot import Stage

TABLES = {"swapper_pg_dir": 0x60004000, "l2_pages": [0x6FFFE000]}
STAGES = [
    Stage("setup_machine_fdt", {"memblock": {"memory": [[0x60000000, 0x40000000, 0]]}}),
    Stage("paging_init:entry", {"tables": TABLES}, bytes(16384), bytes(4096)),
]


def write(path, **changes):
    args = {"dtb": b"\xd0\r\xfe\xed", "dmesg": "[    0.000000] Booting\n", "meta": {"build": "3G/1G"}} | changes
    directory.write(path, STAGES, **args)


def test_what_is_written_reads_back(tmp_path):
    write(tmp_path / "s")
    state = directory.StateDirectory(tmp_path / "s")
    assert state.meta == {"version": 1, "generator": "bootsim", "build": "3G/1G"}
    assert list(state.stages) == ["setup_machine_fdt", "paging_init:entry"]
    assert state.stages["setup_machine_fdt"] == STAGES[0].fields
    assert state.dtb == b"\xd0\r\xfe\xed"
    assert state.log == "[    0.000000] Booting\n"
    assert state.tables("paging_init:entry") == (bytes(16384), {0x6FFFE000: bytes(4096)})
    assert (tmp_path / "s" / "paging_init.entry.l1.bin").stat().st_size == 16384
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_captured_boot_reads_too(tmp_path):
    (tmp_path / "stages.json").write_text("{}")
    (tmp_path / "console.log").write_text("Booting\r\n")
    state = directory.StateDirectory(tmp_path)
    assert state.log.startswith("Booting")
    assert state.meta == {}


def test_its_own_directory_is_replaced_whole(tmp_path):
    write(tmp_path / "s")
    (tmp_path / "s" / "mem_init.l1.bin").write_bytes(b"old")
    write(tmp_path / "s", dmesg="new\n")
    assert directory.StateDirectory(tmp_path / "s").log == "new\n"
    assert not (tmp_path / "s" / "mem_init.l1.bin").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_an_empty_directory_is_taken(tmp_path):
    (tmp_path / "s").mkdir()
    write(tmp_path / "s")
    assert directory.StateDirectory(tmp_path / "s").meta["version"] == 1


def test_a_link_to_a_state_directory_stays_a_link(tmp_path):
    write(tmp_path / "s")
    (tmp_path / "link").symlink_to("s")
    write(tmp_path / "link", dmesg="new\n")
    assert (tmp_path / "link").is_symlink()
    assert directory.StateDirectory(tmp_path / "s").log == "new\n"


def test_other_directories_are_never_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty and not a state directory"):
        write(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_captured_boot_is_never_overwritten(tmp_path):
    (tmp_path / "stages.json").write_text("{}")
    (tmp_path / "meta.json").write_text(json.dumps({"name": "a9"}))
    with pytest.raises(InputError, match="nothing was overwritten"):
        write(tmp_path)


def test_somebody_elses_file_in_a_state_directory_is_kept(tmp_path):
    write(tmp_path / "s")
    (tmp_path / "s" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        write(tmp_path / "s")


@pytest.mark.parametrize("make", [lambda p: p.write_text(""), lambda p: p.symlink_to("nowhere")])
def test_something_else_in_the_way(tmp_path, make):
    make(tmp_path / "s")
    with pytest.raises(InputError, match="not a directory"):
        write(tmp_path / "s")


def test_no_parent(tmp_path):
    with pytest.raises(InputError, match="parent directory"):
        write(tmp_path / "a" / "b")


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write(tmp_path / "s", meta={"x": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("stages.json", "[]", "a list, expected an object"),
        ("stages.json", "{", "not JSON"),
        ("meta.json", "3", "a int, expected an object"),
    ],
)
def test_broken_directories_say_what_is_broken(tmp_path, name, content, message):
    write(tmp_path / "s")
    (tmp_path / "s" / name).write_text(content)
    state = directory.StateDirectory(tmp_path / "s")
    with pytest.raises(InputError, match=message):
        _ = state.meta, state.stages


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match="not a state directory"):
        directory.StateDirectory(tmp_path)
    write(tmp_path / "s")
    state = directory.StateDirectory(tmp_path / "s")
    with pytest.raises(InputError, match="no page tables"):
        state.tables("setup_machine_fdt")
    (tmp_path / "s" / "paging_init.entry.l2.bin").write_bytes(b"")
    with pytest.raises(InputError, match="0 bytes, expected 1 pages"):
        state.tables("paging_init:entry")
    (tmp_path / "s" / "boot.dtb").unlink()
    with pytest.raises(InputError, match="No such file"):
        _ = state.dtb
