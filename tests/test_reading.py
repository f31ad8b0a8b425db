"""What does not end is not read to its end: devices, pipes, packed files that unpack to more than anybody meant."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.reading import read_file, read_packed, read_stream

GIB = 1 << 30


def test_as_much_as_is_allowed_and_not_a_byte_more(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * (1 << 20))
    assert read_file(path, "a thing", 1 << 20) == b"x" * (1 << 20)
    with path.open("ab") as file:
        file.write(b"y")
    with pytest.raises(InputError, match=r"a: more than 1 MiB, expected a thing"):
        read_file(path, "a thing", 1 << 20)


def test_what_the_file_system_says_is_passed_on(tmp_path):
    with pytest.raises(InputError, match=r"none: No such file or directory$"):
        read_packed(tmp_path / "none", "a thing")


def test_a_pipe_is_read_in_the_pieces_it_comes_in():
    pieces = iter((b"ab", b"c", b"def", b""))

    class Pipe(io.RawIOBase):
        def read(self, _size=-1):
            return next(pieces)

    assert read_stream(Pipe(), "-", "a thing") == b"abcdef"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, lambda data: lzma.compress(data[:5]) +
                                  lzma.compress(data[5:])])  # fmt: skip
def test_packed_files(tmp_path, pack):
    (tmp_path / "a").write_bytes(pack(b"CONFIG_ARM=y\n"))
    assert read_packed(tmp_path / "a", "a thing") == b"CONFIG_ARM=y\n"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_small_file_that_unpacks_to_much(tmp_path, pack):
    (tmp_path / "a").write_bytes(pack(bytes(8 << 20)))
    assert (tmp_path / "a").stat().st_size < 10_000
    with pytest.raises(InputError, match="more than 2 MiB"):
        read_packed(tmp_path / "a", "a thing", 2 << 20)


COMMANDS = (
    "boot /dev/zero", "boot -", "boot vexpress.dts --config /dev/zero", "boot vexpress.dts --efi-memmap /dev/zero",
    "profile /dev/zero --kconfig config", "profile System.map --kconfig /dev/zero",
    "profile System.map --kconfig config --facts /dev/zero", "check /dev/zero", "sweep --from /dev/zero",
    "sweep --jobs 1 /dev/zero", "golden verify folder", "run vexpress.dts /dev/zero", "compare /dev/zero folder",
    "diff /dev/zero vexpress.dts", "replay folder",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_an_endless_file_is_refused_in_little_memory(tmp_path, command):
    (tmp_path / "folder").mkdir()
    for name in ("a.boot.txt", "meta.json", "stages.json", "mmtrace.bin", "boot.dtb", "dmesg.log"):
        (tmp_path / "folder" / name).symlink_to("/dev/zero")
    (tmp_path / "config").write_text("CONFIG_ARM=y\nCONFIG_MMU=y\n")
    (tmp_path / "System.map").write_text("c0008000 T _text\n")
    run = [sys.executable, "-m", "bootsim", *command.split()]
    with open("/dev/zero", "rb") as zeros:  # noqa: PTH123
        done = subprocess.run(run, cwd=tmp_path, stdin=zeros, capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "PYTHONPATH": str(Path(bootsim.__file__).parents[1])},
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (GIB, GIB)))  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"(/dev/zero|<stdin>|folder/\S+): more than \d+ MiB, expected", done.stdout + done.stderr)


def test_a_results_file_that_is_a_device_holds_nothing(tmp_path):
    from bootsim.files import LineFile

    file = LineFile("/dev/zero")
    assert file.content() == b""
    file.close()
