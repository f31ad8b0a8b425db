"""`bootsim report`: what it writes where, and what it says about bad input."""

import os
import subprocess
import sys

import pytest


def test_writes_a_page_in_one_step(bootsim, tree_file, tmp_path):
    target = tmp_path / "report.html"
    done = bootsim("report", tree_file(), "-o", target)
    assert done.exit_code == 0
    assert done.output == ""
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["board.dts", "report.html"]
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_replaces_a_page_and_keeps_its_permissions(bootsim, tree_file, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.html"
    link.symlink_to(target)
    assert bootsim("report", tree_file(), "-o", link).exit_code == 0
    assert link.is_symlink()
    assert target.read_text() != "old"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_page_on_standard_output(bootsim, tree_file):
    done = bootsim("report", tree_file(), "-o", "-")
    assert done.exit_code == 0
    assert done.stdout.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--config", "3G/1G", "--config", "2G/2G"], ["3G/1G", "2G/2G"]),
        (["--mem", "256M", "--mem", "512M"], ["256 MiB", "512 MiB"]),
        (["--config", "1G/3G", "--config", "2G/2G", "--mem", "256M", "--mem", "512M"],
         ["1G/3G, 256 MiB", "2G/2G, 512 MiB"]),
    ],
)  # fmt: skip
def test_two_boots_by_what_tells_them_apart(bootsim, tree_file, tmp_path, options, names):
    target = tmp_path / "report.html"
    assert bootsim("report", tree_file(), "-o", target, *options).exit_code == 0
    text = target.read_text()
    assert f"{' against '.join(names)}</title>" in text
    assert '<body class="two">' in text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--config", "a", "--config", "b", "--config", "c"], "--config is given 3 times"),
        (["--mem", "1M", "--mem", "2M", "--mem", "3M"], "--mem is given 3 times"),
        (["--config", "no-such-build"], "no-such-build"),
        (["--mem", "plenty"], "'plenty' is not a size"),
    ],
)
def test_bad_options(bootsim, tree_file, tmp_path, options, complaint):
    target = tmp_path / "report.html"
    done = bootsim("report", tree_file(), "-o", target, *options)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert not target.exists()


def test_a_target_that_cannot_be_is_told_before_the_boot(bootsim, tree_file, tmp_path):
    done = bootsim("report", tree_file(), "-o", tmp_path)
    assert done.exit_code == 2
    assert "is a directory" in done.stderr
    done = bootsim("report", tree_file(), "-o", tmp_path / "none" / "report.html")
    assert done.exit_code == 2
    assert "parent directory does not exist" in done.stderr


def test_the_output_must_be_named(bootsim, tree_file):
    done = bootsim("report", tree_file())
    assert done.exit_code == 2
    assert "--output" in done.stderr


def test_a_panic_is_a_page_and_an_exit_code(bootsim, tree_file, tmp_path):
    target = tmp_path / "report.html"
    done = bootsim("report", tree_file(), "-o", target, "--cmdline", "mem=2M")
    assert done.exit_code == 3
    assert "mem=" in done.stderr
    assert "The kernel died without a word:" in target.read_text()


def test_other_commands_do_not_load_jinja():
    script = "import sys, bootsim.cli, bootsim.cli.boot, bootsim.cli.report; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
