"""`bootsim show`: names and paths of views, stages, directories, forms of output, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from bootsim.stages import STAGES
from bootsim.views.catalog import VIEWS

README = Path(__file__).parents[2] / "README.md"


def test_one_view_stands_alone(bootsim):
    done = bootsim("show", "vexpress.dts", "iomem", "--mem", "1G")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "60000000-9fffffff : System RAM"


def test_several_views_get_a_header_each_and_paths_are_names(bootsim):
    done = bootsim("show", "vexpress.dts", "/proc/buddyinfo", "/sys/kernel/debug/memblock/memory", "--mem", "512M")
    lines = done.stdout.splitlines()
    assert lines[0] == "==> /proc/buddyinfo (end of boot) <=="
    assert lines[-2:] == ["==> /sys/kernel/debug/memblock/memory (end of boot) <==", "   0: 0x60000000..0x7fffffff"]


def test_before_and_after(bootsim):
    done = bootsim("show", "vexpress.dts", "memblock/reserved", "--stage", "arm_memblock_init", "--stage",
                   "setup_machine_fdt")
    first, second = done.stdout.split("\n\n")
    assert first.splitlines()[0] == "==> /sys/kernel/debug/memblock/reserved (setup_machine_fdt) <=="
    assert len(first.splitlines()) == 2  # the header, and the tree
    assert len(second.splitlines()) > 3


def test_vtop_takes_the_addresses_that_follow(bootsim):
    done = bootsim("show", "vexpress.dts", "vtop", "c0008000", "0xffff0000", "pgd", "--json")
    (views,) = json.loads(done.stdout).values()
    assert list(views) == ["vtop 0xc0008000", "vtop 0xffff0000", "pgd"]
    assert views["vtop 0xc0008000"]["pa"] == 0x60008000


def test_json_of_every_view(bootsim):
    names = ["buddyinfo", "pagetypeinfo", "zoneinfo", "iomem", "meminfo", "vmallocinfo", "memblock/memory",
             "memblock/reserved", "kernel_page_tables", "cma", "layout", "pgd"]
    done = bootsim("show", "vexpress.dts", *names, "--json", "--mem", "1G")
    (views,) = json.loads(done.stdout).values()
    assert list(views) == names
    assert all(views[name] for name in set(names) - {"vmallocinfo"})


def test_color_adds_a_heading_and_sizes_and_takes_nothing(bootsim):
    plain = bootsim("show", "vexpress.dts", "buddyinfo", "memblock/memory", "--color", "never").stdout
    colored = bootsim("show", "vexpress.dts", "buddyinfo", "memblock/memory", "--color", "always").stdout
    bare = re.sub(r"\x1b\[\d+m", "", colored).splitlines()
    assert "4K" in bare[1]
    assert bare[-1].startswith(plain.splitlines()[-1] + "  ")
    assert "\x1b" not in plain
    del bare[1]
    assert bare[:-1] == plain.splitlines()[:-1]


def test_stages_need_no_boot(bootsim):
    done = bootsim("show", "vexpress.dts", "stages")
    assert len(done.stdout.splitlines()) == len(STAGES)


def test_a_replayed_state_directory(bootsim, tmp_path):
    state = tmp_path / "state"
    assert bootsim("boot", "vexpress.dts", "--mem", "512M", "--state", state, "-q").exit_code == 0
    names = ["zoneinfo", "buddyinfo", "meminfo", "cma", "memblock/reserved"]
    of_directory = bootsim("show", state, *names, "--stage", "free_initmem", "--json")
    of_boot = bootsim("show", "vexpress.dts", *names, "--mem", "512M", "--stage", "free_initmem", "--json")
    there, here = json.loads(of_directory.stdout)["free_initmem"], json.loads(of_boot.stdout)["free_initmem"]
    assert there["buddyinfo"] == here["buddyinfo"]
    in_use = {name: here["cma"][0].pop(name) for name in ("used", "maxchunk", "bitmap")}
    assert there["cma"] == here["cma"]
    assert in_use["used"] == 64  # the pool of DMA
    assert there["meminfo"]["MemTotal"] == here["meminfo"]["MemTotal"]
    assert "memblock/reserved" not in there
    assert "stage free_initmem does not hold memblock; it holds that at " in of_directory.stderr
    assert of_directory.exit_code == 2
    assert bootsim("show", state, "memblock/reserved", "kernel_page_tables").exit_code == 0


def test_what_a_directory_cannot_show(bootsim, tmp_path):
    state = tmp_path / "state"
    bootsim("boot", "vexpress.dts", "--state", state, "-q")
    done = bootsim("show", state, "iomem", "buddyinfo")
    assert done.exit_code == 2
    assert "does not hold resources (/proc/iomem); boot the tree to see it" in done.stderr
    assert "Node 0, zone   Normal" in done.stdout
    done = bootsim("show", state, "buddyinfo", "--mem", "1G")
    assert done.exit_code == 2
    assert "--mem says nothing" in done.stderr
    assert bootsim("show", state, "pagetypeinfo").exit_code == 0  # with a note on what it lacks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["buddyinf"], "no view 'buddyinf'; did you mean 'buddyinfo'?"),
        (["vtop"], "expected a virtual address"),
        (["vtop", "pgd"], "expected a virtual address"),
        (["vtop", "0x123456789"], "does not fit in 32 bits"),
        (["buddyinfo", "--stage", "paging"], "did you mean paging_init:entry"),
        (["buddyinfo", "--stage", "paging_init:entry"], "no zones yet"),
        ([], "Missing argument 'VIEW...'"),
    ],
)
def test_bad_input(bootsim, arguments, message):
    done = bootsim("show", "vexpress.dts", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_directory_that_is_none(bootsim, tmp_path):
    done = bootsim("show", tmp_path, "buddyinfo")
    assert done.exit_code == 2
    assert "not a state directory" in done.stderr


def test_a_panic_is_looked_at_where_it_happened(bootsim):
    done = bootsim("show", "vexpress.dts", "memblock/memory", "--cmdline", "mem=2M")
    assert done.exit_code == 3
    assert done.stdout == "   0: 0x60000000..0x601fffff\n"
    assert "the kernel panicked" in done.stderr
    done = bootsim("show", "vexpress.dts", "buddyinfo", "--cmdline", "mem=2M", "--stage", "mem_init")
    assert done.exit_code == 3
    assert "stage mem_init was not reached" in done.stderr


def test_the_readme_shows_what_comes_out(bootsim):
    blocks = re.findall(r"^```console\n\$ bootsim (show .*?)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for command, text in blocks:
        done = bootsim(*shlex.split(command))
        assert [line.rstrip() for line in done.stdout.splitlines()] == text.splitlines()


def test_every_view_of_every_stage_is_shown_or_told(bootsim, tree_file):
    tree, stages = tree_file(), [word for stage in STAGES for word in ("--stage", stage)]
    for view in VIEWS.values():
        name = (view.name, "0xc0008000") if view.name == "vtop" else (view.name,)
        done = bootsim("show", tree, *name, *stages)
        assert done.exit_code in (0, 2)
        told = done.stdout.count("==> ") + len(done.stderr.splitlines())
        assert told >= len(STAGES) or view.name == "stages"


def test_an_empty_view_says_so(bootsim, tree_file):
    done = bootsim("show", tree_file(), "vmallocinfo", "--stage", "__create_page_tables")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "bootsim: note: vmallocinfo: empty at __create_page_tables\n"
