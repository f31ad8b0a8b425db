"""Files are written whole or not at all, and one writer at a time."""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
from contextlib import contextmanager

import pytest

from bootsim import files
from bootsim.errors import InputError


@contextmanager
def full_beyond(size):
    """No file of this process may grow beyond `size` bytes, as on a file system that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_new_file_or_the_old_one(tmp_path):
    path = tmp_path / "a.yaml"
    files.write(path, "old\n")
    path.chmod(0o640)
    with full_beyond(1000), pytest.raises(InputError, match=r"a\.yaml: "):
        files.write(path, "new" * 1000)
    assert path.read_text() == "old\n"
    files.write(path, b"new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.Path, "chmod", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "a", "x")
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_go(tmp_path):
    with pytest.raises(InputError, match="parent directory"):
        files.write(tmp_path / "none" / "a", "x")
    with pytest.raises(InputError, match="is a directory"):
        files.write(tmp_path, "x")
    with pytest.raises(InputError, match="/dev/full: No space left"):
        files.write("/dev/full", "x")
    with pytest.raises(InputError, match="-: expected the name of a file; that of standard output is /dev/stdout"):
        files.write("-", "x")


def test_links_stay_links_and_pipes_are_written_to(tmp_path):
    (tmp_path / "link").symlink_to("file")
    files.write(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "x"
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    files.write(tmp_path / "pipe", "through")
    reader.join()
    assert got == ["through"]


def fill_with(name):
    return lambda folder: [(folder / str(i)).write_text(name) for i in range(20)]


def write_often(path, name):
    for _ in range(50):
        files.write_folder(path, fill_with(name), lambda _: None)


def test_two_writers_of_a_folder_leave_it_whole(tmp_path):
    target = tmp_path / "state"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(target, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len({(target / str(i)).read_text() for i in range(20)}) == 1
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_filled_leaves_the_old_one(tmp_path):
    target = tmp_path / "state"
    files.write_folder(target, fill_with("old"), lambda _: None)
    with full_beyond(0), pytest.raises(InputError, match="state: "):
        files.write_folder(target, fill_with("new"), lambda _: None)
    assert (target / "0").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_lines_are_whole(tmp_path):
    path = tmp_path / "r.jsonl"
    lines = files.LineFile(path)
    lines.add("a" * 100)
    with full_beyond(150), pytest.raises(InputError, match=r"r\.jsonl: "):
        lines.add("b" * 100)
    assert path.read_text() == "a" * 100 + "\n"
    lines.add("c")
    assert path.read_text().endswith("a\nc\n")
    with pytest.raises(InputError, match="another process is writing"):
        files.LineFile(path)
    lines.close()
    files.LineFile(path).close()


def test_a_file_of_no_lines_does_not_stay(tmp_path):
    lines = files.LineFile(tmp_path / "r.jsonl")
    with full_beyond(5), pytest.raises(InputError):
        lines.add("too long")
    lines.close()
    assert list(tmp_path.iterdir()) == []
