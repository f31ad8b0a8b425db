"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TREE = """/dts-v1/;
/ {
	#address-cells = <1>; #size-cells = <1>; compatible = "arm,vexpress";
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x10000000>; };
};
"""


@pytest.fixture
def run(tmp_path):
    """Write files and run pytest on them, with bootsim's plugin and no other."""

    def run(*arguments, **files):
        (tmp_path / "boards").mkdir()
        for name, text in {"board.dts": TREE, **files}.items():
            (tmp_path / "boards" / name).write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "bootsim.pytest_plugin", "-p", "no:cacheprovider", *arguments]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        environment.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run


def test_the_fixture_and_check_files(run):
    test = 'def test_it(boot):\n    assert boot("board.dts", cmdline="quiet").mm.arm_lowmem_limit == 0x70000000\n'
    check = """boots: {tree: board.dts, mem: [256M, 512M]}
expect:
  - lowmem >= 512M
  - that: highmem > 0
    when: memory > 1G
"""
    status, out = run("-v", **{"test_it.py": test, "board.bootsim.yaml": check})
    assert status == 1
    assert "1 failed, 2 passed, 2 skipped" in out
    assert "board.bootsim.yaml::boards/board.dts 3G/1G mem=512M: lowmem >= 512M PASSED" in out
    assert "  lowmem is 256M, expected >= 512M\n" in out
    assert "  decided at boards/board.dts:4, expected at boards/board.bootsim.yaml:3\n" in out
    assert "  | arm_lowmem_limit = 0x70000000 pa" in out
    assert "Traceback" not in out


def test_a_bad_check_file_is_told_with_its_place(run):
    status, out = run(**{"x.bootsim.yml": "boots: {tree: board.dts}\nexpect: lowmem >=\n"})
    assert status == 2
    assert "x.bootsim.yml:2:18: 'lowmem >=': found the end" in out
    assert "Traceback" not in out


def test_the_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"bootsim": "bootsim.pytest_plugin"}


def test_the_plugin_alone_loads_nothing_heavy():
    code = ("import sys, pytest; before = set(sys.modules); import bootsim.pytest_plugin;"
            "print(sorted(m for m in set(sys.modules) - before if not m.startswith('__')))")  # fmt: skip
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert out.strip() == "['bootsim', 'bootsim.pytest_plugin', 'bootsim.version']"


def test_a_panic_shows_the_end_of_the_log(run):
    status, out = run(**{"test_it.py": 'def test_it(boot):\n    boot("board.dts", cmdline="mem=2M")\n'})
    assert status == 1
    at = out.index("The log ended:")
    assert "Memory policy: " in out[at:]
    assert "bootsim: cause: " in out[at:]


def test_scripts_are_tests(run):
    good = "# bootsim: board.dts --cmdline 'vmalloc=300M'\nassert alloc_pages(GFP_KERNEL, 0)\n"
    code, output = run(
        **{
            "good.bootsim.py": good,
            "bad.bootsim.py": "# bootsim: board.dts\nx = 1\nassert x == 2, 'why'\n",
            "none.bootsim.py": "x = 1\n",
            "wrong.bootsim.py": "# bootsim: board.dts --nonsense\n",
        }
    )
    assert code == 1
    assert "1 passed" in output
    assert "3 failed" in output
    assert "bad.bootsim.py:3: assert x == 2, 'why': why" in output
    assert "none.bootsim.py:1: expected `# bootsim: TREE [OPTIONS]`" in output
    assert "wrong.bootsim.py:1: No such option" in output


def test_a_script_that_is_named_is_one_test_too(run):
    script = "# bootsim: board.dts\nassert alloc_page(GFP_KERNEL)\n"
    code, output = run("boards/good.bootsim.py", **{"good.bootsim.py": script})
    assert code == 0, output
    assert "1 passed" in output


def test_files_are_those_beside_the_test(run):
    build = (ROOT / "configs/3g-1g.yaml").read_text().replace('name: "3G/1G"', "name: mine")
    holds = "assert (k.build.name, k.initrd_start) == ('mine', 0xc4000000), k\n"
    script = f"# bootsim: board.dts --config mine.yaml --initrd rd@0x64000000 -I ../boards\n{holds}"
    test = f"""def test_it(boot):
    k = boot("board.dts", "mine.yaml", initrd=("rd", 0x64000000), include_dirs=["../boards"])
    {holds}"""
    files = {"mine.yaml": build, "rd": "x" * 8192, "beside.bootsim.py": script, "test_it.py": test}
    code, output = run(**files)
    assert code == 0, output
    assert "2 passed" in output
