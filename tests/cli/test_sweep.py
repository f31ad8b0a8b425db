"""`bootsim sweep`: matrices, resuming, what is broken, searches, a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bootsim.sweep import find, pool
from bootsim.sweep.case import Case, matrix, mem_sizes
from bootsim.sweep.progress import Progress, clock
from bootsim.sweep.results import ResultFile
from bootsim.sweep.worker import boot, measure


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# -------------------------------------------------------------------- matrices


def test_sizes():
    assert mem_sizes("512M") == [512 << 20]
    assert mem_sizes("256M-1G:256M") == [256 << 20, 512 << 20, 768 << 20, 1 << 30]
    assert mem_sizes("1M") == [1 << 20]
    for text in ("1023k", "512", "1G-2G", "2G-1G:1M", "512M:1M", "1M-2M:0", "x"):
        with pytest.raises(ValueError):
            mem_sizes(text)


def test_a_table_and_lines(bootsim, tree_file, tmp_path):
    out = tmp_path / "r.jsonl"
    done = bootsim("sweep", tree_file(), "--config", "3G/1G", "--config", "2G/2G", "--mem", "256M-512M:256M", "-o", out)
    assert done.exit_code == 0, done.output
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["tree", "config", "mem", "lowmem", "highmem", "free_pages", "cma.default.base",
                              "vmalloc.size", "verdict"]  # fmt: skip
    assert [row.split()[1:5] for row in rows] == [
        ["3G/1G", "256M", "256M", "0M"], ["3G/1G", "512M", "512M", "0M"],
        ["2G/2G", "256M", "256M", "0M"], ["2G/2G", "512M", "512M", "0M"]]  # fmt: skip
    results = lines_of(out)
    assert len(results) == 4
    assert set(results[0]) == {"case", "verdict", "message", "values", "seconds", "inputs"}
    assert {row["values"]["lowmem"] for row in results} == {256 << 20, 512 << 20}


def test_what_is_broken_does_not_stop_it(bootsim, tree_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the table cuts long lines, and so would long paths
    (tmp_path / "bad.dts").write_text("/dts-v1/;\n/ { foo }\n")
    trees = (tree_file(), "bad.dts", "missing.dts")
    done = bootsim("sweep", *trees, "--cmdline", "", "--cmdline", "mem=2M", "--quantity", "panic")
    assert done.exit_code == 2
    text = done.stdout
    assert "input error: " in text
    assert "bad.dts:2: expected" in text
    assert "missing.dts: no such file" in text
    assert "panic: " in text
    assert len(text.splitlines()) == 7


def test_from_a_file(bootsim, tree_file, tmp_path):
    tree_file()
    (tmp_path / "s.yaml").write_text("boots: {tree: board.dts, mem: [256M, 512M]}\nquantities: [zone.Normal.managed]\n")
    done = bootsim("sweep", "--from", tmp_path / "s.yaml")
    assert done.exit_code == 0, done.output
    assert "zone.Normal.managed" in done.stdout
    assert len(done.stdout.splitlines()) == 3


def test_every_input_in_which_boots_differ_has_a_column(bootsim, tree_file, tmp_path):
    tree_file()
    (tmp_path / "s.yaml").write_text("""boots:
  - {tree: board.dts, ram: 1G, cpu: cortex-a9}
  - {tree: board.dts, ram: 2G@0x60000000, dtb_addr: 0x64000000, soc: [scu=0, "0x10000000=1"]}
  - {tree: board.dts, bootloader: qemu}
""")
    done = bootsim("sweep", "--from", tmp_path / "s.yaml", "--no-progress")
    assert done.exit_code == 0, done.output
    header, *rows = (line.split() for line in done.stdout.splitlines())
    assert header[:7] == ["tree", "bootloader", "dtb_addr", "ram", "ram_addr", "cpu", "soc"]
    assert [row[1:7] for row in rows] == [
        ["-", "-", "1G", "-", "cortex-a9", "-"], ["-", "0x64000000", "2G", "0x60000000", "-", "scu=0,0x10000000=1"],
        ["qemu", "-", "-", "-", "-", "-"]]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), [
    ([], "expected trees, or --from"),
    (["x.dts", "--from", "y"], "expected trees, or --from"),
    (["x.dts", "--resume"], "--resume needs -o"),
    (["x.dts", "--tip", "mem"], "--tip is for --find"),
    (["x.dts", "--mem", "1G-2G"], "a range needs a step"),
    (["-"], "not standard input"),
    (["x.dts", "--find", "lowmem >= 1M"], "--find needs --tip"),
    (["x.dts", "--find", "lowmem >=", "--tip", "mem"], "column 10: found the end"),
    (["x.dts", "--find", "lowmem > 1", "--tip", "vmalloc"], "expected mem, or an option with its ="),
    (["x.dts", "--find", "lowmem > 1", "--tip", "foo="], "needs --between"),
    (["x.dts", "--find", "lowmem > 1", "--tip", "mem", "--between", "2G-1G"], "a smaller and a larger size"),
    (["x.dts", "--mem", "1M-4G:1K"], "expected at most 1000000"),
])  # fmt: skip
def test_bad_options(bootsim, options, message):
    done = bootsim("sweep", *options)
    assert done.exit_code == 2
    assert message in done.stderr


def test_what_the_machine_has_holds_for_all_boots(bootsim, tree_file, tmp_path):
    out = tmp_path / "r.jsonl"
    machine = ("--ram", "256M@0x60000000", "--cpu", "cortex-a15", "--soc", "scu=0x1e000000")
    done = bootsim("sweep", tree_file(), "--mem", "128M", "--mem", "512M", "-o", out, *machine)
    assert done.exit_code == 3, done.output  # the second tree tells of RAM that is not there
    results = lines_of(out)
    assert [row["verdict"] for row in sorted(results, key=lambda row: row["case"]["mem"])] == ["ok", "panic"]
    for row in results:
        assert {name: row["case"][name] for name in ("ram", "ram_addr", "cpu", "soc")} == {
            "ram": 256 << 20, "ram_addr": 0x60000000, "cpu": ["cortex-a15"], "soc": ["scu=0x1e000000"]}
    again = bootsim("sweep", tree_file(), "--mem", "128M", "--mem", "512M", "-o", out, "--resume")
    assert again.exit_code == 0, again.output  # without --ram these are other boots


def test_machine_options_go_with_a_file_and_others_do_not(bootsim, tree_file, tmp_path):
    tree_file()
    file = tmp_path / "sweep.yaml"
    file.write_text("boots: {tree: board.dts, ram: 512M}\n")
    assert bootsim("sweep", "--from", file).exit_code == 0
    assert bootsim("sweep", "--from", file, "--ram", "256M").exit_code == 3
    for option in (("--dtb-addr", "0x68000000"), ("-I", "x"), ("--bootloader", "qemu"), ("--mem", "1G")):
        done = bootsim("sweep", "--from", file, *option)
        assert done.exit_code == 2
        assert "says what to boot" in done.stderr


@pytest.mark.parametrize("command", ["sweep", "check"])
def test_files_from_anywhere_are_for_the_person_to_allow(bootsim, source, tmp_path, command):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "blob.bin").write_bytes(b"\1\2\3\4")
    (tmp_path / "here").mkdir()
    board = tmp_path / "here" / "board.dts"
    board.write_text(source(f'blob {{ data = /incbin/("{tmp_path}/elsewhere/blob.bin"); }};'))
    what = board
    if command == "check":
        what = tmp_path / "here" / "x.bootsim.yaml"
        what.write_text("boots: {tree: board.dts}\nexpect: [no panic]\n")
    refused = bootsim(command, what)
    assert refused.exit_code == 2
    assert "board.dts:14" in refused.output
    assert bootsim(command, what, "--allow-outside").exit_code == 0


# -------------------------------------------------------------------- stopping and going on


def test_resume_makes_only_what_is_missing(bootsim, tree_file, tmp_path):
    out = tmp_path / "r.jsonl"
    tree = tree_file()
    assert bootsim("sweep", tree, "--mem", "256M", "-o", out).exit_code == 0
    refused = bootsim("sweep", tree, "--mem", "256M", "-o", out)
    assert refused.exit_code == 2
    assert "exists; say --resume" in refused.stderr
    with out.open("a") as file:
        file.write('{"case": {"tree": "x')  # what a kill leaves
    done = bootsim("sweep", tree, "--mem", "256M", "--mem", "512M", "-o", out, "--resume")
    assert done.exit_code == 0, done.output
    assert [line["case"]["mem"] >> 20 for line in lines_of(out)] == [256, 512]
    assert len(done.stdout.splitlines()) == 3
    tree_file(memory="	memory@60000000 { device_type = \"memory\"; reg = <0x60000000 0x10000000>; };\n")
    bootsim("sweep", tree, "--mem", "256M", "-o", out, "--resume")
    assert len(lines_of(out)) == 3  # the tree has changed: its old result does not count


def test_a_file_of_something_else_is_left_alone(bootsim, tree_file, tmp_path):
    for text in ("hello\n", "hello", '{"x": 1}\n'):
        out = tmp_path / "r.jsonl"
        out.write_text(text)
        done = bootsim("sweep", tree_file(), "-o", out, "--resume")
        assert done.exit_code == 2
        assert "nothing was written" in done.stderr
        assert out.read_text() == text


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_sweep_leaves_whole_lines_and_no_workers(tree_file, tmp_path, how):
    out = tmp_path / "r.jsonl"
    command = [sys.executable, "-m", "bootsim", "sweep", tree_file(), "--mem", "64M-512M:64K", "-j", "2", "-o", out]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    run = subprocess.Popen(command, text=True, start_new_session=True, **streams)
    deadline = time.monotonic() + 30
    while (not out.exists() or out.read_text().count("\n") < 5) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(run.pid, how)
    _, errors = run.communicate(timeout=30)
    if how != signal.SIGKILL:
        assert run.returncode == 130
        assert "interrupted; --resume goes on" in errors
    assert len(lines_of(out)) >= 5
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("worker processes outlived the sweep")


def _double(item):
    if item == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * 2


def _crashed(item):
    return -item


def test_an_item_that_kills_its_process_is_found():
    items = [1, 2, 13, 4, 5, 6, 7, 8]
    assert sorted(pool.run(_double, items, jobs=2, crashed=_crashed)) == [
        (index, -13 if item == 13 else item * 2) for index, item in enumerate(items)
    ]


def _measured(case):
    return measure(case, ("digest", "free_pages", "lowmem"))["values"]


def test_boots_in_memory_of_earlier_boots_end_as_in_memory_of_their_own(tree_file):
    # memtest fills all of RAM with patterns; what a panic leaves behind is anything
    inputs = [("1G", ""), ("1G", "memtest=1"), ("64M", ""), ("1G", "mem=2M"), ("1G", "init_on_free=1"), ("64M", "")]
    cases = [Case(tree_file(), "3G/1G", int(mem[:-1]) << {"M": 20, "G": 30}[mem[-1]], words) for mem, words in inputs]
    alone = [_measured(case) for case in cases]
    assert alone[0]["free_pages"]
    assert not alone[3]["free_pages"]
    for index, values in pool.run(_measured, cases * 3, jobs=1, crashed=_crashed):
        assert values == alone[index % len(cases)], cases[index % len(cases)]


def test_a_boot_may_take_too_long(tree_file):
    outcome = boot(Case(tree_file()), timeout_s=0.001)
    assert outcome.verdict == "timeout"
    assert boot(Case(tree_file()), timeout_s=60).verdict == "ok"


def test_progress(capsys):
    progress = Progress(4)
    progress.add(failed=False)
    progress.add(failed=True)
    assert progress.line().startswith("2/4 boots, ")
    assert ", ETA " in progress.line()
    assert progress.line().endswith(", 1 failed")
    progress.finish("stopped at ")
    assert capsys.readouterr().err.startswith("stopped at 2/4 boots, ")
    assert [clock(s) for s in (0, 75, 3725)] == ["0:00", "1:15", "1:02:05"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("values", None, "result.values: null, expected an object"),
        ("values", {"lowmem": [1]}, "result.values.lowmem: a list of 1, expected a number or a text"),
        ("verdict", None, "result.verdict: null, expected a text"),
        ("verdict", "fine", 'result.verdict: "fine", expected one of ok, '),
        ("message", 5, "result.message: 5, expected a text"),
        ("case", {}, "result.case: an empty object, expected one with tree"),
        ("case", {"tree": "x", "mem": "much"}, 'result.case.mem: "much", expected a number'),
        ("case", {"tree": "x", "cmdline": {}}, "result.case.cmdline: an empty object, expected a text"),
    ],
)
def test_resume_says_what_is_damaged(bootsim, tree_file, tmp_path, name, value, words):
    out, tree = tmp_path / "r.jsonl", tree_file()
    bootsim("sweep", tree, "-o", out)
    for damaged in ({**lines_of(out)[0], name: value}, {k: v for k, v in lines_of(out)[0].items() if k != name}):
        before = f"{json.dumps(damaged)}\n"
        out.write_text(before)
        done = bootsim("sweep", tree, "-o", out, "--resume")
        assert done.exit_code == 2
        assert f"{out}:1: not a sweep's result" in done.stderr
        assert out.read_text() == before
        assert words in done.stderr or name not in damaged


def test_two_sweeps_do_not_write_to_one_file(bootsim, tree_file, tmp_path):
    with ResultFile(tmp_path / "r.jsonl", resume=False):
        done = bootsim("sweep", tree_file(), "-o", tmp_path / "r.jsonl")
    assert done.exit_code == 2
    assert "another process is writing to it" in done.stderr


# -------------------------------------------------------------------- searches


@pytest.mark.parametrize("flips_at", [[], [1], [700], [999], [300, 650], [17, 18 + 15]])
def test_a_search_finds_every_flip(flips_at):
    def probe(case):
        return find.Answer(sum(case.mem >= flip for flip in flips_at) % 2 == 0)

    found = find.find(Case("x"), "mem", 0, 1000, probe, samples=80)
    assert [flip.first for flip in found.flips] == flips_at
    assert [flip.last for flip in found.flips] == [flip - 1 for flip in flips_at]


def test_the_tipped_option_replaces_the_one_there():
    case = Case("x", cmdline="vmalloc=300M quiet")
    assert find.with_value(case, "vmalloc=", 7).cmdline == "quiet vmalloc=7"
    assert find.with_value(case, "mem", 7).mem == 7


def test_find(bootsim, tree_file, tmp_path):
    # lowmem is 0xff800000 - vmalloc - PAGE_OFFSET: 760M up to exactly vmalloc=256M
    done = bootsim("sweep", tree_file(), "--mem", "1G", "--find", "lowmem >= 760M", "--tip", "vmalloc=",
                   "--between", "128M-512M", "--samples", "8", "-o", tmp_path / "f.jsonl")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1:] == [
        "  vmalloc=128M to 256M  (0x8000000-0x10000000): holds",
        "  vmalloc=268435457 to 512M  (0x10000001-0x20000000): does not hold: lowmem is 796917759, expected >= 760M",
    ]
    (line,) = lines_of(tmp_path / "f.jsonl")
    assert (line["flips"][0]["last"], line["flips"][0]["first"]) == (256 << 20, (256 << 20) + 1)


@pytest.mark.parametrize(("given", "holds"), [((), True), (("--cmdline", ""), False), (("--cmdline", "cma=48M"), True)])
def test_the_words_of_the_trees_own_line_stay(bootsim, tree_file, given, holds):
    # a search that varies another option says nothing of cma=, which the tree has
    path = Path(tree_file())
    path.write_text(path.read_text().replace("console=ttyAMA0", "cma=64M vmalloc=300M"))
    done = bootsim("sweep", path, "--find", "cma >= 32M", "--tip", "vmalloc=",
                   "--between", "40M-48M", "--samples", "2", *given)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.rstrip().endswith("): holds") == holds


@pytest.mark.parametrize("search", [False, True])
def test_an_unknown_quantity_is_told(bootsim, tree_file, tmp_path, search):
    how = ("--find", "lowmen > 1", "--tip", "vmalloc=", "--samples", "2") if search else ("--quantity", "lowmen")
    done = bootsim("sweep", tree_file(), *how, "-o", tmp_path / "r.jsonl")
    assert done.exit_code == 2
    assert "'lowmen'" in done.stderr
    assert "did you mean lowmem" in done.stderr
    # no such area, but a quantity
    assert bootsim("sweep", tree_file(), "--quantity", "cma.camera.base").exit_code == 0
    how = ("--find", "cma.camera.base > 0", "--tip", "vmalloc=", "--samples", "2")
    assert bootsim("sweep", tree_file(), *how).exit_code == 0


@pytest.mark.parametrize(("what", "told"), [("no warning", True), ("lowmem >= 100M", False)])
def test_a_search_tells_the_kernels_complaint_where_that_is_asked_for(bootsim, tree_file, what, told):
    done = bootsim("sweep", tree_file(), "--find", what, "--tip", "vmalloc=", "--samples", "2")
    assert "does not hold: " in done.stdout
    assert ("vmalloc area is too big, limiting to " in done.stdout) is told


# -------------------------------------------------------------------- beyond one machine


@pytest.mark.filterwarnings("ignore")
def test_dask(bootsim, tree_file, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed (bootsim[dask])")
    (tmp_path / "bad.dts").write_text("/dts-v1/;\n/ { foo }\n")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
    with cluster:
        done = bootsim("sweep", tree_file(), tmp_path / "bad.dts", "--mem", "64M-128M:16M", "--dask",
                       cluster.scheduler_address, "-o", tmp_path / "r.jsonl")  # fmt: skip
    assert done.exit_code == 2, done.output
    results = lines_of(tmp_path / "r.jsonl")
    assert sorted(row["verdict"] for row in results) == ["input error"] * 5 + ["ok"] * 5
    for row in results:
        if row["verdict"] == "ok":
            assert row["values"]["lowmem"] == row["case"]["mem"]


def test_without_dask_it_says_what_to_install(bootsim, tree_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = bootsim("sweep", tree_file(), "--dask", "tcp://127.0.0.1:1")
    assert done.exit_code == 2
    assert "pip install 'bootsim[dask]'" in done.stderr


def test_cases_survive_json():
    from bootsim.sweep.case import from_json

    for case in matrix(["a", "b"], ["c"], [None, 1 << 30], ["", None], [2], bootloader="qemu", include_dirs=("x",),
                       ram=1 << 29, ram_addr=0x60000000, cpu=("cortex-a9",), soc=("scu=1",), allow_outside=True):
        assert from_json(json.loads(json.dumps(case.to_json()))) == case
