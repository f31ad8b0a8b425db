"""bootsim diff: the everyday forms, exit codes, forms of output, captures and logs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bootsim.inputs.devicetree import load_tree


@pytest.fixture
def capture(unpack, tmp_path):
    return unpack("a9-3gh-512", tmp_path / "real")


def test_two_configs(bootsim):
    result = bootsim("diff", "vexpress.dts", "--config", "3G/1G", "--config", "2G/2G", "--mem", "1G", "--show", "all",
                     "--depth", "9", "--all")  # fmt: skip
    assert result.exit_code == 1
    for wanted in ("  CONFIG_PAGE_OFFSET 0xc0000000 -> 0x80000000  (build 3G/1G | build 2G/2G)",
                   "=> vmalloc_limit 0x90000000 -> 0xd0000000", "=> arm_lowmem_limit 0x90000000 -> 0xa0000000",
                   "Without a cause: nothing", "HighMem.start_pfn 0x90000 -> gone",
                   "~   Normal   [mem 0x0000000060000000-{0x000000008fffffff -> 0x000000009fffffff}]"):  # fmt: skip
        assert wanted in result.stdout, wanted


def test_two_sizes_name_file_and_line(bootsim):
    result = bootsim("diff", "vexpress.dts", "--mem", "512M", "--mem", "256M", "--show", "causes")
    assert result.exit_code == 1
    assert "--mem 512M -> 256M" in result.stdout
    assert "=> bank0.size 512M -> 256M" in result.stdout
    assert "State:" not in result.stdout


def test_two_command_lines(bootsim):
    result = bootsim("diff", "vexpress.dts", "--mem", "1G", "--cmdline", "console=ttyAMA0", "--cmdline",
                     "console=ttyAMA0 vmalloc=512M", "--show", "summary", "--show", "causes")  # fmt: skip
    assert "command line: not given -> vmalloc=512M  (--cmdline)" in result.stdout
    assert "lowmem 768M -> 504M, highmem 256M -> 520M, vmalloc 240M -> 504M" in result.stdout
    assert "=> vmalloc_min 0xf0000000 -> 0xdf800000" in result.stdout
    assert "Without a cause: nothing" in result.stdout


def test_two_trees(bootsim, tree_file):
    one = tree_file(name="one.dts")
    other = tree_file("	reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;\n"
                      "		x@62000000 { reg = <0x62000000 0x100000>; no-map; };\n	};\n", name="other.dts")
    result = bootsim("diff", one, other)
    assert result.exit_code == 1
    assert "/reserved-memory/x@62000000 not there -> reg <0x62000000 0x100000>, no-map" in result.stdout
    assert "other.dts:1" in result.stdout
    assert "1 decision differs" in result.stdout
    assert "no decision makes" not in result.stdout


def test_the_same(bootsim):
    result = bootsim("diff", "vexpress.dts", "vexpress.dts")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "the same")


def test_json(bootsim):
    result = bootsim("diff", "vexpress.dts", "--mem", "1G", "--mem", "512M", "--form", "json")
    told = json.loads(result.stdout)
    assert not told["same"]
    assert [root["name"] for root in told["roots"]] == ["option:mem"]
    assert told["roots"][0]["alone"]["lowmem"] == {"a": 768 << 20, "b": 512 << 20}
    assert {effect["part"] for effect in told["effects"]} >= {"fact", "log", "memblock", "tables", "zones", "lists"}
    assert all(effect["roots"] == ["option:mem"] for effect in told["effects"])
    ids = [effect["id"] for effect in told["effects"]]
    assert len(ids) == len(set(ids))
    assert all({"part", "id", "a", "b", "roots"} <= effect.keys() for effect in told["effects"])
    limit = next(effect for effect in told["effects"] if effect["id"] == "fact:high_memory")
    assert limit["because"] == ["arm_lowmem_limit"]


def test_side_by_side(bootsim, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    result = bootsim("diff", "vexpress.dts", "--mem", "1G", "--mem", "512M", "--form", "side", "--show", "log")
    assert any(" | " in line and "0x000000009fffffff" in line for line in result.stdout.splitlines())


def test_a_capture_equals_its_replay(bootsim, capture):
    result = bootsim("diff", capture)
    assert result.exit_code == 0, result.stdout


def test_a_capture_against_another_size(bootsim, capture):
    result = bootsim("diff", capture, "--mem", "256M")
    assert result.exit_code == 1
    assert "1 decision differs" in result.stdout
    assert "no decision makes" not in result.stdout


def test_a_wrong_replay_is_not_explained(bootsim, capture):
    log = capture / "console.log"
    log.write_text(log.read_text().replace("Reserved 16 MiB at 0x7f000000", "Reserved 16 MiB at 0x7e000000"))
    result = bootsim("diff", capture)
    assert result.exit_code == 1
    assert "No decision differs" in result.stdout
    assert "real kernel part:\n  ~ cma: Reserved 16 MiB at {0x7e000000 -> 0x7f000000}" in result.stdout


def test_logs(bootsim, capture, tmp_path):
    serial = tmp_path / "serial.log"
    serial.write_text((capture / "console.log").read_text().replace("Reserved 16 MiB", "Reserved 32 MiB"))
    result = bootsim("diff", capture / "console.log", serial, "--show", "all")
    assert result.exit_code == 1
    assert "~ cma: Reserved {16 -> 32} MiB at 0x7f000000" in result.stdout
    assert "Causes: unknown" in result.stdout
    assert bootsim("diff", serial, serial).exit_code == 0


def test_state_directories_of_replays(bootsim, tmp_path):
    for name, mem in (("a", "512M"), ("b", "1G")):
        bootsim("boot", "vexpress.dts", "--mem", mem, "--state", tmp_path / name, "-q")
    result = bootsim("diff", tmp_path / "a", tmp_path / "b")
    assert result.exit_code == 1
    assert "/memory@60000000:reg <0x60000000 0x20000000> -> <0x60000000 0x40000000>" in result.stdout
    assert "no decision makes" not in result.stdout
    assert bootsim("diff", tmp_path / "a", tmp_path / "a").exit_code == 0


def test_directories_show_regions_by_address_with_their_flags(bootsim, tree_file, tmp_path):
    region = ("	reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;\n"
              "		fw@7f000000 { reg = <0x7f000000 0x100000>; %s };\n	};\n")
    for name, flag in (("a", "no-map;"), ("b", "")):
        bootsim("boot", tree_file(region % flag), "--cmdline", "cma=0", "--state", tmp_path / name, "-q")
    told = bootsim("diff", tmp_path / "a", tmp_path / "b", "--show", "state").stdout
    sections = [line.strip() for line in told.splitlines() if re.fullmatch(r"  \w[\w ]*", line)]
    assert sections[0] == "memblock"
    assert not {"facts", "log lines"} & set(sections)
    words = " ".join(told.split())  # lines are as wide as the terminal
    assert " memory 0x7f000000-0x7f0fffff: no-map -> there (arm_memblock_init ... memblock_free_all)" in words
    assert " reserved 0x7f000000-0x7f0fffff: new: there (arm_memblock_init ... memblock_free_all)" in words


def test_numbers_are_compared_at_each_stage_between_replays(bootsim):
    told = json.loads(bootsim("diff", "vexpress.dts", "--mem", "1G", "--mem", "512M", "--form", "json").stdout)
    effects = {effect["id"]: effect for effect in told["effects"]}
    assert effects["cma:area reserved"]["a"] == "0x9f000000-0x9fffffff"
    # of a real kernel the number counts no more once its drivers have run
    assert "free_initmem" in effects["zones:totalram_pages"]["stages"]


def test_a_step_that_changed_its_place_is_told_with_what_it_follows(bootsim, capture, tmp_path):
    lines = (capture / "console.log").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if "cma: Reserved" in line)
    other = tmp_path / "other.log"
    other.write_text("\n".join([*lines[:at], *lines[at + 1 : at + 4], lines[at], *lines[at + 4 :]]) + "\n")
    told = bootsim("diff", capture / "console.log", other, "--show", "log").stdout
    (moved,) = (line for line in told.splitlines() if line.lstrip().startswith(">"))
    assert "cma: Reserved 16 MiB" in moved
    assert f"after '{lines[at + 3].partition('] ')[2][:20]}" in " ".join(told.split())


def test_a_directory_of_an_unknown_build_is_not_replayed_without_one(bootsim, tmp_path):
    (tmp_path / "mine.yaml").write_text((Path(__file__).parents[2] / "configs/3g-1g.yaml").read_text()
                                        .replace('name: "3G/1G"', "name: mine"))
    bootsim("boot", "vexpress.dts", "--config", tmp_path / "mine.yaml", "--state", tmp_path / "a", "-q")
    result = bootsim("diff", tmp_path / "a", "--mem", "512M")
    assert result.exit_code == 2
    assert "of kernel build mine, which bootsim does not have" in result.stderr
    assert "name it with --config" in result.stderr


@pytest.mark.parametrize("level", ["", "quiet", "ignore_loglevel", "loglevel=8"])
def test_a_directory_and_its_replay_are_the_same_whatever_its_console_shows(bootsim, tmp_path, level):
    bootsim("boot", "vexpress.dts", "--cmdline", f"console=ttyAMA0 {level}", "--state", tmp_path / "a", "-q")
    done = bootsim("diff", tmp_path / "a")
    assert done.exit_code == 0, done.output
    more = bootsim("diff", tmp_path / "a", "--mem", "512M", "--show", "log").stdout
    assert ("On node 0 totalpages: " in more) == (level in ("ignore_loglevel", "loglevel=8"))


def test_what_only_dmesg_shows_counts_where_a_log_has_it(bootsim, tmp_path):
    bootsim("boot", "vexpress.dts", "--state", tmp_path / "a", "-q")
    log = tmp_path / "a" / "dmesg.log"
    whole = bootsim("boot", "vexpress.dts", "--no-steps").stdout
    log.write_text(whole)
    assert bootsim("diff", tmp_path / "a").exit_code == 0
    log.write_text(whole.replace("On node 0 totalpages: 262144", "On node 0 totalpages: 4096"))
    assert "On node 0 totalpages: " in bootsim("diff", tmp_path / "a", "--show", "log").stdout


@pytest.mark.parametrize("until", ["setup_machine_fdt", "paging_init:entry", "memblock_free_all", "free_initmem:entry"])
def test_a_boot_that_was_stopped_is_compared_up_to_there(bootsim, tmp_path, until):
    for name, mem in (("a", "1G"), ("b", "512M")):
        bootsim("boot", "vexpress.dts", "--mem", mem, "--until", until, "--state", tmp_path / name, "-q")
    for other in ((), ("vexpress.dts",)):
        same = bootsim("diff", tmp_path / "a", *other)
        assert (same.exit_code, same.stdout.splitlines()[-1]) == (0, "the same"), same.stdout
        assert f"Compared up to the stage {until}, where one of the boots was stopped" in same.stdout
    told = json.loads(bootsim("diff", "vexpress.dts", tmp_path / "b", "--form", "json").stdout)
    assert told["until"] == until
    assert told["effects"]
    assert all(effect["roots"] for effect in told["effects"])


def test_a_capture_that_ends_early_is_compared_up_to_there(bootsim, capture):
    meta = json.loads((capture / "meta.json").read_text())
    (capture / "meta.json").write_text(json.dumps({**meta, "end": "mem_init"}))
    log = capture / "console.log"
    text, _, rest = log.read_text().partition("Memory: ")
    log.write_text(f"{text}Memory: {rest.splitlines()[0]}\n")
    same = bootsim("diff", capture)
    assert (same.exit_code, same.stdout.splitlines()[-1]) == (0, "the same"), same.stdout
    log.write_text(log.read_text().replace("Reserved 16 MiB", "Reserved 32 MiB"))
    other = bootsim("diff", capture)
    assert other.exit_code == 1
    assert "1 difference that nobody decided" in other.stdout


def test_a_panic_is_a_difference(bootsim):
    result = bootsim("diff", "vexpress.dts", "--cmdline", "console=ttyAMA0", "--cmdline", "mem=2M")
    assert result.exit_code == 1
    assert "command line: not given -> mem=2M" in result.stdout
    assert "now says: " in result.stdout
    assert "no decision makes" not in result.stdout


def test_the_first_lines_are_for_people(bootsim, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    result = bootsim("diff", "vexpress.dts", "--mem", "512M", "--mem", "1G", "--cmdline", "cma=32M", "--cmdline",
                     "vmalloc=512M", "--color", "never")  # fmt: skip
    lines = result.stdout.splitlines()
    assert len(lines) <= 13
    assert max(map(len, lines)) <= 120
    assert lines[2] == "3 decisions differ, " + lines[2].partition(", ")[2]
    text = " ".join(line.strip() for line in lines)
    assert "--mem 512M -> 1G memory 512M -> 1G, lowmem 512M -> 768M, highmem 0 -> 256M" in text
    assert "command line: cma=32M -> not given (--cmdline) CMA 32M -> 16M" in text.replace("  ", " ")


def test_color_and_width(bootsim):
    command = ("diff", "vexpress.dts", "--mem", "512M", "--mem", "1G", "--show", "all", "--color")
    plain, colored = bootsim(*command, "never").stdout, bootsim(*command, "always").stdout
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert "\x1b[31m" in colored
    assert max(map(len, plain.splitlines())) <= 120


def test_two_processors(bootsim):
    result = bootsim("diff", "vexpress.dts", "--cpu", "cortex-a9", "--cpu", "cortex-a15", "--show", "log")
    assert result.exit_code == 1
    assert "~ CPU: ARMv7 Processor [{410fc090 -> 414fc0f0}] revision 0 (ARMv7)" in result.stdout


@pytest.mark.parametrize("color", ["always", "never"])
def test_no_text_of_a_tree_reaches_the_terminal_as_it_is(bootsim, tree_file, color):
    one, other = tree_file(name="one.dts"), tree_file(name="other.dts")
    for name, text in ((one, r"plain"), (other, r"a\x1b[31mred\x1b[0m")):
        path = Path(name)
        path.write_text(path.read_text().replace("compatible =", f'model = "{text}"; compatible =', 1))
    result = bootsim("diff", one, other, "--show", "all", "--color", color)
    assert result.exit_code == 1
    assert r"a\x1b[31mred\x1b[0m" in result.stdout
    assert "\x1b[31mred" not in result.stdout


def test_free_space_in_a_blob_is_a_decision(bootsim, tree_file, tmp_path):
    plain = load_tree(tree_file())
    blob = bytearray(plain.blob) + bytes(5000)
    blob[4:8] = len(blob).to_bytes(4, "big")
    for name, data in (("a.dtb", plain.blob), ("b.dtb", bytes(blob))):
        (tmp_path / name).write_bytes(data)
    result = bootsim("diff", tmp_path / "a.dtb", tmp_path / "b.dtb", "--dtb-addr", "0x64000000",
                     "--dtb-addr", "0x66000000")  # fmt: skip
    assert "blob 0 bytes free -> 5000 bytes free" in result.stdout
    assert "no decision makes" not in result.stdout


def test_what_many_decisions_make_together_names_three_of_them(bootsim, tree_file):
    # 400 bytes each: no one fills a page, and all of them together do
    small, large = tree_file(name="small.dts"), tree_file(name="large.dts")
    for name, text in ((small, "x"), (large, "x" * 400)):
        words = "".join(f'p{n} = "{text}"; ' for n in range(12))
        Path(name).write_text(Path(name).read_text().replace("cpu@0 {", f"cpu@0 {{ {words}"))
    result = bootsim("diff", small, large)
    assert result.exit_code == 1
    told = " ".join(line.strip() for line in result.stdout.splitlines())
    assert "12 decisions differ" in told
    assert re.search(r"/cpus/cpu@0:p\d+ and /cpus/cpu@0:p\d+ and /cpus/cpu@0:p\d+ and \d more: ", told)
    assert "no decision makes" not in told


def test_two_boards(bootsim):
    result = bootsim("diff", "vexpress.dts", "vexpress-ca15.dts")
    assert result.exit_code == 1
    assert "no decision makes" not in result.stdout
    assert len(result.stdout.splitlines()) < 25


def test_boots_without_known_builds_still_compare_their_trees(bootsim, capture):
    meta = json.loads((capture / "meta.json").read_text())
    (capture / "meta.json").write_text(json.dumps({**meta, "build": "mine", "config": "mine"}))
    for line in (capture / "stages.json",):
        stages = json.loads(line.read_text())
        del stages["__create_page_tables"]
        line.write_text(json.dumps(stages))
    result = bootsim("diff", capture, "vexpress.dts")
    assert result.exit_code == 1
    assert "Causes: unknown" in result.stdout
    assert "Their trees differ" in result.stdout


def test_a_captured_image_is_known_by_its_size(bootsim, capture):
    meta = json.loads((capture / "meta.json").read_text())
    (capture / "meta.json").write_text(json.dumps({**meta, "build": "mine", "config": "mine"}))
    result = bootsim("diff", capture)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "the same")


def test_fewer_boots_than_needed_are_told(bootsim):
    result = bootsim("diff", "vexpress.dts", "vexpress-ca15.dts", "--boots", "3")
    assert "Not all settled within 3 boots; --boots allows more." in result.stdout


def test_an_option_given_twice_with_one_value_makes_two_boots(bootsim):
    result = bootsim("diff", "vexpress.dts", "--mem", "1G", "--mem", "1G")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "the same")


@pytest.mark.parametrize("args", [("vexpress.dts",), ("vexpress.dts", "--mem", "1G"), ("nowhere.dts", "vexpress.dts"),
                                  ("vexpress.dts", "--config", "3G/1G", "--config", "9G/9G"),
                                  ("vexpress.dts", *("--mem", "1G") * 3), ("a", "b", "c")])  # fmt: skip
def test_bad_input_gives_exit_2(bootsim, args):
    assert bootsim("diff", *args).exit_code == 2
