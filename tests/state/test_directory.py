"""State directories: written in one step, read back, never over somebody else's files."""

import json

import pytest

from bootsim.errors import InputError
from bootsim.state import directory
from bootsim.state.snapshot import Stage

MEMBLOCK = {"memory": [[0x60000000, 0x40000000, 0]], "reserved": [], "current_limit": 0xFFFFFFFF, "bottom_up": False}
TABLES = {"swapper_pg_dir": 0x60004000, "l2_pages": [0x6FFFE000]}
STAGES = [
    Stage("setup_machine_fdt", {"memblock": MEMBLOCK}),
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
        ("stages.json", "[]", "an empty list, expected an object"),
        ("stages.json", "{", "not JSON"),
        ("meta.json", "3", "3, expected an object"),
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


def damage(path, stage, field, value):
    stages = json.loads((path / "stages.json").read_text())
    if field is None:
        stages[stage] = value
    else:
        stages[stage] = {**stages[stage], field: value}
    (path / "stages.json").write_text(json.dumps(stages))


ZONE = {"name": "Normal", "start_pfn": 0x60000, "spanned": 16, "present": 16, "managed": 16, "nr_free_pages": 0}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (None, 0, "setup_machine_fdt: 0, expected an object"),
        ("memblock", 0, "setup_machine_fdt.memblock: 0, expected an object"),
        ("memblock", {}, "an empty object, expected one with memory"),
        ("memblock", {**MEMBLOCK, "memory": [1]}, r"memblock.memory\[0\]: 1, expected a list of 3"),
        ("memblock", {**MEMBLOCK, "memory": [[1, 2]]}, r"memblock.memory\[0\]: a list of 2, expected a list of 3"),
        ("memblock", {**MEMBLOCK, "reserved": [[1, 2.5, 3]]}, r"reserved\[0\]\[1\]: 2.5, expected a number"),
        ("memblock", {**MEMBLOCK, "current_limit": -1}, "current_limit: -1, expected 0 to 0xffffffff"),
        ("memblock", {**MEMBLOCK, "bottom_up": 0}, "bottom_up: 0, expected true or false"),
        ("lowmem_limit", True, "lowmem_limit: true, expected a number"),
        ("zones", ["x"], r'zones\[0\]: "x", expected an object'),
        ("zones", [], "zones: an empty list, expected a list of 1 to 8"),
        ("zones", [{**ZONE, "spanned": 1 << 40}], "spanned: 1099511627776, expected 0 to 0x100000"),
        ("zones", [{**ZONE, "watermark": [1]}], "watermark: a list of 1, expected a list of 3"),
        ("zones", [{**ZONE, "free_area": [{"nr_free": 0, "lists": [[]]}]}], "lists: a list of 1, expected a list of 4"),
        ("zones", [ZONE, ZONE], "zones of different names"),
        ("areas", [{"name": "x"}], r"areas\[0\]: an object, expected one with base_pfn"),
        ("tables", {"swapper_pg_dir": 0, "l2_pages": [8]}, "l2_pages: a list of 1, expected addresses of pages"),
    ],
)
def test_damaged_stages_say_what_is_damaged(tmp_path, field, value, message):
    write(tmp_path / "s")
    damage(tmp_path / "s", "setup_machine_fdt", field, value)
    with pytest.raises(InputError, match=rf"stages\.json: .*{message}"):
        _ = directory.StateDirectory(tmp_path / "s").stages


@pytest.mark.parametrize(("name", "value"), [
    ("build", False), ("smp", "many"), ("dtb_pa", [1]), ("smp", 1 << 70), ("ram", 1), ("ram", [1 << 30]),
    ("ram", [None, 0]), ("ram", [1 << 30, "x"]), ("cpu", "cortex-a9"), ("soc", [1]),
])  # fmt: skip
def test_damaged_meta_says_what_is_damaged(tmp_path, name, value):
    write(tmp_path / "s", meta={name: value})
    with pytest.raises(InputError, match=rf"meta\.json: meta\.{name}(\[\d\])?: "):
        _ = directory.StateDirectory(tmp_path / "s").inputs


def test_captures_may_have_numbers_as_text_and_lack_tables(tmp_path):
    write(tmp_path / "s", meta={"smp": "4", "dtb_pa": None, "build": "b2g", "cpu": "cortex-a8"})
    meta = json.loads((tmp_path / "s" / "meta.json").read_text())
    del meta["generator"]
    (tmp_path / "s" / "meta.json").write_text(json.dumps(meta))
    damage(tmp_path / "s", "setup_machine_fdt", "lowmem_limit", "0x70000000")
    (tmp_path / "s" / "paging_init.entry.l1.bin").unlink()
    state = directory.StateDirectory(tmp_path / "s")
    assert state.captured
    assert state.inputs == {"config": "b2g", "smp": 4}
    assert state.stages["setup_machine_fdt"]["lowmem_limit"] == 0x70000000
    assert state.stages["paging_init:entry"] == {}


def test_a_replayed_directory_must_have_its_tables(tmp_path):
    write(tmp_path / "s")
    (tmp_path / "s" / "paging_init.entry.l1.bin").unlink()
    with pytest.raises(InputError, match=r"paging_init\.entry\.l1\.bin: No such file"):
        directory.StateDirectory(tmp_path / "s").tables("paging_init:entry")
    write(tmp_path / "s")
    (tmp_path / "s" / "paging_init.entry.l1.bin").write_bytes(bytes(100))
    with pytest.raises(InputError, match=r"l1\.bin: 100 bytes, expected 16384"):
        directory.StateDirectory(tmp_path / "s").tables("paging_init:entry")
