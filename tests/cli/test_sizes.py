"""Sizes, addresses and files with an address."""

import click
import pytest

from bootsim.cli.sizes import ADDRESS, FILE_AT, SIZE
from bootsim.cli.values import File
from bootsim.sizes import parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [("512M", 512 << 20), ("1G", 1 << 30), ("0x20000000", 1 << 29), ("1024k", 1 << 20), ("4096", 4096), ("0X10", 16),
     ("0x10M", 16 << 20), ("1GiB", 1 << 30), ("512MB", 512 << 20), ("010", 10), ("3.5G", 7 << 29), ("1.25k", 1280)],
)  # fmt: skip
def test_numbers(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "M", "1T", "-1", "1.3G", "0x1.8", "1.", "0x", "12 34", "1_000", "x10"])
def test_not_numbers(text):
    with pytest.raises(ValueError):
        parse_number(text)


def test_a_bare_small_size_is_taken_for_a_slip():
    with pytest.raises(click.BadParameter, match="did you mean 1024M"):
        SIZE.convert("1024", None, None)


def test_addresses_have_32_bits():
    assert ADDRESS.convert("0xffffffff", None, None) == 0xFFFFFFFF
    with pytest.raises(click.BadParameter, match="32 bits"):
        ADDRESS.convert("0x100000000", None, None)


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("rd.img", File("rd.img", None)),
        ("rd.img@0x68000000", File("rd.img", 0x68000000)),
        ("a@b", File("a@b", None)),
        ("a@b@16M", File("a@b", 16 << 20)),
        ("@5", File("", 5)),
    ],
)
def test_files_with_an_address(text, file):
    assert FILE_AT.convert(text, None, None) == file
