"""Check files and their reports: schema, findings, places in the tree."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.state.quantities import Quantities
from bootsim.sweep import checks, reports
from bootsim.sweep.case import Case
from bootsim.sweep.checkfile import read

TREE = """/dts-v1/;
/ {
	#address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
	chosen { bootargs = "vmalloc=384M"; };
	memory@60000000 {
		device_type = "memory";
		reg = <0x60000000 0x40000000>;
	};
	reserved-memory {
		#address-cells = <1>; #size-cells = <1>; ranges;
		dsp@70000000 { reg = <0x70000000 0x100000>; };
		video@70080000 {
			reg = <0x70080000 0x100000>;
		};
	};
};
"""


@pytest.fixture
def check_file(tmp_path):
    (tmp_path / "board.dts").write_text(TREE)

    def write(text):
        path = tmp_path / "x.bootsim.yaml"
        path.write_text(text)
        return path

    return write


def findings(path):
    (boot,) = read(path).boots
    return checks.check(boot).findings


def test_a_matrix(check_file, tmp_path):
    file = read(check_file("""
boots:
  - tree: [board.dts, vexpress.dts]
    config: 2G/2G
    mem: [512M, 768M-1G:128M]
    cmdline: ["", null]
    smp: 2
  - {tree: board.dts, bootloader: qemu, dtb_addr: 0x68000000, include: inc, expect: [highmem == 0]}
expect: [no panic]
"""))
    assert len(file.boots) == 2 * 4 * 2 + 1
    assert file.boots[0].case == Case(str(tmp_path / "board.dts"), "2G/2G", 512 << 20, "", 2)
    assert file.boots[-2].case == Case("vexpress.dts", "2G/2G", 1 << 30, None, 2)
    last = file.boots[-1]
    assert last.case.include_dirs == (str(tmp_path / "inc"),)
    assert last.case.dtb_addr == 0x68000000
    assert [e.expression.text for e in last.expectations] == ["no panic", "highmem == 0"]


def test_every_error_has_its_place(check_file):
    path = check_file("""boots:
  - tre: board.dts
    mem: [512, 1G-2G]
    smp: 99
    bootloader: uboot
  - {tree: [], cmdline: [1]}
expects: []
expect:
  - lowmem >= 70x
  - 5
  - {that: no overlap or, then: 3}
  - [1]
""")
    with pytest.raises(InputError) as caught:
        read(path)
    assert [line.removeprefix(f"{path}:") for line in str(caught.value).split("\n")] == [
        "2:5: boots without tree",
        "2:5: unknown name 'tre': did you mean tree?",
        "3:11: '512': 512 bytes, expected at least 1M",
        "3:16: '1G-2G': a range needs a step, as in 256M-1G:64M",
        "4:10: 99, expected 1 to 32 processors",
        "5:17: 'uboot', expected none, qemu, qemu:MACHINE or u-boot",
        "6:12: an empty list, expected at least one value",
        "6:26: 1, expected a kernel command line (in quotes, if it is one)",
        "7:1: unknown name 'expects': did you mean expect?",
        "9:15: 'lowmem >= 70x': '70x' is not a number such as 700M or 0x60000000",
        "10:6: '5': found the end, expected a comparison (==, !=, <, <=, >, >= or in)",
        "11:25: 'no overlap or': found the end, expected a quantity, a number or a quoted text",
        "11:27: unknown name 'then': did you mean when?",
        "12:5: a list, expected an expectation (a mapping)",
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("", ": empty, expected a check file"),
    ("- 1", ":1:1: a list, expected a check file (a mapping)"),
    ("boots: [", ":2:1: not YAML"),
    ("expect: [no panic]", ":1:1: a check file without boots"),
    ("boots: {tree: x}", ":1:8: boots of which nothing is expected"),
    ("boots: &a [*a]", ":1:12: an alias, expected the value itself"),
    ("boots: " + "[" * 30 + "]" * 30, "nested 21 deep"),
    ("boots: {tree: x, tree: y}\nexpect: no panic", "tree given again; the first is in line 1"),
    ("boots: {tree: x, mem: 1M-1M:0}\nexpect: no panic", ":1:23: '1M-1M:0': expected a range that rises"),
])  # fmt: skip
def test_files_that_are_none(check_file, text, message):
    with pytest.raises(InputError) as caught:
        read(check_file(text))
    assert message in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.yaml")


def test_findings_point_at_the_tree(check_file, tmp_path):
    path = check_file("""
boots: {tree: board.dts}
expect:
  - lowmem >= 700M
  - that: memory >= 2G
    why: the camera
  - no overlap
  - no warning
  - cma.camera.base > 0
  - that: lowmem > 2G
    when: memory >= 2G
  - memory == 1G
""")
    low, memory, overlap, warning, camera, skipped, ok = findings(path)
    assert low.reasons == ("lowmem is 632M, expected >= 700M",)
    assert low.place == checks.Place(str(tmp_path / "board.dts"), 4)  # vmalloc= stands in the tree's bootargs
    assert any("vmalloc_limit" in line for line in low.details)
    assert memory.place.line == 7
    assert overlap.reasons == ("overlap is 1, expected 0",)
    assert overlap.place.line == 13
    assert "overlap in [0x70080000, 0x70100000)" in overlap.details[0]
    assert warning.place.line in (11, 13)
    assert any("OVERLAP DETECTED" in line for line in warning.details)
    assert camera.where.file in (str(path), str(tmp_path / "board.dts"))
    assert camera.unknown == ("cma.camera.base",)
    assert (skipped.status, ok.status) == ("skipped", "ok")
    assert reports.explained(memory) == [
        "memory is 1G, expected >= 2G",
        "why: the camera",
        f"decided at {tmp_path / 'board.dts'}:7, expected at {path}:5",
        *(f"| {line}" for line in memory.details),
    ]


def test_a_broken_tree_is_an_error_at_its_line(check_file, tmp_path):
    (tmp_path / "bad.dts").write_text("/dts-v1/;\n/ { foo }\n")
    path = check_file("boots: {tree: bad.dts}\nexpect: no panic")
    (finding,) = findings(path)
    assert finding.status == "error"
    assert finding.place == checks.Place(str(tmp_path / "bad.dts"), 2)


def test_a_panic_fails_what_needs_values(check_file):
    path = check_file("boots: {tree: board.dts, cmdline: mem=2M}\nexpect: [no panic, free_pages > 1, verdict == panic]")
    dead, pages, expected = findings(path)
    assert [f.status for f in (dead, pages, expected)] == ["failed", "failed", "ok"]
    assert any("Kernel panic - not syncing" in line or "cause:" in line for line in dead.details)
    assert pages.reasons == ("free_pages: no zones before the kernel died",)


def test_a_name_no_boot_knows_is_bad_input(check_file):
    path = check_file("boots: {tree: board.dts}\nexpect: ['lowmen > 3', 'cma.camera.base > 3']")
    found = [checks.check(boot) for boot in read(path).boots]
    with pytest.raises(InputError, match=r":2:11: no quantity 'lowmen' in this boot; did you mean lowmem") as caught:
        checks.refuse_unknown_names(found)
    assert "camera" not in str(caught.value)  # an area that is not there is a failure


def test_github_annotations(check_file, tmp_path):
    path = check_file("boots: {tree: board.dts}\nexpect: [{that: lowmem >= 700M, why: '100%, always'}, no panic]")
    (line,) = reports.github([checks.check(boot) for boot in read(path).boots])
    assert line.startswith(f"::error file={tmp_path / 'board.dts'},line=4,title=lowmem >= 700M (")
    assert "::lowmem is 632M, expected >= 700M%0Awhy: 100%25, always%0Ait would hold without " in line
    assert line.endswith(f"{tmp_path / 'board.dts'}:4)%0Aexpected at {path}:2")
    expectation = read(path).boots[0].expectations[0]
    odd = checks.Finding(expectation, "error", ("y",), (), checks.Place("a,b:c.dts", 0))
    lines = reports.github([checks.Report(Case("a,b:c.dts"), "bug", "x\n\x01", 0.0, (odd,))])
    assert next(lines).startswith("::error file=a%2Cb%3Ac.dts,title=bug (a%2Cb%3Ac.dts 3G/1G)::y%0A")


def test_junit(check_file, tmp_path):
    path = check_file("""
boots: {tree: board.dts}
expect: [lowmem >= 700M, no panic, {that: panic, when: panic}]
""")
    found = [checks.check(boot) for boot in read(path).boots]
    found.append(checks.Report(Case("odd\x01.dts"), "crash", "x", 0.0, checks.lost(read(path).boots[0]).findings[:1]))
    root = Xml.fromstring(reports.junit(found, "suite"))
    suite = root[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1"}  # fmt: skip
    failed = suite[0]
    assert (failed.get("name"), failed.get("line")) == ("lowmem >= 700M", "4")
    assert failed[0].get("message") == "lowmem is 632M, expected >= 700M"
    assert suite[3].get("classname") == "odd\\x01.dts 3G/1G"
    assert checks.exit_code(found) == 70
    assert checks.exit_code(found[:1]) == 1
    assert checks.exit_code(found[:1]) == 1


TAKERS = """/dts-v1/;
/ {
	#address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
	reserved-memory {
		#address-cells = <1>; #size-cells = <1>; ranges;
		dsp@70000000 { reg = <0x70000000 0x100000>; };
		video@71000000 {
			reg = <0x71000000 0x8000000>;
		};
		secure@7f000000 {
			reg = <0x7f000000 0x1000000>; no-map;
		};
	};
};
"""


@pytest.mark.parametrize(("what", "cut"), [("free_pages >= 200000", True), ("memory >= 2G", False)])
def test_a_long_derivation_is_cut_and_a_short_one_whole(check_file, tmp_path, what, cut):
    (tmp_path / "board.dts").write_text(TAKERS)
    (finding,) = findings(check_file(f"boots: {{tree: board.dts}}\nexpect: '{what}'"))
    assert any(line.strip() == "..." for line in finding.details) is cut
    assert any(line.strip() == "dtb:/memory@60000000:reg" for line in finding.details)


@pytest.mark.parametrize(("more", "line"), [(1000, 12), (10000, 9), (100000, 4)])
def test_of_two_that_would_do_the_smaller_is_pointed_at(check_file, tmp_path, more, line):
    # secure has 4096 pages, video 32768: without either there are 1000 more, and 10,000 only without video
    (tmp_path / "board.dts").write_text(TAKERS)
    free = Quantities(bootsim.boot(tmp_path / "board.dts")).value("free_pages")
    (finding,) = findings(check_file(f"boots: {{tree: board.dts}}\nexpect: 'free_pages >= {free + more}'"))
    assert finding.place == checks.Place(str(tmp_path / "board.dts"), line)


def test_what_the_allocator_has_back_took_nothing(check_file, tmp_path):
    # 16 MiB of a contiguous area and of an initrd are free at the end; video is the only one who keeps that much
    (tmp_path / "board.dts").write_text(TAKERS.replace("0x1000000>; no-map", "0x1000>; no-map"))
    (tmp_path / "rd").write_bytes(bytes(16 << 20))
    k = bootsim.boot(tmp_path / "board.dts", initrd=(tmp_path / "rd", 0x62000000))
    free = Quantities(k).value("free_pages")
    boots = '{tree: board.dts, initrd: "rd@0x62000000"}'
    (finding,) = findings(check_file(f"boots: {boots}\nexpect: 'free_pages >= {free + 1000}'"))
    assert "video@71000000 reg took 128 MiB" in finding.details[0]
    # memblock goes on holding them
    reserved = Quantities(k).value("reserved")
    (finding,) = findings(check_file(f"boots: {boots}\nexpect: 'reserved <= {reserved - (1 << 22)}'"))
    assert finding.details[0].endswith("took 16 MiB")


@pytest.mark.parametrize(("expected", "line"), [
    ("free_pages >= 100000", 9),  # 512 MiB are 131072 pages; video has 32768 of them
    ("managed_pages >= 100000", 9),
    ("free_pages >= 200000", 4),  # more than there is RAM
    ("memory >= 512M", 12),
    ("lowmem >= 512M", 12),
    ("highmem >= 1M", 4),  # no reservation keeps it away
    ("zone.Normal.managed >= 100000", 9),
])  # fmt: skip
def test_what_took_the_memory_is_pointed_at(check_file, tmp_path, expected, line):
    (tmp_path / "board.dts").write_text(TAKERS)
    (finding,) = findings(check_file(f"boots: {{tree: board.dts}}\nexpect: ['{expected}']"))
    assert finding.status == "failed"
    assert finding.place == checks.Place(str(tmp_path / "board.dts"), line)
    assert (line != 4) == any("took" in detail for detail in finding.details)
