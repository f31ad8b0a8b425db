"""Rows of tiny trees, the table made of them, and what fails a census."""

import json
import sys
from pathlib import Path

import pytest
import run
from boards import census, equality, table
from boards.census import Row, Settings, examine

from bootsim.inputs.build import MachineDesc
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree

TREES = Path(__file__).parent / "trees"
BUILD = load_build("3G/1G")


def row(name, *, dtc=None, **hooks):
    machine = MachineDesc(symbol="SOC", name="SoC", dt_compat="example,soc", **hooks)
    return examine(TREES / name, Settings(TREES, (BUILD.replace(machines=(machine,)),), dtc))


def test_booted():
    found = row("sized.dts")
    assert (found.parsed, found.outcome, found.hooks) == ("not compared", "booted", "")
    assert table.failures([found]) == []


def test_hooks_of_the_machine_are_told():
    found = row("empty-bank.dts", map_io="vt8500_map_io", init_early="imx51_init_early")
    assert (found.outcome, found.hooks, found.missing) == (
        "booted", "map_io vt8500_map_io, init_early imx51_init_early", "")
    assert table.failures([found]) == []


def test_a_hook_that_is_not_modelled_fails():
    found = row("empty-bank.dts", map_io="soc_map_io", init_early="imx51_init_early")
    assert (found.outcome, found.missing) == ("booted", "map_io soc_map_io")
    assert table.failures([found]) == ["machine hooks not modelled: 1 (empty-bank.dts)"]


def test_ram_that_the_tree_leaves_to_the_bootloader():
    found = row("empty-bank.dts")
    assert "1 GiB" not in found.inputs
    assert "1024 MiB of RAM at 0x10000000" in found.inputs


def test_without_memory():
    assert row("no-memory.dts").outcome == "booted"


def test_not_modelled():
    found = row("old-cpu.dts")
    assert (found.outcome, found.reason) == ("not modelled", "CPU ARM926EJ-S: none of the kernels knows it")


def test_a_processor_without_an_mmu(tmp_path):
    source = (TREES / "old-cpu.dts").read_text()
    (tmp_path / "m.dts").write_text(source.replace("arm926ej-s", "cortex-m4"))
    found = examine(tmp_path / "m.dts", Settings(tmp_path, (BUILD,), None))
    assert (found.outcome, found.reason) == ("not modelled", "CPU without an MMU")


def test_a_processor_that_is_not_known_fails(tmp_path):
    source = (TREES / "old-cpu.dts").read_text()
    (tmp_path / "x.dts").write_text(source.replace("arm926ej-s", "arm9999"))
    found = examine(tmp_path / "x.dts", Settings(tmp_path, (BUILD,), None))
    assert found.outcome == "refused"
    assert table.failures([found]) == ["boards that did not boot: 1 (x.dts)"]


def test_source_that_cannot_be_read(tmp_path):
    broken = tmp_path / "broken.dts"
    broken.write_text("/dts-v1/; / { a = <; };")
    found = examine(broken, Settings(tmp_path, (BUILD,), None))
    assert (found.parsed, found.outcome) == ("not parsed", "refused")
    assert found.reason.startswith("broken.dts:1")
    assert table.failures([found]) == ["trees not parsed: 1 (broken.dts)"]


def test_a_bug_is_a_row(monkeypatch):
    monkeypatch.setattr(census, "load_tree", lambda *_, **__: {}["bug"])
    found = row("sized.dts")
    assert found.outcome == "traceback"
    assert "KeyError" in found.reason
    assert table.failures([found]) == ["tracebacks: 1 (sized.dts)"]


def test_comparison_of_blobs(tmp_path):
    def blob(text):
        (tmp_path / "t.dts").write_text(f"/dts-v1/; {text}")
        return load_tree(tmp_path / "t.dts").blob

    one = blob("/ { a = <1>; b = <2>; n { }; };")
    assert equality.compare(one, one) == ("identical", "")
    # zero bytes behind the string block change the header's total size only
    padded = one[:4] + (len(one) + 8).to_bytes(4, "big") + one[8:] + bytes(8)
    assert equality.compare(padded, one) == ("equal", "laid out otherwise (totalsize)")
    assert equality.compare(blob("/ { b = <2>; a = <1>; n { }; };"), one) == (
        "differs", "/ b [00 00 00 02], dtc has / a [00 00 00 01]"
    )  # fmt: skip
    assert equality.compare(blob("/ { a = <1>; b = <2>; };"), one) == ("differs", "3 nodes and properties, dtc has 4")
    assert "memory reservations" in equality.compare(blob("/memreserve/ 0 4; / { };"), blob("/ { };"))[1]


def test_missing_dtc():
    with pytest.raises(equality.CannotRunError, match="device-tree-compiler"):
        equality.find_dtc(TREES, TREES, dtc="no-such-dtc")


def test_dtc_is_asked_once(tmp_path):
    # a program in dtc's place, that makes blobs of its own
    fake = tmp_path / "dtc"
    log = tmp_path / "log"
    fake.write_text(f"#!{sys.executable}\nprint('called', end='')\nopen({str(log)!r}, 'a').write('x')\n")
    fake.chmod(0o755)
    dtc = equality.Dtc(str(fake), "echo", "1", tmp_path, tmp_path / "cache")
    assert dtc.compile(TREES / "sized.dts") == dtc.compile(TREES / "sized.dts") == b"called"
    assert log.read_text() == "x"


def test_a_tree_dtc_refuses(tmp_path):
    with pytest.raises(equality.CompilerRefusedError, match="false"):
        equality.Dtc("dtc", "false", "1", tmp_path, tmp_path).compile(TREES / "sized.dts")


def rows(**outcomes):
    return [Row(f"{name}.dts", "identical", outcome=outcome) for name, outcome in outcomes.items()]


def test_what_fails_a_census():
    assert table.failures(rows(a="booted", b="not modelled")) == []
    assert table.failures(rows(a="panicked")) == ["boards that did not boot: 1 (a.dts)"]
    assert table.failures([Row(next(iter(table.KNOWN_PANICS)), "identical", outcome="panicked")]) == []
    unequal = [Row(f"{i}.dts", "differs", outcome="booted") for i in range(5)]
    assert table.failures(unequal[:4]) == []
    assert "more than 4 trees unequal" in table.failures(unequal)[0]


def test_table():
    some = rows(a="booted", b="panicked", c="not modelled")
    some.append(Row("d.dts", "differs", "/ x", "booted", hooks="map_io f"))
    some.append(Row("e.dts", "identical", outcome="booted", hooks="map_io g", missing="map_io g"))
    some[1].reason, some[1].cause, some[2].reason = "No memory", "d.dts:3", "CPU old"
    text = table.report(some)
    assert "5 trees" in text
    assert "    d.dts: / x" in text
    own, missing = text.index("machine with code of its own"), text.index("machine hooks not modelled")
    assert own < text.index("        1  map_io f") < missing < text.index("        1  map_io g")
    assert "  b.dts: No memory; cause: d.dts:3" in text
    assert "      1  CPU old" in text
    assert "not held against dtc" not in text
    assert "no dtc" in table.report([Row("a.dts", "not compared", outcome="booted")], "no dtc")


def kernel_tree(tmp_path):
    folder = tmp_path / "arch/arm/boot/dts"
    folder.mkdir(parents=True)
    for name in ("sized.dts", "old-cpu.dts"):
        (folder / name).write_bytes((TREES / name).read_bytes())
    return str(tmp_path)


def test_run(tmp_path, capsys):
    arguments = ["--kernel-src", kernel_tree(tmp_path), "--no-dtc", "--jobs", "1"]
    assert run.main([*arguments, "--all"]) == 0
    out = capsys.readouterr().out
    assert "2 trees" in out
    assert "booted       not compared" in out
    assert run.main([*arguments, "--json", "--only", "sized"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["trees"], found["outcomes"], found["dtc_skipped"]) == (1, {"booted": 1}, "--no-dtc")
    assert run.main([*arguments, "--only", "nothing*"]) == 2
    assert "no tree is called nothing*" in capsys.readouterr().err
    assert run.main([*arguments, "--config", "4G/0G"]) == 2
    assert "error: " in capsys.readouterr().err


def test_without_a_kernel_tree(monkeypatch, capsys):
    def none(given, mirror):
        raise run.CannotRunError("no kernel tree: say KERNEL_SRC=DIR")

    monkeypatch.setattr(run, "kernel_source", none)
    assert run.main([]) == 77
    assert "skipped: no kernel tree" in capsys.readouterr().err
