"""`bootsim replay` of text traces: what is told, what is written, what is refused."""

import pytest

ALLOC = " init-1 [000] .... 1.5: mm_page_alloc: page=c pfn=100 order=2 migratetype=0 gfp_flags=GFP_KERNEL\n"


@pytest.fixture
def trace(tmp_path):
    file = tmp_path / "trace.txt"
    file.write_text(ALLOC)
    return file


def test_a_text_trace_is_put_to_a_board(bootsim, trace, tmp_path):
    done = bootsim("replay", trace, "--tree", "vexpress.dts", "--mem", "256M", "--page", "101",
                   "--state", tmp_path / "s")
    assert done.exit_code == 0, done.stderr
    assert "1 requests for 4 pages" in done.stdout
    assert "order 2 handed out to init-1, here at page" in done.stdout
    assert bootsim("show", tmp_path / "s", "buddyinfo").exit_code == 0


def test_from_standard_input_a_failed_request_is_an_answer(bootsim, trace):
    many = "".join(ALLOC.replace("pfn=100 order=2", f"pfn={i * 1024} order=10") for i in range(1, 80))
    done = bootsim("replay", "-", "--tree", "vexpress.dts", "--mem", "256M", input=many)
    assert done.exit_code == 1
    assert "the first of order 10 with GFP_KERNEL by init-1, line" in done.stdout


@pytest.mark.parametrize(("options", "told"), [
    ((), "expected --tree TREE"),
    (("--tree", "vexpress.dts", "--answers", "x"), "--answers: a text trace has no answers"),
    (("--tree", "nothing.dts"), "nothing.dts"),
    (("--tree", "vexpress.dts", "--page", "me"), "'me' is not a number"),
])
def test_what_does_not_fit_a_text_trace(bootsim, trace, options, told):
    done = bootsim("replay", trace, *options)
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_recording_has_its_own_board(bootsim, tmp_path):
    done = bootsim("replay", tmp_path, "--tree", "vexpress.dts")
    assert done.exit_code == 2
    assert "--tree: only for a text trace" in done.stderr
