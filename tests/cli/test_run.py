"""`bootsim run` and `bootsim shell`: what is told, what is written, what they exit with."""

import re

import pytest


@pytest.fixture
def script(tmp_path):
    def write(text, name="work.py"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


def test_a_script_that_holds(bootsim, script):
    work = script("p = alloc_pages(GFP_KERNEL, 0)\nassert p.refcount == 1\nprint(hex(p.pfn))\n")
    done = bootsim("run", "vexpress.dts", work)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("0x")


@pytest.mark.parametrize(("text", "code", "told"), [
    ("x = 1\nassert x == 2\n", 1, "work.py:2: assert x == 2"),
    ("assert 0, 'so it is'\n", 1, "work.py:1: assert 0, 'so it is': so it is"),
    ("def f():\n    assert False\nf()\n", 1, "work.py:2: assert False"),
    ("x = (\n", 2, "work.py:1:"),
    ("x = 1\nnothing\n", 2, "work.py:2: NameError: name 'nothing' is not defined"),
    ("alloc_pages('x', 1)\n", 2, "work.py:1: alloc_pages():"),
    ("cat('/proc/nothing')\n", 2, "work.py:1: no view"),
    ("import json\njson.loads('{')\n", 2, "work.py:2: JSONDecodeError"),
    ("__free_pages(1, 0)\n", 2, "work.py:1: pfn 0x1 order 0"),
    ("back()\n", 2, "work.py:1: back() undoes lines of a prompt"),
    ("import sys\nsys.exit(70)\n", 2, "work.py:2: sys.exit(70)"),
    ("\0", 2, "work.py: "),
    ("split_page(None, 1)\n", 2, "work.py:1: split_page(): page = None, expected a page"),
    ("vmap([None], 1, VM_MAP, PAGE_KERNEL())\n", 2, "work.py:1: vmap(): 'NoneType' object has no attribute 'pfn'"),
    ("cma_alloc(5, 5, 5)\n", 2, "work.py:1: 5 is no contiguous area of this machine"),
    ("lab.nothing\n", 2, "work.py:1: AttributeError: no function or constant 'nothing'"),
    ("k.zone('x')\n", 2, "work.py:1: KeyError: 'x'"),
    ("k.page(-1)\n", 2, "work.py:1: OverflowError"),
    ("process(nothing=1)\n", 2, "work.py:1: TypeError"),
    ("cat('/proc/\N{SUPERSCRIPT TWO}/maps')\n", 2, "work.py:1: no view"),
])
def test_a_script_that_does_not(bootsim, script, text, code, told):
    done = bootsim("run", "vexpress.dts", script(text))
    assert done.exit_code == code
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_script_may_end_early(bootsim, script):
    assert bootsim("run", "vexpress.dts", script("import sys\nsys.exit()\nassert 0\n")).exit_code == 0


def test_a_bug_is_a_bug(script, monkeypatch):
    from click.testing import CliRunner

    from bootsim.cli.group import cli
    from bootsim.lab.session import Session

    def broken(self):
        raise RuntimeError("broken")

    def deep(self, calls=3):
        return deep(self, calls - 1) if calls else len(None)

    monkeypatch.setattr("bootsim.lab.script._PACKAGE", __file__)
    for call in (broken, deep):
        monkeypatch.setattr(Session, "holders", call)
        done = CliRunner().invoke(cli, ["run", "vexpress.dts", str(script("holders()\n"))])
        assert done.exit_code == 70


def test_a_script_that_is_not_there(bootsim, tmp_path):
    done = bootsim("run", "vexpress.dts", tmp_path / "none.py")
    assert done.exit_code == 2
    assert "none.py: No such file" in done.stderr


def test_what_a_script_leaves(bootsim, script, tmp_path):
    done = bootsim("run", "vexpress.dts", script("p = alloc_pages(GFP_KERNEL, 10)\n"), "--state", tmp_path / "s")
    assert done.exit_code == 0, done.stderr
    end = bootsim("show", tmp_path / "s", "buddyinfo")
    before = bootsim("show", tmp_path / "s", "buddyinfo", "--stage", "mark_readonly")
    assert end.exit_code == before.exit_code == 0, end.stderr
    assert end.stdout.splitlines()[0] != before.stdout.splitlines()[0]


def test_the_prompt(bootsim, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = ["page = alloc_pages(GFP_KERNEL, 2)", "page == page", "back()", "page", "kmem(1 << 40)", "len(holders())"]
    done = bootsim("shell", "vexpress.dts", input="\n".join(lines) + "\n")
    assert done.exit_code == 0
    assert "bootsim: alloc_pages(GFP_KERNEL, 2) = page 0x" in done.stdout
    assert "free blocks: order" in done.stdout
    assert "True" in done.stdout
    assert "kmem: 1099511627776 is no address" in done.output


def test_a_line_with_many_effects_tells_how_many_it_leaves_out(bootsim):
    loop = "for i in range({}): page = alloc_page(GFP_KERNEL)\n\n"
    done = bootsim("shell", "vexpress.dts", input=loop.format(60) + loop.format(500) + "k.log.records[-440].text\n")
    assert done.stdout.count("= page 0x") == 60 + 60 + 1
    (told,) = [line for line in done.stdout.splitlines() if "lines more" in line]
    first, last = map(int, re.search(r"\.\.\. 440 lines more: k\.log\.records\[(\d+):(\d+)\]", told).groups())
    assert last - first == 440
    assert done.stdout.count("free blocks: order") == 2


@pytest.mark.parametrize(("line", "told"), [
    ("free_pages(__get_free_page(GFP_KERNEL), -1)", "free_pages(): order = -1, expected a number of 32 bits"),
    ("alloc_page(1 << 40)", "alloc_page(): gfp_mask = 1099511627776, expected a number of 32 bits"),
    ("alloc_pages(GFP_KERNEL, order=-1)", "alloc_pages(): order = -1, expected a number of 32 bits"),
    ("free_page('a')", "free_page(): addr = 'a', expected a number"),
    ("free_page(alloc_page(GFP_KERNEL))", "free_page(): addr = Page(0x"),
    ("split_page(None, 1)", "split_page(): page = None, expected a page, or its frame's number"),
    ("__free_page(page=-1)", "__free_page(): page = -1, expected a number of 32 bits"),
])
def test_arguments_that_cannot_be_are_one_line_at_the_prompt_and_of_a_script(bootsim, tmp_path, line, told):
    done = bootsim("shell", "vexpress.dts", input=f"{line}\n")
    assert told in done.output
    assert "Traceback" not in done.output
    (tmp_path / "one.py").write_text(f"{line}\n")
    done = bootsim("run", "vexpress.dts", tmp_path / "one.py")
    assert (done.exit_code, told in done.output) == (2, True)


def test_the_prompt_of_a_user_without_a_home(bootsim, monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("bootsim.lab.prompt.Path.home", home)
    done = bootsim("shell", "vexpress.dts", input="1 + 1\n")
    assert (done.exit_code, "2" in done.stdout) == (0, True)


def test_the_prompt_of_a_tree_that_is_not_there(bootsim):
    assert bootsim("shell", "none.dts").exit_code == 2
