"""Commands on a state directory that was captured from a real kernel, as on a tree: an answer or one clear line."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def captured(unpack, tmp_path_factory):
    path = unpack("a9-2g-256", tmp_path_factory.mktemp("real"))
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, "config": None, "build": "b2g", "smp": "1", "mem": "256"}))
    return path


def test_facts_and_explain_replay_its_tree(bootsim, captured):
    done = bootsim("explain", captured, "arm_lowmem_limit", "--config", "2G/2G")
    assert done.exit_code == 0
    assert done.stdout.startswith("arm_lowmem_limit = 0x70000000 pa\n")
    assert done.stderr == f"bootsim: {captured}: told from a replay of its tree\n"
    done = bootsim("facts", captured, "--config", "2G/2G", "--json")
    facts = {fact["name"]: fact["value"] for fact in json.loads(done.stdout)["facts"]}
    assert facts["dtb.base"] == json.loads((captured / "stages.json").read_text())["__create_page_tables"]["atags"]


COMMANDS = [("facts",), ("explain", "high_memory"), ("report", "-o", "x.html"), ("show", "layout"), ("where",),
            ("why-not", "lowmem >= 100M")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_capture_of_a_strange_name_is_known_by_its_image(bootsim, captured, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *rest = command
    done = bootsim(name, captured, *rest)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_a_known_build_it_says_so(bootsim, captured, command, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(captured, other)
    stages = json.loads((other / "stages.json").read_text())
    del stages["arm_memblock_init"]  # without it nobody can tell where the image lies
    (other / "stages.json").write_text(json.dumps(stages))
    name, *rest = command
    done = bootsim(name, other, *rest)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "of kernel build b2g, which bootsim does not have" in done.stderr
    assert done.stderr.endswith("; name it with --config\n")


def test_report_shows_its_replay(bootsim, captured, tmp_path):
    done = bootsim("report", captured, "--config", "2G/2G", "-o", tmp_path / "x.html")
    assert done.exit_code == 0, done.output
    assert f"{captured}/boot.dtb" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize("command", ["diff", "digest", "compare"])
def test_with_itself_it_is_the_same(bootsim, captured, command):
    done = bootsim(command, captured, captured)
    assert done.exit_code == 0, done.output


def test_numbers_may_be_texts(bootsim, captured, tmp_path):
    other = tmp_path / "texts"
    shutil.copytree(captured, other)
    stages = json.loads((other / "stages.json").read_text())
    for fields in stages.values():
        for name in ("lowmem_limit", "high_memory", "totalram_pages"):
            if name in fields:
                fields[name] = hex(fields[name])
        for zone in fields.get("zones", ()):
            zone["managed"] = str(zone["managed"])
    (other / "stages.json").write_text(json.dumps(stages))
    assert bootsim("compare", captured, other).exit_code == 0
    assert bootsim("diff", captured, other, "--show", "state").exit_code == 0
    assert bootsim("digest", captured).stdout[:64] == bootsim("digest", other).stdout[:64]


def test_a_log_alone_has_no_state(bootsim, captured, tmp_path):
    log = tmp_path / "serial.log"
    shutil.copy(captured / "console.log", log)
    done = bootsim("diff", log, captured, "--show", "state")
    assert done.exit_code == 0
    assert f"the same log; state: not compared, {log} being a log alone" in done.stdout
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-20]))
    assert f"State: not compared, {log} being a log alone" in bootsim("diff", log, captured, "--show", "state").stdout


def test_compare_hints_at_what_lies_behind(bootsim, captured, tmp_path):
    replay = tmp_path / "replay"
    bootsim("boot", captured / "boot.dtb", "--config", "2G/2G", "--smp", "2", "-q", "--state", replay)
    done = bootsim("compare", captured, replay)
    assert done.exit_code == 1
    assert done.stderr == f"bootsim: hint: {captured} has 1 processors and {replay} has 2: replay with --smp 1\n"
    done = bootsim("compare", replay, captured)
    assert done.stderr.endswith(" is of a real boot: the real one comes first\n")
    done = bootsim("compare", replay, captured / "console.log")
    assert done.exit_code == 2
    assert "what is real comes first" in done.stderr


def test_where_shows_a_capture_and_a_tree_side_by_side(bootsim, captured):
    done = bootsim("where", captured, "vexpress.dts", "--mem", "512M", "--json")
    assert done.exit_code == 0, done.output
    ours, other = json.loads(done.stdout)
    assert ours["boot"].startswith(str(captured))
    assert [sum(row["size"] for row in boot["rows"]) for boot in (ours, other)] == [512 << 20] * 2
    alone = json.loads(bootsim("where", captured, "--json").stdout)
    assert sum(row["size"] for row in alone["rows"]) == 256 << 20
